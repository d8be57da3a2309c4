/*
 * meta: expressions over the names of findings, as `meta` rules have them.
 *
 *	A && (B || !C)        (A + B + C) >= 2        BAYES_99 && !SPF_PASS
 *
 * A name counts 1 if it was found and 0 if not. Operators as in C, by falling
 * precedence: ! and unary -, * /, + -, < <= > >=, == !=, &&, ||; & and | are
 * taken for && and ||. A division by zero gives 0. Parsed once into postfix
 * form; evaluation allocates nothing and cannot fail.
 *
 *	struct meta *m = meta_parse(arena, STR("A && !B"), &err);
 *	double value = meta_eval(m, count_of, context);
 */
#ifndef RULES_META_H
#define RULES_META_H

#include "core/arena.h"
#include "core/err.h"

#define META_TOKENS_MAX 2000 /* of one expression */
#define META_DEPTH_MAX	100  /* parentheses */

struct meta;

/* NULL if it is malformed: err says where. Names point into the text. */
struct meta *meta_parse(struct arena *arena, struct str text, struct err *err);
/* The names in it, each as often as it stands. */
size_t meta_name_count(const struct meta *meta);
struct str meta_name(const struct meta *meta, size_t i);
/* found(context, i) tells whether meta_name(meta, i) was found. */
double meta_eval(const struct meta *meta, bool (*found)(void *context, size_t i), void *context);

#endif
