/*
 * literal: what a text must hold if a regular expression is to match it.
 *
 * Reads an expression and finds a few literals of which every match contains at
 * least one, without regard to the case of ASCII letters. To look for literals is
 * much cheaper than to try expressions.
 *
 *	struct literals l = literal_find(arena, STR("\\b(?:free|easy) money\\b"), false);
 *	l.v is { "free", "easy" }, or { " money" }: whichever promises to be rarer
 *
 * An expression that it does not follow to the end has none (n is 0): such a one
 * has to be tried. It never promises too much.
 */
#ifndef RULES_LITERAL_H
#define RULES_LITERAL_H

#include "core/arena.h"

#define LITERAL_MIN   3 /* octets; shorter ones are found everywhere */
#define LITERAL_MAX   24
#define LITERALS_MAX  64 /* of one expression */
#define LITERAL_DEPTH 50 /* groups inside groups */

struct literals {
	struct str *v; /* in lower case */
	size_t n;
};

/* Not for expressions with the flag x. unicode: it is UTF-8 and minds the case, so that letters
 * other than ASCII can be a part of literals too. */
struct literals literal_find(struct arena *arena, struct str expression, bool unicode);

#endif
