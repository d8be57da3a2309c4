#include "core/mail/mail.h"

#include "core/limits.h"
#include "core/mail/anomaly.h"
#include "core/mail/content.h"
#include "core/mail/header.h"
#include "core/sixteen.h"

/*
 * One pass over the lines of the message with a stack of the entities that are open. A line
 * is compared with the boundaries of the stack only if it begins with two hyphens, so that
 * the cost is linear whatever the nesting.
 *
 * What some readers decode although the standard forbids it is taken apart in a second pass
 * over just those octets ("later" below): composite types in base64 or quoted-printable, and
 * what lies between delimiters of a boundary that is not the multipart's, or has none.
 */

enum place { PLACE_LEAF, PLACE_PREAMBLE, PLACE_INSIDE, PLACE_EPILOGUE };

struct level {
	size_t part;
	struct str boundary; /* p NULL: none; empty: delimiters are two hyphens */
	struct str guess;    /* what else looks like one, in the preamble or epilogue */
	const char *guess_at, *guess_end;
	enum place place;
	bool digest;
	bool again; /* the second look at it */
};

struct later {
	size_t part;
	struct str octets, boundary;
};

struct scan {
	struct mail *m;
	size_t parts_room;
	const char *end; /* of what is scanned */
	const char *line, *line_end, *next;
	const char *before; /* where the line before ended */
	struct level stack[LIMIT_MIME_DEPTH + 2];
	size_t depth; /* of the stack */
	struct mail_header_block block;
	bool in_headers, full;
	LIST(struct later) later;
	size_t later_done;
};

static struct level *top(struct scan *s)
{
	return &s->stack[s->depth - 1];
}

static struct mail_part *part_of(struct scan *s, const struct level *l)
{
	return &s->m->parts.v[l->part];
}

static bool is_encoded(const struct mail_part *p)
{
	return p->encoding == MAIL_BASE64 || p->encoding == MAIL_QP;
}

static void add_later(struct scan *s, size_t part, struct str octets, struct str boundary)
{
	s->later.v = arena_grow(
		s->m->arena, s->later.v, s->later.n, s->later.n + 1, sizeof(*s->later.v));
	s->later.v[s->later.n++] = (struct later){part, octets, boundary};
}

/* A new entity inside the top one (or the message itself), of which the headers follow. */
static void open_part(struct scan *s)
{
	struct mail *m = s->m;
	if (m->parts.n == s->parts_room) {
		s->parts_room = s->parts_room ? s->parts_room * 2 : 8;
		m->parts.v = arena_grow(
			m->arena, m->parts.v, m->parts.n, s->parts_room, sizeof(*m->parts.v));
	}
	struct mail_part *p = &m->parts.v[m->parts.n];
	p->index = m->parts.n++;
	p->parent = -1;
	if (s->depth) {
		struct mail_part *parent = part_of(s, top(s));
		p->parent = (int)parent->index;
		p->depth = parent->depth + 1;
		parent->has_children = true;
	}
	s->stack[s->depth++] = (struct level){.part = p->index};
	s->full = m->parts.n >= LIMIT_MIME_PARTS;
	s->in_headers = true;
	mail_header_block_begin(&s->block, p->index == 0);
}

/* May the top entity have children? Notes why not. */
static bool may_descend(struct scan *s)
{
	bool deep = part_of(s, top(s))->depth >= LIMIT_MIME_DEPTH;
	mail_note_if(s->m, deep, MAIL_DEPTH_LIMIT);
	mail_note_if(s->m, s->full, MAIL_PARTS_LIMIT);
	return !deep && !s->full;
}

static void check_reuse(struct scan *s, struct str boundary)
{
	for (size_t i = 0; i + 1 < s->depth; i++) {
		struct str outer = s->stack[i].boundary;
		size_t n = outer.n < boundary.n ? outer.n : boundary.n;
		mail_note_if(s->m, n && memcmp(outer.p, boundary.p, n) == 0, MAIL_BOUNDARY_REUSED);
	}
}

