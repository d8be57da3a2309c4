#include "gateway/front/sending.h"

#include <assert.h>
#include <stdlib.h>

#include "gateway/fault.h"
#include "gateway/front/front.h"
#include "gateway/front/upstream.h"
#include "gateway/log.h"

enum step { BORROWING, OFFERING, OFFERED, CONTENT, SENT };

struct sending {
	struct front *front;
	struct sending_order order;
	struct loan *loan;
	enum step step;
	bool tried_again;
	size_t answered; /* of the RCPTs */
	enum outcome_event event; /* of MAIL, if that decided already */
	bool decided, dead;
	bool refused; /* the content, or DATA itself: it may still be within the transaction */
	bool abandoned; /* nobody waits: the order's memory is gone, the session is tidied up */
	char backend[128];
};

static void borrow(struct sending *s, bool fresh);

static void report(struct sending *s, enum outcome_event event)
{
	s->order.done(s->order.context, event);
}

static void keep(struct sending *s, struct answer *answer, const struct client_reply *reply)
{
	int code = reply->code;

	/* A 421 is between the server and us (RFC 5321 3.8). */
	if (code == 421)
		code = 451;
	answer_set(answer, s->order.arena, code, reply->enhanced, reply->text);
	if (!answer->enhanced[0])
		memcpy(answer->enhanced, "0.0.0", sizeof("0.0.0"));
	/* RFC 2034: the classes agree. */
	answer->enhanced[0] = (char)('0' + code / 100);
}

static bool blames(const struct client_reply *reply)
{
	return reply->status == CLIENT_REPLIED &&
	       outcome_blames_us(reply->code, str_c(reply->enhanced), reply->text);
}

static void alarm_operator(struct sending *s, const struct client_reply *reply)
{
	struct log_line *line = log_line(LOG_LEVEL_ERROR, "backend-refuses-us");

	log_c(line, "backend", s->backend);
	log_int(line, "code", reply->code);
	log_c(line, "enhanced", reply->enhanced);
	log_str(line, "text", reply->text);
	log_end(line);
}

/* MAIL and all RCPTs are answered, or the session is gone. */
static void offered(struct sending *s)
{
	s->step = OFFERED;
	if (s->abandoned) {
		sending_free(&s);
		return;
	}
	if (s->dead && !s->tried_again && upstream_was_pooled(s->loan)) {
		/* Nothing was handed over: a session that had waited too long, no more. */
		s->tried_again = true;
		upstream_return(&s->loan, false);
		borrow(s, true);
		return;
	}
	report(s, s->dead ? OUTCOME_LOST : s->decided ? s->event : OUTCOME_RCPT_TAKEN);
}

static void decide(struct sending *s, enum outcome_event event)
{
	if (!s->decided)
		s->event = event;
	s->decided = true;
}

/* MAIL's answer comes before those of the RCPTs, which then are of no interest. */
static void on_mail(void *context, const struct client_reply *reply)
{
	struct sending *s = context;

	if (reply->status != CLIENT_REPLIED) {
		s->dead = true;
	} else if (s->abandoned) {
		return;
	} else if (blames(reply)) {
		alarm_operator(s, reply);
		decide(s, OUTCOME_BLAMED);
	} else if (reply->code >= 500) {
		keep(s, s->order.answer, reply);
		decide(s, OUTCOME_MAIL_REFUSED);
	} else if (reply->code >= 300) {
		keep(s, s->order.answer, reply);
		decide(s, OUTCOME_MAIL_LATER);
	}
}

static void take_rcpt(struct sending *s, size_t i, const struct client_reply *reply)
{
	s->order.codes[i] = reply->code;
	if (s->order.answers)
		keep(s, &s->order.answers[i], reply);
	if (s->decided)
		return;
	if (blames(reply)) {
		alarm_operator(s, reply);
		decide(s, OUTCOME_BLAMED);
	} else if (reply->code >= 300 &&
		   (!s->order.answer->code || reply->code < s->order.answer->code)) {
		/* A 4xx speaks before a 5xx: it is what all are told. */
		keep(s, s->order.answer, reply);
	}
}

static void on_rcpt(void *context, const struct client_reply *reply)
{
	struct sending *s = context;
	size_t i = s->answered++;

	assert(i < s->order.rcpt_count);
	if (reply->status != CLIENT_REPLIED)
		s->dead = true;
	else if (!s->abandoned)
		take_rcpt(s, i, reply);
	if (s->answered == s->order.rcpt_count)
		offered(s);
}

