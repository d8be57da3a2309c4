#include "bayes/model.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bayes/combine.h"
#include "bayes/findings.h"
#include "bayes/math.h"
#include "bayes/table.h"
#include "bayes/tenant.h"

/*
 * Chosen on the SpamAssassin corpus, in order of arrival and shuffled, with and without
 * wrong labels; confirmed on CSDMC2010 and on modern list mail. Those for wrong labels, LEAST_ERROR,
 * STEP_MAX and YOUNG were chosen on all three: see README.md.
 */
/* Logistic regression: step = RATE * error / sqrt(EFFORT + what was learned at the weight before)
 */
#define GRAMS_RATE	 0.03
#define WORDS_RATE	 0.1
#define EFFORT		 1.0
#define STEP_MAX	 10.0 /* by which one lesson may move what a view says of its own message */
#define BALANCE_MIN_SEEN 20.0
/* Counts */
#define PRIOR_STRENGTH 0.03 /* documents' worth of "undecided" that every token starts with */
#define LEAST_ODDS     20.0 /* tokens nearer to undecided than this are not heard */
#define COUNTS_KNEE    7.0  /* log-odds from where on they grow as their logarithm */
#define HARDLY_KNOWN   5.0  /* messages of a class */
/* Novelty */
#define NOVELTY_SHARE  20.0
#define FAMILIAR_START 0.5
#define FAMILIAR_SPAN  100.0 /* messages */
#define LEAST_ERROR    0.03 /* what is known as well as that is counted only */
#define YOUNG	    10.0 /* lessons of a class: after so many, half of what speaks for it is meant */
#define YOUNG_LEAST 0.1	 /* as if there had been so many before */
/* What is wanted repeats itself, and spam seldom does: where views are silent, they miss spam. Less
 * than what findings call undecided. */
#define LEAN 0.75
/* Wrong labels */
#define NOISE_START    0.01
#define NOISE_LEAST    0.002
#define NOISE_MOST     0.1
#define NOISE_RATE     0.015
#define LEAST_TRUST    1e-5
#define COUNTED_LEAST  0.1 /* of a message whose label is not believed at all */
#define CONFIDENCE     1.3 /* log-odds to one unit of natural log-odds, as measured */
#define PROGRESS_RATE  0.005

/* A tenant learns till the whole is this far on its side. */
#define TENANT_SCALE 1.5

enum { AHEAD = 32 }; /* slots that are expected before they are read */

struct model {
	struct table table;
};

/* What both judging and learning need to know of a message. */
struct look {
	struct opinion opinion;
	struct combine_views views;
	double sum;			  /* of what is heard of them, before youth tones it down */
	double familiar[2];		  /* share of its tokens that each class knows */
	double seen[2];			  /* messages of ham, of spam */
	double worth[2];		  /* of a document of ham, of spam, in those of the rarer class */
	ptrdiff_t slots[FEATURES_TOKENS]; /* of its tokens, -1 for unknown ones */
};

static double get(const _Atomic double *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic double *value, double to)
{
	atomic_store_explicit(value, to, memory_order_relaxed);
}

static void approach(_Atomic double *value, double to, double rate)
{
	set(value, get(value) + rate * (to - get(value)));
}

/* The file */

int model_ensure(const char *path, struct err *err)
{
	return table_ensure(path, err);
}

static void set_start(struct table_header *h)
{
	combine_start(h);
	for (int class = 0; class < 2; class ++) {
		set(&h->familiar[class], FAMILIAR_START);
		set(&h->label_noise[class], NOISE_START);
	}
}

struct model *model_open(const char *path, enum model_mode mode, struct err *err)
{
	static const enum table_mode modes[] = {
		[MODEL_READ] = TABLE_READ,
		[MODEL_WRITE] = TABLE_WRITE,
		[MODEL_MEMORY] = TABLE_MEMORY,
	};
	struct model *m = calloc(1, sizeof(*m));
	assert(m);
	if (table_open(&m->table, path, modes[mode], err) < 0) {
		free(m);
		return NULL;
	}
	if (mode != MODEL_READ && model_generation(m) == 0)
		set_start(m->table.header);
	return m;
}

