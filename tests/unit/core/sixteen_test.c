#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "core/sixteen.h"

enum { LONGEST = 70 };

static inline sixteen is_stop(sixteen c, sixteen next)
{
	return sixteen_within(c, 'x', 'z') | sixteen_high(c) |
		(sixteen_is(c, '\r') & ~sixteen_is(next, '\n'));
}

static bool is_stop_plain(unsigned char c, unsigned char next)
{
	return (c >= 'x' && c <= 'z') || c >= 0x80 || (c == '\r' && next != '\n');
}

static size_t find_plain(struct str s, size_t i, size_t readable)
{
	for (; i < s.n; i++) {
		char next = i + 1 < readable ? s.p[i + 1] : '\0';
		if (is_stop_plain((unsigned char)s.p[i], (unsigned char)next))
			return i;
	}
	return s.n;
}

/* Of each length, from each place, in memory that ends where it may be read no further. */
static void finds_what_a_loop_finds(void **state)
{
	static const char octets[] = "abcdefg\r\nxyz{w\xff\x80\x7f\0 ";
	for (unsigned round = 0; round < 40; round++)
		for (size_t readable = 0; readable <= LONGEST; readable++) {
			char *p = malloc(readable ? readable : 1);
			for (size_t i = 0; i < readable; i++)
				p[i] = octets[rand() % (round % 2 ? 9 : sizeof(octets) - 1)];
			for (size_t n = readable > 20 ? readable - 20 : 0; n <= readable; n++)
				for (size_t from = 0; from <= n; from++)
					assert_int_equal(sixteen_find(str_from(p, n), from, readable, is_stop),
						find_plain(str_from(p, n), from, readable));
			free(p);
		}
}

static void knows_every_octet(void **state)
{
	for (unsigned c = 0; c < 256; c++)
		for (unsigned next = 0; next < 256; next++) {
			char two[] = {(char)c, (char)next};
			assert_int_equal(sixteen_find(str_from(two, 1), 0, 2, is_stop),
				!is_stop_plain((unsigned char)c, (unsigned char)next));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_a_loop_finds),
		cmocka_unit_test(knows_every_octet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
