#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/filter.h"
#include "core/mail/date.h"
#include "filters/evaluate.h"

#define NOW 1795176000 /* Fri, 20 Nov 2026 12:00:00 GMT */

struct run {
	struct arena *arena;
	struct finding_list findings;
};

static struct run run_on(struct str raw, int64_t now)
{
	static struct facts facts;
	struct run r = { .arena = arena_new(64 << 20) };
	facts.now = now;
	struct filter_call call = {
		.facts = &facts,
		.stage = STAGE_MESSAGE,
		.mail = mail_parse(r.arena, raw),
		.arena = r.arena,
		.filter = filter_find("headers"),
		.findings = &r.findings,
	};
	assert_int_equal(call.filter->run(&call), STEP_DONE);
	return r;
}

static bool has(const struct run *r, const char *name, int action)
{
	for (size_t i = 0; i < r->findings.n; i++)
		if (str_eq_c(r->findings.v[i].name, name))
			return r->findings.v[i].action == action;
	return false;
}

static bool rejects(const struct run *r)
{
	for (size_t i = 0; i < r->findings.n; i++)
		if (r->findings.v[i].action == ACTION_REJECT)
			return true;
	return false;
}

/* ---- the author ---- */

#define REST "To: v@victim.example\r\nSubject: x\r\nDate: Fri, 20 Nov 2026 11:59:00 +0000\r\n" \
	     "Message-ID: <1@good.example>\r\n\r\nHi\r\n"

static const struct {
	const char *raw, *finding; /* NULL: none at all */
	bool rejected;
} author_cases[] = {
	{ "From: Ann <ann@good.example>\r\n" REST, NULL, false },
	{ "From: ann@good.example\r\n" REST, NULL, false },
	{ "From: ann@good.example (Ann)\r\n" REST, NULL, false },
	{ "From: \"Ann, B.\" <ann@good.example>\r\n" REST, NULL, false },
	{ "From: =?utf-8?q?J=C3=B6rg?= <j@b\xc3\xbc" "cher.example>\r\n" REST, NULL, false },
	{ "From: John Q. Public <j@good.example>\r\n" REST, NULL, false },
	{ REST, "HEADERS_FROM_MISSING", true },
	{ "From:\r\n" REST, "HEADERS_FROM_INVALID", true },
	{ "From: <>\r\n" REST, "HEADERS_FROM_INVALID", true },
	{ "From: nobody\r\n" REST, "HEADERS_FROM_INVALID", true },
	{ "From: undisclosed:;\r\n" REST, "HEADERS_FROM_INVALID", true },
	{ "From: a@xn--a.example\r\n" REST, "HEADERS_FROM_INVALID", true },
	{ "From: Ann <ann@good.example>\r\nFrom: Ann <ann@good.example>\r\n" REST,
		"HEADERS_FROM_REPEATED", true },
	{ " From: <a@attack.example>\r\nFrom: <b@good.example>\r\n" REST, "HEADERS_FROM_REPEATED",
		true },
	{ "From: <a@attack.example>\r\nFrom : <b@good.example>\r\n" REST, "HEADERS_FROM_REPEATED",
		true },
	{ "From : <b@good.example>\r\n" REST, "HEADERS_FROM_MALFORMED", true },
	{ "From\r\n : <a@attack.example>\r\nSender: <b@good.example>\r\n" REST,
		"HEADERS_FROM_MALFORMED", true },
	{ "From: <a@attack.example>, <b@good.example>\r\n" REST, "HEADERS_FROM_SEVERAL", true },
	{ "From: =?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuZXhhbXBsZT4=?=,<b@attack.example>\r\n" REST,
		"HEADERS_FROM_INVALID", true },
	{ "From: <@attack.example,@any.example:admin@good.example>\r\n" REST, "HEADERS_FROM_SEVERAL",
		true },
	{ "From: <a@attack.example>\\,<b@good.example>\r\n" REST, "HEADERS_FROM_SEVERAL", true },
	{ "From: admin@good.example<a@attack.example>\r\n" REST, "HEADERS_FROM_SEVERAL", true },
	{ "From: <any@attack.example>admin@good.example\r\n" REST, "HEADERS_FROM_SEVERAL", true },
	{ "From: \"admin@good.example\" <a@attack.example>\r\n" REST, "HEADERS_FROM_OTHER_ADDRESS",
		false },
	{ "From: \"ann@good.example\" <ann@good.example>\r\n" REST, NULL, false },
};

static void test_author(void **state)
{
	for (size_t i = 0; i < sizeof(author_cases) / sizeof(author_cases[0]); i++) {
		const char *finding = author_cases[i].finding;
		struct run r = run_on(str_c(author_cases[i].raw), NOW);
		bool ok = finding ? has(&r, finding,
			author_cases[i].rejected ? ACTION_REJECT : ACTION_FORWARD) : !r.findings.n;
		if (!ok || rejects(&r) != author_cases[i].rejected)
			fail_msg("%.60s: %.*s", author_cases[i].raw,
				STR_ARG(r.findings.n ? r.findings.v[0].name : STR("nothing")));
		arena_free(&r.arena);
	}
}

