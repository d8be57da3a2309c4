#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bayes/teacher.h"
#include "tests/unit/bayes/lessons.h"

static char folder[40];

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/gatepost-teacher-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static void drop(const char *name)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
}

static int drop_folder(void **state)
{
	drop("model");
	drop("log.db");
	drop("log.db-wal");
	drop("log.db-shm");
	return rmdir(folder);
}

static struct teacher *open_it(void)
{
	struct err err;
	struct teacher *t = teacher_open(folder, &err);
	if (!t)
		fail_msg("%s", err.text);
	return t;
}

static enum journal_change teach(struct teacher *t, uint64_t number, bool spam, const char *who)
{
	struct made_up made;
	char hash[32];
	enum journal_change change;
	struct err err;
	snprintf(hash, sizeof(hash), "message %llu", (unsigned long long)number);
	struct journal_entry e = {.time = 1795176000 + (int64_t)number * 3600,
		.spam = spam,
		.hash = str_c(hash),
		.who = str_c(who),
		.channel = STR("cli"),
		.features = *lessons_make(&made, number % 2, number)};
	if (teacher_teach(t, &e, &change, &err) < 0)
		fail_msg("%s", err.text);
	return change;
}

static void digest(struct teacher *t, uint8_t digest_r[32])
{
	model_digest(teacher_model(t), digest_r);
}

static void rebuilds_the_same_bits(void **state)
{
	struct err err;
	uint8_t live[32], rebuilt[32], reopened[32], from_log[32];
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 400; i++)
		assert_int_equal(teach(t, i, i % 2, "alice"), JOURNAL_NEW);
	digest(t, live);
	assert_int_equal(teacher_rebuild(t, &err), 0);
	digest(t, rebuilt);
	assert_memory_equal(live, rebuilt, 32);
	teacher_close(&t);
	t = open_it();
	digest(t, reopened);
	assert_memory_equal(live, reopened, 32);
	teacher_close(&t);
	/* Without its model the log gives the same, salt included. */
	drop("model");
	t = open_it();
	digest(t, from_log);
	assert_memory_equal(live, from_log, 32);
	teacher_close(&t);
}

static void a_message_counts_once(void **state)
{
	int64_t spam, ham;
	uint8_t before[32], after[32];
	struct err err;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 20; i++)
		teach(t, i, i % 2, "alice");
	digest(t, before);
	assert_int_equal(teach(t, 3, true, "bob"), JOURNAL_KNOWN);
	digest(t, after);
	assert_memory_equal(before, after, 32);
	/* The other label takes its place; the model forgets the first with the next rebuild. */
	assert_int_equal(teach(t, 3, false, "bob"), JOURNAL_RELABELED);
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 1);
	teacher_close(&t);
	t = open_it();
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 0);
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 9 && ham == 11);
	teacher_close(&t);
}

static int finish(struct teacher *t)
{
	struct err err;
	int rc;
	while ((rc = teacher_step_rebuild(t, &err)) > 0)
		continue;
	return rc;
}

static void learns_while_it_rebuilds(void **state)
{
	struct err err;
	uint8_t before[32], meanwhile[32], live[32], rebuilt[32], again[32];
	struct teacher *t = open_it();
	assert_int_equal(teacher_step_rebuild(t, &err), 0);
	for (uint64_t i = 0; i < 300; i++)
		teach(t, i, i % 2, "alice");
	digest(t, before);
	assert_int_equal(teacher_begin_rebuild(t, &err), 0);
	assert_int_equal(teacher_step_rebuild(t, &err), 1);
	digest(t, meanwhile);
	assert_memory_equal(before, meanwhile, 32);
	for (uint64_t i = 300; i < 320; i++)
		teach(t, i, i % 2, "alice");
	digest(t, live);
	assert_true(teacher_is_rebuilding(t));
	assert_int_equal(finish(t), 0);
	assert_false(teacher_is_rebuilding(t));
	digest(t, rebuilt);
	assert_memory_equal(live, rebuilt, 32);
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 0);
	/* What was begun and not done is done by the next one. */
	assert_int_equal(teacher_begin_rebuild(t, &err), 0);
	assert_int_equal(teacher_step_rebuild(t, &err), 1);
	teacher_close(&t);
	t = open_it();
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 0);
	digest(t, again);
	assert_memory_equal(live, again, 32);
	teacher_close(&t);
}

