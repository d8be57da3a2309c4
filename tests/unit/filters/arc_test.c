/* ARC: who may speak for whom at DMARC, what breaks a chain beyond the public suite, and its caps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/mail/sign.h"
#include "core/mail/signkey.h"
#include "tests/arc_set.h"
#include "tests/unit/filters/judged.h"

#define NOW     1795176000 /* 2026-11-20T12:00:00Z */
#define MESSAGE "From: a@author.example\r\nTo: b@example.net\r\nSubject: hello\r\n\r\nbody\r\n"

static struct signkey *key;
static char record[1024];

static int make_key(void **state)
{
	struct buf text = BUF_INIT;

	if (signkey_generate(true, &key, NULL) < 0)
		return -1;
	signkey_record(key, &text);
	snprintf(record, sizeof(record), "%.*s", STR_ARG(buf_str(&text)));
	buf_free(&text);
	return 0;
}

static int free_key(void **state)
{
	signkey_free(&key);
	return 0;
}

/* The message with one more set on top, as if the chain so far were as `result` says. */
static struct str seal(struct arena *arena, struct str message, const char *sealer_domain,
	const char *results, int result)
{
	struct mail *m = mail_parse(arena, message);
	struct arc_chain *chain = ARENA_NEW(arena, struct arc_chain);
	struct arc_sealer sealer = { .domain = str_c(sealer_domain), .selector = STR("s"),
		.algorithm = signkey_algorithm(key), .names = STR("from:to:subject"), .now = NOW };
	struct buf out = BUF_INIT;

	arc_chain_read(m, arena, chain);
	chain->result = result;
	assert_true(arc_set_add(m, chain, str_c(results), &sealer, key, &out) >= 0);
	buf_str_add(&out, message);
	struct str sealed = arena_dup(arena, buf_str(&out));
	buf_free(&out);
	return sealed;
}

/* The zone: a policy of the author's, the sealers' key at a.example, b.example and c.example. */
static void judge_sealed(struct judged *j, struct str message, const char *dmarc, const char *conf)
{
	struct buf json = BUF_INIT;
	char all[512];

	buf_printf(&json, "{\"now\": \"2026-11-20T12:00:00Z\", \"client\": {\"ip\": \"192.0.2.1\"}, "
		"\"dns\": {\"_dmarc.author.example\": {\"TXT\": [\"%s\"]}, "
		"\"s._domainkey.slow.example\": {\"rcode\": \"TIMEOUT\"}", dmarc);
	for (char c = 'a'; c <= 'c'; c++)
		buf_printf(&json, ", \"s._domainkey.%c.example\": {\"TXT\": [\"%s\"]}", c, record);
	buf_c(&json, "}}");
	snprintf(all, sizeof(all), "%s%s", JUDGED_CONF, conf);
	judge_octets(j, buf_str(&json), message, all);
	buf_free(&json);
}

static bool found(const struct judged *j, const char *name)
{
	for (size_t i = 0; i < j->v.findings.n; i++)
		if (str_eq_c(j->v.findings.v[i].name, name))
			return true;
	return false;
}

/* ---- trust ---- */

#define TRUST_A	 "filter \"arc\" { trusted_sealers = \"a.example\" } "
#define TRUST_AB "filter \"arc\" { trusted_sealers = { \"A.example\", \"b.example\" } } "
#define REJECT	 "v=DMARC1; p=reject"
#define SAW	 "mx.a.example; dmarc=pass header.from=author.example"

