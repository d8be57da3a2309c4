/*
 * What the classifier costs: CPU of one thread in microseconds a message, by part, over the messages of
 * an INDEX (lines "spam PATH" or "ham PATH", relative to it), or else over messages made here.
 *
 * The files are in memory before anything is timed. Each round learns all messages from an empty
 * model, as `gatepost eval` does, and then judges them all with that model, as an inspector does;
 * the round that cost least is printed, since others may use the machine too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bayes/explain.h"
#include "bayes/table.h"
#include "core/limits.h"
#include "tests/bench/samples.h"

enum { ROUNDS = 5, MADE = 2000, MADE_WORDS = 30000, MADE_BYTES = 5000 };
enum { GOAL_JUDGE = 60, GOAL_LEARN = 100 };

/* What happened to one message after the other, and the whole. */
enum part { TAKE_APART, FEATURES, ANSWER, EXPLANATION, PARTS };
struct spent {
	double ns[PARTS], sum; /* without explanation, which is made of some messages alone */
	size_t grams, tokens;
};

static int64_t cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Of asking for the time, which is no small thing beside what is timed. */
static double clock_cost_ns(void)
{
	enum { TIMES = 10000 };
	int64_t begin = cpu_ns(), now = begin;
	for (int i = 0; i < TIMES; i++)
		now = cpu_ns();
	return (double)(now - begin) / TIMES;
}

/* The messages */

/* Few words are frequent, most are rare; the labels differ in which. */
static void make_text(struct buf *text, size_t n, bool spam, uint32_t *seed)
{
	for (size_t column = 0, start = text->n; text->n - start < n; column++) {
		*seed = *seed * 1664525 + 1013904223;
		uint32_t rank = MADE_WORDS >> (*seed >> 28), word = (*seed >> 8) % (rank + 1);
		word = (word * 2 + (spam && word % 3 == 0)) * 2654435761u;
		for (int i = 0; i < 2 + (int)(word >> 29); i++)
			buf_char(text, (char)('a' + (word >> 3 * i) % 26));
		buf_c(text, column % 11 == 10 ? "\r\n" : " ");
	}
}

static void make_messages(struct arena *arena, struct samples *all)
{
	struct buf text = BUF_INIT;
	uint32_t seed = 1;
	for (unsigned i = 0; i < MADE; i++) {
		bool spam = i % 3 == 0, html = i % 2;
		buf_printf(&text,
			"Received: from mail%u.example.org (mail%u.example.org [192.0.2.%u])\r\n"
			"\tby mx.example.net with ESMTPS id %08x; Fri, 20 Nov 2026 12:00:00 +0000\r\n"
			"From: \"Sender %u\" <s%u@example.org>\r\nTo: alice@example.net\r\n"
			"Message-ID: <%x@example.org>\r\nMIME-Version: 1.0\r\n"
			"Content-Type: text/%s; charset=utf-8\r\nSubject: ",
			i % 50, i % 50, i % 250, seed, i % 300, i % 300, seed,
			html ? "html" : "plain");
		make_text(&text, 40, spam, &seed);
		buf_c(&text, "\r\n\r\n");
		while (text.n < MADE_BYTES) {
			if (html)
				buf_printf(&text, "<p style=\"margin:%upx\"><a href=\"https://www%u"
					".example.com/\">", i % 9, i % 40);
			make_text(&text, 400, spam, &seed);
			buf_c(&text, html ? "</a></p>\r\n" : "\r\n");
		}
		samples_add(all, arena, spam, &text);
	}
	buf_free(&text);
}

static int by_size(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	return x < y ? -1 : x > y;
}

static size_t median_size(const struct samples *all)
{
	size_t *sizes = calloc(all->n, sizeof(*sizes));
	for (size_t i = 0; i < all->n; i++)
		sizes[i] = all->v[i].raw.n;
	qsort(sizes, all->n, sizeof(*sizes), by_size);
	size_t median = sizes[all->n / 2];
	free(sizes);
	return median;
}

/* Measuring */

static struct spent run(const struct samples *all, struct model *model, bool learn, double clock_ns)
{
	struct spent spent = {.sum = 0};
	for (size_t i = 0; i < all->n; i++) {
		struct features features;
		int64_t at[PARTS + 1] = {cpu_ns()};
		struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
		struct mail *mail = mail_parse(arena, all->v[i].raw);
		mail_urls(mail);
		mail_text(mail);
		at[1] = cpu_ns();
		features_of(mail, model_salt(model), &features);
		at[2] = cpu_ns();
		spent.grams += features.gram_count;
		spent.tokens += features.token_count;
		if (learn)
			model_learn(model, &features, all->v[i].spam, 0);
		else
			model_classify(model, &features);
		at[3] = cpu_ns();
		if (!learn)
			explain(model, mail, &features, (struct str[EXPLAIN_MAX]){{NULL, 0}});
		at[4] = cpu_ns();
		arena_free(&arena);
		for (int part = 0; part < PARTS; part++)
			spent.ns[part] += (double)(at[part + 1] - at[part]) - clock_ns;
	}
	for (int part = 0; part < EXPLANATION; part++)
		spent.sum += spent.ns[part];
	return spent;
}

static void print(const char *what, struct spent spent, size_t messages, int goal)
{
	double us = 1000.0 * (double)messages;
	printf("%-28s take apart %5.1f  features %5.1f  model %5.1f  sum %6.1f us (goal %d)\n", what,
		spent.ns[TAKE_APART] / us, spent.ns[FEATURES] / us, spent.ns[ANSWER] / us,
		spent.sum / us, goal);
}

static void print_memory(const struct samples *all)
{
	struct rusage usage;
	size_t model = ((size_t)TABLE_GRAMS + 2 * (size_t)TABLE_TOKENS + TABLE_FINDINGS) * 8, messages = 0;
	for (size_t i = 0; i < all->n; i++)
		messages += all->v[i].raw.n;
	getrusage(RUSAGE_SELF, &usage);
	printf("memory: at most %.1f MB, messages %.1f MB and the model's file, which processes share, "
	       "%.1f MB among it\n",
		(double)usage.ru_maxrss * 1024 / 1e6, (double)messages / 1e6, (double)model / 1e6);
}

int main(int argc, char **argv)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct samples all = {NULL, 0, 0};
	struct spent learn = {.sum = 1e300}, judge = {.sum = 1e300};
	struct err err;
	if (argc > 1)
		samples_read(&all, arena, argv[1]);
	else
		make_messages(arena, &all);
	struct model *model = model_open(NULL, MODEL_MEMORY, &err);
	double clock_ns = clock_cost_ns();
	if (!model || !all.n)
		samples_die("nothing to measure", model ? argv[argc - 1] : err.text);
	for (int round = 0; round < ROUNDS; round++) {
		model_clear(model);
		struct spent learned = run(&all, model, true, clock_ns);
		struct spent judged = run(&all, model, false, clock_ns);
		learn = learned.sum < learn.sum ? learned : learn;
		judge = judged.sum < judge.sum ? judged : judge;
	}
	printf("classifier: %zu messages, median %zu octets\n", all.n, median_size(&all));
	print("judged", judge, all.n, GOAL_JUDGE);
	print("judged and learned at once", learn, all.n, GOAL_LEARN);
	printf("explained, if it is: %.1f us\n",
		judge.ns[EXPLANATION] / 1000 / (double)all.n);
	printf("features: %zu grams, %zu tokens\n", judge.grams / all.n, judge.tokens / all.n);
	print_memory(&all);
	model_close(&model);
	arena_free(&arena);
	return 0;
}
