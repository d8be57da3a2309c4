#include "core/mail/html_token.h"

#include <endian.h>

#include "core/sixteen.h"

#define TAG_NAME_MAX (SIXTEEN - 1)
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

#define NAME(literal) { (literal), sizeof(literal) - 1 }
static const struct str attribute_names[ATTRIBUTE_COUNT] = {
	NAME("href"), NAME("src"), NAME("action"), NAME("style"), NAME("hidden"), NAME("content"),
	NAME("http-equiv"), NAME("charset"), NAME("background"), NAME("formaction"), NAME("open"),
};

unsigned html_token_classes(enum html_tag tag)
{
	return tags[tag].classes;
}

static uint64_t word_at(const char *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	return be64toh(w);
}

/* In lower case, filled up with NUL. `readable` octets can be read there, at least those of the name. */
static void lower_name(struct str name, size_t readable, char lower_r[SIXTEEN])
{
	static const uint8_t keep[2 * SIXTEEN] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
		255, 255, 255, 255, 255, 255 };
	char copy[SIXTEEN] = { 0 };
	if (readable < SIXTEEN)
		name.p = memcpy(copy, name.p, name.n);
	sixteen c = sixteen_load(name.p);
	c |= sixteen_within(c, 'A', 'Z') & ('a' - 'A');
	c &= sixteen_load((const char *)keep + SIXTEEN - name.n);
	memcpy(lower_r, &c, sizeof(c));
}

/*
 * How many rows come first is counted, a dozen at once and then one by one: which way a search would
 * go cannot be foreseen. No two names have the same first eight octets.
 */
static enum html_tag tag_find(struct str name, size_t readable)
{
	enum { DOZEN = 12 };
	char lower[TAG_NAME_MAX + 1];
	size_t before = 0, found;
	if (!name.n || name.n > TAG_NAME_MAX)
		return TAG_OTHER;
	lower_name(name, readable, lower);
	uint64_t head = word_at(lower);
	for (size_t row = DOZEN; row < TAG_OTHER; row += DOZEN)
		before += DOZEN * (head >= word_at(tags[row].name));
	found = before;
	for (size_t row = before + 1; row < before + DOZEN && row < TAG_OTHER; row++)
		found += head >= word_at(tags[row].name);
	bool same = memcmp(lower, tags[found].name, sizeof(lower)) == 0;
	return same ? (enum html_tag)found : TAG_OTHER;
}

static void keep_attribute(struct html_token *t, struct str name, struct str value)
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
	while (i < in.n && html_token_is_space(in.p[i]))
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
	while (i < in.n && in.p[i] != '>' && !html_token_is_space(in.p[i]))
		i++;
	*value_r = str_sub(in, start, i - start);
	return i;
}

static inline sixteen are_spaces(sixteen c)
{
	return sixteen_is(c, ' ') | sixteen_within(c, '\t', '\n') | sixteen_within(c, '\f', '\r');
}

static inline sixteen end_tag_name(sixteen c, sixteen next)
{
	return are_spaces(c) | sixteen_is(c, '/') | sixteen_is(c, '>');
}

static inline sixteen end_attribute_name(sixteen c, sixteen next)
{
	return end_tag_name(c, next) | sixteen_is(c, '=');
}

/* in.p[i] is what follows the tag's name. */
static size_t read_attributes(struct str in, size_t i, struct html_token *t)
{
	for (;;) {
		while (i < in.n && (html_token_is_space(in.p[i]) || in.p[i] == '/')) {
			t->self_closing = in.p[i] == '/' && i + 1 < in.n && in.p[i + 1] == '>';
			i++;
		}
		if (i >= in.n)
			return in.n;
		if (in.p[i] == '>')
			return i + 1;
		size_t start = i++; /* even a '=' may begin a name (13.2.5.32) */
		i = sixteen_find(in, i, in.n, end_attribute_name);
		struct str name = str_sub(in, start, i - start), value = str_sub(in, i, 0);
		size_t equals = skip_space(in, i);
		if (equals < in.n && in.p[equals] == '=')
			i = read_value(in, skip_space(in, equals + 1), &value);
		keep_attribute(t, name, value);
		if (i > in.n)
			i = in.n;
	}
}

size_t html_token_read(struct str in, size_t at, struct html_token *token_r)
{
	size_t i = sixteen_find(in, at, in.n, end_tag_name);

	*token_r = (struct html_token){ .name = str_sub(in, at, i - at) };
	token_r->tag = tag_find(token_r->name, in.n - at);
	return read_attributes(in, i, token_r);
}

struct str html_token_raw(struct str in, size_t at, enum html_tag tag)
{
	struct str rest = str_skip(in, at);
	size_t name_n = strlen(tags[tag].name);
	bool escaped = false, nested = false; /* <!-- and <script> in it (13.2.5.20, 13.2.5.27) */

	if (tag == TAG_plaintext)
		return rest;
	for (size_t i = 0; i < rest.n; i++) {
		if (!escaped)
			i += str_chr(str_skip(rest, i), '<');
		else if (rest.p[i] == '-' && str_starts(str_skip(rest, i), "-->"))
			escaped = nested = false;
		if (i == rest.n || rest.p[i] != '<')
			continue;
		struct str here = str_skip(rest, i + 1);
		if (tag == TAG_script && str_starts(here, "!--"))
			escaped = true;
		bool end = here.n && here.p[0] == '/';
		struct str name = str_sub(here, end, name_n);
		char next = here.n > end + name_n ? here.p[end + name_n] : 0;
		bool whole = html_token_is_space(next) || next == '/' || next == '>';
		if (!whole || !str_ieq_c(name, tags[tag].name))
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

/* `-->` and `--!>` end it, and `>` or `->` at once (13.2.5.43 on). */
size_t html_token_comment_end(struct str in, size_t at)
{
	struct str rest = str_skip(in, at);

	if (str_starts(rest, ">") || str_starts(rest, "->"))
		return at + (rest.p[0] == '>' ? 1 : 2);
	for (size_t i = 0; i < rest.n;) {
		size_t dash = str_chr(str_skip(rest, i), '-') + i;
		struct str tail = str_skip(rest, dash);
		if (str_starts(tail, "-->") || str_starts(tail, "--!>"))
			return at + dash + (tail.p[2] == '>' ? 3 : 4);
		i = dash + 1;
	}
	return in.n;
}
