/* The client against a scripted server in the same loop. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include "core/smtp/client.h"
#include "core/smtp/stream.h"

/* ---- the server ---- */

#define CLOSE	"\001close" /* drop the connection */
#define TLS	"\002tls"   /* go to TLS */
#define SILENT	"\003"	    /* say nothing, ever */

struct step {
	const char *expect; /* what must have come, "" for nothing */
	const char *say;    /* then this; a reply, or one of the words above */
};

struct server {
	struct loop *loop;
	struct loop_io *listener;
	int fd;
	struct sockaddr_storage address;
	socklen_t length;
	struct stream *stream;
	const struct step *step;
	struct buf seen; /* all that came, but what has been matched */
	struct buf all;
	struct tls_context *tls;
	unsigned connections;
};

static void server_play(struct server *s)
{
	while (s->stream && s->step->say) {
		struct str expect = str_c(s->step->expect);
		size_t at = str_find(buf_str(&s->seen), expect);
		if (expect.n && at == s->seen.n)
			return;
		buf_consume(&s->seen, expect.n ? at + expect.n : 0);
		const char *say = s->step->say;
		if (!strcmp(say, SILENT))
			return;
		s->step++;
		if (!strcmp(say, CLOSE)) {
			stream_free(&s->stream);
			return;
		}
		if (!strcmp(say, TLS)) {
			stream_start_tls(s->stream, s->tls, NULL);
			return;
		}
		stream_write(s->stream, str_c(say));
	}
}

static void server_input(void *context, struct buf *in)
{
	struct server *s = context;

	buf_str_add(&s->seen, buf_str(in));
	buf_str_add(&s->all, buf_str(in));
	buf_clear(in);
	server_play(s);
}

static void server_secure(void *context)
{
	server_play(context);
}

static void server_end(void *context, enum stream_end why, const struct err *err)
{
	struct server *s = context;
	stream_free(&s->stream);
}

static const struct stream_ops server_ops = { .on_input = server_input,
	.on_secure = server_secure,
	.on_end = server_end };

static void server_accept(void *context, int fd, unsigned events)
{
	struct server *s = context;
	int got = accept(fd, NULL, NULL);

	if (got < 0)
		return;
	s->connections++;
	stream_free(&s->stream);
	buf_clear(&s->seen);
	s->stream = stream_new(s->loop, got, &server_ops, s);
	server_play(s);
}

static void server_start(struct server *s, struct loop *loop, const struct step *steps)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct err err;

	*s = (struct server){ .loop = loop, .step = steps, .length = sizeof(s->address) };
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(s->fd, 5), 0);
	getsockname(s->fd, (struct sockaddr *)&s->address, &s->length);
	s->listener = loop_io_new(loop, s->fd, server_accept, s);
	loop_io_want(s->listener, LOOP_READ);

	struct tls_server_options o = { .name = "test", .security_level = 1 };
	assert_int_equal(
		tls_self_signed_pem("mx.example.net", &o.certificate_pem, &o.key_pem, &err), 0);
	s->tls = tls_server_new(&o, &err);
	assert_non_null(s->tls);
	free((void *)o.certificate_pem.p);
	free((void *)o.key_pem.p);
}

static void server_stop(struct server *s)
{
	stream_free(&s->stream);
	loop_io_free(&s->listener);
	close(s->fd);
	buf_free(&s->seen);
	buf_free(&s->all);
	tls_context_free(&s->tls);
}

/* ---- the client's side ---- */

struct test {
	struct loop *loop;
	struct server server;
	struct client *client;
	struct tls_context *tls;
	struct buf log; /* "mail 250; rcpt 550; data 250 250!; closed 221" */
	const char *message;
	size_t message_octets;
	unsigned rcpts, replies;
	bool quit, free_in_callback, stay, login;
	const char *const *to;
};

static const char *status_name(enum client_status status)
{
	static const char *const names[] = { "", "unreached", "lost", "uncertain" };
	return names[status];
}

