/*
 * ipc: packets between our own processes.
 *
 * A socketpair of SOCK_SEQPACKET carries packets: type, id, a payload (records,
 * core/record.h) and at most IPC_FDS descriptors. A payload over
 * LIMIT_IPC_INLINE travels in a sealed memfd instead; callers do not notice.
 *
 * Looping roles use a struct channel: never blocks on a write, has a window of
 * requests, and says "busy" past it. Inspector and scanner, which do one thing
 * at a time, use ipc_recv() and ipc_send() on a blocking descriptor.
 */
#ifndef CORE_IPC_H
#define CORE_IPC_H

#include "core/buf.h"
#include "core/err.h"
#include "core/loop.h"

#define IPC_FDS 4

struct ipc_packet {
	uint16_t type;
	uint32_t id; /* of the request; replies repeat it; 0 for one-way packets */
	struct str payload;
	int fds[IPC_FDS];
	unsigned fd_count;
};

int ipc_pair(int fds_r[2], struct err *err);
/* Blocking. Sends copies of the descriptors; the caller keeps its own. 0 or -1. */
int ipc_send(int fd, const struct ipc_packet *packet, struct err *err);
/*
 * Blocking. 1: a packet, payload in *store (or, when large, in a private mapping kept by
 * it), descriptors now the caller's (close-on-exec); 0: the other end is gone; -1: malformed.
 */
struct ipc_store {
	struct buf buf;
	void *map;
	size_t map_size;
};
int ipc_recv(int fd, struct ipc_store *store, struct ipc_packet *packet_r, struct err *err);
void ipc_store_free(struct ipc_store *store);
/* Closes those descriptors of a packet that are not -1. */
void ipc_close_fds(struct ipc_packet *packet);

struct channel;
struct channel_ops {
	/* The packet's payload lives until the call returns; its descriptors are the callee's. */
	void (*packet)(void *context, struct channel *channel, struct ipc_packet *packet);
	/* The other end is gone. The channel has answered everything that was outstanding with
	 * reply NULL ("unavailable"), and is freed after this returns. */
	void (*closed)(void *context, struct channel *channel);
};
/* Takes fd over. window: requests outstanding at most; 0 for an end that only answers. */
struct channel *channel_new(struct loop *loop, int fd, unsigned window,
	const struct channel_ops *ops, void *context);
/* Answers what is outstanding with NULL (forget first what must not be called), and does not
 * call `closed`. Fine within any callback, and with NULL. */
void channel_free(struct channel **channel);
/* A packet with descriptors now counts as malformed, which closes the channel: for peers that
 * take hostile content apart and have none to give. */
void channel_refuse_fds(struct channel *channel);
/* One-way packet, or a reply (id of the request): copied and queued if the socket is full; -1 if
 * the channel is closed or too much waits. Descriptors stay the caller's here, and in a request. */
int channel_send(struct channel *channel, const struct ipc_packet *packet);
/* The payload lives until the call returns; the reply's descriptors are the callee's. */
typedef void channel_reply_fn(void *context, const struct ipc_packet *reply);
/* A request: `done` is called exactly once, with NULL if the other end went away. Returns its
 * id, or 0 when the window is full or the channel closed ("busy"): then done is not called. */
uint32_t channel_request(struct channel *channel, uint16_t type, struct str payload,
	const int *fds, unsigned fd_count, channel_reply_fn *done, void *context);
/* The reply will be thrown away, and done not called. The request counts as outstanding until
 * then: the other end still works on it. */
void channel_forget(struct channel *channel, uint32_t id);
bool channel_is_busy(const struct channel *channel);
unsigned channel_outstanding(const struct channel *channel);

/* A sealed memfd with this content, or an unsealed one to write to. -1 on failure. */
int memfd_sealed(const char *name, struct str content, struct err *err);
int memfd_open(const char *name, struct err *err);
int memfd_seal(int fd, struct err *err);
/* Maps a sealed memfd read-only after checking its seals and size. Empty: p "" and n 0. */
int memfd_map(int fd, size_t max_bytes, struct str *content_r, struct err *err);
void memfd_unmap(struct str content);

#endif
