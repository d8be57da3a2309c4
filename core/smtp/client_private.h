/*
 * client_private: the inside of struct client, shared by the two halves of the
 * client: client.c brings a session about and ends it, client_queue.c runs the
 * commands in between. Nobody else includes this.
 */
#ifndef CORE_SMTP_CLIENT_PRIVATE_H
#define CORE_SMTP_CLIENT_PRIVATE_H

#include "core/smtp/client.h"
#include "core/smtp/dot.h"
#include "core/smtp/stream.h"

#define CLIENT_ERROR_CODE 451 /* where the server has not spoken: what failed may work later */

enum client_phase {
	PHASE_CONNECT,
	PHASE_GREETING,
	PHASE_EHLO,
	PHASE_HELO,
	PHASE_STARTTLS,
	PHASE_HANDSHAKE,
	PHASE_AUTH,
	PHASE_READY,
	PHASE_CLOSED,
};

enum client_kind { KIND_MAIL, KIND_RCPT, KIND_RSET, KIND_NOOP, KIND_DATA, KIND_QUIT };

enum client_progress { WAITING, SENT, BODY, DOT_SENT }; /* the last two: of DATA */

struct client_command {
	struct client_command *next;
	enum client_kind kind;
	enum client_progress progress;
	struct buf line;
	client_reply_fn *fn;
	client_data_fn *data_fn;
	void *context;
	/* DATA */
	struct str *spans;
	size_t span_count, span, span_at;
	struct dot dot;
	struct client_result *results;
	size_t result_count, expected;
};

/* A reply that waits for the others of its message. */
struct client_result {
	int code;
	char enhanced[REPLY_ENHANCED_MAX];
	struct buf text;
};

struct client {
	struct loop *loop;
	const struct client_ops *ops;
	void *context;
	struct stream *stream;
	struct loop_timer *later; /* answers commands given to a closed session */
	struct client_options options;
	char *hostname, *name;
	enum client_phase phase;
	bool quitting; /* QUIT is sent */
	bool over;     /* the server has said 421, or what comes next cannot be told */
	bool in_clear; /* the TLS handshake failed once */
	bool held;     /* commands are gathered */
	bool freed;
	unsigned auth_answers; /* given in this exchange */
	unsigned depth;
	unsigned offers;
	uint64_t size_limit;
	unsigned recipients; /* accepted in this transaction */
	unsigned messages;
	int64_t last_used_ms;
	struct client_command *first, **last;
	struct reply reply;
};

/* ---- client.c ---- */

/* Around all that is called from the loop, so that callbacks may free the client. */
void client_enter(struct client *c);
void client_leave(struct client *c);
/* The one way into PHASE_CLOSED: answers all that waits, then on_closed(). */
void client_close(struct client *c, const struct client_reply *why);
/* The same for what ended without the server's word, or with one that does not count. */
void client_lose(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- client_queue.c ---- */

void client_queue_init(struct client *c);
void client_queue_free(struct client *c);
/* Sends what may be sent. */
void client_queue_pump(struct client *c);
/* A reply has come, of a session that is ready. */
void client_queue_on_reply(struct client *c);
/* The output buffer has room for more of a message. */
void client_queue_on_drained(struct client *c);
/* For the timer `later`: answers what was given to a session that is over. */
void client_queue_answer_late(void *context);
/* Answers all that waits with `why`; `dot_is_out`: a final dot, if any, may have been seen. */
void client_queue_answer_all(struct client *c, const struct client_reply *why, bool dot_is_out);

#endif
