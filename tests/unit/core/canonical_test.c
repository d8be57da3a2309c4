/* The canonical forms of RFC 6376 section 3.4, in pieces of every size. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/hash.h"
#include "core/mail/canonical.h"

static void check_body(struct str body, struct str expected, bool relaxed, size_t row)
{
	uint8_t got[32], right[32];

	hash_sha256(expected, right);
	/* One piece, then pieces of 1 to 4 octets. */
	for (size_t step = 0; step < 5; step++) {
		struct canonical_body *b = canonical_body_new(relaxed);
		for (size_t at = 0; at < body.n; at += step ? step : body.n)
			canonical_body_add(b, str_sub(body, at, step ? step : body.n));
		if (canonical_body_end(&b, got) != (int64_t)expected.n || memcmp(got, right, 32) != 0)
			fail_msg("row %zu, relaxed %d, pieces of %zu", row, relaxed, step);
		assert_null(b);
	}
}

static void test_bodies(void **state)
{
	static const struct {
		const char *body, *simple, *relaxed;
	} rows[] = {
		{ "", "\r\n", "" },
		{ "\r\n\r\n", "\r\n", "" },
		{ " \r\n\r\n", " \r\n", "" },
		{ "a\r\n", "a\r\n", "a\r\n" },
		{ "a", "a\r\n", "a\r\n" },
		{ "a \t", "a \t\r\n", "a\r\n" },
		{ "a\r\n\r\n\r\n", "a\r\n", "a\r\n" },
		{ "\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
		{ "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n" },
		{ "a \t b  \r\n", "a \t b  \r\n", "a b\r\n" },
		{ "  a\r\n \r\n", "  a\r\n \r\n", " a\r\n" },
		{ "a\r\n \t\r\nb\r\n", "a\r\n \t\r\nb\r\n", "a\r\n\r\nb\r\n" },
		/* A bare CR or LF ends no line. */
		{ "a\nb\r\n", "a\nb\r\n", "a\nb\r\n" },
		{ "\n\r\n", "\n\r\n", "\n\r\n" },
		{ "a \rb\r\r\n", "a \rb\r\r\n", "a \rb\r\r\n" },
		{ "a\r", "a\r\r\n", "a\r\r\n" },
		/* RFC 6376 3.4.5 */
		{ " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_body(str_c(rows[i].body), str_c(rows[i].simple), false, i);
		check_body(str_c(rows[i].body), str_c(rows[i].relaxed), true, i);
	}
}

/* Longer than any buffer inside, with lines and blanks across its ends. */
static void test_long_body(void **state)
{
	struct buf body = BUF_INIT, relaxed = BUF_INIT;

	for (size_t i = 0; i < 3000; i++) {
		buf_printf(&body, "line  %zu \t\r\n", i);
		buf_printf(&relaxed, "line %zu\r\n", i);
	}
	for (size_t i = 0; i < 20000; i++)
		buf_char(&body, 'x'), buf_char(&relaxed, 'x');
	buf_c(&relaxed, "\r\n");
	check_body(buf_str(&body), buf_str(&relaxed), true, 0);
	buf_c(&body, "\r\n");
	check_body(buf_str(&body), buf_str(&body), false, 0);
	buf_free(&body);
	buf_free(&relaxed);
}

static void test_header_lines(void **state)
{
	static const struct {
		const char *line, *relaxed;
	} rows[] = {
		{ "A: X\r\n", "a:X\r\n" },
		{ "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" }, /* 3.4.5 */
		{ "Subject:\r\n", "subject:\r\n" },
		{ "Subject: \r\n \r\n x\r\n", "subject:x\r\n" },
		{ "SUBJect:  AbC \t \r\n", "subject:AbC\r\n" },
		{ "a: b:c", "a:b:c\r\n" },
		{ "a: b\rc\r\n", "a:b\rc\r\n" },
		{ "no colon\r\n", "no colon\r\n" },
	};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_clear(&out);
		canonical_header(&out, str_c(rows[i].line), true);
		if (!str_eq_c(buf_str(&out), rows[i].relaxed))
			fail_msg("\"%s\": \"%.*s\"", rows[i].line, STR_ARG(buf_str(&out)));
	}
	buf_clear(&out);
	canonical_header(&out, STR("B : Y\t\r\n\tZ  \r\n"), false);
	assert_true(str_eq_c(buf_str(&out), "B : Y\t\r\n\tZ  \r\n"));
	buf_free(&out);
}

static void test_chosen_headers(void **state)
{
	static const struct {
		const char *names, *expected;
	} rows[] = {
		{ "from:to", "from:f\r\nto:t\r\n" },
		/* 5.4.2: of several the last first; then none */
		{ "received:Received : RECEIVED:received", "received:3\r\nreceived:2\r\nreceived:1\r\n" },
		{ "missing::from", "from:f\r\n" },
		{ "", "" },
		{ "from:\r\n\tto", "from:f\r\nto:t\r\n" },
		{ "seal:seal", "seal:old\r\n" },
	};
	struct arena *arena = arena_new(1 << 20);
	struct mail *m = mail_parse(arena, STR("Seal: this\r\nReceived: 1\r\nReceived: 2\r\nFrom: f\r\n"
		"Seal: old\r\nTo: t\r\nReceived: 3\r\n\r\nbody\r\n"));
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_clear(&out);
		canonical_headers(&out, m, str_c(rows[i].names), mail_header(m, "Seal", NULL), true);
		if (!str_eq_c(buf_str(&out), rows[i].expected))
			fail_msg("\"%s\": \"%.*s\"", rows[i].names, STR_ARG(buf_str(&out)));
	}
	buf_free(&out);
	arena_free(&arena);
}

static void test_signatures(void **state)
{
	static const struct {
		const char *line, *simple, *relaxed;
	} rows[] = {
		{ "S: v=1; b=abc;\r\n d=x\r\n", "S: v=1; b=;\r\n d=x", "s:v=1; b=; d=x" },
		{ "S: v=1; d=x;\r\n\tb= ab\r\n\tc= \r\n", "S: v=1; d=x;\r\n\tb=", "s:v=1; d=x; b=" },
		{ "S: b =x; bh=y", "S: b =; bh=y", "s:b =; bh=y" },
		{ "S: bh=b=c; B=d\r\n", "S: bh=b=c; B=d", "s:bh=b=c; B=d" },
		{ "S: v=1; b\r\n", "S: v=1; b", "s:v=1; b" },
		{ "S", "S", "s" },
	};
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int relaxed = 0; relaxed < 2; relaxed++) {
			const char *expected = relaxed ? rows[i].relaxed : rows[i].simple;
			buf_clear(&out);
			canonical_signature(&out, str_c(rows[i].line), relaxed);
			if (!str_eq_c(buf_str(&out), expected))
				fail_msg("\"%s\": \"%.*s\"", rows[i].line, STR_ARG(buf_str(&out)));
		}
	}
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_long_body),
		cmocka_unit_test(test_header_lines),
		cmocka_unit_test(test_chosen_headers),
		cmocka_unit_test(test_signatures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
