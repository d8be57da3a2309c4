#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/accounts.h"

static struct arena *arena;
static char folder[64];

static int setup(void **state)
{
	arena = arena_new(16 << 20);
	snprintf(folder, sizeof(folder), "/tmp/gatepost-accounts-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static const char *file(void)
{
	return arena_printf(arena, "%s/accounts", folder).p;
}

static int teardown(void **state)
{
	unlink(file());
	arena_free(&arena);
	return rmdir(folder);
}

static struct str add(const char *address)
{
	struct err err = { "" };
	struct str password;

	if (accounts_add(folder, str_c(address), 1795176000, arena, &password, &err) != 1)
		fail_msg("%s: %s", address, err.text);
	return password;
}

static struct accounts load(void)
{
	struct err err = { "" };
	struct accounts accounts;

	if (accounts_load(folder, arena, &accounts, &err) != 0)
		fail_msg("%s", err.text);
	return accounts;
}

static void test_add_check_remove(void **state)
{
	struct str bob = add("bob@example.net"), alice = add("Alice@EXAMPLE.net"), unused;
	struct accounts accounts = load();
	const struct account *found;

	assert_int_equal(accounts.list.n, 2);
	assert_true(str_eq_c(accounts.list.v[0].address, "alice@example.net"));
	assert_int_equal(accounts.list.v[0].made, 1795176000);
	assert_true(alice.n >= 28 && !str_eq(alice, bob));
	found = accounts_check(&accounts, STR("ALICE@example.NET"), alice);
	assert_ptr_equal(found, &accounts.list.v[0]);
	assert_null(accounts_check(&accounts, STR("alice@example.net"), bob));
	assert_null(accounts_check(&accounts, STR("alice@example.net"), STR("")));
	assert_null(accounts_check(&accounts, STR("alice@example.net"), str_sub(alice, 0, alice.n - 1)));
	assert_null(accounts_check(&accounts, STR("alice"), alice));
	assert_null(accounts_check(&accounts, STR(""), STR("")));
	assert_null(accounts_check(&accounts, STR("carol@example.net"), alice));

	assert_int_equal(accounts_add(folder, STR("alice@example.net"), 0, arena, &unused, NULL), 0);
	assert_int_equal(accounts_remove(folder, STR("carol@example.net"), arena, NULL), 0);
	assert_int_equal(accounts_remove(folder, STR("alice@Example.net"), arena, NULL), 1);
	accounts = load();
	assert_null(accounts_check(&accounts, STR("alice@example.net"), alice));
	assert_non_null(accounts_check(&accounts, STR("bob@example.net"), bob));
	assert_int_equal(accounts_remove(folder, STR("bob@example.net"), arena, NULL), 1);
	assert_int_equal(load().list.n, 0);
}

static void test_no_password_is_in_the_file(void **state)
{
	struct str password = add("alice@example.net");
	char text[4096];
	FILE *f = fopen(file(), "r");
	size_t n = fread(text, 1, sizeof(text), f);

	fclose(f);
	assert_true(n > 100 && str_find(str_from(text, n), password) == n);
	assert_true(str_find(str_from(text, n), str_sub(password, 0, 7)) == n);
}

static void test_files(void **state)
{
	static const struct {
		const char *text, *error;
		mode_t mode;
	} table[] = {
		{ "", NULL, 0600 },
		{ "# nobody\n\n", NULL, 0600 },
		{ "", "can be read by others: chmod 600", 0640 },
		{ "a@b.example 1 00 00\n", ":1: this is no account: ", 0600 },
		{ "# x\na@b.example x 00112233445566778899aabbccddeeff "
		  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", ":2: ", 0600 },
		{ "a@b.example 1 00112233445566778899aabbccddeeff "
		  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff x\n", ":1: ", 0600 },
	};
	struct accounts accounts;
	struct err err;

	assert_int_equal(load().list.n, 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		FILE *f = fopen(file(), "w");
		fputs(table[i].text, f);
		fclose(f);
		chmod(file(), table[i].mode);
		int result = accounts_load(folder, arena, &accounts, &err);
		assert_int_equal(result, table[i].error ? -1 : 0);
		if (table[i].error && !strstr(err.text, table[i].error))
			fail_msg("%s", err.text);
	}
	assert_int_equal(accounts_add(folder, STR("a b@example.net"), 0, arena, NULL, &err), -1);
	assert_int_equal(accounts_add(folder, STR("\"a b\"@example.net"), 0, arena, NULL, &err), -1);
	assert_int_equal(accounts_add(folder, STR("alice"), 0, arena, NULL, &err), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add_check_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_password_is_in_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
