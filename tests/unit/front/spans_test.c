/* What leaves: header lines and cuts that an inspector proposes, good and hostile. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/front/deliver.h"

#define CONTENT "A: 1\r\nB: 2\r\n 3\r\nC: 4\r\n\r\nbody\r\n"

static void test_headers(void **unused)
{
	static const struct {
		const char *headers;
		bool fine;
	} cases[] = {
		{ "", true },
		{ "X: 1\r\n", true },
		{ "X: 1\r\n folded\r\nY: 2\r\n", true },
		{ "X: 1", false },
		{ "X: 1\n", false },
		{ "X: 1\r\n\r\n", false },
		{ "\r\nX: 1\r\n", false },
		{ " X: 1\r\n", false },
		{ "X: 1\r\n  \r\n", false },
		{ "X: 1\r\n.\r\n", false },
		{ "no colon\r\n", false },
		{ "X Y: 1\r\n", false },
		{ ": 1\r\n", false },
		{ "X: a\rb\r\n", false },
		{ "X: a\nb\r\n", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new(4096);
		struct str *spans;
		size_t n = deliver_spans(arena, str_c(cases[i].headers), STR(CONTENT), NULL, 0,
			&spans);

		assert_int_equal(n, cases[i].fine ? 2 : 0);
		arena_free(&arena);
	}
}

static void test_cuts(void **unused)
{
	static const struct {
		struct cut cuts[2];
		size_t n;
		const char *left; /* NULL: refused */
	} cases[] = {
		{ { { 0, 0 } }, 0, CONTENT },
		{ { { 0, 6 } }, 1, "B: 2\r\n 3\r\nC: 4\r\n\r\nbody\r\n" },
		{ { { 6, 10 } }, 1, "A: 1\r\nC: 4\r\n\r\nbody\r\n" },
		{ { { 0, 6 }, { 16, 6 } }, 2, "B: 2\r\n 3\r\n\r\nbody\r\n" },
		{ { { 0, 22 } }, 1, "\r\nbody\r\n" },
		{ { { 16, 6 }, { 0, 6 } }, 2, NULL }, /* order */
		{ { { 0, 6 }, { 0, 6 } }, 2, NULL },  /* overlap */
		{ { { 1, 5 } }, 1, NULL },	      /* within a line */
		{ { { 0, 5 } }, 1, NULL },
		{ { { 24, 6 } }, 1, NULL }, /* the body */
		{ { { 16, 8 } }, 1, NULL }, /* the blank line */
		{ { { -1, 1 } }, 1, NULL },
		{ { { 0, -6 } }, 1, NULL },
		{ { { 0, INT64_MAX } }, 1, NULL },
		{ { { INT64_MAX, INT64_MAX } }, 1, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new(4096);
		struct buf left = BUF_INIT;
		struct str *spans;
		size_t n = deliver_spans(arena, STR(""), STR(CONTENT), cases[i].cuts, cases[i].n,
			&spans);

		for (size_t k = 0; k < n; k++)
			buf_str_add(&left, spans[k]);
		if (!cases[i].left)
			assert_int_equal(n, 0);
		else
			assert_true(str_eq_c(buf_str(&left), cases[i].left));
		buf_free(&left);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
