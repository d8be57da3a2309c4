/*
 * sending: one transaction with a mailbox server: MAIL and RCPT first, then, if its owner
 * wants that, the content.
 *
 * It borrows a session for just as long, tries once more with a new one where a pooled one
 * turns out to be dead, and turns what the server says into the events of
 * gateway/outcome.h. Each of its two steps reports exactly once (the second at once, if the
 * session is lost already).
 *
 *	sending = sending_offer(front, &order);       on_offered(): codes[] are filled
 *	sending_content(sending, spans, n, on_sent);  codes[] again
 *	sending_free(&sending);                        the session goes back
 */
#ifndef GATEWAY_FRONT_SENDING_H
#define GATEWAY_FRONT_SENDING_H

#include "gateway/config.h"
#include "gateway/front/transaction.h"

struct sending;

/* Events of the states OFFERING and SENDING; for RCPT and content answers it is one of
 * RCPT_TAKEN and CONTENT_TAKEN: who reads codes[] with outcome_offered(), outcome_sent()
 * learns the rest. */
typedef void sending_fn(void *context, enum outcome_event event);

struct sending_order {
	const struct config_domain *domain;
	struct str mail_from;
	const struct str *rcpts; /* stay until the end */
	size_t rcpt_count;
	int *codes;		/* [rcpt_count], filled with the replies' codes */
	struct answer *answer; /* the reply that speaks for all: what the sender can be told */
	struct answer *answers; /* [rcpt_count], RCPT's for each; may be NULL */
	struct arena *arena;	/* for its text */
	uint64_t size;		/* octets that will follow, our lines included */
	bool eight_bit;
	bool urgent;	 /* a delivery: before those who only ask */
	int64_t wait_ms; /* for a session */
	sending_fn *done;
	void *context;
};

struct sending *sending_offer(struct front *front, const struct sending_order *order);
/* After RCPT_TAKEN. The octets of the spans stay until done() or sending_free(). */
void sending_content(struct sending *sending, const struct str *spans, size_t count,
	sending_fn *done);
/* "smtp://10.0.0.5:25", or "". */
const char *sending_backend(const struct sending *sending);
/* Gives the session back; no callback any more. Between the two steps: with RSET. */
void sending_free(struct sending **sending);

#endif
