/*
 * verdict: findings, needs, and what evaluation returns. Shapes only; the
 * decision is made in rules/verdict.c, and carried out in gateway/outcome.c.
 */
#ifndef CORE_VERDICT_H
#define CORE_VERDICT_H

#include "core/auth.h"
#include "core/facts.h"

/* The stages of a session at which filters may look. */
enum stage { STAGE_CONNECT = 1, STAGE_MAIL = 2, STAGE_RCPT = 4, STAGE_MESSAGE = 8 };
#define STAGE_ALL (STAGE_CONNECT | STAGE_MAIL | STAGE_RCPT | STAGE_MESSAGE)

/* From mild to severe: the order is used. */
enum action { ACTION_FORWARD, ACTION_TAG, ACTION_QUARANTINE, ACTION_REJECT, ACTION_TEMPFAIL };
extern const char *const action_names[];

struct finding {
	struct str name;   /* "SPF_FAIL" */
	struct str filter; /* "spf" */
	double score;
	struct str text;   /* one sentence for people */
	int64_t stage;	   /* the earliest stage at which its filter runs; hidden from JSON */
	int action;	   /* the least action that it asks for by itself, default forward; hidden */
	bool about_client; /* a list names the client, whatever it sends; hidden */
};
struct finding_list {
	struct finding *v;
	size_t n;
};

struct need_counter {
	struct str key;
	int64_t add;
	int64_t window_s;
};
/* What an evaluation lacks. Each question carries the time that its filter still allows. */
struct needs {
	LIST(struct dns_question) dns;
	int64_t steps, reserved_steps; /* struct dns_steps */
	bool scan;
	int64_t scan_timeout_ms;
	LIST(struct need_counter) counters;
};

/* A line range of the message that is left out when it leaves: headers that forge ours. */
struct cut {
	int64_t offset, length;
};

struct recipient_verdict {
	struct str address;
	int action; /* enum action */
	struct str reason;
	struct str reply; /* hidden: for a refusal at RCPT */
	struct str headers; /* hidden: those of ours that hold for this action */
};

/* One row for the DMARC counters (RFC 9990), written when the outcome is known. */
struct dmarc_row {
	struct str policy_domain, rua, adkim, aspf, fo, override, comment;
	int p, sp, np, discovery, disposition;
	bool testing, dkim_aligned, spf_aligned;
	struct str source_ip, header_from, envelope_from;
	struct auth_dkim_list dkim;
	struct auth_spf *spf;
};

/* What must be remembered of a message whatever becomes of it. */
struct record_template {
	struct dmarc_row *dmarc; /* NULL: nothing to report */
	struct str message_id, subject, from; /* decoded, for the log and the index */
	struct str_list attachments;
	struct str content_hash; /* SHA-256, hexadecimal, of the message */
};

struct verdict_bayes {
	double log_odds;
	struct str_list strongest; /* features, as text, if asked for: for administrators, never for the sender */
};
struct verdict {
	int action; /* what the sender would be told: the mildest over the recipients unless all agree */
	double score;
	double required; /* hidden: the first recipient's reject score, for protocols that show one */
	struct str reason;
	struct str reply; /* "250 2.0.0 …", "550 5.7.1 …", "451 4.7.1 …" */
	LIST(struct recipient_verdict) recipients;
	struct auth auth;
	struct verdict_bayes *bayes;
	struct finding_list findings;
	struct str virus; /* name of the signature; empty: JSON null */
	struct str authentication_results; /* the value of our header, unfolded */
	/* Hidden from check's JSON: how to carry it out. */
	struct str headers; /* our header lines, CRLF ended, to go on top of every copy */
	LIST(struct cut) cuts; /* in order, not overlapping */
	struct record_template record;
	struct str sign_for; /* of outgoing mail: the author's domain, whose keys sign it, if it has any */
};
extern const struct record dmarc_row_record;
extern const struct record finding_record, cut_record;
extern const struct record needs_record;
extern const struct record verdict_record;

/* The JSON of `gatepost check --json` (design, section 7), one line. */
void verdict_to_json(const struct verdict *v, struct buf *out);

#endif
