#include "bayes/journal.h"

#include <stdlib.h>
#include <string.h>

#include "bayes/lesson.h"
#include "core/db.h"
#include "core/hash.h"

enum {
	SCHEMA_VERSION = 3,
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
	"CREATE INDEX IF NOT EXISTS lesson_time ON lesson (time);"
	/* Apart from the lessons, whose features are long: this is read more often. */
	"CREATE TABLE IF NOT EXISTS trait ("
	" lesson INTEGER PRIMARY KEY, near INTEGER NOT NULL, counted INTEGER NOT NULL,"
	" refused INTEGER NOT NULL, trusted INTEGER NOT NULL, harm INTEGER NOT NULL,"
	" rank INTEGER NOT NULL, sender TEXT NOT NULL, sketch BLOB NOT NULL);"
	"CREATE INDEX IF NOT EXISTS trait_near ON trait (near) WHERE near;"
	"CREATE INDEX IF NOT EXISTS trait_rank ON trait (rank);"
	"CREATE INDEX IF NOT EXISTS trait_refused ON trait (lesson) WHERE refused;"
	"CREATE INDEX IF NOT EXISTS trait_sender ON trait (sender, lesson);"
	"CREATE INDEX IF NOT EXISTS lesson_undone ON lesson (hash) WHERE undone;"
	"CREATE INDEX IF NOT EXISTS lesson_tenant ON lesson (tenant, time);"
	"CREATE TABLE IF NOT EXISTS checkpoint (slot INTEGER PRIMARY KEY, position INTEGER NOT NULL,"
	" time INTEGER NOT NULL, digest BLOB NOT NULL);"
	"CREATE INDEX IF NOT EXISTS lesson_whole ON lesson (id) WHERE length(features) > 0;"
	"PRAGMA user_version = 3;";

/* In statements: lessons that have their features still, and where the base ends. */
#define WHOLE_LESSONS " lesson INDEXED BY lesson_whole"
#define IS_WHOLE      " length(features) > 0"
#define IS_BASE	      " slot >= 3"
#define BASE_END      " (SELECT coalesce(max(position), 0) FROM checkpoint WHERE" IS_BASE ")"
_Static_assert(JOURNAL_CHECKPOINTS == 3, "IS_BASE says so");

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

/* What is known of the message: 1 with its id and label, 0, -1. Of two rows, one by either hash, the
 * newer one counts. */
static int find(struct journal *j, const struct journal_entry *e, int64_t *id_r, bool *spam_r,
	struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT id, spam FROM lesson"
				      " WHERE hash IN (?1, ?2) AND NOT undone ORDER BY id DESC LIMIT 1");
	db_bind_blob(st, 1, e->hash);
	db_bind_blob(st, 2, e->octets);
	int rc = db_step(j->db, st, "look a message up", err);
	if (rc > 0) {
		*id_r = db_int(st, 0);
		*spam_r = db_int(st, 1);
	}
	db_end(st);
	return rc;
}

static int was_refused(struct journal *j, const struct journal_entry *e, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT 1 FROM lesson JOIN trait ON lesson = id"
				      " WHERE hash IN (?1, ?2) AND undone AND spam = ?3 AND refused");
	db_bind_blob(st, 1, e->hash);
	db_bind_blob(st, 2, e->octets);
	db_bind_int(st, 3, e->spam);
	int rc = db_step(j->db, st, "look a message up", err);
	db_end(st);
	return rc;
}

int journal_find(struct journal *j, const struct journal_entry *e, enum journal_change *change_r,
	struct err *err)
{
	int64_t id;
	bool label = false;
	int known = find(j, e, &id, &label, err);
	*change_r = !known ? JOURNAL_NEW : label == e->spam ? JOURNAL_KNOWN : JOURNAL_RELABELED;
	if (known < 0 || *change_r == JOURNAL_KNOWN)
		return known < 0 ? -1 : 0;
	int refused = was_refused(j, e, err);
	if (refused > 0)
		*change_r = JOURNAL_REFUSED;
	return refused < 0 ? -1 : 0;
}

