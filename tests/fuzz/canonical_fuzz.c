/*
 * The first octet is the size of pieces, the second the form, then names up to a LF, then a message: pieces
 * and the whole give one digest, a canonical form is its own, and a relaxed body is no longer than a simple one.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/mail/canonical.h"

/* What canonical_body_* hashes, in plain: line by line, as RFC 6376 3.4.4 says it. */
static void relax(struct buf *out, struct str body)
{
	struct buf held = BUF_INIT; /* empty lines */

	while (body.n) {
		size_t end = str_find(body, STR("\r\n"));
		struct str line = str_trim(str_sub(body, 0, end));
		bool is_indented = line.n && char_is_wsp(body.p[0]);
		body = str_skip(body, end + 2);
		if (line.n == 0) {
			buf_c(&held, "\r\n");
			continue;
		}
		buf_str_add(out, buf_str(&held));
		buf_clear(&held);
		if (is_indented)
			buf_char(out, ' ');
		for (size_t i = 0; i < line.n; i++)
			if (!char_is_wsp(line.p[i]))
				buf_char(out, line.p[i]);
			else if (!char_is_wsp(line.p[i - 1]))
				buf_char(out, ' ');
		buf_c(out, "\r\n");
	}
	buf_free(&held);
}

static void check_body(struct str body, size_t step, bool relaxed)
{
	struct canonical_body *b = canonical_body_new(relaxed);
	uint8_t whole[32], pieces[32];

	for (size_t at = 0; at < body.n; at += step)
		canonical_body_add(b, str_sub(body, at, step));
	int64_t length = canonical_body_end(&b, pieces);
	assert(length == canonical_body_hash(body, relaxed, whole));
	assert(memcmp(whole, pieces, sizeof(whole)) == 0);
	assert(length <= canonical_body_hash(body, false, pieces));
	if (relaxed) {
		struct buf plain = BUF_INIT;
		relax(&plain, body);
		assert((int64_t)plain.n == length);
		canonical_body_hash(buf_str(&plain), false, pieces);
		assert(length == 0 || memcmp(whole, pieces, sizeof(whole)) == 0);
		buf_free(&plain);
	}
}

static void check_headers(const struct mail *m, struct str names, bool relaxed)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;

	for (size_t i = 0; i < m->headers.n; i++) {
		buf_clear(&once);
		buf_clear(&twice);
		canonical_header(&once, m->headers.v[i].line, relaxed);
		canonical_header(&twice, buf_str(&once), relaxed);
		assert(str_eq(buf_str(&once), buf_str(&twice)));
		buf_clear(&once);
		canonical_signature(&once, m->headers.v[i].line, relaxed);
		assert(once.n <= m->headers.v[i].line.n);
	}
	buf_clear(&once);
	canonical_headers(&once, m, names, m->headers.n ? &m->headers.v[0] : NULL, relaxed);
	assert(once.n <= m->raw.n + 2);
	buf_free(&once);
	buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_from((const char *)data, size), names;

	if (size < 2)
		return 0;
	struct arena *arena = arena_new(8 << 20);
	size_t step = data[0] ? data[0] : 1;
	bool relaxed = data[1] & 1;
	input = str_skip(input, 2);
	str_cut(&input, '\n', &names);
	struct mail *m = mail_parse(arena, input);
	check_body(m->body, step, relaxed);
	check_body(input, step, relaxed);
	check_headers(m, names, relaxed);
	arena_free(&arena);
	return 0;
}
