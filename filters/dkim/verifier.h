/*
 * verifier: signatures checked by libopendkim, each with a result of its own.
 *
 * The library verifies signatures over headers; bodies are hashed here, where they
 * are signed whole by SHA-256. It gets keys that are there already, never
 * asks the DNS, and its clock does not matter: time is judged here, against the
 * facts'. What it would let pass is lowered to `policy`: SHA-1, short keys, text
 * behind l=, expired signatures (RFC 6376, 8301, 8463).
 *
 *	dkim_verifier_run(mail, call->facts->now, signatures, count);
 */
#ifndef FILTERS_DKIM_VERIFIER_H
#define FILTERS_DKIM_VERIFIER_H

#include "filters/dkim/signature.h"

/* Clocks of others go wrong by this much before a signature counts as expired or of the future. */
#define DKIM_CLOCK_SKEW_S 300

/* Once a process; again does nothing. */
int dkim_verifier_start(struct err *err);
/*
 * Settles all those signatures that are not yet settled; they must be in the order of
 * the message and hold their keys. The caller bounds how many are unsettled
 * (LIMIT_DKIM_SIGNATURES): each costs a hash over the body.
 */
void dkim_verifier_run(const struct mail *mail, int64_t now, struct dkim_signature *signatures,
	size_t count);

#endif
