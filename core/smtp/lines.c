#include "core/smtp/lines.h"

#include <assert.h>

#include "core/limits.h"

/* Where in a line of message the reader stands. */
enum place {
	AT_START,    /* behind CRLF, or at the beginning of the message */
	AT_LF_START, /* behind a bare LF that has become CRLF */
	AT_TEXT,
	AT_CR,	   /* a CR is held back */
	AT_DOT,	   /* behind AT_START and a dot (DATA: held back) */
	AT_LF_DOT, /* behind AT_LF_START and a dot (the same) */
	AT_DOT_CR, /* behind AT_DOT and a CR, held back */
};

/*
 * The same, as the most lenient of readers would see it: one that takes CR, LF
 * and CRLF for line ends and has no eyes for NUL. Where it would see a line that
 * is one dot and we do not see the end, the message is LINES_NEAR_END.
 */
enum loose { LOOSE_START, LOOSE_TEXT, LOOSE_DOT };

static const struct str crlf = {"\r\n", 2};

void lines_init(struct lines *l)
{
	*l = (struct lines){0};
}

static enum lines_step skip_command(struct lines *l, struct str *in)
{
	const char *lf = memchr(in->p, '\n', in->n);
	size_t n = lf ? (size_t)(lf - in->p) + 1 : in->n;

	l->discarded += n;
	*in = str_skip(*in, n);
	l->error = LINES_COMMAND_TOO_LONG;
	if (l->discarded > LIMIT_COMMAND_DISCARD)
		return LINES_ABORT;
	if (!lf)
		return LINES_MORE;
	l->skipping = false;
	return LINES_BAD;
}

enum lines_step lines_command(struct lines *l, struct str *in, struct str *line_r)
{
	if (!in->n)
		return LINES_MORE;
	if (l->skipping)
		return skip_command(l, in);
	size_t window = in->n < LIMIT_COMMAND_LINE ? in->n : LIMIT_COMMAND_LINE;
	const char *lf = memchr(in->p, '\n', window);
	if (!lf && in->n < LIMIT_COMMAND_LINE)
		return LINES_MORE;
	if (!lf) {
		l->skipping = true;
		l->discarded = 0;
		return skip_command(l, in);
	}
	struct str line = str_from(in->p, (size_t)(lf - in->p));
	*in = str_skip(*in, line.n + 1);
	/* RFC 5321 2.3.8: a line ends in CRLF, and CR and LF have no other place. */
	const char *cr = memchr(line.p, '\r', line.n);
	if (!cr || cr + 1 != lf || memchr(line.p, '\0', line.n)) {
		l->error = LINES_COMMAND_OCTETS;
		return LINES_BAD;
	}
	line.n--;
	l->error = LINES_OK;
	*line_r = line;
	return LINES_LINE;
}

void lines_message(struct lines *l, enum lines_policy policy, uint64_t max_octets)
{
	/* RFC 5321 4.1.1.4: the CRLF of the DATA line itself may begin the end of data. */
	*l = (struct lines){
		.policy = policy, .max_octets = max_octets, .at = AT_START, .loose = LOOSE_START};
}

static void fail(struct lines *l, enum lines_error error)
{
	if (l->error == LINES_OK)
		l->error = error;
}

/* Hands out octets of message. False if there is nothing to hand out. */
static bool give(struct lines *l, struct str octets, struct str *span_r)
{
	l->octets += octets.n;
	if (l->octets > l->max_octets)
		fail(l, LINES_TOO_BIG);
	if (l->error != LINES_OK)
		return false;
	*span_r = octets;
	return true;
}

static struct str take(struct str *in, size_t n)
{
	struct str head = str_from(in->p, n);
	*in = str_skip(*in, n);
	return head;
}

static void new_line(struct lines *l, enum place at)
{
	l->at = (unsigned char)at;
	l->loose = LOOSE_START;
	l->line_octets = 0;
}

/*
 * The way of nearly all octets: from AT_START over as many whole lines as are as
 * they should be. Each octet is looked at here once, whatever the input.
 */
