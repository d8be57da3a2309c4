#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include "quarantine/store.h"

struct fixture {
	char dir[64];
	struct store *store;
	struct arena *arena;
	struct err err;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/tmp/gatepost-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->store = store_open(f->dir, false, &f->err);
	if (!f->store)
		fail_msg("%s", f->err.text);
	f->arena = arena_new(1 << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	store_close(&f->store);
	arena_free(&f->arena);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	test_free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	store_close(&f->store);
	f->store = store_open(f->dir, false, &f->err);
	assert_non_null(f->store);
}

static struct str two[] = { { "alice@example.net", 17 }, { "bob@example.net", 15 } };

static struct quarantine_entry entry(const char *id, bool pending)
{
	return (struct quarantine_entry){ .id = str_c(id), .time = 1795176000, .pending = pending,
		.mail_from = STR("spam@example.org"), .subject = STR("Buy \xf0\x9f\x98\x80 now"),
		.from = STR("Spam <spam@example.org>"), .rcpt_to = { two, 2 }, .score = 9.5,
		.headers = STR("X-Spam-Flag: YES\r\n"), .size = 7 };
}

static void put(struct fixture *f, const char *id, bool pending, struct str message)
{
	struct quarantine_entry e = entry(id, pending);
	assert_int_equal(store_put(f->store, &e, message, &f->err), STORE_OK);
	assert_int_equal(store_flush(f->store, &f->err), STORE_OK);
}

static void what_is_put_is_found_again(void **state)
{
	struct fixture *f = *state;
	char large[100000];
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i * 7 + i / 251);
	put(f, "T1.1", false, str_from(large, sizeof(large)));
	put(f, "T1.2", false, STR(""));
	reopen(f);
	struct buf body = BUF_INIT;
	assert_int_equal(store_read(f->store, STR("T1.1"), &body, &f->err), STORE_OK);
	assert_true(str_eq(buf_str(&body), str_from(large, sizeof(large))));
	buf_clear(&body);
	assert_int_equal(store_read(f->store, STR("T1.2"), &body, &f->err), STORE_OK);
	assert_int_equal(body.n, 0);
	buf_free(&body);
	struct store_found found;
	assert_int_equal(store_get(f->store, STR("T1.1"), f->arena, &found, &f->err), STORE_OK);
	assert_true(str_eq_c(found.state, "held"));
	assert_true(str_eq_c(found.entry.subject, "Buy \xf0\x9f\x98\x80 now"));
	assert_int_equal(found.recipients.n, 2);
	assert_int_equal(store_get(f->store, STR("T1.3"), f->arena, &found, &f->err), STORE_NOT_FOUND);
}

static void pending_ones_are_dropped_committed_or_recovered(void **state)
{
	struct fixture *f = *state;
	struct store_found found;
	struct store_counts counts;
	put(f, "P.1", true, STR("one"));
	put(f, "P.2", true, STR("two"));
	put(f, "P.3", true, STR("three"));
	assert_int_equal(store_drop(f->store, STR("P.1"), &f->err), STORE_OK);
	assert_int_equal(store_drop(f->store, STR("P.1"), &f->err), STORE_OK);
	assert_int_equal(store_commit(f->store, STR("P.2"), &f->err), STORE_OK);
	assert_int_equal(store_count(f->store, &counts, &f->err), STORE_OK);
	assert_int_equal(counts.pending, 1);
	reopen(f);
	assert_int_equal(store_recover(f->store, 1, &f->err), 1);
	assert_int_equal(store_get(f->store, STR("P.3"), f->arena, &found, &f->err), STORE_OK);
	assert_true(str_eq_c(found.state, "held"));
	assert_int_equal(store_get(f->store, STR("P.1"), f->arena, &found, &f->err), STORE_NOT_FOUND);
}

