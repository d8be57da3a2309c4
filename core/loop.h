/*
 * loop: the one event loop (libevent), its timers and signals.
 *
 *	struct loop *loop = loop_new();
 *	struct loop_io *io = loop_io_new(loop, fd, on_ready, context);
 *	loop_io_want(io, LOOP_READ);
 *	loop_run(loop);
 *
 * Callbacks may free any object, their own included.
 */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;
struct event_base;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
typedef void loop_io_fn(void *context, int fd, unsigned events);
typedef void loop_fn(void *context);

struct loop *loop_new(void);
void loop_free(struct loop **loop);
/* Until loop_stop(), or until nothing is waited for. */
void loop_run(struct loop *loop);
/* Returns after the callback that runs; before loop_run(), that one returns at once. */
void loop_stop(struct loop *loop);
/* For libraries that want libevent itself (libunbound, evhttp). */
struct event_base *loop_base(struct loop *loop);
/* Monotonic milliseconds. */
int64_t loop_now_ms(struct loop *loop);

/* Waits for nothing until loop_io_want(); events are level-triggered. */
struct loop_io *loop_io_new(struct loop *loop, int fd, loop_io_fn *fn, void *context);
void loop_io_want(struct loop_io *io, unsigned events);
void loop_io_free(struct loop_io **io); /* leaves fd open */

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *context);
/* Fires once, in_ms from now; setting it again moves it. */
void loop_timer_set(struct loop_timer *timer, int64_t in_ms);
void loop_timer_clear(struct loop_timer *timer);
void loop_timer_free(struct loop_timer **timer);

struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *context);
void loop_signal_free(struct loop_signal **signal);

#endif
