#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports/collect.h"

struct seen {
	int64_t rows, messages;
};

static bool add_up(void *context, const struct collect_row *row)
{
	struct seen *seen = context;
	seen->rows++;
	seen->messages += row->count;
	assert_true(str_eq_c(row->day, "2026-11-20"));
	assert_int_equal(row->row.p, DMARC_REJECT);
	assert_true(row->row.dkim.n == 1 && str_eq_c(row->row.dkim.v[0].selector, "s1"));
	return true;
}

static struct auth_dkim signature = { .result = AUTH_PASS, .domain = { "example.org", 11 },
	.selector = { "s1", 2 } };

static struct dmarc_row row_from(const char *ip)
{
	return (struct dmarc_row){ .policy_domain = STR("example.org"), .header_from = STR("example.org"),
		.source_ip = str_c(ip), .p = DMARC_REJECT, .disposition = DISPOSITION_PASS,
		.dkim_aligned = true, .dkim = { &signature, 1 } };
}

/* A process that is killed right after its flush has counted all the same. */
static void counts_survive_a_killed_writer(void **state)
{
	char dir[] = "/tmp/gatepost-collect-XXXXXX";
	struct err err = { "" };
	assert_non_null(mkdtemp(dir));
	pid_t child = fork();
	if (child == 0) {
		struct collect *c = collect_open(dir, false, &err);
		for (int i = 0; c && i < 7; i++) {
			struct dmarc_row row = row_from(i % 2 ? "192.0.2.1" : "192.0.2.2");
			collect_add(c, &row, 1795176000 + i, &err);
		}
		if (c)
			collect_flush(c, &err);
		kill(getpid(), SIGKILL);
	}
	waitpid(child, NULL, 0);
	struct collect *c = collect_open(dir, false, &err);
	if (!c)
		fail_msg("%s", err.text);
	struct arena *arena = arena_new(1 << 20);
	struct seen seen = { 0 };
	assert_int_equal(collect_list(c, STR("example.org"), 100, arena, add_up, &seen, &err), 0);
	assert_int_equal(seen.rows, 2);
	assert_int_equal(seen.messages, 7);
	seen = (struct seen){ 0 };
	assert_int_equal(collect_list(c, STR("example.net"), 100, arena, add_up, &seen, &err), 0);
	assert_int_equal(seen.rows, 0);
	arena_free(&arena);
	collect_close(&c);
	static const char *const files[] = { "reports.db", "reports.db-wal", "reports.db-shm" };
	for (size_t i = 0; i < 3; i++) {
		char path[100];
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(counts_survive_a_killed_writer) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
