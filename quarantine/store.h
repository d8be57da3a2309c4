/*
 * store: held messages, durable before anybody is told so.
 *
 * A body is a file of its own below DIR/quarantine/YYYYMMDD/, zstd-compressed
 * behind a small header with the format's version; what is known about it is a
 * row in DIR/quarantine.db (SQLite, WAL, synchronous=FULL). An entry is
 * *pending* while its message is on the way downstream, and *held* once it is
 * ours to keep. The keeper alone writes; others open read-only.
 *
 *	store_put(s, &entry, message, &err)     file written and fsynced, row in the transaction
 *	store_flush(s, &err)                    rows fsynced: now, and not before, answer 250
 *	store_commit(s, id)  store_drop(s, id)  what became of a pending one
 *
 * Several puts share one flush: group commit. A pending entry that is found at
 * start counts as held: a duplicate rather than a loss (store_recover). Ids are
 * our own transactions': letters, digits, '.', '-', at most STORE_ID_MAX; any other
 * is refused, so that no id is ever a path.
 *
 * Releases are jobs, one row each, which outlive a crash: store_release() makes
 * one, a front pulls and delivers it, store_job_done() remembers that. A recipient
 * who has been released, or is about to be, is not released again.
 */
#ifndef QUARANTINE_STORE_H
#define QUARANTINE_STORE_H

#include "core/err.h"
#include "quarantine/entry.h"

enum { STORE_ID_MAX = 64, STORE_LIST_MAX = 1000 };

struct store;

enum store_result { STORE_OK, STORE_NOT_FOUND, STORE_NO_SPACE, STORE_IO_ERROR, STORE_REFUSED };

/* Creates what is missing unless read_only. NULL with err, also when another keeper writes. */
struct store *store_open(const char *state_dir, bool read_only, struct err *err);
void store_close(struct store **store);
/*
 * After a start: held are all that were pending, and jobs that were handed out are open again.
 * Their fronts may live on and be about to say that they are done, so they are not handed out
 * before `due`. Returns how many entries were pending, or -1.
 */
int store_recover(struct store *store, int64_t due, struct err *err);

enum store_result store_put(struct store *store, const struct quarantine_entry *entry,
	struct str message, struct err *err);
enum store_result store_flush(struct store *store, struct err *err);
/* An id that is not there is no error: both may be told twice. */
enum store_result store_commit(struct store *store, struct str id, struct err *err);
/*
 * The sender still has it. Also one that is no longer pending, since a keeper that died
 * may have recovered it, or an answer may have come too late; but none that somebody has
 * released or labelled meanwhile.
 */
enum store_result store_drop(struct store *store, struct str id, struct err *err);

/* One entry with its recipients' states; arena memory. */
struct store_recipient {
	struct str address;
	struct str state; /* "held", "releasing", "released" */
	struct str who;	  /* who asked for the release */
	int64_t time;	  /* of the last change */
};
struct store_found {
	struct quarantine_entry entry;
	struct str state; /* "pending", "held", "released" (to all), "deleted" is gone */
	struct str label; /* what it was learned as: "spam", "ham", or empty */
	LIST(struct store_recipient) recipients;
};
extern const struct record store_found_record;

enum store_result store_get(struct store *store, struct str id, struct arena *arena,
	struct store_found *found_r, struct err *err);
/* The message as it was received; appended to out. */
enum store_result store_read(struct store *store, struct str id, struct buf *out, struct err *err);

struct store_query {
	struct str recipient; /* exact, or empty: any */
	struct str text;      /* within subject, From or the envelope sender; empty: any */
	int64_t before;	      /* entries older than this time; 0: from the newest */
	int64_t limit;	      /* at most STORE_LIST_MAX; 0: 100 */
};
/* Newest first. `each` returning false ends the list. The arena is reset between entries. */
enum store_result store_list(struct store *store, const struct store_query *query, struct arena *arena,
	bool (*each)(void *context, const struct store_found *found), void *context, struct err *err);

enum store_result store_delete(struct store *store, struct str id, struct err *err);
/* The label under which it was learned, for the record. */
enum store_result store_label(struct store *store, struct str id, struct str label, struct err *err);
/* Recipients: all, if the list is empty. REFUSED (err says why) if none of them is held. */
enum store_result store_release(struct store *store, struct str id, const struct str_list *recipients,
	struct str who, struct err *err);

struct store_job {
	int64_t job;
	struct str id;
	struct str_list recipients;
	struct quarantine_entry entry;
};
/* The oldest job that is open and due at `now`, taken: it is handed out once until it is given back. 1, 0, -1. */
int store_job_next(struct store *store, int64_t now, struct arena *arena, struct store_job *job_r,
	struct err *err);
/* Done, refused for good (recipients are held again), or to be tried again at `retry_at`; but
 * those of `delivered` have it, whatever the result. Durable with the next flush. */
enum store_result store_job_done(struct store *store, int64_t job, const struct str_list *delivered,
	enum store_result result, int64_t retry_at, struct err *err);

struct store_counts {
	int64_t held, pending, octets, jobs;
};
enum store_result store_count(struct store *store, struct store_counts *counts_r, struct err *err);

#endif
