/* A file of rules, then a message that they are tried on: what stands behind the first NUL. */
#include "core/limits.h"
#include "rules/ruleset.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct str rest = arena_dup(a, str_from((const char *)data, size)), text;
	struct finding_list all = { NULL, 0 };
	struct err err;

	str_cut(&rest, '\0', &text);
	struct ruleset *rs = ruleset_new(a, &err);
	if (rs && ruleset_read(rs, "fuzz", text, &err) == 0 && ruleset_finish(rs, &err) == 0) {
		struct ruleset_input in = { mail_parse(a, rest), STR("a@a.example"), a };
		bool *hits = ARENA_ARRAY(a, ruleset_count(rs) + 1, bool);
		ruleset_run(rs, &in, hits);
		ruleset_metas(rs, hits, &all, a, NULL, NULL);
	}
	ruleset_free(&rs);
	arena_free(&a);
	return 0;
}
