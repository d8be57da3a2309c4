/*
 * explain: the strongest features of a judgement, as text for people:
 *
 *	+1.82 subject "cheap … offer"
 *	-0.40 header "in-reply-to"
 *	+0.31 finding URI_IP
 *
 * The figure is what the feature adds to the log-odds of spam. Whoever sent the message must not
 * be told: he would learn which words to avoid.
 */
#ifndef BAYES_EXPLAIN_H
#define BAYES_EXPLAIN_H

#include "bayes/model.h"

enum { EXPLAIN_MAX = 12 };

/* Strongest first. Returns how many texts_r got, all in the mail's arena; the features are the
 * mail's under the model's salt. */
size_t explain(const struct model *model, struct mail *mail, const struct features *features,
	struct str texts_r[EXPLAIN_MAX]);

#endif
