/*
 * macro: what SPF macros expand to (RFC 7208 section 7).
 *
 * Ours rather than the library's, whose expander mangles blanks and escapes,
 * knows other delimiters than the standard's, and would see peers' octets.
 *
 *	struct str name = spf_macro_expand(STR("%{ir}.%{v}.x.example"), &values, false, arena);
 */
#ifndef FILTERS_SPF_MACRO_H
#define FILTERS_SPF_MACRO_H

#include "core/ip.h"

struct spf_macro_values {
	struct str local, sender_domain; /* l, o; s is both with an '@' */
	struct str domain;		 /* d: the current domain */
	struct str helo;		 /* h */
	struct ip client;		 /* i, v, c */
	struct str validated;		 /* p; empty: "unknown" */
	struct str receiver;		 /* r; empty: "unknown" */
	int64_t now;			 /* t */
};

/* Longer expansions are cut at their end: no name and no explanation is that long. */
#define SPF_MACRO_EXPANSION_MAX 8192

/* text must be a valid macro-string (spf_record_is_macro_string). */
struct str spf_macro_expand(struct str text, const struct spf_macro_values *values, bool exp,
	struct arena *arena);
/* Does it hold %{p}, for which the DNS must be asked first? */
bool spf_macro_needs_validated(struct str text);

#endif
