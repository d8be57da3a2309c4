/*
 * evaluate: runs the filters over facts; what the inspector does, and nothing else.
 *
 *	struct engine *e = engine_start(conf, &env, &err);
 *	struct evaluation *ev = evaluation_new(e, message);
 *	switch (evaluate(ev, &facts, STAGE_MESSAGE, &needs, &verdict)) {
 *	case 1: the verdict is there
 *	case 0: answer the needs, add them to the facts, call again
 *	}
 *	evaluation_free(&ev);
 *
 * An evaluation keeps parsed mail and filters' states between rounds: a cache.
 * A fresh one with the same facts comes to the same result.
 */
#ifndef FILTERS_EVALUATE_H
#define FILTERS_EVALUATE_H

#include "core/conf.h"
#include "core/filter.h"

struct engine;
struct evaluation;

/* Reads `filter` sections, orders the filters, starts those that are enabled. Errors in the
 * configuration are gathered in conf; NULL and err for anything else. */
struct engine *engine_start(struct conf *conf, const struct env *env, struct err *err);
/* Stops what was started; the memory is the arena's. No evaluation may be left. */
void engine_stop(struct engine **engine);
/* Bits of enum stage at which a session has to ask its filters about such mail. */
unsigned engine_stages(const struct engine *engine, enum traffic traffic);
/* Bits of enum ahead: what their filters will surely look up. */
unsigned engine_ahead(const struct engine *engine, enum traffic traffic);
/* "geo=2026-11-01 rules=1a2b": what would judge. */
const char *engine_versions(const struct engine *engine);
/* The configuration of a filter, as its start() left it; NULL if it is unknown or not enabled. */
const void *engine_conf(const struct engine *engine, const char *filter);
/* Is this a finding that filters report before the classifier runs? Neither its own nor a meta's. */
bool engine_finds(const struct engine *engine, struct str finding);
/* Of names with blanks between those that it finds, at most `most`, for lessons; they point into names. */
void engine_pick_findings(const struct engine *engine, struct str names, size_t most,
	struct arena *arena, struct str_list *findings_r);
/* Prints name, stages, traffic, state and summary of every filter, a line each. */
void engine_list(struct buf *out);

/* message: empty before MESSAGE; must outlive the evaluation. running: NULL, or a word that
 * names the filter that runs (index+1 into the registry; 0 between them). */
struct evaluation *evaluation_new(struct engine *engine, struct str message,
	volatile uint32_t *running);
void evaluation_free(struct evaluation **ev);
/*
 * 1: *verdict_r filled. 0: *needs_r filled. Both live until the next call or the free.
 * stage: one, or several of those before MESSAGE at once: the envelope as a whole.
 */
int evaluate(struct evaluation *ev, const struct facts *facts, unsigned stage,
	struct needs *needs_r, struct verdict *verdict_r);

/* What every filter is given without writing a line: enabled, timeout, on_error. rows_r gets
 * FILTER_COMMON_ROWS rows, the last one the end, over a struct filter_common. */
enum filter_on_error { ON_ERROR_IGNORE, ON_ERROR_TEMPFAIL, ON_ERROR_QUARANTINE };
struct filter_common {
	bool enabled;
	int64_t timeout; /* milliseconds of waiting */
	int on_error;	 /* enum filter_on_error */
};
#define FILTER_COMMON_ROWS 4
void engine_common_options(const struct filter *filter, struct option rows_r[FILTER_COMMON_ROWS]);

/*
 * After a verdict: has filters say why, for people, in what the verdict points to. It may cost as
 * much as judging did, so nobody asks for it in vain.
 */
void evaluation_explain(struct evaluation *ev);

/* The registry, from filters.def; a NULL stands behind the last one. */
extern const struct filter *const filters[];
extern const size_t filter_count;
const struct filter *filter_find(const char *name);

#endif
