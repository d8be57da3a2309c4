/* SPF beside the OpenSPF suite (tests/conformance/spf_suite.py): grammar, macros, limits, and what
 * libspf2 alone gets wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "filters/spf/macro.h"
#include "filters/spf/record.h"
#include "tests/unit/filters/judged.h"

static void test_record_is(void **state)
{
	static const struct {
		const char *txt;
		bool is;
	} rows[] = {
		{ "v=spf1", true },	 { "V=SPF1 -all", true },  { "v=spf10", false }, { "v=spf1-all", false },
		{ " v=spf1 -all", false }, { "v=spf1\t-all", false }, { "", false },	 { "v=spf", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (spf_record_is(str_c(rows[i].txt)) != rows[i].is)
			fail_msg("\"%s\"", rows[i].txt);
}

static void test_record_parse(void **state)
{
	static const struct {
		const char *txt;
		int terms; /* -1: permerror */
	} rows[] = {
		{ "v=spf1", 0 },
		{ "v=spf1   ", 0 },
		{ "v=spf1 -ALL", 1 },
		{ "v=spf1 a mx ptr ip4:192.0.2.1 ip6:2001:db8::1 include:a.example exists:b.example -all", 8 },
		{ "v=spf1 a/24 a//64 a/24//64 mx:x.example/0//0", 4 },
		{ "v=spf1 a:a/b.example/24", 1 },
		{ "v=spf1 a:%{d} a:%{d}/24 a:x.%{ir} exists:%{l1r+-}.%%.%_.%-.e.example", 4 },
		{ "v=spf1 a:%{d2}%_", 1 }, /* %_ is a macro-expand too, so it may end a domain-spec */
		{ "v=spf1 redirect=a.example exp=b.example x-y.z_1=%{s}", 0 },
		{ "v=spf1 x= -all", 1 },
		{ "v=spf1 -all -all", 2 },
		/* permerrors */
		{ "v=spf1 all:x", -1 },
		{ "v=spf1 a:", -1 },
		{ "v=spf1 a/", -1 },
		{ "v=spf1 a/33", -1 },
		{ "v=spf1 a/024", -1 },
		{ "v=spf1 a//129", -1 },
		{ "v=spf1 a/24/64", -1 },
		{ "v=spf1 a:example", -1 },
		{ "v=spf1 a:example.1", -1 },
		{ "v=spf1 a:example.-a", -1 },
		{ "v=spf1 a:example.a-", -1 },
		{ "v=spf1 a:%{x}", -1 },
		{ "v=spf1 a:%{r}", -1 },
		{ "v=spf1 a:%{d0}", -1 },
		{ "v=spf1 a:%{d", -1 },
		{ "v=spf1 a:%d.example", -1 },
		{ "v=spf1 a:%{d}x", -1 },
		{ "v=spf1 ip4:192.0.2.1/33", -1 },
		{ "v=spf1 ip4:192.0.2.01", -1 },
		{ "v=spf1 ip4:192.0.2", -1 },
		{ "v=spf1 ip4", -1 },
		{ "v=spf1 ip4:2001:db8::1", -1 },
		{ "v=spf1 ip6:192.0.2.1", -1 },
		{ "v=spf1 include", -1 },
		{ "v=spf1 include:a.example/24", -1 },
		{ "v=spf1 exists", -1 },
		{ "v=spf1 ++all", -1 },
		{ "v=spf1 moo", -1 },
		{ "v=spf1 redirect=", -1 },
		{ "v=spf1 redirect:a.example", -1 },
		{ "v=spf1 -redirect=a.example", -1 },
		{ "v=spf1 redirect=a.example redirect=b.example", -1 },
		{ "v=spf1 exp=a.example exp=b.example", -1 },
		{ "v=spf1 1x=a", -1 },
		{ "v=spf1 x=%", -1 },
		{ "v=spf1 -all\t", -1 },
		{ "v=spf1 \xc3\xa4", -1 },
	};
	struct arena *arena = arena_new(1 << 20);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spf_record record;
		struct err err;
		int got = spf_record_parse(str_c(rows[i].txt), arena, &record, &err);
		if ((got < 0) != (rows[i].terms < 0) || (got == 0 && (int)record.terms.n != rows[i].terms))
			fail_msg("\"%s\": %d", rows[i].txt, got);
	}
	arena_free(&arena);
}

