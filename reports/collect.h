/*
 * collect: DMARC results, counted for each policy domain and day as they happen.
 *
 * One row of DIR/reports.db is one row of an aggregate report (RFC 9990): the
 * same policy, source, identifiers and results. Its key is the JSON of struct
 * dmarc_row, so that what is counted apart is exactly what a report shows apart.
 * A count is in the database's log when collect_flush() returns, and so survives
 * the death of any process; a power cut may take the last moments with it.
 * The keeper alone writes.
 */
#ifndef REPORTS_COLLECT_H
#define REPORTS_COLLECT_H

#include "core/err.h"
#include "core/verdict.h"

struct collect;

struct collect *collect_open(const char *state_dir, bool read_only, struct err *err);
void collect_close(struct collect **collect);
/* Counts one message at `now` (seconds since 1970). */
int collect_add(struct collect *collect, const struct dmarc_row *row, int64_t now, struct err *err);
int collect_flush(struct collect *collect, struct err *err);

struct collect_row {
	struct str day; /* "2026-11-20", UTC */
	struct str domain;
	int64_t count, first, last;
	struct dmarc_row row;
};
extern const struct record collect_row_record;
/* Newest day first, at most `limit` rows; domain empty: all. `each` returning false ends it. */
int collect_list(struct collect *collect, struct str domain, int64_t limit, struct arena *arena,
	bool (*each)(void *context, const struct collect_row *row), void *context, struct err *err);

#endif
