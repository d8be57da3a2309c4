/*
 * policy: what is done at which score, for whom.
 *
 * Layered: built-in, the file's `policy` section, the recipient's `domain`
 * section; later an interface's own layer and the recipient's. A layer only
 * changes what it names.
 */
#ifndef RULES_POLICY_H
#define RULES_POLICY_H

#include "core/conf.h"
#include "core/verdict.h"

enum dmarc_mode { DMARC_MODE_CAREFUL, DMARC_MODE_STRICT, DMARC_MODE_OFF };

struct policy {
	double tag_score, quarantine_score, reject_score;
	int dmarc;	/* enum dmarc_mode: is p=reject alone enough to refuse? */
	int virus;	/* enum action for a virus; quarantine by default */
	int unscannable;
	bool spam_headers; /* X-Spam-* on delivered mail */
};
/* Rows of the `policy` section, and of the same keys in `domain` sections. */
extern const struct option policy_options[];
#define POLICY_NEVER 100000 /* a score that no message reaches */

/* What is done with our own users' mail, whoever it is for. */
enum policy_from { POLICY_FROM_ADDRESS, POLICY_FROM_DOMAIN, POLICY_FROM_ANY };
struct policy_outbound {
	struct policy policy; /* never tags */
	int from;	      /* enum policy_from: how far From must agree with the sender */
};
/* Rows of the `outbound` section; it has others, which are the front's. */
extern const struct option policy_outbound_options[];

struct policy_set; /* global policy, domains' policies, scores */
/* Reads `policy`, `domain` and `scores` sections. Errors are gathered in conf. */
struct policy_set *policy_set_read(struct conf *conf, struct arena *arena);
/* Of outgoing mail. */
const struct policy_outbound *policy_outbound(const struct policy_set *set);
/* By the address's domain, exact. */
const struct policy *policy_for(const struct policy_set *set, struct str recipient);
/* Is there a `domain` section for it (or are none known, so that all are accepted)? */
bool policy_knows_domain(const struct policy_set *set, struct str domain);
/* The administrator's score for a finding, or `def`. */
double policy_score(const struct policy_set *set, struct str finding, double def);

#endif
