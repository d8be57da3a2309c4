/*
 * status: how the classifier is doing, for people and for metrics.
 *
 * The same for a model whose trainer runs and for one that lies there: a record (core/record.h),
 * whose JSON is the answer of the admin API and of `gatepost bayes status --json`.
 */
#ifndef BAYES_STATUS_H
#define BAYES_STATUS_H

#include "bayes/journal.h"
#include "bayes/model.h"
#include "core/conf.h"

/* Messages of each kind from which on a judgement is worth a score. */
#define BAYES_MIN_LEARNED "50"

struct bayes_status {
	int64_t spam, ham; /* learned */
	bool counts;	   /* do its judgements count? */
	struct str needs;  /* if not: what for, in words: "12 more ham" */
	int64_t min_learned;
	double error;	     /* of late: see struct model_progress */
	double disagreement;
	struct bayes_label_noise {
		double spam, ham;
	} label_noise;
	bool rebuilding;	/* the model is being made again */
	struct str trouble;	/* why that was given up the last time; else empty */
	/* While it is rebuilt neither is told. */
	int64_t logged;		/* lessons that hold in the training log */
	int64_t trimmed;	/* of them: those that are in the base (teacher_trim) */
	int64_t refused;	/* lessons in it that were refused as harmful (teacher.h), for review */
	int64_t checkpoint;	/* time of the newest (checkpoint.h); 0: there is none */
	struct str fingerprint; /* of all that was learned */
};
extern const struct record bayes_status_record;

/* What section filter "bayes" says of it. */
struct bayes_status_conf {
	bool enabled;
	int64_t min_learned;
};
void bayes_status_configure(struct conf *conf, struct bayes_status_conf *conf_r);

/* Of the model alone: logged 0, no fingerprint. Texts are the arena's. */
void bayes_status_of(const struct model *model, const struct bayes_status_conf *conf,
	struct arena *arena, struct bayes_status *status_r);
/* The rest, which takes a moment. 0 or -1. */
int bayes_status_more(const struct model *model, struct journal *journal, struct arena *arena,
	struct bayes_status *status, struct err *err);
/* In Prometheus's text form. */
void bayes_status_metrics(const struct bayes_status *status, struct buf *out);

#endif
