#include "bayes/explain.h"

#include <math.h>

/* The strongest so far, in order. */
struct strongest {
	size_t n;
	struct reason {
		double weight;
		uint64_t token;
		struct str finding; /* its name, and then no token */
	} v[EXPLAIN_MAX];
};

static void offer(struct strongest *s, const struct reason *reason)
{
	size_t at = s->n;
	while (at > 0 && fabs(s->v[at - 1].weight) < fabs(reason->weight))
		at--;
	if (at == EXPLAIN_MAX || reason->weight == 0)
		return;
	if (s->n < EXPLAIN_MAX)
		s->n++;
	for (size_t i = s->n - 1; i > at; i--)
		s->v[i] = s->v[i - 1];
	s->v[at] = *reason;
}

static void offer_all(struct strongest *s, const struct model *model, const struct features *f,
	struct arena *arena)
{
	double *tokens = ARENA_ARRAY(arena, f->token_count, double);
	double *findings = ARENA_ARRAY(arena, f->finding_count, double);
	model_weigh(model, f, tokens, findings);
	for (size_t i = 0; i < f->token_count; i++)
		offer(s, &(struct reason){.weight = tokens[i], .token = f->tokens[i]});
	for (size_t i = 0; f->finding_names && i < f->finding_count; i++)
		offer(s, &(struct reason){.weight = findings[i], .finding = f->finding_names[i]});
}

size_t explain(const struct model *model, struct mail *mail, const struct features *features,
	struct str texts_r[EXPLAIN_MAX])
{
	struct arena *arena = mail->arena;
	struct str names[EXPLAIN_MAX];
	uint64_t tokens[EXPLAIN_MAX];
	struct strongest s = {0};
	offer_all(&s, model, features, arena);
	for (size_t i = 0; i < s.n; i++)
		tokens[i] = s.v[i].token;
	features_explain(mail, model_salt(model), tokens, s.n, names);
	for (size_t i = 0; i < s.n; i++) {
		const struct str finding = s.v[i].finding;
		if (finding.n)
			names[i] = arena_printf(arena, "finding %.*s", STR_ARG(finding));
		texts_r[i] = arena_printf(arena, "%+.2f %.*s", s.v[i].weight, STR_ARG(names[i]));
	}
	return s.n;
}
