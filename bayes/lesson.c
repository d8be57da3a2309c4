#include "bayes/lesson.h"

#define HAS_FINDINGS 0x80000000u /* in the count of grams: a third count follows, and findings */

void lesson_encode(const struct features *f, struct buf *out)
{
	uint32_t findings = (uint32_t)f->finding_count;
	uint32_t counts[2] = {
		(uint32_t)f->gram_count | (findings ? HAS_FINDINGS : 0), (uint32_t)f->token_count};
	buf_add(out, counts, sizeof(counts));
	if (findings)
		buf_add(out, &findings, sizeof(findings));
	buf_add(out, f->grams, f->gram_count * sizeof(f->grams[0]));
	buf_add(out, f->tokens, f->token_count * sizeof(f->tokens[0]));
	buf_add(out, f->findings, f->finding_count * sizeof(f->findings[0]));
}

static bool take(struct str *in, void *to, size_t n)
{
	if (in->n < n)
		return false;
	if (n)
		memcpy(to, in->p, n);
	*in = str_skip(*in, n);
	return true;
}

static bool take_counts(struct str *in, struct features *f)
{
	uint32_t counts[2], findings = 0;
	if (!take(in, counts, sizeof(counts)))
		return false;
	if (counts[0] & HAS_FINDINGS && (!take(in, &findings, sizeof(findings)) || findings == 0))
		return false;
	*f = (struct features){.gram_count = counts[0] & ~HAS_FINDINGS,
		.token_count = counts[1],
		.finding_count = findings};
	return f->gram_count <= FEATURES_GRAMS && f->token_count <= FEATURES_TOKENS &&
	       f->finding_count <= FEATURES_FINDINGS;
}

int lesson_decode(struct str in, struct arena *arena, struct features *f)
{
	if (!take_counts(&in, f) || in.n != f->gram_count * sizeof(f->grams[0]) +
						f->token_count * sizeof(f->tokens[0]) +
						f->finding_count * sizeof(f->findings[0]))
		return -1;
	f->grams = ARENA_ARRAY(arena, f->gram_count, uint32_t);
	f->tokens = ARENA_ARRAY(arena, f->token_count, uint64_t);
	f->findings = ARENA_ARRAY(arena, f->finding_count, uint32_t);
	take(&in, f->grams, f->gram_count * sizeof(f->grams[0]));
	take(&in, f->tokens, f->token_count * sizeof(f->tokens[0]));
	take(&in, f->findings, f->finding_count * sizeof(f->findings[0]));
	return 0;
}
