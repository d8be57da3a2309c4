/*
 * front: the role that speaks SMTP on both sides, and owns the facts and the life of
 * every transaction.
 *
 * This header is the picture of one process: what there is once. A message's way:
 *
 *	session.c	a connection; reads commands, hands them to cmd_*.c
 *	transaction.c	from MAIL to its end: envelope, facts, body
 *	ahead.c		asks the resolver for what will be needed
 *	judgement.c	gets a verdict from an inspector (workers.c), answers its needs (answers.c)
 *	callout.c	asks the mailbox server about recipients
 *	deliver.c	carries the verdict out, step by step as gateway/outcome.c says
 *	sending.c	one transaction with a mailbox server (upstream.c: the pool of sessions)
 *	autolearn.c	what teaches the classifier by itself, behind the reply
 *	summary.c	the log line, and the record for the keeper
 *	release.c	jobs of the keeper: released mail, through the same pool
 *	signing.c	has an inspector hash a message, and signs that: DKIM, ARC
 *
 * All of it is one event loop; nothing blocks. Whoever is asked can be gone: each
 * request ends by itself, as "unavailable" at worst.
 */
#ifndef GATEWAY_FRONT_FRONT_H
#define GATEWAY_FRONT_FRONT_H

#include "core/ipc.h"
#include "core/tls.h"
#include "gateway/front/ledger.h"
#include "gateway/front/workers.h"
#include "gateway/accounts.h"
#include "gateway/keyring.h"
#include "gateway/role.h"

struct callout_cache;
struct poison;
struct releases;
struct session;
struct upstream;

struct listener {
	struct front *front;
	const struct config_listener *config;
	struct tls_context *tls; /* NULL: not offered */
	int fd;			 /* -1: not bound */
	struct loop_io *io;
};

struct front {
	struct role_self *self;
	struct loop *loop;
	const struct config *config;
	struct shared *shared;
	struct channel *resolver, *keeper, *trainer; /* NULL while there is none */
	struct workers *inspectors, *scanners;
	struct upstream *upstream;
	struct releases *releases;
	struct poison *poison;
	struct callout_cache *callouts;
	struct keyring keyring; /* read at the start */
	struct accounts accounts; /* the same */
	const char *relay_password; /* the same; NULL: it asks for none */
	struct ledger ledger;
	struct listener *listeners;
	size_t listener_count;
	struct session *sessions; /* all of them, linked */
	struct session *cursor;	  /* the next one of a walk over them, during which any may end */
	size_t session_count;
	struct loop_timer *sweep; /* every second: time-outs of sessions */
	uint32_t session_number;
	bool is_autolearning; /* the trainer has a lesson of autolearn.c */
	bool retiring; /* no new connections; exit when the last has ended */
	bool draining; /* and what is idle is sent away */
};

/* Wall clock, seconds since 1970. */
int64_t front_time(const struct front *front);
/* A counter that filters asked for, after n was added. */
int64_t front_counter(struct front *front, struct str key, int64_t n, int64_t window_s);
/* One connection or transaction less: ends the process if it drains and was the last. */
void front_check_drained(struct front *front);
/* Sends a one-way packet to the keeper; false if there is none. */
bool front_tell_keeper(struct front *front, uint16_t type, const struct record *record,
	const void *object);

#endif
