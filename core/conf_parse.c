#include "core/conf_tree.h"

#include "core/buf.h"

#define DEPTH_MAX 8

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_EQUALS,
	TOKEN_COMMA,
};

struct token {
	enum token_kind kind;
	const char *text; /* WORD, STRING */
	struct conf_place place;
};

struct parser {
	struct conf *conf; /* NULL when a row's default is read: then errors only count */
	struct arena *arena;
	struct str rest;
	struct conf_place place; /* of rest */
	struct token t;		 /* the one token of look-ahead */
	unsigned error_count;
};

__attribute__((format(printf, 3, 4)))
static void fail(struct parser *p, struct conf_place place, const char *fmt, ...)
{
	p->error_count++;
	if (!p->conf)
		return;
	va_list ap;
	va_start(ap, fmt);
	conf_tree_message(p->conf, &p->conf->errors, place, fmt, ap);
	va_end(ap);
}

static const char *show(struct parser *p, const char *text)
{
	return p->conf ? conf_tree_show(p->conf, text) : text;
}

/* ---- tokens ---- */

static void advance(struct parser *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p->rest.p[i];
		if (c == '\n') {
			p->place.line++;
			p->place.column = 1;
		} else if ((c & 0xc0) != 0x80) {
			/* a character counts once, not its continuation octets */
			p->place.column++;
		}
	}
	p->rest = str_skip(p->rest, n);
}

static void skip_space(struct parser *p)
{
	while (p->rest.n) {
		char c = p->rest.p[0];
		if (c == '#') {
			advance(p, str_chr(p->rest, '\n'));
		} else if (char_is_wsp(c) || c == '\n' || c == '\r') {
			advance(p, 1);
		} else {
			break;
		}
	}
}

static bool is_word(char c)
{
	return (unsigned char)c > 0x20 && c != 0x7f && !memchr("\"{}=,#;", c, 7);
}

/* One escape after a backslash. Only what must be escaped can be. */
static void lex_escape(struct parser *p, struct buf *b)
{
	if (p->rest.n > 1 && (p->rest.p[1] == '"' || p->rest.p[1] == '\\')) {
		buf_char(b, p->rest.p[1]);
		advance(p, 2);
		return;
	}
	fail(p, p->place, "a backslash in a string stands before \\ or \" only: write \\\\ for one");
	advance(p, 1);
}

static void lex_string(struct parser *p, struct token *t)
{
	struct buf b = BUF_INIT;
	bool closed = false;
	advance(p, 1);
	while (p->rest.n && p->rest.p[0] != '\n' && !closed) {
		char c = p->rest.p[0];
		if (c == '\\') {
			lex_escape(p, &b);
			continue;
		}
		if (c == '"')
			closed = true;
		else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
			fail(p, p->place, "control character %#x in a string", (unsigned char)c);
		else
			buf_char(&b, c);
		advance(p, 1);
	}
	if (!closed)
		fail(p, t->place, "this string is not closed on its line: a \" is missing");
	t->kind = TOKEN_STRING;
	t->text = arena_cstr(p->arena, buf_str(&b));
	buf_free(&b);
}

static void lex_word(struct parser *p, struct token *t)
{
	size_t n = 0;
	while (n < p->rest.n && is_word(p->rest.p[n]))
		n++;
	t->kind = TOKEN_WORD;
	t->text = arena_cstr(p->arena, str_sub(p->rest, 0, n));
	advance(p, n);
}

static void lex_bad(struct parser *p)
{
	unsigned char c = (unsigned char)p->rest.p[0];
	if (c == ';')
		fail(p, p->place, "no \";\" is needed here: nothing separates values");
	else
		fail(p, p->place, "control character %#x outside of a string", c);
	while (p->rest.n && (unsigned char)p->rest.p[0] == c)
		advance(p, 1);
}

static void next(struct parser *p)
{
	static const struct {
		char c;
		enum token_kind kind;
	} marks[] = { { '{', TOKEN_OPEN }, { '}', TOKEN_CLOSE }, { '=', TOKEN_EQUALS },
		{ ',', TOKEN_COMMA } };

	for (;;) {
		skip_space(p);
		p->t = (struct token){ TOKEN_END, "", p->place };
		if (!p->rest.n)
			return;
		char c = p->rest.p[0];
		for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
			if (marks[i].c == c) {
				p->t.kind = marks[i].kind;
				advance(p, 1);
				return;
			}
		}
		if (c == '"') {
			lex_string(p, &p->t);
			return;
		}
		if (is_word(c)) {
			lex_word(p, &p->t);
			return;
		}
		lex_bad(p);
	}
}

