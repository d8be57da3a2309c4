/* A policy of MTA-STS; its lines are also taken as TXT records that announce one. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/dns.h"
#include "gateway/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from((const char *)data, size), line, id;
	struct arena *arena = arena_new(1u << 20);
	struct sts_policy policy;
	struct err err = { "" };

	if (sts_policy_parse(text, arena, &policy, &err) == 0) {
		assert(policy.mode == STS_NONE || policy.mx.n > 0);
		assert(policy.mx.n <= STS_MX_MAX);
		for (size_t i = 0; i < policy.mx.n; i++) {
			bool any = str_starts(policy.mx.v[i], "*.");

			assert(dns_is_hostname(str_skip(policy.mx.v[i], any ? 2 : 0)));
			assert(any || sts_policy_allows(&policy, policy.mx.v[i]));
		}
	} else {
		assert(err.text[0]);
	}
	while (str_cut(&text, '\n', &line))
		if (sts_record_is(line) && sts_record_id(line, &id) == 0)
			assert(id.n > 0 && id.n <= 32);
	arena_free(&arena);
	return 0;
}