static size_t clean_lines(struct str in, bool stuffed)
{
	size_t done = 0;

	while (done < in.n && !(stuffed && in.p[done] == '.')) {
		const char *line = in.p + done;
		const char *lf = memchr(line, '\n', in.n - done);
		if (!lf)
			break;
		size_t n = (size_t)(lf - line);
		if (n > LIMIT_TEXT_LINE || memchr(line, '\r', n) != lf - 1 || memchr(line, '\0', n))
			break;
		/* A line that is one dot: the loose reader has to see it begin and end. */
		if (n == 2 && line[0] == '.')
			break;
		done += n + 1;
	}
	return done;
}

/* The octets up to the next one that means something. */
static size_t plain_run(struct str in)
{
	size_t n = 0;
	while (n < in.n && in.p[n] != '\r' && in.p[n] != '\n' && in.p[n] != '\0')
		n++;
	return n;
}

static void count_text(struct lines *l, struct str run)
{
	bool dot = run.n == 1 && run.p[0] == '.' && l->loose == LOOSE_START;

	l->at = AT_TEXT;
	l->loose = dot ? LOOSE_DOT : LOOSE_TEXT;
	/* No overflow: it stands still past the limit. */
	if (l->line_octets + run.n > LIMIT_TEXT_LINE)
		fail(l, LINES_TEXT_TOO_LONG);
	else
		l->line_octets += (uint32_t)run.n;
}

/* A dot that begins a line is held back in DATA; what follows says what it was. */
static bool first_dot(struct lines *l, struct str *in, bool stuffed, struct str *span_r)
{
	struct str dot = take(in, 1);

	l->at = l->at == AT_START ? AT_DOT : AT_LF_DOT;
	l->loose = LOOSE_DOT;
	return !stuffed && give(l, dot, span_r);
}

/* CR, LF or NUL where text may stand. */
static enum lines_step special(struct lines *l, struct str *in, struct str *span_r)
{
	char c = *take(in, 1).p;

	if (c == '\0') {
		fail(l, LINES_NUL);
		l->at = AT_TEXT;
		return LINES_MORE;
	}
	if (l->loose == LOOSE_DOT) {
		fail(l, LINES_NEAR_END);
		l->at = c == '\r' ? AT_CR : AT_LF_START;
		l->loose = LOOSE_START;
		return LINES_ABORT;
	}
	if (c == '\r') {
		l->at = AT_CR;
		l->loose = LOOSE_START;
		return LINES_MORE;
	}
	if (l->policy == LINES_REFUSE)
		fail(l, LINES_BARE_LF);
	new_line(l, AT_LF_START);
	return give(l, crlf, span_r) ? LINES_SPAN : LINES_MORE;
}

/* Behind a held CR: LF completes the line, or the CR was a bare one. */
static enum lines_step after_cr(struct lines *l, struct str *in, struct str *span_r)
{
	if (in->p[0] != '\n') {
		fail(l, LINES_BARE_CR);
		l->at = AT_TEXT;
		return LINES_MORE;
	}
	take(in, 1);
	new_line(l, AT_START);
	return give(l, crlf, span_r) ? LINES_SPAN : LINES_MORE;
}

/* Behind CRLF, dot, CR. RFC 5321 4.1.1.4: this LF, and nothing else, ends DATA. */
static enum lines_step after_dot_cr(
	struct lines *l, struct str *in, bool stuffed, struct str *span_r)
{
	if (in->p[0] != '\n') {
		fail(l, LINES_NEAR_END);
		l->at = AT_CR;
		return LINES_ABORT;
	}
	if (!stuffed)
		return after_cr(l, in, span_r);
	take(in, 1);
	new_line(l, AT_START);
	return LINES_END;
}

