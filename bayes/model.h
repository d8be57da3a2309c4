/*
 * model: what the classifier has learned, and how it judges and learns.
 *
 * Views of a message's features (features.h), of its headers and of its body apart, summed up as
 * log-odds that never saturate by a learned combiner (combine.h):
 *
 *   grams   logistic regression over grams of four octets, a rate for each weight
 *   words   the same over tokens
 *   counts  naive Bayes over the numbers of messages that a token was in; it forgives
 *           wrong labels, which the other two believe too readily
 *   findings  what other filters found, if that is known; a small, bounded part (findings.h)
 *
 * While one class is hardly known, counts are damped, and how much of a message is new
 * to the class that is known speaks instead. Labels that contradict a confident
 * judgement are believed less the more such labels there are, by all three views.
 *
 * The model lies in a file of fixed size (table.h) that one process writes and any
 * number read at once. It is a cache of the training log (journal.h): the same lessons in the
 * same order give the same bits on every machine. A writer that died within a lesson
 * leaves the unclean mark, upon which the model must be rebuilt; readers go on with
 * what is there.
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

/*
 * Makes the file, with a new salt, if it is not there; two that do so at once agree on one.
 * A damaged one, or one of another version, is replaced.
 */
int model_ensure(const char *path, struct err *err);
/* WRITE takes the file's lock. MEMORY: no file, a fixed
 * salt, always empty: for evaluation. NULL with err: also a file of another version or size. */
struct model *model_open(const char *path, enum model_mode mode, struct err *err);
void model_close(struct model **model);
/*
 * A private copy of a model with a file, for trying lessons: it costs what they touch. NULL with
 * err. model_forget() makes it what the other one is at that moment.
 */
struct model *model_overlay(const struct model *of, struct err *err);
void model_forget(struct model *overlay);
/* Each view's word is worth as much as it is to the other one, whatever was learned about that. */
void model_assign_shares(struct model *overlay, const struct model *from);
/* 16 octets. */
const uint8_t *model_salt(const struct model *model);
/* Grows with every lesson. */
uint64_t model_generation(const struct model *model);
void model_learned(const struct model *model, int64_t *spam_r, int64_t *ham_r);

/* What the views say of a message. */
struct opinion {
	double log_odds;	     /* of spam; unsaturated, finite; 0 for an empty model, modest in a young one */
	double grams, words, counts; /* what is heard of each view, headers and body together */
	double findings;	     /* what this one says; little of it is heard (findings.h) */
};
struct opinion model_classify(const struct model *model, const struct features *features);
/* What each token adds to the log-odds: tokens_r[i] is that token's share of the views of words and
 * counts; and what each finding adds. Grams have no text that says anything, and are left out. */
void model_weigh(const struct model *model, const struct features *features, double *tokens_r,
	double *findings_r);
/*
 * One lesson. `time` (seconds since 1970, or 0 for "no clock") moves the model's time on, by
 * which older lessons fade. Returns what the model thought before it learned.
 */
struct opinion model_learn(
	struct model *model, const struct features *features, bool spam, int64_t time);

/* A lesson that teaches nothing, since others like it did: it is counted as learned. */
void model_count(struct model *model, bool spam);

/* How it is doing, of late (of about the last 200 lessons): judged before they were learned. */
struct model_progress {
	double error;	     /* share of lessons that were misjudged */
	double disagreement; /* share in which a view contradicted the sum */
	double noise[2];     /* share of labels taken for wrong, of ham and of spam */
};
void model_progress(const struct model *model, struct model_progress *progress_r);

/* Did the last writer end within a lesson? */
bool model_is_unclean(const struct model *model);
/* The pages are on disk and the mark is clean. */
int model_sync(struct model *model, struct err *err);
/* Forgets all lessons; the salt stays, so that logged features can be learned again. */
void model_clear(struct model *model);
/* Sets the salt of a model that has learned nothing. */
void model_set_salt(struct model *model, const uint8_t salt[16]);
/* Days in which what was learned fades by half; TABLE_HALF_LIFE at first. From when it is set on:
 * what has faded before stays so. */
uint32_t model_half_life(const struct model *model);
void model_set_half_life(struct model *model, uint32_t days);
/* The last lesson of the training log that was learned; 0 at first. */
int64_t model_position(const struct model *model);
void model_set_position(struct model *model, int64_t position);
/* Takes over all that another model with the same salt has learned. */
void model_assign(struct model *model, const struct model *from);
/* Writes it to a file of its own, which is on the disk then. */
int model_save(const struct model *model, const char *path, struct err *err);
/* Takes over what such a file holds, but for its half-life, if it is whole (by its digest) and of the
 * model's version and salt: 1. Otherwise 0, or -1 if it cannot be read, and the model
 * (MODEL_MEMORY) is as it was when it was cleared. */
int model_load(
	struct model *model, const char *path, const uint8_t digest[32], struct err *err);
/* SHA-256 of all that was learned: equal for models of the same salt and the same lessons. */
void model_digest(const struct model *model, uint8_t digest_r[32]);

#endif