static void note(struct test *t, const char *what, const struct client_reply *r)
{
	buf_printf(&t->log, "%s%s %d", t->log.n ? "; " : "", what, r->code);
	if (r->status)
		buf_printf(&t->log, " %s", status_name(r->status));
}

static void on_data(void *context, const struct client_reply *replies, size_t count)
{
	struct test *t = context;

	for (size_t i = 0; i < count; i++)
		note(t, "data", &replies[i]);
	if (t->free_in_callback) {
		client_free(&t->client);
		loop_stop(t->loop);
		return;
	}
	if (t->quit)
		client_quit(t->client);
}

static void on_mail(void *context, const struct client_reply *r)
{
	note(context, "mail", r);
}

static void on_rcpt(void *context, const struct client_reply *r)
{
	struct test *t = context;
	struct str half = str_from(t->message, t->message_octets / 2);
	struct str spans[] = { half, str_from(t->message + half.n, t->message_octets - half.n) };

	note(t, "rcpt", r);
	if (++t->replies == t->rcpts && r->status == CLIENT_REPLIED)
		client_data(t->client, spans, 2, on_data, t);
}

static void on_ready(void *context)
{
	struct test *t = context;

	assert_true(client_is_idle(t->client));
	buf_printf(&t->log, "ready%s", client_session_tls(t->client) ? " tls" : "");
	if (t->stay)
		return;
	client_mail(t->client, STR("a@example.org"), 100, 0, on_mail, t);
	for (unsigned i = 0; i < t->rcpts; i++)
		client_rcpt(t->client, str_c(t->to[i]), on_rcpt, t);
}

static void on_closed(void *context, const struct client_reply *r)
{
	struct test *t = context;

	note(t, "closed", r);
	loop_stop(t->loop);
}

static const struct client_ops ops = { .on_ready = on_ready, .on_closed = on_closed };
static const char *const two[] = { "b@example.net", "c@example.net" };

static void begin(struct test *t, const struct step *steps)
{
	*t = (struct test){ .loop = loop_new(), .message = "Subject: x\r\n\r\n.dot\r\n",
		.quit = true, .rcpts = 2, .to = two };
	t->message_octets = strlen(t->message);
	server_start(&t->server, t->loop, steps);
}

static void run(struct test *t, enum client_protocol protocol, enum client_tls tls)
{
	struct tls_client_options o = { .verify = TLS_VERIFY_NONE, .security_level = 1 };
	struct client_options options = { .protocol = protocol, .hostname = "gw.example.net",
		.name = "mx.example.net", .tls = tls, .address = t->server.address,
		.address_length = t->server.length };
	struct err err;

	if (t->login) {
		options.login = "gw";
		options.password = "secret";
	}
	if (!t->tls)
		t->tls = tls_client_new(&o, &err);
	options.tls_context = t->tls;
	/* Short where silence is what is tested; nothing depends on how short. */
	options.timeouts = (struct client_timeouts){ .greeting = 60, .command = 60,
		.data_start = 60, .data_end = 60, .data_block = 60, .connect = 2000 };
	if (tls != CLIENT_TLS_NEVER || t->message_octets > 1000)
		options.timeouts = (struct client_timeouts){ 0 };
	t->client = client_new(t->loop, &options, &ops, t, &err);
	assert_non_null(t->client);
	loop_run(t->loop);
}

static void finish(struct test *t, const char *log)
{
	if (!str_eq_c(buf_str(&t->log), log))
		fail_msg("%.*s, not %s", STR_ARG(buf_str(&t->log)), log);
	client_free(&t->client);
	server_stop(&t->server);
	loop_run(t->loop); /* until streams that were let go of have ended */
	tls_context_free(&t->tls);
	buf_free(&t->log);
	loop_free(&t->loop);
}

static void play(const struct step *steps, enum client_protocol protocol, enum client_tls tls,
	const char *log)
{
	struct test t;

	begin(&t, steps);
	run(&t, protocol, tls);
	finish(&t, log);
}

/* ---- tests ---- */