static void a_lesson_undone_meanwhile_is_not_forgotten(void **state)
{
	struct err err;
	int64_t spam, ham;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 100; i++)
		teach(t, i, i % 2, "alice");
	assert_int_equal(teacher_begin_rebuild(t, &err), 0);
	assert_int_equal(teacher_step_rebuild(t, &err), 1);
	/* Learned already: it stays until the next time. */
	assert_int_equal(teach(t, 1, false, "bob"), JOURNAL_RELABELED);
	assert_int_equal(finish(t), 0);
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 1);
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 50 && ham == 51);
	assert_int_equal(teacher_rebuild(t, &err), 0);
	assert_int_equal(journal_is_stale(teacher_journal(t), &err), 0);
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 49 && ham == 51);
	teacher_close(&t);
}

static void takes_lessons_back(void **state)
{
	struct err err;
	uint8_t without[32], undone[32];
	int64_t count;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 50; i++)
		teach(t, i, i % 2, "alice");
	digest(t, without);
	for (uint64_t i = 50; i < 90; i++)
		teach(t, i, i % 3 == 0, "mallory");
	const struct journal_which mallory = {.who = STR("mallory")},
				   nobody = {.who = STR("nobody")},
				   late = {.since = 1795176000 + 85 * 3600};
	assert_int_equal(teacher_undo(t, &nobody, &count, &err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(journal_count(teacher_journal(t), &late, &count, &err), 0);
	assert_int_equal(count, 5);
	assert_int_equal(teacher_undo(t, &mallory, &count, &err), 0);
	assert_int_equal(count, 40);
	assert_int_equal(finish(t), 0);
	digest(t, undone);
	/* Only the position in the log may differ, and it does not: it is that of the last that
	 * holds. */
	assert_memory_equal(without, undone, 32);
	teacher_close(&t);
}

static void survives_a_kill(void **state)
{
	int64_t spam, ham;
	uint8_t after_kill[32], rebuilt[32];
	struct err err;
	pid_t child = fork();
	if (child == 0) {
		struct teacher *t = open_it();
		for (uint64_t i = 0; i < 60; i++)
			teach(t, i, i % 2, "alice");
		kill(getpid(), SIGKILL);
	}
	waitpid(child, NULL, 0);
	struct teacher *t = open_it();
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 30 && ham == 30);
	digest(t, after_kill);
	assert_int_equal(teacher_rebuild(t, &err), 0);
	digest(t, rebuilt);
	assert_memory_equal(after_kill, rebuilt, 32);
	teacher_close(&t);
}

static void has_one_owner(void **state)
{
	struct err err;
	struct teacher *t = open_it();
	assert_null(teacher_open(folder, &err));
	assert_non_null(strstr(err.text, "another process"));
	teacher_close(&t);
	teacher_close(&t);
}

static void limits_what_one_person_teaches(void **state)
{
	struct made_up made;
	struct err err;
	enum journal_change change;
	struct teacher *t = open_it();
	int refused = 0;
	for (uint64_t i = 0; i < TEACHER_LESSONS_A_DAY + 50; i++) {
		char hash[32];
		snprintf(hash, sizeof(hash), "salad %llu", (unsigned long long)i);
		struct journal_entry e = {.time = 1795176000,
			.hash = str_c(hash),
			.who = STR("mallory"),
			.channel = STR("mail"),
			.features = *lessons_make(&made, true, i)};
		refused += teacher_teach(t, &e, &change, &err) < 0;
	}
	assert_int_equal(refused, 50);
	/* Others are heard, and so is he a day later. */
	struct journal_entry e = {.time = 1795176000,
		.hash = STR("x"),
		.who = STR("alice"),
		.channel = STR("mail"),
		.features = *lessons_make(&made, true, 1)};
	assert_int_equal(teacher_teach(t, &e, &change, &err), 0);
	e.who = STR("mallory");
	e.hash = STR("y");
	e.time += 86401;
	assert_int_equal(teacher_teach(t, &e, &change, &err), 0);
	e.hash = STR("");
	assert_int_equal(teacher_teach(t, &e, &change, &err), -1);
	teacher_close(&t);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(rebuilds_the_same_bits),
		IN_FOLDER(a_message_counts_once),
		IN_FOLDER(learns_while_it_rebuilds),
		IN_FOLDER(a_lesson_undone_meanwhile_is_not_forgotten),
		IN_FOLDER(takes_lessons_back),
		IN_FOLDER(survives_a_kill),
		IN_FOLDER(has_one_owner),
		IN_FOLDER(limits_what_one_person_teaches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
