#include "gateway/front/callout.h"

#include <stdlib.h>

#include "core/hash.h"
#include "gateway/front/front.h"
#include "gateway/front/sending.h"

enum { SLOTS = 8192, GOOD_MS = 60000, UNKNOWN_MS = 120000, TEXT_MAX = 96, WAIT_MS = 30000 };

/* One answer; a new one for the same slot takes its place. */
struct slot {
	uint64_t key; /* 0: empty */
	int64_t until_ms;
	int code;
	char text[TEXT_MAX];
};

struct callout_cache {
	uint8_t secret[16];
	struct slot slots[SLOTS];
};

struct callout {
	struct front *front;
	struct callout_order order;
	struct sending *sending;
	struct answer answer; /* for all */
	size_t asked;
	/* Of those that are asked. */
	struct candidate **candidates;
	struct str *rcpts;
	int *codes;
	struct answer *answers;
};

struct callout_cache *callout_cache_new(void)
{
	struct callout_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		abort();
	hash_random(cache->secret, sizeof(cache->secret));
	return cache;
}

void callout_cache_free(struct callout_cache **cache)
{
	free(*cache);
	*cache = NULL;
}

static struct slot *slot_of(struct callout_cache *cache, const struct config_domain *domain,
	struct str address, uint64_t *key_r)
{
	size_t at = str_rchr(address, '@');
	uint64_t local = hash_sip(cache->secret, str_sub(address, 0, at));

	/* The domain is the section's own name, so its case does not matter; the local part's
	 * may. */
	*key_r = local ^ (hash_sip(cache->secret, str_c(domain->name)) << 1);
	if (!*key_r)
		*key_r = 1;
	return &cache->slots[*key_r % SLOTS];
}

/* What a relay says of a stranger's mailbox is true of this message alone. */
static bool is_worth_remembering(const struct candidate *candidate)
{
	return candidate->domain->name[0];
}

static bool recall(struct callout *c, struct candidate *candidate)
{
	uint64_t key;
	struct slot *slot = slot_of(c->front->callouts, candidate->domain, candidate->address,
		&key);

	if (!is_worth_remembering(candidate) || slot->key != key ||
		loop_now_ms(c->front->loop) >= slot->until_ms)
		return false;
	answer_set(&candidate->answer, c->order.arena, slot->code,
		slot->code < 300 ? "2.1.5" : "5.1.1", str_c(slot->text));
	return true;
}

static void remember(struct callout *c, const struct candidate *candidate)
{
	const struct answer *answer = &candidate->answer;
	bool unknown = answer->code == 550 && strcmp(answer->enhanced, "5.1.1") == 0;
	struct slot *slot;
	uint64_t key;

	if (!is_worth_remembering(candidate) || (answer->code >= 300 && !unknown))
		return;
	slot = slot_of(c->front->callouts, candidate->domain, candidate->address, &key);
	slot->key = key;
	slot->until_ms = loop_now_ms(c->front->loop) + (unknown ? UNKNOWN_MS : GOOD_MS);
	slot->code = answer->code;
	snprintf(slot->text, sizeof(slot->text), "%.*s", STR_ARG(answer->text));
}

static void free_callout(struct callout *c)
{
	sending_free(&c->sending);
	free(c->candidates);
	free(c->rcpts);
	free(c->codes);
	free(c->answers);
	free(c);
}

static void set_all(struct callout *c, int code, const char *enhanced, const char *text)
{
	for (size_t i = 0; i < c->asked; i++)
		answer_set(&c->candidates[i]->answer, c->order.arena, code, enhanced, str_c(text));
}

static void on_offered(void *context, enum outcome_event event)
{
	struct callout *c = context;
	struct callout_order order = c->order;
	bool outbound = order.domain == &c->front->config->outbound.route;

	switch (event) {
	case OUTCOME_RCPT_TAKEN:
		for (size_t i = 0; i < c->asked; i++) {
			c->candidates[i]->answer = c->answers[i];
			remember(c, c->candidates[i]);
		}
		break;
	case OUTCOME_MAIL_LATER:
	case OUTCOME_MAIL_REFUSED:
		for (size_t i = 0; i < c->asked; i++)
			c->candidates[i]->answer = c->answer;
		break;
	case OUTCOME_LOST:
		set_all(c, 451, "4.4.2", outbound ? "The relay broke off, try again later" :
			"The mailbox server broke off, try again later");
		break;
	default: /* unreachable, or it does not let us relay: that is not the sender's fault */
		set_all(c, 451, "4.4.1", outbound ? "The relay cannot be asked now, try again later" :
			"The mailbox server cannot be asked now, try again later");
		break;
	}
	free_callout(c);
	order.done(order.context);
}

static void *list(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p)
		abort();
	return p;
}

struct callout *callout_start(struct front *front, const struct callout_order *order)
{
	struct callout *c = list(1, sizeof(*c));
	struct sending_order sending = { .domain = order->domain, .mail_from = order->mail_from,
		.arena = order->arena, .size = order->size, .eight_bit = order->eight_bit,
		.wait_ms = WAIT_MS, .done = on_offered, .context = c };

	c->front = front;
	c->order = *order;
	c->candidates = list(order->count, sizeof(*c->candidates));
	for (size_t i = 0; i < order->count; i++)
		if (!order->candidates[i].answer.code && !recall(c, &order->candidates[i]))
			c->candidates[c->asked++] = &order->candidates[i];
	if (!c->asked) {
		free_callout(c);
		return NULL;
	}
	c->rcpts = list(c->asked, sizeof(*c->rcpts));
	c->codes = list(c->asked, sizeof(*c->codes));
	c->answers = list(c->asked, sizeof(*c->answers));
	for (size_t i = 0; i < c->asked; i++)
		c->rcpts[i] = c->candidates[i]->address;
	sending.rcpts = c->rcpts;
	sending.rcpt_count = c->asked;
	sending.codes = c->codes;
	sending.answers = c->answers;
	sending.answer = &c->answer;
	c->sending = sending_offer(front, &sending);
	return c;
}

void callout_cancel(struct callout **callout)
{
	struct callout *c = *callout;

	if (!c)
		return;
	*callout = NULL;
	free_callout(c);
}
