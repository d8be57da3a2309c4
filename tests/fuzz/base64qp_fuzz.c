/* Transfer encodings: never more octets than came in, and reading twice gives the same. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/mail/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1 << 20);
	struct str in = { (const char *)data, size };
	bool odd = false, again = false;
	struct str out = mail_decode_base64(a, in, &odd);
	assert(out.n <= in.n);
	assert(str_eq(out, mail_decode_base64(a, in, &again)) && odd == again);
	out = mail_decode_qp(a, in, &odd);
	assert(out.n <= in.n);
	arena_free(&a);
	return 0;
}
