/*
 * callout: asks the mailbox server about recipients, while the sender waits for RCPT's
 * answer, so that he gets the server's own.
 *
 * Answers are remembered briefly, by recipient: what was accepted for a minute, and of
 * refusals only real unknown users (550 5.1.1), for two; anything else may change the
 * next moment, or was about the sender.
 */
#ifndef GATEWAY_FRONT_CALLOUT_H
#define GATEWAY_FRONT_CALLOUT_H

#include "gateway/front/transaction.h"

struct callout;
struct callout_cache;

struct callout_cache *callout_cache_new(void);
void callout_cache_free(struct callout_cache **cache);

typedef void callout_fn(void *context);
struct callout_order {
	const struct config_domain *domain;
	struct str mail_from;
	uint64_t size;
	bool eight_bit;
	struct candidate *candidates; /* those without an answer are asked about, and get one */
	size_t count;
	struct arena *arena;
	callout_fn *done; /* from the loop */
	void *context;
};
/* NULL if the cache knew all: then done is not called. */
struct callout *callout_start(struct front *front, const struct callout_order *order);
void callout_cancel(struct callout **callout);

#endif
