#include "gateway/front/deliver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/json.h"
#include "gateway/fault.h"
#include "gateway/front/sending.h"
#include "gateway/front/session.h"
#include "gateway/front/trace.h"
#include "gateway/log.h"

/* KEEP_MS, LEARN_MS: a keeper or trainer whose disk hangs. SESSION_MS: waiting for a session with the mailbox server,
 * well within the time that senders wait for the reply to their dot (RFC 5321 4.5.3.2.6). */
enum { KEEP_MS = 60000, LEARN_MS = 60000, SESSION_MS = 90000 };

struct delivery {
	struct transaction *t;
	deliver_fn *done;
	void *context;
	struct outcome outcome;
	const struct outcome_row *row;
	size_t n; /* recipients */
	enum action *actions;
	enum outcome_fate *fates;
	int *codes;
	struct answer *answers; /* RCPT's, of those offered */
	/* Those that are offered: rcpts[i] is recipient at[i]. */
	struct str *rcpts;
	size_t *at, offered;
	int *offered_codes;
	struct answer *offered_answers;
	struct str *spans;
	size_t span_count;
	struct sending *sending;
	struct answer relay; /* the mailbox server's word, or the trainer's */
	struct str giver;    /* of a lesson */
	uint32_t keep, learn; /* requests */
	struct loop_timer *timer;
	struct delivery_result result;
};

static void on_event(struct delivery *d, enum outcome_event event);

static const struct recipient_verdict *verdict_of(const struct delivery *d, size_t i)
{
	const struct verdict *v = d->t->verdict;
	struct str address = d->t->facts.rcpt_to.v[i];

	/* They come in the order of the facts, unless the inspector is at odds with itself. */
	if (i < v->recipients.n && str_eq(v->recipients.v[i].address, address))
		return &v->recipients.v[i];
	for (size_t k = 0; k < v->recipients.n; k++)
		if (str_eq(v->recipients.v[k].address, address))
			return &v->recipients.v[k];
	return NULL;
}

/* Our lines for those of this fate: of several recipients' own the severest one's. */
static struct str headers_for(const struct delivery *d, enum outcome_fate fate)
{
	const struct verdict *v = d->t->verdict;
	const struct recipient_verdict *severest = NULL;
	struct trace trace = { .facts = &d->t->facts, .id = d->t->facts.transaction_id,
		.hostname = d->t->front->config->hostname };
	struct buf headers = BUF_INIT;
	struct str result;

	for (size_t i = 0; i < d->n; i++) {
		const struct recipient_verdict *r = d->fates[i] == fate ? verdict_of(d, i) : NULL;

		if (r && (!severest || r->action > severest->action))
			severest = r;
	}
	if (v->auth.iprev)
		trace.ptr = v->auth.iprev->name;
	/* What is held on its way out is sent as it would have been. */
	if (fate == OUTCOME_FATE_FORWARD || d->t->facts.outbound)
		buf_str_add(&headers, d->t->signatures);
	buf_str_add(&headers, v->headers);
	if (severest)
		buf_str_add(&headers, severest->headers);
	trace_received(&trace, &headers);
	result = arena_dup(d->t->arena, buf_str(&headers));
	buf_free(&headers);
	return result;
}

/* Quarantine */

static struct str entry_id(const struct delivery *d, enum outcome_entry entry)
{
	static const char *const suffixes[OUTCOME_ENTRY_COUNT] = { "", "-late", "-refused" };

	return arena_printf(d->t->arena, "%.*s%s", STR_ARG(d->t->facts.transaction_id),
		suffixes[entry]);
}

static void on_stored(void *context, const struct ipc_packet *packet)
{
	struct delivery *d = context;
	struct keep_reply reply = { .result = KEEP_IO_ERROR };

	d->keep = 0;
	loop_timer_free(&d->timer);
	if (packet)
		(void)record_decode(&keep_reply_record, arena_dup(d->t->arena, packet->payload),
			d->t->arena, &reply, NULL);
	if (fault_point("front.after-store") != 0)
		reply.result = KEEP_IO_ERROR;
	on_event(d, reply.result == KEEP_OK	  ? OUTCOME_STORED :
		    reply.result == KEEP_NO_SPACE ? OUTCOME_NO_SPACE :
						    OUTCOME_NOT_STORED);
}

