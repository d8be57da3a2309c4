#include "bayes/journal.h"

#include <stdlib.h>
#include <string.h>

#include "bayes/lesson.h"
#include "core/db.h"

enum {
	SCHEMA_VERSION = 1,
	HASH_MAX = 128,
	TEXT_MAX = 300,
	LESSON_MEMORY = 1 << 20
};

struct journal {
	struct db *db;
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

static void bind_text(struct sqlite3_stmt *st, int at, struct str v)
{
	db_bind_str(st, at, str_sub(v, 0, TEXT_MAX));
}

/* Opening */

struct journal *journal_open(const char *path, bool read_only, struct err *err)
{
	struct journal *j = calloc(1, sizeof(*j));
	if (!j) {
		err_set(err, "training log %s: out of memory", path);
		return NULL;
	}
	const struct db_options options = { .read_only = read_only, .schema = schema,
		.version = SCHEMA_VERSION };
	j->db = db_open(path, "training log", &options, err);
	if (!j->db)
		journal_close(&j);
	return j;
}

void journal_close(struct journal **journal)
{
	if (!*journal)
		return;
	db_close(&(*journal)->db);
	free(*journal);
	*journal = NULL;
}

/* Facts */

static int fact_get(
	struct journal *j, const char *name, void *value_r, size_t size, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT value FROM fact WHERE name = ?1");
	bind_text(st, 1, str_c(name));
	int rc = db_step(j->db, st, "read its facts", err);
	if (rc > 0 && db_blob(st, 0).n != size)
		rc = err_set(err, "training log: its %s is damaged", name);
	if (rc > 0)
		memcpy(value_r, db_blob(st, 0).p, size);
	db_end(st);
	return rc;
}

static int fact_set(
	struct journal *j, const char *name, const void *value, size_t size, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "INSERT INTO fact VALUES (?1, ?2)"
				      " ON CONFLICT DO UPDATE SET value = ?2");
	bind_text(st, 1, str_c(name));
	db_bind_blob(st, 2, str_from((const char *)value, size));
	return db_run(j->db, st, "write its facts", err);
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

enum stale { FRESH, STALE, BEING_MADE };

static int get_stale(struct journal *j, struct err *err)
{
	uint8_t stale = FRESH;
	return fact_get(j, "stale", &stale, 1, err) < 0 ? -1 : stale;
}

static int set_stale(struct journal *j, enum stale stale, struct err *err)
{
	uint8_t octet = (uint8_t)stale;
	return fact_set(j, "stale", &octet, 1, err);
}

int journal_is_stale(struct journal *j, struct err *err)
{
	int stale = get_stale(j, err);
	return stale < 0 ? -1 : stale != FRESH;
}

int journal_begin_fresh(struct journal *j, struct err *err)
{
	return set_stale(j, BEING_MADE, err);
}

int journal_set_fresh(struct journal *j, struct err *err)
{
	int stale = get_stale(j, err);
	return stale < 0 ? -1 : stale == BEING_MADE ? set_stale(j, FRESH, err) : 0;
}

/* Lessons */

/* What is known of the message: 1 with its id and label, 0, -1. */
static int find(struct journal *j, struct str hash, int64_t *id_r, bool *spam_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT id, spam FROM lesson WHERE hash = ?1 AND NOT undone");
	db_bind_blob(st, 1, hash);
	int rc = db_step(j->db, st, "look a message up", err);
	if (rc > 0) {
		*id_r = db_int(st, 0);
		*spam_r = db_int(st, 1);
	}
	db_end(st);
	return rc;
}

static int undo_one(struct journal *j, int64_t id, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "UPDATE lesson SET undone = 1 WHERE id = ?1");
	db_bind_int(st, 1, id);
	return db_run(j->db, st, "undo a lesson", err) < 0 ? -1 : set_stale(j, STALE, err);
}

