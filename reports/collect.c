#include "reports/collect.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/db.h"

enum { SCHEMA_VERSION = 1 };

struct collect {
	struct db *db;
	struct sqlite3_stmt *add;
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

struct collect *collect_open(const char *state_dir, bool read_only, struct err *err)
{
	char path[4096];
	struct collect *c = calloc(1, sizeof(*c));
	/* A count needs to outlive a process, not a power cut. */
	const struct db_options options = { .read_only = read_only, .schema = schema,
		.version = SCHEMA_VERSION };
	assert(c);
	snprintf(path, sizeof(path), "%s/reports.db", state_dir);
	c->db = db_open(path, "report counts", &options, err);
	if (c->db && !read_only)
		c->add = db_prepare(c->db, add_sql);
	if (!c->db)
		collect_close(&c);
	return c;
}

void collect_close(struct collect **collect)
{
	struct collect *c = *collect;
	if (!c)
		return;
	if (c->db)
		collect_flush(c, NULL);
	db_end(c->add);
	db_close(&c->db);
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
	if (!c->in_transaction && db_exec(c->db, "BEGIN IMMEDIATE", "begin", err) < 0)
		return -1;
	c->in_transaction = true;
	day_of(now, day);
	record_to_json(&dmarc_row_record, row, &key);
	db_bind_str(c->add, 1, str_c(day));
	db_bind_str(c->add, 2, row->policy_domain);
	db_bind_str(c->add, 3, buf_str(&key));
	db_bind_int(c->add, 4, now);
	int rc = db_step(c->db, c->add, "count a message", err);
	db_reset(c->add);
	buf_free(&key);
	return rc;
}

int collect_flush(struct collect *c, struct err *err)
{
	if (!c->in_transaction)
		return 0;
	c->in_transaction = false;
	if (db_exec(c->db, "COMMIT", "commit", err) == 0)
		return 0;
	db_exec(c->db, "ROLLBACK", "roll back", NULL);
	return -1;
}

static const struct field row_fields[] = {
	FIELD_STR(struct collect_row, day),   FIELD_STR(struct collect_row, domain),
	FIELD_INT(struct collect_row, count), FIELD_INT(struct collect_row, first),
	FIELD_INT(struct collect_row, last),  FIELD_RECORD(struct collect_row, row, &dmarc_row_record),
	FIELD_END,
};
const struct record collect_row_record = RECORD("report row", struct collect_row, row_fields);

int collect_list(struct collect *c, struct str domain, int64_t limit, struct arena *arena,
	bool (*each)(void *context, const struct collect_row *row), void *context, struct err *err)
{
	struct sqlite3_stmt *st = db_prepare(c->db,
		"SELECT day, domain, row, count, first, last FROM dmarc"
		" WHERE ?1 = '' OR domain = ?1 ORDER BY day DESC, domain, count DESC LIMIT ?2");
	int rc = 1;
	bool more = true;
	db_bind_str(st, 1, domain);
	db_bind_int(st, 2, limit);
	while (more && (rc = db_step(c->db, st, "list rows", err)) > 0) {
		struct collect_row row = { .day = db_text(st, 0, arena), .domain = db_text(st, 1, arena),
			.count = db_int(st, 3), .first = db_int(st, 4), .last = db_int(st, 5) };
		rc = record_from_json(&dmarc_row_record, db_text(st, 2, arena), arena, &row.row, err);
		if (rc < 0)
			break;
		more = each(context, &row);
		arena_reset(arena);
	}
	db_end(st);
	return rc < 0 ? -1 : 0;
}