static void on_keeper_late(void *context)
{
	struct delivery *d = context;

	if (d->t->front->keeper)
		channel_forget(d->t->front->keeper, d->keep);
	on_stored(d, NULL);
}

/* Why these are held: the verdict's reason, or the mailbox server's word. */
static struct str reason_for(const struct delivery *d, enum outcome_entry entry)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct recipient_verdict *r = verdict_of(d, i);

		if (d->fates[i] != (enum outcome_fate)entry)
			continue;
		if (entry == OUTCOME_ENTRY_VERDICT)
			return r && r->reason.n ? r->reason : d->t->verdict->reason;
		return arena_printf(d->t->arena,
			"the %s refused this recipient: %d %s %.*s",
			d->t->facts.outbound ? "relay" : "mailbox server", d->answers[i].code,
			d->answers[i].enhanced, STR_ARG(d->answers[i].text));
	}
	return STR("");
}

static void fill_entry(struct delivery *d, const struct outcome_row *row,
	struct quarantine_entry *e)
{
	const struct facts *facts = &d->t->facts;
	const struct verdict *v = d->t->verdict;

	e->id = entry_id(d, row->entry);
	e->time = facts->now;
	e->pending = row->pending;
	e->client_ip = facts->client_ip;
	e->helo = facts->helo;
	e->mail_from = facts->mail_from;
	e->rcpt_to.v = ARENA_ARRAY(d->t->arena, d->n, struct str);
	for (size_t i = 0; i < d->n; i++)
		if (d->fates[i] == (enum outcome_fate)row->entry)
			e->rcpt_to.v[e->rcpt_to.n++] = facts->rcpt_to.v[i];
	e->subject = v->record.subject;
	e->from = v->record.from;
	e->message_id = v->record.message_id;
	e->content_hash = v->record.content_hash;
	e->score = v->score;
	e->reason = reason_for(d, row->entry);
	e->virus = v->virus;
	e->headers = headers_for(d, (enum outcome_fate)row->entry);
	e->cuts.v = v->cuts.v;
	e->cuts.n = v->cuts.n;
	e->size = (int64_t)d->t->body.octets;
}

static void store(struct delivery *d, const struct outcome_row *row)
{
	struct front *front = d->t->front;
	struct quarantine_entry entry = { 0 };
	struct buf facts = BUF_INIT, verdict = BUF_INIT, payload = BUF_INIT;
	int fault = fault_point("front.before-store");

	fill_entry(d, row, &entry);
	facts_to_json(&d->t->facts, &facts);
	verdict_to_json(d->t->verdict, &verdict);
	entry.facts = buf_str(&facts);
	entry.verdict = buf_str(&verdict);
	record_encode(&quarantine_entry_record, &entry, &payload);
	if (front->keeper && !fault)
		d->keep = channel_request(front->keeper, KEEP_STORE, buf_str(&payload),
			&d->t->body.fd, 1, on_stored, d);
	buf_free(&facts);
	buf_free(&verdict);
	buf_free(&payload);
	if (!d->keep) {
		on_event(d, fault == ENOSPC ? OUTCOME_NO_SPACE : OUTCOME_NOT_STORED);
		return;
	}
	d->timer = loop_timer_new(front->loop, on_keeper_late, d);
	loop_timer_set(d->timer, KEEP_MS);
}

static void settle(struct delivery *d, enum outcome_settle settle)
{
	if (settle == OUTCOME_SETTLE_NOTHING)
		return;
	for (int e = 0; e < OUTCOME_ENTRY_COUNT; e++) {
		struct keep_id which = { .id = entry_id(d, e) };

		if (d->outcome.written & 1u << e)
			(void)front_tell_keeper(d->t->front, settle == OUTCOME_SETTLE_COMMIT ?
				KEEP_COMMIT : KEEP_DROP, &keep_id_record, &which);
	}
}

/* Trainer */

static void on_learned(void *context, const struct ipc_packet *packet)
{
	struct delivery *d = context;
	struct keep_reply reply = { .result = KEEP_IO_ERROR };

	d->learn = 0;
	loop_timer_free(&d->timer);
	if (packet)
		(void)record_decode(&keep_reply_record, arena_dup(d->t->arena, packet->payload),
			d->t->arena, &reply, NULL);
	if (fault_point("front.after-lesson") != 0)
		reply.result = KEEP_IO_ERROR;
	answer_set(&d->relay, d->t->arena, 554, "5.6.0", reply.text);
	on_event(d, reply.result == KEEP_OK	 ? OUTCOME_LEARNED :
		    reply.result == KEEP_REFUSED ? OUTCOME_LESSON_REFUSED :
						   OUTCOME_NOT_LEARNED);
}

