/*
 * dkim: which domains have signed the message, and do their signatures hold
 * (RFC 6376, 8301, 8463)? A message without a signature costs nothing.
 */
#include "core/filter.h"
#include "core/limits.h"
#include "core/mail/pubkey.h"
#include "filters/dkim/verifier.h"

#define LISTED_MAX 100 /* results kept of one message (RFC 9990: as many as a report row holds) */

static const struct finding_def dkim_findings[] = {
	{ "DKIM_PASS", -0.1, "The message has a valid DKIM signature.", 0 },
	{ "DKIM_FAIL", 0.5, "A DKIM signature does not verify.", 0 },
	{ "DKIM_POLICY", 0.3, "A DKIM signature is valid but too weak to count.", 0 },
	{ "DKIM_PERMERROR", 0.3, "A DKIM signature or its key is broken.", 0 },
	{ "DKIM_TEMPERROR", 0, "A DKIM key could not be fetched now.", 0 },
	{ "DKIM_NONE", 0.1, "The message has no DKIM signature.", 0 },
	{ "DKIM_MANY", 1.0, "The message has more DKIM signatures than are verified.", 0 },
	{ .name = NULL },
};

static int dkim_start(void *conf, const struct env *env, struct err *err)
{
	(void)conf, (void)env;
	return dkim_verifier_start(err);
}

static struct dkim_signature *read_signatures(struct filter_call *call, size_t *count_r)
{
	const struct mail_header *h = NULL;
	size_t count = 0;

	while ((h = mail_header(call->mail, "DKIM-Signature", h)) && count < LISTED_MAX)
		count++;
	struct dkim_signature *signatures =
		ARENA_ARRAY(call->arena, count + 1, struct dkim_signature);
	h = NULL;
	for (size_t i = 0; i < count; i++) {
		h = mail_header(call->mail, "DKIM-Signature", h);
		dkim_signature_read(h, call->arena, &signatures[i]);
	}
	*count_r = count;
	return signatures;
}

/* Signatures of the author's domain matter most, since DMARC counts on them. */
static void rank_signatures(
	struct filter_call *call, struct dkim_signature *signatures, size_t count)
{
	const struct mail_header *from = mail_header(call->mail, "From", NULL);
	struct mail_addresses addresses;

	if (!from)
		return;
	mail_parse_addresses(call->mail, from->value, &addresses);
	if (addresses.list.n == 0 || addresses.list.v[0].domain.n == 0)
		return;
	struct str author = addresses.list.v[0].domain;
	for (size_t i = 0; i < count; i++) {
		struct str d = signatures[i].domain;
		signatures[i].rank =
			dns_name_eq(d, author)						  ? 2
			: d.n && (dns_name_under(d, author) || dns_name_under(author, d)) ? 1
											  : 0;
	}
}

/* Leaves LIMIT_DKIM_SIGNATURES of them to be verified; the others become neutral. */
static void choose_signatures(
	struct filter_call *call, struct dkim_signature *signatures, size_t count)
{
	bool chosen[LISTED_MAX] = { false };
	size_t open = 0, taken = 0;

	for (size_t i = 0; i < count; i++)
		open += !signatures[i].settled;
	if (open <= LIMIT_DKIM_SIGNATURES)
		return;
	rank_signatures(call, signatures, count);
	for (unsigned rank = 3; rank-- > 0;)
		for (size_t i = 0; i < count && taken < LIMIT_DKIM_SIGNATURES; i++)
			if (!signatures[i].settled && signatures[i].rank == rank && !chosen[i]) {
				chosen[i] = true;
				taken++;
			}
	for (size_t i = 0; i < count; i++)
		if (!chosen[i] && !signatures[i].settled)
			dkim_signature_settle(&signatures[i], AUTH_NEUTRAL,
				"not verified: there are more than 10 signatures");
	report(call, "DKIM_MANY", NULL);
}

/* False while a key is missing. All are asked for at once. */
static bool fetch_keys(struct filter_call *call, struct dkim_signature *signatures, size_t count)
{
	const struct dns_answer *answer;
	const char *reason;
	bool complete = true;

	for (size_t i = 0; i < count; i++) {
		struct dkim_signature *s = &signatures[i];
		if (s->settled)
			continue;
		if (!ask_dns(call, DNS_TXT, s->key_name, &answer))
			complete = false;
		else if (dns_answer_is_error(answer))
			dkim_signature_settle(s, AUTH_TEMPERROR, "the key could not be fetched");
		else if (pubkey_select(answer, s->algorithm, call->arena, &s->key, &reason) < 0)
			dkim_signature_settle(s, AUTH_PERMERROR, reason);
	}
	return complete;
}

static void fill_slot(
	struct filter_call *call, const struct dkim_signature *signatures, size_t count)
{
	struct auth_dkim_list *list = ARENA_NEW(call->arena, struct auth_dkim_list);

	list->n = count;
	list->v = ARENA_ARRAY(call->arena, count + 1, struct auth_dkim);
	for (size_t i = 0; i < count; i++) {
		const struct dkim_signature *s = &signatures[i];
		list->v[i] = (struct auth_dkim){
			/* What is open when the answers never come. */
			.result = s->settled ? s->result : AUTH_TEMPERROR,
			.domain = s->domain,
			.selector = s->selector,
			.algorithm = s->algorithm,
			.reason = s->reason,
			.identity = s->domain.n ? s->identity : STR(""),
			.signature = str_sub(s->b, 0, 8), /* RFC 6008: at least 8 characters */
		};
	}
	call->auth->dkim = list;
}

static void report_results(
	struct filter_call *call, const struct dkim_signature *signatures, size_t count)
{
	static const char *const names[] = {
		[AUTH_NONE] = NULL,
		[AUTH_PASS] = "DKIM_PASS",
		[AUTH_FAIL] = "DKIM_FAIL",
		[AUTH_SOFTFAIL] = NULL,
		[AUTH_NEUTRAL] = NULL,
		[AUTH_POLICY] = "DKIM_POLICY",
		[AUTH_TEMPERROR] = "DKIM_TEMPERROR",
		[AUTH_PERMERROR] = "DKIM_PERMERROR",
	};

	for (size_t i = 0; i < count; i++) {
		const struct dkim_signature *s = &signatures[i];
		if (s->result == AUTH_PASS)
			report(call, names[AUTH_PASS], "The message is signed by %.*s.",
				STR_ARG(s->domain));
		else if (names[s->result])
			report(call, names[s->result], "The DKIM signature of %.*s is %s: %.*s.",
				STR_ARG(s->domain.n ? s->domain : STR("an unknown domain")),
				auth_result_names[s->result], STR_ARG(s->reason));
	}
	if (count == 0)
		report(call, "DKIM_NONE", NULL);
}

static enum step dkim_run(struct filter_call *call)
{
	size_t count;

	if (!call->mail)
		return STEP_DONE;
	struct dkim_signature *signatures = read_signatures(call, &count);
	choose_signatures(call, signatures, count);
	if (!fetch_keys(call, signatures, count)) {
		fill_slot(call, signatures, count);
		return STEP_WAIT;
	}
	dkim_verifier_run(call->mail, call->facts->now, signatures, count);
	fill_slot(call, signatures, count);
	report_results(call, signatures, count);
	return STEP_DONE;
}

const struct filter filter_dkim = {
	.name = "dkim",
	.summary = "which domains have signed the message, and validly (RFC 6376)",
	.stages = STAGE_MESSAGE,
	.findings = dkim_findings,
	.default_timeout = "20s",
	.authenticates = true,
	.start = dkim_start,
	.run = dkim_run,
};
