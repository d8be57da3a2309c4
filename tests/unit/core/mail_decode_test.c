/* Transfer encodings, encoded words and charsets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/mail/charset.h"
#include "core/mail/decode.h"

struct decoding {
	struct str in, out;
	bool odd;
};

static const struct decoding base64s[] = {
	{STR(""), STR(""), false},
	{STR("aGVsbG8="), STR("hello"), false},
	{STR("aGVs\r\nbG8=\r\n"), STR("hello"), false},
	{STR("aGVsbG8h\r\n"), STR("hello!"), false},
	{STR("aGVs bG8=\r\n"), STR("hello"), false},
	{STR("aGVsb\r\nG8=\r\n"), STR("hello"), false},
	{STR("aA==\r\naQ==\r\n"), STR("hi"), true},  /* goes on behind padding */
	{STR("aGVsbG8"), STR("hello"), true},	     /* no padding */
	{STR("aGVsbG8h\r\nZ"), STR("hello!"), true}, /* a broken end */
	{STR("aGV.sb-G8#="), STR("hello"), true},    /* foreign characters */
	{STR("=aGVsbG8="), STR("hello"), true},
	{STR("a=GVsbG8="), STR("\x19\x5b\x1b\x1b"), true},
	{STR("aGVsbG8=="), STR("hello"), false}, /* one '=' too many changes nothing */
	{STR("aGVs\0bG8="), STR("hello"), true},
	{STR("\xff\xfe"), STR(""), true},
};

static const struct decoding qps[] = {
	{STR(""), STR(""), false},
	{STR("a=20b=3D\r\n"), STR("a b=\r\n"), false},
	{STR("a=c3=bc\r\n"), STR("a\xc3\xbc\r\n"), false},
	{STR("a=\r\nb"), STR("ab"), false},
	{STR("a= \t\r\nb"), STR("ab"), false},
	{STR("a=\nb"), STR("ab"), false},
	{STR("a="), STR("a"), false}, /* its CRLF belongs to the boundary */
	{STR("a=  "), STR("a"), false},
	{STR("a  \r\nb\t\r\n"), STR("a\r\nb\r\n"), false},
	{STR("a =\r\n b"), STR("a  b"), false},
	{STR("a=xyb"), STR("a=xyb"), true},
	{STR("a=4"), STR("a=4"), true},
	{STR("a==41"), STR("a=A"), true},
	{STR("a=\rb"), STR("a=\rb"), true},
	{STR("a=00b"), STR("a\0b"), false},
	{STR("a\0\xff"), STR("a\0\xff"), false},
};

typedef struct str decoder(struct arena *, struct str, bool *);

static void run(const struct decoding *rows, size_t n, decoder *decode)
{
	struct arena *a = arena_new(1 << 20);
	for (size_t i = 0; i < n; i++) {
		bool odd = false;
		struct str out = decode(a, rows[i].in, &odd);
		if (!str_eq(out, rows[i].out) || odd != rows[i].odd)
			print_error(
				"%.*s: '%.*s' odd %d\n", STR_ARG(rows[i].in), STR_ARG(out), odd);
		assert_true(str_eq(out, rows[i].out));
		assert_int_equal(odd, rows[i].odd);
	}
	arena_free(&a);
}

static void test_base64(void **state)
{
	run(base64s, sizeof(base64s) / sizeof(*base64s), mail_decode_base64);
}

static void test_qp(void **state)
{
	run(qps, sizeof(qps) / sizeof(*qps), mail_decode_qp);
}

/* All octets, through lines of every length. */
static void test_base64_lines(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t octets[300];
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(i * 7);
	for (size_t width = 1; width < 90; width++) {
		struct arena *a = arena_new(1 << 20);
		struct buf b = BUF_INIT;
		for (size_t i = 0, n = 0; i < sizeof(octets) * 4 / 3; i++) {
			size_t bit = i * 6, at = bit / 8;
			unsigned two = (unsigned)octets[at] << 8;
			two |= at + 1 < sizeof(octets) ? octets[at + 1] : 0;
			buf_char(&b, alphabet[two >> (10 - bit % 8) & 63]);
			if (++n % width == 0)
				buf_c(&b, "\r\n");
		}
		bool odd = false;
		struct str out = mail_decode_base64(a, buf_str(&b), &odd);
		assert_false(odd);
		assert_true(str_eq(out, str_from((const char *)octets, sizeof(octets))));
		buf_free(&b);
		arena_free(&a);
	}
}

