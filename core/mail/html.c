#include "core/mail/html.h"

#include <assert.h>
#include <endian.h>

#include "core/limits.h"
#include "core/mail/entity.h"
#include "core/mail/style.h"

/* Classes of elements, as the standard's tree construction (13.2.6) treats them. */
enum tag_class {
	PLAIN = 0,
	VOID = 1 << 0,	   /* has no content and no end tag */
	BLOCK = 1 << 1,	   /* stands on lines of its own */
	CELL = 1 << 2,	   /* a blank to its neighbours */
	CLOSES_P = 1 << 3, /* ends an open <p> */
	SPECIAL = 1 << 4,  /* end tags of plain elements do not reach past it */
	FORMAT = 1 << 5,   /* its end tag reaches past special elements (adoption agency) */
	SCOPE = 1 << 6,	   /* no end tag reaches past it but those of tables' parts */
	BUTTON = 1 << 7,   /* ends the scope of <p> too */
	RAW = 1 << 8,	   /* no markup inside */
	BREAKOUT = 1 << 9, /* ends <svg> and <math> */
	HIDDEN = 1 << 10,  /* never shown */
	FOREIGN = 1 << 11, /* of <svg> or <math>, or a way back from there to HTML */
};

#define TAG(name, classes) TAG_##name,
enum tag {
#include "core/mail/html_tags.def"
	TAG_OTHER,
	TAG_COUNT
};
#undef TAG

#define TAG_NAME_MAX 15
struct tag_row {
	char name[TAG_NAME_MAX + 1]; /* filled up with NUL, so that it compares as two words */
	unsigned classes;
};
#define TAG(name, classes) { #name, classes },
static const struct tag_row tags[TAG_COUNT] = {
#include "core/mail/html_tags.def"
	{ "", PLAIN },
};
#undef TAG

/* The attributes that matter; of one that stands twice, the first counts (13.2.5.33). */
enum attribute {
	ATTRIBUTE_HREF,
	ATTRIBUTE_SRC,
	ATTRIBUTE_ACTION,
	ATTRIBUTE_STYLE,
	ATTRIBUTE_HIDDEN,
	ATTRIBUTE_CONTENT,
	ATTRIBUTE_HTTP_EQUIV,
	ATTRIBUTE_CHARSET,
	ATTRIBUTE_BACKGROUND,
	ATTRIBUTE_FORMACTION,
	ATTRIBUTE_OPEN,
	ATTRIBUTE_COUNT
};
#define NAME(literal) { (literal), sizeof(literal) - 1 }
static const struct str attribute_names[ATTRIBUTE_COUNT] = {
	NAME("href"), NAME("src"), NAME("action"), NAME("style"), NAME("hidden"), NAME("content"),
	NAME("http-equiv"), NAME("charset"), NAME("background"), NAME("formaction"), NAME("open"),
};

struct element {
	enum tag tag;
	struct str name;    /* of TAG_OTHER */
	unsigned hiding;    /* bits of enum style_hiding that hold inside */
	unsigned set, clear; /* its own share of them */
};

struct token {
	enum tag tag;
	struct str name;
	bool end, self_closing;
	struct str attributes[ATTRIBUTE_COUNT]; /* raw; p NULL: absent */
};

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
	/* open elements */
	struct element stack[LIMIT_HTML_DEPTH];
	size_t depth;
	unsigned short open[TAG_COUNT]; /* how many of each are on the stack */
	/* the <a> that is open */
	bool in_link;
	size_t link, link_start;
	size_t link_cap;
};

/* ---- text ---- */

static unsigned hiding(const struct scan *s)
{
	return s->depth ? s->stack[s->depth - 1].hiding : 0;
}

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

/* What every octet is asked, so by table. */
enum { OCTET_SPACE = 1, OCTET_STOP = 2 };
static const unsigned char octets[256] = {
	['\0'] = OCTET_STOP,		     ['&'] = OCTET_STOP,
	[' '] = OCTET_SPACE | OCTET_STOP,    ['\t'] = OCTET_SPACE | OCTET_STOP,
	['\n'] = OCTET_SPACE | OCTET_STOP,   ['\r'] = OCTET_SPACE | OCTET_STOP,
	['\f'] = OCTET_SPACE | OCTET_STOP,
};

static bool is_space(char c)
{
	return octets[(unsigned char)c] & OCTET_SPACE;
}

static bool ends_word(char c)
{
	return octets[(unsigned char)c] & OCTET_STOP;
}

