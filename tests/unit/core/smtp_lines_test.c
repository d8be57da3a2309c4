#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/smtp/lines.h"

struct outcome {
	enum lines_step step; /* LINES_MORE: the end was not seen */
	enum lines_error error;
	struct buf message;
	size_t left; /* octets of the input behind the end */
};

/* Feeds `input` in two or three pieces, cut at `a` and `b`. */
static struct outcome read_data(struct str input, size_t a, size_t b, enum lines_policy policy)
{
	struct outcome out = { .step = LINES_MORE };
	size_t ends[3] = { a, b, input.n }, at = 0;
	struct lines lines;
	struct str span;

	lines_message(&lines, policy, 1 << 20);
	for (int i = 0; i < 3 && out.step == LINES_MORE; i++) {
		struct str piece = str_sub(input, at, ends[i] - at);
		while ((out.step = lines_data(&lines, &piece, &span)) == LINES_SPAN) {
			assert_true(span.n > 0);
			buf_str_add(&out.message, span);
		}
		at = ends[i] - piece.n;
		if (out.step == LINES_MORE)
			assert_int_equal(piece.n, 0);
	}
	out.error = lines.error;
	out.left = input.n - at;
	if (out.error == LINES_OK && out.step == LINES_END)
		assert_int_equal(lines.octets, out.message.n);
	return out;
}

/* One chunk that ends at `edge`, and a second, the last. */
static struct outcome read_chunks(struct str input, size_t edge, size_t cut)
{
	struct outcome out = { .step = LINES_MORE };
	struct lines lines;
	struct str span;

	lines_message(&lines, LINES_NORMALIZE, 1 << 20);
	for (int chunk = 0; chunk < 2; chunk++) {
		struct str rest = chunk ? str_skip(input, edge) : str_sub(input, 0, edge);
		lines_chunk(&lines, rest.n, chunk == 1);
		for (int piece = 0; piece < 2; piece++) {
			struct str in = piece ? rest : str_sub(rest, 0, cut);
			rest = str_skip(rest, in.n);
			while ((out.step = lines_chunk_data(&lines, &in, &span)) == LINES_SPAN)
				buf_str_add(&out.message, span);
			assert_int_equal(in.n, 0);
		}
		assert_int_equal(out.step, LINES_END);
	}
	out.error = lines.error;
	return out;
}

#define BEFORE "Subject: a\r\n\r\ntext"
#define AFTER  "MAIL FROM:<smuggled@example.org>\r\n.\r\n"
#define NUL    "\0"

struct smuggle {
	struct str octets;
	enum lines_step step;
	enum lines_error error;
};
#define CASE(text, step, error) { { text, sizeof(text) - 1 }, step, error }

/*
 * What one server or another has been seen to take for the end of data. `step`
 * and `error` are what comes with AFTER behind it, in which a true end stands.
 */
static const struct smuggle smuggles[] = {
	CASE("\n.\n", LINES_ABORT, LINES_NEAR_END),
	CASE("\n.\r", LINES_ABORT, LINES_NEAR_END),
	CASE("\r.\n", LINES_ABORT, LINES_BARE_CR),
	CASE("\r.\r", LINES_ABORT, LINES_BARE_CR),
	CASE("\n.\r\n", LINES_ABORT, LINES_NEAR_END),
	CASE("\r.\r\n", LINES_ABORT, LINES_BARE_CR),
	CASE("\r\n.\n", LINES_ABORT, LINES_NEAR_END),
	CASE("\r\n.\r", LINES_ABORT, LINES_NEAR_END),
	CASE("\r\n.\r\r\n", LINES_ABORT, LINES_NEAR_END),
	CASE("\r\r\n.\r\r\n", LINES_ABORT, LINES_BARE_CR),
	CASE("\r\r\n.\r\n", LINES_END, LINES_BARE_CR), /* a true end */
	CASE("\r\r\r\n.\r\n", LINES_END, LINES_BARE_CR),
	CASE("\r\n" NUL ".\r\n", LINES_ABORT, LINES_NUL),
	CASE("\r\n." NUL "\r\n", LINES_ABORT, LINES_NUL),
	CASE("\r\n.\r" NUL "\n", LINES_ABORT, LINES_NEAR_END),
	CASE("\r" NUL "\n.\r\n", LINES_ABORT, LINES_BARE_CR),
	CASE("\r\n.\n\r\n", LINES_ABORT, LINES_NEAR_END),
	CASE("\n\n.\n\n", LINES_ABORT, LINES_NEAR_END),
	CASE("\n\r.\r\n", LINES_ABORT, LINES_BARE_CR),
	CASE("\n\r\n.\r\n", LINES_END, LINES_OK), /* a true end, as the bare LF became CRLF */
	CASE("\r\n..\r\n", LINES_END, LINES_OK),  /* ends in AFTER */
	CASE("\r\n.x\r\n", LINES_END, LINES_OK),
	CASE("\r\n. \r\n", LINES_END, LINES_OK),
};
#define SMUGGLES (sizeof(smuggles) / sizeof(smuggles[0]))

