/* iprev: there and back again, over hostile PTR data. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/filters/judged.h"

#define PTR(names) "\"1.2.0.192.in-addr.arpa\":{\"PTR\":[" names "]}"

static void test_iprev(void **state)
{
	static const struct {
		const char *what, *zone;
		int result;
		const char *name;
	} rows[] = {
		{ "back again", PTR("\"Mx.Example.com\"") ",\"mx.example.com\":{\"A\":[\"192.0.2.1\"]}",
			AUTH_PASS, "mx.example.com" },
		{ "the second name", PTR("\"a.example\",\"b.example\"") ",\"b.example\":{\"A\":[\"192.0.2.9\","
			"\"192.0.2.1\"]}", AUTH_PASS, "b.example" },
		{ "another address", PTR("\"a.example\"") ",\"a.example\":{\"A\":[\"192.0.2.2\"]}", AUTH_FAIL, "" },
		{ "no such name", PTR("\"a.example\""), AUTH_FAIL, "" },
		{ "no PTR record", "\"x\":{}", AUTH_PERMERROR, "" },
		{ "no answer", "\"1.2.0.192.in-addr.arpa\":{\"rcode\":\"TIMEOUT\"}", AUTH_TEMPERROR, "" },
		{ "no answer for the name", PTR("\"a.example\"") ",\"a.example\":{\"rcode\":\"SERVFAIL\"}",
			AUTH_TEMPERROR, "" },
		{ "a name with a line break", PTR("\"a\\r\\nX: y.example\"") ",\"a\\r\\nX: y.example\":{\"A\":"
			"[\"192.0.2.1\"]}", AUTH_FAIL, "" },
		{ "the sixth name is not looked at", PTR("\"a.example\",\"b.example\",\"c.example\",\"d.example\","
			"\"e.example\",\"f.example\"") ",\"f.example\":{\"A\":[\"192.0.2.1\"]}", AUTH_FAIL, "" },
	};
	struct judged j;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf json = BUF_INIT;
		buf_printf(&json, "{\"client\":{\"ip\":\"192.0.2.1\"},\"mail_from\":\"\",\"dns\":{%s}}",
			rows[i].zone);
		judge_octets(&j, buf_str(&json), STR("From: a@b.example\r\n\r\n"), JUDGED_CONF);
		const struct auth_iprev *iprev = j.v.auth.iprev;
		if (iprev->result != rows[i].result || !str_eq_c(iprev->name, rows[i].name))
			fail_msg("%s: %s \"%.*s\"", rows[i].what, auth_result_names[iprev->result],
				STR_ARG(iprev->name));
		judged_free(&j);
		buf_free(&json);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_iprev) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
