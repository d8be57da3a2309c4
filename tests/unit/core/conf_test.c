#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/conf.h"

struct values {
	bool flag;
	int64_t count, size, time;
	double number;
	const char *text;
	struct option_strings list;
	int mode;
};
static const char *const modes[] = { "quick", "slow", NULL };
static const struct option rows[] = {
	{ "flag", OPTION_BOOL, offsetof(struct values, flag), "true", .help = "A flag." },
	{ "count", OPTION_INT, offsetof(struct values, count), "3", 1, 100, "A count." },
	{ "size", OPTION_SIZE, offsetof(struct values, size), "25MB", .help = "A size." },
	{ "time", OPTION_TIME, offsetof(struct values, time), "30s", 100, 86400000, "A time." },
	{ "number", OPTION_NUMBER, offsetof(struct values, number), "1.5", -5, 5, "A number." },
	{ "text", OPTION_STRING, offsetof(struct values, text), "plain", .help = "Text." },
	{ "list", OPTION_LIST, offsetof(struct values, list), "{ \"a\", \"b\" }", .help = "A list." },
	{ "mode", OPTION_ENUM, offsetof(struct values, mode), "slow", .help = "A mode.",
		.choices = modes },
	OPTION_ROWS_END,
};
static const struct option required_rows[] = {
	{ "name", OPTION_STRING, 0, NULL, .help = "say who you are.", .required = true },
	OPTION_ROWS_END,
};

static int setup(void **state)
{
	*state = arena_new(1 << 20);
	return 0;
}

static int teardown(void **state)
{
	struct arena *arena = *state;
	arena_free(&arena);
	return 0;
}

static struct conf *parse(void **state, const char *text)
{
	return conf_parse(str_c(text), "t.conf", *state);
}

/* All errors, a line each. */
static void assert_errors(struct conf *conf, const char *expected)
{
	struct buf b = BUF_INIT;
	const struct option_strings *errors = conf_errors(conf);
	for (size_t i = 0; i < errors->n; i++)
		buf_printf(&b, "%s%s", i ? "\n" : "", errors->v[i]);
	buf_char(&b, '\0');
	assert_string_equal(b.p, expected);
	buf_free(&b);
}

static void test_defaults(void **state)
{
	struct values v;
	struct conf *conf = parse(state, "");
	conf_read(conf, conf_root(conf), rows, &v);
	assert_errors(conf, "");
	assert_true(v.flag);
	assert_int_equal(v.count, 3);
	assert_int_equal(v.size, 25 << 20);
	assert_int_equal(v.time, 30000);
	assert_true(v.number == 1.5);
	assert_string_equal(v.text, "plain");
	assert_int_equal(v.list.n, 2);
	assert_string_equal(v.list.v[1], "b");
	assert_int_equal(v.mode, 1);
	struct values none;
	conf_read(conf, NULL, rows, &none);
	assert_int_equal(none.count, 3);
}

static void test_values(void **state)
{
	struct values v;
	struct conf *conf = parse(state, "\xef\xbb\xbf# a comment\r\nflag=false count = 7 size = \"10k\"\n"
		"time = 5min number = -0.25 text = \"say \\\"hi\\\" \\\\ # no comment\"\r\n"
		"list = \"one\" mode = quick");
	conf_read(conf, conf_root(conf), rows, &v);
	assert_errors(conf, "");
	assert_false(v.flag);
	assert_int_equal(v.count, 7);
	assert_int_equal(v.size, 10240);
	assert_int_equal(v.time, 300000);
	assert_true(v.number == -0.25);
	assert_string_equal(v.text, "say \"hi\" \\ # no comment");
	assert_int_equal(v.list.n, 1);
	assert_string_equal(v.list.v[0], "one");
	assert_int_equal(v.mode, 0);
	assert_true(conf_has(conf_root(conf), "count"));
	assert_false(conf_has(conf_root(conf), "counts"));
}

