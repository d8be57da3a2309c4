#include "core/auth.h"

const char *const auth_result_names[] = { "none", "pass", "fail", "softfail", "neutral", "policy",
	"temperror", "permerror", NULL };
const char *const dmarc_policy_names[] = { "none", "quarantine", "reject", "absent", NULL };
const char *const dmarc_disposition_names[] = { "none", "pass", "quarantine", "reject", NULL };
const char *const dmarc_discovery_names[] = { "treewalk", "psl", NULL };

#define HIDDEN(T, member, kind) { FIELD_(T, member, kind), .hidden = true }
#define HIDDEN_ENUM(T, member, table) \
	{ FIELD_(T, member, FIELD_TYPE_ENUM), .names = (table), .hidden = true }

static const struct field spf_fields[] = {
	FIELD_ENUM(struct auth_spf, result, auth_result_names),
	FIELD_STR(struct auth_spf, domain),
	FIELD_STR(struct auth_spf, scope),
	FIELD_STR(struct auth_spf, explanation),
	FIELD_END,
};
const struct record auth_spf_record = RECORD("spf", struct auth_spf, spf_fields);

static const struct field dkim_fields[] = {
	FIELD_ENUM(struct auth_dkim, result, auth_result_names),
	FIELD_STR(struct auth_dkim, domain),
	FIELD_STR(struct auth_dkim, selector),
	FIELD_STR(struct auth_dkim, algorithm),
	FIELD_STR(struct auth_dkim, reason),
	HIDDEN(struct auth_dkim, identity, FIELD_TYPE_STR),
	HIDDEN(struct auth_dkim, signature, FIELD_TYPE_STR),
	FIELD_END,
};
const struct record auth_dkim_record = RECORD("dkim", struct auth_dkim, dkim_fields);

/* A list of its own, so that "not computed" and "no signatures" differ. */
static const struct field dkim_list_fields[] = {
	{ .name = "signatures", .type = FIELD_TYPE_RECORDS, .offset = 0, .sub = &auth_dkim_record },
	FIELD_END,
};
const struct record auth_dkim_list_record =
	RECORD("dkim results", struct auth_dkim_list, dkim_list_fields);

static const char *const arc_result_names[] = { "none", "pass", "fail", NULL };
static const struct field arc_fields[] = {
	FIELD_ENUM(struct auth_arc, result, arc_result_names),
	FIELD_STRS(struct auth_arc, sealers),
	FIELD_STR(struct auth_arc, reason),
	HIDDEN(struct auth_arc, saw_dmarc, FIELD_TYPE_BOOL),
	HIDDEN(struct auth_arc, saw_dmarc_from, FIELD_TYPE_STR),
	HIDDEN(struct auth_arc, saw_dkim, FIELD_TYPE_STRS),
	FIELD_END,
};
const struct record auth_arc_record = RECORD("arc", struct auth_arc, arc_fields);

static const struct field dmarc_fields[] = {
	FIELD_ENUM(struct auth_dmarc, result, auth_result_names),
	FIELD_STR(struct auth_dmarc, author_domain),
	FIELD_STR(struct auth_dmarc, policy_domain),
	FIELD_ENUM(struct auth_dmarc, policy, dmarc_policy_names),
	FIELD_ENUM(struct auth_dmarc, disposition, dmarc_disposition_names),
	FIELD_ENUM(struct auth_dmarc, discovery, dmarc_discovery_names),
	FIELD_STR(struct auth_dmarc, override),
	HIDDEN(struct auth_dmarc, rua, FIELD_TYPE_STR),
	HIDDEN_ENUM(struct auth_dmarc, published_p, dmarc_policy_names),
	HIDDEN_ENUM(struct auth_dmarc, published_sp, dmarc_policy_names),
	HIDDEN_ENUM(struct auth_dmarc, published_np, dmarc_policy_names),
	HIDDEN(struct auth_dmarc, adkim, FIELD_TYPE_STR),
	HIDDEN(struct auth_dmarc, aspf, FIELD_TYPE_STR),
	HIDDEN(struct auth_dmarc, fo, FIELD_TYPE_STR),
	HIDDEN(struct auth_dmarc, testing, FIELD_TYPE_BOOL),
	HIDDEN(struct auth_dmarc, dkim_aligned, FIELD_TYPE_BOOL),
	HIDDEN(struct auth_dmarc, spf_aligned, FIELD_TYPE_BOOL),
	HIDDEN(struct auth_dmarc, comment, FIELD_TYPE_STR),
	FIELD_END,
};
const struct record auth_dmarc_record = RECORD("dmarc", struct auth_dmarc, dmarc_fields);

static const struct field iprev_fields[] = {
	FIELD_ENUM(struct auth_iprev, result, auth_result_names),
	FIELD_STR(struct auth_iprev, name),
	FIELD_END,
};
const struct record auth_iprev_record = RECORD("iprev", struct auth_iprev, iprev_fields);

static const struct field auth_fields[] = {
	FIELD_POINTER(struct auth, spf, &auth_spf_record),
	FIELD_POINTER(struct auth, spf_helo, &auth_spf_record),
	FIELD_POINTER(struct auth, dkim, &auth_dkim_list_record),
	FIELD_POINTER(struct auth, arc, &auth_arc_record),
	FIELD_POINTER(struct auth, dmarc, &auth_dmarc_record),
	FIELD_POINTER(struct auth, iprev, &auth_iprev_record),
	FIELD_END,
};
const struct record auth_record = RECORD("auth", struct auth, auth_fields);
