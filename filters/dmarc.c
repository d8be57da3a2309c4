/*
 * dmarc: does the author's domain vouch for the message, and what does it ask
 * for if not (RFC 9989)? Fills auth->dmarc; what is done is rules/verdict.c's.
 */
#include "core/filter.h"
#include "core/limits.h"
#include "filters/dmarc/psl.h"
#include "filters/dmarc/walk.h"

struct dmarc_conf {
	int discovery; /* enum dmarc_discovery */
	const char *public_suffixes;
};

static const struct option dmarc_options[] = {
	{ .name = "discovery",
		.type = OPTION_ENUM,
		.offset = offsetof(struct dmarc_conf, discovery),
		.def = "treewalk",
		.choices = dmarc_discovery_names,
		.help = "How organizational domains are found: treewalk (RFC 9989), or psl, the "
			"public suffix list, as RFC 7489 had it." },
	{ .name = "public_suffixes",
		.type = OPTION_STRING,
		.offset = offsetof(struct dmarc_conf, public_suffixes),
		.def = "",
		.help = "A public suffix list newer than the system's, for discovery = psl." },
	OPTION_ROWS_END,
};

static const struct finding_def dmarc_findings[] = {
	{ "DMARC_PASS", -0.2, "The author's domain vouches for the message.", 0 },
	{ "DMARC_REJECT", 3.0, "The message fails DMARC under a policy of reject.", 0 },
	{ "DMARC_QUARANTINE", 2.0, "The message fails DMARC under a policy of quarantine.", 0 },
	/* p=none must not change what becomes of a message (RFC 9989 8). */
	{ "DMARC_NONE_FAIL", 0, "The message fails DMARC, and its domain asks for nothing.", 0 },
	{ "DMARC_FORWARDED", 0, "The message fails DMARC, but a trusted sealer saw it pass.", 0 },
	{ "DMARC_NONE", 0, "The author's domain has no DMARC policy.", 0 },
	{ "DMARC_NO_AUTHOR", 0.5,
		"DMARC cannot be applied: there is not exactly one author domain.", 0 },
	{ .name = NULL },
};

static int dmarc_start(void *conf, const struct env *env, struct err *err)
{
	const struct dmarc_conf *c = conf;

	return dmarc_psl_start(c->public_suffixes, env->offline, err);
}

/* The one domain of the one From header, or empty (RFC 9989 11.5: nothing is guessed). */
static struct str author_domain(struct filter_call *call)
{
	const struct mail_header *from = mail_header(call->mail, "From", NULL);
	struct mail_addresses addresses;

	if (!from || mail_header(call->mail, "From", from))
		return STR("");
	mail_parse_addresses(call->mail, from->value, &addresses);
	if (addresses.list.n == 0)
		return STR("");
	struct str domain = addresses.list.v[0].domain;
	for (size_t i = 1; i < addresses.list.n; i++)
		if (!dns_name_eq(addresses.list.v[i].domain, domain))
			return STR("");
	return dns_is_hostname(domain) ? domain : STR("");
}

/* What is said of one authenticated identifier. */
enum alignment { NOT_ALIGNED, ALIGNED, ALIGNMENT_UNKNOWN, ALIGNMENT_PENDING };

/* One evaluation, while it is made. */
struct judgement {
	struct filter_call *call;
	enum dmarc_discovery discovery;
	struct str author;
	struct dmarc_policy_found policy;
};

static enum alignment from_state(enum dmarc_walk_state state)
{
	return state == DMARC_WALK_PENDING ? ALIGNMENT_PENDING : ALIGNMENT_UNKNOWN;
}

/* 4.10.2: equal names are aligned; relaxed, those of one organizational domain too. */
static enum alignment align(const struct judgement *j, struct str identifier, bool strict)
{
	struct str of_author, of_identifier;

	if (identifier.n == 0)
		return NOT_ALIGNED;
	if (dns_name_eq(identifier, j->author))
		return ALIGNED;
	if (strict)
		return NOT_ALIGNED;
	enum dmarc_walk_state state =
		dmarc_walk_organizational(j->call, j->discovery, j->author, &of_author);
	if (state != DMARC_WALK_DONE)
		return from_state(state);
	/* An organizational domain is a name itself or above it: no need to walk from elsewhere. */
	if (!dns_name_under(identifier, of_author))
		return NOT_ALIGNED;
	state = dmarc_walk_organizational(j->call, j->discovery, identifier, &of_identifier);
	if (state != DMARC_WALK_DONE)
		return from_state(state);
	return dns_name_eq(of_author, of_identifier) ? ALIGNED : NOT_ALIGNED;
}

/* What is known after looking at all identifiers of one mechanism. */
struct tally {
	bool aligned;	/* one passes and is aligned */
	bool undecided; /* one could be, had the DNS answered */
	bool pending;
};

struct dmarc_tallies {
	struct tally spf, dkim, arc;
};

