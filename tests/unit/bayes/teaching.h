/* A folder with a teacher in it, and made-up lessons for him. */
#ifndef TESTS_UNIT_BAYES_TEACHING_H
#define TESTS_UNIT_BAYES_TEACHING_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bayes/table.h"
#include "bayes/teacher.h"
#include "core/db.h"
#include "tests/unit/bayes/lessons.h"

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

static char folder[40];

static inline int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/gatepost-teacher-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static inline void drop(const char *name)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
}

static inline int drop_folder(void **state)
{
	drop("model");
	drop("log.db");
	drop("log.db-wal");
	drop("log.db-shm");
	drop("checkpoint.0");
	drop("checkpoint.1");
	drop("checkpoint.2");
	drop("base.0");
	drop("base.1");
	return rmdir(folder);
}

static inline struct teacher *open_fading(int64_t half_life)
{
	struct err err;
	struct teacher *t = teacher_open(folder, half_life, &err);
	if (!t)
		fail_msg("%s", err.text);
	return t;
}

static inline struct teacher *open_it(void)
{
	return open_fading(TABLE_HALF_LIFE);
}

static inline enum journal_change teach(struct teacher *t, uint64_t number, bool spam, const char *who)
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

static inline void digest(struct teacher *t, uint8_t digest_r[32])
{
	model_digest(teacher_model(t), digest_r);
}

/* Runs a statement of the log's file, as nobody else does, and gives its number. */
static inline int64_t ask_log(const char *sql)
{
	char path[100];
	struct err err;
	const struct db_options options = {.schema = "", .version = 99};
	snprintf(path, sizeof(path), "%s/log.db", folder);
	struct db *db = db_open(path, "log", &options, &err);
	assert_non_null(db);
	struct sqlite3_stmt *st = db_prepare(db, sql);
	int rc = db_step(db, st, "ask", &err);
	int64_t number = rc > 0 ? db_int(st, 0) : 0;
	db_end(st);
	db_close(&db);
	assert_true(rc >= 0);
	return number;
}

static inline int finish(struct teacher *t)
{
	struct err err;
	int rc;
	while ((rc = teacher_step_rebuild(t, &err)) > 0)
		continue;
	return rc;
}

/* Made again from the log, the model has these bits. */
static inline void assert_rebuilt(struct teacher *t, const uint8_t expected[32])
{
	uint8_t rebuilt[32];
	struct err err;
	if (teacher_rebuild(t, &err) < 0)
		fail_msg("%s", err.text);
	digest(t, rebuilt);
	assert_memory_equal(expected, rebuilt, 32);
}

static inline void damage(const char *name, off_t at)
{
	char path[100], octet;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &octet, 1, at), 1);
	octet ^= 1;
	assert_int_equal(pwrite(fd, &octet, 1, at), 1);
	close(fd);
}

#endif
