/*
 * https: fetches one small thing over HTTPS, for commands: the certificate has to be right, no
 * redirection is followed, and there is an end to octets and time.
 */
#ifndef GATEWAY_JUDGE_HTTPS_H
#define GATEWAY_JUDGE_HTTPS_H

#include "core/arena.h"
#include "core/ip.h"
#include "core/loop.h"
#include "core/response.h"
#include "core/tls.h"

#define HTTPS_HEAD_BYTES (16u << 10)
#define HTTPS_WAIT_MS	 8000

struct https_order {
	struct loop *loop; /* which is run until the end */
	struct tls_context *tls; /* TLS_VERIFY_NAME */
	struct ip address;
	uint16_t port;
	const char *name; /* whose certificate, and Host */
	const char *path;
	size_t body_max;
};

/* What was answered, whatever its status, in the arena. 0, or -1 and why there is nothing: the text
 * may hold what the server sent. */
int https_get(const struct https_order *order, struct arena *arena, struct response *response_r,
	struct err *err);

#endif
