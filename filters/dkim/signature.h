/*
 * signature: one DKIM-Signature header as this verifier sees it (RFC 6376 3.5).
 *
 * Reads what must be known before the library is called: whose key is to be
 * asked, whether that name may be asked at all, and what the verifier's own
 * rules need (time, l=). Syntax beyond that is the library's.
 */
#ifndef FILTERS_DKIM_SIGNATURE_H
#define FILTERS_DKIM_SIGNATURE_H

#include "core/auth.h"
#include "core/mail/mail.h"
#include "core/mail/tags.h"

struct dkim_signature {
	const struct mail_header *header;
	struct str domain, selector; /* canonical A-labels; empty if they are no names */
	struct str algorithm;	     /* lower case */
	struct str identity;	     /* i= as it stands */
	struct str b, bh;	     /* without blanks */
	struct str key_name;	     /* selector._domainkey.domain */
	bool relaxed_body;
	bool signs_signatures;	     /* h= names DKIM-Signature itself */
	int64_t signed_at, expires;  /* t=, x=; -1 if absent */
	int64_t length;		     /* l=; -1 if absent */
	unsigned rank;		     /* 2: the author's domain, 1: related to it, 0: another */
	/* Out, in the end: */
	bool settled;		     /* result is final, nothing else is to be done */
	int result;		     /* enum auth_result */
	struct str reason;
	struct str key;		     /* the key record for the library */
};

/* Fills *signature_r from the header; settled with permerror if it cannot be verified at all. */
void dkim_signature_read(const struct mail_header *header, struct arena *arena,
	struct dkim_signature *signature_r);
/* Makes the result final. */
void dkim_signature_settle(struct dkim_signature *signature, int result, const char *reason);

#endif
