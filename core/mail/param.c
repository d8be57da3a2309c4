#include "core/mail/param.h"

#include "core/mail/anomaly.h"
#include "core/mail/charset.h"

struct cursor {
	struct arena *arena;
	struct str rest;
	struct mail_params *out;
	bool unbalanced; /* a comment did not end */
};

static char peek(const struct cursor *c)
{
	return c->rest.n ? c->rest.p[0] : '\0';
}

/* Behind the comment that starts the rest, or 0 if it never ends. */
static size_t comment_length(struct str rest)
{
	size_t i = 0, depth = 0;
	do {
		depth += rest.p[i] == '(';
		depth -= rest.p[i] == ')';
		i += rest.p[i] == '\\' ? 2 : 1;
	} while (depth && i < rest.n);
	return depth ? 0 : i;
}

/*
 * White space and comments (RFC 5322 3.2.2). Once a comment did not end, parentheses are no
 * comments any more: that is how readers without comments see them all.
 */
static void skip_cfws(struct cursor *c)
{
	for (;;) {
		while (c->rest.n && (unsigned char)peek(c) <= ' ')
			c->rest = str_skip(c->rest, 1);
		if (peek(c) != '(')
			return;
		size_t n = c->unbalanced ? 0 : comment_length(c->rest);
		c->out->comments = true;
		c->unbalanced |= n == 0;
		c->out->malformed |= n == 0;
		c->rest = str_skip(c->rest, n ? n : 1);
	}
}

/* Up to white space or one of `stops`. */
static struct str take_until(struct cursor *c, const char *stops)
{
	size_t i = 0;
	while (i < c->rest.n && (unsigned char)c->rest.p[i] > ' ' && !strchr(stops, c->rest.p[i]))
		i++;
	struct str taken = str_sub(c->rest, 0, i);
	c->rest = str_skip(c->rest, i);
	return taken;
}

static struct str take_quoted(struct cursor *c)
{
	size_t close = 1, escapes = 0;
	while (close < c->rest.n && c->rest.p[close] != '"') {
		bool escape = c->rest.p[close] == '\\' && close + 1 < c->rest.n;
		escapes += escape;
		close += escape ? 2 : 1;
	}
	c->out->malformed |= close >= c->rest.n; /* never closed */
	struct str inside = str_sub(c->rest, 1, close - 1);
	c->rest = str_skip(c->rest, close + 1);
	if (!escapes)
		return inside;
	char *out = arena_alloc(c->arena, inside.n);
	size_t n = 0;
	for (size_t i = 0; i < inside.n; i++) {
		i += inside.p[i] == '\\' && i + 1 < inside.n;
		out[n++] = inside.p[i];
	}
	return str_from(out, n);
}

/* "name*1*": RFC 2231 3 and 4. */
static void split_name(struct mail_param *p)
{
	uint64_t section;
	if (p->name.n && p->name.p[p->name.n - 1] == '*') {
		p->extended = true;
		p->name.n--;
	}
	size_t star = str_rchr(p->name, '*');
	if (star < p->name.n && !str_to_u64(str_skip(p->name, star + 1), 0, 9999, &section)) {
		p->section = (int)section;
		p->name.n = star;
	}
}

static bool same_param(const struct mail_param *a, const struct mail_param *b)
{
	return a->section == b->section && a->extended == b->extended && str_ieq(a->name, b->name);
}

static void add(struct mail_params *out, const struct mail_param *p)
{
	for (size_t i = 0; i < out->n; i++)
		if (same_param(&out->v[i], p))
			out->malformed = true; /* both are kept: the first is found */
	out->v[out->n++] = *p;
}

static void parse_param(struct cursor *c)
{
	struct mail_param p = {.section = -1, .name = take_until(c, "=;\"(")};
	skip_cfws(c);
	if (!p.name.n || peek(c) != '=') {
		/* Skips what is no parameter, to the next ';'. */
		c->out->malformed = true;
		if (peek(c) != '"')
			c->rest = str_skip(c->rest, c->rest.n && peek(c) != ';');
		else
			take_quoted(c);
		return;
	}
	c->rest = str_skip(c->rest, 1);
	skip_cfws(c);
	p.quoted = peek(c) == '"';
	p.value = p.quoted ? take_quoted(c) : take_until(c, ";(\"");
	if (!p.value.n && !p.quoted)
		c->out->malformed = true;
	split_name(&p);
	add(c->out, &p);
}

