#include "rules/evidence.h"

#include <math.h>

#include "core/dns.h"

/* What lists say of the client. */
struct listings {
	size_t trusted, second; /* bad ones; the trusted are not among the second */
	bool any_bad, any_good;
};

static struct listings listings_of(const struct verdict *v)
{
	struct listings l = { .trusted = 0 };

	for (size_t i = 0; i < v->findings.n; i++) {
		const struct finding *f = &v->findings.v[i];

		if (!f->about_client)
			continue;
		l.any_bad |= f->score > 0;
		l.any_good |= f->score < 0;
		if (f->score >= EVIDENCE_LISTED)
			l.trusted++;
		else if (f->score >= EVIDENCE_LISTED_TOO)
			l.second++;
	}
	return l;
}

static bool passes_dmarc(const struct auth *auth)
{
	const struct auth_dmarc *dmarc = auth->dmarc;

	return dmarc && dmarc->result == AUTH_PASS && (dmarc->dkim_aligned || dmarc->spf_aligned);
}

/* One sign, not two: what breaks SPF is what breaks DMARC. */
static bool is_disowned(const struct auth *auth)
{
	const struct auth_dmarc *dmarc = auth->dmarc;

	if (dmarc && dmarc->result == AUTH_FAIL &&
		(dmarc->policy == DMARC_QUARANTINE || dmarc->policy == DMARC_REJECT))
		return true;
	return auth->spf && auth->spf->result == AUTH_FAIL && str_eq_c(auth->spf->scope, "mfrom") &&
	       !passes_dmarc(auth);
}

static bool is_wanted(const struct auth *auth, const struct option_strings *domains)
{
	for (size_t i = 0; passes_dmarc(auth) && i < domains->n; i++)
		if (dns_name_eq(auth->dmarc->author_domain, str_c(domains->v[i])))
			return true;
	return false;
}

/* Of what a forwarder that is trusted hands on the client says nothing. */
static bool is_forwarded(const struct verdict *v)
{
	if (v->auth.dmarc && v->auth.dmarc->override.n)
		return true;
	for (size_t i = 0; i < v->findings.n; i++)
		if (str_eq_c(v->findings.v[i].name, "ARC_TRUSTED"))
			return true;
	return false;
}

static bool is_spam(const struct verdict *v, const struct listings *l, struct str *giver_r)
{
	*giver_r = v->virus.n ? STR("auto:virus") : STR("auto:dnsbl");
	if (v->action != ACTION_QUARANTINE && v->action != ACTION_REJECT)
		return false;
	return v->virus.n ||
	       (l->trusted && l->trusted + l->second + is_disowned(&v->auth) > 1);
}

enum evidence_label evidence_of(const struct facts *facts, const struct verdict *v,
	const struct option_strings *domains, struct str *giver_r)
{
	const struct listings l = listings_of(v);
	bool sends = facts->outbound && facts->account.n;
	bool wanted = sends || (!facts->outbound && is_wanted(&v->auth, domains));

	if (v->bayes && fabs(v->bayes->log_odds) >= EVIDENCE_SURE)
		return EVIDENCE_NONE;
	if (wanted) {
		*giver_r = sends ? STR("auto:account") : STR("auto:dmarc");
		return v->action == ACTION_FORWARD && !v->virus.n && !l.any_bad ? EVIDENCE_HAM :
										  EVIDENCE_NONE;
	}
	if (facts->outbound || l.any_good || is_forwarded(v))
		return EVIDENCE_NONE;
	return is_spam(v, &l, giver_r) ? EVIDENCE_SPAM : EVIDENCE_NONE;
}
