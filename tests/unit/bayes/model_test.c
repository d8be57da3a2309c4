#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bayes/model.h"
#include "bayes/table.h"
#include "tests/unit/bayes/lessons.h"

static char folder[] = "/tmp/gatepost-model-XXXXXX", path[100];

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/model", folder);
	return 0;
}

static int drop_folder(void **state)
{
	unlink(path);
	return rmdir(folder);
}

static void teach(struct model *m, uint64_t count, int64_t time)
{
	struct made_up made;
	for (uint64_t i = 0; i < count; i++)
		model_learn(m, lessons_make(&made, i % 2, i), i % 2, time);
}

static double ask(const struct model *m, bool spam, uint64_t number)
{
	struct made_up made;
	return model_classify(m, lessons_make(&made, spam, number)).log_odds;
}

static void knows_nothing_at_first(void **state)
{
	struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
	struct features none = {NULL, 0, NULL, 0};
	assert_true(ask(m, true, 1) == 0);
	assert_true(model_classify(m, &none).log_odds == 0);
	/* A message without any feature can be learned too. */
	model_learn(m, &none, true, 0);
	assert_true(isfinite(model_classify(m, &none).log_odds));
	model_close(&m);
	model_close(&m);
}

static void tells_apart(void **state)
{
	struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
	int64_t spam, ham;
	struct model_progress progress;
	teach(m, 200, 0);
	for (uint64_t i = 1000; i < 1100; i++) {
		assert_true(ask(m, true, i) > 1);
		assert_true(ask(m, false, i) < -1);
	}
	model_learned(m, &spam, &ham);
	assert_true(spam == 100 && ham == 100 && model_generation(m) == 200);
	model_progress(m, &progress);
	assert_true(progress.error < 0.05 && progress.noise[0] < 0.01);
	model_close(&m);
}

/* The same message with both labels, thousands of times: all stays finite. */
static void stays_finite(void **state)
{
	struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
	struct made_up made;
	lessons_make(&made, true, 1);
	for (int i = 0; i < 2000; i++)
		assert_true(isfinite(model_learn(m, &made.features, i % 7 != 0, 0).log_odds));
	for (int i = 0; i < 5000; i++)
		model_learn(m, &made.features, true, 0);
	assert_true(isfinite(ask(m, true, 1)) && ask(m, true, 1) > 0);
	model_close(&m);
}

static void same_lessons_same_bits(void **state)
{
	uint8_t digests[2][32];
	for (int i = 0; i < 2; i++) {
		struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
		teach(m, 500, 1795176000);
		model_digest(m, digests[i]);
		model_close(&m);
	}
	assert_memory_equal(digests[0], digests[1], 32);
}

/* Wrong labels among many right ones are noticed, and hardly believed. */
static void notices_wrong_labels(void **state)
{
	struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
	struct made_up made;
	struct model_progress progress;
	for (uint64_t i = 0; i < 2000; i++) {
		bool spam = i % 2, wrong = i > 200 && i % 20 == 0;
		model_learn(m, lessons_make(&made, spam, i), spam != wrong, 0);
	}
	model_progress(m, &progress);
	/* Every tenth ham came as spam, no spam as ham. */
	assert_true(progress.noise[1] > 2 * progress.noise[0]);
	for (uint64_t i = 5000; i < 5100; i++)
		assert_true(ask(m, true, i) > 0 && ask(m, false, i) < 0);
	model_close(&m);
}

/* A wrong label moves no view across: not even that of the message itself. */
static void shrugs_off_a_wrong_label(void **state)
{
	struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
	struct made_up made;
	teach(m, 1000, 0);
	for (uint64_t i = 2000; i < 2100; i++) {
		bool wrong = i % 10 == 0;
		model_learn(m, lessons_make(&made, false, i), wrong, 0);
		struct opinion o = model_classify(m, &made.features);
		assert_true(o.log_odds < -3 && o.grams < 0 && o.words < 0 && o.counts < 0);
	}
	model_close(&m);
}

/* What is judged after two lessons does not rank with what is judged after hundreds. */
static void is_modest_while_young(void **state)
{
	struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
	teach(m, 2, 0);
	double young = ask(m, true, 1);
	teach(m, 600, 0);
	assert_true(young > 0 && young < ask(m, true, 1));
	model_close(&m);
}

/* Ham with the words of spam, but for a few. */
static const struct features *spam_like(struct made_up *made, uint64_t number)
{
	struct made_up spam;
	lessons_make(made, false, number);
	lessons_make(&spam, true, number);
	for (size_t i = 0; i < LESSON_FEATURES; i += 3)
		if (i % 12) {
			made->grams[i] = spam.grams[i];
			made->tokens[i] = spam.tokens[i];
		}
	return &made->features;
}

/* After hundreds of spam, some of them with wrong labels, ham is not taken for more of those. */
static void lets_a_late_class_in(void **state)
{
	struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
	struct made_up made;
	for (uint64_t i = 0; i < 300; i++)
		model_learn(m, lessons_make(&made, true, i), i % 20 != 0, 0);
	for (uint64_t i = 1000; i < 1100; i++) {
		model_learn(m, lessons_make(&made, true, i), true, 0);
		model_learn(m, spam_like(&made, i), false, 0);
	}
	int right[2] = {0, 0};
	for (uint64_t i = 2000; i < 2100; i++) {
		right[1] += ask(m, true, i) > 0;
		right[0] += model_classify(m, spam_like(&made, i)).log_odds < 0;
	}
	assert_true(right[0] > 65 && right[1] > 80);
	model_close(&m);
}