/* A trigger plays the disk that fails in the middle of an entry. */
static void arm(struct fixture *f, const char *how)
{
	char path[128], sql[256];
	sqlite3 *db = NULL;
	snprintf(path, sizeof(path), "%s/quarantine.db", f->dir);
	snprintf(sql, sizeof(sql), "DROP TRIGGER IF EXISTS broken; CREATE TRIGGER broken BEFORE INSERT ON recipient"
		" WHEN NEW.id = 'B.2' AND NEW.address LIKE 'bob%%' BEGIN SELECT RAISE(%s, 'broken'); END", how);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void an_entry_is_stored_whole_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	struct store_found found;
	struct quarantine_entry first = entry("B.1", false), second = entry("B.2", false);
	arm(f, "ABORT");
	assert_int_equal(store_put(f->store, &first, STR("one"), &f->err), STORE_OK);
	assert_int_not_equal(store_put(f->store, &second, STR("two"), &f->err), STORE_OK);
	assert_int_equal(store_flush(f->store, &f->err), STORE_OK);
	assert_int_equal(store_get(f->store, STR("B.1"), f->arena, &found, &f->err), STORE_OK);
	assert_int_equal(store_get(f->store, STR("B.2"), f->arena, &found, &f->err), STORE_NOT_FOUND);
}

static void nobody_is_told_that_what_was_rolled_back_is_durable(void **state)
{
	struct fixture *f = *state;
	struct store_found found;
	struct quarantine_entry first = entry("B.1", false), second = entry("B.2", false),
				third = entry("B.3", false);
	arm(f, "ROLLBACK");
	assert_int_equal(store_put(f->store, &first, STR("one"), &f->err), STORE_OK);
	assert_int_not_equal(store_put(f->store, &second, STR("two"), &f->err), STORE_OK);
	assert_int_not_equal(store_put(f->store, &third, STR("three"), &f->err), STORE_OK);
	assert_int_not_equal(store_flush(f->store, &f->err), STORE_OK);
	assert_int_equal(store_get(f->store, STR("B.1"), f->arena, &found, &f->err), STORE_NOT_FOUND);
	put(f, "B.3", false, STR("three"));
	assert_int_equal(store_get(f->store, STR("B.3"), f->arena, &found, &f->err), STORE_OK);
}

