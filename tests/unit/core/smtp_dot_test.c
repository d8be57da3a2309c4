#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/smtp/dot.h"
#include "core/smtp/lines.h"

#define S(text) { text, sizeof(text) - 1 }

static void stuffing_at_every_split(void **state)
{
	static const struct {
		struct str in, out; /* out.p NULL: refused */
	} rows[] = {
		{ S(""), S(".\r\n") },
		{ S("a\r\n"), S("a\r\n.\r\n") },
		{ S("a"), S("a\r\n.\r\n") },
		{ S("."), S("..\r\n.\r\n") },
		{ S(".\r\n"), S("..\r\n.\r\n") },
		{ S("..\r\n.a\r\nb.\r\n"), S("...\r\n..a\r\nb.\r\n.\r\n") },
		{ S("a\r\n.\r\nQUIT\r\n"), S("a\r\n..\r\nQUIT\r\n.\r\n") },
		{ S("\r\n\r\n.\r\n"), S("\r\n\r\n..\r\n.\r\n") },
		{ S("a\0b\xff\r\n"), S("a\0b\xff\r\n.\r\n") },
		{ S("a\nb\r\n"), { 0 } },
		{ S("a\rb\r\n"), { 0 } },
		{ S("a\r"), { 0 } },
		{ S("\n"), { 0 } },
		{ S("a\r\r\n"), { 0 } },
		{ S("a\r\n\n.\r\n"), { 0 } },
		{ S("\r\n.\r.\r\n"), { 0 } },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = rows[i].in.n;
		for (size_t x = 0; x <= n; x++)
			for (size_t y = x; y <= n; y++) {
				struct buf out = BUF_INIT;
				struct dot dot;
				dot_init(&dot);
				int bad = dot_write(&dot, &out, str_sub(rows[i].in, 0, x)) |
					  dot_write(&dot, &out, str_sub(rows[i].in, x, y - x)) |
					  dot_write(&dot, &out, str_skip(rows[i].in, y)) |
					  dot_end(&dot, &out);
				assert_int_equal(bad != 0, rows[i].out.p == NULL);
				if (!bad && !str_eq(buf_str(&out), rows[i].out))
					fail_msg("row %zu at %zu, %zu", i, x, y);
				buf_free(&out);
			}
	}
}

/* Whatever was refused: neither a dot line nor a bare CR or LF has been put out. */
static void refused_output_is_harmless(void **state)
{
	static const char alphabet[] = { '.', '\r', '\n', 'a' };

	for (unsigned v = 0; v < 1u << 16; v++) {
		char text[8];
		struct buf out = BUF_INIT;
		struct dot dot;
		for (int i = 0; i < 8; i++)
			text[i] = alphabet[v >> (2 * i) & 3];
		dot_init(&dot);
		bool bad = dot_write(&dot, &out, str_from(text, 8)) != 0;
		for (size_t i = 0; i < out.n; i++) {
			bool lf_next = i + 1 < out.n && out.p[i + 1] == '\n';
			assert_true(out.p[i] != '\r' || lf_next);
			assert_true(out.p[i] != '\n' || (i && out.p[i - 1] == '\r'));
		}
		assert_true(str_find(buf_str(&out), STR("\r\n.\r\n")) == out.n);
		if (bad)
			assert_int_equal(dot_end(&dot, &out), -1);
		buf_free(&out);
	}
}

/* What the writer puts out, the reader reads back. */
static void writer_and_reader_agree(void **state)
{
	static const char *const lines_of[] = { "", ".", "..", "a", ".a", "a." };

	for (unsigned v = 0; v < 6 * 6 * 6; v++) {
		struct buf message = BUF_INIT, wire = BUF_INIT, back = BUF_INIT;
		struct lines lines;
		struct dot dot;
		struct str span, in;
		for (unsigned k = 0, rest = v; k < 3; k++, rest /= 6) {
			buf_c(&message, lines_of[rest % 6]);
			buf_c(&message, "\r\n");
		}
		dot_init(&dot);
		assert_int_equal(dot_write(&dot, &wire, buf_str(&message)), 0);
		assert_int_equal(dot_end(&dot, &wire), 0);
		lines_message(&lines, LINES_REFUSE, 1000);
		in = buf_str(&wire);
		enum lines_step step;
		while ((step = lines_data(&lines, &in, &span)) == LINES_SPAN)
			buf_str_add(&back, span);
		assert_int_equal(step, LINES_END);
		assert_int_equal(in.n, 0);
		assert_true(str_eq(buf_str(&back), buf_str(&message)));
		buf_free(&message);
		buf_free(&wire);
		buf_free(&back);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stuffing_at_every_split),
		cmocka_unit_test(refused_output_is_harmless),
		cmocka_unit_test(writer_and_reader_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