/* The headers of the message itself are known. */
static void keep_message_headers(struct mail *m, const struct mail_part *p)
{
	m->headers.v = p->headers;
	m->headers.n = p->header_count;
	m->header_bytes = (size_t)(p->body.p - m->raw.p);
	m->body = str_skip(m->raw, m->header_bytes);
}

/* Scanning goes on at an earlier place. */
static void rewind_to(struct scan *s, const char *at)
{
	s->next = s->line_end = at;
}

/*
 * The headers of the top entity are over; its body begins at `at`, or at the first line that
 * was no header. In that case the lines since then were read as headers only, and if there
 * may be parts in them they are scanned once more.
 */
static void begin_body(struct scan *s, const char *at)
{
	struct level *l = top(s);
	struct mail_part *p = part_of(s, l);
	bool in_digest = s->depth > 1 && s->stack[s->depth - 2].digest;
	s->in_headers = false;
	mail_header_block_end(&s->block, &p->headers, &p->header_count);
	p->body = str_from(s->block.stop ? s->block.stop : at, 0);
	if (p->index == 0)
		keep_message_headers(s->m, p);
	mail_content_read(s->m, p, in_digest);
	bool multipart = p->is_multipart || p->boundary.n;
	if (!(multipart || (p->is_message && !is_encoded(p))) || !may_descend(s))
		return;
	if (s->block.stop)
		rewind_to(s, s->block.stop);
	if (p->is_message) {
		open_part(s);
		return;
	}
	l->place = PLACE_PREAMBLE;
	l->digest = str_eq_c(p->subtype, "digest");
	if (p->boundary.n)
		l->boundary = p->boundary;
	check_reuse(s, l->boundary);
}

/* An entity ends: is there another way to see parts in it? */
static void look_again(struct scan *s, const struct level *l, const struct mail_part *p)
{
	if (l->again)
		return;
	mail_note_if(s->m, p->is_multipart && !p->has_children, MAIL_BOUNDARY_MISSING);
	bool composite = p->is_message ? p->depth < LIMIT_MIME_DEPTH : l->boundary.n > 0;
	if (is_encoded(p) && composite && !p->has_children) {
		add_later(s, p->index, STR(""), l->boundary);
	} else if (l->guess_at) {
		const char *end = l->guess_end ? l->guess_end : s->line;
		add_later(
			s, p->index, str_from(l->guess_at, (size_t)(end - l->guess_at)), l->guess);
	}
}

/* Closes all entities above `depth`; their bodies end at `end`. */
static void close_down_to(struct scan *s, size_t depth, const char *end)
{
	for (; s->depth > depth; s->depth--) {
		struct level *l = top(s);
		struct mail_part *p = part_of(s, l);
		if (!l->again && end > p->body.p)
			p->body.n = (size_t)(end - p->body.p);
		mail_note_if(s->m, l->place == PLACE_INSIDE, MAIL_BOUNDARY_UNCLOSED);
		look_again(s, l, p);
	}
}

/*
 * The headers of the top entity end where no blank line is: at a delimiter, or at the end.
 * true if that is settled, false if scanning has to go on at an earlier place first.
 */
static bool cut_headers(struct scan *s, const char *at)
{
	while (s->in_headers) {
		/* RFC 2046 5.1: a part may be headers alone. A message may too (RFC 5322 3.5),
		 * but readers would not agree on what is put behind it. */
		mail_note_if(s->m, top(s)->part == 0, MAIL_NO_BLANK_LINE);
		const char *next = s->next;
		begin_body(s, at);
		if (s->next != next)
			return false;
	}
	return true;
}

enum delimiter { DELIMITER_NONE, DELIMITER_PREFIX, DELIMITER_OPEN, DELIMITER_CLOSE };

