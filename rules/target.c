#include "rules/target.h"

#include "core/json.h"
#include "core/limits.h"
#include "core/mail/charset.h"
#include "core/mail/url.h"

/* ---- lists of texts ---- */

static void add(struct target_text *t, struct arena *arena, struct str text)
{
	/* Full whenever the count is a power of two. */
	if ((t->n & (t->n - 1)) == 0)
		t->v = arena_grow(arena, t->v, t->n, t->n ? t->n * 2 : 1, sizeof(*t->v));
	t->v[t->n++] = str_sub(text, 0, LIMIT_RULES_TEXT_BYTES);
}

/* ---- headers ---- */

/* One form of one header's value. */
static struct str header_form(const struct ruleset_input *in, const struct mail_header *h,
	enum target_form form)
{
	struct mail_addresses addresses;

	switch (form) {
	case TARGET_RAW:
		return h->value;
	case TARGET_DECODED:
		return mail_decode_header(in->mail, h->value);
	case TARGET_ADDRESS:
	case TARGET_NAME:
		mail_parse_addresses(in->mail, h->value, &addresses);
		if (!addresses.list.n)
			return STR("");
		if (form == TARGET_NAME)
			return addresses.list.v[0].display;
		return arena_printf(in->arena, "%.*s@%.*s", STR_ARG(addresses.list.v[0].local),
			STR_ARG(addresses.list.v[0].domain));
	}
	return STR("");
}

static void add_line(struct buf *b, struct str text)
{
	if (b->n >= LIMIT_RULES_TEXT_BYTES)
		return;
	buf_str_add(b, text);
	buf_char(b, '\n');
}

/* The headers of these names (NULL-terminated), a line each. */
static void headers_text(const struct target *target, const struct ruleset_input *in,
	const char *const *names, struct target_text *t)
{
	struct str value = STR("");
	struct buf b = BUF_INIT;
	size_t count = 0;

	for (size_t i = 0; names[i]; i++) {
		const struct mail_header *h = NULL;
		while ((h = mail_header(in->mail, names[i], h)) && b.n < LIMIT_RULES_TEXT_BYTES) {
			value = header_form(in, h, target->form);
			add_line(&b, value);
			count++;
		}
	}
	t->present = count > 0;
	if (count == 1)
		add(t, in->arena, value);
	else if (count)
		add(t, in->arena, arena_dup(in->arena, buf_str(&b)));
	buf_free(&b);
}

static void all_headers(const struct target *target, const struct ruleset_input *in,
	struct target_text *t)
{
	const struct mail *m = in->mail;
	struct buf b = BUF_INIT;

	t->present = true;
	if (target->form == TARGET_RAW) {
		add(t, in->arena, str_sub(m->raw, 0, m->header_bytes));
		return;
	}
	for (size_t i = 0; i < m->headers.n && b.n < LIMIT_RULES_TEXT_BYTES; i++) {
		buf_str_add(&b, m->headers.v[i].name);
		buf_c(&b, ": ");
		add_line(&b, mail_decode_header(in->mail, m->headers.v[i].value));
	}
	add(t, in->arena, arena_dup(in->arena, buf_str(&b)));
	buf_free(&b);
}

static void mime_headers(const struct target *target, const struct ruleset_input *in,
	struct target_text *t)
{
	for (size_t i = 0; i < in->mail->parts.n; i++) {
		const struct mail_part *p = &in->mail->parts.v[i];
		const struct mail_header *h = NULL;
		while ((h = mail_part_header(p, target->header, h)) && t->n < LIMIT_MIME_PARTS)
			add(t, in->arena, header_form(in, h, target->form));
	}
	t->present = t->n > 0;
}

/* ---- bodies ---- */

/* Octets of a character at s.p[0] that is nothing to see: soft hyphen, zero-width ones. */
static size_t invisible(struct str s)
{
	unsigned char a = (unsigned char)s.p[0];
	unsigned char b = s.n > 1 ? (unsigned char)s.p[1] : 0;
	unsigned char c = s.n > 2 ? (unsigned char)s.p[2] : 0;

	if (a == 0xc2 && b == 0xad)
		return 2;
	if (a == 0xe2 && b == 0x80 && (c == 0x8b || c == 0x8c))
		return 3;
	if (a == 0xe2 && b == 0x81 && c == 0xa0)
		return 3;
	if (a == 0xef && b == 0xbb && c == 0xbf)
		return 3;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

/* Appends text with every run of blanks as one, or as a line end if it held an empty line: a
 * phrase is found however its lines were broken. out has room for all of it. */
static size_t collapse(struct str text, char *out, size_t n)
{
	for (size_t i = 0; i < text.n;) {
		unsigned char c = (unsigned char)text.p[i];
		size_t lines = 0, start = i, hidden;

		while (i < text.n && is_blank(text.p[i]))
			lines += text.p[i++] == '\n';
		if (i > start) {
			out[n++] = lines > 1 ? '\n' : ' ';
		} else if (c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] == 0xa0) {
			out[n++] = ' ';
			i += 2;
		} else if (c >= 0xc2 && (hidden = invisible(str_skip(text, i)))) {
			i += hidden;
		} else {
			out[n++] = text.p[i++];
		}
	}
	return n;
}

