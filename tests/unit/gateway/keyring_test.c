/* The keys in the state folder: what is stored is found, the newest first, and nothing else is read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/keyring.h"

static char folder[64];
static struct arena *arena;

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/keyring_test.XXXXXX");
	arena = arena_new(16 << 20);
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	arena_free(&arena);
	return system(command);
}

static const char *store(const char *domain, const char *selector, bool ed25519, time_t made)
{
	struct timespec times[2] = { { .tv_sec = made }, { .tv_sec = made } };
	struct signkey *key;
	struct err err = { "" };
	const char *path;

	assert_int_equal(signkey_generate(ed25519, &key, NULL), 0);
	struct keyring_order order = { str_c(domain), str_c(selector), key, made == 0 };
	if (keyring_store(folder, &order, arena, &path, &err) < 0)
		fail_msg("%s", err.text);
	if (made)
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	signkey_free(&key);
	return path;
}

static void test_none(void **state)
{
	struct keyring ring;

	assert_int_equal(keyring_load(folder, arena, &ring, NULL), 0);
	assert_int_equal(ring.keys.n, 0);
	assert_null(keyring_find(&ring, STR("example.net"), "rsa-sha256"));
}

static void test_rotation(void **state)
{
	struct keyring ring;
	struct stat st;
	struct err err = { "" };

	const char *path = store("example.net", "old.s", true, 1000);
	store("example.net", "new", true, 2000);
	store("example.net", "rsa", false, 1500);
	store("other.example", "new", true, 3000);
	store("example.net", "z-next", true, 0);
	store("only.example", "z-next", true, 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(keyring_load(folder, arena, &ring, &err), 0);
	assert_int_equal(ring.keys.n, 6);
	const struct keyring_key *key = keyring_find(&ring, STR("Example.NET"), "ed25519-sha256");
	assert_non_null(key);
	assert_true(str_eq_c(key->selector, "new") && str_eq_c(key->domain, "example.net"));
	key = keyring_find(&ring, STR("example.net"), "rsa-sha256");
	assert_true(key && str_eq_c(key->selector, "rsa"));
	assert_null(keyring_find(&ring, STR("other.example"), "rsa-sha256"));
	assert_null(keyring_find(&ring, STR("mail.example.net"), "rsa-sha256"));
	assert_non_null(keyring_find(&ring, STR("only.example"), "ed25519-sha256"));
	keyring_free(&ring);
}

static void test_twice(void **state)
{
	struct signkey *key;
	struct err err = { "" };
	const char *path = store("example.net", "s", true, 1000);

	assert_int_equal(signkey_generate(true, &key, NULL), 0);
	struct keyring_order order = { STR("example.net"), STR("s"), key, false };
	assert_int_equal(keyring_store(folder, &order, arena, &path, &err), -1);
	assert_non_null(strstr(err.text, "another selector"));
	signkey_free(&key);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *name, *content;
		mode_t mode;
		const char *error; /* NULL: it is not looked at */
	} rows[] = {
		{ "s._domainkey.example.net.pem~", "x", 0600, NULL },
		{ ".s._domainkey.example.net.pem", "x", 0600, NULL },
		{ "README", "x", 0644, NULL },
		{ "._domainkey.example.net.pem", "x", 0600, NULL },
		{ "s._domainkey..pem", "x", 0600, NULL },
		{ "s._domainkey.example.net.pem", "", 0600, "no PEM private key" },
		{ "s._domainkey.example.net.pem", "x", 0644, "chmod 600" },
	};

	rmdir(folder);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct keyring ring;
		struct err err = { "" };
		char path[256];

		mkdir(folder, 0700);
		snprintf(path, sizeof(path), "%s/dkim", folder);
		mkdir(path, 0700);
		snprintf(path, sizeof(path), "%s/dkim/%s", folder, rows[i].name);
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		fputs(rows[i].content, f);
		fclose(f);
		chmod(path, rows[i].mode);
		int result = keyring_load(folder, arena, &ring, &err);
		if (result != (rows[i].error ? -1 : 0) ||
			(rows[i].error && !strstr(err.text, rows[i].error)))
			fail_msg("row %zu: %d %s", i, result, err.text);
		assert_int_equal(ring.keys.n, 0);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
