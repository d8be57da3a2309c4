/*
 * reply: SMTP replies, read and written.
 *
 * Reading: a struct reply is filled from the input buffer a line at a time, as
 * lines become complete. Its text is made safe to show and to pass on. A mailbox
 * server is a peer like any other: lines and their number are capped, and what
 * is no reply is an error, upon which the connection is to be dropped.
 *
 *	struct reply r = REPLY_INIT;
 *	int done = reply_read(&r, &in);      1: r is complete; 0: more; -1: malformed
 *	reply_clear(&r);                     before the next one
 *	reply_free(&r);
 *
 * Writing: reply_write() is the only place where a reply is put together.
 */
#ifndef CORE_SMTP_REPLY_H
#define CORE_SMTP_REPLY_H

#include "core/buf.h"
#include "core/err.h"

#define REPLY_ENHANCED_MAX 12 /* "5.999.999" and a NUL */

struct reply {
	int code;			   /* 200 to 599 */
	char enhanced[REPLY_ENHANCED_MAX]; /* "5.1.1", or "" where none was given or its class disagrees */
	struct buf text;		   /* without codes, lines joined by LF, each safe to show */
	unsigned lines;
};

#define REPLY_INIT { 0 }

void reply_clear(struct reply *r);
void reply_free(struct reply *r);
/* Takes whole lines off the input. 1, 0 or -1; after -1 the reply is of no use. */
int reply_read(struct reply *r, struct str *in, struct err *err);
/* Line `i` of the text, from 0; empty past the end. */
struct str reply_text_line(const struct reply *r, unsigned i);

static inline bool reply_is_positive(const struct reply *r)
{
	return r->code >= 200 && r->code < 300;
}
static inline bool reply_is_temporary(const struct reply *r)
{
	return r->code >= 400 && r->code < 500;
}
static inline bool reply_is_permanent(const struct reply *r)
{
	return r->code >= 500 && r->code < 600;
}

/* Appends "code enhanced text CRLF". `enhanced` may be NULL or "". LF in the text
 * begins a new line of a multi-line reply; lines are cut so that none is over 512
 * octets with its CRLF (RFC 5321 4.5.3.1.5); all else that is no printable ASCII becomes `?`. */
void reply_write(struct buf *out, int code, const char *enhanced, struct str text);
/* Appends a ready line of our own, "250 2.0.0 Ok", and CRLF. */
void reply_line(struct buf *out, const char *line);
/* "550 5.7.1 text" into its parts, for texts that come from a verdict or a file. The
 * code must be 2xx, 4xx or 5xx; without an enhanced code enhanced_r is "". 0 or -1. */
int reply_split(struct str line, int *code_r, char enhanced_r[REPLY_ENHANCED_MAX],
	struct str *text_r);

#endif