/* Checkpoints that know this lesson. */
static int void_checkpoints(struct journal *j, int64_t id, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "DELETE FROM checkpoint WHERE position >= ?1 AND NOT" IS_BASE);
	db_bind_int(st, 1, id);
	return db_run(j->db, st, "void checkpoints", err);
}

/* Copies of what does not hold any more: the first of them takes its place. */
static int find_heirs(struct journal *j, struct err *err)
{
	return db_exec(j->db,
		"UPDATE trait SET near = heir FROM"
		" (SELECT t.near AS dead, min(t.lesson) AS heir FROM trait t JOIN lesson l ON l.id = t.lesson"
		"  WHERE t.near AND t.near IN (SELECT id FROM lesson WHERE undone) AND NOT l.undone"
		"  GROUP BY t.near) WHERE near AND near = dead;"
		"UPDATE trait SET near = 0, counted = 0 WHERE near AND near = lesson;",
		"undo a lesson", err);
}

static int undo_one(struct journal *j, int64_t id, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "UPDATE lesson SET undone = 1 WHERE id = ?1");
	db_bind_int(st, 1, id);
	if (db_run(j->db, st, "undo a lesson", err) < 0 || find_heirs(j, err) < 0 ||
		void_checkpoints(j, id, err) < 0)
		return -1;
	return set_stale(j, 1, err);
}

