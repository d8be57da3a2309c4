#include "core/facts.h"

const char *const scan_result_names[] = { "clean", "virus", "unscannable", "unavailable", "timeout", NULL };

static const struct field tls_fields[] = {
	FIELD_STR(struct facts_tls, version),
	FIELD_STR(struct facts_tls, cipher),
	FIELD_END,
};
const struct record facts_tls_record = RECORD("tls", struct facts_tls, tls_fields);

static const struct field object_fields[] = {
	FIELD_OCTETS(struct scan_object, name),
	FIELD_STR(struct scan_object, type),
	FIELD_INT(struct scan_object, size),
	FIELD_INT(struct scan_object, depth),
	FIELD_END,
};
static const struct record object_record = RECORD("scanned object", struct scan_object, object_fields);

static const struct field scan_fields[] = {
	FIELD_ENUM(struct facts_scan, result, scan_result_names),
	FIELD_STRS(struct facts_scan, names),
	FIELD_STR(struct facts_scan, reason),
	FIELD_STR(struct facts_scan, database),
	FIELD_RECORDS(struct facts_scan, objects, &object_record),
	FIELD_END,
};
const struct record facts_scan_record = RECORD("scan", struct facts_scan, scan_fields);

static const struct field counter_fields[] = {
	FIELD_OCTETS(struct facts_counter, key),
	FIELD_INT(struct facts_counter, value),
	FIELD_END,
};
const struct record facts_counter_record = RECORD("counter", struct facts_counter, counter_fields);

/*
 * Hidden from JSON: what it has in a form of its own (time, client, zone), which
 * core/facts_json.c reads and writes beside the table.
 */
#define APART(T, member, kind) { FIELD_(T, member, kind), .hidden = true }
static const struct field facts_fields[] = {
	APART(struct facts, now, FIELD_TYPE_INT),
	APART(struct facts, client_ip, FIELD_TYPE_STR),
	APART(struct facts, client_port, FIELD_TYPE_INT),
	FIELD_STR(struct facts, listener),
	FIELD_BOOL(struct facts, outbound),
	FIELD_STR(struct facts, account),
	FIELD_BOOL(struct facts, esmtp),
	FIELD_POINTER(struct facts, tls, &facts_tls_record),
	APART(struct facts, has_helo, FIELD_TYPE_BOOL),
	APART(struct facts, has_mail_from, FIELD_TYPE_BOOL),
	FIELD_STR(struct facts, helo),
	FIELD_STR(struct facts, mail_from),
	APART(struct facts, rcpt_to, FIELD_TYPE_STRS),
	FIELD_STR(struct facts, session_id),
	FIELD_STR(struct facts, transaction_id),
	FIELD_INT(struct facts, message_size),
	{ FIELD_(struct facts, dns, FIELD_TYPE_RECORDS), .sub = &dns_answer_record, .hidden = true },
	FIELD_POINTER(struct facts, scan, &facts_scan_record),
	FIELD_RECORDS(struct facts, counters, &facts_counter_record),
	FIELD_STR(struct facts, versions),
	FIELD_INT(struct facts, waited_ms), /* a replay must time out where the first one did */
	FIELD_STRS(struct facts, without),
	FIELD_END,
};
const struct record facts_record = RECORD("facts", struct facts, facts_fields);

enum traffic facts_traffic(const struct facts *facts)
{
	return facts->outbound ? TRAFFIC_OUTBOUND : TRAFFIC_INBOUND;
}

const struct dns_answer *facts_dns(const struct facts *facts, struct str name, int64_t type)
{
	for (size_t i = 0; i < facts->dns.n; i++)
		if (facts->dns.v[i].type == type && dns_name_eq(facts->dns.v[i].name, name))
			return &facts->dns.v[i];
	return NULL;
}
