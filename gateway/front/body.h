/*
 * body: a message as it is received: a memfd, filled from the line reader's spans, then
 * sealed, passed on by descriptor and mapped where its octets are wanted.
 *
 *	struct body body = BODY_INIT;
 *	if (body_open(&body, ledger, declared)) ... 452 4.3.1
 *	body_span(&body, span) …, body_flush(&body)    (before the input moves)
 *	if (body_seal(&body, &err)) ... 451
 *	body_close(&body);
 *
 * Spans are gathered and written together, straight from the input buffer. A body that
 * could not be kept says so in `failed` and takes the rest in vain, so that the sender can
 * be answered behind the end of his data.
 */
#ifndef GATEWAY_FRONT_BODY_H
#define GATEWAY_FRONT_BODY_H

#include <sys/uio.h>

#include "core/err.h"
#include "core/str.h"
#include "gateway/front/ledger.h"

enum { BODY_SPANS = 32 };

struct body {
	int fd; /* -1: none */
	bool failed; /* the ledger or the machine has no room */
	uint64_t octets;
	struct str content; /* once sealed and mapped */
	struct ledger *ledger;
	uint64_t reserved;
	unsigned span_count;
	struct iovec spans[BODY_SPANS];
};
#define BODY_INIT { .fd = -1 }

/* Takes room for `declared` octets, 0 for unknown. -1: there is none. */
int body_open(struct body *body, struct ledger *ledger, uint64_t declared);
/* The span must stay until body_flush(). */
void body_span(struct body *body, struct str span);
void body_flush(struct body *body);
/* Seals it and maps `content`. */
int body_seal(struct body *body, struct err *err);
void body_close(struct body *body);

#endif
