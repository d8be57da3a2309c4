#include "rules/literal.h"

#include "core/mail/entity.h"

/* Literals of which one must be there; n 0: nothing is known. */
struct set {
	struct str v[LITERALS_MAX];
	size_t n;
	size_t shortest;
};

struct reader {
	struct arena *arena;
	struct str s;
	size_t at;
	unsigned depth;
	bool unicode;
	bool lost; /* something that this reader does not follow */
};

static int peek(const struct reader *r, size_t ahead)
{
	return r->at + ahead < r->s.n ? (unsigned char)r->s.p[r->at + ahead] : -1;
}

/* ---- sets ---- */

/* Keeps the better of two necessary conditions: long literals are rare, and so are few. */
static void improve(struct set *best, const struct set *other)
{
	if (!other->n)
		return;
	size_t ours = best->shortest < 6 ? best->shortest : 6;
	size_t theirs = other->shortest < 6 ? other->shortest : 6;
	if (!best->n || theirs > ours || (theirs == ours && other->n < best->n))
		*best = *other;
}

/* One of two alternatives holds: all their literals are possible. */
static void unite(struct set *all, const struct set *other)
{
	if (!other->n || all->n + other->n > LITERALS_MAX) {
		all->n = 0;
		return;
	}
	memcpy(all->v + all->n, other->v, other->n * sizeof(all->v[0]));
	if (!all->n || other->shortest < all->shortest)
		all->shortest = other->shortest;
	all->n += other->n;
}

/* ---- runs of plain characters ---- */

struct run {
	char p[LITERAL_MAX];
	size_t n;
};

/* One character, as octets; n 0: not a plain one. */
struct plain {
	char p[ENTITY_MAX];
	size_t n;
};

static void end_run(struct reader *r, struct run *run, struct set *best)
{
	if (run->n >= LITERAL_MIN) {
		struct set one = { .n = 1, .shortest = run->n };
		one.v[0] = arena_dup(r->arena, str_from(run->p, run->n));
		improve(best, &one);
	}
	run->n = 0;
}

/* ---- items ---- */

static size_t digits_at(const struct reader *r, size_t ahead)
{
	size_t n = 0;
	while (peek(r, ahead + n) >= '0' && peek(r, ahead + n) <= '9')
		n++;
	return n;
}

/* Octets of a quantifier that stands here, or 0. A '{' begins one only if numbers follow as they
 * should; otherwise it is a plain character. "{,3}" is either, by the version of PCRE2. */
static size_t quantifier(struct reader *r)
{
	int c = peek(r, 0);
	if (c == '?' || c == '*' || c == '+')
		return 1;
	if (c != '{')
		return 0;
	size_t n = 1 + digits_at(r, 1);
	if (n == 1) {
		r->lost |= peek(r, 1) == ',' || peek(r, 1) == ' ';
		return 0;
	}
	if (peek(r, n) == ',')
		n += 1 + digits_at(r, n + 1);
	r->lost |= peek(r, n) == ' ';
	return peek(r, n) == '}' ? n + 1 : 0;
}

static bool at_optional(struct reader *r)
{
	int c = peek(r, 0);
	return quantifier(r) && (c == '?' || c == '*' || (c == '{' && peek(r, 1) == '0'));
}

/* Quantifiers, and the '?' or '+' that makes them lazy or possessive. */
static void skip_quantifiers(struct reader *r)
{
	for (size_t n; (n = quantifier(r)) > 0;)
		r->at += n;
}

/* "[:alpha:]" inside a class */
static size_t posix_class(const struct reader *r)
{
	size_t n = 2;
	if (peek(r, 0) != '[' || peek(r, 1) != ':')
		return 0;
	while (peek(r, n) == '^' || (peek(r, n) > 0 && char_is_alpha((char)peek(r, n))))
		n++;
	return peek(r, n) == ':' && peek(r, n + 1) == ']' ? n + 2 : 0;
}

static void skip_class(struct reader *r)
{
	r->at += peek(r, 1) == '^' ? 2 : 1;
	r->at += peek(r, 0) == ']';
	while (r->at < r->s.n && peek(r, 0) != ']') {
		size_t posix = posix_class(r);
		r->at += posix ? posix : peek(r, 0) == '\\' ? 2 : 1;
	}
	r->at++;
}

static void skip_digits(struct reader *r, size_t most)
{
	while (most-- && peek(r, 0) >= 0 && char_hex((char)peek(r, 0)) >= 0)
		r->at++;
}

/* "{20ac}" behind "\\x" */
static struct plain read_code(struct reader *r)
{
	struct plain plain = { .n = 0 };
	uint32_t code = 0;
	size_t end = r->at + str_chr(str_skip(r->s, r->at), '}'), digits = 0;

	for (r->at++; r->at < end && digits < 6; r->at++, digits++) {
		int digit = char_hex(r->s.p[r->at]);
		if (digit < 0)
			break;
		code = code * 16 + (uint32_t)digit;
	}
	if (r->at == end && digits && r->unicode && code >= 0x80)
		plain.n = entity_utf8(code, plain.p);
	r->at = end + 1;
	return plain;
}

