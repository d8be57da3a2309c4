#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/smtp/reply.h"
#include "gateway/command.h"
#include "gateway/sink/sink.h"

#define LISTENERS 8

struct listener {
	struct sink *sink;
	enum client_protocol protocol;
	struct loop_io *io;
	int fd;
	const char *path; /* of a local socket */
};

static struct sink sink;
static struct listener listeners[LISTENERS];
static size_t listener_count;

/* ---- listening ---- */

static void on_connection(void *context, int fd, unsigned events)
{
	struct listener *l = context;

	/* All that wait, so that a burst costs one turn of the loop. */
	for (int got; (got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
		session_new(l->sink, got, l->protocol);
}

static int parse_address(const char *text, enum client_protocol protocol,
	struct client_target *target, struct sockaddr_storage *address_r, socklen_t *length_r,
	struct err *err)
{
	char url[512];
	size_t n = strlen(text);
	/* A target's port is never 0, for it is where one connects to; a listener's may be. */
	bool any_port = str_ends(str_c(text), ":0");

	snprintf(url, sizeof(url), "%s:%s%.*s%s", protocol == CLIENT_LMTP ? "lmtp" : "smtp",
		text[0] == '/' ? "" : "//", (int)(any_port ? n - 2 : n), text,
		any_port ? ":1" : "");
	if (client_target_parse(str_c(url), target, err))
		return err_prefix(err, "%s", text);
	if (any_port)
		target->port = 0;
	if (!client_target_address(target, address_r, length_r))
		return err_set(err, "%s: not an address", text);
	return 0;
}

static int bind_listener(struct listener *l, struct sockaddr_storage *sa, socklen_t n)
{
	int one = 1;

	l->fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -1;
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (l->path)
		unlink(l->path);
	return bind(l->fd, (struct sockaddr *)sa, n) || listen(l->fd, 1024) ? -1 : 0;
}

static void print_listener(const struct listener *l)
{
	const char *name = l->protocol == CLIENT_LMTP ? "lmtp" : "smtp";
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	char address[IP_TEXT_MAX];
	struct ip ip;
	uint16_t port;

	if (l->path) {
		printf("listening %s %s\n", name, l->path);
		return;
	}
	getsockname(l->fd, (struct sockaddr *)&sa, &n);
	ip_from_sockaddr(&sa, &ip, &port);
	ip_format(&ip, address);
	printf(ip.family == IP_V6 ? "listening %s [%s]:%u\n" : "listening %s %s:%u\n", name,
		address, port);
}

static int listen_on(const char *text, enum client_protocol protocol, struct err *err)
{
	struct listener *l = &listeners[listener_count];
	struct client_target target;
	struct sockaddr_storage sa;
	socklen_t n;

	if (parse_address(text, protocol, &target, &sa, &n, err))
		return -1;
	*l = (struct listener){
		.sink = &sink, .protocol = protocol, .path = target.path[0] ? text : NULL};
	if (bind_listener(l, &sa, n))
		return err_sys(err, "cannot listen on %s", text);
	listener_count++;
	print_listener(l);
	l->io = loop_io_new(sink.loop, l->fd, on_connection, l);
	loop_io_want(l->io, LOOP_READ);
	return 0;
}

static int listen_all(struct err *err)
{
	const struct sink_options *o = sink.options;

	for (size_t i = 0; i < o->smtp.n; i++)
		if (listen_on(o->smtp.v[i], CLIENT_SMTP, err))
			return -1;
	for (size_t i = 0; i < o->lmtp.n; i++)
		if (listen_on(o->lmtp.v[i], CLIENT_LMTP, err))
			return -1;
	return 0;
}

/* ---- counters ---- */

static void write_stats(void *context)
{
	const struct sink_counters *c = &sink.counters;
	char tmp[4096];

	if (!*sink.options->stats)
		return;
	snprintf(tmp, sizeof(tmp), "%s.new", sink.options->stats);
	FILE *f = fopen(tmp, "w");
	if (!f)
		return;
	fprintf(f,
		"{\"connections\": %" PRIu64 ", \"open\": %" PRIu64 ", \"most_open\": %" PRIu64
		", \"messages\": %" PRIu64 ", \"octets\": %" PRIu64 ", \"recipients\": %" PRIu64
		", \"refused\": %" PRIu64 ", \"dropped\": %" PRIu64 "}\n",
		c->connections, c->open, c->most_open, c->messages, c->octets, c->recipients,
		c->refused, c->dropped);
	/* By rename, so that nobody reads half of it. */
	if (!fclose(f))
		rename(tmp, sink.options->stats);
}

static void on_stop(void *context)
{
	loop_stop(sink.loop);
}

/* ---- options ---- */

static int check_reply(const char *reply, struct err *err)
{
	char enhanced[REPLY_ENHANCED_MAX];
	struct str text;
	int code;

	if (reply_split(str_c(reply), &code, enhanced, &text))
		return err_set(err, "\"%s\" is no reply: \"550 5.1.1 No such user\" is one", reply);
	return 0;
}

static int check_addresses(const struct option_strings *list, enum client_protocol protocol,
	struct err *err)
{
	struct client_target target;
	struct sockaddr_storage address;
	socklen_t n;

	for (size_t i = 0; i < list->n; i++)
		if (parse_address(list->v[i], protocol, &target, &address, &n, err))
			return -1;
	return 0;
}

static int check_rules(const struct option_strings *rules, struct err *err)
{
	for (size_t i = 0; i < rules->n; i++) {
		const char *equals = strchr(rules->v[i], '=');
		if (!equals)
			return err_set(err, "\"%s\" is not PATTERN=CODE TEXT", rules->v[i]);
		if (check_reply(equals + 1, err))
			return -1;
	}
	return 0;
}

static int prepare_tls(struct err *err)
{
	struct tls_server_options o = {.name = "sink", .security_level = 1};

	if (!sink.options->starttls)
		return 0;
	if (tls_self_signed_pem(sink.options->hostname, &o.certificate_pem, &o.key_pem, err))
		return -1;
	sink.tls = tls_server_new(&o, err);
	free((void *)o.certificate_pem.p);
	free((void *)o.key_pem.p);
	return sink.tls ? 0 : -1;
}

static int serve(void)
{
	struct loop_signal *term = loop_signal_new(sink.loop, SIGTERM, on_stop, NULL);
	struct loop_signal *intr = loop_signal_new(sink.loop, SIGINT, on_stop, NULL);
	struct loop_signal *usr1 = loop_signal_new(sink.loop, SIGUSR1, write_stats, NULL);

	fflush(stdout);
	loop_run(sink.loop);
	write_stats(NULL);
	if (sink.options->print_count)
		printf("messages %" PRIu64 "\n", sink.counters.messages);
	for (size_t i = 0; i < listener_count; i++) {
		loop_io_free(&listeners[i].io);
		if (listeners[i].path)
			unlink(listeners[i].path);
	}
	loop_signal_free(&term);
	loop_signal_free(&intr);
	loop_signal_free(&usr1);
	tls_context_free(&sink.tls);
	return fflush(stdout) ? COMMAND_FAILED : COMMAND_OK;
}

static void free_lists(const struct sink_options *o)
{
	free(o->smtp.v);
	free(o->lmtp.v);
	free(o->reject.v);
	free(o->after_dot.v);
}

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct sink_options *o = values;
	struct err err = {""};
	int code = COMMAND_USAGE;

	signal(SIGPIPE, SIG_IGN);
	sink.options = o;
	if (!o->smtp.n && !o->lmtp.n)
		err_set(&err, "nothing to listen on: give --smtp or --lmtp");
	else if (o->smtp.n + o->lmtp.n > LISTENERS)
		err_set(&err, "more than %d addresses to listen on", LISTENERS);
	else if (!check_addresses(&o->smtp, CLIENT_SMTP, &err) &&
		 !check_addresses(&o->lmtp, CLIENT_LMTP, &err) && !check_rules(&o->reject, &err) && !check_rules(&o->after_dot, &err) &&
		 (!*o->data_reply || !check_reply(o->data_reply, &err)))
		code = COMMAND_FAILED;
	if (code == COMMAND_FAILED) {
		sink.loop = loop_new();
		bool store = *o->maildir && !o->discard;
		if (!(store && maildir_prepare(o->maildir, &err)) && !prepare_tls(&err) &&
			!listen_all(&err))
			code = serve();
	}
	if (*err.text)
		fprintf(stderr, "gatepost sink: %s\n", err.text);
	free_lists(o);
	return code;
}

#define FLAG(name, field, help) COMMAND_FLAG(0, name, struct sink_options, field, help)
#define OPTION(name, arg, kind, field, standard, help)                                             \
	COMMAND_OPTION(0, name, arg, kind, struct sink_options, field, standard, help)

static const struct command_option options[] = {
	OPTION("smtp", "HOST:PORT", OPTION_LIST, smtp, NULL,
		"Listen for SMTP. Port 0 takes any; what is listened on is printed, a line each."),
	OPTION("lmtp", "HOST:PORT|/PATH", OPTION_LIST, lmtp, NULL, "Listen for LMTP."),
	OPTION("maildir", "DIR", OPTION_STRING, maildir, "", "Store messages here, one file each."),
	FLAG("fsync", fsync, "Make each message durable before the reply."),
	FLAG("discard", discard, "Store nothing."),
	FLAG("count", print_count, "Print the number of messages at the end."),
	OPTION("stats", "FILE", OPTION_STRING, stats, "",
		"Write counters as JSON at SIGUSR1 and at the end."),
	OPTION("hostname", "NAME", OPTION_STRING, hostname, "sink.example.net", "In the greeting."),
	OPTION("capabilities", "LIST", OPTION_STRING, capabilities,
		"PIPELINING,8BITMIME,SIZE 52428800,ENHANCEDSTATUSCODES,CHUNKING",
		"The answer to EHLO, separated by commas."),
	FLAG("no-ehlo", no_ehlo, "Know HELO alone."),
	FLAG("starttls", starttls, "Offer STARTTLS with a certificate made at the start."),
	OPTION("max-connections", "N", OPTION_INT, max_connections, "0",
		"Answer 421 to more than these; 0: any number."),
	OPTION("max-size", "SIZE", OPTION_SIZE, max_octets, "1024MB", "Answer 552 to more."),
	OPTION("reject-rcpt", "PATTERN=CODE TEXT", OPTION_LIST, reject, NULL,
		"Answer recipients that the shell pattern fits so."),
	OPTION("data-reply", "CODE TEXT", OPTION_STRING, data_reply, "",
		"Answer the final dot so; the message is stored only if that is 2xx."),
	OPTION("data-reply-rcpt", "PATTERN=CODE TEXT", OPTION_LIST, after_dot, NULL,
		"LMTP: answer the final dot so for such recipients."),
	OPTION("delay-ms", "N", OPTION_INT, delay_ms, "0",
		"Wait so long before the answer to the final dot."),
	FLAG("drop-after-dot", drop_after_dot,
		"Store the message, then drop the connection instead of answering."),
	COMMAND_OPTIONS_END,
};

static const struct command sink_command = {
	"sink", "Takes mail as a mailbox server would, for the demo and for tests.",
	.description = "Speaks SMTP and LMTP, stores each message in a Maildir behind headers of "
		       "its own (Return-Path, an X-Original-To for each accepted recipient, "
		       "X-Sink-Octets: the number of octets that follow, exactly as received), and "
		       "misbehaves on request.",
	.options = options,
	.size = sizeof(struct sink_options),
	.run = run,
};

int main(int argc, char **argv)
{
	static const struct command *const commands[] = { &sink_command, NULL };

	return command_main("gatepost", "takes mail as a mailbox server would", commands, argc, argv);
}
