#include "gateway/front/workers.h"

#include <assert.h>
#include <stdlib.h>

/* How long a request waits for the worker that has its message cached, while others are idle: a
 * little longer than most messages take. Parsing it anew costs more than this wait. */
enum { STICKY_MS = 20, LOOK_MS = 1000 };

struct worker {
	struct worker *next;
	struct workers *workers;
	struct ctl_peer peer;
	struct channel *channel;
	struct loop_timer *wall;
	bool busy, killed;
	struct work *work; /* NULL while busy: cancelled */
};

struct work {
	struct work *next, *prev; /* in the queue */
	struct workers *workers;
	struct worker *worker; /* that has it */
	struct work_order order;
	int64_t queued_ms;
};

struct queue {
	struct work *head, *tail;
};

struct workers {
	struct workers_options options;
	struct worker *all;
	struct queue queues[2]; /* first, others */
	size_t count, waiting;
	size_t sticky; /* of those that wait, how many prefer a worker */
	struct loop_timer *timer; /* looks at who has waited long enough */
	int64_t timer_at;	  /* when it fires; 0: it is not set */
	struct buf payload;
	bool pumping;
};

static void *allocate(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

static void queue_add(struct queue *q, struct work *work)
{
	work->prev = q->tail;
	work->next = NULL;
	if (q->tail)
		q->tail->next = work;
	else
		q->head = work;
	q->tail = work;
}

static void queue_remove(struct queue *q, struct work *work)
{
	*(work->prev ? &work->prev->next : &q->head) = work->next;
	*(work->next ? &work->next->prev : &q->tail) = work->prev;
}

static struct queue *queue_of(struct work *work)
{
	return &work->workers->queues[work->order.first ? 0 : 1];
}

static void enqueue(struct work *work)
{
	queue_add(queue_of(work), work);
	work->workers->waiting++;
	work->workers->sticky += work->order.prefer != WORKERS_ANY;
}

static void unqueue(struct work *work)
{
	queue_remove(queue_of(work), work);
	work->workers->waiting--;
	work->workers->sticky -= work->order.prefer != WORKERS_ANY;
}

static void finish(struct work *work, enum workers_end end, const struct ipc_packet *reply,
	int64_t index)
{
	struct work_order order = work->order;

	free(work);
	order.done(order.context, end, reply, index);
}

static void pump(struct workers *workers);

/* Answer, or NULL: the worker is gone. */
static void on_reply(void *context, const struct ipc_packet *reply)
{
	struct worker *worker = context;
	struct workers *workers = worker->workers;
	struct work *work = worker->work;
	enum workers_end end = reply ? WORKERS_ANSWERED :
		worker->killed	     ? WORKERS_KILLED :
				       WORKERS_DIED;

	worker->busy = !reply; /* one that is gone gets nothing more */
	worker->work = NULL;
	loop_timer_clear(worker->wall);
	if (reply) {
		struct ipc_packet copy = *reply;

		ipc_close_fds(&copy); /* a worker has none to give */
	}
	if (work)
		finish(work, end, reply, worker->peer.index);
	if (reply)
		pump(workers);
}

static void worker_free(struct worker *worker)
{
	loop_timer_free(&worker->wall);
	free(worker);
}

static void on_closed(void *context, struct channel *channel)
{
	struct worker *worker = context;
	struct workers *workers = worker->workers;
	struct worker **link = &workers->all;

	(void)channel;
	while (*link != worker)
		link = &(*link)->next;
	*link = worker->next;
	workers->count--;
	worker_free(worker);
}

/* Workers only answer. */
static void on_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	(void)context;
	(void)channel;
	ipc_close_fds(packet);
}

static const struct channel_ops channel_ops = { .packet = on_packet, .closed = on_closed };

static void on_wall(void *context)
{
	struct worker *worker = context;

	worker->killed = true;
	worker->workers->options.kill(worker->workers->options.context, &worker->peer);
}

/* May any idle worker take it, or is a certain one awaited? */
static bool is_anybodys(const struct work *work, int64_t now)
{
	return work->order.prefer == WORKERS_ANY || now - work->queued_ms >= STICKY_MS;
}

/* What this worker has begun goes before what is new: else, under load, it would wait until
 * another one has to begin again. */
static struct work *next_for(struct workers *workers, const struct worker *worker, int64_t now)
{
	for (int i = 0; i < 2; i++) {
		struct work *other = NULL;

		for (struct work *w = workers->queues[i].head; w; w = w->next) {
			if (w->order.prefer == worker->peer.index)
				return w;
			if (!other && is_anybodys(w, now))
				other = w;
		}
		if (other)
			return other;
	}
	return NULL;
}

