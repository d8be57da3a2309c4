#include "gateway/front/judgement.h"

#include <assert.h>
#include <stdlib.h>

#include "core/limits.h"
#include "gateway/front/answers.h"
#include "gateway/front/front.h"
#include "gateway/log.h"

enum { ENVELOPE_WAIT_MS = 10000, MESSAGE_WAIT_MS = 60000, ENVELOPE_DEATHS = 4, MESSAGE_DEATHS = 2 };

struct judgement {
	struct front *front;
	struct judgement_order order;
	struct work *work;
	struct answers *answers;
	struct needs needs;
	int64_t inspector; /* that has it cached */
	int64_t asked_ms, started_ms;
	unsigned rounds, deaths;
	bool fresh;
};

static void submit(struct judgement *j);

static void judgement_free(struct judgement *j)
{
	workers_cancel(&j->work);
	answers_cancel(&j->answers);
	free(j);
}

static void finish(struct judgement *j, enum judgement_end end, struct verdict *verdict)
{
	struct judgement_order order = j->order;

	judgement_free(j);
	order.done(order.context, end, verdict);
}

static void give_up(struct judgement *j, const char *why)
{
	struct log_line *line = log_line(LOG_LEVEL_ERROR, "evaluation-failed");

	log_str(line, "id", j->order.facts->transaction_id);
	log_int(line, "stage", j->order.stage);
	log_c(line, "text", why);
	log_end(line);
	finish(j, JUDGEMENT_UNAVAILABLE, NULL);
}

static void fill(void *context, struct buf *payload)
{
	struct judgement *j = context;
	struct evaluate_request request = { .stage = j->order.stage, .fresh = j->fresh,
		.facts = *j->order.facts };

	record_encode(&evaluate_request_record, &request, payload);
}

static void on_answered(void *context)
{
	struct judgement *j = context;

	j->answers = NULL;
	j->order.facts->waited_ms += loop_now_ms(j->front->loop) - j->asked_ms;
	submit(j);
}

static void on_needs(struct judgement *j, struct str payload)
{
	struct err err = { "" };
	struct answers_order order = { .needs = &j->needs, .facts = j->order.facts,
		.arena = j->order.arena, .message_fd = j->order.message_fd, .done = on_answered,
		.context = j };

	j->needs = (struct needs){ 0 };
	if (record_decode(&needs_record, payload, j->order.arena, &j->needs, &err) != 0)
		return give_up(j, err.text);
	/* The runner of filters keeps to this: what does not has been taken over. */
	if (j->needs.dns.n > LIMIT_DNS_QUESTIONS || j->needs.counters.n > LIMIT_FINDINGS)
		return give_up(j, "it asks for too much at once");
	if (++j->rounds >= LIMIT_ROUNDS)
		return give_up(j, "it did not end after the greatest number of rounds");
	if (arena_is_over(j->order.arena))
		return give_up(j, "its facts are too large");
	order.limit_ms = j->front->config->limits.evaluate_timeout - j->order.facts->waited_ms;
	j->asked_ms = loop_now_ms(j->front->loop);
	shared_add(j->front->shared, SHARED_DNS_QUESTIONS, (int64_t)j->needs.dns.n);
	j->fresh = false;
	j->answers = answers_ask(j->front, &order);
	if (!j->answers)
		submit(j);
}

static void on_verdict(struct judgement *j, struct str payload)
{
	struct verdict *verdict = ARENA_NEW(j->order.arena, struct verdict);
	struct err err = { "" };

	if (record_decode(&verdict_record, payload, j->order.arena, verdict, &err) != 0)
		return give_up(j, err.text);
	shared_add(j->front->shared, SHARED_EVALUATIONS, 1);
	finish(j, JUDGEMENT_VERDICT, verdict);
}

/* The filter whose name the inspector left behind is left out, so that one broken filter
 * does not keep everybody's mail away; its on_error applies. */
static void leave_out(struct judgement *j, int64_t inspector)
{
	struct facts *facts = j->order.facts;
	char name[SHARED_FILTER_NAME] = "";

	shared_running_filter(shared_running_of(j->front->shared), inspector, name);
	if (!name[0])
		return;
	facts->without.v = arena_grow(j->order.arena, facts->without.v, facts->without.n,
		facts->without.n + 1, sizeof(struct str));
	facts->without.v[facts->without.n++] = arena_dup(j->order.arena, str_c(name));
}

static void on_death(struct judgement *j, enum workers_end end, int64_t inspector)
{
	bool message = j->order.stage == STAGE_MESSAGE;
	struct log_line *line = log_line(LOG_LEVEL_WARNING, "inspector-died");

	j->deaths++;
	log_str(line, "id", j->order.facts->transaction_id);
	log_int(line, "stage", j->order.stage);
	log_int(line, "deaths", j->deaths);
	log_bool(line, "killed", end == WORKERS_KILLED);
	log_end(line);
	if (message && j->deaths >= MESSAGE_DEATHS)
		return finish(j, JUDGEMENT_POISON, NULL);
	if (j->deaths >= ENVELOPE_DEATHS)
		return give_up(j, "inspectors died of it");
	if (!message)
		leave_out(j, inspector);
	j->inspector = WORKERS_ANY;
	j->fresh = true;
	submit(j);
}

static void on_worked(void *context, enum workers_end end, const struct ipc_packet *reply,
	int64_t inspector)
{
	struct judgement *j = context;

	j->work = NULL;
	shared_add(j->front->shared, SHARED_EVALUATE_US,
		1000 * (loop_now_ms(j->front->loop) - j->started_ms));
	switch (end) {
	case WORKERS_ANSWERED:
		j->inspector = inspector;
		if (reply->type == EVALUATE_NEEDS)
			on_needs(j, arena_dup(j->order.arena, reply->payload));
		else if (reply->type == EVALUATE_VERDICT)
			on_verdict(j, arena_dup(j->order.arena, reply->payload));
		else
			give_up(j, "the inspector's answer was of an unknown type");
		return;
	case WORKERS_DIED:
	case WORKERS_KILLED:
		return on_death(j, end, inspector);
	case WORKERS_NONE:
		return give_up(j, "no inspector was free in time");
	}
}

static void submit(struct judgement *j)
{
	bool message = j->order.stage == STAGE_MESSAGE;
	struct work_order order = { .type = EVALUATE, .fd = j->order.message_fd,
		.first = !message, .prefer = j->inspector, .fill = fill, .done = on_worked,
		.wait_ms = message ? MESSAGE_WAIT_MS : ENVELOPE_WAIT_MS, .context = j };

	j->started_ms = loop_now_ms(j->front->loop);
	j->work = workers_submit(j->front->inspectors, &order);
}

struct judgement *judgement_start(struct front *front, const struct judgement_order *order)
{
	struct judgement *j = calloc(1, sizeof(*j));

	if (!j)
		abort();
	assert((order->message_fd >= 0) == (order->stage == STAGE_MESSAGE));
	j->front = front;
	j->order = *order;
	j->inspector = WORKERS_ANY;
	j->fresh = true;
	order->facts->waited_ms = 0;
	order->facts->versions = front->self->judge.versions;
	submit(j);
	return j;
}

void judgement_cancel(struct judgement **judgement)
{
	struct judgement *j = *judgement;

	if (!j)
		return;
	*judgement = NULL;
	judgement_free(j);
}
