#include "core/str.h"

#include <strings.h>

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eq_c(struct str a, const char *b)
{
	return str_eq(a, str_c(b));
}

static bool fold_eq(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (char_lower(a[i]) != char_lower(b[i]))
			return false;
	return true;
}

bool str_ieq(struct str a, struct str b)
{
	return a.n == b.n && fold_eq(a.p, b.p, a.n);
}

bool str_ieq_c(struct str a, const char *b)
{
	return str_ieq(a, str_c(b));
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	return c ? c : (a.n > b.n) - (a.n < b.n);
}

int str_icmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)char_lower(a.p[i]) - (unsigned char)char_lower(b.p[i]);
		if (c)
			return c;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

bool str_istarts(struct str s, const char *prefix)
{
	/* Mostly the first octet decides: no length is taken first. */
	for (size_t i = 0; prefix[i]; i++)
		if (i == s.n || char_lower(s.p[i]) != char_lower(prefix[i]))
			return false;
	return true;
}

bool str_ends(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);
	return s.n >= n && (n == 0 || memcmp(s.p + s.n - n, suffix, n) == 0);
}

bool str_iends(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);
	return s.n >= n && fold_eq(s.p + s.n - n, suffix, n);
}

size_t str_chr(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

size_t str_rchr(struct str s, char c)
{
	const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

size_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

size_t str_ifind(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	for (size_t i = 0; i + needle.n <= s.n; i++)
		if (char_lower(s.p[i]) == char_lower(needle.p[0]) &&
			fold_eq(s.p + i, needle.p, needle.n))
			return i;
	return s.n;
}

struct str str_trim(struct str s)
{
	while (s.n && char_is_wsp(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && char_is_wsp(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str str_trim_crlf(struct str s)
{
	while (s.n && char_is_fws(s.p[0]))
		s = str_skip(s, 1);
	while (s.n && char_is_fws(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool str_cut(struct str *rest, char sep, struct str *head_r)
{
	if (!rest->p)
		return false;
	size_t at = str_chr(*rest, sep);
	*head_r = str_sub(*rest, 0, at);
	*rest = at < rest->n ? str_skip(*rest, at + 1) : (struct str){ NULL, 0 };
	return true;
}

bool str_word(struct str *rest, struct str *word_r)
{
	size_t from = 0, to;
	while (from < rest->n && char_is_fws(rest->p[from]))
		from++;
	for (to = from; to < rest->n && !char_is_fws(rest->p[to]);)
		to++;
	*word_r = str_sub(*rest, from, to - from);
	*rest = str_skip(*rest, to);
	return to > from;
}

int char_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = char_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int str_to_u64(struct str s, uint64_t min, uint64_t max, uint64_t *value_r)
{
	uint64_t v = 0;
	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (!char_is_digit(s.p[i]))
			return -1;
		uint64_t digit = (uint64_t)(s.p[i] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return -1;
		v = v * 10 + digit;
	}
	if (v < min || v > max)
		return -1;
	*value_r = v;
	return 0;
}

int str_to_i64(struct str s, int64_t min, int64_t max, int64_t *value_r)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	uint64_t magnitude;
	if (str_to_u64(str_skip(s, negative), 0, (uint64_t)INT64_MAX, &magnitude) < 0)
		return -1;
	int64_t v = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	if (v < min || v > max)
		return -1;
	*value_r = v;
	return 0;
}

int str_to_double(struct str s, double min, double max, double *value_r)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	struct str digits = str_skip(s, negative);
	double v = 0, scale = 1;
	size_t count = 0;
	bool point = false;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (!char_is_digit(digits.p[i]) || ++count > 15)
			return -1;
		v = v * 10 + (digits.p[i] - '0');
		if (point)
			scale *= 10;
	}
	if (count == 0)
		return -1;
	v = (negative ? -v : v) / scale;
	if (v < min || v > max)
		return -1;
	*value_r = v;
	return 0;
}

/* Length of the well-formed sequence at p, or 0 (Unicode table 3-7). */
static size_t utf8_length(const unsigned char *p, size_t n)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
		return 0;
	unsigned char low = 0x80, high = 0xbf;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

size_t str_utf8(struct str s, uint32_t *code_r)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t len = s.n ? utf8_length(p, s.n) : 0;
	if (len == 1)
		*code_r = p[0];
	else if (len == 2)
		*code_r = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
	else if (len == 3)
		*code_r = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
	else if (len == 4)
		*code_r = (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 |
			  (p[3] & 0x3fu);
	return len;
}

/* Eight octets at a time, since nearly all that is asked about is ASCII. */
static size_t ascii_run(struct str s)
{
	size_t i = 0;
	for (uint64_t word; i + 8 <= s.n; i += 8) {
		memcpy(&word, s.p + i, 8);
		if (word & 0x8080808080808080u)
			break;
	}
	while (i < s.n && !(s.p[i] & 0x80))
		i++;
	return i;
}

bool str_is_utf8(struct str s)
{
	for (;;) {
		s = str_skip(s, ascii_run(s));
		if (s.n == 0)
			return true;
		size_t len = utf8_length((const unsigned char *)s.p, s.n);
		if (len == 0)
			return false;
		s = str_skip(s, len);
	}
}

bool str_is_ascii(struct str s)
{
	return ascii_run(s) == s.n && str_chr(s, '\0') == s.n;
}

uint64_t str_hash(struct str s)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}
