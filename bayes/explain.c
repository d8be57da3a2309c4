#include "bayes/explain.h"

#include <math.h>

/* The strongest so far, in order. */
struct strongest {
	size_t n;
	double weights[EXPLAIN_MAX];
	uint64_t tokens[EXPLAIN_MAX];
};

static void offer(struct strongest *s, uint64_t token, double weight)
{
	size_t at = s->n;
	while (at > 0 && fabs(s->weights[at - 1]) < fabs(weight))
		at--;
	if (at == EXPLAIN_MAX || weight == 0)
		return;
	if (s->n < EXPLAIN_MAX)
		s->n++;
	for (size_t i = s->n - 1; i > at; i--) {
		s->weights[i] = s->weights[i - 1];
		s->tokens[i] = s->tokens[i - 1];
	}
	s->weights[at] = weight;
	s->tokens[at] = token;
}

size_t explain(const struct model *model, struct mail *mail, const struct features *features,
	struct str texts_r[EXPLAIN_MAX])
{
	struct arena *arena = mail->arena;
	double *weights = ARENA_ARRAY(arena, features->token_count, double);
	struct str names[EXPLAIN_MAX];
	struct strongest s = {0};
	model_weigh(model, features, weights);
	for (size_t i = 0; i < features->token_count; i++)
		offer(&s, features->tokens[i], weights[i]);
	features_explain(mail, model_salt(model), s.tokens, s.n, names);
	for (size_t i = 0; i < s.n; i++)
		texts_r[i] = arena_printf(arena, "%+.2f %.*s", s.weights[i], STR_ARG(names[i]));
	return s.n;
}
