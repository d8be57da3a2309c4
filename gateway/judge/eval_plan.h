/*
 * eval_plan: what an evaluation's user would tell the classifier: of which messages, when,
 * and whether it is true. Chance is drawn from a hash of seed, purpose and number, so it is
 * the same on every machine, and one draw does not move another.
 *
 *	struct eval_plan plan = { .seed = 1, .learn_count = INT64_MAX };
 *	if (eval_plan_feedback(&plan, "delayed=100", &err) == 0 && eval_plan_tells(&plan, i))
 *		… learn message i once i + plan.delay has been judged
 */
#ifndef GATEWAY_JUDGE_EVAL_PLAN_H
#define GATEWAY_JUDGE_EVAL_PLAN_H

#include "core/err.h"
#include "core/str.h"

struct eval_sample {
	bool spam;
	const char *path;
};

struct eval_plan {
	uint64_t seed;
	double flip_percent;
	int64_t learn_count; /* messages from this one on are not learned */
	/* Of eval_plan_feedback(): */
	int64_t delay;
	double percent; /* of messages that are told at all */
	bool errors_only;
};

/* "immediate", "delayed=N", "partial=PERCENT", "errors". 0 or -1. */
int eval_plan_feedback(struct eval_plan *plan, const char *text, struct err *err);
/* Is the label of message `at` (from 0, in the order judged) ever told? */
bool eval_plan_tells(const struct eval_plan *plan, size_t at);
/* The label that is told: not the true one if it is flipped. */
bool eval_plan_label(const struct eval_plan *plan, size_t at, bool spam);
void eval_plan_shuffle(const struct eval_plan *plan, struct eval_sample *samples, size_t n);

#endif
