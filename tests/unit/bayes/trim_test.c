/* The log keeps the newest lessons whole, and what older ones taught in the base. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/bayes/teaching.h"

static int rename_in_folder(const char *from, const char *to)
{
	char paths[2][100];
	snprintf(paths[0], sizeof(paths[0]), "%s/%s", folder, from);
	snprintf(paths[1], sizeof(paths[1]), "%s/%s", folder, to);
	return rename(paths[0], paths[1]);
}

static int64_t whole(void)
{
	return ask_log("SELECT count(*) FROM lesson WHERE length(features) > 0");
}

static void trim(struct teacher *t, int64_t kept)
{
	struct err err;
	int rc;
	while ((rc = teacher_trim(t, kept, &err)) > 0)
		continue;
	if (rc < 0)
		fail_msg("%s", err.text);
}

/* Ten thousand lessons, the log trimmed as they come and once at the end, and the model made again from
 * what is left: the same bits. */
static void a_trimmed_log_gives_the_same_bits(void **state)
{
	enum { LESSONS = 10000, KEPT = 1000 };
	uint8_t live[32], rebuilt[32];
	struct err err;
	struct journal_checkpoint base;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < LESSONS; i++) {
		teach(t, i, i % 2, "alice");
		if (i == LESSONS / 4)
			trim(t, KEPT);
	}
	digest(t, live);
	assert_true(whole() > 7 * KEPT);
	trim(t, KEPT);
	assert_int_equal(whole(), KEPT + 2 * JOURNAL_KNOWN_KEPT);
	assert_int_equal(ask_log("SELECT count(*) FROM lesson"), LESSONS);
	assert_int_equal(journal_base(teacher_journal(t), &base, &err), 1);
	assert_int_equal(base.position, LESSONS - KEPT);
	digest(t, rebuilt);
	assert_memory_equal(live, rebuilt, 32);
	assert_rebuilt(t, live);
	/* What was trimmed is known still, and little is too little to trim. */
	assert_int_equal(teach(t, 3, true, "bob"), JOURNAL_KNOWN);
	for (uint64_t i = LESSONS; i < LESSONS + KEPT / TEACHER_TRIM_SLACK; i++)
		teach(t, i, i % 2, "alice");
	trim(t, KEPT);
	assert_int_equal(whole(), KEPT + 2 * JOURNAL_KNOWN_KEPT + KEPT / TEACHER_TRIM_SLACK);
	digest(t, live);
	teacher_close(&t);
	drop("model");
	t = open_it();
	digest(t, rebuilt);
	assert_memory_equal(live, rebuilt, 32);
	assert_int_equal(teacher_lost(t), 0);
	teacher_close(&t);
}

static struct teacher *open_trimmed(uint64_t lessons, int64_t kept)
{
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < lessons; i++)
		teach(t, i, i % 2, i % 4 < 2 ? "alice" : "mallory");
	trim(t, kept);
	return t;
}

static void what_was_trimmed_is_taken_back_in_part(void **state)
{
	const struct journal_which mallory = {.who = STR("mallory")};
	struct journal_undone undone;
	int64_t spam, ham;
	struct err err;
	struct teacher *t = open_trimmed(400, 100);
	assert_int_equal(teacher_undo(t, &mallory, &undone, &err), 0);
	assert_int_equal(undone.count, 200);
	assert_int_equal(undone.trimmed, 150);
	assert_int_equal(finish(t), 0);
	model_learned(teacher_model(t), &spam, &ham);
	assert_int_equal(spam + ham, 350);
	/* The rows do not hold: another may say it anew, or the opposite. */
	assert_int_equal(teach(t, 2, true, "bob"), JOURNAL_NEW);
	assert_int_equal(teach(t, 1, false, "bob"), JOURNAL_RELABELED);
	assert_int_equal(teacher_rebuild(t, &err), 0);
	model_learned(teacher_model(t), &spam, &ham);
	assert_int_equal(spam + ham, 352);
	teacher_close(&t);
}

static int64_t count_refused(struct teacher *t)
{
	int64_t count;
	struct err err;
	assert_int_equal(journal_count_refused(teacher_journal(t), &count, &err), 0);
	return count;
}

