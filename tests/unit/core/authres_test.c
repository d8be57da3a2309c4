#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/authres.h"
#include "core/headerline.h"

static const struct {
	struct str value;
	bool ours;
} claims[] = {
	{ STR("mx.example.net; spf=pass"), true },
	{ STR("mx.example.net"), true },
	{ STR("MX.Example.NET ; spf=pass"), true },
	{ STR("  mx.example.net 1; spf=pass"), true },
	{ STR("mx.example.net/1; spf=pass"), true },
	{ STR("mx.example.net.; spf=pass"), true },
	{ STR("\r\n\tmx.example.net\r\n 1;\r\n spf=pass"), true },
	{ STR("\"mx.example.net\"; spf=pass"), true },
	{ STR("\"mx.\\example.net\"; spf=pass"), true },
	{ STR("\"mx.exam\r\n ple.net\"; spf=pass"), false }, /* a blank stands in it */
	{ STR("(hi (there)) mx.example.net (\\)) 1; spf=pass"), true },
	{ STR("mx(c).example.net; spf=pass"), true },
	{ STR("mx.example.net(c); spf=pass"), true },
	{ STR("mx.\r\n example.net; spf=pass"), true },
	{ STR("(never closed mx.example.net; spf=pass"), true },
	{ STR("\"never closed; by MX.example.net"), true },
	{ STR("=?utf-8?q?mx=2Eexample=2Enet?=; spf=pass"), true },
	{ STR("mx.example.net\0x; spf=pass"), true },
	{ STR("mx.example.net:25; spf=pass"), true },
	{ STR("MX.EXAMPLE.NET.\t1;spf=pass"), true },
	{ STR("mx.example.net\r\n\t(v1)\r\n\t1 (x); spf=pass"), true },
	{ STR("\"MX.example.NET.\" 1; spf=pass"), true },
	{ STR("mx . example . net; spf=pass"), true },
	{ STR("\"mx\".example.net; spf=pass"), true },
	{ STR("(a)(b(c\\))d) mx.example.net;"), true },
	{ STR("mx.example.net;"), true },
	/* Blanks of other people's. */
	{ STR("\xef\xbb\xbfmx.example.net; spf=pass"), true },
	{ STR("\vmx.example.net\f; spf=pass"), true },
	{ STR("\xc2\xa0mx.example.net\xe2\x80\x8b; spf=pass"), true },
	{ STR("\x01\"mx.example\x1f.net\"\x7f; spf=pass"), true },
	{ STR("mx.ex\xc3\xa4mple.net; spf=pass"), false },
	{ STR(";mx.example.net; spf=pass"), false }, /* no identifier, and none of ours */
	{ STR("other.example; by mx.example.net"), false },
	{ STR("other.example (mx.example.net) 1; spf=pass"), false },
	{ STR("mx.example.network; spf=pass"), false },
	{ STR("mx.example.net-a; spf=pass"), false },
	{ STR("mx.example.net.example; spf=pass"), false },
	{ STR("a.mx.example.net; spf=pass"), false },
	{ STR("(mx.example.net) other.example; spf=pass"), false },
	{ STR(""), false },
	{ STR("(never closed"), false },
};

static void test_claims(void **state)
{
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		if (authres_claims(claims[i].value, "mx.example.net") != claims[i].ours)
			fail_msg("\"%.*s\"", STR_ARG(claims[i].value));
}

static struct auth_dkim signatures[] = {
	{ AUTH_PASS, STR("example.org"), STR("s1"), STR("rsa-sha256"), STR(""), STR(""),
		STR("a+/b=c12") },
	{ AUTH_FAIL, STR("legitimate.com'a.attack.com"), STR("s \"2"), STR("rsa-sha256"),
		STR("body \"hash\"\r\nX: y \\ wrong; spf=pass"), STR(""), STR("zz") },
};
static struct auth_dkim_list dkim = { signatures, 2 };
static struct auth_spf spf = { AUTH_SOFTFAIL, STR("example.org"), STR("mfrom"), STR("") };
static struct auth_spf helo = { AUTH_NONE, STR("x"), STR("helo"), STR("") };
static struct auth_arc arc = { AUTH_FAIL, { NULL, 0 }, STR("seal 2 is wrong") };
static struct auth_dmarc dmarc = { .result = AUTH_FAIL, .author_domain = STR("example.org"),
	.policy = DMARC_REJECT, .override = STR("mailing_list") };
