#include "gateway/front/autolearn.h"

#include "gateway/front/front.h"

static void on_taught(void *context, const struct ipc_packet *reply)
{
	struct front *front = context;

	(void)reply; /* whether it was of use is the trainer's to say */
	front->is_autolearning = false;
}

static bool hand_over(struct front *front, const struct transaction *t, bool spam, struct str giver)
{
	struct train_request order = { .spam = spam, .who = giver, .channel = STR("auto") };
	struct buf payload = BUF_INIT;

	front->is_autolearning = true;
	record_encode(&train_request_record, &order, &payload);
	if (channel_request(front->trainer, TRAIN, buf_str(&payload), &t->body.fd, 1, on_taught,
		    front) == 0)
		front->is_autolearning = false;
	buf_free(&payload);
	return front->is_autolearning;
}

void autolearn_message(struct transaction *t, int action)
{
	struct front *front = t->front;
	const struct config_learn *learn = &front->config->learn;
	enum evidence_label label;
	struct str giver;

	if (!learn->automatic || t->lesson || !t->verdict || !front->trainer ||
		front->is_autolearning)
		return;
	label = evidence_of(&t->facts, t->verdict, &learn->auto_domains, &giver);
	/* What the mailbox server has not taken, or what comes again, is no lesson yet. */
	if (label == EVIDENCE_NONE || action == ACTION_TEMPFAIL ||
		(label == EVIDENCE_HAM && action != ACTION_FORWARD))
		return;
	if (!hand_over(front, t, label == EVIDENCE_SPAM, giver))
		return;
	t->auto_label = label;
	t->auto_giver = giver;
}