/* RFC 2046 5.1.1. `rest` is the line behind its two hyphens. */
static enum delimiter compare(struct scan *s, struct str rest, struct str boundary)
{
	if (!boundary.p || rest.n < boundary.n || memcmp(rest.p, boundary.p, boundary.n) != 0)
		return DELIMITER_NONE;
	rest = str_skip(rest, boundary.n);
	bool closing = str_starts(rest, "--");
	struct str padding = closing ? str_skip(rest, 2) : rest;
	if (!padding.n)
		return closing ? DELIMITER_CLOSE : DELIMITER_OPEN;
	mail_note(s->m, MAIL_BOUNDARY_ODD);
	if (str_trim(padding).n)
		return DELIMITER_PREFIX;
	return closing ? DELIMITER_CLOSE : DELIMITER_OPEN;
}

/* The level whose delimiter the line is: the innermost that is not closed yet, else the
 * innermost. */
static struct level *find_level(struct scan *s, struct str rest, enum delimiter *kind_r)
{
	struct level *closed = NULL;
	enum delimiter closed_kind = DELIMITER_NONE;
	for (size_t i = s->depth; i-- > 0;) {
		struct level *l = &s->stack[i];
		enum delimiter kind = compare(s, rest, l->boundary);
		if (kind < DELIMITER_OPEN)
			continue;
		*kind_r = kind;
		if (l->place != PLACE_EPILOGUE)
			return l;
		if (!closed) {
			closed = l;
			closed_kind = kind;
		}
	}
	*kind_r = closed_kind;
	return closed;
}

/* A line that begins with two hyphens. true if it was a delimiter. */
static bool take_delimiter(struct scan *s)
{
	struct str rest = str_from(s->line + 2, (size_t)(s->line_end - s->line - 2));
	enum delimiter kind = DELIMITER_NONE;
	struct level *l = find_level(s, rest, &kind);
	if (!l)
		return false;
	if (s->full) {
		mail_note(s->m, MAIL_PARTS_LIMIT);
		return false;
	}
	if (!cut_headers(s, s->line))
		return true;
	mail_note_if(
		s->m, l->place == PLACE_EPILOGUE && kind == DELIMITER_OPEN, MAIL_HIDDEN_CONTENT);
	close_down_to(s, (size_t)(l - s->stack) + 1, s->before);
	if (kind == DELIMITER_CLOSE) {
		l->place = l->place == PLACE_PREAMBLE ? PLACE_PREAMBLE : PLACE_EPILOGUE;
		return true;
	}
	if (l->guess_at && !l->guess_end)
		l->guess_end = s->line;
	l->place = PLACE_INSIDE;
	open_part(s);
	return true;
}

static bool is_uuencode_begin(struct str line)
{
	if (!str_starts(line, "begin ") || line.n < 11)
		return false;
	for (size_t i = 6; i < 9; i++)
		if (line.p[i] < '0' || line.p[i] > '7')
			return false;
	return line.p[9] == ' ' || (char_is_digit(line.p[9]) && line.p[10] == ' ');
}

/*
 * Preamble and epilogue: RFC 2046 5.1.1 says to ignore them, so whatever looks like a part in
 * there is meant for a reader who does not. Something that looks like a delimiter in front of
 * it is kept for the second look.
 */
static void look_at_surroundings(struct scan *s, struct level *l, struct str line)
{
	if (str_istarts(line, "content-") && str_chr(line, ':') < line.n)
		mail_note(s->m, MAIL_HIDDEN_CONTENT);
	if (l->again || l->guess_at || !str_starts(line, "--") || line.n > LIMIT_BOUNDARY_BYTES)
		return;
	struct str next = str_from(s->next, (size_t)(s->end - s->next));
	bool blank = line.n > 2 && (str_starts(next, "\r\n") || str_starts(next, "\n"));
	if (!str_istarts(next, "content-") && !(blank && !l->boundary.p))
		return;
	l->guess = str_skip(line, 2);
	while (l->guess.n && char_is_wsp(l->guess.p[l->guess.n - 1]))
		l->guess.n--;
	l->guess_at = s->line;
}

