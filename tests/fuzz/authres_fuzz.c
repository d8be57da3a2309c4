/* Recognising forged Authentication-Results, and writing ours from what a peer chose. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/authres.h"
#include "core/headerline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_from((const char *)data, size);
	struct str half = str_sub(input, 0, size / 2), rest = str_skip(input, size / 2);
	struct auth_dkim signature = { AUTH_FAIL, half, rest, half, rest, half, rest };
	struct auth_dkim_list dkim = { &signature, 1 };
	struct auth_spf spf = { AUTH_PASS, half, STR("mfrom"), rest };
	struct auth_dmarc dmarc = { .result = AUTH_FAIL, .author_domain = half, .override = rest };
	struct auth auth = { .spf = &spf, .dkim = &dkim, .dmarc = &dmarc };
	struct facts facts = { .mail_from = half, .helo = rest, .client_ip = half };
	struct buf value = BUF_INIT, line = BUF_INIT;
	size_t lines = 0;

	authres_claims(input, "mx.example.net");
	authres_write(&value, "mx.example.net", &facts, &auth);
	assert(authres_claims(buf_str(&value), "mx.example.net"));
	headerline_add(&line, "Authentication-Results", buf_str(&value));
	for (size_t i = 0; i < line.n; i++) {
		assert((line.p[i] >= ' ' && line.p[i] <= '~') || line.p[i] == '\r' ||
			line.p[i] == '\n' || line.p[i] == '\t');
		/* Every line but the last goes on behind its end. */
		if (line.p[i] == '\n') {
			assert(i && line.p[i - 1] == '\r');
			assert(i + 1 == line.n || char_is_wsp(line.p[i + 1]));
			lines++;
		}
	}
	assert(lines);
	buf_free(&value);
	buf_free(&line);
	return 0;
}
