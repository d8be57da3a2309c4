/*
 * client: one session with a mailbox server, over SMTP or LMTP (RFC 5321, 2033).
 *
 * The one SMTP client: borrowed by transactions, used for delivery, for released
 * mail and for reports. It connects, greets, goes to TLS as told, and is then
 * ready; commands are queued and answered in order, sent together where the
 * server offers PIPELINING. Every command's callback is called exactly once,
 * from the loop, with the server's answer or with what stands in for one when
 * the connection is lost; after client_free() none is called any more.
 *
 *	struct client *c = client_new(loop, &options, &ops, context, &err);
 *	(on_ready)
 *	client_mail(c, from, size, 0, on_reply, tx);
 *	client_rcpt(c, to, on_reply, tx);
 *	(both 2xx)
 *	client_data(c, spans, count, on_data, tx);
 *
 * What may have happened to a message is in the result's status, and is the
 * point of this interface: CLIENT_LOST means that the message was not handed
 * over; CLIENT_UNCERTAIN that the final dot was (or may have been) sent and the
 * answer never came. No status but CLIENT_REPLIED with 2xx is a delivery.
 */
#ifndef CORE_SMTP_CLIENT_H
#define CORE_SMTP_CLIENT_H

#include "core/ip.h"
#include "core/loop.h"
#include "core/smtp/reply.h"
#include "core/tls.h"

struct client;

enum client_protocol { CLIENT_SMTP, CLIENT_LMTP };

/* Where: "smtp://10.0.0.5:25", "smtp://mx.example.net", "smtp://[::1]:25",
 * "lmtp://10.0.0.6:24", "lmtp:/run/dovecot/lmtp". */
struct client_target {
	enum client_protocol protocol;
	char host[256]; /* name or address; "" for a socket in the file system */
	uint16_t port;
	char path[108];
};
int client_target_parse(struct str url, struct client_target *target_r, struct err *err);
/* 1: address_r is filled (path, address, or "localhost"); 0: host is a name to be resolved. */
int client_target_address(const struct client_target *target, struct sockaddr_storage *address_r,
	socklen_t *length_r);

enum client_tls {
	CLIENT_TLS_NEVER,
	CLIENT_TLS_MAY,	 /* if offered; where the handshake fails, once more in the clear */
	CLIENT_TLS_MUST, /* not without; what the context verifies is its own affair */
};

struct client_timeouts { /* milliseconds; 0: the default of client.c */
	int64_t connect, greeting, command;
	int64_t data_start; /* the 354 */
	int64_t data_block; /* between two blocks that the server takes */
	int64_t data_end;   /* the answer to the dot */
};

struct client_options {
	enum client_protocol protocol;
	struct sockaddr_storage address;
	socklen_t address_length;
	const char *hostname; /* ours, for EHLO; copied */
	const char *name;     /* the server's, for TLS; NULL: none; copied */
	enum client_tls tls;
	struct tls_context *tls_context; /* for MAY and MUST */
	struct client_timeouts timeouts;
	/* Whom to log in as (RFC 4954), inside TLS alone: without it, or without success, there is no
	 * session. NULL: nobody. They stay until client_free(). */
	const char *login, *password;
};

/* What the server offers in its last EHLO. */
enum {
	CLIENT_PIPELINING = 1,
	CLIENT_8BITMIME = 2,
	CLIENT_SIZE = 4,
	CLIENT_SMTPUTF8 = 8,
	CLIENT_DSN = 16,
	CLIENT_CHUNKING = 32,
	CLIENT_ENHANCED = 64,
	CLIENT_STARTTLS = 128,
	CLIENT_AUTH_PLAIN = 256,
	CLIENT_AUTH_LOGIN = 512,
};

enum client_status {
	CLIENT_REPLIED,	  /* code and text are the server's */
	CLIENT_UNREACHED, /* no session came about: refused, timed out, TLS, a 4xx or 5xx greeting
			   */
	CLIENT_LOST,	  /* connection lost or reply malformed, before a message was handed over */
	CLIENT_UNCERTAIN, /* … after the final dot */
};

struct client_reply {
	enum client_status status;
	int code;	      /* where the server has not spoken: 451 */
	const char *enhanced; /* "" if none; 4.4.1 or 4.4.2 where the server has not spoken */
	struct str text;      /* safe to show; LF between lines. Until the callback returns. */
};

/* For MAIL, RCPT, RSET, NOOP. */
typedef void client_reply_fn(void *context, const struct client_reply *reply);
/* For DATA: SMTP one reply; LMTP one for each recipient that was accepted in this
 * transaction, in order (RFC 2033 4.2). If the server refuses DATA itself: that one reply. */
typedef void client_data_fn(void *context, const struct client_reply *replies, size_t count);

struct client_ops {
	/* EHLO is done (and TLS, if so): commands may be given. */
	void (*on_ready)(void *context);
	/* The session is over, for whatever reason, our own QUIT included; all callbacks of
	 * commands have been called. Free it here or later. `reply` says why. */
	void (*on_closed)(void *context, const struct client_reply *reply);
};

/* NULL with err if not even a socket could be had. */
struct client *client_new(struct loop *loop, const struct client_options *options,
	const struct client_ops *ops, void *context, struct err *err);
/* Drops the connection as it is; no callback any more. */
void client_free(struct client **client);

/* Ready, nothing outstanding, and not closing: fit to be borrowed. */
bool client_is_idle(const struct client *client);
unsigned client_offers(const struct client *client);
uint64_t client_size_limit(const struct client *client);	   /* 0: none said */
const struct tls *client_session_tls(const struct client *client); /* NULL in the clear */
int64_t client_last_used_ms(const struct client *client);
unsigned client_messages(const struct client *client); /* sent over it so far */

/* Parameters of MAIL. Those that the server does not offer are left out, but for SMTPUTF8
 * (the caller has checked). `from` and `to` are addresses without brackets, "" for <>;
 * they have passed command.h's grammar (asserted: no CR, LF, NUL, '<', '>' outside quotes). */
enum { CLIENT_MAIL_8BIT = 1, CLIENT_MAIL_UTF8 = 2 };
void client_mail(struct client *client, struct str from, uint64_t size, unsigned flags,
	client_reply_fn *fn, void *context);
void client_rcpt(struct client *client, struct str to, client_reply_fn *fn, void *context);
void client_rset(struct client *client, client_reply_fn *fn, void *context);
void client_noop(struct client *client, client_reply_fn *fn, void *context);
/* The message as spans, to be sent one behind the other: headers of our own, the message
 * with what is left out cut away. The octets must stay until fn is called (the array of
 * spans is copied); lines end in CRLF, dots are not stuffed. DATA is sent when all before
 * it is answered. */
void client_data(struct client *client, const struct str *spans, size_t count, client_data_fn *fn,
	void *context);
/* What is given from here on waits, and goes out together with client_send(): one packet for a
 * whole envelope. */
void client_hold(struct client *client);
void client_send(struct client *client);
/* Says QUIT when all before it is answered, then closes; on_closed() follows. */
void client_quit(struct client *client);

#endif
