/*
 * upstream_private: the pool from inside, for upstream.c and upstream_address.c.
 */
#ifndef GATEWAY_FRONT_UPSTREAM_PRIVATE_H
#define GATEWAY_FRONT_UPSTREAM_PRIVATE_H

#include "gateway/front/front.h"
#include "gateway/front/upstream.h"

struct upsession {
	struct upsession *next;
	struct backend *backend;
	struct client *client;
	struct loan *loan; /* that has it */
	bool ready, pooled;
	int64_t ready_ms;
};

struct backend {
	struct upstream *upstream;
	const struct config_backend *config;
	int tls; /* the strictest that its domains want */
	unsigned traffic; /* bits of enum traffic */
	struct upsession *sessions;
	unsigned count, connecting, wanted;
	int64_t down_until_ms, hold_off_until_ms;
	bool is_down; /* and that was logged */
	bool known;
	unsigned offers;
	uint64_t size_limit;
	struct ip ip; /* of a host name */
	int64_t resolved_ms;
	bool resolving;
};

struct upstream {
	struct front *front;
	struct tls_context *opportunistic, *verifying;
	struct backend *backends;
	size_t backend_count;
	unsigned limit; /* connections to one backend, of this front */
	struct loan *head[2], *tail[2];
	bool draining, pumping, again;
};

/* It could not be reached, for this reason: left alone for a while. */
void upstream_set_down(struct backend *backend, const char *why);
/* Lends what there is to those who wait. */
void upstream_pump(struct upstream *upstream);
/* Fills in where to connect to. False: not known yet, or not to be had; upstream_pump() follows. */
bool upstream_address(struct backend *backend, struct client_options *options);

#endif