static void count_identifier(
	struct tally *tally, const struct judgement *j, int result, struct str domain, bool strict)
{
	if (result != AUTH_PASS && result != AUTH_TEMPERROR)
		return;
	switch (align(j, domain, strict)) {
	case NOT_ALIGNED:
		return;
	case ALIGNED:
		tally->aligned |= result == AUTH_PASS;
		tally->undecided |= result == AUTH_TEMPERROR;
		return;
	case ALIGNMENT_UNKNOWN:
		tally->undecided = true;
		return;
	case ALIGNMENT_PENDING:
		tally->pending = true;
		return;
	}
}

static struct tally tally_spf(const struct judgement *j)
{
	const struct auth_spf *spf = j->call->auth->spf;
	struct tally tally = { false, false, false };

	if (spf)
		count_identifier(&tally, j, spf->result, spf->domain, j->policy.record.strict_spf);
	return tally;
}

static struct tally tally_dkim(const struct judgement *j)
{
	const struct auth_dkim_list *dkim = j->call->auth->dkim;
	struct tally tally = { false, false, false };

	for (size_t i = 0; dkim && i < dkim->n; i++)
		count_identifier(&tally, j, dkim->v[i].result, dkim->v[i].domain,
			j->policy.record.strict_dkim);
	return tally;
}

/* Did a trusted sealer see the message pass, by what would be aligned here? */
static struct tally tally_arc(const struct judgement *j)
{
	const struct auth_arc *arc = j->call->auth->arc;
	struct tally tally = { false, false, false };

	if (!arc || arc->result != AUTH_PASS)
		return tally;
	tally.aligned = arc->saw_dmarc &&
		(arc->saw_dmarc_from.n == 0 || dns_name_eq(arc->saw_dmarc_from, j->author));
	for (size_t i = 0; i < arc->saw_dkim.n && !tally.aligned; i++)
		count_identifier(&tally, j, AUTH_PASS, arc->saw_dkim.v[i],
			j->policy.record.strict_dkim);
	return tally;
}

/*
 * Does the author's domain exist (3.2.13, in the sense of RFC 8020)? Asked only
 * where np differs from what holds else. If _dmarc under it has an answer, it does.
 */
static enum dmarc_walk_state author_exists(const struct judgement *j, bool *exists_r)
{
	const struct dns_answer *answer;
	struct str below = arena_printf(j->call->arena, "_dmarc.%.*s", STR_ARG(j->author));

	*exists_r = true;
	if (ask_dns(j->call, DNS_TXT, below, &answer) && answer->rcode == DNS_NOERROR)
		return DMARC_WALK_DONE;
	if (!ask_dns(j->call, DNS_A, j->author, &answer))
		return DMARC_WALK_PENDING;
	*exists_r = answer->rcode != DNS_NXDOMAIN;
	return DMARC_WALK_DONE;
}

/* The policy that holds for this author (4.10.1), before t= is applied. */
static enum dmarc_walk_state choose_policy(const struct judgement *j, int *policy_r)
{
	const struct dmarc_record *r = &j->policy.record;
	bool exists = true;

	*policy_r = r->p;
	if (dns_name_eq(j->policy.domain, j->author))
		return DMARC_WALK_DONE;
	int existing = r->sp == DMARC_ABSENT ? r->p : r->sp;
	int missing = r->np == DMARC_ABSENT ? existing : r->np;
	if (existing != missing && author_exists(j, &exists) == DMARC_WALK_PENDING)
		return DMARC_WALK_PENDING;
	*policy_r = exists ? existing : missing;
	return DMARC_WALK_DONE;
}

static struct auth_dmarc *new_slot(struct filter_call *call, struct str author)
{
	const struct dmarc_conf *conf = call->conf;
	struct auth_dmarc *d = ARENA_NEW(call->arena, struct auth_dmarc);

	d->author_domain = author;
	d->discovery = conf->discovery;
	d->policy = d->published_p = d->published_sp = d->published_np = DMARC_ABSENT;
	/* What holds if answers that are asked for now never come. */
	d->result = AUTH_TEMPERROR;
	call->auth->dmarc = d;
	return d;
}

static void fill_published(struct auth_dmarc *d, const struct dmarc_policy_found *policy)
{
	const struct dmarc_record *r = &policy->record;

	d->policy_domain = policy->domain;
	d->rua = str_sub(r->rua, 0, LIMIT_DMARC_RUA);
	d->fo = r->fo;
	d->published_p = r->p;
	d->published_sp = r->sp;
	d->published_np = r->np;
	d->adkim = r->strict_dkim ? STR("s") : STR("r");
	d->aspf = r->strict_spf ? STR("s") : STR("r");
	d->testing = r->testing;
}

/* t=y: one level lower (4.7). */
static void apply_testing(struct auth_dmarc *d)
{
	if (!d->testing || d->policy == DMARC_NONE)
		return;
	d->policy = d->policy == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
	if (d->result == AUTH_FAIL)
		d->override = STR("policy_test_mode");
}