void model_close(struct model **model)
{
	if (!*model)
		return;
	table_close(&(*model)->table);
	free(*model);
	*model = NULL;
}

struct model *model_overlay(const struct model *of, struct err *err)
{
	struct model *m = calloc(1, sizeof(*m));
	assert(m);
	if (table_overlay(&of->table, &m->table, err) < 0) {
		free(m);
		return NULL;
	}
	return m;
}

void model_forget(struct model *overlay)
{
	table_forget(&overlay->table);
}

void model_assign_shares(struct model *m, const struct model *from)
{
	combine_assign(m->table.header, from->table.header);
}

int model_sync(struct model *m, struct err *err)
{
	return table_sync(&m->table, err);
}

void model_clear(struct model *m)
{
	table_clear(&m->table);
	set_start(m->table.header);
}

int64_t model_position(const struct model *m)
{
	return atomic_load_explicit(&m->table.header->position, memory_order_relaxed);
}

void model_set_position(struct model *m, int64_t position)
{
	atomic_store_explicit(&m->table.header->position, position, memory_order_relaxed);
}

void model_assign(struct model *m, const struct model *from)
{
	table_assign(&m->table, &from->table);
}

int model_save(const struct model *m, const char *path, struct err *err)
{
	return table_save(&m->table, path, err);
}

int model_load(struct model *m, const char *path, const uint8_t digest[32], struct err *err)
{
	uint8_t salt[16], found[32];
	uint32_t half_life = model_half_life(m);
	memcpy(salt, model_salt(m), sizeof(salt));
	int rc = table_load(&m->table, path, err);
	if (rc > 0) {
		model_digest(m, found);
		if (memcmp(found, digest, sizeof(found)) == 0 &&
			memcmp(model_salt(m), salt, sizeof(salt)) == 0) {
			model_set_half_life(m, half_life);
			return 1;
		}
		rc = 0;
	}
	memcpy(m->table.header->salt, salt, sizeof(salt));
	m->table.header->half_life_days = half_life;
	model_clear(m);
	return rc;
}

void model_digest(const struct model *m, uint8_t digest_r[32])
{
	table_digest(&m->table, digest_r);
}

bool model_is_unclean(const struct model *m)
{
	return atomic_load(&m->table.header->unclean) != 0;
}

const uint8_t *model_salt(const struct model *m)
{
	return m->table.header->salt;
}

void model_set_salt(struct model *m, const uint8_t salt[16])
{
	assert(model_generation(m) == 0);
	memcpy(m->table.header->salt, salt, sizeof(m->table.header->salt));
}

uint32_t model_half_life(const struct model *m)
{
	return m->table.header->half_life_days;
}

void model_set_half_life(struct model *m, uint32_t days)
{
	table_set_half_life(&m->table, days);
}

uint64_t model_generation(const struct model *m)
{
	return atomic_load_explicit(&m->table.header->generation, memory_order_relaxed);
}

void model_learned(const struct model *m, int64_t *spam_r, int64_t *ham_r)
{
	*ham_r = (int64_t)atomic_load_explicit(&m->table.header->learned[0], memory_order_relaxed);
	*spam_r = (int64_t)atomic_load_explicit(&m->table.header->learned[1], memory_order_relaxed);
}

/* Of what came as spam, the share that is ham: not the same as the share of ham that came as spam. */
static double wrong_labels(const struct table_header *h, bool spam)
{
	double wrong = get(&h->label_noise[!spam]) * get(&h->seen[!spam]), all = get(&h->seen[spam]);
	return wrong < all ? wrong / all : all > 0;
}

void model_progress(const struct model *m, struct model_progress *progress_r)
{
	const struct table_header *h = m->table.header;
	*progress_r = (struct model_progress){get(&h->error), get(&h->disagreement),
		{wrong_labels(h, false), wrong_labels(h, true)}};
}

/* Judging */

static double least_seen(const struct look *look)
{
	return look->seen[0] < look->seen[1] ? look->seen[0] : look->seen[1];
}