static struct auth_iprev iprev = { AUTH_PASS, STR("mail.example.org") };

static const struct auth full = { &spf, &helo, &dkim, &arc, &dmarc, &iprev };
static struct facts_tls tls = { STR("TLSv1.3"), STR("TLS_AES_256_GCM_SHA384") };
static const struct facts facts = { .client_ip = STR("2001:db8::1"), .tls = &tls,
	.mail_from = STR("\"b (o) b\"@example.org"), .helo = STR("[192.0.2.1]; dmarc=pass") };

static const char expected[] =
	"mx.example.net; iprev=pass policy.iprev=\"2001:db8::1\""
	"; spf=softfail smtp.mailfrom=\"\\\"b (o) b\\\"@example.org\""
	"; spf=none smtp.helo=\"[192.0.2.1]; dmarc=pass\""
	"; dkim=pass header.d=example.org header.s=s1 header.a=rsa-sha256 header.b=\"a+/b=c12\""
	"; dkim=fail reason=\"body \\\"hash\\\"??X: y \\\\ wrong; spf=pass\" header.a=rsa-sha256 "
	"header.b=zz"
	"; arc=fail reason=\"seal 2 is wrong\""
	"; dmarc=fail reason=\"mailing_list\" header.from=example.org policy.dmarc=reject"
	"; x-tls=pass smtp.tls=TLSv1.3 smtp.cipher=TLS_AES_256_GCM_SHA384";

static void test_write(void **state)
{
	struct buf b = BUF_INIT;
	struct auth nothing = { NULL }, null_sender = { .spf = &helo, .spf_helo = &helo };

	authres_write(&b, "mx.example.net", &facts, &null_sender);
	assert_true(str_starts(buf_str(&b),
		"mx.example.net; spf=none smtp.helo=\"[192.0.2.1]; dmarc=pass\"; x-tls"));
	buf_clear(&b);
	authres_write(&b, "mx.example.net", &facts, &full);
	buf_char(&b, '\0');
	assert_string_equal(b.p, expected);
	buf_clear(&b);
	authres_write(&b, "mx.example.net", &facts, &nothing);
	assert_true(str_eq_c(buf_str(&b), "mx.example.net; none"));
	assert_true(authres_claims(buf_str(&b), "mx.example.net"));
	buf_free(&b);
}

/*
 * Results are capped: a message may carry any number of signatures, each as long as can be. What
 * was found of DMARC still stands behind them, and a signature that passes before those that do not.
 */
static void test_cap(void **state)
{
	static char quotes[1000], label[] =
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff.";
	struct auth_dkim many[100];
	struct auth_dkim_list list = { many, 100 };
	struct auth auth = full;
	struct facts long_facts = facts;
	struct buf b = BUF_INIT, name = BUF_INIT;

	memset(quotes, '"', sizeof(quotes));
	for (int i = 0; i < 4; i++)
		buf_c(&name, label);
	buf_c(&name, "example");
	for (size_t i = 0; i < 100; i++)
		many[i] = (struct auth_dkim){ .result = AUTH_FAIL, .domain = buf_str(&name),
			.selector = buf_str(&name), .reason = str_from(quotes, sizeof(quotes)),
			.algorithm = STR("rsa-sha256"), .signature = str_from(quotes, 8) };
	many[99] = signatures[0];
	auth.dkim = &list;
	auth.dmarc->author_domain = buf_str(&name);
	long_facts.mail_from = long_facts.helo = str_from(quotes, sizeof(quotes));
	authres_write(&b, "mx.example.net", &long_facts, &auth);
	assert_true(b.n <= 4000);
	assert_true(str_find(buf_str(&b), STR("; dkim=pass header.d=example.org")) < b.n);
	assert_true(str_find(buf_str(&b), STR("; dmarc=fail")) < b.n);
	assert_true(str_find(buf_str(&b), STR("; dkim=pass")) <
		str_find(buf_str(&b), STR("; dkim=fail")));
	auth.dmarc->author_domain = STR("example.org");
	buf_free(&name);
	buf_free(&b);
}

