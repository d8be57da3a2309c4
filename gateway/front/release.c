#include "gateway/front/release.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/limits.h"
#include "gateway/front/deliver.h"
#include "gateway/front/sending.h"
#include "gateway/front/signing.h"
#include "gateway/log.h"

enum { SESSION_MS = 60000 };

struct releases {
	struct front *front;
	uint32_t pull; /* request, or 0 */
	struct arena *arena; /* of the job under way, or NULL */
	struct delivery_job job;
	int fd; /* of the content, or -1 */
	struct str content;
	struct signing *signing;
	struct str *spans;
	size_t span_count;
	int *codes;
	struct answer answer;
	struct sending *sending;
};

struct releases *releases_new(struct front *front)
{
	struct releases *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->front = front;
	r->fd = -1;
	return r;
}

static void drop_job(struct releases *r)
{
	sending_free(&r->sending);
	signing_cancel(&r->signing);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	if (r->content.n)
		memfd_unmap(r->content);
	r->content = STR("");
	arena_free(&r->arena);
}

void releases_free(struct releases **releases)
{
	struct releases *r = *releases;

	if (!r)
		return;
	*releases = NULL;
	drop_job(r);
	free(r);
}

bool releases_are_idle(const struct releases *r)
{
	return !r->arena;
}

/* OK: delivered. REFUSED: never will be. IO_ERROR: to be tried again. Both but for some. */
static void finish_but(struct releases *r, enum keep_result result, struct str text,
	struct str_list delivered)
{
	struct delivery_done done = { .job = r->job.job, .result = result, .text = text,
		.delivered = delivered };

	(void)front_tell_keeper(r->front, KEEP_JOB_DONE, &delivery_done_record, &done);
	drop_job(r);
	releases_pull(r);
	front_check_drained(r->front);
}

static void finish(struct releases *r, enum keep_result result, struct str text)
{
	finish_but(r, result, text, (struct str_list){ 0 });
}

static struct str relayed(struct releases *r)
{
	return arena_printf(r->arena, "%d %s %.*s", r->answer.code, r->answer.enhanced,
		STR_ARG(r->answer.text));
}

/* Each recipient by himself: who has it never gets it again, who must wait is tried again, and
 * who was refused is held as before. `content`: the codes are those behind the dot. */
static void finish_by_codes(struct releases *r, bool content)
{
	size_t n = r->job.rcpt_to.n;
	struct str_list delivered = { ARENA_ARRAY(r->arena, n, struct str), 0 };
	bool later = false;

	for (size_t i = 0; i < n; i++) {
		if (content && r->codes[i] >= 200 && r->codes[i] < 300)
			delivered.v[delivered.n++] = r->job.rcpt_to.v[i];
		else if (r->codes[i] < 500 || r->codes[i] > 599)
			later = true;
	}
	if (delivered.n == n)
		finish(r, KEEP_OK, STR("delivered"));
	else
		finish_but(r, later ? KEEP_IO_ERROR : KEEP_REFUSED, relayed(r), delivered);
}

static void on_sent(void *context, enum outcome_event event)
{
	struct releases *r = context;

	if (event == OUTCOME_CONTENT_TAKEN)
		finish_by_codes(r, true);
	else if (event == OUTCOME_LOST_AFTER_DOT)
		/* It may be there: a second copy is worse here than a person who looks. */
		finish(r, KEEP_REFUSED, STR("delivery-uncertain: the mailbox server did not answer "
					    "the end of the message"));
	else
		finish(r, KEEP_IO_ERROR, STR("the mailbox server broke off"));
}

static void on_offered(void *context, enum outcome_event event)
{
	struct releases *r = context;
	bool any = false;

	switch (event) {
	case OUTCOME_RCPT_TAKEN:
		for (size_t i = 0; i < r->job.rcpt_to.n; i++)
			any |= r->codes[i] >= 200 && r->codes[i] < 300;
		if (any)
			sending_content(r->sending, r->spans, r->span_count, on_sent);
		else
			finish_by_codes(r, false);
		return;
	case OUTCOME_MAIL_REFUSED:
		return finish(r, KEEP_REFUSED, relayed(r));
	case OUTCOME_MAIL_LATER:
	case OUTCOME_UNREACHABLE:
		return finish(r, KEEP_IO_ERROR, relayed(r));
	default:
		return finish(r, KEEP_IO_ERROR, STR("the mailbox server cannot be used now"));
	}
}

