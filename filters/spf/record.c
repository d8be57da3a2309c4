#include "filters/spf/record.h"

#include <arpa/inet.h>

#include "core/limits.h"

static bool is_name_char(char c)
{
	return char_is_alnum(c) || c == '-' || c == '_' || c == '.';
}

bool spf_record_is(struct str txt)
{
	return str_istarts(txt, "v=spf1") && (txt.n == 6 || txt.p[6] == ' ');
}

size_t spf_record_macro(struct str s, bool exp, struct spf_macro *macro_r)
{
	const char *letters = exp ? "slodiphcrtv" : "slodiphv";
	struct spf_macro m = { 0 };

	if (s.n < 2 || s.p[0] != '%')
		return 0;
	m.letter = s.p[1];
	*macro_r = m;
	if (m.letter == '%' || m.letter == '_' || m.letter == '-')
		return 2;
	if (m.letter != '{' || s.n < 4)
		return 0;
	m.letter = char_lower(s.p[2]);
	m.url = s.p[2] != m.letter;
	if (!memchr(letters, m.letter, strlen(letters)))
		return 0;
	size_t i = 3;
	bool digits = false;
	for (; i < s.n && char_is_digit(s.p[i]); i++) {
		digits = true;
		/* No value has as many parts as 10000, so more is the same as all. */
		if (m.keep < 10000)
			m.keep = m.keep * 10 + (unsigned)(s.p[i] - '0');
	}
	if (digits && m.keep == 0)
		return 0;
	if (i < s.n && char_lower(s.p[i]) == 'r') {
		m.reverse = true;
		i++;
	}
	size_t from = i;
	while (i < s.n && s.p[i] && strchr(".-+,/_=", s.p[i]))
		i++;
	m.delimiters = str_sub(s, from, i - from);
	if (i >= s.n || s.p[i] != '}')
		return 0;
	*macro_r = m;
	return i + 1;
}

/* macro-string; *macro_end_r: does it end with a macro-expand? */
static bool scan_macros(struct str s, bool exp, bool blanks, bool *macro_end_r)
{
	struct spf_macro m;

	*macro_end_r = false;
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '%') {
			size_t n = spf_record_macro(str_skip(s, i), exp, &m);
			if (n == 0)
				return false;
			*macro_end_r = true;
			i += n;
			continue;
		}
		if ((c < 0x21 && !(blanks && c == ' ')) || c > 0x7e)
			return false;
		*macro_end_r = false;
		i++;
	}
	return true;
}

bool spf_record_is_macro_string(struct str s, bool exp, bool blanks)
{
	bool macro_end;

	return scan_macros(s, exp, blanks, &macro_end);
}

/* toplabel: letters, digits and inner hyphens, and not digits alone. */
static bool is_toplabel(struct str s)
{
	bool alpha = false;

	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!char_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
		alpha |= !char_is_digit(s.p[i]);
	}
	return alpha;
}

static bool is_domain_spec(struct str s)
{
	bool macro_end;

	if (s.n == 0 || !scan_macros(s, false, false, &macro_end))
		return false;
	if (macro_end)
		return true;
	if (s.p[s.n - 1] == '.')
		s.n--;
	size_t dot = str_rchr(s, '.');
	return dot < s.n && is_toplabel(str_skip(s, dot + 1));
}

/* A prefix length has no leading zeros, as the octets of an ip4-network have none. */
static int parse_bits(struct str s, unsigned max, unsigned *bits_r)
{
	uint64_t v;

	if ((s.n > 1 && s.p[0] == '0') || str_to_u64(s, 0, max, &v) < 0)
		return -1;
	*bits_r = (unsigned)v;
	return 0;
}

/* Digits at the end of s, as far as they go. */
static size_t digits_from(struct str s)
{
	size_t i = s.n;

	while (i > 0 && char_is_digit(s.p[i - 1]))
		i--;
	return i;
}

/*
 * Cuts [ ip4-cidr-length ] [ "/" ip6-cidr-length ] off the end of s. From the
 * end, since a '/' may also stand within the domain-spec before it.
 */
static int cut_dual_cidr(struct str *s, struct spf_term *term)
{
	size_t at = digits_from(*s);

	term->bits4 = 32;
	term->bits6 = 128;
	if (at >= 2 && s->p[at - 1] == '/' && s->p[at - 2] == '/') {
		if (parse_bits(str_skip(*s, at), 128, &term->bits6) < 0)
			return -1;
		s->n = at - 2;
		at = digits_from(*s);
	}
	if (at >= 1 && s->p[at - 1] == '/' && at < s->n) {
		if (parse_bits(str_skip(*s, at), 32, &term->bits4) < 0)
			return -1;
		s->n = at - 1;
	}
	return 0;
}

/* arg: what follows the name, with its ':' or '/'. */
static int parse_a_mx(struct str arg, struct spf_term *term)
{
	if (cut_dual_cidr(&arg, term) < 0)
		return -1;
	if (arg.n == 0)
		return 0;
	if (arg.p[0] != ':' || !is_domain_spec(str_skip(arg, 1)))
		return -1;
	term->domain = str_skip(arg, 1);
	return 0;
}

