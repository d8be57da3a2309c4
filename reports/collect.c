#include "reports/collect.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BUSY_MS = 2000 };

struct collect {
	sqlite3 *db;
	sqlite3_stmt *add;
	bool in_transaction;
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS dmarc ("
	" day TEXT NOT NULL, domain TEXT NOT NULL, row TEXT NOT NULL, count INTEGER NOT NULL,"
	" first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (day, domain, row)) WITHOUT ROWID;"
	"PRAGMA user_version = 1;";

static const char add_sql[] =
	"INSERT INTO dmarc (day, domain, row, count, first, last) VALUES (?1, ?2, ?3, 1, ?4, ?4)"
	" ON CONFLICT DO UPDATE SET count = count + 1, last = max(last, ?4)";

static int failed(struct collect *c, const char *what, struct err *err)
{
	return err_set(err, "reports.db: cannot %s: %s", what, sqlite3_errmsg(c->db));
}

static int exec(struct collect *c, const char *sql, const char *what, struct err *err)
{
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(c, what, err);
}

static void bind_str(sqlite3_stmt *st, int at, struct str v)
{
	sqlite3_bind_text64(st, at, v.n ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8);
}

static int prepare_writer(struct collect *c, struct err *err)
{
	/* NORMAL: a count needs to outlive a process, not a power cut. */
	if (exec(c, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;",
		    "set up the journal", err) < 0 ||
		exec(c, schema, "make its table", err) < 0)
		return -1;
	if (sqlite3_prepare_v3(c->db, add_sql, -1, SQLITE_PREPARE_PERSISTENT, &c->add, NULL) != SQLITE_OK)
		return failed(c, "prepare", err);
	return 0;
}

struct collect *collect_open(const char *state_dir, bool read_only, struct err *err)
{
	char path[4096];
	struct collect *c = calloc(1, sizeof(*c));
	assert(c);
	snprintf(path, sizeof(path), "%s/reports.db", state_dir);
	int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	if (sqlite3_open_v2(path, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		err_set(err, "%s: %s", path, c->db ? sqlite3_errmsg(c->db) : "out of memory");
		collect_close(&c);
		return NULL;
	}
	sqlite3_busy_timeout(c->db, BUSY_MS);
	if (!read_only && prepare_writer(c, err) < 0)
		collect_close(&c);
	return c;
}

void collect_close(struct collect **collect)
{
	struct collect *c = *collect;
	if (!c)
		return;
	collect_flush(c, NULL);
	sqlite3_finalize(c->add);
	sqlite3_close(c->db);
	free(c);
	*collect = NULL;
}

static void day_of(int64_t now, char day_r[16])
{
	time_t t = (time_t)now;
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(day_r, 16, "%Y-%m-%d", &tm);
}

int collect_add(struct collect *c, const struct dmarc_row *row, int64_t now, struct err *err)
{
	char day[16];
	struct buf key = BUF_INIT;
	if (!c->in_transaction && exec(c, "BEGIN IMMEDIATE", "begin", err) < 0)
		return -1;
	c->in_transaction = true;
	day_of(now, day);
	record_to_json(&dmarc_row_record, row, &key);
	bind_str(c->add, 1, str_c(day));
	bind_str(c->add, 2, row->policy_domain);
	bind_str(c->add, 3, buf_str(&key));
	sqlite3_bind_int64(c->add, 4, now);
	int rc = sqlite3_step(c->add) == SQLITE_DONE ? 0 : failed(c, "count a message", err);
	sqlite3_reset(c->add);
	buf_free(&key);
	return rc;
}

int collect_flush(struct collect *c, struct err *err)
{
	if (!c->in_transaction)
		return 0;
	c->in_transaction = false;
	if (exec(c, "COMMIT", "commit", err) == 0)
		return 0;
	sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

static const struct field row_fields[] = {
	FIELD_STR(struct collect_row, day),   FIELD_STR(struct collect_row, domain),
	FIELD_INT(struct collect_row, count), FIELD_INT(struct collect_row, first),
	FIELD_INT(struct collect_row, last),  FIELD_RECORD(struct collect_row, row, &dmarc_row_record),
	FIELD_END,
};
const struct record collect_row_record = RECORD("report row", struct collect_row, row_fields);

static struct str column(sqlite3_stmt *st, int at, struct arena *arena)
{
	const char *p = (const char *)sqlite3_column_text(st, at);
	return arena_dup(arena, str_from(p, p ? (size_t)sqlite3_column_bytes(st, at) : 0));
}

int collect_list(struct collect *c, struct str domain, int64_t limit, struct arena *arena,
	bool (*each)(void *context, const struct collect_row *row), void *context, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc, result = 0;
	bool more = true;
	if (sqlite3_prepare_v2(c->db, "SELECT day, domain, row, count, first, last FROM dmarc"
				      " WHERE ?1 = '' OR domain = ?1 ORDER BY day DESC, domain, count DESC LIMIT ?2",
		    -1, &st, NULL) != SQLITE_OK)
		return failed(c, "list rows", err);
	bind_str(st, 1, domain);
	sqlite3_bind_int64(st, 2, limit);
	while (more && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct collect_row row = { .day = column(st, 0, arena), .domain = column(st, 1, arena),
			.count = sqlite3_column_int64(st, 3), .first = sqlite3_column_int64(st, 4),
			.last = sqlite3_column_int64(st, 5) };
		result = record_from_json(&dmarc_row_record, column(st, 2, arena), arena, &row.row, err);
		if (result < 0)
			break;
		more = each(context, &row);
		arena_reset(arena);
	}
	if (result == 0 && more && rc != SQLITE_DONE)
		result = failed(c, "list rows", err);
	sqlite3_finalize(st);
	return result;
}
