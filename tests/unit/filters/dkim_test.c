/* DKIM: tags, keys, and what becomes of signatures that the library alone would let pass. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <opendkim/dkim.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() (void)0
#define __lsan_enable()	 (void)0
#endif

#include "core/mail/pubkey.h"
#include "filters/dkim/signature.h"
#include "tests/unit/filters/judged.h"

/* ---- tags ---- */

static void test_tags(void **state)
{
	static const struct {
		const char *text;
		int n; /* -1: refused */
		const char *d;
	} rows[] = {
		{ "v=1; d=a.example; s=x", 3, "a.example" },
		{ " v = 1 ;\r\n\td =\r\n a.example ; ", 2, "a.example" },
		{ "d=a=b", 1, "a=b" },
		{ "d=", 1, "" },
		{ "d=a;;s=x", -1, NULL },
		{ "d=a; d=b", -1, NULL },
		{ "D=a; d=b", 2, "b" },
		{ "d", -1, NULL },
		{ "=a", -1, NULL },
		{ "1d=a", -1, NULL },
		{ "d=\x01", -1, NULL },
		{ "d=b\xc3\xbc" "cher.example", 1, "b\xc3\xbc" "cher.example" },
	};
	struct arena *arena = arena_new(1 << 20);
	struct tags tags;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int got = tags_parse(str_c(rows[i].text), arena, &tags);
		if (got < 0 ? rows[i].n != -1 : rows[i].n != (int)tags.list.n)
			fail_msg("\"%s\"", rows[i].text);
		if (got == 0)
			assert_true(str_eq_c(tags_get(&tags, "d"), rows[i].d));
	}
	assert_int_equal(tags_parse(STR("d=a\0b"), arena, &tags), -1);
	arena_free(&arena);
}

/* ---- keys and signatures made here ---- */

enum { RSA_2048, RSA_1024, RSA_768, RSA_5120, ED25519, KEY_COUNT };
static struct {
	char pem[8192];
	char record[2048]; /* p=, in base64 */
} keys[KEY_COUNT];

static void make_key(int which, EVP_PKEY *pkey)
{
	char *text;
	uint8_t *der = NULL;
	BIO *bio = BIO_new(BIO_s_mem());

	assert_non_null(pkey);
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL) ||
		PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
	long n = BIO_get_mem_data(bio, &text);
	memcpy(keys[which].pem, text, (size_t)n);
	BIO_free(bio);
	int length = i2d_PUBKEY(pkey, &der);
	/* An Ed25519 key is published bare (RFC 8463 section 4). */
	if (which == ED25519)
		EVP_EncodeBlock((uint8_t *)keys[which].record, der + length - 32, 32);
	else
		EVP_EncodeBlock((uint8_t *)keys[which].record, der, length);
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
}

static int make_keys(void **state)
{
	make_key(RSA_2048, EVP_RSA_gen(2048));
	make_key(RSA_1024, EVP_RSA_gen(1024));
	make_key(RSA_768, EVP_RSA_gen(768));
	make_key(ED25519, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	/* Never used: it only has to be long. */
	memset(keys[RSA_5120].record, 'A', 1400);
	return 0;
}

#define NOW 1795176000 /* 2026-11-20T12:00:00Z */
#define HEADERS "From: a@example.com\r\nTo: b@example.net\r\nSubject: hello\r\n"
#define BODY "one line\r\n"

struct signing {
	int key;
	dkim_alg_t algorithm;
	const char *domain, *selector;
	int64_t signed_at, lifetime; /* 0: now; no x= */
	ssize_t length;		     /* of l=; -1: none */
};

/* "DKIM-Signature: ...\r\n" over HEADERS and BODY. */
static void sign(const struct signing *how, struct buf *out)
{
	DKIM_LIB *library = dkim_init(NULL, NULL);
	unsigned int bits = 0, flags = how->length >= 0 ? DKIM_LIBFLAGS_SIGNLEN : 0;
	uint64_t at = (uint64_t)(how->signed_at ? how->signed_at : NOW);
	uint64_t lifetime = (uint64_t)how->lifetime;
	struct str rest = STR(HEADERS);
	u_char *header = NULL;
	size_t header_n;
	DKIM_STAT status;

	dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &bits, sizeof(bits));
	dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &at, sizeof(at));
	dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags));
	/* The library loses an Ed25519 key that it signs with; the gateway only verifies by it. */
	__lsan_disable();
	if (lifetime)
		dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_SIGNATURETTL, &lifetime, sizeof(lifetime));
	DKIM *dkim = dkim_sign(library, (const u_char *)"test", NULL, (u_char *)keys[how->key].pem,
		(const u_char *)how->selector, (const u_char *)how->domain, DKIM_CANON_RELAXED,
		DKIM_CANON_RELAXED, how->algorithm, how->length, &status);
	assert_int_equal(status, DKIM_STAT_OK);
	while (rest.n) {
		size_t n = str_find(rest, STR("\r\n"));
		assert_int_equal(dkim_header(dkim, (u_char *)(uintptr_t)rest.p, n), DKIM_STAT_OK);
		rest = str_skip(rest, n + 2);
	}
	assert_int_equal(dkim_eoh(dkim), DKIM_STAT_OK);
	dkim_body(dkim, (u_char *)(uintptr_t)BODY, sizeof(BODY) - 1);
	assert_int_equal(dkim_eom(dkim, NULL), DKIM_STAT_OK);
	assert_int_equal(dkim_getsighdr_d(dkim, 20, &header, &header_n), DKIM_STAT_OK);
	buf_c(out, "DKIM-Signature: ");
	/* The library folds with a bare LF, as milters want it. */
	for (size_t i = 0; i < header_n; i++) {
		if (header[i] == '\n' && (i == 0 || header[i - 1] != '\r'))
			buf_char(out, '\r');
		buf_char(out, (char)header[i]);
	}
	buf_c(out, "\r\n");
	dkim_free(dkim);
	dkim_close(library);
	__lsan_enable();
}