/* Not by ip_parse(), which unmaps: an ip6 term never matches an IPv4 client (5). */
static int parse_network(struct str arg, bool six, struct spf_term *term)
{
	char text[INET6_ADDRSTRLEN];
	unsigned max = six ? 128 : 32, bits = max;

	if (arg.n == 0 || arg.p[0] != ':')
		return -1;
	arg = str_skip(arg, 1);
	size_t slash = str_chr(arg, '/');
	if (slash < arg.n && parse_bits(str_skip(arg, slash + 1), max, &bits) < 0)
		return -1;
	if (slash >= sizeof(text) || memchr(arg.p, '\0', slash))
		return -1;
	memcpy(text, arg.p, slash);
	text[slash] = '\0';
	if (inet_pton(six ? AF_INET6 : AF_INET, text, term->network) != 1)
		return -1;
	term->bits4 = term->bits6 = bits;
	return 0;
}

/* ":" domain-spec, and nothing behind it. */
static int parse_target(struct str arg, struct spf_term *term)
{
	term->domain = str_skip(arg, 1);
	return arg.n && arg.p[0] == ':' && is_domain_spec(term->domain) ? 0 : -1;
}

static int parse_argument(struct str arg, struct spf_term *term)
{
	switch (term->mechanism) {
	case SPF_ALL:
		return arg.n == 0 ? 0 : -1;
	case SPF_A:
	case SPF_MX:
		return parse_a_mx(arg, term);
	case SPF_IP4:
		return parse_network(arg, false, term);
	case SPF_IP6:
		return parse_network(arg, true, term);
	case SPF_PTR:
		return arg.n ? parse_target(arg, term) : 0;
	case SPF_INCLUDE:
	case SPF_EXISTS:
		return parse_target(arg, term);
	}
	return -1;
}

static int parse_mechanism(struct str s, struct spf_term *term)
{
	static const struct {
		const char *name;
		enum spf_mechanism mechanism;
	} names[] = {
		{ "all", SPF_ALL },
		{ "include", SPF_INCLUDE },
		{ "a", SPF_A },
		{ "mx", SPF_MX },
		{ "ptr", SPF_PTR },
		{ "ip4", SPF_IP4 },
		{ "ip6", SPF_IP6 },
		{ "exists", SPF_EXISTS },
	};

	term->qualifier = '+';
	if (s.n && strchr("+-~?", s.p[0])) {
		term->qualifier = s.p[0];
		s = str_skip(s, 1);
	}
	size_t n = 0;
	while (n < s.n && is_name_char(s.p[n]))
		n++;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!str_ieq_c(str_sub(s, 0, n), names[i].name))
			continue;
		term->mechanism = names[i].mechanism;
		return parse_argument(str_skip(s, n), term);
	}
	return -1;
}

/* 1: was a modifier, 0: is none, -1: a broken one (section 6). */
static int parse_modifier(struct str s, struct spf_record *record)
{
	size_t n = 0;

	if (s.n && char_is_alpha(s.p[0]))
		while (n < s.n && is_name_char(s.p[n]))
			n++;
	if (n == 0 || n >= s.n || s.p[n] != '=')
		return 0;
	struct str name = str_sub(s, 0, n), value = str_skip(s, n + 1);
	struct str *slot = str_ieq_c(name, "redirect") ? &record->redirect
			   : str_ieq_c(name, "exp")    ? &record->exp
						       : NULL;
	if (!slot)
		return spf_record_is_macro_string(value, true, false) ? 1 : -1;
	if (slot->n || !is_domain_spec(value))
		return -1;
	*slot = value;
	return 1;
}

static int parse_term(struct str s, struct arena *arena, struct spf_record *record, size_t *cap)
{
	int modifier = parse_modifier(s, record);

	if (modifier)
		return modifier < 0 ? -1 : 0;
	if (record->terms.n == *cap) {
		size_t old = *cap;
		*cap = old ? old * 2 : 16;
		record->terms.v =
			arena_grow(arena, record->terms.v, old, *cap, sizeof(struct spf_term));
	}
	struct spf_term *term = &record->terms.v[record->terms.n];
	if (parse_mechanism(s, term) < 0)
		return -1;
	record->has_all |= term->mechanism == SPF_ALL;
	record->terms.n++;
	return 0;
}

int spf_record_parse(
	struct str txt, struct arena *arena, struct spf_record *record_r, struct err *err)
{
	struct str rest = str_skip(txt, 6), s;
	size_t cap = 0;

	*record_r = (struct spf_record){ 0 };
	if (txt.n > LIMIT_SPF_RECORD_BYTES)
		return err_set(err, "the record is longer than %d octets", LIMIT_SPF_RECORD_BYTES);
	for (size_t i = 0; i < txt.n; i++)
		if ((unsigned char)txt.p[i] < 0x20 || (unsigned char)txt.p[i] > 0x7e)
			return err_set(
				err, "the record holds an octet that is not printable ASCII");
	while (str_cut(&rest, ' ', &s))
		if (s.n && parse_term(s, arena, record_r, &cap) < 0)
			return err_set(
				err, "syntax error at \"%.*s\"", (int)(s.n > 60 ? 60 : s.n), s.p);
	return 0;
}