static void body_text(const struct ruleset_input *in, struct target_text *t)
{
	const struct mail_header *h = mail_header(in->mail, "Subject", NULL);
	struct str subject = h ? mail_decode_header(in->mail, h->value) : STR("");
	struct str text = mail_text(in->mail);

	subject = str_sub(subject, 0, LIMIT_RULES_TEXT_BYTES / 4);
	text = str_sub(text, 0, LIMIT_RULES_TEXT_BYTES - subject.n - 1);
	char *out = arena_alloc(in->arena, subject.n + 1 + text.n);
	size_t n = collapse(subject, out, 0);
	out[n++] = '\n';
	n = collapse(text, out, n);
	t->present = true;
	add(t, in->arena, str_from(out, n));
}

static void raw_bodies(const struct ruleset_input *in, struct target_text *t)
{
	t->present = true;
	for (size_t i = 0; i < in->mail->parts.n && !arena_is_over(in->arena); i++) {
		struct mail_part *p = &in->mail->parts.v[i];
		if (!str_eq_c(p->type, "text") || p->has_children)
			continue;
		struct str octets = str_sub(mail_part_decoded(in->mail, p), 0,
			LIMIT_RULES_TEXT_BYTES);
		add(t, in->arena, mail_charset_to_utf8(in->mail, octets, p->charset));
	}
}

/* ---- links ---- */

/* The URL with its host as a browser resolves it, or empty if that is what already stands there. */
static struct str canonical_url(struct arena *arena, const struct mail_url *u)
{
	if (!u->host.n || str_eq_c(u->scheme, "mailto"))
		return STR("");
	size_t at = str_chr(u->url, ':');
	struct str rest = at < u->url.n ? str_skip(u->url, at + 1) : u->url;
	while (rest.n && (rest.p[0] == '/' || rest.p[0] == '\\'))
		rest = str_skip(rest, 1);
	size_t path = 0;
	while (path < rest.n && !memchr("/\\?#", rest.p[path], 4))
		path++;
	struct str canonical = arena_printf(arena, "%.*s://%.*s%.*s", STR_ARG(u->scheme),
		STR_ARG(u->host), STR_ARG(str_skip(rest, path)));
	return str_eq(canonical, u->url) ? STR("") : canonical;
}

static void uris(const struct ruleset_input *in, struct target_text *t)
{
	mail_urls(in->mail);
	t->present = true;
	for (size_t i = 0; i < in->mail->urls.n; i++) {
		const struct mail_url *u = &in->mail->urls.v[i];
		if (i && str_eq(u->url, u[-1].url))
			continue;
		add(t, in->arena, u->url);
		struct str canonical = canonical_url(in->arena, u);
		if (canonical.n)
			add(t, in->arena, canonical);
	}
}

/* ---- MESSAGE ---- */

/* What peers wrote must not make up lines of its own. */
static void add_word(struct buf *b, struct str word, char behind)
{
	text_safe(b, word, 255);
	buf_char(b, behind);
}

/* The part of a host that its owner registered, guessed without the list of public suffixes:
 * two labels, or three where the second last is as short as "co" in "co.uk". */
static struct str owner_of(struct str host)
{
	size_t last = str_rchr(host, '.');
	if (last == host.n)
		return host;
	size_t second = str_rchr(str_sub(host, 0, last), '.');
	if (second == last)
		return host;
	if (host.n - last - 1 == 2 && last - second - 1 <= 3) {
		size_t third = str_rchr(str_sub(host, 0, second), '.');
		return third == second ? host : str_skip(host, third + 1);
	}
	return str_skip(host, second + 1);
}

