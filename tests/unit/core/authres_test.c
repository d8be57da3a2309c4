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
	{ STR("other.example; by mx.example.net"), false },
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
static const struct facts facts = { .client_ip = STR("2001:db8::1"),
	.mail_from = STR("\"b (o) b\"@example.org"), .helo = STR("[192.0.2.1]; dmarc=pass") };

static const char expected[] =
	"mx.example.net; iprev=pass policy.iprev=\"2001:db8::1\""
	"; spf=softfail smtp.mailfrom=\"\\\"b (o) b\\\"@example.org\""
	"; spf=none smtp.helo=\"[192.0.2.1]; dmarc=pass\""
	"; dkim=pass header.d=example.org header.s=s1 header.a=rsa-sha256 header.b=\"a+/b=c12\""
	"; dkim=fail reason=\"body \\\"hash\\\"??X: y \\\\ wrong; spf=pass\" header.a=rsa-sha256 "
	"header.b=zz"
	"; arc=fail reason=\"seal 2 is wrong\""
	"; dmarc=fail reason=\"mailing_list\" header.from=example.org policy.dmarc=reject";

static void test_write(void **state)
{
	struct buf b = BUF_INIT;
	struct auth nothing = { NULL };

	authres_write(&b, "mx.example.net", &facts, &full);
	buf_char(&b, '\0');
	assert_string_equal(b.p, expected);
	buf_clear(&b);
	authres_write(&b, "mx.example.net", &facts, &nothing);
	assert_true(str_eq_c(buf_str(&b), "mx.example.net; none"));
	assert_true(authres_claims(buf_str(&b), "mx.example.net"));
	buf_free(&b);
}

/* Results are capped: a message may carry any number of signatures. */
static void test_cap(void **state)
{
	struct auth_dkim many[100];
	struct auth_dkim_list list = { many, 100 };
	struct auth auth = { .dkim = &list };
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < 100; i++)
		many[i] = signatures[0];
	authres_write(&b, "mx.example.net", &facts, &auth);
	assert_true(b.n < 1500);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_headerline),
		cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
