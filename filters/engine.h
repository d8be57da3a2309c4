/*
 * engine: what engine_start() made, as evaluate.c runs it. Private to these two.
 */
#ifndef FILTERS_ENGINE_H
#define FILTERS_ENGINE_H

#include "filters/evaluate.h"
#include "rules/policy.h"

#define ENGINE_MAX_FILTERS 64 /* sets of filters are bits of a uint64_t */

/* An enabled filter, in the order in which they run. */
struct runner {
	const struct filter *filter;
	size_t index; /* into filters[] */
	void *conf;
	struct filter_common common;
	bool started;
	uint64_t after; /* runners that must be done first, their own `after` included */
};

struct engine {
	struct arena *arena;
	const char *hostname;
	struct policy_set *policies;
	struct runner *runners;
	size_t count;
	const char *versions;
};

/* Does it look at this kind of mail? */
bool engine_looks_at(const struct filter *filter, enum traffic traffic);
/* "SPF_FAILED" */
struct str engine_failure_name(const struct filter *filter, struct arena *arena);

#endif
