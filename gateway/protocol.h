/*
 * protocol: what our processes say to each other, over core/ipc.h.
 *
 * Every packet has a type from this list and a payload that is one record (or
 * nothing). Requests run one way: front → inspector, resolver, scanner, keeper,
 * trainer; web → keeper, trainer, bench inspector; trainer → bench inspector. Each role
 * has one control channel to the supervisor.
 *
 * A role starts with these descriptors: ROLE_FD_CONTROL, ROLE_FD_CONFIG (sealed
 * memfd with the configuration's text: every role reads the same octets by the
 * same rows, so nothing is serialised), ROLE_FD_SHARED (struct shared, mapped).
 */
#ifndef GATEWAY_PROTOCOL_H
#define GATEWAY_PROTOCOL_H

#include "core/verdict.h"
#include "quarantine/entry.h"

enum { ROLE_FD_CONTROL = 3, ROLE_FD_CONFIG = 4, ROLE_FD_SHARED = 5 };

enum role {
	ROLE_SUPERVISOR,
	ROLE_FRONT,
	ROLE_INSPECTOR,
	ROLE_SCANNER,
	ROLE_RESOLVER,
	ROLE_KEEPER,
	ROLE_TRAINER,
	ROLE_WEB,
	ROLE_COUNT
};
extern const char *const role_names[];

enum packet {
	/* Control: supervisor to role unless said otherwise. */
	CTL_WIRE = 1, /* struct ctl_peer + the role's end of a channel to that peer */
	CTL_LISTEN,   /* struct ctl_listen + a listening socket (front, web) */
	CTL_START,    /* struct ctl_ready of the inspectors. All wires of the start are there: serve.
			 Again when inspectors of another kind replace those */
	CTL_RETIRE,   /* front: another serves what is new; exit 0 when all that is open has ended */
	CTL_DRAIN,    /* take nothing new, finish, exit 0 */
	CTL_READY,    /* role to supervisor: struct ctl_ready; loaded and confined */
	CTL_FAILED,   /* role to supervisor: struct ctl_text; will exit */
	CTL_FORK,     /* to a loader: struct ctl_peer + the end of a channel for a new child; index is
			 the child's, role who will talk to it */
	CTL_DIED,     /* loader to supervisor, supervisor to who talked to it: struct ctl_died */
	CTL_KILL,     /* front or web to supervisor, supervisor to loader: struct ctl_peer */
	CTL_RELOAD,   /* scanner to supervisor: as SIGHUP, since its database has changed */

	/* to an inspector */
	EVALUATE = 20,	 /* struct evaluate_request, [message] → EVALUATE_NEEDS or EVALUATE_VERDICT */
	EVALUATE_NEEDS,	 /* struct needs */
	EVALUATE_VERDICT, /* struct verdict */
	EVALUATE_TOKENS, /* bench: struct tokens_request, [message] → struct tokens_reply */
	EVALUATE_DRAFT,	 /* struct draft_request, [message] → struct draft_reply (gateway/inspector/draft.h) */

	/* to the resolver */
	RESOLVE = 30, /* struct resolve_request → struct resolve_reply, when all are answered */

	/* to a scanner */
	SCAN = 40, /* [message] → struct facts_scan */

	/* to the keeper */
	KEEP_STORE = 50, /* struct quarantine_entry, [message] → struct keep_reply, once durable */
	KEEP_COMMIT,	 /* struct keep_id, one-way: pending becomes committed */
	KEEP_DROP,	 /* struct keep_id, one-way: is removed, the sender still has it */
	KEEP_RECORD,	 /* struct keep_record, one-way: counters and rows of a finished message */
	KEEP_PULL,	 /* nothing → struct delivery_job, [message]; answered when there is a job */
	KEEP_JOB_DONE,	 /* struct delivery_done, one-way */
	KEEP_RELEASE,	 /* web: struct quarantine_order → struct keep_reply */
	KEEP_DELETE,	 /* web: struct quarantine_order → struct keep_reply */
	KEEP_READ,	 /* web: struct keep_id → struct keep_reply, [message] */
	KEEP_LABEL,	 /* web: struct keep_label → struct keep_reply; after it was learned */

	/* to the trainer */
	TRAIN = 70, /* struct train_request, [message] → struct keep_reply */
	TRAIN_ORDER, /* web: struct train_order → struct keep_reply, its text the answer's body */
};

