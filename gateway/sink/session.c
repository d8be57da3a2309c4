#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/limits.h"
#include "core/smtp/command.h"
#include "core/smtp/lines.h"
#include "core/smtp/reply.h"
#include "core/smtp/stream.h"
#include "gateway/sink/sink.h"

enum mode { MODE_COMMAND, MODE_DATA, MODE_CHUNK };

struct session {
	struct sink *sink;
	struct stream *stream;
	struct loop_timer *timer; /* --delay-ms */
	enum client_protocol protocol;
	enum mode mode;
	struct lines lines;
	bool greeted, in_chunks;
	/* The transaction: all of it dies by new_transaction(). */
	struct arena *arena;
	bool has_sender;
	struct str sender, recipients[SINK_RECIPIENTS];
	size_t count;
	struct buf message;
};

static void new_transaction(struct session *s)
{
	arena_reset(s->arena);
	s->has_sender = false;
	s->sender = (struct str){0};
	s->count = 0;
	s->in_chunks = false;
	s->mode = MODE_COMMAND;
	buf_free(&s->message);
}

static void end_session(struct session *s, bool gracefully)
{
	s->sink->counters.open--;
	if (gracefully)
		stream_finish(&s->stream);
	else
		stream_free(&s->stream);
	loop_timer_free(&s->timer);
	buf_free(&s->message);
	arena_free(&s->arena);
	free(s);
}

static void say(struct session *s, const char *line)
{
	reply_line(stream_out(s->stream), line);
}

/* ---- commands ---- */

static bool offers(const struct session *s, const char *capability)
{
	struct str rest = str_c(s->sink->options->capabilities), word;

	while (str_cut(&rest, ',', &word))
		if (str_istarts(str_trim(word), capability))
			return true;
	return false;
}

static unsigned offered(const struct session *s)
{
	return (offers(s, "SIZE") ? COMMAND_SIZE : 0) |
	       (offers(s, "8BITMIME") ? COMMAND_8BITMIME : 0) |
	       (offers(s, "SMTPUTF8") ? COMMAND_SMTPUTF8 : 0) |
	       (offers(s, "DSN") ? COMMAND_DSN : 0);
}

static void on_hello(struct session *s, enum command_verb verb)
{
	const struct sink_options *o = s->sink->options;
	struct buf text = BUF_INIT;
	struct str rest = str_c(o->capabilities), word;

	if (verb == COMMAND_EHLO && o->no_ehlo) {
		say(s, "502 5.5.1 EHLO is not known here");
		return;
	}
	if ((verb == COMMAND_LHLO) != (s->protocol == CLIENT_LMTP)) {
		say(s, "500 5.5.1 Another protocol is spoken here");
		return;
	}
	new_transaction(s);
	s->greeted = true;
	buf_c(&text, o->hostname);
	while (verb != COMMAND_HELO && str_cut(&rest, ',', &word))
		if (str_trim(word).n) {
			buf_char(&text, '\n');
			buf_str_add(&text, str_trim(word));
		}
	if (verb != COMMAND_HELO && s->sink->tls && !stream_tls(s->stream))
		buf_c(&text, "\nSTARTTLS");
	reply_write(stream_out(s->stream), 250, NULL, buf_str(&text));
	buf_free(&text);
}

/* The reply of the first rule, "PATTERN=CODE TEXT", whose pattern fits the address. */
static const char *rule_for(
	const struct option_strings *rules, struct str address, struct arena *arena)
{
	const char *text = arena_cstr(arena, address);

	for (size_t i = 0; i < rules->n; i++) {
		struct str reply = str_c(rules->v[i]), pattern;
		str_cut(&reply, '=', &pattern);
		if (!fnmatch(arena_cstr(arena, pattern), text, FNM_CASEFOLD))
			return reply.p;
	}
	return NULL;
}

static void on_mail(struct session *s, const struct command *cmd)
{
	if (!s->greeted || s->has_sender) {
		say(s, "503 5.5.1 Bad sequence of commands");
		return;
	}
	s->has_sender = true;
	s->sender = arena_dup(s->arena, cmd->path.address);
	say(s, "250 2.1.0 Ok");
}

static void on_rcpt(struct session *s, const struct command *cmd)
{
	const struct sink_options *o = s->sink->options;

	if (!s->has_sender) {
		say(s, "503 5.5.1 MAIL first");
		return;
	}
	if (s->count == SINK_RECIPIENTS) {
		say(s, "452 4.5.3 Too many recipients");
		return;
	}
	const char *refused = rule_for(&o->reject, cmd->path.address, s->arena);
	if (refused) {
		s->sink->counters.refused++;
		say(s, refused);
		return;
	}
	s->recipients[s->count++] = arena_dup(s->arena, cmd->path.address);
	say(s, "250 2.1.5 Ok");
}

