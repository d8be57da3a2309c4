#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/limits.h"
#include "rules/match.h"
#include "rules/meta.h"
#include "rules/ruleset.h"

/* ---- what matches ---- */

static const char message[] =
	"From: \"Bob B\" <bob@a.example>\r\n"
	"To: =?utf-8?q?J=C3=B6rg?= <joerg@b.example>\r\n"
	"Cc: c@c.example\r\n"
	"Subject: =?utf-8?q?Caf=C3=A9?=\r\n folded\r\n"
	"Received: one\r\n"
	"Received: two\r\n"
	"Message-ID: <1@a.example>\r\n"
	"X-Empty:\r\n"
	"Content-Type: multipart/mixed; boundary=b\r\n"
	"\r\n"
	"--b\r\n"
	"Content-Type: text/html; charset=utf-8\r\n"
	"\r\n"
	"<p>Dear&nbsp;fri\xc2\xad" "end,<br>click   here</p><p style='display:none'>hidden</p>\r\n"
	"<a href='http://bank.example@3221225985/%78'>www.bank.example</a>\r\n"
	"--b\r\n"
	"Content-Type: application/octet-stream; name=\"invoice.pdf.exe\"\r\n"
	"\r\n"
	"binary\r\n"
	"--b--\r\n";

static const struct {
	const char *rule;
	bool hit;
} match_cases[] = {
	{ "header X Subject =~ /^Caf\xc3\xa9 folded$/", true },
	{ "header X subject =~ /CAF\\x{c9}/i", true },
	{ "header X Subject =~ /CAF/", false },
	{ "header X Subject:raw =~ /=C3=A9\\?=\\r\\n folded$/", true },
	{ "header X From:addr =~ /^bob\\@a\\.example$/", true },
	{ "header X From:name =~ /^Bob B$/", true },
	{ "header X To:name =~ /^J\\x{f6}rg$/", true },
	{ "header X To:addr =~ m{^joerg@b\\.example$}", true },
	{ "header X ToCc =~ /c\\.example/", true },
	{ "header X Received =~ /^two$/", true },
	{ "header X ALL =~ /^Subject: Caf. folded$/", true },
	{ "header X ALL:raw =~ /utf-8\\?q/", true },
	{ "header X EnvelopeFrom =~ /^sender@a\\.example$/", true },
	{ "header X MESSAGEID =~ /^<1@/", true },
	{ "header X exists:X-Empty", true },
	{ "header X exists:X-None", false },
	{ "header X X-Empty =~ /^$/", true },
	{ "header X X-None =~ /^$/", false },
	{ "header X X-None !~ /x/", true },
	{ "header X Subject !~ /Caf/", false },
	{ "header X X-None =~ /^unset$/ [if-unset: unset]", true },
	{ "header X X-None !~ /^unset$/ [if-unset: unset]", false },
	{ "header X Subject =~ /^unset$/ [if-unset: unset]", false },
	{ "body X /Dear friend, click here/", true },
	{ "body X /hidden/", false },
	{ "body X /^Caf/", true },
	{ "body X /DEAR FRIEND/", false },
	{ "body X m!dear friend!i", true },
	{ "rawbody X /display:none/", true },
	{ "rawbody X /binary/", false },
	{ "full X /^binary$/m", false }, /* its lines end in CR LF */
	{ "full X /^binary\\r$/m", true },
	{ "uri X m{^http://bank\\.example@}", true },
	{ "uri X m{^http://192\\.0\\.2\\.1/%78}", true },
	{ "uri X /^www\\.bank\\.example$/", true },
	{ "mimeheader X Content-Type =~ /name=.*\\.exe/", true },
	{ "mimeheader X Content-Type =~ /name=.*\\.com/", false },
	{ "header X MESSAGE =~ /^structure: html-only$/", true },
	{ "header X MESSAGE =~ /^hidden_octets: 6$/", true },
	{ "header X MESSAGE =~ m{^attachment: application/octet-stream invoice\\.pdf\\.exe$}", true },
	{ "header X MESSAGE =~ /^link_mismatch: www\\.bank\\.example 192\\.0\\.2\\.1$/", true },
	{ "header X MESSAGE =~ /^links: 1$/", true },
	{ "header X MESSAGE =~ /^parts: 3$/", true },
	{ "header X Subject =~ /\\xC3\\xA9/", true }, /* octets */
	{ "header X Subject =~ /Caf.. f/x # a comment", true },
	{ "header X Subject =~ /C a f . \\s f/x", true },
	{ "header X Subject =~ /\\#|Caf/", true },
	{ "ifplugin None\nbody X /x/\nelse\nbody X /click/\nendif", true },
	{ "if (version > 3)\nifplugin None\nelse\nbody X /click/\nendif\nendif\nbody X /no/", false },
	{ "ifplugin Mail::SpamAssassin::Plugin::MIMEHeader\nmimeheader X Content-Type =~ /exe/\nendif",
		true },
	{ "body X /no/\nbody X /click/", true },
	{ "body __A /click/\nbody __B /here/\nmeta X __A && __B", true },
	{ "body __A /click/\nmeta X __A && FOREIGN", true },
	{ "meta X Y\nmeta Y Z\nbody Z /click/", true },
	{ "body Z /click/\nscore Z 0\nmeta X Z", true },
	{ "meta X !FOREIGN || NONE", false },
};

