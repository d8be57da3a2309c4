/*
 * pubkey: the public keys of DKIM and ARC (RFC 6376 section 3.6, RFC 8301, RFC 8463).
 *
 * It knows which of a name's TXT records is the key, and whether a signature is one
 * of it. Keys are public and small: each is read anew where it is used.
 *
 *	if (pubkey_select(answer, STR("rsa-sha256"), arena, &record, &reason) < 0 ||
 *		pubkey_verify(record, STR("rsa-sha256"), digest, b, arena, &reason) < 1)
 *		say(reason);
 */
#ifndef CORE_MAIL_PUBKEY_H
#define CORE_MAIL_PUBKEY_H

#include "core/dns.h"
#include "core/mail/tags.h"

/* libopendkim's buffer takes this much; a key of 4096 bits needs 740 octets. */
#define PUBKEY_RECORD_MAX 1000
#define PUBKEY_RSA_BITS_MIN 1024 /* RFC 8301 section 3.2 */

/* Whose key a signature names, by its d= and s=. */
struct pubkey_owner {
	struct str domain, selector; /* canonical A-labels */
	struct str name;	     /* selector._domainkey.domain, where the key is */
};
/*
 * 0; -1 if d= or s= is absent or no name. They become a DNS question and are shown to people:
 * letters, digits, hyphens and underscores only, so that no quote, NUL or escape reaches either.
 */
int pubkey_owner(const struct tags *tags, struct arena *arena, struct pubkey_owner *owner_r);

/*
 * 0 with the record, notes and blanks taken out, and at most PUBKEY_RECORD_MAX
 * octets; -1 with the reason for a permerror. The answer must not be an error
 * (dns_answer_is_error). algorithm: a= of the signature; a key of another type than its is
 * refused here. Other tags are pubkey_verify()'s, or libopendkim's.
 */
int pubkey_select(const struct dns_answer *answer, struct str algorithm, struct arena *arena,
	struct str *record_r, const char **reason_r);

/*
 * Is `signature` (base64 without blanks) one of the key over a SHA-256 digest? 1; 0, no; -1, the
 * key cannot be used for mail, for SHA-256, or at all. *reason_r is set where it is not 1.
 * algorithm: "rsa-sha256" or "ed25519-sha256", for which the record was selected.
 */
int pubkey_verify(struct str record, struct str algorithm, const uint8_t digest[32],
	struct str signature, struct arena *arena, const char **reason_r);

#endif
