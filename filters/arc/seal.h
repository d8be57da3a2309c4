/*
 * seal: one more set on a message's ARC chain (RFC 8617 section 5.1).
 *
 * It knows what a set looks like and in which order it is signed, and holds no key.
 * Gatepost does not seal by itself: those who verify are leaving ARC, and a gateway in front
 * of mailbox servers forwards to nobody else.
 *
 *	struct arc_sealer sealer = { .domain = STR("example.net"), .selector = STR("s1"),
 *		.algorithm = "rsa-sha256", .names = sign_names(mail), .now = now,
 *		.sign = sign, .context = key };
 *	arc_seal(mail, &chain, STR("mx.example.net; spf=pass"), &sealer, &headers);
 */
#ifndef FILTERS_ARC_SEAL_H
#define FILTERS_ARC_SEAL_H

#include "core/buf.h"
#include "filters/arc/chain.h"

struct arc_sealer {
	struct str domain, selector;
	const char *algorithm;
	struct str names; /* h= of the message signature; ARC-Seal is not among them */
	int64_t now;
	/* Appends the base64 of a signature over the digest. */
	void (*sign)(void *context, const uint8_t digest[32], struct buf *out);
	void *context;
};

/*
 * Appends the three lines of the next set, to go on top of the message. The chain was
 * verified before. `results` is the Authentication-Results value, with our authserv-id in front.
 * Returns 1; 0, and adds nothing, where none may be added: the chain says itself that it has
 * failed (5.1), or has 50 sets.
 */
int arc_seal(const struct mail *m, const struct arc_chain *chain, struct str results,
	const struct arc_sealer *sealer, struct buf *out);
/* The value of all Authentication-Results that bear this authserv-id, joined (4.1.1), in the arena of
 * the mail. Empty if there are none. */
struct str arc_seal_results(const struct mail *m, const char *authserv_id);

#endif