static struct buf kept;

static void judge_message(struct judged *j, const char *zone, struct str signatures, const char *body)
{
	struct buf json = BUF_INIT, message = BUF_INIT;

	buf_free(&kept);
	buf_printf(&json, "{\"now\": \"2026-11-20T12:00:00Z\", \"mail_from\": \"a@example.com\","
		"\"dns\": {%s}}", zone);
	buf_str_add(&message, signatures);
	buf_c(&message, HEADERS "\r\n");
	buf_c(&message, body);
	judge_octets(j, buf_str(&json), buf_str(&message), JUDGED_CONF);
	buf_free(&json);
	kept = message; /* results point into it */
}

#define S_2048 { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", 0, 0, -1 }

static const struct {
	const char *what;
	struct signing how;
	const char *zone; /* %s: the key */
	const char *body;
	int result;
	const char *reason;
} result_cases[] = {
	{ "valid", S_2048, "\"s._domainkey.example.com\":{\"TXT\":[\"v=DKIM1; k=rsa; p=%s\"]}", BODY,
		AUTH_PASS, "" },
	{ "only p=", S_2048, "\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY,
		AUTH_PASS, "" },
	{ "a record of two strings", S_2048,
		"\"s._domainkey.example.com\":{\"TXT\":[[\"v=DKIM1; k=r\",\"sa; p=%s\"]]}", BODY,
		AUTH_PASS, "" },
	{ "other TXT records beside the key", S_2048,
		"\"s._domainkey.example.com\":{\"TXT\":[\"v=spf1 -all\",\"p=%s\",\"hello\"]}", BODY,
		AUTH_PASS, "" },
	{ "long notes in the key", S_2048, "\"s._domainkey.example.com\":{\"TXT\":[[\"p=%s; n="
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
		"\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"]]}",
		BODY, AUTH_PASS, "" },
	{ "the key's name is an alias", S_2048, "\"s._domainkey.example.com\":{\"CNAME\":[\"k.example\"]},"
		"\"k.example\":{\"TXT\":[\"p=%s\"]}", BODY, AUTH_PASS, "" },
	{ "Ed25519", { ED25519, DKIM_SIGN_ED25519SHA256, "example.com", "s", 0, 0, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"k=ed25519; p=%s\"]}", BODY, AUTH_PASS, "" },
	{ "1024 bits", { RSA_1024, DKIM_SIGN_RSASHA256, "example.com", "s", 0, 0, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY, AUTH_PASS, "" },
	{ "768 bits", { RSA_768, DKIM_SIGN_RSASHA256, "example.com", "s", 0, 0, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY,
		AUTH_POLICY, "the key has fewer than 1024 bits" },
	{ "SHA-1", { RSA_2048, DKIM_SIGN_RSASHA1, "example.com", "s", 0, 0, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY,
		AUTH_POLICY, "SHA-1 is too weak" },
	{ "SHA-1, and broken", { RSA_2048, DKIM_SIGN_RSASHA1, "example.com", "s", 0, 0, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", "other\r\n", AUTH_FAIL, NULL },
	{ "l= over all of the body", { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", 0, 0, 10 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY "\r\n\r\n", AUTH_PASS, "" },
	{ "text behind l=", { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", 0, 0, 10 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY "<h1>evil</h1>\r\n",
		AUTH_POLICY, "only a part of the body is signed" },
	{ "l=0", { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", 0, 0, 0 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY, AUTH_POLICY,
		"only a part of the body is signed" },
	{ "l= beyond the body", { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", 0, 0, 10 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", "one\r\n", AUTH_PERMERROR, NULL },
	{ "expired", { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", NOW - 7200, 3600, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY,
		AUTH_POLICY, "the signature has expired" },
	{ "not yet expired", { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", NOW - 7200, 7201, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY, AUTH_PASS, "" },
	{ "of the future", { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", NOW + 86400, 0, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY,
		AUTH_POLICY, "the signature is of the future" },
	{ "of a clock that is a minute fast",
		{ RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "s", NOW + 60, 0, -1 },
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", BODY, AUTH_PASS, "" },
	{ "changed body", S_2048, "\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", "other\r\n",
		AUTH_FAIL, NULL },
	{ "no key", S_2048, "\"x\":{\"TXT\":[\"p=%s\"]}", BODY, AUTH_PERMERROR, "there is no key" },
	{ "revoked", S_2048, "\"s._domainkey.example.com\":{\"TXT\":[\"v=DKIM1; p=\"]},"
		"\"x\":{\"TXT\":[\"%s\"]}", BODY, AUTH_PERMERROR, "the key is revoked" },
	{ "several keys", S_2048, "\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\",\"p=AAAA\"]}", BODY,
		AUTH_PERMERROR, "there are several key records" },
	{ "a key record with a broken list", S_2048,
		"\"s._domainkey.example.com\":{\"TXT\":[\"v=DKIM1; p=%s; p=AAAA\"]}", BODY,
		AUTH_PERMERROR, "the key record is malformed" },
	{ "a key of another version", S_2048,
		"\"s._domainkey.example.com\":{\"TXT\":[\"v=DKIM2; p=%s\"]}", BODY, AUTH_PERMERROR, NULL },
	{ "a key for other services", S_2048,
		"\"s._domainkey.example.com\":{\"TXT\":[\"s=tlsrpt; p=%s\"]}", BODY, AUTH_PERMERROR, NULL },
	{ "a key for other hashes", S_2048,
		"\"s._domainkey.example.com\":{\"TXT\":[\"h=sha1; p=%s\"]}", BODY, AUTH_PERMERROR, NULL },
	{ "a key of another type", S_2048,
		"\"s._domainkey.example.com\":{\"TXT\":[\"k=ed25519; p=%s\"]}", BODY,
		AUTH_PERMERROR, NULL },
	{ "rubbish for a key", S_2048,
		"\"s._domainkey.example.com\":{\"TXT\":[\"p=notakey\"]},\"x\":{\"TXT\":[\"%s\"]}",
		BODY, AUTH_PERMERROR, NULL },
	{ "an oversized key", { RSA_2048, DKIM_SIGN_RSASHA256, "example.com", "big", 0, 0, -1 },
		"\"x\":{\"TXT\":[\"%s\"]}", BODY, AUTH_PERMERROR, "the key is too large" },
	{ "SERVFAIL", S_2048, "\"s._domainkey.example.com\":{\"TXT\":{\"rcode\":\"SERVFAIL\"}},"
		"\"x\":{\"TXT\":[\"%s\"]}", BODY, AUTH_TEMPERROR, "the key could not be fetched" },
	{ "no answer", S_2048, "\"s._domainkey.example.com\":{\"rcode\":\"TIMEOUT\"},"
		"\"x\":{\"TXT\":[\"%s\"]}", BODY, AUTH_TEMPERROR, "the key could not be fetched" },
};

static void test_results(void **state)
{
	for (size_t i = 0; i < sizeof(result_cases) / sizeof(result_cases[0]); i++) {
		struct buf signature = BUF_INIT, zone = BUF_INIT;
		struct str z = str_c(result_cases[i].zone);
		size_t at = str_find(z, STR("%s"));
		struct judged j;

		sign(&result_cases[i].how, &signature);
		buf_str_add(&zone, str_sub(z, 0, at));
		buf_c(&zone, keys[result_cases[i].how.key].record);
		buf_str_add(&zone, str_skip(z, at + 2));
		if (strcmp(result_cases[i].how.selector, "big") == 0)
			buf_printf(&zone, ",\"big._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}",
				keys[RSA_5120].record);
		buf_char(&zone, '\0');
		judge_message(&j, zone.p, buf_str(&signature), result_cases[i].body);
		assert_int_equal(j.v.auth.dkim->n, 1);
		const struct auth_dkim *d = &j.v.auth.dkim->v[0];
		if (d->result != result_cases[i].result || (result_cases[i].reason && !str_eq_c(d->reason, result_cases[i].reason)))
			fail_msg("%s: %s, %.*s", result_cases[i].what, auth_result_names[d->result],
				STR_ARG(d->reason));
		judged_free(&j);
		buf_free(&signature);
		buf_free(&zone);
	}
}

static void test_many(void **state)
{
	struct signing foreign = { RSA_2048, DKIM_SIGN_RSASHA256, "other.example", "s", 0, 0, -1 };
	struct signing own = S_2048;
	struct buf signatures = BUF_INIT, zone = BUF_INIT;
	struct judged j;
	size_t counts[8] = { 0 };

	for (unsigned i = 0; i < 12; i++)
		sign(&foreign, &signatures);
	sign(&own, &signatures); /* the last, but the author's */
	buf_printf(&zone, "\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]},"
		"\"s._domainkey.other.example\":{\"TXT\":[\"p=%s\"]}", keys[RSA_2048].record,
		keys[RSA_2048].record);
	buf_char(&zone, '\0');
	judge_message(&j, zone.p, buf_str(&signatures), BODY);
	const struct auth_dkim_list *list = j.v.auth.dkim;
	assert_int_equal(list->n, 13);
	for (size_t i = 0; i < list->n; i++)
		counts[list->v[i].result]++;
	assert_int_equal(counts[AUTH_PASS], LIMIT_DKIM_SIGNATURES);
	assert_int_equal(counts[AUTH_NEUTRAL], 3);
	assert_int_equal(list->v[12].result, AUTH_PASS);
	judged_free(&j);
	buf_free(&signatures);
	buf_free(&zone);
}

/* A signature that covers another one: both must be before the library. */
static void test_broken_beside_valid(void **state)
{
	struct signing own = S_2048;
	struct buf signatures = BUF_INIT, zone = BUF_INIT;
	struct judged j;

	buf_c(&signatures, "DKIM-Signature: v=1; a=rsa-sha256; nonsense\r\n");
	sign(&own, &signatures);
	buf_c(&signatures, "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=from; bh=AAAA; b=AAAA\r\n");
	buf_printf(&zone, "\"s._domainkey.example.com\":{\"TXT\":[\"p=%s\"]}", keys[RSA_2048].record);
	buf_char(&zone, '\0');
	judge_message(&j, zone.p, buf_str(&signatures), BODY);
	assert_int_equal(j.v.auth.dkim->n, 3);
	assert_int_equal(j.v.auth.dkim->v[0].result, AUTH_PERMERROR);
	assert_int_equal(j.v.auth.dkim->v[1].result, AUTH_PASS);
	assert_int_equal(j.v.auth.dkim->v[2].result, AUTH_FAIL);
	judged_free(&j);
	buf_free(&signatures);
	buf_free(&zone);
}

/* Names with octets that have no place in one: refused, and the DNS never hears of them. */
static void test_hostile_names(void **state)
{
	static const struct str headers[] = {
		{ "d=example.com; s=sel._domainkey.evil.example.\0.any", 50 },
		{ "d=example.com'.evil.example; s=s", 32 },
		{ "d=example.com\".evil.example; s=s", 32 },
		{ "d=example.com(.evil.example; s=s", 32 },
		{ "d=example.com; s=a b", 20 },
		{ "d=example.com; s=a\\.b", 21 },
		{ "d=com; s=s", 10 },
		{ "d=; s=s", 7 },
		{ "d=example.com; s=", 17 },
		{ "d=example.com", 13 },
		{ "d=a..example.com; s=s", 21 },
		{ "d=-; s=s", 8 },
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct buf b = BUF_INIT;
		struct judged j;

		buf_c(&b, "DKIM-Signature: v=1; a=rsa-sha256; h=from; bh=AAAA; b=AAAA; ");
		buf_str_add(&b, headers[i]);
		buf_c(&b, "\r\n");
		judge_message(&j, "\"x\":{}", buf_str(&b), BODY);
		if (j.v.auth.dkim->v[0].result != AUTH_PERMERROR || judged_asked(&j, "._domainkey.example.com") ||
			judged_asked(&j, ".any"))
			fail_msg("\"%.*s\"", STR_ARG(headers[i]));
		judged_free(&j);
		buf_free(&b);
	}
}

static void test_bomb(void **state)
{
	struct buf b = BUF_INIT;
	struct judged j;

	for (unsigned i = 0; i < 900; i++)
		buf_printf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=d%u.example; s=s; h=from; bh=AAAA; b=AAAA\r\n", i);
	judge_message(&j, "\"x\":{}", buf_str(&b), BODY);
	assert_true(judged_asked(&j, "._domainkey.d899.example") == 0);
	size_t keys_asked = 0;
	for (size_t i = 0; i < j.asked_count; i++)
		keys_asked += str_starts(j.asked[i].name, "s._domainkey.");
	assert_int_equal(keys_asked, LIMIT_DKIM_SIGNATURES);
	judged_free(&j);
	buf_free(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_broken_beside_valid),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_bomb),
	};

	int failed = cmocka_run_group_tests(tests, make_keys, NULL);
	buf_free(&kept);
	return failed;
}
