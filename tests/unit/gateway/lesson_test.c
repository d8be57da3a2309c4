/* Which addresses learn, and from whom. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/lesson.h"

static struct arena *arena;
static const struct config *config;

static int setup(void **state)
{
	struct conf *conf;

	arena = arena_new(SIZE_MAX);
	config = config_read(STR("hostname = \"mx.example.net\"\n"
				 "domain \"example.net\" { backend = \"smtp://127.0.0.1:25\" }\n"
				 "learn { spam_address = \"Spam@example.net\" ham_address = \"ham@example.net\"\n"
				 "from = { \"10.0.0.0/8\", \"2001:db8::/32\" } }\n"), "t.conf", arena, &conf);
	assert_int_equal(conf_errors(conf)->n, 0);
	return 0;
}

static int teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

static void test_labels(void **state)
{
	static const struct {
		const char *address;
		enum lesson_label label;
	} cases[] = {
		{ "spam@example.net", LESSON_SPAM },
		{ "SPAM@EXAMPLE.NET", LESSON_SPAM },
		{ "ham@example.net", LESSON_HAM },
		{ "spam@example.org", LESSON_NONE },
		{ "spam", LESSON_NONE },
		{ "", LESSON_NONE },
	};
	struct config_learn none = { .spam_address = "", .ham_address = "" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(lesson_label(&config->learn, str_c(cases[i].address)), cases[i].label);
		assert_int_equal(lesson_label(&none, str_c(cases[i].address)), LESSON_NONE);
	}
}

static void test_giver(void **state)
{
	static const struct {
		const char *client, *mail_from, *author;
		int dmarc, spf;
		const char *spf_domain;
		int dkim;
		const char *dkim_domain;
		int action;
		enum lesson_judgement judgement;
		const char *who;
	} cases[] = {
		/* DMARC passes, whatever the score */
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_PASS, AUTH_PASS, "example.net",
			AUTH_NONE, "", ACTION_REJECT, LESSON_TAKEN, "bob@example.net" },
		{ "192.0.2.1", "bounce@esp.example", "example.net", AUTH_PASS, AUTH_PASS, "esp.example",
			AUTH_PASS, "example.net", ACTION_FORWARD, LESSON_TAKEN, "example.net" },
		{ "192.0.2.1", "", "example.net", AUTH_PASS, AUTH_NONE, "", AUTH_PASS, "example.net",
			ACTION_FORWARD, LESSON_TAKEN, "example.net" },
		/* for another domain */
		{ "192.0.2.1", "bob@example.org", "example.org", AUTH_PASS, AUTH_PASS, "example.org",
			AUTH_PASS, "example.org", ACTION_FORWARD, LESSON_REFUSED, NULL },
		{ "192.0.2.1", "bob@a.example.net", "a.example.net", AUTH_PASS, AUTH_PASS, "example.net",
			AUTH_PASS, "example.net", ACTION_FORWARD, LESSON_REFUSED, NULL },
		{ "192.0.2.1", "bob@example.net", "", AUTH_PERMERROR, AUTH_PASS, "example.net", AUTH_PASS,
			"example.net", ACTION_FORWARD, LESSON_REFUSED, NULL },
		/* fails */
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_FAIL, AUTH_PASS, "example.org",
			AUTH_NONE, "", ACTION_FORWARD, LESSON_REFUSED, NULL },
		/* no DMARC record: the same name only */
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_NONE, AUTH_PASS, "example.net",
			AUTH_NONE, "", ACTION_FORWARD, LESSON_TAKEN, "bob@example.net" },
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_NONE, AUTH_SOFTFAIL, "example.net",
			AUTH_PASS, "EXAMPLE.NET", ACTION_FORWARD, LESSON_TAKEN, "bob@example.net" },
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_NONE, AUTH_SOFTFAIL, "example.net",
			AUTH_PASS, "a.example.net", ACTION_FORWARD, LESSON_REFUSED, NULL },
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_NONE, AUTH_NEUTRAL, "example.net",
			AUTH_POLICY, "example.net", ACTION_FORWARD, LESSON_REFUSED, NULL },
		/* DNS */
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_TEMPERROR, AUTH_TEMPERROR,
			"example.net", AUTH_NONE, "", ACTION_FORWARD, LESSON_LATER, NULL },
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_NONE, AUTH_TEMPERROR, "example.net",
			AUTH_FAIL, "example.net", ACTION_FORWARD, LESSON_LATER, NULL },
		{ "192.0.2.1", "bob@example.net", "example.net", AUTH_PASS, AUTH_PASS, "example.net",
			AUTH_NONE, "", ACTION_TEMPFAIL, LESSON_LATER, NULL },
		/* relays */
		{ "10.1.2.3", "bob@example.org", "example.org", AUTH_FAIL, AUTH_FAIL, "example.org",
			AUTH_NONE, "", ACTION_REJECT, LESSON_TAKEN, "bob@example.org" },
		{ "2001:db8::1", "", "example.org", AUTH_FAIL, AUTH_FAIL, "", AUTH_NONE, "",
			ACTION_REJECT, LESSON_TAKEN, "2001:db8::1" },
		{ "", "bob@example.net", "example.net", AUTH_FAIL, AUTH_NONE, "", AUTH_NONE, "",
			ACTION_FORWARD, LESSON_REFUSED, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct facts facts = { .client_ip = str_c(cases[i].client),
			.mail_from = str_c(cases[i].mail_from) };
		struct auth_spf spf = { .result = cases[i].spf, .scope = STR("mfrom"),
			.domain = str_c(cases[i].spf_domain) };
		struct auth_dkim signature = { .result = cases[i].dkim,
			.domain = str_c(cases[i].dkim_domain) };
		struct auth_dkim_list dkim = { &signature, 1 };
		struct auth_dmarc dmarc = { .result = cases[i].dmarc,
			.author_domain = str_c(cases[i].author) };
		struct verdict verdict = { .action = cases[i].action,
			.auth = { .spf = &spf, .dkim = &dkim, .dmarc = &dmarc } };
		struct str who;

		if (lesson_judge(config, &facts, &verdict, &who) != cases[i].judgement)
			fail_msg("case %zu", i);
		if (cases[i].who && !str_eq_c(who, cases[i].who))
			fail_msg("case %zu: %.*s", i, STR_ARG(who));
	}
}

/* Filters that are switched off prove nothing. */
static void test_nothing_known(void **state)
{
	struct facts facts = { .mail_from = STR("bob@example.net") };
	struct verdict verdict = { .action = ACTION_FORWARD };
	struct auth_dmarc dmarc = { .result = AUTH_NONE, .author_domain = STR("example.net") };
	struct str who;

	assert_int_equal(lesson_judge(config, &facts, &verdict, &who), LESSON_REFUSED);
	verdict.auth.dmarc = &dmarc;
	assert_int_equal(lesson_judge(config, &facts, &verdict, &who), LESSON_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_giver, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_known, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
