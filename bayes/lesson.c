#include "bayes/lesson.h"

void lesson_encode(const struct features *f, struct buf *out)
{
	uint32_t counts[2] = {(uint32_t)f->gram_count, (uint32_t)f->token_count};
	buf_add(out, counts, sizeof(counts));
	buf_add(out, f->grams, f->gram_count * sizeof(f->grams[0]));
	buf_add(out, f->tokens, f->token_count * sizeof(f->tokens[0]));
}

int lesson_decode(struct str in, struct arena *arena, struct features *f)
{
	uint32_t counts[2];
	if (in.n < sizeof(counts))
		return -1;
	memcpy(counts, in.p, sizeof(counts));
	if (counts[0] > FEATURES_GRAMS || counts[1] > FEATURES_TOKENS ||
		in.n != sizeof(counts) + counts[0] * sizeof(uint32_t) +
				counts[1] * sizeof(uint64_t))
		return -1;
	const char *p = in.p + sizeof(counts);
	f->gram_count = counts[0];
	f->token_count = counts[1];
	f->grams = ARENA_ARRAY(arena, counts[0], uint32_t);
	f->tokens = ARENA_ARRAY(arena, counts[1], uint64_t);
	memcpy(f->grams, p, counts[0] * sizeof(uint32_t));
	memcpy(f->tokens, p + counts[0] * sizeof(uint32_t), counts[1] * sizeof(uint64_t));
	return 0;
}
