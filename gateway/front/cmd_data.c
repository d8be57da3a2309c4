/* DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030): the message's octets. */
#include "gateway/front/session.h"

#include "core/limits.h"
#include "gateway/front/message.h"

static enum lines_policy bare_lf(const struct session *s)
{
	return s->front->config->bare_lf == CONFIG_BARE_LF_REFUSE ? LINES_REFUSE : LINES_NORMALIZE;
}

/* NULL, or why no message can begin. */
static const char *check(const struct session *s)
{
	const struct transaction *t = s->transaction;

	if (!t)
		return "503 5.5.1 MAIL first";
	if (!t->accepted)
		return t->refused ? "554 5.5.1 No valid recipients" : "503 5.5.1 RCPT first";
	return NULL;
}

static bool begin(struct session *s)
{
	struct transaction *t = s->transaction;

	lines_message(&s->lines, bare_lf(s), (uint64_t)s->front->config->limits.message_size);
	return body_open(&t->body, &s->front->ledger, t->declared_size) == 0;
}

void cmd_data(struct session *s)
{
	const char *refusal = check(s);

	if (!refusal && s->transaction->in_chunks)
		refusal = "503 5.5.1 BDAT has begun";
	if (refusal) {
		session_line(s, refusal);
		return;
	}
	if (!begin(s)) {
		session_end_transaction(s);
		session_line(s, "452 4.3.1 No room for this message now, try again later");
		return;
	}
	session_line(s, "354 Go ahead, end with a dot on a line by itself");
	s->phase = SESSION_DATA;
}

/* The message is no message: its transaction ends. */
static void refuse(struct session *s, enum lines_error error)
{
	struct transaction *t = s->transaction;
	bool no_room = error == LINES_OK || (t->body.failed && error == LINES_TOO_BIG);

	message_refused(s, no_room ? "452 4.3.1 No room for this message now, try again later" :
				     lines_error_reply(error));
	if (error != LINES_OK && lines_error_closes(error))
		session_close(s);
	session_end_transaction(s);
}

void cmd_data_input(struct session *s, struct str *in)
{
	struct body *body = &s->transaction->body;
	enum lines_step step;
	struct str span;

	while ((step = lines_data(&s->lines, in, &span)) == LINES_SPAN)
		body_span(body, span);
	body_flush(body);
	session_progress(s);
	if (step == LINES_MORE)
		return;
	s->phase = SESSION_COMMAND;
	/* RFC 2920: only who was offered PIPELINING may send on before the answer. */
	if (step == LINES_END && in->n && !s->facts.esmtp)
		step = LINES_ABORT;
	if (step == LINES_ABORT) {
		refuse(s, s->lines.error ? s->lines.error : LINES_NEAR_END);
		session_close(s);
	} else if (s->lines.error || body->failed) {
		refuse(s, s->lines.error);
	} else {
		message_arrived(s);
	}
}

/* BDAT */

/* The chunk is read and thrown away, exactly as long as it was said to be; then this. */
static void discard(struct session *s, const struct command *cmd, const char *reply)
{
	answer_parse(&s->chunk_refusal, session_arena(s), str_c(reply), "");
	lines_message(&s->lines, LINES_REFUSE, 0);
	lines_chunk(&s->lines, cmd->chunk, cmd->last);
	s->phase = SESSION_CHUNK;
}

void cmd_bdat(struct session *s, const struct command *cmd)
{
	struct transaction *t = s->transaction;
	const char *refusal = check(s);

	session_progress(s);
	s->chunk_refusal.code = 0;
	s->last_chunk = cmd->last;
	/* Nobody waits for that many octets of something that is not wanted. */
	if (cmd->chunk > LIMIT_MESSAGE_BYTES) {
		session_end_transaction(s);
		session_dismiss(s, "552 5.3.4 Message too large");
		return;
	}
	if (!refusal && !t->in_chunks && !begin(s)) {
		session_end_transaction(s);
		refusal = "452 4.3.1 No room for this message now, try again later";
	}
	if (!refusal && ++t->chunks > LIMIT_BDAT_CHUNKS) {
		session_end_transaction(s);
		refusal = "552 5.3.4 Too many chunks";
	}
	if (refusal) {
		discard(s, cmd, refusal);
		return;
	}
	t->in_chunks = true;
	lines_chunk(&s->lines, cmd->chunk, cmd->last);
	s->phase = SESSION_CHUNK;
}

static void chunk_taken(struct session *s)
{
	struct transaction *t = s->transaction;

	if (s->lines.error || t->body.failed) {
		/* RFC 3030 section 2: what comes behind a chunk that failed fails too, until RSET
		 * or MAIL: there is no transaction any more. */
		refuse(s, s->lines.error);
	} else if (s->last_chunk) {
		message_arrived(s);
	} else {
		char line[64];

		snprintf(line, sizeof(line), "250 2.0.0 %llu octets in all",
			(unsigned long long)t->body.octets);
		session_line(s, line);
	}
}

void cmd_bdat_input(struct session *s, struct str *in)
{
	struct body *body = s->chunk_refusal.code ? NULL : &s->transaction->body;
	enum lines_step step;
	struct str span;

	while ((step = lines_chunk_data(&s->lines, in, &span)) == LINES_SPAN)
		if (body)
			body_span(body, span);
	if (body)
		body_flush(body);
	session_progress(s);
	if (step == LINES_MORE)
		return;
	s->phase = SESSION_COMMAND;
	if (!body)
		session_answer(s, &s->chunk_refusal);
	else
		chunk_taken(s);
}
