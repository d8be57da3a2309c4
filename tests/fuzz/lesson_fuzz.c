/* What an inspector hands to the trainer: decoded, learned, and encoded to the same octets. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "bayes/lesson.h"
#include "bayes/model.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model *model;
	struct arena *arena = arena_new(1 << 20);
	struct features features;
	if (!model)
		model = model_open(NULL, MODEL_MEMORY, NULL);
	if (lesson_decode(str_from((const char *)data, size), arena, &features) == 0) {
		struct buf again = BUF_INIT;
		lesson_encode(&features, &again);
		assert(again.n == size && memcmp(again.p, data, size) == 0);
		buf_free(&again);
		assert(isfinite(
			model_learn(model, &features, size & 8, (int64_t)size << 20).log_odds));
		assert(isfinite(model_classify(model, &features).log_odds));
	}
	arena_free(&arena);
	return 0;
}
