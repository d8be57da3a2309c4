/*
 * walk: the DNS tree walk (RFC 9989 section 4.10), and what it finds.
 *
 * At most eight names are asked for policy records, all at once since they are
 * known from the start; then the organizational domain is chosen, and for an
 * author's domain the policy record. Answers are the evaluation's, so a walk that
 * shares names with another costs nothing for those.
 */
#ifndef FILTERS_DMARC_WALK_H
#define FILTERS_DMARC_WALK_H

#include "core/filter.h"
#include "filters/dmarc/record.h"

#define DMARC_WALK_QUERIES 8

enum dmarc_walk_state {
	DMARC_WALK_PENDING, /* answers are missing */
	DMARC_WALK_ERROR,   /* the DNS failed at a name that mattered */
	DMARC_WALK_DONE,
};

struct dmarc_policy_found {
	bool found;
	struct str domain; /* where the record stands */
	struct dmarc_record record;
};

/* The names of the walk from `domain`, longest first; returns how many. */
size_t dmarc_walk_names(struct str domain, struct str names_r[DMARC_WALK_QUERIES]);
/* The single valid policy record at a name, if there is one. */
enum dmarc_walk_state dmarc_walk_record(struct filter_call *call, struct str domain,
	struct dmarc_policy_found *policy_r);
/* The organizational domain of `domain`, by the walk or by the public suffix list. */
enum dmarc_walk_state dmarc_walk_organizational(struct filter_call *call,
	enum dmarc_discovery discovery, struct str domain, struct str *organizational_r);
/* The record that holds for an author's domain (4.10.1). */
enum dmarc_walk_state dmarc_walk_policy(struct filter_call *call, enum dmarc_discovery discovery,
	struct str author, struct dmarc_policy_found *policy_r);

#endif