static void on_trainer_late(void *context)
{
	struct delivery *d = context;

	if (d->t->front->trainer)
		channel_forget(d->t->front->trainer, d->learn);
	on_learned(d, NULL);
}

static void learn(struct delivery *d)
{
	struct front *front = d->t->front;
	struct train_request order = { .spam = d->t->lesson == LESSON_SPAM, .attached = true,
		.who = d->giver, .channel = STR("mail"),
		.tenant = lesson_tenant(front->self->config, d->giver) };
	struct buf payload = BUF_INIT;

	record_encode(&train_request_record, &order, &payload);
	if (front->trainer && fault_point("front.before-lesson") == 0)
		d->learn = channel_request(front->trainer, TRAIN, buf_str(&payload),
			&d->t->body.fd, 1, on_learned, d);
	buf_free(&payload);
	if (!d->learn) {
		on_event(d, OUTCOME_NOT_LEARNED);
		return;
	}
	d->timer = loop_timer_new(front->loop, on_trainer_late, d);
	loop_timer_set(d->timer, LEARN_MS);
}

static enum outcome_event judge_lesson(struct delivery *d)
{
	switch (lesson_judge(d->t->front->config, &d->t->facts, d->t->verdict, &d->giver)) {
	case LESSON_TAKEN:
		return OUTCOME_LESSON;
	case LESSON_LATER:
		return OUTCOME_LESSON_LATER;
	case LESSON_REFUSED:
		break;
	}
	return OUTCOME_LESSON_FOREIGN;
}

/* Mailbox server */

static void on_offered(void *context, enum outcome_event event)
{
	struct delivery *d = context;

	if (fault_point("front.after-offer") != 0)
		event = OUTCOME_LOST;
	if (event == OUTCOME_RCPT_TAKEN) {
		for (size_t i = 0; i < d->offered; i++) {
			d->codes[d->at[i]] = d->offered_codes[i];
			d->answers[d->at[i]] = d->offered_answers[i];
		}
		event = outcome_offered(d->codes, d->n, d->fates);
	}
	on_event(d, event);
}

static uint64_t size_of(const struct delivery *d)
{
	uint64_t size = 0;

	for (size_t i = 0; i < d->span_count; i++)
		size += d->spans[i].n;
	return size;
}

static void offer(struct delivery *d)
{
	struct transaction *t = d->t;
	const struct verdict *v = t->verdict;
	struct sending_order order = { .domain = t->route, .mail_from = t->facts.mail_from,
		.rcpts = d->rcpts, .codes = d->offered_codes, .answers = d->offered_answers,
		.answer = &d->relay, .arena = t->arena, .eight_bit = t->eight_bit, .urgent = true,
		.wait_ms = SESSION_MS, .done = on_offered, .context = d };

	for (size_t i = 0; i < d->n; i++) {
		if (d->fates[i] != OUTCOME_FATE_FORWARD)
			continue;
		d->at[d->offered] = i;
		d->rcpts[d->offered++] = t->facts.rcpt_to.v[i];
	}
	order.rcpt_count = d->offered;
	d->span_count = deliver_spans(t->arena, headers_for(d, OUTCOME_FATE_FORWARD),
		t->body.content, v->cuts.v, v->cuts.n, &d->spans);
	if (!d->span_count) {
		struct log_line *line = log_line(LOG_LEVEL_ERROR, "verdict-malformed");

		log_str(line, "id", t->facts.transaction_id);
		log_c(line, "text", "header lines or cuts of the verdict cannot be carried out");
		log_end(line);
	}
	order.size = size_of(d);
	if (!d->span_count || fault_point("front.before-offer") != 0)
		on_event(d, OUTCOME_UNREACHABLE);
	else
		d->sending = sending_offer(t->front, &order);
}

static void on_sent(void *context, enum outcome_event event)
{
	struct delivery *d = context;

	if (fault_point("front.after-content") != 0)
		event = OUTCOME_LOST_AFTER_DOT;
	if (event == OUTCOME_CONTENT_TAKEN) {
		for (size_t i = 0; i < d->offered; i++)
			d->codes[d->at[i]] = d->offered_codes[i];
		event = outcome_sent(d->codes, d->n, d->fates);
		/* Their refusal was an answer to the content. */
		for (size_t i = 0; i < d->n; i++)
			if (d->fates[i] == OUTCOME_FATE_REFUSED)
				d->answers[i] = d->relay;
	}
	on_event(d, event);
}