void mail_params_parse(struct arena *arena, struct str value, struct mail_params *params_r)
{
	struct cursor c = {arena, mail_unfold(arena, value), params_r, false};
	bool separated = false;
	params_r->n = 0;
	params_r->malformed = params_r->comments = false;
	skip_cfws(&c);
	params_r->value = take_until(&c, ";(");
	for (;;) {
		skip_cfws(&c);
		if (!c.rest.n)
			return;
		if (peek(&c) == ';') {
			c.rest = str_skip(c.rest, 1);
			separated = true;
			continue;
		}
		if (params_r->n == LIMIT_PARAM_COUNT) {
			params_r->malformed = true;
			return;
		}
		params_r->malformed |= !separated;
		separated = false;
		parse_param(&c);
	}
}

static struct str percent_decode(struct arena *arena, struct str s)
{
	char *out = arena_alloc(arena, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '%' && i + 2 < s.n ? char_hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? char_hex(s.p[i + 2]) : -1;
		if (low >= 0) {
			out[n++] = (char)(high << 4 | low);
			i += 2;
		} else {
			out[n++] = s.p[i];
		}
	}
	return str_from(out, n);
}

/* Takes "charset'language'" off the front of an extended value (RFC 2231 4). */
static struct str take_charset(struct str *value)
{
	size_t first = str_chr(*value, '\'');
	size_t second = first < value->n ? str_chr(str_skip(*value, first + 1), '\'') : 0;
	if (first >= value->n || first + 1 + second >= value->n)
		return STR("");
	struct str charset = str_sub(*value, 0, first);
	*value = str_skip(*value, first + 1 + second + 1);
	return charset;
}

static const struct mail_param *find(
	const struct mail_params *params, const char *name, int section, int extended)
{
	for (size_t i = 0; i < params->n; i++) {
		const struct mail_param *p = &params->v[i];
		if (p->section == section && (extended < 0 || p->extended == extended) &&
			str_ieq_c(p->name, name))
			return p;
	}
	return NULL;
}

/* name*0, name*1*, ...: RFC 2231 3. false if there is no section 0. */
static bool join_sections(struct mail *m, const struct mail_params *params, const char *name,
	struct str *text_r, bool *gap_r)
{
	const struct mail_param *p = find(params, name, 0, -1);
	if (!p)
		return false;
	size_t bytes = 0, count = 0, n = 0;
	for (size_t i = 0; i < params->n; i++)
		bytes += params->v[i].value.n;
	char *all = arena_alloc(m->arena, bytes + 1);
	struct str charset = STR("");
	for (int section = 0; p; p = find(params, name, ++section, -1)) {
		struct str piece = p->value;
		if (p->extended && section == 0)
			charset = take_charset(&piece);
		if (p->extended)
			piece = percent_decode(m->arena, piece);
		if (piece.n)
			memcpy(all + n, piece.p, piece.n);
		n += piece.n;
		count++;
	}
	size_t wanted = 0;
	for (size_t i = 0; i < params->n; i++)
		wanted += params->v[i].section >= 0 && str_ieq_c(params->v[i].name, name);
	*gap_r = wanted != count;
	*text_r = mail_charset_to_utf8(m, str_from(all, n), charset);
	return true;
}

bool mail_params_get(struct mail *m, const struct mail_params *params, const char *name,
	struct mail_param_value *value_r)
{
	struct str forms[3];
	size_t n = 0;
	bool gap = false;
	*value_r = (struct mail_param_value){0};
	/* The extended form first: it is what RFC 2231 readers take. */
	const struct mail_param *p = find(params, name, -1, true);
	if (p) {
		struct str value = p->value, charset = take_charset(&value);
		forms[n++] = mail_charset_to_utf8(m, percent_decode(m->arena, value), charset);
	}
	if (join_sections(m, params, name, &forms[n], &gap))
		n++;
	value_r->odd = n > 0;
	p = find(params, name, -1, false);
	if (p) {
		/* RFC 2047 5 forbids encoded words here, and nearly everybody writes them. */
		bool encoded = str_find(p->value, STR("=?")) < p->value.n;
		forms[n++] = encoded ? mail_decode_header(m, p->value)
				     : mail_charset_to_utf8(m, p->value, STR(""));
		value_r->odd |= encoded;
	}
	if (!n)
		return false;
	value_r->text = forms[0];
	value_r->ambiguous = gap;
	for (size_t i = 1; i < n; i++)
		value_r->ambiguous |= !str_eq(forms[0], forms[i]);
	/* The same parameter twice: who reads the last one sees another value. */
	for (size_t i = 0; p && i < params->n; i++)
		value_r->ambiguous |=
			same_param(p, &params->v[i]) && !str_eq(p->value, params->v[i].value);
	return true;
}
