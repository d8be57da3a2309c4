#include "quarantine/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/db.h"
#include "quarantine/body.h"

enum { SCHEMA_VERSION = 1 };

struct store {
	struct db *db;
	int folder; /* DIR/quarantine */
	int lock;
	bool read_only, in_transaction;
	/* Somebody was told that his rows wait for the flush, and they are gone. */
	bool is_broken;
	char synced_day[16]; /* the folder whose name is known to be on the disk */
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS entry ("
	" id TEXT PRIMARY KEY, time INTEGER NOT NULL, pending INTEGER NOT NULL, sender TEXT NOT NULL,"
	" author TEXT NOT NULL, subject TEXT NOT NULL, size INTEGER NOT NULL, label TEXT NOT NULL DEFAULT '',"
	" entry TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS entry_time ON entry (time DESC, id DESC);"
	"CREATE INDEX IF NOT EXISTS entry_pending ON entry (id) WHERE pending;"
	"CREATE TABLE IF NOT EXISTS recipient ("
	" id TEXT NOT NULL REFERENCES entry (id) ON DELETE CASCADE, address TEXT NOT NULL COLLATE NOCASE,"
	" state TEXT NOT NULL DEFAULT 'held', who TEXT NOT NULL DEFAULT '', time INTEGER NOT NULL,"
	" job INTEGER, PRIMARY KEY (id, address)) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS recipient_address ON recipient (address, id);"
	"CREATE TABLE IF NOT EXISTS job ("
	" job INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open',"
	" due INTEGER NOT NULL DEFAULT 0);"
	"PRAGMA user_version = 1;";

static enum store_result failed(struct store *s, const char *what, struct err *err)
{
	db_failed(s->db, what, err);
	return db_is_full(s->db) ? STORE_NO_SPACE : STORE_IO_ERROR;
}

static enum store_result exec(struct store *s, const char *sql, const char *what, struct err *err)
{
	return db_exec(s->db, sql, what, err) < 0 ? failed(s, what, err) : STORE_OK;
}

/* Runs a statement that returns no rows. */
static enum store_result run(struct store *s, struct sqlite3_stmt *st, const char *what,
	struct err *err)
{
	int rc = db_step(s->db, st, what, err);
	enum store_result result = rc < 0 ? failed(s, what, err) : STORE_OK;
	db_end(st);
	return result;
}

static enum store_result broken(struct err *err)
{
	err_set(err, "quarantine index: the transaction that this was part of was rolled back");
	return STORE_IO_ERROR;
}

/* Upon a full disk and the like SQLite rolls back all that waits for the flush, not one statement. */
static bool is_lost(struct store *s)
{
	if (s->in_transaction && !db_in_transaction(s->db)) {
		s->in_transaction = false;
		s->is_broken = true;
	}
	return s->is_broken;
}

static enum store_result begin(struct store *s, struct err *err)
{
	/* Nothing more is taken before those who wait have been told. */
	if (is_lost(s))
		return broken(err);
	if (s->in_transaction)
		return STORE_OK;
	enum store_result result = exec(s, "BEGIN IMMEDIATE", "begin", err);
	s->in_transaction = result == STORE_OK;
	return result;
}

/* Makes durable what waits; those who wait are told by store_flush(), maybe later. */
static enum store_result commit(struct store *s, struct err *err)
{
	if (is_lost(s))
		return broken(err);
	if (!s->in_transaction)
		return STORE_OK;
	enum store_result result = exec(s, "COMMIT", "commit", err);
	if (result != STORE_OK) {
		db_exec(s->db, "ROLLBACK", "roll back", NULL);
		s->is_broken = true;
	}
	s->in_transaction = false;
	return result;
}

enum store_result store_flush(struct store *s, struct err *err)
{
	enum store_result result = commit(s, err);
	s->is_broken = false;
	return result;
}

/* Opening */

static int open_folder(struct store *s, const char *state_dir, struct err *err)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/quarantine", state_dir);
	if (!s->read_only && mkdir(path, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "%s: cannot be made", path);
	s->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0)
		return err_sys(err, "%s: cannot be opened", path);
	if (s->read_only)
		return 0;
	s->lock = openat(s->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return err_sys(err, "%s/lock: cannot be made", path);
	if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, "%s is in use by another gateway", path);
	return 0;
}

static int open_index(struct store *s, const char *state_dir, struct err *err)
{
	char path[4096];
	const struct db_options options = { .read_only = s->read_only, .is_durable = true,
		.schema = schema, .version = SCHEMA_VERSION };
	snprintf(path, sizeof(path), "%s/quarantine.db", state_dir);
	s->db = db_open(path, "quarantine index", &options, err);
	return s->db ? 0 : -1;
}

struct store *store_open(const char *state_dir, bool read_only, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	assert(s);
	s->read_only = read_only;
	s->folder = s->lock = -1;
	if (open_folder(s, state_dir, err) < 0 || open_index(s, state_dir, err) < 0)
		store_close(&s);
	return s;
}

void store_close(struct store **store)
{
	struct store *s = *store;
	if (!s)
		return;
	store_flush(s, NULL);
	db_close(&s->db);
	if (s->folder >= 0)
		close(s->folder);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
	*store = NULL;
}

int store_recover(struct store *s, int64_t due, struct err *err)
{
	if (exec(s, "UPDATE entry SET pending = 0 WHERE pending", "recover pending entries", err) != STORE_OK)
		return -1;
	int count = db_changes(s->db);
	struct sqlite3_stmt *st = db_prepare(s->db, "UPDATE job SET state = 'open', due = ?1 WHERE state = 'taken'");
	db_bind_int(st, 1, due);
	return run(s, st, "open jobs again", err) == STORE_OK ? count : -1;
}

/* Bodies */

static bool id_is_good(struct str id)
{
	if (id.n == 0 || id.n > STORE_ID_MAX || id.p[0] == '.')
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!char_is_alnum(id.p[i]) && id.p[i] != '.' && id.p[i] != '-')
			return false;
	return true;
}

