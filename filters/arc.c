/*
 * arc: does the chain of those who handled the message before hold (RFC 8617)? Anybody
 * can make one that does, so it says something only where the administrator trusts
 * who sealed it: then what they saw may speak for the message at DMARC.
 */
#include "core/authres.h"
#include "core/filter.h"
#include "core/limits.h"
#include "filters/arc/chain.h"

#define ITEMS_MAX 100 /* results that are read of one header */

struct arc_conf {
	struct option_strings trusted_sealers;
};

static const struct option arc_options[] = {
	{ .name = "trusted_sealers", .type = OPTION_LIST,
		.offset = offsetof(struct arc_conf, trusted_sealers),
		.help = "Domains (d=) whose word counts: what passed DMARC where they received it is not "
			"refused for failing it here." },
	OPTION_ROWS_END,
};

static const struct finding_def arc_findings[] = {
	{ "ARC_PASS", 0, "The ARC chain of the message holds.", 0 },
	{ "ARC_TRUSTED", -0.5, "A trusted sealer handled the message before.", 0 },
	{ "ARC_FAIL", 0.2, "The ARC chain of the message is broken.", 0 },
	{ "ARC_NONE", 0, "The message has no ARC chain.", 0 },
	{ .name = NULL },
};

static size_t count_keys(const struct arc_chain *chain)
{
	size_t n = 0;

	for (size_t i = 0; i < chain->signature_count; i++) {
		size_t k = 0;
		while (k < i && !dns_name_eq(chain->signatures[k].owner.name,
			chain->signatures[i].owner.name))
			k++;
		n += k == i;
	}
	return n;
}

/*
 * Keys of DKIM and ARC share what SPF and DMARC leave of the questions: what a sender heaps up here must
 * not keep DMARC from asking for the author's policy.
 */
static void check_keys(struct arc_chain *chain, const struct mail *m)
{
	size_t others = mail_header_count(m, "DKIM-Signature");

	if (count_keys(chain) + others > LIMIT_DKIM_SIGNATURES && chain->result == AUTH_PASS)
		arc_chain_fail(chain, "the signatures of the message have too many keys");
}

/* False while a key is missing that could still matter. All are asked for at once. */
static bool fetch_keys(struct filter_call *call, struct arc_chain *chain)
{
	const struct dns_answer *answer;
	const char *reason;
	bool complete = true;

	for (size_t i = 0; i < chain->signature_count && chain->result != AUTH_FAIL; i++) {
		struct arc_signature *s = &chain->signatures[i];
		if (!ask_dns(call, DNS_TXT, s->owner.name, &answer))
			complete = false;
		else if (dns_answer_is_error(answer))
			arc_chain_fail(chain, "a key could not be fetched");
		else if (pubkey_select(answer, s->algorithm, call->arena, &s->key, &reason) < 0)
			arc_chain_fail(chain, reason);
	}
	return complete || chain->result == AUTH_FAIL;
}

static bool is_trusted(const struct arc_conf *conf, struct str domain)
{
	for (size_t i = 0; i < conf->trusted_sealers.n; i++)
		if (dns_name_eq(domain, str_c(conf->trusted_sealers.v[i])))
			return true;
	return false;
}

static void add_domain(struct str_list *list, struct arena *arena, struct str domain)
{
	list->v = arena_grow(arena, list->v, list->n, list->n + 1, sizeof(*list->v));
	list->v[list->n++] = domain;
}

/* What one set's AAR says had passed. */
static void read_results(struct auth_arc *slot, struct str value, struct arena *arena)
{
	struct authres_item item;

	for (size_t i = 0; i < ITEMS_MAX && authres_next(&value, &item); i++) {
		if (!str_ieq_c(item.result, "pass"))
			continue;
		if (str_ieq_c(item.method, "dmarc") && !slot->saw_dmarc) {
			slot->saw_dmarc = true;
			slot->saw_dmarc_from = authres_property(&item, "header.from");
		} else if (str_ieq_c(item.method, "dkim")) {
			struct str d = authres_property(&item, "header.d");
			struct str identity = authres_property(&item, "header.i");
			if (d.n == 0)
				d = str_skip(identity, str_rchr(identity, '@') + 1);
			if (dns_is_hostname(d))
				add_domain(&slot->saw_dkim, arena, d);
		}
	}
}

/* From the newest set down, as long as the sealers are trusted: behind one that is not, nobody knows
 * who wrote what. */
static void read_testimony(struct filter_call *call, const struct arc_chain *chain,
	struct auth_arc *slot)
{
	for (size_t k = 1; k <= chain->n; k++) {
		struct str sealer = chain->signatures[k].owner.domain;
		if (!is_trusted(call->conf, sealer))
			return;
		report(call, "ARC_TRUSTED", "%.*s, a trusted sealer, handled the message before.",
			STR_ARG(sealer));
		read_results(slot, chain->sets[chain->n - k].results->value, call->arena);
	}
}

static struct auth_arc *fill_slot(struct filter_call *call, const struct arc_chain *chain)
{
	struct auth_arc *slot = ARENA_NEW(call->arena, struct auth_arc);

	slot->result = chain->result;
	slot->reason = str_c(chain->reason);
	for (size_t k = 1; chain->result == AUTH_PASS && k <= chain->n; k++)
		add_domain(&slot->sealers, call->arena, chain->signatures[k].owner.domain);
	call->auth->arc = slot;
	return slot;
}

static enum step arc_run(struct filter_call *call)
{
	if (!call->mail)
		return STEP_DONE;
	struct arc_chain *chain = ARENA_NEW(call->arena, struct arc_chain);
	arc_chain_read(call->mail, call->arena, chain);
	check_keys(chain, call->mail);
	if (!fetch_keys(call, chain)) {
		/* What holds if they never come. */
		arc_chain_fail(chain, "a key could not be fetched");
		fill_slot(call, chain);
		return STEP_WAIT;
	}
	arc_chain_verify(chain, call->mail, call->facts->now);
	struct auth_arc *slot = fill_slot(call, chain);
	if (chain->result == AUTH_NONE) {
		report(call, "ARC_NONE", NULL);
	} else if (chain->result == AUTH_FAIL) {
		report(call, "ARC_FAIL", "The ARC chain of the message is broken: %s.", chain->reason);
	} else {
		report(call, "ARC_PASS", "The ARC chain of the message holds, sealed last by %.*s.",
			STR_ARG(slot->sealers.v[0]));
		read_testimony(call, chain, slot);
	}
	return STEP_DONE;
}

const struct filter filter_arc = {
	.name = "arc",
	.summary = "does the chain of former handlers hold, and are they trusted (RFC 8617)",
	.stages = STAGE_MESSAGE,
	.findings = arc_findings,
	.options = arc_options,
	.conf_size = sizeof(struct arc_conf),
	.default_timeout = "20s",
	.authenticates = true,
	.run = arc_run,
};
