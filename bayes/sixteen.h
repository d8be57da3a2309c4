/*
 * sixteen: sixteen octets at a time, and of each whether it is in a class: all bits set, or none.
 *
 *	sixteen c = sixteen_load(p);
 *	unsigned digits = sixteen_bits(sixteen_within(c, '0', '9'));
 */
#ifndef BAYES_SIXTEEN_H
#define BAYES_SIXTEEN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

#endif
