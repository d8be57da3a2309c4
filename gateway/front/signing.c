#include "gateway/front/signing.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/mail/sign.h"
#include "gateway/log.h"

/* What is made, one after the other: there are few, and each is quick. */
static const struct step {
	bool seal;
	enum draft_kind kind;
	const char *algorithm, *header;
} steps[] = {
	{ false, DRAFT_DKIM, "rsa-sha256", "DKIM-Signature: " },
	{ false, DRAFT_DKIM, "ed25519-sha256", "DKIM-Signature: " },
	{ true, DRAFT_ARC_MESSAGE, "rsa-sha256", "ARC-Message-Signature: " },
	{ true, DRAFT_ARC_SEAL, "rsa-sha256", "ARC-Seal: " },
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };
/* WAIT_MS: for a free inspector. The sender is still connected. */
enum { WAIT_MS = 30000, DEATHS = 2 };

struct signing {
	struct front *front;
	struct signing_order order;
	struct str lines; /* so far */
	size_t next;
	const struct step *step; /* under way */
	const struct keyring_key *key;
	unsigned deaths; /* of those who were to hash for it */
	bool is_complete;
	struct work *work;
};

void signing_cancel(struct signing **signing)
{
	struct signing *s = *signing;

	if (!s)
		return;
	*signing = NULL;
	workers_cancel(&s->work);
	free(s);
}

static void finish(struct signing *s)
{
	struct signing_order order = s->order;
	struct str lines = s->lines;
	bool is_complete = s->is_complete;

	signing_cancel(&s);
	order.done(order.context, is_complete, lines);
}

static void fill(void *context, struct buf *payload)
{
	struct signing *s = context;
	struct draft_request r = { .kind = s->step->kind, .domain = s->key->domain,
		.selector = s->key->selector, .algorithm = str_c(s->step->algorithm),
		.now = front_time(s->front), .chain = s->order.chain };

	if (s->step->kind == DRAFT_ARC_MESSAGE)
		r.results = s->order.results;
	if (s->step->kind == DRAFT_ARC_SEAL)
		r.set = s->lines;
	record_encode(&draft_request_record, &r, payload);
}

/* 1: one line more; 0: the message must get none. */
static int add_line(struct signing *s, const struct ipc_packet *reply, struct err *err)
{
	struct str payload = arena_dup(s->order.arena, reply->payload);
	struct buf signature = BUF_INIT, lines = BUF_INIT;
	struct draft_reply r;

	if (record_decode(&draft_reply_record, payload, s->order.arena, &r, err) != 0)
		return -1;
	struct sign_draft draft = { .head = r.head, .tail = r.tail };
	if (!r.head.n && s->step->kind == DRAFT_ARC_MESSAGE)
		return 0;
	if (r.digest.n != sizeof(draft.digest) || !str_starts(r.head, s->step->header) ||
		r.head.n + r.tail.n + r.below.n + s->lines.n > LIMIT_SIGNATURE_BYTES)
		return err_set(err, "the inspector's draft is none");
	memcpy(draft.digest, r.digest.p, sizeof(draft.digest));
	signkey_sign(s->key->key, draft.digest, &signature);
	sign_finish(&draft, buf_str(&signature), s->step->kind == DRAFT_DKIM, &lines);
	buf_str_add(&lines, r.below);
	buf_str_add(&lines, s->lines);
	s->lines = arena_dup(s->order.arena, buf_str(&lines));
	buf_free(&signature);
	buf_free(&lines);
	return 1;
}

/* False: there is no other key, or half of a set could not be made. */
static bool next_step(struct signing *s)
{
	s->key = NULL;
	s->deaths = 0;
	while (!s->key && s->next < STEPS && (s->is_complete || !s->order.seal)) {
		s->step = &steps[s->next++];
		if (s->step->seal == s->order.seal)
			s->key = keyring_find(&s->front->keyring, s->order.domain, s->step->algorithm);
	}
	return s->key;
}

static void fail(struct signing *s, const char *why)
{
	s->is_complete = false;
	if (s->order.seal)
		s->lines = STR("");
	log_event(LOG_LEVEL_WARNING, "not-signed", "%.*s, %.*s: %s", STR_ARG(s->key->domain),
		STR_ARG(str_sub(str_c(s->step->header), 0, str_chr(str_c(s->step->header), ':'))), why);
}

static void ask(struct signing *s);

static void on_draft(void *context, enum workers_end end, const struct ipc_packet *reply,
	int64_t index)
{
	struct signing *s = context;
	struct err err = { "no inspector answered" };

	(void)index;
	s->work = NULL;
	if ((end == WORKERS_DIED || end == WORKERS_KILLED) && ++s->deaths < DEATHS)
		return ask(s);
	int added = end == WORKERS_ANSWERED ? add_line(s, reply, &err) : -1;
	if (added < 0)
		fail(s, err.text);
	if (added != 0 && next_step(s))
		ask(s);
	else
		finish(s);
}

static void ask(struct signing *s)
{
	struct work_order order = { .type = EVALUATE_DRAFT, .fd = s->order.fd, .prefer = WORKERS_ANY,
		.wait_ms = WAIT_MS, .fill = fill, .done = on_draft, .context = s };

	s->work = workers_submit(s->front->inspectors, &order);
}

struct signing *signing_start(struct front *front, const struct signing_order *order)
{
	struct signing *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->front = front;
	s->order = *order;
	s->is_complete = true;
	if (next_step(s))
		ask(s);
	else
		signing_cancel(&s);
	return s;
}
