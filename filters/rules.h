/*
 * rules: what the evaluator needs of the rules filter beyond the filter itself.
 *
 * Meta rules look at the findings of all filters, so they are resolved when all
 * have run: the evaluator calls rules_metas() once, before the verdict.
 */
#ifndef FILTERS_RULES_H
#define FILTERS_RULES_H

#include "core/filter.h"
#include "rules/ruleset.h"

/* The rules of a started rules filter; conf is the filter's. NULL if it was not started. */
const struct ruleset *rules_ruleset(const void *conf);

/*
 * Appends a finding to *all for each meta rule that holds. conf and state are the filter's own, as
 * its run() last saw them; without a state (it failed, or has not run) metas still see the
 * findings, and no sub-rule. score and context as in struct filter_call; score may be NULL.
 */
void rules_metas(const void *conf, const void *state, struct finding_list *all,
	struct arena *arena, double (*score)(const void *context, struct str finding, double def),
	const void *context);

#endif
