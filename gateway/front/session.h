/*
 * session: one connection of a client, from accept to its end.
 *
 * It owns the stream, reads commands from it one after the other and hands each to its
 * file, cmd_*.c. A command answers at once with session_reply(), or says session_wait()
 * and answers later, ending with session_go_on(): between the two no other command is
 * looked at, so that replies keep their order (RFC 2920).
 *
 * A client that goes away takes everything with it that has had no effect yet; a delivery
 * that has begun is carried to its end, and the session stays for it.
 */
#ifndef GATEWAY_FRONT_SESSION_H
#define GATEWAY_FRONT_SESSION_H

#include "core/limits.h"
#include "core/smtp/lines.h"
#include "core/smtp/stream.h"
#include "gateway/front/front.h"
#include "gateway/front/transaction.h"

enum session_phase {
	SESSION_PROXY,	 /* the PROXY header is awaited */
	SESSION_COMMAND,
	SESSION_DATA,
	SESSION_CHUNK,
	SESSION_AUTH,	 /* the next line answers a challenge */
	SESSION_TLS,	 /* the handshake */
	SESSION_CLOSED,	 /* no stream any more */
};

struct session {
	struct session *next, **link; /* in front->sessions */
	struct front *front;
	const struct listener *listener;
	struct stream *stream; /* NULL: the client is gone, or was sent away */
	struct lines lines;
	struct arena *arena;
	struct ip client;
	enum session_phase phase;
	bool waiting;	   /* a command will be answered later */
	bool has_input;	   /* octets were left lying meanwhile */
	bool more;	   /* octets stood behind the command that is being carried out */
	bool running;	   /* commands are being taken off the input */
	bool closing;	   /* to be closed once it is safe to */
	bool start_tls;	   /* likewise */
	bool welcomed;	   /* the banner was said */
	bool greeted;	   /* EHLO or HELO was accepted */
	bool last_chunk;   /* BDAT … LAST */
	struct answer chunk_refusal; /* code not 0: what the chunk that is thrown away is told */
	int64_t due_ms, deadline_ms; /* loop_now_ms(): idle, and the whole session */
	int64_t begun_ms;
	uint64_t octets_in; /* when due_ms was last moved while a message came in */
	unsigned commands, errors, bad_recipients, messages;
	struct sasl *sasl; /* NULL before the first AUTH */
	uint64_t client_key;  /* for holds and rates */
	bool holds_connection;

	struct facts facts; /* of the connection: client, TLS, HELO, DNS answers so far */
	struct facts connect_facts; /* those that the CONNECT stage works on */
	struct judgement *connect; /* the CONNECT stage, in the background */
	struct answer refusal;	   /* what it decided: code 0, or the reply to every MAIL */
	void (*after_connect)(struct session *); /* who waits for it */

	struct transaction *transaction;
	char id[40];
	char text_ip[IP_TEXT_MAX];
	char helo[LIMIT_DOMAIN + 1];
};

/* Accepted on this listener: takes fd over. */
void session_new(struct listener *listener, int fd, const struct ip *client, uint16_t port);
/* Once a second: time-outs. */
void session_sweep(struct session *session, int64_t now_ms);
/* The gateway drains: sessions between messages are sent away with 421. */
void session_drain(struct session *session);

/* Replies to the command. 5xx counts as an error of the client. */
void session_reply(struct session *session, int code, const char *enhanced, struct str text);
/* A ready line of our own: "250 2.0.0 Ok". */
void session_line(struct session *session, const char *line);
void session_answer(struct session *session, const struct answer *answer);
/* "334 " and base64, maybe none (RFC 4954 4). */
void session_challenge(struct session *session, const char *challenge);
/* Closes behind what was replied, as soon as whoever calls has returned or gone on. */
void session_close(struct session *session);
/* A reply, and session_close(). */
void session_dismiss(struct session *session, const char *line);
/* Of the connection; made when first needed, so that an idle one costs little. */
struct arena *session_arena(struct session *session);

/* A message's octets come in: the sender gets more time, if they are more than a trickle. */
void session_progress(struct session *session);

void session_wait(struct session *session);
/* Behind the reply: reads on. Call it last: the session may be gone afterwards. */
void session_go_on(struct session *session);
/* A transaction's end, whatever it was. */
void session_end_transaction(struct session *session);
/* Has the client closed its side, or reset the connection? */
bool session_client_gone(const struct session *session);
/* Who may send mail out here: a client of our own networks, or with an account. Such a one is held to
 * no limits that are for strangers. */
bool session_is_known(const struct session *session);
/* For rates: an account's own, wherever it comes from; else the client's. */
uint64_t session_rate_key(const struct session *session);
/* Bits of enum stage at which an inspector has anything to say. */
unsigned session_stages(const struct session *session);
/* Runs `next` once the CONNECT stage has decided: at once, if it has. */
void session_after_connect(struct session *session, void (*next)(struct session *));

/*
 * One file a command, or kind of command. Each answers, or has called session_wait().
 */
void cmd_ehlo(struct session *session, const struct command *cmd);
void cmd_starttls(struct session *session);
/* After a challenge the phase is AUTH, and each line goes to cmd_auth_input(); what is no line
 * to cmd_auth_broken(). */
void cmd_auth(struct session *session, const struct command *cmd);
void cmd_auth_input(struct session *session, struct str line);
void cmd_auth_broken(struct session *session);
void cmd_mail(struct session *session, const struct command *cmd);
/* RCPTs are gathered while they come in one batch, and decided together. */
void cmd_rcpt(struct session *session, const struct command *cmd);
bool cmd_rcpt_is_pending(const struct session *session);
void cmd_rcpt_decide(struct session *session);
/* The message's octets are taken off *in until it ends; then the phase is COMMAND again. */
void cmd_data(struct session *session);
void cmd_data_input(struct session *session, struct str *in);
void cmd_bdat(struct session *session, const struct command *cmd);
void cmd_bdat_input(struct session *session, struct str *in);
void cmd_other(struct session *session, const struct command *cmd);

#endif
