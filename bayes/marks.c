#include "bayes/marks.h"

#include "core/sixteen.h"

static inline sixteen are_words(sixteen c)
{
	return sixteen_within(c, 'a', 'z') | sixteen_within(c, '@', 'Z') |
	       sixteen_within(c, '0', '9') | sixteen_within(c, '$', '%') |
	       sixteen_within(c, '-', '.') | sixteen_is(c, '!') | sixteen_is(c, '\'') |
	       sixteen_is(c, '_') | sixteen_high(c);
}

static inline sixteen are_loud(sixteen c)
{
	return sixteen_within(c, 'A', 'Z') | sixteen_within(c, '0', '9') | sixteen_is(c, '!') |
	       sixteen_is(c, '$');
}

static inline void words_of_64(const char *p, uint64_t bits_r[2])
{
	for (int i = 0; i < 64; i += SIXTEEN)
		bits_r[0] |= (uint64_t)sixteen_bits(are_words(sixteen_load(p + i))) << i;
}

static inline void shouts_of_64(const char *p, uint64_t bits_r[2])
{
	for (int i = 0; i < 64; i += SIXTEEN) {
		sixteen c = sixteen_load(p + i), loud = are_loud(c);
		bits_r[0] |= (uint64_t)sixteen_bits(loud | sixteen_within(c, 'a', 'z')) << i;
		bits_r[1] |= (uint64_t)sixteen_bits(loud) << i;
	}
}

static inline void tags_of_64(const char *p, uint64_t bits_r[2])
{
	for (int i = 0; i < 64; i += SIXTEEN) {
		sixteen c = sixteen_load(p + i), begin = sixteen_is(c, '<');
		sixteen end = begin | sixteen_is(c, '>') | sixteen_is(c, ' ');
		bits_r[0] |= (uint64_t)sixteen_bits(begin) << i;
		bits_r[1] |= (uint64_t)sixteen_bits(end) << i;
	}
}

/* Bits below that of the text's end, of the 64 from `at` on. */
static inline uint64_t within_text(struct str s, size_t at)
{
	return s.n - at < 64 ? ((uint64_t)1 << (s.n - at)) - 1 : UINT64_MAX;
}

size_t marks_words(struct str s, uint16_t ends_r[MARKS_ENDS])
{
	size_t count = 0;
	uint64_t before = 0;
	for (size_t at = 0; at <= s.n; at += 64) {
		uint64_t bits[2] = {0, 0};
		words_of_64(s.p + at, bits);
		bits[0] &= within_text(s, at);
		uint64_t ends = bits[0] ^ (bits[0] << 1 | before);
		for (; ends; ends &= ends - 1)
			ends_r[count++] = (uint16_t)(at + (size_t)__builtin_ctzll(ends));
		before = bits[0] >> 63;
	}
	return count;
}

/* The bit behind the end is set, so that looking for one needs no bound. */
static inline void set(struct marks *m, struct marks *second, struct str s,
	void (*of_64)(const char *p, uint64_t bits_r[2]))
{
	size_t at = 0;
	for (; at <= s.n; at += 64) {
		uint64_t bits[2] = {0, 0}, within = within_text(s, at);
		of_64(s.p + at, bits);
		m->bits[at / 64] = (bits[0] & within) | (within + 1);
		second->bits[at / 64] = (bits[1] & within) | (within + 1);
	}
	m->bits[at / 64] = second->bits[at / 64] = 0;
}

void marks_shouts(struct marks *m, struct marks *loud, struct str s)
{
	set(m, loud, s, shouts_of_64);
}

void marks_tags(struct marks *begin, struct marks *end, struct str s)
{
	set(begin, end, s, tags_of_64);
}
