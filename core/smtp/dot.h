/*
 * dot: the one dot writer. Every message that leaves over SMTP or LMTP goes
 * through here: it doubles leading dots, ends the last line if need be, and
 * writes the final dot (RFC 5321 4.5.2).
 *
 *	struct dot dot;
 *	dot_init(&dot);
 *	if (dot_write(&dot, out, our_headers) || dot_write(&dot, out, message))
 *		give_up();            (before the dot, so the message does not exist)
 *	dot_end(&dot, out);
 *
 * The octets must be what the line reader made: every line ends in CRLF. They may
 * be cut into spans anywhere, between a CR and its LF too.
 */
#ifndef CORE_SMTP_DOT_H
#define CORE_SMTP_DOT_H

#include "core/buf.h"

struct dot {
	bool line_start; /* the next octet begins a line */
	bool cr;	 /* a CR was held back: LF must follow */
	bool failed;
};

void dot_init(struct dot *dot);
/* Appends the octets, stuffed. -1 if they hold a bare CR or LF: nothing is
 * written from that line on, and the session must be dropped without its dot. */
int dot_write(struct dot *dot, struct buf *out, struct str octets);
/* Appends CRLF if the last line has none, and the dot. -1 as above. */
int dot_end(struct dot *dot, struct buf *out);

#endif