static int insert_trait(struct journal *j, const struct journal_entry *e, int64_t id, struct err *err)
{
	uint8_t salt[16] = {0};
	struct sqlite3_stmt *st = db_prepare(j->db, "INSERT INTO trait (lesson, near, counted, refused,"
				      " trusted, harm, rank, sender, sketch)"
				      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
	if (journal_salt(j, salt, err) < 0) {
		db_end(st);
		return -1;
	}
	db_bind_int(st, 1, id);
	db_bind_int(st, 2, e->near);
	db_bind_int(st, 3, e->is_counted);
	db_bind_int(st, 4, e->is_refused);
	db_bind_int(st, 5, e->is_trusted);
	db_bind_int(st, 6, e->harm);
	db_bind_int(st, 7, (int64_t)(hash_sip(salt, e->hash) >> 1));
	bind_text(st, 8, e->sender);
	db_bind_blob(st, 9, str_from((const char *)e->sketch.bins, sizeof(e->sketch.bins)));
	return db_run(j->db, st, "write a lesson", err);
}

static int insert(struct journal *j, const struct journal_entry *e, int64_t *id_r, struct err *err)
{
	struct buf features = BUF_INIT;
	struct sqlite3_stmt *st = db_prepare(j->db,
		"INSERT INTO lesson (time, spam, hash, who, channel, tenant, undone, features)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
	lesson_encode(&e->features, &features);
	db_bind_int(st, 1, e->time);
	db_bind_int(st, 2, e->spam);
	db_bind_blob(st, 3, e->hash);
	bind_text(st, 4, e->who);
	bind_text(st, 5, e->channel);
	bind_text(st, 6, e->tenant);
	db_bind_int(st, 7, e->is_refused);
	db_bind_blob(st, 8, buf_str(&features));
	int rc = db_run(j->db, st, "write a lesson", err);
	buf_free(&features);
	*id_r = db_last_id(j->db);
	return rc < 0 ? -1 : insert_trait(j, e, *id_r, err);
}

static int add(struct journal *j, const struct journal_entry *e, int64_t *id_r,
	enum journal_change *change_r, struct err *err)
{
	int64_t id = 0;
	bool spam = false;
	int known = find(j, e, &id, &spam, err);
	if (known < 0)
		return -1;
	*change_r = !known ? JOURNAL_NEW : spam == e->spam ? JOURNAL_KNOWN : JOURNAL_RELABELED;
	*id_r = id;
	if (*change_r == JOURNAL_KNOWN)
		return 0;
	if (e->is_refused)
		*change_r = JOURNAL_REFUSED;
	else if (known && undo_one(j, id, err) < 0)
		return -1;
	return insert(j, e, id_r, err);
}

/* Begins a transaction, and ends it as rc says. */
static int begin(struct journal *j, struct err *err)
{
	return db_exec(j->db, "BEGIN IMMEDIATE", "begin", err);
}

static int end(struct journal *j, int rc, struct err *err)
{
	if (rc >= 0 && db_exec(j->db, "COMMIT", "commit", err) < 0)
		rc = -1;
	if (rc < 0)
		db_exec(j->db, "ROLLBACK", "roll back", NULL);
	return rc;
}

int journal_add(struct journal *j, const struct journal_entry *e, int64_t *id_r,
	enum journal_change *change_r, struct err *err)
{
	if (e->hash.n == 0 || e->hash.n > HASH_MAX)
		return err_set(err, "training log: a lesson without its message's hash");
	if (begin(j, err) < 0)
		return -1;
	return end(j, add(j, e, id_r, change_r, err), err);
}

int journal_sync(struct journal *j, struct err *err)
{
	/* A checkpoint is when SQLite flushes the log to the disk, at synchronous=NORMAL. */
	return db_exec(j->db, "PRAGMA wal_checkpoint(PASSIVE)", "flush", err);
}

/* Most often the time tells most: "+" keeps SQLite from going by the id instead. */
#define WHICH " NOT undone AND time >= ?1 AND (?2 = '' OR who = ?2) AND +id > ?3"

static void bind_which(struct sqlite3_stmt *st, const struct journal_which *which)
{
	db_bind_int(st, 1, which->since);
	bind_text(st, 2, which->who);
	db_bind_int(st, 3, which->after);
}

/* One row with one number: 0 or -1. */
static int number(struct journal *j, struct sqlite3_stmt *st, int64_t *number_r, struct err *err)
{
	int rc = db_step(j->db, st, "count lessons", err);
	*number_r = rc > 0 ? db_int(st, 0) : 0;
	db_end(st);
	return rc < 0 ? -1 : 0;
}

static int which_number(struct journal *j, const char *sql, const struct journal_which *which,
	int64_t *number_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, sql);
	bind_which(st, which);
	return number(j, st, number_r, err);
}

static int undo(struct journal *j, const struct journal_which *which, struct journal_undone *undone,
	struct err *err)
{
	int64_t first;
	if (which_number(j, "SELECT min(id) FROM lesson WHERE" WHICH, which, &first, err) < 0 ||
		which_number(j, "SELECT count(*) FROM lesson WHERE" WHICH " AND id <=" BASE_END, which,
			&undone->trimmed, err) < 0)
		return -1;
	if (first == 0)
		return 0;
	struct sqlite3_stmt *st = db_prepare(j->db, "UPDATE lesson SET undone = 1 WHERE" WHICH);
	bind_which(st, which);
	if (db_run(j->db, st, "undo lessons", err) < 0)
		return -1;
	undone->count = db_changes(j->db);
	if (find_heirs(j, err) < 0 || void_checkpoints(j, first, err) < 0)
		return -1;
	return set_stale(j, 1, err);
}

int journal_undo(struct journal *j, const struct journal_which *which,
	struct journal_undone *undone_r, struct err *err)
{
	*undone_r = (struct journal_undone){0};
	if (begin(j, err) < 0)
		return -1;
	return end(j, undo(j, which, undone_r, err), err);
}

/* Checkpoints */

static int read_checkpoint(
	struct journal *j, struct sqlite3_stmt *st, struct journal_checkpoint *c, struct err *err)
{
	int rc = db_step(j->db, st, "read its checkpoints", err);
	if (rc > 0) {
		*c = (struct journal_checkpoint){db_int(st, 0), db_int(st, 1), db_int(st, 2), {0}};
		if (c->slot < 0 || c->slot >= JOURNAL_CHECKPOINTS + JOURNAL_BASES ||
			db_blob(st, 3).n != sizeof(c->digest))
			rc = err_set(err, "training log: a checkpoint is damaged");
		else
			memcpy(c->digest, db_blob(st, 3).p, sizeof(c->digest));
	}
	db_end(st);
	return rc;
}

int journal_checkpoint(
	struct journal *j, int64_t nth, struct journal_checkpoint *c, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT slot, position, time, digest FROM checkpoint"
				      " WHERE NOT" IS_BASE " ORDER BY position DESC, slot LIMIT 1 OFFSET ?1");
	db_bind_int(st, 1, nth);
	return read_checkpoint(j, st, c, err);
}

