#include "core/mail/decode.h"

#include "core/mail/anomaly.h"
#include "core/sixteen.h"

/* What an octet is in base64: its six bits, or one of these. */
enum { FOREIGN = 0x80, PADDING = 0x81, BLANK = 0x82 };

#define F FOREIGN
#define B BLANK
static const uint8_t base64_value[256] = {
	F, F, F, F, F, F, F, F, F, B, B, F, F, B, F, F, /* 00: HTAB LF CR */
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, /* 10 */
	B, F, F, F, F, F, F, F, F, F, F, 62, F, F, F, 63, /* 20: SP + / */
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, F, F, F, PADDING, F, F, /* 30: 0-9 = */
	F, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, /* 40: A-O */
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, F, F, F, F, F, /* 50: P-Z */
	F, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, /* 60: a-o */
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, F, F, F, F, F, /* 70: p-z */
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
	F, F, F, F, F, F, F, F, F, F, F, F, F, F, F, F,
};
#undef F
#undef B

struct base64 {
	uint32_t bits;
	unsigned count; /* of sextets in bits */
	bool padded;
	bool odd;
};

/* What is left of a group of four: 2 or 3 sextets make 1 or 2 octets. */
static char *flush_group(struct base64 *s, char *out)
{
	if (s->count == 3) {
		*out++ = (char)(s->bits >> 10);
		*out++ = (char)(s->bits >> 2);
	} else if (s->count == 2) {
		*out++ = (char)(s->bits >> 4);
	} else if (s->count == 1) {
		s->odd = true;
	}
	s->bits = s->count = 0;
	return out;
}

/* One octet outside of the fast path. */
static char *base64_octet(struct base64 *s, uint8_t v, char *out)
{
	if (v < 64) {
		/* Data behind the padding: some readers stop, others go on. */
		s->odd |= s->padded;
		s->bits = s->bits << 6 | v;
		if (++s->count == 4) {
			*out++ = (char)(s->bits >> 16);
			*out++ = (char)(s->bits >> 8);
			*out++ = (char)s->bits;
			s->bits = s->count = 0;
		}
	} else if (v == PADDING) {
		s->odd |= s->count < 2 && !s->padded;
		s->padded = true;
		out = flush_group(s, out);
	} else if (v == FOREIGN) {
		s->odd = true;
	}
	return out;
}

struct str mail_decode_base64(struct arena *arena, struct str in, bool *odd_r)
{
	const uint8_t *p = (const uint8_t *)in.p, *end = p + in.n;
	char *begin = arena_alloc(arena, in.n / 4 * 3 + 8), *out = begin;
	struct base64 s = { 0 };
	while (p < end) {
		while (s.count == 0 && !s.padded && end - p >= 4) {
			uint8_t a = base64_value[p[0]], b = base64_value[p[1]];
			uint8_t c = base64_value[p[2]], d = base64_value[p[3]];
			if ((a | b | c | d) & 0x80)
				break;
			uint32_t bits = (uint32_t)(a << 18 | b << 12 | c << 6 | d);
			*out++ = (char)(bits >> 16);
			*out++ = (char)(bits >> 8);
			*out++ = (char)bits;
			p += 4;
		}
		if (p < end)
			out = base64_octet(&s, base64_value[*p++], out);
	}
	s.odd |= s.count != 0; /* no padding, or cut off */
	out = flush_group(&s, out);
	*odd_r |= s.odd;
	return str_from(begin, (size_t)(out - begin));
}

/* Where a line ends that goes on from p with white space only; NULL if it does not. */
static const char *blank_line_end(const char *p, const char *end)
{
	while (p < end && char_is_wsp(*p))
		p++;
	if (p < end && *p == '\n')
		return p;
	return end - p >= 2 && p[0] == '\r' && p[1] == '\n' ? p : NULL;
}

