#include "gateway/front/answers.h"

#include <assert.h>
#include <stdlib.h>

#include "gateway/front/front.h"

/* The resolver keeps each question's own time-out; this is for one that says nothing. */
enum { SLACK_MS = 1000, DEFAULT_DNS_MS = 10000, DEFAULT_SCAN_MS = 60000 };
/* One that died is back within moments; none at all is a scanner that does not start. */
enum { SCANNER_BACK_MS = 5000 };

struct answers {
	struct front *front;
	struct answers_order order;
	uint32_t resolve; /* the request, or 0 */
	struct work *scan;
	bool scanner_died; /* once, on this message */
	struct loop_timer *timer;
	bool asking; /* answers_ask() has not returned: nobody waits for the callback yet */
};

static void add_dns(struct answers *a, const struct dns_answer *answer)
{
	struct facts *facts = a->order.facts;

	if (facts_dns(facts, answer->name, answer->type))
		return;
	facts->dns.v = arena_grow(a->order.arena, facts->dns.v, facts->dns.n, facts->dns.n + 1,
		sizeof(*answer));
	facts->dns.v[facts->dns.n++] = *answer;
}

/* All that is not answered yet gets this. */
static void fill_dns(struct answers *a, enum dns_rcode rcode)
{
	for (size_t i = 0; i < a->order.needs->dns.n; i++) {
		const struct dns_question *q = &a->order.needs->dns.v[i];
		struct dns_answer answer = { .type = q->type, .name = q->name, .rcode = rcode };

		add_dns(a, &answer);
	}
}

static void set_scan(struct answers *a, enum scan_result result, const char *reason)
{
	struct facts_scan *scan = ARENA_NEW(a->order.arena, struct facts_scan);

	scan->result = result;
	scan->reason = str_c(reason);
	a->order.facts->scan = scan;
}

static void answers_free(struct answers *a)
{
	if (a->resolve && a->front->resolver)
		channel_forget(a->front->resolver, a->resolve);
	workers_cancel(&a->scan);
	loop_timer_free(&a->timer);
	free(a);
}

static void check_done(struct answers *a)
{
	struct answers_order order = a->order;

	if (a->asking || a->resolve || a->scan)
		return;
	answers_free(a);
	order.done(order.context);
}

static void take_dns(struct answers *a, const struct ipc_packet *reply)
{
	struct resolve_reply r;
	size_t n = a->order.needs->dns.n;
	struct str payload;

	if (!reply) {
		fill_dns(a, DNS_SERVFAIL);
		return;
	}
	payload = arena_dup(a->order.arena, reply->payload);
	if (record_decode(&resolve_reply_record, payload, a->order.arena, &r, NULL) == 0) {
		for (size_t i = 0; i < n && i < r.answers.n; i++) {
			/* The question is ours: an answer cannot be to another one. */
			r.answers.v[i].type = a->order.needs->dns.v[i].type;
			r.answers.v[i].name = a->order.needs->dns.v[i].name;
			add_dns(a, &r.answers.v[i]);
		}
	}
	fill_dns(a, DNS_SERVFAIL);
}

static void on_resolved(void *context, const struct ipc_packet *reply)
{
	struct answers *a = context;

	a->resolve = 0;
	take_dns(a, reply);
	check_done(a);
}

static void ask_resolver(struct answers *a)
{
	struct resolve_request request = { 0 };
	struct buf payload = BUF_INIT;

	if (!a->order.needs->dns.n)
		return;
	request.questions.v = a->order.needs->dns.v;
	request.questions.n = a->order.needs->dns.n;
	request.steps = a->order.needs->steps;
	request.reserved_steps = a->order.needs->reserved_steps;
	if (a->front->resolver) {
		record_encode(&resolve_request_record, &request, &payload);
		a->resolve = channel_request(a->front->resolver, RESOLVE, buf_str(&payload), NULL,
			0, on_resolved, a);
		buf_free(&payload);
	}
	if (!a->resolve)
		fill_dns(a, DNS_SERVFAIL);
}

static void ask_scanner(struct answers *a, int64_t wait_ms);

