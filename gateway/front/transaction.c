#include "gateway/front/transaction.h"

#include <assert.h>

#include "core/json.h"
#include "core/limits.h"
#include "gateway/front/answers.h"
#include "gateway/front/callout.h"
#include "gateway/front/deliver.h"
#include "gateway/front/judgement.h"
#include "gateway/front/session.h"
#include "gateway/front/signing.h"

enum { REPLY_TEXT_MAX = 400 };

struct transaction *transaction_new(struct session *session)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct transaction *t = ARENA_NEW(arena, struct transaction);

	t->arena = arena;
	t->session = session;
	t->front = session->front;
	t->body = (struct body)BODY_INIT;
	t->begun_ms = loop_now_ms(session->front->loop);
	t->facts = session->facts;
	t->facts.now = front_time(session->front);
	t->facts.transaction_id = arena_printf(arena, "%s.%u", session->id, ++session->messages);
	return t;
}

void transaction_free(struct transaction **transaction)
{
	struct transaction *t = *transaction;
	struct arena *arena;

	if (!t)
		return;
	assert(!t->delivering);
	*transaction = NULL;
	answers_cancel(&t->ahead);
	judgement_cancel(&t->judgement);
	callout_cancel(&t->callout);
	signing_cancel(&t->signing);
	deliver_free(&t->delivery);
	body_close(&t->body);
	arena = t->arena;
	arena_free(&arena);
}

void transaction_accept(struct transaction *t, struct str address)
{
	assert(t->facts.rcpt_to.n == t->accepted);
	if (t->accepted == t->rcpt_cap) {
		size_t cap = t->rcpt_cap ? 2 * t->rcpt_cap : 4;

		t->facts.rcpt_to.v = arena_grow(t->arena, t->facts.rcpt_to.v, t->accepted, cap,
			sizeof(struct str));
		t->rcpt_cap = cap;
	}
	t->facts.rcpt_to.v[t->accepted++] = address;
	t->facts.rcpt_to.n = t->accepted;
}

void answer_set(struct answer *answer, struct arena *arena, int code, const char *enhanced,
	struct str text)
{
	struct buf safe = BUF_INIT;

	text_safe(&safe, text, REPLY_TEXT_MAX);
	answer->code = code;
	snprintf(answer->enhanced, sizeof(answer->enhanced), "%s", enhanced);
	answer->text = arena_dup(arena, buf_str(&safe));
	buf_free(&safe);
}

void answer_parse(struct answer *answer, struct arena *arena, struct str line,
	const char *fallback)
{
	char enhanced[REPLY_ENHANCED_MAX];
	struct str text;
	int code;

	if (reply_split(line, &code, enhanced, &text) != 0 &&
		reply_split(str_c(fallback), &code, enhanced, &text) != 0)
		assert(!"our own line is a reply");
	answer_set(answer, arena, code, enhanced, text);
}
