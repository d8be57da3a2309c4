/*
 * marks: where octets of a class stand in a text, a bit for each, and the runs of them.
 *
 * Where words begin and end cannot be foreseen: a loop over octets is mispredicted at each end.
 * So 64 octets at once are turned into bits, and the ends are found by counting zeros.
 *
 *	marks_set(&marks, text, MARK_WORD);
 *	for (size_t at = 0; marks_next(&marks, text, &at, &word);)
 */
#ifndef BAYES_MARKS_H
#define BAYES_MARKS_H

#include <endian.h>

#include "core/str.h"

enum {
	MARK_WORD = 1,	/* of words: letters, digits, any octet beyond ASCII, ' - _ $ ! % . @ */
	MARK_SHOUT = 2, /* of words as they were written: ASCII letters and digits, $ ! */
	MARK_LOUD = 4,	/* those of them that are no small letters */
};

enum { MARKS_BYTES = 6016 }; /* of a text, at most */

struct marks {
	uint64_t bits[MARKS_BYTES / 64 + 2];
};

/* All classes of each octet. */
extern const uint8_t marks_classes[256];

/* At most MARKS_BYTES of text. */
static inline void marks_set(struct marks *m, struct str s, unsigned class);
/* The first mark from `at` on (flip 0), or the first octet without one (flip UINT64_MAX); the text's
 * end, or somewhere behind it, if there is none. `at` is within the text. */
static inline size_t marks_find(const struct marks *m, size_t at, uint64_t flip);
/* The next run of marked octets from *at on, which moves behind it. false: there is none. */
static inline bool marks_next(
	const struct marks *m, struct str s, size_t *at, struct str *run_r);

static inline uint64_t marks_of_64(const char *p, unsigned class)
{
	const uint64_t lowest = UINT64_C(0x0101010101010101) * class,
		       gather = UINT64_C(0x0102040810204080);
	uint64_t bits = 0;
	for (size_t i = 0; i < 64; i += 8) {
		uint64_t eight = 0;
#pragma GCC unroll 8
		for (size_t k = 0; k < 8; k++)
			eight |= (uint64_t)marks_classes[(unsigned char)p[i + k]] << 8 * k;
		bits |= ((eight & lowest) / class * gather >> 56) << i;
	}
	return bits;
}

/* The bit behind the end is set, so that looking for one needs no bound. */
static inline void marks_set(struct marks *m, struct str s, unsigned class)
{
	size_t i = 0;
	char end[64] = {0};
	for (; i + 64 <= s.n; i += 64)
		m->bits[i / 64] = marks_of_64(s.p + i, class);
	if (i < s.n)
		memcpy(end, s.p + i, s.n - i);
	m->bits[i / 64] = marks_of_64(end, class) | (uint64_t)1 << (s.n - i);
	m->bits[i / 64 + 1] = 0;
}

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
