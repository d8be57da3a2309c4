#include "core/smtp/reply.h"

#include <assert.h>
#include <stdio.h>

#include "core/json.h"
#include "core/limits.h"

/* RFC 5321 4.5.3.1.5: 512 octets with the code and CRLF. */
#define LINE_MAX_OCTETS 510

void reply_clear(struct reply *r)
{
	r->code = 0;
	r->enhanced[0] = '\0';
	r->lines = 0;
	buf_clear(&r->text);
}

void reply_free(struct reply *r)
{
	buf_free(&r->text);
	reply_clear(r);
}

/* RFC 5321 4.2: three digits, of which the first is 2 to 5. */
static int code_of(struct str line)
{
	uint64_t code;

	if (line.n < 3 || str_to_u64(str_sub(line, 0, 3), 200, 599, &code))
		return 0;
	return (int)code;
}

/*
 * RFC 2034 4 and RFC 3463 2: class "." subject "." detail at the beginning of the
 * text, then a space or nothing. A class that disagrees with the code is no
 * enhanced code, but text. Returns its length without the space, or 0.
 */
static size_t enhanced_length(struct str text, int code)
{
	size_t n = 0;

	if (!text.n || text.p[0] != '0' + code / 100 || text.p[0] == '3')
		return 0;
	n++;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;
		if (n >= text.n || text.p[n++] != '.')
			return 0;
		while (n < text.n && char_is_digit(text.p[n]) && digits < 4)
			n++, digits++;
		if (!digits || digits > 3)
			return 0;
	}
	return n == text.n || text.p[n] == ' ' ? n : 0;
}

static void copy_enhanced(char to[REPLY_ENHANCED_MAX], struct str text, size_t n)
{
	assert(n < REPLY_ENHANCED_MAX);
	memcpy(to, text.p, n);
	to[n] = '\0';
}

static void add_text(struct reply *r, struct str text)
{
	size_t n = enhanced_length(text, r->code);

	if (n && !r->lines)
		copy_enhanced(r->enhanced, text, n);
	if (n)
		text = str_skip(text, n + 1);
	if (r->lines)
		buf_char(&r->text, '\n');
	text_safe(&r->text, text, LIMIT_REPLY_LINE);
	r->lines++;
}

/* 1: the last line of a reply; 0: more follow; -1. */
static int read_line(struct reply *r, struct str line, struct err *err)
{
	int code = code_of(line);

	if (!code)
		return err_set(err, "a reply does not begin with a code");
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return err_set(err, "neither space nor hyphen behind a reply's code");
	/* RFC 5321 4.2.1: the code is the same in all lines. */
	if (r->lines && code != r->code)
		return err_set(err, "the lines of a reply have different codes");
	if (r->lines == LIMIT_REPLY_LINES)
		return err_set(err, "a reply has more than %d lines", LIMIT_REPLY_LINES);
	r->code = code;
	add_text(r, str_skip(line, 4));
	return line.n <= 3 || line.p[3] == ' ';
}

int reply_read(struct reply *r, struct str *in, struct err *err)
{
	while (in->n) {
		size_t window = in->n < LIMIT_REPLY_LINE ? in->n : LIMIT_REPLY_LINE;
		const char *lf = memchr(in->p, '\n', window);
		if (!lf && window == LIMIT_REPLY_LINE)
			return err_set(
				err, "a reply's line has more than %d octets", LIMIT_REPLY_LINE);
		if (!lf)
			return 0;
		struct str line = str_from(in->p, (size_t)(lf - in->p));
		*in = str_skip(*in, line.n + 1);
		/* A bare LF is let pass here: nothing is hidden by it, as it is no text. */
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		int done = read_line(r, line, err);
		if (done)
			return done;
	}
	return 0;
}

struct str reply_text_line(const struct reply *r, unsigned i)
{
	struct str rest = buf_str(&r->text), line = {0};

	if (i >= r->lines)
		return line;
	for (unsigned k = 0; k <= i; k++)
		if (!str_cut(&rest, '\n', &line))
			return (struct str){0};
	return line;
}

static void write_line(struct buf *out, int code, const char *enhanced, struct str part, bool last)
{
	buf_printf(out, "%03d%c", code, last ? ' ' : '-');
	if (enhanced && *enhanced)
		buf_printf(out, "%s ", enhanced);
	buf_str_add(out, part);
	/* "250 " alone is right, "250 2.0.0 " would end in a space. */
	if (!part.n && enhanced && *enhanced)
		out->n--;
	buf_c(out, "\r\n");
}

/* At a space where there is one in the last third. */
static size_t cut_at(struct str s, size_t room)
{
	if (s.n <= room)
		return s.n;
	for (size_t k = room; k > room * 2 / 3; k--)
		if (s.p[k] == ' ')
			return k;
	return room;
}

/*
 * RFC 5321 4.2: a reply's text is printable ASCII (RFC 6531 3.7.4.2 lets more be said only
 * to those who asked for SMTPUTF8, which is not offered). A question mark a character.
 */
static void make_ascii(struct buf *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->n; i++) {
		unsigned char c = (unsigned char)text->p[i];

		if ((c & 0xC0) != 0x80)
			text->p[n++] = c < 0x80 ? (char)c : '?';
	}
	text->n = n;
}

void reply_write(struct buf *out, int code, const char *enhanced, struct str text)
{
	size_t room = LINE_MAX_OCTETS - 4 - (enhanced && *enhanced ? strlen(enhanced) + 1 : 0);
	struct str line;
	unsigned lines = 0;
	bool more = true;
	struct buf safe = BUF_INIT;

	assert(code >= 200 && code <= 599 && room > 400);
	text = str_trim_crlf(text);
	while (more && str_cut(&text, '\n', &line)) {
		buf_clear(&safe);
		text_safe(&safe, str_trim_crlf(line), LIMIT_REPLY_LINE);
		make_ascii(&safe);
		struct str rest = buf_str(&safe);
		do {
			struct str part = str_sub(rest, 0, cut_at(rest, room));
			rest = str_skip(rest, part.n);
			if (rest.n && rest.p[0] == ' ')
				rest = str_skip(rest, 1);
			more = (rest.n || text.p) && ++lines < LIMIT_REPLY_LINES;
			write_line(out, code, enhanced, part, !more);
		} while (more && rest.n);
	}
	if (!lines && more)
		write_line(out, code, enhanced, (struct str){0}, true);
	buf_free(&safe);
}

void reply_line(struct buf *out, const char *line)
{
	assert(!strpbrk(line, "\r\n"));
	buf_c(out, line);
	buf_c(out, "\r\n");
}

int reply_split(
	struct str line, int *code_r, char enhanced_r[REPLY_ENHANCED_MAX], struct str *text_r)
{
	int code = code_of(line);

	if (!code || code / 100 == 3 || (line.n > 3 && line.p[3] != ' '))
		return -1;
	struct str text = str_skip(line, 4);
	size_t n = enhanced_length(text, code);
	copy_enhanced(enhanced_r, text, n);
	*code_r = code;
	*text_r = n ? str_skip(text, n + 1) : text;
	return 0;
}
