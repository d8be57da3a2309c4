/*
 * check: check_host() of RFC 7208, by libspf2 behind a strict front.
 *
 * The front reads records (record.h), expands macros (macro.h), asks the DNS,
 * compares addresses and counts the limits over the whole check. To libspf2 it
 * hands records of its own making, in which each term that still matters is
 * `exists:tN.spf` or `include:tN.spf`; the library walks them: order, qualifiers,
 * include and redirect. When it looks tN.spf up, the front answers whether term N
 * matches. So no octet of a peer reaches the library, and of what it gets wrong
 * (prefix lengths of 0, long records, limits, loopback, syntax) nothing is left.
 *
 * A check can be run again and again: what it lacks is registered by ask_dns(),
 * and with all answers there it runs to its end. Targets are asked for as soon as
 * a record is read, so the number of rounds is the depth of includes.
 *
 *	struct spf_check c = { .call = call, .values = { ... }, .domain = domain, .share = 22 };
 *	if (!spf_check_run(&c))
 *		return STEP_WAIT;
 *	use(c.result);
 */
#ifndef FILTERS_SPF_CHECK_H
#define FILTERS_SPF_CHECK_H

#include "core/filter.h"
#include "filters/spf/macro.h"

struct spf_check {
	struct filter_call *call;
	struct spf_macro_values values; /* `domain` and `validated` are filled in here */
	struct str domain;		/* whose record is looked up first */
	bool explain;			/* also fetch what exp= says, on fail */
	size_t share;			/* of questions, over all that the call asks; past it temperror */
	/* Out: */
	int result;		/* enum auth_result */
	struct str reason;	/* why an error is one; our own words */
	struct str explanation; /* printable ASCII, or empty */
};

/* Sets the library's error handlers: none of its aborts ends the process. Once, at start. */
void spf_check_init(void);
/* 1: result is there. 0: answers are missing, call again with them. */
int spf_check_run(struct spf_check *check);

#endif
