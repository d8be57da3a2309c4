#include "core/ipc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/limits.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* What stands before the payload of each packet; both ends are of one build. */
struct wire {
	uint32_t id;
	uint16_t type;
	uint16_t is_large; /* the payload is the content of the last descriptor */
};
#define WIRE_BYTES (sizeof(struct wire) + LIMIT_IPC_INLINE)
/* One more than callers may pass: the memfd of a large payload. */
#define WIRE_FDS (IPC_FDS + 1)
#define SEALS	 (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

union control {
	struct cmsghdr header; /* for its alignment */
	char octets[CMSG_SPACE(WIRE_FDS * sizeof(int))];
};

/* Sealed memfds */

int memfd_open(const char *name, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, "memfd_create");
	return fd;
}

int memfd_seal(int fd, struct err *err)
{
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		return err_sys(err, "cannot seal a memfd");
	return 0;
}

static int write_all(int fd, struct str content, struct err *err)
{
	while (content.n > 0) {
		ssize_t n = write(fd, content.p, content.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot write to a memfd");
		content = str_skip(content, (size_t)n);
	}
	return 0;
}

int memfd_sealed(const char *name, struct str content, struct err *err)
{
	int fd = memfd_open(name, err);
	if (fd < 0)
		return -1;
	if (write_all(fd, content, err) != 0 || memfd_seal(fd, err) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int memfd_map(int fd, size_t max_bytes, struct str *content_r, struct err *err)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	/* Unsealed, the other end could change what was checked, or cut it so that we fault. */
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & needed) != needed)
		return err_set(err, "descriptor is not a sealed memfd");
	/* Not fstat(): to a sandbox that is the same call as stat() of a path. */
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return err_sys(err, "cannot tell the size of a memfd");
	if ((uint64_t)size > max_bytes)
		return err_set(err, "memfd of %lld octets is over the limit of %zu",
			(long long)size, max_bytes);
	if (size == 0) {
		*content_r = STR("");
		return 0;
	}
	void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(err, "mmap of %lld octets", (long long)size);
	*content_r = str_from(p, (size_t)size);
	return 0;
}

void memfd_unmap(struct str content)
{
	if (content.n > 0)
		munmap((void *)(uintptr_t)content.p, content.n);
}

/* Packets on a descriptor */

int ipc_pair(int fds_r[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds_r) != 0)
		return err_sys(err, "socketpair");
	return 0;
}

void ipc_close_fds(struct ipc_packet *packet)
{
	for (unsigned i = 0; i < packet->fd_count; i++)
		if (packet->fds[i] >= 0)
			close(packet->fds[i]);
	packet->fd_count = 0;
}

/* One sendmsg(): 0, or -1 with errno. */
static int put(int fd, const struct wire *wire, struct str payload, const int *fds,
	unsigned fd_count, int flags)
{
	union control control = { 0 };
	struct iovec parts[2] = {
		{ (void *)(uintptr_t)wire, sizeof(*wire) },
		{ (void *)(uintptr_t)payload.p, payload.n },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = payload.n > 0 ? 2 : 1 };
	ssize_t n;

	if (fd_count > 0) {
		message.msg_control = control.octets;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
	}
	do
		n = sendmsg(fd, &message, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

/* A packet in the form in which it is sent: a large payload has become a descriptor. */
struct outgoing {
	struct wire wire;
	struct str payload;
	int fds[WIRE_FDS];
	unsigned fd_count;
	int large_fd; /* ours, or -1 */
};

static int outgoing_make(struct outgoing *out, const struct ipc_packet *packet, struct err *err)
{
	assert(packet->fd_count <= IPC_FDS);
	*out = (struct outgoing){
		.wire = { .id = packet->id, .type = packet->type },
		.payload = packet->payload,
		.fd_count = packet->fd_count,
		.large_fd = -1,
	};
	memcpy(out->fds, packet->fds, packet->fd_count * sizeof(int));
	if (packet->payload.n <= LIMIT_IPC_INLINE)
		return 0;
	if (packet->payload.n > LIMIT_IPC_BYTES)
		return err_set(err, "packet of %zu octets is over the limit of %u",
			packet->payload.n, LIMIT_IPC_BYTES);
	out->large_fd = memfd_sealed("ipc", packet->payload, err);
	if (out->large_fd < 0)
		return -1;
	out->wire.is_large = 1;
	out->payload = STR("");
	out->fds[out->fd_count++] = out->large_fd;
	return 0;
}

int ipc_send(int fd, const struct ipc_packet *packet, struct err *err)
{
	struct outgoing out;

	if (outgoing_make(&out, packet, err) != 0)
		return -1;
	int result;
	while ((result = put(fd, &out.wire, out.payload, out.fds, out.fd_count, 0)) != 0) {
		/* Too many descriptors of this user are under way, or no buffers: it passes.
		 * ETOOMANYREFS and ENOBUFS do not block by themselves. */
		if (errno != ETOOMANYREFS && errno != ENOBUFS)
			break;
		poll(NULL, 0, 2);
	}
	if (result != 0)
		err_sys(err, "cannot send a packet");
	if (out.large_fd >= 0)
		close(out.large_fd);
	return result;
}

static void store_unmap(struct ipc_store *store)
{
	if (store->map != NULL)
		munmap(store->map, store->map_size);
	store->map = NULL;
	store->map_size = 0;
}

void ipc_store_free(struct ipc_store *store)
{
	store_unmap(store);
	buf_free(&store->buf);
}

/* All descriptors of a message, even of one that is malformed: they are ours already. */
static unsigned take_fds(struct msghdr *message, int fds[WIRE_FDS])
{
	unsigned count = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (count < WIRE_FDS)
				fds[count++] = fd;
			else
				close(fd);
		}
	}
	return count;
}

