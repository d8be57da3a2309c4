#include "core/mail/charset.h"

#include <assert.h>
#include <errno.h>
#include <iconv.h>

#include "core/limits.h"
#include "core/mail/anomaly.h"
#include "core/sixteen.h"

enum kind {
	KIND_ICONV,	 /* ASCII stays ASCII */
	KIND_STATEFUL,	 /* iconv, and octets below 0x80 may mean anything */
	KIND_UTF16,	 /* byte order mark, else little endian */
	KIND_UTF8,
	KIND_ASCII,	 /* declared: anything above is foreign */
	KIND_WINDOWS1252,
};

/*
 * What is declared, and what is really meant: senders call windows-1252 iso-8859-1, and the
 * extended sets of East Asia by the names of the sets they extend (WHATWG Encoding has the
 * same table). Names are compared without case and punctuation. Left out on purpose: charsets
 * whose converters in the C library have had holes and that no mail uses (iso-2022-cn-ext).
 */
static const struct charset {
	const char *name;
	enum kind kind;
	unsigned unit; /* octets that are skipped at a broken place */
	const char *iconv;
	const char *aliases;
} charsets[] = {
	{ "utf-8", KIND_UTF8, 1, NULL, "utf8 unicode11utf8 csutf8 unicode" },
	{ "us-ascii", KIND_ASCII, 1, NULL,
		"usascii ascii ansix341968 iso646us csascii us cp367 iso646irv1991" },
	{ "iso-8859-1", KIND_WINDOWS1252, 1, NULL,
		"iso88591 latin1 l1 iso885911987 cp819 ibm819 isoir100 88591" },
	{ "windows-1252", KIND_WINDOWS1252, 1, NULL, "windows1252 cp1252 xcp1252 ansi" },
	{ "iso-8859-2", KIND_ICONV, 1, "ISO-8859-2", "iso88592 latin2 l2 iso885921987" },
	{ "iso-8859-3", KIND_ICONV, 1, "ISO-8859-3", "iso88593 latin3 l3" },
	{ "iso-8859-4", KIND_ICONV, 1, "ISO-8859-4", "iso88594 latin4 l4" },
	{ "iso-8859-5", KIND_ICONV, 1, "ISO-8859-5", "iso88595 cyrillic" },
	{ "iso-8859-6", KIND_ICONV, 1, "ISO-8859-6", "iso88596 arabic iso88596i iso88596e" },
	{ "iso-8859-7", KIND_ICONV, 1, "ISO-8859-7", "iso88597 greek" },
	{ "iso-8859-8", KIND_ICONV, 1, "ISO-8859-8", "iso88598 hebrew iso88598i iso88598e" },
	{ "iso-8859-9", KIND_ICONV, 1, "CP1254", "iso88599 latin5 l5" },
	{ "iso-8859-10", KIND_ICONV, 1, "ISO-8859-10", "iso885910 latin6 l6" },
	{ "iso-8859-11", KIND_ICONV, 1, "CP874", "iso885911" },
	{ "iso-8859-13", KIND_ICONV, 1, "ISO-8859-13", "iso885913 latin7" },
	{ "iso-8859-14", KIND_ICONV, 1, "ISO-8859-14", "iso885914 latin8" },
	{ "iso-8859-15", KIND_ICONV, 1, "ISO-8859-15", "iso885915 latin9 l9 latin0" },
	{ "iso-8859-16", KIND_ICONV, 1, "ISO-8859-16", "iso885916 latin10" },
	{ "windows-1250", KIND_ICONV, 1, "CP1250", "windows1250 cp1250 xcp1250" },
	{ "windows-1251", KIND_ICONV, 1, "CP1251", "windows1251 cp1251 xcp1251 win1251" },
	{ "windows-1253", KIND_ICONV, 1, "CP1253", "windows1253 cp1253" },
	{ "windows-1254", KIND_ICONV, 1, "CP1254", "windows1254 cp1254" },
	{ "windows-1255", KIND_ICONV, 1, "CP1255", "windows1255 cp1255" },
	{ "windows-1256", KIND_ICONV, 1, "CP1256", "windows1256 cp1256" },
	{ "windows-1257", KIND_ICONV, 1, "CP1257", "windows1257 cp1257" },
	{ "windows-1258", KIND_ICONV, 1, "CP1258", "windows1258 cp1258" },
	{ "windows-874", KIND_ICONV, 1, "CP874", "windows874 cp874 tis620 dos874 tis6202533" },
	{ "koi8-r", KIND_ICONV, 1, "KOI8-R", "koi8r koi8 koi cskoi8r" },
	{ "koi8-u", KIND_ICONV, 1, "KOI8-U", "koi8u koi8ru" },
	{ "ibm437", KIND_ICONV, 1, "CP437", "ibm437 cp437 437" },
	{ "ibm850", KIND_ICONV, 1, "CP850", "ibm850 cp850 850" },
	{ "ibm852", KIND_ICONV, 1, "CP852", "ibm852 cp852 852" },
	{ "ibm866", KIND_ICONV, 1, "CP866", "ibm866 cp866 866" },
	{ "macintosh", KIND_ICONV, 1, "MACINTOSH", "macintosh mac macroman xmacroman" },
	{ "x-mac-cyrillic", KIND_ICONV, 1, "MAC-CYRILLIC", "xmaccyrillic maccyrillic" },
	{ "viscii", KIND_ICONV, 1, "VISCII", "viscii csviscii" },
	{ "gb18030", KIND_ICONV, 1, "GB18030", "gb18030" },
	{ "gbk", KIND_ICONV, 1, "GB18030", "gbk cp936 ms936 windows936 xgbk" },
	{ "gb2312", KIND_ICONV, 1, "GB18030",
		"gb2312 gb23121980 euccn csgb2312 chinese gb231280 xeuccn" },
	{ "big5", KIND_ICONV, 1, "BIG5-HKSCS",
		"big5 big5hkscs cnbig5 xxbig5 csbig5 cp950 big5eten" },
	{ "euc-tw", KIND_ICONV, 1, "EUC-TW", "euctw xeuctw" },
	{ "euc-jp", KIND_ICONV, 1, "EUC-JP-MS", "eucjp xeucjp ujis cseucpkdfmtjapanese" },
	{ "shift_jis", KIND_ICONV, 1, "CP932",
		"shiftjis sjis xsjis mskanji cp932 windows31j ms932 csshiftjis" },
	{ "iso-2022-jp", KIND_STATEFUL, 1, "ISO-2022-JP-2",
		"iso2022jp csiso2022jp iso2022jp2 iso2022jp1 cp50220 cp50221" },
	{ "euc-kr", KIND_ICONV, 1, "CP949",
		"euckr ksc56011987 ksc5601 ksc56011989 korean uhc cp949 windows949 ksx1001" },
	{ "iso-2022-kr", KIND_STATEFUL, 1, "ISO-2022-KR", "iso2022kr csiso2022kr" },
	{ "johab", KIND_ICONV, 1, "JOHAB", "johab cp1361" },
	{ "iso-2022-cn", KIND_STATEFUL, 1, "ISO-2022-CN", "iso2022cn" },
	{ "utf-7", KIND_STATEFUL, 1, "UTF-7", "utf7 unicode11utf7" },
	{ "utf-16", KIND_UTF16, 2, NULL, "utf16 ucs2 iso10646ucs2 csunicode" },
	{ "utf-16le", KIND_STATEFUL, 2, "UTF-16LE", "utf16le ucs2le" },
	{ "utf-16be", KIND_STATEFUL, 2, "UTF-16BE", "utf16be ucs2be" },
	{ "utf-32", KIND_STATEFUL, 4, "UTF-32", "utf32 ucs4" },
	{ "utf-32le", KIND_STATEFUL, 4, "UTF-32LE", "utf32le ucs4le" },
	{ "utf-32be", KIND_STATEFUL, 4, "UTF-32BE", "utf32be ucs4be" },
};
#define CHARSET_COUNT (sizeof(charsets) / sizeof(*charsets))

