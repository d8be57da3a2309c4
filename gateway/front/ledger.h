/*
 * ledger: what one front may hold of messages, in octets and descriptors.
 *
 * Room is taken when a message begins (what SIZE= declared, or a first guess), and
 * again as it grows, and given back when the transaction ends; so memory is
 * refused to a message, with 452, before the machine refuses it to the process.
 *
 *	if (!ledger_take(&front->ledger, octets)) ... 452 4.3.1
 *	ledger_give(&front->ledger, octets);
 */
#ifndef GATEWAY_FRONT_LEDGER_H
#define GATEWAY_FRONT_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct ledger {
	uint64_t octets, octets_max;
	unsigned descriptors, descriptors_max;
};

/* descriptors_max follows from the process's limit, raised as far as it goes. */
void ledger_init(struct ledger *ledger, uint64_t octets_max);
bool ledger_take(struct ledger *ledger, uint64_t octets);
void ledger_give(struct ledger *ledger, uint64_t octets);
/* The same for descriptors: a connection, a body, a session with a mailbox server. */
bool ledger_take_descriptors(struct ledger *ledger, unsigned n);
void ledger_give_descriptors(struct ledger *ledger, unsigned n);

#endif
