/*
 * db: SQLite in a few words, for those who keep something in a file of it.
 *
 *	struct db *db = db_open("state/reports.db", "reports", &options, &err);
 *	struct sqlite3_stmt *st = db_prepare(db, "DELETE FROM dmarc WHERE day = ?1");
 *	db_bind_str(st, 1, day);
 *	if (db_run(db, st, "forget a day", &err) < 0) ...
 *
 * A statement that could not be prepared is NULL: binding to it does nothing, and the
 * step says what was wrong; so callers check once. Write-ahead logging; one process
 * writes, any number read. Errors name the database by its `title`.
 */
#ifndef CORE_DB_H
#define CORE_DB_H

#include "core/arena.h"
#include "core/err.h"

struct sqlite3_stmt;
struct db;

struct db_options {
	bool read_only;	    /* no schema is made, nothing is written */
	bool is_durable;    /* a commit outlives a power cut (fsync), not only the process */
	const char *schema; /* CREATE … IF NOT EXISTS; ends with PRAGMA user_version = `version` */
	int version;	    /* a file of a higher one is refused */
};

/* title: a literal. NULL and err. */
struct db *db_open(
	const char *path, const char *title, const struct db_options *options, struct err *err);
void db_close(struct db **db);

/* Sets err to "TITLE: cannot WHAT: reason" of the last failure. Returns -1. */
int db_failed(struct db *db, const char *what, struct err *err);
/* Was the last failure for want of space? */
bool db_is_full(struct db *db);
/* Upon a full disk and the like SQLite ends a transaction by itself. */
bool db_in_transaction(struct db *db);
/* Rows changed by the last statement; id of the last one inserted. */
int64_t db_changes(struct db *db);
int64_t db_last_id(struct db *db);

/* One or several statements without parameters or rows. 0 or -1. */
int db_exec(struct db *db, const char *sql, const char *what, struct err *err);

struct sqlite3_stmt *db_prepare(struct db *db, const char *sql);
/* What is bound must live until the statement is done. */
void db_bind_str(struct sqlite3_stmt *st, int at, struct str v);
void db_bind_blob(struct sqlite3_stmt *st, int at, struct str v);
void db_bind_int(struct sqlite3_stmt *st, int at, int64_t v);
/* 1: a row, 0: none (any more), -1. */
int db_step(struct db *db, struct sqlite3_stmt *st, const char *what, struct err *err);
/* Steps once for a statement without rows, and ends it. 0 or -1. */
int db_run(struct db *db, struct sqlite3_stmt *st, const char *what, struct err *err);
/* Of the current row; text is copied to the arena, a blob lives until the next step. */
int64_t db_int(struct sqlite3_stmt *st, int at);
struct str db_text(struct sqlite3_stmt *st, int at, struct arena *arena);
struct str db_blob(struct sqlite3_stmt *st, int at);
/* To be run again, with parameters bound anew. */
void db_reset(struct sqlite3_stmt *st);
void db_end(struct sqlite3_stmt *st);

#endif
