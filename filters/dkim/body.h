/*
 * body: a message's body as DKIM hashes it (RFC 6376 sections 3.4.3, 3.4.4, 3.7).
 *
 * libopendkim canonicalises a relaxed body by a call for each octet, which is a
 * third of what verifying a message costs; so the usual case is done here.
 *
 *	uint8_t digest[32];
 *	int64_t length = dkim_body_hash(mail->body, true, digest);
 */
#ifndef FILTERS_DKIM_BODY_H
#define FILTERS_DKIM_BODY_H

#include "core/str.h"

/* SHA-256 over the canonical body. Returns its length in octets, which l= is compared with. */
int64_t dkim_body_hash(struct str body, bool relaxed, uint8_t digest_r[32]);

#endif
