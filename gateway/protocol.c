#include "gateway/protocol.h"

const char *const role_names[] = { "supervisor", "front", "inspector", "scanner", "resolver",
	"keeper", "trainer", "web", NULL };

static const char *const keep_result_names[] = { "ok", "not-found", "no-space", "io-error",
	"refused", NULL };

static const struct field ctl_peer_fields[] = {
	FIELD_ENUM(struct ctl_peer, role, role_names),
	FIELD_INT(struct ctl_peer, index),
	FIELD_INT(struct ctl_peer, generation),
	FIELD_END,
};
const struct record ctl_peer_record = RECORD("ctl_peer", struct ctl_peer, ctl_peer_fields);

static const struct field ctl_listen_fields[] = {
	FIELD_OCTETS(struct ctl_listen, name),
	FIELD_INT(struct ctl_listen, index),
	FIELD_END,
};
const struct record ctl_listen_record = RECORD("ctl_listen", struct ctl_listen, ctl_listen_fields);

static const struct field ctl_ready_fields[] = {
	FIELD_INT(struct ctl_ready, stages),
	FIELD_INT(struct ctl_ready, stages_outbound),
	FIELD_INT(struct ctl_ready, ahead),
	FIELD_INT(struct ctl_ready, ahead_outbound),
	FIELD_OCTETS(struct ctl_ready, versions),
	FIELD_END,
};
const struct record ctl_ready_record = RECORD("ctl_ready", struct ctl_ready, ctl_ready_fields);

static const struct field ctl_text_fields[] = {
	FIELD_OCTETS(struct ctl_text, text),
	FIELD_END,
};
const struct record ctl_text_record = RECORD("ctl_text", struct ctl_text, ctl_text_fields);

static const struct field ctl_died_fields[] = {
	FIELD_INT(struct ctl_died, index),
	FIELD_INT(struct ctl_died, generation),
	FIELD_INT(struct ctl_died, status),
	FIELD_OCTETS(struct ctl_died, filter),
	FIELD_END,
};
const struct record ctl_died_record = RECORD("ctl_died", struct ctl_died, ctl_died_fields);

static const struct field evaluate_request_fields[] = {
	FIELD_INT(struct evaluate_request, stage),
	FIELD_INT(struct evaluate_request, fresh),
	FIELD_RECORD(struct evaluate_request, facts, &facts_record),
	FIELD_END,
};
const struct record evaluate_request_record =
	RECORD("evaluate_request", struct evaluate_request, evaluate_request_fields);

static const struct field tokens_request_fields[] = {
	FIELD_OCTETS(struct tokens_request, tenant),
	FIELD_INT(struct tokens_request, attached),
	FIELD_OCTETS(struct tokens_request, findings),
	FIELD_BOOL(struct tokens_request, believes_headers),
	FIELD_END,
};
const struct record tokens_request_record =
	RECORD("tokens_request", struct tokens_request, tokens_request_fields);

static const struct field tokens_reply_fields[] = {
	FIELD_OCTETS(struct tokens_reply, tokens),
	FIELD_OCTETS(struct tokens_reply, hash),
	FIELD_OCTETS(struct tokens_reply, octets),
	FIELD_OCTETS(struct tokens_reply, sender),
	FIELD_INT(struct tokens_reply, attached),
	FIELD_OCTETS(struct tokens_reply, feedback),
	FIELD_END,
};
const struct record tokens_reply_record =
	RECORD("tokens_reply", struct tokens_reply, tokens_reply_fields);

static const char *const draft_kind_names[] = { "dkim", "arc-message", "arc-seal", NULL };
static const struct field draft_request_fields[] = {
	FIELD_ENUM(struct draft_request, kind, draft_kind_names),
	FIELD_STR(struct draft_request, domain),
	FIELD_STR(struct draft_request, selector),
	FIELD_STR(struct draft_request, algorithm),
	FIELD_INT(struct draft_request, now),
	FIELD_ENUM(struct draft_request, chain, auth_result_names),
	FIELD_OCTETS(struct draft_request, results),
	FIELD_OCTETS(struct draft_request, set),
	FIELD_END,
};
const struct record draft_request_record =
	RECORD("draft_request", struct draft_request, draft_request_fields);

static const struct field draft_reply_fields[] = {
	FIELD_OCTETS(struct draft_reply, head),
	FIELD_OCTETS(struct draft_reply, tail),
	FIELD_OCTETS(struct draft_reply, digest),
	FIELD_OCTETS(struct draft_reply, below),
	FIELD_END,
};
const struct record draft_reply_record =
	RECORD("draft_reply", struct draft_reply, draft_reply_fields);

