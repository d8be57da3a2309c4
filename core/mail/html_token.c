#include "core/mail/html_token.h"

#include <endian.h>

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

static enum html_tag tag_find(struct str name)
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
			return (enum html_tag)mid;
		if (head < row || (head == row && tail < row_tail))
			high = mid;
		else
			low = mid + 1;
	}
	return TAG_OTHER;
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
		while (i < in.n && !html_token_is_space(in.p[i]) && in.p[i] != '/' && in.p[i] != '>' &&
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

size_t html_token_read(struct str in, size_t at, struct html_token *token_r)
{
	size_t i = at;

	while (i < in.n && !html_token_is_space(in.p[i]) && in.p[i] != '/' && in.p[i] != '>')
		i++;
	*token_r = (struct html_token){ .name = str_sub(in, at, i - at) };
	token_r->tag = tag_find(token_r->name);
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