static void close_all(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

/* Turns what was received into a packet. Takes over the descriptors. */
static int open_packet(struct ipc_store *store, size_t n, int *fds, unsigned fd_count,
	struct ipc_packet *packet_r, struct err *err)
{
	struct wire wire;
	struct str payload;

	if (n < sizeof(wire)) {
		close_all(fds, fd_count);
		return err_set(err, "packet of %zu octets is too short", n);
	}
	memcpy(&wire, store->buf.p, sizeof(wire));
	payload = str_from(store->buf.p + sizeof(wire), n - sizeof(wire));
	if (wire.is_large) {
		if (fd_count == 0)
			return err_set(err, "large packet without its content");
		int result = memfd_map(fds[fd_count - 1], LIMIT_IPC_BYTES, &payload, err);
		close(fds[--fd_count]);
		if (result != 0) {
			close_all(fds, fd_count);
			return -1;
		}
		if (payload.n > 0) {
			store->map = (void *)(uintptr_t)payload.p;
			store->map_size = payload.n;
		}
	}
	if (fd_count > IPC_FDS) {
		close_all(fds, fd_count);
		return err_set(err, "packet with too many descriptors");
	}
	*packet_r = (struct ipc_packet){ .type = wire.type,
		.id = wire.id,
		.payload = payload,
		.fd_count = fd_count };
	memcpy(packet_r->fds, fds, fd_count * sizeof(int));
	return 1;
}

/* As ipc_recv(), and -2 where a non-blocking read would block. */
static int get(int fd, struct ipc_store *store, struct ipc_packet *packet_r, int flags,
	struct err *err)
{
	union control control;
	int fds[WIRE_FDS];

	store_unmap(store);
	buf_clear(&store->buf);
	struct iovec part = { buf_reserve(&store->buf, WIRE_BYTES), WIRE_BYTES };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.octets,
		.msg_controllen = sizeof(control.octets) };
	ssize_t n;
	/* ECONNRESET is told once, ahead of what the other end had said before it died; then
	 * come those packets, and the end. */
	do
		n = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -2;
	if (n < 0)
		return err_sys(err, "cannot receive a packet");
	unsigned fd_count = take_fds(&message, fds);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		close_all(fds, fd_count);
		return err_set(err, "packet was cut: it is too long, or no descriptors are left");
	}
	/* Each packet has a header, so nothing at all is the end. */
	if (n == 0) {
		close_all(fds, fd_count);
		return 0;
	}
	return open_packet(store, (size_t)n, fds, fd_count, packet_r, err);
}

int ipc_recv(int fd, struct ipc_store *store, struct ipc_packet *packet_r, struct err *err)
{
	int result = get(fd, store, packet_r, 0, err);
	if (result == -2)
		return err_set(err, "ipc_recv() needs a blocking descriptor");
	return result;
}

/* Channels */

/* A round takes at most this many packets from one channel: the others want their turn. */
#define PACKETS_A_ROUND 64
/* A full table of descriptors in flight has no event that tells of its end. */
#define RETRY_MS  5
#define SLOT_BITS 11
_Static_assert(LIMIT_IPC_WINDOW <= 1 << SLOT_BITS, "a slot's number must fit into the id");

struct slot {
	uint32_t id;		/* 0: free */
	channel_reply_fn *done; /* NULL: forgotten */
	void *context;
};

struct queued {
	struct queued *next;
	struct wire wire;
	int fds[WIRE_FDS];
	unsigned fd_count;
	size_t n;
	char payload[];
};

struct channel {
	struct loop *loop;
	int fd;
	struct loop_io *io;
	struct loop_timer *retry;
	const struct channel_ops *ops;
	void *context;
	struct ipc_store store;

	unsigned window, outstanding;
	uint32_t serial;
	unsigned *free_slots; /* a stack of window - outstanding numbers */
	struct slot *slots;

