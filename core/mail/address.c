#include "core/mail/mail.h"

#include "core/limits.h"

/*
 * Two readings. The strict one is the grammar of RFC 5322 3.4 with the groups of RFC 6854 and
 * the UTF-8 of RFC 6532; of the obsolete forms only the dots in phrases ("John Q. Public"),
 * which are everywhere. If it fails, the value is not valid, and the loose one picks out all
 * that some reader could take for an address.
 */

struct reader {
	struct mail *m;
	struct mail_addresses *out;
	struct str s;
	size_t at;
	struct str comment; /* the last one seen, without its parentheses */
	size_t room;
};

static int peek(const struct reader *r)
{
	return r->at < r->s.n ? (unsigned char)r->s.p[r->at] : -1;
}

/* RFC 5322 3.2.3, RFC 6532 3.2. */
static bool is_atext(int c)
{
	return c >= 0x80 || (c > ' ' && c < 0x7f && !strchr("()<>[]:;@\\,.\"", c));
}

static void add(struct reader *r, struct str display, struct str local, struct str domain)
{
	if (r->out->list.n == LIMIT_ADDRESSES)
		return;
	if (r->out->list.n == r->room) {
		r->room = r->room ? r->room * 4 : 4;
		r->out->list.v = arena_grow(r->m->arena, r->out->list.v, r->out->list.n, r->room,
			sizeof(*r->out->list.v));
	}
	struct mail_address *a = &r->out->list.v[r->out->list.n++];
	*a = (struct mail_address){display, local, STR(""), domain};
	struct str canonical;
	if (!mail_domain_canonical(r->m->arena, domain, &canonical))
		a->domain = canonical;
}

/* Comments and blanks (RFC 5322 3.2.2); false if a comment does not end. */
static bool skip_cfws(struct reader *r)
{
	for (;;) {
		while (peek(r) == ' ' || peek(r) == '\t')
			r->at++;
		if (peek(r) != '(')
			return true;
		size_t begin = ++r->at, depth = 1;
		for (; depth && r->at < r->s.n; r->at++) {
			int c = peek(r);
			depth += c == '(';
			depth -= c == ')';
			if (c == '\r' || c == '\n' || c == '\0')
				return false;
			r->at += c == '\\';
		}
		if (depth)
			return false;
		r->comment = str_sub(r->s, begin, r->at - 1 - begin);
	}
}

/* Takes escapes out of what stood between quotes or parentheses. */
static struct str unescape(struct reader *r, struct str s)
{
	if (str_chr(s, '\\') == s.n)
		return s;
	char *out = arena_alloc(r->m->arena, s.n);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		i += s.p[i] == '\\' && i + 1 < s.n;
		out[n++] = s.p[i];
	}
	return str_from(out, n);
}

/* RFC 5322 3.2.4; what is inside, escapes and all. */
static bool read_quoted(struct reader *r, struct str *inside_r)
{
	size_t begin = ++r->at;
	for (int c; (c = peek(r)) != '"'; r->at++) {
		if (c == '\\')
			c = (++r->at, peek(r));
		if (c < ' ' && c != '\t')
			return false; /* the end, or a control character */
	}
	*inside_r = str_sub(r->s, begin, r->at - begin);
	r->at++;
	return true;
}

static bool read_dot_atom(struct reader *r, struct str *atom_r)
{
	size_t begin = r->at;
	for (;;) {
		size_t atom = r->at;
		while (is_atext(peek(r)))
			r->at++;
		if (r->at == atom)
			return false;
		if (peek(r) != '.')
			break;
		r->at++;
	}
	*atom_r = str_sub(r->s, begin, r->at - begin);
	return true;
}

static bool read_domain(struct reader *r, struct str *domain_r)
{
	if (peek(r) != '[')
		return read_dot_atom(r, domain_r) && str_is_utf8(*domain_r);
	size_t begin = r->at++;
	for (int c; (c = peek(r)) != ']'; r->at++)
		if (c <= ' ' || c >= 0x7f || c == '[' || c == '\\')
			return false;
	r->at++;
	*domain_r = str_sub(r->s, begin, r->at - begin);
	return true;
}

static bool read_addr_spec(struct reader *r, struct str *local_r, struct str *domain_r)
{
	if (!skip_cfws(r))
		return false;
	if (peek(r) == '"') {
		if (!read_quoted(r, local_r))
			return false;
		*local_r = unescape(r, *local_r);
	} else if (!read_dot_atom(r, local_r)) {
		return false;
	}
	if (!str_is_utf8(*local_r) || !skip_cfws(r) || peek(r) != '@')
		return false;
	r->at++;
	return skip_cfws(r) && read_domain(r, domain_r) && skip_cfws(r);
}

/* RFC 5322 3.2.5, with dots (4.1): words, quoted or not. false if there is none. */
static bool read_phrase(struct reader *r, struct str *text_r)
{
	struct buf b = BUF_INIT;
	bool good = skip_cfws(r);
	bool gap = false;
	while (good) {
		struct str word;
		size_t begin = r->at;
		if (peek(r) == '"') {
			good = read_quoted(r, &word);
			word = good ? unescape(r, word) : word;
		} else {
			while (is_atext(peek(r)) || (peek(r) == '.' && (b.n || r->at > begin)))
				r->at++;
			word = str_sub(r->s, begin, r->at - begin);
		}
		if (!good || r->at == begin)
			break;
		if (gap)
			buf_char(&b, ' ');
		buf_str_add(&b, word);
		size_t end = r->at;
		good = skip_cfws(r);
		gap = r->at > end;
	}
	good = good && b.n;
	if (good)
		*text_r = mail_decode_header(r->m, arena_dup(r->m->arena, buf_str(&b)));
	buf_free(&b);
	return good;
}

