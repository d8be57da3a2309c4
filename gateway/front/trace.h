/*
 * trace: our Received line (RFC 5321 4.4, RFC 3848), and the count of those that are
 * there already.
 *
 * Exactly one line is put on top of every message, by this host; those below are never
 * touched. What the client said of himself is written so that it cannot be taken for
 * anything else, and what DNS says only where it is a host name that maps forth and back.
 */
#ifndef GATEWAY_FRONT_TRACE_H
#define GATEWAY_FRONT_TRACE_H

#include "core/facts.h"

struct trace {
	const struct facts *facts;
	struct str ptr; /* verified host name of the client, or empty */
	const char *hostname; /* ours */
	struct str id;
};
/* Appends the line, folded, with its CRLF. */
void trace_received(const struct trace *trace, struct buf *out);

/*
 * Does the message go in circles (RFC 5321 6.3): LIMIT_RECEIVED_COUNT Received lines, or three
 * of this host's own? content: the message with CRLF line ends.
 */
bool trace_loops(struct str content, const char *hostname);

#endif
