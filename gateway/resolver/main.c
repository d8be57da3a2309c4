/*
 * resolver: the role that asks the DNS, for all fronts, with one cache.
 *
 * A request is a batch of questions, answered as a whole (gateway/protocol.h).
 */
#include <unistd.h>

#include "core/limits.h"
#include "gateway/log.h"
#include "gateway/resolve.h"
#include "gateway/role.h"

struct resolver {
	struct role_self *self;
	struct resolve *resolve;
	size_t in_flight;
};

/* A front, or whoever else asks. */
struct asker {
	struct resolver *resolver;
	struct channel *channel; /* NULL: gone, while answers are still on their way */
	size_t in_flight;
};

struct job {
	struct asker *asker;
	struct arena *arena;
	uint32_t id;
	struct resolve_request request;
};

static void asker_release(struct asker *asker)
{
	if (asker->channel == NULL && asker->in_flight == 0)
		free(asker);
}

static void count_answers(struct shared *shared, const struct dns_answer *answers, size_t n)
{
	int64_t timeouts = 0, failures = 0;

	for (size_t i = 0; i < n; i++) {
		timeouts += answers[i].rcode == DNS_TIMEOUT;
		failures += answers[i].rcode == DNS_SERVFAIL;
	}
	shared_add(shared, SHARED_DNS_QUESTIONS, (int64_t)n);
	shared_add(shared, SHARED_DNS_TIMEOUTS, timeouts);
	shared_add(shared, SHARED_DNS_FAILURES, failures);
}

static void on_answers(void *context, const struct dns_answer *answers, size_t count)
{
	struct job *job = context;
	struct asker *asker = job->asker;
	struct resolver *resolver = asker->resolver;
	struct arena *arena = job->arena;
	struct buf buf = BUF_INIT;
	struct resolve_reply reply;

	reply.answers.v = (struct dns_answer *)(uintptr_t)answers;
	reply.answers.n = count;
	count_answers(resolver->self->shared, answers, count);
	record_encode(&resolve_reply_record, &reply, &buf);
	struct ipc_packet packet = { .type = RESOLVE, .id = job->id, .payload = buf_str(&buf) };
	if (asker->channel != NULL)
		channel_send(asker->channel, &packet);
	buf_free(&buf);
	arena_free(&arena);
	asker->in_flight--;
	resolver->in_flight--;
	shared_gauge_set(resolver->self->shared, ROLE_RESOLVER, resolver->self->index,
		SHARED_IN_FLIGHT, (int64_t)resolver->in_flight);
	asker_release(asker);
	if (resolver->self->is_draining && resolver->in_flight == 0)
		role_exit(resolver->self);
}

static void on_request(void *context, struct channel *channel, struct ipc_packet *packet)
{
	struct asker *asker = context;
	struct resolver *resolver = asker->resolver;
	struct arena *arena = arena_new(LIMIT_FACTS_BYTES);
	struct job *job = ARENA_NEW(arena, struct job);
	struct err err;

	ipc_close_fds(packet);
	*job = (struct job){ .asker = asker, .arena = arena, .id = packet->id };
	struct str payload = arena_dup(arena, packet->payload);
	if (packet->type != RESOLVE || packet->id == 0 ||
		record_decode(&resolve_request_record, payload, arena, &job->request, &err) != 0) {
		log_event(LOG_LEVEL_ERROR, "request-malformed", "type %u", packet->type);
		arena_free(&arena);
		return;
	}
	asker->in_flight++;
	resolver->in_flight++;
	const struct dns_steps steps = { job->request.steps, job->request.reserved_steps };
	resolve_ask(resolver->resolve, job->request.questions.v, job->request.questions.n, &steps,
		arena, on_answers, job);
}

static void on_closed(void *context, struct channel *channel)
{
	struct asker *asker = context;

	(void)channel;
	asker->channel = NULL;
	asker_release(asker);
}

static const struct channel_ops asker_ops = { on_request, on_closed };

static void wire(struct role_self *self, const struct ctl_peer *peer, int fd)
{
	struct asker *asker = calloc(1, sizeof(*asker));

	if (asker == NULL)
		abort();
	(void)peer;
	asker->resolver = self->context;
	asker->channel = channel_new(self->loop, fd, 0, &asker_ops, asker);
}

static int load(struct role_self *self, struct err *err)
{
	struct resolver *resolver = ARENA_NEW(self->arena, struct resolver);

	self->context = resolver;
	resolver->self = self;
	resolver->resolve = resolve_new(self->loop, &self->config->dns, err);
	return resolver->resolve != NULL ? 0 : -1;
}

static void on_dnssec(void *context, bool is_good)
{
	if (!is_good)
		log_event(LOG_LEVEL_ERROR, "dnssec-broken",
			"the resolvers of dns { forward } do not pass DNSSEC on, so that whatever "
			"is "
			"signed fails: use others, or set dns { dnssec = false }");
}

static void start(struct role_self *self)
{
	struct resolver *resolver = self->context;

	resolve_check_dnssec(resolver->resolve, on_dnssec, resolver);
}

static void drain(struct role_self *self)
{
	const struct resolver *resolver = self->context;

	if (resolver->in_flight == 0)
		role_exit(self);
}

static const struct role_def resolver_def = {
	.role = ROLE_RESOLVER,
	.allow = SANDBOX_CONNECT,
	.load = load,
	.wire = wire,
	.start = start,
	.drain = drain,
};

int main(int argc, char **argv)
{
	return role_main(&resolver_def, argc, argv);
}
