/*
 * match: regular expressions, compiled once, tried on many texts.
 *
 * Hides PCRE2, its JIT and its limits, and how most expressions are spared: one
 * pass over a text tells which of a set of expressions can match it at all, by
 * the literals that each of them needs (rules/literal.h). Everything is made
 * before the sandbox closes; matching allocates nothing.
 *
 *	match_compile(m, arena, STR("free\\s+money"), STR("i"), false, &patterns[0], &err);
 *	struct match_set *set = match_set(arena, patterns, n);
 *	match_candidates(set, text, candidates);
 *	for (size_t i = 0; i < n; i++)
 *		if (candidates[i] && match_try(m, &patterns[i], text) == MATCH_YES) ...
 *
 * Any engine that matches many patterns at once can stand behind match_set().
 */
#ifndef RULES_MATCH_H
#define RULES_MATCH_H

#include "core/arena.h"
#include "core/err.h"
#include "rules/literal.h"

struct matcher; /* contexts that all patterns share */
struct match_pattern {
	struct pcre2_real_code_8 *code;
	struct literals literals; /* one of them must be there; none: not known */
	bool caseless;
};
struct match_set;

enum match_result { MATCH_NO, MATCH_YES, MATCH_LIMIT };

/* In the process's arena, as is all that patterns need; NULL without memory for the JIT's stack.
 * The close functions give back what the JIT has mapped: for tests, since the process keeps it. */
struct matcher *match_open(struct arena *arena, struct err *err);
void match_close(struct matcher **m);

/*
 * flags: of "imsx", and "g", "o", "u", "a", which change nothing. octets: the pattern is
 * matched on octets rather than UTF-8; so is one that writes octets above 0x7f as \xHH. '^' and
 * '$' match at lines. 0, or -1 with what is wrong with the expression.
 */
int match_compile(const struct matcher *m, struct arena *arena, struct str expression,
	struct str flags, bool octets, struct match_pattern *pattern_r, struct err *err);
void match_release(struct match_pattern *pattern);

/* MATCH_LIMIT: the expression wants more steps, depth or memory than any message is worth. */
enum match_result match_try(const struct matcher *m, const struct match_pattern *pattern,
	struct str text);

/* patterns are pointed to, and numbered as they stand. */
struct match_set *match_set(struct arena *arena, const struct match_pattern *const *patterns,
	size_t n);
/* Sets candidates[i] for every pattern that may match the text; leaves the others alone. */
void match_candidates(const struct match_set *set, struct str text, bool *candidates);

#endif
