/* The findings that header lines of ours tell of, in messages of anybody. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "rules/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct mail *mail = mail_parse(arena, arena_dup(arena, str_from((const char *)data, size)));
	struct str rest = verdict_headers_findings(mail, "mx.example.net"), name;

	assert(rest.n <= size + 1);
	assert(rest.n == 0 || mail_header_count(mail, "X-Spam-Status") == 1);
	while (str_word(&rest, &name))
		assert(name.n && str_chr(name, ',') == name.n && str_chr(name, '=') == name.n);
	arena_free(&arena);
	return 0;
}
