/* What the DNS says about mail that claims to come from a domain: SPF, DMARC, TLS-RPT. */
#include "core/limits.h"
#include "filters/dmarc/record.h"
#include "filters/dmarc/walk.h"
#include "filters/spf/record.h"
#include "gateway/judge/doctor.h"

#define SPF_DEPTH   10
#define RUA_MAX     10
#define RECORDS_MAX 20

int doctor_find_txt(struct doctor *d, const char *check, struct str name, bool (*is)(struct str),
	struct str *txt_r)
{
	const struct dns_answer *a = doctor_ask(d, DNS_TXT, name);
	int n = 0;

	if (dns_answer_is_error(a)) {
		doctor_say(d, DOCTOR_WRONG, check, "The TXT records of %s cannot be looked up: %s.",
			doctor_name(d, name), dns_rcode_names[a->rcode]);
		return -1;
	}
	for (size_t i = 0; i < a->data.n && i < RECORDS_MAX; i++) {
		struct str txt = dns_txt(a, i, d->arena);

		if (is(txt) && n++ == 0)
			*txt_r = txt;
	}
	return n;
}

int doctor_no_single(struct doctor *d, const char *check, int n, struct str name, const char *what)
{
	if (n > 1)
		doctor_say(d, DOCTOR_WRONG, check, "%s has %d %s records: there must be one.",
			doctor_name(d, name), n, what);
	return n == 1 ? 0 : -1;
}

/* ---- SPF (RFC 7208) ---- */

struct spf_cost {
	unsigned lookups;
	bool has_ptr;
	const char *trouble; /* an include that leads nowhere */
};

static void count_record(struct doctor *d, struct str name, unsigned depth, struct spf_cost *cost);

static void count_target(struct doctor *d, struct str target, unsigned depth, struct spf_cost *cost)
{
	/* What a macro makes of it depends on the message. */
	if (str_chr(target, '%') == target.n)
		count_record(d, target, depth + 1, cost);
}

static void count_terms(struct doctor *d, const struct spf_record *record, unsigned depth,
	struct spf_cost *cost)
{
	for (size_t i = 0; i < record->terms.n && cost->lookups <= LIMIT_SPF_TERMS; i++) {
		const struct spf_term *t = &record->terms.v[i];

		if (t->mechanism == SPF_ALL || t->mechanism == SPF_IP4 || t->mechanism == SPF_IP6)
			continue;
		cost->lookups++;
		cost->has_ptr |= t->mechanism == SPF_PTR;
		if (t->mechanism == SPF_INCLUDE)
			count_target(d, t->domain, depth, cost);
	}
	if (record->redirect.n && !record->has_all && cost->lookups <= LIMIT_SPF_TERMS) {
		cost->lookups++;
		count_target(d, record->redirect, depth, cost);
	}
}

static void count_record(struct doctor *d, struct str name, unsigned depth, struct spf_cost *cost)
{
	const struct dns_answer *a;
	struct spf_record record;
	bool found = false;

	if (depth > SPF_DEPTH)
		return;
	a = doctor_ask(d, DNS_TXT, name);
	for (size_t i = 0; i < a->data.n && i < RECORDS_MAX && !found; i++) {
		struct str txt = dns_txt(a, i, d->arena);

		found = spf_record_is(txt);
		if (found && spf_record_parse(txt, d->arena, &record, NULL) < 0)
			break;
		if (found)
			count_terms(d, &record, depth, cost);
	}
	if (!found && !cost->trouble)
		cost->trouble = doctor_name(d, name);
}

/* What becomes of a sender that nothing else matches. */
static char last_word(const struct spf_record *record)
{
	for (size_t i = 0; i < record->terms.n; i++)
		if (record->terms.v[i].mechanism == SPF_ALL)
			return record->terms.v[i].qualifier;
	return 0;
}

static void check_spf_end(struct doctor *d, const char *domain, const struct spf_record *record,
	struct str txt)
{
	char all = last_word(record);