/* Converters of this process; (iconv_t)-1: it was tried, and there is none. */
static iconv_t converters[CHARSET_COUNT];
static bool converter_known[CHARSET_COUNT];

static bool open_converter(size_t i)
{
	if (!converter_known[i]) {
		converter_known[i] = true;
		converters[i] = iconv_open("UTF-8", charsets[i].iconv);
	}
	return converters[i] != (iconv_t)-1;
}

int mail_charset_preload(struct err *err)
{
	for (size_t i = 0; i < CHARSET_COUNT; i++)
		if (charsets[i].iconv && !open_converter(i))
			return err_sys(err,
				"the C library has no converter for the charset %s (%s); is its "
				"gconv folder installed?",
				charsets[i].name, charsets[i].iconv);
	return 0;
}

const char *const *mail_charset_names(void)
{
	static const char *names[CHARSET_COUNT + 1];
	for (size_t i = 0; i < CHARSET_COUNT; i++)
		names[i] = charsets[i].name;
	return names;
}

/* Is `key` one of the words of `aliases`? */
static bool has_alias(const char *aliases, const char *key, size_t n)
{
	for (const char *p = aliases; *p;) {
		size_t length = strcspn(p, " ");
		if (length == n && memcmp(p, key, n) == 0)
			return true;
		p += length + (p[length] == ' ');
	}
	return false;
}

