/*
 * model: what the classifier has learned, as one fixed-size file that every
 * inspector maps read-only.
 *
 * One process writes (the trainer), any number read, without locks: every value is
 * one aligned word, written and read as a relaxed atomic, so that a reader sees the
 * old or the new one. Two tables, of sizes fixed at creation:
 *
 *   weights  one per slot of the gram view: fixed-point
 *   counts   one per token: a check of the key, documents of spam, documents of ham
 *
 * The model is a cache of the training log. A writer that died within a lesson
 * leaves the unclean mark, upon which the model must be rebuilt or restored
 * (model_open for writing says so); readers go on with what is there.
 *
 *	struct model *m = model_open("/var/lib/gatepost/bayes/model", MODEL_READ, &err);
 *	double log_odds = model_classify(m, &features).log_odds;
 */
#ifndef BAYES_MODEL_H
#define BAYES_MODEL_H

#include "bayes/features.h"
#include "core/err.h"

enum model_mode { MODEL_READ, MODEL_WRITE, MODEL_MEMORY };

struct model;

/* Makes the file, with a new salt, if it is not there; two that do so at once agree on one. */
int model_ensure(const char *path, struct err *err);
/* WRITE takes the file's lock. MEMORY: no file, a fixed
 * salt, always empty: for evaluation. NULL with err: also a file of another version or size. */
struct model *model_open(const char *path, enum model_mode mode, struct err *err);
void model_close(struct model **model);
const uint8_t *model_salt(const struct model *model);
/* Grows with every lesson. */
uint64_t model_generation(const struct model *model);
void model_learned(const struct model *model, int64_t *spam_r, int64_t *ham_r);

/* What the views say of a message. */
struct opinion {
	double log_odds; /* of spam; unsaturated, finite; 0 for an empty model */
	double grams, tokens; /* each view's own */
};
struct opinion model_classify(const struct model *model, const struct features *features);
/* One lesson, after classifying it (the views learn from their error). */
void model_learn(struct model *model, const struct features *features, bool spam);
/* Did the last writer end within a lesson? */
bool model_is_unclean(const struct model *model);
/* The pages are on disk and the mark is clean. */
int model_sync(struct model *model, struct err *err);

#endif
