#include "gateway/front/summary.h"

#include "core/json.h"
#include "gateway/front/session.h"
#include "gateway/log.h"

enum { ADDRESS_CAP = 320, FINDINGS_SHOWN = 40 };

static void log_recipients(struct log_line *line, const struct transaction *t)
{
	struct buf json = BUF_INIT;

	buf_char(&json, '[');
	for (size_t i = 0; i < t->accepted; i++) {
		if (i)
			buf_char(&json, ',');
		json_text(&json, t->facts.rcpt_to.v[i], ADDRESS_CAP);
	}
	buf_char(&json, ']');
	log_json(line, "rcpt", buf_str(&json));
	buf_free(&json);
}

static void log_findings(struct log_line *line, const struct verdict *v)
{
	struct buf json = BUF_INIT;

	buf_char(&json, '{');
	for (size_t i = 0; i < v->findings.n && i < FINDINGS_SHOWN; i++) {
		if (i)
			buf_char(&json, ',');
		json_text(&json, v->findings.v[i].name, 64);
		buf_char(&json, ':');
		json_double(&json, v->findings.v[i].score);
	}
	buf_char(&json, '}');
	log_json(line, "findings", buf_str(&json));
	buf_free(&json);
}

static void log_verdict(struct log_line *line, const struct verdict *v)
{
	log_double(line, "score", v->score);
	log_str(line, "reason", v->reason);
	if (v->virus.n)
		log_str(line, "virus", v->virus);
	log_findings(line, v);
	if (v->record.message_id.n)
		log_str(line, "message_id", v->record.message_id);
	if (v->record.from.n)
		log_str(line, "header_from", v->record.from);
	if (v->record.subject.n)
		log_str(line, "subject", v->record.subject);
}

/* Milliseconds of each part: receiving, judging (and of it waiting for answers), delivering. */
static void log_times(struct log_line *line, const struct transaction *t)
{
	int64_t now = loop_now_ms(t->front->loop);

	log_int(line, "receive_ms", t->received_ms - t->begun_ms);
	if (t->judged_ms) {
		log_int(line, "judge_ms", t->judged_ms - t->received_ms);
		log_int(line, "wait_ms", t->facts.waited_ms);
		log_int(line, "deliver_ms",
			(t->delivered_ms ? t->delivered_ms : now) - t->judged_ms);
	}
}

static void write_log(const struct transaction *t, const struct summary *summary)
{
	const struct facts *facts = &t->facts;
	struct log_line *line = log_line(LOG_LEVEL_INFO, "message");

	log_str(line, "id", facts->transaction_id);
	log_str(line, "client", facts->client_ip);
	log_str(line, "helo", facts->helo);
	if (facts->tls)
		log_str(line, "tls", facts->tls->version);
	if (facts->outbound)
		log_bool(line, "outbound", true);
	if (facts->account.n)
		log_str(line, "account", facts->account);
	log_str(line, "from", facts->mail_from);
	log_recipients(line, t);
	log_int(line, "size", (int64_t)t->body.octets);
	log_c(line, "action", action_names[summary->action]);
	log_int(line, "code", summary->answer.code);
	log_c(line, "enhanced", summary->answer.enhanced);
	log_str(line, "reply", summary->answer.text);
	if (summary->backend && summary->backend[0])
		log_c(line, "backend", summary->backend);
	if (t->lesson)
		log_c(line, "lesson", t->lesson == LESSON_SPAM ? "spam" : "ham");
	if (t->auto_label) {
		log_c(line, "lesson", t->auto_label == EVIDENCE_SPAM ? "spam" : "ham");
		log_str(line, "lesson_by", t->auto_giver);
	}
	if (summary->held)
		log_int(line, "held", (int64_t)summary->held);
	if (t->verdict)
		log_verdict(line, t->verdict);
	log_times(line, t);
	log_end(line);
}

void summary_write(struct transaction *t, const struct summary *summary)
{
	struct keep_record record = { .id = t->facts.transaction_id, .time = t->facts.now,
		.action = summary->action };

	write_log(t, summary);
	shared_add(t->front->shared, shared_action_counter(summary->action), 1);
	/* A message that the sender will bring again is counted when it is dealt with. */
	if (!t->verdict || !t->verdict->record.dmarc || summary->action == ACTION_TEMPFAIL)
		return;
	record.dmarc = t->verdict->record.dmarc;
	(void)front_tell_keeper(t->front, KEEP_RECORD, &keep_record_record, &record);
}
