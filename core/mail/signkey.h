/*
 * signkey: the private keys that DKIM and ARC signatures are made with (RFC 6376, 8301, 8463).
 *
 * It hides what kind of key it is: RSA and Ed25519 both sign the SHA-256 digest of what
 * is signed. So whoever canonicalises and hashes needs no key, and whoever has the key
 * needs no message. The fronts hold keys; nobody else loads any.
 *
 *	struct signkey *key;
 *	if (signkey_parse(pem, &key, err) < 0)
 *		return -1;
 *	signkey_sign(key, digest, &signature);
 *	signkey_free(&key);
 */
#ifndef CORE_MAIL_SIGNKEY_H
#define CORE_MAIL_SIGNKEY_H

#include "core/buf.h"
#include "core/err.h"

struct signkey;

/* RSA of 2048 bits, which every verifier knows, or Ed25519. */
int signkey_generate(bool ed25519, struct signkey **key_r, struct err *err);
/* A PEM private key: Ed25519, or RSA of at least 1024 bits (RFC 8301 section 3.2). */
int signkey_parse(struct str pem, struct signkey **key_r, struct err *err);
void signkey_free(struct signkey **key);

/* "rsa-sha256" or "ed25519-sha256", for a=. */
const char *signkey_algorithm(const struct signkey *key);
/* Appends the private key as PEM (PKCS #8). The caller wipes what it no longer needs. */
void signkey_pem(const struct signkey *key, struct buf *out);
/* Appends the TXT record to publish: "v=DKIM1; k=rsa; p=...". */
void signkey_record(const struct signkey *key, struct buf *out);
/* Appends the signature over a SHA-256 digest, in base64. */
void signkey_sign(const struct signkey *key, const uint8_t digest[32], struct buf *out);

#endif
