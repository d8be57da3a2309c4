#include "gateway/identity.h"

#include "core/buf.h"
#include "core/hash.h"
#include "core/mail/canonical.h"

/* "by HOSTNAME (Gatepost)", wherever it was folded. */
bool identity_is_own_line(struct str field, const char *hostname)
{
	size_t mark = str_find(field, STR("(Gatepost)"));
	struct str name = str_c(hostname);

	if (mark == field.n)
		return false;
	while (mark && char_is_fws(field.p[mark - 1]))
		mark--;
	return mark > name.n && char_is_fws(field.p[mark - name.n - 1]) &&
		str_ieq(str_sub(field, mark - name.n, name.n), name);
}

/* Where our own lines end: behind the lowest Received line of ours. */
static size_t first_given(const struct mail *m, const char *hostname)
{
	for (size_t i = m->headers.n; i-- > 0;)
		if (str_ieq_c(m->headers.v[i].name, "Received") &&
			identity_is_own_line(m->headers.v[i].line, hostname))
			return i + 1;
	return 0;
}

static bool is_one_of(struct str name, const char *const *names)
{
	for (; *names; names++)
		if (str_ieq_c(name, *names))
			return true;
	return false;
}

/* What the verdict cuts (rules/verdict_headers.c), what mailbox servers leave out, and what they and
 * mail programs write into messages that they keep. */
static bool is_left_out(struct str name)
{
	static const char *const prefixes[] = {"X-Spam-", "X-Gatepost-", "BIMI-", "X-Mozilla-", "X-Evolution"};
	static const char *const names[] = {"X-Spam", "Authentication-Results", "Return-Path", "Delivered-To",
		"X-Original-To", "Envelope-To", "Bcc", "Resent-Bcc", "Content-Length", "Lines", "Status",
		"X-Status", "X-Keywords", "X-UID", "X-IMAPbase", NULL};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (str_istarts(name, prefixes[i]))
			return true;
	return is_one_of(name, names);
}

/* As RFC 6376 3.4.2 has it, but for line ends, which may be any. */
static void add_header(struct buf *out, const struct mail_header *h)
{
	bool is_started = false, was_blank = false;

	for (size_t i = 0; i < h->name.n; i++)
		buf_char(out, char_lower(h->name.p[i]));
	buf_char(out, ':');
	for (size_t i = 0; i < h->value.n; i++) {
		char c = h->value.p[i];

		if (!char_is_fws(c)) {
			if (was_blank)
				buf_char(out, ' ');
			buf_char(out, c);
			is_started = true;
		}
		was_blank = is_started && char_is_fws(c);
	}
	buf_char(out, '\n');
}

static void add_body(struct buf *out, struct str body)
{
	struct canonical_body *canonical = canonical_body_new(true);
	uint8_t digest[32];

	while (body.n) {
		size_t end = str_chr(body, '\n');
		struct str line = str_sub(body, 0, end);

		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		canonical_body_add(canonical, line);
		canonical_body_add(canonical, STR("\r\n"));
		body = str_skip(body, end + 1);
	}
	canonical_body_end(&canonical, digest);
	buf_add(out, digest, sizeof(digest));
}

void identity_of(const struct mail *m, const char *hostname, char hash_r[IDENTITY_SIZE])
{
	static const char *const authors[] = {"From", "Subject", NULL};
	size_t first = first_given(m, hostname);
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < m->headers.n; i++) {
		const struct mail_header *h = &m->headers.v[i];

		if (is_left_out(h->name))
			continue;
		if (i >= first || is_one_of(h->name, authors) || str_istarts(h->name, "Content-"))
			add_header(&text, h);
	}
	add_body(&text, m->body);
	hash_sha256_hex(buf_str(&text), hash_r);
	buf_free(&text);
}
