#include "core/smtp/client.h"

#include <assert.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/smtp/dot.h"
#include "core/smtp/stream.h"

#define BLOCK	   (32u << 10) /* of the message, between two looks at the output buffer */
#define ERROR_CODE 451	       /* where the server has not spoken: what failed may work later */

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

enum phase {
	PHASE_CONNECT,
	PHASE_GREETING,
	PHASE_EHLO,
	PHASE_HELO,
	PHASE_STARTTLS,
	PHASE_HANDSHAKE,
	PHASE_READY,
	PHASE_CLOSED,
};

enum kind { KIND_MAIL, KIND_RCPT, KIND_RSET, KIND_NOOP, KIND_DATA, KIND_QUIT };

enum progress { WAITING, SENT, BODY, DOT_SENT }; /* the last two: of DATA */

struct command {
	struct command *next;
	enum kind kind;
	enum progress progress;
	struct buf line;
	client_reply_fn *fn;
	client_data_fn *data_fn;
	void *context;
	/* DATA */
	struct str *spans;
	size_t span_count, span, span_at;
	struct dot dot;
	struct result *results;
	size_t result_count, expected;
};

/* A reply that waits for the others of its message. */
struct result {
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
	enum phase phase;
	bool quitting; /* QUIT is sent */
	bool over;     /* the server has said 421, or what comes next cannot be told */
	bool in_clear; /* the TLS handshake failed once */
	bool freed;
	unsigned depth;
	unsigned offers;
	uint64_t size_limit;
	unsigned recipients; /* accepted in this transaction */
	unsigned messages;
	int64_t last_used_ms;
	struct command *first, **last;
	struct reply reply;
};

static void pump(struct client *c);
static int start(struct client *c, struct err *err);

/* ---- life ---- */

static void free_command(struct command *cmd)
{
	for (size_t i = 0; i < cmd->result_count; i++)
		buf_free(&cmd->results[i].text);
	free(cmd->results);
	free(cmd->spans);
	buf_free(&cmd->line);
	free(cmd);
}

static void destroy(struct client *c)
{
	while (c->first) {
		struct command *cmd = c->first;
		c->first = cmd->next;
		free_command(cmd);
	}
	reply_free(&c->reply);
	free(c->hostname);
	free(c->name);
	free(c);
}

static void enter(struct client *c)
{
	c->depth++;
}

static void leave(struct client *c)
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

static struct command *take_first(struct client *c)
{
	struct command *cmd = c->first;

	c->first = cmd->next;
	if (!c->first)
		c->last = &c->first;
	return cmd;
}

/* ---- answers ---- */

static struct client_reply as_reply(const struct reply *r)
{
	return (struct client_reply){CLIENT_REPLIED, r->code, r->enhanced, buf_str(&r->text)};
}

/* One reply for each recipient: those that came, and `rest` for all others. */
static void answer_data(struct command *cmd, const struct client_reply *rest)
{
	size_t n = cmd->expected > cmd->result_count ? cmd->expected : cmd->result_count;
	struct client_reply *replies = calloc(n ? n : 1, sizeof(*replies));

	assert(replies);
	for (size_t i = 0; i < n; i++) {
		struct result *r = cmd->results + i;
		replies[i] = i < cmd->result_count ? (struct client_reply){CLIENT_REPLIED, r->code,
							     r->enhanced, buf_str(&r->text)}
						   : *rest;
	}
	if (!n)
		replies[n++] = *rest;
	cmd->data_fn(cmd->context, replies, n);
	free(replies);
}

/* The command is out of the queue; its callback may do what it wants. */
static void answer(struct command *cmd, const struct client_reply *reply)
{
	if (cmd->kind == KIND_DATA)
		answer_data(cmd, reply);
	else if (cmd->fn)
		cmd->fn(cmd->context, reply);
	free_command(cmd);
}

/* Answers all that waits. `why` is the status of those that are not in their final dot. */
static void answer_all(struct client *c, const struct client_reply *why, bool dot_is_out)
{
	struct command *list = c->first;

	/* What callbacks submit now is answered later. */
	c->first = NULL;
	c->last = &c->first;
	while (list) {
		struct client_reply reply = *why;
		struct command *cmd = list;
		list = cmd->next;
		if (cmd->progress == DOT_SENT && dot_is_out)
			reply.status = CLIENT_UNCERTAIN;
		if (c->freed)
			free_command(cmd);
		else
			answer(cmd, &reply);
	}
}

/* The one way into PHASE_CLOSED. */
static void close_session(struct client *c, const struct client_reply *why)
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
	answer_all(c, why, dot_is_out);
	if (!c->freed && c->ops->on_closed)
		c->ops->on_closed(c->context, why);
}

