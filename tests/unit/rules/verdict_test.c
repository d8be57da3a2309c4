#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "rules/verdict.h"

#define MAX 8

/* What the filters found, for one message to one recipient unless the configuration has more. */
struct row {
	const char *what;
	const char *conf; /* NULL: defaults */
	struct finding findings[MAX];
	struct auth_dmarc dmarc; /* result AUTH_NONE: none computed */
	const char *virus;
	int scan; /* SCAN_UNSCANNABLE, or 0 */
	struct filter_failure failures[2];
	int action;
	const char *reply; /* how it begins */
	const char *reason; /* what it contains */
	int disposition;
	bool outbound;
};

#define F(finding, points) { .name = STR(finding), .filter = STR("rules"), .score = (points), \
	.text = STR("Something is odd.") }
#define ACT(finding, does) { .name = STR(finding), .filter = STR("headers"), .action = (does), \
	.text = STR("Two authors stand in the header.") }
#define DMARC(asked, why) { .result = AUTH_FAIL, .policy = (asked), .override = STR(why), \
	.author_domain = STR("mail.example.org"), .policy_domain = STR("example.org") }

static const struct row rows[] = {
	{ "nothing", .action = ACTION_FORWARD, .reply = "250 2.0.0 OK",
		.reason = "Score 0.0 is below the tag threshold 5." },
	{ "below tag", .findings = { F("A", 4.9) }, .action = ACTION_FORWARD, .reply = "250" },
	{ "reaches tag", .findings = { F("A", 3), F("B", 2) }, .action = ACTION_TAG, .reply = "250",
		.reason = "Score 5.0 reaches the tag threshold 5: A 3.0, B 2.0." },
	{ "tenths add up", .findings = { F("A", 0.1), F("B", 0.2), F("C", 4.7) },
		.action = ACTION_TAG },
	{ "over quarantine", .findings = { F("LOW", 1.3), F("SPF", 3), F("MINUS", -1), F("HIGH", 6) },
		.action = ACTION_QUARANTINE, .reply = "250",
		.reason = "Score 9.3 is over the quarantine threshold 8: HIGH 6.0, SPF 3.0, LOW 1.3." },
	{ "over reject", .findings = { F("A", 20) }, .action = ACTION_REJECT,
		.reply = "550 5.7.1 message looks like spam (score 20.0) [S.1]" },
	{ "many findings", .findings = { F("A", 1), F("B", 1), F("C", 1), F("D", 1), F("E", 1),
		F("F", 1), F("G", 1) }, .action = ACTION_TAG, .reason = "E 1.0 and 2 more." },
	{ "own thresholds", "policy { tag_score = 1 quarantine_score = 2 reject_score = 3 }",
		.findings = { F("A", 2.5) }, .action = ACTION_QUARANTINE },
	{ "a domain's thresholds", "domain \"example.net\" { quarantine_score = 6 }",
		.findings = { F("A", 6.5) }, .action = ACTION_QUARANTINE },
	{ "another domain's thresholds", "domain \"example.net\" { } "
		"domain \"example.com\" { quarantine_score = 6 }",
		.findings = { F("A", 6.5) }, .action = ACTION_TAG },
	{ "not our domain", "domain \"example.com\" { }", .action = ACTION_REJECT,
		.reply = "550 5.7.1 relaying denied" },

	{ "a direct refusal", .findings = { ACT("HEADERS_FROM", ACTION_REJECT) },
		.action = ACTION_REJECT, .reply = "550 5.7.1 Two authors stand in the header [S.1]",
		.reason = "Two authors stand in the header (HEADERS_FROM)." },
	{ "a direct refusal with its own code", .findings = { ACT("SPF_FAIL", ACTION_REJECT) },
		.action = ACTION_REJECT, .reply = "550 5.7.23 " },
	{ "a direct tempfail", .findings = { ACT("RATE", ACTION_TEMPFAIL) },
		.action = ACTION_TEMPFAIL, .reply = "451 4.7.1 Two authors" },
	{ "a direct quarantine", .findings = { ACT("GEO", ACTION_QUARANTINE) },
		.action = ACTION_QUARANTINE, .reply = "250" },
	{ "the score is more severe", .findings = { ACT("GEO", ACTION_QUARANTINE), F("A", 16) },
		.action = ACTION_REJECT, .reply = "550" },

	{ "virus", .virus = "Eicar", .action = ACTION_QUARANTINE, .reply = "250",
		.reason = "The message carries a virus: Eicar." },
	{ "virus refused", "policy { virus = \"reject\" }", .virus = "Eicar",
		.action = ACTION_REJECT, .reply = "550 5.7.1 message contains malware (Eicar)" },
	{ "unscannable", .scan = SCAN_UNSCANNABLE, .action = ACTION_FORWARD },
	{ "unscannable held", "policy { unscannable = \"quarantine\" }", .scan = SCAN_UNSCANNABLE,
		.action = ACTION_QUARANTINE, .reason = "could not look into all" },

	{ "p=none", .dmarc = DMARC(DMARC_NONE, ""), .action = ACTION_FORWARD,
		.disposition = DISPOSITION_NONE },
	{ "p=quarantine", .dmarc = DMARC(DMARC_QUARANTINE, ""), .action = ACTION_QUARANTINE,
		.reply = "250", .disposition = DISPOSITION_QUARANTINE },
	{ "p=reject, nothing else", .dmarc = DMARC(DMARC_REJECT, ""), .action = ACTION_QUARANTINE,
		.reason = "nothing else speaks against it", .disposition = DISPOSITION_QUARANTINE },
	{ "p=reject, its own findings are no second sign", .dmarc = DMARC(DMARC_REJECT, ""),
		.findings = { { .name = STR("DMARC_REJECT"), .filter = STR("dmarc"), .score = 7 } },
		.action = ACTION_QUARANTINE, .disposition = DISPOSITION_QUARANTINE },
	{ "p=reject and a score", .dmarc = DMARC(DMARC_REJECT, ""), .findings = { F("A", 5) },
		.action = ACTION_REJECT,
		.reply = "550 5.7.1 rejected per DMARC policy for mail.example.org",
		.disposition = DISPOSITION_REJECT },
	{ "p=reject and a listing", .dmarc = DMARC(DMARC_REJECT, ""),
		.findings = { { .name = STR("DNSBL_ZEN"), .filter = STR("dnsbl"), .score = 1 } },
		.action = ACTION_REJECT, .disposition = DISPOSITION_REJECT },
	{ "p=reject and a good listing", .dmarc = DMARC(DMARC_REJECT, ""),
		.findings = { { .name = STR("DNSBL_DNSWL"), .filter = STR("dnsbl"), .score = -1 } },
		.action = ACTION_QUARANTINE, .disposition = DISPOSITION_QUARANTINE },
	{ "p=reject and a virus", .dmarc = DMARC(DMARC_REJECT, ""), .virus = "Eicar",
		.action = ACTION_REJECT, .disposition = DISPOSITION_REJECT },
	{ "p=reject and phishing", .dmarc = DMARC(DMARC_REJECT, ""), .findings = { F("X_PHISHING", 1) },
		.action = ACTION_REJECT, .disposition = DISPOSITION_REJECT },
	{ "p=reject, strict", "policy { dmarc = \"strict\" }", .dmarc = DMARC(DMARC_REJECT, ""),
		.action = ACTION_REJECT, .reply = "550 5.7.1 rejected per DMARC policy",
		.disposition = DISPOSITION_REJECT },
	{ "p=reject, off", "policy { dmarc = \"off\" }", .dmarc = DMARC(DMARC_REJECT, ""),
		.action = ACTION_FORWARD, .disposition = DISPOSITION_NONE },
	{ "p=reject from a trusted forwarder", "policy { dmarc = \"strict\" }",
		.dmarc = DMARC(DMARC_REJECT, "trusted_forwarder"), .action = ACTION_FORWARD,
		.disposition = DISPOSITION_NONE },
	{ "p=reject from a list", .dmarc = DMARC(DMARC_REJECT, "mailing_list"),
		.findings = { F("A", 6) }, .action = ACTION_TAG, .disposition = DISPOSITION_NONE },
	{ "t=y lowered it to quarantine", .dmarc = DMARC(DMARC_QUARANTINE, "policy_test_mode"),
		.action = ACTION_QUARANTINE, .disposition = DISPOSITION_QUARANTINE },

	{ "outgoing", "domain \"example.com\" { }", .outbound = true, .findings = { F("A", 14.9) },
		.action = ACTION_FORWARD, .reply = "250 2.0.0 OK",
		.reason = "Score 14.9 is below the reject threshold 15." },
	{ "outgoing, refused", .outbound = true, .findings = { F("A", 15) }, .action = ACTION_REJECT },
	{ "outgoing, the recipient's policy says nothing", "domain \"example.net\" { tag_score = 1 "
		"quarantine_score = 2 reject_score = 3 } policy { virus = forward tag_score = 1 }",
		.outbound = true, .findings = { F("A", 5) }, .action = ACTION_FORWARD },
	{ "outgoing, own thresholds", "outbound { relay = \"smtp://h\" quarantine_score = 4 "
		"reject_score = 6 }", .outbound = true, .findings = { F("A", 5) },
		.action = ACTION_QUARANTINE },
	{ "outgoing virus", .outbound = true, .virus = "Eicar", .action = ACTION_REJECT,
		.reply = "550 5.7.1 message contains malware (Eicar)" },
	{ "outgoing virus, held", "outbound { virus = quarantine }", .outbound = true,
		.virus = "Eicar", .action = ACTION_QUARANTINE },

	{ "failure, tempfail", .failures = { { STR("clamav"), STR("gone"), ACTION_TEMPFAIL } },
		.findings = { F("A", 99) }, .action = ACTION_TEMPFAIL,
		.reply = "451 4.7.1 a check could not be completed",
		.reason = "The filter clamav could not judge the message, and its on_error is "
			"tempfail: gone." },
	{ "failure, quarantine", .failures = { { STR("clamav"), STR("gone"), ACTION_QUARANTINE } },
		.action = ACTION_QUARANTINE },
};

