#include "rules/verdict.h"

#include <math.h>

#include "core/json.h"

#define REPLY_TEXT_CAP	  400 /* with code and CRLF within RFC 5321 4.5.3.1.5's 512 octets */
#define REASON_FINDINGS	  5   /* that a sentence about a score names */

/* What one rule, or in the end all of them, wants for one recipient. */
struct decision {
	int action;
	struct str reason; /* for the postmaster */
	struct str told;   /* for the sender, behind the codes; empty: the reason */
	const char *code;  /* enhanced, of a refusal; NULL: 5.7.1 */
	int dmarc;	   /* enum dmarc_disposition: DMARC's own share in it */
	bool softened;	   /* p=reject was not followed for want of a second signal */
	bool foreign;	   /* not a recipient of ours: refused at RCPT whatever the message is */
};

struct decider {
	const struct verdict_input *in;
	const struct verdict *v;
	struct arena *arena;
};

/* The most severe wish wins; among equals the first, so the order of the rules is that of reasons. */
static void want(struct decision *d, int action, struct str reason, struct str told,
	const char *code)
{
	if (action <= d->action)
		return;
	d->action = action;
	d->reason = reason;
	d->told = told;
	d->code = code;
}

/* Scores are sums of tenths: what binary fractions leave over must not decide. */
static double rounded(double score)
{
	return round(score * 1000) / 1000;
}

/* 9.3, 8.0, -0.25 */
static struct str score_text(struct arena *arena, double score)
{
	bool tenths = fabs(score * 10 - round(score * 10)) < 1e-6;

	return arena_printf(arena, tenths ? "%.1f" : "%.2f", score);
}

const struct policy *verdict_policy(const struct verdict_input *in, struct str recipient)
{
	if (in->facts->outbound)
		return &policy_outbound(in->policies)->policy;
	return policy_for(in->policies, recipient);
}

/* ------------------------------------------------------ rules, in their order */

static void decide_domain(const struct decider *c, struct str recipient, struct decision *d)
{
	size_t at = str_rchr(recipient, '@');
	struct str domain = str_skip(recipient, at + 1);

	/* RFC 5321 4.5.1: <postmaster> without a domain is always ours. */
	if (at == recipient.n && str_ieq_c(recipient, "postmaster"))
		return;
	if (policy_knows_domain(c->in->policies, domain))
		return;
	d->foreign = true;
	want(d, ACTION_REJECT,
		arena_printf(c->arena, "There is no domain section for \"%.*s\", so its mail is not "
			"accepted here.", STR_ARG(domain)),
		STR("relaying denied: this server does not accept mail for that domain"), "5.7.1");
}

static void decide_failures(const struct decider *c, struct decision *d)
{
	for (size_t i = 0; i < c->in->failure_count; i++) {
		const struct filter_failure *f = &c->in->failures[i];

		want(d, f->action,
			arena_printf(c->arena, "The filter %.*s could not judge the message, and its "
				"on_error is %s: %.*s.", STR_ARG(f->filter), action_names[f->action],
				STR_ARG(f->reason)),
			STR("a check could not be completed, please try again later"), NULL);
	}
}

