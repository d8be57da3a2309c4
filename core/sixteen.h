/*
 * sixteen: sixteen octets at a time, and of each whether it is in a class: all bits set, or none.
 * Loops over octets are most of what it costs to read a message, and where they end cannot be
 * foreseen.
 *
 *	static inline sixteen is_stop(sixteen c, sixteen next)
 *	{
 *		return sixteen_is(c, ':') | (sixteen_is(c, '\r') & ~sixteen_is(next, '\n'));
 *	}
 *	size_t at = sixteen_find(text, from, text.n, is_stop);
 */
#ifndef CORE_SIXTEEN_H
#define CORE_SIXTEEN_H

#include <endian.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/str.h"

enum { SIXTEEN = 16 };

typedef uint8_t sixteen __attribute__((vector_size(16)));
typedef int8_t sixteen_signed __attribute__((vector_size(16)));

static inline sixteen sixteen_load(const char *p)
{
	sixteen c;
	memcpy(&c, p, sizeof(c));
	return c;
}

static inline sixteen sixteen_within(sixteen octets, uint8_t from, uint8_t to)
{
	return (sixteen)(octets - from <= (sixteen){0} + (uint8_t)(to - from));
}

static inline sixteen sixteen_is(sixteen octets, uint8_t what)
{
	return (sixteen)(octets == (sixteen){0} + what);
}

/* Beyond ASCII. */
static inline sixteen sixteen_high(sixteen octets)
{
	return (sixteen)((sixteen_signed)octets < 0);
}

/* One bit of each octet of a class, side by side: the first octet's is the lowest. */
static inline unsigned sixteen_bits(sixteen class)
{
#ifdef __SSE2__
	return (unsigned)_mm_movemask_epi8((__m128i)class);
#else
	uint64_t halves[2];
	memcpy(halves, &class, sizeof(halves));
	for (int i = 0; i < 2; i++)
		halves[i] = (le64toh(halves[i]) & UINT64_C(0x0101010101010101)) *
				    UINT64_C(0x0102040810204080) >>
			    56;
	return (unsigned)(halves[0] | halves[1] << 8);
#endif
}

/* Is an octet in the class, given the one behind it? */
typedef sixteen sixteen_class(sixteen c, sixteen next);

/* Where sixteen, and one behind them, cannot be read. */
static inline size_t sixteen_find_last(
	struct str s, size_t from, size_t readable, sixteen_class *of)
{
	char last[2 * SIXTEEN] = {0};
	memcpy(last, s.p + from, readable - from);
	unsigned found = sixteen_bits(of(sixteen_load(last), sixteen_load(last + 1)));
	return from + (size_t)__builtin_ctz(found | 1u << (s.n - from));
}

/*
 * The first octet of s from `from` on (at most s.n) that is in the class, or s.n. `readable` is s.n,
 * or more where s is part of something longer: counted from s.p, so much can be read. Behind the
 * last that can be read is NUL.
 */
static inline size_t sixteen_find(struct str s, size_t from, size_t readable, sixteen_class *of)
{
	for (; from < s.n; from += SIXTEEN) {
		if (readable - from <= SIXTEEN)
			return sixteen_find_last(s, from, readable, of);
		const char *p = s.p + from;
		unsigned found = sixteen_bits(of(sixteen_load(p), sixteen_load(p + 1)));
		if (found) {
			from += (size_t)__builtin_ctz(found);
			break;
		}
	}
	return from < s.n ? from : s.n;
}

#endif