static void on_data(struct session *s)
{
	if (!s->count || s->in_chunks) {
		say(s, "503 5.5.1 RCPT first");
		return;
	}
	say(s, "354 End data with <CR><LF>.<CR><LF>");
	lines_message(&s->lines, LINES_REFUSE, (uint64_t)s->sink->options->max_octets);
	s->mode = MODE_DATA;
}

/* The chunk is read whether or not it is wanted (RFC 3030 2). */
static void on_bdat(struct session *s, const struct command *cmd)
{
	if (!s->in_chunks)
		lines_message(&s->lines, LINES_REFUSE, (uint64_t)s->sink->options->max_octets);
	s->in_chunks = true;
	lines_chunk(&s->lines, cmd->chunk, cmd->last);
	s->mode = MODE_CHUNK;
}

static void on_starttls(struct session *s, struct buf *in)
{
	if (!s->sink->tls || stream_tls(s->stream)) {
		say(s, "502 5.5.1 Not offered");
		return;
	}
	if (in->n) {
		say(s, "501 5.5.4 Nothing may follow STARTTLS");
		return;
	}
	say(s, "220 2.0.0 Ready to start TLS");
	new_transaction(s);
	s->greeted = false;
	stream_start_tls(s->stream, s->sink->tls, NULL);
}

/* False: the session is over. */
static bool on_command(struct session *s, struct str line, struct buf *in)
{
	struct command cmd;
	enum command_error error = command_read(line, offered(s), &cmd);

	if (error) {
		say(s, command_error_reply(error));
		return true;
	}
	switch (cmd.verb) {
	case COMMAND_EHLO:
	case COMMAND_HELO:
	case COMMAND_LHLO:
		on_hello(s, cmd.verb);
		break;
	case COMMAND_MAIL:
		on_mail(s, &cmd);
		break;
	case COMMAND_RCPT:
		on_rcpt(s, &cmd);
		break;
	case COMMAND_DATA:
		on_data(s);
		break;
	case COMMAND_BDAT:
		on_bdat(s, &cmd);
		break;
	case COMMAND_RSET:
		new_transaction(s);
		say(s, "250 2.0.0 Ok");
		break;
	case COMMAND_NOOP:
		say(s, "250 2.0.0 Ok");
		break;
	case COMMAND_VRFY:
		say(s, "252 2.1.5 Send some mail, and see");
		break;
	case COMMAND_STARTTLS:
		on_starttls(s, in);
		break;
	case COMMAND_QUIT:
		say(s, "221 2.0.0 Bye");
		return false;
	default:
		say(s, "502 5.5.1 Command not implemented");
		break;
	}
	return true;
}

/* ---- the message ---- */

static void reply_to_dot(struct session *s, struct str recipient, const char *stored)
{
	const struct sink_options *o = s->sink->options;
	const char *rule =
		s->protocol == CLIENT_LMTP ? rule_for(&o->after_dot, recipient, s->arena) : NULL;
	say(s, rule ? rule : stored);
}

static const char *store(struct session *s)
{
	struct sink *sink = s->sink;
	const struct sink_options *o = sink->options;
	struct err err;

	if (*o->data_reply && o->data_reply[0] != '2') {
		sink->counters.refused++;
		return o->data_reply;
	}
	if (*o->maildir && !o->discard &&
		maildir_store(
			sink, s->sender, s->recipients, s->count, buf_str(&s->message), &err)) {
		fprintf(stderr, "sink: %s\n", err.text);
		return "451 4.3.0 Cannot store the message";
	}
	sink->counters.messages++;
	sink->counters.recipients += s->count;
	sink->counters.octets += s->lines.octets;
	return *o->data_reply ? o->data_reply : "250 2.0.0 Ok: stored";
}

/* LMTP: recipients that are refused after the dot are not in the stored file's list. */
static void drop_refused(struct session *s, struct str *all, size_t *count_r)
{
	const struct sink_options *o = s->sink->options;
	size_t kept = 0;

	*count_r = s->count;
	memcpy(all, s->recipients, s->count * sizeof(*all));
	if (s->protocol != CLIENT_LMTP)
		return;
	for (size_t i = 0; i < s->count; i++) {
		const char *rule = rule_for(&o->after_dot, all[i], s->arena);
		if (!rule || rule[0] == '2')
			s->recipients[kept++] = all[i];
	}
	s->count = kept;
}

