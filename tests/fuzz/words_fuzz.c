/* Encoded words (RFC 2047), parameters (RFC 2231) and charsets: UTF-8 comes out, whatever goes in.
 * The first line is the charset, the rest a value. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/mail/charset.h"
#include "core/mail/mail.h"
#include "core/mail/param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1 << 20);
	struct mail *m = mail_parse(a, STR("X: y\r\n\r\n"));
	struct str rest = { (const char *)data, size }, charset = STR("");
	struct mail_params params;
	struct mail_param_value v;
	if (str_cut(&rest, '\n', &charset))
		assert(str_is_utf8(mail_charset_to_utf8(m, rest, charset)));
	assert(str_is_utf8(mail_decode_header(m, rest)));
	mail_params_parse(a, rest, &params);
	if (mail_params_get(m, &params, "filename", &v))
		assert(str_is_utf8(v.text));
	arena_free(&a);
	return 0;
}