struct ctl_peer {
	int role; /* enum role: what is at the other end */
	int64_t index, generation;
};
struct ctl_listen {
	struct str name; /* the listen section's title; "admin" or "control" for web */
	int64_t index;
};
struct ctl_ready {
	int64_t stages, stages_outbound; /* inspector: where filters are enabled, for whose mail */
	int64_t ahead, ahead_outbound;	 /* … bits of enum ahead */
	struct str versions;
};
struct ctl_text {
	struct str text;
};
struct ctl_died {
	int64_t index, generation, status; /* as of waitpid */
	struct str filter;		   /* that was running, or empty */
};

struct evaluate_request {
	int64_t stage;
	int64_t fresh; /* 1: forget what you keep of this transaction */
	struct facts facts;
};
struct tokens_request {
	struct str tenant;
	int64_t attached; /* 0: of the message itself; N: of the Nth message attached to it */
	struct str findings; /* as in struct train_request */
	bool believes_headers; /* if there are none: what our own header lines name */
};
struct tokens_reply {
	struct str tokens; /* octets in the classifier's own form; empty: there is no such message */
	struct str hash;     /* gateway/identity.h */
	struct str octets;   /* SHA-256 of the message as it came, as struct journal_entry wants it */
	struct str sender;   /* domain that the message says it is from, or empty */
	int64_t attached;    /* how many messages are attached, if the request asked for one */
	struct str feedback; /* the same: the type of a feedback report (core/mail/attached.h) */
};

/* A signature of DKIM, or one of the two of an ARC set: the seal is asked for when the other is finished. */
enum draft_kind { DRAFT_DKIM, DRAFT_ARC_MESSAGE, DRAFT_ARC_SEAL };
struct draft_request {
	int kind; /* enum draft_kind */
	struct str domain, selector, algorithm;
	int64_t now;
	int chain;	    /* ARC: enum auth_result, what was found of the chain so far */
	struct str results; /* ARC_MESSAGE: the value of our Authentication-Results */
	struct str set;	    /* ARC_SEAL: the lines of the set that are finished */
};
struct draft_reply { /* as struct sign_draft; head empty: the message must get none */
	struct str head, tail, digest;
	struct str below; /* ARC_MESSAGE: the line that stands below */
};

struct resolve_request {
	LIST(struct dns_question) questions;
	int64_t steps, reserved_steps; /* struct dns_steps */
};
struct resolve_reply {
	LIST(struct dns_answer) answers; /* in the order of the questions */
};

struct keep_id {
	struct str id;
};
struct keep_label {
	struct str id, label; /* "spam" or "ham" */
};
enum keep_result { KEEP_OK, KEEP_NOT_FOUND, KEEP_NO_SPACE, KEEP_IO_ERROR, KEEP_REFUSED };
struct keep_reply {
	int result; /* enum keep_result */
	struct str text;
};
struct keep_record {
	struct str id;
	int64_t time;
	int action; /* what was done in the end */
	struct dmarc_row *dmarc;
};
struct quarantine_order {
	struct str id, who;
	struct str_list rcpt_to; /* empty: all */
};
struct delivery_job {
	int64_t job;
	struct str id, mail_from, headers;
	struct str sign_for; /* domain: our own mail, which its key signs; empty: somebody else's */
	LIST(struct cut) cuts;
	struct str_list rcpt_to;
};
struct delivery_done {
	int64_t job;
	int result; /* enum keep_result: OK delivered, REFUSED for good, IO_ERROR try again */
	struct str text;
	struct str_list delivered; /* not OK: these have it all the same, and never get it again */
};
struct train_request {
	bool spam;
	bool attached; /* all that is attached to the message, not the message itself */
	struct str findings; /* names of what was found in it when it came, blanks between; may be empty */
	struct str who, channel, tenant;
};
enum train_what { TRAIN_STATUS, TRAIN_METRICS, TRAIN_REBUILD, TRAIN_UNDO, TRAIN_ROLL_BACK,
	TRAIN_REVIEW, TRAIN_ACCEPT };
struct train_order {
	int what; /* enum train_what */
	int64_t since; /* UNDO: lessons from this time on, */
	struct str who; /* by this giver unless empty */
	int64_t number; /* ROLL_BACK: which checkpoint, from the newest, 0; ACCEPT: the lesson's id */
};

extern const struct record ctl_peer_record, ctl_listen_record, ctl_ready_record, ctl_text_record,
	ctl_died_record, evaluate_request_record, tokens_request_record, tokens_reply_record,
	draft_request_record, draft_reply_record,
	resolve_request_record, resolve_reply_record, keep_id_record, keep_label_record,
	keep_reply_record, keep_record_record, quarantine_order_record, delivery_job_record,
	delivery_done_record, train_request_record, train_order_record;

#endif
