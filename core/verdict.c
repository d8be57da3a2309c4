#include "core/verdict.h"

#include "core/json.h"

const char *const action_names[] = { "forward", "tag", "quarantine", "reject", "tempfail", NULL };

#define HIDDEN(T, member, kind) { FIELD_(T, member, kind), .hidden = true }

static const struct field finding_fields[] = {
	FIELD_STR(struct finding, name),
	FIELD_STR(struct finding, filter),
	FIELD_DOUBLE(struct finding, score),
	FIELD_STR(struct finding, text),
	HIDDEN(struct finding, stage, FIELD_TYPE_INT),
	{ FIELD_(struct finding, action, FIELD_TYPE_ENUM), .names = action_names, .hidden = true },
	HIDDEN(struct finding, about_client, FIELD_TYPE_BOOL),
	FIELD_END,
};
const struct record finding_record = RECORD("finding", struct finding, finding_fields);

static const struct field counter_fields[] = {
	FIELD_STR(struct need_counter, key),
	FIELD_INT(struct need_counter, add),
	FIELD_INT(struct need_counter, window_s),
	FIELD_END,
};
static const struct record need_counter_record = RECORD("counter", struct need_counter, counter_fields);

static const struct field needs_fields[] = {
	FIELD_RECORDS(struct needs, dns, &dns_question_record),
	FIELD_INT(struct needs, steps),
	FIELD_INT(struct needs, reserved_steps),
	FIELD_BOOL(struct needs, scan),
	FIELD_INT(struct needs, scan_timeout_ms),
	FIELD_RECORDS(struct needs, counters, &need_counter_record),
	FIELD_END,
};
const struct record needs_record = RECORD("needs", struct needs, needs_fields);

static const struct field cut_fields[] = {
	FIELD_INT(struct cut, offset),
	FIELD_INT(struct cut, length),
	FIELD_END,
};
const struct record cut_record = RECORD("cut", struct cut, cut_fields);

static const struct field recipient_fields[] = {
	FIELD_STR(struct recipient_verdict, address),
	FIELD_ENUM(struct recipient_verdict, action, action_names),
	FIELD_STR(struct recipient_verdict, reason),
	HIDDEN(struct recipient_verdict, reply, FIELD_TYPE_STR),
	HIDDEN(struct recipient_verdict, headers, FIELD_TYPE_STR),
	FIELD_END,
};
static const struct record recipient_record =
	RECORD("recipient", struct recipient_verdict, recipient_fields);

static const struct field dmarc_row_fields[] = {
	FIELD_STR(struct dmarc_row, policy_domain),
	FIELD_STR(struct dmarc_row, rua),
	FIELD_STR(struct dmarc_row, adkim),
	FIELD_STR(struct dmarc_row, aspf),
	FIELD_STR(struct dmarc_row, fo),
	FIELD_STR(struct dmarc_row, override),
	FIELD_STR(struct dmarc_row, comment),
	FIELD_ENUM(struct dmarc_row, p, dmarc_policy_names),
	FIELD_ENUM(struct dmarc_row, sp, dmarc_policy_names),
	FIELD_ENUM(struct dmarc_row, np, dmarc_policy_names),
	FIELD_ENUM(struct dmarc_row, discovery, dmarc_discovery_names),
	FIELD_ENUM(struct dmarc_row, disposition, dmarc_disposition_names),
	FIELD_BOOL(struct dmarc_row, testing),
	FIELD_BOOL(struct dmarc_row, dkim_aligned),
	FIELD_BOOL(struct dmarc_row, spf_aligned),
	FIELD_STR(struct dmarc_row, source_ip),
	FIELD_STR(struct dmarc_row, header_from),
	FIELD_STR(struct dmarc_row, envelope_from),
	FIELD_RECORD(struct dmarc_row, dkim, &auth_dkim_list_record),
	FIELD_POINTER(struct dmarc_row, spf, &auth_spf_record),
	FIELD_END,
};
const struct record dmarc_row_record = RECORD("dmarc row", struct dmarc_row, dmarc_row_fields);

