/*
 * match: one regular expression, compiled once, tried on many texts.
 *
 * Hides PCRE2: its JIT, its limits, and the literal that every match must hold,
 * which is looked for first because that is much cheaper. Everything is made
 * before the sandbox closes; matching allocates nothing.
 *
 *	struct match_pattern p;
 *	match_compile(m, STR("free\\s+money"), STR("i"), MATCH_TEXT, &p, &err);
 *	struct match_text t;
 *	match_text_init(arena, text, &t);
 *	if (match_try(m, &p, &t) == MATCH_YES) ...
 *
 * A rule set asks list by list: all patterns of one target over one text. A
 * database that matches many patterns at once can be put behind match_try()'s
 * prefilter without its callers noticing.
 */
#ifndef RULES_MATCH_H
#define RULES_MATCH_H

#include "core/arena.h"
#include "core/err.h"

struct matcher; /* contexts that all patterns share */
struct match_pattern {
	struct pcre2_real_code_8 *code;
	struct str literal; /* lower case if `caseless`; empty: none is known */
	bool caseless;
	bool octets; /* not UTF-8 */
};

/* A text, and what is computed of it at most once. */
struct match_text {
	struct str text;
	struct arena *arena;
	struct str lower;     /* p NULL: not yet */
	bool has_odd_folding; /* holds letters that fold to ASCII ones (Kelvin sign, long s) */
};

enum match_result { MATCH_NO, MATCH_YES, MATCH_LIMIT };

/* In the process's arena, as is all that patterns need; NULL without memory for the JIT's stack.
 * The free functions give back what the JIT has mapped: for tests, since the process keeps it. */
struct matcher *match_open(struct arena *arena, struct err *err);
void match_close(struct matcher **m);

/*
 * flags: of "imsx" and "g", "o", "u", "a", which change nothing. octets: the pattern is matched on octets
 * rather than UTF-8; so is one that writes octets above 0x7f as \xHH. Lines are lines for
 * '^' and '$'. literal lives in the arena. 0, or -1 with what is wrong with the expression.
 */
int match_compile(const struct matcher *m, struct arena *arena, struct str expression,
	struct str flags, bool octets, struct match_pattern *pattern_r, struct err *err);
void match_release(struct match_pattern *pattern);

void match_text_init(struct arena *arena, struct str text, struct match_text *text_r);
/* MATCH_LIMIT: the expression wants more steps, depth or memory than any message is worth. */
enum match_result match_try(const struct matcher *m, const struct match_pattern *pattern,
	struct match_text *text);

/* The longest run of octets that every match of the expression must hold; lower case if
 * caseless. Empty if none is known. In the arena. Exposed for its test. */
struct str match_literal(struct arena *arena, struct str expression, bool caseless, bool extended);

#endif
