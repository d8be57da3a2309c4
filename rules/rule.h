/*
 * rule: one rule, and the set, as the files of this folder share them. Nobody
 * else includes this; the public face is rules/ruleset.h.
 */
#ifndef RULES_RULE_H
#define RULES_RULE_H

#include "rules/match.h"
#include "rules/meta.h"
#include "rules/ruleset.h"
#include "rules/target.h"

enum rule_type { RULE_NONE, RULE_PATTERN, RULE_EXISTS, RULE_META };

struct rule {
	struct str name;
	uint64_t hash; /* of the name */
	enum rule_type type; /* RULE_NONE: only a score or sentence so far */
	const char *file;
	size_t line;
	struct str text;
	double score;
	bool has_score, nice;
	/* PATTERN, EXISTS */
	size_t target;
	struct match_pattern pattern;
	bool negated, has_unset;
	struct str unset; /* what an absent header counts as */
	/* META */
	struct str expression;
	struct meta *meta;
	size_t *operands; /* for each of its names, the rule, or RULE_FOREIGN */
	enum { RULE_UNSEEN, RULE_ON_PATH, RULE_PLACED } mark; /* while metas are put in order */
};
#define RULE_FOREIGN SIZE_MAX /* a finding of another filter */

/* The patterns of one target, of which a pass over its texts sorts out most. */
struct rule_group {
	size_t first, n; /* in by_target */
	struct match_set *set;
};

struct ruleset {
	struct arena *arena;
	struct matcher *matcher;
	struct rule *rules;
	size_t count, room;
	struct target *targets;
	size_t target_count, target_room;
	size_t *by_target; /* patterns, target by target */
	size_t pattern_count;
	struct rule_group *groups; /* one a target */
	size_t *metas; /* each behind those that it names */
	size_t meta_count;
	struct option_strings warnings;
	size_t warning_room;
	uint64_t version_hash;
	char version[17];
};

/* rules/default.rules, as the build puts it into the program. */
extern const unsigned char ruleset_defaults[];
extern const size_t ruleset_defaults_size;

/* The rule of this name, made if there is none; NULL past LIMIT_RULES. */
struct rule *ruleset_intern(struct ruleset *rs, struct str name);
/* The number of a target, added if it is new. */
size_t ruleset_target(struct ruleset *rs, const struct target *target);
void ruleset_warn(struct ruleset *rs, const char *file, size_t line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
