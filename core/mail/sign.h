/*
 * sign: DKIM signatures on mail that we send (RFC 6376 section 5, RFC 8301, RFC 8463).
 *
 * In two steps, so that keys and messages stay apart: one who has the message drafts the
 * header and hashes; one who has the key signs the digest; the line is put together from both.
 *
 *	struct sign_how how = { .domain = STR("example.net"), .selector = STR("s1"),
 *		.algorithm = "rsa-sha256", .relaxed_header = true, .relaxed_body = true, .now = now };
 *	sign_draft(mail, &how, &draft);
 *	signkey_sign(key, draft.digest, &signature);
 *	sign_finish(&draft, buf_str(&signature), true, &headers);
 */
#ifndef CORE_MAIL_SIGN_H
#define CORE_MAIL_SIGN_H

#include "core/mail/mail.h"

#define SIGN_DIGEST 32 /* octets: SHA-256 */

struct sign_how {
	struct str domain, selector; /* d=, s= */
	const char *algorithm;	     /* signkey_algorithm() */
	bool relaxed_header, relaxed_body;
	int64_t now;		     /* t= */
	int64_t lifetime_s;	     /* x= is that much behind it; 0: none */
	struct str names;	     /* h=; empty: sign_names() */
};

/* A signature's line as it will be, but for what belongs between head and tail. */
struct sign_draft {
	struct str head, tail; /* "DKIM-Signature: ... b=", and what follows: neither with the CRLF */
	uint8_t digest[SIGN_DIGEST];
};

/*
 * The names for h= that a message deserves: each header that its reader is shown or acts on, as often
 * as it stands there (SIGN_INSTANCES_MAX times at most, from below); and once more where a second one
 * would deceive (5.4.2, "oversigning").
 */
#define SIGN_INSTANCES_MAX 8
struct str sign_names(const struct mail *m);
/* All in the arena of the mail, whose line ends are CRLF. */
void sign_draft(const struct mail *m, const struct sign_how *how, struct sign_draft *draft_r);
/* Appends the line with the signature (base64, folded if that is wanted), CRLF at its end. */
void sign_finish(const struct sign_draft *draft, struct str signature, bool is_folded, struct buf *out);

/* For other headers of the kind (ARC): hashes "names" of the message and the line "head tail". */
void sign_hash(const struct mail *m, struct str names, bool relaxed, struct sign_draft *draft);
/* Base64 of a body's digest, for bh=. */
struct str sign_body_hash(const struct mail *m, bool relaxed);
/* Appends names, which colons part, folded behind them; `column` is where the line stands. */
void sign_fold_names(struct buf *out, struct str names, size_t column);

#endif
