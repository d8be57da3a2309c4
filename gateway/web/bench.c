#include "gateway/web/bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/limits.h"

struct bench {
	struct web *web;
	struct arena *arena;
	struct facts facts;
	int fd;
	bench_fn *done;
	void *context;
	unsigned rounds;
	struct needs needs;
	unsigned waiting; /* for resolver and scanner */
};

static void on_verdict(void *context, const struct ipc_packet *reply);

static void finish(struct bench *b, const struct verdict *verdict)
{
	b->done(b->context, verdict);
	close(b->fd);
	arena_free(&b->arena);
	free(b);
}

static void ask_inspector(struct bench *b)
{
	struct evaluate_request request = { .stage = STAGE_MESSAGE, .facts = b->facts };
	struct buf payload = BUF_INIT;
	record_encode(&evaluate_request_record, &request, &payload);
	if (++b->rounds > LIMIT_ROUNDS || !b->web->bench ||
		channel_request(b->web->bench, EVALUATE, buf_str(&payload), &b->fd, 1, on_verdict, b) == 0)
		finish(b, NULL);
	buf_free(&payload);
}

static void answered(struct bench *b)
{
	if (--b->waiting == 0)
		ask_inspector(b);
}

/* What nobody answered is a TIMEOUT, as at the front. */
static void on_dns(void *context, const struct ipc_packet *reply)
{
	struct bench *b = context;
	struct resolve_reply r = { 0 };
	struct err err;
	if (reply && record_decode(&resolve_reply_record, arena_dup(b->arena, reply->payload), b->arena, &r,
			     &err) < 0)
		r.answers.n = 0;
	size_t n = b->facts.dns.n, more = b->needs.dns.n;
	b->facts.dns.v = arena_grow(b->arena, b->facts.dns.v, n, n + more, sizeof(struct dns_answer));
	for (size_t i = 0; i < more; i++)
		b->facts.dns.v[n + i] = i < r.answers.n ? r.answers.v[i] :
			(struct dns_answer){ .type = b->needs.dns.v[i].type, .name = b->needs.dns.v[i].name,
				.rcode = DNS_TIMEOUT };
	b->facts.dns.n = n + more;
	answered(b);
}

static void on_scan(void *context, const struct ipc_packet *reply)
{
	struct bench *b = context;
	struct err err;
	b->facts.scan = ARENA_NEW(b->arena, struct facts_scan);
	if (!reply || record_decode(&facts_scan_record, arena_dup(b->arena, reply->payload), b->arena,
			      b->facts.scan, &err) < 0)
		*b->facts.scan = (struct facts_scan){ .result = SCAN_UNAVAILABLE, .reason = STR("it has gone away") };
	answered(b);
}

static void ask_dns_for(struct bench *b)
{
	struct resolve_request request = {
		.questions = { b->needs.dns.v, b->needs.dns.n },
		.steps = b->needs.steps,
		.reserved_steps = b->needs.reserved_steps,
	};
	struct buf payload = BUF_INIT;
	record_encode(&resolve_request_record, &request, &payload);
	b->waiting++;
	if (!b->web->resolver ||
		channel_request(b->web->resolver, RESOLVE, buf_str(&payload), NULL, 0, on_dns, b) == 0)
		on_dns(b, NULL);
	buf_free(&payload);
}

static void ask_scan_for(struct bench *b)
{
	b->waiting++;
	if (!b->web->scanner || channel_request(b->web->scanner, SCAN, STR(""), &b->fd, 1, on_scan, b) == 0)
		on_scan(b, NULL);
}

/* Counters are about clients of the gateway: this is none, so they stand at this one message. */
static void count(struct bench *b)
{
	size_t n = b->needs.counters.n;
	if (n == 0)
		return;
	b->facts.counters.v = arena_grow(b->arena, b->facts.counters.v, b->facts.counters.n,
		b->facts.counters.n + n, sizeof(struct facts_counter));
	for (size_t i = 0; i < n; i++)
		b->facts.counters.v[b->facts.counters.n++] = (struct facts_counter){
			.key = b->needs.counters.v[i].key, .value = b->needs.counters.v[i].add };
}

static void on_needs(struct bench *b, const struct ipc_packet *reply)
{
	struct err err;
	if (record_decode(&needs_record, arena_dup(b->arena, reply->payload), b->arena, &b->needs, &err) < 0) {
		finish(b, NULL);
		return;
	}
	count(b);
	/* One more than there are, so that answers that come at once do not end the round early. */
	b->waiting = 1;
	if (b->needs.dns.n)
		ask_dns_for(b);
	if (b->needs.scan && !b->facts.scan)
		ask_scan_for(b);
	answered(b);
}

static void on_verdict(void *context, const struct ipc_packet *reply)
{
	struct bench *b = context;
	struct verdict verdict;
	struct err err;
	if (reply && reply->type == EVALUATE_NEEDS)
		on_needs(b, reply);
	else if (reply && reply->type == EVALUATE_VERDICT &&
		record_decode(&verdict_record, reply->payload, b->arena, &verdict, &err) == 0)
		finish(b, &verdict);
	else
		finish(b, NULL);
}

void bench_judge(struct web *web, const struct facts *facts, int message_fd, bench_fn *done,
	void *context)
{
	struct bench *b = calloc(1, sizeof(*b));
	*b = (struct bench){ .web = web, .arena = arena_new(LIMIT_TRANSACTION_MEMORY), .done = done,
		.context = context, .fd = fcntl(message_fd, F_DUPFD_CLOEXEC, 0) };
	record_copy(&facts_record, facts, b->arena, &b->facts);
	ask_inspector(b);
}