static bool at_end_of_address(const struct reader *r, bool in_group)
{
	return peek(r) == -1 || peek(r) == ',' || (in_group && peek(r) == ';');
}

/* What is wrong with a bare address is found out by trying: the second reading begins at the
 * same place, so an address is read twice at most. */
static bool read_mailbox(struct reader *r, bool in_group)
{
	struct str local, domain, display = STR("");
	size_t begin = r->at;
	r->comment = STR("");
	if (read_addr_spec(r, &local, &domain) && at_end_of_address(r, in_group)) {
		/* The oldest way to give a name: in a comment. */
		add(r, mail_decode_header(r->m, unescape(r, r->comment)), local, domain);
		return true;
	}
	r->at = begin;
	if (!skip_cfws(r) || (peek(r) != '<' && !read_phrase(r, &display)) || peek(r) != '<')
		return false;
	r->at++;
	if (!read_addr_spec(r, &local, &domain) || peek(r) != '>')
		return false;
	r->at++;
	add(r, display, local, domain);
	return skip_cfws(r) && at_end_of_address(r, in_group);
}

/* display-name ":" [group-list] ";" : 1 it was one, 0 it is none, -1 it is broken. */
static int read_group(struct reader *r)
{
	struct str name;
	size_t begin = r->at;
	if (!read_phrase(r, &name) || peek(r) != ':') {
		r->at = begin;
		return 0;
	}
	r->at++;
	if (!skip_cfws(r))
		return -1;
	while (peek(r) != ';') {
		if (!read_mailbox(r, true))
			return -1;
		if (peek(r) == ',')
			r->at++;
		else if (peek(r) != ';')
			return -1;
	}
	r->at++;
	return skip_cfws(r) && at_end_of_address(r, false) ? 1 : -1;
}

static bool read_strictly(struct reader *r)
{
	for (;;) {
		int group = read_group(r);
		if (group < 0 || (group == 0 && !read_mailbox(r, false)))
			return false;
		if (peek(r) == -1)
			return true;
		r->at++; /* the comma */
	}
}

/* Behind the quoted string or comment at `at`, or `at` itself if it does not end. */
static size_t skip_enclosed(struct str s, size_t at)
{
	char close = s.p[at] == '"' ? '"' : ')';
	size_t depth = 0;
	for (size_t i = at; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (close == ')' && s.p[i] == '(')
			depth++;
		else if (s.p[i] == close && (i > at) && (close == '"' || --depth == 0))
			return i + 1;
	}
	return at;
}

static bool is_loose(int c)
{
	return is_atext(c) || c == '.';
}

/* The display name that a reader would see before an address at `end`. */
static struct str loose_display(struct reader *r, size_t begin, size_t end)
{
	struct str s = str_trim_crlf(str_sub(r->s, begin, end - begin));
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		s = unescape(r, str_sub(s, 1, s.n - 2));
	return mail_decode_header(r->m, s);
}

struct loose {
	size_t display; /* where the display name begins */
	size_t low;	/* no address reaches before this */
	size_t quoted;	/* where a quoted local part begins that ends before the '@', or none */
	bool quotes, comments;
};
#define NOWHERE SIZE_MAX

/* Steps over a quoted string or a comment. One that does not end is none, and neither is any
 * behind it: each is looked for once, which keeps the whole linear. */
static size_t step_over(struct reader *r, struct loose *l, size_t at)
{
	bool quote = r->s.p[at] == '"';
	size_t next = skip_enclosed(r->s, at);
	if (next == at) {
		l->quotes = l->quotes && !quote;
		l->comments = l->comments && quote;
		return at + 1;
	}
	l->quoted = quote && next < r->s.n && r->s.p[next] == '@' ? at : NOWHERE;
	l->low = next;
	return next;
}

/* The address around the '@' at `at`; returns where it ends. */
static size_t take_around(struct reader *r, struct loose *l, size_t at)
{
	struct str s = r->s;
	size_t from = at, to = at + 1;
	while (from > l->low && is_loose((unsigned char)s.p[from - 1]))
		from--;
	if (l->quoted != NOWHERE)
		from = l->quoted;
	while (to < s.n && is_loose((unsigned char)s.p[to]))
		to++;
	size_t name_end = from > l->display ? from - (s.p[from - 1] == '<') : l->display;
	add(r, loose_display(r, l->display, name_end), str_sub(s, from, at - from),
		str_sub(s, at + 1, to - at - 1));
	l->display = to < s.n && s.p[to] == '>' ? to + 1 : to;
	l->low = to;
	l->quoted = NOWHERE;
	return to;
}

static void read_loosely(struct reader *r)
{
	struct loose l = {.quoted = NOWHERE, .quotes = true, .comments = true};
	for (size_t i = 0; i < r->s.n;) {
		char c = r->s.p[i];
		if ((c == '"' && l.quotes) || (c == '(' && l.comments)) {
			i = step_over(r, &l, i);
		} else if (c == '@') {
			i = take_around(r, &l, i);
		} else {
			i++;
			if (c == ',' || c == ';')
				l.display = i;
		}
	}
}

void mail_parse_addresses(struct mail *m, struct str value, struct mail_addresses *out_r)
{
	struct reader r = {.m = m, .out = out_r, .s = mail_unfold(m->arena, value)};
	*out_r = (struct mail_addresses){0};
	out_r->valid = read_strictly(&r);
	if (out_r->valid)
		return;
	out_r->list.n = 0;
	read_loosely(&r);
}
