/* The facts JSON: whatever it says, reading it is safe, and what was read can be written and read again. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "core/facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(1 << 20);
	struct facts facts;
	struct facts_zone *zone;
	struct err err;
	if (facts_from_json(str_from((const char *)data, size), arena, &facts, &zone, &err) == 0) {
		struct dns_question q = { .type = DNS_TXT, .name = STR("example.org") };
		struct dns_answer answer;
		struct buf out = BUF_INIT;
		facts_zone_answer(zone, arena, &q, &answer);
		facts.dns.v = &answer;
		facts.dns.n = 1;
		facts_to_json(&facts, &out);
		if (facts_from_json(buf_str(&out), arena, &facts, &zone, &err) < 0)
			abort();
		buf_free(&out);
	}
	/* The same octets as the binary form. */
	struct facts binary;
	record_decode(&facts_record, str_from((const char *)data, size), arena, &binary, &err);
	arena_free(&arena);
	return 0;
}
