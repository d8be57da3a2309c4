#include <assert.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/smtp/client_private.h"

#define BLOCK (32u << 10) /* of the message, between two looks at the output buffer */

void client_queue_init(struct client *c)
{
	c->last = &c->first;
}

static void free_command(struct client_command *cmd)
{
	for (size_t i = 0; i < cmd->result_count; i++)
		buf_free(&cmd->results[i].text);
	free(cmd->results);
	free(cmd->spans);
	buf_free(&cmd->line);
	free(cmd);
}

void client_queue_free(struct client *c)
{
	while (c->first) {
		struct client_command *cmd = c->first;
		c->first = cmd->next;
		free_command(cmd);
	}
}

static struct client_command *take_first(struct client *c)
{
	struct client_command *cmd = c->first;

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
static void answer_data(struct client_command *cmd, const struct client_reply *rest)
{
	size_t n = cmd->expected > cmd->result_count ? cmd->expected : cmd->result_count;
	struct client_reply *replies = calloc(n ? n : 1, sizeof(*replies));

	assert(replies);
	for (size_t i = 0; i < n; i++) {
		struct client_result *r = cmd->results + i;
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
static void answer(struct client_command *cmd, const struct client_reply *reply)
{
	if (cmd->kind == KIND_DATA)
		answer_data(cmd, reply);
	else if (cmd->fn)
		cmd->fn(cmd->context, reply);
	free_command(cmd);
}

/* Answers all that waits. `why` is the status of those that are not in their final dot. */
void client_queue_answer_all(struct client *c, const struct client_reply *why, bool dot_is_out)
{
	struct client_command *list = c->first;

	/* What callbacks submit now is answered later. */
	c->first = NULL;
	c->last = &c->first;
	while (list) {
		struct client_reply reply = *why;
		struct client_command *cmd = list;
		list = cmd->next;
		if (cmd->progress == DOT_SENT && dot_is_out)
			reply.status = CLIENT_UNCERTAIN;
		if (c->freed)
			free_command(cmd);
		else
			answer(cmd, &reply);
	}
}

/* ---- commands ---- */

static bool may_pipeline(const struct client *c, enum client_kind kind)
{
	return (c->offers & CLIENT_PIPELINING) &&
	       (kind == KIND_MAIL || kind == KIND_RCPT || kind == KIND_RSET);
}

/* The time for the answer to the oldest command begins. */
static void await_reply(struct client *c)
{
	const struct client_timeouts *t = &c->options.timeouts;
	int64_t ms = t->command;

	if (!c->first || c->first->progress == WAITING)
		ms = 0;
	else if (c->first->kind == KIND_DATA)
		ms = t->data_start;
	stream_deadline(c->stream, ms);
}

/* Sends what may be sent: all of a group with PIPELINING (RFC 2920 3.1), else one by one. */
void client_queue_pump(struct client *c)
{
	bool outstanding = false, sent = false;

	if (c->phase != PHASE_READY || c->quitting || c->over || c->held)
		return;
	for (struct client_command *cmd = c->first; cmd; cmd = cmd->next) {
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

void client_queue_answer_late(void *context)
{
	struct client *c = context;
	struct client_reply why = {CLIENT_LOST, CLIENT_ERROR_CODE, "4.4.2",
		STR("the session with the mailbox server is over")};

	client_enter(c);
	client_queue_answer_all(c, &why, false);
	client_leave(c);
}

static struct client_command *add_command(
	struct client *c, enum client_kind kind, client_reply_fn *fn, void *context)
{
	struct client_command *cmd = calloc(1, sizeof(*cmd));

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
		client_queue_pump(c);
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
	struct client_command *cmd = add_command(c, KIND_DATA, NULL, context);

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

void client_hold(struct client *c)
{
	c->held = true;
}

void client_send(struct client *c)
{
	c->held = false;
	submit(c);
}

void client_quit(struct client *c)
{
	buf_c(&add_command(c, KIND_QUIT, NULL, NULL)->line, "QUIT\r\n");
	submit(c);
}

/* ---- the message ---- */

static int add_block(struct client_command *cmd, struct buf *out)
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
static void send_body(struct client *c, struct client_command *cmd)
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
		client_lose(c, "the message holds a bare CR or LF, and was not sent");
		return;
	}
	cmd->progress = DOT_SENT;
	stream_idle(c->stream, 0);
	stream_deadline(c->stream, c->options.timeouts.data_end);
	stream_flush(c->stream);
}

static void begin_body(struct client *c, struct client_command *cmd)
{
	cmd->progress = BODY;
	cmd->expected = c->options.protocol == CLIENT_LMTP ? c->recipients : 1;
	c->messages++;
	stream_deadline(c->stream, 0);
	stream_idle(c->stream, c->options.timeouts.data_block);
	send_body(c, cmd);
}

void client_queue_on_drained(struct client *c)
{
	if (c->phase == PHASE_READY && c->first && c->first->progress == BODY)
		send_body(c, c->first);
}

static void keep_result(struct client_command *cmd, const struct reply *r)
{
	struct client_result *results =
		realloc(cmd->results, (cmd->result_count + 1) * sizeof(*cmd->results));

	assert(results);
	cmd->results = results;
	struct client_result *to = &results[cmd->result_count++];
	*to = (struct client_result){.code = r->code};
	memcpy(to->enhanced, r->enhanced, sizeof(to->enhanced));
	buf_str_add(&to->text, buf_str(&r->text));
}

/* ---- replies ---- */

static void finish_first(struct client *c)
{
	struct client_reply reply = as_reply(&c->reply);
	struct client_command *cmd = take_first(c);

	await_reply(c);
	c->last_used_ms = loop_now_ms(c->loop);
	answer(cmd, &reply);
	if (c->freed || c->phase == PHASE_CLOSED)
		return;
	if (c->over)
		client_lose(c, "the mailbox server has ended the session");
	else
		client_queue_pump(c);
}

/* The answer to DATA was no 354, or the server spoke before the dot. */
static void data_refused(struct client *c, struct client_command *cmd)
{
	if (c->reply.code < 400) {
		client_lose(
			c, "the mailbox server answered %d in the middle of DATA", c->reply.code);
		return;
	}
	cmd->expected = 0;
	/* It may take the rest of the message for commands: this session is at its end. */
	if (cmd->progress == BODY)
		c->over = true;
	finish_first(c);
}

static void on_data_reply(struct client *c, struct client_command *cmd)
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
		client_lose(c, "the mailbox server answered the final dot with %d", c->reply.code);
		return;
	}
	keep_result(cmd, &c->reply);
	if (cmd->result_count >= cmd->expected)
		finish_first(c);
}

static void note_transaction(struct client *c, const struct client_command *cmd)
{
	bool ok = reply_is_positive(&c->reply);

	if (cmd->kind == KIND_RCPT && ok)
		c->recipients++;
	else if (cmd->kind == KIND_MAIL || (cmd->kind == KIND_RSET && ok))
		c->recipients = 0;
}

void client_queue_on_reply(struct client *c)
{
	struct client_command *cmd = c->first;
	struct client_reply reply = as_reply(&c->reply);

	/* RFC 5321 3.8: 421 closes, whatever it answers; between commands it is a good-bye. */
	if (c->reply.code == 421)
		c->over = true;
	if (!cmd || cmd->progress == WAITING) {
		if (c->reply.code == 421)
			client_close(c, &reply);
		else
			client_lose(c, "the mailbox server answered %d to nothing", c->reply.code);
		return;
	}
	if (cmd->kind == KIND_DATA) {
		on_data_reply(c, cmd);
		return;
	}
	if (c->reply.code < 400 && !reply_is_positive(&c->reply)) {
		client_lose(c, "the mailbox server answered %d where that means nothing",
			c->reply.code);
		return;
	}
	note_transaction(c, cmd);
	if (cmd->kind == KIND_QUIT) {
		free_command(take_first(c));
		client_close(c, &reply);
		return;
	}
	finish_first(c);
}
