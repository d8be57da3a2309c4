/* DMARC: the record's grammar, the tree walk, and every rule of RFC 9989 that a receiver has. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "core/mail/mail.h"
#include "filters/dmarc/psl.h"
#include "filters/dmarc/record.h"
#include "filters/dmarc/walk.h"
#include "tests/unit/filters/judged.h"

/* ---- records ---- */

static void test_record_is(void **state)
{
	static const struct {
		const char *txt;
		bool is;
	} rows[] = {
		{ "v=DMARC1", true },
		{ "v=DMARC1;p=none", true },
		{ "v = DMARC1 ; p=none", true },
		{ "v=dmarc1; p=none", false },
		{ "v=DMARC10; p=none", false },
		{ "p=none; v=DMARC1", false },
		{ " v=DMARC1", false },
		{ "", false },
		{ "DMARC1", false },
		{ "v=spf1 -all", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (dmarc_record_is(str_c(rows[i].txt)) != rows[i].is)
			fail_msg("\"%s\"", rows[i].txt);
}

static void test_record_parse(void **state)
{
	enum { N = DMARC_NONE, Q = DMARC_QUARANTINE, R = DMARC_REJECT, A = DMARC_ABSENT };
	static const struct {
		const char *txt;
		int p, sp, np;
		bool applies, strict_dkim, strict_spf, testing;
		enum dmarc_psd psd;
		const char *fo;
	} rows[] = {
		{ "v=DMARC1", N, A, A, true, 0, 0, 0, DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; psd=n", N, A, A, true, 0, 0, 0, DMARC_PSD_NO, "0" },
		{ "v=DMARC1; p=reject", R, A, A, true, 0, 0, 0, DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1;p=Reject;sp=QUARANTINE;np=none", R, Q, N, true, 0, 0, 0, DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; sp=none; p=quarantine", Q, N, A, true, 0, 0, 0, DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; p = reject ; adkim = s; aspf=S; t=y; psd=y; fo=1", R, A, A, true, 1, 1, 1,
			DMARC_PSD_YES, "1" },
		/* values that are none of the grammar's fall back to the default */
		{ "v=DMARC1; p=reject; adkim=x; aspf=; t=maybe; psd=x; fo=7", R, A, A, true, 0, 0, 0,
			DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; p=reject; pct=0; rf=afrf; ri=3600; unknown=1; ; junk", R, A, A, true, 0, 0, 0,
			DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; p=reject; p=none", R, A, A, true, 0, 0, 0, DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; p=reject; fo=0:1:d:s", R, A, A, true, 0, 0, 0, DMARC_PSD_UNKNOWN, "0:1:d:s" },
		/* 4.10.1: broken policies */
		{ "v=DMARC1; p=refuse", N, A, A, false, 0, 0, 0, DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; p=refuse; rua=mailto:a@b.example", N, A, A, true, 0, 0, 0,
			DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; p=reject; sp=x; rua=mailto:a@b.example!10m", N, A, A, true, 0, 0, 0,
			DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; p=reject; np=x; rua=nonsense", N, A, A, false, 0, 0, 0, DMARC_PSD_UNKNOWN, "0" },
		{ "v=DMARC1; p=reject; np=x; rua=nonsense , https://b.example/r", N, A, A, true, 0, 0, 0,
			DMARC_PSD_UNKNOWN, "0" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dmarc_record r;
		dmarc_record_parse(str_c(rows[i].txt), &r);
		if (r.p != rows[i].p || r.sp != rows[i].sp || r.np != rows[i].np ||
			dmarc_record_applies(&r) != rows[i].applies ||
			r.strict_dkim != rows[i].strict_dkim || r.strict_spf != rows[i].strict_spf ||
			r.testing != rows[i].testing || r.psd != rows[i].psd ||
			!str_eq_c(r.fo, rows[i].fo))
			fail_msg("\"%s\": p %d sp %d np %d applies %d", rows[i].txt, r.p, r.sp, r.np,
				dmarc_record_applies(&r));
	}
}

static void test_walk_names(void **state)
{
	static const struct {
		const char *domain;
		const char *names[DMARC_WALK_QUERIES + 1];
	} rows[] = {
		{ "com", { "com" } },
		{ "a.mail.example.com", { "a.mail.example.com", "mail.example.com", "example.com", "com" } },
		/* the standard's example (4.10) */
		{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",
			{ "a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com",
				"h.i.j.mail.example.com", "i.j.mail.example.com", "j.mail.example.com",
				"mail.example.com", "example.com", "com" } },
		{ "1.2.3.4.5.6.7.8", { "1.2.3.4.5.6.7.8", "2.3.4.5.6.7.8", "3.4.5.6.7.8", "4.5.6.7.8",
			"5.6.7.8", "6.7.8", "7.8", "8" } },
		{ "0.1.2.3.4.5.6.7.8", { "0.1.2.3.4.5.6.7.8", "2.3.4.5.6.7.8", "3.4.5.6.7.8", "4.5.6.7.8",
			"5.6.7.8", "6.7.8", "7.8", "8" } },
		{ "", { NULL } },
	};
	struct str names[DMARC_WALK_QUERIES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = dmarc_walk_names(str_c(rows[i].domain), names), k;
		for (k = 0; rows[i].names[k]; k++)
			if (k >= n || !str_eq_c(names[k], rows[i].names[k]))
				fail_msg("%s: name %zu is not %s", rows[i].domain, k, rows[i].names[k]);
		assert_int_equal(n, k);
	}
}

/* ---- evaluation ---- */

#define TXT(name, record) "\"" name "\": {\"TXT\": [\"" record "\"]}"
#define PASS_FOR(domain) TXT(domain, "v=spf1 +all")
#define R(domain, record) TXT("_dmarc." domain, "v=DMARC1; " record)

struct row {
	const char *what;
	const char *from;      /* of the header */
	const char *mail_from; /* whose domain has SPF, or not */
	const char *zone;
	int result;
	const char *policy_domain;
	int policy, disposition;
	const char *override;
};

#define NONE_ROW AUTH_NONE, "", DMARC_ABSENT, DISPOSITION_NONE, ""

static const struct row rows[] = {
	/* policy discovery (4.10.1) */
	{ "no record", "a@example.com", "b@example.com", PASS_FOR("example.com"), NONE_ROW },
	{ "record at the author's domain", "a@mail.example.com", "b@evil.example",
		R("mail.example.com", "p=reject") "," R("example.com", "p=none"),
		AUTH_FAIL, "mail.example.com", DMARC_REJECT, DISPOSITION_QUARANTINE, "local_policy" },
	{ "record at the organizational domain: sp", "a@mail.example.com", "b@evil.example",
		R("example.com", "p=reject; sp=quarantine") ",\"mail.example.com\":{\"A\":[\"192.0.2.9\"]}",
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "without sp: p", "a@mail.example.com", "b@evil.example",
		R("example.com", "p=quarantine") ",\"mail.example.com\":{\"A\":[\"192.0.2.9\"]}",
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "np for a domain that does not exist", "a@nowhere.example.com", "b@evil.example",
		R("example.com", "p=none; sp=none; np=quarantine"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "np is not for one that exists without addresses", "a@here.example.com", "b@evil.example",
		R("example.com", "p=none; sp=none; np=quarantine") "," TXT("here.example.com", "x"),
		AUTH_FAIL, "example.com", DMARC_NONE, DISPOSITION_NONE, "" },
	{ "np is not for one under which names exist", "a@here.example.com", "b@evil.example",
		R("example.com", "p=none; sp=none; np=quarantine") "," TXT("x.here.example.com", "x"),
		AUTH_FAIL, "example.com", DMARC_NONE, DISPOSITION_NONE, "" },
	{ "without np: sp", "a@nowhere.example.com", "b@evil.example",
		R("example.com", "p=none; sp=quarantine"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "without np and sp: p", "a@nowhere.example.com", "b@evil.example",
		R("example.com", "p=quarantine"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "sp is not for the domain itself", "a@example.com", "b@evil.example",
		R("example.com", "p=none; sp=reject; np=reject"),
		AUTH_FAIL, "example.com", DMARC_NONE, DISPOSITION_NONE, "" },
	{ "the fewest labels win, what lies between does not count", "a@a.b.example.com", "b@evil.example",
		R("b.example.com", "p=none") "," R("example.com", "p=quarantine"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "psd=n ends the walk", "a@a.b.example.com", "b@evil.example",
		R("b.example.com", "p=quarantine; psd=n") "," R("example.com", "p=none"),
		AUTH_FAIL, "b.example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "psd=y: the public suffix's policy, for a domain without one", "a@example.bank", "b@evil.example",
		R("bank", "p=quarantine; psd=y") ",\"example.bank\":{\"A\":[\"192.0.2.9\"]}",
		AUTH_FAIL, "bank", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "psd=y: np", "a@example.bank", "b@evil.example", R("bank", "p=none; np=quarantine; psd=y"),
		AUTH_FAIL, "bank", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "psd=y: not where the organizational domain has a policy", "a@www.example.bank", "b@evil.example",
		R("bank", "p=reject; psd=y") "," R("example.bank", "p=none"),
		AUTH_FAIL, "example.bank", DMARC_NONE, DISPOSITION_NONE, "" },
	{ "several records are none", "a@example.com", "b@evil.example",
		"\"_dmarc.example.com\":{\"TXT\":[\"v=DMARC1; p=reject\",\"v=DMARC1; p=none\"]}", NONE_ROW },
	{ "several records are none, and the walk goes on", "a@mail.example.com", "b@evil.example",
		"\"_dmarc.mail.example.com\":{\"TXT\":[\"v=DMARC1; p=reject\",\"v=DMARC1; p=none\"]},"
		R("example.com", "p=quarantine"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "other records beside it do not matter", "a@example.com", "b@evil.example",
		"\"_dmarc.example.com\":{\"TXT\":[\"v=spf1 -all\",[\"v=DMARC1; p=quar\",\"antine\"],\"x\"]}",
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "a broken policy with nowhere to report", "a@example.com", "b@evil.example",
		R("example.com", "p=refuse"), NONE_ROW },
	{ "a broken policy that is reported is p=none", "a@example.com", "b@evil.example",
		R("example.com", "p=refuse; rua=mailto:r@example.com"),
		AUTH_FAIL, "example.com", DMARC_NONE, DISPOSITION_NONE, "" },
	{ "a record without policy is p=none", "a@example.com", "b@evil.example",
		R("example.com", "rua=mailto:r@example.com"),
		AUTH_FAIL, "example.com", DMARC_NONE, DISPOSITION_NONE, "" },
	/* t=y (4.7) */
	{ "testing: reject becomes quarantine", "a@example.com", "b@evil.example",
		R("example.com", "p=reject; t=y"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "policy_test_mode" },
	{ "testing: quarantine becomes none", "a@example.com", "b@evil.example",
		R("example.com", "p=quarantine; t=y"),
		AUTH_FAIL, "example.com", DMARC_NONE, DISPOSITION_NONE, "policy_test_mode" },
	{ "testing: none stays none", "a@example.com", "b@evil.example", R("example.com", "p=none; t=y"),
		AUTH_FAIL, "example.com", DMARC_NONE, DISPOSITION_NONE, "" },
	/* alignment (4.10.2) */
	{ "equal names", "a@example.com", "b@example.com",
		R("example.com", "p=reject") "," PASS_FOR("example.com"),
		AUTH_PASS, "example.com", DMARC_REJECT, DISPOSITION_PASS, "" },
	{ "equal names in other case", "a@EXAMPLE.com", "b@Example.COM",
		R("example.com", "p=reject; aspf=s") "," PASS_FOR("example.com"),
		AUTH_PASS, "example.com", DMARC_REJECT, DISPOSITION_PASS, "" },
	{ "a pass under p=none has disposition none", "a@example.com", "b@example.com",
		R("example.com", "p=none") "," PASS_FOR("example.com"),
		AUTH_PASS, "example.com", DMARC_NONE, DISPOSITION_NONE, "" },
	{ "relaxed: a subdomain's identifier", "a@example.com", "b@bounce.example.com",
		R("example.com", "p=reject") "," PASS_FOR("bounce.example.com"),
		AUTH_PASS, "example.com", DMARC_REJECT, DISPOSITION_PASS, "" },
	{ "relaxed: a parent's identifier", "a@news.example.com", "b@example.com",
		R("example.com", "p=reject") "," PASS_FOR("example.com"),
		AUTH_PASS, "example.com", DMARC_REJECT, DISPOSITION_PASS, "" },
	{ "relaxed: a sister's identifier", "a@news.example.com", "b@bounce.example.com",
		R("example.com", "p=reject") "," PASS_FOR("bounce.example.com"),
		AUTH_PASS, "example.com", DMARC_REJECT, DISPOSITION_PASS, "" },
	{ "strict: a subdomain's identifier does not do", "a@example.com", "b@bounce.example.com",
		R("example.com", "p=quarantine; aspf=s") "," PASS_FOR("bounce.example.com"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "another domain", "a@example.com", "b@example.org",
		R("example.com", "p=quarantine") "," PASS_FOR("example.org"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "a name that only ends like it", "a@example.com", "b@badexample.com",
		R("example.com", "p=quarantine") "," PASS_FOR("badexample.com"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "the identifier's own walk: it is another organization (psd=n)", "a@example.com",
		"b@x.tenant.example.com",
		R("example.com", "p=quarantine") "," R("tenant.example.com", "p=none; psd=n") ","
		PASS_FOR("x.tenant.example.com"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "the author's walk: it is another organization (psd=n)", "a@tenant.example.com",
		"b@example.com",
		R("example.com", "p=none") "," R("tenant.example.com", "p=quarantine; psd=n") ","
		PASS_FOR("example.com"),
		AUTH_FAIL, "tenant.example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "two under one public suffix (psd=y) are two organizations", "a@one.bank", "b@two.bank",
		R("bank", "p=quarantine; psd=y") "," R("one.bank", "p=quarantine") "," PASS_FOR("two.bank"),
		AUTH_FAIL, "one.bank", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "two under one public suffix without psd=y and records of their own", "a@one.example.com",
		"b@two.example.com",
		R("one.example.com", "p=quarantine") "," PASS_FOR("two.example.com"),
		AUTH_FAIL, "one.example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "SPF that does not pass does not count", "a@example.com", "b@example.com",
		R("example.com", "p=quarantine") "," TXT("example.com", "v=spf1 ?all"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	{ "the null sender: HELO stands for MAIL FROM", "a@example.com", "",
		R("example.com", "p=quarantine") "," PASS_FOR("mta.example.com"),
		AUTH_PASS, "example.com", DMARC_QUARANTINE, DISPOSITION_PASS, "" },
	{ "with a sender, HELO does not count", "a@example.com", "b@example.org",
		R("example.com", "p=quarantine") "," PASS_FOR("mta.example.com"),
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	/* DNS trouble: neither pass nor fail */
	{ "no answer at the author's domain", "a@example.com", "b@example.com",
		"\"_dmarc.example.com\":{\"rcode\":\"SERVFAIL\"}," PASS_FOR("example.com"),
		AUTH_TEMPERROR, "", DMARC_ABSENT, DISPOSITION_NONE, "" },
	{ "no answer on the way up", "a@mail.example.com", "b@evil.example",
		"\"_dmarc.example.com\":{\"rcode\":\"TIMEOUT\"}",
		AUTH_TEMPERROR, "", DMARC_ABSENT, DISPOSITION_NONE, "" },
	{ "no answer above, but it does not matter", "a@example.com", "b@example.com",
		"\"_dmarc.com\":{\"rcode\":\"TIMEOUT\"}," R("example.com", "p=reject") ","
		PASS_FOR("example.com"),
		AUTH_PASS, "example.com", DMARC_REJECT, DISPOSITION_PASS, "" },
	{ "SPF of an aligned domain could not be checked", "a@example.com", "b@example.com",
		R("example.com", "p=reject") ",\"example.com\":{\"TXT\":{\"rcode\":\"TIMEOUT\"}}",
		AUTH_TEMPERROR, "example.com", DMARC_REJECT, DISPOSITION_NONE, "" },
	{ "SPF of another domain could not be checked", "a@example.com", "b@example.org",
		R("example.com", "p=quarantine") ",\"example.org\":{\"TXT\":{\"rcode\":\"TIMEOUT\"}}",
		AUTH_FAIL, "example.com", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	/* the author (11.5) */
	{ "an internationalised author", "a@b\xc3\xbc" "cher.example", "b@xn--bcher-kva.example",
		R("xn--bcher-kva.example", "p=reject") "," PASS_FOR("xn--bcher-kva.example"),
		AUTH_PASS, "xn--bcher-kva.example", DMARC_REJECT, DISPOSITION_PASS, "" },
	{ "two authors of two domains", "a@example.com, b@example.org", "b@example.com",
		R("example.com", "p=reject") "," PASS_FOR("example.com"),
		AUTH_PERMERROR, "", DMARC_ABSENT, DISPOSITION_NONE, "" },
	{ "two authors of one domain", "a@example.com, b@example.com", "b@example.com",
		R("example.com", "p=reject") "," PASS_FOR("example.com"),
		AUTH_PASS, "example.com", DMARC_REJECT, DISPOSITION_PASS, "" },
	{ "an empty group", "undisclosed:;", "b@example.com", R("example.com", "p=reject"),
		AUTH_PERMERROR, "", DMARC_ABSENT, DISPOSITION_NONE, "" },
};

static void judge_row(struct judged *j, const struct row *row, const char *conf)
{
	char json[2048], message[512];

	snprintf(json, sizeof(json), "{\"now\": \"2026-11-20T12:00:00Z\", \"client\": {\"ip\": \"192.0.2.1\"},"
		"\"helo\": \"mta.example.com\", \"mail_from\": \"%s\", \"rcpt_to\": [\"x@example.net\"],"
		"\"dns\": {%s}}", row->mail_from, row->zone);
	snprintf(message, sizeof(message), "From: %s\r\nSubject: x\r\n\r\ntext\r\n", row->from);
	judge(j, json, message, conf);
}

static void test_rules(void **state)
{
	struct judged j;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		judge_row(&j, &rows[i], JUDGED_CONF);
		const struct auth_dmarc *d = j.v.auth.dmarc;
		assert_non_null(d);
		if (d->result != rows[i].result || !str_eq_c(d->policy_domain, rows[i].policy_domain) ||
			d->policy != rows[i].policy || d->disposition != rows[i].disposition ||
			!str_eq_c(d->override, rows[i].override))
			fail_msg("%s: result %s, policy %s of \"%.*s\", disposition %s, override \"%.*s\"",
				rows[i].what, auth_result_names[d->result], dmarc_policy_names[d->policy],
				STR_ARG(d->policy_domain), dmarc_disposition_names[d->disposition],
				STR_ARG(d->override));
		judged_free(&j);
	}
}

static void test_psl_discovery(void **state)
{
	static const struct row psl_rows[] = {
		{ "the record of the registrable domain", "a@x.y.example.co.uk", "b@evil.example",
			R("example.co.uk", "p=quarantine") "," R("y.example.co.uk", "p=none"),
			AUTH_FAIL, "example.co.uk", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
		{ "not that of a public suffix", "a@x.example.co.uk", "b@evil.example",
			R("co.uk", "p=reject"), NONE_ROW },
		{ "aligned by the list", "a@x.example.co.uk", "b@y.example.co.uk",
			R("example.co.uk", "p=reject") "," PASS_FOR("y.example.co.uk"),
			AUTH_PASS, "example.co.uk", DMARC_REJECT, DISPOSITION_PASS, "" },
		{ "two under a public suffix", "a@one.co.uk", "b@two.co.uk",
			R("one.co.uk", "p=quarantine") "," PASS_FOR("two.co.uk"),
			AUTH_FAIL, "one.co.uk", DMARC_QUARANTINE, DISPOSITION_QUARANTINE, "" },
	};
	struct judged j;

	for (size_t i = 0; i < sizeof(psl_rows) / sizeof(psl_rows[0]); i++) {
		judge_row(&j, &psl_rows[i], JUDGED_CONF "filter \"dmarc\" { discovery = \"psl\" }");
		const struct auth_dmarc *d = j.v.auth.dmarc;
		if (d->result != psl_rows[i].result || d->discovery != DISCOVERY_PSL ||
			!str_eq_c(d->policy_domain, psl_rows[i].policy_domain) ||
			d->policy != psl_rows[i].policy)
			fail_msg("%s: result %s, policy %s of \"%.*s\"", psl_rows[i].what,
				auth_result_names[d->result], dmarc_policy_names[d->policy],
				STR_ARG(d->policy_domain));
		judged_free(&j);
	}
}

static void test_question_count(void **state)
{
	static const struct row row = { "", "a@a.b.c.d.e.f.g.h.i.j.k.l.example.com", "b@evil.example",
		"\"evil.example\":{}", NONE_ROW };
	struct judged j;

	judge_row(&j, &row, JUDGED_CONF);
	assert_int_equal(judged_asked(&j, "example.com") + judged_asked(&j, "_dmarc.com"),
		DMARC_WALK_QUERIES + 1 /* SPF of HELO */);
	judged_free(&j);
}

static void test_identifiers_cost_nothing(void **state)
{
	static const struct row row = { "", "a@example.com", "b@a.b.c.evil.example",
		R("example.com", "p=none") "," PASS_FOR("a.b.c.evil.example"), NONE_ROW };
	struct judged j;

	judge_row(&j, &row, JUDGED_CONF);
	assert_int_equal(judged_asked(&j, "evil.example"), 1); /* SPF's own */
	judged_free(&j);
}

/* Whatever a sender's own SPF records and signatures cost, the author's policy is still asked for. */
static void test_starving(void **state)
{
	struct buf json = BUF_INIT, message = BUF_INIT;
	struct judged j;

	buf_c(&json, "{\"client\": {\"ip\": \"192.0.2.1\"}, \"helo\": \"h.evil.example\","
		"\"mail_from\": \"a@evil.example\", \"dns\": {\"h.evil.example\":{\"TXT\":[\"v=spf1");
	for (unsigned i = 0; i < 10; i++)
		buf_printf(&json, " mx:m%u.evil.example", i);
	buf_c(&json, "\"]},\"evil.example\":{\"TXT\":[\"v=spf1");
	for (unsigned i = 0; i < 10; i++)
		buf_printf(&json, " a:%%{l}%u.evil.example", i);
	buf_c(&json, "\"]}");
	for (unsigned i = 0; i < 10; i++) {
		buf_printf(&json, ",\"m%u.evil.example\":{\"MX\":[", i);
		for (unsigned k = 0; k < 10; k++)
			buf_printf(&json, "%s[1,\"m%u%u.evil.example\"]", k ? "," : "", i, k);
		buf_printf(&json, "]},\"a%u.evil.example\":{\"A\":[\"198.51.100.1\"]}", i);
	}
	buf_c(&json, "," R("example.com", "p=reject") "}}");
	for (unsigned i = 0; i < 30; i++)
		buf_printf(&message, "DKIM-Signature: v=1; a=rsa-sha256; d=d%u.example; s=s; h=from;"
			" bh=AAAA; b=AAAA\r\n", i);
	for (unsigned i = 1; i < LIMIT_ARC_SIGNATURES; i++)
		buf_printf(&message, "ARC-Seal: i=%u; a=rsa-sha256; d=s%u.example; s=s; cv=%s; b=AAAA\r\n"
			"ARC-Message-Signature: i=%u; a=rsa-sha256; d=m%u.example; s=s; h=from; bh=AAAA;"
			" b=AAAA\r\nARC-Authentication-Results: i=%u; x; dmarc=pass\r\n", i, i,
			i == 1 ? "none" : "pass", i, i, i);
	buf_c(&message, "From: a@1.2.3.4.5.6.7.8.9.example.com\r\n\r\ntext\r\n");
	judge_octets(&j, buf_str(&json), buf_str(&message), JUDGED_CONF);
	assert_int_equal(j.v.auth.dmarc->result, AUTH_FAIL);
	assert_int_equal(j.v.auth.dmarc->policy, DMARC_REJECT);
	assert_true(j.asked_count <= LIMIT_AUTH_DNS_QUESTIONS + 1 /* iprev's */);
	judged_free(&j);
	buf_free(&json);
	buf_free(&message);
}

/* ---- ../shared/suites/psl ---- */

static bool next_string(struct str *line, struct str *value_r)
{
	size_t quote = str_chr(*line, '\''), null = str_find(*line, STR("null"));

	if (null < quote) {
		*value_r = STR("");
		*line = str_skip(*line, null + 4);
		return true;
	}
	*line = str_skip(*line, quote + 1);
	size_t end = str_chr(*line, '\'');
	*value_r = str_sub(*line, 0, end);
	*line = str_skip(*line, end + 1);
	return quote < line->n + end + quote + 2;
}

static void test_psl_suite(void **state)
{
	FILE *f = fopen(SOURCE_DIR "/../shared/suites/psl/test_psl.txt", "r");
	struct arena *arena = arena_new(1 << 20);
	char text[512];
	unsigned count = 0;

	if (!f) {
		print_message("../shared/suites/psl is not there: skipped\n");
		arena_free(&arena);
		skip();
	}
	assert_int_equal(dmarc_psl_start("", true, NULL), 0);
	while (fgets(text, sizeof(text), f)) {
		struct str line = str_c(text), domain, expected, canonical, wanted;
		if (!str_starts(line, "checkPublicSuffix("))
			continue;
		next_string(&line, &domain);
		next_string(&line, &expected);
		if (domain.n == 0 || domain.p[0] == '.') /* no domain: the parser of From sees to it */
			continue;
		assert_int_equal(mail_domain_canonical(arena, domain, &canonical), 0);
		wanted = canonical; /* a public suffix stands for itself */
		if (expected.n)
			assert_int_equal(mail_domain_canonical(arena, expected, &wanted), 0);
		struct str got = dmarc_psl_organizational(canonical);
		if (!str_eq(got, wanted))
			fail_msg("%.*s: %.*s, expected %.*s", STR_ARG(domain), STR_ARG(got), STR_ARG(wanted));
		count++;
	}
	fclose(f);
	arena_free(&arena);
	assert_true(count > 50);
	print_message("psl suite: %u of %u\n", count, count);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_is),
		cmocka_unit_test(test_record_parse),
		cmocka_unit_test(test_walk_names),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_psl_discovery),
		cmocka_unit_test(test_question_count),
		cmocka_unit_test(test_identifiers_cost_nothing),
		cmocka_unit_test(test_starving),
		cmocka_unit_test(test_psl_suite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