/* Of as many as there are tokens the slots are expected: token_views() came before. */
static void gram_views(const struct table *t, const struct features *f, struct look *look)
{
	double sums[FEATURES_SIDES] = {0};
	for (size_t i = 0; i < f->gram_count; i++) {
		if (i + AHEAD >= f->token_count && i + AHEAD < f->gram_count)
			table_expect_gram(t, f->grams[i + AHEAD]);
		sums[features_gram_side(f->grams[i])] += table_gram(t, f->grams[i]).value;
	}
	memcpy(look->views.of[COMBINE_GRAMS], sums, sizeof(sums));
}

/*
 * What the token alone would say, as documents of ham to documents of spam. They are counted as
 * those of the rarer class, so that a flood of one class does not make every new token speak for it.
 */
typedef double pair __attribute__((vector_size(16)));	/* of ham, of spam */
typedef int64_t truth __attribute__((vector_size(16))); /* -1: true */

static inline pair odds_of(const struct table_token *token, const struct look *look)
{
	pair documents = {token->ham, token->spam}, worth = {look->worth[0], look->worth[1]};
	return PRIOR_STRENGTH / 2 + documents * worth;
}

/* Both or neither. */
static inline truth are_heard(pair odds)
{
	pair other = {odds[1], odds[0]};
	truth beyond = odds >= LEAST_ODDS * other;
	return beyond | (truth){beyond[1], beyond[0]};
}

/* A sum of logarithms, of which few are taken: odds are multiplied as long as there is room. */
struct product {
	pair odds;
	double sum;
};

static inline void add_log(struct product *p, pair odds)
{
	p->odds *= odds;
	truth room = (p->odds > 1e-100) & (p->odds < 1e100);
	if (!(room[0] & room[1])) {
		p->sum += math_log(p->odds[1] / p->odds[0]);
		p->odds = (pair){1, 1};
	}
}

static double product_log(const struct product *p)
{
	return p->sum + math_log(p->odds[1] / p->odds[0]);
}

static double beyond_knee(double x)
{
	double grown = COUNTS_KNEE * math_log(1 + fabs(x) / COUNTS_KNEE);
	return x < 0 ? -grown : grown;
}

/* Tokens are not independent: the evidence of k of them counts as that of about sqrt(k). */
static double count_view(const struct product *product, double heard, const struct look *look)
{
	if (heard == 0)
		return 0;
	return beyond_knee(product_log(product) / math_sqrt(heard)) * least_seen(look) /
	       (least_seen(look) + HARDLY_KNOWN);
}

/* What the tokens of one side say. */
struct tally {
	struct product product;
	truth heard; /* less the number of those that were */
	double words;
};

/*
 * Tokens from the i-th on, as long as they are of one side; returns how far that is. Whether a token
 * is known, and whether it is heard, cannot be foreseen: nothing branches on it.
 */
static size_t tally_side(const struct table *t, const struct features *f, size_t i, struct look *look,
	struct tally tallies[FEATURES_SIDES], truth *known)
{
	const _Atomic uint64_t nothing[2] = {0, table_pack(t, (struct table_weight){0, 0})};
	const truth one = (truth)(pair){1, 1};
	enum features_side side = features_token_side(f->tokens[i]);
	struct tally tally = tallies[side];
	for (; i < f->token_count && features_token_side(f->tokens[i]) == side; i++) {
		if (i + AHEAD < f->token_count)
			table_expect_token(t, f->tokens[i + AHEAD]);
		if (i < f->gram_count)
			table_expect_gram(t, f->grams[i]); /* for gram_views() */
		ptrdiff_t slot = look->slots[i] = table_find(t, f->tokens[i]);
		struct table_token token =
			table_unpack_token(t, slot < 0 ? nothing : &t->tokens[2 * slot]);
		pair odds = odds_of(&token, look);
		truth heard = are_heard(odds);
		*known += (pair){token.ham, token.spam} > 0;
		tally.heard += heard;
		tally.words += token.weight.value;
		add_log(&tally.product, (pair)((heard & (truth)odds) | (~heard & one)));
	}
	tallies[side] = tally;
	return i;
}

