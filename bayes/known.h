/*
 * known: messages whose labels are beyond doubt, and what a lesson would do to them.
 *
 * A lesson of somebody who is not wholly trusted is tried on a private copy of the model
 * (model_overlay) before it is learned. It may well move known mail, as all lessons do: a
 * lesson about ham moves ham away from spam, and spam a little towards it. What tells
 * poison is the balance: it moves known mail of one label towards the other more than it
 * helps the other's. That views are worth something else after it is never to its credit.
 *
 * The messages are chosen from the training log by hashes under the model's salt: nobody
 * outside can tell which they are. Of each giver those are left out that he gave himself.
 */
#ifndef BAYES_KNOWN_H
#define BAYES_KNOWN_H

#include "bayes/journal.h"
#include "bayes/model.h"

enum {
	KNOWN_MESSAGES = 50, /* of each label */
	KNOWN_LEAST = 10,    /* with fewer of either nothing can be said */
	/* Lessons of the untrusted that hold for so long, and are in the log still, count as known. */
	KNOWN_AFTER_DAYS = 14,
};
#define KNOWN_ONE 1e6 /* harm is in millionths of a unit of log-odds */

struct known;
/* NULL with err. The model must have a file, and outlive it. */
struct known *known_new(const struct model *model, struct err *err);
void known_free(struct known **known);
/* Chooses the messages anew from the log, as of `time`. */
int known_load(struct known *known, struct journal *journal, int64_t time, struct err *err);
/*
 * How far the lesson's content would move the mean known message towards the wrong side: of both
 * labels together, below 0 if it does good. 0 while too few messages are known.
 */
int64_t known_harm(struct known *known, const struct journal_entry *entry);

#endif