static void on_scanned(void *context, enum workers_end end, const struct ipc_packet *reply,
	int64_t index)
{
	struct answers *a = context;
	struct facts_scan *scan = ARENA_NEW(a->order.arena, struct facts_scan);

	a->scan = NULL;
	switch (end) {
	case WORKERS_ANSWERED:
		if (record_decode(&facts_scan_record, arena_dup(a->order.arena, reply->payload),
			    a->order.arena, scan, NULL) == 0)
			a->order.facts->scan = scan;
		else
			set_scan(a, SCAN_UNAVAILABLE, "the scanner's answer was malformed");
		break;
	case WORKERS_DIED:
		if (!a->scanner_died) {
			a->scanner_died = true;
			ask_scanner(a, SCANNER_BACK_MS);
			return;
		}
		/* Twice: whatever does that to it is in the message. */
		set_scan(a, SCAN_UNSCANNABLE, "the scanner died on it");
		break;
	case WORKERS_KILLED:
		set_scan(a, SCAN_UNSCANNABLE, "the scanner took too long and was stopped");
		break;
	case WORKERS_NONE:
		set_scan(a, SCAN_UNAVAILABLE, "no scanner is running");
		break;
	}
	check_done(a);
}

static void ask_scanner(struct answers *a, int64_t wait_ms)
{
	struct work_order order = { .type = SCAN, .fd = a->order.message_fd,
		.prefer = WORKERS_ANY, .wait_ms = wait_ms, .done = on_scanned, .context = a };

	if (!a->order.needs->scan || a->order.facts->scan)
		return;
	if (a->order.message_fd < 0) {
		set_scan(a, SCAN_UNAVAILABLE, "there is no message");
		return;
	}
	if (!workers_count(a->front->scanners) && order.wait_ms > SCANNER_BACK_MS)
		order.wait_ms = SCANNER_BACK_MS;
	a->scan = workers_submit(a->front->scanners, &order);
}

static void take_counters(struct answers *a)
{
	const struct needs *needs = a->order.needs;
	struct facts *facts = a->order.facts;
	size_t n = facts->counters.n;

	if (!needs->counters.n)
		return;
	facts->counters.v = arena_grow(a->order.arena, facts->counters.v, n, n + needs->counters.n,
		sizeof(facts->counters.v[0]));
	for (size_t i = 0; i < needs->counters.n; i++) {
		const struct need_counter *need = &needs->counters.v[i];

		facts->counters.v[n + i] = (struct facts_counter){ .key = need->key,
			.value = front_counter(a->front, need->key, need->add, need->window_s) };
	}
	facts->counters.n = n + needs->counters.n;
}

static void on_late(void *context)
{
	struct answers *a = context;

	if (a->resolve) {
		channel_forget(a->front->resolver, a->resolve);
		a->resolve = 0;
		fill_dns(a, DNS_TIMEOUT);
	}
	if (a->scan) {
		workers_cancel(&a->scan);
		set_scan(a, SCAN_TIMEOUT, "the scanner did not answer in time");
	}
	check_done(a);
}

/* As long as the most patient of the filters that wait, within the evaluation's limit. */
static int64_t deadline(const struct answers_order *order, int64_t *scan_ms_r)
{
	const struct needs *needs = order->needs;
	int64_t ms = 0;

	for (size_t i = 0; i < needs->dns.n; i++) {
		int64_t own = needs->dns.v[i].timeout_ms;

		if (own <= 0)
			own = DEFAULT_DNS_MS;
		if (own > ms)
			ms = own;
	}
	*scan_ms_r = needs->scan_timeout_ms > 0 ? needs->scan_timeout_ms : DEFAULT_SCAN_MS;
	if (needs->scan && *scan_ms_r > ms)
		ms = *scan_ms_r;
	ms += SLACK_MS;
	return ms < order->limit_ms ? ms : order->limit_ms > 0 ? order->limit_ms : 1;
}

struct answers *answers_ask(struct front *front, const struct answers_order *order)
{
	struct answers *a = calloc(1, sizeof(*a));
	int64_t scan_ms, ms = deadline(order, &scan_ms);

	if (!a)
		abort();
	a->front = front;
	a->order = *order;
	a->asking = true;
	take_counters(a);
	ask_resolver(a);
	ask_scanner(a, scan_ms < ms ? scan_ms : ms);
	a->asking = false;
	if (!a->resolve && !a->scan) {
		answers_free(a);
		return NULL;
	}
	a->timer = loop_timer_new(front->loop, on_late, a);
	loop_timer_set(a->timer, ms);
	return a;
}

void answers_cancel(struct answers **answers)
{
	struct answers *a = *answers;

	if (!a)
		return;
	*answers = NULL;
	answers_free(a);
}
