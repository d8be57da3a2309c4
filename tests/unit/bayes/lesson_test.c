#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bayes/lesson.h"

static void goes_round(void **state)
{
	uint32_t grams[] = {1, 0xffffffff, 7};
	uint64_t tokens[] = {0xffffffffffffffff, 2};
	struct features in = {grams, 3, tokens, 2}, out;
	struct buf blob = BUF_INIT;
	struct arena *arena = arena_new(1 << 20);
	lesson_encode(&in, &blob);
	assert_int_equal(lesson_decode(buf_str(&blob), arena, &out), 0);
	assert_int_equal(out.gram_count, 3);
	assert_int_equal(out.token_count, 2);
	assert_memory_equal(out.grams, grams, sizeof(grams));
	assert_memory_equal(out.tokens, tokens, sizeof(tokens));
	for (size_t n = 0; n < blob.n; n++)
		assert_int_equal(lesson_decode(str_from(blob.p, n), arena, &out), -1);
	buf_char(&blob, 0);
	assert_int_equal(lesson_decode(buf_str(&blob), arena, &out), -1);
	buf_free(&blob);
	arena_free(&arena);
}

static void refuses_what_is_over_the_caps(void **state)
{
	static const uint32_t counts[][2] = {
		{FEATURES_GRAMS + 1, 0},
		{0, FEATURES_TOKENS + 1},
		{0xffffffff, 0xffffffff},
	};
	static char room[8 + 4 * (FEATURES_GRAMS + 1) + 8 * (FEATURES_TOKENS + 1)];
	struct arena *arena = arena_new(1 << 20);
	struct features out;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		memcpy(room, counts[i], 8);
		size_t n = 8 + (size_t)counts[i][0] * 4 + (size_t)counts[i][1] * 8;
		assert_int_equal(
			lesson_decode(str_from(room, n < sizeof(room) ? n : 8), arena, &out), -1);
	}
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_round),
		cmocka_unit_test(refuses_what_is_over_the_caps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
