/*
 * journal: the training log: every lesson that was ever given, as a row. It is the
 * truth of which the model is a cache; the model's salt is kept in it too, since the
 * logged features mean nothing without it.
 *
 * A message counts once: a second lesson with the same label changes nothing, one with
 * the other label takes the first one's place. Lessons are never removed but marked as
 * undone. What was learned already and is undone makes the journal stale: the
 * model must be made again from it (teacher.h does).
 *
 * An SQLite file (WAL): one process writes; others may read at the same time.
 */
#ifndef BAYES_JOURNAL_H
#define BAYES_JOURNAL_H

#include "bayes/features.h"
#include "core/err.h"

struct journal;

struct journal_entry {
	int64_t id;   /* grows */
	int64_t time; /* seconds since 1970 */
	bool spam;
	struct str hash;		 /* of the message, in any form; at most 128 octets */
	struct str who, channel, tenant; /* may be empty; at most 300 octets are kept */
	struct features features;
};

/* Makes the file unless it is read only, in which case a missing file is an error. NULL with err.
 */
struct journal *journal_open(const char *path, bool read_only, struct err *err);
void journal_close(struct journal **journal);

/* The salt under which the features were made: 1, 0 if none is set yet, or -1. */
int journal_salt(struct journal *journal, uint8_t salt_r[16], struct err *err);
/* 0 or -1. May be set once. */
int journal_set_salt(struct journal *journal, const uint8_t salt[16], struct err *err);

enum journal_change {
	JOURNAL_NEW,
	JOURNAL_KNOWN,	   /* the same message with the same label: nothing was done */
	JOURNAL_RELABELED, /* it had the other label, and the journal is stale now */
};
/* Durable against the end of the process at once, against that of the machine after journal_sync.
 */
int journal_add(struct journal *journal, const struct journal_entry *entry, int64_t *id_r,
	enum journal_change *change_r, struct err *err);
int journal_sync(struct journal *journal, struct err *err);

/* Which lessons: all that were given from a time on, by someone (unless empty). */
struct journal_which {
	int64_t since;
	struct str who;
};
/* Marks them as undone; the journal is stale if there were any. */
int journal_undo(struct journal *journal, const struct journal_which *which, int64_t *count_r,
	struct err *err);
/* How many there are that hold. */
int journal_count(struct journal *journal, const struct journal_which *which, int64_t *count_r,
	struct err *err);

/* Must the model be made again? 1, 0, -1. */
int journal_is_stale(struct journal *journal, struct err *err);
/* That is begun (stale all the same, till it is done), and done: what was undone meanwhile may have
 * been learned already, and leaves the journal stale. */
int journal_begin_fresh(struct journal *journal, struct err *err);
int journal_set_fresh(struct journal *journal, struct err *err);

/*
 * Calls for every lesson that holds and has an id above `after`, in order, but for no more than
 * `limit` (-1: all); what is given is valid until each() returns, and -1 from it ends the replay.
 */
int journal_replay(struct journal *journal, int64_t after, int64_t limit,
	int (*each)(void *context, const struct journal_entry *entry, struct err *err),
	void *context, struct err *err);

#endif
