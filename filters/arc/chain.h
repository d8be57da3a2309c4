/*
 * chain: the ARC sets of a message, and whether their chain holds (RFC 8617 section 5.2).
 *
 * It knows the syntax of the three headers of a set, the order in which they are
 * sealed, and the rules by which a chain fails. It asks nobody: the keys are filled
 * in between reading and verifying. All failures are for good (section 5.2.1).
 *
 *	struct arc_chain chain;
 *	arc_chain_read(mail, arena, &chain);
 *	for (size_t i = 0; i < chain.signature_count; i++)
 *		chain.signatures[i].key = ...;
 *	arc_chain_verify(&chain, mail, now);
 *	use(chain.result, chain.reason);
 */
#ifndef FILTERS_ARC_CHAIN_H
#define FILTERS_ARC_CHAIN_H

#include "core/auth.h"
#include "core/limits.h"
#include "core/mail/mail.h"
#include "core/mail/pubkey.h"

/* One ARC-Message-Signature or ARC-Seal. */
struct arc_signature {
	const struct mail_header *header;
	struct tags tags;
	struct pubkey_owner owner;
	struct str algorithm; /* lower case */
	struct str b;	      /* without blanks */
	struct str key;	      /* the key record (pubkey_select); the caller's */
};

/* What one sealer added. */
struct arc_set {
	const struct mail_header *results, *message, *seal; /* AAR, AMS, AS */
	struct str cv; /* of the seal */
};

struct arc_chain {
	struct arc_set sets[LIMIT_ARC_SETS]; /* [0] is i=1 */
	size_t n; /* the highest instance; what fails may lack headers */
	/* Those that must hold: the newest AMS, then the seals from the newest to i=1. */
	struct arc_signature signatures[LIMIT_ARC_SIGNATURES];
	size_t signature_count;
	int result; /* AUTH_NONE, AUTH_PASS, AUTH_FAIL */
	const char *reason; /* of a failure, else "" */
	bool has_failed_before; /* the newest seal says so itself (cv=fail): nobody may add to it */
};

/* Collects the sets. `result` is then AUTH_NONE (there are none), AUTH_FAIL (nothing else is to be
 * done), or AUTH_PASS for the time being: the signatures are to be verified. */
void arc_chain_read(const struct mail *m, struct arena *arena, struct arc_chain *chain_r);
/* Makes it final. The keys must be there. */
void arc_chain_verify(struct arc_chain *chain, const struct mail *m, int64_t now);
/* For what has gone wrong elsewhere: the result is fail. Literals only. */
void arc_chain_fail(struct arc_chain *chain, const char *reason);
/* Appends what the seal of set i (from 0) signs before its own line: sets `from` to i. */
void arc_chain_sealed(struct buf *out, const struct arc_chain *chain, size_t from, size_t i);

#endif