/* RFC 9990 2.1.6, RFC 8617 7.2.2: the policy does not hold here, and who said so. */
static void apply_trust(struct filter_call *call, struct auth_dmarc *d)
{
	const struct str_list *sealers = &call->auth->arc->sealers;
	struct str comment = STR("arc=pass");

	for (size_t i = 0; i < sealers->n; i++)
		comment = arena_printf(call->arena, "%.*s as[%zu].d=%.*s", STR_ARG(comment),
			sealers->n - i, STR_ARG(sealers->v[i]));
	d->override = STR("trusted_forwarder");
	d->comment = comment;
	d->disposition = DISPOSITION_NONE;
	report(call, "DMARC_FORWARDED", "The message fails DMARC for %.*s, but %.*s, which is trusted, "
		"saw it pass.", STR_ARG(d->author_domain), STR_ARG(sealers->v[0]));
}

static void report_failure(struct filter_call *call, const struct auth_dmarc *d)
{
	static const char *const names[] = {
		[DMARC_NONE] = "DMARC_NONE_FAIL",
		[DMARC_QUARANTINE] = "DMARC_QUARANTINE",
		[DMARC_REJECT] = "DMARC_REJECT",
	};
	static const char *const wishes[] = {
		[DMARC_NONE] = "asks for nothing",
		[DMARC_QUARANTINE] = "asks to quarantine such mail",
		[DMARC_REJECT] = "asks to refuse such mail",
	};

	report(call, names[d->policy], "The message fails DMARC for %.*s, and %.*s %s.",
		STR_ARG(d->author_domain), STR_ARG(d->policy_domain), wishes[d->policy]);
}

static enum step conclude(struct filter_call *call, struct auth_dmarc *d,
	const struct dmarc_tallies *t)
{
	static const int dispositions[] = {
		[DMARC_NONE] = DISPOSITION_NONE,
		[DMARC_QUARANTINE] = DISPOSITION_QUARANTINE,
		[DMARC_REJECT] = DISPOSITION_REJECT,
	};

	d->spf_aligned = t->spf.aligned;
	d->dkim_aligned = t->dkim.aligned;
	if (t->spf.aligned || t->dkim.aligned)
		d->result = AUTH_PASS;
	else if (t->spf.undecided || t->dkim.undecided)
		return filter_fail(call, "DMARC of %.*s cannot be decided: the DNS did not answer",
			STR_ARG(d->author_domain));
	else
		d->result = AUTH_FAIL;
	apply_testing(d);
	if (d->result == AUTH_PASS) {
		/* RFC 9990: pass is said of an enforcing policy only. */
		d->disposition = d->policy == DMARC_NONE ? DISPOSITION_NONE : DISPOSITION_PASS;
		report(call, "DMARC_PASS", "%.*s vouches for the message by %s.",
			STR_ARG(d->author_domain), t->dkim.aligned ? "DKIM" : "SPF");
		return STEP_DONE;
	}
	if (t->arc.aligned && d->policy != DMARC_NONE) {
		apply_trust(call, d);
		return STEP_DONE;
	}
	d->disposition = dispositions[d->policy];
	report_failure(call, d);
	return STEP_DONE;
}

static enum step judge(struct judgement *j, struct auth_dmarc *d)
{
	enum dmarc_walk_state state =
		dmarc_walk_policy(j->call, j->discovery, j->author, &j->policy);

	if (state == DMARC_WALK_PENDING)
		return STEP_WAIT;
	if (state == DMARC_WALK_ERROR)
		return filter_fail(
			j->call, "the DMARC policy of %.*s cannot be fetched", STR_ARG(j->author));
	if (!j->policy.found || !dmarc_record_applies(&j->policy.record)) {
		d->result = AUTH_NONE;
		report(j->call, "DMARC_NONE", "%.*s has no DMARC policy.", STR_ARG(j->author));
		return STEP_DONE;
	}
	fill_published(d, &j->policy);
	state = choose_policy(j, &d->policy);
	struct dmarc_tallies t = { tally_spf(j), tally_dkim(j), tally_arc(j) };
	if (state == DMARC_WALK_PENDING || t.spf.pending || t.dkim.pending || t.arc.pending)
		return STEP_WAIT;
	return conclude(j->call, d, &t);
}

static enum step dmarc_run(struct filter_call *call)
{
	const struct dmarc_conf *conf = call->conf;

	if (!call->mail)
		return STEP_DONE;
	struct judgement j = {
		.call = call,
		.discovery = (enum dmarc_discovery)conf->discovery,
		.author = author_domain(call),
	};
	struct auth_dmarc *d = new_slot(call, j.author);
	if (j.author.n == 0) {
		d->result = AUTH_PERMERROR;
		report(call, "DMARC_NO_AUTHOR", NULL);
		return STEP_DONE;
	}
	return judge(&j, d);
}

static const char *const dmarc_after[] = { "spf", "dkim", "arc", NULL };

const struct filter filter_dmarc = {
	.name = "dmarc",
	.summary = "does the author's domain vouch for the message (RFC 9989)",
	.stages = STAGE_MESSAGE,
	.after = dmarc_after,
	.findings = dmarc_findings,
	.options = dmarc_options,
	.conf_size = sizeof(struct dmarc_conf),
	/* More than SPF and DKIM may wait: a sender whose own DNS is slow gains nothing by it. */
	.default_timeout = "40s",
	.authenticates = true,
	.has_reserve = true,
	.start = dmarc_start,
	.run = dmarc_run,
};