static void build(struct buf *b, struct str middle)
{
	buf_c(b, BEFORE);
	buf_str_add(b, middle);
	buf_c(b, AFTER);
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->step, b->step);
	assert_int_equal(a->error, b->error);
	assert_int_equal(a->left, b->left);
	if (a->error == LINES_OK) {
		assert_int_equal(a->message.n, b->message.n);
		if (a->message.n)
			assert_memory_equal(a->message.p, b->message.p, a->message.n);
	}
}

static void smuggling_at_every_split(void **state)
{
	for (size_t i = 0; i < SMUGGLES; i++) {
		struct buf b = BUF_INIT;
		build(&b, smuggles[i].octets);
		struct str in = buf_str(&b);
		struct outcome whole = read_data(in, in.n, in.n, LINES_NORMALIZE);
		if (whole.step != smuggles[i].step || whole.error != smuggles[i].error)
			fail_msg("case %zu: step %d, error %d", i, whole.step, whole.error);
		/* Nothing that could be a command is left over before a true end. */
		if (whole.step == LINES_END && whole.left)
			assert_int_equal(whole.left, strlen(AFTER));
		for (size_t x = 0; x <= in.n; x++)
			for (size_t y = x; y <= in.n; y++) {
				struct outcome cut = read_data(in, x, y, LINES_NORMALIZE);
				assert_same(&whole, &cut);
				buf_free(&cut.message);
			}
		buf_free(&whole.message);
		buf_free(&b);
	}
}

/* In chunks nothing ends but by count; what is an attack in DATA is one here. */
static void smuggling_in_chunks(void **state)
{
	for (size_t i = 0; i < SMUGGLES; i++) {
		struct buf b = BUF_INIT;
		build(&b, smuggles[i].octets);
		struct str in = buf_str(&b);
		struct outcome whole = read_chunks(in, in.n, in.n);
		bool clean = smuggles[i].error == LINES_OK;
		if ((whole.error == LINES_OK) != clean)
			fail_msg("case %zu: error %d", i, whole.error);
		for (size_t edge = 0; edge <= in.n; edge++)
			for (size_t cut = 0; cut <= in.n; cut += 3) {
				struct outcome other = read_chunks(in, edge, cut);
				assert_same(&whole, &other);
				buf_free(&other.message);
			}
		buf_free(&whole.message);
		buf_free(&b);
	}
}

