/* PROXY headers: with every prefix the same answer, or "more". */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "core/smtp/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from((const char *)data, size);
	struct proxy p, q;
	size_t used = 0, again = 0;

	if (size > 2 * LIMIT_PROXY_V2_BYTES)
		return 0;
	int done = proxy_parse(in, &used, &p, NULL);
	assert(done || size < LIMIT_PROXY_V2_BYTES);
	if (done == 1) {
		assert(used && used <= size);
		assert(proxy_parse(str_sub(in, 0, used), &again, &q, NULL) == 1 && again == used);
		assert(p.kind == PROXY_LOCAL || p.source.family != IP_NONE);
		for (size_t n = 0; n < used; n++)
			assert(proxy_parse(str_sub(in, 0, n), &again, &q, NULL) == 0);
	}
	return 0;
}
