/*
 * dkim_sign: prints the DKIM-Signature that core/mail/sign.c makes; for tests/conformance/dkim_signing.py.
 *
 *	dkim_sign MESSAGE KEY DOMAIN SELECTOR simple|relaxed simple|relaxed TIME
 *	dkim_sign --key rsa|ed25519		prints a new key and its record
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/mail/sign.h"
#include "core/mail/signkey.h"
#include "tests/read_file.h"

static void make_key(bool ed25519, struct buf *out)
{
	struct signkey *key;

	if (signkey_generate(ed25519, &key, NULL) < 0)
		exit(1);
	signkey_pem(key, out);
	signkey_record(key, out);
	signkey_free(&key);
}

static void sign(char **argv, struct buf *out)
{
	struct arena *arena = arena_new(64 << 20);
	struct mail *m = mail_parse(arena, read_file(arena, argv[1]));
	struct buf signature = BUF_INIT;
	struct signkey *key;
	struct sign_draft draft;

	if (signkey_parse(read_file(arena, argv[2]), &key, NULL) < 0)
		exit(2);
	struct sign_how how = { .domain = str_c(argv[3]), .selector = str_c(argv[4]),
		.algorithm = signkey_algorithm(key), .relaxed_header = argv[5][0] == 'r',
		.relaxed_body = argv[6][0] == 'r' };
	if (str_to_i64(str_c(argv[7]), 0, INT64_MAX, &how.now) < 0)
		exit(2);
	sign_draft(m, &how, &draft);
	signkey_sign(key, draft.digest, &signature);
	sign_finish(&draft, buf_str(&signature), true, out);
	buf_free(&signature);
	signkey_free(&key);
	arena_free(&arena);
}

int main(int argc, char **argv)
{
	struct buf out = BUF_INIT;

	if (argc == 3 && str_eq_c(str_c(argv[1]), "--key"))
		make_key(argv[2][0] == 'e', &out);
	else if (argc == 8)
		sign(argv, &out);
	else
		return 2;
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
	return 0;
}
