#include "core/mail/canonical.h"

#include <assert.h>
#include <openssl/evp.h>

#include "core/limits.h"

/* --------------------------------------------------------------------- body */

struct canonical_body {
	EVP_MD_CTX *digest;
	bool relaxed;
	bool is_started; /* an octet that counts was seen: what is left at the end is one CRLF */
	bool is_blank;	 /* relaxed: blanks stand before what comes next */
	bool is_cr;	 /* a CR whose LF may come with the next piece */
	size_t line_ends; /* CRLFs that count only if something follows them */
	int64_t total;
	size_t n;
	uint8_t buffer[8192];
};

static void flush(struct canonical_body *b)
{
	int done = EVP_DigestUpdate(b->digest, b->buffer, b->n);

	assert(done == 1);
	b->n = 0;
}

static void put(struct canonical_body *b, const char *p, size_t n)
{
	b->total += (int64_t)n;
	if (n > sizeof(b->buffer) - b->n)
		flush(b);
	if (n > sizeof(b->buffer)) {
		int done = EVP_DigestUpdate(b->digest, p, n);
		assert(done == 1);
		return;
	}
	memcpy(b->buffer + b->n, p, n);
	b->n += n;
}

/* Octets that count: what was held back before them counts too. */
static void put_text(struct canonical_body *b, const char *p, size_t n)
{
	b->is_started = true;
	for (; b->line_ends; b->line_ends--)
		put(b, "\r\n", 2);
	if (b->is_blank)
		put(b, " ", 1);
	b->is_blank = false;
	put(b, p, n);
}

/*
 * How many octets from the start of s stay as they are: up to a CR, a HTAB, or a space that is not
 * alone. So that most lines are one run.
 */
static size_t run_length(const struct canonical_body *b, struct str s)
{
	size_t n = 0;

	if (s.n && s.p[0] == ' ' && b->is_blank)
		return 0;
	for (; n < s.n; n++) {
		char c = s.p[n];
		if (c == '\r' || c == '\t')
			break;
		if (c == ' ' && (n + 1 == s.n || char_is_wsp(s.p[n + 1]) || s.p[n + 1] == '\r'))
			break;
	}
	return n;
}

/* The octets behind a CR of the piece before. */
static struct str resolve_cr(struct canonical_body *b, struct str s)
{
	b->is_cr = false;
	if (s.p[0] != '\n') {
		put_text(b, "\r", 1);
		return s;
	}
	b->is_blank = false; /* 3.4.4: blanks at the end of a line */
	b->line_ends++;
	return str_skip(s, 1);
}

static void add_relaxed(struct canonical_body *b, struct str s)
{
	while (s.n) {
		if (b->is_cr) {
			s = resolve_cr(b, s);
			continue;
		}
		size_t n = run_length(b, s);
		if (n)
			put_text(b, s.p, n);
		s = str_skip(s, n);
		if (s.n == 0)
			return;
		b->is_cr = s.p[0] == '\r';
		b->is_blank |= !b->is_cr;
		s = str_skip(s, 1);
	}
}

/* Only what may be the end of the body is held back. */
static void add_simple(struct canonical_body *b, struct str s)
{
	size_t ends = 0;

	if (s.n && b->is_cr)
		s = resolve_cr(b, s);
	if (s.n == 0)
		return;
	bool is_cr = s.p[s.n - 1] == '\r';
	s.n -= is_cr;
	for (; s.n >= 2 && memcmp(s.p + s.n - 2, "\r\n", 2) == 0; s.n -= 2)
		ends++;
	if (s.n)
		put_text(b, s.p, s.n);
	b->line_ends += ends;
	b->is_cr = is_cr;
}

struct canonical_body *canonical_body_new(bool relaxed)
{
	struct canonical_body *b = calloc(1, sizeof(*b));

	assert(b);
	b->relaxed = relaxed;
	b->digest = EVP_MD_CTX_new();
	int done = b->digest && EVP_DigestInit_ex(b->digest, EVP_sha256(), NULL);
	assert(done); /* no memory, or an OpenSSL without SHA-256 */
	return b;
}

void canonical_body_add(struct canonical_body *b, struct str octets)
{
	if (b->relaxed)
		add_relaxed(b, octets);
	else
		add_simple(b, octets);
}

