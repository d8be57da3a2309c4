#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/limits.h"
#include "core/mail/url.h"

static const struct {
	const char *text, *found; /* found: all, with a blank between them */
} find_cases[] = {
	{ "see http://a.example/x, or (https://b.example/y_(z)).", "http://a.example/x https://b.example/y_(z)" },
	{ "<http://a.example>", "http://a.example" },
	{ "\"HTTP://A.Example/?q=1\"", "HTTP://A.Example/?q=1" },
	{ "www.a.example! www.b.example/x; www. awww.c www.d", "www.a.example www.b.example/x" },
	{ "mail mailto:x@a.example or x@b.example/y", "mailto:x@a.example" },
	{ "a.com/x b.com, c.unknowntld/x d.co.uk/ e.js/x", "a.com/x d.co.uk/" },
	{ "ftp://a.example/x http:/ http:// http://", "ftp://a.example/x" },
	{ "http:\\\\a.example\\x", "http:\\\\a.example\\x" },
	{ "http://user@[::1]:80/x'", "http://user@[::1]:80/x" },
	{ "http://[2001:db8::1]/", "http://[2001:db8::1]/" },
	{ "http://a.example/\xe2\x80\x9d\xe3\x80\x82", "http://a.example/" },
	{ "xhttp://a.example/...", "http://a.example/" },
	{ "file.tar.gz/x and/or 1.2.3.4/24 e.g./x i.e/y", "" },
	{ "a.b..com/x .com/x -a.com/x", "" },
	{ "...................................", "" },
	{ "", "" },
};

static void test_find(void **state)
{
	for (size_t i = 0; i < sizeof(find_cases) / sizeof(find_cases[0]); i++) {
		struct buf b = BUF_INIT;
		struct str found;
		size_t at = 0;
		while (url_find(str_c(find_cases[i].text), &at, &found)) {
			if (b.n)
				buf_char(&b, ' ');
			buf_str_add(&b, found);
		}
		if (!str_eq_c(buf_str(&b), find_cases[i].found))
			fail_msg("%s: %.*s", find_cases[i].text, STR_ARG(buf_str(&b)));
		buf_free(&b);
	}
}

static const struct {
	const char *url, *scheme, *host;
} parse_cases[] = {
	{ "http://A.Example/x", "http", "a.example" },
	{ "HTTPS://a.example:443?x", "https", "a.example" },
	{ "http://bank.example@evil.example/", "http", "evil.example" },
	{ "http://a@b@evil.example\\@bank.example/", "http", "evil.example" },
	{ "http:\\\\evil.example\\x", "http", "evil.example" },
	{ "http:/evil.example/x", "http", "evil.example" },
	{ "http:evil.example", "http", "evil.example" },
	{ "http:///evil.example", "http", "evil.example" },
	{ "//evil.example/x", "http", "evil.example" },
	{ "http://%65vil%2eexample/", "http", "evil.example" },
	{ "http://b\xc3\xbc" "cher.example/", "http", "xn--bcher-kva.example" },
	{ "http://evil\xe3\x80\x82" "example/", "http", "evil.example" },
	{ "http://192.0.2.1/", "http", "192.0.2.1" },
	{ "http://3221225985/", "http", "192.0.2.1" },
	{ "http://0xC0.0.0x201/", "http", "192.0.2.1" },
	{ "http://0300.0.02.01/", "http", "192.0.2.1" },
	{ "http://192.0.2.256/", "http", "192.0.2.256" },
	{ "http://[2001:DB8::1]:80/", "http", "[2001:db8::1]" },
	{ "http://evil.example./", "http", "evil.example" },
	{ "www.a.example", "http", "www.a.example" },
	{ "a.com:8080/x", "http", "a.com" },
	{ "a.com", "http", "a.com" },
	{ "mailto:x@A.example?subject=y@z", "mailto", "a.example" },
	{ "javascript:alert('a@b')", "javascript", "" },
	{ "data:text/html,x", "data", "" },
	{ "cid:x@y", "cid", "" },
	{ "#top", "", "" },
	{ "x/y.html", "", "" },
	{ "index.html", "", "" },
	{ "http://", "http", "" },
	{ " \t http://a.example ", "http", "a.example" },
	{ "", "", "" },
};

static void test_parse(void **state)
{
	for (size_t i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
		struct arena *a = arena_new(1 << 20);
		struct mail_url u;
		url_parse(a, str_c(parse_cases[i].url), &u);
		if (!str_eq_c(u.scheme, parse_cases[i].scheme) ||
			!str_eq_c(u.host, parse_cases[i].host))
			fail_msg("%s: \"%.*s\" \"%.*s\"", parse_cases[i].url, STR_ARG(u.scheme),
				STR_ARG(u.host));
		arena_free(&a);
	}
}

/* Long tokens, many dots, many colons: the time is linear, and the length is cut. */
static void test_hostile(void **state)
{
	static const char *const units[] = { "a.", ":", "http:", "http://", ".", "www.", "((((",
		"\xc3\xbc.", "http://a.b)" };
	struct arena *a = arena_new(64 << 20);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct buf b = BUF_INIT;
		struct str found;
		struct mail_url u;
		size_t at = 0;
		for (size_t k = 0; k < 200000; k++)
			buf_c(&b, units[i]);
		buf_c(&b, "com/");
		while (url_find(buf_str(&b), &at, &found)) {
			url_parse(a, found, &u);
			assert_true(u.url.n <= LIMIT_URL_BYTES);
		}
		buf_free(&b);
	}
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
