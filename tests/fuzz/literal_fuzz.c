/* Flags, a NUL, an expression, a NUL, a text: what matches must have been a candidate. */
#include <assert.h>

#include "core/limits.h"
#include "rules/match.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct str rest = arena_dup(a, str_from((const char *)data, size)), flags, expression;
	struct match_pattern pattern = { .code = NULL };
	const struct match_pattern *pointer = &pattern;
	struct err err;
	bool candidate = false;

	str_cut(&rest, '\0', &flags);
	if (!str_cut(&rest, '\0', &expression))
		expression = STR("");
	struct matcher *m = match_open(a, &err);
	if (m && match_compile(m, a, expression, flags, false, &pattern, &err) == 0) {
		struct match_set *set = match_set(a, &pointer, 1);
		match_candidates(set, rest, &candidate);
		if (match_try(m, &pattern, rest) == MATCH_YES)
			assert(candidate);
	}
	match_release(&pattern);
	match_close(&m);
	arena_free(&a);
	return 0;
}
