#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "rules/evidence.h"

#define MAX 4

struct row {
	const char *what;
	int action;
	struct finding findings[MAX];
	struct auth_dmarc dmarc; /* result AUTH_NONE: none */
	struct auth_spf spf;	 /* the same */
	const char *virus, *account;
	bool outbound, judged;
	double log_odds;
	enum evidence_label label;
	const char *giver;
};

#define LISTED(points) { .name = STR("DNSBL_X"), .filter = STR("dnsbl"), .score = (points), .about_client = true }
#define LINK(points) { .name = STR("DNSBL_DBL"), .filter = STR("dnsbl"), .score = (points) }
#define F(finding, points) { .name = STR(finding), .filter = STR("rules"), .score = (points) }
#define PASS(domain) { .result = AUTH_PASS, .author_domain = STR(domain), .dkim_aligned = true }
#define FAIL(asked) { .result = AUTH_FAIL, .author_domain = STR("example.org"), .policy = (asked) }
#define SPF_FAIL(identity) { .result = AUTH_FAIL, .scope = STR(identity) }
#define SPAM(who) .label = EVIDENCE_SPAM, .giver = (who)
#define HAM(who) .label = EVIDENCE_HAM, .giver = (who)

static const struct row rows[] = {
	{ "nothing", ACTION_FORWARD },
	{ "nothing, refused", ACTION_REJECT },

	/* Content alone, whatever it says. */
	{ "the classifier", ACTION_REJECT, { F("BAYES_999", 20) } },
	{ "rules", ACTION_REJECT, { F("GTUBE", 1000), F("HEADERS_FROM_MISSING", 5) } },
	{ "links", ACTION_REJECT, { LINK(5), LINK(9) } },
	{ "links and a domain that disowns it", ACTION_REJECT, { LINK(5), F("BAYES_99", 9) }, FAIL(DMARC_REJECT) },
	{ "a phishing heuristic", ACTION_REJECT, { F("CLAMAV_PHISHING", 9) } },
	{ "the classifier likes it", ACTION_FORWARD, { F("BAYES_00", -9) } },
	{ "rules like it", ACTION_FORWARD, { F("KNOWN_LIST", -50) }, PASS("example.org") },

	{ "virus, held", ACTION_QUARANTINE, .virus = "Eicar", SPAM("auto:virus") },
	{ "virus, refused", ACTION_REJECT, .virus = "Eicar", SPAM("auto:virus") },
	{ "virus, let through", ACTION_TAG, .virus = "Eicar" },
	{ "virus, to come again", ACTION_TEMPFAIL, .virus = "Eicar" },
	{ "virus on its way out", ACTION_REJECT, .virus = "Eicar", .outbound = true },
	{ "virus from a domain that is wanted", ACTION_REJECT, .virus = "Eicar", .dmarc = PASS("example.net") },
	{ "virus by a good sender", ACTION_REJECT, { LISTED(-0.1) }, .virus = "Eicar" },

	{ "one list", ACTION_REJECT, { LISTED(9) } },
	{ "one list and its content", ACTION_REJECT, { LISTED(9), F("BAYES_999", 9), LINK(9) } },
	{ "two lists", ACTION_REJECT, { LISTED(4), LISTED(2) }, SPAM("auto:dnsbl") },
	{ "two lists, both trusted", ACTION_QUARANTINE, { LISTED(4), LISTED(5) }, SPAM("auto:dnsbl") },
	{ "two lists, neither trusted", ACTION_REJECT, { LISTED(3.9), LISTED(3.9) } },
	{ "two lists, one of them weak", ACTION_REJECT, { LISTED(4), LISTED(1.9) } },
	{ "two lists, but forwarded", ACTION_FORWARD, { LISTED(4), LISTED(4) } },
	{ "two lists, but tagged", ACTION_TAG, { LISTED(4), LISTED(4) } },
	{ "two lists, and a good one", ACTION_REJECT, { LISTED(4), LISTED(4), LISTED(-0.1) } },
	{ "two lists, of a trusted sealer", ACTION_REJECT, { LISTED(4), LISTED(4), F("ARC_TRUSTED", -0.5) } },
	{ "two lists, a domain that is wanted", ACTION_REJECT, { LISTED(4), LISTED(4) }, PASS("example.net") },
	{ "two lists, DMARC for itself", ACTION_REJECT, { LISTED(4), LISTED(4) }, PASS("spam.example"),
		SPAM("auto:dnsbl") },
	{ "two lists, on its way out", ACTION_REJECT, { LISTED(4), LISTED(4) }, .outbound = true },

	{ "a list and SPF", ACTION_REJECT, { LISTED(4) }, .spf = SPF_FAIL("mfrom"), SPAM("auto:dnsbl") },
	{ "a list and HELO's SPF", ACTION_REJECT, { LISTED(4) }, .spf = SPF_FAIL("helo") },
	{ "a list and SPF's softfail", ACTION_REJECT, { LISTED(4) },
		.spf = { .result = AUTH_SOFTFAIL, .scope = STR("mfrom") } },
	{ "a list and SPF, which DKIM mends", ACTION_REJECT, { LISTED(4) }, PASS("example.org"), SPF_FAIL("mfrom") },
	{ "a list and p=reject", ACTION_REJECT, { LISTED(4) }, FAIL(DMARC_REJECT), SPAM("auto:dnsbl") },
	{ "a list and p=quarantine", ACTION_QUARANTINE, { LISTED(4) }, FAIL(DMARC_QUARANTINE), SPAM("auto:dnsbl") },
	{ "a list and p=none", ACTION_REJECT, { LISTED(4) }, FAIL(DMARC_NONE) },
	{ "a list and a trusted forwarder", ACTION_REJECT, { LISTED(4) },
		{ .result = AUTH_FAIL, .policy = DMARC_REJECT, .override = STR("trusted_forwarder") } },
	{ "a weak list, SPF and DMARC", ACTION_REJECT, { LISTED(3) }, FAIL(DMARC_REJECT), SPF_FAIL("mfrom") },
	{ "SPF and DMARC", ACTION_REJECT, { F("A", 20) }, FAIL(DMARC_REJECT), SPF_FAIL("mfrom") },

	{ "an account's", ACTION_FORWARD, .outbound = true, .account = "alice@example.com", HAM("auto:account") },
	{ "an account's, held", ACTION_QUARANTINE, .outbound = true, .account = "alice@example.com" },
	{ "an account's virus", ACTION_FORWARD, .virus = "Eicar", .outbound = true, .account = "alice@example.com" },
	{ "of a network that may send", ACTION_FORWARD, .outbound = true },
	{ "an account, not on its way out", ACTION_FORWARD, .account = "alice@example.com" },
	{ "a domain that is wanted", ACTION_FORWARD, .dmarc = PASS("Example.NET"), HAM("auto:dmarc") },
	{ "the second of them", ACTION_FORWARD, .dmarc = PASS("example.info"), HAM("auto:dmarc") },
	{ "below it", ACTION_FORWARD, .dmarc = PASS("sub.example.net") },
	{ "another's", ACTION_FORWARD, .dmarc = PASS("example.org") },
	{ "it passes, and nothing is aligned", ACTION_FORWARD,
		.dmarc = { .result = AUTH_PASS, .author_domain = STR("example.net") } },
	{ "it fails", ACTION_FORWARD,
		.dmarc = { .result = AUTH_FAIL, .author_domain = STR("example.net"), .dkim_aligned = true } },
	{ "a domain that is wanted, tagged", ACTION_TAG, .dmarc = PASS("example.net") },
	{ "a domain that is wanted, from a listed client", ACTION_FORWARD, { LISTED(0.5) }, PASS("example.net") },
	{ "a domain that is wanted, whatever the content", ACTION_FORWARD, { F("BAYES_80", 2), LINK(1) },
		PASS("example.net"), HAM("auto:dmarc") },

	{ "unsure", ACTION_REJECT, { LISTED(4), LISTED(4) }, .judged = true, .log_odds = 3.9, SPAM("auto:dnsbl") },
	{ "sure", ACTION_REJECT, { LISTED(4), LISTED(4) }, .judged = true, .log_odds = 4 },
	{ "sure of the opposite", ACTION_REJECT, { LISTED(4), LISTED(4) }, .judged = true, .log_odds = -4 },
	{ "sure of what is wanted", ACTION_FORWARD, .dmarc = PASS("example.net"), .judged = true, .log_odds = -9 },
};

static void test_rows(void **state)
{
	const char *names[] = { "example.net", "example.info" };
	const struct option_strings domains = { names, 2 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct row r = rows[i];
		struct verdict_bayes bayes = { .log_odds = r.log_odds };
		struct facts facts = { .outbound = r.outbound, .account = str_c(r.account ? r.account : "") };
		struct verdict v = { .action = r.action, .virus = str_c(r.virus ? r.virus : ""),
			.findings.v = r.findings, .bayes = r.judged ? &bayes : NULL,
			.auth.dmarc = r.dmarc.result != AUTH_NONE ? &r.dmarc : NULL,
			.auth.spf = r.spf.result != AUTH_NONE ? &r.spf : NULL };
		struct str giver = STR("");

		while (v.findings.n < MAX && r.findings[v.findings.n].name.n)
			v.score += r.findings[v.findings.n++].score;
		if (evidence_of(&facts, &v, &domains, &giver) != r.label ||
			(r.giver && !str_eq_c(giver, r.giver)))
			fail_msg("%s: not %s", r.what, r.giver ? r.giver : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
