/*
 * facts: all that a verdict depends on.
 *
 * evaluate(facts) is pure: client, envelope, message octets, answers from DNS
 * (a time-out is an answer), scans, counters, the time. The front owns them and
 * adds to them while a transaction lives; filters only read. Their binary form
 * (to inspectors, to the quarantine) and their JSON form come from one table.
 *
 * The JSON that people write (`gatepost check --facts`) has its client and its
 * DNS in nested form; facts_from_json() reads that one, and facts_to_json()
 * writes it, so that what was recorded can be evaluated again.
 */
#ifndef CORE_FACTS_H
#define CORE_FACTS_H

#include "core/dns.h"
#include "core/record.h"

/* A stranger's mail for us, or our own on its way out. */
enum traffic { TRAFFIC_INBOUND = 1, TRAFFIC_OUTBOUND = 2 };

struct facts_tls {
	struct str version; /* "TLSv1.3" */
	struct str cipher;
};

/* What the scanner found out about the message. */
enum scan_result { SCAN_CLEAN, SCAN_VIRUS, SCAN_UNSCANNABLE, SCAN_UNAVAILABLE, SCAN_TIMEOUT };
extern const char *const scan_result_names[];
struct scan_object {
	struct str name; /* as the archive or part says; hostile */
	struct str type; /* libclamav's name of the type */
	int64_t size, depth;
};
struct facts_scan {
	int result; /* enum scan_result */
	struct str_list names; /* of signatures or heuristics */
	struct str reason;     /* why unscannable or unavailable */
	struct str database;   /* version, for the record */
	LIST(struct scan_object) objects;
};

struct facts_counter {
	struct str key;
	int64_t value; /* after this evaluation's own share was added */
};

struct facts {
	int64_t now; /* seconds since 1970, UTC */
	struct str client_ip;  /* empty: unknown */
	int64_t client_port;
	struct str listener;   /* "0.0.0.0:25" */
	bool outbound;	       /* a mailbox server or user of ours sends it out */
	struct str account;    /* that the client proved to be; empty: none */
	bool esmtp;
	struct facts_tls *tls; /* NULL: in the clear */
	bool has_helo, has_mail_from;
	struct str helo;
	struct str mail_from;  /* without brackets; empty and has_mail_from: the null sender */
	struct str_list rcpt_to;
	struct str session_id; /* a transaction is SESSION.N; both printable */
	struct str transaction_id;
	int64_t message_size;  /* octets; the message itself travels beside the facts */
	LIST(struct dns_answer) dns;
	struct facts_scan *scan;
	LIST(struct facts_counter) counters;
	/* Versions of what judged: rules, lists, model, databases: "rules=ab12 geo=2026-11-01". */
	struct str versions;
	int64_t waited_ms; /* how long this evaluation has waited for answers so far: the runner
			      subtracts it from filters' time-outs, since inspectors read no clock */
	struct str_list without; /* filters that died on this message and are left out */
};
extern const struct record facts_record, facts_scan_record, facts_tls_record, facts_counter_record;

enum traffic facts_traffic(const struct facts *facts);
/* The answer to a question, or NULL. Case of the name does not matter. */
const struct dns_answer *facts_dns(const struct facts *facts, struct str name, int64_t type);

/*
 * From the JSON of `gatepost check --facts` (also what facts_to_json wrote). The
 * zone data in "dns" becomes a table of its own, since there names that are not
 * listed do not exist: ask facts_zone_answer() for answers.
 */
struct facts_zone;
int facts_from_json(struct str json, struct arena *arena, struct facts *facts_r,
	struct facts_zone **zone_r, struct err *err);
/* Every question has an answer; CNAMEs are followed (at most 16). */
void facts_zone_answer(const struct facts_zone *zone, struct arena *arena,
	const struct dns_question *q, struct dns_answer *answer_r);
/* Recorded facts, replayable; the answers become the zone, with "aliases": {"TXT": 2} beside those that took
 * steps. Appends to out. */
void facts_to_json(const struct facts *facts, struct buf *out);

#endif
