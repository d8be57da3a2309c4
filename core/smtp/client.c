#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/smtp/client_private.h"
#include "core/smtp/sasl.h"

/* A final dot of which this much or less is unsent may be taken for one. */
#define DOT_OCTETS 5

static const struct client_timeouts default_timeouts = {
	.connect = 30000,
	.greeting = 60000,
	.command = 60000,
	.data_start = 60000,
	.data_block = 60000,
	.data_end = 300000,
};

static int start(struct client *c, struct err *err);

/* ---- life ---- */

static void destroy(struct client *c)
{
	client_queue_free(c);
	reply_free(&c->reply);
	free(c->hostname);
	free(c->name);
	free(c);
}

void client_enter(struct client *c)
{
	c->depth++;
}

void client_leave(struct client *c)
{
	if (!--c->depth && c->freed)
		destroy(c);
}

void client_free(struct client **client)
{
	struct client *c = *client;

	if (!c)
		return;
	*client = NULL;
	stream_free(&c->stream);
	loop_timer_free(&c->later);
	c->freed = true;
	if (!c->depth)
		destroy(c);
}

/* The one way into PHASE_CLOSED. */
void client_close(struct client *c, const struct client_reply *why)
{
	if (c->phase == PHASE_CLOSED)
		return;
	bool dot_is_out = c->stream && stream_unsent(c->stream) <= DOT_OCTETS;
	c->phase = PHASE_CLOSED;
	/* Half a message that was refused is not to be sent on. */
	if ((c->quitting || c->over) && c->stream && !stream_unsent(c->stream))
		stream_finish(&c->stream);
	else
		stream_free(&c->stream);
	client_queue_answer_all(c, why, dot_is_out);
	if (!c->freed && c->ops->on_closed)
		c->ops->on_closed(c->context, why);
}

/* Ended without the server's word, or with one that does not count. */
void client_lose(struct client *c, const char *fmt, ...)
{
	bool ready = c->phase == PHASE_READY;
	struct client_reply why = {ready ? CLIENT_LOST : CLIENT_UNREACHED, CLIENT_ERROR_CODE,
		ready ? "4.4.2" : "4.4.1", {0}};
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	why.text = buf_str(&text);
	client_close(c, &why);
	buf_free(&text);
}

/* The server has said something that makes a session impossible. */
static void refuse_session(struct client *c, const char *at)
{
	struct str text = buf_str(&c->reply.text);

	client_lose(c, "the mailbox server answered %s with %d: %.*s", at, c->reply.code,
		STR_ARG(text));
}

/* ---- greeting, EHLO, TLS ---- */

static void say(struct client *c, const char *verb, const char *argument)
{
	struct buf *out = stream_out(c->stream);

	buf_c(out, verb);
	if (argument) {
		buf_char(out, ' ');
		buf_c(out, argument);
	}
	buf_c(out, "\r\n");
	stream_deadline(c->stream, c->options.timeouts.command);
	stream_flush(c->stream);
}

static void say_hello(struct client *c, enum client_phase phase)
{
	c->phase = phase;
	c->offers = 0;
	c->size_limit = 0;
	if (c->options.protocol == CLIENT_LMTP)
		say(c, "LHLO", c->hostname);
	else
		say(c, phase == PHASE_EHLO ? "EHLO" : "HELO", c->hostname);
}

static void note_offer(struct client *c, struct str line)
{
	static const struct {
		const char *keyword;
		unsigned offer;
	} offers[] = {
		{"PIPELINING", CLIENT_PIPELINING},
		{"8BITMIME", CLIENT_8BITMIME},
		{"SIZE", CLIENT_SIZE},
		{"SMTPUTF8", CLIENT_SMTPUTF8},
		{"DSN", CLIENT_DSN},
		{"CHUNKING", CLIENT_CHUNKING},
		{"ENHANCEDSTATUSCODES", CLIENT_ENHANCED},
		{"STARTTLS", CLIENT_STARTTLS},
	};
	struct str keyword, limit;

	if (!str_word(&line, &keyword))
		return;
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
		if (str_ieq_c(keyword, offers[i].keyword))
			c->offers |= offers[i].offer;
	while (str_ieq_c(keyword, "AUTH") && str_word(&line, &limit))
		c->offers |= str_ieq_c(limit, "PLAIN") ? CLIENT_AUTH_PLAIN :
			     str_ieq_c(limit, "LOGIN") ? CLIENT_AUTH_LOGIN : 0;
	if (str_ieq_c(keyword, "SIZE") && str_word(&line, &limit))
		str_to_u64(limit, 0, UINT64_MAX, &c->size_limit);
}

static void become_ready(struct client *c)
{
	c->phase = PHASE_READY;
	c->last_used_ms = loop_now_ms(c->loop);
	stream_deadline(c->stream, 0);
	if (c->ops->on_ready)
		c->ops->on_ready(c->context);
	if (!c->freed)
		client_queue_pump(c);
}

/* ---- AUTH ---- */

