#include "core/mail/html.h"

#include <assert.h>

#include "core/limits.h"
#include "core/mail/entity.h"
#include "core/mail/html_stack.h"
#include "core/mail/style.h"
#include "core/sixteen.h"

enum gap { GAP_NONE, GAP_BLANK, GAP_LINE };

struct scan {
	struct arena *arena;
	struct str in;
	size_t at;
	struct html_doc *doc;
	/* the text that is being built */
	char *out;
	size_t n, cap;
	enum gap gap;
	struct html_stack stack;
	/* the <a> that is open */
	bool in_link;
	size_t link, link_start;
	size_t link_cap;
};

/* ---- text ---- */

static void widen_gap(struct scan *s, enum gap gap)
{
	if (gap > s->gap)
		s->gap = gap;
}

static void put(struct scan *s, const char *p, size_t n)
{
	if (s->cap - s->n < n + 1) {
		s->cap = s->n; /* once full, it stays so: no later text is put behind a hole */
		return;
	}
	if (s->gap != GAP_NONE && s->n)
		s->out[s->n++] = s->gap == GAP_LINE ? '\n' : ' ';
	s->gap = GAP_NONE;
	memcpy(s->out + s->n, p, n);
	s->n += n;
}

static bool is_space(char c)
{
	return html_token_is_space(c);
}

/* Asked of every octet, so by table. */
static bool ends_word(char c)
{
	static const bool ends[256] = { [0] = true, ['&'] = true, [' '] = true, ['\t'] = true,
		['\n'] = true, ['\r'] = true, ['\f'] = true };
	return ends[(unsigned char)c];
}

static inline sixteen are_word_ends(sixteen c)
{
	return sixteen_is(c, '\0') | sixteen_is(c, '&') | sixteen_is(c, ' ') |
		sixteen_within(c, '\t', '\n') | sixteen_within(c, '\f', '\r');
}

/* But for a blank between two words, which stays what it is. */
static inline sixteen end_words(sixteen c, sixteen next)
{
	return are_word_ends(c) & (~sixteen_is(c, ' ') | are_word_ends(next));
}

/* Where the words that text.p[i] begins end. */
static size_t words_end(const struct scan *s, struct str text, size_t i)
{
	size_t readable = (size_t)(s->in.p + s->in.n - text.p);
	i = sixteen_find(text, i, readable, end_words);
	return text.p[i - 1] == ' ' ? i - 1 : i;
}

/* Character data of the input: white space collapsed, references decoded if `decode`. */
static void put_text(struct scan *s, struct str text, bool decode)
{
	bool shown = !html_stack_hiding(&s->stack);
	bool pre = html_stack_has(&s->stack, TAG_pre) || html_stack_has(&s->stack, TAG_textarea);
	size_t i = 0;

	while (i < text.n) {
		char c = text.p[i];
		if (is_space(c) || c == '\0') {
			if (shown && c)
				widen_gap(s, c == '\n' && pre ? GAP_LINE : GAP_BLANK);
			i++;
			continue;
		}
		char utf8[ENTITY_MAX];
		size_t n, used = 0;
		if (c == '&' && decode)
			used = entity_decode(str_skip(text, i), false, utf8, &n);
		if (used) {
			if (!shown)
				s->doc->facts.hidden_octets += n;
			else if (n == 1 && is_space(utf8[0]))
				widen_gap(s, GAP_BLANK);
			else
				put(s, utf8, n);
			i += used;
			continue;
		}
		size_t start = i++;
		if (shown) {
			i = words_end(s, text, i);
			put(s, text.p + start, i - start);
			continue;
		}
		while (i < text.n && !ends_word(text.p[i]))
			i++;
		s->doc->facts.hidden_octets += i - start;
	}
}

/* ---- links ---- */

static inline sixteen is_no_plain_url(sixteen c, sixteen next)
{
	return sixteen_is(c, '&') | sixteen_within(c, 0, ' ');
}