struct word {
	const char *in, *out;
	bool odd;
};

static const struct word words[] = {
	{"plain", "plain", false},
	{"caf\xc3\xa9", "caf\xc3\xa9", false},
	{"caf\xe9", "caf\xc3\xa9", false},
	{"=?utf-8?q?caf=C3=A9?=", "caf\xc3\xa9", false},
	{"=?UTF-8?Q?a_b?=", "a b", false},
	{"=?iso-8859-1?B?Y2Fm6Q==?=", "caf\xc3\xa9", false},
	{"=?iso-8859-1*fr?Q?caf=E9?=", "caf\xc3\xa9", false},
	{"a =?utf-8?q?b?= c", "a b c", false},
	{"=?utf-8?q?a?= =?utf-8?q?b?=", "ab", false},
	{"=?utf-8?q?a?=\r\n =?iso-8859-1?q?=E9?=", "a\xc3\xa9", false},
	/* one character over two words */
	{"=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "caf\xc3\xa9", false},
	{"=?utf-8?B?w7w=?= =?UTF-8?q?=C3?=\r\n =?utf-8?Q?=BC?=", "\xc3\xbc\xc3\xbc", false},
	{"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac", false},
	{"=?utf-8?q?a b?=", "a b", true},
	{"=?utf-8?q?a?==?utf-8?q?b?=", "ab", true},
	{"x=?utf-8?q?a?=", "xa", true},
	{"=?utf-8?q?a?=x", "ax", true},
	{"=?utf-8?x?a?=", "=?utf-8?x?a?=", true},
	{"=?utf-8?q?a", "=?utf-8?q?a", true},
	{"=??q?a?=", "=??q?a?=", true},
	{"=?utf-8?q?=zz?=", "=zz", true},
	{"=?utf-8?B?*?=", "", true},
	{"=?utf-8?q?\?=", "", false},
	{"(=?utf-8?q?a?=)", "(a)", false},
	{"=?no-such?q?a=E9?=", "a\xc3\xa9", false},
	{"=?utf-8?q?=FF?=", "\xef\xbf\xbd", false},
	{"a\r\n b", "a b", false},
	{"=?", "=?", true},
};

static void test_words(void **state)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		struct arena *a = arena_new(1 << 20);
		struct mail *m = mail_parse(a, STR("X: y\r\n\r\n"));
		struct str out = mail_decode_header(m, str_c(words[i].in));
		bool odd = mail_has(m, MAIL_ENCODED_WORD_ODD);
		if (!str_eq_c(out, words[i].out) || odd != words[i].odd)
			print_error("%s: '%.*s' odd %d\n", words[i].in, STR_ARG(out), odd);
		assert_true(str_eq_c(out, words[i].out));
		assert_int_equal(odd, words[i].odd);
		arena_free(&a);
	}
}

struct charset {
	const char *name;
	struct str in;
	const char *out;
	bool unknown, broken;
};

#define UNKNOWN true, false
#define BROKEN	false, true

