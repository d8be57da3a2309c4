/*
 * RCPT (RFC 5321 4.1.1.3).
 *
 * The RCPTs of one pipelined batch are gathered and then decided together: by what can be
 * seen at once, by the RCPT stage and by the mailbox server, one after the other, each with one
 * round trip for all. Their replies go out in the order in which they were asked.
 */
#include "gateway/front/session.h"

#include "core/limits.h"
#include "gateway/front/callout.h"
#include "gateway/front/judgement.h"

enum { RATE_WINDOW_S = 60 };

bool cmd_rcpt_is_pending(const struct session *s)
{
	return s->transaction && s->transaction->batch_count > 0 && !s->waiting;
}

/* Same mailbox servers, same way to them, same policy: one message can serve both. */
static bool same_route(const struct config_domain *a, const struct config_domain *b)
{
	return a == b || (config_same_backends(a, b) && a->backend_tls == b->backend_tls &&
				 a->policy_class == b->policy_class && a->arc_seal == b->arc_seal);
}

/*
 * "user%elsewhere.example@ours" and its like: a mailbox server that trusts us, as most do, sends it on to
 * user@elsewhere.example (Postfix's percent hack and bang paths), and we would be the stranger's way out.
 */
static bool holds_route(const struct command_path *path)
{
	return str_chr(path->local, '%') < path->local.n || str_chr(path->local, '!') < path->local.n ||
	       str_chr(path->local, '@') < path->local.n;
}

/* NULL, or the line that refuses: what needs nobody else's word. */
static const char *check(struct session *s, const struct candidate *candidate)
{
	const struct config_domain *domain = candidate->domain;
	struct transaction *t = s->transaction;
	const struct config_limits *limits = &s->front->config->limits;

	if (t->accepted + t->batch_count >= (size_t)limits->recipients)
		return "452 4.5.3 Too many recipients, send to the others separately";
	if (!domain)
		return "550 5.7.1 No mail for this domain is taken here";
	/* One reply must do for all behind the dot: so all go one way. */
	if (t->route && (t->lesson != candidate->lesson || !same_route(t->route, domain)))
		return "452 4.5.3 Another destination: send to this recipient separately";
	if (limits->recipient_rate > 0 && (s->facts.account.n || !session_is_known(s)) &&
		shared_rate(s->front->shared, session_rate_key(s) ^ 2, 1, RATE_WINDOW_S,
			front_time(s->front)) > limits->recipient_rate)
		return "450 4.7.1 Too many recipients from your address, try again later";
	return NULL;
}

void cmd_rcpt(struct session *s, const struct command *cmd)
{
	struct transaction *t = s->transaction;
	const struct config *config = s->front->config;
	struct candidate *candidate;
	const char *refusal;

	if (!t || t->in_chunks) {
		session_line(s, t ? "503 5.5.1 The message has begun" : "503 5.5.1 MAIL first");
		return;
	}
	if (t->batch_count == t->batch_cap) {
		size_t cap = t->batch_cap ? 2 * t->batch_cap : 8;

		t->batch = arena_grow(t->arena, t->batch, t->batch_count, cap, sizeof(*t->batch));
		t->batch_cap = cap;
	}
	candidate = &t->batch[t->batch_count];
	*candidate = (struct candidate){ .address = arena_dup(t->arena, cmd->path.address) };
	if (cmd->path.domain.n) {
		candidate->domain = config_find_domain(config, cmd->path.domain);
	} else {
		/* RFC 5321 4.5.1: <postmaster> alone is whoever runs this. */
		candidate->domain = &config->domains[0];
		candidate->address = arena_printf(t->arena, "postmaster@%s",
			candidate->domain->name);
	}
	if (t->facts.outbound)
		candidate->domain = &config->outbound.route;
	candidate->lesson = lesson_label(&config->learn, candidate->address);
	refusal = check(s, candidate);
	if (!refusal && !t->facts.outbound && holds_route(&cmd->path))
		refusal = "550 5.7.1 No routes are followed: the name before the @ holds one of % ! @";
	if (refusal) {
		answer_parse(&candidate->answer, t->arena, str_c(refusal), "");
	} else if (!t->route) {
		t->route = candidate->domain;
		t->lesson = candidate->lesson;
	}
	t->batch_count++;
	/* So long a batch is decided in pieces. */
	if (t->batch_count >= LIMIT_RECIPIENTS)
		cmd_rcpt_decide(s);
}