struct place {
	char day[16], name[STORE_ID_MAX + 8];
};

static struct place place_of(struct str id, int64_t when)
{
	struct place place;
	time_t t = (time_t)when;
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(place.day, sizeof(place.day), "%Y%m%d", &tm);
	snprintf(place.name, sizeof(place.name), "%.*s.gpq", (int)id.n, id.p);
	return place;
}

static int open_day(struct store *s, const struct place *place)
{
	return openat(s->folder, place->day, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Who made the folder may have died before its name was on the disk: so once by each keeper. */
static int make_day(struct store *s, const struct place *place)
{
	if (strcmp(s->synced_day, place->day) != 0) {
		if (mkdirat(s->folder, place->day, 0700) < 0 && errno != EEXIST)
			return -1;
		if (fsync(s->folder) < 0)
			return -1;
		memcpy(s->synced_day, place->day, sizeof(s->synced_day));
	}
	int day = open_day(s, place);
	if (day < 0)
		s->synced_day[0] = '\0'; /* taken away: made again next time */
	return day;
}

static enum store_result put_body(struct store *s, const struct quarantine_entry *entry,
	struct str message, struct err *err)
{
	struct place place = place_of(entry->id, entry->time);
	int day = make_day(s, &place), rc = -1;
	if (day < 0)
		err_sys(err, "quarantine: cannot make folder %s", place.day);
	else
		rc = body_write(day, place.name, message, err);
	int saved = errno;
	if (day >= 0)
		close(day);
	if (rc == 0)
		return STORE_OK;
	return saved == ENOSPC || saved == EDQUOT ? STORE_NO_SPACE : STORE_IO_ERROR;
}

/* After the index has forgotten it: an orphaned file is harmless, an entry without its file is not. */
static void remove_body(struct store *s, struct str id, int64_t when)
{
	struct place place = place_of(id, when);
	int day = open_day(s, &place);
	if (day < 0)
		return;
	unlinkat(day, place.name, 0);
	close(day);
}

/* Entries */

static enum store_result insert_recipients(struct store *s, const struct quarantine_entry *entry,
	struct err *err)
{
	enum store_result result = STORE_OK;
	for (size_t i = 0; i < entry->rcpt_to.n && result == STORE_OK; i++) {
		struct sqlite3_stmt *st = db_prepare(s->db, "INSERT OR IGNORE INTO recipient (id, address, time)"
					      " VALUES (?1, ?2, ?3)");
		db_bind_str(st, 1, entry->id);
		db_bind_str(st, 2, entry->rcpt_to.v[i]);
		db_bind_int(st, 3, entry->time);
		result = run(s, st, "add a recipient", err);
	}
	return result;
}

static enum store_result insert_entry(struct store *s, const struct quarantine_entry *entry,
	struct err *err)
{
	struct buf json = BUF_INIT;
	record_to_json(&quarantine_entry_record, entry, &json);
	struct sqlite3_stmt *st = db_prepare(s->db, "INSERT OR REPLACE INTO entry (id, time, pending, sender, author,"
				      " subject, size, entry) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
	db_bind_str(st, 1, entry->id);
	db_bind_int(st, 2, entry->time);
	db_bind_int(st, 3, entry->pending);
	db_bind_str(st, 4, entry->mail_from);
	db_bind_str(st, 5, entry->from);
	db_bind_str(st, 6, entry->subject);
	db_bind_int(st, 7, entry->size);
	db_bind_str(st, 8, buf_str(&json));
	enum store_result result = run(s, st, "add an entry", err);
	buf_free(&json);
	return result == STORE_OK ? insert_recipients(s, entry, err) : result;
}

/* Whole or not at all, whatever becomes of those that wait for the same flush. */
static enum store_result insert_whole(struct store *s, const struct quarantine_entry *entry,
	struct err *err)
{
	enum store_result result = begin(s, err);
	if (result == STORE_OK)
		result = exec(s, "SAVEPOINT put", "begin an entry", err);
	if (result != STORE_OK)
		return result;
	result = insert_entry(s, entry, err);
	if (is_lost(s))
		return result == STORE_OK ? broken(err) : result;
	if (result != STORE_OK)
		db_exec(s->db, "ROLLBACK TO put", "roll back", NULL);
	if (db_exec(s->db, "RELEASE put", "keep an entry", NULL) < 0 && result == STORE_OK)
		result = failed(s, "end an entry", err);
	return result;
}

enum store_result store_put(struct store *s, const struct quarantine_entry *entry, struct str message,
	struct err *err)
{
	if (!id_is_good(entry->id)) {
		err_set(err, "quarantine: \"%.*s\" is no id", STR_ARG(entry->id));
		return STORE_REFUSED;
	}
	enum store_result result = put_body(s, entry, message, err);
	if (result == STORE_OK)
		result = insert_whole(s, entry, err);
	if (result != STORE_OK)
		remove_body(s, entry->id, entry->time);
	return result;
}

enum store_result store_commit(struct store *s, struct str id, struct err *err)
{
	if (begin(s, err) != STORE_OK)
		return STORE_IO_ERROR;
	struct sqlite3_stmt *st = db_prepare(s->db, "UPDATE entry SET pending = 0 WHERE id = ?1 AND pending");
	db_bind_str(st, 1, id);
	return run(s, st, "commit an entry", err);
}

/* 1 with the entry's time, 0 if there is none, -1. */
static int entry_time(struct store *s, struct str id, bool untouched_only, int64_t *time_r)
{
	struct sqlite3_stmt *st = db_prepare(s->db, untouched_only ?
		"SELECT time FROM entry WHERE id = ?1 AND label = '' AND NOT EXISTS"
		" (SELECT 1 FROM recipient r WHERE r.id = entry.id AND r.state <> 'held')" :
		"SELECT time FROM entry WHERE id = ?1");
	db_bind_str(st, 1, id);
	int rc = db_step(s->db, st, "look an entry up", NULL);
	if (rc > 0)
		*time_r = db_int(st, 0);
	db_end(st);
	return rc;
}

static enum store_result forget(struct store *s, struct str id, bool untouched_only, struct err *err)
{
	int64_t when;
	int found = id_is_good(id) ? entry_time(s, id, untouched_only, &when) : 0;
	if (found <= 0)
		return found == 0 ? STORE_NOT_FOUND : failed(s, "look an entry up", err);
	enum store_result result = begin(s, err);
	if (result != STORE_OK)
		return result;
	struct sqlite3_stmt *st = db_prepare(s->db, "DELETE FROM entry WHERE id = ?1");
	db_bind_str(st, 1, id);
	result = run(s, st, "delete an entry", err);
	if (result == STORE_OK)
		result = commit(s, err);
	if (result == STORE_OK)
		remove_body(s, id, when);
	return result;
}

enum store_result store_drop(struct store *s, struct str id, struct err *err)
{
	enum store_result result = forget(s, id, true, err);
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

enum store_result store_delete(struct store *s, struct str id, struct err *err)
{
	enum store_result result = forget(s, id, false, err);
	if (result == STORE_NOT_FOUND)
		err_set(err, "there is no entry \"%.*s\"", STR_ARG(id));
	return result;
}

enum store_result store_label(struct store *s, struct str id, struct str label, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(s->db, "UPDATE entry SET label = ?2 WHERE id = ?1");
	db_bind_str(st, 1, id);
	db_bind_str(st, 2, label);
	enum store_result result = run(s, st, "label an entry", err);
	return result == STORE_OK && db_changes(s->db) == 0 ? STORE_NOT_FOUND : result;
}

enum store_result store_read(struct store *s, struct str id, struct buf *out, struct err *err)
{
	int64_t when;
	int found = id_is_good(id) ? entry_time(s, id, false, &when) : 0;
	if (found < 0)
		return failed(s, "look an entry up", err);
	if (found == 0) {
		err_set(err, "there is no entry \"%.*s\"", STR_ARG(id));
		return STORE_NOT_FOUND;
	}
	struct place place = place_of(id, when);
	int day = open_day(s, &place);
	if (day < 0) {
		err_sys(err, "quarantine: cannot open folder %s", place.day);
		return STORE_IO_ERROR;
	}
	int rc = body_read(day, place.name, out, err);
	close(day);
	return rc < 0 ? STORE_IO_ERROR : STORE_OK;
}

/* Looking */

static const struct field recipient_fields[] = {
	FIELD_STR(struct store_recipient, address), FIELD_STR(struct store_recipient, state),
	FIELD_STR(struct store_recipient, who),	    FIELD_INT(struct store_recipient, time),
	FIELD_END,
};
static const struct record recipient_record =
	RECORD("recipient", struct store_recipient, recipient_fields);
static const struct field found_fields[] = {
	FIELD_STR(struct store_found, state),
	FIELD_STR(struct store_found, label),
	FIELD_RECORDS(struct store_found, recipients, &recipient_record),
	FIELD_RECORD(struct store_found, entry, &quarantine_entry_record),
	FIELD_END,
};
const struct record store_found_record = RECORD("entry", struct store_found, found_fields);

static int load_recipients(struct store *s, struct arena *arena, struct store_found *found)
{
	struct sqlite3_stmt *st = db_prepare(s->db, "SELECT address, state, who, time FROM recipient WHERE id = ?1"
				      " ORDER BY address");
	int rc;
	db_bind_str(st, 1, found->entry.id);
	found->recipients.v = ARENA_ARRAY(arena, found->entry.rcpt_to.n, struct store_recipient);
	bool all_released = found->entry.rcpt_to.n > 0;
	while ((rc = db_step(s->db, st, "read recipients", NULL)) > 0 &&
		found->recipients.n < found->entry.rcpt_to.n) {
		struct store_recipient *r = &found->recipients.v[found->recipients.n++];
		r->address = db_text(st, 0, arena);
		r->state = db_text(st, 1, arena);
		r->who = db_text(st, 2, arena);
		r->time = db_int(st, 3);
		all_released = all_released && str_eq_c(r->state, "released");
	}
	db_end(st);
	found->state = str_c(found->entry.pending ? "pending" : all_released ? "released" : "held");
	return rc == 0 ? 0 : -1;
}

/* Columns: pending, label, entry. */
static int load_found(struct store *s, struct sqlite3_stmt *st, struct arena *arena,
	struct store_found *found_r, struct err *err)
{
	*found_r = (struct store_found){ .label = db_text(st, 1, arena) };
	if (record_from_json(&quarantine_entry_record, db_text(st, 2, arena), arena, &found_r->entry, err) < 0)
		return -1;
	found_r->entry.pending = db_int(st, 0);
	return load_recipients(s, arena, found_r);
}

enum store_result store_get(struct store *s, struct str id, struct arena *arena,
	struct store_found *found_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(s->db, "SELECT pending, label, entry FROM entry WHERE id = ?1");
	db_bind_str(st, 1, id);
	int rc = db_step(s->db, st, "read an entry", err);
	enum store_result result = STORE_OK;
	if (rc == 0) {
		err_set(err, "there is no entry \"%.*s\"", STR_ARG(id));
		result = STORE_NOT_FOUND;
	} else if (rc < 0 || load_found(s, st, arena, found_r, err) < 0) {
		result = failed(s, "read an entry", err);
	}
	db_end(st);
	return result;
}

static struct sqlite3_stmt *list_statement(struct store *s, const struct store_query *q)
{
	struct sqlite3_stmt *st = db_prepare(s->db,
		"SELECT pending, label, entry FROM entry WHERE (?1 = 0 OR time < ?1)"
		" AND (?2 = '' OR EXISTS (SELECT 1 FROM recipient r WHERE r.id = entry.id AND r.address = ?2))"
		" AND (?3 = '' OR instr(lower(subject), lower(?3)) OR instr(lower(author), lower(?3))"
		" OR instr(lower(sender), lower(?3))) ORDER BY time DESC, id DESC LIMIT ?4");
	db_bind_int(st, 1, q->before);
	db_bind_str(st, 2, q->recipient);
	db_bind_str(st, 3, q->text);
	db_bind_int(st, 4, q->limit <= 0 ? 100 : q->limit > STORE_LIST_MAX ? STORE_LIST_MAX : q->limit);
	return st;
}

enum store_result store_list(struct store *s, const struct store_query *query, struct arena *arena,
	bool (*each)(void *context, const struct store_found *found), void *context, struct err *err)
{
	struct sqlite3_stmt *st = list_statement(s, query);
	enum store_result result = STORE_OK;
	int rc;
	while ((rc = db_step(s->db, st, "list entries", err)) > 0) {
		struct store_found found;
		if (load_found(s, st, arena, &found, err) < 0) {
			result = STORE_IO_ERROR;
			break;
		}
		bool more = each(context, &found);
		arena_reset(arena);
		if (!more)
			break;
	}
	if (rc < 0)
		result = failed(s, "list entries", err);
	db_end(st);
	return result;
}

enum store_result store_count(struct store *s, struct store_counts *counts_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(s->db, "SELECT count(*), coalesce(sum(pending), 0), coalesce(sum(size), 0),"
				      " (SELECT count(*) FROM job) FROM entry");
	if (db_step(s->db, st, "count entries", err) <= 0) {
		db_end(st);
		return failed(s, "count entries", err);
	}
	*counts_r = (struct store_counts){ .held = db_int(st, 0) - db_int(st, 1),
		.pending = db_int(st, 1), .octets = db_int(st, 2),
		.jobs = db_int(st, 3) };
	db_end(st);
	return STORE_OK;
}

/* Releases */

static enum store_result take_recipient(struct store *s, struct str id, struct str address,
	int64_t job, struct str who, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(s->db, "UPDATE recipient SET state = 'releasing', job = ?1, who = ?2,"
				      " time = unixepoch() WHERE id = ?3 AND state = 'held'"
				      " AND (?4 = '' OR address = ?4)");
	db_bind_int(st, 1, job);
	db_bind_str(st, 2, who);
	db_bind_str(st, 3, id);
	db_bind_str(st, 4, address);
	return run(s, st, "take a recipient", err);
}

static enum store_result make_job(struct store *s, struct str id, int64_t *job_r, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(s->db, "INSERT INTO job (id) SELECT id FROM entry WHERE id = ?1 AND NOT pending");
	db_bind_str(st, 1, id);
	enum store_result result = run(s, st, "make a job", err);
	if (result == STORE_OK && db_changes(s->db) == 0) {
		err_set(err, "there is no entry \"%.*s\" that is held", STR_ARG(id));
		result = STORE_NOT_FOUND;
	}
	*job_r = db_last_id(s->db);
	return result;
}

static enum store_result release_in(struct store *s, struct str id, const struct str_list *recipients,
	struct str who, struct err *err)
{
	int64_t job;
	int taken = 0;
	enum store_result result = make_job(s, id, &job, err);
	for (size_t i = 0; result == STORE_OK && (i < recipients->n || (i == 0 && recipients->n == 0)); i++) {
		struct str address = recipients->n ? recipients->v[i] : STR("");
		result = take_recipient(s, id, address, job, who, err);
		taken += db_changes(s->db);
	}
	if (result == STORE_OK && taken == 0) {
		err_set(err, "none of these recipients is held: the message was released to them before");
		result = STORE_REFUSED;
	}
	return result;
}

/* Of what began after a commit: nobody else waits for it. */
static enum store_result commit_own(struct store *s, struct err *err)
{
	enum store_result result = commit(s, err);
	s->is_broken = false;
	return result;
}

enum store_result store_release(struct store *s, struct str id, const struct str_list *recipients,
	struct str who, struct err *err)
{
	/* Its own transaction, so that what is refused leaves nothing behind. */
	enum store_result result = commit(s, err);
	if (result == STORE_OK)
		result = begin(s, err);
	if (result != STORE_OK)
		return result;
	result = release_in(s, id, recipients, who, err);
	if (result == STORE_OK)
		return commit_own(s, err);
	db_exec(s->db, "ROLLBACK", "roll back", NULL);
	s->in_transaction = false;
	return result;
}

static int load_job(struct store *s, struct arena *arena, struct store_job *job, struct err *err)
{
	struct store_found found;
	if (store_get(s, job->id, arena, &found, err) != STORE_OK)
		return -1;
	job->entry = found.entry;
	job->recipients.v = ARENA_ARRAY(arena, found.recipients.n, struct str);
	struct sqlite3_stmt *st = db_prepare(s->db, "SELECT address FROM recipient WHERE job = ?1 AND state = 'releasing'");
	db_bind_int(st, 1, job->job);
	while (db_step(s->db, st, "read a job", err) > 0 && job->recipients.n < found.recipients.n)
		job->recipients.v[job->recipients.n++] = db_text(st, 0, arena);
	db_end(st);
	return 0;
}

/* A job whose entry was deleted, or that nobody waits for, is only cleared away. */
static enum store_result set_job(struct store *s, int64_t job, const char *sql, int64_t due,
	struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(s->db, sql);
	db_bind_int(st, 1, job);
	/* Out of range, and so without effect, where the statement has one parameter. */
	db_bind_int(st, 2, due);
	return run(s, st, "change a job", err);
}

int store_job_next(struct store *s, int64_t now, struct arena *arena, struct store_job *job_r,
	struct err *err)
{
	for (;;) {
		struct sqlite3_stmt *st = db_prepare(s->db, "SELECT job, id FROM job WHERE state = 'open' AND due <= ?1"
					      " ORDER BY job LIMIT 1");
		db_bind_int(st, 1, now);
		int rc = db_step(s->db, st, "find a job", err);
		*job_r = (struct store_job){ 0 };
		if (rc > 0) {
			job_r->job = db_int(st, 0);
			job_r->id = db_text(st, 1, arena);
		}
		db_end(st);
		if (rc <= 0)
			return rc;
		if (load_job(s, arena, job_r, NULL) == 0 && job_r->recipients.n)
			break;
		if (set_job(s, job_r->job, "DELETE FROM job WHERE job = ?1", 0, err) != STORE_OK)
			return -1;
	}
	return set_job(s, job_r->job, "UPDATE job SET state = 'taken' WHERE job = ?1", 0, err) == STORE_OK ? 1 :
													   -1;
}

static enum store_result set_delivered(struct store *s, int64_t job, const struct str_list *addresses,
	struct err *err)
{
	enum store_result result = STORE_OK;
	for (size_t i = 0; i < addresses->n && result == STORE_OK; i++) {
		struct sqlite3_stmt *st = db_prepare(s->db, "UPDATE recipient SET state = 'released', time = unixepoch()"
					      " WHERE job = ?1 AND address = ?2 AND state = 'releasing'");
		db_bind_int(st, 1, job);
		db_bind_str(st, 2, addresses->v[i]);
		result = run(s, st, "remember a delivery", err);
	}
	return result;
}

enum store_result store_job_done(struct store *s, int64_t job, const struct str_list *delivered,
	enum store_result result, int64_t retry_at, struct err *err)
{
	enum store_result rc = begin(s, err);
	if (rc == STORE_OK)
		rc = set_delivered(s, job, delivered, err);
	if (rc != STORE_OK)
		return rc;
	if (result != STORE_OK && result != STORE_REFUSED && result != STORE_NOT_FOUND)
		return set_job(s, job, "UPDATE job SET state = 'open', due = ?2 WHERE job = ?1", retry_at, err);
	rc = set_job(s, job, result == STORE_OK ?
			"UPDATE recipient SET state = 'released', time = unixepoch()"
			" WHERE job = ?1 AND state = 'releasing'" :
			"UPDATE recipient SET state = 'held', job = NULL"
			" WHERE job = ?1 AND state = 'releasing'", 0, err);
	return rc == STORE_OK ? set_job(s, job, "DELETE FROM job WHERE job = ?1", 0, err) : rc;
}
