/*
 * summary: what is remembered of a message when it has ended: one log line, the record for
 * the keeper (sent without waiting), and the counters.
 */
#ifndef GATEWAY_FRONT_SUMMARY_H
#define GATEWAY_FRONT_SUMMARY_H

#include "gateway/front/transaction.h"

struct summary {
	struct answer answer; /* that the sender was given */
	int action;	      /* enum action: what was done */
	enum outcome_note note;
	const char *backend; /* NULL or "": none was asked */
	size_t forwarded, held;
};
void summary_write(struct transaction *transaction, const struct summary *summary);

#endif
