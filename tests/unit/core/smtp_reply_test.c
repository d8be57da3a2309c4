#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/limits.h"
#include "core/smtp/reply.h"

#define S(text) { text, sizeof(text) - 1 }

static void reading(void **state)
{
	static const struct {
		struct str in;
		int done, code;
		const char *enhanced, *text;
		size_t left;
	} rows[] = {
		{ S("250 ok\r\n"), 1, 250, "", "ok", 0 },
		{ S("250\r\n"), 1, 250, "", "", 0 },
		{ S("250 \r\n"), 1, 250, "", "", 0 },
		{ S("250 ok\n"), 1, 250, "", "ok", 0 },
		{ S("550 5.1.1 No such user\r\n"), 1, 550, "5.1.1", "No such user", 0 },
		{ S("550 5.1.1\r\n"), 1, 550, "5.1.1", "", 0 },
		{ S("550-5.1.1 a\r\n550 5.1.1 b\r\n"), 1, 550, "5.1.1", "a\nb", 0 },
		{ S("550-5.1.1 a\r\n550-b\r\n550 c\r\n221"), 1, 550, "5.1.1", "a\nb\nc", 3 },
		{ S("250 ok\r\n250 more\r\n"), 1, 250, "", "ok", 10 },
		{ S("250-a\r\n"), 0, 0, NULL, NULL, 0 },
		{ S("250 ok"), 0, 0, NULL, NULL, 6 },
		/* The class of an enhanced code has to agree with the code. */
		{ S("550 4.1.1 a\r\n"), 1, 550, "", "4.1.1 a", 0 },
		{ S("354 3.0.0 go\r\n"), 1, 354, "", "3.0.0 go", 0 },
		{ S("550 5.1 a\r\n"), 1, 550, "", "5.1 a", 0 },
		{ S("550 5.1234.1 a\r\n"), 1, 550, "", "5.1234.1 a", 0 },
		{ S("550 5.999.999 a\r\n"), 1, 550, "5.999.999", "a", 0 },
		{ S("550 5.1.1a b\r\n"), 1, 550, "", "5.1.1a b", 0 },
		{ S("550 5..1 b\r\n"), 1, 550, "", "5..1 b", 0 },
		/* Nothing of a peer's text reaches a terminal or a protocol as it is. */
		{ S("550 a\033[2Jb\0c\td\r\n"), 1, 550, "", "a?[2Jb?c?d", 0 },
		{ S("550 a\rb\r\n"), 1, 550, "", "a?b", 0 },
		/* Malformed: the connection is dropped. */
		{ S("\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("25\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("ok 250\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("199 a\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("600 a\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("2500 a\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("250_a\r\n"), -1, 0, NULL, NULL, 0 },
		{ S(" 250 a\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("250-a\r\n550 b\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("250-a\r\n\r\n"), -1, 0, NULL, NULL, 0 },
		{ S("250-a\r\n25"), 0, 0, NULL, NULL, 2 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reply r = REPLY_INIT;
		struct err err = { "" };
		struct str in = rows[i].in;
		int done = reply_read(&r, &in, &err);
		if (done != rows[i].done)
			fail_msg("row %zu: %d", i, done);
		if (done == 1) {
			assert_int_equal(r.code, rows[i].code);
			assert_string_equal(r.enhanced, rows[i].enhanced);
			if (!str_eq_c(buf_str(&r.text), rows[i].text))
				fail_msg("row %zu: %.*s", i, STR_ARG(buf_str(&r.text)));
		}
		if (done >= 0)
			assert_int_equal(in.n, rows[i].left);
		else
			assert_true(err.text[0]);
		reply_free(&r);
	}
}

static void limits(void **state)
{
	static char big[LIMIT_REPLY_LINE + 10];
	struct reply r = REPLY_INIT;
	struct buf b = BUF_INIT;
	struct err err;

	memset(big, 'x', sizeof(big));
	memcpy(big, "250 ", 4);
	struct str in = str_from(big, LIMIT_REPLY_LINE - 1);
	assert_int_equal(reply_read(&r, &in, &err), 0);
	in = str_from(big, LIMIT_REPLY_LINE);
	assert_int_equal(reply_read(&r, &in, &err), -1);
	for (int lines = LIMIT_REPLY_LINES; lines <= LIMIT_REPLY_LINES + 1; lines++) {
		reply_clear(&r);
		buf_clear(&b);
		for (int i = 0; i < lines; i++)
			buf_printf(&b, "250%cline %d\r\n", i < lines - 1 ? '-' : ' ', i);
		in = buf_str(&b);
		assert_int_equal(reply_read(&r, &in, &err), lines > LIMIT_REPLY_LINES ? -1 : 1);
	}
	assert_true(str_eq_c(reply_text_line(&r, 3), "line 3"));
	assert_int_equal(reply_text_line(&r, 5000).n, 0);
	buf_free(&b);
	reply_free(&r);
}

/* The same in pieces: an octet at a time gives what the whole gives. */
static void pieces(void **state)
{
	struct str whole = STR("250-first\r\n250-second\r\n250 third\r\n");
	struct reply r = REPLY_INIT;
	struct buf in = BUF_INIT;
	struct err err;
	int done = 0;

	for (size_t i = 0; i < whole.n; i++) {
		assert_int_equal(done, 0);
		buf_char(&in, whole.p[i]);
		struct str rest = buf_str(&in);
		done = reply_read(&r, &rest, &err);
		buf_consume(&in, in.n - rest.n);
	}
	assert_int_equal(done, 1);
	assert_true(str_eq_c(buf_str(&r.text), "first\nsecond\nthird"));
	reply_free(&r);
	buf_free(&in);
}

static void writing(void **state)
{
	static const struct {
		int code;
		const char *enhanced;
		struct str text;
		const char *out;
	} rows[] = {
		{ 250, "2.0.0", S("Ok"), "250 2.0.0 Ok\r\n" },
		{ 250, NULL, S("a\nb"), "250-a\r\n250 b\r\n" },
		{ 250, "", S("a"), "250 a\r\n" },
		{ 250, "2.0.0", S(""), "250 2.0.0\r\n" },
		{ 550, "5.1.1", S("a\nb\n"), "550-5.1.1 a\r\n550 5.1.1 b\r\n" },
		{ 550, "5.1.1", S("x\r\n250 forged\r\n"), "550-5.1.1 x\r\n550 5.1.1 250 forged\r\n" },
		{ 550, "5.1.1", S("x\r250 forged"), "550 5.1.1 x?250 forged\r\n" },
		{ 550, "5.1.1", S("\033[0m\0"), "550 5.1.1 ?[0m?\r\n" },
		{ 550, "5.1.1", S("\xc3\xa4 \xe2\x82\xac \xff."), "550 5.1.1 ? ? ?.\r\n" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = BUF_INIT;
		reply_write(&out, rows[i].code, rows[i].enhanced, rows[i].text);
		if (!str_eq_c(buf_str(&out), rows[i].out))
			fail_msg("row %zu: %.*s", i, STR_ARG(buf_str(&out)));
		buf_free(&out);
	}
}

/* Long text becomes several lines, none too long, and nothing of it is lost. */
static void wrapping(void **state)
{
	struct buf text = BUF_INIT, out = BUF_INIT, back = BUF_INIT;
	struct str rest, line;
	struct reply r = REPLY_INIT;
	struct err err;

	for (int i = 0; i < 300; i++)
		buf_c(&text, i % 7 ? "word" : "more");
	reply_write(&out, 550, "5.7.1", buf_str(&text));
	rest = buf_str(&out);
	while (str_cut(&rest, '\n', &line))
		assert_true(line.n <= 511);
	rest = buf_str(&out);
	assert_int_equal(reply_read(&r, &rest, &err), 1);
	for (unsigned i = 0; i < r.lines; i++)
		buf_str_add(&back, reply_text_line(&r, i));
	assert_true(r.lines > 1);
	assert_true(str_eq(buf_str(&back), buf_str(&text)));
	reply_free(&r);
	buf_free(&text);
	buf_free(&out);
	buf_free(&back);
}

static void splitting(void **state)
{
	char enhanced[REPLY_ENHANCED_MAX];
	struct str text;
	int code;

	assert_int_equal(reply_split(STR("550 5.7.1 No thanks"), &code, enhanced, &text), 0);
	assert_int_equal(code, 550);
	assert_string_equal(enhanced, "5.7.1");
	assert_true(str_eq_c(text, "No thanks"));
	assert_int_equal(reply_split(STR("451 later"), &code, enhanced, &text), 0);
	assert_string_equal(enhanced, "");
	assert_int_equal(reply_split(STR("354 go"), &code, enhanced, &text), -1);
	assert_int_equal(reply_split(STR("55 go"), &code, enhanced, &text), -1);
	assert_int_equal(reply_split(STR("550-go"), &code, enhanced, &text), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading), cmocka_unit_test(limits),  cmocka_unit_test(pieces),
		cmocka_unit_test(writing), cmocka_unit_test(wrapping), cmocka_unit_test(splitting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
