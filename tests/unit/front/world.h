/*
 * world: a front in a test: everything around it is played in the same loop.
 *
 * An inspector that judges as it is told, a keeper that remembers, a mailbox server with an
 * answer for each command, and a client whose lines go in and whose replies come out. No
 * process, no file, no port but the mailbox server's on loopback.
 */
#ifndef TESTS_UNIT_FRONT_WORLD_H
#define TESTS_UNIT_FRONT_WORLD_H

#include "gateway/front/front.h"

struct world;

/* What the others do. A recipient's local part says more: "held…", "refused…", "wait…"
 * (tempfail) by the verdict; "nobody…" 550 and "later…" 450 by the mailbox server. */
struct play {
	const char *after_dot;	/* the mailbox server's reply; NULL: 250; "": it hangs up */
	const char *data;	/* its reply to the first DATA; NULL: 354 */
	bool no_backend;	/* nobody listens */
	int store;		/* enum keep_result */
	unsigned inspector_dies; /* so many times, at MESSAGE */
	bool no_keeper, no_inspector;
	bool greedy;		/* the inspector asks for far too much */
	unsigned stages;	/* at which the inspector is asked */
	const char *job;	/* a message that the keeper has delivered to alice@example.net, once */
	const char *sign_for;	/* and whose it is; sessions go out, in its name; NULL: somebody else's */
	bool accounts;		/* sessions go out, inside TLS, by alice@example.net's password "secret" */
	const char *seal_as;	/* arc { seal_as } */
	unsigned drafts_live;	/* so many are answered before inspectors die of any */
	unsigned drafts_die;	/* so many inspectors, when they are to hash for a signature */
	bool draft_hangs_up;	/* the client does, when an inspector is to; that never answers */
};

struct world *world_new(const struct play *play);
void world_free(struct world **world);
/*
 * One session: sends each element of `steps` (NULL-terminated) and then waits for the number of
 * replies that stands before it: { "1", "EHLO x\r\n", "2", "..." }. "0" waits for nothing, "EOF"
 * until the front has closed, and an element "-" hangs up. Returns the codes in order, "220 250
 * 250 354 250", and "EOF" at the end if the front closed.
 */
const char *world_talk(struct world *world, const char *const *steps);
/* One session that is sent these octets whatever is answered, in pieces cut at each 0xFF, and
 * then hangs up. */
void world_feed(struct world *world, struct str octets);
/* Everything that the client was told, for a closer look. */
const char *world_transcript(const struct world *world);
/* Lets the loop run until nothing of the front is under way. */
void world_settle(struct world *world);

/* What the mailbox server took, with 250 (message octets, dots unstuffed), in order. */
size_t world_delivered(const struct world *world);
struct str world_message(const struct world *world, size_t i);
/* Entries in the quarantine that were committed, and those still pending. */
size_t world_held(const struct world *world);
size_t world_pending(const struct world *world);
/* How often an inspector was asked to hash for a signature. */
size_t world_drafts(const struct world *world);
/* What the keeper was told of its job, an enum keep_result, or -1. */
int world_job_result(const struct world *world);
struct front *world_front(struct world *world);

#endif
