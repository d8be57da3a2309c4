#include "core/mail/tags.h"

static bool is_name(struct str s)
{
	if (s.n == 0 || !char_is_alpha(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!char_is_alnum(s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

/* Octets above ASCII are allowed: d=, s= and i= may hold UTF-8 (RFC 8616 section 5). */
static bool is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
			return false;
	}
	return true;
}

int tags_parse(struct str text, struct arena *arena, struct tags *tags_r)
{
	struct str rest = text, spec;
	struct tag tags[TAGS_MAX];
	size_t n = 0;

	while (str_cut(&rest, ';', &spec)) {
		spec = str_trim_crlf(spec);
		if (spec.n == 0 && !rest.p) /* the list may end with a ';' */
			break;
		size_t equals = str_chr(spec, '=');
		struct str name = str_trim_crlf(str_sub(spec, 0, equals));
		if (equals == spec.n || !is_name(name) || n == TAGS_MAX)
			return -1;
		for (size_t i = 0; i < n; i++)
			if (str_eq(tags[i].name, name))
				return -1;
		tags[n] = (struct tag){ name, str_trim_crlf(str_skip(spec, equals + 1)) };
		if (!is_value(tags[n++].value))
			return -1;
	}
	tags_r->list.n = n;
	tags_r->list.v = ARENA_ARRAY(arena, n + 1, struct tag);
	if (n)
		memcpy(tags_r->list.v, tags, n * sizeof(tags[0]));
	return 0;
}

struct str tags_get(const struct tags *tags, const char *name)
{
	for (size_t i = 0; i < tags->list.n; i++)
		if (str_eq_c(tags->list.v[i].name, name))
			return tags->list.v[i].value;
	return (struct str){ NULL, 0 };
}

struct str tags_squeeze(struct str value, struct arena *arena)
{
	char *out = arena_alloc(arena, value.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++)
		if (!char_is_wsp(value.p[i]) && value.p[i] != '\r' && value.p[i] != '\n')
			out[n++] = value.p[i];
	return str_from(out, n);
}
