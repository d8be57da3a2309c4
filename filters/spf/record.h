/*
 * record: the SPF record's grammar, strictly (RFC 7208 section 12).
 *
 * Knows syntax only. A record is taken apart into its terms, or is refused as a
 * whole: any error anywhere makes it a permerror (4.6), so nothing is guessed.
 *
 *	struct spf_record record;
 *	if (spf_record_is(txt) && spf_record_parse(txt, arena, &record, &err) == 0)
 *		for (size_t i = 0; i < record.terms.n; i++) ...
 *
 * Strings point into the text that was parsed.
 */
#ifndef FILTERS_SPF_RECORD_H
#define FILTERS_SPF_RECORD_H

#include "core/ip.h"
#include "core/record.h"

enum spf_mechanism {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
};

struct spf_term {
	enum spf_mechanism mechanism;
	char qualifier;	    /* '+', '-', '~' or '?' */
	struct str domain;  /* domain-spec, macros and all; empty: the current domain */
	unsigned bits4, bits6; /* a, mx: prefix lengths; ip4, ip6: that of `network` */
	uint8_t network[16]; /* ip4: 4 octets, ip6: 16; never unmapped */
};

struct spf_record {
	LIST(struct spf_term) terms;
	struct str redirect, exp; /* domain-specs; empty if absent */
	bool has_all;
};

/* Does the text begin with "v=spf1" and a space or its end (4.5)? */
bool spf_record_is(struct str txt);
/* 0, or -1 with the reason for a permerror. Expects spf_record_is(txt). */
int spf_record_parse(struct str txt, struct arena *arena, struct spf_record *record_r,
	struct err *err);

struct spf_macro {
	char letter;	  /* lower case; '%', '_' or '-' for the three escapes */
	bool url;	  /* upper case letter: URL-escape (7.3) */
	bool reverse;
	unsigned keep;	  /* right-hand parts to keep; 0: all */
	struct str delimiters; /* empty: "." */
};
/*
 * The macro at the head of s, which begins with '%': the number of octets that
 * it takes, or 0 if it is none (7.1). `exp`: c, r and t are allowed too.
 */
size_t spf_record_macro(struct str s, bool exp, struct spf_macro *macro_r);
/* Is all of s a macro-string? blanks: may it hold spaces (an explanation, 6.2)? */
bool spf_record_is_macro_string(struct str s, bool exp, bool blanks);

#endif