/* At a '='. Returns what follows the escape, or NULL if it is none. */
static const char *qp_escape(const char *p, const char *end, char **out)
{
	if (end - p >= 3) {
		int high = char_hex(p[1]), low = char_hex(p[2]);
		if (high >= 0 && low >= 0) {
			*(*out)++ = (char)(high << 4 | low);
			return p + 3;
		}
	}
	/* A soft break, with the white space that a transport may have put behind it; or the
	 * last line of the part, whose CRLF belongs to the boundary. */
	const char *eol = blank_line_end(p + 1, end);
	if (eol)
		return eol + (*eol == '\r' ? 2 : 1);
	while (++p < end && char_is_wsp(*p))
		;
	return p == end ? end : NULL;
}

/* An escape, or white space that may be the last of its line: but most is between words. */
static inline sixteen is_no_plain_qp(sixteen c, sixteen next)
{
	sixteen blanks = sixteen_is(c, ' ') | sixteen_is(c, '\t');
	sixteen followed = sixteen_within(next, '!', 0xff);
	return sixteen_is(c, '=') | (blanks & ~followed);
}

/* White space at the end of a line was put there on the way. One run is looked at once, so the
 * whole stays linear. */
static const char *qp_blanks(const char *p, const char *end, char **out)
{
	const char *run = p;
	while (p < end && char_is_wsp(*p))
		p++;
	if (p == end || blank_line_end(p, end))
		return p;
	memcpy(*out, run, (size_t)(p - run));
	*out += p - run;
	return p;
}

struct str mail_decode_qp(struct arena *arena, struct str in, bool *odd_r)
{
	const char *p = in.p, *end = p + in.n;
	char *begin = arena_alloc(arena, in.n + 1), *out = begin;
	while (p < end) {
		struct str rest = str_from(p, (size_t)(end - p));
		size_t plain = sixteen_find(rest, 0, rest.n, is_no_plain_qp);
		memcpy(out, p, plain);
		out += plain;
		p += plain;
		if (p == end)
			break;
		const char *next = *p == '=' ? qp_escape(p, end, &out) : qp_blanks(p, end, &out);
		if (!next) {
			*odd_r = true;
			*out++ = *p++;
		} else {
			p = next;
		}
	}
	return str_from(begin, (size_t)(out - begin));
}

/* Does the first line that is not empty hold nothing but base64? */
static bool looks_like_base64(struct str body)
{
	struct str line = STR("");
	while (!line.n && str_cut(&body, '\n', &line))
		line = str_trim_crlf(line);
	for (size_t i = 0; i < line.n; i++)
		if (base64_value[(uint8_t)line.p[i]] > 63 && line.p[i] != '=')
			return false;
	return line.n >= 4;
}

/*
 * Readers differ in which of several encodings they take, and in what they make of one that
 * they do not know. Only one of them can make sense of the body, and that one is meant.
 */
static enum mail_encoding settle(const struct mail_part *p)
{
	enum mail_encoding first = p->encoding, last = p->last_encoding;
	bool unknown = first == MAIL_UNKNOWN_ENCODING || last == MAIL_UNKNOWN_ENCODING;
	if (first == last && !unknown)
		return first;
	bool base64 = first == MAIL_BASE64 || last == MAIL_BASE64;
	if ((base64 || unknown) && looks_like_base64(p->body))
		return MAIL_BASE64;
	if (first == MAIL_QP || last == MAIL_QP)
		return MAIL_QP;
	return base64 ? MAIL_BINARY : first;
}

struct str mail_part_decoded(struct mail *m, struct mail_part *p)
{
	if (p->decoded_known)
		return p->decoded;
	bool odd = false;
	enum mail_encoding encoding = settle(p);
	if (encoding == MAIL_BASE64) {
		p->decoded = mail_decode_base64(m->arena, p->body, &odd);
		mail_note_if(m, odd, MAIL_BASE64_ODD);
	} else if (encoding == MAIL_QP) {
		p->decoded = mail_decode_qp(m->arena, p->body, &odd);
		mail_note_if(m, odd, MAIL_QP_ODD);
	} else {
		p->decoded = p->body;
	}
	p->decoded_known = true;
	return p->decoded;
}