int64_t canonical_body_end(struct canonical_body **body, uint8_t digest_r[32])
{
	struct canonical_body *b = *body;

	if (b->is_cr)
		put_text(b, "\r", 1);
	/* A last line without its end gets one. An empty body is one CRLF if simple (3.4.3), nothing
	 * if relaxed (3.4.4). */
	if (b->is_started || !b->relaxed)
		put(b, "\r\n", 2);
	flush(b);
	int done = EVP_DigestFinal_ex(b->digest, digest_r, NULL);
	assert(done);
	int64_t total = b->total;
	EVP_MD_CTX_free(b->digest);
	free(b);
	*body = NULL;
	return total;
}

int64_t canonical_body_hash(struct str octets, bool relaxed, uint8_t digest_r[32])
{
	struct canonical_body *b = canonical_body_new(relaxed);

	canonical_body_add(b, octets);
	return canonical_body_end(&b, digest_r);
}

/* ------------------------------------------------------------------ headers */

/* Unfolded, runs of blanks one space, none at either end (3.4.2). */
static void add_relaxed_value(struct buf *out, struct str value)
{
	bool is_blank = false, is_started = false;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		bool is_fold = c == '\r' && i + 2 < value.n && value.p[i + 1] == '\n' &&
			char_is_wsp(value.p[i + 2]);
		if (is_fold)
			i++; /* the blank behind it counts as one */
		if (is_fold || char_is_wsp(c)) {
			is_blank = is_started;
			continue;
		}
		if (is_blank)
			buf_char(out, ' ');
		buf_char(out, c);
		is_blank = false;
		is_started = true;
	}
}

static struct str without_line_end(struct str line)
{
	return str_ends(line, "\r\n") ? str_sub(line, 0, line.n - 2) : line;
}

static void add_line(struct buf *out, struct str line, bool relaxed)
{
	if (!relaxed) {
		buf_str_add(out, line);
		return;
	}
	size_t colon = str_chr(line, ':');
	struct str name = str_trim(str_sub(line, 0, colon));
	for (size_t i = 0; i < name.n; i++)
		buf_char(out, char_lower(name.p[i]));
	if (colon < line.n)
		buf_char(out, ':');
	add_relaxed_value(out, str_skip(line, colon + 1));
}

void canonical_header(struct buf *out, struct str line, bool relaxed)
{
	add_line(out, without_line_end(line), relaxed);
	buf_c(out, "\r\n");
}

void canonical_headers(struct buf *out, const struct mail *m, struct str names,
	const struct mail_header *except, bool relaxed)
{
	bool *used = ARENA_ARRAY(m->arena, m->headers.n + 1, bool);
	struct str name;

	for (size_t count = 0; count < LIMIT_HEADER_COUNT && str_cut(&names, ':', &name); count++) {
		name = str_trim_crlf(name);
		for (size_t i = m->headers.n; name.n && i-- > 0;) {
			const struct mail_header *h = &m->headers.v[i];
			if (used[i] || h == except || !str_ieq(h->name, name))
				continue;
			used[i] = true;
			canonical_header(out, h->line, relaxed);
			break;
		}
	}
}

/* Where the value of b= begins in the line, and where it ends: all that stands between "=" and ";". */
static struct str value_of_b(struct str line)
{
	struct str rest = str_skip(line, str_chr(line, ':') + 1), spec;

	while (str_cut(&rest, ';', &spec)) {
		size_t equals = str_chr(spec, '=');
		if (equals < spec.n && str_eq_c(str_trim_crlf(str_sub(spec, 0, equals)), "b"))
			return str_skip(spec, equals + 1);
	}
	return str_skip(line, line.n);
}

void canonical_signature(struct buf *out, struct str line, bool relaxed)
{
	struct buf emptied = BUF_INIT;

	line = without_line_end(line);
	struct str value = value_of_b(line);
	buf_str_add(&emptied, str_sub(line, 0, (size_t)(value.p - line.p)));
	buf_str_add(&emptied, str_skip(line, (size_t)(value.p - line.p) + value.n));
	add_line(out, buf_str(&emptied), relaxed);
	buf_free(&emptied);
}
