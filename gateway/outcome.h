/*
 * outcome: what becomes of a message after its verdict, as one table.
 *
 * It knows the order in which quarantine and mailbox server are served, and which
 * reply the sender gets, for every way in which that can end. It does nothing
 * itself: gateway/front/deliver.c carries the steps out and reports each result as
 * an event. So the promise "2xx only when every recipient has a durable owner" can
 * be read, and tested, in one place.
 *
 *	struct outcome o = OUTCOME_INIT;
 *	const struct outcome_row *row = outcome_next(&o, outcome_judge(actions, n, fates));
 *	while (row->step != OUTCOME_STEP_END)
 *		row = outcome_next(&o, carry_out(row));
 *	reply(row->reply);
 *
 * A message to an address that learns is delivered to nobody: its owner is the training log.
 *
 * A pending quarantine entry that nobody commits or drops (a crash, a front that is
 * gone) counts as committed: a duplicate rather than a loss.
 */
#ifndef GATEWAY_OUTCOME_H
#define GATEWAY_OUTCOME_H

#include "core/verdict.h"

enum outcome_state {
	OUTCOME_JUDGED,		 /* the verdict is there, nothing has happened */
	OUTCOME_HOLDING_ALL,	 /* nobody is forwarded: one direct commit is under way */
	OUTCOME_HOLDING,	 /* the held ones are being written, pending */
	OUTCOME_OFFERING,	 /* MAIL and RCPT at the mailbox server */
	OUTCOME_HOLDING_LATE,	 /* recipients that it refused there are being written, pending */
	OUTCOME_SENDING,	 /* DATA, content, final dot */
	OUTCOME_LEARNING,	 /* the message is a lesson: the trainer has it */
	OUTCOME_HOLDING_REFUSED, /* LMTP: those refused after the dot are being written */
	OUTCOME_ENDED,
	OUTCOME_STATE_COUNT
};

enum outcome_event {
	/* In JUDGED, from outcome_judge(). */
	OUTCOME_ANY_TEMPFAIL,
	OUTCOME_ALL_REFUSED,
	OUTCOME_NOBODY_FORWARDED,
	OUTCOME_SOME_HELD,
	OUTCOME_ALL_FORWARDED,
	/* In JUDGED, of mail to an address that learns (gateway/lesson.h). */
	OUTCOME_LESSON,
	OUTCOME_LESSON_FOREIGN, /* its giver is none of ours */
	OUTCOME_LESSON_LATER,	/* who its giver is cannot be said now */
	/* Of the trainer. */
	OUTCOME_LEARNED, /* all that was attached is in the training log, on the disk */
	OUTCOME_LESSON_REFUSED, /* by the trainer: nothing attached, a quota */
	OUTCOME_NOT_LEARNED,	/* any other failure, the trainer gone among them */
	/* Of the quarantine. */
	OUTCOME_STORED,
	OUTCOME_NO_SPACE,
	OUTCOME_NOT_STORED, /* any other failure, the keeper gone among them */
	/* Of the mailbox server, before the content. */
	OUTCOME_UNREACHABLE,  /* no backend gave a session in time */
	OUTCOME_MAIL_LATER,   /* MAIL answered 4xx */
	OUTCOME_MAIL_REFUSED, /* MAIL answered 5xx */
	OUTCOME_BLAMED,	      /* a 5xx that is about us, not the message (530, relaying denied) */
	OUTCOME_RCPT_TAKEN,   /* this and the next three from outcome_offered() */
	OUTCOME_RCPT_LATER,
	OUTCOME_RCPT_SOME_REFUSED,
	OUTCOME_RCPT_ALL_REFUSED,
	OUTCOME_LOST, /* the connection broke, or a reply made no sense, before our dot was out */
	/* Of the mailbox server, DATA and after. */
	OUTCOME_CONTENT_TAKEN, /* this and the next four from outcome_sent() */
	OUTCOME_CONTENT_LATER,
	OUTCOME_CONTENT_REFUSED,
	OUTCOME_CONTENT_SOME_LATER,
	OUTCOME_CONTENT_SOME_REFUSED,
	OUTCOME_LOST_AFTER_DOT, /* the same as LOST once the dot may have arrived */
	OUTCOME_EVENT_COUNT
};

enum outcome_step {
	OUTCOME_STEP_STORE, /* quarantine: row->entry for the recipients of its fate */
	OUTCOME_STEP_OFFER, /* borrow a session; MAIL, RCPT for every forwarded one */
	OUTCOME_STEP_LEARN, /* hand it to the trainer */
	OUTCOME_STEP_SEND,  /* DATA, our headers, the content, the dot */
	OUTCOME_STEP_END,   /* row->settle, then row->reply */
};