static struct ruleset *load(struct arena *a, const char *text)
{
	struct err err;
	struct ruleset *rs = ruleset_new(a, &err);
	if (!rs || ruleset_read(rs, "test", str_c(text), &err) < 0 ||
		ruleset_finish(rs, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return rs;
}

static bool finds(const struct finding_list *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (str_eq_c(all->v[i].name, name))
			return true;
	return false;
}

static void test_match(void **state)
{
	for (size_t i = 0; i < sizeof(match_cases) / sizeof(match_cases[0]); i++) {
		struct arena *a = arena_new(4 << 20);
		struct ruleset *rs = load(a, match_cases[i].rule);
		struct ruleset_input in = { mail_parse(a, STR(message)), STR("sender@a.example"), a };
		bool *hits = ARENA_ARRAY(a, ruleset_count(rs), bool), hit = false;
		struct finding foreign = { .name = STR("FOREIGN") };
		struct finding_list all = { &foreign, 1 };

		assert_int_equal(ruleset_run(rs, &in, hits).n, 0);
		for (size_t k = 0; k < ruleset_count(rs); k++)
			hit |= hits[k] && str_eq_c(ruleset_rule(rs, k).name, "X");
		ruleset_metas(rs, hits, &all, a, NULL, NULL);
		hit |= finds(&all, "X");
		assert_false(finds(&all, "__A"));
		if (hit != match_cases[i].hit)
			fail_msg("%s: %d", match_cases[i].rule, hit);
		ruleset_free(&rs);
		arena_free(&a);
	}
}

/* ---- what is refused ---- */

static const struct {
	const char *text, *error;
} error_cases[] = {
	{ "nonsense X", "test:1: \"nonsense\" is not known" },
	{ "\n\nbody X /(/", "test:3: missing closing parenthesis" },
	{ "body X /a\\C/", "test:1: " },
	{ "body X /a", "test:1: the expression has no end" },
	{ "body X m{a{2}", "test:1: the expression has no end" },
	{ "body X a", "test:1: an expression is missing" },
	{ "body X", "test:1: an expression is missing" },
	{ "body", "test:1: the name of a rule" },
	{ "body X-Y /a/", "test:1: the name of a rule" },
	{ "body X /a/q", "test:1: unknown flag 'q'" },
	{ "body X /a/ b", "test:1: \"b\" is too much" },
	{ "body X eval:check()", "test:1: eval tests are not known" },
	{ "header X eval:check()", "test:1: eval tests are not known" },
	{ "header X Subject", "test:1: =~ or !~" },
	{ "header X Subject = /a/", "test:1: =~ or !~" },
	{ "header X Subject:odd =~ /a/", "test:1: unknown form \":odd\"" },
	{ "header X :raw =~ /a/", "test:1: the name of a header" },
	{ "score X a", "test:1: \"a\" is no score" },
	{ "score X 1 2", "test:1: one score is wanted, or four" },
	{ "meta X (A", "test:1: a ')' is missing at character 3" },
	{ "meta X A B", "test:1: not understood at character 3" },
	{ "meta X A &&", "test:1: an operand is missing" },
	{ "meta X", "test:1: an operand is missing" },
	{ "endif", "test:1: endif without if" },
	{ "if x", "test:2: an endif is missing" },
	{ "meta X Y\nmeta Y X", "test:1: the meta rule X names itself" },
	{ "body X /(/\nbody Y /[/", "test:2: " },
};

static void test_errors(void **state)
{
	for (size_t i = 0; i < sizeof(error_cases) / sizeof(error_cases[0]); i++) {
		struct arena *a = arena_new(4 << 20);
		struct err err = { "" };
		struct ruleset *rs = ruleset_new(a, &err);
		struct buf text = BUF_INIT;
		buf_c(&text, error_cases[i].text);
		/* The end of an unclosed block is the line behind the last. */
		buf_char(&text, '\n');
		int rc = ruleset_read(rs, "test", buf_str(&text), &err);
		if (rc == 0)
			rc = ruleset_finish(rs, &err);
		if (rc != -1 || !strstr(err.text, error_cases[i].error))
			fail_msg("%s: %d %s", error_cases[i].text, rc, err.text);
		buf_free(&text);
		ruleset_free(&rs);
		arena_free(&a);
	}
}

/* ---- scores and sentences ---- */

static void test_scores(void **state)
{
	static const char text[] =
		"body A /a/\n"
		"body B /a/\ntflags B nice multiple\n"
		"body T_C /a/\n"
		"score D -0.5\nbody D /a/\ndescribe D A sentence with a \\# in it. # comment\n"
		"body E /a/\nscore E 1 2 3 4\n"
		"body __F /a/\n"
		"body G /a/\nscore G 0\n"
		"lang de describe A x\npriority A 5\ntest A ok\n";
	static const struct {
		const char *name;
		double score;
		bool reported;
	} expected[] = {
		{ "A", 1, true }, { "B", -1, true }, { "T_C", 0.01, true }, { "D", -0.5, true },
		{ "E", 4, true }, { "__F", 1, false }, { "G", 0, false },
	};
	struct arena *a = arena_new(4 << 20);
	struct ruleset *rs = load(a, text);

	assert_int_equal(ruleset_count(rs), 7);
	for (size_t i = 0; i < 7; i++) {
		struct ruleset_rule rule = ruleset_rule(rs, i);
		assert_true(str_eq_c(rule.name, expected[i].name));
		assert_true(rule.score == expected[i].score);
		assert_int_equal(rule.reported, expected[i].reported);
	}
	assert_true(str_eq_c(ruleset_rule(rs, 3).text, "A sentence with a # in it."));
	assert_int_equal(ruleset_warnings(rs)->n, 1);
	assert_string_equal(ruleset_warnings(rs)->v[0],
		"test:3: \"multiple\" has no effect: a rule counts once a message");
	assert_int_equal(strlen(ruleset_version(rs)), 16);
	ruleset_free(&rs);
	arena_free(&a);
}

static double doubled(const void *context, struct str finding, double def)
{
	return 2 * def;
}

static void test_meta_findings(void **state)
{
	struct arena *a = arena_new(4 << 20);
	struct ruleset *rs = load(a,
		"meta A BAYES_99 && !SPF_PASS\nscore A 1.5\ndescribe A Sentence.\nmeta B A + BAYES_99 >= 2");
	struct finding bayes = { .name = STR("BAYES_99"), .filter = STR("bayes"), .score = 3 };
	struct finding_list all = { &bayes, 1 };

	ruleset_metas(rs, NULL, &all, a, doubled, NULL);
	assert_int_equal(all.n, 3);
	assert_true(str_eq_c(all.v[0].name, "BAYES_99"));
	assert_true(str_eq_c(all.v[1].name, "A"));
	assert_true(str_eq_c(all.v[1].filter, "rules"));
	assert_true(str_eq_c(all.v[1].text, "Sentence."));
	assert_true(all.v[1].score == 3);
	assert_true(str_eq_c(all.v[2].name, "B"));
	ruleset_free(&rs);
	arena_free(&a);
}

/* ---- expressions that explode ---- */

static void test_limits(void **state)
{
	struct arena *a = arena_new(64 << 20);
	struct ruleset *rs = load(a, "body BOMB /(?:a+)+b{2}$/\nbody FINE /aaaa/");
	struct buf raw = BUF_INIT;
	bool hits[2] = { false, false };

	buf_c(&raw, "Subject: x\r\n\r\n");
	for (int i = 0; i < 5000; i++)
		buf_c(&raw, "a");
	buf_c(&raw, "bb!\r\n");
	struct ruleset_input in = { mail_parse(a, buf_str(&raw)), STR(""), a };
	assert_true(str_eq_c(ruleset_run(rs, &in, hits), "BOMB"));
	assert_false(hits[0]);
	assert_true(hits[1]);
	buf_free(&raw);
	ruleset_free(&rs);
	arena_free(&a);
}

static void test_literals(void **state)
{
	static const struct {
		const char *expression, *literals; /* with a '|' between them */
	} cases[] = {
		{ "Free Money", "free money" },
		{ "\\bfree\\s+money", "money" },
		{ "abc?defg", "defg" },
		{ "abcd*ef", "abc" },
		{ "abc{0,5}d", "" },
		{ "abc{,5}d", "" },
		{ "abc{4|def{x}", "abc{4|def{x}" },
		{ "abc{2}defg", "defg" },
		{ "(?:abc){2,}d", "abc" },
		{ "abcd+e", "abcd" },
		{ "abc|def", "abc|def" },
		{ "abc|d", "" },
		{ "(?:abc|def)ghi", "ghi" },
		{ "(?:abc|def)gh", "abc|def" },
		{ "(?:abcdef|ghijkl)mno", "abcdef|ghijkl" },
		{ "(?:abc|def)?gh", "" },
		{ "(?:abc|def)*gh", "" },
		{ "(?:abc(?:x|yz)?|d(?:efg|hij))", "abc|efg|hij" },
		{ "(?:a(?:b(?:cde)))|f\\.gh", "cde|f.gh" },
		{ "[abc]def[]x]ghij", "ghij" },
		{ "[[:alpha:]]abc", "abc" },
		{ "[\\]]abc[^]]", "abc" },
		{ "(?i)abc", "" },
		{ "(*UTF)abc", "" },
		{ "\\Qabc", "" },
		{ "abc\\1", "" },
		{ "abc(?=defg)h", "abc" },
		{ "abc(?!defg)h", "abc" },
		{ "(?<=defgh)abc", "abc" },
		{ "a\\.b\\/c", "a.b/c" },
		{ "abc\\x41def", "abc" },
		{ "\\x{41}def", "def" },
		{ "\\p{Lu}abc\\pLdef", "abc" },
		{ "caf\xc3\xa9 abc", " abc" },
		{ "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwx" },
		{ "ab", "" },
		{ "", "" },
		{ "(((", "" },
		{ "\\", "" },
		{ "abc)", "" },
	};
	struct arena *a = arena_new(1 << 20);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct literals l = literal_find(a, str_c(cases[i].expression), false);
		struct buf b = BUF_INIT;
		for (size_t k = 0; k < l.n; k++)
			buf_printf(&b, "%s%.*s", k ? "|" : "", STR_ARG(l.v[k]));
		if (!str_eq_c(buf_str(&b), cases[i].literals))
			fail_msg("%s: %.*s", cases[i].expression, STR_ARG(buf_str(&b)));
		buf_free(&b);
	}
	struct literals l = literal_find(a, STR("\\x{4e2d}\xe6\x96\x87\\x{e9}?"), true);
	assert_int_equal(l.n, 1);
	assert_true(str_eq_c(l.v[0], "\xe4\xb8\xad\xe6\x96\x87"));
	arena_free(&a);
}

static void test_sets(void **state)
{
	static const char *const expressions[] = { "viagra|cialis", "money", "\\d+", "kelvin" };
	static const struct {
		const char *text;
		bool candidates[4];
	} cases[] = {
		{ "", { false, false, true, false } },
		{ "mo", { false, false, true, false } },
		{ "MONEY", { false, true, true, false } },
		{ "xxmoneCIALIS", { true, false, true, false } },
		{ "viagrviagra mone", { true, false, true, false } },
		/* The Kelvin sign is a 'k' to an expression without case. */
		{ "\xe2\x84\xaa" "elvin", { true, true, true, true } },
	};
	struct arena *a = arena_new(1 << 20);
	struct err err;
	struct matcher *m = match_open(a, &err);
	struct match_pattern p[4];
	const struct match_pattern *pointers[4];

	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(match_compile(m, a, str_c(expressions[i]), STR("i"), false, &p[i],
			&err), 0);
		pointers[i] = &p[i];
	}
	struct match_set *set = match_set(a, pointers, 4);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool candidates[4] = { false };
		match_candidates(set, str_c(cases[i].text), candidates);
		assert_memory_equal(candidates, cases[i].candidates, sizeof(candidates));
	}
	assert_int_equal(match_try(m, &p[3], STR("\xe2\x84\xaa" "elvin")), MATCH_YES);
	assert_int_equal(match_try(m, &p[3], STR("\xff KELVIN")), MATCH_YES);
	assert_int_equal(match_try(m, &p[3], STR("\xff kelvi")), MATCH_NO);
	assert_int_equal(match_try(m, &p[3], (struct str){ NULL, 0 }), MATCH_NO);
	for (size_t i = 0; i < 4; i++)
		match_release(&p[i]);
	match_close(&m);
	arena_free(&a);
}

