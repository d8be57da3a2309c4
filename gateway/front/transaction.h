/*
 * transaction: from MAIL to its end, as one object.
 *
 * It exists or it is NULL. Every end (250, 4xx, 5xx, RSET, EHLO, STARTTLS, an error, the
 * client gone) frees it with all that it started, and the next MAIL makes a new one: no
 * field is ever reset, so none can be forgotten.
 *
 * What it points to lives in its arena, or in its session, which outlives it.
 */
#ifndef GATEWAY_FRONT_TRANSACTION_H
#define GATEWAY_FRONT_TRANSACTION_H

#include "core/smtp/command.h"
#include "core/smtp/reply.h"
#include "gateway/config.h"
#include "gateway/front/body.h"
#include "gateway/lesson.h"
#include "gateway/outcome.h"
#include "rules/evidence.h"

struct answers;
struct callout;
struct delivery;
struct front;
struct judgement;
struct session;
struct signing;

/* A reply that is to be given, or was. */
struct answer {
	int code; /* 0: none yet */
	char enhanced[REPLY_ENHANCED_MAX];
	struct str text;
};

/* A RCPT of the batch that is being decided. */
struct candidate {
	struct str address;
	const struct config_domain *domain;
	enum lesson_label lesson;
	struct answer answer; /* code 0: open */
	bool asked;	      /* at the mailbox server, or by an evaluation */
};

struct transaction {
	struct session *session;
	struct front *front;
	struct arena *arena;
	struct facts facts; /* rcpt_to: the accepted ones, while a batch is judged its own too */
	uint64_t declared_size;
	bool eight_bit; /* BODY=8BITMIME */

	const struct config_domain *route; /* of the first accepted recipient */
	enum lesson_label lesson;	   /* the same: not NONE, and nobody gets it */
	struct candidate *batch;
	size_t batch_count, batch_cap;
	size_t accepted; /* recipients, at the front of facts.rcpt_to */
	size_t rcpt_cap;
	unsigned refused; /* recipients */

	struct body body;
	bool in_chunks; /* BDAT has begun */
	unsigned chunks;

	struct answers *ahead;	     /* what was asked for ahead and is not answered yet */
	struct judgement *judgement; /* at most one */
	struct callout *callout;
	struct verdict *verdict;
	/* Whose keys sign what leaves, now or when it is released; empty: nobody's. It has some, or the
	 * sender is told to come again. */
	struct str sign_for;
	struct signing *signing;
	struct str signatures; /* the lines, to go on top */
	struct delivery *delivery;
	enum evidence_label auto_label; /* not NONE: it was given as a lesson, for */
	struct str auto_giver;		/* this reason */
	bool delivering; /* a delivery may have begun to have effects: it is carried to its end */

	/* For the log line: when, in loop_now_ms(). */
	int64_t begun_ms, received_ms, judged_ms, delivered_ms;
};

/* Of this session, with its facts so far and the next id. */
struct transaction *transaction_new(struct session *session);
/* Cancels all that is under way. Not while it is delivering. */
void transaction_free(struct transaction **transaction);

/* Adds an accepted recipient. */
void transaction_accept(struct transaction *transaction, struct str address);

/* Fills the answer; text may point to anything: it is copied, made safe, into the arena. */
void answer_set(struct answer *answer, struct arena *arena, int code, const char *enhanced,
	struct str text);
/* From "550 5.7.1 text" as a verdict says it; `fallback` if that is no such line. */
void answer_parse(struct answer *answer, struct arena *arena, struct str line,
	const char *fallback);

#endif