static struct policy_set *read_policies(const char *text, struct arena *arena)
{
	struct conf *conf = conf_parse(str_c(text ? text : ""), "test", arena);
	struct policy_set *set = policy_set_read(conf, arena);

	if (conf_errors(conf)->n)
		fail_msg("%s", conf_errors(conf)->v[0]);
	return set;
}

static void fill(const struct row *r, struct arena *arena, struct verdict *v)
{
	*v = (struct verdict){ .virus = str_c(r->virus) };
	v->findings.v = ARENA_ARRAY(arena, MAX, struct finding);
	while (v->findings.n < MAX && r->findings[v->findings.n].name.n) {
		v->findings.v[v->findings.n] = r->findings[v->findings.n];
		v->findings.n++;
	}
	if (r->dmarc.result != AUTH_NONE) {
		v->auth.dmarc = ARENA_NEW(arena, struct auth_dmarc);
		*v->auth.dmarc = r->dmarc;
	}
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct arena *arena = arena_new(SIZE_MAX);
		struct str rcpt = STR("bob@example.net");
		struct facts_scan scan = { .result = r->scan, .reason = STR("it is encrypted") };
		struct facts facts = { .rcpt_to = { &rcpt, 1 }, .transaction_id = STR("S.1"),
			.scan = r->scan ? &scan : NULL, .outbound = r->outbound };
		struct verdict_input in = { .facts = &facts, .stage = STAGE_MESSAGE,
			.policies = read_policies(r->conf, arena), .failures = r->failures,
			.hostname = "mx.example.net" };
		struct verdict v;

		while (in.failure_count < 2 && r->failures[in.failure_count].filter.n)
			in.failure_count++;
		fill(r, arena, &v);
		verdict_decide(&in, arena, &v);
		if (v.action != r->action)
			fail_msg("%s: %s, expected %s: %.*s", r->what, action_names[v.action],
				action_names[r->action], STR_ARG(v.reason));
		if (r->reply && !str_starts(v.reply, r->reply))
			fail_msg("%s: reply %.*s", r->what, STR_ARG(v.reply));
		if (r->reason && str_find(v.reason, str_c(r->reason)) == v.reason.n)
			fail_msg("%s: reason %.*s", r->what, STR_ARG(v.reason));
		if (!v.reason.n || v.reason.p[v.reason.n - 1] != '.')
			fail_msg("%s: no sentence: %.*s", r->what, STR_ARG(v.reason));
		if (v.auth.dmarc && v.auth.dmarc->disposition != r->disposition)
			fail_msg("%s: disposition %s", r->what,
				dmarc_disposition_names[v.auth.dmarc->disposition]);
		arena_free(&arena);
	}
}

