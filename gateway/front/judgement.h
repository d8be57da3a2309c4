/*
 * judgement: one evaluation, from its facts to its verdict.
 *
 * Sends the facts to an inspector; answers what it needs, adds that to the facts and
 * sends again (to the same inspector, if it is free: that has the message parsed
 * already), until there is a verdict. If the inspector dies, only this evaluation is
 * charged: it is tried again in another one, at envelope stages without the filter
 * that died; a message that kills twice is POISON.
 */
#ifndef GATEWAY_FRONT_JUDGEMENT_H
#define GATEWAY_FRONT_JUDGEMENT_H

#include "core/verdict.h"

struct front;
struct judgement;

enum judgement_end {
	JUDGEMENT_VERDICT,
	JUDGEMENT_POISON,      /* killed two inspectors: to be held as what it is */
	JUDGEMENT_UNAVAILABLE, /* no inspector in time, or one that makes no sense */
};

/* verdict: NULL but for JUDGEMENT_VERDICT; the arena's. */
typedef void judgement_fn(void *context, enum judgement_end end, struct verdict *verdict);

struct judgement_order {
	struct facts *facts; /* grow by the answers */
	struct arena *arena; /* of the facts */
	enum stage stage;
	int message_fd; /* sealed; -1 before MESSAGE */
	judgement_fn *done; /* from the loop, once */
	void *context;
};
struct judgement *judgement_start(struct front *front, const struct judgement_order *order);
/* No callback any more. */
void judgement_cancel(struct judgement **judgement);

#endif
