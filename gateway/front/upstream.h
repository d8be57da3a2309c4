/*
 * upstream: sessions with the mailbox servers, pooled.
 *
 * A session is lent for the time of one exchange (MAIL, RCPT, RSET; or a whole delivery)
 * and given back: never is one held while a stranger sends. A server that allows few
 * connections is served by few; who finds none free waits in a queue, deliveries first,
 * up to a deadline. Backends of a domain are tried in their order; one that cannot be
 * reached is left alone for a while.
 *
 *	struct loan *loan = upstream_borrow(upstream, &order);
 *	if (loan && upstream_client(loan)) ... it was free: use it now, done() is not called
 *	upstream_return(&loan, true);
 *
 * It also remembers what each server offers, and so what we may offer ourselves.
 */
#ifndef GATEWAY_FRONT_UPSTREAM_H
#define GATEWAY_FRONT_UPSTREAM_H

#include "core/facts.h"
#include "core/smtp/client.h"
#include "gateway/config.h"

struct front;
struct loan;
struct upstream;

/* client NULL: none could be had in time; the loan is gone, and `why` is a sentence. */
typedef void upstream_fn(void *context, struct client *client, const char *why);

struct upstream_order {
	const struct config_domain *domain;
	bool urgent; /* before all that is not */
	bool fresh;  /* no session that has waited in the pool: an earlier one was found dead */
	int64_t wait_ms;
	upstream_fn *done; /* from the loop, once */
	void *context;
};

/* With an empty pool; begins to find out what the servers offer. NULL and err for a TLS
 * context that cannot be made. */
struct upstream *upstream_new(struct front *front, struct err *err);
void upstream_free(struct upstream **upstream);
/* After start: asks every server once what it offers. */
void upstream_start(struct upstream *upstream);

struct loan *upstream_borrow(struct upstream *upstream, const struct upstream_order *order);
/* NULL while it waits, and once the connection is lost. */
struct client *upstream_client(const struct loan *loan);
/* Was the session in the pool before, so that the server may have closed it meanwhile? */
bool upstream_was_pooled(const struct loan *loan);
/* "smtp://10.0.0.5:25", for the log. */
const char *upstream_name(const struct loan *loan);
/* Given back, or no longer waited for (then done is not called). clean: between two
 * transactions, fit for the next borrower; else the connection is dropped. */
void upstream_return(struct loan **loan, bool clean);

/* Every second: waiting times, idle sessions, servers that were down. */
void upstream_sweep(struct upstream *upstream, int64_t now_ms);
/* Closes what is idle, and keeps nothing that is given back. */
void upstream_drain(struct upstream *upstream);

/* CLIENT_* that every known server offers to which such mail may go. */
unsigned upstream_offers(const struct upstream *upstream, enum traffic traffic);
/* The largest message that all of them take, and we ourselves. */
uint64_t upstream_size_limit(const struct upstream *upstream, enum traffic traffic);

#endif
