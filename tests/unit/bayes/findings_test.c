/* The view of findings: silent without them, bounded with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "bayes/findings.h"
#include "bayes/lesson.h"
#include "bayes/model.h"
#include "core/limits.h"
#include "tests/unit/bayes/lessons.h"

static struct arena *arena;
static struct model *model;

static int setup(void **state)
{
	arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	model = model_open(NULL, MODEL_MEMORY, NULL);
	return 0;
}

static int teardown(void **state)
{
	model_close(&model);
	arena_free(&arena);
	return 0;
}

static void add(struct features *f, const struct str *names, size_t n)
{
	findings_add(f, model_salt(model), names, n, arena);
}

/* Messages that nothing but the finding tells apart. */
static void learn(size_t count, struct str of_spam)
{
	struct made_up made;
	for (size_t i = 0; i < count; i++) {
		struct features f = *lessons_make(&made, false, i / 2);
		add(&f, &of_spam, i % 2);
		model_learn(model, &f, i % 2, 0);
	}
}

static double judge(const struct str *names, size_t n)
{
	struct made_up made;
	struct features f = *lessons_make(&made, false, 100000);
	add(&f, names, n);
	return model_classify(model, &f).log_odds;
}

static void hears_what_is_known(void **state)
{
	const struct str bad = STR("DNSBL_ZEN"), other = STR("URI_IP");
	learn(200, bad);
	double without = judge(NULL, 0);
	assert_true(judge(&bad, 1) > without + 0.5);
	assert_true(judge(&other, 1) == without);
}

static void is_heard_within_bounds(void **state)
{
	const struct str bad = STR("DNSBL_ZEN");
	learn(5000, bad);
	double more = judge(&bad, 1) - judge(NULL, 0);
	assert_true(more > 0.5 && more <= FINDINGS_HEARD + 1e-9);
	assert_true(findings_heard(1e9) == FINDINGS_HEARD && findings_heard(-1e9) == -FINDINGS_HEARD);
	assert_true(findings_heard(0) == 0);
}

/* What is learned of messages without findings is what it would be without the view, to the bit. */
static void is_silent_without_findings(void **state)
{
	struct made_up made;
	struct model *other = model_open(NULL, MODEL_MEMORY, NULL);
	uint8_t digests[2][32];
	for (uint64_t i = 0; i < 100; i++) {
		struct features f = *lessons_make(&made, i % 2, i);
		double a = model_learn(model, &f, i % 2, 0).log_odds;
		add(&f, NULL, 0);
		struct opinion b = model_learn(other, &f, i % 2, 0);
		assert_true(a == b.log_odds && b.findings == 0);
	}
	model_digest(model, digests[0]);
	model_digest(other, digests[1]);
	assert_memory_equal(digests[0], digests[1], 32);
	model_close(&other);
}

static void counts_each_once(void **state)
{
	struct str names[FEATURES_FINDINGS + 10];
	struct features f = {.gram_count = 0};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		names[i] = STR("SAME");
	add(&f, names, 3);
	assert_int_equal(f.finding_count, 1);
	assert_true(str_eq_c(f.finding_names[0], "SAME"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		names[i] = arena_printf(arena, "RULE_%zu", i);
	add(&f, names, sizeof(names) / sizeof(names[0]));
	assert_int_equal(f.finding_count, FEATURES_FINDINGS);
}

/* Through the log they come as hashes, and teach the same. */
static void travels_in_lessons(void **state)
{
	const struct str names[] = {STR("SPF_FAIL"), STR("URI_IP")};
	struct made_up made;
	struct features f = *lessons_make(&made, true, 1), back;
	struct buf blob = BUF_INIT;
	add(&f, names, 2);
	lesson_encode(&f, &blob);
	assert_int_equal(lesson_decode(buf_str(&blob), arena, &back), 0);
	assert_int_equal(back.finding_count, 2);
	assert_memory_equal(back.findings, f.findings, 2 * sizeof(uint32_t));
	assert_int_equal(back.token_count, f.token_count);
	assert_memory_equal(back.tokens, f.tokens, f.token_count * sizeof(uint64_t));
	for (size_t n = 0; n < blob.n; n++)
		assert_int_equal(lesson_decode(str_from(blob.p, n), arena, &back), -1);
	uint32_t too_many = FEATURES_FINDINGS + 1;
	memcpy(blob.p + 8, &too_many, sizeof(too_many));
	assert_int_equal(lesson_decode(buf_str(&blob), arena, &back), -1);
	buf_free(&blob);
}

static void weighs_what_is_heard(void **state)
{
	const struct str names[] = {STR("DNSBL_ZEN"), STR("URI_IP")};
	struct features f = {.gram_count = 0};
	double weights[2];
	learn(300, names[0]);
	add(&f, names, 2);
	model_weigh(model, &f, NULL, weights);
	assert_true(weights[0] > 0 && weights[1] == 0);
	assert_true(fabs(weights[0] - (judge(names, 2) - judge(NULL, 0))) < 1e-9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hears_what_is_known),
		TEST(is_heard_within_bounds),
		TEST(is_silent_without_findings),
		TEST(counts_each_once),
		TEST(travels_in_lessons),
		TEST(weighs_what_is_heard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