/* Behind a backslash: a character that it makes literal; none for a class, a place, an octet. */
static struct plain read_escape(struct reader *r)
{
	static const char single[] = "bBdDsSwWhHvVnrtfaeAzZRX";
	struct plain none = { .n = 0 };
	int c = peek(r, 0);

	r->at++;
	if (c > ' ' && c < 0x7f && !char_is_alnum((char)c))
		return (struct plain){ { (char)c }, 1 };
	if (c == 'x' && peek(r, 0) == '{')
		return read_code(r);
	if (c == 'x')
		skip_digits(r, 2);
	else if (c == '0')
		skip_digits(r, 2);
	else if ((c == 'p' || c == 'P') && peek(r, 0) == '{')
		r->at += str_chr(str_skip(r->s, r->at), '}') + 1;
	else if (c == 'p' || c == 'P')
		r->at++;
	else if (c <= 0 || !strchr(single, c))
		r->lost = true; /* references, \K, \Q, \c ...: rare, and odd */
	return none;
}

/* A character that stands for itself, or none of '.', '^', '$'. */
static struct plain read_character(struct reader *r)
{
	struct plain plain = { .n = 0 };
	int c = peek(r, 0);

	if (c < 0x80) {
		r->at++;
		if (!strchr(".^$", c))
			plain = (struct plain){ { char_lower((char)c) }, 1 };
		return plain;
	}
	/* All octets of one character, since a quantifier behind it is for all of them. */
	do {
		if (plain.n < 4)
			plain.p[plain.n++] = r->s.p[r->at];
		r->at++;
	} while ((peek(r, 0) & 0xc0) == 0x80 && peek(r, 0) >= 0);
	if (!r->unicode)
		plain.n = 0;
	return plain;
}

static void read_alternatives(struct reader *r, struct set *all_r);

/* r->at stands on '('. True if what it holds is a part of every match. */
static bool read_group(struct reader *r, struct set *inside_r)
{
	bool counts = true;

	if (r->depth == LITERAL_DEPTH || peek(r, 1) == '*') {
		r->lost = true;
		return false;
	}
	r->at++;
	if (peek(r, 0) == '?') {
		int kind = peek(r, 1), more = peek(r, 2);
		if (kind == ':' || kind == '>') {
			r->at += 2;
		} else if (kind == '=' || kind == '!') {
			counts = false;
			r->at += 2;
		} else if (kind == '<' && (more == '=' || more == '!')) {
			counts = false;
			r->at += 3;
		} else {
			r->lost = true; /* flags, names, conditions, recursion */
			return false;
		}
	}
	r->depth++;
	read_alternatives(r, inside_r);
	r->depth--;
	if (peek(r, 0) != ')')
		r->lost = true;
	r->at++;
	return counts;
}

/* One alternative, up to '|', ')' or the end: the best condition that any part of it makes. */
static void read_sequence(struct reader *r, struct set *best_r)
{
	struct run run = { .n = 0 };
	int c;

	best_r->n = best_r->shortest = 0;
	while ((c = peek(r, 0)) >= 0 && c != '|' && c != ')' && !r->lost) {
		struct plain plain = { .n = 0 };
		if (c == '(') {
			struct set *inside = ARENA_NEW(r->arena, struct set);
			if (read_group(r, inside) && !at_optional(r))
				improve(best_r, inside);
		} else if (c == '[') {
			skip_class(r);
		} else if (c == '\\') {
			r->at++;
			plain = read_escape(r);
		} else {
			plain = read_character(r);
		}
		bool kept = plain.n && !at_optional(r);
		if (!kept || run.n + plain.n > LITERAL_MAX)
			end_run(r, &run, best_r);
		if (kept) {
			memcpy(run.p + run.n, plain.p, plain.n);
			run.n += plain.n;
		}
		if (quantifier(r))
			end_run(r, &run, best_r);
		skip_quantifiers(r);
	}
	end_run(r, &run, best_r);
}

static void read_alternatives(struct reader *r, struct set *all_r)
{
	struct set *one = ARENA_NEW(r->arena, struct set);
	bool known = true;

	all_r->n = 0;
	for (;;) {
		read_sequence(r, one);
		if (known)
			unite(all_r, one);
		known = known && all_r->n;
		if (r->lost || peek(r, 0) != '|')
			break;
		r->at++;
	}
	if (!known)
		all_r->n = 0;
}

struct literals literal_find(struct arena *arena, struct str expression, bool unicode)
{
	/* What is tried and thrown away shall not stay in the process. */
	struct arena *scratch = arena_new(16 << 20);
	struct reader r = { .arena = scratch, .s = expression, .unicode = unicode };
	struct set *all = ARENA_NEW(scratch, struct set);
	struct literals found = { NULL, 0 };

	read_alternatives(&r, all);
	if (!r.lost && r.at == expression.n && all->n) {
		found.n = all->n;
		found.v = ARENA_ARRAY(arena, all->n, struct str);
		for (size_t i = 0; i < all->n; i++)
			found.v[i] = arena_dup(arena, all->v[i]);
	}
	arena_free(&scratch);
	return found;
}