static bool is_accepted(const struct transaction *t, struct str address)
{
	for (size_t i = 0; i < t->accepted; i++)
		if (str_eq(t->facts.rcpt_to.v[i], address))
			return true;
	return false;
}

static void reply_all(struct session *s)
{
	struct transaction *t = s->transaction;
	size_t count = t->batch_count;

	t->batch_count = 0;
	t->facts.rcpt_to.n = t->accepted;
	for (size_t i = 0; i < count; i++) {
		struct candidate *c = &t->batch[i];

		if (!c->answer.code)
			answer_set(&c->answer, t->arena, 250, "2.1.5", STR("Ok"));
		session_answer(s, &c->answer);
		if (c->answer.code < 300) {
			if (!is_accepted(t, c->address))
				transaction_accept(t, c->address);
			continue;
		}
		t->refused++;
		shared_add(s->front->shared, SHARED_RECIPIENTS_REFUSED, 1);
		/* RFC 5321 says nothing of harvesting; who guesses has guessed enough. */
		if (c->answer.code >= 500 && !session_is_known(s) &&
			++s->bad_recipients > LIMIT_BAD_RECIPIENTS)
			session_dismiss(s, "421 4.7.0 Too many invalid recipients");
		else if (t->refused > LIMIT_REFUSED_RECIPIENTS)
			session_dismiss(s, "421 4.7.0 Too many recipients");
		if (s->closing)
			break;
	}
	if (!t->accepted)
		t->route = NULL; /* none of them counts: the next one chooses */
	session_go_on(s);
}

static void on_called_out(void *context)
{
	struct session *s = context;

	s->transaction->callout = NULL;
	reply_all(s);
}

static void call_out(struct session *s)
{
	struct transaction *t = s->transaction;
	struct callout_order order = { .domain = t->route, .mail_from = t->facts.mail_from,
		.size = t->declared_size, .eight_bit = t->eight_bit, .candidates = t->batch,
		.count = t->batch_count, .arena = t->arena, .done = on_called_out, .context = s };
	size_t open = 0;

	for (size_t i = 0; i < t->batch_count; i++)
		open += !t->batch[i].answer.code;
	/* Lessons go to no mailbox server. */
	if (open && t->route && !t->lesson && t->route->verify_recipients)
		t->callout = callout_start(s->front, &order);
	if (!t->callout)
		reply_all(s);
}

static void apply(struct transaction *t, struct candidate *c, const struct verdict *v)
{
	for (size_t i = 0; i < v->recipients.n; i++) {
		const struct recipient_verdict *r = &v->recipients.v[i];

		if (!str_eq(r->address, c->address) || r->action < ACTION_REJECT)
			continue;
		answer_parse(&c->answer, t->arena, r->reply.n ? r->reply : v->reply,
			r->action == ACTION_REJECT ? "550 5.7.1 Refused" :
						     "451 4.7.1 Try again later");
		return;
	}
}

static void on_judged(void *context, enum judgement_end end, struct verdict *verdict)
{
	struct session *s = context;
	struct transaction *t = s->transaction;

	t->judgement = NULL;
	for (size_t i = 0; i < t->batch_count; i++) {
		if (t->batch[i].answer.code)
			continue;
		if (end == JUDGEMENT_VERDICT)
			apply(t, &t->batch[i], verdict);
		else
			answer_parse(&t->batch[i].answer, t->arena,
				STR("451 4.3.0 Cannot be judged now, try again later"), "");
	}
	call_out(s);
}

/* The facts name the accepted ones and those of the batch that are still open. */
static size_t add_candidates(struct transaction *t)
{
	size_t n = t->accepted;

	t->facts.rcpt_to.v = arena_grow(t->arena, t->facts.rcpt_to.v, n, n + t->batch_count,
		sizeof(struct str));
	t->rcpt_cap = n + t->batch_count;
	for (size_t i = 0; i < t->batch_count; i++)
		if (!t->batch[i].answer.code)
			t->facts.rcpt_to.v[n++] = t->batch[i].address;
	t->facts.rcpt_to.n = n;
	return n - t->accepted;
}

void cmd_rcpt_decide(struct session *s)
{
	struct transaction *t = s->transaction;
	struct judgement_order order = { .facts = &t->facts, .arena = t->arena,
		.stage = STAGE_RCPT, .message_fd = -1, .done = on_judged, .context = s };

	session_wait(s);
	if (!(session_stages(s) & STAGE_RCPT) || !add_candidates(t)) {
		call_out(s);
		return;
	}
	t->judgement = judgement_start(s->front, &order);
}
