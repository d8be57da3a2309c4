#include "core/json.h"

#include <math.h>
#include <stdio.h>

/* Characters that change how a line is shown without being seen: bidi controls, zero width,
 * line separators, byte order mark, tags, C1 controls. */
static bool is_invisible(uint32_t code)
{
	return (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
	       (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
	       (code >= 0xfff9 && code <= 0xfffb) || code >= 0xe0000;
}

static void escape_code(struct buf *out, uint32_t code)
{
	if (code > 0xffff) {
		code -= 0x10000;
		buf_printf(out, "\\u%04x\\u%04x", 0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff));
	} else {
		buf_printf(out, "\\u%04x", code);
	}
}

static void json_ascii(struct buf *out, char c)
{
	switch (c) {
	case '"':
		buf_c(out, "\\\"");
		break;
	case '\\':
		buf_c(out, "\\\\");
		break;
	case '\n':
		buf_c(out, "\\n");
		break;
	case '\r':
		buf_c(out, "\\r");
		break;
	case '\t':
		buf_c(out, "\\t");
		break;
	default:
		escape_code(out, (unsigned char)c);
	}
}

/* The run at the start of s that needs no escape. */
static size_t plain_run(struct str s)
{
	size_t i = 0;
	while (i < s.n && (unsigned char)s.p[i] >= 0x20 && (unsigned char)s.p[i] < 0x7f &&
		s.p[i] != '"' && s.p[i] != '\\')
		i++;
	return i;
}

void json_text(struct buf *out, struct str s, size_t cap)
{
	bool cut = s.n > cap;
	s = str_sub(s, 0, cap);
	buf_char(out, '"');
	while (s.n) {
		size_t run = plain_run(s);
		buf_add(out, s.p, run);
		s = str_skip(s, run);
		if (s.n == 0)
			break;
		uint32_t code;
		size_t len = str_utf8(s, &code);
		/* A sequence that our own cap cut in two is no fault of the text. */
		if (len == 0 && cut && s.n < 4)
			break;
		if (len == 0)
			buf_c(out, "\xef\xbf\xbd");
		else if (len == 1)
			json_ascii(out, s.p[0]);
		else if (is_invisible(code))
			escape_code(out, code);
		else
			buf_add(out, s.p, len);
		s = str_skip(s, len ? len : 1);
	}
	if (cut)
		buf_c(out, "\xe2\x80\xa6");
	buf_char(out, '"');
}

void json_octets(struct buf *out, struct str s)
{
	buf_char(out, '"');
	while (s.n) {
		size_t run = plain_run(s);
		buf_add(out, s.p, run);
		s = str_skip(s, run);
		if (s.n == 0)
			break;
		json_ascii(out, s.p[0]);
		s = str_skip(s, 1);
	}
	buf_char(out, '"');
}

void json_double(struct buf *out, double v)
{
	char text[64];
	if (!isfinite(v))
		v = 0;
	int n = snprintf(text, sizeof(text), "%.6f", v);
	while (n > 1 && text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	buf_add(out, strcmp(text, "-0.000000") == 0 ? "0" : text,
		strcmp(text, "-0.000000") == 0 ? 1 : (size_t)n);
}

void text_safe(struct buf *out, struct str s, size_t cap)
{
	bool cut = s.n > cap;
	s = str_sub(s, 0, cap);
	while (s.n) {
		uint32_t code = 0;
		size_t len = str_utf8(s, &code);
		if (len == 0 && cut && s.n < 4)
			break;
		if (len == 0 || code < 0x20 || is_invisible(code))
			buf_char(out, '?');
		else
			buf_add(out, s.p, len);
		s = str_skip(s, len ? len : 1);
	}
	if (cut)
		buf_c(out, "...");
}
