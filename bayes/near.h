/*
 * near: is a lesson nearly the same as one before?
 *
 * A sketch of a message's tokens (one-permutation minwise hashing: 64 bins of one octet)
 * tells how many of the tokens two messages share. An index keeps the sketches of the
 * last NEAR_KEPT distinct lessons, and finds the one of the same label that is most like
 * a new one; at most NEAR_LOOKS sketches are compared for that, however many there are.
 *
 * Tokens are salted (features.h), so nobody outside can tell which message will be
 * taken for a copy of which. All is deterministic: the same lessons in the same order
 * give the same answers.
 *
 *	near_sketch(&features, &sketch);
 *	int64_t of = near_find(near, &sketch, spam);
 *	if (!of)
 *		near_add(near, &sketch, spam, id);
 */
#ifndef BAYES_NEAR_H
#define BAYES_NEAR_H

#include "bayes/features.h"

enum {
	NEAR_BINS = 64,
	NEAR_KEPT = 1 << 16,
	NEAR_LOOKS = 256,
	NEAR_ALIKE_PERCENT = 70, /* of the tokens of both: from here on it is a copy */
};

struct near_sketch {
	uint8_t bins[NEAR_BINS]; /* 0: no token fell into it */
};
void near_sketch(const struct features *features, struct near_sketch *sketch_r);
/* Estimated share of the tokens of both that both have, in percent; 0 for messages that have hardly
 * any. */
int near_percent(const struct near_sketch *a, const struct near_sketch *b);

struct near;
struct near *near_new(void);
void near_free(struct near **near);
/* id > 0. The oldest gives way. */
void near_add(struct near *near, const struct near_sketch *sketch, bool spam, int64_t id);
/* The id of the lesson with this label that it is a copy of, or 0. */
int64_t near_find(const struct near *near, const struct near_sketch *sketch, bool spam);

#endif
