#include "gateway/lesson.h"

#include "core/dns.h"

enum lesson_label lesson_label(const struct config_learn *learn, struct str address)
{
	if (address.n == 0)
		return LESSON_NONE;
	if (str_ieq_c(address, learn->spam_address))
		return LESSON_SPAM;
	return str_ieq_c(address, learn->ham_address) ? LESSON_HAM : LESSON_NONE;
}

struct str lesson_tenant(const struct config *config, struct str giver)
{
	size_t at = str_rchr(giver, '@');
	const struct config_domain *domain = config->domain_count < 2 ? NULL :
		config_find_domain(config, at < giver.n ? str_skip(giver, at + 1) : giver);

	return domain ? str_c(domain->name) : STR("");
}

static bool is_from_relay(const struct config_learn *learn, struct str client)
{
	struct ip ip;

	if (ip_parse(client, &ip) != 0)
		return false;
	for (size_t i = 0; i < learn->net_count; i++)
		if (ip_in_net(&ip, &learn->nets[i]))
			return true;
	return false;
}

static void note(enum lesson_judgement *best, int result)
{
	if (result == AUTH_PASS)
		*best = LESSON_TAKEN;
	else if (result == AUTH_TEMPERROR && *best != LESSON_TAKEN)
		*best = LESSON_LATER;
}

/* A domain without a DMARC record can prove the same by its own name alone. */
static enum lesson_judgement by_own_name(const struct auth *auth, struct str author)
{
	enum lesson_judgement best = LESSON_REFUSED;
	const struct auth_spf *spf = auth->spf;

	if (spf && str_eq_c(spf->scope, "mfrom") && dns_name_eq(spf->domain, author))
		note(&best, spf->result);
	for (size_t i = 0; auth->dkim && i < auth->dkim->n; i++)
		if (dns_name_eq(auth->dkim->v[i].domain, author))
			note(&best, auth->dkim->v[i].result);
	return best;
}

static enum lesson_judgement by_author(const struct config *config, const struct auth *auth)
{
	const struct auth_dmarc *dmarc = auth->dmarc;

	if (!dmarc || !config_find_domain(config, dmarc->author_domain))
		return LESSON_REFUSED;
	if (dmarc->result == AUTH_PASS)
		return LESSON_TAKEN;
	if (dmarc->result == AUTH_TEMPERROR)
		return LESSON_LATER;
	return dmarc->result == AUTH_NONE ? by_own_name(auth, dmarc->author_domain) : LESSON_REFUSED;
}

enum lesson_judgement lesson_judge(const struct config *config, const struct facts *facts,
	const struct verdict *verdict, struct str *who_r)
{
	bool relayed = facts->outbound || is_from_relay(&config->learn, facts->client_ip);
	enum lesson_judgement judged = relayed ? LESSON_TAKEN : by_author(config, &verdict->auth);
	struct str domain = relayed ? STR("") : verdict->auth.dmarc ?
		verdict->auth.dmarc->author_domain : STR("");
	size_t at = str_rchr(facts->mail_from, '@');

	/* A relay vouches for the sender as it is; a From domain for senders of its own. */
	if (facts->account.n)
		*who_r = facts->account;
	else if (facts->mail_from.n && (relayed || dns_name_eq(str_skip(facts->mail_from, at + 1), domain)))
		*who_r = facts->mail_from;
	else
		*who_r = relayed ? facts->client_ip : domain;
	if (judged == LESSON_TAKEN && verdict->action == ACTION_TEMPFAIL)
		return LESSON_LATER;
	return judged;
}
