/*
 * autolearn: messages that teach the classifier by themselves (`learn { auto }`), for what
 * is known of them without reading them: rules/evidence.h.
 *
 * They go to the trainer as lessons by mail do, but behind the reply, and nobody waits: one at a
 * time, and what comes while it is under way, or while there is no trainer, teaches nothing.
 */
#ifndef GATEWAY_FRONT_AUTOLEARN_H
#define GATEWAY_FRONT_AUTOLEARN_H

#include "gateway/front/transaction.h"

/* The sender has been answered, and this (enum action) was done in the end. Sets the
 * transaction's auto_label and auto_giver if it is a lesson and was handed over. */
void autolearn_message(struct transaction *transaction, int action);

#endif
