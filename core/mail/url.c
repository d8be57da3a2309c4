#include "core/mail/url.h"

#include "core/limits.h"
#include "core/sixteen.h"

/* The generic top-level domains that are worth a look where nothing but a path says "URL". */
static const char *const generic_domains[] = {
	"com", "net", "org", "info", "biz", "edu", "gov", "mil", "int", "name", "pro", "mobi",
	"app", "art", "bid", "blog", "buzz", "cam", "casa", "cfd", "click", "cloud", "club",
	"cyou", "date", "dev", "digital", "email", "fun", "fit", "gdn", "guru", "help", "host",
	"icu", "kim", "life", "link", "live", "loan", "men", "monster", "news", "one", "online",
	"page", "party", "press", "quest", "racing", "rest", "review", "rocks", "sbs", "science",
	"shop", "site", "space", "store", "stream", "support", "surf", "tech", "today", "top",
	"trade", "vip", "website", "win", "work", "world", "wtf", "xyz", "zone",
};

/* Two-letter endings that are far more often something else in mail: file names, abbreviations. */
static const char not_countries[] = "js py sh pl rb hs ps ts vb ui md go rs so gz xz cs";

static bool is_space(char c)
{
	return (unsigned char)c <= ' ';
}

/* ---- finding ---- */

static bool is_host_char(char c)
{
	return char_is_alnum(c) || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

/* Octets of a punctuation mark or blank of other scripts at s.p[0], which no writer means as part
 * of a URL: no-break space, guillemets, U+2000-206F, U+3000-303F, fullwidth brackets and comma. */
static size_t foreign_stop(struct str s)
{
	unsigned char a = (unsigned char)s.p[0];
	unsigned char b = s.n > 1 ? (unsigned char)s.p[1] : 0;
	unsigned char c = s.n > 2 ? (unsigned char)s.p[2] : 0;

	if (a == 0xc2 && (b == 0xa0 || b == 0xab || b == 0xbb))
		return 2;
	if ((a == 0xe2 && (b == 0x80 || b == 0x81)) || (a == 0xe3 && b == 0x80))
		return 3;
	if (a == 0xef && b == 0xbc && (c == 0x88 || c == 0x89 || c == 0x8c || c == 0x9a))
		return 3;
	return 0;
}

static inline sixteen may_end_url(sixteen c, sixteen next)
{
	return sixteen_within(c, 0, ' ') | sixteen_is(c, '<') | sixteen_is(c, '>') |
		sixteen_is(c, '"') | sixteen_is(c, '`') | sixteen_within(c, 0x7f, 0xff);
}

static size_t url_end(struct str text, size_t i)
{
	while ((i = sixteen_find(text, i, text.n, may_end_url)) < text.n) {
		unsigned char c = (unsigned char)text.p[i];
		if (c < 0x80 || (c >= 0xc0 && foreign_stop(str_skip(text, i))))
			break;
		i++;
	}
	return i;
}

/* A bracket at the end belongs to the sentence unless its other half stands in the URL. */
static bool is_unpaired(struct str url, char open, char close)
{
	size_t opened = 0, closed = 0;
	for (size_t i = 0; i < url.n; i++) {
		opened += url.p[i] == open;
		closed += url.p[i] == close;
	}
	return closed > opened;
}

static struct str trim_end(struct str url)
{
	/* Each round costs the URL's length; a run of brackets longer than this is no sentence. */
	for (int brackets = 0; url.n && brackets < 8;) {
		char c = url.p[url.n - 1];
		if (c == ')' || c == ']' || c == '}') {
			char open = c == ')' ? '(' : c == ']' ? '[' : '{';
			if (!is_unpaired(url, open, c))
				break;
			brackets++;
		} else if (!memchr(".,;:!?'*_|", c, 10)) {
			break;
		}
		url.n--;
	}
	return url;
}

static bool is_top_level(struct str label)
{
	if (label.n < 2 || label.n > 24)
		return false;
	if (str_istarts(label, "xn--") || (unsigned char)label.p[0] >= 0x80)
		return true;
	for (size_t i = 0; i < label.n; i++)
		if (!char_is_alpha(label.p[i]))
			return false;
	if (label.n == 2)
		return str_ifind(str_c(not_countries), label) == strlen(not_countries);
	for (size_t i = 0; i < sizeof(generic_domains) / sizeof(generic_domains[0]); i++)
		if (str_ieq_c(label, generic_domains[i]))
			return true;
	return false;
}

/* Two labels or more, none empty, the last one a top-level domain. */
static bool is_domain(struct str s)
{
	size_t dot = str_rchr(s, '.');
	return dot < s.n && dot && s.n <= LIMIT_DOMAIN && s.p[0] != '.' && s.p[0] != '-' &&
		str_find(s, STR("..")) == s.n && is_top_level(str_skip(s, dot + 1));
}

/* A run of host characters without a scheme: is it a host that one would click on? */
static bool is_bare(struct str token, struct str behind)
{
	if (str_istarts(token, "www.") && str_chr(str_skip(token, 4), '.') + 4 < token.n)
		return !str_starts(behind, "@");
	return str_starts(behind, "/") && is_domain(token);
}

/* Where does a scheme begin whose ':' stands at `colon`? `colon` if there is none. */
static size_t scheme_start(struct str text, size_t from, size_t colon)
{
	static const char *const schemes[] = { "https", "http", "ftp", "mailto" };
	struct str before = str_sub(text, from, colon - from);
	struct str behind = str_skip(text, colon + 1);

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!str_iends(before, schemes[i]))
			continue;
		bool slashes = behind.n > 2 && (behind.p[0] == '/' || behind.p[0] == '\\') &&
			(behind.p[1] == '/' || behind.p[1] == '\\') && is_host_char(behind.p[2]);
		/* An IPv6 host, and userinfo, may begin with other characters. */
		slashes |= behind.n > 2 && str_starts(behind, "//") && !is_space(behind.p[2]) &&
			!strchr("<>\"'", behind.p[2]);
		if (schemes[i][0] == 'm' ? behind.n && char_is_alnum(behind.p[0]) : slashes)
			return colon - strlen(schemes[i]);
	}
	return colon;
}