static void test_received_spf(void **state)
{
	struct facts odd = facts;
	struct buf b = BUF_INIT;

	authres_received_spf(&b, "mx.example.net", &facts, &spf);
	assert_true(str_eq_c(buf_str(&b),
		"softfail receiver=mx.example.net; client-ip=\"2001:db8::1\"; "
		"envelope-from=\"\\\"b (o) b\\\"@example.org\"; helo=\"[192.0.2.1]; dmarc=pass\"; "
		"identity=mailfrom;"));
	buf_clear(&b);
	odd.mail_from = STR("");
	odd.helo = STR("a..b");
	odd.client_ip = STR("192.0.2.1");
	authres_received_spf(&b, "mx.example.net", &odd, &helo);
	assert_true(str_eq_c(buf_str(&b), "none receiver=mx.example.net; client-ip=192.0.2.1; "
		"envelope-from=\"\"; helo=\"a..b\"; identity=helo;"));
	buf_clear(&b);
	odd.helo = STR("a\0\r\nX: y");
	authres_received_spf(&b, "mx.example.net", &odd, &helo);
	assert_true(str_find(buf_str(&b), STR("helo=\"a???X: y\"")) < b.n);
	buf_free(&b);
}

/* Somebody else's parser of RFC 8601 reads our header, folds and all. */
static const char oracle[] =
	"import sys, authres\n"
	"h = authres.AuthenticationResultsHeader.parse(sys.stdin.read().strip())\n"
	"print(h.authserv_id)\n"
	"for r in h.results:\n"
	"    print(r.method, r.result, r.reason, [(p.type, p.name, p.value) for p in r.properties])\n";

static void test_oracle(void **state)
{
	static const char *const lines[] = {
		"mx.example.net\n",
		"iprev pass None [('policy', 'iprev', '2001:db8::1')]\n",
		/* python3-authres leaves quoted pairs as they are. */
		"spf softfail None [('smtp', 'mailfrom', '\\\\\"b (o) b\\\\\"@example.org')]\n",
		"spf none None [('smtp', 'helo', '[192.0.2.1]; dmarc=pass')]\n",
		"dkim pass None [('header', 'd', 'example.org'), ('header', 's', 's1'), "
		"('header', 'a', 'rsa-sha256'), ('header', 'b', 'a+/b=c12')]\n",
		"dkim fail body \\\"hash\\\"??X: y \\\\ wrong; spf=pass [('header', 'a', 'rsa-sha256'), "
		"('header', 'b', 'zz')]\n",
		"arc fail seal 2 is wrong []\n",
		"dmarc fail mailing_list [('header', 'from', 'example.org'), "
		"('policy', 'dmarc', 'reject')]\n",
		"x-tls pass None [('smtp', 'tls', 'TLSv1.3'), "
		"('smtp', 'cipher', 'TLS_AES_256_GCM_SHA384')]\n",
	};
	char path[] = "/tmp/authres-XXXXXX", command[4096], line[1000];
	struct buf value = BUF_INIT, header = BUF_INIT;
	int fd;
	FILE *f;

	if (system("/usr/bin/python3 -c 'import authres' 2>/dev/null") != 0) {
		print_message("python3-authres is missing: skipped\n");
		skip();
	}
	authres_write(&value, "mx.example.net", &facts, &full);
	headerline_add(&header, "Authentication-Results", buf_str(&value));
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, header.p, header.n), header.n);
	close(fd);
	snprintf(command, sizeof(command), "/usr/bin/python3 -c '%s' < %s", oracle, path);
	f = popen(command, "r");
	assert_non_null(f);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_non_null(fgets(line, sizeof(line), f));
		assert_string_equal(line, lines[i]);
	}
	assert_int_equal(pclose(f), 0);
	unlink(path);
	buf_free(&value);
	buf_free(&header);
}

