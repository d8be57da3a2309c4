/* Lessons that are made up: words of three kinds, drawn by a fixed generator. */
#ifndef TESTS_UNIT_BAYES_LESSONS_H
#define TESTS_UNIT_BAYES_LESSONS_H

#include "bayes/features.h"

enum { LESSON_FEATURES = 120 };

struct made_up {
	uint32_t grams[LESSON_FEATURES];
	uint64_t tokens[LESSON_FEATURES];
	struct features features;
};

static inline uint64_t lessons_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Two thirds of the features are common to all messages, one third to those of the class. */
static inline const struct features *lessons_make(struct made_up *m, bool spam, uint64_t number)
{
	uint64_t seed = (number + 1) * 0x9e3779b97f4a7c15u;
	for (size_t i = 0; i < LESSON_FEATURES; i++) {
		uint64_t word = lessons_random(&seed) % 1500 + (i % 3 ? 0 : spam ? 10000 : 20000);
		m->grams[i] = (uint32_t)(word * 2654435761u);
		m->tokens[i] = word * 0x9e3779b97f4a7c15u;
	}
	m->features = (struct features){m->grams, LESSON_FEATURES, m->tokens, LESSON_FEATURES};
	return &m->features;
}

#endif