/* The message is complete: keep it, and answer. False: the session is over. */
static bool conclude(struct session *s)
{
	struct str *all = ARENA_ARRAY(s->arena, SINK_RECIPIENTS, struct str);
	size_t count;

	if (s->lines.error) {
		for (size_t i = 0; i < (s->protocol == CLIENT_LMTP ? s->count : 1); i++)
			say(s, lines_error_reply(s->lines.error));
		new_transaction(s);
		return true;
	}
	drop_refused(s, all, &count);
	const char *stored = s->count ? store(s) : "250 2.0.0 Ok";
	if (s->sink->options->drop_after_dot) {
		s->sink->counters.dropped++;
		end_session(s, false);
		return false;
	}
	if (s->protocol == CLIENT_SMTP)
		count = 1;
	for (size_t i = 0; i < count; i++)
		reply_to_dot(s, all[i], stored);
	new_transaction(s);
	return true;
}

static void on_delay(void *context)
{
	struct session *s = context;

	if (!conclude(s))
		return;
	stream_flush(s->stream);
	stream_resume(s->stream);
}

/* The octets up to the end of data or of the chunk. False: the session is over. */
static bool on_message(struct session *s, struct str *in)
{
	const struct sink_options *o = s->sink->options;
	bool chunk = s->mode == MODE_CHUNK;
	struct str span;
	enum lines_step step;

	while ((step = chunk ? lines_chunk_data(&s->lines, in, &span)
			     : lines_data(&s->lines, in, &span)) == LINES_SPAN)
		if (*o->maildir && !o->discard)
			buf_str_add(&s->message, span);
	if (step == LINES_MORE)
		return true;
	s->mode = MODE_COMMAND;
	if (step == LINES_ABORT) {
		say(s, lines_error_reply(s->lines.error));
		end_session(s, true);
		return false;
	}
	if (chunk && !s->lines.last) {
		say(s, "250 2.0.0 Ok");
		return true;
	}
	if (chunk && !s->count) {
		new_transaction(s);
		say(s, "503 5.5.1 RCPT first");
		return true;
	}
	if (!o->delay_ms)
		return conclude(s);
	stream_pause(s->stream);
	loop_timer_set(s->timer, o->delay_ms);
	return true;
}

/* ---- the connection ---- */

static bool take_line(struct session *s, struct str *rest, struct buf *in)
{
	struct str line;

	switch (lines_command(&s->lines, rest, &line)) {
	case LINES_LINE: {
		char copy[LIMIT_COMMAND_LINE];
		assert(line.n <= sizeof(copy));
		memcpy(copy, line.p, line.n);
		buf_consume(in, in->n - rest->n);
		bool on = on_command(s, str_from(copy, line.n), in);
		*rest = buf_str(in);
		if (!on)
			end_session(s, true);
		return on;
	}
	case LINES_BAD:
		say(s, lines_error_reply(s->lines.error));
		return true;
	case LINES_MORE:
		return true;
	case LINES_SPAN:
	case LINES_END:
	case LINES_ABORT:
		break;
	}
	say(s, lines_error_reply(s->lines.error));
	end_session(s, true);
	return false;
}

static void on_input(void *context, struct buf *in)
{
	struct session *s = context;
	size_t before;

	do {
		struct str rest = buf_str(in);
		before = rest.n;
		bool on = s->mode == MODE_COMMAND ? take_line(s, &rest, in) : on_message(s, &rest);
		if (!on)
			return;
		buf_consume(in, in->n - rest.n);
	} while (in->n && (in->n < before || s->mode != MODE_COMMAND) &&
		 !stream_is_paused(s->stream));
	stream_flush(s->stream);
}

static void on_secure(void *context)
{
}

static void on_end(void *context, enum stream_end why, const struct err *err)
{
	end_session(context, false);
}

static const struct stream_ops stream_ops = {
	.on_input = on_input,
	.on_secure = on_secure,
	.on_end = on_end,
};

void session_new(struct sink *sink, int fd, enum client_protocol protocol)
{
	const struct sink_options *o = sink->options;
	struct session *s = calloc(1, sizeof(*s));
	struct buf text = BUF_INIT;

	assert(s);
	s->sink = sink;
	s->protocol = protocol;
	s->arena = arena_new(LIMIT_CONNECTION_MEMORY);
	s->timer = loop_timer_new(sink->loop, on_delay, s);
	s->stream = stream_new(sink->loop, fd, &stream_ops, s);
	lines_init(&s->lines);
	sink->counters.connections++;
	sink->counters.open++;
	if (o->max_connections && sink->counters.open > (uint64_t)o->max_connections) {
		say(s, "421 4.3.2 Too many connections");
		sink->counters.refused++;
		end_session(s, true);
		return;
	}
	if (sink->counters.open > sink->counters.most_open)
		sink->counters.most_open = sink->counters.open;
	buf_printf(&text, "%s %s sink", o->hostname, protocol == CLIENT_LMTP ? "LMTP" : "ESMTP");
	reply_write(stream_out(s->stream), 220, NULL, buf_str(&text));
	buf_free(&text);
	stream_flush(s->stream);
}
