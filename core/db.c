#include "core/db.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

enum { BUSY_MS = 2000 };

struct db {
	sqlite3 *handle;
	const char *title;
};

int db_failed(struct db *db, const char *what, struct err *err)
{
	return err_set(err, "%s: cannot %s: %s", db->title, what, sqlite3_errmsg(db->handle));
}

bool db_is_full(struct db *db)
{
	int os = sqlite3_system_errno(db->handle);

	return sqlite3_errcode(db->handle) == SQLITE_FULL || os == ENOSPC || os == EDQUOT;
}

bool db_in_transaction(struct db *db)
{
	return !sqlite3_get_autocommit(db->handle);
}

int64_t db_changes(struct db *db)
{
	return sqlite3_changes(db->handle);
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int db_exec(struct db *db, const char *sql, const char *what, struct err *err)
{
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_failed(db, what, err);
	return 0;
}

struct sqlite3_stmt *db_prepare(struct db *db, const char *sql)
{
	sqlite3_stmt *st = NULL;

	sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL);
	return st;
}

void db_bind_str(struct sqlite3_stmt *st, int at, struct str v)
{
	sqlite3_bind_text64(st, at, v.n ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8);
}

void db_bind_blob(struct sqlite3_stmt *st, int at, struct str v)
{
	sqlite3_bind_blob64(st, at, v.n ? v.p : "", v.n, SQLITE_STATIC);
}

void db_bind_int(struct sqlite3_stmt *st, int at, int64_t v)
{
	sqlite3_bind_int64(st, at, v);
}

int db_step(struct db *db, struct sqlite3_stmt *st, const char *what, struct err *err)
{
	int rc = st ? sqlite3_step(st) : SQLITE_ERROR;

	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : db_failed(db, what, err);
}

int db_run(struct db *db, struct sqlite3_stmt *st, const char *what, struct err *err)
{
	int rc = db_step(db, st, what, err);

	sqlite3_finalize(st);
	return rc < 0 ? -1 : 0;
}

int64_t db_int(struct sqlite3_stmt *st, int at)
{
	return sqlite3_column_int64(st, at);
}

struct str db_blob(struct sqlite3_stmt *st, int at)
{
	const char *p = sqlite3_column_blob(st, at);

	return str_from(p, p ? (size_t)sqlite3_column_bytes(st, at) : 0);
}

struct str db_text(struct sqlite3_stmt *st, int at, struct arena *arena)
{
	return arena_dup(arena, db_blob(st, at));
}

void db_reset(struct sqlite3_stmt *st)
{
	sqlite3_reset(st);
}

void db_end(struct sqlite3_stmt *st)
{
	sqlite3_finalize(st);
}

/* Opening */

static int check_version(struct db *db, int version, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(db, "PRAGMA user_version");
	int rc = db_step(db, st, "read its version", err);
	int64_t found = rc > 0 ? db_int(st, 0) : 0;

	db_end(st);
	if (rc < 0)
		return -1;
	if (found > version)
		return err_set(err, "%s: made by a newer version of the program", db->title);
	return 0;
}

static int set_up(struct db *db, const struct db_options *options, struct err *err)
{
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	if (check_version(db, options->version, err) < 0)
		return -1;
	if (options->read_only)
		return 0;
	if (db_exec(db,
		    "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
		    "PRAGMA journal_size_limit=67108864;",
		    "set up the journal", err) < 0 ||
		db_exec(db,
			options->is_durable ? "PRAGMA synchronous=FULL"
					    : "PRAGMA synchronous=NORMAL",
			"set up the journal", err) < 0)
		return -1;
	return db_exec(db, options->schema, "make its tables", err);
}

struct db *db_open(
	const char *path, const char *title, const struct db_options *options, struct err *err)
{
	int flags = options->read_only ? SQLITE_OPEN_READONLY
				       : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	struct db *db = calloc(1, sizeof(*db));

	assert(db);
	db->title = title;
	int rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		rc = err_set(err, "%s: %s", title,
			db->handle ? sqlite3_errmsg(db->handle) : "out of memory");
	else
		rc = set_up(db, options, err);
	if (rc < 0) {
		err_prefix(err, "%s", path);
		db_close(&db);
	}
	return db;
}

void db_close(struct db **db)
{
	if (!*db)
		return;
	sqlite3_close((*db)->handle);
	free(*db);
	*db = NULL;
}
