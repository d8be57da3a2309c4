/*
 * sink: a mailbox server for the demo and for tests. It speaks SMTP and LMTP,
 * puts what it gets into a Maildir (or nowhere), and misbehaves on request.
 *
 * A stored file begins with headers of the sink's own, each ended by CRLF:
 *
 *	Return-Path: <sender>
 *	X-Original-To: recipient        one for each accepted recipient
 *	X-Sink-Octets: N
 *
 * and then come the N octets of the message exactly as they were received, dots
 * unstuffed. One file a message, whatever the number of recipients.
 */
#ifndef GATEWAY_SINK_SINK_H
#define GATEWAY_SINK_SINK_H

#include "core/loop.h"
#include "core/option.h"
#include "core/smtp/client.h"

#define SINK_RECIPIENTS 1000

struct sink_options {
	struct option_strings smtp, lmtp;	/* where to listen */
	const char *hostname, *maildir, *stats; /* "": none */
	const char *capabilities;		/* separated by commas */
	const char *data_reply;
	struct option_strings reject;	 /* "PATTERN=CODE TEXT", at RCPT */
	struct option_strings after_dot; /* the same; LMTP: of a recipient's reply */
	int64_t max_connections, max_octets, delay_ms;
	bool fsync, discard, drop_after_dot, no_ehlo, starttls, print_count;
};

/* What --stats writes. */
struct sink_counters {
	uint64_t connections, open, most_open, messages, octets, recipients, refused, dropped;
};

struct sink {
	struct loop *loop;
	const struct sink_options *options;
	struct sink_counters counters;
	struct tls_context *tls;
	uint64_t file_number;
};

/* session.c: takes over the connection. */
void session_new(struct sink *sink, int fd, enum client_protocol protocol);

/* maildir.c */
int maildir_prepare(const char *path, struct err *err);
int maildir_store(struct sink *sink, struct str sender, const struct str *recipients, size_t count,
	struct str message, struct err *err);

#endif