static void take_line(struct scan *s)
{
	struct str line = str_from(s->line, (size_t)(s->line_end - s->line));
	char c = line.n ? line.p[0] : '\0';
	if (c == '-' && line.n >= 2 && line.p[1] == '-' && take_delimiter(s))
		return;
	if (s->in_headers) {
		const char *stop = s->block.stop;
		if (!line.n)
			begin_body(s, s->next);
		else if (stop && s->line - stop > LIMIT_HEADER_BYTES)
			begin_body(s, s->line);
		else
			mail_header_block_line(&s->block, s->line, s->line_end, s->next);
		return;
	}
	struct level *l = top(s);
	if (c == 'b')
		mail_note_if(s->m, is_uuencode_begin(line), MAIL_UUENCODE);
	else if (l->place != PLACE_LEAF && (c == '-' || c == 'c' || c == 'C'))
		look_at_surroundings(s, l, line);
	else if (char_is_wsp(c) && s->depth > 1 && str_starts(str_trim(line), "--")) {
		/* Some readers trim a line before they compare it. */
		enum delimiter kind;
		bool odd = find_level(s, str_skip(str_trim(line), 2), &kind) != NULL;
		mail_note_if(s->m, odd, MAIL_BOUNDARY_ODD);
	}
}

/* Finds the line at s->next; notes its oddities. */
static void next_line(struct scan *s)
{
	s->before = s->line_end;
	s->line = s->next;
	const char *lf = memchr(s->line, '\n', (size_t)(s->end - s->line));
	s->next = lf ? lf + 1 : s->end;
	s->line_end = lf ? lf : s->end;
	if (lf && lf > s->line && lf[-1] == '\r')
		s->line_end--;
	size_t n = (size_t)(s->line_end - s->line);
	mail_note_if(s->m, lf && s->line_end == lf, MAIL_BARE_LF);
	mail_note_if(s->m, n > 998, MAIL_LONG_LINE);
}

static inline sixteen is_bare_cr(sixteen c, sixteen next)
{
	return sixteen_is(c, '\r') & ~sixteen_is(next, '\n');
}

/* Scans `octets` for what is inside of the entities on the stack. */
static void scan_lines(struct scan *s, struct str octets)
{
	size_t bare_cr = sixteen_find(octets, 0, octets.n, is_bare_cr);
	mail_note_if(s->m, bare_cr < octets.n, MAIL_BARE_CR);
	s->next = s->line_end = octets.p;
	s->end = octets.p + octets.n;
	do {
		while (s->next < s->end) {
			next_line(s);
			take_line(s);
		}
		s->line = s->end;
	} while (!cut_headers(s, s->end));
	close_down_to(s, 0, s->end);
}

/* The second look at an entity, whose own body stays as it is. */
static void scan_later(struct scan *s, const struct later *job)
{
	struct mail_part *p = &s->m->parts.v[job->part];
	struct str octets = job->octets.n ? job->octets : mail_part_decoded(s->m, p);
	if (!octets.n || s->full)
		return;
	s->depth = 1;
	s->stack[0] = (struct level){.part = job->part, .again = true};
	if (job->boundary.p) {
		s->stack[0].boundary = job->boundary;
		s->stack[0].place = PLACE_PREAMBLE;
		s->stack[0].digest = str_eq_c(p->subtype, "digest");
	} else {
		open_part(s);
	}
	scan_lines(s, octets);
}

struct mail *mail_parse(struct arena *arena, struct str raw)
{
	struct mail *m = ARENA_NEW(arena, struct mail);
	struct scan s = {.m = m, .block.m = m};
	m->arena = arena;
	m->raw = raw;
	if (!raw.p)
		m->raw = raw = STR("");
	mail_note_if(m, str_chr(raw, '\0') < raw.n, MAIL_NUL);
	mail_note_if(m, !raw.n || raw.p[0] == '\r' || raw.p[0] == '\n', MAIL_NO_HEADERS);
	open_part(&s);
	scan_lines(&s, raw);
	while (s.later_done < s.later.n) {
		struct later job = s.later.v[s.later_done++];
		scan_later(&s, &job);
	}
	return m;
}
