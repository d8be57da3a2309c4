/*
 * deliver: carries a verdict out, as the table in gateway/outcome.c says.
 *
 * Quarantine first (pending, durable), then the mailbox server, then the marks; then the
 * reply is known. A lesson goes to the trainer instead. Each step has fault points, named here, at which tests let the process
 * die or fail:
 *
 *	front.before-store	front.after-store	quarantine
 *	front.before-offer	front.after-offer	MAIL, RCPT
 *	front.before-content	front.after-content	DATA up to the reply to the dot
 *	front.before-lesson	front.after-lesson	trainer
 *	front.before-settle	front.after-settle	commit or drop
 *	front.body-open		front.body-write	body.c
 *	front.after-dot-reply				sending.c
 */
#ifndef GATEWAY_FRONT_DELIVER_H
#define GATEWAY_FRONT_DELIVER_H

#include "gateway/front/transaction.h"

struct delivery;

struct delivery_result {
	struct answer answer; /* for the sender; text in the transaction's arena */
	int action;	      /* enum action: what was done in the end */
	enum outcome_note note;
	const char *backend; /* "" if none was asked; until deliver_free() */
	size_t forwarded, held;
};
/* May come before deliver_start() has returned. */
typedef void deliver_fn(void *context, const struct delivery_result *result);

/*
 * Carries out transaction->verdict for the sealed body. From here to the callback the
 * transaction says `delivering`, and must not be freed. When the callback comes the
 * delivery is the transaction's, to be freed with it.
 */
void deliver_start(struct transaction *transaction, deliver_fn *done, void *context);
/* After the callback. */
void deliver_free(struct delivery **delivery);

/*
 * The message as it leaves: our header lines, then the content without the cuts. Returns the
 * number of spans in the arena, or 0 if headers or cuts are not what they must be: whole
 * lines, of the header block. content: what memfd_map() gave.
 */
size_t deliver_spans(struct arena *arena, struct str headers, struct str content,
	const struct cut *cuts, size_t cut_count, struct str **spans_r);

#endif
