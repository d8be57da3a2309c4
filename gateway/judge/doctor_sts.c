/*
 * MTA-STS (RFC 8461), as a sender does it: the record that announces a policy, the policy over
 * HTTPS, and whether what it asks for is so.
 */
#include <time.h>

#include "gateway/judge/doctor.h"
#include "gateway/judge/https.h"
#include "gateway/sts.h"

#define ADDRESSES_MAX  4 /* of the policy's server that are tried */
#define MAX_AGE_S      604800 /* that is proposed */
#define MAX_AGE_LEAST_S 86400
#define SHOWN_OCTETS   100

struct sts {
	struct doctor *d;
	struct str domain;
	const char *host;      /* mta-sts.DOMAIN */
	struct str_list mx;    /* names */
	struct sts_policy policy;
};

/* ---- what to copy ---- */

static void suggest_policy(struct sts *s, enum sts_mode mode)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "version: STSv1\nmode: %s\n", sts_mode_names[mode]);
	for (size_t i = 0; i < s->mx.n; i++)
		buf_printf(&b, "mx: %s\n", doctor_name(s->d, s->mx.v[i]));
	if (!s->mx.n)
		buf_printf(&b, "mx: %s\n", s->d->hostname);
	buf_printf(&b, "max_age: %d", MAX_AGE_S);
	doctor_record(s->d, "%.*s", STR_ARG(buf_str(&b)));
	buf_free(&b);
}

/* A policy that has changed is fetched anew only if the id has too: the day will do for one. */
static void suggest_record(struct sts *s)
{
	int64_t now = (int64_t)time(NULL);
	struct tm tm;

	gmtime_r(&(time_t){ now }, &tm);
	doctor_record(s->d, "_mta-sts.%s. IN TXT \"v=STSv1; id=%04d%02d%02d%02d%02d\"",
		doctor_name(s->d, s->domain), tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		tm.tm_hour, tm.tm_min);
}

/* ---- certificates of our listeners ---- */

/* Why a sender that verifies does not deliver to this name here; NULL if it does. */
static const char *why_refused(struct doctor *d, const struct doctor_certificate *c,
	const char *name)
{
	if (c->is_ours || c->is_self_signed)
		return "is self-signed";
	if (c->distrust)
		return arena_cstr(d->arena, arena_printf(d->arena, "is not trusted (%s)",
			c->distrust));
	if (!doctor_certificate_names(c, name))
		return "is not for that name";
	return NULL;
}

static void check_certificate(struct sts *s, const struct doctor_certificate *c, const char *name)
{
	struct doctor *d = s->d;
	bool enforced = s->policy.mode == STS_ENFORCE;
	const char *why;

	if (c->trouble) {
		doctor_say(d, DOCTOR_ADVICE, "mta-sts", "%s %s: whether it is right for %s is not "
			"known here.", c->path, c->trouble, name);
		return;
	}
	why = why_refused(d, c, name);
	if (!why)
		doctor_say(d, DOCTOR_RIGHT, "mta-sts", "The certificate of the listener %s is right "
			"for %s.", c->listener, name);
	else
		doctor_say(d, enforced ? DOCTOR_WRONG : DOCTOR_ADVICE, "mta-sts", "The certificate "
			"of the listener %s %s, and mail for %s comes there: %s.", c->listener, why,
			name, enforced ? "under \"mode: enforce\" mail from all who honour MTA-STS "
			"stays away" : "with \"mode: enforce\" mail would stay away");
}

static void check_certificates(struct sts *s, struct str name)
{
	struct doctor *d = s->d;
	bool any = false;

	for (size_t i = 0; i < d->certificates.n; i++) {
		if (!d->certificates.v[i].is_public)
			continue;
		any = true;
		check_certificate(s, &d->certificates.v[i], doctor_name(d, name));
	}
	if (!any)
		doctor_say(d, DOCTOR_WRONG, "mta-sts", "No listener offers TLS, which the policy "
			"promises.");
}

/* ---- what the policy says ---- */

static void check_exchanges(struct sts *s)
{
	struct doctor *d = s->d;
	bool enforced = s->policy.mode == STS_ENFORCE, has_address, here = false;

	for (size_t i = 0; i < s->mx.n; i++) {
		bool ours = doctor_leads_here(d, s->mx.v[i], &has_address);

		here |= ours;
		if (!sts_policy_allows(&s->policy, s->mx.v[i])) {
			doctor_say(d, enforced ? DOCTOR_WRONG : DOCTOR_ADVICE, "mta-sts", "The "
				"policy does not name the MX %s: %s.", doctor_name(d, s->mx.v[i]),
				enforced ? "senders do not deliver there" :
				"with \"mode: enforce\" senders would not deliver there");
			suggest_policy(s, s->policy.mode);
		} else if (ours) {
			check_certificates(s, s->mx.v[i]);
		}
	}
	if (!here && !sts_policy_allows(&s->policy, str_c(d->hostname)))
		doctor_say(d, DOCTOR_ADVICE, "mta-sts", "The policy does not name this host, %s.",
			d->hostname);
}

