/* An HTTP response, whole and as it comes in: what is whole early does not change later. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/response.h"

#define STEPS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str octets = str_from((const char *)data, size);
	struct buf body = BUF_INIT, early = BUF_INIT;
	struct response response, part;
	int whole = response_parse(octets, true, &body, &response, NULL);

	assert(whole == 1 || whole == -1);
	if (whole == 1)
		assert(response.status >= 200 && response.status < 600 && response.body.n <= size);
	for (size_t i = 0; i < STEPS; i++) {
		int result = response_parse(str_sub(octets, 0, size * i / STEPS), false, &early,
			&part, NULL);

		if (result == 1)
			assert(whole == 1 && str_eq(part.body, response.body) &&
				part.status == response.status);
		if (result == -1)
			assert(whole == -1);
	}
	buf_free(&body);
	buf_free(&early);
	return 0;
}
