/*
 * spf: is the client allowed to send for the domain of MAIL FROM, and of HELO
 * (RFC 7208)? Both identities are checked; for the null sender they are one (2.4).
 */
#include "core/authres.h"
#include "core/limits.h"
#include "filters/spf/check.h"

/* HELO is asked about beside MAIL FROM only while this few questions are asked: nothing hangs on it. */
#define HELO_QUESTIONS 8

struct spf_conf {
	bool explanation, received_spf;
	const char *hostname;
};

static const struct option spf_options[] = {
	{ .name = "explanation",
		.type = OPTION_BOOL,
		.offset = offsetof(struct spf_conf, explanation),
		.def = "false",
		.help = "Fetch what the sender's domain says about a failure (exp=). It is that "
			"domain's text, and costs a look-up." },
	{ .name = "received_spf",
		.type = OPTION_BOOL,
		.offset = offsetof(struct spf_conf, received_spf),
		.def = "false",
		.help = "Put a Received-SPF header on top of the message too, for what does not read "
			"Authentication-Results." },
	OPTION_ROWS_END,
};

static const struct finding_def spf_findings[] = {
	{ "SPF_PASS", -0.1, "The client may send for the sender's domain.", 0 },
	{ "SPF_FAIL", 2.0, "The client may not send for the sender's domain.", 0 },
	{ "SPF_SOFTFAIL", 0.7, "The client probably may not send for the sender's domain.", 0 },
	{ "SPF_NEUTRAL", 0.2, "The sender's domain says nothing about the client.", 0 },
	{ "SPF_NONE", 0.1, "The sender's domain has no SPF record.", 0 },
	{ "SPF_PERMERROR", 0.5, "The SPF record of the sender's domain is broken.", 0 },
	{ "SPF_TEMPERROR", 0, "SPF could not be checked now.", 0 },
	{ "SPF_HELO_PASS", 0, "The client may greet with this name.", 0 },
	{ "SPF_HELO_FAIL", 0.8, "The client may not greet with this name.", 0 },
	{ .name = NULL },
};

static int spf_start(void *conf, const struct env *env, struct err *err)
{
	struct spf_conf *spf = conf;

	(void)err;
	spf->hostname = env->hostname;
	spf_check_init();
	return 0;
}

/* local@domain at the last '@' (RFC 5321 4.1.2: quoted local parts may hold one). */
static void split_sender(struct filter_call *call, struct spf_macro_values *values)
{
	struct str from = call->facts->mail_from, canonical;
	size_t at = str_rchr(from, '@');

	values->helo = call->facts->helo;
	if (from.n == 0) {
		values->local = STR("postmaster");
		values->sender_domain = call->facts->helo;
	} else {
		values->local = at < from.n ? str_sub(from, 0, at) : STR("");
		values->sender_domain = at < from.n ? str_skip(from, at + 1) : STR("");
		/* 4.3: without a local part, "postmaster" is used. */
		if (values->local.n == 0)
			values->local = STR("postmaster");
	}
	if (mail_domain_canonical(call->arena, values->sender_domain, &canonical) == 0)
		values->sender_domain = canonical;
}

static struct auth_spf *new_slot(struct filter_call *call, const char *scope, struct str domain)
{
	struct auth_spf *slot = ARENA_NEW(call->arena, struct auth_spf);

	slot->scope = str_c(scope);
	slot->domain = domain;
	/* What holds if the answers that are asked for now never come. */
	slot->result = AUTH_TEMPERROR;
	return slot;
}

/* Of MAIL FROM, or of HELO alone. 1, or 0 while answers are missing. */
static int check_identity(struct filter_call *call, const struct spf_macro_values *values,
	size_t share, struct auth_spf *slot, struct str *reason_r)
{
	const struct spf_conf *conf = call->conf;
	struct spf_check check = {
		.call = call,
		.values = *values,
		.domain = slot->domain,
		.explain = conf->explanation,
		.share = share,
	};

	if (values->client.family != IP_NONE && !spf_check_run(&check))
		return 0;
	slot->result = values->client.family == IP_NONE ? AUTH_NONE : check.result;
	slot->explanation = check.explanation;
	*reason_r = check.reason;
	return 1;
}

