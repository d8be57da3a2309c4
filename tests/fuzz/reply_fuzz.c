/* The reply reader, whole and octet by octet; what is read can be written and read again. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "core/smtp/reply.h"

static int read_slowly(struct reply *r, struct str all)
{
	struct buf in = BUF_INIT;
	int done = 0;

	for (size_t i = 0; i < all.n && !done; i++) {
		buf_char(&in, all.p[i]);
		struct str rest = buf_str(&in);
		done = reply_read(r, &rest, NULL);
		buf_consume(&in, in.n - rest.n);
		assert(done || in.n < LIMIT_REPLY_LINE);
	}
	buf_free(&in);
	return done;
}

static void write_again(const struct reply *r)
{
	struct reply again = REPLY_INIT;
	struct buf out = BUF_INIT;

	reply_write(&out, r->code, r->enhanced, buf_str(&r->text));
	struct str rest = buf_str(&out);
	assert(reply_read(&again, &rest, NULL) == 1 && !rest.n);
	assert(again.code == r->code);
	reply_free(&again);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size), rest = in;
	struct reply r = REPLY_INIT, slow = REPLY_INIT;
	int code;
	char enhanced[REPLY_ENHANCED_MAX];
	struct str text;

	if (size > 100000)
		return 0;
	int done = reply_read(&r, &rest, NULL);
	int slow_done = read_slowly(&slow, in);
	/* A line that is too long is known as such only when all of it is there. */
	assert(done == slow_done);
	if (done == 1) {
		assert(r.code == slow.code && str_eq(buf_str(&r.text), buf_str(&slow.text)));
		assert(r.lines && r.lines <= LIMIT_REPLY_LINES);
		write_again(&r);
	}
	reply_split(in, &code, enhanced, &text);
	reply_free(&r);
	reply_free(&slow);
	return 0;
}