/* An attribute's value as the URL that a browser would follow: 13.2.5 and the URL standard, 4.4. */
static struct str attribute_url(struct scan *s, struct str raw)
{
	size_t readable = (size_t)(s->in.p + s->in.n - raw.p);
	if (raw.n <= LIMIT_URL_BYTES && sixteen_find(raw, 0, readable, is_no_plain_url) == raw.n)
		return raw;
	char *p = arena_alloc(s->arena, raw.n + ENTITY_MAX + 1);
	size_t n = 0, limit = raw.n < LIMIT_URL_BYTES ? raw.n : LIMIT_URL_BYTES;

	for (size_t i = 0; i < raw.n && n < limit;) {
		size_t used = 0, got = 0;
		char utf8[ENTITY_MAX];
		if (raw.p[i] == '&')
			used = entity_decode(str_skip(raw, i), true, utf8, &got);
		if (!used) {
			utf8[0] = raw.p[i];
			used = got = 1;
		}
		i += used;
		if (got == 1 && (utf8[0] == '\t' || utf8[0] == '\n' || utf8[0] == '\r'))
			continue;
		if (!n && (unsigned char)utf8[0] <= ' ')
			continue;
		for (size_t k = 0; k < got && n < limit; k++)
			p[n++] = utf8[k];
	}
	while (n && (unsigned char)p[n - 1] <= ' ')
		n--;
	return str_from(p, n);
}

static bool has_scheme(struct str url)
{
	size_t i = 0;
	while (i < url.n && (char_is_alnum(url.p[i]) || url.p[i] == '+' || url.p[i] == '-' ||
		url.p[i] == '.'))
		i++;
	return i && i < url.n && url.p[i] == ':' && char_is_alpha(url.p[0]);
}

/* Joins a relative URL to <base>, as far as its host and folder go. */
static struct str absolute(struct scan *s, struct str url)
{
	struct str base = s->doc->base;
	size_t scheme = str_chr(base, ':');

	if (!base.n || has_scheme(url) || url.p[0] == '#' || scheme + 3 > base.n)
		return url;
	if (str_starts(url, "//"))
		return arena_printf(s->arena, "%.*s%.*s", STR_ARG(str_sub(base, 0, scheme + 1)),
			STR_ARG(url));
	size_t host = scheme + 3;
	size_t path = host + str_chr(str_skip(base, host), '/');
	size_t keep = path;
	if (url.p[0] != '/' && path < base.n)
		keep = str_rchr(base, '/');
	return arena_printf(s->arena, "%.*s%s%.*s", STR_ARG(str_sub(base, 0, keep)),
		url.p[0] == '/' ? "" : "/", STR_ARG(url));
}

/* True if it was kept, as the last of the list. */
static bool add_link(struct scan *s, struct str raw, enum mail_url_source source)
{
	struct html_doc *doc = s->doc;
	if (!raw.p || doc->links.n >= LIMIT_URLS)
		return false;
	struct str url = attribute_url(s, raw);
	if (!url.n)
		return false;
	if (doc->links.n == s->link_cap) {
		s->link_cap = s->link_cap ? s->link_cap * 2 : 16;
		doc->links.v = arena_grow(s->arena, doc->links.v, doc->links.n, s->link_cap,
			sizeof(*doc->links.v));
	}
	doc->links.v[doc->links.n++] = (struct html_link){ .url = absolute(s, url), .source = source };
	return true;
}

static void end_link(struct scan *s)
{
	if (!s->in_link)
		return;
	s->in_link = false;
	size_t start = s->link_start;
	while (start < s->n && is_space(s->out[start]))
		start++;
	if (start < s->n)
		s->doc->links.v[s->link].text = str_from(s->out + start, s->n - start);
}

static void start_link(struct scan *s, struct str href)
{
	end_link(s);
	if (!href.p)
		return;
	s->doc->facts.links++;
	if (!add_link(s, href, MAIL_URL_HREF))
		return;
	s->in_link = true;
	s->link = s->doc->links.n - 1;
	s->link_start = s->n;
}