static void token_views(const struct table *t, const struct features *f, struct look *look)
{
	struct tally tallies[FEATURES_SIDES] = {{.product.odds = {1, 1}}, {.product.odds = {1, 1}}};
	truth known = {0, 0};
	for (size_t i = 0; i < f->token_count;)
		i = tally_side(t, f, i, look, tallies, &known);
	for (int class = 0; class < 2; class ++)
		look->familiar[class] = (double)-known[class] / ((double)f->token_count + 1);
	for (int side = 0; side < FEATURES_SIDES; side++) {
		const struct tally *tally = &tallies[side];
		look->views.of[COMBINE_WORDS][side] = tally->words;
		look->views.of[COMBINE_COUNTS][side] =
			count_view(&tally->product, (double)-tally->heard[0], look);
	}
}

/* While one class is hardly known: is the message less like the other than that one's own are? Of
 * the rarer one that is asked in proportion. */
static double novelty(const struct table *t, const struct look *look)
{
	double all = look->seen[0] + look->seen[1], unlike[2];
	for (int class = 0; class < 2; class ++)
		unlike[class] = (get(&t->header->familiar[class]) - look->familiar[class]) *
				math_between(0, 2 * look->seen[class] / all, 1);
	return (unlike[0] - unlike[1]) * NOVELTY_SHARE * HARDLY_KNOWN /
	       (least_seen(look) + HARDLY_KNOWN);
}

static void look_at_tokens(const struct table *t, const struct features *f, struct look *look)
{
	for (int class = 0; class < 2; class ++)
		look->seen[class] = get(&t->header->seen[class]);
	for (int class = 0; class < 2; class ++)
		look->worth[class] = least_seen(look) / (look->seen[class] + 1);
	token_views(t, f, look);
}

/*
 * A few lessons, one of them wrong, make the views as loud as hundreds do. What they say then must
 * not lie beyond all that is judged later: the side stays the same, the rank is modest, as long as
 * there are few lessons of the class that they speak for. Learning goes by the sum itself.
 */
static double modesty(const struct look *look)
{
	double seen = look->seen[look->sum + LEAN > 0];
	return look->seen[0] + look->seen[1] > 0 ? (seen + YOUNG_LEAST) / (seen + YOUNG) : 0;
}

static double both_sides(const double heard[FEATURES_SIDES])
{
	return heard[FEATURES_HEADERS] + heard[FEATURES_BODY];
}

static void look_at(const struct table *t, const struct features *f, struct look *look)
{
	struct opinion *o = &look->opinion;
	struct combine_views heard;
	look_at_tokens(t, f, look);
	gram_views(t, f, look);
	look->sum = combine_hear(t->header, &look->views, &heard);
	*o = (struct opinion){.grams = both_sides(heard.of[COMBINE_GRAMS]),
		.words = both_sides(heard.of[COMBINE_WORDS]),
		.counts = both_sides(heard.of[COMBINE_COUNTS])};
	if (look->seen[0] + look->seen[1] > 0)
		look->sum += novelty(t, look);
	look->sum += tenant_view(t, f);
	if (f->finding_count > 0) {
		o->findings = findings_view(t, f);
		look->sum += findings_heard(o->findings);
	}
	o->log_odds = (look->sum + LEAN) * modesty(look);
}

struct opinion model_classify(const struct model *m, const struct features *f)
{
	struct look look;
	look_at(&m->table, f, &look);
	return look.opinion;
}

/* The counts are not a plain sum: each token has its share of what came of all of its side. */
static void weigh_tokens(
	const struct table *t, const struct features *f, const struct look *look, double *weights_r)
{
	double sums[FEATURES_SIDES] = {0}, shares[FEATURES_SIDES];
	for (size_t i = 0; i < f->token_count; i++) {
		weights_r[i] = 0;
		if (look->slots[i] < 0)
			continue;
		struct table_token token = table_token(t, (size_t)look->slots[i]);
		pair odds = odds_of(&token, look);
		if (are_heard(odds)[0])
			weights_r[i] = math_log(odds[1] / odds[0]);
		sums[features_token_side(f->tokens[i])] += weights_r[i];
	}
	for (int side = 0; side < FEATURES_SIDES; side++)
		shares[side] = sums[side] != 0 ? combine_share(t->header, COMBINE_COUNTS, side) *
							 look->views.of[COMBINE_COUNTS][side] / sums[side]
					       : 0;
	for (size_t i = 0; i < f->token_count; i++) {
		enum features_side side = features_token_side(f->tokens[i]);
		weights_r[i] *= shares[side];
		if (look->slots[i] >= 0)
			weights_r[i] += combine_share(t->header, COMBINE_WORDS, side) *
					table_token(t, (size_t)look->slots[i]).weight.value;
		weights_r[i] *= modesty(look);
	}
}