/* After an error: to the next line, or past what was opened on this one, so that one
 * mistake gives one message. */
static void recover(struct parser *p)
{
	unsigned line = p->t.place.line, depth = 0;
	while (p->t.kind != TOKEN_END) {
		if (!depth && (p->t.place.line != line || p->t.kind == TOKEN_CLOSE))
			return;
		if (p->t.kind == TOKEN_OPEN)
			depth++;
		else if (p->t.kind == TOKEN_CLOSE)
			depth--;
		next(p);
	}
}

/* ---- values ---- */

static void set_scalar(struct parser *p, struct conf_value *v)
{
	v->kind = p->t.kind == TOKEN_STRING ? CONF_STRING : CONF_WORD;
	v->text = p->t.text;
	v->place = p->t.place;
	next(p);
}

static bool parse_list(struct parser *p, struct conf_value *v)
{
	size_t cap = 0;
	v->kind = CONF_LIST;
	v->text = "";
	v->place = p->t.place;
	next(p);
	for (;;) {
		switch (p->t.kind) {
		case TOKEN_CLOSE:
			next(p);
			return true;
		case TOKEN_COMMA:
			next(p);
			break;
		case TOKEN_STRING:
		case TOKEN_WORD:
			if (v->n == cap) {
				size_t more = cap ? cap + cap / 2 : 4;
				v->items = arena_grow(p->arena, v->items, cap, more,
					sizeof(v->items[0]));
				cap = more;
			}
			set_scalar(p, &v->items[v->n++]);
			break;
		case TOKEN_END:
			fail(p, v->place, "this list is not closed: a } is missing");
			return false;
		case TOKEN_OPEN:
		case TOKEN_EQUALS:
			fail(p, p->t.place,
				"a list holds strings: is the } of the list at line %u missing?",
				v->place.line);
			return false;
		}
	}
}

static bool parse_value(struct parser *p, struct conf_value *v)
{
	*v = (struct conf_value){ .text = "" };
	if (p->t.kind == TOKEN_STRING || p->t.kind == TOKEN_WORD) {
		set_scalar(p, v);
		return true;
	}
	if (p->t.kind == TOKEN_OPEN)
		return parse_list(p, v);
	fail(p, p->t.place, "a value is missing here: a string in quotes, a number, true, false, "
		"or a list in braces");
	return false;
}

/* ---- keys and sections ---- */

static bool is_name(const char *name)
{
	for (; *name; name++)
		if (!char_is_alnum(*name) && !memchr("_-.", *name, 3))
			return false;
	return true;
}

static void parse_key(struct parser *p, struct conf_section *in, struct token name)
{
	struct conf_key *key = ARENA_NEW(p->arena, struct conf_key), *first;
	key->name = name.text;
	key->place = name.place;
	next(p);
	if (!parse_value(p, &key->value)) {
		recover(p);
		return;
	}
	if (key->value.kind == CONF_WORD && p->t.kind == TOKEN_EQUALS) {
		/* key =, and the next line begins with a key */
		fail(p, name.place, "\"%s\" has no value behind its =", show(p, key->name));
		recover(p);
		return;
	}
	first = conf_tree_find(p->conf, in, key->name, NULL);
	if (first) {
		fail(p, name.place, "\"%s\" stands twice: the first is at line %u",
			show(p, key->name), first->place.line);
		return;
	}
	*in->keys_end = key;
	in->keys_end = &key->next;
	conf_tree_insert(p->conf, in, key->name, NULL, key);
}

static struct conf_section *add_section(struct parser *p, struct conf_section *in,
	struct token name, const char *title)
{
	struct conf_section *s = ARENA_NEW(p->arena, struct conf_section), *first;
	s->conf = p->conf;
	s->parent = in;
	s->name = name.text;
	s->title = title;
	s->place = name.place;
	s->keys_end = &s->keys;
	s->sections_end = &s->sections;
	first = conf_tree_find(p->conf, in, s->name, title);
	if (first && *title) {
		fail(p, name.place, "section \"%s\" with the title \"%s\" stands twice: the first "
			"is at line %u", show(p, s->name), show(p, title), first->place.line);
	} else if (first) {
		fail(p, name.place, "section \"%s\" stands twice: the first is at line %u",
			show(p, s->name), first->place.line);
	} else {
		*in->sections_end = s;
		in->sections_end = &s->next;
		conf_tree_insert(p->conf, in, s->name, title, s);
	}
	return s;
}

