/* The first line is a key record, the rest a message whose DKIM signatures are verified by it. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "core/mail/canonical.h"
#include "core/mail/pubkey.h"
#include "filters/dkim/verifier.h"

static void set_key(struct arena *arena, struct str record, struct dkim_signature *s)
{
	uint8_t length = (uint8_t)(record.n > 255 ? 255 : record.n);
	char *txt = arena_alloc(arena, (size_t)length + 1);
	struct str data = str_from(txt, (size_t)length + 1);
	struct dns_answer answer = { .type = DNS_TXT, .data = { &data, 1 } };
	const char *reason;

	txt[0] = (char)length;
	if (length)
		memcpy(txt + 1, record.p, length);
	if (pubkey_select(&answer, s->algorithm, arena, &s->key, &reason) < 0)
		dkim_signature_settle(s, AUTH_PERMERROR, reason);
	else
		assert(s->key.n <= PUBKEY_RECORD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(8 << 20);
	struct str input = str_from((const char *)data, size), key = str_sub(input, 0, str_chr(input, '\n'));
	struct mail *mail = mail_parse(arena, str_skip(input, key.n + 1));
	struct dkim_signature signatures[LIMIT_DKIM_SIGNATURES];
	const struct mail_header *h = NULL;
	size_t n = 0;

	if (dkim_verifier_start(NULL) < 0)
		abort();
	while (n < LIMIT_DKIM_SIGNATURES && (h = mail_header(mail, "DKIM-Signature", h))) {
		dkim_signature_read(h, arena, &signatures[n]);
		if (!signatures[n].settled)
			set_key(arena, key, &signatures[n]);
		n++;
	}
	dkim_verifier_run(mail, 1795176000, signatures, n);
	for (size_t i = 0; i < n; i++)
		assert(signatures[i].settled);
	uint8_t digest[32];
	assert(canonical_body_hash(mail->body, true, digest) <= canonical_body_hash(mail->body, false, digest));
	arena_free(&arena);
	return 0;
}