/* The examples of RFC 7208 7.4, and others. */
static void test_macros(void **state)
{
	static const struct {
		const char *text, *expanded;
		bool six;
	} rows[] = {
		{ "%{s}", "strong-bad@email.example.com", false },
		{ "%{o}", "email.example.com", false },
		{ "%{d}", "email.example.com", false },
		{ "%{d4}", "email.example.com", false },
		{ "%{d3}", "email.example.com", false },
		{ "%{d2}", "example.com", false },
		{ "%{d1}", "com", false },
		{ "%{dr}", "com.example.email", false },
		{ "%{d2r}", "example.email", false },
		{ "%{l}", "strong-bad", false },
		{ "%{l-}", "strong.bad", false },
		{ "%{lr}", "strong-bad", false },
		{ "%{lr-}", "bad.strong", false },
		{ "%{l1r-}", "strong", false },
		{ "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com", false },
		{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com", false },
		{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com", false },
		{ "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net", false },
		{ "%{ir}.%{v}._spf.%{d2}", "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2."
			"ip6._spf.example.com", true },
		{ "%{c}", "2001:db8::cb01", true },
		{ "%{d200}", "email.example.com", false },
		{ "%{L}%{S}", "strong-badstrong-bad%40email.example.com", false },
		{ "%{h}%%%_%-", "mx.example% %20", false },
		{ "%{p} %{r} %{t}", "unknown unknown 7", false },
		{ "%{l.,+/_=-}", "strong.bad", false },
	};
	struct arena *arena = arena_new(1 << 20);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct spf_macro_values v = { .local = STR("strong-bad"),
			.sender_domain = STR("email.example.com"), .domain = STR("email.example.com"),
			.helo = STR("mx.example"), .now = 7 };
		ip_parse(rows[i].six ? STR("2001:db8::cb01") : STR("192.0.2.3"), &v.client);
		struct str got = spf_macro_expand(str_c(rows[i].text), &v, true, arena);
		if (!str_eq_c(got, rows[i].expanded))
			fail_msg("\"%s\": \"%.*s\"", rows[i].text, STR_ARG(got));
	}
	arena_free(&arena);
}

static void test_macro_cap(void **state)
{
	struct spf_macro_values v = { .local = STR("0123456789012345678901234567890123456789") };
	struct arena *arena = arena_new(1 << 20);
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i < 2000; i++)
		buf_c(&b, "%{l}");
	assert_int_equal(spf_macro_expand(buf_str(&b), &v, false, arena).n, SPF_MACRO_EXPANSION_MAX);
	buf_free(&b);
	arena_free(&arena);
}

/* ---- checks ---- */

#define TXT(name, record) "\"" name "\": {\"TXT\": [\"" record "\"]}"

static void judge_spf(struct judged *j, const char *ip, const char *sender, const char *helo,
	const char *zone, const char *conf)
{
	struct buf json = BUF_INIT;

	buf_printf(&json, "{\"now\": \"2026-11-20T12:00:00Z\", \"client\": {\"ip\": \"%s\"}, \"helo\": \"%s\","
		"\"mail_from\": \"%s\", \"dns\": {%s}}", ip, helo, sender, zone);
	judge_octets(j, buf_str(&json), STR(""), conf);
	buf_free(&json);
}