/* ---- the rest ---- */

#define FROM "From: a@good.example\r\n"
#define TO   "To: b@good.example\r\n"
#define SUBJ "Subject: x\r\n"
#define DATE "Date: Fri, 20 Nov 2026 11:59:00 +0000\r\n"
#define ID   "Message-ID: <1@good.example>\r\n"
#define ALL  FROM TO SUBJ DATE ID
#define BODY "\r\nHi\r\n"

static const struct {
	const char *raw, *finding;
	bool rejected;
} sanity_cases[] = {
	{ FROM TO SUBJ ID BODY, "HEADERS_DATE_MISSING", false },
	{ FROM TO SUBJ ID "Date: today\r\n" BODY, "HEADERS_DATE_INVALID", false },
	{ FROM TO SUBJ ID "Date: 22 Nov 2026 12:00:00 +0000\r\n" BODY, "HEADERS_DATE_FUTURE", false },
	{ FROM TO SUBJ ID "Date: 1 Oct 2026 12:00:00 +0000\r\n" BODY, "HEADERS_DATE_PAST", false },
	{ FROM TO SUBJ DATE BODY, "HEADERS_MESSAGE_ID_MISSING", false },
	{ FROM TO SUBJ DATE "Message-ID: 1@good.example\r\n" BODY, "HEADERS_MESSAGE_ID_INVALID", false },
	{ FROM TO SUBJ DATE "Message-ID: <1@>\r\n" BODY, "HEADERS_MESSAGE_ID_INVALID", false },
	{ FROM TO SUBJ DATE "Message-ID: <1@a> <2@b>\r\n" BODY, "HEADERS_MESSAGE_ID_INVALID", false },
	{ ALL SUBJ BODY, "HEADERS_REPEATED", false },
	{ ALL DATE BODY, "HEADERS_REPEATED", false },
	{ FROM SUBJ DATE ID BODY, "HEADERS_TO_MISSING", false },
	{ FROM TO DATE ID BODY, "HEADERS_SUBJECT_MISSING", false },
	{ "From x@y Fri Nov 20 12:00:00 2026\r\n" ALL BODY, "HEADERS_AMBIGUOUS", true },
	{ " X: folded\r\n" ALL BODY, "HEADERS_AMBIGUOUS", true },
	{ "\tX: folded\r\n" ALL BODY, "HEADERS_AMBIGUOUS", true },
	{ "Hello there\r\n" ALL BODY, "MIME_NO_HEADERS", true },
	{ "\r\nHi\r\n", "HEADERS_FROM_MISSING", true },
	{ "", "HEADERS_FROM_MISSING", true },
	{ ALL "X: a\rb\r\n" BODY, "HEADERS_BARE_CR", true },
	{ ALL "Content-Type: text/plain\r\nContent-Type: text/html\r\n" BODY,
		"MIME_DUP_CONTENT_TYPE", false },
	{ ALL "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGk=!x\r\n",
		"MIME_BASE64_ODD", false },
	{ ALL "no header\r\n" BODY, "MIME_NO_BLANK_LINE", false },
};

static void test_sanity(void **state)
{
	for (size_t i = 0; i < sizeof(sanity_cases) / sizeof(sanity_cases[0]); i++) {
		struct run r = run_on(str_c(sanity_cases[i].raw), NOW);
		if (!has(&r, sanity_cases[i].finding,
			sanity_cases[i].rejected ? ACTION_REJECT : ACTION_FORWARD) ||
			rejects(&r) != sanity_cases[i].rejected)
			fail_msg("%s: %.*s", sanity_cases[i].raw,
				STR_ARG(r.findings.n ? r.findings.v[0].name : STR("nothing")));
		arena_free(&r.arena);
	}
	struct run r = run_on(STR(ALL BODY), NOW);
	assert_int_equal(r.findings.n, 0);
	arena_free(&r.arena);
	static const char nul[] = ALL "\r\nH\0i\r\n";
	r = run_on(str_from(nul, sizeof(nul) - 1), NOW);
	assert_true(has(&r, "MIME_NUL", ACTION_REJECT));
	arena_free(&r.arena);
}

static void test_loop(void **state)
{
	struct buf b = BUF_INIT;
	for (int n = 100; n <= 101; n++) {
		buf_clear(&b);
		for (int i = 0; i < n; i++)
			buf_c(&b, "Received: from a by b; Fri, 20 Nov 2026 11:59:00 +0000\r\n");
		buf_c(&b, ALL BODY);
		struct run r = run_on(buf_str(&b), NOW);
		assert_int_equal(has(&r, "HEADERS_TOO_MANY_HOPS", ACTION_REJECT), n > 100);
		arena_free(&r.arena);
	}
	buf_free(&b);
}

