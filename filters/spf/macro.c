#include "filters/spf/macro.h"

#include "core/buf.h"
#include "filters/spf/record.h"

/* i: dots between IPv6's nibbles, so that it can be reversed as a name. */
static struct str dotted_ip(const struct ip *ip, struct arena *arena)
{
	static const char hex[] = "0123456789ABCDEF";
	char text[64];

	if (ip->family != IP_V6)
		return ip_str(arena, ip);
	for (size_t i = 0; i < 32; i++) {
		text[2 * i] = hex[i % 2 ? ip->octets[i / 2] & 15 : ip->octets[i / 2] >> 4];
		text[2 * i + 1] = '.';
	}
	return arena_dup(arena, str_from(text, 63));
}

static struct str or_unknown(struct str s)
{
	return s.n ? s : STR("unknown");
}

/* s: not by printf, which would end at a NUL. */
static struct str sender(const struct spf_macro_values *v, struct arena *arena)
{
	struct buf b = BUF_INIT;

	buf_str_add(&b, v->local);
	buf_char(&b, '@');
	buf_str_add(&b, v->sender_domain);
	struct str whole = arena_dup(arena, buf_str(&b));
	buf_free(&b);
	return whole;
}

static struct str letter_value(char letter, const struct spf_macro_values *v, struct arena *arena)
{
	switch (letter) {
	case 's':
		return sender(v, arena);
	case 'l':
		return v->local;
	case 'o':
		return v->sender_domain;
	case 'd':
		return v->domain;
	case 'i':
		return dotted_ip(&v->client, arena);
	case 'p':
		return or_unknown(v->validated);
	case 'v':
		return v->client.family == IP_V6 ? STR("ip6") : STR("in-addr");
	case 'h':
		return v->helo;
	case 'c':
		return ip_str(arena, &v->client);
	case 'r':
		return or_unknown(v->receiver);
	case 't':
		return arena_printf(arena, "%lld", (long long)v->now);
	}
	return STR("");
}

static bool is_delimiter(const struct spf_macro *m, char c)
{
	return m->delimiters.n ? str_chr(m->delimiters, c) < m->delimiters.n : c == '.';
}

/* Splits at the delimiters, keeps the right-hand parts, and joins them with dots (7.3). */
static struct str transform(struct str value, const struct spf_macro *m, struct arena *arena)
{
	if (!m->keep && !m->reverse && !m->delimiters.n)
		return value;
	struct str *parts = ARENA_ARRAY(arena, value.n + 1, struct str);
	size_t count = 0, from = 0;
	for (size_t i = 0; i <= value.n; i++) {
		if (i < value.n && !is_delimiter(m, value.p[i]))
			continue;
		parts[count++] = str_sub(value, from, i - from);
		from = i + 1;
	}
	size_t skip = m->keep && m->keep < count ? count - m->keep : 0;
	char *out = arena_alloc(arena, value.n + 1);
	size_t n = 0;
	for (size_t i = skip; i < count; i++) {
		struct str part = m->reverse ? parts[count - 1 - i] : parts[i];
		if (i > skip)
			out[n++] = '.';
		if (part.n)
			memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	return str_from(out, n);
}

static void add_escaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (char_is_alnum(c) || (c && strchr("-._~", c)))
			buf_char(out, c);
		else
			buf_printf(out, "%%%02X", (unsigned char)c);
	}
}

static void add_macro(struct buf *out, const struct spf_macro *m,
	const struct spf_macro_values *values, struct arena *arena)
{
	switch (m->letter) {
	case '%':
		buf_char(out, '%');
		return;
	case '_':
		buf_char(out, ' ');
		return;
	case '-':
		buf_c(out, "%20");
		return;
	}
	struct str value = transform(letter_value(m->letter, values, arena), m, arena);
	if (m->url)
		add_escaped(out, value);
	else
		buf_str_add(out, value);
}

struct str spf_macro_expand(
	struct str text, const struct spf_macro_values *values, bool exp, struct arena *arena)
{
	struct buf out = BUF_INIT;
	struct spf_macro m;

	if (str_chr(text, '%') == text.n)
		return text;
	for (size_t i = 0; i < text.n && out.n < SPF_MACRO_EXPANSION_MAX;) {
		size_t n = spf_record_macro(str_skip(text, i), exp, &m);
		if (n)
			add_macro(&out, &m, values, arena);
		else
			buf_char(&out, text.p[i]);
		i += n ? n : 1;
	}
	struct str expanded = arena_dup(arena, str_sub(buf_str(&out), 0, SPF_MACRO_EXPANSION_MAX));
	buf_free(&out);
	return expanded;
}

bool spf_macro_needs_validated(struct str text)
{
	struct spf_macro m;

	for (size_t i = 0; i < text.n;) {
		size_t n = spf_record_macro(str_skip(text, i), true, &m);
		if (n && m.letter == 'p')
			return true;
		i += n ? n : 1;
	}
	return false;
}
