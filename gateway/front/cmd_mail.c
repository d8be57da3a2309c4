/* MAIL (RFC 5321 4.1.1.2). */
#include "gateway/front/session.h"

#include "core/limits.h"
#include "gateway/front/ahead.h"
#include "gateway/front/judgement.h"
#include "gateway/front/upstream.h"

enum { RATE_WINDOW_S = 60 };

static void refuse(struct session *s, const struct answer *answer)
{
	session_answer(s, answer);
	session_end_transaction(s);
	session_go_on(s);
}

static void accept_sender(struct session *s)
{
	session_line(s, "250 2.1.0 Ok");
	session_go_on(s);
}

static void on_judged(void *context, enum judgement_end end, struct verdict *verdict)
{
	struct session *s = context;
	struct transaction *t = s->transaction;
	struct answer answer = { 0 };

	t->judgement = NULL;
	if (end != JUDGEMENT_VERDICT)
		answer_parse(&answer, t->arena,
			STR("451 4.3.0 Cannot be judged now, try again later"), "");
	else if (verdict->action >= ACTION_REJECT)
		answer_parse(&answer, t->arena, verdict->reply, verdict->action == ACTION_REJECT ?
			"550 5.7.1 Refused" : "451 4.7.1 Try again later");
	if (answer.code)
		refuse(s, &answer);
	else
		accept_sender(s);
}

static void judge(struct session *s)
{
	struct transaction *t = s->transaction;
	struct judgement_order order = { .facts = &t->facts, .arena = t->arena,
		.stage = STAGE_MAIL, .message_fd = -1, .done = on_judged, .context = s };

	/* What the CONNECT stage has learnt meanwhile. */
	t->facts.dns = s->facts.dns;
	t->facts.counters = s->facts.counters;
	t->facts.without = s->facts.without;
	if (s->refusal.code) {
		refuse(s, &s->refusal);
		return;
	}
	ahead_ask(t);
	if (!(session_stages(s) & STAGE_MAIL)) {
		accept_sender(s);
		return;
	}
	t->judgement = judgement_start(s->front, &order);
}

/* An account sends as itself, or as far as From may differ from it. */
static bool may_send_as(const struct session *s, const struct command_path *sender)
{
	const struct config *config = s->front->config;
	struct str account = s->facts.account;
	size_t at = str_rchr(account, '@');

	switch (config->outbound.policy.from) {
	case POLICY_FROM_ADDRESS:
		if (!str_ieq(command_local_unquoted(s->arena, sender), str_sub(account, 0, at)))
			return false;
		/* fall through */
	case POLICY_FROM_DOMAIN:
		return config_find_domain(config, sender->domain) ==
		       config_find_domain(config, str_skip(account, at + 1));
	default:
		return true;
	}
}

/* May this client send anything from here to anywhere, and under this name? */
static const char *check_outbound(const struct session *s, const struct command *cmd)
{
	bool known = session_is_known(s);

	if (!known && s->listener->config->accounts)
		return s->facts.tls ? "530 5.7.0 Authentication required: say AUTH first" :
				      "530 5.7.0 Authentication required: say STARTTLS, then AUTH";
	if (!known)
		return "550 5.7.1 Mail is sent from here for our own servers only: its postmaster can "
		       "add your address to outbound_from";
	if (cmd->path.address.n && !config_find_domain(s->front->config, cmd->path.domain))
		return "553 5.7.1 The sender is in no domain of ours: send under an address of ours, "
		       "or ask the postmaster for a domain section";
	if (cmd->path.address.n && s->facts.account.n && !may_send_as(s, &cmd->path))
		return "553 5.7.1 The sender is another one than the account: send as yourself, or ask the "
		       "postmaster to widen outbound { from }";
	return NULL;
}

/* NULL, or the line that refuses. */
static const char *check(struct session *s, const struct command *cmd)
{
	const struct config_limits *limits = &s->front->config->limits;
	struct front *front = s->front;

	if (!s->greeted)
		return "503 5.5.1 Say EHLO first";
	if (s->transaction)
		return "503 5.5.1 A transaction is under way already";
	/* A newer front knows which accounts there are still. */
	if (front->draining || (front->retiring && s->facts.account.n))
		return "421 4.3.2 Service closing, come back in a moment";
	if (!session_is_known(s) && s->messages >= (unsigned)limits->messages_per_session)
		return "421 4.7.0 Enough messages for one session, open another one";
	if (s->facts.outbound) {
		const char *refusal = check_outbound(s, cmd);

		if (refusal)
			return refusal;
	}
	/* RFC 1870 6.1. */
	if (cmd->size > upstream_size_limit(front->upstream, facts_traffic(&s->facts)))
		return "552 5.3.4 Message too large";
	if (cmd->size > front->ledger.octets_max - front->ledger.octets)
		return "452 4.3.1 No room for this message now, try again later";
	if (limits->message_rate > 0 && (s->facts.account.n || !session_is_known(s)) &&
		shared_rate(front->shared, session_rate_key(s) ^ 1, 1, RATE_WINDOW_S, front_time(front)) >
			limits->message_rate)
		return "450 4.7.1 Too many messages from your address, try again later";
	return NULL;
}

void cmd_mail(struct session *s, const struct command *cmd)
{
	const char *refusal = check(s, cmd);
	struct transaction *t;

	if (refusal) {
		session_line(s, refusal);
		if (str_starts(str_c(refusal), "421"))
			session_close(s);
		return;
	}
	t = s->transaction = transaction_new(s);
	t->facts.mail_from = arena_dup(t->arena, cmd->path.address);
	t->facts.has_mail_from = true;
	t->declared_size = cmd->size;
	t->eight_bit = cmd->body == COMMAND_BODY_8BITMIME;
	session_wait(s);
	session_after_connect(s, judge);
}
