#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "rules/policy.h"

static const char text[] =
	"policy { quarantine_score = 9 virus = \"reject\" }\n"
	"domain \"Low.example\" { tag_score = 2 backend = { \"smtp://h:25\" } }\n"
	"domain \"strict.example\" { dmarc = \"strict\" spam_headers = false virus = \"tag\" }\n"
	"domain \"bücher.example\" { reject_score = 20 }\n"
	"scores { SPF_FAIL = 4 AAA = -1.5 ZZZ = 0 }\n";

static struct policy_set *read_text(const char *t, struct arena *arena, struct conf **conf_r)
{
	*conf_r = conf_parse(str_c(t), "test", arena);
	return policy_set_read(*conf_r, arena);
}

static void test_layers(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct conf *conf;
	struct policy_set *set = read_text(text, arena, &conf);
	const struct policy *p;

	if (conf_errors(conf)->n)
		fail_msg("%s", conf_errors(conf)->v[0]);
	p = policy_for(set, STR("a@other.example"));
	assert_true(p->tag_score == 5 && p->quarantine_score == 9 && p->reject_score == 15);
	assert_int_equal(p->virus, ACTION_REJECT);
	assert_int_equal(p->dmarc, DMARC_MODE_CAREFUL);
	assert_true(p->spam_headers);
	p = policy_for(set, STR("a@b@LOW.Example."));
	assert_true(p->tag_score == 2 && p->quarantine_score == 9);
	p = policy_for(set, STR("a@strict.example"));
	assert_int_equal(p->dmarc, DMARC_MODE_STRICT);
	assert_int_equal(p->virus, ACTION_TAG);
	assert_false(p->spam_headers);
	assert_true(p->quarantine_score == 9);
	assert_true(policy_for(set, STR(""))->tag_score == 5);
	assert_true(policy_for(set, STR("postmaster"))->tag_score == 5);
	arena_free(&arena);
}

static void test_domains(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct conf *conf;
	struct policy_set *set = read_text(text, arena, &conf);
	struct policy_set *empty = read_text("", arena, &conf);

	assert_true(policy_knows_domain(set, STR("low.EXAMPLE")));
	assert_true(policy_knows_domain(set, STR("low.example.")));
	assert_false(policy_knows_domain(set, STR("sub.low.example")));
	assert_false(policy_knows_domain(set, STR("example")));
	assert_false(policy_knows_domain(set, STR("")));
	assert_false(policy_knows_domain(set, STR("low.example\0.x")));
	assert_true(policy_knows_domain(set, STR("XN--bcher-kva.example")));
	assert_true(policy_knows_domain(empty, STR("any.example")));
	arena_free(&arena);
}

static void test_scores(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct conf *conf;
	struct policy_set *set = read_text(text, arena, &conf);

	assert_true(policy_score(set, STR("SPF_FAIL"), 2) == 4);
	assert_true(policy_score(set, STR("AAA"), 2) == -1.5);
	assert_true(policy_score(set, STR("ZZZ"), 2) == 0);
	assert_true(policy_score(set, STR("SPF_FAI"), 2) == 2);
	assert_true(policy_score(set, STR(""), 2) == 2);
	arena_free(&arena);
}

static void test_complaints(void **state)
{
	static const struct {
		const char *text;
		size_t errors, warnings;
	} rows[] = {
		{ "policy { tag_score = 5 }", 0, 0 },
		{ "policy { tag_scor = 5 }", 1, 0 },
		{ "policy { dmarc = \"harsh\" }", 1, 0 },
		{ "policy { virus = \"tempfail\" }", 1, 0 },
		{ "policy { tag_score = \"many\" }", 1, 0 },
		{ "policy { tag_score = 9 }", 0, 1 },
		{ "policy { reject_score = 6 }", 0, 1 },
		{ "domain \"x.example\" { tag_score = 9 }", 0, 1 },
		{ "scores { SPF_FAIL = \"x\" }", 1, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(SIZE_MAX);
		struct conf *conf;

		read_text(rows[i].text, arena, &conf);
		if (conf_errors(conf)->n != rows[i].errors ||
			conf_warnings(conf)->n != rows[i].warnings)
			fail_msg("%s: %zu errors, %zu warnings", rows[i].text, conf_errors(conf)->n,
				conf_warnings(conf)->n);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_complaints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