static void texts(void **state)
{
	static const struct {
		struct str in;
		enum lines_step step;
		enum lines_error normalize, refuse;
		struct str message;
	} rows[] = {
#define ROW(i, s, n, r, m) { { i, sizeof(i) - 1 }, s, n, r, { m, sizeof(m) - 1 } }
		ROW(".\r\n", LINES_END, LINES_OK, LINES_OK, ""),
		ROW("a\r\n.\r\n", LINES_END, LINES_OK, LINES_OK, "a\r\n"),
		ROW("..\r\n.\r\n", LINES_END, LINES_OK, LINES_OK, ".\r\n"),
		ROW(".a\r\n...\r\n.\r\n", LINES_END, LINES_OK, LINES_OK, "a\r\n..\r\n"),
		ROW("a.\r\n.\r\n", LINES_END, LINES_OK, LINES_OK, "a.\r\n"),
		ROW("a\nb\r\n.\r\n", LINES_END, LINES_OK, LINES_BARE_LF, "a\r\nb\r\n"),
		ROW("a\n..b\r\n.\r\n", LINES_END, LINES_OK, LINES_BARE_LF, "a\r\n.b\r\n"),
		ROW("a\n\nb\n\r\n.\r\n", LINES_END, LINES_OK, LINES_BARE_LF, "a\r\n\r\nb\r\n\r\n"),
		ROW("a\rb\r\n.\r\n", LINES_END, LINES_BARE_CR, LINES_BARE_CR, ""),
		ROW("a" NUL "b\r\n.\r\n", LINES_END, LINES_NUL, LINES_NUL, ""),
		ROW("\xff\x80\r\n.\r\n", LINES_END, LINES_OK, LINES_OK, "\xff\x80\r\n"),
		ROW("a\r\n.", LINES_MORE, LINES_OK, LINES_OK, "a\r\n"),
		ROW("a\r\n.\r", LINES_MORE, LINES_OK, LINES_OK, "a\r\n"),
		ROW("a\r", LINES_MORE, LINES_OK, LINES_OK, "a"),
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = rows[i].in.n;
		for (size_t x = 0; x <= n; x++) {
			struct outcome out = read_data(rows[i].in, x, n, LINES_NORMALIZE);
			struct outcome strict = read_data(rows[i].in, x, n, LINES_REFUSE);
			if (out.step != rows[i].step || out.error != rows[i].normalize ||
				strict.step != rows[i].step || strict.error != rows[i].refuse)
				fail_msg("row %zu at %zu: %d %d", i, x, out.step, out.error);
			if (out.error == LINES_OK)
				assert_true(str_eq(buf_str(&out.message), rows[i].message));
			buf_free(&out.message);
			buf_free(&strict.message);
		}
	}
}

static void what_follows_stays(void **state)
{
	struct str in = STR("a\r\n.\r\nQUIT\r\n"), span, line;
	struct lines lines;

	lines_message(&lines, LINES_NORMALIZE, 100);
	assert_int_equal(lines_data(&lines, &in, &span), LINES_SPAN);
	assert_int_equal(lines_data(&lines, &in, &span), LINES_END);
	assert_true(str_eq_c(in, "QUIT\r\n"));
	assert_int_equal(lines_command(&lines, &in, &line), LINES_LINE);
	assert_true(str_eq_c(line, "QUIT"));
}

static void long_text_lines(void **state)
{
	for (size_t n = LIMIT_TEXT_LINE - 1; n <= LIMIT_TEXT_LINE + 1; n++) {
		struct buf b = BUF_INIT;
		memset(buf_reserve(&b, n), 'x', n);
		buf_commit(&b, n);
		buf_c(&b, "\r\n.\r\n");
		for (size_t cut = 0; cut < b.n; cut += 9973) {
			struct outcome out = read_data(buf_str(&b), cut, b.n, LINES_NORMALIZE);
			assert_int_equal(out.step, LINES_END);
			assert_int_equal(out.error,
				n > LIMIT_TEXT_LINE ? LINES_TEXT_TOO_LONG : LINES_OK);
			buf_free(&out.message);
		}
		buf_free(&b);
	}
}

static void too_big_ends_and_gives_up(void **state)
{
	struct lines lines;
	struct str span, in = STR("0123456789\r\n.\r\n");

	lines_message(&lines, LINES_NORMALIZE, 8);
	assert_int_equal(lines_data(&lines, &in, &span), LINES_END);
	assert_int_equal(lines.error, LINES_TOO_BIG);
	lines_message(&lines, LINES_NORMALIZE, 8);
	enum lines_step step = LINES_MORE;
	for (int i = 0; i < 4 && step == LINES_MORE; i++) {
		in = STR("0123456789");
		step = lines_data(&lines, &in, &span);
	}
	assert_int_equal(step, LINES_ABORT);
}