/* RFC 7372, RFC 7505, and the classes of RFC 3463, where one says more than 5.7.1. */
static const char *code_for(const struct finding *f)
{
	static const struct {
		const char *finding, *code;
	} codes[] = {
		{ "SPF_FAIL", "5.7.23" },
		{ "DKIM_NONE", "5.7.20" },
		{ "DKIM_FAIL", "5.7.20" },
		{ "HEADERS_NULL_MX", "5.7.27" },
		{ "IPREV_FAIL", "5.7.25" },
		{ "HEADERS_TOO_MANY_HOPS", "5.4.6" },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (str_eq_c(f->name, codes[i].finding))
			return codes[i].code;
	return "5.7.1";
}

static struct str without_stop(struct str s)
{
	s = str_trim(s);
	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

static void decide_findings(const struct decider *c, struct decision *d)
{
	for (size_t i = 0; i < c->v->findings.n; i++) {
		const struct finding *f = &c->v->findings.v[i];

		want(d, f->action,
			arena_printf(c->arena, "%.*s (%.*s).", STR_ARG(without_stop(f->text)),
				STR_ARG(f->name)),
			f->text, code_for(f));
	}
}

static void decide_virus(const struct decider *c, const struct policy *p, struct decision *d)
{
	const struct facts_scan *scan = c->in->facts->scan;

	if (c->v->virus.n)
		want(d, p->virus,
			arena_printf(c->arena, "The message carries a virus: %.*s.",
				STR_ARG(c->v->virus)),
			arena_printf(c->arena, "message contains malware (%.*s)",
				STR_ARG(c->v->virus)),
			NULL);
	else if (scan && scan->result == SCAN_UNSCANNABLE)
		want(d, p->unscannable,
			arena_printf(c->arena, "The virus scanner could not look into all of the "
				"message: %.*s.", STR_ARG(without_stop(scan->reason))),
			STR("message could not be scanned for malware"), NULL);
}

/* Its own findings aside, does anything else speak against the message (RFC 9989 8)? */
static bool has_second_signal(const struct decider *c, const struct policy *p)
{
	double others = 0;

	if (c->v->virus.n)
		return true;
	for (size_t i = 0; i < c->v->findings.n; i++) {
		const struct finding *f = &c->v->findings.v[i];

		if (str_eq_c(f->filter, "dmarc"))
			continue;
		others += f->score;
		if (f->score > 0 && (str_eq_c(f->filter, "dnsbl") ||
			str_ifind(f->name, STR("PHISH")) < f->name.n))
			return true;
	}
	return rounded(others) >= p->tag_score;
}

/* RFC 9990 reason types that say why the policy does not hold here; testing lowers it instead. */
static bool is_cancelled(struct str override)
{
	return override.n && !str_eq_c(override, "policy_test_mode");
}

static void decide_dmarc(const struct decider *c, const struct policy *p, struct decision *d)
{
	const struct auth_dmarc *dmarc = c->v->auth.dmarc;
	struct str domain, author;

	if (!dmarc || dmarc->result != AUTH_FAIL || is_cancelled(dmarc->override))
		return;
	if (p->dmarc == DMARC_MODE_OFF ||
		(dmarc->policy != DMARC_QUARANTINE && dmarc->policy != DMARC_REJECT))
		return;
	domain = dmarc->policy_domain.n ? dmarc->policy_domain : dmarc->author_domain;
	author = dmarc->author_domain.n ? dmarc->author_domain : domain;
	if (dmarc->policy == DMARC_REJECT &&
		(p->dmarc == DMARC_MODE_STRICT || has_second_signal(c, p))) {
		d->dmarc = DISPOSITION_REJECT;
		want(d, ACTION_REJECT,
			arena_printf(c->arena, "The message fails DMARC, and %.*s asks for such mail "
				"to be refused%s.", STR_ARG(domain), p->dmarc == DMARC_MODE_STRICT ?
				"" : "; other signs speak against it too"),
			arena_printf(c->arena, "rejected per DMARC policy for %.*s", STR_ARG(author)),
			NULL);
		return;
	}
	d->dmarc = DISPOSITION_QUARANTINE;
	d->softened = dmarc->policy == DMARC_REJECT;
	want(d, ACTION_QUARANTINE,
		d->softened ? arena_printf(c->arena, "The message fails DMARC, and %.*s asks for such "
			"mail to be refused; it is held instead, since nothing else speaks against it.",
			STR_ARG(domain)) :
			arena_printf(c->arena, "The message fails DMARC, and %.*s asks for such mail to "
			"be quarantined.", STR_ARG(domain)),
		STR(""), NULL);
}

static int compare_scores(const void *a, const void *b)
{
	const struct finding *x = *(const struct finding *const *)a;
	const struct finding *y = *(const struct finding *const *)b;

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return str_cmp(x->name, y->name);
}

/* ": SPF_FAIL 3.0, BAYES_99 2.5 and 3 more", or nothing: what brought the score up. */
static struct str contributors(const struct decider *c)
{
	const struct finding **by_score =
		ARENA_ARRAY(c->arena, c->v->findings.n + 1, const struct finding *);
	struct buf b = BUF_INIT;
	struct str text;
	size_t n = 0;

	for (size_t i = 0; i < c->v->findings.n; i++)
		if (c->v->findings.v[i].score > 0)
			by_score[n++] = &c->v->findings.v[i];
	if (n)
		qsort(by_score, n, sizeof(*by_score), compare_scores);
	for (size_t i = 0; i < n && i < REASON_FINDINGS; i++)
		buf_printf(&b, "%s%.*s %.*s", i ? ", " : ": ", STR_ARG(by_score[i]->name),
			STR_ARG(score_text(c->arena, by_score[i]->score)));
	if (n > REASON_FINDINGS)
		buf_printf(&b, " and %zu more", n - REASON_FINDINGS);
	text = arena_dup(c->arena, buf_str(&b));
	buf_free(&b);
	return text;
}

static void decide_score(const struct decider *c, const struct policy *p, struct decision *d)
{
	const struct {
		int action;
		double threshold;
		const char *name;
	} steps[] = {
		{ ACTION_REJECT, p->reject_score, "reject" },
		{ ACTION_QUARANTINE, p->quarantine_score, "quarantine" },
		{ ACTION_TAG, p->tag_score, "tag" },
	};
	struct str score = score_text(c->arena, c->v->score);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (c->v->score < steps[i].threshold)
			continue;
		want(d, steps[i].action,
			arena_printf(c->arena, "Score %.*s %s the %s threshold %g%.*s.",
				STR_ARG(score), c->v->score > steps[i].threshold ? "is over" : "reaches",
				steps[i].name, steps[i].threshold, STR_ARG(contributors(c))),
			arena_printf(c->arena, "message looks like spam (score %.*s)", STR_ARG(score)),
			NULL);
		return;
	}
	/* The mildest that can be reached at all. */
	size_t mildest = p->tag_score < POLICY_NEVER ? 2 : p->quarantine_score < POLICY_NEVER ? 1 : 0;
	if (d->action == ACTION_FORWARD)
		d->reason = arena_printf(c->arena, "Score %.*s is below the %s threshold %g.",
			STR_ARG(score), steps[mildest].name, steps[mildest].threshold);
}

/* recipient: empty for the session as such, before any is known. */
static struct decision decide(const struct decider *c, struct str recipient)
{
	const struct policy *p = verdict_policy(c->in, recipient);
	struct decision d = { .action = ACTION_FORWARD };

	if (recipient.n && !c->in->facts->outbound)
		decide_domain(c, recipient, &d);
	decide_failures(c, &d);
	decide_findings(c, &d);
	if (c->in->stage == STAGE_MESSAGE) {
		decide_virus(c, p, &d);
		decide_dmarc(c, p, &d);
		decide_score(c, p, &d);
	} else if (d.action < ACTION_REJECT) {
		/* Before the message only a refusal can be acted on; the rest is found again then. */
		d = (struct decision){ .reason = STR("Nothing speaks against it so far.") };
	}
	return d;
}

/* ------------------------------------------------------- what the sender hears */

static struct str reply_for(const struct decider *c, const struct decision *d)
{
	struct str id = c->in->facts->transaction_id.n ? c->in->facts->transaction_id :
		c->in->facts->session_id;
	struct str told = without_stop(d->told.n ? d->told : d->reason);
	struct buf b = BUF_INIT;
	struct str reply;

	switch (d->action) {
	case ACTION_TEMPFAIL:
		buf_c(&b, "451 4.7.1 ");
		break;
	case ACTION_REJECT:
		buf_printf(&b, "550 %s ", d->code ? d->code : "5.7.1");
		break;
	default:
		told = STR("OK");
		buf_c(&b, "250 2.0.0 ");
	}
	text_safe(&b, told, REPLY_TEXT_CAP);
	if (id.n) {
		buf_c(&b, " [");
		text_safe(&b, id, 64);
		buf_char(&b, ']');
	}
	/* A reply is ASCII unless SMTPUTF8 was spoken (RFC 6531 3.7.4.2), which it never is here. */
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] > '~')
			b.p[i] = '?';
	reply = arena_dup(c->arena, buf_str(&b));
	buf_free(&b);
	return reply;
}

