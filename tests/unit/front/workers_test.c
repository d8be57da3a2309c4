/* The queue before processes that do one thing at a time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/front/workers.h"

enum { ENDS = 4, PATIENCE = 500 };

struct fixture {
	struct loop *loop;
	struct workers *workers;
	struct channel *ends[ENDS]; /* the workers' */
	uint32_t asked[ENDS];	    /* the request that each works on */
	struct buf log;		    /* of each answer: job, how it ended, worker */
	struct loop_timer *turn;
	int64_t killed;
};
struct job {
	struct fixture *f;
	char name;
};
#define JOBS(f) \
	struct job a = { f, 'a' }, b = { f, 'b' }, c = { f, 'c' }; \
	(void)a, (void)b, (void)c

static void on_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	struct fixture *f = context;

	for (size_t i = 0; i < ENDS; i++)
		if (f->ends[i] == channel)
			f->asked[i] = packet->id;
}

static void on_closed(void *context, struct channel *channel)
{
	struct fixture *f = context;

	for (size_t i = 0; i < ENDS; i++)
		if (f->ends[i] == channel)
			f->ends[i] = NULL;
}

static const struct channel_ops ops = { on_packet, on_closed };

static void on_done(void *context, enum workers_end end, const struct ipc_packet *reply,
	int64_t index)
{
	struct job *job = context;

	buf_printf(&job->f->log, "%c%c%d ", job->name, "adkn"[end], (int)index);
}

static void on_turn(void *context)
{
	loop_stop(((struct fixture *)context)->loop);
}

/* A few turns: what is in the sockets arrives. */
static void turns(struct fixture *f)
{
	for (int i = 0; i < 5; i++) {
		loop_timer_set(f->turn, 1);
		loop_run(f->loop);
	}
}

static void on_kill(void *context, const struct ctl_peer *peer)
{
	struct fixture *f = context;

	f->killed = peer->index;
	channel_free(&f->ends[peer->index]);
}

static void wire(struct fixture *f, int index)
{
	int fds[2];

	assert_int_equal(ipc_pair(fds, NULL), 0);
	f->ends[index] = channel_new(f->loop, fds[1], 0, &ops, f);
	workers_wire(f->workers, index, 1, fds[0]);
}

static struct work *submit(struct job *job, bool first, int64_t prefer, int64_t wait_ms)
{
	struct work_order order = { .type = 1, .fd = -1, .first = first, .prefer = prefer,
		.wait_ms = wait_ms, .done = on_done, .context = job };

	return workers_submit(job->f->workers, &order);
}

static void reply(struct fixture *f, int index)
{
	struct ipc_packet packet = { .type = 2, .id = f->asked[index] };

	assert_int_not_equal(f->asked[index], 0);
	f->asked[index] = 0;
	channel_send(f->ends[index], &packet);
	turns(f);
}

static void expect(struct fixture *f, const char *log)
{
	buf_char(&f->log, '\0');
	assert_string_equal(f->log.p, log);
	f->log.n--;
}

static int setup_with(void **state, int64_t wall_ms)
{
	static struct fixture f;
	struct workers_options options = { .role = ROLE_INSPECTOR, .wall_ms = wall_ms,
		.kill = on_kill, .context = &f };

	f = (struct fixture){ .killed = -1 };
	f.loop = options.loop = loop_new();
	f.turn = loop_timer_new(f.loop, on_turn, &f);
	f.workers = workers_new(&options);
	*state = &f;
	return 0;
}

/* However busy the machine is, nobody is killed by chance. */
static int setup(void **state)
{
	return setup_with(state, 60000);
}

static int setup_hasty(void **state)
{
	return setup_with(state, 50);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	workers_free(&f->workers);
	for (size_t i = 0; i < ENDS; i++)
		channel_free(&f->ends[i]);
	loop_timer_free(&f->turn);
	loop_free(&f->loop);
	buf_free(&f->log);
	return 0;
}

static void test_order(void **state)
{
	struct fixture *f = *state;
	JOBS(f);

	wire(f, 0);
	submit(&a, false, WORKERS_ANY, 10000);
	submit(&b, false, WORKERS_ANY, 10000);
	submit(&c, true, WORKERS_ANY, 10000); /* envelope work first */
	turns(f);
	for (int i = 0; i < 3; i++)
		reply(f, 0);
	expect(f, "aa0 ca0 ba0 ");
}

static void test_death_charges_one(void **state)
{
	struct fixture *f = *state;
	JOBS(f);

	wire(f, 0);
	submit(&a, false, WORKERS_ANY, 10000);
	submit(&b, false, WORKERS_ANY, 10000);
	turns(f);
	channel_free(&f->ends[0]);
	turns(f);
	expect(f, "ad0 ");
	assert_int_equal(workers_count(f->workers), 0);
	assert_int_equal(workers_waiting(f->workers), 1);
	wire(f, 1);
	turns(f);
	reply(f, 1);
	expect(f, "ad0 ba1 ");
}

static void test_wall_clock(void **state)
{
	struct fixture *f = *state;
	JOBS(f);

	wire(f, 0);
	submit(&a, false, WORKERS_ANY, 10000);
	for (int i = 0; i < PATIENCE && f->killed < 0; i++)
		turns(f);
	turns(f);
	assert_int_equal(f->killed, 0);
	expect(f, "ak0 ");
}

static void test_none_in_time(void **state)
{
	struct fixture *f = *state;
	JOBS(f);

	submit(&a, false, WORKERS_ANY, 30);
	for (int i = 0; i < PATIENCE && !f->log.n; i++)
		turns(f);
	expect(f, "an-1 ");
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct work *one, *two;
	JOBS(f);

	wire(f, 0);
	one = submit(&a, false, WORKERS_ANY, 10000);
	two = submit(&b, false, WORKERS_ANY, 10000);
	submit(&c, false, WORKERS_ANY, 10000);
	turns(f);
	workers_cancel(&one); /* has the worker, which finishes in vain */
	workers_cancel(&two);
	reply(f, 0);
	reply(f, 0);
	expect(f, "ca0 ");
}

static void test_sticky(void **state)
{
	struct fixture *f = *state;
	JOBS(f);

	wire(f, 0);
	wire(f, 1);
	submit(&a, false, 1, 10000);
	turns(f);
	assert_int_not_equal(f->asked[1], 0);
	/* Its worker is busy: another one takes it, but not at once. */
	submit(&b, false, 1, 10000);
	assert_int_equal(workers_waiting(f->workers), 1);
	for (int i = 0; i < PATIENCE && !f->asked[0]; i++)
		turns(f);
	reply(f, 0);
	reply(f, 1);
	expect(f, "ba0 aa1 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_charges_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wall_clock, setup_hasty, teardown),
		cmocka_unit_test_setup_teardown(test_none_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sticky, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
