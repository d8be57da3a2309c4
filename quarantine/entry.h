/*
 * entry: what the quarantine's index knows of a held message, as a record: how
 * the front hands it over, and the JSON of `gatepost quarantine show`.
 */
#ifndef QUARANTINE_ENTRY_H
#define QUARANTINE_ENTRY_H

#include "core/verdict.h"

struct quarantine_entry {
	struct str id; /* the transaction's: unique, printable */
	int64_t time;
	bool pending; /* committed later, or at recovery */
	struct str client_ip, helo, mail_from;
	struct str_list rcpt_to; /* only those it is held for */
	struct str subject, from, message_id;
	double score;
	struct str reason;
	struct str virus;
	struct str facts, verdict; /* JSON, for replay */
	struct str content_hash;
	struct str headers; /* ours, put on top at release */
	LIST(struct cut) cuts; /* what is left out at release */
	int64_t size;
};
extern const struct record quarantine_entry_record;

#endif
