#include "quarantine/entry.h"

static const struct field quarantine_entry_fields[] = {
	FIELD_STR(struct quarantine_entry, id),
	FIELD_INT(struct quarantine_entry, time),
	FIELD_BOOL(struct quarantine_entry, pending),
	FIELD_STR(struct quarantine_entry, client_ip),
	FIELD_STR(struct quarantine_entry, helo),
	FIELD_STR(struct quarantine_entry, mail_from),
	FIELD_STRS(struct quarantine_entry, rcpt_to),
	FIELD_STR(struct quarantine_entry, subject),
	FIELD_STR(struct quarantine_entry, from),
	FIELD_STR(struct quarantine_entry, message_id),
	FIELD_DOUBLE(struct quarantine_entry, score),
	FIELD_STR(struct quarantine_entry, reason),
	FIELD_STR(struct quarantine_entry, virus),
	FIELD_STR(struct quarantine_entry, facts),
	FIELD_STR(struct quarantine_entry, verdict),
	FIELD_STR(struct quarantine_entry, content_hash),
	FIELD_STR(struct quarantine_entry, headers),
	FIELD_RECORDS(struct quarantine_entry, cuts, &cut_record),
	FIELD_INT(struct quarantine_entry, size),
	FIELD_END,
};
const struct record quarantine_entry_record =
	RECORD("quarantine_entry", struct quarantine_entry, quarantine_entry_fields);