static void check_policy(struct sts *s)
{
	struct doctor *d = s->d;

	switch (s->policy.mode) {
	case STS_NONE:
		doctor_say(d, DOCTOR_ADVICE, "mta-sts", "The policy of %s says \"mode: none\": "
			"nothing is protected.", s->host);
		suggest_policy(s, STS_TESTING);
		return;
	case STS_TESTING:
		doctor_say(d, DOCTOR_ADVICE, "mta-sts", "The policy of %s is in testing: once TLS "
			"reports show no failures, publish \"mode: enforce\" and a new id.",
			s->host);
		suggest_policy(s, STS_ENFORCE);
		break;
	case STS_ENFORCE:
		doctor_say(d, DOCTOR_RIGHT, "mta-sts", "The policy of %s is enforced.", s->host);
		break;
	}
	if (s->policy.max_age_s < MAX_AGE_LEAST_S)
		doctor_say(d, DOCTOR_ADVICE, "mta-sts", "The policy's max_age is %llu seconds: so "
			"short, it is forgotten before the next mail comes; a week or more is usual.",
			(unsigned long long)s->policy.max_age_s);
	check_exchanges(s);
}

/* ---- fetching it ---- */

struct addresses {
	struct ip v[ADDRESSES_MAX];
	size_t n;
};

static void note_address(struct doctor *d, const struct ip *ip, void *context)
{
	struct addresses *a = context;

	(void)d;
	if (a->n < ADDRESSES_MAX)
		a->v[a->n++] = *ip;
}

/* The first server that answers at all. 0, or -1 and told. */
static int fetch(struct sts *s, struct response *response_r)
{
	struct doctor *d = s->d;
	struct https_order order = { .loop = d->loop, .tls = d->tls_verifying,
		.port = (uint16_t)d->sts_port, .name = s->host,
		.path = "/.well-known/mta-sts.txt", .body_max = STS_POLICY_BYTES };
	struct addresses addresses = { .n = 0 };
	struct err err = { "" };

	if (!doctor_each_address(d, str_c(s->host), note_address, &addresses)) {
		doctor_say(d, DOCTOR_WRONG, "mta-sts", "%s, where senders fetch the policy that the "
			"record announces, has no address.", s->host);
		return -1;
	}
	for (size_t i = 0; i < addresses.n; i++) {
		order.address = addresses.v[i];
		if (https_get(&order, d->arena, response_r, &err) == 0)
			return 0;
	}
	doctor_say(d, DOCTOR_WRONG, "mta-sts", "The policy that the record announces cannot be "
		"fetched from https://%s%s: %s.", s->host, order.path, err.text);
	return -1;
}

static bool is_plain_text(struct str type)
{
	struct str media;

	str_cut(&type, ';', &media);
	return str_ieq_c(str_trim(media), "text/plain");
}

static void read_policy(struct sts *s)
{
	struct doctor *d = s->d;
	struct response response;
	struct err err;

	if (fetch(s, &response) < 0)
		return;
	if (response.status != 200) {
		doctor_say(d, DOCTOR_WRONG, "mta-sts", "%s answers with HTTP status %d%s, where the "
			"policy has to be (/.well-known/mta-sts.txt):", s->host, response.status,
			response.status / 100 == 3 ? ", and no redirection is followed (RFC 8461 "
			"3.3)" : "");
		suggest_policy(s, STS_TESTING);
		return;
	}
	if (!is_plain_text(response.type))
		doctor_say(d, DOCTOR_WRONG, "mta-sts", "The policy of %s is served as \"%s\", and "
			"has to be text/plain (RFC 8461 3.2).", s->host, doctor_name(d,
			str_sub(response.type, 0, SHOWN_OCTETS)));
	if (sts_policy_parse(response.body, d->arena, &s->policy, &err) < 0) {
		doctor_say(d, DOCTOR_WRONG, "mta-sts", "The policy of %s is broken: %s.", s->host,
			err.text);
		suggest_policy(s, STS_TESTING);
		return;
	}
	check_policy(s);
}

void doctor_sts_check(struct doctor *d, struct str domain)
{
	const char *shown = doctor_name(d, domain);
	struct str name = arena_printf(d->arena, "_mta-sts.%.*s", STR_ARG(domain)), txt, id;
	struct sts s = { .d = d, .domain = domain,
		.host = arena_cstr(d->arena, arena_printf(d->arena, "mta-sts.%.*s",
			STR_ARG(domain))) };
	int n = doctor_find_txt(d, "mta-sts", name, sts_record_is, &txt);

	doctor_exchanges(d, domain, &s.mx);
	if (n == 0) {
		doctor_say(d, DOCTOR_ADVICE, "mta-sts", "%s has no MTA-STS: senders accept that "
			"somebody between takes TLS away. First publish "
			"https://mta-sts.%s/.well-known/mta-sts.txt, as text/plain:", shown, shown);
		suggest_policy(&s, STS_TESTING);
		doctor_say(d, DOCTOR_ADVICE, "mta-sts", "Then announce it:");
		suggest_record(&s);
	}
	if (doctor_no_single(d, "mta-sts", n, name, "MTA-STS") < 0)
		return;
	if (sts_record_id(txt, &id) < 0) {
		doctor_say(d, DOCTOR_WRONG, "mta-sts", "The MTA-STS record of %s has no id of 1 to 32 "
			"letters and digits.", shown);
		suggest_record(&s);
	}
	read_policy(&s);
}