/* What another request commits on its way may fail, and take those along that wait. */
static void a_drop_that_fails_fails_those_who_wait(void **state)
{
	struct fixture *f = *state;
	struct store_found found;
	struct quarantine_entry e = entry("W.1", false);
	struct rlimit usual, small = { 1, 0 };
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
	small.rlim_max = usual.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	put(f, "W.0", true, STR("pending"));
	assert_int_equal(store_put(f->store, &e, STR("waits"), &f->err), STORE_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	enum store_result dropped = store_drop(f->store, STR("W.0"), &f->err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
	assert_int_not_equal(dropped, STORE_OK);
	assert_int_not_equal(store_flush(f->store, &f->err), STORE_OK);
	assert_int_equal(store_get(f->store, STR("W.1"), f->arena, &found, &f->err), STORE_NOT_FOUND);
	assert_int_equal(store_get(f->store, STR("W.0"), f->arena, &found, &f->err), STORE_OK);
	put(f, "W.1", false, STR("again"));
}

/* An answer that was late, or lost with its keeper: the sender was told to come again. */
static void what_nobody_touched_can_be_taken_back(void **state)
{
	struct fixture *f = *state;
	struct store_found found;
	static const struct str_list all = { 0 };
	put(f, "D.1", false, STR("one"));
	put(f, "D.2", true, STR("two"));
	put(f, "D.3", false, STR("three"));
	put(f, "D.4", false, STR("four"));
	reopen(f);
	assert_int_equal(store_recover(f->store, 1, &f->err), 1);
	assert_int_equal(store_release(f->store, STR("D.3"), &all, STR("carol"), &f->err), STORE_OK);
	assert_int_equal(store_label(f->store, STR("D.4"), STR("spam"), &f->err), STORE_OK);
	for (int i = 1; i <= 4; i++) {
		char id[] = { 'D', '.', (char)('0' + i), 0 };
		assert_int_equal(store_drop(f->store, str_c(id), &f->err), STORE_OK);
		assert_int_equal(store_get(f->store, str_c(id), f->arena, &found, &f->err),
			i <= 2 ? STORE_NOT_FOUND : STORE_OK);
	}
}

static void ids_are_never_paths(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "", "../x", ".", "a/b", "a b", "a%b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct quarantine_entry e = entry(bad[i], false);
		assert_int_equal(store_put(f->store, &e, STR("x"), &f->err), STORE_REFUSED);
		struct buf out = BUF_INIT;
		assert_int_equal(store_read(f->store, str_c(bad[i]), &out, &f->err), STORE_NOT_FOUND);
	}
}

static const struct str_list nobody = { NULL, 0 };

static void releases_happen_once(void **state)
{
	struct fixture *f = *state;
	struct store_job job;
	struct store_found found;
	struct str_list all = { NULL, 0 }, alice = { two, 1 };
	put(f, "R.1", false, STR("message"));
	assert_int_equal(store_release(f->store, STR("R.1"), &alice, STR("admin"), &f->err), STORE_OK);
	assert_int_equal(store_release(f->store, STR("R.1"), &alice, STR("admin"), &f->err), STORE_REFUSED);
	assert_int_equal(store_release(f->store, STR("R.9"), &all, STR("admin"), &f->err), STORE_NOT_FOUND);
	assert_int_equal(store_job_next(f->store, 1, f->arena, &job, &f->err), 1);
	assert_int_equal(job.recipients.n, 1);
	assert_true(str_eq(job.recipients.v[0], two[0]));
	struct store_job none;
	assert_int_equal(store_job_next(f->store, 1, f->arena, &none, &f->err), 0);
	/* Its front died: handed out again, after a crash too. */
	reopen(f);
	assert_int_equal(store_recover(f->store, 1, &f->err), 0);
	assert_int_equal(store_job_next(f->store, 1, f->arena, &job, &f->err), 1);
	/* The mailbox server was down: later. */
	assert_int_equal(store_job_done(f->store, job.job, &nobody, STORE_IO_ERROR, 100, &f->err), STORE_OK);
	assert_int_equal(store_job_next(f->store, 99, f->arena, &none, &f->err), 0);
	assert_int_equal(store_job_next(f->store, 100, f->arena, &job, &f->err), 1);
	assert_int_equal(store_job_done(f->store, job.job, &nobody, STORE_OK, 0, &f->err), STORE_OK);
	assert_int_equal(store_release(f->store, STR("R.1"), &all, STR("bob"), &f->err), STORE_OK);
	assert_int_equal(store_job_next(f->store, 100, f->arena, &job, &f->err), 1);
	assert_int_equal(job.recipients.n, 1);
	assert_true(str_eq(job.recipients.v[0], two[1]));
	assert_int_equal(store_job_done(f->store, job.job, &nobody, STORE_OK, 0, &f->err), STORE_OK);
	assert_int_equal(store_get(f->store, STR("R.1"), f->arena, &found, &f->err), STORE_OK);
	assert_true(str_eq_c(found.state, "released"));
	assert_int_equal(store_release(f->store, STR("R.1"), &all, STR("bob"), &f->err), STORE_REFUSED);
}

/* The mailbox server took it for one, and not yet, or never, for the other. */
static void who_has_it_never_gets_it_again(void **state)
{
	struct fixture *f = *state;
	struct store_job job;
	struct store_found found;
	struct str_list alice = { two, 1 };
	static const enum store_result ends[] = { STORE_IO_ERROR, STORE_REFUSED };
	for (size_t i = 0; i < 2; i++) {
		const char *id = i ? "H.1" : "H.0";
		put(f, id, false, STR("message"));
		assert_int_equal(store_release(f->store, str_c(id), &nobody, STR("admin"), &f->err), STORE_OK);
		assert_int_equal(store_job_next(f->store, 1, f->arena, &job, &f->err), 1);
		assert_int_equal(job.recipients.n, 2);
		assert_int_equal(store_job_done(f->store, job.job, &alice, ends[i], 100, &f->err), STORE_OK);
		assert_int_equal(store_flush(f->store, &f->err), STORE_OK);
		if (ends[i] == STORE_REFUSED)
			assert_int_equal(store_release(f->store, str_c(id), &nobody, STR("admin"), &f->err),
				STORE_OK);
		assert_int_equal(store_job_next(f->store, 100, f->arena, &job, &f->err), 1);
		assert_int_equal(job.recipients.n, 1);
		assert_true(str_eq(job.recipients.v[0], two[1]));
		assert_int_equal(store_job_done(f->store, job.job, &nobody, STORE_OK, 0, &f->err), STORE_OK);
		assert_int_equal(store_get(f->store, str_c(id), f->arena, &found, &f->err), STORE_OK);
		assert_true(str_eq_c(found.state, "released"));
	}
}

static void a_job_without_its_entry_goes_away(void **state)
{
	struct fixture *f = *state;
	struct store_job job;
	struct str_list all = { NULL, 0 };
	put(f, "R.2", false, STR("message"));
	assert_int_equal(store_release(f->store, STR("R.2"), &all, STR("admin"), &f->err), STORE_OK);
	assert_int_equal(store_delete(f->store, STR("R.2"), &f->err), STORE_OK);
	assert_int_equal(store_delete(f->store, STR("R.2"), &f->err), STORE_NOT_FOUND);
	assert_int_equal(store_job_next(f->store, 1, f->arena, &job, &f->err), 0);
}

static bool count_one(void *context, const struct store_found *found)
{
	++*(int *)context;
	return true;
}

static int listed(struct fixture *f, const struct store_query *q)
{
	int n = 0;
	assert_int_equal(store_list(f->store, q, f->arena, count_one, &n, &f->err), STORE_OK);
	return n;
}

static void lists_are_filtered(void **state)
{
	struct fixture *f = *state;
	char id[16];
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "L.%d", i);
		put(f, id, i == 4, STR("x"));
	}
	assert_int_equal(listed(f, &(struct store_query){ 0 }), 5);
	assert_int_equal(listed(f, &(struct store_query){ .limit = 2 }), 2);
	assert_int_equal(listed(f, &(struct store_query){ .recipient = STR("ALICE@example.net") }), 5);
	assert_int_equal(listed(f, &(struct store_query){ .recipient = STR("carol@example.net") }), 0);
	assert_int_equal(listed(f, &(struct store_query){ .text = STR("buy") }), 5);
	assert_int_equal(listed(f, &(struct store_query){ .text = STR("nothing' OR 1") }), 0);
	assert_int_equal(listed(f, &(struct store_query){ .before = 1795176000 }), 0);
}

