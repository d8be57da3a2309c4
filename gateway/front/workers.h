/*
 * workers: processes that do one thing at a time (inspectors, scanners), and the
 * queue before them.
 *
 * The queue is here and not in a socket, so that envelope work overtakes messages,
 * a process that dies takes only the request that it was working on with it, and one
 * that hangs is noticed: past the wall-clock limit the supervisor is asked to kill it.
 * Processes come and go; requests wait for the next one up to a deadline.
 *
 *	struct work_order order = { .type = SCAN, .fd = fd, .fill = fill, .context = me,
 *		.done = on_done, .prefer = WORKERS_ANY };
 *	struct work *work = workers_submit(scanners, &order);
 *
 * done() is called exactly once, from the loop, unless the work was cancelled.
 */
#ifndef GATEWAY_FRONT_WORKERS_H
#define GATEWAY_FRONT_WORKERS_H

#include "core/ipc.h"
#include "gateway/protocol.h"

#define WORKERS_ANY (-1)

struct workers;
struct work;

enum workers_end {
	WORKERS_ANSWERED, /* reply is the worker's */
	WORKERS_DIED,	  /* while it worked on this */
	WORKERS_KILLED,	  /* the same, past the wall-clock limit */
	WORKERS_NONE,	  /* no process took it in time */
};

/* index: of the worker, to be preferred for a later round; WORKERS_ANY if none had it. */
typedef void workers_fn(void *context, enum workers_end end, const struct ipc_packet *reply,
	int64_t index);
/* Appends the payload, when it is sent. */
typedef void workers_fill_fn(void *context, struct buf *payload);
/* Asks for the end of this worker. */
typedef void workers_kill_fn(void *context, const struct ctl_peer *peer);

struct work_order {
	uint16_t type;
	int fd; /* goes along, -1 for none; stays the caller's */
	bool first; /* before all that is not */
	int64_t prefer; /* a worker that has something cached, or WORKERS_ANY */
	int64_t wait_ms; /* in the queue, at most */
	workers_fill_fn *fill; /* NULL: no payload */
	workers_fn *done;
	void *context;
};

struct workers_options {
	struct loop *loop;
	enum role role;
	int64_t wall_ms; /* for one request */
	workers_kill_fn *kill;
	void *context;
};
struct workers *workers_new(const struct workers_options *options);
/* Ends with all that waits unanswered: no callback. */
void workers_free(struct workers **workers);
/* A worker is there; takes fd over. One with the same index and generation is replaced. */
void workers_wire(struct workers *workers, int64_t index, int64_t generation, int fd);
/* How many there are, working or not. */
size_t workers_count(const struct workers *workers);
size_t workers_waiting(const struct workers *workers);

struct work *workers_submit(struct workers *workers, const struct work_order *order);
/* No callback any more; a worker that has it already finishes it in vain. */
void workers_cancel(struct work **work);

#endif
