/*
 * The line reader against a naive reading of the same octets: one octet at a
 * time, with all that came before in view. The first octet chooses policy and
 * mode, the second how the input is cut.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/smtp/lines.h"

#define MAX_OCTETS 100000

struct result {
	enum lines_step step;
	bool failed;
	struct buf message;
	size_t used;
};

/* Is there, at the end of [0, n), a line that is one dot to somebody lenient? */
static bool lenient_end(const char *p, size_t n)
{
	size_t i = n - 1;

	do {
		if (i-- == 0)
			return false;
	} while (p[i] == '\0');
	if (p[i] != '.')
		return false;
	do {
		if (i-- == 0)
			return true;
	} while (p[i] == '\0');
	return p[i] == '\r' || p[i] == '\n';
}

static bool ends_in(const char *p, size_t n, const char *with, size_t k)
{
	return n >= k && !memcmp(p + n - k, with, k);
}

/* Where DATA ends for good: SIZE_MAX if not in these octets. */
static bool true_end(const char *p, size_t n)
{
	return ends_in(p, n, "\r\n.\r\n", 5) || (n == 3 && !memcmp(p, ".\r\n", 3));
}

/* The first octet behind which something is known, in DATA; or n. */
static struct result naive_data(const char *p, size_t n)
{
	struct result r = { .step = LINES_MORE, .used = n };

	for (size_t k = 1; k <= n; k++) {
		char c = p[k - 1];
		if (true_end(p, k)) {
			r.step = LINES_END;
			r.used = k;
			return r;
		}
		/* CR behind an exact CRLF and dot: the next octet tells. */
		bool hopeful = c == '\r' && (ends_in(p, k, "\r\n.\r", 4) || (k == 2 && p[0] == '.'));
		if (hopeful && k < n && p[k] == '\n')
			continue;
		if (hopeful && k == n)
			return r;
		if ((c == '\r' || c == '\n') && lenient_end(p, k)) {
			r.step = LINES_ABORT;
			return r;
		}
	}
	return r;
}

/* What the message is, for input whose every octet is allowed. */
static void naive_message(struct result *r, const char *p, size_t n, bool data, bool strict)
{
	bool start = true;

	for (size_t i = 0; i < n; i++) {
		bool lf = p[i] == '\n', crlf = lf && i && p[i - 1] == '\r';
		if (p[i] == '\0' || (p[i] == '\r' && i + 1 < n && p[i + 1] != '\n') ||
			(lf && !crlf && strict))
			r->failed = true;
		if (p[i] == '\r' && i + 1 == n) /* held back */
			break;
		if (data && start && p[i] == '.') {
			start = false;
			continue;
		}
		if (lf && !crlf)
			buf_char(&r->message, '\r');
		buf_char(&r->message, p[i]);
		start = lf;
	}
}

static struct result read_all(const char *p, size_t n, unsigned cut, bool data, bool strict)
{
	struct result r = { .step = LINES_MORE };
	struct lines lines;
	struct str span;
	size_t piece = 1 + cut % 97;

	lines_message(&lines, strict ? LINES_REFUSE : LINES_NORMALIZE, MAX_OCTETS);
	if (!data)
		lines_chunk(&lines, n, true);
	do {
		size_t k = n - r.used < piece ? n - r.used : piece;
		char *copy = malloc(k + 1); /* its own, so that reading past its end is seen */
		memcpy(copy, p + r.used, k);
		struct str in = str_from(copy, k);
		while ((r.step = data ? lines_data(&lines, &in, &span) :
					lines_chunk_data(&lines, &in, &span)) == LINES_SPAN) {
			assert(span.n);
			buf_str_add(&r.message, span);
		}
		r.used += k - in.n;
		free(copy);
	} while (r.step == LINES_MORE && r.used < n);
	r.failed = lines.error != LINES_OK;
	assert(lines.octets <= 2 * n || r.failed);
	return r;
}

static void compare_data(const char *p, size_t n, unsigned cut, bool strict)
{
	struct result want = naive_data(p, n);
	struct result got = read_all(p, n, cut, true, strict);

	assert(got.step == want.step);
	if (want.step != LINES_ABORT)
		assert(got.used == want.used);
	if (want.step == LINES_END) {
		size_t dot = want.used - 3;
		naive_message(&want, p, dot, true, strict);
		assert(got.failed == want.failed);
		if (!want.failed)
			assert(str_eq(buf_str(&got.message), buf_str(&want.message)));
	}
	buf_free(&got.message);
	buf_free(&want.message);
}

static void compare_chunk(const char *p, size_t n, unsigned cut, bool strict)
{
	struct result want = { .step = LINES_END };
	struct result got = read_all(p, n, cut, false, strict);
	struct result whole = read_all(p, n, 96, false, strict);

	assert(got.step == LINES_END && got.used == n && got.failed == whole.failed);
	naive_message(&want, p, n, false, strict);
	if (!got.failed) {
		assert(!want.failed);
		assert(str_eq(buf_str(&got.message), buf_str(&want.message)));
	}
	if (want.failed)
		assert(got.failed);
	buf_free(&got.message);
	buf_free(&whole.message);
	buf_free(&want.message);
}

/* Commands: whatever the cuts, the same lines; and no octet of one is CR, LF or NUL. */
static void read_commands(const char *p, size_t n, unsigned cut)
{
	struct lines lines;
	struct buf in = BUF_INIT;
	enum lines_step step = LINES_MORE;
	size_t at = 0, piece = 1 + cut;

	lines_init(&lines);
	while (at < n && step != LINES_ABORT) {
		size_t k = n - at < piece ? n - at : piece;
		buf_add(&in, p + at, k);
		at += k;
		struct str rest = buf_str(&in), line;
		while ((step = lines_command(&lines, &rest, &line)) == LINES_LINE || step == LINES_BAD)
			if (step == LINES_LINE) {
				assert(!memchr(line.p, '\r', line.n) && line.n < LIMIT_COMMAND_LINE);
				assert(!memchr(line.p, '\n', line.n) && !memchr(line.p, 0, line.n));
			}
		assert(rest.n < LIMIT_COMMAND_LINE || step == LINES_ABORT);
		buf_consume(&in, in.n - rest.n);
	}
	buf_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 20000)
		return 0;
	const char *p = (const char *)data + 2;
	bool strict = data[0] & 2;
	if (data[0] & 4)
		read_commands(p, size - 2, data[1]);
	else if (data[0] & 1)
		compare_chunk(p, size - 2, data[1], strict);
	else
		compare_data(p, size - 2, data[1], strict);
	return 0;
}