void model_weigh(
	const struct model *m, const struct features *f, double *tokens_r, double *findings_r)
{
	struct look look;
	look_at(&m->table, f, &look);
	weigh_tokens(&m->table, f, &look, tokens_r);
	findings_weigh(&m->table, f, findings_r);
	for (size_t i = 0; i < f->finding_count; i++)
		findings_r[i] *= modesty(&look);
}

/* Learning */

/* Both classes are to count alike, however unlike their numbers are. */
static double balance(const struct look *look, bool spam)
{
	if (least_seen(look) <= BALANCE_MIN_SEEN)
		return 1;
	double factor = (look->seen[0] + look->seen[1]) / (2 * look->seen[spam]);
	return math_between(0.5, factor, 2);
}

/*
 * How likely the label is right, given what the model thought and how often messages of each class
 * come with the other one's label; those shares are estimated on the way. What is contradicted more
 * often than people err is a mistake of the model: it may not take all that it does not expect, as
 * the first ham after hundreds of spam, for wrong labels.
 */
static double trust(struct table *t, const struct look *look, bool spam)
{
	_Atomic double *noise = t->header->label_noise;
	double wrong[2], mistaken[2];
	for (int class = 0; class < 2; class ++) {
		wrong[class] = math_between(NOISE_LEAST, get(&noise[class]), NOISE_MOST);
		mistaken[class] = math_between(LEAST_TRUST, get(&noise[class]) - NOISE_MOST, 0.5);
	}
	double p_spam = math_between(mistaken[0], math_logistic(look->sum / CONFIDENCE),
		1 - mistaken[1]);
	double p = spam ? p_spam : 1 - p_spam;
	double right = p * (1 - wrong[spam]), flipped = (1 - p) * wrong[!spam];
	double believed = right / (right + flipped);
	approach(&noise[spam], 0, NOISE_RATE * believed);
	approach(&noise[!spam], 1, NOISE_RATE * (1 - believed));
	return believed;
}

/* Each weight's own rate, which slows down with what was learned at it. */
static double rate_of(struct table_weight w, double rate, double error)
{
	return rate / math_sqrt(EFFORT + w.effort + fabs(error));
}

static double cap(double sum)
{
	return sum > STEP_MAX ? STEP_MAX / sum : 1;
}

static void step(struct table_weight *w, double rate, double error)
{
	w->value += rate * error;
	w->effort += fabs(error);
}

/* How far a kind of view was from the label on each side; 0 if that is too little to learn from. */
static bool errors_of(const double views[FEATURES_SIDES], bool spam, double weight,
	double errors_r[FEATURES_SIDES])
{
	bool any = false;
	for (int side = 0; side < FEATURES_SIDES; side++) {
		double error = weight * (spam - math_logistic(views[side]));
		errors_r[side] = fabs(error) < LEAST_ERROR ? 0 : error;
		any |= errors_r[side] != 0;
	}
	return any;
}

static void learn_grams(struct table *t, const struct features *f, const double errors[FEATURES_SIDES])
{
	double rates[FEATURES_GRAMS], sums[FEATURES_SIDES] = {0};
	for (size_t i = 0; i < f->gram_count; i++) {
		enum features_side side = features_gram_side(f->grams[i]);
		if (errors[side] == 0)
			continue;
		rates[i] = rate_of(table_gram(t, f->grams[i]), GRAMS_RATE, errors[side]);
		sums[side] += rates[i];
	}
	for (size_t i = 0; i < f->gram_count; i++) {
		enum features_side side = features_gram_side(f->grams[i]);
		if (errors[side] == 0)
			continue;
		struct table_weight w = table_gram(t, f->grams[i]);
		step(&w, rates[i] * cap(sums[side]), errors[side]);
		table_set_gram(t, f->grams[i], w);
	}
}

