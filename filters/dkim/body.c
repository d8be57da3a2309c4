#include "filters/dkim/body.h"

#include <assert.h>
#include <openssl/evp.h>

/* Octets on their way into the hash. */
struct sink {
	EVP_MD_CTX *digest;
	uint8_t buffer[8192];
	size_t n;
	int64_t total;
};

static void flush(struct sink *sink)
{
	int done = EVP_DigestUpdate(sink->digest, sink->buffer, sink->n);

	assert(done == 1);
	sink->n = 0;
}

static inline void put(struct sink *sink, char c)
{
	if (sink->n == sizeof(sink->buffer))
		flush(sink);
	sink->buffer[sink->n++] = (uint8_t)c;
	sink->total++;
}

static void put_run(struct sink *sink, struct str s)
{
	flush(sink);
	int done = EVP_DigestUpdate(sink->digest, s.p, s.n);

	assert(done == 1);
	sink->total += (int64_t)s.n;
}

/* The line at `at` without its CRLF; *next_r is behind it. A bare LF is an octet like others. */
static struct str next_line(struct str body, size_t at, size_t *next_r)
{
	size_t from = at;

	for (;;) {
		const char *lf = memchr(body.p + from, '\n', body.n - from);
		if (!lf)
			break;
		size_t end = (size_t)(lf - body.p);
		if (end > at && body.p[end - 1] == '\r') {
			*next_r = end + 1;
			return str_sub(body, at, end - 1 - at);
		}
		from = end + 1;
	}
	*next_r = body.n;
	return str_skip(body, at);
}

/* Where the body ends without the empty lines at its end, the last line's CRLF included. */
static size_t end_without_empty_lines(struct str body)
{
	size_t n = body.n;

	while (n >= 4 && memcmp(body.p + n - 4, "\r\n\r\n", 4) == 0)
		n -= 2;
	return n == 2 && memcmp(body.p, "\r\n", 2) == 0 ? 0 : n;
}

static void put_simple(struct sink *sink, struct str body)
{
	size_t n = end_without_empty_lines(body);

	if (n)
		put_run(sink, str_sub(body, 0, n));
	/* An empty body is one CRLF, and a last line that has none gets it. */
	if (n < 2 || memcmp(body.p + n - 2, "\r\n", 2) != 0) {
		put(sink, '\r');
		put(sink, '\n');
	}
}

/* Runs of blanks become one space, and are left out at the end of a line; so are empty lines at the
 * end of the body, which `empty` counts until something follows. */
static void put_relaxed(struct sink *sink, struct str body)
{
	size_t empty = 0, next;

	for (size_t at = 0; at < body.n; at = next) {
		struct str line = next_line(body, at, &next);
		while (line.n && char_is_wsp(line.p[line.n - 1]))
			line.n--;
		if (line.n == 0) {
			empty++;
			continue;
		}
		for (; empty; empty--) {
			put(sink, '\r');
			put(sink, '\n');
		}
		for (size_t i = 0; i < line.n; i++) {
			if (!char_is_wsp(line.p[i]))
				put(sink, line.p[i]);
			else if (i == 0 || !char_is_wsp(line.p[i - 1]))
				put(sink, ' ');
		}
		put(sink, '\r');
		put(sink, '\n');
	}
}

int64_t dkim_body_hash(struct str body, bool relaxed, uint8_t digest_r[32])
{
	struct sink sink = { .digest = EVP_MD_CTX_new() };
	int done = sink.digest && EVP_DigestInit_ex(sink.digest, EVP_sha256(), NULL);

	assert(done); /* no memory, or an OpenSSL without SHA-256 */
	if (relaxed)
		put_relaxed(&sink, body);
	else
		put_simple(&sink, body);
	flush(&sink);
	done = EVP_DigestFinal_ex(sink.digest, digest_r, NULL);
	assert(done);
	EVP_MD_CTX_free(sink.digest);
	return sink.total;
}