/* "5; url='https://example.org/'" (WHATWG 4.2.5.3) */
static void meta_refresh(struct scan *s, struct str content)
{
	size_t at = str_ifind(content, STR("url"));
	if (at == content.n)
		return;
	struct str url = str_trim_crlf(str_skip(content, at + 3));
	if (!url.n || url.p[0] != '=')
		return;
	url = str_trim_crlf(str_skip(url, 1));
	if (url.n && (url.p[0] == '"' || url.p[0] == '\'')) {
		char quote = url.p[0];
		url = str_skip(url, 1);
		url = str_sub(url, 0, str_chr(url, quote));
	}
	add_link(s, url, MAIL_URL_OTHER);
}

static void count_image(struct scan *s, struct str src)
{
	s->doc->facts.images++;
	if (!add_link(s, src, MAIL_URL_SRC))
		return;
	struct str url = s->doc->links.v[s->doc->links.n - 1].url;
	if (str_istarts(url, "http:") || str_istarts(url, "https:") || str_starts(url, "//"))
		s->doc->facts.remote_images++;
}

static void note_element(struct scan *s, const struct html_token *t)
{
	const struct str *attribute = t->attributes;
	switch (t->tag) {
	case TAG_a:
		start_link(s, attribute[ATTRIBUTE_HREF]);
		break;
	case TAG_area:
	case TAG_link:
		if (t->tag == TAG_area && attribute[ATTRIBUTE_HREF].p)
			s->doc->facts.links++;
		add_link(s, attribute[ATTRIBUTE_HREF],
			t->tag == TAG_area ? MAIL_URL_HREF : MAIL_URL_OTHER);
		break;
	case TAG_img:
		count_image(s, attribute[ATTRIBUTE_SRC]);
		break;
	case TAG_form:
		s->doc->facts.forms++;
		add_link(s, attribute[ATTRIBUTE_ACTION], MAIL_URL_FORM);
		break;
	case TAG_script:
		s->doc->facts.scripts++;
		add_link(s, attribute[ATTRIBUTE_SRC], MAIL_URL_OTHER);
		break;
	case TAG_meta:
		if (str_ieq_c(str_trim(attribute[ATTRIBUTE_HTTP_EQUIV]), "refresh"))
			meta_refresh(s, attribute[ATTRIBUTE_CONTENT]);
		break;
	case TAG_base:
		if (!s->doc->base.n && attribute[ATTRIBUTE_HREF].p)
			s->doc->base = attribute_url(s, attribute[ATTRIBUTE_HREF]);
		break;
	default:
		add_link(s, attribute[ATTRIBUTE_SRC], MAIL_URL_SRC);
		break;
	}
	add_link(s, attribute[ATTRIBUTE_FORMACTION], MAIL_URL_FORM);
	add_link(s, attribute[ATTRIBUTE_BACKGROUND], MAIL_URL_SRC);
}

/* ---- tags ---- */

static void skip_raw(struct scan *s, enum html_tag tag)
{
	struct str content = html_token_raw(s->in, s->at, tag);
	s->at += content.n;
	if (tag == TAG_textarea)
		put_text(s, content, true);
	else if (tag == TAG_xmp || tag == TAG_plaintext)
		put_text(s, content, false);
}

static void start_tag(struct scan *s, const struct html_token *t)
{
	unsigned classes = html_token_classes(t->tag), set = 0, clear = 0;

	s->doc->facts.tags++;
	html_stack_give_way(&s->stack, t->tag);
	bool foreign = html_stack_is_foreign(&s->stack);
	if (classes & (BLOCK | CELL))
		widen_gap(s, classes & BLOCK ? GAP_LINE : GAP_BLANK);
	note_element(s, t);
	if ((classes & VOID) || (foreign && t->self_closing))
		return;
	if (t->attributes[ATTRIBUTE_STYLE].n)
		style_hides(t->attributes[ATTRIBUTE_STYLE], &set, &clear);
	if (t->attributes[ATTRIBUTE_HIDDEN].p)
		set |= STYLE_GONE;
	if ((classes & HIDDEN) && !t->attributes[ATTRIBUTE_OPEN].p)
		set |= STYLE_GONE;
	html_stack_open(&s->stack, t, set, clear);
	if ((classes & RAW) && !foreign)
		skip_raw(s, t->tag);
}

