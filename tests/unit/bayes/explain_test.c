/* The strongest features of a judgement, as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bayes/explain.h"
#include "bayes/findings.h"
#include "core/limits.h"

#define MESSAGE(subject, body)                                                              \
	"From: Bob <bob@example.org>\r\nSubject: " subject "\r\nContent-Type: text/html\r\n\r\n" \
	"<p class=x>Hello there, " body "</p>\r\n"
#define SPAM MESSAGE("cheap pills", "BUY at http://shop.example/now")
#define HAM  MESSAGE("project minutes", "see the attached agenda")

static struct arena *arena;
static struct model *model;
static struct mail *mail;
static struct features features;

static void take(const char *raw)
{
	mail = mail_parse(arena, str_c(raw));
	features_of(mail, model_salt(model), &features);
}

static int setup(void **state)
{
	arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	model = model_open(NULL, MODEL_MEMORY, NULL);
	for (int i = 0; i < 30; i++) {
		take(i % 2 ? SPAM : HAM);
		model_learn(model, &features, i % 2, 0);
	}
	return 0;
}

static int teardown(void **state)
{
	model_close(&model);
	arena_free(&arena);
	return 0;
}

static void names_what_it_saw(void **state)
{
	static const char *const wanted[] = {"Subject \"pills\"", "Subject \"cheap … pills\"",
		"body \"buy\"", "written \"BUY\"", "link \"shop.example\"", "header \"subject\"",
		"header order \"From … Subject\"", "markup \"<p class=x\"", NULL};
	uint64_t tokens[6000];
	struct str texts[6000];
	take(SPAM);
	memcpy(tokens, features.tokens, features.token_count * sizeof(tokens[0]));
	features_explain(mail, model_salt(model), tokens, features.token_count, texts);
	for (size_t k = 0; wanted[k]; k++) {
		bool found = false;
		for (size_t i = 0; i < features.token_count; i++)
			found |= str_ieq_c(texts[i], wanted[k]);
		if (!found)
			fail_msg("%s", wanted[k]);
	}
	for (size_t i = 0; i < features.token_count; i++)
		assert_true(texts[i].n > 0);
}

static void what_is_not_there_has_no_text(void **state)
{
	uint64_t token = 1;
	struct str text;
	take(HAM);
	features_explain(mail, model_salt(model), &token, 1, &text);
	assert_int_equal(text.n, 0);
	features_explain(mail, model_salt(model), NULL, 0, NULL);
}

static void weights_add_up(void **state)
{
	double weights[FEATURES_TOKENS], sum = 0;
	take(SPAM);
	struct opinion o = model_classify(model, &features);
	model_weigh(model, &features, weights, NULL);
	for (size_t i = 0; i < features.token_count; i++)
		sum += weights[i];
	/* How modest it is stands in model.c; grams and novelty are not in it. */
	int64_t spam, ham;
	model_learned(model, &spam, &ham);
	double modesty = ((double)spam + 0.1) / ((double)spam + 10);
	assert_true(o.log_odds > 0);
	assert_true(fabs(sum - modesty * (o.words + o.counts)) < 1e-6);
}

static void strongest_first(void **state)
{
	static const char *const messages[] = {HAM, SPAM};
	for (int spam = 0; spam < 2; spam++) {
		struct str texts[EXPLAIN_MAX];
		take(messages[spam]);
		size_t n = explain(model, mail, &features, texts);
		double before = 1e9;
		assert_int_equal(n, EXPLAIN_MAX);
		for (size_t i = 0; i < n; i++) {
			double weight = strtod(arena_cstr(arena, texts[i]), NULL);
			assert_true(fabs(weight) <= before && texts[i].n > 7);
			before = fabs(weight);
		}
		assert_true(str_starts(texts[0], spam ? "+" : "-"));
	}
}

static void an_empty_model_has_no_reasons(void **state)
{
	struct model *empty = model_open(NULL, MODEL_MEMORY, NULL);
	struct str texts[EXPLAIN_MAX];
	take(SPAM);
	assert_int_equal(explain(empty, mail, &features, texts), 0);
	model_close(&empty);
}

static void findings_are_reasons_too(void **state)
{
	const struct str name = STR("DNSBL_ZEN");
	struct model *other = model_open(NULL, MODEL_MEMORY, NULL);
	struct str texts[EXPLAIN_MAX];
	for (int i = 0; i < 30; i++) {
		take(HAM);
		findings_add(&features, model_salt(other), &name, i % 2, arena);
		model_learn(other, &features, i % 2, 0);
	}
	take(HAM);
	findings_add(&features, model_salt(other), &name, 1, arena);
	assert_int_equal(explain(other, mail, &features, texts), EXPLAIN_MAX);
	assert_true(str_ends(texts[0], " finding DNSBL_ZEN") && str_starts(texts[0], "+"));
	model_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_what_it_saw),
		cmocka_unit_test(what_is_not_there_has_no_text),
		cmocka_unit_test(weights_add_up),
		cmocka_unit_test(strongest_first),
		cmocka_unit_test(an_empty_model_has_no_reasons),
		cmocka_unit_test(findings_are_reasons_too),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
