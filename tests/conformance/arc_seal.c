/*
 * arc_seal: prints the ARC set that the library adds to a message; for tests/conformance/arc_sealing.py.
 *
 *	arc_seal MESSAGE KEY RECORDS AUTHSERV-ID DOMAIN SELECTOR NAMES TIME
 *
 * MESSAGE has CRLF line ends. RECORDS: one TXT record a line, "NAME TEXT": the keys that the chain so far
 * is verified by.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/arc_set.h"
#include "tests/read_file.h"

static struct str find_record(struct str records, struct str name)
{
	struct str line;

	while (str_cut(&records, '\n', &line))
		if (str_ieq(str_sub(line, 0, str_chr(line, ' ')), name))
			return str_skip(line, str_chr(line, ' ') + 1);
	return STR("");
}

static void give_keys(struct arc_chain *chain, struct arena *arena, struct str records)
{
	for (size_t i = 0; i < chain->signature_count; i++) {
		struct str text = find_record(records, chain->signatures[i].owner.name);
		struct buf data = BUF_INIT;
		for (size_t at = 0; at < text.n; at += 255) {
			struct str piece = str_sub(text, at, 255);
			buf_char(&data, (char)piece.n);
			buf_str_add(&data, piece);
		}
		struct str wire = arena_dup(arena, buf_str(&data));
		struct dns_answer answer = { .type = DNS_TXT, .data = { &wire, 1 } };
		const char *reason;
		if (pubkey_select(&answer, chain->signatures[i].algorithm, arena,
			&chain->signatures[i].key, &reason) < 0)
			arc_chain_fail(chain, reason);
		buf_free(&data);
	}
}

/* All Authentication-Results of this authserv-id, as one value (4.1.1). */
static struct str join_results(const struct mail *m, const char *authserv_id)
{
	const struct mail_header *h = NULL;
	struct buf out = BUF_INIT;

	while ((h = mail_header(m, "Authentication-Results", h))) {
		struct str rest = mail_unfold(m->arena, h->value), id;
		str_cut(&rest, ';', &id);
		rest = str_trim(rest);
		if (!str_ieq_c(str_trim(id), authserv_id) || rest.n == 0)
			continue;
		buf_printf(&out, "%s; ", out.n ? "" : authserv_id);
		buf_str_add(&out, rest);
	}
	struct str results = arena_dup(m->arena, buf_str(&out));
	buf_free(&out);
	return results;
}

int main(int argc, char **argv)
{
	struct arena *arena = arena_new(64 << 20);
	struct buf out = BUF_INIT;
	struct signkey *key;
	struct err err = { "" };

	if (argc != 9 || signkey_parse(read_file(arena, argv[2]), &key, &err) < 0)
		return fprintf(stderr, "wrong usage %s\n", err.text), 2;
	struct mail *m = mail_parse(arena, read_file(arena, argv[1]));
	struct arc_chain *chain = ARENA_NEW(arena, struct arc_chain);
	struct arc_sealer sealer = { .domain = str_c(argv[5]), .selector = str_c(argv[6]),
		.algorithm = signkey_algorithm(key), .names = str_c(argv[7]) };
	if (str_to_i64(str_c(argv[8]), 0, INT64_MAX, &sealer.now) < 0)
		return 2;
	arc_chain_read(m, arena, chain);
	give_keys(chain, arena, read_file(arena, argv[3]));
	arc_chain_verify(chain, m, sealer.now);
	if (arc_set_add(m, chain, join_results(m, argv[4]), &sealer, key, &out) < 0)
		return 1;
	if (out.n)
		fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
	signkey_free(&key);
	arena_free(&arena);
	return 0;
}