/* ---- many verdicts ---- */

static uint32_t random_below(uint32_t n)
{
	static uint64_t seed = 20261120;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

/* What a sender would write to be misread. */
static struct str hostile(struct arena *arena)
{
	static const char *const pieces[] = { "a", "example.org", "\"", "\\", ";", "(", ")", "=",
		"@", " ", "\r\n", "\t", "\x80", "\xc3\xbc", "dmarc=pass", "mx.example.net", "<", ">",
		"[", "/", ",",
		"header.from", "none", ".", "'", "\x01" };
	struct buf b = BUF_INIT;

	for (uint32_t n = random_below(7); n; n--)
		buf_c(&b, pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))]);
	if (random_below(9) == 0)
		buf_char(&b, '\0');
	struct str s = arena_dup(arena, buf_str(&b));
	buf_free(&b);
	return s;
}

static int random_result(void)
{
	return (int)random_below(AUTH_PERMERROR + 1);
}

/* One header into the file, and what must be read from it into `expect`. */
static void write_random(struct arena *arena, FILE *f, struct buf *expect)
{
	struct auth_spf from = { random_result(), hostile(arena), STR("mfrom"), STR("") };
	struct auth_spf greeting = { random_result(), hostile(arena), STR("helo"), STR("") };
	struct auth_dkim v[3];
	struct auth_dkim_list list = { v, random_below(4) };
	struct auth_arc chain = { (int)random_below(2) + AUTH_PASS, { NULL, 0 }, hostile(arena) };
	struct auth_dmarc policy = { .result = random_result(), .author_domain = hostile(arena),
		.policy = (int)random_below(3), .override = hostile(arena) };
	struct auth_iprev reverse = { random_result(), hostile(arena) };
	struct facts_tls secure = { hostile(arena), hostile(arena) };
	struct facts sent = { .client_ip = hostile(arena), .mail_from = hostile(arena),
		.helo = hostile(arena), .tls = &secure };
	struct auth auth = { &from, &greeting, &list, &chain, &policy, &reverse };
	struct buf value = BUF_INIT, header = BUF_INIT;

	for (size_t i = 0; i < 3; i++)
		v[i] = (struct auth_dkim){ .result = random_result(), .domain = hostile(arena),
			.selector = hostile(arena), .algorithm = hostile(arena),
			.reason = hostile(arena), .signature = hostile(arena) };
	authres_write(&value, "mx.example.net", &sent, &auth);
	headerline_add(&header, "Authentication-Results", buf_str(&value));
	fwrite(header.p, 1, header.n, f);
	fputc(0, f);
	buf_printf(expect, "mx.example.net iprev=%s spf=%s", auth_result_names[reverse.result],
		auth_result_names[from.result]);
	if (sent.helo.n || greeting.domain.n)
		buf_printf(expect, " spf=%s", auth_result_names[greeting.result]);
	if (!list.n)
		buf_c(expect, " dkim=none");
	for (int passing = 1; passing >= 0; passing--)
		for (size_t i = 0; i < list.n; i++)
			if ((v[i].result == AUTH_PASS) == passing)
				buf_printf(expect, " dkim=%s", auth_result_names[v[i].result]);
	buf_printf(expect, " arc=%s dmarc=%s x-tls=pass\n", auth_result_names[chain.result],
		auth_result_names[policy.result]);
	buf_free(&value);
	buf_free(&header);
}

static const char many_oracle[] =
	"import sys, authres\n"
	"for text in sys.stdin.buffer.read().split(bytes(1))[:-1]:\n"
	"    h = authres.AuthenticationResultsHeader.parse(text.decode().strip())\n"
	"    print(h.authserv_id, *[r.method + \"=\" + r.result for r in h.results])\n";

