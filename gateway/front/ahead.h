/*
 * ahead: asks the resolver, at MAIL, for what the filters will surely look up (enum ahead in
 * core/filter.h), and waits for nothing.
 *
 * What is answered until the message is judged is in its facts, as if an evaluation had asked; so it
 * costs no round trip then, and counts in the message's budget like any other question.
 */
#ifndef GATEWAY_FRONT_AHEAD_H
#define GATEWAY_FRONT_AHEAD_H

struct transaction;

/* Once the envelope's sender is known. Goes with the transaction. */
void ahead_ask(struct transaction *transaction);

#endif
