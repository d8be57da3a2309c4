/*
 * authres: the Authentication-Results header (RFC 8601): writing ours, reading
 * others', and recognising those that pretend to be ours.
 *
 *	authres_write(&value, "mx.example.net", facts, &auth);
 *	headerline_add(&headers, "Authentication-Results", buf_str(&value));
 *
 * Everything that a peer chose is quoted where it is no token, and left out where it is
 * no domain name. How many results there are is capped.
 */
#ifndef CORE_AUTHRES_H
#define CORE_AUTHRES_H

#include "core/auth.h"
#include "core/buf.h"
#include "core/facts.h"

/*
 * Appends the header's value, unfolded, at most 4000 octets; "HOSTNAME; none" where nothing was
 * computed. A method of our own, x-tls, tells how the message came.
 */
void authres_write(struct buf *out, const char *hostname, const struct facts *facts,
	const struct auth *auth);

/* Appends the value of Received-SPF (RFC 7208 9.1), unfolded. */
void authres_received_spf(struct buf *out, const char *hostname, const struct facts *facts,
	const struct auth_spf *spf);

/*
 * Does this value (raw, with its folds) claim to come from `hostname`, read as generously as the
 * most generous consumer would: comments, quoting, case, a version, a final dot, encoded words? One
 * that cannot be read, but names us anywhere, does too (RFC 8601 5).
 */
bool authres_claims(struct str value, const char *hostname);

/* One result of a header's value: "dkim=pass header.d=example.org". */
struct authres_item {
	struct str method, result; /* as they stand; result empty: no result, but the authserv-id */
	struct str properties;	   /* for authres_property() */
};
/*
 * Takes the next item off *rest, at first the value, raw with its folds; false at the end. Comments
 * count for nothing, also within an item. The caller bounds how many it reads.
 */
bool authres_next(struct str *rest, struct authres_item *item_r);
/* "header.d" gives "example.org", without quotes; empty if it is not there. */
struct str authres_property(const struct authres_item *item, const char *name);

#endif
