/*
 * The first line is a key record, the rest a message whose ARC chain is verified by it and gets one more set;
 * ARC-Authentication-Results are read to their end.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/authres.h"
#include "filters/arc/seal.h"

static void set_keys(struct arena *arena, struct str record, struct arc_chain *chain)
{
	struct str piece = str_sub(record, 0, 255);
	struct str data = arena_printf(arena, "%c%.*s", (int)piece.n, STR_ARG(piece));
	struct dns_answer answer = { .type = DNS_TXT, .data = { &data, 1 } };
	const char *reason;

	for (size_t i = 0; i < chain->signature_count; i++) {
		struct arc_signature *s = &chain->signatures[i];
		assert(s->b.n && s->owner.name.n && s->header);
		if (pubkey_select(&answer, s->algorithm, arena, &s->key, &reason) < 0)
			arc_chain_fail(chain, reason);
	}
}

static void read_results(struct str value)
{
	struct authres_item item;
	size_t most = value.n + 1; /* as many as separators, and one */

	while (authres_next(&value, &item)) {
		assert(most-- > 0);
		assert(authres_property(&item, "header.d").n <= item.properties.n);
	}
}

/* Of a chain whose sets are not complete only the newest is signed (5.1.2). */
static void seal(const struct mail *m, const struct arc_chain *chain)
{
	struct arc_sealer sealer = { .domain = STR("a.example"), .selector = STR("s"),
		.algorithm = "rsa-sha256" };
	struct buf set = BUF_INIT;
	struct sign_draft draft;
	struct str aar;

	if (arc_seal_message(m, chain, STR("mx.example.net; none"), &sealer, &aar, &draft)) {
		sign_finish(&draft, STR("AAAA"), false, &set);
		buf_str_add(&set, aar);
		assert(arc_seal_chain(m, chain, buf_str(&set), &sealer, &draft, NULL) == 0);
		assert(str_starts(draft.head, "ARC-Seal: a="));
	}
	buf_free(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(8 << 20);
	struct str input = str_from((const char *)data, size), record;
	struct arc_chain *chain = ARENA_NEW(arena, struct arc_chain);

	str_cut(&input, '\n', &record);
	struct mail *m = mail_parse(arena, input);
	arc_chain_read(m, arena, chain);
	assert(chain->n <= LIMIT_ARC_SETS && chain->signature_count <= LIMIT_ARC_SIGNATURES);
	set_keys(arena, record, chain);
	arc_chain_verify(chain, m, 1795176000);
	assert((chain->result == AUTH_FAIL) == (chain->reason[0] != '\0'));
	for (size_t i = 0; i < chain->n; i++)
		if (chain->sets[i].results)
			read_results(chain->sets[i].results->value);
	seal(m, chain);
	arena_free(&arena);
	return 0;
}
