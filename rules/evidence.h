/*
 * evidence: what is known of a message without reading it, if that is enough to teach the
 * classifier by (`learn { auto }`).
 *
 * A pure function of facts and verdict. Content never counts, neither rules, nor links, nor the
 * score, nor what the classifier thinks: it would learn its own mistakes.
 *
 *	spam	it was held or refused, and
 *		auto:virus	the scanner knows what is in it, or
 *		auto:dnsbl	a list that is trusted much names the client, and so does a second list,
 *				or the sender's domain disowns it (DMARC policy, SPF fail)
 *	wanted	it was forwarded untagged, and
 *		auto:account	one of our accounts sends it out, or
 *		auto:dmarc	it passes DMARC, for a domain that the administrator lists
 *
 * Nothing if anything contradicts: a trusted forwarder, a list of good senders, any bad listing of
 * what would be wanted. And nothing where the classifier is sure, one way or the other: it would
 * learn little, or this is just where the evidence is most likely wrong.
 */
#ifndef RULES_EVIDENCE_H
#define RULES_EVIDENCE_H

#include "core/option.h"
#include "core/verdict.h"

#define EVIDENCE_LISTED	      4.0 /* score of a listing that is trusted much */
#define EVIDENCE_LISTED_TOO   2.0 /* of a second one */
#define EVIDENCE_SURE	      4.0 /* log-odds, either way */

enum evidence_label { EVIDENCE_NONE, EVIDENCE_SPAM, EVIDENCE_HAM };

/* domains: whose mail is wanted, canonical. *giver_r, for lessons: "auto:dnsbl"; a constant. */
enum evidence_label evidence_of(const struct facts *facts, const struct verdict *verdict,
	const struct option_strings *domains, struct str *giver_r);

#endif
