/*
 * seal: one more set on a message's ARC chain (RFC 8617 section 5.1).
 *
 * It knows what a set looks like, and holds no key. Its two signatures are made one after the other,
 * since the seal covers the finished message signature; each is drafted here, and signed by
 * somebody else (core/mail/sign.h).
 *
 *	struct arc_sealer sealer = { .domain = STR("example.net"), .selector = STR("s1"),
 *		.algorithm = "rsa-sha256", .now = now };
 *	if (arc_seal_message(mail, &chain, STR("mx.example.net; spf=pass"), &sealer, &aar, &draft)) {
 *		sign it; set = its line and aar
 *		arc_seal_chain(mail, &chain, set, &sealer, &draft, err);
 *		sign it; its line and set go on top of the message
 *	}
 */
#ifndef FILTERS_ARC_SEAL_H
#define FILTERS_ARC_SEAL_H

#include "core/err.h"
#include "core/mail/sign.h"
#include "filters/arc/chain.h"

struct arc_sealer {
	struct str domain, selector;
	const char *algorithm;
	int64_t now;
	struct str names; /* h= of the message signature; empty: sign_names(), and DKIM-Signature */
};

/*
 * The first half: the line of the ARC-Authentication-Results, CRLF at its end, and the draft of the
 * ARC-Message-Signature. The chain was verified before, or read and its result is known. `results` is
 * the Authentication-Results value, with our authserv-id in front. All in the arena of the mail.
 * Returns 1; or 0 where none may be added: the chain says itself that it has failed (5.1), or has 50 sets.
 */
int arc_seal_message(const struct mail *m, const struct arc_chain *chain, struct str results,
	const struct arc_sealer *sealer, struct str *results_r, struct sign_draft *draft_r);
/*
 * The second half: the draft of the ARC-Seal over the chain and `set`, which are the two lines of the
 * first, the signed one on top. -1: they are not.
 */
int arc_seal_chain(const struct mail *m, const struct arc_chain *chain, struct str set,
	const struct arc_sealer *sealer, struct sign_draft *draft_r, struct err *err);

#endif
