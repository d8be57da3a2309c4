/*
 * response: an HTTP/1.1 response (RFC 9112), as a client reads it that asked for one thing with
 * "Connection: close".
 *
 * Strict, because what answers may be hostile: no folded header lines, no length that is said
 * twice or differently, no transfer coding but "chunked".
 *
 *	struct buf body = BUF_INIT;
 *	switch (response_parse(buf_str(&in), has_ended, &body, &response, &err)) ...
 */
#ifndef CORE_RESPONSE_H
#define CORE_RESPONSE_H

#include "core/buf.h"
#include "core/err.h"

struct response {
	int status;	      /* 200 to 599 */
	struct str type;      /* Content-Type; empty if there is none */
	struct str body;
};

/*
 * 1: it is whole, and *response_r points into the octets, its body into `unchunked` if it came in
 * chunks. 0: more has to come. -1: it is malformed, or has_ended and it is cut short. A response that
 * says no length is whole when has_ended. The caller bounds the octets.
 */
int response_parse(struct str octets, bool has_ended, struct buf *unchunked,
	struct response *response_r, struct err *err);

#endif
