/*
 * findings: the classifier's fourth view: what other filters found in the message, by name.
 *
 * A small logistic regression with a slot of its own for each name. What it says is a bounded
 * part of the log-odds: findings have scores already, so a view that believed them without
 * bounds would count them twice, and agree with the rules ever more. A message without
 * findings, and a lesson that tells of none, it leaves alone.
 *
 * Scores play no part, and neither does what is built on the classifier (BAYES_*, metas): the
 * caller leaves that out.
 *
 *	findings_add(&features, model_salt(model), names, n, arena);
 */
#ifndef BAYES_FINDINGS_H
#define BAYES_FINDINGS_H

#include "bayes/features.h"
#include "bayes/table.h"

/* Each name once, FEATURES_FINDINGS at most; `names` must live as long as the features. */
void findings_add(struct features *features, const uint8_t salt[16], const struct str *names, size_t n,
	struct arena *arena);

/* The rest is model.c's. What the view thinks by itself, as log-odds of spam. */
double findings_view(const struct table *table, const struct features *features);
/* What of it is heard: within FINDINGS_HEARD. */
#define FINDINGS_HEARD 1.0
double findings_heard(double view);
/* What each adds to what is heard. */
void findings_weigh(const struct table *table, const struct features *features, double *weights_r);
/* error: how far its view was from the label, times how much the label counts. */
void findings_learn(struct table *table, const struct features *features, double error);

#endif
