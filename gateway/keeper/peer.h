/*
 * peer: what the keeper remembers of one channel (a front, or web): answers that
 * wait for the flush, entries that are pending, pulls that wait for a job, and
 * jobs that were handed out. Heap memory, freed with the peer.
 */
#ifndef GATEWAY_KEEPER_PEER_H
#define GATEWAY_KEEPER_PEER_H

#include "core/ipc.h"
#include "gateway/protocol.h"
#include "quarantine/store.h"

struct keeper;

struct peer_pending {
	char id[STORE_ID_MAX + 1];
};
struct peer {
	struct peer *next;
	struct keeper *keeper;
	enum role role;
	struct channel *channel;
	uint32_t *stored; /* requests whose entries await the flush */
	size_t stored_count, stored_room;
	struct peer_pending *pending;
	size_t pending_count, pending_room;
	uint32_t *pulls;
	size_t pull_count, pull_room;
	int64_t *jobs;
	size_t job_count, job_room;
};

struct peer *peer_new(struct peer **all);
void peer_free(struct peer **all, struct peer *peer);

/* May one of its role ask for this? Fronts store and deliver, and never read what is held. */
bool peer_may(const struct peer *peer, uint16_t type);
/* Was this job handed to it? */
bool peer_has_job(const struct peer *peer, int64_t job);

/* An entry is written but not flushed. id is at most STORE_ID_MAX octets: the store has checked it. */
void peer_add_stored(struct peer *peer, uint32_t request, struct str id, bool pending);
void peer_answer_stored(struct peer *peer, enum store_result result, const char *text,
	void (*answer)(struct channel *channel, uint32_t id, enum store_result result,
		const char *text, const int *fd));
void peer_settle(struct peer *peer, struct str id);
void peer_add_pull(struct peer *peer, uint32_t request);
/* The oldest pull's request; there must be one. */
uint32_t peer_take_pull(struct peer *peer);
void peer_add_job(struct peer *peer, int64_t job);
void peer_remove_job(struct peer *peer, int64_t job);

#endif
