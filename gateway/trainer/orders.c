#include "gateway/trainer/orders.h"

#include "bayes/review.h"
#include "bayes/status.h"
#include "gateway/log.h"

enum { ORDER_MEMORY = 1 << 16 };

struct orders {
	struct teacher *teacher;
	struct bayes_status_conf conf;
	struct arena *arena; /* of one order */
	struct loop_timer *step;
	struct err trouble; /* of the last rebuild; empty if it went well */
};

void orders_tell_lost(struct teacher *teacher)
{
	int64_t lost = teacher_lost(teacher);
	if (lost)
		log_event(LOG_LEVEL_WARNING, "lessons-lost", TEACHER_SAYS_LOST, (long long)lost);
}

static void on_step(void *context)
{
	struct orders *o = context;
	int rc = teacher_step_rebuild(o->teacher, &o->trouble);
	if (rc > 0)
		loop_timer_set(o->step, 0);
	else if (rc < 0)
		log_event(LOG_LEVEL_ERROR, "model-not-rebuilt", "%s", o->trouble.text);
	else
		log_event(LOG_LEVEL_INFO, "model-rebuilt", "the model was made again from the training log");
	orders_tell_lost(o->teacher);
}

static void begin_steps(struct orders *o)
{
	o->trouble.text[0] = '\0';
	loop_timer_set(o->step, 0);
}

struct orders *orders_new(struct role_self *self, struct teacher *teacher)
{
	struct orders *o = ARENA_NEW(self->arena, struct orders);
	o->teacher = teacher;
	o->arena = arena_new(ORDER_MEMORY);
	o->step = loop_timer_new(self->loop, on_step, o);
	bayes_status_configure(self->conf, &o->conf);
	return o;
}

static int tell_status(struct orders *o, bool is_metrics, struct buf *answer, struct err *err)
{
	struct bayes_status status;
	const struct model *model = teacher_model(o->teacher);
	bayes_status_of(model, &o->conf, o->arena, &status);
	status.rebuilding = teacher_is_rebuilding(o->teacher);
	status.trouble = str_c(o->trouble.text);
	if (is_metrics) {
		bayes_status_metrics(&status, answer);
		return 0;
	}
	/* Whoever waits for the new model asks often. */
	if (!status.rebuilding &&
		bayes_status_more(model, teacher_journal(o->teacher), o->arena, &status, err) < 0)
		return -1;
	record_to_json(&bayes_status_record, &status, answer);
	buf_char(answer, '\n');
	return 0;
}

static int rebuild(struct orders *o, struct buf *answer, struct err *err)
{
	if (teacher_begin_rebuild(o->teacher, err) < 0)
		return -1;
	begin_steps(o);
	buf_c(answer, "{\"rebuilding\": true}\n");
	return 0;
}

static int tell_undone(struct orders *o, const struct journal_undone *undone, struct buf *answer)
{
	if (teacher_is_rebuilding(o->teacher))
		begin_steps(o);
	log_event(LOG_LEVEL_WARNING, "lessons-undone", "%lld lessons were taken back, %lld of them in part",
		(long long)undone->count, (long long)undone->trimmed);
	buf_printf(answer, "{\"undone\": %lld, \"trimmed\": %lld, \"rebuilding\": %s}\n",
		(long long)undone->count, (long long)undone->trimmed,
		teacher_is_rebuilding(o->teacher) ? "true" : "false");
	return 0;
}

static int undo(struct orders *o, const struct train_order *order, struct buf *answer, struct err *err)
{
	const struct journal_which which = { .since = order->since, .who = order->who };
	struct journal_undone undone;
	if (teacher_undo(o->teacher, &which, &undone, err) < 0)
		return -1;
	return tell_undone(o, &undone, answer);
}

static int roll_back(
	struct orders *o, const struct train_order *order, struct buf *answer, struct err *err)
{
	struct journal_undone undone;
	int rc = teacher_roll_back(o->teacher, order->number, &undone, err);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(err, "there is no such checkpoint");
	return tell_undone(o, &undone, answer);
}

static int review(struct orders *o, struct buf *answer, struct err *err)
{
	struct bayes_review review;
	if (bayes_review_read(teacher_journal(o->teacher), o->arena, &review, err) < 0)
		return -1;
	record_to_json(&bayes_review_record, &review, answer);
	buf_char(answer, '\n');
	return 0;
}

static int accept_lesson(
	struct orders *o, const struct train_order *order, struct buf *answer, struct err *err)
{
	int rc = teacher_accept(o->teacher, order->number, err);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(err, "no refused lesson has this number");
	begin_steps(o);
	log_event(LOG_LEVEL_WARNING, "lesson-accepted", "lesson %lld holds after all",
		(long long)order->number);
	buf_c(answer, "{\"accepted\": true, \"rebuilding\": true}\n");
	return 0;
}

static int carry_out(struct orders *o, const struct train_order *order, struct buf *answer, struct err *err)
{
	switch ((enum train_what)order->what) {
	case TRAIN_STATUS:
	case TRAIN_METRICS:
		return tell_status(o, order->what == TRAIN_METRICS, answer, err);
	case TRAIN_REBUILD:
		return rebuild(o, answer, err);
	case TRAIN_UNDO:
		return undo(o, order, answer, err);
	case TRAIN_ROLL_BACK:
		return roll_back(o, order, answer, err);
	case TRAIN_REVIEW:
		return review(o, answer, err);
	case TRAIN_ACCEPT:
		return accept_lesson(o, order, answer, err);
	}
	return err_set(err, "the order makes no sense");
}

void orders_take(struct orders *o, const struct ipc_packet *packet, enum keep_result *result_r,
	struct buf *answer)
{
	struct train_order order;
	struct err err = { "" };
	int rc;
	arena_reset(o->arena);
	rc = record_decode(&train_order_record, packet->payload, o->arena, &order, &err);
	if (rc == 0)
		rc = carry_out(o, &order, answer, &err);
	*result_r = rc < 0 ? KEEP_IO_ERROR : KEEP_OK;
	if (rc < 0) {
		buf_clear(answer);
		buf_c(answer, err.text);
	}
}
