/*
 * answers: what an evaluation lacks, asked for in parallel.
 *
 * It takes the needs that an inspector sent back, asks resolver, scanner and shared
 * counters, and adds what they said to the facts. It always ends, at the latest at
 * its deadline: what is unanswered by then is answered TIMEOUT, and whoever is gone
 * is answered for as "unavailable". So an evaluation never hangs, and a silent
 * resolver is a fact like any other.
 */
#ifndef GATEWAY_FRONT_ANSWERS_H
#define GATEWAY_FRONT_ANSWERS_H

#include "core/verdict.h"

struct answers;
struct front;

typedef void answers_fn(void *context);

struct answers_order {
	const struct needs *needs; /* lives as long as the facts */
	struct facts *facts;	   /* get the answers */
	struct arena *arena;	   /* of the facts */
	int message_fd;		   /* for the scanner, or -1 */
	int64_t limit_ms;
	answers_fn *done;
	void *context;
};

/* NULL if all could be answered at once: then done is not called. */
struct answers *answers_ask(struct front *front, const struct answers_order *order);
/* No callback any more; what is under way is forgotten. */
void answers_cancel(struct answers **answers);

#endif