static void test_many_verdicts(void **state)
{
	char path[] = "/tmp/authres-XXXXXX", command[4096], line[1000];
	struct buf expect = BUF_INIT, got = BUF_INIT;
	struct arena *arena = arena_new(16 << 20);
	FILE *f;

	if (system("/usr/bin/python3 -c 'import authres' 2>/dev/null") != 0) {
		print_message("python3-authres is missing: skipped\n");
		skip();
	}
	f = fdopen(mkstemp(path), "w");
	assert_non_null(f);
	for (int i = 0; i < 3000; i++)
		write_random(arena, f, &expect);
	assert_int_equal(fclose(f), 0);
	snprintf(command, sizeof(command), "/usr/bin/python3 -c '%s' < %s", many_oracle, path);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		buf_c(&got, line);
	assert_int_equal(pclose(f), 0);
	buf_char(&expect, '\0');
	buf_char(&got, '\0');
	assert_string_equal(got.p, expect.p);
	unlink(path);
	arena_free(&arena);
	buf_free(&expect);
	buf_free(&got);
}

static void test_headerline(void **state)
{
	struct buf b = BUF_INIT;
	struct str rest, line;

	headerline_add(&b, "X-A", STR("  one\r\nX-B: two\x80\x01  three "));
	assert_true(str_eq_c(buf_str(&b), "X-A: one??X-B: two??  three\r\n"));
	buf_clear(&b);
	headerline_add(&b, "X-A", STR(""));
	assert_true(str_eq_c(buf_str(&b), "X-A: \r\n"));
	buf_clear(&b);
	authres_write(&b, "mx.example.net", &facts, &full);
	struct str value = buf_str(&b);
	struct buf folded = BUF_INIT, unfolded = BUF_INIT;
	headerline_add(&folded, "Authentication-Results", value);
	rest = buf_str(&folded);
	while (str_cut(&rest, '\n', &line) && line.n) {
		assert_true(line.n <= 79 || str_find(line, STR("reason=")) < line.n);
		assert_int_equal(line.p[line.n - 1], '\r');
		buf_add(&unfolded, line.p, line.n - 1);
	}
	assert_true(str_eq(str_skip(buf_str(&unfolded), 24), value));
	buf_free(&b);
	buf_free(&folded);
	buf_free(&unfolded);
}

/* ---- reading ---- */

static void test_read(void **state)
{
	static const struct {
		const char *value;
		const char *items; /* "method=result[header.d]" each */
	} rows[] = {
		{ "", "" },
		{ "mx.example.net; none", "mx.example.net= none=" },
		{ "mx; spf=pass smtp.mailfrom=a@b; dkim=pass header.d=x.example",
			"mx= spf=pass dkim=pass[x.example]" },
		{ "i=1; mx 1; dkim = pass (2048-bit key; header.d=evil.example)\r\n header.d = x.example;",
			"i=1 mx= dkim=pass[x.example] =" },
		{ "mx; dkim/1=fail reason=\"a; b=c header.d=evil.example\" header.d=x.example",
			"mx= dkim=fail[x.example]" },
		{ "mx; dmarc=(comment)pass (p=reject \\) ; spf=pass) Header.D=\"x.example\"",
			"mx= dmarc=pass[x.example]" },
		{ "mx; x=\"never ends; dkim=pass", "mx= x=never ends; dkim=pass" },
		{ "mx; (never ends; dkim=pass", "mx= =" },
		{ "mx; dkim=pass header.d=; spf=fail", "mx= dkim=pass spf=fail" },
		{ ";;=;\"", "= = = =" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf got = BUF_INIT;
		struct str rest = str_c(rows[i].value);
		struct authres_item item;

		while (rest.p && rows[i].value[0] && authres_next(&rest, &item)) {
			struct str d = authres_property(&item, "header.d");
			buf_printf(&got, "%s%.*s=%.*s", got.n ? " " : "", STR_ARG(item.method),
				STR_ARG(item.result));
			if (d.n)
				buf_printf(&got, "[%.*s]", STR_ARG(d));
		}
		if (!str_eq_c(buf_str(&got), rows[i].items))
			fail_msg("\"%s\": \"%.*s\"", rows[i].value, STR_ARG(buf_str(&got)));
		buf_free(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_headerline),
		cmocka_unit_test(test_oracle),
		cmocka_unit_test(test_received_spf),
		cmocka_unit_test(test_many_verdicts),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