/* A blank between two words, which stays what it is. */
static bool is_lone_blank(struct str text, size_t i)
{
	return text.p[i] == ' ' && i + 1 < text.n && !ends_word(text.p[i + 1]);
}

/* Character data: white space collapsed, references decoded if `decode`. */
static void put_text(struct scan *s, struct str text, bool decode)
{
	bool shown = !hiding(s), pre = s->open[TAG_pre] || s->open[TAG_textarea];
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
		while (i < text.n && (!ends_word(text.p[i]) || (shown && is_lone_blank(text, i))))
			i++;
		if (shown)
			put(s, text.p + start, i - start);
		else
			s->doc->facts.hidden_octets += i - start;
	}
}

/* ---- the stack of open elements ---- */

static void recompute(struct scan *s, size_t from)
{
	for (size_t i = from; i < s->depth; i++) {
		struct element *e = &s->stack[i];
		unsigned inherited = i ? s->stack[i - 1].hiding : 0;
		e->hiding = (inherited & ~e->clear) | e->set;
	}
}

static void push(struct scan *s, const struct token *t, unsigned set, unsigned clear)
{
	if (s->depth == LIMIT_HTML_DEPTH)
		return;
	struct element *e = &s->stack[s->depth++];
	*e = (struct element){ .tag = t->tag, .set = set, .clear = clear };
	if (t->tag == TAG_OTHER)
		e->name = t->name;
	s->open[t->tag]++;
	recompute(s, s->depth - 1);
}

static void pop_to(struct scan *s, size_t depth)
{
	while (s->depth > depth)
		s->open[s->stack[--s->depth].tag]--;
}

/* Takes one element out and leaves what is inside it open: the adoption agency's effect. */
static void take_out(struct scan *s, size_t at)
{
	s->open[s->stack[at].tag]--;
	memmove(&s->stack[at], &s->stack[at + 1], (s->depth - at - 1) * sizeof(s->stack[0]));
	s->depth--;
	recompute(s, at);
}

static unsigned classes_of(enum tag tag)
{
	return tags[tag].classes;
}

/* Ends the innermost `tag` that lies above every element of the classes `stop`, and all in it. */
static void close_within(struct scan *s, enum tag tag, unsigned stop)
{
	if (!s->open[tag])
		return;
	for (size_t i = s->depth; i-- > 0;) {
		if (s->stack[i].tag == tag) {
			pop_to(s, i);
			return;
		}
		if (classes_of(s->stack[i].tag) & stop)
			return;
	}
}

/* The same for parts of a table, which only a table contains. */
static void close_in_table(struct scan *s, enum tag tag)
{
	if (!s->open[tag])
		return;
	for (size_t i = s->depth; i-- > 0;) {
		if (s->stack[i].tag == tag) {
			pop_to(s, i);
			return;
		}
		if (s->stack[i].tag == TAG_table || s->stack[i].tag == TAG_template)
			return;
	}
}

static void close_format(struct scan *s, enum tag tag)
{
	if (!s->open[tag])
		return;
	for (size_t i = s->depth; i-- > 0;) {
		if (s->stack[i].tag == tag) {
			take_out(s, i);
			return;
		}
		if (classes_of(s->stack[i].tag) & SCOPE)
			return;
	}
}

static void close_plain(struct scan *s, const struct token *t)
{
	if (!s->open[t->tag])
		return;
	for (size_t i = s->depth; i-- > 0;) {
		const struct element *e = &s->stack[i];
		if (e->tag == t->tag && (e->tag != TAG_OTHER || str_ieq(e->name, t->name))) {
			pop_to(s, i);
			return;
		}
		if (classes_of(e->tag) & SPECIAL)
			return;
	}
}

/* What an open element must give way to when this one starts (13.2.6.4.7 and on). */
static void close_implied(struct scan *s, enum tag tag)
{
	if (classes_of(tag) & CLOSES_P)
		close_within(s, TAG_p, SCOPE | BUTTON);
	switch (tag) {
	case TAG_li:
		close_within(s, TAG_li, SCOPE);
		break;
	case TAG_dd:
	case TAG_dt:
		close_within(s, TAG_dd, SCOPE);
		close_within(s, TAG_dt, SCOPE);
		break;
	case TAG_option:
	case TAG_optgroup:
		close_within(s, TAG_option, SPECIAL & ~SCOPE);
		break;
	case TAG_td:
	case TAG_th:
		close_in_table(s, TAG_td);
		close_in_table(s, TAG_th);
		break;
	case TAG_tbody:
	case TAG_thead:
	case TAG_tfoot:
		close_in_table(s, TAG_tbody);
		close_in_table(s, TAG_thead);
		close_in_table(s, TAG_tfoot);
		close_in_table(s, TAG_tr);
		break;
	case TAG_tr:
		close_in_table(s, TAG_tr);
		break;
	default:
		break;
	}
}

