#include "bayes/journal.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "bayes/lesson.h"
#include "core/arena.h"

enum {
	BUSY_MS = 2000,
	SCHEMA_VERSION = 1,
	HASH_MAX = 128,
	TEXT_MAX = 300,
	LESSON_MEMORY = 1 << 20
};

struct journal {
	sqlite3 *db;
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT "
	"ROWID;"
	"CREATE TABLE IF NOT EXISTS lesson ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, spam INTEGER NOT NULL,"
	" hash BLOB NOT NULL, who TEXT NOT NULL, channel TEXT NOT NULL, tenant TEXT NOT NULL,"
	" undone INTEGER NOT NULL DEFAULT 0, features BLOB NOT NULL);"
	"CREATE UNIQUE INDEX IF NOT EXISTS lesson_hash ON lesson (hash) WHERE NOT undone;"
	"CREATE INDEX IF NOT EXISTS lesson_who ON lesson (who, time);"
	"PRAGMA user_version = 1;";

/* SQLite in a few words */

static int failed(struct journal *j, const char *what, struct err *err)
{
	return err_set(err, "training log: cannot %s: %s", what, sqlite3_errmsg(j->db));
}

static int exec(struct journal *j, const char *sql, const char *what, struct err *err)
{
	if (sqlite3_exec(j->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(j, what, err);
	return 0;
}

static sqlite3_stmt *prepare(struct journal *j, const char *sql)
{
	sqlite3_stmt *st = NULL;
	/* NULL is taken by every call below as a failed statement. */
	sqlite3_prepare_v2(j->db, sql, -1, &st, NULL);
	return st;
}

static void bind_text(sqlite3_stmt *st, int at, struct str v)
{
	v = str_sub(v, 0, TEXT_MAX);
	sqlite3_bind_text64(st, at, v.n ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_blob(sqlite3_stmt *st, int at, const void *p, size_t n)
{
	sqlite3_bind_blob64(st, at, p ? p : "", n, SQLITE_STATIC);
}

static struct str column(sqlite3_stmt *st, int at)
{
	const char *p = sqlite3_column_blob(st, at);
	return str_from(p, p ? (size_t)sqlite3_column_bytes(st, at) : 0);
}

/* 1 a row, 0 none, -1; the statement is still to be finalized. */
static int step(struct journal *j, sqlite3_stmt *st, const char *what, struct err *err)
{
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : failed(j, what, err);
}

static int run(struct journal *j, sqlite3_stmt *st, const char *what, struct err *err)
{
	int rc = step(j, st, what, err);
	sqlite3_finalize(st);
	return rc < 0 ? -1 : 0;
}

/* Opening */

static int check_version(struct journal *j, const char *path, struct err *err)
{
	sqlite3_stmt *st = prepare(j, "PRAGMA user_version");
	int rc = step(j, st, "read its version", err);
	int version = rc > 0 ? sqlite3_column_int(st, 0) : 0;
	sqlite3_finalize(st);
	if (rc < 0)
		return -1;
	if (version > SCHEMA_VERSION)
		return err_set(err, "training log %s was made by a newer version", path);
	return 0;
}

static int set_up(struct journal *j, const char *path, bool read_only, struct err *err)
{
	int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	if (sqlite3_open_v2(path, &j->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return err_set(err, "training log %s: %s", path,
			j->db ? sqlite3_errmsg(j->db) : "out of memory");
	sqlite3_busy_timeout(j->db, BUSY_MS);
	if (check_version(j, path, err) < 0)
		return -1;
	if (read_only)
		return 0;
	if (exec(j, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;",
		    "set up the journal", err) < 0)
		return -1;
	return exec(j, schema, "make its tables", err);
}

struct journal *journal_open(const char *path, bool read_only, struct err *err)
{
	struct journal *j = calloc(1, sizeof(*j));
	if (!j) {
		err_set(err, "training log %s: out of memory", path);
		return NULL;
	}
	if (set_up(j, path, read_only, err) < 0)
		journal_close(&j);
	return j;
}

void journal_close(struct journal **journal)
{
	if (!*journal)
		return;
	sqlite3_close((*journal)->db);
	free(*journal);
	*journal = NULL;
}

/* Facts */

static int fact_get(
	struct journal *j, const char *name, void *value_r, size_t size, struct err *err)
{
	sqlite3_stmt *st = prepare(j, "SELECT value FROM fact WHERE name = ?1");
	bind_text(st, 1, str_c(name));
	int rc = step(j, st, "read its facts", err);
	if (rc > 0 && column(st, 0).n != size)
		rc = err_set(err, "training log: its %s is damaged", name);
	if (rc > 0)
		memcpy(value_r, column(st, 0).p, size);
	sqlite3_finalize(st);
	return rc;
}

static int fact_set(
	struct journal *j, const char *name, const void *value, size_t size, struct err *err)
{
	sqlite3_stmt *st = prepare(j, "INSERT INTO fact VALUES (?1, ?2)"
				      " ON CONFLICT DO UPDATE SET value = ?2");
	bind_text(st, 1, str_c(name));
	bind_blob(st, 2, value, size);
	return run(j, st, "write its facts", err);
}

int journal_salt(struct journal *j, uint8_t salt_r[16], struct err *err)
{
	return fact_get(j, "salt", salt_r, 16, err);
}

int journal_set_salt(struct journal *j, const uint8_t salt[16], struct err *err)
{
	uint8_t old[16];
	int rc = journal_salt(j, old, err);
	if (rc != 0)
		return rc < 0 ? -1 : err_set(err, "training log: it has a salt already");
	return fact_set(j, "salt", salt, 16, err);
}

int journal_is_stale(struct journal *j, struct err *err)
{
	uint8_t stale = 0;
	return fact_get(j, "stale", &stale, 1, err) < 0 ? -1 : stale;
}

static int set_stale(struct journal *j, uint8_t stale, struct err *err)
{
	return fact_set(j, "stale", &stale, 1, err);
}

int journal_set_fresh(struct journal *j, struct err *err)
{
	return set_stale(j, 0, err);
}

/* Lessons */

/* What is known of the message: 1 with its id and label, 0, -1. */
static int find(struct journal *j, struct str hash, int64_t *id_r, bool *spam_r, struct err *err)
{
	sqlite3_stmt *st = prepare(j, "SELECT id, spam FROM lesson WHERE hash = ?1 AND NOT undone");
	bind_blob(st, 1, hash.p, hash.n);
	int rc = step(j, st, "look a message up", err);
	if (rc > 0) {
		*id_r = sqlite3_column_int64(st, 0);
		*spam_r = sqlite3_column_int(st, 1);
	}
	sqlite3_finalize(st);
	return rc;
}

static int undo_one(struct journal *j, int64_t id, struct err *err)
{
	sqlite3_stmt *st = prepare(j, "UPDATE lesson SET undone = 1 WHERE id = ?1");
	sqlite3_bind_int64(st, 1, id);
	return run(j, st, "undo a lesson", err) < 0 ? -1 : set_stale(j, 1, err);
}

static int insert(struct journal *j, const struct journal_entry *e, struct err *err)
{
	struct buf features = BUF_INIT;
	sqlite3_stmt *st =
		prepare(j, "INSERT INTO lesson (time, spam, hash, who, channel, tenant, features)"
			   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
	lesson_encode(&e->features, &features);
	sqlite3_bind_int64(st, 1, e->time);
	sqlite3_bind_int(st, 2, e->spam);
	bind_blob(st, 3, e->hash.p, e->hash.n);
	bind_text(st, 4, e->who);
	bind_text(st, 5, e->channel);
	bind_text(st, 6, e->tenant);
	bind_blob(st, 7, features.p, features.n);
	int rc = run(j, st, "write a lesson", err);
	buf_free(&features);
	return rc;
}

static int add(struct journal *j, const struct journal_entry *e, int64_t *id_r,
	enum journal_change *change_r, struct err *err)
{
	int64_t id = 0;
	bool spam = false;
	int known = find(j, e->hash, &id, &spam, err);
	if (known < 0)
		return -1;
	*change_r = !known ? JOURNAL_NEW : spam == e->spam ? JOURNAL_KNOWN : JOURNAL_RELABELED;
	*id_r = id;
	if (*change_r == JOURNAL_KNOWN)
		return 0;
	if ((known && undo_one(j, id, err) < 0) || insert(j, e, err) < 0)
		return -1;
	*id_r = sqlite3_last_insert_rowid(j->db);
	return 0;
}

int journal_add(struct journal *j, const struct journal_entry *e, int64_t *id_r,
	enum journal_change *change_r, struct err *err)
{
	if (e->hash.n == 0 || e->hash.n > HASH_MAX)
		return err_set(err, "training log: a lesson without its message's hash");
	if (exec(j, "BEGIN IMMEDIATE", "begin", err) < 0)
		return -1;
	int rc = add(j, e, id_r, change_r, err);
	if (rc == 0)
		rc = exec(j, "COMMIT", "commit", err);
	if (rc < 0)
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int journal_sync(struct journal *j, struct err *err)
{
	/* A checkpoint is when SQLite flushes the log to the disk, at synchronous=NORMAL. */
	return exec(j, "PRAGMA wal_checkpoint(PASSIVE)", "flush", err);
}

#define WHICH " NOT undone AND time >= ?1 AND (?2 = '' OR who = ?2)"

static void bind_which(sqlite3_stmt *st, const struct journal_which *which)
{
	sqlite3_bind_int64(st, 1, which->since);
	bind_text(st, 2, which->who);
}

int journal_undo(
	struct journal *j, const struct journal_which *which, int64_t *count_r, struct err *err)
{
	if (exec(j, "BEGIN IMMEDIATE", "begin", err) < 0)
		return -1;
	sqlite3_stmt *st = prepare(j, "UPDATE lesson SET undone = 1 WHERE" WHICH);
	bind_which(st, which);
	int rc = run(j, st, "undo lessons", err);
	*count_r = rc < 0 ? 0 : sqlite3_changes(j->db);
	if (rc == 0 && *count_r > 0)
		rc = set_stale(j, 1, err);
	if (rc == 0)
		rc = exec(j, "COMMIT", "commit", err);
	if (rc < 0)
		sqlite3_exec(j->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int journal_count(
	struct journal *j, const struct journal_which *which, int64_t *count_r, struct err *err)
{
	sqlite3_stmt *st = prepare(j, "SELECT count(*) FROM lesson WHERE" WHICH);
	bind_which(st, which);
	int rc = step(j, st, "count lessons", err);
	*count_r = rc > 0 ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return rc < 0 ? -1 : 0;
}

/* Replay */

static int give(sqlite3_stmt *st, struct arena *arena,
	int (*each)(void *context, const struct journal_entry *entry, struct err *err),
	void *context, struct err *err)
{
	struct journal_entry e = {
		.id = sqlite3_column_int64(st, 0),
		.time = sqlite3_column_int64(st, 1),
		.spam = sqlite3_column_int(st, 2),
		.hash = column(st, 3),
		.who = column(st, 4),
		.channel = column(st, 5),
		.tenant = column(st, 6),
	};
	if (lesson_decode(column(st, 7), arena, &e.features) < 0)
		return err_set(err, "training log: lesson %lld is damaged", (long long)e.id);
	return each(context, &e, err);
}

int journal_replay(struct journal *j, int64_t after,
	int (*each)(void *context, const struct journal_entry *entry, struct err *err),
	void *context, struct err *err)
{
	struct arena *arena = arena_new(LESSON_MEMORY);
	sqlite3_stmt *st = prepare(j, "SELECT id, time, spam, hash, who, channel, tenant, features"
				      " FROM lesson WHERE id > ?1 AND NOT undone ORDER BY id");
	sqlite3_bind_int64(st, 1, after);
	int rc;
	while ((rc = step(j, st, "read lessons", err)) > 0) {
		arena_reset(arena);
		rc = give(st, arena, each, context, err);
		if (rc < 0)
			break;
	}
	sqlite3_finalize(st);
	arena_free(&arena);
	return rc < 0 ? -1 : 0;
}