	struct queued *queue, **queue_end;
	size_t queue_bytes;

	bool closed; /* nothing goes in or out any more */
	bool refuse_fds;
	bool freed;	/* by the owner, in a callback of ours */
	unsigned depth; /* of callbacks of ours that run */
};

static void channel_destroy(struct channel *channel)
{
	loop_io_free(&channel->io);
	loop_timer_free(&channel->retry);
	close(channel->fd);
	ipc_store_free(&channel->store);
	free(channel->free_slots);
	free(channel->slots);
	free(channel);
}

static void enter(struct channel *channel)
{
	channel->depth++;
}

/* False: the channel is gone. */
static bool leave(struct channel *channel)
{
	if (--channel->depth > 0 || !channel->freed)
		return !channel->freed;
	channel_destroy(channel);
	return false;
}

static void slot_release(struct channel *channel, struct slot *slot)
{
	slot->id = 0;
	channel->outstanding--;
	channel->free_slots[channel->window - channel->outstanding - 1] =
		(unsigned)(slot - channel->slots);
}

static void drop_queue(struct channel *channel)
{
	struct queued *q;

	while ((q = channel->queue) != NULL) {
		channel->queue = q->next;
		close_all(q->fds, q->fd_count);
		free(q);
	}
	channel->queue_end = &channel->queue;
	channel->queue_bytes = 0;
}

/* Answers all that is outstanding with "unavailable". */
static void abandon(struct channel *channel)
{
	channel->closed = true;
	loop_io_want(channel->io, 0);
	loop_timer_clear(channel->retry);
	drop_queue(channel);
	for (unsigned i = 0; i < channel->window; i++) {
		struct slot slot = channel->slots[i];
		if (slot.id == 0)
			continue;
		slot_release(channel, &channel->slots[i]);
		if (slot.done != NULL)
			slot.done(slot.context, NULL);
	}
}

/* The other end is gone, or talks nonsense. Called within enter() and leave(). */
static void close_from_peer(struct channel *channel)
{
	abandon(channel);
	if (channel->freed)
		return;
	if (channel->ops->closed != NULL)
		channel->ops->closed(channel->context, channel);
	channel->freed = true;
}

/* True: it was the last reply that was awaited. */
static bool dispatch(struct channel *channel, struct ipc_packet *packet)
{
	unsigned number = packet->id & ((1u << SLOT_BITS) - 1);

	if (packet->id == 0 || number >= channel->window ||
		channel->slots[number].id != packet->id) {
		if (channel->ops->packet != NULL)
			channel->ops->packet(channel->context, channel, packet);
		else
			ipc_close_fds(packet);
		return false;
	}
	struct slot slot = channel->slots[number];
	slot_release(channel, &channel->slots[number]);
	bool last = channel->outstanding == 0;
	if (slot.done != NULL)
		slot.done(slot.context, packet);
	else
		ipc_close_fds(packet);
	return last;
}

static void read_packets(struct channel *channel)
{
	for (unsigned i = 0; i < PACKETS_A_ROUND && !channel->closed; i++) {
		struct ipc_packet packet;
		int result = get(channel->fd, &channel->store, &packet, MSG_DONTWAIT, NULL);
		if (result == -2)
			return;
		if (result == 1 && channel->refuse_fds && packet.fd_count > 0) {
			ipc_close_fds(&packet);
			result = -1;
		}
		if (result != 1) {
			close_from_peer(channel);
			return;
		}
		/* What else there may be, the loop tells; mostly there is nothing. */
		if (dispatch(channel, &packet))
			return;
	}
}

static bool is_passing(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ETOOMANYREFS || error == ENOBUFS;
}

/* Waits for the reason in errno to pass. */
static void wait_to_write(struct channel *channel)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		loop_io_want(channel->io, LOOP_READ | LOOP_WRITE);
	} else {
		loop_io_want(channel->io, LOOP_READ);
		loop_timer_set(channel->retry, RETRY_MS);
	}
}

/*
 * A write that fails for good is left to the reader: what the other end has
 * said before it died is still to be read, and then its end.
 */
static void write_queue(struct channel *channel)
{
	struct queued *q;

	while ((q = channel->queue) != NULL) {
		struct str payload = str_from(q->payload, q->n);
		if (put(channel->fd, &q->wire, payload, q->fds, q->fd_count, MSG_DONTWAIT) != 0) {
			if (is_passing(errno)) {
				wait_to_write(channel);
				return;
			}
			drop_queue(channel);
			break;
		}
		channel->queue = q->next;
		if (channel->queue == NULL)
			channel->queue_end = &channel->queue;
		channel->queue_bytes -= q->n;
		close_all(q->fds, q->fd_count);
		free(q);
	}
	loop_io_want(channel->io, LOOP_READ);
}

