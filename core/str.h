/*
 * str: a string as pointer and length.
 *
 * All that came from a peer is a struct str: it may hold NUL and any other
 * octet, is not terminated, and is never changed in place. A str owns nothing:
 * it points into a message, a packet or an arena that outlives it. Text of our
 * own (literals, configuration) may also be a plain `const char *`.
 *
 *	struct str line = STR("MAIL FROM:<a@example.org>"), verb;
 *	str_cut(&line, ' ', &verb);
 *
 * Comparisons without case fold ASCII only.
 */
#ifndef CORE_STR_H
#define CORE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
/* For "%.*s": printf("%.*s", STR_ARG(s)). Only for text that is safe to show. */
#define STR_ARG(s) (int)((s).n > 4096 ? 4096 : (s).n), ((s).n ? (s).p : "")

static inline struct str str_from(const char *p, size_t n)
{
	return (struct str){ p, n };
}

/* A terminated string; NULL gives the empty str. */
static inline struct str str_c(const char *c)
{
	return (struct str){ c, c ? strlen(c) : 0 };
}

bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
/* Without case. */
bool str_ieq(struct str a, struct str b);
bool str_ieq_c(struct str a, const char *b);
/* Byte order, shorter first: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
int str_icmp(struct str a, struct str b);

bool str_starts(struct str s, const char *prefix);
bool str_istarts(struct str s, const char *prefix);
bool str_ends(struct str s, const char *suffix);
bool str_iends(struct str s, const char *suffix);

/* First position, or s.n if there is none. */
size_t str_chr(struct str s, char c);
size_t str_rchr(struct str s, char c);
size_t str_find(struct str s, struct str needle);
size_t str_ifind(struct str s, struct str needle);

/* s without its first `from` octets (never past the end). */
static inline struct str str_skip(struct str s, size_t from)
{
	if (from > s.n)
		from = s.n;
	return (struct str){ s.p ? s.p + from : NULL, s.n - from };
}

/* At most n octets of s, starting with `from`. */
static inline struct str str_sub(struct str s, size_t from, size_t n)
{
	s = str_skip(s, from);
	if (s.n > n)
		s.n = n;
	return s;
}

/* Without leading and trailing SP and HTAB (str_trim), or also CR and LF. */
struct str str_trim(struct str s);
struct str str_trim_crlf(struct str s);

/*
 * Splits *rest at the first `sep`: head_r gets what stands before it, *rest
 * what follows it. Without a separator head_r is all and *rest becomes empty
 * with p NULL. Returns false once *rest had p NULL: so a loop
 * `while (str_cut(&rest, ',', &item))` sees every item, empty ones too.
 */
bool str_cut(struct str *rest, char sep, struct str *head_r);
/* The next run of octets that are not SP, HTAB, CR or LF; false at the end. */
bool str_word(struct str *rest, struct str *word_r);

static inline char char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline bool char_is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool char_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool char_is_alnum(char c)
{
	return char_is_digit(c) || char_is_alpha(c);
}
static inline bool char_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}
/* Of folding white space too, RFC 5322 3.2.2. */
static inline bool char_is_fws(char c)
{
	return char_is_wsp(c) || c == '\r' || c == '\n';
}
/* 0 to 15, or -1. */
int char_hex(char c);

/* The one number parser: all of s is decimal digits (a '-' only for int64), and
 * the value lies within min..max; else -1 and *value_r is left alone. */
int str_to_u64(struct str s, uint64_t min, uint64_t max, uint64_t *value_r);
int str_to_i64(struct str s, int64_t min, int64_t max, int64_t *value_r);
/* A decimal number such as -1.5; no exponent, at most 15 digits, no locale. */
int str_to_double(struct str s, double min, double max, double *value_r);

/* Is s well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong)? */
bool str_is_utf8(struct str s);
/* Length (1 to 4) of the well-formed sequence at the start of s, and its code point; 0 if there
 * is none, and *code_r is left alone. */
size_t str_utf8(struct str s, uint32_t *code_r);
/* All octets below 0x80 and none NUL. */
bool str_is_ascii(struct str s);
/* 64-bit hash (FNV-1a with a final mix); not keyed, for tables of our own names
 * only. What peers choose is hashed with siphash (core/hash.h). */
uint64_t str_hash(struct str s);

#endif