static void report_result(struct filter_call *call, const struct auth_spf *slot, struct str reason)
{
	static const char *const names[] = {
		[AUTH_NONE] = "SPF_NONE",
		[AUTH_PASS] = "SPF_PASS",
		[AUTH_FAIL] = "SPF_FAIL",
		[AUTH_SOFTFAIL] = "SPF_SOFTFAIL",
		[AUTH_NEUTRAL] = "SPF_NEUTRAL",
		[AUTH_POLICY] = "SPF_NEUTRAL",
		[AUTH_TEMPERROR] = "SPF_TEMPERROR",
		[AUTH_PERMERROR] = "SPF_PERMERROR",
	};

	if (call->facts->client_ip.n == 0)
		return;
	if (reason.n)
		report(call, names[slot->result], "SPF of %.*s: %s: %.*s.", STR_ARG(slot->domain),
			auth_result_names[slot->result], STR_ARG(reason));
	else
		report(call, names[slot->result], "SPF of %.*s is %s for %.*s.",
			STR_ARG(slot->domain), auth_result_names[slot->result],
			STR_ARG(call->facts->client_ip));
}

static void report_helo(struct filter_call *call, const struct auth_spf *slot)
{
	if (slot->result == AUTH_PASS || slot->result == AUTH_FAIL)
		report(call, slot->result == AUTH_PASS ? "SPF_HELO_PASS" : "SPF_HELO_FAIL",
			"SPF of the greeting %.*s is %s.", STR_ARG(slot->domain),
			auth_result_names[slot->result]);
}

static void propose_received_spf(struct filter_call *call)
{
	const struct spf_conf *conf = call->conf;
	struct buf value = BUF_INIT;

	if (!conf->received_spf)
		return;
	authres_received_spf(&value, conf->hostname, call->facts, call->auth->spf);
	propose_header(call, "Received-SPF", buf_str(&value));
	buf_free(&value);
}

static enum step spf_run(struct filter_call *call)
{
	struct spf_macro_values values = { .now = call->facts->now }, helo_values;
	struct str helo, reason, helo_reason;
	bool null_sender = call->facts->mail_from.n == 0;

	if (ip_parse(call->facts->client_ip, &values.client) < 0)
		values.client.family = IP_NONE;
	split_sender(call, &values);
	if (mail_domain_canonical(call->arena, call->facts->helo, &helo) < 0)
		helo = call->facts->helo;
	helo_values = values;
	helo_values.local = STR("postmaster");
	helo_values.sender_domain = helo;
	call->auth->spf_helo = new_slot(call, "helo", helo);
	call->auth->spf =
		null_sender ? call->auth->spf_helo : new_slot(call, "mfrom", values.sender_domain);

	int known = check_identity(call, null_sender ? &helo_values : &values,
		LIMIT_SPF_DNS_QUESTIONS, call->auth->spf, &reason);
	if (!null_sender && !check_identity(call, &helo_values, HELO_QUESTIONS,
				    call->auth->spf_helo, &helo_reason))
		known = 0;
	if (!known)
		return STEP_WAIT;
	propose_received_spf(call);
	report_result(call, call->auth->spf, reason);
	if (!null_sender)
		report_helo(call, call->auth->spf_helo);
	return STEP_DONE;
}

const struct filter filter_spf = {
	.name = "spf",
	.summary = "may the client send for the domain of MAIL FROM and HELO (RFC 7208)",
	.stages = STAGE_MAIL | STAGE_MESSAGE, /* MAIL: `gatepost check` of an envelope alone */
	.ahead = AHEAD_SENDER_TXT | AHEAD_HELO_TXT,
	.findings = spf_findings,
	.options = spf_options,
	.conf_size = sizeof(struct spf_conf),
	.default_timeout = "20s",
	.authenticates = true,
	.start = spf_start,
	.run = spf_run,
};