/* What it would teach is not there any more. */
static void a_refused_lesson_can_be_given_anew(void **state)
{
	struct made_up made;
	enum journal_change change;
	struct err err;
	struct teacher *t = open_it();
	struct journal_entry e = {.time = 1795176000, .spam = true, .hash = STR("message 1000"),
		.who = STR("mallory"), .is_refused = true, .features = *lessons_make(&made, false, 1)};
	assert_int_equal(journal_add(teacher_journal(t), &e, &e.id, &change, &err), 0);
	assert_int_equal(change, JOURNAL_REFUSED);
	assert_int_equal(teach(t, 1000, true, "alice"), JOURNAL_REFUSED);
	for (uint64_t i = 0; i < 200; i++)
		teach(t, i, i % 2, "alice");
	assert_int_equal(count_refused(t), 1);
	trim(t, 50);
	assert_int_equal(count_refused(t), 0);
	assert_int_equal(teacher_accept(t, e.id, &err), 0);
	assert_int_equal(teach(t, 1000, true, "alice"), JOURNAL_NEW);
	teacher_close(&t);
}

/* It takes the place of one that came before, and that a checkpoint between them knows. */
static void no_checkpoint_knows_what_gave_way(void **state)
{
	struct made_up made;
	enum journal_change change;
	struct err err;
	int64_t spam, ham;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 120; i++)
		teach(t, i, i % 2, "alice");
	assert_int_equal(teacher_sync(t, &err), 0);
	struct journal_entry e = {.time = 1795176000 + 200 * 3600, .spam = true, .hash = STR("message 2"),
		.who = STR("bob"), .is_refused = true, .features = *lessons_make(&made, true, 2)};
	assert_int_equal(journal_add(teacher_journal(t), &e, &e.id, &change, &err), 0);
	assert_int_equal(change, JOURNAL_REFUSED);
	assert_int_equal(teacher_accept(t, e.id, &err), 1);
	assert_int_equal(finish(t), 0);
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 61 && ham == 59);
	teacher_close(&t);
}

static int count_them(void *context, const struct journal_entry *e, struct err *err)
{
	*(int *)context += e->features.token_count > 0;
	return 0;
}

/* Lessons are tried on known messages, which must be old: some of them stay whole. */
static void known_messages_outlast_trimming(void **state)
{
	const struct journal_known which = {.spam = true, .before = 1795176000 + 100 * 3600, .most = 50};
	struct err err;
	int count = 0;
	struct teacher *t = open_trimmed(800, 10);
	assert_int_equal(whole(), 10 + 2 * JOURNAL_KNOWN_KEPT);
	assert_int_equal(journal_known(teacher_journal(t), &which, count_them, &count, &err), 0);
	assert_int_equal(count, 50);
	/* They are in the base: learned once. */
	assert_int_equal(teacher_rebuild(t, &err), 0);
	int64_t spam, ham;
	model_learned(teacher_model(t), &spam, &ham);
	assert_true(spam == 400 && ham == 400);
	teacher_close(&t);
}

static void copy_file(const char *from, const char *to)
{
	char command[200];
	snprintf(command, sizeof(command), "cp %s/%s %s/%s", folder, from, folder, to);
	assert_int_equal(system(command), 0);
}

/* Put back from a backup, say: only the base knows what it lacks. */
static void a_model_older_than_the_base_is_made_again(void **state)
{
	uint8_t live[32], again[32];
	struct err err;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 50; i++)
		teach(t, i, i % 2, "alice");
	assert_int_equal(teacher_sync(t, &err), 0);
	copy_file("model", "base.1");
	for (uint64_t i = 50; i < 400; i++)
		teach(t, i, i % 2, "alice");
	trim(t, 100);
	digest(t, live);
	teacher_close(&t);
	copy_file("base.1", "model");
	t = open_it();
	digest(t, again);
	assert_memory_equal(live, again, 32);
	teacher_close(&t);
}