static const struct field template_fields[] = {
	FIELD_POINTER(struct record_template, dmarc, &dmarc_row_record),
	FIELD_STR(struct record_template, message_id),
	FIELD_STR(struct record_template, subject),
	FIELD_STR(struct record_template, from),
	FIELD_STRS(struct record_template, attachments),
	FIELD_STR(struct record_template, content_hash),
	FIELD_END,
};
static const struct record template_record = RECORD("record", struct record_template, template_fields);

static const struct field bayes_fields[] = {
	FIELD_DOUBLE(struct verdict_bayes, log_odds),
	FIELD_STRS(struct verdict_bayes, strongest),
	FIELD_END,
};
static const struct record bayes_record = RECORD("bayes", struct verdict_bayes, bayes_fields);

static const struct field verdict_fields[] = {
	FIELD_ENUM(struct verdict, action, action_names),
	FIELD_DOUBLE(struct verdict, score),
	HIDDEN(struct verdict, required, FIELD_TYPE_DOUBLE),
	FIELD_STR(struct verdict, reason),
	FIELD_STR(struct verdict, reply),
	FIELD_RECORDS(struct verdict, recipients, &recipient_record),
	FIELD_RECORD(struct verdict, auth, &auth_record),
	FIELD_POINTER(struct verdict, bayes, &bayes_record),
	FIELD_RECORDS(struct verdict, findings, &finding_record),
	FIELD_STR(struct verdict, virus),
	FIELD_STR(struct verdict, authentication_results),
	HIDDEN(struct verdict, headers, FIELD_TYPE_STR),
	{ FIELD_(struct verdict, cuts, FIELD_TYPE_RECORDS), .sub = &cut_record, .hidden = true },
	{ FIELD_(struct verdict, record, FIELD_TYPE_RECORD), .sub = &template_record, .hidden = true },
	HIDDEN(struct verdict, sign_for, FIELD_TYPE_STR),
	FIELD_END,
};
const struct record verdict_record = RECORD("verdict", struct verdict, verdict_fields);

static void records_to_json(const struct record *rec, const void *v, size_t n, struct buf *out)
{
	buf_char(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_c(out, ", ");
		record_to_json(rec, (const char *)v + i * rec->size, out);
	}
	buf_char(out, ']');
}

static void slot(const struct record *rec, const void *object, struct buf *out)
{
	if (object)
		record_to_json(rec, object, out);
	else
		buf_c(out, "null");
}

static void auth_to_json(const struct auth *auth, struct buf *out)
{
	buf_c(out, "{\"spf\": ");
	slot(&auth_spf_record, auth->spf, out);
	buf_c(out, ", \"dkim\": ");
	if (auth->dkim)
		records_to_json(&auth_dkim_record, auth->dkim->v, auth->dkim->n, out);
	else
		buf_c(out, "null");
	buf_c(out, ", \"arc\": ");
	slot(&auth_arc_record, auth->arc, out);
	buf_c(out, ", \"dmarc\": ");
	slot(&auth_dmarc_record, auth->dmarc, out);
	buf_char(out, '}');
}

static void text_or_null(struct str s, struct buf *out)
{
	if (s.n)
		json_text(out, s, JSON_NO_CAP);
	else
		buf_c(out, "null");
}

void verdict_to_json(const struct verdict *v, struct buf *out)
{
	buf_printf(out, "{\"action\": \"%s\", \"score\": ", action_names[v->action]);
	json_double(out, v->score);
	buf_c(out, ", \"reason\": ");
	json_text(out, v->reason, JSON_NO_CAP);
	buf_c(out, ", \"reply\": ");
	json_text(out, v->reply, JSON_NO_CAP);
	buf_c(out, ", \"recipients\": ");
	records_to_json(&recipient_record, v->recipients.v, v->recipients.n, out);
	buf_c(out, ", \"auth\": ");
	auth_to_json(&v->auth, out);
	buf_c(out, ", \"bayes\": ");
	slot(&bayes_record, v->bayes, out);
	buf_c(out, ", \"findings\": ");
	records_to_json(&finding_record, v->findings.v, v->findings.n, out);
	buf_c(out, ", \"virus\": ");
	text_or_null(v->virus, out);
	buf_c(out, ", \"authentication_results\": ");
	text_or_null(v->authentication_results, out);
	buf_char(out, '}');
}
