/* The rules that come with the program, over real mail: ordinary mail must hardly ever meet them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "rules/ruleset.h"

static const char corpora[] = SOURCE_DIR "/../shared/corpora";
static const char *const sets[] = { "modern", "spamassassin", "csdmc" };
#define RULES_MAX 500

struct tally {
	size_t messages[2]; /* ham, spam */
	size_t over[2][3];  /* score of 2, 5 and 8 */
	struct {
		struct str name;
		size_t hits[2];
	} rules[RULES_MAX];
	size_t n;
	double seconds;
};

static void count(struct tally *t, struct str name, bool spam)
{
	size_t i = 0;
	while (i < t->n && !str_eq(t->rules[i].name, name))
		i++;
	if (i == t->n) {
		assert_true(t->n < RULES_MAX);
		t->rules[t->n++].name = name;
	}
	t->rules[i].hits[spam]++;
}

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void judge(const struct ruleset *rs, struct str raw, bool spam, struct tally *t,
	const char *path)
{
	struct arena *a = arena_new(64 << 20);
	struct mail *m = mail_parse(a, raw);
	struct ruleset_input in = { .mail = m, .arena = a };
	bool *hits = ARENA_ARRAY(a, ruleset_count(rs), bool);
	struct finding_list all = { NULL, 0 };
	static const double steps[] = { 2, 5, 8 };
	double score = 0;

	mail_urls(m);
	double start = now();
	struct str hard = ruleset_run(rs, &in, hits);
	t->seconds += now() - start;
	if (hard.n)
		fail_msg("%s: %.*s runs into its limits", path, STR_ARG(hard));
	for (size_t i = 0; i < ruleset_count(rs); i++) {
		struct ruleset_rule rule = ruleset_rule(rs, i);
		if (!hits[i] || !rule.reported)
			continue;
		count(t, rule.name, spam);
		score += rule.score;
	}
	ruleset_metas(rs, hits, &all, a, NULL, NULL);
	for (size_t i = 0; i < all.n; i++) {
		count(t, all.v[i].name, spam);
		score += all.v[i].score;
	}
	t->messages[spam]++;
	for (size_t i = 0; i < 3; i++)
		t->over[spam][i] += score >= steps[i];
	if (!spam && score >= 3.5 && getenv("RULES_SHOW"))
		printf("%s: %.1f\n", path, score);
	arena_free(&a);
}

/* With CRLF, as the front receives it. */
static struct buf read_message(const char *path)
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
	return b;
}

static void judge_set(const struct ruleset *rs, const char *dir, const char *set, struct tally *t)
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
		struct buf b = read_message(path);
		judge(rs, buf_str(&b), strcmp(label, "spam") == 0, t, path);
		buf_free(&b);
	}
	fclose(f);
}

static void print_tally(const char *set, const struct tally *t)
{
	printf("%s: %zu ham, %zu spam\n", set, t->messages[0], t->messages[1]);
	for (size_t i = 0; i < t->n; i++)
		printf("  %-20.*s %6.2f%% of ham %6.2f%% of spam\n", STR_ARG(t->rules[i].name),
			100.0 * (double)t->rules[i].hits[0] / (double)t->messages[0],
			100.0 * (double)t->rules[i].hits[1] / (double)t->messages[1]);
	for (size_t i = 0; i < 3; i++)
		printf("  score of %s and more: %.2f%% of ham, %.2f%% of spam\n",
			i == 0 ? "2" : i == 1 ? "5" : "8",
			100.0 * (double)t->over[0][i] / (double)t->messages[0],
			100.0 * (double)t->over[1][i] / (double)t->messages[1]);
	printf("  %.0f us a message\n",
		t->seconds * 1e6 / (double)(t->messages[0] + t->messages[1]));
}

static void test_corpora(void **state)
{
	struct stat st;
	struct err err;
	char dir[] = "/tmp/gatepost-rules-XXXXXX", command[4096];

	if (stat(corpora, &st) < 0) {
		printf("no ../shared/corpora here: skipped\n");
		skip();
	}
	struct arena *a = arena_new(64 << 20);
	struct ruleset *rs = ruleset_new(a, &err);
	if (!rs || ruleset_read(rs, "default.rules", ruleset_default_text(), &err) < 0 ||
		ruleset_finish(rs, &err) < 0)
		fail_msg("%s", err.text);
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "'%s/unpack' %s", corpora, dir);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		static struct tally t;
		t = (struct tally){ .n = 0 };
		judge_set(rs, dir, sets[i], &t);
		print_tally(sets[i], &t);
		/* Twenty-year-old newsletters look like the spam of their time. */
		double worst = i == 0 ? 0.002 : 0.006;
		assert_true((double)t.over[0][1] <= worst * (double)t.messages[0]);
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	ruleset_free(&rs);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_corpora) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