static const struct charset charsets[] = {
	{"", STR("abc"), "abc"},
	{"", STR("\xc3\xbc"), "\xc3\xbc"},
	{"", STR("\xfc"), "\xc3\xbc", BROKEN},
	{"us-ascii", STR("\xc3\xbc"), "\xc3\xbc", BROKEN},
	{"UTF8", STR("\xc3\xbc"), "\xc3\xbc"},
	{"utf-8", STR("a\xc3(\xbc"), "a\xef\xbf\xbd(\xef\xbf\xbd", BROKEN},
	{"utf-8", STR("\xc0\xaf\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd", BROKEN},
	{"utf-8", STR("a\xe2\x82"), "a\xef\xbf\xbd", BROKEN},
	{"ISO_8859-1:1987", STR("\xe9\x80"), "\xc3\xa9\xe2\x82\xac"},
	{"Windows-1252", STR("\x93x\x94"), "\xe2\x80\x9cx\xe2\x80\x9d"},
	{"iso-8859-15", STR("\xa4"), "\xe2\x82\xac"},
	{"koi8-r", STR("\xcd\xc9\xd2"), "\xd0\xbc\xd0\xb8\xd1\x80"},
	{"windows-1251", STR("\xec\xe8\xf0"), "\xd0\xbc\xd0\xb8\xd1\x80"},
	{"shift_jis", STR("\x93\xfa\x96\x7b"), "\xe6\x97\xa5\xe6\x9c\xac"},
	{"euc-jp", STR("\xc6\xfc\xcb\xdc"), "\xe6\x97\xa5\xe6\x9c\xac"},
	{"iso-2022-jp", STR("\x1b$BF|K\\\x1b(B!"), "\xe6\x97\xa5\xe6\x9c\xac!"},
	{"gb2312", STR("\xc4\xe3"), "\xe4\xbd\xa0"},
	{"big5", STR("\xa7\x41"), "\xe4\xbd\xa0"},
	{"ks_c_5601-1987", STR("\xb0\xa1"), "\xea\xb0\x80"},
	{"utf-7", STR("+APw-x"), "\xc3\xbcx"},
	{"utf-16", STR("\xfe\xff\0a"), "a"},
	{"utf-16",
		STR("\xff\xfe"
		    "a\0"),
		"a"},
	{"utf-16", STR("a\0b\0"), "ab"},
	{"utf-16le",
		STR("\x00\xd8"
		    "a\0"),
		"\xef\xbf\xbd"
		"a",
		BROKEN},
	{"gb2312",
		STR("a\xff"
		    "b"),
		"a\xef\xbf\xbd"
		"b",
		BROKEN},
	{"euc-jp", STR("a\xc6"), "a\xef\xbf\xbd", BROKEN},
	{"no-such-charset", STR("abc"), "abc", UNKNOWN},
	{"no-such-charset", STR("\xfc"), "\xc3\xbc", UNKNOWN},
	{"a-name-that-is-far-too-long-to-be-that-of-any-charset", STR("\xfc"), "\xc3\xbc", UNKNOWN},
	{"//IGNORE", STR("\xfc"), "\xc3\xbc", UNKNOWN},
};

static void test_charsets(void **state)
{
	for (size_t i = 0; i < sizeof(charsets) / sizeof(*charsets); i++) {
		const struct charset *row = &charsets[i];
		struct arena *a = arena_new(1 << 20);
		struct mail *m = mail_parse(a, STR("X: y\r\n\r\n"));
		struct str out = mail_charset_to_utf8(m, row->in, str_c(row->name));
		bool unknown = mail_has(m, MAIL_CHARSET_UNKNOWN);
		bool broken = mail_has(m, MAIL_CHARSET_BROKEN);
		if (!str_eq_c(out, row->out) || unknown != row->unknown || broken != row->broken)
			print_error("%zu %s: '%.*s' unknown %d broken %d\n", i, row->name,
				STR_ARG(out), unknown, broken);
		assert_true(str_eq_c(out, row->out));
		assert_int_equal(unknown, row->unknown);
		assert_int_equal(broken, row->broken);
		arena_free(&a);
	}
}

/* Every charset of the table opens and converts; whatever it is given, UTF-8 comes out. */
static void test_all_charsets(void **state)
{
	struct err err;
	char octets[512];
	size_t count = 0;
	assert_int_equal(mail_charset_preload(&err), 0);
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)(i * 31 + i / 256);
	for (const char *const *name = mail_charset_names(); *name; name++, count++) {
		struct arena *a = arena_new(1 << 20);
		struct mail *m = mail_parse(a, STR("X: y\r\n\r\n"));
		mail_charset_to_utf8(m, STR("abcd"), str_c(*name));
		assert_false(mail_has(m, MAIL_CHARSET_UNKNOWN));
		for (size_t n = 0; n <= sizeof(octets); n++) {
			struct str out = mail_charset_to_utf8(m, str_from(octets, n), str_c(*name));
			assert_true(str_is_utf8(out));
		}
		assert_false(mail_has(m, MAIL_CHARSET_UNKNOWN));
		arena_free(&a);
	}
	assert_true(count > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_lines),
		cmocka_unit_test(test_qp),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_charsets),
		cmocka_unit_test(test_all_charsets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