static void test_units(void **state)
{
	static const struct {
		const char *text;
		int64_t size, time; /* -1: refused */
	} table[] = {
		{ "0", 0, -1 }, { "1024", 1024, -1 }, { "1B", 1, -1 }, { "1k", 1024, -1 },
		{ "1kB", 1024, -1 }, { "1KB", 1024, -1 }, { "1KiB", 1024, -1 },
		{ "1.5MB", 1572864, -1 }, { "2GB", 2147483648, -1 }, { "1 MB", 1048576, -1 },
		{ "1.5h", -1, 5400000 }, { "200ms", -1, 200 }, { "1d", -1, 86400000 },
		{ "1m", 1048576, 60000 }, { "30sec", -1, 30000 }, { "2d", -1, -1 }, { "99ms", -1, -1 },
		{ "MB", -1, -1 }, { "-1MB", -1, -1 }, { "1e3", -1, -1 },
		{ "", -1, -1 }, { "1MBs", -1, -1 }, { "99999999999999999999", -1, -1 },
		{ "9999999TB", -1, -1 }, { "0x10", -1, -1 },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct values v;
		struct str text = arena_printf(*state, "size = \"%s\"", table[i].text);
		struct conf *conf = parse(state, text.p);
		conf_read(conf, conf_root(conf), rows, &v);
		if (conf_errors(conf)->n != (table[i].size < 0))
			fail_msg("size %s", table[i].text);
		if (table[i].size >= 0)
			assert_int_equal(v.size, table[i].size);
		conf = parse(state, arena_printf(*state, "time = \"%s\"", table[i].text).p);
		conf_read(conf, conf_root(conf), rows, &v);
		if (conf_errors(conf)->n != (table[i].time < 0))
			fail_msg("time %s", table[i].text);
		if (table[i].time >= 0)
			assert_int_equal(v.time, table[i].time);
	}
}

static void test_sections(void **state)
{
	static const char *const names[] = { "listen", "policy", NULL };
	struct conf *conf = parse(state, "listen \"a\" { x = \"1\" } policy {} listen \"b\" { x = \"2\" "
		"inner { y = 3 } }");
	const struct conf_section *s = conf_next(conf_root(conf), "listen", NULL);
	assert_string_equal(conf_title(s), "a");
	s = conf_next(conf_root(conf), "listen", s);
	assert_string_equal(conf_title(s), "b");
	assert_true(conf_has(conf_next(s, "inner", NULL), "y"));
	assert_null(conf_next(conf_root(conf), "listen", s));
	assert_string_equal(conf_title(conf_next(conf_root(conf), "policy", NULL)), "");
	conf_allow(conf, conf_root(conf), names);
	conf_allow(conf, s, names);
	assert_errors(conf, "t.conf:1:55: unknown section \"inner\" in \"listen\"");
}

