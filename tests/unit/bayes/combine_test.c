#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "bayes/combine.h"

static struct table_header header;

static int start(void **state)
{
	combine_start(&header);
	return 0;
}

static double sum_of_shares(void)
{
	double sum = 0;
	for (int kind = 0; kind < COMBINE_KINDS; kind++)
		for (int side = 0; side < FEATURES_SIDES; side++)
			sum += combine_share(&header, kind, side);
	return sum;
}

static struct combine_views all(double value)
{
	struct combine_views views;
	for (int kind = 0; kind < COMBINE_KINDS; kind++)
		for (int side = 0; side < FEATURES_SIDES; side++)
			views.of[kind][side] = value;
	return views;
}

static void adds_up_what_is_heard(void **state)
{
	struct combine_views views = all(0), heard;
	assert_true(combine_hear(&header, &views, &heard) == 0);
	views.of[COMBINE_WORDS][FEATURES_BODY] = 3;
	views.of[COMBINE_COUNTS][FEATURES_HEADERS] = -2;
	double words = 3 * combine_share(&header, COMBINE_WORDS, FEATURES_BODY);
	double counts = -2 * combine_share(&header, COMBINE_COUNTS, FEATURES_HEADERS);
	assert_true(fabs(combine_hear(&header, &views, &heard) - words - counts) < 1e-12);
	assert_true(heard.of[COMBINE_WORDS][FEATURES_BODY] == words);
	assert_true(heard.of[COMBINE_COUNTS][FEATURES_HEADERS] == counts);
	assert_true(heard.of[COMBINE_GRAMS][FEATURES_BODY] == 0);
}

/* One view is right where the others are wrong, for either label. */
static void learns_whom_to_believe(void **state)
{
	double before = combine_share(&header, COMBINE_COUNTS, FEATURES_BODY), sum = sum_of_shares();
	for (int i = 0; i < 200; i++) {
		double label = i % 2 ? 1 : -1;
		struct combine_views views = all(-label);
		views.of[COMBINE_COUNTS][FEATURES_BODY] = 3 * label;
		combine_learn(&header, &views, label * 0.5);
	}
	assert_true(combine_share(&header, COMBINE_COUNTS, FEATURES_BODY) > 1.5 * before);
	assert_true(fabs(sum_of_shares() - sum) < 1e-9);
	combine_start(&header);
	assert_true(combine_share(&header, COMBINE_COUNTS, FEATURES_BODY) == before);
}

static void learns_nothing_from_what_was_foreseen(void **state)
{
	struct combine_views views = all(7);
	double before = combine_share(&header, COMBINE_GRAMS, FEATURES_HEADERS);
	views.of[COMBINE_GRAMS][FEATURES_HEADERS] = -7;
	combine_learn(&header, &views, 0);
	assert_true(fabs(combine_share(&header, COMBINE_GRAMS, FEATURES_HEADERS) - before) < 1e-12);
}

/* However long one is wrong, and however loudly, all stay within bounds. */
static void none_falls_silent(void **state)
{
	double before = combine_share(&header, COMBINE_GRAMS, FEATURES_HEADERS), sum = sum_of_shares();
	struct combine_views views = all(1e6);
	views.of[COMBINE_GRAMS][FEATURES_HEADERS] = -1e6;
	for (int i = 0; i < 100000; i++)
		combine_learn(&header, &views, 1);
	double share = combine_share(&header, COMBINE_GRAMS, FEATURES_HEADERS);
	assert_true(share > 0.1 * before && share < 0.5 * before);
	assert_true(fabs(sum_of_shares() - sum) < 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(adds_up_what_is_heard, start),
		cmocka_unit_test_setup(learns_whom_to_believe, start),
		cmocka_unit_test_setup(learns_nothing_from_what_was_foreseen, start),
		cmocka_unit_test_setup(none_falls_silent, start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