static bool is_from_us(const struct releases *r)
{
	struct str from = r->job.mail_from;

	return !from.n || config_find_domain(r->front->config, str_skip(from, str_rchr(from, '@') + 1));
}

/* To its mailbox server. What of ours goes elsewhere, or to several servers, was held on its way out: to
 * the relay. What strangers sent to a domain that is gone goes nowhere. */
static const struct config_domain *route(const struct releases *r)
{
	const struct config *config = r->front->config;
	const struct config_domain *relay = config->outbound.enabled && is_from_us(r) ?
		&config->outbound.route : NULL;
	const struct config_domain *first = NULL;

	for (size_t i = 0; i < r->job.rcpt_to.n; i++) {
		struct str to = r->job.rcpt_to.v[i];
		const struct config_domain *domain = config_find_domain(config,
			str_skip(to, str_rchr(to, '@') + 1));

		if (!domain || (relay && first && !config_same_backends(first, domain)))
			return relay;
		if (!first)
			first = domain;
	}
	return first;
}

static void begin(struct releases *r)
{
	const struct config_domain *domain = route(r);
	struct sending_order order = { .mail_from = r->job.mail_from, .rcpts = r->job.rcpt_to.v,
		.rcpt_count = r->job.rcpt_to.n, .answer = &r->answer, .arena = r->arena,
		.eight_bit = true, .wait_ms = SESSION_MS, .done = on_offered, .context = r };

	r->span_count = deliver_spans(r->arena, r->job.headers, r->content, r->job.cuts.v,
		r->job.cuts.n, &r->spans);
	if (!domain)
		return finish(r, KEEP_REFUSED, STR("no domain of this gateway"));
	if (!r->span_count)
		return finish(r, KEEP_REFUSED, STR("its recorded header lines cannot be used"));
	for (size_t i = 0; i < r->span_count; i++)
		order.size += r->spans[i].n;
	order.domain = domain;
	order.codes = r->codes = ARENA_ARRAY(r->arena, r->job.rcpt_to.n, int);
	r->answer.code = 0;
	r->sending = sending_offer(r->front, &order);
}

/* It goes without what could not be made: it is wanted more than its signatures are. */
static void on_signed(void *context, bool is_complete, struct str lines)
{
	struct releases *r = context;
	struct buf headers = BUF_INIT;

	r->signing = NULL;
	buf_str_add(&headers, lines);
	buf_str_add(&headers, r->job.headers);
	r->job.headers = arena_dup(r->arena, buf_str(&headers));
	buf_free(&headers);
	begin(r);
}

static void on_job(void *context, const struct ipc_packet *reply)
{
	struct releases *r = context;
	struct ipc_packet packet;
	struct err err = { "" };

	r->pull = 0;
	if (!reply)
		return; /* the keeper is gone: the next one is asked when it is wired */
	packet = *reply;
	r->arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	if (record_decode(&delivery_job_record, arena_dup(r->arena, reply->payload), r->arena,
		    &r->job, &err) != 0) {
		/* Not even its number is known: it waits for the next keeper, others do not. */
		log_event(LOG_LEVEL_ERROR, "release-malformed", "%s", err.text);
		ipc_close_fds(&packet);
		drop_job(r);
		releases_pull(r);
		return;
	}
	if (packet.fd_count != 1 ||
		memfd_map(packet.fds[0], LIMIT_MESSAGE_BYTES, &r->content, &err) != 0) {
		ipc_close_fds(&packet);
		finish(r, KEEP_IO_ERROR, arena_dup(r->arena, str_c(err.text)));
		return;
	}
	r->fd = packet.fds[0];
	struct signing_order order = { .domain = r->job.sign_for, .fd = r->fd, .arena = r->arena,
		.done = on_signed, .context = r };
	if (r->job.sign_for.n)
		r->signing = signing_start(r->front, &order);
	if (!r->signing)
		begin(r);
}

void releases_pull(struct releases *r)
{
	if (r->pull || r->arena || r->front->retiring || !r->front->keeper)
		return;
	r->pull = channel_request(r->front->keeper, KEEP_PULL, STR(""), NULL, 0, on_job, r);
}
