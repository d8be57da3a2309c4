/*
 * marks: where octets of a class stand in a text, a bit for each, and the runs of them.
 *
 * Where words begin and end cannot be foreseen: a loop over octets is mispredicted at each end.
 * So 64 octets at once are turned into bits, and the ends are found by counting zeros.
 *
 *	marks_words(&marks, text);
 *	for (size_t at = 0; marks_next(&marks, text, &at, &word);)
 */
#ifndef BAYES_MARKS_H
#define BAYES_MARKS_H

#include "core/str.h"

enum { MARKS_BYTES = 6016 }; /* of a text, at most */

struct marks {
	uint64_t bits[MARKS_BYTES / 64 + 2];
};

/* Words: letters, digits, any octet beyond ASCII, ' - _ $ ! % . @ */
void marks_words(struct marks *m, struct str text);
/* Words as they were written: ASCII letters and digits, $ !; and those of them that are no small
 * letters. */
void marks_shouts(struct marks *m, struct marks *loud, struct str text);
/* Where tags begin: <; and where they or their parts end: < > and blanks. */
void marks_tags(struct marks *begin, struct marks *end, struct str text);
/* The first mark from `at` on (flip 0), or the first octet without one (flip UINT64_MAX); the text's
 * end, or somewhere behind it, if there is none. `at` is within the text, or its end. */
static inline size_t marks_find(const struct marks *m, size_t at, uint64_t flip);
/* The next run of marked octets from *at on, which moves behind it. false: there is none. */
static inline bool marks_next(
	const struct marks *m, struct str s, size_t *at, struct str *run_r);

static inline size_t marks_find(const struct marks *m, size_t at, uint64_t flip)
{
	uint64_t bits = (m->bits[at / 64] ^ flip) >> at % 64;
	while (!bits) {
		at = (at / 64 + 1) * 64;
		bits = m->bits[at / 64] ^ flip;
	}
	return at + (size_t)__builtin_ctzll(bits);
}

static inline bool marks_next(const struct marks *m, struct str s, size_t *at, struct str *run_r)
{
	size_t from = *at >= s.n ? s.n : marks_find(m, *at, 0);
	if (from >= s.n)
		return false;
	size_t end = marks_find(m, from, UINT64_MAX);
	*at = end < s.n ? end : s.n;
	*run_r = str_sub(s, from, *at - from);
	return true;
}

#endif