/* ----------------------------------------------------------------- all of them */

static bool any_with(const struct decision *d, size_t n, int action)
{
	for (size_t i = 0; i < n; i++)
		if (!d[i].foreign && d[i].action == action)
			return true;
	return false;
}

static bool all_with(const struct decision *d, size_t n, int action)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (d[i].foreign)
			continue;
		if (d[i].action != action)
			return false;
		any = true;
	}
	return any;
}

/*
 * One reply answers for all recipients, and it cannot say "some" (RFC 5321 4.2.5): so a later try
 * for one is one for all, and a refusal of some becomes quarantine. What is not ours is refused at
 * RCPT, which has replies of its own, and takes no part.
 */
static void reconcile(const struct decider *c, struct decision *d, size_t n)
{
	if (any_with(d, n, ACTION_TEMPFAIL)) {
		for (size_t i = 0; i < n; i++) {
			if (d[i].foreign || d[i].action == ACTION_TEMPFAIL)
				continue;
			d[i].action = ACTION_TEMPFAIL;
			d[i].reason = STR("Another recipient of the same message has to be tried "
				"again later, and one reply answers for all.");
			d[i].told = STR("please try again later");
		}
	} else if (any_with(d, n, ACTION_REJECT) && !all_with(d, n, ACTION_REJECT)) {
		for (size_t i = 0; i < n; i++) {
			if (d[i].foreign || d[i].action != ACTION_REJECT)
				continue;
			d[i].action = ACTION_QUARANTINE;
			if (d[i].dmarc == DISPOSITION_REJECT)
				d[i].dmarc = DISPOSITION_QUARANTINE;
			d[i].reason = arena_printf(c->arena, "%.*s It is held rather than refused, "
				"because other recipients of the message are not refused.",
				STR_ARG(d[i].reason));
		}
	}
}