static void a_lost_base_is_told(void **state)
{
	uint8_t live[32];
	int64_t count;
	struct err err;
	struct journal_checkpoint base;
	struct teacher *t = open_trimmed(400, 100);
	/* The live model knows all, and is the next base. */
	drop("base.0");
	for (uint64_t i = 400; i < 500; i++)
		teach(t, i, i % 2, "alice");
	digest(t, live);
	trim(t, 100);
	assert_int_equal(journal_base(teacher_journal(t), &base, &err), 1);
	assert_int_equal(base.position, 500);
	assert_rebuilt(t, live);
	for (uint64_t i = 500; i < 550; i++)
		teach(t, i, i % 2, "alice");
	/* Without the model, too, there is nothing but what the log has whole. */
	teacher_close(&t);
	drop("model");
	damage("base.1", 4096 * 500 + 8);
	t = open_it();
	count = teacher_lost(t);
	assert_int_equal(count, 550 - 50 - 2 * JOURNAL_KNOWN_KEPT);
	assert_int_equal(teacher_lost(t), 0);
	assert_int_equal(journal_count(teacher_journal(t), &(struct journal_which){0}, &count, &err), 0);
	assert_int_equal(count, 50 + 2 * JOURNAL_KNOWN_KEPT);
	assert_int_equal(journal_base(teacher_journal(t), &base, &err), 0);
	digest(t, live);
	assert_rebuilt(t, live);
	/* What was lost can be taught anew, and the log be trimmed again. */
	int64_t lost = ask_log("SELECT min(id) FROM lesson WHERE undone");
	assert_int_equal(teach(t, (uint64_t)lost - 1, true, "bob"), JOURNAL_NEW);
	trim(t, 100);
	digest(t, live);
	assert_rebuilt(t, live);
	teacher_close(&t);
}

/* A link to itself in its place cannot be opened: nothing is given up for that. */
static void an_unreadable_base_is_an_error(void **state)
{
	char path[100];
	uint8_t live[32];
	struct err err;
	struct teacher *t = open_trimmed(400, 100);
	digest(t, live);
	assert_int_equal(rename_in_folder("base.0", "aside"), 0);
	snprintf(path, sizeof(path), "%s/base.0", folder);
	assert_int_equal(symlink("base.0", path), 0);
	assert_int_equal(teacher_rebuild(t, &err), -1);
	assert_non_null(strstr(err.text, "cannot be read"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename_in_folder("aside", "base.0"), 0);
	assert_rebuilt(t, live);
	assert_int_equal(teacher_lost(t), 0);
	teacher_close(&t);
}

static void nothing_is_trimmed_under_a_rebuild(void **state)
{
	uint8_t live[32], again[32];
	struct err err;
	struct teacher *t = open_it();
	for (uint64_t i = 0; i < 400; i++)
		teach(t, i, i % 2, "alice");
	digest(t, live);
	assert_int_equal(teacher_begin_rebuild(t, &err), 0);
	assert_int_equal(teacher_step_rebuild(t, &err), 1);
	trim(t, 100);
	assert_int_equal(whole(), 400);
	assert_int_equal(finish(t), 0);
	digest(t, again);
	assert_memory_equal(live, again, 32);
	teacher_close(&t);
}

/* With another half-life all that the log holds whole fades as if it had always been so, and what the
 * base knows from there on. */
static void another_half_life_makes_the_model_again(void **state)
{
	uint8_t slow[32], quick[32], again[32];
	struct err err;
	/* 100 days: at a half-life of 30 the first have faded to a tenth. */
	struct teacher *t = open_trimmed(2400, 0);
	assert_int_equal(teacher_sync(t, &err), 0); /* a checkpoint, which is void then */
	digest(t, slow);
	teacher_close(&t);
	t = open_fading(30);
	digest(t, quick);
	assert_memory_not_equal(slow, quick, 32);
	teacher_close(&t);
	/* As in a folder that knew no other. */
	drop("model");
	drop("checkpoint.0");
	t = open_fading(30);
	digest(t, again);
	assert_memory_equal(quick, again, 32);
	trim(t, 1000);
	assert_rebuilt(t, quick);
	teacher_close(&t);
	t = open_fading(90);
	digest(t, slow);
	assert_memory_not_equal(slow, quick, 32);
	assert_rebuilt(t, slow);
	/* Another base, of lessons that fade so. */
	trim(t, 100);
	assert_rebuilt(t, slow);
	assert_int_equal(teacher_lost(t), 0);
	teacher_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_trimmed_log_gives_the_same_bits),
		IN_FOLDER(what_was_trimmed_is_taken_back_in_part),
		IN_FOLDER(a_refused_lesson_can_be_given_anew),
		IN_FOLDER(no_checkpoint_knows_what_gave_way),
		IN_FOLDER(known_messages_outlast_trimming),
		IN_FOLDER(a_model_older_than_the_base_is_made_again),
		IN_FOLDER(a_lost_base_is_told),
		IN_FOLDER(an_unreadable_base_is_an_error),
		IN_FOLDER(nothing_is_trimmed_under_a_rebuild),
		IN_FOLDER(another_half_life_makes_the_model_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
