#include "bayes/combine.h"

#include "bayes/math.h"

/* Chosen as the constants of model.c were; README.md has what other rates give. */
#define RATE	     0.005 /* one lesson is not to move all judgements */
#define LOUDEST	     4.0 /* log-odds of a view; what is beyond moves its share no more */
#define FACTOR_LEAST 0.2 /* of a share, to what it was at first */

static const double starts[COMBINE_KINDS][FEATURES_SIDES] = {
	[COMBINE_GRAMS] = { [FEATURES_HEADERS] = 0.4, [FEATURES_BODY] = 0.4 },
	[COMBINE_WORDS] = { [FEATURES_HEADERS] = 0.28, [FEATURES_BODY] = 0.28 },
	[COMBINE_COUNTS] = { [FEATURES_HEADERS] = 0.2, [FEATURES_BODY] = 0.3 },
};
_Static_assert((int)TABLE_VIEWS == (int)COMBINE_KINDS * (int)FEATURES_SIDES, "each has its factor");

static size_t index_of(enum combine_kind kind, enum features_side side)
{
	return (size_t)kind * FEATURES_SIDES + (size_t)side;
}

static double start_of(size_t i)
{
	return starts[i / FEATURES_SIDES][i % FEATURES_SIDES];
}

static double factor_of(const struct table_header *h, size_t i)
{
	return atomic_load_explicit(&h->factors[i], memory_order_relaxed);
}

static void set_factor(struct table_header *h, size_t i, double to)
{
	atomic_store_explicit(&h->factors[i], to, memory_order_relaxed);
}

void combine_start(struct table_header *h)
{
	for (size_t i = 0; i < TABLE_VIEWS; i++)
		set_factor(h, i, 1);
}

void combine_assign(struct table_header *h, const struct table_header *from)
{
	for (size_t i = 0; i < TABLE_VIEWS; i++)
		set_factor(h, i, factor_of(from, i));
}

double combine_share(const struct table_header *h, enum combine_kind kind, enum features_side side)
{
	size_t i = index_of(kind, side);
	return start_of(i) * factor_of(h, i);
}

double combine_hear(const struct table_header *h, const struct combine_views *views,
	struct combine_views *heard_r)
{
	double sum = 0;
	for (int kind = 0; kind < COMBINE_KINDS; kind++)
		for (int side = 0; side < FEATURES_SIDES; side++) {
			heard_r->of[kind][side] =
				combine_share(h, kind, side) * views->of[kind][side];
			sum += heard_r->of[kind][side];
		}
	return sum;
}

void combine_learn(struct table_header *h, const struct combine_views *views, double error)
{
	double factors[TABLE_VIEWS], before = 0, after = 0;
	for (size_t i = 0; i < TABLE_VIEWS; i++) {
		double said = start_of(i) * views->of[i / FEATURES_SIDES][i % FEATURES_SIDES];
		double grown = factor_of(h, i) *
			       math_exp(RATE * error * math_between(-LOUDEST, said, LOUDEST));
		factors[i] = math_between(FACTOR_LEAST, grown, 1 / FACTOR_LEAST);
		before += start_of(i);
		after += start_of(i) * factors[i];
	}
	for (size_t i = 0; i < TABLE_VIEWS; i++)
		set_factor(h, i, factors[i] * before / after);
}
