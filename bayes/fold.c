#include "bayes/fold.h"

#include <endian.h>

/* Letters of other scripts that are drawn like Latin ones. Sorted by code. */
static const struct {
	uint32_t code;
	char as;
} look_alikes[] = {
	{0x391, 'a'},
	{0x392, 'b'},
	{0x395, 'e'},
	{0x396, 'z'},
	{0x397, 'h'},
	{0x399, 'i'},
	{0x39a, 'k'},
	{0x39c, 'm'},
	{0x39d, 'n'},
	{0x39f, 'o'},
	{0x3a1, 'p'},
	{0x3a4, 't'},
	{0x3a5, 'y'},
	{0x3a7, 'x'},
	{0x3b1, 'a'},
	{0x3b9, 'i'},
	{0x3bd, 'v'},
	{0x3bf, 'o'},
	{0x3c1, 'p'},
	{0x3c5, 'u'},
	{0x405, 's'},
	{0x406, 'i'},
	{0x408, 'j'},
	{0x410, 'a'},
	{0x412, 'b'},
	{0x415, 'e'},
	{0x41a, 'k'},
	{0x41c, 'm'},
	{0x41d, 'h'},
	{0x41e, 'o'},
	{0x420, 'p'},
	{0x421, 'c'},
	{0x422, 't'},
	{0x423, 'y'},
	{0x425, 'x'},
	{0x430, 'a'},
	{0x435, 'e'},
	{0x43e, 'o'},
	{0x440, 'p'},
	{0x441, 'c'},
	{0x443, 'y'},
	{0x445, 'x'},
	{0x455, 's'},
	{0x456, 'i'},
	{0x458, 'j'},
	{0x4bb, 'h'},
	{0x501, 'd'},
	{0x51b, 'q'},
	{0x51d, 'w'},
};

static uint32_t look_alike(uint32_t code)
{
	size_t low = 0, high = sizeof(look_alikes) / sizeof(look_alikes[0]);
	if (code < look_alikes[0].code || code > look_alikes[high - 1].code)
		return code;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (look_alikes[mid].code < code)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < sizeof(look_alikes) / sizeof(look_alikes[0]) && look_alikes[low].code == code)
		return (uint32_t)look_alikes[low].as;
	return code;
}

/* 0 for what is not seen. */
static uint32_t fold_code(uint32_t code)
{
	if (code >= 0xff01 && code <= 0xff5e)
		code -= 0xfee0; /* full width */
	if (code >= 'A' && code <= 'Z')
		return code + 32;
	if (code < 0x80)
		return code;
	if (code == 0xad || (code >= 0x200b && code <= 0x200f) ||
		(code >= 0x202a && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
		code == 0xfeff || (code >= 0xfe00 && code <= 0xfe0f))
		return 0;
	if (code == 0xa0 || (code >= 0x2000 && code <= 0x200a) || code == 0x3000)
		return ' ';
	/* Mathematical letters: bold, italic, … alphabets of 52. */
	if (code >= 0x1d400 && code <= 0x1d6a3)
		return 'a' + (code - 0x1d400) % 26;
	/* Capitals of Latin-1, Greek and Cyrillic. */
	if ((code >= 0xc0 && code <= 0xde && code != 0xd7) || (code >= 0x410 && code <= 0x42f))
		return look_alike(code) != code ? look_alike(code) : code + 32;
	return look_alike(code);
}

static char *put(char *out, uint32_t code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

/* In each octet of a word. */
#define EACH(octet) (UINT64_C(0x0101010101010101) * (octet))

/*
 * Most text: of the next eight octets, those before the first one that is no printable ASCII or is
 * a second blank become lower case at once. Returns how many; all eight are written.
 */
static inline size_t fold_eight(const char *in, bool blank, char *out)
{
	uint64_t w;
	memcpy(&w, in, sizeof(w));
	w = le64toh(w);
	/* The highest bit of each octet says yes. Borrows and carries go astray behind the first
	 * stop alone. */
	uint64_t odd = (w | (w - EACH(' '))) & EACH(0x80);
	uint64_t blanks = ~((w ^ EACH(' ')) + EACH(0x7f)) & EACH(0x80);
	uint64_t stops = odd | (blanks & (blanks << 8 | (blank ? 0x80 : 0)));
	uint64_t capitals = (w + EACH(0x80 - 'A')) & ~(w + EACH(0x7f - 'Z')) & EACH(0x80);
	w = htole64(w | capitals >> 2);
	memcpy(out, &w, sizeof(w));
	return stops ? (size_t)__builtin_ctzll(stops) / 8 : 8;
}

void fold_text(struct str text, size_t cap, struct buf *out)
{
	if (!text.n)
		return;
	/* Nothing becomes longer; the last character may stand across the cap. */
	char *start = buf_reserve(out, text.n < cap ? text.n : cap + 3), *p = start;
	const char *in = text.p, *end = in + text.n;
	bool blank = true;
	while (in < end && (size_t)(p - start) < cap) {
		if (end - in >= 8 && (size_t)(p - start) + 8 <= cap) {
			size_t n = fold_eight(in, blank, p);
			in += n;
			p += n;
			blank = n ? p[-1] == ' ' : blank;
			if (n == 8)
				continue;
		}
		uint32_t code = (unsigned char)*in;
		size_t len = code < 0x80 ? 1 : str_utf8(str_from(in, (size_t)(end - in)), &code);
		if (len == 0) {
			*p++ = *in++;
			blank = false;
			continue;
		}
		in += len;
		code = fold_code(code);
		if (code > ' ') {
			p = put(p, code);
			blank = false;
		} else if (code && !blank) {
			*p++ = ' ';
			blank = true;
		}
	}
	buf_commit(out, (size_t)(p - start));
}
