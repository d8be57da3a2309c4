#include "gateway/front/message.h"

#include "core/hash.h"
#include "gateway/front/autolearn.h"
#include "gateway/front/deliver.h"
#include "gateway/front/judgement.h"
#include "gateway/front/poison.h"
#include "gateway/front/session.h"
#include "gateway/front/signing.h"
#include "gateway/front/summary.h"
#include "gateway/front/trace.h"
#include "gateway/log.h"

static void end(struct session *s, const struct summary *summary)
{
	struct transaction *t = s->transaction;

	t->delivered_ms = loop_now_ms(s->front->loop);
	session_answer(s, &summary->answer);
	autolearn_message(t, summary->action);
	summary_write(t, summary);
	session_end_transaction(s);
	session_go_on(s);
}

/* An answer of our own, before anything had an effect. */
static void end_with(struct session *s, const char *line)
{
	struct summary summary = { .action = line[0] == '5' ? ACTION_REJECT : ACTION_TEMPFAIL };

	answer_parse(&summary.answer, s->transaction->arena, str_c(line), "");
	end(s, &summary);
}

static void on_delivered(void *context, const struct delivery_result *result)
{
	struct session *s = context;
	struct summary summary = { .answer = result->answer, .action = result->action,
		.note = result->note, .backend = result->backend, .forwarded = result->forwarded,
		.held = result->held };

	end(s, &summary);
}

/* What killed its inspectors is held for all as what it is; nobody has read it. */
static struct verdict *unscannable(struct transaction *t)
{
	struct verdict *v = ARENA_NEW(t->arena, struct verdict);
	char *hash = arena_alloc(t->arena, 65);

	hash_sha256_hex(t->body.content, hash);
	v->record.content_hash = str_c(hash);
	v->action = ACTION_QUARANTINE;
	v->reason = STR("unscannable: taking it apart ended two inspectors");
	v->recipients.v = arena_array(t->arena, t->accepted, sizeof(v->recipients.v[0]));
	v->recipients.n = t->accepted;
	for (size_t i = 0; i < t->accepted; i++) {
		v->recipients.v[i].address = t->facts.rcpt_to.v[i];
		v->recipients.v[i].action = ACTION_QUARANTINE;
		v->recipients.v[i].reason = v->reason;
	}
	return v;
}

static void not_signed(struct session *s)
{
	end_with(s, "451 4.3.0 The message cannot be signed now, try again later");
}

/* Without its DKIM signatures others may refuse it: so far nothing has happened, and there is another
 * try. A seal is a courtesy: it goes without. */
static void on_signed(void *context, bool is_complete, struct str lines)
{
	struct session *s = context;
	struct transaction *t = s->transaction;

	t->signing = NULL;
	t->signatures = lines;
	if (is_complete || !t->sign_for.n)
		deliver_start(t, on_delivered, s);
	else
		not_signed(s);
}

/* A seal goes on what is forwarded; our own signatures on what is held too, and leaves later. */
static bool leaves(const struct transaction *t)
{
	int worst = t->sign_for.n ? ACTION_QUARANTINE : ACTION_TAG;

	for (size_t i = 0; i < t->verdict->recipients.n; i++)
		if (t->verdict->recipients.v[i].action <= worst)
			return !t->lesson;
	return false;
}

static bool is_to_sign(const struct transaction *t)
{
	const struct front *front = t->front;

	return t->facts.outbound && front->config->outbound.sign &&
	       keyring_has(&front->keyring, t->verdict->sign_for);
}

/* What others sent is sealed with what we found (RFC 8617 5.1), if the administrator wants that. */
static void order_seal(const struct transaction *t, struct signing_order *order)
{
	const char *sealer = t->front->config->arc.seal_as;

	if (!*sealer || !t->route->arc_seal || !t->verdict->auth.arc)
		return;
	order->seal = true;
	order->domain = str_c(sealer);
	order->chain = t->verdict->auth.arc->result;
	order->results = t->verdict->authentication_results;
}

/* Before any mailbox server is asked: none waits while we sign. */
static void carry_out(struct session *s, struct verdict *verdict)
{
	struct transaction *t = s->transaction;
	struct signing_order order = { .fd = t->body.fd, .arena = t->arena, .done = on_signed,
		.context = s };

	t->verdict = verdict;
	t->judged_ms = loop_now_ms(s->front->loop);
	if (is_to_sign(t))
		order.domain = t->sign_for = verdict->sign_for;
	else
		order_seal(t, &order);
	if (order.domain.n && leaves(t)) {
		t->signing = signing_start(s->front, &order);
		if (!t->signing)
			log_event(LOG_LEVEL_ERROR, "not-signed", "%.*s has no key", STR_ARG(order.domain));
	}
	if (t->signing)
		return;
	on_signed(s, !leaves(t), STR(""));
}

static void carry_out_poison(struct session *s)
{
	/* A lesson would end the trainer's inspector too; and who sends out of here can be told. */
	if (s->transaction->lesson || s->transaction->facts.outbound)
		end_with(s, "554 5.6.0 This message cannot be taken apart");
	else
		carry_out(s, unscannable(s->transaction));
}

static void on_judged(void *context, enum judgement_end how, struct verdict *verdict)
{
	struct session *s = context;
	struct transaction *t = s->transaction;

	t->judgement = NULL;
	switch (how) {
	case JUDGEMENT_VERDICT:
		carry_out(s, verdict);
		break;
	case JUDGEMENT_POISON:
		poison_remember(s->front->poison, t->body.content);
		carry_out_poison(s);
		break;
	case JUDGEMENT_UNAVAILABLE:
		end_with(s, "451 4.3.0 The message cannot be judged now, try again later");
		break;
	}
}

void message_arrived(struct session *s)
{
	struct transaction *t = s->transaction;
	struct judgement_order order = { .facts = &t->facts, .arena = t->arena,
		.stage = STAGE_MESSAGE, .done = on_judged, .context = s };

	session_wait(s);
	t->received_ms = loop_now_ms(s->front->loop);
	shared_add(s->front->shared, SHARED_MESSAGE_BYTES, (int64_t)t->body.octets);
	if (body_seal(&t->body, NULL) != 0) {
		end_with(s, "452 4.3.1 No room for this message now, try again later");
		return;
	}
	t->facts.message_size = (int64_t)t->body.octets;
	if (trace_loops(t->body.content, s->front->config->hostname)) {
		end_with(s, "554 5.4.6 This message goes in circles");
		return;
	}
	if (poison_knows(s->front->poison, t->body.content)) {
		carry_out_poison(s);
		return;
	}
	order.message_fd = t->body.fd;
	t->judgement = judgement_start(s->front, &order);
}

void message_refused(struct session *s, const char *reply)
{
	struct transaction *t = s->transaction;
	struct summary summary = { .action = reply[0] == '5' ? ACTION_REJECT : ACTION_TEMPFAIL };

	answer_parse(&summary.answer, t->arena, str_c(reply), "");
	session_answer(s, &summary.answer);
	t->received_ms = loop_now_ms(s->front->loop);
	summary_write(t, &summary);
}