/* ------------------------------------------------------------ several recipients */

struct several {
	const char *what;
	struct finding findings[2];
	int actions[3]; /* of low@, high@, other@ */
	int action;
	const char *reply;
};
static const char several_conf[] =
	"domain \"low.example\" { tag_score = 1 quarantine_score = 2 reject_score = 3 } "
	"domain \"high.example\" { tag_score = 10 quarantine_score = 20 reject_score = 30 }";
static const struct several several_rows[] = {
	{ "all forwarded", { F("A", 0.5) }, { 0, 0, ACTION_REJECT }, ACTION_FORWARD, "250" },
	{ "one tagged", { F("A", 1.5) }, { ACTION_TAG, 0, ACTION_REJECT }, ACTION_FORWARD, "250" },
	{ "one held", { F("A", 2.5) }, { ACTION_QUARANTINE, 0, ACTION_REJECT }, ACTION_FORWARD, "250" },
	{ "one refused", { F("A", 5) }, { ACTION_QUARANTINE, 0, ACTION_REJECT }, ACTION_FORWARD,
		"250" },
	{ "refused and held", { F("A", 25) },
		{ ACTION_QUARANTINE, ACTION_QUARANTINE, ACTION_REJECT }, ACTION_QUARANTINE, "250" },
	{ "all refused", { F("A", 35) }, { ACTION_REJECT, ACTION_REJECT, ACTION_REJECT },
		ACTION_REJECT, "550 5.7.1 message looks like spam" },
	{ "tempfail for all", { ACT("RATE", ACTION_TEMPFAIL) },
		{ ACTION_TEMPFAIL, ACTION_TEMPFAIL, ACTION_TEMPFAIL }, ACTION_TEMPFAIL, "451 4.7.1 " },
};

