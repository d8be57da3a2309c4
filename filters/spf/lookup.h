/*
 * lookup: what the DNS says to one term of an SPF record (RFC 7208 section 5),
 * and the limits over a whole check (4.6.4). Shared by the files of filters/spf/.
 */
#ifndef FILTERS_SPF_LOOKUP_H
#define FILTERS_SPF_LOOKUP_H

#include "filters/spf/check.h"
#include "filters/spf/record.h"

/* A term that needs the DNS, with the domain of the record in which it stands. */
struct spf_asked {
	const struct spf_term *term; /* NULL: redirect= */
	struct str target;	     /* its domain-spec; empty: the current domain */
	struct str domain;	     /* the current domain */
	bool outermost;		     /* not reached through an include */
};

struct spf_walk {
	struct spf_check *check;
	struct arena *arena;
	LIST(struct spf_asked) asked;
	size_t asked_cap;
	unsigned terms, voids;
	bool pending;	   /* an answer is missing: whatever comes out is to be ignored */
	int error;	   /* AUTH_NONE while there is none; then the result of the check */
	struct str exp;	   /* of the outermost record that is read last, and its domain */
	struct str exp_domain;
};

enum spf_answer {
	SPF_NO_MATCH,
	SPF_MATCH,
	SPF_STOPPED, /* pending or error is set */
};

/* Sets the result that ends the check. Returns SPF_STOPPED. */
enum spf_answer spf_lookup_fail(struct spf_walk *walk, int result, const char *reason);
/* Does the term match? For a, mx, ptr and exists. */
enum spf_answer spf_lookup_term(struct spf_walk *walk, const struct spf_asked *asked);
/* The name that include or redirect means, counted as a term. SPF_MATCH if there is one. */
enum spf_answer spf_lookup_target(struct spf_walk *walk, const struct spf_asked *asked,
	struct str *name_r);
/* The one SPF record of a name: SPF_MATCH, or SPF_NO_MATCH if there is none. */
enum spf_answer spf_lookup_record(struct spf_walk *walk, struct str name, struct str *txt_r);
/* Asks for what the term will need, if that is known already. */
void spf_lookup_prefetch(struct spf_walk *walk, const struct spf_asked *asked);
/* What exp= says (6.2): false while answers are missing. Empty if it says nothing usable. */
bool spf_lookup_explanation(struct spf_walk *walk, struct str *text_r);

#endif
