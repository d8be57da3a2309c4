#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gateway/command.h"

struct values {
	bool json;
	int64_t limit;
	const char *file;
	struct option_strings tags;
};
static const struct command_option options[] = {
	COMMAND_FLAG('j', "json", struct values, json, "Print JSON."),
	COMMAND_OPTION('n', "limit", "N", OPTION_INT, struct values, limit, "50", "At most."),
	COMMAND_OPTION('c', "config", "FILE", OPTION_STRING, struct values, file, "/etc/x", "File."),
	COMMAND_OPTION(0, "tag", "TAG", OPTION_LIST, struct values, tags, NULL, "Tag."),
	COMMAND_OPTIONS_END,
};

static char seen[200];

static int note(const struct command *command, const void *values, int argc, char **argv)
{
	const struct values *v = values;
	snprintf(seen, sizeof(seen), "%s: %d %s %lld %s", command->name, argc, argc ? argv[0] : "",
		v ? (long long)v->limit : 0LL, v ? v->file : "");
	return COMMAND_OK;
}

static const struct command show = { "show", "Shows.", "[FILE]", 0, 1, .options = options,
	.size = sizeof(struct values), .run = note };
static const struct command box_list = { "box list", "Lists.", .options = options,
	.size = sizeof(struct values), .run = note };
static const struct command box_drop = { "box drop", "Drops.", "ID...", 1, -1, .options = options,
	.size = sizeof(struct values), .run = note };
static const struct command *const commands[] = { &show, &box_list, &box_drop, NULL };

/* Splits at blanks; the words stay where they are. */
static int split(char *line, char **argv)
{
	int n = 0;
	for (char *p = line; *p; n++) {
		argv[n] = p;
		while (*p && *p != ' ')
			p++;
		if (*p)
			*p++ = '\0';
	}
	argv[n] = NULL;
	return n;
}

static void test_parse(void **state)
{
	static const struct {
		const char *line;
		int args;
		bool json;
		int64_t limit;
		const char *file;
		size_t tags;
	} table[] = {
		{ "", 0, false, 50, "/etc/x", 0 },
		{ "--json a", 1, true, 50, "/etc/x", 0 },
		{ "a -j -n7", 1, true, 7, "/etc/x", 0 },
		{ "-n 7 --config=y", 0, false, 7, "y", 0 },
		{ "--config= a", 1, false, 50, "", 0 },
		{ "--tag 1 --tag 2 -c z", 0, false, 50, "z", 2 },
		{ "-- --json", 1, false, 50, "/etc/x", 0 },
		{ "-", 1, false, 50, "/etc/x", 0 },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char line[100], *argv[20];
		struct values v;
		struct err err;
		snprintf(line, sizeof(line), "%s", table[i].line);
		int argc = split(line, argv);
		assert_int_equal(command_parse(&show, &v, argc, argv, &err), table[i].args);
		assert_int_equal(v.json, table[i].json);
		assert_int_equal(v.limit, table[i].limit);
		assert_string_equal(v.file, table[i].file);
		assert_int_equal(v.tags.n, table[i].tags);
		free(v.tags.v);
	}
}

static void test_usage_errors(void **state)
{
	static const struct {
		const char *line, *error;
	} table[] = {
		{ "--jsn", "unknown option --jsn: did you mean --json?" },
		{ "--hlep", "unknown option --hlep: did you mean --help?" },
		{ "--confi=x", "unknown option --confi=x: did you mean --config?" },
		{ "-x", "unknown option -x" },
		{ "-jx", "unknown option -jx" },
		{ "--json=1", "--json takes no value" },
		{ "--limit", "--limit needs a value: N" },
		{ "--limit x", "--limit must be a whole number" },
		{ "-j -j", "--json stands twice" },
		{ "a b", "one argument too many: b" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char line[100], *argv[20];
		struct values v;
		struct err err;
		snprintf(line, sizeof(line), "%s", table[i].line);
		int argc = split(line, argv);
		assert_int_equal(command_parse(&show, &v, argc, argv, &err), -1);
		assert_string_equal(err.text, table[i].error);
	}
}

static void test_dispatch(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *seen;
	} table[] = {
		{ "p show x -n 3", 0, "show: 1 x 3 /etc/x" },
		{ "p box list", 0, "box list: 0  50 /etc/x" },
		{ "p box drop 12", 0, "box drop: 1 12 50 /etc/x" },
		{ "p box drop", 2, "" },
		{ "p box lits", 2, "" },
		{ "p box", 2, "" },
		{ "p shwo", 2, "" },
		{ "p", 2, "" },
		{ "p --man nothing", 2, "" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char line[100], *argv[20];
		snprintf(line, sizeof(line), "%s", table[i].line);
		int argc = split(line, argv);
		seen[0] = '\0';
		assert_int_equal(command_main("p", "is a test", commands, argc, argv),
			table[i].code);
		assert_string_equal(seen, table[i].seen);
	}
}

static void test_single_command_needs_no_name(void **state)
{
	static const struct command *const one[] = { &box_list, NULL };
	static const char *const lines[] = { "p -n 3", "p box list -n 3" };
	for (size_t i = 0; i < 2; i++) {
		char line[100], *argv[20];
		snprintf(line, sizeof(line), "%s", lines[i]);
		int argc = split(line, argv);
		seen[0] = '\0';
		assert_int_equal(command_main("p", "is a test", one, argc, argv), 0);
		assert_string_equal(seen, "box list: 0  3 /etc/x");
	}
}

static void test_help_names_all(void **state)
{
	struct buf help = BUF_INIT, man = BUF_INIT;
	command_help("p", &box_drop, &help);
	command_man("p", &box_drop, &man);
	buf_char(&help, '\0');
	buf_char(&man, '\0');
	assert_non_null(strstr(help.p, "usage: p box drop [OPTIONS] ID...\n"));
	assert_non_null(strstr(help.p, "  -n, --limit N           At most. (default: 50)\n"));
	assert_non_null(strstr(man.p, ".Dt P-BOX-DROP 1\n"));
	assert_non_null(strstr(man.p, ".It Fl n , Fl -limit Ar N\nAt most.\nDefault: 50.\n"));
	buf_free(&help);
	buf_free(&man);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_usage_errors),
		cmocka_unit_test(test_dispatch),
		cmocka_unit_test(test_single_command_needs_no_name),
		cmocka_unit_test(test_help_names_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
