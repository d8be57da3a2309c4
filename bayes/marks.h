/*
 * marks: where octets of a class stand in a text, a bit for each, and the runs of them.
 *
 * Where words begin and end cannot be foreseen: a loop over octets is mispredicted at each end.
 * So 64 octets at once are turned into bits, and the ends are found by counting zeros.
 *
 *	size_t n = marks_words(text, ends);
 *	for (size_t i = 0; i < n; i += 2)
 *		use(str_sub(text, ends[i], ends[i + 1] - ends[i]));
 *
 * Behind each text MARKS_SLACK octets must be readable; what they are does not matter.
 */
#ifndef BAYES_MARKS_H
#define BAYES_MARKS_H

#include "core/str.h"

enum {
	MARKS_BYTES = 6016, /* of a text, at most */
	MARKS_SLACK = 64,
	MARKS_ENDS = MARKS_BYTES + 2,
};

struct marks {
	uint64_t bits[MARKS_BYTES / 64 + 2];
};

/* Words: letters, digits, any octet beyond ASCII, ' - _ $ ! % . @. Where each begins and where it
 * ends, by turns; returns how many such places there are. */
size_t marks_words(struct str text, uint16_t ends_r[MARKS_ENDS]);
/* Words as they were written: ASCII letters and digits, $ !; and those of them that are no small
 * letters. */
void marks_shouts(struct marks *m, struct marks *loud, struct str text);
/* Where tags begin: <; and where they or their parts end: < > and blanks. */
void marks_tags(struct marks *begin, struct marks *end, struct str text);
/* The first mark from `at` on (flip 0), or the first octet without one (flip UINT64_MAX); the text's
 * end, or somewhere behind it, if there is none. `at` is within the text, or its end. */
static inline size_t marks_find(const struct marks *m, size_t at, uint64_t flip);
/* The run of marked octets that `at`, one of them, lies in. */
static inline struct str marks_run(const struct marks *m, struct str text, size_t at);

static inline size_t marks_find(const struct marks *m, size_t at, uint64_t flip)
{
	uint64_t bits = (m->bits[at / 64] ^ flip) >> at % 64;
	while (!bits) {
		at = (at / 64 + 1) * 64;
		bits = m->bits[at / 64] ^ flip;
	}
	return at + (size_t)__builtin_ctzll(bits);
}

static inline struct str marks_run(const struct marks *m, struct str text, size_t at)
{
	size_t block = at / 64, top = at + 1, end = marks_find(m, at, UINT64_MAX);
	uint64_t others = ~m->bits[block] << (63 - at % 64);
	while (!others && block > 0) {
		top = block * 64;
		others = ~m->bits[--block];
	}
	size_t from = others ? top - (size_t)__builtin_clzll(others) : 0;
	return str_sub(text, from, end - from);
}

#endif