static void dispatch(struct worker *worker, struct work *work)
{
	struct workers *workers = worker->workers;
	struct work_order *order = &work->order;
	uint32_t id;

	unqueue(work);
	buf_clear(&workers->payload);
	if (order->fill)
		order->fill(order->context, &workers->payload);
	worker->busy = true;
	worker->work = work;
	work->worker = worker;
	id = channel_request(worker->channel, order->type, buf_str(&workers->payload), &order->fd,
		order->fd >= 0 ? 1 : 0, on_reply, worker);
	if (id) {
		loop_timer_set(worker->wall, workers->options.wall_ms);
		return;
	}
	/* The channel is closing: on_closed() takes the worker away, and the next one gets this. */
	worker->work = NULL;
	work->worker = NULL;
	work->order.prefer = WORKERS_ANY;
	enqueue(work);
}

static void expire(struct workers *workers, int64_t now)
{
	for (int i = 0; i < 2; i++) {
		struct work *w = workers->queues[i].head;

		while (w) {
			struct work *next = w->next;

			if (now - w->queued_ms >= w->order.wait_ms) {
				unqueue(w);
				finish(w, WORKERS_NONE, NULL, WORKERS_ANY);
				/* The callback may have changed the queue. */
				next = workers->queues[i].head;
			}
			w = next;
		}
	}
}

/* Exact for the oldest of each queue; who waits behind it is looked at once a second, so that a
 * long queue costs nothing. */
static void set_timer(struct workers *workers, int64_t now)
{
	int64_t ms = workers->sticky ? STICKY_MS : LOOK_MS;

	for (int i = 0; i < 2; i++) {
		const struct work *oldest = workers->queues[i].head;
		int64_t left = oldest ? oldest->queued_ms + oldest->order.wait_ms - now : ms;

		if (left < ms)
			ms = left;
	}
	if (ms < 1)
		ms = 1;
	/* Never later than it stands: or a busy queue would move it on for ever. */
	if (workers->timer_at && workers->timer_at <= now + ms)
		return;
	workers->timer_at = now + ms;
	loop_timer_set(workers->timer, ms);
}

/* Gives work to idle workers. What it calls may submit more, which this same run sees. */
static void pump(struct workers *workers)
{
	int64_t now;

	if (workers->pumping || !workers->waiting)
		return;
	workers->pumping = true;
	now = loop_now_ms(workers->options.loop);
	for (struct worker *worker = workers->all; worker; worker = worker->next) {
		struct work *work = worker->busy ? NULL : next_for(workers, worker, now);

		if (work)
			dispatch(worker, work);
	}
	if (workers->waiting)
		set_timer(workers, now);
	workers->pumping = false;
}

static void on_timer(void *context)
{
	struct workers *workers = context;

	workers->timer_at = 0;
	expire(workers, loop_now_ms(workers->options.loop));
	pump(workers);
}

struct workers *workers_new(const struct workers_options *options)
{
	struct workers *workers = allocate(sizeof(*workers));

	workers->options = *options;
	workers->timer = loop_timer_new(options->loop, on_timer, workers);
	return workers;
}

void workers_free(struct workers **workers_p)
{
	struct workers *workers = *workers_p;

	if (!workers)
		return;
	*workers_p = NULL;
	for (int i = 0; i < 2; i++) {
		while (workers->queues[i].head) {
			struct work *work = workers->queues[i].head;

			unqueue(work);
			free(work);
		}
	}
	while (workers->all) {
		struct worker *worker = workers->all;

		workers->all = worker->next;
		free(worker->work);
		worker->work = NULL;
		channel_free(&worker->channel);
		worker_free(worker);
	}
	loop_timer_free(&workers->timer);
	buf_free(&workers->payload);
	free(workers);
}

void workers_wire(struct workers *workers, int64_t index, int64_t generation, int fd)
{
	struct worker *worker = allocate(sizeof(*worker));

	worker->workers = workers;
	worker->peer = (struct ctl_peer){ .role = workers->options.role, .index = index,
		.generation = generation };
	worker->wall = loop_timer_new(workers->options.loop, on_wall, worker);
	worker->channel = channel_new(workers->options.loop, fd, 1, &channel_ops, worker);
	channel_refuse_fds(worker->channel);
	worker->next = workers->all;
	workers->all = worker;
	workers->count++;
	pump(workers);
}

size_t workers_count(const struct workers *workers)
{
	return workers->count;
}

size_t workers_waiting(const struct workers *workers)
{
	return workers->waiting;
}

struct work *workers_submit(struct workers *workers, const struct work_order *order)
{
	struct work *work = allocate(sizeof(*work));

	assert(order->done && order->wait_ms > 0);
	work->workers = workers;
	work->order = *order;
	work->queued_ms = loop_now_ms(workers->options.loop);
	enqueue(work);
	pump(workers);
	return work;
}

void workers_cancel(struct work **work_p)
{
	struct work *work = *work_p;

	if (!work)
		return;
	*work_p = NULL;
	if (work->worker)
		work->worker->work = NULL;
	else
		unqueue(work);
	free(work);
}