static void test_several(void **state)
{
	struct str rcpts[] = { STR("low@low.example"), STR("high@HIGH.example"), STR("x@other.example") };

	for (size_t i = 0; i < sizeof(several_rows) / sizeof(several_rows[0]); i++) {
		const struct several *s = &several_rows[i];
		struct arena *arena = arena_new(SIZE_MAX);
		struct facts facts = { .rcpt_to = { rcpts, 3 } };
		struct verdict_input in = { .facts = &facts, .stage = STAGE_MESSAGE,
			.policies = read_policies(several_conf, arena), .hostname = "mx" };
		struct row row = { s->what };
		struct verdict v;

		memcpy(row.findings, s->findings, sizeof(s->findings));
		fill(&row, arena, &v);
		verdict_decide(&in, arena, &v);
		if (v.action != s->action || !str_starts(v.reply, s->reply))
			fail_msg("%s: %s, %.*s", s->what, action_names[v.action], STR_ARG(v.reply));
		for (size_t k = 0; k < 3; k++)
			if (v.recipients.v[k].action != s->actions[k])
				fail_msg("%s: recipient %zu: %s: %.*s", s->what, k,
					action_names[v.recipients.v[k].action],
					STR_ARG(v.recipients.v[k].reason));
		assert_true(str_starts(v.recipients.v[2].reply, v.action == ACTION_TEMPFAIL ?
			"451" : "550 5.7.1 relaying denied"));
		arena_free(&arena);
	}
}

/* ---------------------------------------------------------------- early stages */

static void test_early(void **state)
{
	static const struct {
		int wish, action;
	} cases[] = {
		{ ACTION_REJECT, ACTION_REJECT }, { ACTION_TEMPFAIL, ACTION_TEMPFAIL },
		{ ACTION_QUARANTINE, ACTION_FORWARD }, { ACTION_FORWARD, ACTION_FORWARD },
	};

	for (size_t i = 0; i < 4; i++) {
		struct arena *arena = arena_new(SIZE_MAX);
		struct facts facts = { .session_id = STR("S") };
		struct verdict_input in = { .facts = &facts, .stage = STAGE_CONNECT,
			.policies = read_policies(NULL, arena), .hostname = "mx" };
		struct row row = { .findings = { ACT("X", cases[i].wish), F("SCORE", 99) },
			.virus = "Eicar", .dmarc = DMARC(DMARC_REJECT, "") };
		struct verdict v;

		fill(&row, arena, &v);
		verdict_decide(&in, arena, &v);
		assert_int_equal(v.action, cases[i].action);
		assert_int_equal(v.recipients.n, 0);
		arena_free(&arena);
	}
}

/* A reply is one line of ASCII, whatever a finding says. */
static void test_reply_is_clean(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct facts facts = { .session_id = STR("S\r\n250 x") };
	struct verdict_input in = { .facts = &facts, .stage = STAGE_CONNECT,
		.policies = read_policies(NULL, arena), .hostname = "mx" };
	char text[2000];
	struct finding f = { .name = STR("X"), .filter = STR("x"), .action = ACTION_REJECT };
	struct verdict v = { .findings = { &f, 1 } };

	memset(text, 'a', sizeof(text));
	memcpy(text, "h\xc3\xa9\r\n250 yes", 12);
	f.text = str_from(text, sizeof(text));
	verdict_decide(&in, arena, &v);
	assert_true(v.reply.n < 510);
	for (size_t i = 0; i < v.reply.n; i++)
		assert_true(v.reply.p[i] >= ' ' && v.reply.p[i] <= '~');
	arena_free(&arena);
}

/* -------------------------------------------------------------------- headers */