static bool in_foreign(const struct scan *s)
{
	return (s->open[TAG_svg] || s->open[TAG_math]) && !s->open[TAG_foreignobject] &&
		!s->open[TAG_desc];
}

/* ---- links ---- */

/* An attribute's value as the URL that a browser would follow: 13.2.5 and the URL standard, 4.4. */
static struct str attribute_url(struct scan *s, struct str raw)
{
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

static void note_element(struct scan *s, const struct token *t)
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

static uint64_t word_at(const char *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	return be64toh(w);
}

static enum tag tag_find(struct str name)
{
	if (!name.n || name.n > TAG_NAME_MAX)
		return TAG_OTHER;
	char lower[TAG_NAME_MAX + 1] = { 0 };
	for (size_t i = 0; i < name.n; i++)
		lower[i] = char_lower(name.p[i]);

	uint64_t head = word_at(lower), tail = word_at(lower + 8);
	size_t low = 0, high = TAG_OTHER;
	while (low < high) {
		size_t mid = (low + high) / 2;
		uint64_t row = word_at(tags[mid].name), row_tail = word_at(tags[mid].name + 8);
		if (head == row && tail == row_tail)
			return (enum tag)mid;
		if (head < row || (head == row && tail < row_tail))
			high = mid;
		else
			low = mid + 1;
	}
	return TAG_OTHER;
}

static void keep_attribute(struct token *t, struct str name, struct str value)
{
	/* All that matter are known by length and first letter; most are refused here. */
	for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
		if (name.n == attribute_names[i].n &&
			char_lower(name.p[0]) == attribute_names[i].p[0] &&
			str_ieq(name, attribute_names[i])) {
			if (!t->attributes[i].p)
				t->attributes[i] = value;
			return;
		}
	}
}

static size_t skip_space(struct str in, size_t i)
{
	while (i < in.n && is_space(in.p[i]))
		i++;
	return i;
}

/* An attribute's value: in.p[i] is what follows the '=' and blanks. Returns what follows it. */
static size_t read_value(struct str in, size_t i, struct str *value_r)
{
	if (i < in.n && (in.p[i] == '"' || in.p[i] == '\'')) {
		struct str rest = str_skip(in, i + 1);
		size_t end = str_chr(rest, in.p[i]);
		*value_r = str_sub(rest, 0, end);
		return i + 1 + end + 1;
	}
	size_t start = i;
	while (i < in.n && in.p[i] != '>' && !is_space(in.p[i]))
		i++;
	*value_r = str_sub(in, start, i - start);
	return i;
}

/* in.p[i] is what follows the tag's name. Returns what follows its '>', or in.n: then it never
 * ended, and is no tag for a browser; its links are looked at all the same. */
static size_t read_attributes(struct str in, size_t i, struct token *t)
{
	for (;;) {
		while (i < in.n && (is_space(in.p[i]) || in.p[i] == '/')) {
			t->self_closing = in.p[i] == '/' && i + 1 < in.n && in.p[i + 1] == '>';
			i++;
		}
		if (i >= in.n)
			return in.n;
		if (in.p[i] == '>')
			return i + 1;
		size_t start = i++; /* even a '=' may begin a name (13.2.5.32) */
		while (i < in.n && !is_space(in.p[i]) && in.p[i] != '/' && in.p[i] != '>' &&
			in.p[i] != '=')
			i++;
		struct str name = str_sub(in, start, i - start), value = str_sub(in, i, 0);
		size_t equals = skip_space(in, i);
		if (equals < in.n && in.p[equals] == '=')
			i = read_value(in, skip_space(in, equals + 1), &value);
		keep_attribute(t, name, value);
		if (i > in.n)
			i = in.n;
	}
}

/* The content of elements without markup: up to their end tag, or the end. */
static struct str raw_content(struct scan *s, enum tag tag)
{
	struct str rest = str_skip(s->in, s->at);
	size_t name_n = strlen(tags[tag].name);
	bool escaped = false, nested = false; /* <!-- and <script> in it (13.2.5.20, 13.2.5.27) */

