/*
 * canonical: mail as DKIM and ARC sign it (RFC 6376 sections 3.4, 3.7, 5.4.2).
 *
 * It knows the simple and the relaxed form of bodies and headers, and which header
 * lines a list of names means. Bodies are hashed as they come, in pieces of any
 * size; the canonical form of one is never held. Signers and verifiers share it.
 *
 *	struct canonical_body *b = canonical_body_new(true);
 *	canonical_body_add(b, mail->body);
 *	int64_t length = canonical_body_end(&b, digest);
 *
 *	canonical_headers(&text, mail, STR("from:to:subject"), NULL, true);
 *	canonical_signature(&text, signature->line, true);
 *	hash_sha256(buf_str(&text), digest);
 *
 * Line ends are CRLF; a bare CR or LF is an octet like any other.
 */
#ifndef CORE_MAIL_CANONICAL_H
#define CORE_MAIL_CANONICAL_H

#include "core/mail/mail.h"

/* A body on its way into SHA-256. */
struct canonical_body;
struct canonical_body *canonical_body_new(bool relaxed);
void canonical_body_add(struct canonical_body *body, struct str octets);
/* Gives the digest, returns how many octets the canonical body has (what l= is compared with),
 * frees and NULLs. */
int64_t canonical_body_end(struct canonical_body **body, uint8_t digest_r[32]);
/* All at once. */
int64_t canonical_body_hash(struct str octets, bool relaxed, uint8_t digest_r[32]);

/* Appends one header line; its CRLF is added if it has none. */
void canonical_header(struct buf *out, struct str line, bool relaxed);
/*
 * Appends the lines that `names` (h=, separated by colons) means, in its order: of several with
 * a name the last first; a name for which no line is left adds nothing. `except` (NULL: none) is
 * no candidate: the signature that is checked. Names behind the thousandth count for nothing.
 */
void canonical_headers(struct buf *out, const struct mail *m, struct str names,
	const struct mail_header *except, bool relaxed);
/* Appends a signature's own line, with an empty b= and without its CRLF. */
void canonical_signature(struct buf *out, struct str line, bool relaxed);

#endif