/* The bare host whose first dot stands at `dot`; *next_r is where to go on if it is none. */
static bool bare_at(struct str text, size_t from, size_t dot, struct str *url_r, size_t *next_r)
{
	size_t start = dot, end = dot;
	while (start > from && is_host_char(text.p[start - 1]) &&
		(unsigned char)text.p[start - 1] < 0x80)
		start--;
	while (end < text.n && is_host_char(text.p[end]))
		end++;
	*next_r = end;
	if (start == dot || (start && memchr("@/\\_=&", text.p[start - 1], 6)))
		return false;
	struct str token = str_sub(text, start, end - start);
	if (!is_bare(token, str_skip(text, end)))
		return false;
	*next_r = url_end(text, end);
	*url_r = trim_end(str_sub(text, start, *next_r - start));
	return true;
}

/* Behind a scheme or within a host; what ends a sentence is neither. */
static inline sixteen may_be_in_url(sixteen c, sixteen next)
{
	return (sixteen_is(c, ':') | sixteen_is(c, '.')) & ~sixteen_within(next, 0, ' ');
}

bool url_find(struct str text, size_t *at, struct str *url_r)
{
	size_t from = *at, i = from;

	while ((i = sixteen_find(text, i, text.n, may_be_in_url)) < text.n) {
		if (text.p[i] == ':') {
			size_t start = scheme_start(text, from, i);
			if (start == i) {
				i++;
				continue;
			}
			size_t end = url_end(text, i + 1);
			*at = end;
			*url_r = trim_end(str_sub(text, start, end - start));
			return true;
		}
		if (bare_at(text, from, i, url_r, &i)) {
			*at = i;
			return true;
		}
		if (i < text.n && text.p[i] == '.')
			i++;
	}
	*at = text.n;
	return false;
}

/* ---- taking apart ---- */

struct pieces {
	struct str scheme;	/* as it came; empty: none */
	struct str authority;	/* userinfo, host, port */
	bool has_authority;
};

static struct str scheme_of(struct str url)
{
	size_t i = 0;
	while (i < url.n && (char_is_alnum(url.p[i]) || url.p[i] == '+' || url.p[i] == '-' ||
		url.p[i] == '.'))
		i++;
	if (!i || i == url.n || url.p[i] != ':' || !char_is_alpha(url.p[0]))
		return STR("");
	/* "example.org:8080/" has no scheme. */
	if (str_chr(str_sub(url, 0, i), '.') < i)
		return STR("");
	return str_sub(url, 0, i);
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

static struct str authority_of(struct str s)
{
	size_t n = 0;
	while (n < s.n && !is_slash(s.p[n]) && s.p[n] != '?' && s.p[n] != '#')
		n++;
	return str_sub(s, 0, n);
}

static struct str skip_slashes(struct str s)
{
	while (s.n && is_slash(s.p[0]))
		s = str_skip(s, 1);
	return s;
}

static struct pieces take_apart(struct str url)
{
	struct pieces p = { .scheme = scheme_of(url) };
	struct str rest = p.scheme.n ? str_skip(url, p.scheme.n + 1) : url;
	bool web = str_ieq_c(p.scheme, "http") || str_ieq_c(p.scheme, "https") ||
		str_ieq_c(p.scheme, "ftp") || str_ieq_c(p.scheme, "ws") ||
		str_ieq_c(p.scheme, "wss");