	if (tag == TAG_plaintext)
		return rest;
	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] == '-' && escaped && str_starts(str_skip(rest, i), "-->"))
			escaped = nested = false;
		if (rest.p[i] != '<')
			continue;
		struct str here = str_skip(rest, i + 1);
		if (tag == TAG_script && str_starts(here, "!--"))
			escaped = true;
		bool end = here.n && here.p[0] == '/';
		struct str name = str_sub(here, end, name_n);
		char next = here.n > end + name_n ? here.p[end + name_n] : 0;
		if (!str_ieq_c(name, tags[tag].name) || !(is_space(next) || next == '/' || next == '>'))
			continue;
		if (!end)
			nested = escaped;
		else if (nested)
			nested = false;
		else
			return str_sub(rest, 0, i);
	}
	return rest;
}

static void skip_raw(struct scan *s, enum tag tag)
{
	struct str content = raw_content(s, tag);
	s->at += content.n;
	if (tag == TAG_textarea)
		put_text(s, content, true);
	else if (tag == TAG_xmp || tag == TAG_plaintext)
		put_text(s, content, false);
}

static void start_tag(struct scan *s, const struct token *t)
{
	unsigned classes = classes_of(t->tag), set = 0, clear = 0;

	s->doc->facts.tags++;
	if (in_foreign(s) && (classes & BREAKOUT)) {
		close_within(s, TAG_svg, 0);
		close_within(s, TAG_math, 0);
	}
	bool foreign = in_foreign(s);
	close_implied(s, t->tag);
	if (t->tag == TAG_a)
		close_format(s, TAG_a);
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
	push(s, t, set, clear);
	if ((classes & RAW) && !foreign)
		skip_raw(s, t->tag);
}

static void end_tag(struct scan *s, const struct token *t)
{
	unsigned classes = classes_of(t->tag);

	if (classes & (BLOCK | CELL))
		widen_gap(s, classes & BLOCK ? GAP_LINE : GAP_BLANK);
	if (t->tag == TAG_a)
		end_link(s);
	switch (t->tag) {
	case TAG_body:
	case TAG_html:
		/* What follows is still of the body (13.2.6.4.19). */
		return;
	case TAG_tr:
	case TAG_td:
	case TAG_th:
	case TAG_tbody:
	case TAG_thead:
	case TAG_tfoot:
	case TAG_caption:
		close_in_table(s, t->tag);
		return;
	case TAG_table:
	case TAG_template:
		close_within(s, t->tag, 0);
		return;
	case TAG_p:
		close_within(s, TAG_p, SCOPE | BUTTON);
		return;
	default:
		break;
	}
	if (classes & FORMAT)
		close_format(s, t->tag);
	else if (classes & SPECIAL)
		close_within(s, t->tag, SCOPE);
	else
		close_plain(s, t);
}

/* s->at stands on the name's first letter. */
static void read_tag(struct scan *s, bool end)
{
	struct token t = { .end = end };
	size_t start = s->at, i = start;

	while (i < s->in.n && !is_space(s->in.p[i]) && s->in.p[i] != '/' && s->in.p[i] != '>')
		i++;
	t.name = str_sub(s->in, start, i - start);
	t.tag = tag_find(t.name);
	s->at = read_attributes(s->in, i, &t);
	if (end)
		end_tag(s, &t);
	else
		start_tag(s, &t);
}

/* ---- comments and the like ---- */

/* s->at stands behind "<!--". `-->` and `--!>` end it, and `>` or `->` at once (13.2.5.43 on). */
static void read_comment(struct scan *s)
{
	struct str rest = str_skip(s->in, s->at);

	s->doc->facts.comments++;
	if (str_starts(rest, ">") || str_starts(rest, "->")) {
		s->at += rest.p[0] == '>' ? 1 : 2;
		return;
	}
	for (size_t i = 0; i < rest.n;) {
		size_t dash = str_chr(str_skip(rest, i), '-') + i;
		struct str tail = str_skip(rest, dash);
		if (str_starts(tail, "-->") || str_starts(tail, "--!>")) {
			s->at += dash + (tail.p[2] == '>' ? 3 : 4);
			return;
		}
		i = dash + 1;
	}
	s->at = s->in.n;
}

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
		s->at += 4;
		read_comment(s);
	} else if (in_foreign(s) && str_starts(here, "![CDATA[")) {
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
			put_text(s, STR("<"), false);
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
		struct token t = { .end = false };
		at += 5;
		at = read_attributes(head, at, &t);
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
