/*
 * combine: what the views say together, and whose word is worth how much.
 *
 * Their log-odds are added up, each times its share. Shares begin as they were chosen and are
 * learned: after each lesson that the sum did not foresee, those grow that spoke for the label, by a
 * factor (exponentiated gradient: Kivinen and Warmuth, 1997), and the others shrink. None
 * becomes silent or deafening, and their sum stays, so that log-odds mean the same ever after.
 *
 *	double log_odds = combine_hear(header, &views, &heard);
 */
#ifndef BAYES_COMBINE_H
#define BAYES_COMBINE_H

#include "bayes/features.h"
#include "bayes/table.h"

enum combine_kind { COMBINE_GRAMS, COMBINE_WORDS, COMBINE_COUNTS, COMBINE_KINDS };

/* Log-odds of spam, each view's own. */
struct combine_views {
	double of[COMBINE_KINDS][FEATURES_SIDES];
};

/* As if nothing had been learned. */
void combine_start(struct table_header *header);
void combine_assign(struct table_header *header, const struct table_header *from);
/* What of one unit of a view is heard. */
double combine_share(const struct table_header *header, enum combine_kind kind, enum features_side side);
/* What of each view is heard, and its sum. */
double combine_hear(const struct table_header *header, const struct combine_views *views,
	struct combine_views *heard_r);
/* error: how far the sum was from the label, times how much the label counts. */
void combine_learn(struct table_header *header, const struct combine_views *views, double error);

#endif