	if (web) {
		/* Any number of slashes, even none, for these schemes. */
		p.authority = authority_of(skip_slashes(rest));
		p.has_authority = true;
	} else if (p.scheme.n) {
		if (str_starts(rest, "//")) {
			p.authority = authority_of(str_skip(rest, 2));
			p.has_authority = true;
		}
	} else if (rest.n > 1 && is_slash(rest.p[0]) && is_slash(rest.p[1])) {
		p.authority = authority_of(skip_slashes(rest));
		p.has_authority = true;
	} else {
		struct str bare = authority_of(rest);
		struct str name = str_sub(bare, 0, str_chr(bare, ':'));
		if (is_domain(name) || is_bare(name, STR("/"))) {
			p.authority = bare;
			p.has_authority = true;
		}
	}
	return p;
}

/* Host without userinfo and port; brackets are kept. */
static struct str host_of(struct str authority)
{
	size_t user = str_rchr(authority, '@');
	if (user < authority.n)
		authority = str_skip(authority, user + 1);
	if (authority.n && authority.p[0] == '[') {
		size_t end = str_chr(authority, ']');
		return str_sub(authority, 0, end + 1);
	}
	return str_sub(authority, 0, str_chr(authority, ':'));
}

static struct str percent_decode(struct arena *arena, struct str s)
{
	if (str_chr(s, '%') == s.n)
		return s;
	char *p = arena_alloc(arena, s.n);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '%' && i + 2 < s.n ? char_hex(s.p[i + 1]) : -1;
		int low = high >= 0 ? char_hex(s.p[i + 2]) : -1;
		if (low >= 0) {
			p[n++] = (char)(high << 4 | low);
			i += 2;
		} else {
			p[n++] = s.p[i];
		}
	}
	return str_from(p, n);
}

/* One number of an IPv4 address: decimal, 0octal or 0xhexadecimal. */
static bool ipv4_number(struct str s, uint64_t *value_r)
{
	unsigned base = 10;
	uint64_t value = 0;

	if (!s.n || s.n > 20)
		return false;
	if (str_istarts(s, "0x")) {
		base = 16;
		s = str_skip(s, 2);
	} else if (s.n > 1 && s.p[0] == '0') {
		base = 8;
		s = str_skip(s, 1);
	}
	for (size_t i = 0; i < s.n; i++) {
		int digit = char_hex(s.p[i]);
		if (digit < 0 || (unsigned)digit >= base)
			return false;
		value = value * base + (unsigned)digit;
		if (value > UINT32_MAX)
			return false;
	}
	*value_r = value;
	return true;
}

/* The URL standard's IPv4 parser (4.4, "ends in a number"): one to four numbers, the last of which
 * fills what is left. */
static bool ipv4_host(struct arena *arena, struct str host, struct str *ip_r)
{
	uint64_t parts[4], address = 0;
	size_t n = 0;
	struct str label, rest = host;

	if (rest.n && rest.p[rest.n - 1] == '.')
		rest.n--;
	while (str_cut(&rest, '.', &label)) {
		if (n == 4 || !ipv4_number(label, &parts[n]))
			return false;
		n++;
	}
	if (!n)
		return false;
	for (size_t i = 0; i + 1 < n; i++) {
		if (parts[i] > 255)
			return false;
		address |= parts[i] << (24 - 8 * i);
	}
	if (parts[n - 1] >= (uint64_t)1 << (8 * (5 - n)))
		return false;
	address |= parts[n - 1];
	*ip_r = arena_printf(arena, "%u.%u.%u.%u", (unsigned)(address >> 24 & 255),
		(unsigned)(address >> 16 & 255), (unsigned)(address >> 8 & 255),
		(unsigned)(address & 255));
	return true;
}

static struct str canonical_host(struct arena *arena, struct str raw)
{
	struct str host = percent_decode(arena, raw), canonical;

	if (!host.n || host.n > LIMIT_URL_BYTES)
		return STR("");
	if (host.p[0] == '[')
		return arena_lower(arena, host);
	if (ipv4_host(arena, host, &canonical))
		return canonical;
	if (mail_domain_canonical(arena, host, &canonical) == 0) {
		/* Other scripts' digits and dots may turn out to be an address only now. */
		struct str ip;
		return ipv4_host(arena, canonical, &ip) ? ip : canonical;
	}
	return arena_lower(arena, host);
}

static struct str mailto_host(struct arena *arena, struct str address)
{
	size_t end = 0;
	while (end < address.n && address.p[end] != '?' && address.p[end] != ',')
		end++;
	address = percent_decode(arena, str_sub(address, 0, end));
	size_t at = str_rchr(address, '@');
	return at < address.n ? canonical_host(arena, str_skip(address, at + 1)) : STR("");
}

void url_parse(struct arena *arena, struct str raw, struct mail_url *url_r)
{
	struct str url = str_sub(raw, 0, LIMIT_URL_BYTES);

	while (url.n && is_space(url.p[0]))
		url = str_skip(url, 1);
	while (url.n && is_space(url.p[url.n - 1]))
		url.n--;
	*url_r = (struct mail_url){ .url = url };

	struct pieces p = take_apart(url);
	if (p.scheme.n)
		url_r->scheme = arena_lower(arena, p.scheme);
	else
		url_r->scheme = p.has_authority ? STR("http") : STR("");
	if (p.has_authority)
		url_r->host = canonical_host(arena, host_of(p.authority));
	else if (str_eq_c(url_r->scheme, "mailto"))
		url_r->host = mailto_host(arena, str_skip(url, p.scheme.n + 1));
	else
		url_r->host = STR("");
}