static void offer(struct sending *s)
{
	struct client *client = upstream_client(s->loan);

	s->step = OFFERING;
	s->answered = 0;
	s->dead = s->decided = false;
	s->order.answer->code = 0;
	snprintf(s->backend, sizeof(s->backend), "%s", upstream_name(s->loan));
	client_hold(client);
	client_mail(client, s->order.mail_from, s->order.size,
		s->order.eight_bit ? CLIENT_MAIL_8BIT : 0, on_mail, s);
	for (size_t i = 0; i < s->order.rcpt_count; i++)
		client_rcpt(client, s->order.rcpts[i], on_rcpt, s);
	client_send(client);
}

static void on_client(void *context, struct client *client, const char *why)
{
	struct sending *s = context;

	if (client) {
		offer(s);
		return;
	}
	s->loan = NULL;
	s->step = OFFERED;
	answer_set(s->order.answer, s->order.arena, 451, "4.4.1", str_c(why));
	report(s, OUTCOME_UNREACHABLE);
}

static void borrow(struct sending *s, bool fresh)
{
	struct upstream_order order = { .domain = s->order.domain, .urgent = s->order.urgent,
		.fresh = fresh, .wait_ms = s->order.wait_ms, .done = on_client, .context = s };

	s->step = BORROWING;
	s->loan = upstream_borrow(s->front->upstream, &order);
	if (upstream_client(s->loan))
		offer(s);
}

struct sending *sending_offer(struct front *front, const struct sending_order *order)
{
	struct sending *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	assert(order->rcpt_count > 0 && order->done && order->answer);
	s->front = front;
	s->order = *order;
	borrow(s, false);
	return s;
}

static bool is_accepted(int code)
{
	return code >= 200 && code < 300;
}

/* LMTP: a reply for each accepted recipient, in their order (RFC 2033 4.2). */
static void spread(struct sending *s, const struct client_reply *replies, size_t count)
{
	size_t next = 0;

	s->order.answer->code = 0;
	for (size_t i = 0; i < s->order.rcpt_count; i++) {
		const struct client_reply *reply;

		if (!is_accepted(s->order.codes[i]))
			continue;
		reply = &replies[next < count ? next : count - 1];
		next++;
		s->order.codes[i] = reply->status == CLIENT_REPLIED ? reply->code : 451;
		if (reply->code >= 300 && (!s->order.answer->code ||
						  reply->code < s->order.answer->code))
			keep(s, s->order.answer, reply);
	}
	/* The server's own words for a 2xx are the log's. */
	if (!s->order.answer->code)
		keep(s, s->order.answer, &replies[0]);
}

static void on_sent(void *context, const struct client_reply *replies, size_t count)
{
	struct sending *s = context;
	bool lost = false, uncertain = false;

	assert(count > 0);
	s->step = SENT;
	for (size_t i = 0; i < count; i++) {
		lost |= replies[i].status == CLIENT_LOST || replies[i].status == CLIENT_UNREACHED;
		uncertain |= replies[i].status == CLIENT_UNCERTAIN;
		s->refused |= replies[i].code >= 300;
	}
	s->dead = lost || uncertain;
	if (fault_point("front.after-dot-reply") != 0)
		uncertain = true;
	if (uncertain) {
		report(s, OUTCOME_LOST_AFTER_DOT);
	} else if (lost) {
		report(s, OUTCOME_LOST);
	} else if (blames(&replies[0])) {
		alarm_operator(s, &replies[0]);
		report(s, OUTCOME_BLAMED);
	} else {
		spread(s, replies, count);
		report(s, OUTCOME_CONTENT_TAKEN);
	}
}

void sending_content(struct sending *s, const struct str *spans, size_t count, sending_fn *done)
{
	struct client *client = upstream_client(s->loan);

	assert(s->step == OFFERED);
	s->order.done = done;
	s->step = client ? CONTENT : SENT;
	s->dead = !client;
	if (client)
		client_data(client, spans, count, on_sent, s);
	else
		report(s, OUTCOME_LOST);
}

const char *sending_backend(const struct sending *s)
{
	return s->backend;
}

static void on_reset(void *context, const struct client_reply *reply)
{
	struct sending *s = context;

	upstream_return(&s->loan, reply->status == CLIENT_REPLIED && is_accepted(reply->code));
	free(s);
}

void sending_free(struct sending **sending)
{
	struct sending *s = *sending;

	if (!s)
		return;
	*sending = NULL;
	if (s->step == OFFERING) {
		s->abandoned = true;
		return;
	}
	/* Nothing of the transaction may stay in a session that somebody else gets. */
	if ((s->step == OFFERED || (s->step == SENT && s->refused)) && s->loan && !s->dead &&
		upstream_client(s->loan)) {
		client_rset(upstream_client(s->loan), on_reset, s);
		return;
	}
	upstream_return(&s->loan, s->step == SENT && !s->dead);
	free(s);
}