/* Ended without the server's word, or with one that does not count. */
static void lose(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void lose(struct client *c, const char *fmt, ...)
{
	bool ready = c->phase == PHASE_READY;
	struct client_reply why = {
		ready ? CLIENT_LOST : CLIENT_UNREACHED, ERROR_CODE, ready ? "4.4.2" : "4.4.1", {0}};
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	why.text = buf_str(&text);
	close_session(c, &why);
	buf_free(&text);
}

/* The server has said something that makes a session impossible. */
static void refuse_session(struct client *c, const char *at)
{
	struct str text = buf_str(&c->reply.text);

	lose(c, "the mailbox server answered %s with %d: %.*s", at, c->reply.code, STR_ARG(text));
}

/* ---- greeting, EHLO, TLS ---- */

static int64_t timeout(int64_t set, int64_t otherwise)
{
	return set ? set : otherwise;
}

static void say(struct client *c, const char *verb, const char *argument)
{
	struct buf *out = stream_out(c->stream);

	buf_c(out, verb);
	if (argument) {
		buf_char(out, ' ');
		buf_c(out, argument);
	}
	buf_c(out, "\r\n");
	stream_deadline(c->stream, timeout(c->options.timeouts.command, default_timeouts.command));
	stream_flush(c->stream);
}

static void say_hello(struct client *c, enum phase phase)
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
		pump(c);
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
		lose(c, "the mailbox server does not offer STARTTLS, which is required");
	} else {
		become_ready(c);
	}
}