/* One event of the message; LINES_MORE: nothing to tell, go on. */
static enum lines_step next(struct lines *l, struct str *in, bool stuffed, struct str *span_r)
{
	switch ((enum place)l->at) {
	case AT_START:
	case AT_LF_START:
		if (in->p[0] == '.')
			return first_dot(l, in, stuffed, span_r) ? LINES_SPAN : LINES_MORE;
		break;
	case AT_CR:
		return after_cr(l, in, span_r);
	case AT_DOT_CR:
		return after_dot_cr(l, in, stuffed, span_r);
	case AT_DOT:
		if (in->p[0] == '\r') {
			take(in, 1);
			l->at = AT_DOT_CR;
			return LINES_MORE;
		}
		break;
	case AT_LF_DOT:
	case AT_TEXT:
		break;
	}
	size_t n = plain_run(*in);
	if (!n)
		return special(l, in, span_r);
	struct str run = take(in, n);
	count_text(l, run);
	return give(l, run, span_r) ? LINES_SPAN : LINES_MORE;
}

static enum lines_step walk(struct lines *l, struct str *in, bool stuffed, struct str *span_r)
{
	while (in->n) {
		size_t n = l->at == AT_START ? clean_lines(*in, stuffed) : 0;
		if (n) {
			if (give(l, take(in, n), span_r))
				return LINES_SPAN;
			continue;
		}
		enum lines_step step = next(l, in, stuffed, span_r);
		if (step != LINES_MORE)
			return step;
	}
	return LINES_MORE;
}

enum lines_step lines_data(struct lines *l, struct str *in, struct str *span_r)
{
	size_t before = in->n;
	enum lines_step step = walk(l, in, true, span_r);

	if (l->error != LINES_OK)
		l->discarded += before - in->n;
	/* Who goes on sending a second message's worth of what is refused is not listening. */
	if (step == LINES_MORE && l->discarded > l->max_octets)
		return LINES_ABORT;
	return step;
}

void lines_chunk(struct lines *l, uint64_t n, bool last)
{
	assert(!l->chunk_left);
	l->chunk_left = n;
	l->last = last;
}

enum lines_step lines_chunk_data(struct lines *l, struct str *in, struct str *span_r)
{
	while (l->chunk_left && in->n) {
		struct str part = *in;
		if (part.n > l->chunk_left)
			part.n = (size_t)l->chunk_left;
		size_t before = part.n;
		enum lines_step step = walk(l, &part, false, span_r);
		l->chunk_left -= before - part.n;
		*in = str_skip(*in, before - part.n);
		if (step == LINES_SPAN)
			return step;
		/* LINES_ABORT: the error is noted; here the end is known all the same. */
	}
	if (l->chunk_left)
		return LINES_MORE;
	if (l->last && (l->at == AT_CR || l->at == AT_DOT_CR))
		fail(l, LINES_BARE_CR);
	return LINES_END;
}

const char *lines_error_reply(enum lines_error error)
{
	static const char *const replies[LINES_ERRORS] = {
		[LINES_OK] = "250 2.0.0 Ok",
		[LINES_COMMAND_TOO_LONG] = "500 5.5.2 Line too long",
		[LINES_COMMAND_OCTETS] =
			"500 5.5.2 A line ends in CR LF, and holds neither elsewhere",
		[LINES_BARE_LF] = "550 5.6.0 Message refused: a line ends in LF without CR",
		[LINES_BARE_CR] = "550 5.6.0 Message refused: it holds a CR without LF",
		[LINES_NUL] = "550 5.6.0 Message refused: it holds a NUL",
		[LINES_NEAR_END] = "550 5.6.0 Message refused: a malformed end of data inside",
		[LINES_TEXT_TOO_LONG] = "554 5.6.0 Message refused: a line is too long",
		[LINES_TOO_BIG] = "552 5.3.4 Message too big",
	};
	assert(error < LINES_ERRORS);
	return replies[error];
}

bool lines_error_closes(enum lines_error error)
{
	switch (error) {
	case LINES_BARE_LF:
	case LINES_BARE_CR:
	case LINES_NUL:
	case LINES_NEAR_END:
		return true;
	case LINES_OK:
	case LINES_COMMAND_TOO_LONG:
	case LINES_COMMAND_OCTETS:
	case LINES_TEXT_TOO_LONG:
	case LINES_TOO_BIG:
	case LINES_ERRORS:
		break;
	}
	return false;
}