static void test_trust(void **state)
{
	static const struct {
		const char *conf, *dmarc;
		const char *sealers[3], *results[3]; /* oldest first */
		const char *override;
	} rows[] = {
		{ "", REJECT, { "a.example" }, { SAW }, "" },
		{ TRUST_A, REJECT, { "a.example" }, { SAW }, "trusted_forwarder" },
		{ TRUST_A, REJECT, { "b.example" }, { SAW }, "" },
		/* a policy of none is not overridden */
		{ TRUST_A, "v=DMARC1; p=none", { "a.example" }, { SAW }, "" },
		{ TRUST_A, "v=DMARC1; p=reject; t=y", { "a.example" }, { SAW }, "trusted_forwarder" },
		/* what it saw */
		{ TRUST_A, REJECT, { "a.example" }, { "mx; dmarc=pass" }, "trusted_forwarder" },
		{ TRUST_A, REJECT, { "a.example" }, { "mx; dmarc=fail header.from=author.example" }, "" },
		{ TRUST_A, REJECT, { "a.example" }, { "mx; dmarc=pass header.from=other.example" }, "" },
		{ TRUST_A, REJECT, { "a.example" }, { "mx (dmarc=pass); spf=pass \"; dmarc=pass\"" }, "" },
		{ TRUST_A, REJECT, { "a.example" }, { "mx; dkim=pass header.d=author.example" },
			"trusted_forwarder" },
		{ TRUST_A, REJECT, { "a.example" }, { "mx; dkim=pass (k) header.i=@mail.author.example" },
			"trusted_forwarder" },
		{ TRUST_A, "v=DMARC1; p=reject; adkim=s", { "a.example" },
			{ "mx; dkim=pass header.i=@mail.author.example" }, "" },
		{ TRUST_A, REJECT, { "a.example" }, { "mx; dkim=fail header.d=author.example" }, "" },
		{ TRUST_A, REJECT, { "a.example" }, { "mx; dkim=pass header.d=other.example" }, "" },
		{ TRUST_A, REJECT, { "a.example" }, { "mx; spf=pass smtp.mailfrom=author.example" }, "" },
		/* all from the newest to the one that saw it */
		{ TRUST_AB, REJECT, { "a.example", "b.example" }, { SAW, "mx; dmarc=fail" },
			"trusted_forwarder" },
		{ TRUST_A, REJECT, { "a.example", "b.example" }, { SAW, "mx; dmarc=fail" }, "" },
		{ TRUST_A, REJECT, { "b.example", "a.example" }, { SAW, "mx; dmarc=fail" }, "" },
		{ TRUST_A, REJECT, { "c.example", "a.example" }, { "mx; dmarc=fail", SAW },
			"trusted_forwarder" },
		{ TRUST_AB, REJECT, { "a.example", "c.example", "b.example" },
			{ SAW, "mx; arc=pass", "mx; arc=pass" }, "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(16 << 20);
		struct str message = STR(MESSAGE);
		struct judged j;

		for (size_t k = 0; k < 3 && rows[i].sealers[k]; k++)
			message = seal(arena, message, rows[i].sealers[k], rows[i].results[k],
				k ? AUTH_PASS : AUTH_NONE);
		judge_sealed(&j, message, rows[i].dmarc, rows[i].conf);
		if (j.v.auth.arc->result != AUTH_PASS || j.v.auth.dmarc->result != AUTH_FAIL)
			fail_msg("row %zu: %.*s", i, STR_ARG(j.v.auth.arc->reason));
		/* A rejection that is not overridden is held for want of other signs: local_policy. */
		struct str override = j.v.auth.dmarc->override;
		if (str_eq_c(override, "trusted_forwarder") != (rows[i].override[0] != '\0'))
			fail_msg("row %zu: %.*s", i, STR_ARG(override));
		if (rows[i].override[0]) {
			assert_int_equal(j.v.auth.dmarc->disposition, DISPOSITION_NONE);
			assert_int_equal(j.v.action, ACTION_FORWARD);
			assert_true(found(&j, "DMARC_FORWARDED") && !found(&j, "DMARC_REJECT"));
			assert_true(str_starts(j.v.auth.dmarc->comment, "arc=pass as["));
		}
		judged_free(&j);
		arena_free(&arena);
	}
}

static void test_sealers(void **state)
{
	struct arena *arena = arena_new(16 << 20);
	struct str message = seal(arena, STR(MESSAGE), "a.example", SAW, AUTH_NONE);
	struct judged j;

	message = seal(arena, message, "b.example", "mx; arc=pass", AUTH_PASS);
	judge_sealed(&j, message, REJECT, "");
	assert_int_equal(j.v.auth.arc->sealers.n, 2);
	assert_true(str_eq_c(j.v.auth.arc->sealers.v[0], "b.example"));
	assert_true(str_eq_c(j.v.auth.arc->sealers.v[1], "a.example"));
	assert_true(found(&j, "ARC_PASS") && !found(&j, "ARC_TRUSTED"));
	assert_true(str_find(j.v.authentication_results, STR("; arc=pass")) <
		j.v.authentication_results.n);
	judged_free(&j);
	arena_free(&arena);
}

/* ---- what breaks a chain ---- */

static struct str replaced(struct arena *arena, struct str s, const char *from, const char *to)
{
	size_t at = str_find(s, str_c(from));
	struct buf out = BUF_INIT;

	assert_true(at < s.n);
	buf_str_add(&out, str_sub(s, 0, at));
	buf_c(&out, to);
	buf_str_add(&out, str_skip(s, at + strlen(from)));
	struct str result = arena_dup(arena, buf_str(&out));
	buf_free(&out);
	return result;
}

static void test_broken(void **state)
{
	static const struct {
		const char *sealer, *from, *to, *reason;
	} rows[] = {
		{ "a.example", "body", "bodies", "body was changed" },
		{ "a.example", "Subject: hello", "Subject: other", "does not verify" },
		{ "a.example", "dmarc=pass", "dmarc=fail", "does not verify" },
		{ "a.example", "cv=none", "cv=pass", "contradicts" },
		{ "a.example", "cv=none", "cv=fail", "failed before" },
		{ "a.example", "i=1; mx", "i=2; mx", "not complete" },
		{ "a.example", "i=1; mx", "i=51; mx", "instance" },
		{ "a.example", "h=from", "l=3; h=from", "only a part" },
		{ "a.example", "h=from", "x=1000; h=from", "expired" },
		{ "a.example", "h=from", "h=ARC-Seal:from", "list of headers" },
		{ "a.example", "d=a.example", "d=a.example\"", "no name" },
		{ "a.example", "ed25519-sha256", "rsa-sha1", "unknown" },
		{ "a.example", "ed25519-sha256", "rsa-sha256", "another type" },
		{ "nokey.example", "body", "body", "there is no key" },
		/* 5.2.1: for good, though others would come back */
		{ "slow.example", "body", "body", "could not be fetched" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(16 << 20);
		struct str message = seal(arena, STR(MESSAGE), rows[i].sealer, SAW, AUTH_NONE);
		struct judged j;

		judge_sealed(&j, replaced(arena, message, rows[i].from, rows[i].to), REJECT, TRUST_A);
		struct str reason = j.v.auth.arc->reason;
		if (j.v.auth.arc->result != AUTH_FAIL || !found(&j, "ARC_FAIL") ||
			str_find(reason, str_c(rows[i].reason)) == reason.n)
			fail_msg("row %zu: %d %.*s", i, j.v.auth.arc->result, STR_ARG(reason));
		assert_int_equal(j.v.auth.arc->sealers.n, 0);
		assert_false(str_eq_c(j.v.auth.dmarc->override, "trusted_forwarder"));
		judged_free(&j);
		arena_free(&arena);
	}
}

/* ---- caps ---- */

static void test_long_chains(void **state)
{
	static const struct {
		size_t sets;
		int result;
		size_t questions; /* at most */
	} rows[] = {
		{ 9, AUTH_PASS, 1 },
		{ 10, AUTH_FAIL, 0 },
		{ 50, AUTH_FAIL, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(64 << 20);
		struct str message = STR(MESSAGE);
		struct judged j;

		for (size_t k = 0; k < rows[i].sets; k++)
			message = seal(arena, message, "a.example", SAW, k ? AUTH_PASS : AUTH_NONE);
		judge_sealed(&j, message, REJECT, "");
		if (j.v.auth.arc->result != rows[i].result ||
			judged_asked(&j, "._domainkey.a.example") > rows[i].questions)
			fail_msg("%zu sets: %.*s", rows[i].sets, STR_ARG(j.v.auth.arc->reason));
		judged_free(&j);
		/* 51 are none. */
		struct str more = seal(arena, message, "a.example", SAW, AUTH_PASS);
		assert_int_equal(more.n > message.n, rows[i].sets < LIMIT_ARC_SETS);
		arena_free(&arena);
	}
}

/* DKIM's keys and these are ten together: DMARC must be able to ask. */
static void test_many_keys(void **state)
{
	static const struct {
		size_t dkim;
		int result;
	} rows[] = { { 0, AUTH_PASS }, { 8, AUTH_PASS }, { 9, AUTH_FAIL }, { 30, AUTH_FAIL } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(16 << 20);
		struct str message = STR(MESSAGE);
		struct judged j;

		message = seal(arena, message, "a.example", SAW, AUTH_NONE);
		message = seal(arena, message, "b.example", "mx; arc=pass", AUTH_PASS);
		for (size_t k = 0; k < rows[i].dkim; k++)
			message = arena_printf(arena, "DKIM-Signature: v=1; a=rsa-sha256; d=d%zu.example; "
				"s=s; h=from; bh=AAAA; b=AAAA\r\n%.*s", k, STR_ARG(message));
		judge_sealed(&j, message, REJECT, "");
		if (j.v.auth.arc->result != rows[i].result)
			fail_msg("%zu: %.*s", rows[i].dkim, STR_ARG(j.v.auth.arc->reason));
		assert_true(judged_asked(&j, ".b.example") <= (rows[i].result == AUTH_PASS));
		judged_free(&j);
		arena_free(&arena);
	}
}

/* Of a chain that cannot hold it is still known which number is next, and whether one may follow at all. */
static void test_next(void **state)
{
	static const struct {
		const char *headers;
		size_t n;
		bool has_failed_before;
	} rows[] = {
		{ "", 0, false },
		{ "ARC-Seal: i=2; cv=pass\r\nARC-Seal: i=1; cv=none\r\n", 2, false },
		{ "ARC-Seal: none of it\r\nARC-Message-Signature: i=3\r\n", 3, false },
		{ "ARC-Seal: i=0\r\nARC-Seal: i=2; cv=pass\r\nARC-Seal: i=2; cv=fail\r\n", 2, false },
		{ "ARC-Authentication-Results: i=51; mx\r\nARC-Authentication-Results: i=50; mx\r\n", 50, false },
		{ "ARC-Seal: i=7; cv=fail\r\n", 7, true },
		{ "ARC-Seal: i=x\r\nARC-Seal: i=7; cv=fail\r\nARC-Seal: i=6; cv=pass\r\n", 7, true },
		{ "ARC-Seal: i=8; cv=pass\r\nARC-Seal: i=7; cv=fail\r\n", 8, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(1 << 20);
		struct arc_chain *chain = ARENA_NEW(arena, struct arc_chain);

		arc_chain_read(mail_parse(arena, arena_printf(arena, "%s" MESSAGE, rows[i].headers)), arena,
			chain);
		if (chain->n != rows[i].n || chain->has_failed_before != rows[i].has_failed_before ||
			chain->result != (i ? AUTH_FAIL : AUTH_NONE))
			fail_msg("%s: %zu, %s", rows[i].headers, chain->n, chain->reason);
		arena_free(&arena);
	}
}

/* Hundreds of sets that fit nowhere cost no question and no signature. */
static void test_bomb(void **state)
{
	struct buf message = BUF_INIT;
	struct judged j;

	for (int i = 1; i <= 300; i++)
		buf_printf(&message, "ARC-Seal: i=%d; a=rsa-sha256; d=a.example; s=s%d; b=AAAA; cv=none\r\n",
			i % 50 + 1, i);
	buf_c(&message, MESSAGE);
	judge_sealed(&j, buf_str(&message), REJECT, "");
	assert_int_equal(j.v.auth.arc->result, AUTH_FAIL);
	assert_int_equal(judged_asked(&j, "._domainkey.a.example"), 0);
	judged_free(&j);
	buf_free(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_sealers),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_long_chains),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_bomb),
	};
	return cmocka_run_group_tests(tests, make_key, free_key);
}