static void end_tag(struct scan *s, const struct html_token *t)
{
	unsigned classes = html_token_classes(t->tag);

	if (classes & (BLOCK | CELL))
		widen_gap(s, classes & BLOCK ? GAP_LINE : GAP_BLANK);
	if (t->tag == TAG_a)
		end_link(s);
	html_stack_close(&s->stack, t);
}

/* s->at stands on the name's first letter. */
static void read_tag(struct scan *s, bool end)
{
	struct html_token t;

	s->at = html_token_read(s->in, s->at, &t);
	if (end)
		end_tag(s, &t);
	else
		start_tag(s, &t);
}

/* ---- comments and the like ---- */

static void read_bogus_comment(struct scan *s)
{
	size_t end = str_chr(str_skip(s->in, s->at), '>');
	s->doc->facts.comments++;
	s->at += end;
	if (s->at < s->in.n)
		s->at++;
}

static void read_cdata(struct scan *s)
{
	struct str rest = str_skip(s->in, s->at);
	size_t end = str_find(rest, STR("]]>"));
	put_text(s, str_sub(rest, 0, end), false);
	s->at += end + 3 < rest.n ? end + 3 : rest.n;
}

/* s->at stands on a '<'. False if it is text. */
static bool read_markup(struct scan *s)
{
	struct str here = str_skip(s->in, s->at + 1);

	if (!here.n)
		return false;
	if (char_is_alpha(here.p[0])) {
		s->at += 1;
		read_tag(s, false);
	} else if (here.p[0] == '/' && here.n > 1) {
		s->at += 2;
		if (char_is_alpha(here.p[1]))
			read_tag(s, true);
		else
			read_bogus_comment(s);
	} else if (str_starts(here, "!--")) {
		s->doc->facts.comments++;
		s->at = html_token_comment_end(s->in, s->at + 4);
	} else if (html_stack_is_foreign(&s->stack) && str_starts(here, "![CDATA[")) {
		s->at += 9;
		read_cdata(s);
	} else if (here.p[0] == '!' || here.p[0] == '?') {
		s->at += 2;
		read_bogus_comment(s);
	} else {
		return false;
	}
	return true;
}

void html_scan(struct arena *arena, struct str in, struct html_doc *doc_r)
{
	*doc_r = (struct html_doc){ .facts.present = true };
	/* No reference decodes to more than half as much again as it is long. */
	size_t cap = in.n < LIMIT_TEXT_BYTES ? in.n + in.n / 2 + ENTITY_MAX : LIMIT_TEXT_BYTES;
	if (cap > LIMIT_TEXT_BYTES)
		cap = LIMIT_TEXT_BYTES;
	struct scan *s = ARENA_NEW(arena, struct scan);
	s->arena = arena;
	s->in = in;
	s->doc = doc_r;
	s->out = arena_alloc(arena, cap);
	s->cap = cap;

	while (s->at < in.n) {
		struct str rest = str_skip(in, s->at);
		size_t markup = str_chr(rest, '<');
		put_text(s, str_sub(rest, 0, markup), true);
		s->at += markup;
		if (s->at < in.n && !read_markup(s)) {
			put_text(s, str_sub(in, s->at, 1), false);
			s->at++;
		}
	}
	end_link(s);
	assert(s->n <= cap);
	doc_r->text = str_from(s->out, s->n);
}

struct str html_meta_charset(struct str in)
{
	struct str head = str_sub(in, 0, 1024);
	size_t at = 0;

	for (;;) {
		at += str_ifind(str_skip(head, at), STR("<meta"));
		if (at >= head.n)
			return STR("");
		struct html_token t;
		at = html_token_read(head, at + 1, &t);
		struct str charset = str_trim_crlf(t.attributes[ATTRIBUTE_CHARSET]);
		if (charset.n)
			return charset;
		if (!str_ieq_c(str_trim(t.attributes[ATTRIBUTE_HTTP_EQUIV]), "content-type"))
			continue;
		struct str content = t.attributes[ATTRIBUTE_CONTENT];
		size_t found = str_ifind(content, STR("charset="));
		if (found < content.n) {
			struct str rest = str_trim(str_skip(content, found + 8));
			return str_trim(str_sub(rest, 0, str_chr(rest, ';')));
		}
	}
}
