/*
 * sasl: the server's side of PLAIN (RFC 4616) and LOGIN over SMTP's AUTH (RFC 4954), up to a
 * name and a password. Whether they are anybody's is another's question.
 *
 *	struct sasl sasl;
 *	enum sasl_step step = sasl_begin(&sasl, arena, cmd.mechanism, cmd.initial);
 *	while (step == SASL_CHALLENGE) {
 *		say "334 ", sasl.challenge
 *		step = sasl_next(&sasl, line);
 *	}
 *	if (step == SASL_CREDENTIALS)
 *		look up sasl.name, sasl.password
 *	sasl_end(&sasl);
 */
#ifndef CORE_SMTP_SASL_H
#define CORE_SMTP_SASL_H

#include "core/arena.h"
#include "core/buf.h"

#define SASL_PASSWORD_MAX 512
#define SASL_MECHANISMS	  "PLAIN LOGIN" /* as EHLO lists them */

enum sasl_step {
	SASL_CHALLENGE,	  /* the client's turn, behind 334 */
	SASL_CREDENTIALS, /* name and password are there */
	SASL_CANCELLED,	  /* "*" (RFC 4954 4) */
	SASL_SYNTAX,	  /* no base64, or not what the mechanism says */
	SASL_UNKNOWN,	  /* another mechanism */
};

struct sasl {
	const char *challenge; /* base64, maybe "" */
	struct str name;	/* at most LIMIT_PATH octets, without NUL, as password is */
	struct str password;
	/* The rest is the module's own. */
	struct arena *arena;
	bool plain, named;
};

/* initial: RFC 4954's initial response, still encoded; p NULL if there is none. Strings live in
 * the arena until sasl_end(). */
enum sasl_step sasl_begin(struct sasl *sasl, struct arena *arena, struct str mechanism,
	struct str initial);
/* The client's answer, a line without its CRLF. */
enum sasl_step sasl_next(struct sasl *sasl, struct str line);
/* Appends base64, for the client's side. */
void sasl_encode(struct str octets, struct buf *out);
/* Wipes name and password. */
void sasl_end(struct sasl *sasl);

#endif