/* Does the text of a link look like an address of somebody else? */
static void add_mismatch(const struct ruleset_input *in, const struct mail_url *u, struct buf *b)
{
	struct mail_url shown;

	if (u->source != MAIL_URL_HREF || !u->host.n || str_eq_c(u->scheme, "mailto"))
		return;
	struct str text = str_sub(str_trim_crlf(u->text), 0, 256);
	size_t blank = 0;
	while (blank < text.n && !is_blank(text.p[blank]))
		blank++;
	if (!text.n || blank < text.n || str_chr(text, '@') < text.n)
		return;
	url_parse(in->arena, text, &shown);
	if (!shown.host.n || str_chr(shown.host, '.') == shown.host.n ||
		(!str_eq_c(shown.scheme, "http") && !str_eq_c(shown.scheme, "https")))
		return;
	if (str_ieq(owner_of(shown.host), owner_of(u->host)))
		return;
	buf_c(b, "link_mismatch: ");
	add_word(b, shown.host, ' ');
	add_word(b, u->host, '\n');
}

static void add_parts(const struct ruleset_input *in, struct buf *b)
{
	bool plain = false, html = false;

	for (size_t i = 0; i < in->mail->parts.n; i++) {
		const struct mail_part *p = &in->mail->parts.v[i];
		bool attached = str_eq_c(p->disposition, "attachment");
		if (p->filename.n) {
			buf_c(b, "attachment: ");
			add_word(b, p->type, '/');
			add_word(b, p->subtype, ' ');
			add_word(b, p->filename, '\n');
		}
		if (attached || !str_eq_c(p->type, "text") || p->has_children)
			continue;
		/* An empty alternative is none. */
		if (!str_trim_crlf(mail_part_text(in->mail, &in->mail->parts.v[i])).n)
			continue;
		html |= str_eq_c(p->subtype, "html");
		plain |= !str_eq_c(p->subtype, "html");
	}
	buf_printf(b, "structure: %s\n", html && plain ? "text-and-html" : html ? "html-only" :
		plain ? "text-only" : "no-text");
	buf_printf(b, "parts: %zu\n", in->mail->parts.n);
}

static void message_text(const struct ruleset_input *in, struct target_text *t)
{
	struct mail *m = in->mail;
	const struct mail_html_facts *html = &m->html;
	struct buf b = BUF_INIT;

	mail_urls(m);
	add_parts(in, &b);
	const struct {
		const char *name;
		size_t value;
	} counts[] = {
		{ "shown_octets", str_trim_crlf(mail_text(m)).n },
		{ "hidden_octets", html->hidden_octets },
		{ "html_tags", html->tags },
		{ "html_comments", html->comments },
		{ "links", html->links },
		{ "images", html->images },
		{ "remote_images", html->remote_images },
		{ "forms", html->forms },
		{ "scripts", html->scripts },
	};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		buf_printf(&b, "%s: %zu\n", counts[i].name, counts[i].value);
	for (size_t i = 0; i < m->urls.n && b.n < LIMIT_RULES_TEXT_BYTES; i++) {
		if (m->urls.v[i].host.n) {
			buf_c(&b, "url_host: ");
			add_word(&b, m->urls.v[i].host, '\n');
		}
		add_mismatch(in, &m->urls.v[i], &b);
	}
	t->present = true;
	add(t, in->arena, arena_dup(in->arena, buf_str(&b)));
	buf_free(&b);
}

/* ---- all of them ---- */

void target_text(const struct target *target, const struct ruleset_input *in,
	struct target_text *text_r)
{
	struct target_text *t = text_r;
	static const char *const tocc[] = { "To", "Cc", NULL };
	static const char *const ids[] = { "Message-ID", "Resent-Message-ID", "X-Message-ID", NULL };
	const char *const own[] = { target->header, NULL };

	*t = (struct target_text){ .n = 0 };
	switch (target->kind) {
	case TARGET_HEADER:
		headers_text(target, in, own, t);
		break;
	case TARGET_ALL:
		all_headers(target, in, t);
		break;
	case TARGET_TOCC:
		headers_text(target, in, tocc, t);
		break;
	case TARGET_ENVELOPE_FROM:
		t->present = true;
		add(t, in->arena, in->envelope_from);
		break;
	case TARGET_MESSAGEID:
		headers_text(target, in, ids, t);
		break;
	case TARGET_MESSAGE:
		message_text(in, t);
		break;
	case TARGET_BODY:
		body_text(in, t);
		break;
	case TARGET_RAWBODY:
		raw_bodies(in, t);
		break;
	case TARGET_FULL:
		t->present = true;
		add(t, in->arena, in->mail->raw);
		break;
	case TARGET_URI:
		uris(in, t);
		break;
	case TARGET_MIMEHEADER:
		mime_headers(target, in, t);
		break;
	}
}

bool target_is_octets(const struct target *target)
{
	return target->kind == TARGET_FULL;
}