static void say_secret(struct client *c, const char *verb, struct str secret)
{
	struct buf line = BUF_INIT;

	buf_c(&line, verb);
	sasl_encode(secret, &line);
	buf_char(&line, '\0');
	say(c, line.p, NULL);
	explicit_bzero(line.p, line.n);
	buf_free(&line);
}

/* RFC 4616 2, with the initial response of RFC 4954 4. */
static void say_plain(struct client *c)
{
	struct buf message = BUF_INIT;

	buf_char(&message, '\0');
	buf_c(&message, c->options.login);
	buf_char(&message, '\0');
	buf_c(&message, c->options.password);
	say_secret(c, "AUTH PLAIN ", buf_str(&message));
	explicit_bzero(message.p, message.n);
	buf_free(&message);
}

static void log_in(struct client *c)
{
	c->phase = PHASE_AUTH;
	c->auth_answers = 0;
	if (!stream_tls(c->stream))
		client_lose(c, "a password is to be said, but the connection is in the clear");
	else if (c->offers & CLIENT_AUTH_PLAIN)
		say_plain(c);
	else if (c->offers & CLIENT_AUTH_LOGIN)
		say(c, "AUTH LOGIN", NULL);
	else
		client_lose(c, "the server takes no password: it offers neither AUTH PLAIN nor LOGIN");
}

static void on_auth(struct client *c)
{
	bool is_login = !(c->offers & CLIENT_AUTH_PLAIN);

	if (reply_is_positive(&c->reply))
		become_ready(c);
	else if (c->reply.code != 334 || !is_login || c->auth_answers == 2)
		refuse_session(c, "AUTH");
	else if (c->auth_answers++ == 0)
		say_secret(c, "", str_c(c->options.login));
	else
		say_secret(c, "", str_c(c->options.password));
}

static bool wants_tls(const struct client *c)
{
	return c->options.tls != CLIENT_TLS_NEVER && !c->in_clear && !stream_tls(c->stream);
}

static void on_hello(struct client *c)
{
	for (unsigned i = 1; i < c->reply.lines; i++)
		note_offer(c, reply_text_line(&c->reply, i));
	if (wants_tls(c) && (c->offers & CLIENT_STARTTLS)) {
		c->phase = PHASE_STARTTLS;
		say(c, "STARTTLS", NULL);
	} else if (wants_tls(c) && c->options.tls == CLIENT_TLS_MUST) {
		client_lose(c, "the mailbox server does not offer STARTTLS, which is required");
	} else if (c->options.login) {
		log_in(c);
	} else {
		become_ready(c);
	}
}

static void on_starttls(struct client *c, size_t behind)
{
	if (!reply_is_positive(&c->reply)) {
		if (c->options.tls == CLIENT_TLS_MUST || c->options.login)
			refuse_session(c, "STARTTLS");
		else
			become_ready(c);
		return;
	}
	/* RFC 3207 4.2, CVE-2011-0411: what came in the clear must not count inside TLS. */
	if (behind) {
		client_lose(c,
			"the mailbox server sent %zu octets in the clear behind its 220 to "
			"STARTTLS",
			behind);
		return;
	}
	c->phase = PHASE_HANDSHAKE;
	stream_start_tls(c->stream, c->options.tls_context, c->name);
}

static void on_secure(void *context)
{
	struct client *c = context;

	/* RFC 3207 4.2: all that was learnt before is forgotten. */
	client_enter(c);
	say_hello(c, PHASE_EHLO);
	client_leave(c);
}

/* A reply before the session is ready. */
static void on_early_reply(struct client *c, size_t behind)
{
	bool ok = reply_is_positive(&c->reply);

	switch (c->phase) {
	case PHASE_GREETING:
		if (ok)
			say_hello(c, PHASE_EHLO);
		else
			refuse_session(c, "the connection");
		break;
	case PHASE_EHLO:
		/* RFC 5321 3.2: 5xx may be the word of one that does not know EHLO. */
		if (ok)
			on_hello(c);
		else if (reply_is_permanent(&c->reply) && c->options.protocol == CLIENT_SMTP &&
			 !stream_tls(c->stream))
			say_hello(c, PHASE_HELO);
		else
			refuse_session(c, "EHLO");
		break;
	case PHASE_HELO:
		if (!ok)
			refuse_session(c, "HELO");
		else if (c->options.tls == CLIENT_TLS_MUST || c->options.login)
			client_lose(
				c, "the mailbox server does not know EHLO, but TLS is required");
		else
			become_ready(c);
		break;
	case PHASE_STARTTLS:
		on_starttls(c, behind);
		break;
	case PHASE_AUTH:
		on_auth(c);
		break;
	case PHASE_CONNECT:
	case PHASE_HANDSHAKE:
	case PHASE_READY:
	case PHASE_CLOSED:
		break;
	}
}

static void on_input(void *context, struct buf *in)
{
	struct client *c = context;
	struct err err;

	client_enter(c);
	while (!c->freed && c->phase != PHASE_CLOSED && c->phase != PHASE_HANDSHAKE) {
		struct str rest = buf_str(in);
		int done = reply_read(&c->reply, &rest, &err);
		buf_consume(in, in->n - rest.n);
		if (done < 0)
			client_lose(c, "the mailbox server's reply is malformed: %s", err.text);
		if (done <= 0)
			break;
		if (c->phase == PHASE_READY)
			client_queue_on_reply(c);
		else
			on_early_reply(c, in->n);
		reply_clear(&c->reply);
	}
	client_leave(c);
}

