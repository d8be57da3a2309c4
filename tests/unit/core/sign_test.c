/* Signatures made here: their form, their names, and that the public half of the key agrees. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/hash.h"
#include "core/mail/canonical.h"
#include "core/mail/pubkey.h"
#include "core/mail/sign.h"
#include "core/mail/signkey.h"

static struct signkey *keys[2]; /* RSA, Ed25519 */

static int make_keys(void **state)
{
	return signkey_generate(false, &keys[0], NULL) < 0 || signkey_generate(true, &keys[1], NULL) < 0;
}

static int free_keys(void **state)
{
	signkey_free(&keys[0]);
	signkey_free(&keys[1]);
	return 0;
}

/* The record as the DNS has it. */
static struct dns_answer answer(struct arena *arena, struct str text, struct str *data)
{
	struct buf wire = BUF_INIT;

	for (size_t at = 0; at < text.n; at += 255) {
		buf_char(&wire, (char)str_sub(text, at, 255).n);
		buf_str_add(&wire, str_sub(text, at, 255));
	}
	*data = arena_dup(arena, buf_str(&wire));
	buf_free(&wire);
	return (struct dns_answer){ .type = DNS_TXT, .data = { data, 1 } };
}

static void test_keys(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	uint8_t digest[32], other[32];
	const char *reason;

	hash_sha256(STR("signed"), digest);
	hash_sha256(STR("not signed"), other);
	for (int i = 0; i < 2; i++) {
		struct buf record = BUF_INIT, signature = BUF_INIT, pem = BUF_INIT;
		struct str algorithm = str_c(signkey_algorithm(keys[i])), text, data;
		struct signkey *again;

		signkey_record(keys[i], &record);
		struct dns_answer a = answer(arena, buf_str(&record), &data);
		assert_int_equal(pubkey_select(&a, algorithm, arena, &text, &reason), 0);
		/* What is stored is the key. */
		signkey_pem(keys[i], &pem);
		assert_int_equal(signkey_parse(buf_str(&pem), &again, NULL), 0);
		signkey_sign(again, digest, &signature);
		struct str b = buf_str(&signature);
		assert_int_equal(pubkey_verify(text, algorithm, digest, b, arena, &reason), 1);
		assert_int_equal(pubkey_verify(text, algorithm, other, b, arena, &reason), 0);
		assert_int_equal(pubkey_verify(text, algorithm, digest, STR(""), arena, &reason), 0);
		assert_int_equal(pubkey_verify(text, algorithm, digest, STR("AAAA"), arena, &reason), 0);
		assert_int_equal(pubkey_select(&a, str_c(signkey_algorithm(keys[!i])), arena, &text,
			&reason), -1);
		signkey_free(&again);
		assert_null(again);
		buf_free(&record), buf_free(&signature), buf_free(&pem);
	}
	arena_free(&arena);
}

/* Records that libopendkim never sees, since ARC is verified without it. */
static void test_key_tags(void **state)
{
	static const struct {
		const char *before, *after;
		int result;
	} rows[] = {
		{ "v=DKIM1; ", "", 1 },
		{ "", "", 1 },
		{ "v=DKIM2; ", "", -1 },
		{ "v=DKIM1; h=sha256; ", "", 1 },
		{ "v=DKIM1; h=sha1:sha256; ", "", 1 },
		{ "v=DKIM1; h=sha1; ", "", -1 },
		{ "v=DKIM1; s=email; ", "", 1 },
		{ "v=DKIM1; s=*; ", "", 1 },
		{ "v=DKIM1; s=tlsrpt; ", "", -1 },
		{ "v=DKIM1; ", "; n=a note", 1 },
		{ "v=DKIM1; p=; n", "", -1 },
	};
	struct arena *arena = arena_new(1 << 20);
	struct buf record = BUF_INIT, signature = BUF_INIT;
	struct str text, data, rsa = STR("rsa-sha256");
	uint8_t digest[32] = { 1 };
	const char *reason;

	signkey_record(keys[0], &record);
	struct str tags = str_skip(buf_str(&record), strlen("v=DKIM1; "));
	signkey_sign(keys[0], digest, &signature);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_answer a = answer(arena, arena_printf(arena, "%s%.*s%s", rows[i].before,
			STR_ARG(tags), rows[i].after), &data);
		int got = pubkey_select(&a, rsa, arena, &text, &reason);
		if (got == 0)
			got = pubkey_verify(text, rsa, digest, buf_str(&signature), arena, &reason);
		if (got != rows[i].result)
			fail_msg("row %zu: %d, %s", i, got, reason);
	}
	buf_free(&record), buf_free(&signature);
	arena_free(&arena);
}

