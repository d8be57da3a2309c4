/*
 * draft: an inspector's part in signing mail (EVALUATE_DRAFT).
 *
 * It reads the message of the request, and gives the signature's header and digest
 * (core/mail/sign.h, filters/arc/seal.h). The front signs that digest, and has no need to read the
 * message. Nothing is kept from one request to the next.
 */
#ifndef GATEWAY_INSPECTOR_DRAFT_H
#define GATEWAY_INSPECTOR_DRAFT_H

#include "core/ipc.h"
#include "gateway/protocol.h"

/* The reply is the arena's. The request's descriptor stays the caller's. */
int draft_answer(const struct ipc_packet *request, struct arena *arena, struct draft_reply *reply_r,
	struct err *err);

#endif
