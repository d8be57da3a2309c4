/*
 * bench: judges a message that did not come over SMTP, in the bench inspector.
 *
 * The same evaluation as mail gets, by the same protocol: facts go in, needs come
 * back and are answered by the resolver and a scanner, until there is a verdict. No
 * message is taken apart here, nothing is delivered, counted or remembered. It always
 * ends: rounds are capped, and a peer that goes away is answered for.
 */
#ifndef GATEWAY_WEB_BENCH_H
#define GATEWAY_WEB_BENCH_H

#include "gateway/web/web.h"

/* verdict: NULL if there was no inspector, or it died over the message. Lives until the return. */
typedef void bench_fn(void *context, const struct verdict *verdict);

/* facts are copied; message_fd is a sealed memfd, and stays the caller's. */
void bench_judge(struct web *web, const struct facts *facts, int message_fd, bench_fn *done,
	void *context);

#endif
