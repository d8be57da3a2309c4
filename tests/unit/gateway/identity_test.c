/* What delivery adds makes no other message of it; everything else does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/identity.h"

#define HOST "mx.example.net"
#define AUTHOR "From: Bob <bob@example.org>\r\nSubject: Offer\r\n"
#define REST "To: alice@example.net\r\nMessage-ID: <1@example.org>\r\n"
#define GIVEN "Received: from a by b.example.org with ESMTP; Fri, 20 Nov 2026 11:59:00 +0000\r\n" AUTHOR REST
#define OURS "Received: from b.example.org (b.example.org [192.0.2.1])\r\n by mx.example.net (Gatepost)\r\n with ESMTP" \
	" id 1; Fri, 20 Nov 2026 12:00:00 +0000\r\n"
#define ON_TOP "Return-Path: <bob@example.org>\r\nDelivered-To: alice@example.net\r\n" \
	"Received: from mx.example.net by box.example.net with LMTP id x; Fri, 20 Nov 2026 12:00:01 +0000\r\n" \
	"ARC-Seal: i=1; cv=none\r\nAuthentication-Results: mx.example.net; spf=pass\r\nX-Spam-Score: 1.0\r\n" OURS
#define BODY "\r\nA cheap offer\r\n\r\nfor you.\r\n"
#define MESSAGE GIVEN BODY

static void identify(const char *text, char hash_r[IDENTITY_SIZE])
{
	struct arena *arena = arena_new(SIZE_MAX);

	identity_of(mail_parse(arena, str_c(text)), HOST, hash_r);
	arena_free(&arena);
}

static void test_copies(void **unused)
{
	static const struct {
		const char *what, *text;
		bool same;
	} cases[] = {
		{ "as it came", MESSAGE, true },
		{ "delivered", ON_TOP MESSAGE, true },
		{ "our line alone", OURS MESSAGE, true },
		{ "twice by here", ON_TOP OURS MESSAGE, true },
		{ "marks of a mailbox at the end", ON_TOP GIVEN "Status: RO\r\nX-Mozilla-Status: 0001\r\n" BODY, true },
		{ "forged marks, which are cut", "X-Spam-Flag: NO\r\n" GIVEN "X-Gatepost-Ok: 1\r\n" BODY, true },
		{ "folded otherwise", "Received: from a by b.example.org\r\n\twith ESMTP;  Fri, 20 Nov 2026 11:59:00 +0000 \r\n"
			AUTHOR REST BODY, true },
		{ "blanks at line ends, empty lines at the end",
			GIVEN "\r\nA cheap offer \r\n\r\nfor you.\r\n\r\n\r\n", true },
		{ "without the last line end", GIVEN "\r\nA cheap offer\r\n\r\nfor you.", true },
		{ "another body", GIVEN "\r\nA cheap offer\r\n\r\nfor him.\r\n", false },
		{ "one line less", GIVEN "\r\nA cheap offer\r\nfor you.\r\n", false },
		{ "no body", GIVEN "\r\n", false },
		{ "another subject", "Received: from a by b.example.org with ESMTP; Fri, 20 Nov 2026 11:59:00 +0000\r\n"
			"From: Bob <bob@example.org>\r\nSubject: Order\r\n" REST BODY, false },
		{ "another way here", "Received: from c by d.example.org with ESMTP; Fri, 20 Nov 2026 11:59:00 +0000\r\n"
			AUTHOR REST BODY, false },
		{ "one header more", GIVEN "X-Mailer: M\r\n" BODY, false },
		{ "by another gateway", "Received: from x by mx.example.com (Gatepost) with ESMTP id 1; x\r\n" MESSAGE, false },
		{ "a host whose name ends as ours", "Received: from x by amx.example.net (Gatepost) with ESMTP\r\n" MESSAGE,
			false },
		{ "the author hidden above a forged line", AUTHOR OURS GIVEN BODY, false },
		{ "another way to read the body above a forged line",
			"Content-Transfer-Encoding: base64\r\n" OURS MESSAGE, false },
		{ "other parts above a forged line",
			"Content-Type: multipart/mixed; boundary=x\r\n" OURS MESSAGE, false },
	};
	char want[IDENTITY_SIZE], hash[IDENTITY_SIZE];

	identify(MESSAGE, want);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		identify(cases[i].text, hash);
		if (str_eq_c(str_c(hash), want) != cases[i].same)
			fail_msg("%s", cases[i].what);
	}
}

/* A forged line of ours below everything hides neither author nor body. */
static void test_forged_line(void **unused)
{
	char one[IDENTITY_SIZE], other[IDENTITY_SIZE];

	identify(GIVEN OURS "\r\nx\r\n", one);
	identify("Received: from q by r\r\nFrom: Eve <eve@example.com>\r\nSubject: Offer\r\n" OURS "\r\nx\r\n", other);
	assert_string_not_equal(one, other);
	identify(GIVEN OURS "\r\ny\r\n", other);
	assert_string_not_equal(one, other);
}

/* Who gives a message to the API may have it from a Maildir. */
static void test_line_ends(void **unused)
{
	char crlf[IDENTITY_SIZE], lf[IDENTITY_SIZE], text[2048];
	size_t n = 0;

	for (const char *p = ON_TOP MESSAGE; *p; p++)
		if (*p != '\r')
			text[n++] = *p;
	text[n] = '\0';
	identify(MESSAGE, crlf);
	identify(text, lf);
	assert_string_equal(crlf, lf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_forged_line),
		cmocka_unit_test(test_line_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