static void on_starttls(struct client *c, size_t behind)
{
	if (!reply_is_positive(&c->reply)) {
		if (c->options.tls == CLIENT_TLS_MUST)
			refuse_session(c, "STARTTLS");
		else
			become_ready(c);
		return;
	}
	/* RFC 3207 4.2, CVE-2011-0411: what came in the clear must not count inside TLS. */
	if (behind) {
		lose(c,
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
	enter(c);
	say_hello(c, PHASE_EHLO);
	leave(c);
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
		else if (c->options.tls == CLIENT_TLS_MUST)
			lose(c, "the mailbox server does not know EHLO, but TLS is required");
		else
			become_ready(c);
		break;
	case PHASE_STARTTLS:
		on_starttls(c, behind);
		break;
	case PHASE_CONNECT:
	case PHASE_HANDSHAKE:
	case PHASE_READY:
	case PHASE_CLOSED:
		break;
	}
}

/* ---- commands ---- */

static bool may_pipeline(const struct client *c, enum kind kind)
{
	return (c->offers & CLIENT_PIPELINING) &&
	       (kind == KIND_MAIL || kind == KIND_RCPT || kind == KIND_RSET);
}

/* The time for the answer to the oldest command begins. */
static void await_reply(struct client *c)
{
	const struct client_timeouts *t = &c->options.timeouts;
	int64_t ms = timeout(t->command, default_timeouts.command);

	if (!c->first || c->first->progress == WAITING)
		ms = 0;
	else if (c->first->kind == KIND_DATA)
		ms = timeout(t->data_start, default_timeouts.data_start);
	stream_deadline(c->stream, ms);
}

/* Sends what may be sent: all of a group with PIPELINING (RFC 2920 3.1), else one by one. */
static void pump(struct client *c)
{
	bool outstanding = false, sent = false;

	if (c->phase != PHASE_READY || c->quitting || c->over)
		return;
	for (struct command *cmd = c->first; cmd; cmd = cmd->next) {
		if (cmd->progress != WAITING) {
			outstanding = true;
			if (!may_pipeline(c, cmd->kind))
				break;
			continue;
		}
		if (outstanding && !may_pipeline(c, cmd->kind))
			break;
		if (cmd->kind == KIND_QUIT)
			c->quitting = true;
		buf_str_add(stream_out(c->stream), buf_str(&cmd->line));
		cmd->progress = SENT;
		outstanding = sent = true;
		if (!may_pipeline(c, cmd->kind))
			break;
	}
	if (!sent)
		return;
	await_reply(c);
	stream_flush(c->stream);
}

static void answer_late(void *context)
{
	struct client *c = context;
	struct client_reply why = {CLIENT_LOST, ERROR_CODE, "4.4.2",
		STR("the session with the mailbox server is over")};

	enter(c);
	answer_all(c, &why, false);
	leave(c);
}

static struct command *add_command(
	struct client *c, enum kind kind, client_reply_fn *fn, void *context)
{
	struct command *cmd = calloc(1, sizeof(*cmd));

	assert(cmd);
	cmd->kind = kind;
	cmd->fn = fn;
	cmd->context = context;
	*c->last = cmd;
	c->last = &cmd->next;
	return cmd;
}

/* Callbacks come from the loop alone, so a closed session answers a little later. */
static void submit(struct client *c)
{
	c->last_used_ms = loop_now_ms(c->loop);
	if (c->phase == PHASE_CLOSED)
		loop_timer_set(c->later, 0);
	else
		pump(c);
}

static void add_address(struct buf *line, struct str address)
{
	assert(address.n <= LIMIT_PATH);
	for (size_t i = 0; i < address.n; i++)
		assert((unsigned char)address.p[i] >= ' ');
	buf_char(line, '<');
	buf_str_add(line, address);
	buf_char(line, '>');
}

void client_mail(struct client *c, struct str from, uint64_t size, unsigned flags,
	client_reply_fn *fn, void *context)
{
	struct buf *line = &add_command(c, KIND_MAIL, fn, context)->line;

	buf_c(line, "MAIL FROM:");
	add_address(line, from);
	if ((c->offers & CLIENT_SIZE) && size)
		buf_printf(line, " SIZE=%llu", (unsigned long long)size);
	if ((c->offers & CLIENT_8BITMIME) && (flags & CLIENT_MAIL_8BIT))
		buf_c(line, " BODY=8BITMIME");
	if (flags & CLIENT_MAIL_UTF8)
		buf_c(line, " SMTPUTF8");
	buf_c(line, "\r\n");
	submit(c);
}

void client_rcpt(struct client *c, struct str to, client_reply_fn *fn, void *context)
{
	struct buf *line = &add_command(c, KIND_RCPT, fn, context)->line;

	buf_c(line, "RCPT TO:");
	add_address(line, to);
	buf_c(line, "\r\n");
	submit(c);
}

void client_rset(struct client *c, client_reply_fn *fn, void *context)
{
	buf_c(&add_command(c, KIND_RSET, fn, context)->line, "RSET\r\n");
	submit(c);
}

void client_noop(struct client *c, client_reply_fn *fn, void *context)
{
	buf_c(&add_command(c, KIND_NOOP, fn, context)->line, "NOOP\r\n");
	submit(c);
}

void client_data(
	struct client *c, const struct str *spans, size_t count, client_data_fn *fn, void *context)
{
	struct command *cmd = add_command(c, KIND_DATA, NULL, context);

	buf_c(&cmd->line, "DATA\r\n");
	cmd->data_fn = fn;
	cmd->span_count = count;
	cmd->spans = calloc(count ? count : 1, sizeof(*spans));
	assert(cmd->spans);
	if (count)
		memcpy(cmd->spans, spans, count * sizeof(*spans));
	dot_init(&cmd->dot);
	submit(c);
}

void client_quit(struct client *c)
{
	buf_c(&add_command(c, KIND_QUIT, NULL, NULL)->line, "QUIT\r\n");
	submit(c);
}

/* ---- the message ---- */

static int add_block(struct command *cmd, struct buf *out)
{
	struct str *span = &cmd->spans[cmd->span];
	struct str block = str_sub(*span, cmd->span_at, BLOCK);

	cmd->span_at += block.n;
	if (cmd->span_at == span->n) {
		cmd->span++;
		cmd->span_at = 0;
	}
	return dot_write(&cmd->dot, out, block);
}

/* As much of the message as the output buffer takes; the rest when it has drained. */
static void send_body(struct client *c, struct command *cmd)
{
	struct buf *out = stream_out(c->stream);
	int bad = 0;

	while (!bad && cmd->span < cmd->span_count && !stream_is_full(c->stream)) {
		bad = add_block(cmd, out);
		if (!bad && out->n >= BLOCK)
			stream_flush(c->stream);
	}
	if (!bad && cmd->span < cmd->span_count)
		return;
	if (!bad)
		bad = dot_end(&cmd->dot, out);
	if (bad) {
		/* A session that ends here ends without a dot: there is no message. */
		lose(c, "the message holds a bare CR or LF, and was not sent");
		return;
	}
	cmd->progress = DOT_SENT;
	stream_idle(c->stream, 0);
	stream_deadline(
		c->stream, timeout(c->options.timeouts.data_end, default_timeouts.data_end));
	stream_flush(c->stream);
}

static void begin_body(struct client *c, struct command *cmd)
{
	cmd->progress = BODY;
	cmd->expected = c->options.protocol == CLIENT_LMTP ? c->recipients : 1;
	c->messages++;
	stream_deadline(c->stream, 0);
	stream_idle(
		c->stream, timeout(c->options.timeouts.data_block, default_timeouts.data_block));
	send_body(c, cmd);
}

static void on_drained(void *context)
{
	struct client *c = context;

	enter(c);
	if (c->phase == PHASE_READY && c->first && c->first->progress == BODY)
		send_body(c, c->first);
	leave(c);
}

static void keep_result(struct command *cmd, const struct reply *r)
{
	struct result *results =
		realloc(cmd->results, (cmd->result_count + 1) * sizeof(*cmd->results));

	assert(results);
	cmd->results = results;
	struct result *to = &results[cmd->result_count++];
	*to = (struct result){.code = r->code};
	memcpy(to->enhanced, r->enhanced, sizeof(to->enhanced));
	buf_str_add(&to->text, buf_str(&r->text));
}

/* ---- replies ---- */

static void finish_first(struct client *c)
{
	struct client_reply reply = as_reply(&c->reply);
	struct command *cmd = take_first(c);

	await_reply(c);
	c->last_used_ms = loop_now_ms(c->loop);
	answer(cmd, &reply);
	if (c->freed || c->phase == PHASE_CLOSED)
		return;
	if (c->over)
		lose(c, "the mailbox server has ended the session");
	else
		pump(c);
}

/* The answer to DATA was no 354, or the server spoke before the dot. */
static void data_refused(struct client *c, struct command *cmd)
{
	if (c->reply.code < 400) {
		lose(c, "the mailbox server answered %d in the middle of DATA", c->reply.code);
		return;
	}
	cmd->expected = 0;
	/* It may take the rest of the message for commands: this session is at its end. */
	if (cmd->progress == BODY)
		c->over = true;
	finish_first(c);
}

static void on_data_reply(struct client *c, struct command *cmd)
{
	if (cmd->progress == SENT && c->reply.code == 354) {
		begin_body(c, cmd);
		return;
	}
	if (cmd->progress != DOT_SENT) {
		data_refused(c, cmd);
		return;
	}
	if (c->reply.code < 400 && !reply_is_positive(&c->reply)) {
		lose(c, "the mailbox server answered the final dot with %d", c->reply.code);
		return;
	}
	keep_result(cmd, &c->reply);
	if (cmd->result_count >= cmd->expected)
		finish_first(c);
}

static void note_transaction(struct client *c, const struct command *cmd)
{
	bool ok = reply_is_positive(&c->reply);

	if (cmd->kind == KIND_RCPT && ok)
		c->recipients++;
	else if (cmd->kind == KIND_MAIL || (cmd->kind == KIND_RSET && ok))
		c->recipients = 0;
}

static void on_session_reply(struct client *c)
{
	struct command *cmd = c->first;
	struct client_reply reply = as_reply(&c->reply);

	/* RFC 5321 3.8: 421 closes, whatever it answers; between commands it is a good-bye. */
	if (c->reply.code == 421)
		c->over = true;
	if (!cmd || cmd->progress == WAITING) {
		if (c->reply.code == 421)
			close_session(c, &reply);
		else
			lose(c, "the mailbox server answered %d to nothing", c->reply.code);
		return;
	}
	if (cmd->kind == KIND_DATA) {
		on_data_reply(c, cmd);
		return;
	}
	if (c->reply.code < 400 && !reply_is_positive(&c->reply)) {
		lose(c, "the mailbox server answered %d where that means nothing", c->reply.code);
		return;
	}
	note_transaction(c, cmd);
	if (cmd->kind == KIND_QUIT) {
		free_command(take_first(c));
		close_session(c, &reply);
		return;
	}
	finish_first(c);
}

static void on_input(void *context, struct buf *in)
{
	struct client *c = context;
	struct err err;

	enter(c);
	while (!c->freed && c->phase != PHASE_CLOSED && c->phase != PHASE_HANDSHAKE) {
		struct str rest = buf_str(in);
		int done = reply_read(&c->reply, &rest, &err);
		buf_consume(in, in->n - rest.n);
		if (done < 0)
			lose(c, "the mailbox server's reply is malformed: %s", err.text);
		if (done <= 0)
			break;
		if (c->phase == PHASE_READY)
			on_session_reply(c);
		else
			on_early_reply(c, in->n);
		reply_clear(&c->reply);
	}
	leave(c);
}

/* ---- the stream ---- */

static void on_connected(void *context)
{
	struct client *c = context;

	c->phase = PHASE_GREETING;
	stream_deadline(
		c->stream, timeout(c->options.timeouts.greeting, default_timeouts.greeting));
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

	enter(c);
	if (retry_in_clear(c)) {
		leave(c);
		return;
	}
	switch (why) {
	case STREAM_END_PEER:
		lose(c, "the mailbox server closed the connection, %s", phase_name(c));
		break;
	case STREAM_END_ERROR:
		lose(c, "connection to the mailbox server failed, %s: %s", phase_name(c),
			err->text);
		break;
	case STREAM_END_IDLE:
	case STREAM_END_DEADLINE:
		lose(c, "the mailbox server took too long, %s", phase_name(c));
		break;
	}
	leave(c);
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
	stream_deadline(c->stream, timeout(c->options.timeouts.connect, default_timeouts.connect));
	return 0;
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
	c->last = &c->first;
	if (start(c, err)) {
		destroy(c);
		return NULL;
	}
	c->later = loop_timer_new(loop, answer_late, c);
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