	if (all == '-' || all == '~') {
		doctor_say(d, DOCTOR_RIGHT, "spf", "%s has an SPF record that ends in %call.",
			domain, all);
		return;
	}
	if (!all && record->redirect.n) {
		doctor_say(d, DOCTOR_RIGHT, "spf", "%s has an SPF record that leads to %s.", domain,
			doctor_name(d, record->redirect));
		return;
	}
	doctor_say(d, DOCTOR_WRONG, "spf", "The SPF record of %s ends in %s: whoever forges its "
		"mail is not told from its servers.", domain, all == '+' ? "+all" : all == '?' ?
		"?all" : "no \"all\"");
	if (!all)
		doctor_record(d, "%s. IN TXT \"%s -all\"", domain, doctor_name(d, txt));
}

static void check_spf(struct doctor *d, struct str domain_name)
{
	const char *domain = doctor_name(d, domain_name);
	struct spf_cost cost = { 0 };
	struct spf_record record;
	struct err err;
	struct str txt;
	int n = doctor_find_txt(d, "spf", domain_name, spf_record_is, &txt);

	if (n == 0) {
		doctor_say(d, DOCTOR_WRONG, "spf", "%s has no SPF record: everybody may send in "
			"its name.", domain);
		doctor_record(d, "%s. IN TXT \"v=spf1 mx -all\"", domain);
	}
	if (doctor_no_single(d, "spf", n, domain_name, "SPF") < 0)
		return;
	if (spf_record_parse(txt, d->arena, &record, &err) < 0) {
		doctor_say(d, DOCTOR_WRONG, "spf", "The SPF record of %s is broken, and so holds "
			"for nobody: %s.", domain, err.text);
		return;
	}
	check_spf_end(d, domain, &record, txt);
	count_terms(d, &record, 0, &cost);
	if (cost.lookups > LIMIT_SPF_TERMS)
		doctor_say(d, DOCTOR_WRONG, "spf", "The SPF record of %s takes more than %d "
			"look-ups, its includes' own counted: receivers stop there with an error "
			"(RFC 7208 4.6.4).", domain, LIMIT_SPF_TERMS);
	if (cost.trouble)
		doctor_say(d, DOCTOR_WRONG, "spf", "The SPF record of %s includes %s, which has no "
			"valid one: that is an error for all.", domain, cost.trouble);
	if (cost.has_ptr)
		doctor_say(d, DOCTOR_ADVICE, "spf", "The SPF record of %s uses \"ptr\", which is "
			"slow and unreliable (RFC 7208 5.5).", domain);
}

/* ---- DMARC (RFC 9989) ---- */

/* The domain of "mailto:LOCAL@DOMAIN!SIZE". */
static bool report_domain(struct str uri, struct str *domain_r)
{
	uri = str_trim(uri);
	if (!str_istarts(uri, "mailto:"))
		return false;
	uri.n = str_chr(uri, '!');
	*domain_r = str_skip(uri, str_rchr(uri, '@') + 1);
	return domain_r->n && dns_is_hostname(*domain_r);
}

static bool is_dmarc(struct str txt)
{
	return dmarc_record_is(txt);
}

/* Somebody else's mailbox must agree to get the reports (RFC 9990). */
static void check_rua(struct doctor *d, struct str domain, struct str rua)
{
	struct str uri, to, txt;

	for (int i = 0; i < RUA_MAX && str_cut(&rua, ',', &uri); i++) {
		if (!report_domain(uri, &to) || dns_name_under(to, domain) ||
			dns_name_under(domain, to))
			continue;
		struct str name = arena_printf(d->arena, "%.*s._report._dmarc.%.*s",
			STR_ARG(domain), STR_ARG(to));

		if (doctor_find_txt(d, "dmarc", name, is_dmarc, &txt) != 0)
			continue;
		doctor_say(d, DOCTOR_WRONG, "dmarc", "Reports go to %s, which does not agree to "
			"that: there must be a record.", doctor_name(d, to));
		doctor_record(d, "%s. IN TXT \"v=DMARC1\"", doctor_name(d, name));
	}
}