static const struct {
	const char *what, *ip, *sender, *helo, *zone;
	int result;
} check_cases[] = {
	{ "loopback is no exception", "127.0.0.1", "a@example.com", "h", TXT("example.com", "v=spf1 -all"),
		AUTH_FAIL },
	{ "nor is ::1", "::1", "a@example.com", "h", TXT("example.com", "v=spf1 -all"), AUTH_FAIL },
	{ "an IPv4-mapped client is an IPv4 one", "::ffff:192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 ip4:192.0.2.1 -all"), AUTH_PASS },
	{ "a mapped network matches no IPv4 client", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 ip6:::ffff:192.0.2.1 -all"), AUTH_FAIL },
	{ "an octet above ASCII in %{l} never matches (RFC 8616)", "192.0.2.1", "\xc3\xbc@example.com", "h",
		TXT("example.com", "v=spf1 exists:%{l}.x.example ?all"), AUTH_NEUTRAL },
	{ "a U-label is asked for as an A-label", "192.0.2.1", "a@b\xc3\xbc" "cher.example", "h",
		TXT("xn--bcher-kva.example", "v=spf1 +all"), AUTH_PASS },
	{ "the domain is what follows the last @", "192.0.2.1", "\\\"a@good.example\\\"@example.com", "h",
		TXT("example.com", "v=spf1 -all") "," TXT("good.example", "v=spf1 +all"), AUTH_FAIL },
	{ "a sender without domain", "192.0.2.1", "foo", "h", "\"x\":{}", AUTH_NONE },
	{ "a final dot", "192.0.2.1", "a@example.com.", "h", TXT("example.com", "v=spf1 +all"), AUTH_PASS },
	{ "%{p}: an error in the reverse zone means unknown", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 exists:%{p}.x.example -all") ",\"unknown.x.example\":{\"A\":"
		"[\"127.0.0.2\"]},\"1.2.0.192.in-addr.arpa\":{\"rcode\":\"SERVFAIL\"}", AUTH_PASS },
	{ "%{p}: a name that does not lead back means unknown", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 exists:%{p}.x.example -all") ",\"evil.x.example\":{\"A\":"
		"[\"127.0.0.2\"]},\"1.2.0.192.in-addr.arpa\":{\"PTR\":[\"evil\"]}", AUTH_FAIL },
	{ "a name with a quote, a blank and a backslash is asked for as it is", "192.0.2.1",
		"a'b c\\\\d@example.com", "h",
		TXT("example.com", "v=spf1 exists:%{l}.x.example -all"), AUTH_FAIL },
	{ "redirect after an include that does not match", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 redirect=b.example include:c.example") ","
		TXT("b.example", "v=spf1 +all") "," TXT("c.example", "v=spf1 -all"), AUTH_PASS },
	{ "a redirect within an include", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 include:c.example -all") ","
		TXT("b.example", "v=spf1 +all") "," TXT("c.example", "v=spf1 redirect=b.example"), AUTH_PASS },
	{ "an include whose redirect leads nowhere", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 include:c.example -all") ","
		TXT("c.example", "v=spf1 redirect=b.example"), AUTH_PERMERROR },
	{ "an include of itself", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 include:example.com -all"), AUTH_PERMERROR },
	{ "an error before a match", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 a:b.example ip4:192.0.2.1 -all") ",\"b.example\":{\"rcode\":\"SERVFAIL\"}",
		AUTH_TEMPERROR },
	{ "a match before an error", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 ip4:192.0.2.1 a:b.example -all") ",\"b.example\":{\"rcode\":\"SERVFAIL\"}",
		AUTH_PASS },
	{ "a current domain of an include in %{d}", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 include:inc.example -all") ","
		TXT("inc.example", "v=spf1 exists:x.%{d} -all") ",\"x.inc.example\":{\"A\":[\"127.0.0.2\"]}",
		AUTH_PASS },
	{ "eleven mx names", "192.0.2.1", "a@example.com", "h", "\"example.com\":{\"TXT\":[\"v=spf1 mx\"],\"MX\":["
		"[1,\"m\"],[2,\"m\"],[3,\"m\"],[4,\"m\"],[5,\"m\"],[6,\"m\"],[7,\"m\"],[8,\"m\"],[9,\"m\"],"
		"[10,\"m\"],[11,\"m\"]]},\"m\":{\"A\":[\"192.0.2.1\"]}", AUTH_PERMERROR },
	{ "two look-ups that find nothing", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 a:n1.example a:n2.example +all"), AUTH_PASS },
	{ "three of them, spread over an include", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 a:n1.example include:c.example +all") ","
		TXT("c.example", "v=spf1 a:n2.example a:n3.example -all"), AUTH_PERMERROR },
	{ "eleven terms, spread over includes", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 include:b.example include:c.example +all") ","
		"\"e.example\":{\"A\":[\"192.0.2.9\"]},"
		TXT("b.example", "v=spf1 a:e.example a:e.example a:e.example a:e.example ?all") ","
		TXT("c.example", "v=spf1 a:e.example a:e.example a:e.example a:e.example a:e.example ?all"),
		AUTH_PERMERROR },
	{ "ten terms, spread over includes", "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 include:b.example include:c.example +all") ","
		"\"e.example\":{\"A\":[\"192.0.2.9\"]},"
		TXT("b.example", "v=spf1 a:e.example a:e.example a:e.example a:e.example ?all") ","
		TXT("c.example", "v=spf1 a:e.example a:e.example a:e.example a:e.example ?all"),
		AUTH_PASS },
	{ "no client", "", "a@example.com", "h", TXT("example.com", "v=spf1 +all"), AUTH_NONE },
};

static void test_checks(void **state)
{
	struct judged j;

	for (size_t i = 0; i < sizeof(check_cases) / sizeof(check_cases[0]); i++) {
		if (*check_cases[i].ip)
			judge_spf(&j, check_cases[i].ip, check_cases[i].sender, check_cases[i].helo, check_cases[i].zone, JUDGED_CONF);
		else
			judge_octets(&j, STR("{\"mail_from\": \"a@example.com\", \"dns\": {}}"), STR(""),
				JUDGED_CONF);
		if (j.v.auth.spf->result != check_cases[i].result)
			fail_msg("%s: %s", check_cases[i].what, auth_result_names[j.v.auth.spf->result]);
		judged_free(&j);
	}
}

/* Far more than the library's 511 octets of compiled record. */
static void test_long_record(void **state)
{
	struct buf zone = BUF_INIT;
	struct judged j;

	buf_c(&zone, "\"example.com\":{\"TXT\":[[");
	for (unsigned i = 0; i < 300; i++)
		buf_printf(&zone, "%s\"%sip4:198.51.%u.%u \"", i ? "," : "", i ? "" : "v=spf1 ", i / 200, i % 200);
	buf_c(&zone, ",\"ip4:192.0.2.1 -all\"]]}");
	buf_char(&zone, '\0');
	judge_spf(&j, "192.0.2.1", "a@example.com", "h", zone.p, JUDGED_CONF);
	assert_int_equal(j.v.auth.spf->result, AUTH_PASS);
	judged_free(&j);
	judge_spf(&j, "192.0.2.2", "a@example.com", "h", zone.p, JUDGED_CONF);
	assert_int_equal(j.v.auth.spf->result, AUTH_FAIL);
	judged_free(&j);
	buf_free(&zone);
}

static void test_identities(void **state)
{
	struct judged j;

	judge_spf(&j, "192.0.2.1", "a@example.com", "mx.example.com",
		TXT("example.com", "v=spf1 +all") "," TXT("mx.example.com", "v=spf1 -all"), JUDGED_CONF);
	assert_int_equal(j.v.auth.spf->result, AUTH_PASS);
	assert_true(str_eq_c(j.v.auth.spf->scope, "mfrom"));
	assert_int_equal(j.v.auth.spf_helo->result, AUTH_FAIL);
	assert_true(str_eq_c(j.v.auth.spf_helo->scope, "helo"));
	judged_free(&j);
	judge_spf(&j, "192.0.2.1", "", "mx.example.com", TXT("mx.example.com", "v=spf1 +all"), JUDGED_CONF);
	assert_int_equal(j.v.auth.spf->result, AUTH_PASS);
	assert_true(str_eq_c(j.v.auth.spf->scope, "helo"));
	assert_true(str_eq_c(j.v.auth.spf->domain, "mx.example.com"));
	judged_free(&j);
}

static void test_explanation(void **state)
{
	static const char zone[] = TXT("example.com", "v=spf1 -all exp=e.example") ","
		TXT("e.example", "%{l} may not send, see http://x.example/?s=%{S}");
	struct judged j;

	judge_spf(&j, "192.0.2.1", "a\\u001b[31m\xc3\xbc@example.com", "h", zone, JUDGED_CONF);
	assert_int_equal(j.v.auth.spf->result, AUTH_FAIL);
	assert_int_equal(j.v.auth.spf->explanation.n, 0);
	assert_int_equal(judged_asked(&j, "e.example"), 0);
	judged_free(&j);
	judge_spf(&j, "192.0.2.1", "a\\u001b[31m\xc3\xbc@example.com", "h", zone,
		JUDGED_CONF "filter \"spf\" { explanation = true }");
	assert_int_equal(j.v.auth.spf->result, AUTH_FAIL);
	for (size_t i = 0; i < j.v.auth.spf->explanation.n; i++)
		assert_in_range(j.v.auth.spf->explanation.p[i], 0x20, 0x7e);
	assert_true(str_find(j.v.auth.spf->explanation, STR("may not send")) <
		j.v.auth.spf->explanation.n);
	judged_free(&j);
}

/* Hostile zones: every message costs a bounded number of questions and rounds. */
static void test_bounds(void **state)
{
	struct buf zone = BUF_INIT;
	struct judged j;

	/* each record includes ten others, each of which includes ten others ... */
	for (unsigned i = 0; i < 200; i++) {
		buf_printf(&zone, "\"b%u.example\":{\"TXT\":[\"v=spf1", i);
		for (unsigned k = 1; k <= 10; k++)
			buf_printf(&zone, " include:b%u.example", (i * 10 + k) % 200);
		buf_c(&zone, " -all\"]},");
	}
	buf_c(&zone, "\"z\":{}");
	buf_char(&zone, '\0');
	judge_spf(&j, "192.0.2.1", "a@b0.example", "b1.example", zone.p, JUDGED_CONF);
	assert_int_equal(j.v.auth.spf->result, AUTH_PERMERROR);
	assert_true(j.asked_count <= LIMIT_AUTH_DNS_QUESTIONS);
	judged_free(&j);
	buf_free(&zone);

	/* ten mx terms of ten names each */
	zone = (struct buf)BUF_INIT;
	buf_c(&zone, "\"example.com\":{\"TXT\":[\"v=spf1");
	for (unsigned i = 0; i < 10; i++)
		buf_printf(&zone, " mx:m%u.example", i);
	buf_c(&zone, " -all\"]}");
	for (unsigned i = 0; i < 10; i++) {
		buf_printf(&zone, ",\"m%u.example\":{\"MX\":[", i);
		for (unsigned k = 0; k < 10; k++)
			buf_printf(&zone, "%s[1,\"h%u.m%u.example\"]", k ? "," : "", k, i);
		buf_c(&zone, "]}");
		for (unsigned k = 0; k < 10; k++)
			buf_printf(&zone, ",\"h%u.m%u.example\":{\"A\":[\"198.51.100.1\"]}", k, i);
	}
	buf_char(&zone, '\0');
	judge_spf(&j, "192.0.2.1", "a@example.com", "h", zone.p, JUDGED_CONF);
	assert_int_equal(j.v.auth.spf->result, AUTH_TEMPERROR);
	assert_true(j.asked_count <= LIMIT_AUTH_DNS_QUESTIONS);
	judged_free(&j);
	buf_free(&zone);
}

/* What can be known when a record is read is asked for at once. */
static void test_rounds(void **state)
{
	struct judged j;

	judge_spf(&j, "192.0.2.1", "a@example.com", "h",
		TXT("example.com", "v=spf1 a:a1.example a:a2.example mx:m1.example exists:%{i}.x.example "
			"include:i.example -all") ",\"a1.example\":{\"A\":[\"198.51.100.1\"]},"
		"\"a2.example\":{\"A\":[\"198.51.100.1\"]},\"m1.example\":{\"MX\":[[1,\"h1.example\"],"
		"[2,\"h2.example\"]]},\"h1.example\":{\"A\":[\"198.51.100.1\"]},\"h2.example\":{\"A\":"
		"[\"198.51.100.1\"]}," TXT("i.example", "v=spf1 ip4:192.0.2.1 -all"), JUDGED_CONF);
	assert_int_equal(j.v.auth.spf->result, AUTH_PASS);
	assert_in_range(j.rounds, 2, 3);
	judged_free(&j);
}

static void test_received_spf(void **state)
{
	struct judged j;

	judge_spf(&j, "192.0.2.1", "a@example.com", "h", TXT("example.com", "v=spf1 -all"),
		JUDGED_CONF "filter \"spf\" { received_spf = true }");
	assert_true(str_find(j.v.headers, STR("\r\nReceived-SPF: fail receiver=mx.example.net;")) <
		j.v.headers.n);
	judged_free(&j);
	judge_spf(&j, "192.0.2.1", "a@example.com", "h", TXT("example.com", "v=spf1 -all"), JUDGED_CONF);
	assert_true(str_find(j.v.headers, STR("Received-SPF")) == j.v.headers.n);
	judged_free(&j);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_is),
		cmocka_unit_test(test_record_parse),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_macro_cap),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_long_record),
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_explanation),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_received_spf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