/* The one whose action the sender is told: the mildest, since all agree otherwise. */
static const struct decision *leading(const struct decision *d, size_t n)
{
	const struct decision *lead = NULL;

	for (size_t i = 0; i < n; i++)
		if (!d[i].foreign && (!lead || d[i].action < lead->action))
			lead = &d[i];
	return lead ? lead : &d[0];
}

/* Aggregate reports tell what was done about DMARC, and why if it was less than asked (RFC 9990). */
static void settle_dmarc(const struct decider *c, const struct decision *d, size_t n,
	struct verdict *v)
{
	struct auth_dmarc *dmarc;
	bool softened = false;

	if (!v->auth.dmarc || v->auth.dmarc->result != AUTH_FAIL || c->in->stage != STAGE_MESSAGE)
		return;
	dmarc = ARENA_NEW(c->arena, struct auth_dmarc);
	*dmarc = *v->auth.dmarc;
	dmarc->disposition = DISPOSITION_NONE;
	for (size_t i = 0; i < n; i++) {
		if (d[i].dmarc > dmarc->disposition)
			dmarc->disposition = d[i].dmarc;
		softened |= d[i].softened;
	}
	if (softened && dmarc->disposition < DISPOSITION_REJECT && !dmarc->override.n) {
		dmarc->override = STR("local_policy");
		dmarc->comment = STR("held rather than refused: no second sign of abuse");
	}
	v->auth.dmarc = dmarc;
}

void verdict_decide(const struct verdict_input *in, struct arena *arena, struct verdict *v)
{
	const struct decider c = { in, v, arena };
	size_t n = in->facts->rcpt_to.n;
	struct decision *d = ARENA_ARRAY(arena, n + 1, struct decision);
	const struct decision *lead;

	v->score = 0;
	for (size_t i = 0; i < v->findings.n; i++)
		v->score += v->findings.v[i].score;
	v->score = rounded(v->score);
	v->required = verdict_policy(in, n ? in->facts->rcpt_to.v[0] : STR(""))->reject_score;

	for (size_t i = 0; i < n; i++)
		d[i] = decide(&c, in->facts->rcpt_to.v[i]);
	if (!n)
		d[0] = decide(&c, STR(""));
	/* At RCPT each recipient has its own reply. */
	if (in->stage == STAGE_MESSAGE)
		reconcile(&c, d, n);

	v->recipients.v = ARENA_ARRAY(arena, n + 1, struct recipient_verdict);
	v->recipients.n = n;
	for (size_t i = 0; i < n; i++)
		v->recipients.v[i] = (struct recipient_verdict){
			.address = in->facts->rcpt_to.v[i],
			.action = d[i].action,
			.reason = d[i].reason,
			.reply = reply_for(&c, &d[i]),
		};
	lead = leading(d, n ? n : 1);
	v->action = lead->action;
	v->reason = lead->reason;
	v->reply = reply_for(&c, lead);
	settle_dmarc(&c, d, n ? n : 1, v);
}
