#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "gateway/shared.h"

static struct shared *shared;
static int shared_fd;

static int open_shared(void **state)
{
	struct err err;
	shared = shared_create(&shared_fd, &err);
	return shared == NULL ? -1 : 0;
}

static int close_shared(void **state)
{
	shared_unmap(&shared);
	close(shared_fd);
	return 0;
}

static void test_counters(void **state)
{
	struct err err;
	struct shared *other = shared_map(shared_fd, &err);

	assert_non_null(other);
	shared_add(shared, SHARED_CONNECTIONS, 3);
	shared_add(other, SHARED_CONNECTIONS, 4);
	assert_int_equal(shared_get(shared, SHARED_CONNECTIONS), 7);
	assert_int_equal(shared_action_counter(ACTION_TEMPFAIL), SHARED_MESSAGES_TEMPFAIL);
	shared_gauge_add(shared, ROLE_FRONT, 0, SHARED_OPEN_CONNECTIONS, 5);
	shared_gauge_add(other, ROLE_FRONT, 1, SHARED_OPEN_CONNECTIONS, 6);
	assert_int_equal(shared_gauge_sum(shared, ROLE_FRONT, SHARED_OPEN_CONNECTIONS), 11);
	shared_forget(shared, ROLE_FRONT, 1);
	assert_int_equal(shared_gauge_sum(shared, ROLE_FRONT, SHARED_OPEN_CONNECTIONS), 5);
	assert_int_equal(ftruncate(shared_fd, 0), -1);
	shared_unmap(&other);
}

static void test_rates(void **state)
{
	static const struct {
		int64_t now, n, expect;
	} rows[] = {
		{ 600, 1, 1 },
		{ 630, 2, 3 },
		{ 659, 0, 3 },
		{ 660, 0, 3 }, /* the window before counts whole */
		{ 690, 1, 2 }, /* half of 3, and 1 */
		{ 719, 0, 1 },
		{ 780, 0, 0 }, /* two windows on */
		{ 100000, 5, 5 },
	};
	uint64_t key = shared_key(shared, "connections", STR("192.0.2.1"));
	uint64_t other = shared_key(shared, "messages", STR("192.0.2.1"));

	assert_true(key != other);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int64_t got = shared_rate(shared, key, rows[i].n, 60, rows[i].now);
		assert_int_equal(got, rows[i].expect);
	}
	assert_int_equal(shared_rate(shared, other, 0, 60, 100000), 0);
	/* Another span is another count. */
	assert_int_equal(shared_rate(shared, key, 1, 3600, 100000), 1);
	assert_int_equal(shared_rate(shared, key, 10000000, 60, 100001), (1 << 20) - 1);
}

/* Strangers in any number do not push out who is busy. */
static void test_rate_pressure(void **state)
{
	uint64_t busy = shared_key(shared, "p", STR("busy"));

	assert_int_equal(shared_rate(shared, busy, 100, 60, 5000), 100);
	for (int64_t i = 0; i < 400000; i++) {
		uint64_t key = shared_key(shared, "p", str_from((const char *)&i, sizeof(i)));
		shared_rate(shared, key, 1, 60, 5000);
	}
	assert_int_equal(shared_rate(shared, busy, 1, 60, 5000), 101);
}

static void test_rate_processes(void **state)
{
	uint64_t key = shared_key(shared, "many", STR("x"));
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			for (int n = 0; n < 20000; n++)
				shared_rate(shared, key, 1, 60, 6000);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		waitpid(pids[i], NULL, 0);
	assert_int_equal(shared_rate(shared, key, 0, 60, 6000), 80000);
}

static void test_holds(void **state)
{
	uint64_t key = shared_key(shared, "hold", STR("192.0.2.9"));

	assert_int_equal(shared_hold(shared, 0, key, 1), 1);
	assert_int_equal(shared_hold(shared, 1, key, 1), 2);
	assert_int_equal(shared_hold(shared, 1, key, 1), 3);
	assert_int_equal(shared_hold(shared, 0, key, -1), 2);
	assert_int_equal(shared_hold(shared, 0, key, -1), 2); /* never below nothing */
	shared_forget(shared, ROLE_FRONT, 1);
	assert_int_equal(shared_hold(shared, 0, key, 0), 0);
}

static void test_running(void **state)
{
	static const char *const names[] = { "spf", "dkim", "bad name" };
	char name[SHARED_FILTER_NAME];
	struct err err;
	struct shared_running *page = shared_map_running(shared_fd, &err);

	assert_non_null(page);
	shared_running_names(page, names, 3);
	assert_null(shared_running_word(page, -1));
	assert_null(shared_running_word(page, SHARED_INSPECTORS));
	static const struct {
		uint32_t word;
		const char *expect;
	} rows[] = { { 0, "" }, { 1, "spf" }, { 2, "dkim" }, { 3, "bad" }, { 4, "" },
		{ 4000000000u, "" } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		*shared_running_word(page, 5) = rows[i].word;
		shared_running_filter(shared_running_of(shared), 5, name);
		assert_string_equal(name, rows[i].expect);
	}
	shared_running_filter(shared_running_of(shared), 1000, name);
	assert_string_equal(name, "");
}

static void test_metrics(void **state)
{
	struct buf out = BUF_INIT;

	shared_metrics(shared, &out);
	assert_true(str_find(buf_str(&out), STR("gatepost_messages_total{action=\"tag\"} 0\n")) <
		    out.n);
	assert_true(
		str_find(buf_str(&out), STR("# TYPE gatepost_connections_open gauge\n")) < out.n);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_rate_pressure),
		cmocka_unit_test(test_rate_processes),
		cmocka_unit_test(test_holds),
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_metrics),
	};
	return cmocka_run_group_tests(tests, open_shared, close_shared);
}