/* The index of a charset's row, or CHARSET_COUNT. */
static size_t find(struct str name)
{
	char key[32];
	size_t n = 0;
	/* RFC 2231 5: a language may follow. */
	name.n = str_chr(name, '*');
	for (size_t i = 0; i < name.n; i++) {
		if (!char_is_alnum(name.p[i]))
			continue;
		if (n == sizeof(key))
			return CHARSET_COUNT;
		key[n++] = char_lower(name.p[i]);
	}
	size_t i = 0;
	while (i < CHARSET_COUNT && !(n && has_alias(charsets[i].aliases, key, n)))
		i++;
	return i;
}

static void add_code(struct buf *b, uint32_t c)
{
	char *p = buf_reserve(b, 3);
	if (c < 0x80) {
		p[0] = (char)c;
		buf_commit(b, 1);
	} else if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 0x3f));
		buf_commit(b, 2);
	} else {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
		buf_commit(b, 3);
	}
}

#define REPLACEMENT 0xfffd

static struct str keep(struct mail *m, struct buf *b)
{
	struct str kept = arena_dup(m->arena, buf_str(b));
	buf_free(b);
	return kept;
}

/* Broken UTF-8: each octet that begins no character becomes U+FFFD. */
static struct str repair(struct mail *m, struct str in)
{
	struct buf b = BUF_INIT;
	uint32_t code;
	while (in.n) {
		size_t good = 0, length;
		while (good < in.n && (length = str_utf8(str_skip(in, good), &code)))
			good += length;
		buf_str_add(&b, str_sub(in, 0, good));
		in = str_skip(in, good);
		if (!in.n)
			break;
		add_code(&b, REPLACEMENT);
		in = str_skip(in, 1);
		/* What is left of the same character. */
		while (in.n && ((unsigned char)in.p[0] & 0xc0) == 0x80)
			in = str_skip(in, 1);
	}
	mail_note(m, MAIL_CHARSET_BROKEN);
	return keep(m, &b);
}

static inline sixteen is_high(sixteen c, sixteen next)
{
	return sixteen_high(c);
}

static struct str from_windows1252(struct mail *m, struct str in)
{
	static const uint16_t c1[32] = {
		0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
		0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
		0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
	};
	struct buf b = BUF_INIT;
	for (size_t i = 0; i < in.n;) {
		size_t run = sixteen_find(in, i, in.n, is_high);
		buf_add(&b, in.p + i, run - i);
		i = run;
		for (; i < in.n && (in.p[i] & 0x80); i++) {
			unsigned char c = (unsigned char)in.p[i];
			add_code(&b, c < 0xa0 ? c1[c - 0x80] : c);
		}
	}
	return keep(m, &b);
}

