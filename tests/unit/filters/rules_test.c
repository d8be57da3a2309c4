/* The filter within the whole: default rules, files, metas over others' findings, scores. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/filters/judged.h"

#define HEADERS "From: a@good.example\r\nTo: b@good.example\r\nSubject: x\r\n\r\n"
#define JSON "{\"now\": \"2026-11-20T12:00:00Z\", \"rcpt_to\": [\"b@good.example\"]}"
/* In two halves, so that filters that read this file do not take it for mail. */
#define GTUBE "XJS*C4JDBQADN1.NSBN3*2IDNEN*" "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

static const struct finding *find(const struct judged *j, const char *name)
{
	for (size_t i = 0; i < j->v.findings.n; i++)
		if (str_eq_c(j->v.findings.v[i].name, name))
			return &j->v.findings.v[i];
	return NULL;
}

static void test_gtube(void **state)
{
	struct judged j;
	judge(&j, JSON, HEADERS GTUBE "\r\n", JUDGED_CONF);
	assert_int_equal(j.v.action, ACTION_REJECT);
	const struct finding *f = find(&j, "GTUBE");
	assert_non_null(f);
	assert_true(str_eq_c(f->filter, "rules"));
	assert_true(f->score == 1000);
	judged_free(&j);

	judge(&j, JSON, HEADERS GTUBE "\r\n", JUDGED_CONF "filter \"rules\" { defaults = false }");
	assert_null(find(&j, "GTUBE"));
	judged_free(&j);

	judge(&j, JSON, HEADERS GTUBE "\r\n", JUDGED_CONF "scores { GTUBE = 1 }");
	assert_non_null(find(&j, "GTUBE"));
	assert_true(find(&j, "GTUBE")->score == 1);
	judged_free(&j);
}

static void test_metas_see_other_filters(void **state)
{
	struct judged j;
	/* PHISH_ACCOUNT is a meta of the default rules. */
	judge(&j, JSON,
		"From: a@good.example\r\nContent-Type: text/html\r\n\r\n"
		"Your account has been suspended. <a href='http://192.0.2.1/'>log in</a>\r\n",
		JUDGED_CONF "scores { PHISH_ACCOUNT = 7 }");
	assert_non_null(find(&j, "PHRASE_ACCOUNT"));
	assert_non_null(find(&j, "URI_IP"));
	assert_non_null(find(&j, "PHISH_ACCOUNT"));
	assert_true(find(&j, "PHISH_ACCOUNT")->score == 7);
	size_t count = 0;
	for (size_t i = 0; i < j.v.findings.n; i++)
		count += str_eq_c(j.v.findings.v[i].name, "PHISH_ACCOUNT");
	assert_int_equal(count, 1);
	assert_null(find(&j, "__ACCOUNT_1"));
	judged_free(&j);
}

/* What the classifier may learn from is what it will know when it judges. */
static void test_what_is_found_before_the_classifier(void **state)
{
	static const struct {
		const char *name;
		bool is_found;
	} cases[] = { { "SPF_FAIL", true }, { "DKIM_NONE", true }, { "URI_IP", true }, { "HTML_ONLY", true },
		{ "PHISH_ACCOUNT", false }, { "BAYES_99", false }, { "NO_SUCH_RULE", false }, { "", false } };
	struct arena *arena = arena_new(SIZE_MAX);
	struct env env = { .arena = arena, .hostname = "mx.example.net", .state_dir = "", .offline = true };
	struct err err;
	struct engine *engine = engine_start(conf_parse(STR(""), "test", arena), &env, &err);

	assert_non_null(engine);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (engine_finds(engine, str_c(cases[i].name)) != cases[i].is_found)
			fail_msg("%s", cases[i].name);
	engine_stop(&engine);
	arena_free(&arena);
}

/* ---- files ---- */

static int start_with(const char *rules, const char *path, struct err *err)
{
	struct arena *a = arena_new(16 << 20);
	const struct filter *f = filter_find("rules");
	char conf_text[4096];
	FILE *file = path ? fopen(path, "w") : NULL;

	if (file) {
		fputs(rules, file);
		fclose(file);
	}
	snprintf(conf_text, sizeof(conf_text), "files = { \"%s\" }", path ? path : "/nowhere/x");
	struct conf *c = conf_parse(str_c(conf_text), "test.conf", a);
	void *conf = arena_alloc(a, f->conf_size);
	conf_read(c, conf_root(c), f->options, conf);
	assert_int_equal(conf_errors(c)->n, 0);
	struct env env = { .arena = a, .conf = c, .section = conf_root(c) };
	int rc = f->start(conf, &env, err);
	if (rc == 0)
		assert_int_equal(strlen(f->version(conf)), 16);
	arena_free(&a);
	return rc;
}

static void test_files(void **state)
{
	char path[] = "/tmp/gatepost-rules-test-XXXXXX";
	struct err err = { "" };
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(start_with("body X /x/\n", path, &err), 0);
	assert_int_equal(start_with("body X /x/\nbody Y /(/\n", path, &err), -1);
	assert_non_null(strstr(err.text, ":2: missing closing parenthesis"));
	assert_int_equal(start_with(NULL, NULL, &err), -1);
	assert_non_null(strstr(err.text, "/nowhere/x: No such file"));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gtube),
		cmocka_unit_test(test_metas_see_other_filters),
		cmocka_unit_test(test_what_is_found_before_the_classifier),
		cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
