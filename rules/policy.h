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

struct policy_set; /* global policy, domains' policies, scores */
/* Reads `policy`, `domain` and `scores` sections. Errors are gathered in conf. */
struct policy_set *policy_set_read(struct conf *conf, struct arena *arena);
/* By the address's domain, exact. */
const struct policy *policy_for(const struct policy_set *set, struct str recipient);
/* Is there a `domain` section for it (or are none known, so that all are accepted)? */
bool policy_knows_domain(const struct policy_set *set, struct str domain);
/* The administrator's score for a finding, or `def`. */
double policy_score(const struct policy_set *set, struct str finding, double def);

#endif
