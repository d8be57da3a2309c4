#include "bayes/marks.h"

#include <endian.h>

/* 16 octets, and of each whether it is in a class: all bits set, or none. */
typedef uint8_t sixteen __attribute__((vector_size(16)));
typedef int8_t signed_sixteen __attribute__((vector_size(16)));

static inline sixteen within(sixteen octets, uint8_t from, uint8_t to)
{
	return (sixteen)(octets - from <= (sixteen){0} + (uint8_t)(to - from));
}

static inline sixteen is(sixteen octets, uint8_t what)
{
	return (sixteen)(octets == (sixteen){0} + what);
}

static inline sixteen are_words(sixteen c)
{
	return within(c, 'a', 'z') | within(c, '@', 'Z') | within(c, '0', '9') |
	       within(c, '$', '%') | within(c, '-', '.') | is(c, '!') | is(c, '\'') | is(c, '_') |
	       (sixteen)((signed_sixteen)c < 0);
}

static inline sixteen are_loud(sixteen c)
{
	return within(c, 'A', 'Z') | within(c, '0', '9') | is(c, '!') | is(c, '$');
}

static inline sixteen load(const char *p)
{
	sixteen c;
	memcpy(&c, p, sizeof(c));
	return c;
}

/* The lowest bit of each octet, side by side. */
static inline uint64_t bits_of(sixteen class)
{
	uint64_t halves[2];
	memcpy(halves, &class, sizeof(halves));
	for (int i = 0; i < 2; i++)
		halves[i] = (le64toh(halves[i]) & UINT64_C(0x0101010101010101)) *
				    UINT64_C(0x0102040810204080) >>
			    56;
	return halves[0] | halves[1] << 8;
}

static inline void words_of_64(const char *p, uint64_t bits_r[2])
{
	for (int i = 0; i < 64; i += 16)
		bits_r[0] |= bits_of(are_words(load(p + i))) << i;
}

static inline void shouts_of_64(const char *p, uint64_t bits_r[2])
{
	for (int i = 0; i < 64; i += 16) {
		sixteen c = load(p + i), loud = are_loud(c);
		bits_r[0] |= bits_of(loud | within(c, 'a', 'z')) << i;
		bits_r[1] |= bits_of(loud) << i;
	}
}

static inline void tags_of_64(const char *p, uint64_t bits_r[2])
{
	for (int i = 0; i < 64; i += 16) {
		sixteen c = load(p + i), begin = is(c, '<');
		bits_r[0] |= bits_of(begin) << i;
		bits_r[1] |= bits_of(begin | is(c, '>') | is(c, ' ')) << i;
	}
}

/* The bit behind the end is set, so that looking for one needs no bound. */
static inline void set(struct marks *m, struct marks *second, struct str s,
	void (*of_64)(const char *p, uint64_t bits_r[2]))
{
	char end[64] = {0};
	size_t whole = s.n / 64;
	if (s.n % 64)
		memcpy(end, s.p + whole * 64, s.n % 64);
	for (size_t i = 0; i <= whole; i++) {
		uint64_t bits[2] = {0, 0}, behind = i == whole ? (uint64_t)1 << s.n % 64 : 0;
		of_64(i < whole ? s.p + i * 64 : end, bits);
		m->bits[i] = bits[0] | behind;
		if (second)
			second->bits[i] = bits[1] | behind;
	}
	m->bits[whole + 1] = 0;
	if (second)
		second->bits[whole + 1] = 0;
}

void marks_words(struct marks *m, struct str s)
{
	set(m, NULL, s, words_of_64);
}

void marks_shouts(struct marks *m, struct marks *loud, struct str s)
{
	set(m, loud, s, shouts_of_64);
}

void marks_tags(struct marks *begin, struct marks *end, struct str s)
{
	set(begin, end, s, tags_of_64);
}
