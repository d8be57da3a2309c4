/* Our Received line with hostile material, and loops. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/buf.h"
#include "gateway/front/trace.h"

static struct str unfold(struct buf *b)
{
	struct str s = buf_str(b);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' && s.p[i] != '\n')
			b->p[n++] = s.p[i];
	return str_from(b->p, n);
}

static void test_received(void **unused)
{
	struct facts_tls tls = { STR("TLSv1.3"), STR("TLS_AES_256_GCM_SHA384") };
	struct str one[] = { STR("alice@example.net") };
	const struct {
		struct facts facts;
		struct str ptr;
		const char *want;
	} cases[] = {
		{ { .now = 1795176000, .client_ip = STR("192.0.2.1"),
			  .helo = STR("mail.example.org"), .esmtp = true, .rcpt_to = { one, 1 } },
			STR("mail.example.org"),
			"Received: from mail.example.org (mail.example.org [192.0.2.1]) by "
			"mx.example.net (Gatepost) with ESMTP id T.1 for <alice@example.net>; "
			"Fri, 20 Nov 2026 12:00:00 +0000" },
		{ { .now = 0, .client_ip = STR("2001:db8::1"), .helo = STR("[IPv6:2001:db8::1]"),
			  .esmtp = true, .tls = &tls },
			STR(""),
			"Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1]) by "
			"mx.example.net (Gatepost) with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) "
			"id T.1; Thu, 01 Jan 1970 00:00:00 +0000" },
		{ { .client_ip = STR("10.0.0.9"), .helo = STR("laptop"), .esmtp = true, .tls = &tls,
			  .outbound = true, .account = STR("alice@example.net") },
			STR(""),
			"Received: from laptop (unknown [10.0.0.9]) (Authenticated sender: alice@example.net) "
			"by mx.example.net (Gatepost) with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384) "
			"id T.1; Thu, 01 Jan 1970 00:00:00 +0000" },
		{ { .client_ip = STR("192.0.2.1"), .helo = STR("a\r\nX: (b) <c>\0;\x1b") },
			STR("evil\r\nY: 1"),
			"Received: from a??X:??b???c???? (unknown [192.0.2.1]) by mx.example.net "
			"(Gatepost) with SMTP id T.1; Thu, 01 Jan 1970 00:00:00 +0000" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trace trace = { &cases[i].facts, cases[i].ptr, "mx.example.net",
			STR("T.1") };
		struct buf out = BUF_INIT;
		struct str line;

		trace_received(&trace, &out);
		line = unfold(&out);
		if (!str_eq_c(line, cases[i].want))
			fail_msg("%.*s", STR_ARG(line));
		buf_free(&out);
	}
}

static void test_loops(void **unused)
{
	static const char own[] =
		"Received: from a (b [192.0.2.1]) by mx.example.net\r\n (Gatepost) with ESMTP\r\n";
	static const char other[] =
		"received : from a by other.example.net (Gatepost) with ESMTP\r\n";
	static const struct {
		size_t own, other;
		const char *rest;
		bool loops;
	} cases[] = {
		{ 0, 0, "", false },
		{ 0, 0, "Subject: x\r\n\r\nReceived: by mx.example.net (Gatepost)\r\n", false },
		{ 2, 97, "\r\nx\r\n", false },
		{ 3, 0, "\r\nx\r\n", true },
		{ 0, 99, "\r\nx\r\n", false },
		{ 0, 100, "\r\nx\r\n", true },
		{ 1, 98, "Received: x", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf message = BUF_INIT;

		for (size_t k = 0; k < cases[i].own; k++)
			buf_c(&message, own);
		for (size_t k = 0; k < cases[i].other; k++)
			buf_c(&message, other);
		buf_c(&message, cases[i].rest);
		assert_int_equal(trace_loops(buf_str(&message), "mx.example.net"), cases[i].loops);
		buf_free(&message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