/* Whatever the parser can find has a score. */
static void test_all_anomalies(void **state)
{
	const struct filter *f = filter_find("headers");
	for (int a = 0; a < MAIL_ANOMALY_COUNT; a++) {
		const struct finding_def *def = f->findings;
		while (def->name && strcmp(def->name, mail_anomaly_name((enum mail_anomaly)a)) != 0)
			def++;
		if (!def->name)
			fail_msg("%s is not in the table", mail_anomaly_name((enum mail_anomaly)a));
	}
}

/* ---- real mail ---- */

static const char corpora[] = SOURCE_DIR "/../shared/corpora";
static const char *const sets[] = { "modern", "spamassassin", "csdmc" };
#define NAMES_MAX 100

struct tally {
	size_t messages[2], rejected[2], over[2];
	struct {
		const char *name;
		size_t hits[2];
	} names[NAMES_MAX];
	size_t n;
};

static void count(struct tally *t, const struct run *r, bool spam)
{
	double score = 0;

	for (size_t i = 0; i < r->findings.n; i++) {
		size_t k = 0;
		while (k < t->n && !str_eq_c(r->findings.v[i].name, t->names[k].name))
			k++;
		if (k == t->n)
			t->names[t->n++].name = strndup(r->findings.v[i].name.p,
				r->findings.v[i].name.n);
		t->names[k].hits[spam]++;
		score += r->findings.v[i].score;
	}
	t->messages[spam]++;
	t->rejected[spam] += rejects(r);
	t->over[spam] += !rejects(r) && score >= 3;
}

static void judge_file(const char *path, bool spam, struct tally *t)
{
	struct buf b = BUF_INIT;
	char chunk[65536];
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s: cannot be read", path);
	for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;) {
		for (size_t i = 0; i < n; i++) {
			if (chunk[i] == '\n' && (!b.n || b.p[b.n - 1] != '\r'))
				buf_char(&b, '\r');
			buf_char(&b, chunk[i]);
		}
	}
	fclose(f);
	/* The clock of its own time: that of its last Received header, or of its Date. */
	struct arena *a = arena_new(1 << 20);
	struct mail *m = mail_parse(a, buf_str(&b));
	const struct mail_header *h = mail_header(m, "Received", NULL);
	int64_t now = NOW;
	size_t stamp = h ? str_rchr(h->value, ';') : 0;
	if (!h || stamp == h->value.n || !date_parse(str_skip(h->value, stamp + 1), &now)) {
		h = mail_header(m, "Date", NULL);
		if (h)
			date_parse(h->value, &now);
	}
	arena_free(&a);
	struct run r = run_on(buf_str(&b), now);
	if (!spam && rejects(&r) && getenv("HEADERS_SHOW"))
		for (size_t i = 0; i < r.findings.n; i++)
			printf("%s: %.*s %.*s\n", path, STR_ARG(r.findings.v[i].name),
				STR_ARG(r.findings.v[i].text));
	count(t, &r, spam);
	arena_free(&r.arena);
	buf_free(&b);
}

static void judge_set(const char *dir, const char *set, struct tally *t)
{
	char path[4096], line[1024], label[8], name[1024];
	snprintf(path, sizeof(path), "%s/%s/index", dir, set);
	FILE *f = fopen(path, "r");
	if (!f)
		fail_msg("%s: cannot be read", path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%7s %1000[^\n]", label, name) != 2)
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", dir, set, name);
		judge_file(path, strcmp(label, "spam") == 0, t);
	}
	fclose(f);
}

static double percent(size_t part, size_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void test_corpora(void **state)
{
	struct stat st;
	char dir[] = "/tmp/gatepost-headers-XXXXXX", command[4096];

	if (stat(corpora, &st) < 0) {
		printf("no ../shared/corpora here: skipped\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "'%s/unpack' %s", corpora, dir);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		static struct tally t;
		t = (struct tally){ .n = 0 };
		judge_set(dir, sets[i], &t);
		printf("%s: %zu ham, %zu spam; refused %.2f%% and %.2f%%, score of 3 and more "
		       "%.2f%% and %.2f%%\n",
			sets[i], t.messages[0], t.messages[1], percent(t.rejected[0], t.messages[0]),
			percent(t.rejected[1], t.messages[1]), percent(t.over[0], t.messages[0]),
			percent(t.over[1], t.messages[1]));
		for (size_t k = 0; k < t.n; k++) {
			printf("  %-28s %6.2f%% of ham %6.2f%% of spam\n", t.names[k].name,
				percent(t.names[k].hits[0], t.messages[0]),
				percent(t.names[k].hits[1], t.messages[1]));
			free((char *)t.names[k].name);
		}
		assert_true(percent(t.rejected[0], t.messages[0]) <= (i == 0 ? 0.1 : 1.0));
		assert_true(percent(t.over[0], t.messages[0]) <= (i == 0 ? 0.1 : 1.0));
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_author),	cmocka_unit_test(test_sanity),
		cmocka_unit_test(test_loop),	cmocka_unit_test(test_all_anomalies),
		cmocka_unit_test(test_corpora),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
