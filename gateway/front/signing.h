/*
 * signing: DKIM signatures on mail that leaves in the name of our own domains, and ARC sets on what
 * others sent.
 *
 * An inspector canonicalises and hashes, we sign the digest: the keys were read when the front
 * started, and the message is not looked at here. Of DKIM's, one signature for each algorithm that the
 * domain has a key for (RFC 8463 section 5: both, since not everybody verifies Ed25519). A set is
 * signed with RSA alone: two signatures of one instance are none (RFC 8617 section 4.2.1). Who dies of
 * the message is replaced once.
 *
 *	struct signing_order order = { .domain = STR("example.net"), .fd = fd, .arena = arena,
 *		.done = on_signed, .context = me };
 *	me->signing = signing_start(front, &order);
 *	if (!me->signing)
 *		there is no key
 */
#ifndef GATEWAY_FRONT_SIGNING_H
#define GATEWAY_FRONT_SIGNING_H

#include "gateway/front/front.h"

struct signing;

/* lines: to go on top of the message, in the order's arena. is_complete: they are all that were wanted;
 * else some, or all, could not be made, because no inspector answered. Of an ARC set there are three
 * lines or none; none is complete where the chain may not be added to. */
typedef void signing_fn(void *context, bool is_complete, struct str lines);

struct signing_order {
	struct str domain;
	bool seal; /* an ARC set */
	int chain; /* of it: enum auth_result, what was found of the chain so far */
	struct str results; /* of it: the value of our Authentication-Results */
	int fd; /* the message, a sealed memfd; stays the caller's until done() */
	struct arena *arena;
	signing_fn *done;
	void *context;
};

/* NULL: the domain has no key, and done() is not called. Else it is, once, from the loop; the signing is
 * freed before. */
struct signing *signing_start(struct front *front, const struct signing_order *order);
void signing_cancel(struct signing **signing);

#endif
