#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/smtp/proxy.h"

#define S(text) { text, sizeof(text) - 1 }
#define SIG	"\r\n\r\n\0\r\nQUIT\n"
#define V4	"\xc0\x00\x02\x01\x0a\x00\x00\x05\x9c\x40\x00\x19" /* 192.0.2.1:40000 > 10.0.0.5:25 */
#define MAPPED	"\0\0\0\0\0\0\0\0\0\0\xff\xff"
#define V6	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"

static const struct {
	const char *name;
	struct str in;
	int done;
	enum proxy_kind kind;
	const char *source;
	uint16_t port;
	size_t behind; /* octets of in that are not the header's */
} header_cases[] = {
	{ "v1 tcp4", S("PROXY TCP4 192.0.2.1 10.0.0.5 40000 25\r\n"), 1, PROXY_CLIENT,
		"192.0.2.1", 40000, 0 },
	{ "v1, SMTP behind it", S("PROXY TCP4 192.0.2.1 10.0.0.5 1 25\r\nEHLO a\r\n"), 1,
		PROXY_CLIENT, "192.0.2.1", 1, 8 },
	{ "v1 tcp6", S("PROXY TCP6 2001:db8::1 ::1 40000 25\r\n"), 1, PROXY_CLIENT,
		"2001:db8::1", 40000, 0 },
	{ "v1 mapped", S("PROXY TCP6 ::ffff:192.0.2.1 ::1 40000 25\r\n"), 1, PROXY_CLIENT,
		"192.0.2.1", 40000, 0 },
	{ "v1 unknown", S("PROXY UNKNOWN\r\n"), 1, PROXY_LOCAL, NULL, 0, 0 },
	{ "v1 unknown with more", S("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), 1,
		PROXY_LOCAL, NULL, 0, 0 },
	{ "v1 incomplete", S("PROXY TCP4 192.0.2.1"), 0, 0, NULL, 0, 0 },
	{ "v1 incomplete", S("PRO"), 0, 0, NULL, 0, 0 },
	{ "none yet", S(""), 0, 0, NULL, 0, 0 },
	{ "SMTP instead", S("EHLO a\r\n"), -1, 0, NULL, 0, 0 },
	{ "one wrong octet", S("PROXX"), -1, 0, NULL, 0, 0 },
	{ "lower case", S("proxy TCP4"), -1, 0, NULL, 0, 0 },
	{ "v1 bare LF", S("PROXY TCP4 192.0.2.1 10.0.0.5 1 25\n"), -1, 0, NULL, 0, 0 },
	{ "v1 family lies", S("PROXY TCP4 2001:db8::1 ::1 1 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 family lies", S("PROXY TCP6 192.0.2.1 10.0.0.5 1 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 udp", S("PROXY UDP4 192.0.2.1 10.0.0.5 1 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 port", S("PROXY TCP4 192.0.2.1 10.0.0.5 65536 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 port", S("PROXY TCP4 192.0.2.1 10.0.0.5 -1 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 port", S("PROXY TCP4 192.0.2.1 10.0.0.5 01 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 too few", S("PROXY TCP4 192.0.2.1 10.0.0.5 1\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 too many", S("PROXY TCP4 192.0.2.1 10.0.0.5 1 2 3\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 two spaces", S("PROXY  TCP4 192.0.2.1 10.0.0.5 1 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 no family", S("PROXY \r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 octal", S("PROXY TCP4 192.0.02.1 10.0.0.5 1 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v1 NUL", S("PROXY TCP4 192.0.2.1\0 10.0.0.5 1 2\r\n"), -1, 0, NULL, 0, 0 },
	{ "v2 tcp4", S(SIG "\x21\x11\0\x0c" V4), 1, PROXY_CLIENT, "192.0.2.1", 40000, 0 },
	{ "v2, SMTP behind it", S(SIG "\x21\x11\0\x0c" V4 "EHLO a\r\n"), 1, PROXY_CLIENT,
		"192.0.2.1", 40000, 8 },
	{ "v2 tcp6", S(SIG "\x21\x21\0\x24" V6 V6 "\x9c\x40\0\x19"), 1, PROXY_CLIENT,
		"2001:db8::1", 40000, 0 },
	{ "v2 mapped", S(SIG "\x21\x21\0\x24" MAPPED "\xc0\0\x02\x01" V6 "\x9c\x40\0\x19"),
		1, PROXY_CLIENT, "192.0.2.1", 40000, 0 },
	{ "v2 TLV", S(SIG "\x21\x11\0\x11" V4 "\x04\0\x02xx"), 1, PROXY_CLIENT,
		"192.0.2.1", 40000, 0 },
	{ "v2 TLV overflows", S(SIG "\x21\x11\0\x11" V4 "\x04\0\x03xx"), -1, 0, NULL, 0, 0 },
	{ "v2 TLV cut", S(SIG "\x21\x11\0\x0e" V4 "\x04\0"), -1, 0, NULL, 0, 0 },
	{ "v2 local", S(SIG "\x20\x00\0\0"), 1, PROXY_LOCAL, NULL, 0, 0 },
	{ "v2 local with addresses", S(SIG "\x20\x11\0\x0c" V4), 1, PROXY_LOCAL, NULL, 0, 0 },
	{ "v2 unspec", S(SIG "\x21\x00\0\x02xx"), 1, PROXY_LOCAL, NULL, 0, 0 },
	{ "v2 too short", S(SIG "\x21\x11\0\x0b" V4), -1, 0, NULL, 0, 0 },
	{ "v2 too short", S(SIG "\x21\x21\0\x0c" V4), -1, 0, NULL, 0, 0 },
	{ "v2 udp", S(SIG "\x21\x12\0\x0c" V4), -1, 0, NULL, 0, 0 },
	{ "v2 unix", S(SIG "\x21\x31\0\x0c" V4), -1, 0, NULL, 0, 0 },
	{ "v2 family", S(SIG "\x21\x41\0\x0c" V4), -1, 0, NULL, 0, 0 },
	{ "v2 version", S(SIG "\x11\x11\0\x0c" V4), -1, 0, NULL, 0, 0 },
	{ "v2 command", S(SIG "\x22\x11\0\x0c" V4), -1, 0, NULL, 0, 0 },
	{ "v2 huge", S(SIG "\x21\x11\xff\xff" V4), -1, 0, NULL, 0, 0 },
	{ "v2 incomplete", S(SIG "\x21\x11\0\x0d" V4), 0, 0, NULL, 0, 0 },
	{ "v2 wrong signature", S("\r\n\r\n\0\r\nQUIX"), -1, 0, NULL, 0, 0 },
	{ "blank lines", S("\r\n\r\nEHLO"), -1, 0, NULL, 0, 0 },
};

static void headers(void **state)
{
	for (size_t i = 0; i < sizeof(header_cases) / sizeof(header_cases[0]); i++) {
		struct proxy p = { 0 };
		struct err err = { "" };
		size_t used = 0;
		struct ip ip;
		int done = proxy_parse(header_cases[i].in, &used, &p, &err);
		if (done != header_cases[i].done)
			fail_msg("%s: %d %s", header_cases[i].name, done, err.text);
		if (done != 1)
			continue;
		assert_int_equal(p.kind, header_cases[i].kind);
		assert_int_equal(used, header_cases[i].in.n - header_cases[i].behind);
		if (p.kind == PROXY_CLIENT) {
			assert_int_equal(ip_parse(str_c(header_cases[i].source), &ip), 0);
			assert_true(ip_eq(&ip, &p.source));
			assert_int_equal(p.source_port, header_cases[i].port);
		}
		/* Whatever comes in less is "more, please" and never something else. */
		for (size_t n = 0; n < used; n++)
			assert_int_equal(proxy_parse(str_sub(header_cases[i].in, 0, n), &used, &p, &err), 0);
	}
}

static void endless_line(void **state)
{
	struct buf b = BUF_INIT;
	struct proxy p;
	struct err err;
	size_t used;

	buf_c(&b, "PROXY TCP4 ");
	while (b.n < LIMIT_PROXY_V1_LINE - 1)
		buf_char(&b, '1');
	assert_int_equal(proxy_parse(buf_str(&b), &used, &p, &err), 0);
	buf_char(&b, '1');
	assert_int_equal(proxy_parse(buf_str(&b), &used, &p, &err), -1);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(endless_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
