#include "core/mail/header.h"

#include "core/limits.h"
#include "core/mail/anomaly.h"
#include "core/sixteen.h"

void mail_header_block_begin(struct mail_header_block *b, bool of_message)
{
	b->of_message = of_message;
	b->stop = NULL;
	b->begin = b->start = b->first_end = b->end = NULL;
	b->blank_fold = false;
	b->n = 0;
}

static bool is_blank(const char *p, const char *end)
{
	while (p < end && char_is_wsp(*p))
		p++;
	return p == end;
}

/*
 * A name that was folded away from its colon ("From", CRLF, " : x"): RFC 5322 4.5 allows only
 * blanks there, but some readers unfold first and then look for the colon.
 */
static const char *folded_colon(const struct mail_header_block *b)
{
	const char *p = b->first_end;
	while (p < b->end && (char_is_wsp(*p) || *p == '\r' || *p == '\n'))
		p++;
	return p < b->end && *p == ':' ? p : NULL;
}

/* Readers drop white space and control characters around a name; inside they are no name. */
static struct str trim_name(struct str name)
{
	while (name.n && (unsigned char)name.p[name.n - 1] <= ' ')
		name.n--;
	while (name.n && (unsigned char)name.p[0] <= ' ')
		name = str_skip(name, 1);
	return name;
}

enum name_kind { NAME_GOOD, NAME_ODD, NAME_NONE };

static inline sixteen is_colon(sixteen c, sixteen next)
{
	return sixteen_is(c, ':');
}

static inline sixteen is_odd_in_name(sixteen c, sixteen next)
{
	return ~sixteen_within(c, '!', '~');
}

/* RFC 5322 2.2: printable US-ASCII but for the colon. With a blank inside it is a sentence. */
static enum name_kind classify(struct str name, size_t readable)
{
	enum name_kind kind = name.n ? NAME_GOOD : NAME_ODD;
	for (size_t i = sixteen_find(name, 0, readable, is_odd_in_name); i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		if (char_is_wsp((char)c))
			return NAME_NONE;
		if (c < '!' || c > '~')
			kind = NAME_ODD;
	}
	return kind;
}

static struct str value_of(const char *colon, const char *end)
{
	struct str value = {colon + 1, (size_t)(end - colon - 1)};
	if (value.n && value.p[value.n - 1] == '\n')
		value.n--;
	if (value.n && value.p[value.n - 1] == '\r')
		value.n--;
	if (value.n && char_is_wsp(value.p[0]))
		value = str_skip(value, 1);
	return value;
}

static void add(struct mail_header_block *b, const struct mail_header *h)
{
	size_t used = b->of_message ? b->n : b->total;
	size_t limit = b->of_message ? LIMIT_HEADER_COUNT : LIMIT_PART_HEADERS;
	if (used >= limit || (size_t)(b->end - b->begin) > LIMIT_HEADER_BYTES) {
		mail_note(b->m, MAIL_HEADER_LIMIT);
		return;
	}
	if (b->n == b->room) {
		size_t room = b->room ? b->room * 2 : 64;
		b->v = arena_grow(b->m->arena, b->v, b->room, room, sizeof(*b->v));
		b->room = room;
	}
	b->v[b->n++] = *h;
	b->total += !b->of_message;
}

/* No header: where a strict reader (Postfix, Python) sees the body begin. */
static void stop_at(struct mail_header_block *b)
{
	struct str line = {b->start, (size_t)(b->end - b->start)};
	bool first = b->start == b->begin;
	if (first && (str_starts(line, "From ") || str_starts(line, ">From "))) {
		/* The separator of an mbox: left alone by everybody, yet no header. */
		mail_note(b->m, MAIL_HEADER_MALFORMED);
		return;
	}
	if (b->stop)
		return;
	b->stop = b->start;
	mail_note(b->m, MAIL_NO_BLANK_LINE);
	mail_note_if(b->m, first && b->of_message, MAIL_NO_HEADERS);
}

/* The header that was growing is whole. */
static void finish(struct mail_header_block *b)
{
	if (!b->start)
		return;
	struct mail_header h = {.odd = b->stop || char_is_wsp(*b->start)};
	struct str first = {b->start, (size_t)(b->first_end - b->start)};
	size_t at = sixteen_find(first, 0, (size_t)(b->end - b->start), is_colon);
	const char *colon = at < first.n ? b->start + at : folded_colon(b);
	if (!colon) {
		stop_at(b);
		return;
	}
	struct str before = {b->start, (size_t)(colon - b->start)};
	h.name = trim_name(before);
	enum name_kind kind = classify(h.name, (size_t)(b->end - h.name.p));
	if (kind == NAME_NONE)
		stop_at(b);
	if (kind != NAME_GOOD) {
		mail_note(b->m, MAIL_HEADER_MALFORMED);
		h.odd = true;
	}
	if (h.name.n != before.n) {
		mail_note(b->m, MAIL_HEADER_SPACE);
		h.odd = true;
	}
	h.value = value_of(colon, b->end);
	h.line = str_from(b->start, (size_t)(b->end - b->start));
	add(b, &h);
}

void mail_header_block_line(
	struct mail_header_block *b, const char *line, const char *end, const char *next)
{
	if (!b->begin)
		b->begin = line;
	if (b->start && char_is_wsp(*line)) {
		b->blank_fold = is_blank(line, end);
		b->end = next;
		return;
	}
	/* A line of blanks ends the headers for some readers. Within the folds of one header
	 * that is common and does no harm; with another behind it, it may hide that. */
	mail_note_if(b->m, b->blank_fold, MAIL_HEADER_SPACE);
	b->blank_fold = false;
	finish(b);
	mail_note_if(b->m, char_is_wsp(*line), MAIL_HEADER_SPACE);
	b->start = line;
	b->first_end = end;
	b->end = next;
}

static inline sixteen is_high(sixteen c, sixteen next)
{
	return sixteen_high(c);
}

void mail_header_block_end(
	struct mail_header_block *b, struct mail_header **headers_r, size_t *count_r)
{
	finish(b);
	struct str all = {b->begin, b->begin ? (size_t)(b->end - b->begin) : 0};
	if (b->stop)
		all.n = (size_t)(b->stop - b->begin);
	if (mail_has(b->m, MAIL_NUL))
		mail_note_if(b->m, str_chr(all, '\0') < all.n, MAIL_HEADER_NUL);
	bool high = sixteen_find(all, 0, all.n, is_high) < all.n;
	mail_note_if(b->m, high && !str_is_utf8(all), MAIL_HEADER_8BIT);
	*headers_r = NULL;
	*count_r = b->n;
	if (b->n) {
		*headers_r = ARENA_ARRAY(b->m->arena, b->n, struct mail_header);
		memcpy(*headers_r, b->v, b->n * sizeof(*b->v));
	}
	b->start = NULL;
}

struct str mail_unfold(struct arena *arena, struct str value)
{
	if (!value.n || !memchr(value.p, '\n', value.n))
		return str_trim_crlf(value);
	char *out = arena_alloc(arena, value.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < value.n; i++) {
		size_t lf = i + (value.p[i] == '\r' && i + 1 < value.n);
		bool fold = value.p[lf] == '\n' && lf + 1 < value.n && char_is_wsp(value.p[lf + 1]);
		if (fold)
			i = lf;
		else
			out[n++] = value.p[i];
	}
	return str_trim_crlf(str_from(out, n));
}