int journal_add_checkpoint(struct journal *j, const struct journal_checkpoint *c, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "INSERT OR REPLACE INTO checkpoint (slot, position, time, digest)"
				      " VALUES (?1, ?2, ?3, ?4)");
	db_bind_int(st, 1, c->slot);
	db_bind_int(st, 2, c->position);
	db_bind_int(st, 3, c->time);
	db_bind_blob(st, 4, str_from((const char *)c->digest, sizeof(c->digest)));
	return db_run(j->db, st, "write a checkpoint", err);
}

int journal_drop_checkpoint(struct journal *j, int64_t slot, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "DELETE FROM checkpoint WHERE slot = ?1");
	db_bind_int(st, 1, slot);
	return db_run(j->db, st, "drop a checkpoint", err);
}

int journal_count(
	struct journal *j, const struct journal_which *which, int64_t *count_r, struct err *err)
{
	return which_number(j, "SELECT count(*) FROM lesson WHERE" WHICH, which, count_r, err);
}

/* The base */

int journal_base(struct journal *j, struct journal_checkpoint *c, struct err *err)
{
	*c = (struct journal_checkpoint){.position = 0};
	return read_checkpoint(j,
		db_prepare(j->db, "SELECT slot, position, time, digest FROM checkpoint WHERE" IS_BASE), c, err);
}

int journal_count_whole(struct journal *j, int64_t *count_r, struct err *err)
{
	return number(j, db_prepare(j->db, "SELECT count(*) FROM" WHOLE_LESSONS " WHERE" IS_WHOLE " AND id >" BASE_END),
		count_r, err);
}

int journal_find_old(struct journal *j, int64_t most, int64_t *position_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT id FROM" WHOLE_LESSONS " WHERE" IS_WHOLE
				      " ORDER BY id DESC LIMIT 1 OFFSET ?1");
	db_bind_int(st, 1, most);
	return number(j, st, position_r, err);
}

#define KNOWN_OF(label) \
	"SELECT id FROM (SELECT id FROM" WHOLE_LESSONS " JOIN trait ON lesson = id WHERE" IS_WHOLE \
	" AND id <= ?1 AND NOT undone AND NOT near AND spam = " label " ORDER BY rank LIMIT ?2)"

static int drop_features(struct journal *j, int64_t position, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "UPDATE" WHOLE_LESSONS " SET features = x'' WHERE" IS_WHOLE
				      " AND id <= ?1 AND id NOT IN (" KNOWN_OF("0") " UNION ALL " KNOWN_OF("1") ")");
	db_bind_int(st, 1, position);
	db_bind_int(st, 2, JOURNAL_KNOWN_KEPT);
	if (db_run(j->db, st, "trim itself", err) < 0)
		return -1;
	st = db_prepare(j->db, "UPDATE trait SET refused = 0 WHERE refused AND lesson <= ?1");
	db_bind_int(st, 1, position);
	return db_run(j->db, st, "trim itself", err);
}

static int drop_base(struct journal *j, int64_t position, struct err *err)
{
	struct sqlite3_stmt *st =
		db_prepare(j->db, "DELETE FROM checkpoint WHERE" IS_BASE " OR position < ?1");
	db_bind_int(st, 1, position);
	return db_run(j->db, st, "drop its base", err);
}

static int trim(struct journal *j, const struct journal_checkpoint *base, struct err *err)
{
	if (begin(j, err) < 0)
		return -1;
	if (drop_base(j, base->position, err) < 0 || journal_add_checkpoint(j, base, err) < 0)
		return end(j, -1, err);
	return end(j, drop_features(j, base->position, err), err);
}

int journal_trim(struct journal *j, const struct journal_checkpoint *base, struct err *err)
{
	if (db_exec(j->db, "PRAGMA synchronous=FULL", "trim itself", err) < 0)
		return -1;
	int rc = trim(j, base, err);
	db_exec(j->db, "PRAGMA synchronous=NORMAL", "trim itself", NULL);
	return rc;
}