static struct str from_iconv(struct mail *m, size_t row, struct str in)
{
	struct buf b = BUF_INIT;
	char *p = (char *)(uintptr_t)in.p; /* iconv does not write there */
	size_t left = in.n;
	iconv(converters[row], NULL, NULL, NULL, NULL);
	while (left) {
		size_t room = left + left / 2 + 64, rest = room, before = left;
		char *out = buf_reserve(&b, room);
		size_t rc = iconv(converters[row], &p, &left, &out, &rest);
		int why = errno;
		buf_commit(&b, room - rest);
		if (rc != (size_t)-1 || (why == E2BIG && (left < before || rest < room)))
			continue;
		/* Foreign octets, or the end of the text inside a character. */
		mail_note(m, MAIL_CHARSET_BROKEN);
		add_code(&b, REPLACEMENT);
		size_t unit = charsets[row].unit;
		size_t skip = why == EINVAL || left < unit ? left : unit;
		p += skip;
		left -= skip;
	}
	/* A stateful charset may have something left to say. */
	size_t rest = 64;
	char *out = buf_reserve(&b, rest);
	iconv(converters[row], NULL, NULL, &out, &rest);
	buf_commit(&b, 64 - rest);
	struct str made = keep(m, &b);
	return str_is_utf8(made) ? made : repair(m, made);
}

static size_t row_of(const char *name)
{
	size_t i = 0;
	while (i < CHARSET_COUNT && strcmp(charsets[i].name, name) != 0)
		i++;
	assert(i < CHARSET_COUNT);
	return i;
}

/* RFC 2781 4.3 says big endian without a mark; what is sent is little endian. */
static size_t byte_order(struct str *in)
{
	bool big = str_starts(*in, "\xfe\xff");
	if (big || str_starts(*in, "\xff\xfe"))
		*in = str_skip(*in, 2);
	return row_of(big ? "utf-16be" : "utf-16le");
}

/* Nothing is known, or what is known is wrong. */
static struct str guess(struct mail *m, struct str in)
{
	return str_is_utf8(in) ? in : from_windows1252(m, str_sub(in, 0, LIMIT_CHARSET_BYTES));
}

static struct str convert(struct mail *m, size_t row, struct str in)
{
	in = str_sub(in, 0, LIMIT_CHARSET_BYTES);
	if (charsets[row].kind == KIND_UTF16)
		row = byte_order(&in);
	if (!open_converter(row)) {
		mail_note(m, MAIL_CHARSET_UNKNOWN);
		return guess(m, in);
	}
	return from_iconv(m, row, in);
}

struct str mail_charset_to_utf8(struct mail *m, struct str octets, struct str charset)
{
	charset = str_trim(charset);
	size_t row = charset.n ? find(charset) : row_of("us-ascii");
	enum kind kind = row < CHARSET_COUNT ? charsets[row].kind : KIND_ASCII;
	mail_note_if(m, row == CHARSET_COUNT, MAIL_CHARSET_UNKNOWN);
	if (kind == KIND_STATEFUL || kind == KIND_UTF16)
		return convert(m, row, octets);
	if (str_is_ascii(octets))
		return octets;
	switch (kind) {
	case KIND_UTF8:
		return str_is_utf8(octets) ? octets :
					     repair(m, str_sub(octets, 0, LIMIT_CHARSET_BYTES));
	case KIND_ASCII:
		if (row < CHARSET_COUNT && (charset.n || !str_is_utf8(octets)))
			mail_note(m, MAIL_CHARSET_BROKEN);
		return guess(m, octets);
	case KIND_WINDOWS1252:
		return from_windows1252(m, str_sub(octets, 0, LIMIT_CHARSET_BYTES));
	case KIND_ICONV:
	case KIND_STATEFUL:
	case KIND_UTF16:
		break;
	}
	return convert(m, row, octets);
}