static void test_refused_keys(void **state)
{
	static const char *const rows[] = {
		"", "nonsense", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		/* Ed25519, but of nothing */
		"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIE\n-----END PRIVATE KEY-----\n",
		/* X25519 signs nothing. */
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VuBCIEIHBjYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\n"
		"-----END PRIVATE KEY-----\n",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct signkey *key = NULL;
		struct err err = { "" };
		assert_int_equal(signkey_parse(str_c(rows[i]), &key, &err), -1);
		assert_null(key);
		assert_true(err.text[0]);
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *headers, *names;
	} rows[] = {
		{ "From: a\r\n", "From:From:Sender:Reply-To:To:Cc:Subject:Date:Message-ID:In-Reply-To:"
			"References:MIME-Version:Content-Type:Content-Transfer-Encoding" },
		{ "From: a\r\nX: y\r\nsubject: s\r\nTO: 1\r\nTo: 2\r\nList-Id: l\r\n",
			"From:From:Sender:Reply-To:To:To:To:Cc:Subject:Subject:Date:Message-ID:"
			"In-Reply-To:References:MIME-Version:Content-Type:Content-Transfer-Encoding:"
			"List-Id" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(1 << 20);
		struct mail *m = mail_parse(arena, arena_printf(arena, "%s\r\nbody\r\n",
			rows[i].headers));
		assert_true(str_eq_c(sign_names(m), rows[i].names));
		arena_free(&arena);
	}
}

/* The line, read back: it is the one that was hashed, and every line of it is short. */
static void test_line(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct mail *m = mail_parse(arena, STR("From: a@example.com\r\nSubject: s\r\n\r\nbody\r\n"));
	struct sign_how how = { .domain = STR("example.com"), .selector = STR("s1"),
		.algorithm = "rsa-sha256", .relaxed_body = true, .now = 1700000000,
		.lifetime_s = 86400 };

	for (int relaxed = 0; relaxed < 2; relaxed++) {
		struct buf signature = BUF_INIT, out = BUF_INIT, text = BUF_INIT;
		struct sign_draft draft;
		uint8_t digest[32];

		how.relaxed_header = relaxed;
		sign_draft(m, &how, &draft);
		signkey_sign(keys[0], draft.digest, &signature);
		sign_finish(&draft, buf_str(&signature), true, &out);
		canonical_headers(&text, m, STR("from:subject"), NULL, relaxed);
		canonical_signature(&text, buf_str(&out), relaxed);
		hash_sha256(buf_str(&text), digest);
		assert_memory_equal(digest, draft.digest, 32);
		struct str rest = buf_str(&out), line;
		while (str_cut(&rest, '\n', &line))
			assert_true(line.n <= 79 && (rest.p == NULL || str_ends(line, "\r")));
		struct mail *again = mail_parse(arena, arena_printf(arena, "%.*s\r\n", STR_ARG(buf_str(&out))));
		struct tags tags;
		assert_int_equal(again->headers.n, 1);
		assert_int_equal(tags_parse(again->headers.v[0].value, arena, &tags), 0);
		assert_true(str_eq_c(tags_get(&tags, "t"), "1700000000"));
		assert_true(str_eq_c(tags_get(&tags, "x"), "1700086400"));
		assert_true(str_eq_c(tags_get(&tags, "d"), "example.com"));
		assert_true(str_eq(tags_squeeze(tags_get(&tags, "b"), arena), buf_str(&signature)));
		buf_free(&signature), buf_free(&out), buf_free(&text);
	}
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_key_tags),
		cmocka_unit_test(test_refused_keys),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_line),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
