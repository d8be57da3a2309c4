/*
 * resolve: DNS look-ups by libunbound, on our own event loop.
 *
 *	struct resolve *r = resolve_new(loop, &config->dns, &err);
 *	resolve_ask(r, questions, n, arena, on_answers, context);
 *
 * With forwarders it asks those; without, it recurses from the root by itself and
 * validates DNSSEC. Every question is answered: what is not there before its
 * deadline is a TIMEOUT, what is bogus, broken or cannot be asked is SERVFAIL. The
 * cache lives as long as the object.
 */
#ifndef GATEWAY_RESOLVE_H
#define GATEWAY_RESOLVE_H

#include "core/dns.h"
#include "core/loop.h"
#include "gateway/config.h"

struct resolve;

/* Reads the trust anchor, and makes all ready: afterwards only sockets are needed. The loop must
 * outlive it. NULL and err. */
struct resolve *resolve_new(struct loop *loop, const struct config_dns *dns, struct err *err);
void resolve_free(struct resolve **resolve);

/* The answers lie in the arena, in the order of the questions. */
typedef void resolve_done_fn(void *context, const struct dns_answer *answers, size_t count);
/*
 * Asks all at once, and follows aliases as far as LIMIT_DNS_ALIASES and `steps` (for all questions
 * together) allow: past that a question is SERVFAIL. done is called exactly once, when the last one is answered: perhaps before
 * this returns (all were in the cache). Questions over LIMIT_DNS_QUESTIONS are SERVFAIL.
 * questions, what they point to, and arena must live until then.
 */
void resolve_ask(struct resolve *resolve, const struct dns_question *questions, size_t count,
	const struct dns_steps *steps, struct arena *arena, resolve_done_fn *done, void *context);
/* The same, running the loop until the answers are there. For commands, not for roles. */
const struct dns_answer *resolve_wait(struct resolve *resolve, const struct dns_question *questions,
	size_t count, const struct dns_steps *steps, struct arena *arena);

/* Asks for the root's keys; `result` is told whether DNSSEC works with these forwarders: what
 * is signed would all be refused otherwise. Called later, at most once. */
typedef void resolve_check_fn(void *context, bool is_good);
void resolve_check_dnssec(struct resolve *resolve, resolve_check_fn *result, void *context);

#endif