static void parse_entry(struct parser *p, struct conf_section *in, struct conf_section **open_r)
{
	struct token name = p->t;
	const char *title = "";
	if (!is_name(name.text))
		fail(p, name.place, "\"%s\" is no name: letters, digits, \"_\", \"-\" and \".\" are; "
			"other text stands in quotes", show(p, name.text));
	next(p);
	if (p->t.kind == TOKEN_EQUALS) {
		parse_key(p, in, name);
		return;
	}
	if (p->t.kind == TOKEN_STRING) {
		title = p->t.text;
		next(p);
	}
	if (p->t.kind == TOKEN_OPEN) {
		next(p);
		*open_r = add_section(p, in, name, title);
		return;
	}
	if (p->t.kind == TOKEN_WORD && p->t.place.line == name.place.line)
		fail(p, p->t.place, "the title of a section stands in quotes: \"%s\"",
			show(p, p->t.text));
	else if (*title)
		fail(p, p->t.place, "after the title of section \"%s\" comes {, or did you mean "
			"%s = \"%s\"?", show(p, name.text), show(p, name.text), show(p, title));
	else
		fail(p, p->t.place, "after \"%s\" comes = and a value, or { for a section",
			show(p, name.text));
	if (p->t.place.line == name.place.line)
		recover(p);
}

static void parse_file(struct parser *p)
{
	struct conf_section *in = &p->conf->root;
	unsigned depth = 0;
	for (;;) {
		struct conf_section *open = NULL;
		switch (p->t.kind) {
		case TOKEN_END:
			if (in->parent)
				fail(p, in->place, "section \"%s\" is not closed: a } is missing",
					show(p, in->name));
			return;
		case TOKEN_CLOSE:
			if (in->parent) {
				in = in->parent;
				depth--;
			} else {
				fail(p, p->t.place, "this } closes nothing");
			}
			next(p);
			break;
		case TOKEN_WORD:
			parse_entry(p, in, &open);
			break;
		case TOKEN_STRING:
			fail(p, p->t.place, "a key or section is named without quotes");
			recover(p);
			break;
		case TOKEN_OPEN:
		case TOKEN_EQUALS:
		case TOKEN_COMMA:
			fail(p, p->t.place, "a key or section begins with its name");
			recover(p);
			break;
		}
		if (!open)
			continue;
		if (++depth > DEPTH_MAX) {
			fail(p, open->place, "sections are nested more than %d deep", DEPTH_MAX);
			return;
		}
		in = open;
	}
}

/* The place of the first octet that is not UTF-8, so that it can be found in an editor. */
static bool check_utf8(struct parser *p)
{
	struct parser at = *p;
	if (str_is_utf8(p->rest))
		return true;
	while (at.rest.n) {
		size_t n = 1;
		while (n <= 4 && n <= at.rest.n && !str_is_utf8(str_sub(at.rest, 0, n)))
			n++;
		if (n > 4 || n > at.rest.n)
			break;
		advance(&at, n);
	}
	fail(p, at.place, "this file is text in UTF-8, and here it is not");
	return false;
}

struct conf *conf_parse(struct str text, const char *file, struct arena *arena)
{
	struct conf *conf = ARENA_NEW(arena, struct conf);
	struct parser p = { .conf = conf, .arena = arena, .rest = text, .place = { 1, 1 } };
	conf->arena = arena;
	conf->file = arena_cstr(arena, str_c(file));
	conf->root = (struct conf_section){ .conf = conf, .name = "", .title = "",
		.place = { 1, 1 } };
	conf->root.keys_end = &conf->root.keys;
	conf->root.sections_end = &conf->root.sections;
	if (str_starts(text, "\xef\xbb\xbf"))
		p.rest = str_skip(text, 3);
	if (text.n > LIMIT_CONFIG_BYTES) {
		fail(&p, p.place, "the file is larger than %u MB", LIMIT_CONFIG_BYTES >> 20);
	} else if (check_utf8(&p)) {
		next(&p);
		parse_file(&p);
	}
	return conf;
}

int conf_tree_value(struct arena *arena, const char *text, struct conf_value *value_r)
{
	struct parser p = { .arena = arena, .rest = str_c(text), .place = { 1, 1 } };
	next(&p);
	if (!parse_value(&p, value_r) || p.t.kind != TOKEN_END || p.error_count)
		return -1;
	return 0;
}