#define HELLO	{ "", "220 hi\r\n" }, { "EHLO gw.example.net\r\n", "250-mx\r\n250-SIZE 10000\r\n250 PIPELINING\r\n" }
#define ENVELOPE                                                                               \
	{ "MAIL FROM:<a@example.org> SIZE=100\r\nRCPT TO:<b@example.net>\r\n"                  \
	  "RCPT TO:<c@example.net>\r\n",                                                       \
		"250 ok\r\n250 ok\r\n250 ok\r\n" }
#define BODY	{ "DATA\r\n", "354 go\r\n" }, { "Subject: x\r\n\r\n..dot\r\n.\r\n", "" }
#define BYE	{ "QUIT\r\n", "221 bye\r\n" }, { "", CLOSE }, { 0 }
#define OK	"ready; mail 250; rcpt 250; rcpt 250; "

static void pipelined(void **state)
{
	static const struct step steps[] = { HELLO, ENVELOPE, BODY, { "", "250 2.0.0 in\r\n" }, BYE };
	play(steps, CLIENT_SMTP, CLIENT_TLS_MAY, OK "data 250; closed 221");
}

static void one_by_one_after_helo(void **state)
{
	static const struct step steps[] = { { "", "220-hi\r\n220 there\r\n" },
		{ "EHLO gw.example.net\r\n", "502 what?\r\n" },
		{ "HELO gw.example.net\r\n", "250 mx\r\n" },
		{ "MAIL FROM:<a@example.org>\r\n", "250 ok\r\n" },
		{ "RCPT TO:<b@example.net>\r\n", "550 5.1.1 no\r\n" },
		{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n" }, BODY, { "", "451 later\r\n" }, BYE };
	play(steps, CLIENT_SMTP, CLIENT_TLS_MAY,
		"ready; mail 250; rcpt 550; rcpt 250; data 451; closed 221");
}

static void lmtp(void **state)
{
	static const struct step steps[] = { { "", "220 hi\r\n" },
		{ "LHLO gw.example.net\r\n", "250-mx\r\n250 PIPELINING\r\n" },
		{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n" }, BODY,
		{ "", "250 in\r\n" }, { "", "552 5.2.2 full\r\n" }, BYE };
	play(steps, CLIENT_LMTP, CLIENT_TLS_NEVER, OK "data 250; data 552; closed 221");
}

static void lmtp_counts_accepted_recipients(void **state)
{
	static const struct step steps[] = { { "", "220 hi\r\n" },
		{ "LHLO gw.example.net\r\n", "250-mx\r\n250 PIPELINING\r\n" },
		{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n450 no\r\n250 ok\r\n" }, BODY,
		{ "", "250 in\r\n" }, BYE };
	play(steps, CLIENT_LMTP, CLIENT_TLS_NEVER,
		"ready; mail 250; rcpt 450; rcpt 250; data 250; closed 221");
}

/* What is known, and what is not, wherever the connection breaks. */
static void lost_and_uncertain(void **state)
{
	static const struct step mail[] = { HELLO, { "RCPT TO:<c@example.net>\r\n", CLOSE }, { 0 } };
	static const struct step rcpt[] = { HELLO,
		{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n250 ok\r\n" }, { "", CLOSE }, { 0 } };
	static const struct step data[] = { HELLO, ENVELOPE, { "DATA\r\n", CLOSE }, { 0 } };
	static const struct step dot[] = { HELLO, ENVELOPE, BODY, { "", CLOSE }, { 0 } };
	static const struct step silent[] = { HELLO, ENVELOPE, BODY, { "", SILENT } };
	static const struct step mute[] = { HELLO, { "MAIL", SILENT } };
	static const struct step odd[] = { HELLO, ENVELOPE, BODY, { "", "yes\r\n" }, { 0 } };
	static const struct step three[] = { HELLO, ENVELOPE, BODY, { "", "354 more\r\n" }, { 0 } };
	static const struct step twice[] = { HELLO,
		{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n250 a\r\n250 b\r\n250 c\r\n" }, { 0 } };

	play(mail, CLIENT_SMTP, CLIENT_TLS_NEVER,
		"ready; mail 451 lost; rcpt 451 lost; rcpt 451 lost; closed 451 lost");
	play(rcpt, CLIENT_SMTP, CLIENT_TLS_NEVER,
		"ready; mail 250; rcpt 250; rcpt 451 lost; closed 451 lost");
	play(data, CLIENT_SMTP, CLIENT_TLS_NEVER, OK "data 451 lost; closed 451 lost");
	play(dot, CLIENT_SMTP, CLIENT_TLS_NEVER, OK "data 451 uncertain; closed 451 lost");
	play(silent, CLIENT_SMTP, CLIENT_TLS_NEVER, OK "data 451 uncertain; closed 451 lost");
	play(mute, CLIENT_SMTP, CLIENT_TLS_NEVER,
		"ready; mail 451 lost; rcpt 451 lost; rcpt 451 lost; closed 451 lost");
	play(odd, CLIENT_SMTP, CLIENT_TLS_NEVER, OK "data 451 uncertain; closed 451 lost");
	play(three, CLIENT_SMTP, CLIENT_TLS_NEVER, OK "data 451 uncertain; closed 451 lost");
	/* A reply too many answers DATA with nonsense: the session cannot be trusted. */
	play(twice, CLIENT_SMTP, CLIENT_TLS_NEVER, OK "data 451 lost; closed 451 lost");
}

static void lmtp_half_answered(void **state)
{
	static const struct step steps[] = { { "", "220 hi\r\n" },
		{ "LHLO gw.example.net\r\n", "250-mx\r\n250 PIPELINING\r\n" },
		{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n" }, BODY,
		{ "", "250 in\r\n" }, { "", CLOSE }, { 0 } };
	play(steps, CLIENT_LMTP, CLIENT_TLS_NEVER,
		OK "data 250; data 451 uncertain; closed 451 lost");
}

static void data_refused(void **state)
{
	static const struct step steps[] = { HELLO, ENVELOPE, { "DATA\r\n", "554 5.5.1 no\r\n" }, BYE };
	play(steps, CLIENT_SMTP, CLIENT_TLS_NEVER, OK "data 554; closed 221");
}

static void no_session(void **state)
{
	static const struct step busy[] = { { "", "421 busy\r\n" }, { 0 } };
	static const struct step never[] = { { "", "554 go away\r\n" }, { 0 } };
	static const struct step noise[] = { { "", "SSH-2.0-OpenSSH\r\n" }, { 0 } };
	static const struct step closed[] = { { "", CLOSE }, { 0 } };
	static const struct step silent[] = { { "", SILENT } };
	static const struct step helo[] = { { "", "220 hi\r\n" }, { "EHLO", "502\r\n" },
		{ "HELO", "502\r\n" }, { 0 } };
	static const struct step later[] = { { "", "220 hi\r\n" }, { "EHLO", "451 later\r\n" }, { 0 } };

	play(busy, CLIENT_SMTP, CLIENT_TLS_NEVER, "closed 451 unreached");
	play(never, CLIENT_SMTP, CLIENT_TLS_NEVER, "closed 451 unreached");
	play(noise, CLIENT_SMTP, CLIENT_TLS_NEVER, "closed 451 unreached");
	play(closed, CLIENT_SMTP, CLIENT_TLS_NEVER, "closed 451 unreached");
	play(silent, CLIENT_SMTP, CLIENT_TLS_NEVER, "closed 451 unreached");
	play(helo, CLIENT_SMTP, CLIENT_TLS_NEVER, "closed 451 unreached");
	play(later, CLIENT_SMTP, CLIENT_TLS_NEVER, "closed 451 unreached");
}

static void refused_connection(void **state)
{
	static const struct step steps[] = { { 0 } };
	struct test t;

	begin(&t, steps);
	loop_io_want(t.server.listener, 0);
	close(t.server.fd);
	t.server.fd = dup(0);
	run(&t, CLIENT_SMTP, CLIENT_TLS_NEVER);
	finish(&t, "closed 451 unreached");
}

#define STARTTLS { "", "220 hi\r\n" }, { "EHLO gw.example.net\r\n", "250-mx\r\n250 STARTTLS\r\n" }

static void starttls(void **state)
{
	static const struct step steps[] = { STARTTLS, { "STARTTLS\r\n", "220 go\r\n" }, { "", TLS },
		{ "EHLO gw.example.net\r\n", "250-mx\r\n250 PIPELINING\r\n" },
		{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n" }, BODY,
		{ "", "250 in\r\n" }, BYE };
	play(steps, CLIENT_SMTP, CLIENT_TLS_MUST,
		"ready tls; mail 250; rcpt 250; rcpt 250; data 250; closed 221");
}

#define SECURED(offer) STARTTLS, { "STARTTLS\r\n", "220 go\r\n" }, { "", TLS }, \
	{ "EHLO gw.example.net\r\n", "250-mx\r\n250-PIPELINING\r\n250 " offer "\r\n" }
#define TAKEN	{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n" }, BODY, { "", "250 in\r\n" }, BYE
#define ALL_WELL "ready tls; mail 250; rcpt 250; rcpt 250; data 250; closed 221"

static void logs_in(void **state)
{
	static const struct step plain[] = { SECURED("AUTH LOGIN PLAIN"),
		{ "AUTH PLAIN AGd3AHNlY3JldA==\r\n", "235 2.7.0 ok\r\n" }, TAKEN };
	static const struct step login[] = { SECURED("AUTH CRAM-MD5 LOGIN"), { "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n" },
		{ "Z3c=\r\n", "334 UGFzc3dvcmQ6\r\n" }, { "c2VjcmV0\r\n", "235 ok\r\n" }, TAKEN };
	static const struct step refused[] = { SECURED("AUTH PLAIN"), { "AUTH PLAIN", "535 5.7.8 no\r\n" }, { 0 } };
	static const struct step curious[] = { SECURED("AUTH PLAIN"), { "AUTH PLAIN", "334 bW9yZQ==\r\n" }, { 0 } };
	static const struct step endless[] = { SECURED("AUTH LOGIN"), { "AUTH LOGIN", "334 \r\n" },
		{ "Z3c=", "334 \r\n" }, { "c2VjcmV0", "334 \r\n" }, { 0 } };
	static const struct step unknown[] = { SECURED("AUTH GSSAPI"), { 0 } };
	static const struct step clear[] = { { "", "220 hi\r\n" },
		{ "EHLO gw.example.net\r\n", "250-mx\r\n250 AUTH PLAIN\r\n" }, { 0 } };
	static const struct {
		const struct step *steps;
		const char *log;
	} rows[] = {
		{ plain, ALL_WELL },
		{ login, ALL_WELL },
		{ refused, "closed 451 unreached" },
		{ curious, "closed 451 unreached" },
		{ endless, "closed 451 unreached" },
		{ unknown, "closed 451 unreached" },
		{ clear, "closed 451 unreached" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test t;

		begin(&t, rows[i].steps);
		t.login = true;
		run(&t, CLIENT_SMTP, CLIENT_TLS_MAY);
		assert_true(rows[i].steps != clear || str_find(buf_str(&t.server.all), STR("AUTH")) == t.server.all.n);
		finish(&t, rows[i].log);
	}
}

/* CVE-2011-0411 towards us: replies in the clear that would count inside TLS. */
static void starttls_injection(void **state)
{
	static const struct step steps[] = { STARTTLS,
		{ "STARTTLS\r\n", "220 go\r\n250-mx\r\n250 EVIL\r\n" }, { 0 } };
	play(steps, CLIENT_SMTP, CLIENT_TLS_MAY, "closed 451 unreached");
	play(steps, CLIENT_SMTP, CLIENT_TLS_MUST, "closed 451 unreached");
}

static void tls_not_to_be_had(void **state)
{
	static const struct step none[] = { HELLO, { 0 } };
	static const struct step refused[] = { STARTTLS, { "STARTTLS\r\n", "454 later\r\n" }, { 0 } };
	static const struct step broken[] = { STARTTLS, { "STARTTLS\r\n", "220 go\r\n" },
		{ "", "this is not TLS, as everybody can see\r\n" }, { 0 } };
	static const struct step in_clear[] = { STARTTLS, { "STARTTLS\r\n", "220 go\r\n" },
		{ "\x16\x03", "not TLS, as everybody can see\r\n" }, { "", CLOSE }, HELLO, ENVELOPE, BODY,
		{ "", "250 in\r\n" }, BYE };

	play(none, CLIENT_SMTP, CLIENT_TLS_MUST, "closed 451 unreached");
	play(refused, CLIENT_SMTP, CLIENT_TLS_MUST, "closed 451 unreached");
	play(broken, CLIENT_SMTP, CLIENT_TLS_MUST, "closed 451 unreached");
	play(in_clear, CLIENT_SMTP, CLIENT_TLS_MAY, OK "data 250; closed 221");
}

static void certificate_is_checked(void **state)
{
	static const struct step steps[] = { STARTTLS, { "STARTTLS\r\n", "220 go\r\n" }, { "", TLS }, { 0 } };
	struct tls_client_options o = { .verify = TLS_VERIFY_NAME, .security_level = 1 };
	struct test t;
	struct err err;

	begin(&t, steps);
	t.tls = tls_client_new(&o, &err);
	assert_non_null(t.tls);
	run(&t, CLIENT_SMTP, CLIENT_TLS_MUST);
	finish(&t, "closed 451 unreached");
}

static void good_bye_between_messages(void **state)
{
	static const struct step steps[] = { HELLO, { "", "421 4.4.2 idle\r\n" }, { 0 } };
	struct test t;

	begin(&t, steps);
	t.stay = true;
	run(&t, CLIENT_SMTP, CLIENT_TLS_NEVER);
	/* A session that is over still answers, and says so. */
	client_mail(t.client, STR(""), 0, 0, on_mail, &t);
	assert_false(client_is_idle(t.client));
	for (int i = 0; i < 3; i++) {
		struct loop_timer *timer =
			loop_timer_new(t.loop, (loop_fn *)loop_stop, t.loop);
		loop_timer_set(timer, 1);
		loop_run(t.loop);
		loop_timer_free(&timer);
	}
	finish(&t, "ready; closed 421; mail 451 lost");
}

static void freed_in_a_callback(void **state)
{
	static const struct step steps[] = { HELLO, ENVELOPE, BODY, { "", "250 in\r\n" }, { 0 } };
	struct test t;

	begin(&t, steps);
	t.free_in_callback = true;
	run(&t, CLIENT_SMTP, CLIENT_TLS_NEVER);
	assert_null(t.client);
	finish(&t, OK "data 250");
}

/* More than any buffer holds, through TLS and in the clear: every octet, in order. */
static void large_message(void **state)
{
	static const struct step clear[] = { HELLO, ENVELOPE, { "DATA\r\n", "354 go\r\n" },
		{ "end of it\r\n.\r\n", "250 in\r\n" }, BYE };
	static const struct step tls[] = { STARTTLS, { "STARTTLS\r\n", "220 go\r\n" }, { "", TLS },
		{ "EHLO gw.example.net\r\n", "250-mx\r\n250 PIPELINING\r\n" },
		{ "RCPT TO:<c@example.net>\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n" },
		{ "DATA\r\n", "354 go\r\n" }, { "end of it\r\n.\r\n", "250 in\r\n" }, BYE };
	struct buf message = BUF_INIT, wire = BUF_INIT;

	for (int i = 0; i < 20000; i++) {
		buf_printf(&message, "%sline %d of a message\r\n", i % 5 ? "" : ".", i);
		buf_printf(&wire, "%sline %d of a message\r\n", i % 5 ? "" : "..", i);
	}
	buf_c(&message, "end of it\r\n");
	buf_c(&wire, "end of it\r\n.\r\n");
	for (int i = 0; i < 2; i++) {
		struct test t;
		begin(&t, i ? tls : clear);
		t.message = message.p;
		t.message_octets = message.n;
		run(&t, CLIENT_SMTP, i ? CLIENT_TLS_MUST : CLIENT_TLS_NEVER);
		struct str all = buf_str(&t.server.all);
		size_t at = str_find(all, STR("DATA\r\n"));
		struct str got = str_sub(all, at + 6, wire.n);
		assert_true(str_eq(got, buf_str(&wire)));
		finish(&t, i ? "ready tls; mail 250; rcpt 250; rcpt 250; data 250; closed 221" :
			       OK "data 250; closed 221");
	}
	buf_free(&message);
	buf_free(&wire);
}

/* A bare LF cannot leave: the session is dropped before its dot. */
static void bare_lf_never_leaves(void **state)
{
	static const struct step steps[] = { HELLO, ENVELOPE, { "DATA\r\n", "354 go\r\n" }, { 0 } };
	struct test t;

	begin(&t, steps);
	t.message = "a\n.\nb\r\n";
	t.message_octets = 7;
	run(&t, CLIENT_SMTP, CLIENT_TLS_NEVER);
	finish(&t, OK "data 451 lost; closed 451 lost");
}

static void targets(void **state)
{
	static const struct {
		const char *url;
		int result;
		enum client_protocol protocol;
		const char *host, *path;
		uint16_t port;
		int address;
	} rows[] = {
		{ "smtp://10.0.0.5:2525", 0, CLIENT_SMTP, "10.0.0.5", "", 2525, 1 },
		{ "smtp://10.0.0.5", 0, CLIENT_SMTP, "10.0.0.5", "", 25, 1 },
		{ "smtp://localhost", 0, CLIENT_SMTP, "localhost", "", 25, 1 },
		{ "smtp://mx.example.net", 0, CLIENT_SMTP, "mx.example.net", "", 25, 0 },
		{ "lmtp://[::1]:24", 0, CLIENT_LMTP, "::1", "", 24, 1 },
		{ "lmtp://[::1]", 0, CLIENT_LMTP, "::1", "", 24, 1 },
		{ "lmtp:/run/dovecot/lmtp", 0, CLIENT_LMTP, "", "/run/dovecot/lmtp", 0, 1 },
		{ "smtp:/run/x", -1 },	       { "http://a", -1 },   { "smtp://", -1 },
		{ "smtp://a:0", -1 },	       { "smtp://a:65536", -1 }, { "smtp://a:x", -1 },
		{ "smtp://[::1", -1 },	       { "smtp://[::1]25", -1 }, { "lmtp:/", -1 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct client_target t;
		struct sockaddr_storage sa;
		struct err err = { "" };
		socklen_t n;
		if (client_target_parse(str_c(rows[i].url), &t, &err) != rows[i].result)
			fail_msg("%s: %s", rows[i].url, err.text);
		if (rows[i].result)
			continue;
		assert_int_equal(t.protocol, rows[i].protocol);
		assert_string_equal(t.host, rows[i].host);
		assert_string_equal(t.path, rows[i].path);
		assert_int_equal(t.port, rows[i].port);
		assert_int_equal(client_target_address(&t, &sa, &n), rows[i].address);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipelined),
		cmocka_unit_test(one_by_one_after_helo),
		cmocka_unit_test(lmtp),
		cmocka_unit_test(lmtp_counts_accepted_recipients),
		cmocka_unit_test(lost_and_uncertain),
		cmocka_unit_test(lmtp_half_answered),
		cmocka_unit_test(data_refused),
		cmocka_unit_test(no_session),
		cmocka_unit_test(refused_connection),
		cmocka_unit_test(starttls),
		cmocka_unit_test(logs_in),
		cmocka_unit_test(starttls_injection),
		cmocka_unit_test(tls_not_to_be_had),
		cmocka_unit_test(certificate_is_checked),
		cmocka_unit_test(good_bye_between_messages),
		cmocka_unit_test(freed_in_a_callback),
		cmocka_unit_test(large_message),
		cmocka_unit_test(bare_lf_never_leaves),
		cmocka_unit_test(targets),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
