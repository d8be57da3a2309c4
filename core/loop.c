#include "core/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <time.h>

struct loop {
	struct event_base *base;
	bool stopped;
};
struct loop_io {
	struct event *event;
	loop_io_fn *fn;
	void *context;
	unsigned wanted;
};
struct loop_timer {
	struct event *event;
	loop_fn *fn;
	void *context;
};
struct loop_signal {
	struct event *event;
	loop_fn *fn;
	void *context;
};

static void *allocate(size_t size)
{
	void *p = calloc(1, size);
	if (p == NULL)
		abort();
	return p;
}

struct loop *loop_new(void)
{
	struct loop *loop = allocate(sizeof(*loop));
	struct event_config *config = event_config_new();
	if (config == NULL)
		abort();
	/* One thread, and no back end chosen by whoever set our environment. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base == NULL)
		abort();
	return loop;
}

void loop_free(struct loop **loop)
{
	if (*loop == NULL)
		return;
	event_base_free((*loop)->base);
	free(*loop);
	*loop = NULL;
}

void loop_run(struct loop *loop)
{
	/* libevent forgets a break that was asked for before it runs. */
	if (!loop->stopped)
		event_base_loop(loop->base, 0);
	loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
	event_base_loopbreak(loop->base);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

int64_t loop_now_ms(struct loop *loop)
{
	struct timespec ts;

	(void)loop;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Nothing of the object is touched after the call: it may be gone. */
static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;
	unsigned events = (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0);
	io->fn(io->context, fd, events);
}

struct loop_io *loop_io_new(struct loop *loop, int fd, loop_io_fn *fn, void *context)
{
	struct loop_io *io = allocate(sizeof(*io));
	io->fn = fn;
	io->context = context;
	io->event = event_new(loop->base, fd, EV_PERSIST, on_io, io);
	if (io->event == NULL)
		abort();
	return io;
}

void loop_io_want(struct loop_io *io, unsigned events)
{
	if (events == io->wanted)
		return;
	int fd = event_get_fd(io->event);
	struct event_base *base = event_get_base(io->event);
	if (io->wanted != 0)
		event_del(io->event);
	io->wanted = events;
	if (events == 0)
		return;
	short what = EV_PERSIST;
	if (events & LOOP_READ)
		what |= EV_READ;
	if (events & LOOP_WRITE)
		what |= EV_WRITE;
	event_assign(io->event, base, fd, what, on_io, io);
	if (event_add(io->event, NULL) != 0)
		abort();
}

void loop_io_free(struct loop_io **io)
{
	if (*io == NULL)
		return;
	event_free((*io)->event);
	free(*io);
	*io = NULL;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)what;
	timer->fn(timer->context);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *context)
{
	struct loop_timer *timer = allocate(sizeof(*timer));
	timer->fn = fn;
	timer->context = context;
	timer->event = event_new(loop->base, -1, 0, on_timer, timer);
	if (timer->event == NULL)
		abort();
	return timer;
}

void loop_timer_set(struct loop_timer *timer, int64_t in_ms)
{
	if (in_ms < 0)
		in_ms = 0;
	struct timeval tv = { .tv_sec = (time_t)(in_ms / 1000),
		.tv_usec = (suseconds_t)(in_ms % 1000) * 1000 };
	if (event_add(timer->event, &tv) != 0)
		abort();
}

void loop_timer_clear(struct loop_timer *timer)
{
	event_del(timer->event);
}

void loop_timer_free(struct loop_timer **timer)
{
	if (*timer == NULL)
		return;
	event_free((*timer)->event);
	free(*timer);
	*timer = NULL;
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct loop_signal *signal = arg;

	(void)fd;
	(void)what;
	signal->fn(signal->context);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *context)
{
	struct loop_signal *signal = allocate(sizeof(*signal));
	signal->fn = fn;
	signal->context = context;
	signal->event = evsignal_new(loop->base, signo, on_signal, signal);
	if (signal->event == NULL || event_add(signal->event, NULL) != 0)
		abort();
	return signal;
}

void loop_signal_free(struct loop_signal **signal)
{
	if (*signal == NULL)
		return;
	event_free((*signal)->event);
	free(*signal);
	*signal = NULL;
}