static void send_content(struct delivery *d)
{
	/* Whoever has gone will come again: so far there is nothing that he would get twice. */
	if (session_client_gone(d->t->session) || fault_point("front.before-content") != 0)
		on_event(d, OUTCOME_LOST);
	else
		sending_content(d->sending, d->spans, d->span_count, on_sent);
}

/* The end */

static void note(const struct delivery *d, enum outcome_note note)
{
	const struct transaction *t = d->t;
	struct log_line *line;

	if (note == OUTCOME_NOTE_NONE || note == OUTCOME_NOTE_ALARM) /* the latter: sending.c */
		return;
	if (note == OUTCOME_NOTE_UNCERTAIN)
		shared_add(t->front->shared, SHARED_DELIVERY_UNCERTAIN, 1);
	line = log_line(LOG_LEVEL_WARNING, note == OUTCOME_NOTE_UNCERTAIN ? "delivery-uncertain" :
									   "delivery-repeated");
	log_str(line, "id", t->facts.transaction_id);
	log_str(line, "from", t->facts.mail_from);
	log_c(line, "backend", d->result.backend);
	log_c(line, "text", note == OUTCOME_NOTE_UNCERTAIN ?
		"the mailbox server did not answer the end of the message: it may have it, and "
		"the sender tries again" :
		"some recipients have it, others could not be served, and the sender tries again");
	log_end(line);
}

static void own_words(struct answer *answer, int code, const char *enhanced, const char *text)
{
	answer->code = code;
	snprintf(answer->enhanced, sizeof(answer->enhanced), "%s", enhanced);
	answer->text = str_c(text);
}

static void say_verdict(struct delivery *d, struct answer *answer)
{
	const struct verdict *v = d->t->verdict;
	bool later = d->result.action == ACTION_TEMPFAIL;
	struct str line = v->reply;

	/* The reply of one who is refused, or must wait, is what all are told. */
	for (size_t i = 0; i < d->n; i++) {
		const struct recipient_verdict *r = verdict_of(d, i);

		if (!str_starts(line, later ? "4" : "5") && r && r->reply.n)
			line = r->reply;
	}
	if (!str_starts(line, later ? "4" : "5"))
		line = STR("");
	answer_parse(answer, d->t->arena, line,
		later ? "451 4.7.1 Try again later" : "550 5.7.1 Message refused");
}

static void say(struct delivery *d, enum outcome_reply reply, struct answer *answer)
{
	bool outbound = d->t->facts.outbound;

	switch (reply) {
	case OUTCOME_REPLY_NONE:
		break;
	case OUTCOME_REPLY_ACCEPTED:
		answer_set(answer, d->t->arena, 250, "2.0.0", arena_printf(d->t->arena,
			"Ok, taken as %.*s", STR_ARG(d->t->facts.transaction_id)));
		return;
	case OUTCOME_REPLY_VERDICT:
		say_verdict(d, answer);
		return;
	case OUTCOME_REPLY_RELAY:
		*answer = d->relay;
		if (answer->code < 400)
			own_words(answer, 451, "4.3.0", "Try again later");
		return;
	case OUTCOME_REPLY_NO_SPACE:
		own_words(answer, 452, "4.3.1", "No room for this message now, try again later");
		return;
	case OUTCOME_REPLY_TROUBLE:
		own_words(answer, 451, "4.3.0", "Cannot be kept now, try again later");
		return;
	case OUTCOME_REPLY_UNREACHABLE:
		own_words(answer, 451, "4.4.1", outbound ?
			"The relay cannot be reached, try again later" :
			"The mailbox server cannot be reached, try again later");
		return;
	case OUTCOME_REPLY_LOST:
		own_words(answer, 451, "4.4.2", outbound ?
			"The relay broke off, try again later" :
			"The mailbox server broke off, try again later");
		return;
	case OUTCOME_REPLY_FOREIGN:
		own_words(answer, 550, "5.7.1",
			"Only authenticated users of our own domains may teach this gateway");
		return;
	case OUTCOME_REPLY_UNKNOWN:
		own_words(answer, 451, "4.7.1",
			"The sender cannot be authenticated now, try again later");
		return;
	case OUTCOME_REPLY_LESSON:
		*answer = d->relay;
		return;
	case OUTCOME_REPLY_LATER:
		own_words(answer, 451, "4.3.0",
			"Not all recipients can be served now, try again later");
		return;
	}
	assert(!"an end has a reply");
}

