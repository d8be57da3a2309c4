#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/dns.h"
#include "core/hash.h"
#include "core/ip.h"
#include "core/json.h"

static void numbers(void **state)
{
	uint64_t u = 7;
	int64_t i = 7;
	double d = 7;
	assert_int_equal(str_to_u64(STR("18446744073709551615"), 0, UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "18446744073709551616", "0x1", "1.0" };
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		assert_int_equal(str_to_u64(str_c(bad[k]), 0, UINT64_MAX, &u), -1);
	assert_int_equal(str_to_u64(STR("5"), 6, 9, &u), -1);
	assert_int_equal(str_to_i64(STR("-42"), -50, 50, &i), 0);
	assert_int_equal(i, -42);
	assert_int_equal(str_to_double(STR("-1.5"), -2, 2, &d), 0);
	assert_true(d == -1.5);
	assert_int_equal(str_to_double(STR("1e5"), -2, 2, &d), -1);
	assert_int_equal(str_to_double(STR("."), -2, 2, &d), -1);
}

static void cutting(void **state)
{
	struct str rest = STR("a,,b"), item;
	const char *expect[] = { "a", "", "b" };
	size_t n = 0;
	while (str_cut(&rest, ',', &item))
		assert_true(str_eq_c(item, expect[n++]));
	assert_int_equal(n, 3);
	assert_int_equal(str_ifind(STR("Hello World"), STR("WORLD")), 6);
	assert_int_equal(str_find(STR("abc"), STR("x")), 3);
	assert_true(str_eq_c(str_trim(STR(" \t x y\t ")), "x y"));
}

static void utf8(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		bool ok;
	} rows[] = {
		{ "plain", 5, true }, { "\xc3\xa9", 2, true }, { "\xf0\x9f\x98\x80", 4, true },
		{ "\xc0\x80", 2, false }, { "\xed\xa0\x80", 3, false }, { "\xf4\x90\x80\x80", 4, false },
		{ "\xe2\x82", 2, false }, { "12345678\xff", 9, false }, { "1234567\xc3\xa9", 9, true },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(str_is_utf8(str_from(rows[i].text, rows[i].n)), rows[i].ok);
}

static void escaping(void **state)
{
	static const struct {
		struct str in;
		const char *json, *safe;
	} rows[] = {
		{ STR("a\"b\\"), "\"a\\\"b\\\\\"", "a\"b\\" },
		{ STR("x\r\ny\0z"), "\"x\\r\\ny\\u0000z\"", "x??y?z" },
		{ STR("\x1b[31m"), "\"\\u001b[31m\"", "?[31m" },
		{ STR("\xe2\x80\xae" "a"), "\"\\u202ea\"", "?a" },
		{ STR("\xff" "a\xc3\xa9"), "\"\xef\xbf\xbd" "a\xc3\xa9\"", "?a\xc3\xa9" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = BUF_INIT;
		json_text(&b, rows[i].in, JSON_NO_CAP);
		assert_true(str_eq_c(buf_str(&b), rows[i].json));
		buf_clear(&b);
		text_safe(&b, rows[i].in, JSON_NO_CAP);
		assert_true(str_eq_c(buf_str(&b), rows[i].safe));
		buf_free(&b);
	}
	struct buf b = BUF_INIT;
	json_text(&b, STR("abc\xc3\xa9"), 4);
	assert_true(str_eq_c(buf_str(&b), "\"abc\xe2\x80\xa6\""));
	buf_clear(&b);
	json_double(&b, -0.0);
	json_double(&b, 2.50);
	json_double(&b, 10);
	assert_true(str_eq_c(buf_str(&b), "02.510"));
	buf_free(&b);
}

static void addresses(void **state)
{
	struct ip ip, other;
	struct ip_net net;
	struct err err;
	char text[IP_TEXT_MAX];
	struct arena *arena = arena_new(1 << 16);
	assert_int_equal(ip_parse(STR("::ffff:192.0.2.1"), &ip), 0);
	assert_int_equal(ip.family, IP_V4);
	assert_true(str_eq_c(ip_reverse_labels(arena, &ip), "1.2.0.192"));
	assert_int_equal(ip_parse(STR("2001:db8::1"), &other), 0);
	ip_format(&other, text);
	assert_string_equal(text, "2001:db8::1");
	assert_true(str_ends(ip_reverse_name(arena, &other), "8.b.d.0.1.0.0.2.ip6.arpa"));
	assert_int_equal(ip_parse(STR("192.0.2.1.5"), &ip), -1);
	assert_int_equal(ip_parse(STR("192.0.2.01\0"), &ip), -1);
	assert_int_equal(ip_net_parse(STR("192.0.2.0/24"), &net, &err), 0);
	ip_parse(STR("192.0.2.200"), &ip);
	assert_true(ip_in_net(&ip, &net));
	assert_false(ip_in_net(&other, &net));
	assert_int_equal(ip_net_parse(STR("192.0.2.1/24"), &net, &err), -1);
	assert_int_equal(ip_net_parse(STR("0.0.0.0/0"), &net, &err), 0);
	assert_true(ip_in_net(&ip, &net));
	assert_true(ip_is_global(&ip));
	ip_parse(STR("10.1.2.3"), &ip);
	assert_false(ip_is_global(&ip));
	arena_free(&arena);
}

static void names(void **state)
{
	uint8_t wire[256];
	size_t n, used;
	struct str back;
	struct arena *arena = arena_new(1 << 16);
	assert_int_equal(dns_name_to_wire(STR("a\\.b.example."), wire, &n), 0);
	assert_int_equal(n, 13);
	assert_int_equal(dns_name_from_wire(wire, n, arena, &back, &used), 0);
	assert_true(str_eq_c(back, "a\\.b.example"));
	assert_int_equal(dns_name_to_wire(STR("a..b"), wire, &n), -1);
	assert_true(dns_name_under(STR("a.Example.org"), STR("example.ORG.")));
	assert_false(dns_name_under(STR("badexample.org"), STR("example.org")));
	assert_true(dns_is_hostname(STR("mail-1.example.org")));
	assert_false(dns_is_hostname(STR("mail\r\n.example.org")));
	arena_free(&arena);
}

static void digests(void **state)
{
	/* The SipHash authors' vector for the empty input, and FIPS 180's "abc". */
	uint8_t key[16];
	char hex[65];
	for (int i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	assert_true(hash_sip(key, STR("")) == 0x726fdb47dd0e0e31u);
	hash_sha256_hex(STR("abc"), hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers), cmocka_unit_test(cutting),	cmocka_unit_test(utf8),
		cmocka_unit_test(escaping), cmocka_unit_test(addresses), cmocka_unit_test(names),
		cmocka_unit_test(digests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
