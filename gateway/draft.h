/*
 * draft: an inspector's part in signing our own mail (EVALUATE_DRAFT).
 *
 * It reads the message of the request, and gives the signature's header and digest
 * (core/mail/sign.h). The front signs that digest, and has no need to read the message.
 */
#ifndef GATEWAY_DRAFT_H
#define GATEWAY_DRAFT_H

#include "core/ipc.h"
#include "gateway/protocol.h"

/* The reply is the arena's. The request's descriptor stays the caller's. */
int draft_answer(const struct ipc_packet *request, struct arena *arena, struct draft_reply *reply_r,
	struct err *err);

#endif