static void damage_is_an_error(void **state)
{
	struct fixture *f = *state;
	char path[200];
	struct buf out = BUF_INIT;
	put(f, "D.1", false, STR("a message that was whole"));
	snprintf(path, sizeof(path), "%s/quarantine/20261120/D.1.gpq", f->dir);
	assert_int_equal(truncate(path, 15), 0);
	assert_int_equal(store_read(f->store, STR("D.1"), &out, &f->err), STORE_IO_ERROR);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(store_read(f->store, STR("D.1"), &out, &f->err), STORE_IO_ERROR);
	assert_int_equal(out.n, 0);
	buf_free(&out);
}

static void one_writer_many_readers(void **state)
{
	struct fixture *f = *state;
	struct err err = { "" };
	assert_null(store_open(f->dir, false, &err));
	assert_non_null(strstr(err.text, "in use"));
	put(f, "W.1", false, STR("x"));
	struct store *reader = store_open(f->dir, true, &err);
	assert_non_null(reader);
	struct store_found found;
	assert_int_equal(store_get(reader, STR("W.1"), f->arena, &found, &err), STORE_OK);
	store_close(&reader);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_is_put_is_found_again), CASE(pending_ones_are_dropped_committed_or_recovered),
		CASE(what_nobody_touched_can_be_taken_back),
		CASE(an_entry_is_stored_whole_or_not_at_all),
		CASE(nobody_is_told_that_what_was_rolled_back_is_durable),
		CASE(a_drop_that_fails_fails_those_who_wait),
		CASE(ids_are_never_paths),	  CASE(releases_happen_once),
		CASE(who_has_it_never_gets_it_again),
		CASE(a_job_without_its_entry_goes_away), CASE(lists_are_filtered),
		CASE(damage_is_an_error),	  CASE(one_writer_many_readers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