static void chunks_are_counted(void **state)
{
	struct lines lines;
	struct str span, in = STR("a\r\n.\r\n\r\n.\r\n..b\r\nRSET\r\n");
	struct buf message = BUF_INIT;

	lines_message(&lines, LINES_NORMALIZE, 100);
	lines_chunk(&lines, 16, true);
	while (lines_chunk_data(&lines, &in, &span) == LINES_SPAN)
		buf_str_add(&message, span);
	assert_int_equal(lines.error, LINES_OK);
	assert_true(str_eq_c(buf_str(&message), "a\r\n.\r\n\r\n.\r\n..b\r\n"));
	assert_true(str_eq_c(in, "RSET\r\n"));
	buf_free(&message);

	in = STR("");
	lines_message(&lines, LINES_NORMALIZE, 100);
	lines_chunk(&lines, 0, true);
	assert_int_equal(lines_chunk_data(&lines, &in, &span), LINES_END);
	assert_int_equal(lines.error, LINES_OK);

	in = STR("a\r");
	lines_message(&lines, LINES_NORMALIZE, 100);
	lines_chunk(&lines, 2, true);
	assert_int_equal(lines_chunk_data(&lines, &in, &span), LINES_SPAN);
	assert_int_equal(lines_chunk_data(&lines, &in, &span), LINES_END);
	assert_int_equal(lines.error, LINES_BARE_CR);
}

static void commands(void **state)
{
	struct lines lines;
	struct str line, in = STR("NOOP\r\nbare\nRSET\r\nc\rr\r\n\r\nQUIT");

	lines_init(&lines);
	assert_int_equal(lines_command(&lines, &in, &line), LINES_LINE);
	assert_true(str_eq_c(line, "NOOP"));
	assert_int_equal(lines_command(&lines, &in, &line), LINES_BAD);
	assert_int_equal(lines.error, LINES_COMMAND_OCTETS);
	assert_int_equal(lines_command(&lines, &in, &line), LINES_LINE);
	assert_true(str_eq_c(line, "RSET"));
	assert_int_equal(lines_command(&lines, &in, &line), LINES_BAD);
	assert_int_equal(lines_command(&lines, &in, &line), LINES_LINE);
	assert_int_equal(line.n, 0);
	assert_int_equal(lines_command(&lines, &in, &line), LINES_MORE);
	assert_true(str_eq_c(in, "QUIT"));
}

static void long_commands(void **state)
{
	static char big[LIMIT_COMMAND_DISCARD + 2 * LIMIT_COMMAND_LINE];
	struct lines lines;
	struct str line, in;

	memset(big, 'x', sizeof(big));
	lines_init(&lines);
	in = str_from(big, LIMIT_COMMAND_LINE - 1);
	assert_int_equal(lines_command(&lines, &in, &line), LINES_MORE);
	in = str_from(big, LIMIT_COMMAND_LINE + 10);
	assert_int_equal(lines_command(&lines, &in, &line), LINES_MORE);
	in = STR("tail\r\nNOOP\r\n");
	assert_int_equal(lines_command(&lines, &in, &line), LINES_BAD);
	assert_int_equal(lines.error, LINES_COMMAND_TOO_LONG);
	assert_int_equal(lines_command(&lines, &in, &line), LINES_LINE);
	assert_true(str_eq_c(line, "NOOP"));
	in = str_from(big, sizeof(big));
	assert_int_equal(lines_command(&lines, &in, &line), LINES_ABORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smuggling_at_every_split),
		cmocka_unit_test(smuggling_in_chunks),
		cmocka_unit_test(texts),
		cmocka_unit_test(what_follows_stays),
		cmocka_unit_test(long_text_lines),
		cmocka_unit_test(too_big_ends_and_gives_up),
		cmocka_unit_test(chunks_are_counted),
		cmocka_unit_test(commands),
		cmocka_unit_test(long_commands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