/* What the sender is told. */
enum outcome_reply {
	OUTCOME_REPLY_NONE,	 /* not yet */
	OUTCOME_REPLY_ACCEPTED,	 /* 250 */
	OUTCOME_REPLY_VERDICT,	 /* the verdict's own 4xx or 5xx */
	OUTCOME_REPLY_RELAY,	 /* the mailbox server's code and, sanitised, its text */
	OUTCOME_REPLY_NO_SPACE,	 /* 452 4.3.1 */
	OUTCOME_REPLY_TROUBLE,	 /* 451 4.3.0: our own side */
	OUTCOME_REPLY_UNREACHABLE, /* 451 4.4.1 */
	OUTCOME_REPLY_LOST,	 /* 451 4.4.2 */
	OUTCOME_REPLY_FOREIGN,	 /* 550 5.7.1: lessons are our own users' */
	OUTCOME_REPLY_UNKNOWN,	 /* 451 4.7.1: it cannot be said whose lesson it is */
	OUTCOME_REPLY_LESSON,	 /* 554 5.6.0 and the trainer's text */
	OUTCOME_REPLY_LATER,	 /* 451 4.3.0: a recipient cannot be served now, so nobody is */
};

/* What happens to the quarantine entries written so far, when it ends. */
enum outcome_settle { OUTCOME_SETTLE_NOTHING, OUTCOME_SETTLE_COMMIT, OUTCOME_SETTLE_DROP };

/* What the log says beside the message's line. */
enum outcome_note {
	OUTCOME_NOTE_NONE,
	OUTCOME_NOTE_ALARM,	/* the mailbox server does not let us relay: to be mended */
	OUTCOME_NOTE_UNCERTAIN, /* delivery-uncertain: it may be there, and will come again */
	OUTCOME_NOTE_DUPLICATE, /* delivery-repeated: some have it and will get it again */
};

/* The quarantine entries that one message can have. */
enum outcome_entry {
	OUTCOME_ENTRY_VERDICT, /* held by the verdict */
	OUTCOME_ENTRY_LATE,    /* refused by the mailbox server at RCPT, while others were taken */
	OUTCOME_ENTRY_REFUSED, /* the same after the content (LMTP) */
	OUTCOME_ENTRY_COUNT,
	OUTCOME_ENTRY_NONE = OUTCOME_ENTRY_COUNT
};
/* Whose recipient is this? Held fates and entries have the same numbers. */
enum outcome_fate {
	OUTCOME_FATE_VERDICT = OUTCOME_ENTRY_VERDICT,
	OUTCOME_FATE_LATE = OUTCOME_ENTRY_LATE,
	OUTCOME_FATE_REFUSED = OUTCOME_ENTRY_REFUSED,
	OUTCOME_FATE_FORWARD, /* the mailbox server's */
};

struct outcome_row {
	enum outcome_state state;
	enum outcome_event event;
	enum outcome_step step;
	enum outcome_state next;
	enum outcome_entry entry; /* STORE */
	bool pending;		  /* STORE: committed or dropped later */
	enum outcome_reply reply; /* END */
	enum outcome_settle settle;
	enum outcome_note note;
};

struct outcome {
	enum outcome_state state;
	unsigned written; /* entries written, or being written: bits 1 << enum outcome_entry */
};
#define OUTCOME_INIT { OUTCOME_JUDGED, 0 }

/*
 * The step that follows, the outcome moved on. An event that cannot occur in this
 * state is our own bug (assert). The row is constant and lives for ever.
 */
const struct outcome_row *outcome_next(struct outcome *outcome, enum outcome_event event);
/* The row for this pair, or NULL: for tests, and for the table in the documentation. */
const struct outcome_row *outcome_find(enum outcome_state state, enum outcome_event event);

/*
 * The first event, from the recipients' actions (n > 0); fates_r[i] is set. Some
 * refused and others not: a single reply cannot say so, so the refused are held.
 */
enum outcome_event outcome_judge(const enum action *actions, size_t n, enum outcome_fate *fates_r);
/*
 * RCPT's answers: codes[i] is the mailbox server's reply code for recipient i, read
 * only where the fate is FORWARD. Anything but 2xx and 5xx counts as 4xx. When some
 * are refused for good, their fate becomes LATE.
 */
enum outcome_event outcome_offered(const int *codes, size_t n, enum outcome_fate *fates);
/* The same for the replies after the dot: one per recipient (LMTP; SMTP: the one for all). When
 * some are refused for good, their fate becomes REFUSED. */
enum outcome_event outcome_sent(const int *codes, size_t n, enum outcome_fate *fates);

/*
 * Does a 5xx speak about us rather than about sender, recipient or content (RFC
 * 4954 530, "relaying denied", a client host refused)? text: behind the code.
 */
bool outcome_blames_us(int code, struct str enhanced, struct str text);

const char *outcome_state_name(enum outcome_state state);
const char *outcome_event_name(enum outcome_event event);

#endif
