/*
 * teacher: the one writer of a folder with a model and its training log, and what keeps
 * the two together: every lesson is logged, then learned; a model that is missing,
 * unclean, of another version or older than the log is made again from the log.
 *
 *	DIR/model, DIR/log.db, DIR/checkpoint.N, DIR/base.N
 *
 * Whoever has opened the folder has the model's lock; a second one is refused.
 *
 * Guards, since whoever may report mail may also try to spoil the model:
 *
 *   copies   of a lesson that is nearly the same as NEAR_FULL others of its label, only
 *	      the 4th, 8th, 16th … teaches anything (near.h); the others are counted
 *   quotas   of lessons within a day: of a giver, of ham, about one sender, of a tenant
 *   harm     a lesson is tried on known messages first (known.h). What it takes from them
 *	      is put on its giver's balance, what it gives them is taken off, to at most
 *	      as much credit; either is gone after TEACHER_HARM_DAYS. A lesson that would
 *	      take the balance over TEACHER_HARM_MOST is refused: logged, for an
 *	      administrator to review, but it does not hold. After TEACHER_REFUSALS in a
 *	      day its giver is not heard until the next.
 *
 * Lessons through the channels "cli", "api" and "rspamd", which need a password of the
 * site, are trusted: quotas and trials are not for them. Copies are, for all.
 *
 * Lessons through the channel "auto" are nobody's word: about a message that somebody else has
 * taught, whatever he said, they do nothing.
 */
#ifndef BAYES_TEACHER_H
#define BAYES_TEACHER_H

#include "bayes/journal.h"
#include "bayes/model.h"

enum {
	TEACHER_COPIES = 4, /* copies that teach, before they thin out */
	TEACHER_HARM_MOST = 10000, /* millionths of log-odds (known.h) */
	TEACHER_HARM_KNOWN = 500,  /* messages of each label; with fewer it is more in proportion */
	TEACHER_HARM_DAYS = 7,
	TEACHER_REFUSALS = 20,
	/* A checkpoint (checkpoint.h) at most so often, and after so many lessons. */
	TEACHER_CHECKPOINT_DAYS = 1,
	TEACHER_CHECKPOINT_LESSONS = 100,
	/* The log is trimmed when it has an eighth more whole lessons than it is to keep; of so many at once. */
	TEACHER_TRIM_SLACK = 8,
	TEACHER_TRIM_AT_ONCE = 5000,
};

/* Lessons within 24 hours; 0: as many as come. */
struct teacher_quotas {
	int64_t user;
	int64_t user_ham; /* of them: ham, which spam would like to be */
	int64_t sender;	  /* about mail of one sender's domain */
	int64_t tenant;
	int64_t automatic; /* of each giver of the channel "auto", in place of the first two */
};
#define TEACHER_QUOTAS {100, 50, 200, 2000, 50}

struct teacher;

/*
 * The folder must exist. Brings the model up to the log; with another half-life (days) than it was
 * made with it is made again, and what the log does not hold whole any more fades so from then on. NULL with err.
 */
struct teacher *teacher_open(const char *folder, int64_t half_life, struct err *err);
void teacher_close(struct teacher **teacher);
const struct model *teacher_model(const struct teacher *teacher);
struct journal *teacher_journal(const struct teacher *teacher);
/* Until then they are TEACHER_QUOTAS. */
void teacher_set_quotas(struct teacher *teacher, const struct teacher_quotas *quotas);

/*
 * Logs the lesson and learns it. What the guards make of it is found here: those fields of
 * the entry are not read. -1 also if a quota is used up; JOURNAL_REFUSED with 0 and the reason in
 * err, if the lesson does harm. A message that is known with this label teaches nothing; one with
 * the other label is learned anew, and its first lesson is forgotten by the next rebuild.
 */
int teacher_teach(struct teacher *teacher, const struct journal_entry *entry,
	enum journal_change *change_r, struct err *err);
/* Log and model are on the disk, and a checkpoint if it is time. */
int teacher_sync(struct teacher *teacher, struct err *err);

/*
 * Makes the model again from the log: to the same bits, wherever it is done. In pieces, so that
 * lessons can be given meanwhile: begin (anew, if it was begun), then step until it returns 0; 1:
 * there is more; -1: given up. Until it is done the model is what it was, and learns on.
 */
int teacher_begin_rebuild(struct teacher *teacher, struct err *err);
int teacher_step_rebuild(struct teacher *teacher, struct err *err);
bool teacher_is_rebuilding(const struct teacher *teacher);
/* All steps at once. */
int teacher_rebuild(struct teacher *teacher, struct err *err);
/*
 * Bounds the log: of all but the newest `kept` lessons (0: keep all) the features are dropped, once
 * what they taught is in the base (checkpoint.h). 1: there is more to do, 0, -1. The model and what a
 * rebuild makes of it stay the same to the bit; but what is trimmed cannot be taken out of the model
 * any more, only fade: when such a lesson is undone or gets another label, its row holds no more, and what
 * it taught stays. Takes a second or two at most.
 */
int teacher_trim(struct teacher *teacher, int64_t kept, struct err *err);
/*
 * How many lessons had to be given up since this was last asked: the base was gone, or of another
 * version of the model, and no checkpoint there. They do not hold any more: who has the messages can teach
 * them anew.
 */
int64_t teacher_lost(struct teacher *teacher);
#define TEACHER_SAYS_LOST                                                                          \
	"%lld older lessons are lost: the base of the training log is gone or of another version; who "  \
	"has the messages can teach them anew"
/* Takes lessons back; if there were any, a rebuild is begun, which the caller steps to its end. */
int teacher_undo(struct teacher *teacher, const struct journal_which *which,
	struct journal_undone *undone_r, struct err *err);
/* The same: all that came after the nth checkpoint, from the newest, 0. 1, 0 if there are fewer, -1. */
int teacher_roll_back(struct teacher *teacher, int64_t nth, struct journal_undone *undone_r,
	struct err *err);
/* A refused lesson is to hold: 1, and the model is made again with it; 0 if there is none; -1. */
int teacher_accept(struct teacher *teacher, int64_t id, struct err *err);
/* Does the nth copy of a lesson, from 1, teach anything? For those who learn without a log. */
bool teacher_heeds_copy(int64_t n);

#endif