static void test_syntax_errors(void **state)
{
	static const struct {
		const char *text, *errors;
	} table[] = {
		{ "flag", "t.conf:1:5: after \"flag\" comes = and a value, or { for a section" },
		{ "flag =", "t.conf:1:7: a value is missing here: a string in quotes, a number, true, "
			"false, or a list in braces" },
		{ "flag =\ncount = 1", "t.conf:1:1: \"flag\" has no value behind its =" },
		{ "  }\ncount = 1", "t.conf:1:3: this } closes nothing" },
		{ "a {\n b = 1", "t.conf:1:1: section \"a\" is not closed: a } is missing" },
		{ "text = \"abc\ncount = 1",
			"t.conf:1:8: this string is not closed on its line: a \" is missing" },
		{ "text = \"a\\nb\"", "t.conf:1:10: a backslash in a string stands before \\ or \" "
			"only: write \\\\ for one" },
		{ "count = 1\ncount = 2", "t.conf:2:1: \"count\" stands twice: the first is at line 1" },
		{ "s \"x\" {}\ns \"x\" {}\ns \"y\" {}", "t.conf:2:1: section \"s\" with the title "
			"\"x\" stands twice: the first is at line 1" },
		{ "s {}\ns {}", "t.conf:2:1: section \"s\" stands twice: the first is at line 1" },
		{ "listen 25 { }", "t.conf:1:8: the title of a section stands in quotes: \"25\"" },
		{ "text \"x\"\n", "t.conf:2:1: after the title of section \"text\" comes {, or did you "
			"mean text = \"x\"?" },
		{ "\"text\" = 1", "t.conf:1:1: a key or section is named without quotes" },
		{ "= 1", "t.conf:1:1: a key or section begins with its name" },
		{ "count = 1; flag = true",
			"t.conf:1:10: no \";\" is needed here: nothing separates values" },
		{ "list = { \"a\" \"b\"\ncount = 1",
			"t.conf:2:7: a list holds strings: is the } of the list at line 1 missing?" },
		{ "list = { \"a\"", "t.conf:1:8: this list is not closed: a } is missing" },
		{ "text = \"\xc3\xa4\" \xc3\xa4 = 1", "t.conf:1:12: \"\xc3\xa4\" is no name: letters, "
			"digits, \"_\", \"-\" and \".\" are; other text stands in quotes" },
		{ "ab\ncd \xff", "t.conf:2:4: this file is text in UTF-8, and here it is not" },
		{ "a\x01 = 1", "t.conf:1:2: control character 0x1 outside of a string" },
		{ "text = \"a\x07\"", "t.conf:1:10: control character 0x7 in a string" },
		{ "a{a{a{a{a{a{a{a{a{", "t.conf:1:17: sections are nested more than 8 deep" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_errors(parse(state, table[i].text), table[i].errors);
}

static void test_value_errors(void **state)
{
	static const struct {
		const char *text, *errors;
	} table[] = {
		{ "flag = 1", "t.conf:1:8: flag must be true or false" },
		{ "count = many", "t.conf:1:9: count must be a whole number" },
		{ "count = 0", "t.conf:1:9: count must lie between 1 and 100" },
		{ "count = 99999999999999999999", "t.conf:1:9: count must be a whole number" },
		{ "size = big", "t.conf:1:8: size must be a size, as 25MB (B, kB, MB, GB)" },
		{ "time = 30", "t.conf:1:8: time must be a time with its unit, as 30s (ms, s, min, h, d)" },
		{ "time = 0", "t.conf:1:8: time must lie between 100ms and 1d" },
		{ "number = 5.5", "t.conf:1:10: number must lie between -5 and 5" },
		{ "number = nan", "t.conf:1:10: number must be a number, as 5 or 1.5" },
		{ "text = bare", "t.conf:1:8: text must be a string: put it in quotes" },
		{ "text = { \"a\" }", "t.conf:1:8: text must be one string, not a list" },
		{ "flag = { \"true\" }", "t.conf:1:8: flag must be one value, not a list" },
		{ "list = { \"a\" b }", "t.conf:1:14: list must be a string, or a list of strings in "
			"braces: put \"b\" in quotes" },
		{ "mode = fast", "t.conf:1:8: mode must be \"quick\" or \"slow\"" },
		{ "cuont = 1", "t.conf:1:1: unknown key \"cuont\": did you mean \"count\"?" },
		{ "Count = 1", "t.conf:1:1: unknown key \"Count\": did you mean \"count\"?" },
		{ "zzz = 1\nflag = 2", "t.conf:1:1: unknown key \"zzz\" in the file's top level\n"
			"t.conf:2:8: flag must be true or false" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct values v;
		struct conf *conf = parse(state, table[i].text);
		conf_read(conf, conf_root(conf), rows, &v);
		assert_errors(conf, table[i].errors);
	}
}

static void test_required(void **state)
{
	const char *name;
	struct conf *conf = parse(state, "\n s { }");
	conf_read(conf, conf_next(conf_root(conf), "s", NULL), required_rows, &name);
	assert_errors(conf, "t.conf:2:2: name is missing: say who you are.");
	assert_string_equal(name, "");
}

static void test_two_readers(void **state)
{
	const char *name;
	struct values v;
	struct conf *conf = parse(state, "d { name = \"x\" count = 0 other = 1 }");
	const struct conf_section *s = conf_next(conf_root(conf), "d", NULL);
	conf_read2(conf, s, required_rows, &name, rows, &v);
	conf_read_some(conf, s, rows, &v);
	conf_error(conf, s, "name", "bad %s", name);
	assert_errors(conf, "t.conf:1:12: bad x\n"
		"t.conf:1:24: count must lie between 1 and 100\n"
		"t.conf:1:26: unknown key \"other\" in \"d\"");
	conf_warn(conf, s, NULL, "hm");
	assert_string_equal(conf_warnings(conf)->v[0], "t.conf:1:1: hm");
}

static void add_number(void *context, const char *key, double value)
{
	buf_printf(context, "%s=%.1f ", key, value);
}

static void test_numbers(void **state)
{
	struct buf b = BUF_INIT;
	struct conf *conf = parse(state, "scores { A_B = 4 C = -1.5 D = x }");
	conf_each_number(conf, conf_next(conf_root(conf), "scores", NULL), add_number, &b);
	buf_char(&b, '\0');
	assert_string_equal(b.p, "A_B=4.0 C=-1.5 ");
	assert_errors(conf, "t.conf:1:31: D must be a number, as 5 or 1.5");
	buf_free(&b);
}

static void test_error_cap(void **state)
{
	struct buf b = BUF_INIT;
	for (int i = 0; i < 200; i++)
		buf_c(&b, "=\n");
	struct conf *conf = conf_parse(buf_str(&b), "t.conf", *state);
	assert_int_equal(conf_errors(conf)->n, 51);
	assert_string_equal(conf_errors(conf)->v[49],
		"t.conf:50:1: a key or section begins with its name");
	assert_string_equal(conf_errors(conf)->v[50], "t.conf: there are more; mend these first");
	buf_free(&b);
}

static void test_dump_reads_back(void **state)
{
	struct values v, again;
	struct buf b = BUF_INIT;
	struct conf *conf = parse(state, "\ntext = \"q\\\"\\\\\"\nsize = 1536");
	conf_read(conf, conf_root(conf), rows, &v);
	conf_dump(conf, conf_root(conf), rows, &v, "", &b);
	assert_int_equal(str_find(buf_str(&b), STR("text = \"q\\\"\\\\\"   # t.conf:2\n")) < b.n, 1);
	assert_int_equal(str_find(buf_str(&b), STR("size = 1536B   # t.conf:3\n")) < b.n, 1);
	assert_int_equal(str_find(buf_str(&b), STR("time = 30s   # default\n")) < b.n, 1);
	conf = conf_parse(buf_str(&b), "t.conf", *state);
	conf_read(conf, conf_root(conf), rows, &again);
	assert_errors(conf, "");
	assert_string_equal(again.text, "q\"\\");
	assert_int_equal(again.size, 1536);
	buf_free(&b);
}

static void test_dump_raw(void **state)
{
	struct buf b = BUF_INIT;
	struct conf *conf = parse(state, "f { zone \"a\\\\b\" {\n x = 1 y = { \"p\" \"q\" } } k = -2.5 }");
	conf_dump_raw(conf, conf_next(conf_root(conf), "f", NULL), true, "", &b);
	buf_char(&b, '\0');
	assert_string_equal(b.p, "k = -2.5   # t.conf:2\nzone \"a\\\\b\" {\n"
		"\tx = 1   # t.conf:2\n\ty = { \"p\", \"q\" }   # t.conf:2\n}\n");
	buf_free(&b);
}

/* What `config sample` prints must be accepted once its # are taken away. */
static void test_sample_reads_back(void **state)
{
	struct values v;
	struct buf b = BUF_INIT, plain = BUF_INIT;
	struct str rest, line;
	option_sample(rows, "\t", &b);
	rest = buf_str(&b);
	while (str_cut(&rest, '\n', &line)) {
		line = str_trim(line);
		if (str_starts(line, "#") && !str_starts(line, "# ")) {
			buf_str_add(&plain, str_skip(line, 1));
			buf_char(&plain, '\n');
		}
	}
	struct conf *conf = conf_parse(buf_str(&plain), "t.conf", *state);
	conf_read(conf, conf_root(conf), rows, &v);
	assert_errors(conf, "");
	for (const struct option *row = rows; row->type != OPTION_END; row++)
		assert_true(conf_has(conf_root(conf), row->name));
	buf_free(&b);
	buf_free(&plain);
}

static void test_many_sections(void **state)
{
	struct buf b = BUF_INIT;
	for (int i = 0; i < 20000; i++)
		buf_printf(&b, "domain \"d%d.example\" { backend = \"smtp://10.0.0.1\" }\n", i);
	struct conf *conf = conf_parse(buf_str(&b), "t.conf", *state);
	size_t n = 0;
	const struct conf_section *s = NULL;
	while ((s = conf_next(conf_root(conf), "domain", s)))
		n++;
	assert_errors(conf, "");
	assert_int_equal(n, 20000);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_units, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_syntax_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_value_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_required, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_error_cap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_reads_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_raw, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sample_reads_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_sections, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