static void on_ready(void *context, int fd, unsigned events)
{
	struct channel *channel = context;

	(void)fd;
	enter(channel);
	if (events & LOOP_WRITE)
		write_queue(channel);
	if (events & LOOP_READ)
		read_packets(channel);
	leave(channel);
}

static void on_retry(void *context)
{
	write_queue(context);
}

struct channel *channel_new(struct loop *loop, int fd, unsigned window,
	const struct channel_ops *ops, void *context)
{
	assert(window <= LIMIT_IPC_WINDOW);
	struct channel *channel = calloc(1, sizeof(*channel));
	struct slot *slots = calloc(window + 1, sizeof(*slots));
	unsigned *free_slots = calloc(window + 1, sizeof(*free_slots));
	if (channel == NULL || slots == NULL || free_slots == NULL)
		abort();
	for (unsigned i = 0; i < window; i++)
		free_slots[i] = window - 1 - i;
	*channel = (struct channel){ .loop = loop,
		.fd = fd,
		.ops = ops,
		.context = context,
		.window = window,
		.slots = slots,
		.free_slots = free_slots };
	channel->queue_end = &channel->queue;
	channel->io = loop_io_new(loop, fd, on_ready, channel);
	channel->retry = loop_timer_new(loop, on_retry, channel);
	loop_io_want(channel->io, LOOP_READ);
	return channel;
}

void channel_refuse_fds(struct channel *channel)
{
	channel->refuse_fds = true;
}

void channel_free(struct channel **pointer)
{
	struct channel *channel = *pointer;

	*pointer = NULL;
	if (channel == NULL || channel->freed)
		return;
	channel->freed = true;
	enter(channel);
	if (!channel->closed)
		abandon(channel);
	leave(channel);
}

static int enqueue(struct channel *channel, const struct outgoing *out)
{
	if (channel->queue_bytes + out->payload.n > LIMIT_IPC_BYTES)
		return -1;
	struct queued *q = malloc(sizeof(*q) + out->payload.n);
	if (q == NULL)
		abort();
	*q = (struct queued){ .wire = out->wire, .n = out->payload.n };
	for (unsigned i = 0; i < out->fd_count; i++) {
		int copy = fcntl(out->fds[i], F_DUPFD_CLOEXEC, 0);
		if (copy < 0) {
			close_all(q->fds, q->fd_count);
			free(q);
			return -1;
		}
		q->fds[q->fd_count++] = copy;
	}
	if (out->payload.n > 0)
		memcpy(q->payload, out->payload.p, out->payload.n);
	*channel->queue_end = q;
	channel->queue_end = &q->next;
	channel->queue_bytes += q->n;
	return 0;
}

int channel_send(struct channel *channel, const struct ipc_packet *packet)
{
	struct outgoing out;
	int result = 0;

	if (channel->closed || outgoing_make(&out, packet, NULL) != 0)
		return -1;
	if (channel->queue != NULL) {
		result = enqueue(channel, &out);
	} else if (put(channel->fd, &out.wire, out.payload, out.fds, out.fd_count,
			   MSG_DONTWAIT) != 0) {
		result = -1;
		if (is_passing(errno)) {
			wait_to_write(channel);
			result = enqueue(channel, &out);
		}
	}
	if (out.large_fd >= 0)
		close(out.large_fd);
	return result;
}

uint32_t channel_request(struct channel *channel, uint16_t type, struct str payload, const int *fds,
	unsigned fd_count, channel_reply_fn *done, void *context)
{
	struct ipc_packet packet = { .type = type, .payload = payload, .fd_count = fd_count };

	assert(fd_count <= IPC_FDS);
	if (channel_is_busy(channel))
		return 0;
	for (unsigned i = 0; i < fd_count; i++)
		packet.fds[i] = fds[i];
	unsigned number = channel->free_slots[channel->window - channel->outstanding - 1];
	/* Never 0, and long not the same, so that a late reply finds no new request. */
	channel->serial = (channel->serial + 1) & (UINT32_MAX >> SLOT_BITS);
	if (channel->serial == 0)
		channel->serial = 1;
	packet.id = channel->serial << SLOT_BITS | number;
	if (channel_send(channel, &packet) != 0)
		return 0;
	channel->slots[number] = (struct slot){ packet.id, done, context };
	channel->outstanding++;
	return packet.id;
}

void channel_forget(struct channel *channel, uint32_t id)
{
	unsigned number = id & ((1u << SLOT_BITS) - 1);

	if (id != 0 && number < channel->window && channel->slots[number].id == id)
		channel->slots[number].done = NULL;
}

bool channel_is_busy(const struct channel *channel)
{
	return channel->closed || channel->outstanding >= channel->window;
}

unsigned channel_outstanding(const struct channel *channel)
{
	return channel->outstanding;
}