static void say_dmarc(struct doctor *d, struct str domain_name, struct str where, struct str txt)
{
	const char *domain = doctor_name(d, domain_name), *at = doctor_name(d, where);
	struct dmarc_record r;
	int policy;

	dmarc_record_parse(txt, &r);
	if (!dmarc_record_applies(&r)) {
		doctor_say(d, DOCTOR_WRONG, "dmarc", "The DMARC record of %s has no valid policy.",
			at);
		doctor_record(d, "_dmarc.%s. IN TXT \"v=DMARC1; p=quarantine; "
			"rua=mailto:postmaster@%s\"", domain, domain);
		return;
	}
	policy = !dns_name_eq(domain_name, where) && r.sp != DMARC_ABSENT ? r.sp : r.p;
	if (policy == DMARC_NONE || policy == DMARC_ABSENT || r.testing) {
		doctor_say(d, DOCTOR_ADVICE, "dmarc", "The DMARC policy for %s (at %s) asks for "
			"nothing: once reports show that its own mail passes, ask for p=quarantine "
			"or p=reject.", domain, at);
		doctor_record(d, "_dmarc.%s. IN TXT \"v=DMARC1; p=quarantine; "
			"rua=mailto:postmaster@%s\"", domain, domain);
	} else {
		doctor_say(d, DOCTOR_RIGHT, "dmarc", "The DMARC policy for %s (at %s) is %s.",
			domain, at, dmarc_policy_names[policy]);
	}
	if (!r.has_report_uri)
		doctor_say(d, DOCTOR_ADVICE, "dmarc", "The DMARC record of %s has no rua: nobody "
			"learns of mail that fails.", at);
	else
		check_rua(d, where, r.rua);
}

static void check_dmarc(struct doctor *d, struct str domain)
{
	struct str names[DMARC_WALK_QUERIES], txt;
	size_t count = dmarc_walk_names(domain, names);

	for (size_t i = 0; i < count; i++) {
		struct str name = arena_printf(d->arena, "_dmarc.%.*s", STR_ARG(names[i]));
		int n = doctor_find_txt(d, "dmarc", name, is_dmarc, &txt);

		if (n == 0)
			continue;
		if (n > 0 && doctor_no_single(d, "dmarc", n, name, "DMARC") == 0)
			say_dmarc(d, domain, names[i], txt);
		return;
	}
	doctor_say(d, DOCTOR_WRONG, "dmarc", "%.*s has no DMARC record.", STR_ARG(domain));
	doctor_record(d, "_dmarc.%.*s. IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@%.*s\"",
		STR_ARG(domain), STR_ARG(domain));
}

/* ---- TLS-RPT (RFC 8460) ---- */

static bool has_tag(struct str txt, const char *tag)
{
	struct str field;

	while (str_cut(&txt, ';', &field))
		if (str_starts(str_trim(field), tag))
			return true;
	return false;
}

static bool is_version(struct str txt, const char *version)
{
	struct str first;

	return str_cut(&txt, ';', &first) && str_eq_c(str_trim(first), version);
}

static bool is_tls_report(struct str txt)
{
	return is_version(txt, "v=TLSRPTv1");
}

static void check_tls_report(struct doctor *d, struct str domain_name)
{
	const char *domain = doctor_name(d, domain_name);
	struct str name = arena_printf(d->arena, "_smtp._tls.%.*s", STR_ARG(domain_name)), txt;
	int n = doctor_find_txt(d, "tls-rpt", name, is_tls_report, &txt);

	if (n == 0)
		doctor_say(d, DOCTOR_ADVICE, "tls-rpt", "%s has no TLS-RPT: nobody tells when TLS "
			"towards it fails.", domain);
	else if (doctor_no_single(d, "tls-rpt", n, name, "TLS-RPT") < 0)
		return;
	else if (!has_tag(txt, "rua=mailto:") && !has_tag(txt, "rua=https:"))
		doctor_say(d, DOCTOR_WRONG, "tls-rpt", "The TLS-RPT record of %s names nowhere to "
			"report to.", domain);
	else
		doctor_say(d, DOCTOR_RIGHT, "tls-rpt", "%s gets TLS reports.", domain);
	if (d->findings.v[d->findings.n - 1].state != DOCTOR_RIGHT)
		doctor_record(d, "_smtp._tls.%s. IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@%s\"",
			domain, domain);
}

void doctor_mail_check(struct doctor *d, struct str domain)
{
	check_spf(d, domain);
	check_dmarc(d, domain);
	doctor_sts_check(d, domain);
	check_tls_report(d, domain);
}