static int lose_base(struct journal *j, int64_t *count_r, struct err *err)
{
	if (drop_base(j, 0, err) < 0 ||
		db_exec(j->db, "UPDATE lesson SET undone = 1 WHERE NOT undone AND NOT" IS_WHOLE,
			"give lessons up", err) < 0)
		return -1;
	*count_r = db_changes(j->db);
	return find_heirs(j, err) < 0 ? -1 : set_stale(j, 1, err);
}

int journal_lose_base(struct journal *j, int64_t *count_r, struct err *err)
{
	*count_r = 0;
	if (begin(j, err) < 0)
		return -1;
	return end(j, lose_base(j, count_r, err), err);
}

int journal_count_trimmed(struct journal *j, int64_t *count_r, struct err *err)
{
	return number(j, db_prepare(j->db, "SELECT count(*) FROM lesson WHERE NOT undone AND id <=" BASE_END),
		count_r, err);
}

/* For the guards */

int journal_given(
	struct journal *j, const struct journal_given *given, int64_t *count_r, struct err *err)
{
	/* Each its own statement: they use indexes of their own. */
	const char *sql = given->sender.n
		? "SELECT count(*) FROM trait JOIN lesson ON id = lesson WHERE sender = ?2"
		  " AND lesson > coalesce((SELECT id FROM lesson WHERE time < ?1 ORDER BY time DESC,"
		  " id DESC LIMIT 1), 0)"
		: given->tenant.n
		? "SELECT count(*) FROM lesson WHERE tenant = ?2 AND time >= ?1"
		: given->only == JOURNAL_HARMFUL
		? "SELECT count(*) FROM lesson JOIN trait ON id = lesson WHERE who = ?2 AND time >= ?1"
		  " AND refused"
		: "SELECT count(*) FROM lesson WHERE who = ?2 AND time >= ?1 AND spam <= ?3";
	struct sqlite3_stmt *st = db_prepare(j->db, sql);
	db_bind_int(st, 1, given->since);
	bind_text(st, 2, given->sender.n ? given->sender : given->tenant.n ? given->tenant : given->who);
	db_bind_int(st, 3, given->only != JOURNAL_HAM);
	return number(j, st, count_r, err);
}

int journal_count_refused(struct journal *j, int64_t *count_r, struct err *err)
{
	return number(j, db_prepare(j->db, "SELECT count(*) FROM trait WHERE refused"), count_r, err);
}

int journal_copies(struct journal *j, int64_t of, int64_t *count_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT count(*) FROM trait JOIN lesson ON id = lesson"
				      " WHERE near AND near = ?1 AND NOT undone");
	db_bind_int(st, 1, of);
	return number(j, st, count_r, err);
}

int journal_harm(
	struct journal *j, struct str who, int64_t *harm_r, int64_t *time_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT harm, time FROM lesson JOIN trait ON lesson = id"
				      " WHERE who = ?1 AND NOT undone ORDER BY time DESC, id DESC LIMIT 1");
	bind_text(st, 1, who);
	int rc = db_step(j->db, st, "look a giver up", err);
	*harm_r = rc > 0 ? db_int(st, 0) : 0;
	*time_r = rc > 0 ? db_int(st, 1) : 0;
	db_end(st);
	return rc < 0 ? -1 : 0;
}

int journal_load_near(struct journal *j, struct near *near, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db,
		"SELECT id, spam, sketch FROM (SELECT id, spam, sketch FROM trait CROSS JOIN lesson ON id = lesson"
		" WHERE NOT near AND NOT undone ORDER BY lesson DESC LIMIT ?1) ORDER BY id");
	int rc;
	db_bind_int(st, 1, NEAR_KEPT);
	while ((rc = db_step(j->db, st, "read sketches", err)) > 0) {
		struct near_sketch sketch;
		if (db_blob(st, 2).n != sizeof(sketch.bins))
			continue;
		memcpy(sketch.bins, db_blob(st, 2).p, sizeof(sketch.bins));
		near_add(near, &sketch, db_int(st, 1), db_int(st, 0));
	}
	db_end(st);
	return rc;
}

