#include "rules/literal.h"

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

static bool at_optional(const struct reader *r)
{
	int c = peek(r, 0);
	return c == '?' || c == '*' || c == '{';
}

/* Quantifiers, and the '?' or '+' that makes them lazy or possessive. */
static void skip_quantifiers(struct reader *r)
{
	for (int c; (c = peek(r, 0)) == '?' || c == '*' || c == '+' || c == '{';) {
		if (c == '{')
			r->at += str_chr(str_skip(r->s, r->at), '}');
		r->at++;
	}
}

static void skip_class(struct reader *r)
{
	r->at += peek(r, 1) == '^' ? 2 : 1;
	r->at += peek(r, 0) == ']';
	for (; r->at < r->s.n && peek(r, 0) != ']'; r->at++) {
		if (peek(r, 0) == '\\')
			r->at++;
		else if (peek(r, 0) == '[' && peek(r, 1) == ':')
			r->at += str_find(str_skip(r->s, r->at), STR(":]")) + 1;
	}
	r->at++;
}

static void skip_digits(struct reader *r, size_t most)
{
	while (most-- && peek(r, 0) >= 0 && char_hex((char)peek(r, 0)) >= 0)
		r->at++;
}

/* Behind a backslash: the character that it makes literal, or 0 for a class, a place, a number. */
static char read_escape(struct reader *r)
{
	int c = peek(r, 0);

	r->at++;
	if (c > ' ' && c < 0x7f && !char_is_alnum((char)c))
		return (char)c;
	switch (c) {
	case 'x':
	case 'p':
	case 'P':
	case 'N':
	case 'o':
		if (peek(r, 0) == '{')
			r->at += str_chr(str_skip(r->s, r->at), '}') + 1;
		else if (c == 'x')
			skip_digits(r, 2);
		else if (c != 'N')
			r->at++;
		break;
	case '0':
		skip_digits(r, 2);
		break;
	case 'b':
	case 'B':
	case 'd':
	case 'D':
	case 's':
	case 'S':
	case 'w':
	case 'W':
	case 'h':
	case 'H':
	case 'v':
	case 'V':
	case 'n':
	case 'r':
	case 't':
	case 'f':
	case 'a':
	case 'e':
	case 'A':
	case 'z':
	case 'Z':
	case 'R':
	case 'X':
		break;
	default:
		r->lost = true; /* references, \K, \Q, \c ...: rare, and odd */
	}
	return 0;
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
		char plain = 0;
		if (c == '(') {
			struct set *inside = ARENA_NEW(r->arena, struct set);
			end_run(r, &run, best_r);
			if (read_group(r, inside) && !at_optional(r))
				improve(best_r, inside);
		} else if (c == '[') {
			skip_class(r);
		} else if (c == '\\') {
			r->at++;
			plain = read_escape(r);
		} else {
			r->at++;
			if (c < 0x80 && !strchr(".^$", c))
				plain = (char)c;
		}
		if (!plain || at_optional(r)) {
			end_run(r, &run, best_r);
			skip_quantifiers(r);
			continue;
		}
		if (run.n == LITERAL_MAX)
			end_run(r, &run, best_r);
		run.p[run.n++] = char_lower(plain);
		if (peek(r, 0) == '+')
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

struct literals literal_find(struct arena *arena, struct str expression, bool extended)
{
	/* What is tried and thrown away shall not stay in the process. */
	struct arena *scratch = arena_new(16 << 20);
	struct reader r = { .arena = scratch, .s = expression, .lost = extended };
	struct set *all = ARENA_NEW(scratch, struct set);
	struct literals found = { NULL, 0 };

	if (!r.lost)
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
