#include "gateway/keeper/peer.h"

#include <assert.h>
#include <stdlib.h>

/* Room for one more item; returns its place. */
static void *grow(void **items, size_t *count, size_t *room, size_t size)
{
	if (*count == *room) {
		*room = *room ? *room * 2 : 16;
		*items = reallocarray(*items, *room, size);
		assert(*items);
	}
	return (char *)*items + (*count)++ * size;
}

struct peer *peer_new(struct peer **all)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	assert(peer);
	peer->next = *all;
	*all = peer;
	return peer;
}

void peer_free(struct peer **all, struct peer *peer)
{
	while (*all != peer)
		all = &(*all)->next;
	*all = peer->next;
	free(peer->stored);
	free(peer->pending);
	free(peer->pulls);
	free(peer->jobs);
	free(peer);
}

bool peer_may(const struct peer *peer, uint16_t type)
{
	switch (type) {
	case KEEP_STORE:
	case KEEP_COMMIT:
	case KEEP_DROP:
	case KEEP_RECORD:
	case KEEP_PULL:
	case KEEP_JOB_DONE:
		return peer->role == ROLE_FRONT;
	case KEEP_RELEASE:
	case KEEP_DELETE:
	case KEEP_READ:
	case KEEP_LABEL:
		return peer->role == ROLE_WEB;
	default:
		return false;
	}
}

bool peer_has_job(const struct peer *peer, int64_t job)
{
	for (size_t i = 0; i < peer->job_count; i++)
		if (peer->jobs[i] == job)
			return true;
	return false;
}

void peer_add_stored(struct peer *peer, uint32_t request, struct str id, bool pending)
{
	*(uint32_t *)grow((void **)&peer->stored, &peer->stored_count, &peer->stored_room,
		sizeof(uint32_t)) = request;
	if (!pending)
		return;
	struct peer_pending *p = grow((void **)&peer->pending, &peer->pending_count, &peer->pending_room,
		sizeof(*p));
	assert(id.n <= STORE_ID_MAX);
	memcpy(p->id, id.p, id.n);
	p->id[id.n] = '\0';
}

void peer_answer_stored(struct peer *peer, enum store_result result, const char *text,
	void (*answer)(struct channel *channel, uint32_t id, enum store_result result,
		const char *text, const int *fd))
{
	size_t count = peer->stored_count;
	peer->stored_count = 0;
	for (size_t i = 0; i < count; i++)
		answer(peer->channel, peer->stored[i], result, text, NULL);
}

void peer_settle(struct peer *peer, struct str id)
{
	for (size_t i = 0; i < peer->pending_count; i++) {
		if (!str_eq_c(id, peer->pending[i].id))
			continue;
		peer->pending[i] = peer->pending[--peer->pending_count];
		return;
	}
}

void peer_add_pull(struct peer *peer, uint32_t request)
{
	*(uint32_t *)grow((void **)&peer->pulls, &peer->pull_count, &peer->pull_room, sizeof(uint32_t)) =
		request;
}

uint32_t peer_take_pull(struct peer *peer)
{
	assert(peer->pull_count);
	uint32_t first = peer->pulls[0];
	memmove(peer->pulls, peer->pulls + 1, --peer->pull_count * sizeof(uint32_t));
	return first;
}

void peer_add_job(struct peer *peer, int64_t job)
{
	*(int64_t *)grow((void **)&peer->jobs, &peer->job_count, &peer->job_room, sizeof(int64_t)) = job;
}

void peer_remove_job(struct peer *peer, int64_t job)
{
	for (size_t i = 0; i < peer->job_count; i++) {
		if (peer->jobs[i] != job)
			continue;
		peer->jobs[i] = peer->jobs[--peer->job_count];
		return;
	}
}
