/* How the classifier is doing, in words and as metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bayes/status.h"
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

static void learn(int count, bool spam)
{
	struct made_up made;
	for (int i = 0; i < count; i++)
		model_learn(model, lessons_make(&made, spam, (uint64_t)i * 2 + spam), spam, 0);
}

static void expect_needs(const char *needs)
{
	const struct bayes_status_conf conf = { true, 20 };
	struct bayes_status s;
	bayes_status_of(model, &conf, arena, &s);
	if (!str_eq_c(s.needs, needs))
		fail_msg("needs \"%.*s\", not \"%s\"", STR_ARG(s.needs), needs);
	assert_int_equal(s.counts, !*needs);
}

static void says_when_it_will_count(void **state)
{
	expect_needs("20 more spam and 20 more ham");
	learn(8, false);
	expect_needs("20 more spam and 12 more ham");
	learn(20, true);
	expect_needs("12 more ham");
	learn(11, false);
	expect_needs("1 more ham");
	learn(1, false);
	expect_needs("");
}

static void says_that_it_is_switched_off(void **state)
{
	struct bayes_status_conf conf;
	struct bayes_status s;
	struct conf *file = conf_parse(STR("filter \"rules\" { enabled = true }"
					   "filter \"bayes\" { enabled = false  min_learned = 7 }"),
		"test", arena);
	bayes_status_configure(file, &conf);
	assert_int_equal(conf_errors(file)->n, 0);
	assert_int_equal(conf.min_learned, 7);
	learn(10, true);
	learn(10, false);
	bayes_status_of(model, &conf, arena, &s);
	assert_false(s.counts);
	assert_true(str_find(s.needs, STR("enabled = true")) < s.needs.n);
	bayes_status_configure(conf_parse(STR(""), "test", arena), &conf);
	assert_true(conf.enabled && conf.min_learned == 50);
}

static void expect_line(const struct buf *out, const char *line)
{
	struct buf whole = BUF_INIT;
	buf_printf(&whole, "\n%s\n", line);
	if (str_find(buf_str(out), buf_str(&whole)) == out->n)
		fail_msg("no line \"%s\" in:\n%.*s", line, (int)out->n, out->p);
	buf_free(&whole);
}

static void gives_metrics(void **state)
{
	const struct bayes_status s = { .spam = 12, .ham = 3, .counts = true, .error = 0.015,
		.disagreement = 0.25, .label_noise = { 0.05, 0.004 } };
	struct buf out = BUF_INIT;
	bayes_status_metrics(&s, &out);
	expect_line(&out, "gatepost_bayes_learned_total{label=\"spam\"} 12");
	expect_line(&out, "gatepost_bayes_learned_total{label=\"ham\"} 3");
	expect_line(&out, "gatepost_bayes_error_ratio 0.015");
	expect_line(&out, "gatepost_bayes_disagreement_ratio 0.25");
	expect_line(&out, "gatepost_bayes_label_noise_ratio{label=\"spam\"} 0.05");
	expect_line(&out, "gatepost_bayes_label_noise_ratio{label=\"ham\"} 0.004");
	expect_line(&out, "gatepost_bayes_counts 1");
	expect_line(&out, "gatepost_bayes_rebuilding 0");
	expect_line(&out, "# TYPE gatepost_bayes_learned_total counter");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says_when_it_will_count, setup, teardown),
		cmocka_unit_test_setup_teardown(says_that_it_is_switched_off, setup, teardown),
		cmocka_unit_test(gives_metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
