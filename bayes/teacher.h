/*
 * teacher: the one writer of a folder with a model and its training log, and what keeps
 * the two together: every lesson is logged, then learned; a model that is missing,
 * unclean, of another version or older than the log is made again from the log.
 *
 *	DIR/model, DIR/log.db
 *
 * Whoever has opened the folder has the model's lock; a second one is refused.
 */
#ifndef BAYES_TEACHER_H
#define BAYES_TEACHER_H

#include "bayes/journal.h"
#include "bayes/model.h"

struct teacher;

/* The folder must exist. Brings the model up to the log. NULL with err. */
struct teacher *teacher_open(const char *folder, struct err *err);
void teacher_close(struct teacher **teacher);
const struct model *teacher_model(const struct teacher *teacher);
struct journal *teacher_journal(const struct teacher *teacher);

/* Of one person, through channels other than "cli", "api" and "rspamd", which need a password of
 * the site.. */
enum { TEACHER_LESSONS_A_DAY = 100 };

/*
 * Logs the lesson and learns it; -1 also if its giver has given too many today. A message that is
 * known with this label teaches nothing; one with the other label is learned anew, and its first
 * lesson is forgotten by the next rebuild.
 */
int teacher_teach(struct teacher *teacher, const struct journal_entry *entry,
	enum journal_change *change_r, struct err *err);
/* Log and model are on the disk. */
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
/* Takes lessons back; if there were any, a rebuild is begun, which the caller steps to its end. */
int teacher_undo(struct teacher *teacher, const struct journal_which *which, int64_t *count_r,
	struct err *err);

#endif