static void learn_words(struct table *t, const struct features *f, const struct look *look,
	const double errors[FEATURES_SIDES])
{
	double rates[FEATURES_TOKENS], sums[FEATURES_SIDES] = {0};
	for (size_t i = 0; i < f->token_count; i++) {
		enum features_side side = features_token_side(f->tokens[i]);
		if (errors[side] == 0)
			continue;
		rates[i] = rate_of(table_token(t, (size_t)look->slots[i]).weight, WORDS_RATE, errors[side]);
		sums[side] += rates[i];
	}
	for (size_t i = 0; i < f->token_count; i++) {
		enum features_side side = features_token_side(f->tokens[i]);
		if (errors[side] == 0)
			continue;
		struct table_token token = table_token(t, (size_t)look->slots[i]);
		step(&token.weight, rates[i] * cap(sums[side]), errors[side]);
		table_set_token(t, (size_t)look->slots[i], &token);
	}
}

/* Every token gets a slot here. A message that is hardly believed counts for little. */
static void learn_counts(
	struct table *t, const struct features *f, struct look *look, bool spam, double believed)
{
	double counted = COUNTED_LEAST + (1 - COUNTED_LEAST) * believed;
	for (size_t i = 0; i < f->token_count; i++) {
		if (look->slots[i] < 0)
			look->slots[i] = (ptrdiff_t)table_take(t, f->tokens[i]);
		table_count(t, (size_t)look->slots[i], spam, counted);
	}
}

/* A view that is undecided contradicts nobody. */
static bool contradicts(double view, bool spam)
{
	return spam ? view < 0 : view > 0;
}

static void count_lesson(struct table_header *h, bool spam)
{
	atomic_fetch_add_explicit(&h->learned[spam], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->generation, 1, memory_order_relaxed);
}

static void note_progress(struct table_header *h, const struct look *look, bool spam)
{
	const struct opinion *o = &look->opinion;
	bool says = o->log_odds > 0;
	bool split = contradicts(o->grams, says) || contradicts(o->words, says) ||
		     contradicts(o->counts, says);
	approach(&h->error, says != spam, PROGRESS_RATE);
	approach(&h->disagreement, split, PROGRESS_RATE);
	double span = look->seen[spam] + 2;
	approach(&h->familiar[spam], look->familiar[spam],
		1 / (span > FAMILIAR_SPAN ? FAMILIAR_SPAN : span));
	set(&h->seen[spam], get(&h->seen[spam]) + 1);
	count_lesson(h, spam);
}

struct opinion model_learn(struct model *m, const struct features *f, bool spam, int64_t time)
{
	struct table *t = &m->table;
	struct look look;
	double errors[FEATURES_SIDES];
	atomic_store(&t->header->unclean, 1);
	table_advance(t, time);
	look_at(t, f, &look);
	double believed = trust(t, &look, spam), weight = balance(&look, spam) * believed;
	if (errors_of(look.views.of[COMBINE_GRAMS], spam, weight, errors))
		learn_grams(t, f, errors);
	learn_counts(t, f, &look, spam, believed);
	if (errors_of(look.views.of[COMBINE_WORDS], spam, weight, errors))
		learn_words(t, f, &look, errors);
	combine_learn(t->header, &look.views, weight * (spam - math_logistic(look.sum / CONFIDENCE)));
	findings_learn(t, f, weight * (spam - math_logistic(look.opinion.findings)));
	tenant_learn(t, f, believed * (spam - math_logistic(look.sum / TENANT_SCALE)));
	note_progress(t->header, &look, spam);
	return look.opinion;
}

void model_count(struct model *m, bool spam)
{
	atomic_store(&m->table.header->unclean, 1);
	count_lesson(m->table.header, spam);
}
