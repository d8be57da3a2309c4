/* author: is outgoing mail from whom it says? */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/filters/judged.h"

#define DOMAINS "domain \"example.net\" { } domain \"example.org\" { } domain \"b\xc3\xbc" "cher.example\" { } "

struct row {
	const char *mode, *from, *mail_from, *account, *finding; /* NULL: none */
};

static const struct row rows[] = {
	{ "address", "From: a@example.net", "a@example.net", "", NULL },
	{ "address", "From: A <A@Example.NET>", "a@example.net", "", NULL },
	{ "address", "From: \"a\"@example.net", "a@example.net", "", NULL },
	{ "address", "From: a@example.net", "\\\"a\\\"@example.net", "", NULL },
	{ "address", "From: b@example.net", "a@example.net", "", "AUTHOR_OTHER_ADDRESS" },
	{ "address", "From: a@example.org", "a@example.net", "", "AUTHOR_OTHER_DOMAIN" },
	{ "address", "From: a@example.net", "b@example.net", "a@example.net", NULL },
	{ "address", "From: b@example.net", "b@example.net", "a@example.net", "AUTHOR_OTHER_ADDRESS" },
	{ "address", "From: anybody@example.org", "", "", NULL },
	{ "address", "From: b@example.net", "", "a@example.net", "AUTHOR_OTHER_ADDRESS" },
	{ "domain", "From: b@example.net", "a@example.net", "", NULL },
	{ "domain", "From: b@example.net", "a@example.org", "", "AUTHOR_OTHER_DOMAIN" },
	{ "domain", "From: b@example.net", "a@example.org", "a@example.net", NULL },
	{ "domain", "From: b@b\xc3\xbc" "cher.example", "a@xn--bcher-kva.example", "", NULL },
	{ "domain", "From: b@bank.example", "", "", "AUTHOR_FOREIGN" },
	{ "any", "From: b@example.net", "a@example.org", "", NULL },
	{ "any", "From: b@sub.example.net", "a@example.net", "", "AUTHOR_FOREIGN" },
	{ "any", "Subject: x", "a@example.net", "", "AUTHOR_UNKNOWN" },
	{ "any", "From: a@example.net\r\nFrom: a@example.net", "a@example.net", "", "AUTHOR_UNKNOWN" },
	{ "any", "From: a@example.net, b@example.net", "a@example.net", "", "AUTHOR_UNKNOWN" },
	{ "any", "From : a@example.net", "a@example.net", "", "AUTHOR_UNKNOWN" },
	{ "any", "From: <@x.example:a@example.net>", "a@example.net", "", "AUTHOR_UNKNOWN" },
	{ "any", "From: a@[192.0.2.1]", "a@example.net", "", "AUTHOR_UNKNOWN" },
	{ "any", "From: Undisclosed:;", "a@example.net", "", "AUTHOR_UNKNOWN" },
};

static void run(struct judged *j, const struct row *r, const char *outbound)
{
	struct buf json = BUF_INIT, message = BUF_INIT, conf = BUF_INIT;

	buf_printf(&json, "{\"client\":{\"ip\":\"192.0.2.1\"},\"mail_from\":\"%s\",\"account\":\"%s\",\"outbound\":%s}",
		r->mail_from, r->account, outbound);
	buf_printf(&message, "%s\r\n\r\nx\r\n", r->from);
	buf_printf(&conf, JUDGED_CONF DOMAINS "outbound { from = %s }%c", r->mode, 0);
	judge_octets(j, buf_str(&json), buf_str(&message), conf.p);
	buf_free(&json);
	buf_free(&message);
	buf_free(&conf);
}

static void test_author(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		const struct finding *found = NULL;
		struct judged j;

		run(&j, r, "true");
		for (size_t k = 0; k < j.v.findings.n; k++)
			if (str_eq_c(j.v.findings.v[k].filter, "author"))
				found = &j.v.findings.v[k];
		if (!found != !r->finding || (found && !str_eq_c(found->name, r->finding)))
			fail_msg("%s, %s, %s: %.*s", r->mode, r->from, r->mail_from,
				STR_ARG(found ? found->name : STR("nothing")));
		assert_int_equal(j.v.action, r->finding ? ACTION_REJECT : ACTION_FORWARD);
		judged_free(&j);
	}
}

/* What comes in is none of its business; and what is about strangers is not asked of ours. */
static void test_traffic(void **state)
{
	static const struct row foreign = { "address", "From: a@bank.example", "a@example.net", "", NULL };
	struct judged j;

	run(&j, &foreign, "false");
	assert_non_null(j.v.auth.spf);
	assert_true(j.asked_count > 0);
	for (size_t i = 0; i < j.v.findings.n; i++)
		assert_false(str_eq_c(j.v.findings.v[i].filter, "author"));
	judged_free(&j);

	run(&j, &foreign, "true");
	assert_null(j.v.auth.spf);
	assert_null(j.v.auth.dmarc);
	assert_null(j.v.record.dmarc);
	assert_int_equal(j.asked_count, 0);
	judged_free(&j);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_author),
		cmocka_unit_test(test_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