static const struct field resolve_request_fields[] = {
	FIELD_RECORDS(struct resolve_request, questions, &dns_question_record),
	FIELD_INT(struct resolve_request, steps),
	FIELD_INT(struct resolve_request, reserved_steps),
	FIELD_END,
};
const struct record resolve_request_record =
	RECORD("resolve_request", struct resolve_request, resolve_request_fields);

static const struct field resolve_reply_fields[] = {
	FIELD_RECORDS(struct resolve_reply, answers, &dns_answer_record),
	FIELD_END,
};
const struct record resolve_reply_record =
	RECORD("resolve_reply", struct resolve_reply, resolve_reply_fields);

static const struct field keep_label_fields[] = {
	FIELD_OCTETS(struct keep_label, id),
	FIELD_OCTETS(struct keep_label, label),
	FIELD_END,
};
const struct record keep_label_record = RECORD("keep_label", struct keep_label, keep_label_fields);

static const struct field keep_id_fields[] = {
	FIELD_OCTETS(struct keep_id, id),
	FIELD_END,
};
const struct record keep_id_record = RECORD("keep_id", struct keep_id, keep_id_fields);

static const struct field keep_reply_fields[] = {
	FIELD_ENUM(struct keep_reply, result, keep_result_names),
	FIELD_OCTETS(struct keep_reply, text),
	FIELD_END,
};
const struct record keep_reply_record = RECORD("keep_reply", struct keep_reply, keep_reply_fields);

static const struct field keep_record_fields[] = {
	FIELD_OCTETS(struct keep_record, id),
	FIELD_INT(struct keep_record, time),
	FIELD_ENUM(struct keep_record, action, action_names),
	FIELD_POINTER(struct keep_record, dmarc, &dmarc_row_record),
	FIELD_END,
};
const struct record keep_record_record =
	RECORD("keep_record", struct keep_record, keep_record_fields);

static const struct field quarantine_order_fields[] = {
	FIELD_OCTETS(struct quarantine_order, id),
	FIELD_OCTETS(struct quarantine_order, who),
	FIELD_STRS(struct quarantine_order, rcpt_to),
	FIELD_END,
};
const struct record quarantine_order_record =
	RECORD("quarantine_order", struct quarantine_order, quarantine_order_fields);

static const struct field delivery_job_fields[] = {
	FIELD_INT(struct delivery_job, job),
	FIELD_OCTETS(struct delivery_job, id),
	FIELD_OCTETS(struct delivery_job, mail_from),
	FIELD_OCTETS(struct delivery_job, headers),
	FIELD_STR(struct delivery_job, sign_for),
	FIELD_RECORDS(struct delivery_job, cuts, &cut_record),
	FIELD_STRS(struct delivery_job, rcpt_to),
	FIELD_END,
};
const struct record delivery_job_record =
	RECORD("delivery_job", struct delivery_job, delivery_job_fields);

static const struct field delivery_done_fields[] = {
	FIELD_INT(struct delivery_done, job),
	FIELD_ENUM(struct delivery_done, result, keep_result_names),
	FIELD_OCTETS(struct delivery_done, text),
	FIELD_STRS(struct delivery_done, delivered),
	FIELD_END,
};
const struct record delivery_done_record =
	RECORD("delivery_done", struct delivery_done, delivery_done_fields);

static const struct field train_request_fields[] = {
	FIELD_BOOL(struct train_request, spam),
	FIELD_BOOL(struct train_request, attached),
	FIELD_OCTETS(struct train_request, findings),
	FIELD_OCTETS(struct train_request, who),
	FIELD_OCTETS(struct train_request, channel),
	FIELD_OCTETS(struct train_request, tenant),
	FIELD_END,
};
const struct record train_request_record =
	RECORD("train_request", struct train_request, train_request_fields);

static const char *const train_what_names[] = { "status", "metrics", "rebuild", "undo",
	"roll_back", "review", "accept", NULL };
static const struct field train_order_fields[] = {
	FIELD_ENUM(struct train_order, what, train_what_names),
	FIELD_INT(struct train_order, since),
	FIELD_OCTETS(struct train_order, who),
	FIELD_INT(struct train_order, number),
	FIELD_END,
};
const struct record train_order_record = RECORD("train_order", struct train_order, train_order_fields);