static void fades(void **state)
{
	const int64_t day = 86400, start = 1795176000;
	struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
	struct features none = {NULL, 0, NULL, 0};
	struct made_up made;
	teach(m, 100, start);
	struct opinion fresh = model_classify(m, lessons_make(&made, true, 500));
	/* Time moves on with a lesson about something else, and never back. */
	model_learn(m, &none, true, start + 720 * day);
	model_learn(m, &none, true, start);
	struct opinion faded = model_classify(m, &made.features);
	assert_true(faded.words > 0 && faded.words < fresh.words / 10);
	assert_true(faded.grams > 0 && faded.grams < fresh.grams / 10);
	model_learn(m, &none, true, start + 36500 * day);
	faded = model_classify(m, &made.features);
	assert_true(faded.words == 0 && faded.grams == 0 && faded.counts == 0);
	model_close(&m);
}

/* What has faded stays so, and the rest goes on as the new half-life says. */
static void takes_another_half_life(void **state)
{
	const int64_t day = 86400, start = 1795176000;
	struct features none = {NULL, 0, NULL, 0};
	struct made_up made;
	double words[2];
	for (int quick = 0; quick < 2; quick++) {
		struct model *m = model_open(NULL, MODEL_MEMORY, NULL);
		teach(m, 100, start);
		model_learn(m, &none, true, start + 90 * day);
		struct opinion before = model_classify(m, lessons_make(&made, true, 500));
		model_set_half_life(m, quick ? 20 : TABLE_HALF_LIFE);
		struct opinion after = model_classify(m, &made.features);
		assert_true(fabs(after.words - before.words) < 0.01 * fabs(before.words));
		assert_true(fabs(after.grams - before.grams) < 0.01 * fabs(before.grams));
		assert_true(fabs(after.counts - before.counts) < 0.1 * fabs(before.counts));
		model_learn(m, &none, true, start + 190 * day);
		words[quick] = model_classify(m, &made.features).words;
		assert_int_equal(model_half_life(m), quick ? 20 : TABLE_HALF_LIFE);
		model_close(&m);
	}
	assert_true(words[1] > 0 && words[1] < words[0] / 10);
}

static void keeps_its_file(void **state)
{
	struct err err;
	uint8_t before[32], after[32];
	assert_int_equal(model_ensure(path, &err), 0);
	struct model *m = model_open(path, MODEL_WRITE, &err);
	assert_non_null(m);
	assert_false(model_is_unclean(m));
	teach(m, 20, 0);
	assert_true(model_is_unclean(m));
	assert_int_equal(model_sync(m, &err), 0);
	model_digest(m, before);
	model_close(&m);
	assert_int_equal(model_ensure(path, &err), 0);
	m = model_open(path, MODEL_READ, &err);
	assert_non_null(m);
	assert_false(model_is_unclean(m));
	model_digest(m, after);
	assert_memory_equal(before, after, 32);
	model_close(&m);
}

static void has_one_writer(void **state)
{
	struct err err;
	assert_int_equal(model_ensure(path, &err), 0);
	struct model *writer = model_open(path, MODEL_WRITE, &err);
	assert_non_null(writer);
	assert_null(model_open(path, MODEL_WRITE, &err));
	assert_non_null(strstr(err.text, "another process"));
	struct model *reader = model_open(path, MODEL_READ, &err);
	assert_non_null(reader);
	/* What is written is read at once. */
	teach(writer, 100, 0);
	assert_true(ask(reader, true, 900) > 1);
	model_close(&reader);
	model_close(&writer);
}

static void damage(size_t at, char with, off_t size)
{
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	if (size >= 0)
		assert_int_equal(ftruncate(fd, size), 0);
	else
		assert_int_equal(pwrite(fd, &with, 1, (off_t)at), 1);
	close(fd);
}

static void refuses_other_files(void **state)
{
	static const struct {
		size_t at;
		off_t size;
		const char *says;
	} rows[] = {
		{0, -1, "no model"},
		{8, -1, "another version"},
		{12, -1, "another version"},
		{0, 0, "damaged"},
		{0, 4096, "damaged"},
	};
	struct err err;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(model_ensure(path, &err), 0);
		damage(rows[i].at, 99, rows[i].size);
		assert_null(model_open(path, MODEL_READ, &err));
		if (!strstr(err.text, rows[i].says))
			fail_msg("row %zu: %s", i, err.text);
		/* It is a cache: it is made anew. */
		assert_int_equal(model_ensure(path, &err), 0);
		struct model *m = model_open(path, MODEL_WRITE, &err);
		assert_non_null(m);
		assert_true(model_generation(m) == 0);
		model_close(&m);
	}
	unlink(path);
	assert_null(model_open(path, MODEL_READ, &err));
}

static void salts_differ(void **state)
{
	struct err err;
	uint8_t salts[2][16];
	for (int i = 0; i < 2; i++) {
		unlink(path);
		assert_int_equal(model_ensure(path, &err), 0);
		struct model *m = model_open(path, MODEL_READ, &err);
		memcpy(salts[i], model_salt(m), 16);
		model_close(&m);
	}
	assert_memory_not_equal(salts[0], salts[1], 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_nothing_at_first),
		cmocka_unit_test(tells_apart),
		cmocka_unit_test(stays_finite),
		cmocka_unit_test(same_lessons_same_bits),
		cmocka_unit_test(notices_wrong_labels),
		cmocka_unit_test(shrugs_off_a_wrong_label),
		cmocka_unit_test(is_modest_while_young),
		cmocka_unit_test(lets_a_late_class_in),
		cmocka_unit_test(fades),
		cmocka_unit_test(takes_another_half_life),
		cmocka_unit_test(keeps_its_file),
		cmocka_unit_test(has_one_writer),
		cmocka_unit_test(refuses_other_files),
		cmocka_unit_test(salts_differ),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
