#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bayes/near.h"
#include "tests/unit/bayes/lessons.h"

/* A message, and one in which some of the tokens are others. */
static struct near_sketch sketch(uint64_t number, size_t others)
{
	struct made_up made;
	struct near_sketch s;
	lessons_make(&made, true, number);
	for (size_t i = 0; i < others; i++)
		made.tokens[i] = (number * 1000 + i + 1) * 0xd6e8feb86659fd93u;
	near_sketch(&made.features, &s);
	return s;
}

static void estimates_what_is_shared(void **state)
{
	/* Of 120 tokens: 120 - n are shared by both, out of 120 + n. */
	static const struct {
		size_t others;
		int least, most;
	} rows[] = {{0, 100, 100}, {5, 75, 100}, {20, 55, 87}, {60, 15, 55}, {120, 0, 15}};
	struct near_sketch a = sketch(7, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct near_sketch b = sketch(7, rows[i].others);
		int percent = near_percent(&a, &b);
		if (percent < rows[i].least || percent > rows[i].most)
			fail_msg("%zu others: %d%%", rows[i].others, percent);
	}
}

static void too_short_a_message_is_like_none(void **state)
{
	uint64_t tokens[3] = {1, 2, 3};
	struct features f = {.tokens = tokens, .token_count = 3}, none = {.token_count = 0};
	struct near_sketch s;
	struct near *near = near_new();
	near_sketch(&f, &s);
	assert_int_equal(near_percent(&s, &s), 0);
	near_add(near, &s, true, 1);
	assert_true(near_find(near, &s, true) == 0);
	near_sketch(&none, &s);
	assert_true(near_find(near, &s, true) == 0);
	near_free(&near);
	near_free(&near);
}

static void finds_the_copy_of_the_same_label(void **state)
{
	struct near *near = near_new();
	struct near_sketch a = sketch(7, 0), b = sketch(7, 4), other = sketch(8, 0);
	near_add(near, &a, true, 42);
	assert_true(near_find(near, &b, true) == 42);
	assert_true(near_find(near, &b, false) == 0);
	assert_true(near_find(near, &other, true) == 0);
	near_add(near, &b, true, 43);
	assert_true(near_find(near, &b, true) == 43);
	near_free(&near);
}

static void the_oldest_give_way(void **state)
{
	struct near *near = near_new();
	struct near_sketch first = sketch(1, 0), other = {{0}};
	near_add(near, &first, true, 1);
	for (int64_t i = 2; i < NEAR_KEPT + 1; i++) {
		for (size_t b = 0; b < NEAR_BINS; b++)
			other.bins[b] = (uint8_t)((uint64_t)i * (b + 3) * 0x9e3779b97f4a7c15u >> 56);
		near_add(near, &other, true, i);
	}
	assert_true(near_find(near, &first, true) == 1);
	near_add(near, &other, true, 7);
	assert_true(near_find(near, &first, true) != 1);
	near_free(&near);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(estimates_what_is_shared),
		cmocka_unit_test(too_short_a_message_is_like_none),
		cmocka_unit_test(finds_the_copy_of_the_same_label),
		cmocka_unit_test(the_oldest_give_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