static int final_action(struct delivery *d, enum outcome_reply reply)
{
	int action = ACTION_QUARANTINE;

	if (reply == OUTCOME_REPLY_VERDICT)
		return outcome_judge(d->actions, d->n, d->fates) == OUTCOME_ALL_REFUSED ?
			       ACTION_REJECT :
			       ACTION_TEMPFAIL;
	if (reply == OUTCOME_REPLY_RELAY)
		return d->relay.code >= 500 ? ACTION_REJECT : ACTION_TEMPFAIL;
	if (reply == OUTCOME_REPLY_FOREIGN || reply == OUTCOME_REPLY_LESSON)
		return ACTION_REJECT;
	if (reply != OUTCOME_REPLY_ACCEPTED)
		return ACTION_TEMPFAIL;
	if (d->t->lesson)
		return ACTION_FORWARD;
	for (size_t i = 0; i < d->n; i++) {
		if (d->fates[i] != OUTCOME_FATE_FORWARD) {
			d->result.held++;
			continue;
		}
		if (!d->result.forwarded++)
			action = ACTION_FORWARD;
		if (d->actions[i] == ACTION_TAG)
			action = ACTION_TAG;
	}
	return action;
}

static void end(struct delivery *d, const struct outcome_row *row)
{
	d->result.action = final_action(d, row->reply);
	d->result.note = row->note;
	d->result.backend = d->sending ? sending_backend(d->sending) : "";
	(void)fault_point("front.before-settle");
	settle(d, row->settle);
	(void)fault_point("front.after-settle");
	note(d, row->note);
	say(d, row->reply, &d->result.answer);
	d->t->delivering = false;
	d->done(d->context, &d->result);
}

static void on_event(struct delivery *d, enum outcome_event event)
{
	d->row = outcome_next(&d->outcome, event);
	switch (d->row->step) {
	case OUTCOME_STEP_STORE:
		store(d, d->row);
		break;
	case OUTCOME_STEP_LEARN:
		learn(d);
		break;
	case OUTCOME_STEP_OFFER:
		offer(d);
		break;
	case OUTCOME_STEP_SEND:
		send_content(d);
		break;
	case OUTCOME_STEP_END:
		end(d, d->row);
		break;
	}
}

void deliver_start(struct transaction *t, deliver_fn *done, void *context)
{
	struct delivery *d = ARENA_NEW(t->arena, struct delivery);
	size_t n = t->accepted;

	assert(n > 0 && n == t->facts.rcpt_to.n && t->verdict && t->route);
	d->t = t;
	d->done = done;
	d->context = context;
	d->outcome = (struct outcome)OUTCOME_INIT;
	d->n = n;
	d->actions = ARENA_ARRAY(t->arena, n, enum action);
	d->fates = ARENA_ARRAY(t->arena, n, enum outcome_fate);
	d->codes = ARENA_ARRAY(t->arena, n, int);
	d->answers = ARENA_ARRAY(t->arena, n, struct answer);
	d->rcpts = ARENA_ARRAY(t->arena, n, struct str);
	d->at = ARENA_ARRAY(t->arena, n, size_t);
	d->offered_codes = ARENA_ARRAY(t->arena, n, int);
	d->offered_answers = ARENA_ARRAY(t->arena, n, struct answer);
	for (size_t i = 0; i < n; i++) {
		const struct recipient_verdict *r = verdict_of(d, i);

		/* Whom the verdict forgot is judged again with the next try. */
		d->actions[i] = r ? (enum action)r->action : ACTION_TEMPFAIL;
	}
	t->delivery = d;
	t->delivering = true;
	on_event(d, t->lesson ? judge_lesson(d) : outcome_judge(d->actions, n, d->fates));
}

void deliver_free(struct delivery **delivery)
{
	struct delivery *d = *delivery;

	if (!d)
		return;
	*delivery = NULL;
	assert(!d->t->delivering);
	sending_free(&d->sending);
	loop_timer_free(&d->timer);
}
