/* The classifier over HTTP: how it is doing, taking lessons back; asked of the trainer. */
#include <stdlib.h>

#include "gateway/web/web.h"

#define METRICS_WAIT_MS 1000 /* for the trainer, which may be at its model for long */

static bool ask(struct web *web, const struct train_order *order, channel_reply_fn *done, void *context)
{
	struct buf payload = BUF_INIT;
	record_encode(&train_order_record, order, &payload);
	bool asked = web->trainer &&
		channel_request(web->trainer, TRAIN_ORDER, buf_str(&payload), NULL, 0, done, context) != 0;
	buf_free(&payload);
	return asked;
}

/* NULL, or what is to be told instead. */
static const char *read_reply(const struct ipc_packet *packet, struct arena *arena,
	struct keep_reply *reply_r)
{
	struct err err;
	if (!packet)
		return "the trainer has just gone away: try again";
	if (record_decode(&keep_reply_record, packet->payload, arena, reply_r, &err) < 0)
		return "the trainer's answer makes no sense";
	return reply_r->result == KEEP_OK ? NULL : arena_cstr(arena, reply_r->text);
}

static void on_answer(void *context, const struct ipc_packet *packet)
{
	struct http_request *r = context;
	struct arena *arena = arena_new(1 << 16);
	struct keep_reply reply;
	const char *error = read_reply(packet, arena, &reply);
	if (error)
		http_error(r, packet ? 500 : 503, "%s", error);
	else
		http_json(r, 200, reply.text);
	arena_free(&arena);
}

static void order(struct web *web, struct http_request *r, const struct train_order *order)
{
	if (!ask(web, order, on_answer, r))
		http_error(r, 503, "the trainer is away or busy: try again");
}

void web_bayes(void *context, struct http_request *r)
{
	order(context, r, &(struct train_order){ .what = TRAIN_STATUS });
}

void web_bayes_rebuild(void *context, struct http_request *r)
{
	order(context, r, &(struct train_order){ .what = TRAIN_REBUILD });
}

void web_bayes_undo(void *context, struct http_request *r)
{
	struct train_order undo = { .what = TRAIN_UNDO };
	uint64_t since;
	if (str_to_u64(http_query(r, "since"), 0, INT64_MAX, &since) < 0) {
		http_error(r, 400, "say since=TIME, in seconds since 1970: lessons from then on are taken back");
		return;
	}
	undo.since = (int64_t)since;
	undo.who = http_query(r, "who");
	order(context, r, &undo);
}

/* An order that says which by number. */
static void order_number(struct web *web, struct http_request *r, enum train_what what, const char *key)
{
	struct train_order numbered = { .what = (int)what };
	uint64_t number;
	if (str_to_u64(http_query(r, key), 0, INT64_MAX, &number) < 0) {
		http_error(r, 400, "say %s=NUMBER", key);
		return;
	}
	numbered.number = (int64_t)number;
	order(web, r, &numbered);
}

void web_bayes_roll_back(void *context, struct http_request *r)
{
	order_number(context, r, TRAIN_ROLL_BACK, "checkpoint");
}

void web_bayes_review(void *context, struct http_request *r)
{
	order(context, r, &(struct train_order){ .what = TRAIN_REVIEW });
}

void web_bayes_accept(void *context, struct http_request *r)
{
	order_number(context, r, TRAIN_ACCEPT, "id");
}

/* Metrics: those that all roles share, and the model's unless the trainer is away or busy. */

struct metrics {
	struct web *web;
	struct http_request *r; /* NULL once it has been answered */
	struct loop_timer *patience;
};

static void answer_metrics(struct metrics *m, struct str of_model)
{
	struct buf out = BUF_INIT;
	shared_metrics(m->web->self->shared, &out);
	buf_str_add(&out, of_model);
	http_reply(m->r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out));
	m->r = NULL;
	buf_free(&out);
}

static void on_patience_ends(void *context)
{
	answer_metrics(context, STR(""));
}

static void on_metrics(void *context, const struct ipc_packet *packet)
{
	struct metrics *m = context;
	struct arena *arena = arena_new(1 << 16);
	struct keep_reply reply;
	bool told = !read_reply(packet, arena, &reply);
	if (m->r)
		answer_metrics(m, told ? reply.text : STR(""));
	loop_timer_free(&m->patience);
	arena_free(&arena);
	free(m);
}

void web_metrics(void *context, struct http_request *r)
{
	struct web *web = context;
	struct metrics *m = calloc(1, sizeof(*m));
	*m = (struct metrics){ web, r, loop_timer_new(web->self->loop, on_patience_ends, m) };
	loop_timer_set(m->patience, METRICS_WAIT_MS);
	if (!ask(web, &(struct train_order){ .what = TRAIN_METRICS }, on_metrics, m))
		on_metrics(m, NULL);
}
