#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/option.h"

static void test_nearest(void **state)
{
	static const char *const names[] = { "hostname", "state_dir", "listen", "tls_key", NULL };
	static const struct {
		const char *typed, *nearest;
	} table[] = {
		{ "hostnam", "hostname" }, { "hsotname", "hostname" }, { "host_name", "hostname" },
		{ "HOSTNAME", "hostname" }, { "statedir", "state_dir" }, { "listne", "listen" },
		{ "tls-key", "tls_key" }, { "x", NULL }, { "colour", NULL }, { "", NULL },
		{ "a-name-that-is-much-longer-than-anything-that-has-ever-been-an-option-of-ours",
			NULL },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *nearest = option_nearest(table[i].typed, names);
		if (table[i].nearest)
			assert_string_equal(nearest, table[i].nearest);
		else
			assert_null(nearest);
	}
}

static void test_format(void **state)
{
	static const struct {
		enum option_type type;
		int64_t value;
		const char *text;
	} table[] = {
		{ OPTION_SIZE, 0, "0" }, { OPTION_SIZE, 26214400, "25MB" }, { OPTION_SIZE, 1, "1B" },
		{ OPTION_SIZE, 2048, "2kB" }, { OPTION_SIZE, (int64_t)1 << 40, "1TB" },
		{ OPTION_TIME, 0, "0s" }, { OPTION_TIME, 90000, "90s" }, { OPTION_TIME, 1, "1ms" },
		{ OPTION_TIME, 604800000, "7d" }, { OPTION_TIME, 3600000, "1h" },
		{ OPTION_INT, -4, "-4" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct option row = { .name = "x", .type = table[i].type };
		struct buf b = BUF_INIT;
		option_format(&row, &table[i].value, &b);
		buf_char(&b, '\0');
		assert_string_equal(b.p, table[i].text);
		buf_free(&b);
	}
}

static void test_man_escapes(void **state)
{
	static const char *const choices[] = { "a", "b", NULL };
	static const struct option rows[] = {
		{ "one", OPTION_STRING, 0, "c:\\x", .help = ".dots and \\ are text" },
		{ "two", OPTION_ENUM, 0, "b", .help = "Pick.", .choices = choices },
		{ "three", OPTION_LIST, 0, .help = "Many.", .required = true },
		OPTION_ROWS_END,
	};
	struct buf b = BUF_INIT;
	option_man(rows, &b);
	buf_char(&b, '\0');
	assert_string_equal(b.p, ".It Ic one No = Ar string\n\\&.dots and \\e are text\n"
		"Default: \"c:\\e\\ex\"\n"
		".It Ic two No = Ar a | b\nPick.\nDefault: \"b\"\n"
		".It Ic three No = Ar list\nMany.\nRequired.\n");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_man_escapes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