int journal_accept(struct journal *j, int64_t id, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "UPDATE trait SET refused = 0 WHERE lesson = ?1 AND refused");
	if (begin(j, err) < 0)
		return -1;
	db_bind_int(st, 1, id);
	int rc = db_run(j->db, st, "accept a lesson", err);
	if (rc == 0 && db_changes(j->db) == 0)
		return end(j, 0, err);
	/* Another lesson about the same message gives way; one that came before is in more checkpoints. */
	st = db_prepare(j->db, "DELETE FROM checkpoint WHERE NOT" IS_BASE " AND position >= (SELECT id FROM lesson"
			" WHERE NOT undone AND hash = (SELECT hash FROM lesson WHERE id = ?1))");
	db_bind_int(st, 1, id);
	if (rc < 0 || db_run(j->db, st, "void checkpoints", err) < 0)
		return end(j, -1, err);
	st = db_prepare(j->db, "UPDATE lesson SET undone = 1 WHERE NOT undone"
			" AND hash = (SELECT hash FROM lesson WHERE id = ?1)");
	db_bind_int(st, 1, id);
	if (db_run(j->db, st, "accept a lesson", err) < 0)
		return end(j, -1, err);
	st = db_prepare(j->db, "UPDATE lesson SET undone = 0 WHERE id = ?1");
	db_bind_int(st, 1, id);
	if (db_run(j->db, st, "accept a lesson", err) < 0 || find_heirs(j, err) < 0 ||
		void_checkpoints(j, id, err) < 0)
		return end(j, -1, err);
	return end(j, set_stale(j, 1, err) < 0 ? -1 : 1, err);
}

/* Replay */

#define ENTRY "id, time, spam, hash, who, channel, tenant, coalesce(counted, 0)"
#define TRAITS " FROM lesson LEFT JOIN trait ON lesson = id"

static int give(struct sqlite3_stmt *st, struct arena *arena, journal_each *each, void *context,
	struct err *err)
{
	struct journal_entry e = {
		.id = db_int(st, 0),
		.time = db_int(st, 1),
		.spam = db_int(st, 2),
		.hash = db_blob(st, 3),
		.who = db_blob(st, 4),
		.channel = db_blob(st, 5),
		.tenant = db_blob(st, 6),
		.is_counted = db_int(st, 7),
	};
	struct str features = db_blob(st, 8);
	if (features.n && lesson_decode(features, arena, &e.features) < 0)
		return err_set(err, "training log: lesson %lld is damaged", (long long)e.id);
	return each(context, &e, err);
}

/* Gives every row, and ends the statement. */
static int give_all(struct journal *j, struct sqlite3_stmt *st, journal_each *each, void *context,
	struct err *err)
{
	struct arena *arena = arena_new(LESSON_MEMORY);
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

int journal_replay(struct journal *j, const struct journal_span *span, journal_each *each,
	void *context, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT " ENTRY ", features" TRAITS
				      " WHERE id > ?1 AND id <= ?2 AND id >" BASE_END
				      " AND NOT undone AND" IS_WHOLE " ORDER BY id LIMIT ?3");
	db_bind_int(st, 1, span->after);
	db_bind_int(st, 2, span->to ? span->to : INT64_MAX);
	db_bind_int(st, 3, span->most ? span->most : -1);
	return give_all(j, st, each, context, err);
}

int journal_known(struct journal *j, const struct journal_known *which, journal_each *each,
	void *context, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT " ENTRY ", features FROM trait CROSS JOIN lesson"
				      " ON id = lesson WHERE NOT undone AND NOT near AND" IS_WHOLE " AND spam = ?1"
				      " AND (trusted OR time < ?2) ORDER BY rank LIMIT ?3");
	db_bind_int(st, 1, which->spam);
	db_bind_int(st, 2, which->before);
	db_bind_int(st, 3, which->most);
	return give_all(j, st, each, context, err);
}

int journal_refused(
	struct journal *j, int64_t most, journal_each *each, void *context, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(j->db, "SELECT " ENTRY ", ''" TRAITS
				      " WHERE refused ORDER BY lesson DESC LIMIT ?1");
	db_bind_int(st, 1, most);
	return give_all(j, st, each, context, err);
}