static const char message[] =
	"Received: from x by y\r\n"
	"Authentication-Results: mx.example.net; spf=pass\r\n"
	"AUTHENTICATION-RESULTS: (c) \"MX.example\\.NET\" 1;\r\n\tdkim=pass header.d=bank.example\r\n"
	"Authentication-Results: other.example; spf=pass\r\n"
	"X-Spam-Flag: NO\r\n"
	"X-Spamless: yes\r\n"
	"From: a@example.org\r\n"
	"BIMI-Indicator: PHN2Zz4=\r\n"
	"x-gatepost-id: 1\r\n"
	"\r\n"
	"X-Spam-Flag: body\r\n";

static void test_headers(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct str rcpts[] = { STR("a@low.example"), STR("b@high.example") };
	struct facts facts = { .rcpt_to = { rcpts, 2 } };
	struct verdict_input in = { .facts = &facts, .stage = STAGE_MESSAGE,
		.policies = read_policies("domain \"low.example\" { tag_score = 2 } "
			"domain \"high.example\" { spam_headers = false }", arena),
		.hostname = "mx.example.net", .mail = mail_parse(arena, STR(message)) };
	struct row row = { .findings = { F("A", 3) } };
	struct buf rest = BUF_INIT;
	struct verdict v;
	size_t at = 0;

	fill(&row, arena, &v);
	v.headers = STR("X-Proposed: yes\r\n");
	verdict_decide(&in, arena, &v);
	verdict_headers(&in, arena, &v);
	assert_true(str_eq_c(v.authentication_results, "mx.example.net; none"));
	assert_true(str_eq_c(v.headers, "Authentication-Results: mx.example.net; none\r\n"
		"X-Proposed: yes\r\n"));
	assert_true(str_eq_c(v.recipients.v[0].headers, "X-Spam-Flag: YES\r\nX-Spam-Score: 3.0\r\n"
		"X-Spam-Level: ***\r\nX-Spam-Status: Yes, score=3.0 required=2.0 tests=A=3.0\r\n"));
	assert_int_equal(v.recipients.v[1].headers.n, 0);
	facts.outbound = true;
	struct verdict out = { .headers = STR("X-Proposed: yes\r\n") };
	verdict_decide(&in, arena, &out);
	verdict_headers(&in, arena, &out);
	assert_int_equal(out.headers.n + out.recipients.v[0].headers.n, 0);
	assert_int_equal(out.cuts.n, v.cuts.n);
	for (size_t i = 0; i < v.cuts.n; i++) {
		assert_true(v.cuts.v[i].offset >= (int64_t)at);
		buf_add(&rest, message + at, (size_t)v.cuts.v[i].offset - at);
		at = (size_t)(v.cuts.v[i].offset + v.cuts.v[i].length);
	}
	buf_c(&rest, message + at);
	assert_true(str_eq_c(buf_str(&rest), "Received: from x by y\r\n"
		"Authentication-Results: other.example; spf=pass\r\n"
		"X-Spamless: yes\r\n"
		"From: a@example.org\r\n"
		"\r\n"
		"X-Spam-Flag: body\r\n"));
	buf_free(&rest);
	arena_free(&arena);
}

#define OURS   "Authentication-Results: mx.example.net; none\r\n"
#define STATUS "X-Spam-Status: Yes, score=3.0 required=2.0\r\n tests=SPF_FAIL=2.0,\r\n URI_IP=1.0\r\n"

/* What we wrote on top of a message is read again; what anybody may have written is not. */
static void test_findings_of_headers(void **state)
{
	static const struct {
		const char *message, *names;
	} cases[] = {
		{ "Received: from us by mailbox\r\n" OURS STATUS "From: a@b.example\r\n\r\nx", "SPF_FAIL URI_IP " },
		{ OURS "X-Spam-Status: No, score=0.0 required=5.0 tests=none\r\n\r\n", "none " },
		{ OURS "X-Spam-Status: No\r\n\r\n", "" },
		{ OURS "\r\nx", "" },
		{ STATUS "\r\nx", "" },
		{ "Authentication-Results: other.example; none\r\n" STATUS "\r\nx", "" },
		{ OURS STATUS STATUS "\r\nx", "" },
		{ OURS OURS STATUS "\r\nx", "" },
		{ "From: a@b.example\r\n\r\n" OURS STATUS, "" },
	};
	struct arena *arena = arena_new(SIZE_MAX);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str names = verdict_headers_findings(mail_parse(arena, str_c(cases[i].message)),
			"mx.example.net");
		if (!str_eq_c(names, cases[i].names))
			fail_msg("case %zu: \"%.*s\"", i, STR_ARG(names));
	}
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_reply_is_clean),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_findings_of_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
