#include "bayes/known.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bayes/tenant.h"

struct message {
	struct features features;
	struct str who;
};

struct known {
	const struct model *model;
	struct model *trial;
	struct arena *arena; /* of the messages */
	struct message messages[2][KNOWN_MESSAGES];
	size_t count[2];
};

struct known *known_new(const struct model *model, struct err *err)
{
	struct known *k = calloc(1, sizeof(*k));
	assert(k);
	k->arena = arena_new(SIZE_MAX);
	k->model = model;
	k->trial = model_overlay(model, err);
	if (!k->trial)
		known_free(&k);
	return k;
}

void known_free(struct known **known)
{
	if (!*known)
		return;
	model_close(&(*known)->trial);
	arena_free(&(*known)->arena);
	free(*known);
	*known = NULL;
}

static void *keep_all(struct arena *arena, const void *p, size_t size)
{
	void *copy = arena_alloc(arena, size);
	if (size > 0)
		memcpy(copy, p, size);
	return copy;
}

static int keep(void *context, const struct journal_entry *e, struct err *err)
{
	struct known *k = context;
	struct message *m = &k->messages[e->spam][k->count[e->spam]++];
	const struct features *f = &e->features;
	*m = (struct message){.features = *f, .who = arena_dup(k->arena, e->who)};
	m->features.tenant = tenant_key(model_salt(k->trial), e->tenant);
	m->features.grams = keep_all(k->arena, f->grams, f->gram_count * sizeof(f->grams[0]));
	m->features.tokens = keep_all(k->arena, f->tokens, f->token_count * sizeof(f->tokens[0]));
	m->features.findings =
		keep_all(k->arena, f->findings, f->finding_count * sizeof(f->findings[0]));
	return 0;
}

int known_load(struct known *k, struct journal *journal, int64_t time, struct err *err)
{
	int rc = 0;
	arena_reset(k->arena);
	k->count[0] = k->count[1] = 0;
	for (int spam = 0; rc == 0 && spam < 2; spam++) {
		const struct journal_known which = {
			spam, time - KNOWN_AFTER_DAYS * 86400, KNOWN_MESSAGES};
		rc = journal_known(journal, &which, keep, k, err);
	}
	return rc;
}

static bool may_judge(const struct message *m, const struct journal_entry *e)
{
	return !str_eq(m->who, e->who);
}

/* The sum of the log-odds of wrong, over the messages of a label that may judge. */
static double wrong(const struct known *k, bool spam, const struct journal_entry *e)
{
	double sum = 0;
	for (size_t i = 0; i < k->count[spam]; i++) {
		const struct message *m = &k->messages[spam][i];
		if (may_judge(m, e))
			sum += (spam ? -1 : 1) * model_classify(k->trial, &m->features).log_odds;
	}
	return sum;
}

/* The mean of each label's, together. */
static double harm_now(const struct known *k, const double count[2], const struct journal_entry *e)
{
	return wrong(k, false, e) / count[0] + wrong(k, true, e) / count[1];
}

static double harm_after(struct known *k, const struct features *features, const double count[2],
	const struct journal_entry *e)
{
	model_forget(k->trial);
	model_learn(k->trial, features, e->spam, e->time);
	return harm_now(k, count, e);
}

int64_t known_harm(struct known *k, const struct journal_entry *e)
{
	const struct features nothing = {NULL, 0, NULL, 0};
	double count[2] = {0, 0};
	for (int spam = 0; spam < 2; spam++) {
		for (size_t i = 0; i < k->count[spam]; i++)
			count[spam] += may_judge(&k->messages[spam][i], e);
		if (count[spam] < KNOWN_LEAST)
			return 0;
	}
	/* Against a lesson without content: one more of its label shifts all judgements a little,
	 * whoever gives it. */
	double blank = harm_after(k, &nothing, count, e);
	double lesson = harm_after(k, &e->features, count, e);
	/* Views that know these messages by heart look good if more is heard of them, which is no credit. */
	model_assign_shares(k->trial, k->model);
	double as_heard = harm_now(k, count, e);
	model_forget(k->trial);
	return (int64_t)(((lesson > as_heard ? lesson : as_heard) - blank) * KNOWN_ONE);
}