static int insert(struct journal *j, const struct journal_entry *e, struct err *err)
{
	struct buf features = BUF_INIT;
	struct sqlite3_stmt *st =
		db_prepare(j->db, "INSERT INTO lesson (time, spam, hash, who, channel, tenant, features)"
			   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
	lesson_encode(&e->features, &features);
	db_bind_int(st, 1, e->time);
	db_bind_int(st, 2, e->spam);
	db_bind_blob(st, 3, e->hash);
	bind_text(st, 4, e->who);
	bind_text(st, 5, e->channel);
	bind_text(st, 6, e->tenant);
	db_bind_blob(st, 7, buf_str(&features));
	int rc = db_run(j->db, st, "write a lesson", err);
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
	*id_r = db_last_id(j->db);
	return 0;
}

int journal_add(struct journal *j, const struct journal_entry *e, int64_t *id_r,
	enum journal_change *change_r, struct err *err)
{
	if (e->hash.n == 0 || e->hash.n > HASH_MAX)
		return err_set(err, "training log: a lesson without its message's hash");
	if (db_exec(j->db, "BEGIN IMMEDIATE", "begin", err) < 0)
		return -1;
	int rc = add(j, e, id_r, change_r, err);
	if (rc == 0)
		rc = db_exec(j->db, "COMMIT", "commit", err);
	if (rc < 0)
		db_exec(j->db, "ROLLBACK", "roll back", NULL);
	return rc;
}

int journal_sync(struct journal *j, struct err *err)
{
	/* A checkpoint is when SQLite flushes the log to the disk, at synchronous=NORMAL. */
	return db_exec(j->db, "PRAGMA wal_checkpoint(PASSIVE)", "flush", err);
}

#define WHICH " NOT undone AND time >= ?1 AND (?2 = '' OR who = ?2)"

static void bind_which(struct sqlite3_stmt *st, const struct journal_which *which)
{
	db_bind_int(st, 1, which->since);
	bind_text(st, 2, which->who);
}

int journal_undo(
	struct journal *j, const struct journal_which *which, int64_t *count_r, struct err *err)
{
	if (db_exec(j->db, "BEGIN IMMEDIATE", "begin", err) < 0)
		return -1;
	struct sqlite3_stmt *st = db_prepare(j->db, "UPDATE lesson SET undone = 1 WHERE" WHICH);
	bind_which(st, which);
	int rc = db_run(j->db, st, "undo lessons", err);
	*count_r = rc < 0 ? 0 : db_changes(j->db);
	if (rc == 0 && *count_r > 0)
		rc = set_stale(j, STALE, err);
	if (rc == 0)
		rc = db_exec(j->db, "COMMIT", "commit", err);
	if (rc < 0)
		db_exec(j->db, "ROLLBACK", "roll back", NULL);
	return rc;
}

int journal_count(
	struct journal *j, const struct journal_which *which, int64_t *count_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT count(*) FROM lesson WHERE" WHICH);
	bind_which(st, which);
	int rc = db_step(j->db, st, "count lessons", err);
	*count_r = rc > 0 ? db_int(st, 0) : 0;
	db_end(st);
	return rc < 0 ? -1 : 0;
}

/* Replay */

static int give(struct sqlite3_stmt *st, struct arena *arena,
	int (*each)(void *context, const struct journal_entry *entry, struct err *err),
	void *context, struct err *err)
{
	struct journal_entry e = {
		.id = db_int(st, 0),
		.time = db_int(st, 1),
		.spam = db_int(st, 2),
		.hash = db_blob(st, 3),
		.who = db_blob(st, 4),
		.channel = db_blob(st, 5),
		.tenant = db_blob(st, 6),
	};
	if (lesson_decode(db_blob(st, 7), arena, &e.features) < 0)
		return err_set(err, "training log: lesson %lld is damaged", (long long)e.id);
	return each(context, &e, err);
}

int journal_replay(struct journal *j, int64_t after, int64_t limit,
	int (*each)(void *context, const struct journal_entry *entry, struct err *err),
	void *context, struct err *err)
{
	struct arena *arena = arena_new(LESSON_MEMORY);
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT id, time, spam, hash, who, channel, tenant, features"
				      " FROM lesson WHERE id > ?1 AND NOT undone ORDER BY id LIMIT ?2");
	db_bind_int(st, 1, after);
	db_bind_int(st, 2, limit);
	int rc;
	while ((rc = db_step(j->db, st, "read lessons", err)) > 0) {
		arena_reset(arena);
		rc = give(st, arena, each, context, err);
		if (rc < 0)
			break;
	}
	db_end(st);
	arena_free(&arena);
	return rc < 0 ? -1 : 0;
}
