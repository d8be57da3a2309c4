#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/loop.h"

struct rig {
	struct loop *loop;
	struct loop_io *io, *other;
	struct loop_timer *timer;
	struct loop_signal *signal;
	unsigned reads, writes, ticks, signals;
};

static void on_io(void *context, int fd, unsigned events)
{
	struct rig *rig = context;
	char c;

	if (events & LOOP_WRITE) {
		rig->writes++;
		loop_io_want(rig->io, LOOP_READ);
	}
	if (events & LOOP_READ) {
		assert_int_equal(read(fd, &c, 1), 1);
		if (++rig->reads == 3)
			loop_stop(rig->loop);
	}
}

static void test_io(void **state)
{
	struct rig rig = { .loop = loop_new() };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	rig.io = loop_io_new(rig.loop, fds[0], on_io, &rig);
	assert_int_equal(write(fds[1], "abc", 3), 3);
	loop_io_want(rig.io, LOOP_READ | LOOP_WRITE);
	loop_run(rig.loop);
	assert_int_equal(rig.reads, 3);
	assert_int_equal(rig.writes, 1);
	loop_io_want(rig.io, 0);
	/* Nothing is waited for any more. */
	loop_run(rig.loop);
	loop_io_free(&rig.io);
	loop_io_free(&rig.io);
	loop_free(&rig.loop);
	close(fds[0]);
	close(fds[1]);
}

/* Two are ready at once; whichever runs first frees both. */
static void free_both(void *context, int fd, unsigned events)
{
	struct rig *rig = context;

	rig->reads++;
	loop_io_free(&rig->io);
	loop_io_free(&rig->other);
}

static void test_free_in_callback(void **state)
{
	struct rig rig = { .loop = loop_new() };
	int a[2], b[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	rig.io = loop_io_new(rig.loop, a[0], free_both, &rig);
	rig.other = loop_io_new(rig.loop, b[0], free_both, &rig);
	loop_io_want(rig.io, LOOP_READ);
	loop_io_want(rig.other, LOOP_READ);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	loop_run(rig.loop);
	assert_int_equal(rig.reads, 1);
	loop_free(&rig.loop);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

static void on_tick(void *context)
{
	struct rig *rig = context;

	if (++rig->ticks < 5)
		loop_timer_set(rig->timer, 1);
	else
		loop_timer_free(&rig->timer);
}

static void test_timer(void **state)
{
	struct rig rig = { .loop = loop_new() };
	int64_t before = loop_now_ms(rig.loop);

	rig.timer = loop_timer_new(rig.loop, on_tick, &rig);
	loop_timer_set(rig.timer, 1000000);
	loop_timer_clear(rig.timer);
	loop_timer_set(rig.timer, 0);
	loop_run(rig.loop);
	assert_int_equal(rig.ticks, 5);
	assert_null(rig.timer);
	assert_true(loop_now_ms(rig.loop) >= before + 4);
	loop_free(&rig.loop);
}

static void on_signal(void *context)
{
	struct rig *rig = context;

	rig->signals++;
	loop_stop(rig->loop);
}

static void test_signal(void **state)
{
	struct rig rig = { .loop = loop_new() };

	rig.signal = loop_signal_new(rig.loop, SIGUSR1, on_signal, &rig);
	raise(SIGUSR1);
	loop_run(rig.loop);
	assert_int_equal(rig.signals, 1);
	loop_signal_free(&rig.signal);
	loop_free(&rig.loop);
}

static void test_stop_before_run(void **state)
{
	struct rig rig = { .loop = loop_new() };

	rig.timer = loop_timer_new(rig.loop, on_tick, &rig);
	loop_timer_set(rig.timer, 1000000);
	loop_stop(rig.loop);
	loop_run(rig.loop);
	assert_int_equal(rig.ticks, 0);
	loop_timer_free(&rig.timer);
	loop_free(&rig.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_free_in_callback),
		cmocka_unit_test(test_timer),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_stop_before_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
