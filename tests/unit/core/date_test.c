#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/mail/date.h"

static const struct {
	const char *value;
	int64_t when; /* -1: none */
} cases[] = {
	{ "Thu, 01 Jan 1970 00:00:00 +0000", 0 },
	{ "Fri, 20 Nov 2026 12:00:00 +0100 (CET)", 1795172400 },
	{ "20 Nov 2026 12:00 +0100", 1795172400 },
	{ "Fri ,\r\n 20 (x (y\\)) z) Nov 2026 12 : 00:00 GMT", 1795176000 },
	{ "29 Feb 2024 23:59:60 -0330", 1709263800 },
	{ "1 mar 2000 00:00:00 EST", 951886800 },
	{ "1 Jan 99 00:00:00 Z", 915148800 },
	{ "1 Jan 03 00:00:00 UT", 1041379200 },
	{ "31 December 2026 00:00:00 +0000", 1798675200 },
	{ "", -1 },
	{ "yesterday", -1 },
	{ "Fri, 20 Nov 2026", -1 },
	{ "32 Nov 2026 12:00:00 +0000", -1 },
	{ "20 Nov 2026 24:00:00 +0000", -1 },
	{ "20 Anf 2026 12:00:00 +0000", -1 },
	{ "20 Nov 20266 12:00:00 +0000", -1 },
	{ "20 Nov 2026 12:00:00 +0199", -1 },
	{ "20 Nov 2026 12:00:00 +0000 x", -1 },
	{ "20 Nov 2026 12:00:00 (", 1795176000 },
};

static void test_parse(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t when = -1;
		bool ok = date_parse(str_c(cases[i].value), &when);
		if (ok != (cases[i].when != -1) || when != cases[i].when)
			fail_msg("%s: %d %lld", cases[i].value, ok, (long long)when);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
