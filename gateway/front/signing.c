#include "gateway/front/signing.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/mail/sign.h"
#include "gateway/log.h"

static const char *const algorithms[] = { "rsa-sha256", "ed25519-sha256" };
enum { ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]) };
/* WAIT_MS: for a free inspector. The sender is still connected, and was promised ten minutes by nobody. */
enum { WAIT_MS = 30000, DEATHS = 2 };

struct signing {
	struct front *front;
	struct signing_order order;
	struct buf lines;
	size_t next; /* algorithm */
	const struct keyring_key *key; /* that is being used */
	unsigned deaths;	       /* of those who were to hash for it */
	bool is_complete;
	struct work *work;
};

void signing_cancel(struct signing **signing)
{
	struct signing *s = *signing;

	if (!s)
		return;
	*signing = NULL;
	workers_cancel(&s->work);
	buf_free(&s->lines);
	free(s);
}

static void fill(void *context, struct buf *payload)
{
	struct signing *s = context;
	struct draft_request r = { .domain = s->key->domain, .selector = s->key->selector,
		.algorithm = str_c(signkey_algorithm(s->key->key)), .now = front_time(s->front) };

	record_encode(&draft_request_record, &r, payload);
}

static int add_line(struct signing *s, const struct ipc_packet *reply, struct err *err)
{
	struct draft_reply r;

	if (record_decode(&draft_reply_record, reply->payload, s->order.arena, &r, err) != 0)
		return -1;
	struct sign_draft draft = { .head = r.head, .tail = r.tail };
	if (r.digest.n != sizeof(draft.digest) || !str_starts(r.head, "DKIM-Signature: ") ||
		r.head.n + r.tail.n > LIMIT_ADDED_HEADER_BYTES)
		return err_set(err, "the inspector's draft is none");
	memcpy(draft.digest, r.digest.p, sizeof(draft.digest));
	struct buf signature = BUF_INIT;
	signkey_sign(s->key->key, draft.digest, &signature);
	sign_finish(&draft, buf_str(&signature), &s->lines);
	buf_free(&signature);
	return 0;
}

static void ask(struct signing *s);

/* One after the other: there are few, and each is quick. False: there is no other key. */
static bool next_key(struct signing *s)
{
	s->key = NULL;
	s->deaths = 0;
	while (!s->key && s->next < ALGORITHMS)
		s->key = keyring_find(&s->front->keyring, s->order.domain, algorithms[s->next++]);
	return s->key;
}

static void finish(struct signing *s)
{
	struct signing_order order = s->order;
	struct str lines = arena_dup(order.arena, buf_str(&s->lines));
	bool is_complete = s->is_complete;

	signing_cancel(&s);
	order.done(order.context, is_complete, lines);
}

static void on_draft(void *context, enum workers_end end, const struct ipc_packet *reply,
	int64_t index)
{
	struct signing *s = context;
	struct err err = { "no inspector answered" };

	(void)index;
	s->work = NULL;
	if ((end == WORKERS_DIED || end == WORKERS_KILLED) && ++s->deaths < DEATHS)
		return ask(s);
	if (end != WORKERS_ANSWERED || add_line(s, reply, &err) != 0) {
		s->is_complete = false;
		log_event(LOG_LEVEL_WARNING, "not-signed", "%.*s, %s: %s", STR_ARG(s->key->domain),
			signkey_algorithm(s->key->key), err.text);
	}
	if (next_key(s))
		ask(s);
	else
		finish(s);
}

static void ask(struct signing *s)
{
	struct work_order order = { .type = EVALUATE_DRAFT, .fd = s->order.fd, .prefer = WORKERS_ANY,
		.wait_ms = WAIT_MS, .fill = fill, .done = on_draft, .context = s };

	s->work = workers_submit(s->front->inspectors, &order);
}

struct signing *signing_start(struct front *front, const struct signing_order *order)
{
	struct signing *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->front = front;
	s->order = *order;
	s->is_complete = true;
	if (next_key(s))
		ask(s);
	else
		signing_cancel(&s);
	return s;
}