/* ---- meta expressions ---- */

static bool found_if_upper(void *context, size_t i)
{
	struct str name = meta_name(context, i);
	return name.p[0] >= 'A' && name.p[0] <= 'Z';
}

static void test_meta_values(void **state)
{
	static const struct {
		const char *text;
		double value;
	} cases[] = {
		{ "A", 1 }, { "a", 0 }, { "!A", 0 }, { "!!A", 1 }, { "A + A + a", 2 },
		{ "A && a || A", 1 }, { "A || a && a", 1 }, { "(A || a) && a", 0 },
		{ "A & A | a", 1 }, { "2 + 3 * 4", 14 }, { "(2 + 3) * 4", 20 }, { "8 / 4 / 2", 1 },
		{ "5 - 2 - 1", 2 }, { "-A", -1 }, { "1 / 0", 0 }, { "A + A >= 2", 1 },
		{ "A + A > 2", 0 }, { "A == 1", 1 }, { "A != 1", 0 }, { "1.5 < 1.25", 0 },
		{ "A <= 1", 1 }, { "((((A))))", 1 }, { "!a == A", 1 },
	};
	struct arena *a = arena_new(1 << 20);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err;
		struct meta *m = meta_parse(a, str_c(cases[i].text), &err);
		if (!m)
			fail_msg("%s: %s", cases[i].text, err.text);
		double value = meta_eval(m, found_if_upper, m);
		if (value != cases[i].value)
			fail_msg("%s: %g", cases[i].text, value);
	}
	arena_free(&a);
}

static void test_meta_depth(void **state)
{
	static const char units[] = "(!-";
	struct arena *a = arena_new(16 << 20);
	for (size_t u = 0; u < 3; u++) {
		struct buf b = BUF_INIT;
		struct err err;
		for (int i = 0; i < 100000; i++)
			buf_char(&b, units[u]);
		assert_null(meta_parse(a, buf_str(&b), &err));
		buf_free(&b);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),	    cmocka_unit_test(test_errors),
		cmocka_unit_test(test_scores),	    cmocka_unit_test(test_meta_findings),
		cmocka_unit_test(test_limits),	    cmocka_unit_test(test_literals),
		cmocka_unit_test(test_sets), cmocka_unit_test(test_meta_values),
		cmocka_unit_test(test_meta_depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
