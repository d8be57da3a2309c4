#include "bayes/fold.h"

#include "core/sixteen.h"

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

struct fold {
	const char *in, *end;
	char *out, *full;
	bool blank;
};

/*
 * Most text: of the next sixteen octets, those before the first one that is no ASCII, or is NUL, or
 * is a second blank, become lower case, and all white space blanks, at once; a second blank is
 * stepped over. All sixteen are written. False if the next octet is none of these.
 */
static inline bool fold_sixteen(struct fold *f)
{
	sixteen c = sixteen_load(f->in), blanks = sixteen_within(c, 1, ' ');
	unsigned after_blank = sixteen_bits(blanks) << 1 | f->blank;
	unsigned second = sixteen_bits(blanks) & after_blank;
	unsigned odd = sixteen_bits(sixteen_high(c) | sixteen_is(c, 0));
	c = (c & ~blanks) | (blanks & ' ') | (sixteen_within(c, 'A', 'Z') & ('a' - 'A'));
	memcpy(f->out, &c, sizeof(c));
	/* That nothing stops it can be foreseen. */
	unsigned n = second | odd ? (unsigned)__builtin_ctz(second | odd) : SIXTEEN;
	f->in += n + (second >> n & 1);
	f->out += n;
	f->blank = after_blank >> n & 1;
	return !(odd >> n & 1);
}

static inline void fold_one(struct fold *f)
{
	uint32_t code = (unsigned char)*f->in;
	size_t len = code < 0x80 ? 1 : str_utf8(str_from(f->in, (size_t)(f->end - f->in)), &code);
	if (len == 0) {
		*f->out++ = *f->in++;
		f->blank = false;
		return;
	}
	f->in += len;
	code = fold_code(code);
	if (code > ' ') {
		f->out = put(f->out, code);
		f->blank = false;
	} else if (code && !f->blank) {
		*f->out++ = ' ';
		f->blank = true;
	}
}

/* What begins before `until`, behind which SIXTEEN - 1 octets can be read. */
static void fold_until(struct fold *all, const char *until)
{
	struct fold f = *all; /* which what is written cannot lie in */
	while (f.in < until && f.out < f.full) {
		if (f.full - f.out >= SIXTEEN && (fold_sixteen(&f) || f.in >= until))
			continue;
		do
			fold_one(&f);
		while (f.in < until && f.out < f.full && *f.in & 0x80);
	}
	*all = f;
}

void fold_text(struct str text, size_t cap, struct buf *out)
{
	char last[2 * SIXTEEN] = {0};
	if (!text.n)
		return;
	/* Nothing becomes longer; the last character may stand across the cap. */
	char *start = buf_reserve(out, (text.n < cap ? text.n : cap) + SIXTEEN);
	struct fold f = {text.p, text.p + text.n, start, start + cap, true};
	if (text.n >= SIXTEEN)
		fold_until(&f, f.end - (SIXTEEN - 1));
	size_t left = (size_t)(f.end - f.in);
	if (left < SIXTEEN) {
		memcpy(last, f.in, left);
		f.in = last;
		f.end = last + left;
		fold_until(&f, f.end);
	}
	buf_commit(out, (size_t)(f.out - start));
}
