/*
 * journal: the training log: every lesson that was ever given, as a row. It is the
 * truth of which the model is a cache; the model's salt is kept in it too, since the
 * logged features mean nothing without it.
 *
 * A message counts once: a second lesson with the same label changes nothing, one with
 * the other label takes the first one's place. Which message it is the caller says, by a hash; rows
 * of former versions have that of its octets, by which it is looked for too. Lessons are never removed but marked as
 * undone. What was learned already and is undone makes the journal stale: the
 * model must be made again from it (teacher.h does).
 *
 * It does not grow without bound: of old lessons, those up to the base (checkpoint.h), it
 * keeps who said what and when, and drops the features, by far the most of it. What they taught is in the
 * base, where making the model again begins, and can be taken out of it no more.
 *
 * What the guards of teacher.h made of a lesson is logged with it, and not found again
 * when the model is made again: a copy that taught nothing, a lesson that was refused
 * (logged for review, but it does not hold).
 *
 * An SQLite file (WAL): one process writes; others may read at the same time.
 */
#ifndef BAYES_JOURNAL_H
#define BAYES_JOURNAL_H

#include "bayes/near.h"
#include "core/err.h"

struct journal;

struct journal_entry {
	int64_t id;   /* grows */
	int64_t time; /* seconds since 1970 */
	bool spam;
	struct str hash;		 /* of the message, in any form; at most 128 octets */
	struct str octets;		 /* the hash by which rows of former versions know it, or empty */
	struct str who, channel, tenant; /* may be empty; at most 300 octets are kept */
	struct str sender;		 /* the domain that the message says it is from; the same */
	struct features features;
	/* What the guards made of it. */
	struct near_sketch sketch;
	int64_t near;	 /* the lesson that it is a copy of, or 0 */
	bool is_counted; /* it teaches nothing, but is counted: one copy too many */
	bool is_refused;
	bool is_trusted; /* whoever gave it answers for the site */
	int64_t harm;	 /* the giver's balance after it (teacher.h) */
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
	JOURNAL_REFUSED,   /* it is logged, but does not hold */
};
/* Is the entry's message known, with its label (KNOWN), the other (RELABELED), as refused with its
 * label (REFUSED), or not (NEW)? */
int journal_find(struct journal *journal, const struct journal_entry *entry,
	enum journal_change *change_r, struct err *err);
/* Durable against the end of the process at once, against that of the machine after journal_sync.
 */
int journal_add(struct journal *journal, const struct journal_entry *entry, int64_t *id_r,
	enum journal_change *change_r, struct err *err);
int journal_sync(struct journal *journal, struct err *err);

/* Which lessons: all that were given from a time on, by someone (unless empty), behind a position. */
struct journal_which {
	int64_t since;
	struct str who;
	int64_t after;
};
struct journal_undone {
	int64_t count;
	int64_t trimmed; /* how many of them are in the base: their rows do not hold, but what they taught stays */
};
/* Marks them as undone; the journal is stale if there were any. */
int journal_undo(struct journal *journal, const struct journal_which *which,
	struct journal_undone *undone_r, struct err *err);
/* How many there are that hold. */
int journal_count(struct journal *journal, const struct journal_which *which, int64_t *count_r,
	struct err *err);

/* How many were given from a time on, whether they hold or not. Empty: whoever, wherever. */
struct journal_given {
	int64_t since;
	struct str who, sender, tenant;
	enum { JOURNAL_ALL, JOURNAL_HAM, JOURNAL_HARMFUL } only; /* HARMFUL: refused; by `who` */
};
int journal_given(struct journal *journal, const struct journal_given *given, int64_t *count_r,
	struct err *err);
/* Of those that hold: how many are copies of this one. */
int journal_copies(struct journal *journal, int64_t of, int64_t *count_r, struct err *err);
/* The giver's balance after the last of his lessons that hold, and its time; 0 and 0 without one. */
int journal_harm(struct journal *journal, struct str who, int64_t *harm_r, int64_t *time_r,
	struct err *err);

/* The newest NEAR_KEPT lessons that hold and are no copies, oldest first. */
int journal_load_near(struct journal *journal, struct near *near, struct err *err);
/*
 * Known messages of one label, at most `most`: those with the least ranks (by their hashes and the
 * salt) of all that are trusted or were given before a time. As journal_replay.
 */
struct journal_known {
	bool spam;
	int64_t before;
	int64_t most;
};
typedef int journal_each(void *context, const struct journal_entry *entry, struct err *err);
int journal_known(struct journal *journal, const struct journal_known *which, journal_each *each,
	void *context, struct err *err);
/* The newest refused lessons, newest first, without features. */
int journal_refused(struct journal *journal, int64_t most, journal_each *each, void *context,
	struct err *err);
int journal_count_refused(struct journal *journal, int64_t *count_r, struct err *err);
/* A refused lesson is to hold after all: 1, and the journal is stale; 0: there is none; -1. */
int journal_accept(struct journal *journal, int64_t id, struct err *err);

/* Copies of the model (checkpoint.h). Whatever undoes or accepts a lesson voids those that know it. */
enum { JOURNAL_CHECKPOINTS = 3, JOURNAL_BASES = 2 };
struct journal_checkpoint {
	int64_t slot; /* below JOURNAL_CHECKPOINTS; of a base from there on */
	int64_t position, time;
	uint8_t digest[32];
};
/* The nth, from the newest, 0: 1, 0 if there are fewer, -1. */
int journal_checkpoint(struct journal *journal, int64_t nth, struct journal_checkpoint *checkpoint_r,
	struct err *err);
int journal_add_checkpoint(
	struct journal *journal, const struct journal_checkpoint *checkpoint, struct err *err);
int journal_drop_checkpoint(struct journal *journal, int64_t slot, struct err *err);

/* The base: what the model was at a position. 1, 0 if nothing was trimmed yet, -1. */
int journal_base(struct journal *journal, struct journal_checkpoint *base_r, struct err *err);
/* How many lessons are whole, behind the base. */
int journal_count_whole(struct journal *journal, int64_t *count_r, struct err *err);
/* The position before the newest `most` whole lessons, 0 if there are no more than these. */
int journal_find_old(struct journal *journal, int64_t most, int64_t *position_r, struct err *err);
/*
 * Takes a new base, and drops the features of lessons up to its position, but of
 * JOURNAL_KNOWN_KEPT of each label, for journal_known(). Checkpoints before it are void, and refused
 * lessons are not there to be accepted any more: their messages can be taught anew. On the disk when
 * it returns.
 */
enum { JOURNAL_KNOWN_KEPT = 100 };
int journal_trim(struct journal *journal, const struct journal_checkpoint *base, struct err *err);
/* The base is gone: lessons that only it knew do not hold any more. The journal is stale. */
int journal_lose_base(struct journal *journal, int64_t *count_r, struct err *err);
/* How many lessons that hold are in the base. */
int journal_count_trimmed(struct journal *journal, int64_t *count_r, struct err *err);

/* Must the model be made again? 1, 0, -1. */
int journal_is_stale(struct journal *journal, struct err *err);
int journal_set_fresh(struct journal *journal, struct err *err);

/* The first `most` lessons with ids above `after`, up to `to`; 0: all, to the end. */
struct journal_span {
	int64_t after, to, most;
};
/*
 * Calls for every lesson there that holds and is whole, in order; what is given is valid until each()
 * returns, and -1 from it ends the replay.
 */
int journal_replay(struct journal *journal, const struct journal_span *span, journal_each *each,
	void *context, struct err *err);

#endif
