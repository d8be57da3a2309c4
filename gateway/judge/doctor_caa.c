/*
 * CAA (RFC 8659): who may issue certificates for this host's name and for the site of MTA-STS, and
 * whether the authority of our listeners' certificates is among them.
 */
#include "gateway/judge/doctor.h"

/*
 * A certificate does not say by which domain its issuer goes in CAA records. Most have it in their
 * URLs; of the others only this one is known well enough, and has one domain alone
 * (https://letsencrypt.org/docs/caa/). Where neither tells, a person has to compare.
 */
#define ALIAS_HOST   "lencr.org"
#define ALIAS_ISSUER "letsencrypt.org"

struct caa {
	struct str zone; /* where they stand */
	struct str_list issuers;
	bool limits; /* there is an `issue` at all */
};

/* Flags, length of the tag, tag, value: is it `issue`, and whom does it name? */
static bool read_issue(struct str data, struct str *value_r)
{
	size_t n = data.n > 1 ? (uint8_t)data.p[1] : 0;

	if (!n || data.n < n + 2 || !str_ieq_c(str_sub(data, 2, n), "issue"))
		return false;
	*value_r = str_trim(str_skip(data, n + 2));
	value_r->n = str_chr(*value_r, ';');
	*value_r = str_trim(*value_r);
	return true;
}

static void read_set(struct doctor *d, const struct dns_answer *answer, struct caa *caa)
{
	struct str issuer;

	caa->issuers.v = ARENA_ARRAY(d->arena, DOCTOR_NAMES_MAX, struct str);
	for (size_t i = 0; i < answer->data.n && i < DOCTOR_NAMES_MAX; i++) {
		if (!read_issue(answer->data.v[i], &issuer))
			continue;
		caa->limits = true;
		if (issuer.n)
			caa->issuers.v[caa->issuers.n++] = issuer;
	}
}

/* The nearest name upwards that has any (3). 1, 0: none has, -1: told. */
static int find_set(struct doctor *d, struct str name, struct caa *caa_r)
{
	struct str label;

	*caa_r = (struct caa){ .zone = name };
	for (; caa_r->zone.n; str_cut(&caa_r->zone, '.', &label)) {
		const struct dns_answer *a = doctor_ask(d, DNS_CAA, caa_r->zone);

		if (dns_answer_is_error(a)) {
			doctor_say(d, DOCTOR_WRONG, "caa", "The CAA records of %s cannot be looked "
				"up (%s): no authority issues a certificate then.",
				doctor_name(d, caa_r->zone), dns_rcode_names[a->rcode]);
			return -1;
		}
		if (a->data.n) {
			read_set(d, a, caa_r);
			return 1;
		}
	}
	return 0;
}

static struct str list_issuers(struct doctor *d, const struct caa *caa)
{
	struct str list = STR("");

	for (size_t i = 0; i < caa->issuers.n; i++)
		list = arena_printf(d->arena, "%.*s%s%s", STR_ARG(list), i ? ", " : "",
			doctor_name(d, caa->issuers.v[i]));
	return list;
}

/* Is the certificate from one of these? 1, 0: surely not, -1: a person has to tell. */
static int is_permitted(const struct doctor_certificate *c, const struct caa *caa)
{
	int result = -1;

	for (size_t i = 0; i < c->issuer_hosts.n; i++) {
		bool alias = dns_name_under(c->issuer_hosts.v[i], STR(ALIAS_HOST));

		for (size_t j = 0; j < caa->issuers.n; j++)
			if (dns_name_under(c->issuer_hosts.v[i], caa->issuers.v[j]) ||
				(alias && dns_name_eq(caa->issuers.v[j], STR(ALIAS_ISSUER))))
				return 1;
		if (alias)
			result = 0;
	}
	return result;
}

static void compare(struct doctor *d, const struct doctor_certificate *c, const struct caa *caa,
	const char *name)
{
	struct str permitted = list_issuers(d, caa);

	switch (is_permitted(c, caa)) {
	case 1:
		doctor_say(d, DOCTOR_RIGHT, "caa", "The certificate of the listener %s is from %.*s, "
			"which CAA permits for %s.", c->listener, STR_ARG(c->issuer), name);
		break;
	case 0:
		doctor_say(d, DOCTOR_WRONG, "caa", "CAA permits only %.*s to issue certificates for "
			"%s, and that of the listener %s is from %.*s: it will not be renewed.",
			STR_ARG(permitted), name, c->listener, STR_ARG(c->issuer));
		doctor_record(d, "%s. IN CAA 0 issue \"" ALIAS_ISSUER "\"",
			doctor_name(d, caa->zone));
		break;
	default:
		doctor_say(d, DOCTOR_ADVICE, "caa", "CAA permits only %.*s to issue certificates for "
			"%s; that of the listener %s is from \"%.*s\". If these are not the same, it "
			"will not be renewed.", STR_ARG(permitted), name, c->listener,
			STR_ARG(c->issuer));
	}
}

/* Nothing is to be compared if `ours` is false. */
static void check_name(struct doctor *d, struct str name, bool ours)
{
	const char *shown = doctor_name(d, name);
	struct caa caa;
	int found = find_set(d, name, &caa);

	if (found < 0)
		return;
	if (!found || !caa.limits) {
		doctor_say(d, DOCTOR_RIGHT, "caa", "No CAA record limits who may issue certificates "
			"for %s.", shown);
		return;
	}
	if (!caa.issuers.n) {
		doctor_say(d, DOCTOR_WRONG, "caa", "CAA records forbid every authority to issue a "
			"certificate for %s.", shown);
		doctor_record(d, "%s. IN CAA 0 issue \"letsencrypt.org\"", shown);
		return;
	}
	doctor_say(d, DOCTOR_RIGHT, "caa", "Certificates for %s may be issued by %.*s only.", shown,
		STR_ARG(list_issuers(d, &caa)));
	for (size_t i = 0; ours && i < d->certificates.n; i++) {
		const struct doctor_certificate *c = &d->certificates.v[i];

		if (c->x509 && c->is_public && !c->is_self_signed && doctor_certificate_names(c, d->hostname))
			compare(d, c, &caa, shown);
	}
}

void doctor_caa_check(struct doctor *d, struct str domain)
{
	struct str record = arena_printf(d->arena, "_mta-sts.%.*s", STR_ARG(domain));

	check_name(d, str_c(d->hostname), true);
	/* Its site needs a certificate too. */
	if (doctor_ask(d, DNS_TXT, record)->data.n)
		check_name(d, str_skip(record, 1), false);
}
