#include "bayes/near.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	BANDS = 16, /* of BAND bins: sketches are compared if one band is the same in both */
	BAND = NEAR_BINS / BANDS,
	HEADS = NEAR_KEPT,
	LOOKS_A_BAND = NEAR_LOOKS / BANDS,
	LEAST_BINS = 16, /* with fewer in use a message is too short to be compared */
};

/* A link is the number of an addition, from 1; those that were overwritten lead nowhere. */
struct kept {
	struct near_sketch sketch;
	int64_t id;
	bool spam;
	uint32_t next[BANDS];
};

struct near {
	uint32_t added;
	struct kept *kept; /* a ring */
	uint32_t heads[BANDS][HEADS];
};

void near_sketch(const struct features *f, struct near_sketch *sketch_r)
{
	uint64_t least[NEAR_BINS];
	memset(least, 0xff, sizeof(least));
	for (size_t i = 0; i < f->token_count; i++) {
		/* Not the bits by which the table places it. */
		uint64_t h = f->tokens[i] * 0x9e3779b97f4a7c15u;
		if (h < least[h % NEAR_BINS])
			least[h % NEAR_BINS] = h;
	}
	for (size_t i = 0; i < NEAR_BINS; i++)
		sketch_r->bins[i] = least[i] == UINT64_MAX ? 0 : (uint8_t)((least[i] >> 8) % 255 + 1);
}

int near_percent(const struct near_sketch *a, const struct near_sketch *b)
{
	int used = 0, same = 0;
	for (size_t i = 0; i < NEAR_BINS; i++) {
		used += a->bins[i] || b->bins[i];
		same += a->bins[i] && a->bins[i] == b->bins[i];
	}
	return used < LEAST_BINS ? 0 : 100 * same / used;
}

struct near *near_new(void)
{
	struct near *near = calloc(1, sizeof(*near));
	assert(near);
	near->kept = calloc(NEAR_KEPT, sizeof(*near->kept));
	assert(near->kept);
	return near;
}

void near_free(struct near **near)
{
	if (!*near)
		return;
	free((*near)->kept);
	free(*near);
	*near = NULL;
}

static uint32_t head_of(const struct near_sketch *s, size_t band, bool spam)
{
	uint32_t bins;
	_Static_assert(BAND == sizeof(bins), "a band is a word");
	memcpy(&bins, s->bins + band * BAND, sizeof(bins));
	return (uint32_t)(((uint64_t)bins * 2 + spam) * 0x9e3779b97f4a7c15u >> 32) % HEADS;
}

static struct kept *kept_at(const struct near *near, uint32_t number)
{
	return &near->kept[number % NEAR_KEPT];
}

static bool is_there(const struct near *near, uint32_t number)
{
	return number > 0 && near->added - number < NEAR_KEPT;
}

void near_add(struct near *near, const struct near_sketch *sketch, bool spam, int64_t id)
{
	uint32_t number = ++near->added;
	struct kept *k = kept_at(near, number);
	k->sketch = *sketch;
	k->id = id;
	k->spam = spam;
	for (size_t band = 0; band < BANDS; band++) {
		uint32_t *head = &near->heads[band][head_of(sketch, band, spam)];
		k->next[band] = *head;
		*head = number;
	}
}

int64_t near_find(const struct near *near, const struct near_sketch *sketch, bool spam)
{
	int most = NEAR_ALIKE_PERCENT - 1;
	int64_t id = 0;
	for (size_t band = 0; band < BANDS; band++) {
		uint32_t at = near->heads[band][head_of(sketch, band, spam)];
		for (int looks = 0; looks < LOOKS_A_BAND && is_there(near, at); looks++) {
			const struct kept *k = kept_at(near, at);
			int percent = k->spam == spam ? near_percent(sketch, &k->sketch) : 0;
			if (percent > most) {
				most = percent;
				id = k->id;
			}
			at = k->next[band];
		}
	}
	return id;
}