/* ---- the stream ---- */

static void on_connected(void *context)
{
	struct client *c = context;

	c->phase = PHASE_GREETING;
	stream_deadline(c->stream, c->options.timeouts.greeting);
}

static const char *phase_name(const struct client *c)
{
	static const char *const names[] = {
		[PHASE_CONNECT] = "connecting",
		[PHASE_GREETING] = "waiting for the greeting",
		[PHASE_EHLO] = "waiting for the answer to EHLO",
		[PHASE_HELO] = "waiting for the answer to HELO",
		[PHASE_STARTTLS] = "waiting for the answer to STARTTLS",
		[PHASE_HANDSHAKE] = "in the TLS handshake",
		[PHASE_AUTH] = "waiting for the answer to AUTH",
		[PHASE_READY] = "in the session",
		[PHASE_CLOSED] = "after the end",
	};

	if (c->phase == PHASE_READY && c->first && c->first->progress == BODY)
		return "sending the message";
	if (c->phase == PHASE_READY && c->first && c->first->progress == DOT_SENT)
		return "waiting for the answer to the final dot";
	return names[c->phase];
}

/* RFC 7435: where encryption is a gift and not a demand, its failure is no reason to wait. */
static bool retry_in_clear(struct client *c)
{
	struct err err;

	if (c->phase != PHASE_HANDSHAKE || c->options.tls != CLIENT_TLS_MAY)
		return false;
	c->in_clear = true;
	stream_free(&c->stream);
	return !start(c, &err);
}

static void on_end(void *context, enum stream_end why, const struct err *err)
{
	struct client *c = context;

	client_enter(c);
	if (retry_in_clear(c)) {
		client_leave(c);
		return;
	}
	switch (why) {
	case STREAM_END_PEER:
		client_lose(c, "the mailbox server closed the connection, %s", phase_name(c));
		break;
	case STREAM_END_ERROR:
		client_lose(c, "connection to the mailbox server failed, %s: %s", phase_name(c),
			err->text);
		break;
	case STREAM_END_IDLE:
	case STREAM_END_DEADLINE:
		client_lose(c, "the mailbox server took too long, %s", phase_name(c));
		break;
	}
	client_leave(c);
}

static void on_drained(void *context)
{
	struct client *c = context;

	client_enter(c);
	client_queue_on_drained(c);
	client_leave(c);
}

static const struct stream_ops stream_ops = {
	.on_input = on_input,
	.on_drained = on_drained,
	.on_connected = on_connected,
	.on_secure = on_secure,
	.on_end = on_end,
};

static int start(struct client *c, struct err *err)
{
	c->phase = PHASE_CONNECT;
	reply_clear(&c->reply);
	c->stream = stream_connect(
		c->loop, &c->options.address, c->options.address_length, &stream_ops, c, err);
	if (!c->stream)
		return -1;
	stream_deadline(c->stream, c->options.timeouts.connect);
	return 0;
}

static void fill_timeouts(struct client_timeouts *t)
{
	const struct client_timeouts *d = &default_timeouts;

	t->connect = t->connect ? t->connect : d->connect;
	t->greeting = t->greeting ? t->greeting : d->greeting;
	t->command = t->command ? t->command : d->command;
	t->data_start = t->data_start ? t->data_start : d->data_start;
	t->data_block = t->data_block ? t->data_block : d->data_block;
	t->data_end = t->data_end ? t->data_end : d->data_end;
}

struct client *client_new(struct loop *loop, const struct client_options *options,
	const struct client_ops *ops, void *context, struct err *err)
{
	struct client *c = calloc(1, sizeof(*c));

	assert(c && options->hostname);
	assert(options->tls == CLIENT_TLS_NEVER || options->tls_context);
	c->loop = loop;
	c->ops = ops;
	c->context = context;
	c->options = *options;
	c->hostname = strdup(options->hostname);
	c->name = options->name ? strdup(options->name) : NULL;
	client_queue_init(c);
	fill_timeouts(&c->options.timeouts);
	if (start(c, err)) {
		destroy(c);
		return NULL;
	}
	c->later = loop_timer_new(loop, client_queue_answer_late, c);
	return c;
}

bool client_is_idle(const struct client *c)
{
	return c->phase == PHASE_READY && !c->first && !c->quitting && !c->over;
}

unsigned client_offers(const struct client *c)
{
	return c->offers;
}

uint64_t client_size_limit(const struct client *c)
{
	return c->size_limit;
}

const struct tls *client_session_tls(const struct client *c)
{
	return c->stream ? stream_tls(c->stream) : NULL;
}

int64_t client_last_used_ms(const struct client *c)
{
	return c->last_used_ms;
}

unsigned client_messages(const struct client *c)
{
	return c->messages;
}
