#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/smtp/command.h"

#define S(text) { text, sizeof(text) - 1 }
#define USUAL	(COMMAND_SIZE | COMMAND_8BITMIME)
#define ALL	(USUAL | COMMAND_SMTPUTF8 | COMMAND_DSN)

static void verbs(void **state)
{
	static const struct {
		struct str line;
		enum command_error error;
		enum command_verb verb;
	} rows[] = {
		{ S("NOOP"), COMMAND_OK, COMMAND_NOOP },
		{ S("noop anything at all"), COMMAND_OK, COMMAND_NOOP },
		{ S("QuIt \t "), COMMAND_OK, COMMAND_QUIT },
		{ S("QUIT now"), COMMAND_SYNTAX, COMMAND_QUIT },
		{ S("DATA"), COMMAND_OK, COMMAND_DATA },
		{ S("DATA x"), COMMAND_SYNTAX, COMMAND_DATA },
		{ S("RSET"), COMMAND_OK, COMMAND_RSET },
		{ S("STARTTLS"), COMMAND_OK, COMMAND_STARTTLS },
		{ S("STARTTLS x"), COMMAND_SYNTAX, COMMAND_STARTTLS },
		{ S("XCLIENT ADDR=1.2.3.4"), COMMAND_OK, COMMAND_XCLIENT },
		{ S("GET / HTTP/1.1"), COMMAND_OK, COMMAND_HTTP },
		{ S("BDAT 10"), COMMAND_OK, COMMAND_BDAT },
		{ S("BDAT 0 LAST"), COMMAND_OK, COMMAND_BDAT },
		{ S("BDAT 5 last"), COMMAND_OK, COMMAND_BDAT },
		{ S("BDAT"), COMMAND_SYNTAX, COMMAND_BDAT },
		{ S("BDAT -1"), COMMAND_SYNTAX, COMMAND_BDAT },
		{ S("BDAT +1"), COMMAND_SYNTAX, COMMAND_BDAT },
		{ S("BDAT 0x10"), COMMAND_SYNTAX, COMMAND_BDAT },
		{ S("BDAT 1 LAST x"), COMMAND_SYNTAX, COMMAND_BDAT },
		{ S("BDAT 1 FIRST"), COMMAND_SYNTAX, COMMAND_BDAT },
		{ S("BDAT 9223372036854775807"), COMMAND_OK, COMMAND_BDAT },
		{ S("BDAT 9223372036854775808"), COMMAND_SYNTAX, COMMAND_BDAT },
		{ S("BDAT 99999999999999999999999"), COMMAND_SYNTAX, COMMAND_BDAT },
		{ S(""), COMMAND_NOT_RECOGNIZED, COMMAND_UNKNOWN },
		{ S(" NOOP"), COMMAND_NOT_RECOGNIZED, COMMAND_UNKNOWN },
		{ S("NOOP\0"), COMMAND_NOT_RECOGNIZED, COMMAND_UNKNOWN },
		{ S("DATAX"), COMMAND_NOT_RECOGNIZED, COMMAND_UNKNOWN },
		{ S("EHLO"), COMMAND_SYNTAX, COMMAND_EHLO },
		{ S("EHLO a b"), COMMAND_SYNTAX, COMMAND_EHLO },
		{ S("EHLO a\033b"), COMMAND_SYNTAX, COMMAND_EHLO },
		{ S("EHLO \xc3\xa4.example"), COMMAND_SYNTAX, COMMAND_EHLO },
		{ S("MAIL"), COMMAND_SYNTAX, COMMAND_MAIL },
		{ S("MAIL TO:<a@example.org>"), COMMAND_SYNTAX, COMMAND_MAIL },
		{ S("RCPT FROM:<a@example.org>"), COMMAND_SYNTAX, COMMAND_RCPT },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct command cmd;
		enum command_error error = command_read(rows[i].line, USUAL, &cmd);
		if (error != rows[i].error || cmd.verb != rows[i].verb)
			fail_msg("%.*s: %d %d", STR_ARG(rows[i].line), error, cmd.verb);
		assert_true(command_error_reply(error)[0]);
	}
}

static void hosts(void **state)
{
	static const struct {
		const char *host;
		bool well_formed;
	} rows[] = {
		{ "mail.example.org", true },	{ "localhost", true },
		{ "[192.0.2.1]", true },	{ "[IPv6:2001:db8::1]", true },
		{ "[2001:db8::1]", false },	{ "[IPv6:192.0.2.1]", false },
		{ "[192.0.2.256]", false },	{ "[x-tag:abc]", false },
		{ "192.0.2.1", true },		{ "my_host", false },
		{ "-a.example", false },	{ "a..example", false },
		{ "a.example.", false },	{ ".", false },
		{ "a<b>c", false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = BUF_INIT;
		struct command cmd;
		buf_printf(&b, "EHLO %s", rows[i].host);
		assert_int_equal(command_read(buf_str(&b), USUAL, &cmd), COMMAND_OK);
		assert_true(str_eq_c(cmd.argument, rows[i].host));
		if (cmd.well_formed != rows[i].well_formed)
			fail_msg("%s", rows[i].host);
		buf_free(&b);
	}
}

static void paths(void **state)
{
	enum command_error sender = COMMAND_SENDER_SYNTAX;
	const struct {
		struct str inner;
		enum command_error error;
		const char *local, *domain;
	} rows[] = {
		{ S("<a@example.org>"), COMMAND_OK, "a", "example.org" },
		{ S(" <a@example.org>"), COMMAND_OK, "a", "example.org" },
		{ S("<>"), COMMAND_OK, "", "" },
		{ S("<a.b+c=d@EXAMPLE.org>"), COMMAND_OK, "a.b+c=d", "EXAMPLE.org" },
		{ S("<\"a b\"@example.org>"), COMMAND_OK, "\"a b\"", "example.org" },
		{ S("<\"a>b\"@example.org>"), COMMAND_OK, "\"a>b\"", "example.org" },
		{ S("<\"a@b\"@example.org>"), COMMAND_OK, "\"a@b\"", "example.org" },
		{ S("<\"a\\\"b\"@example.org>"), COMMAND_OK, "\"a\\\"b\"", "example.org" },
		{ S("<a@[192.0.2.1]>"), COMMAND_OK, "a", "[192.0.2.1]" },
		{ S("<a@[IPv6:2001:db8::1]>"), COMMAND_OK, "a", "[IPv6:2001:db8::1]" },
		/* Source routes are left out. */
		{ S("<@x.example,@y.example:a@example.org>"), COMMAND_OK, "a", "example.org" },
		{ S("<@x.example:a@example.org>"), COMMAND_OK, "a", "example.org" },
		{ S("<@:a@example.org>"), sender, NULL, NULL },
		{ S("<@x.example,:a@example.org>"), sender, NULL, NULL },
		{ S("<@x.example a@example.org>"), sender, NULL, NULL },
		/* Composition attacks. */
		{ S("<(any@legitimate.com>"), sender, NULL, NULL },
		{ S("<any@legitimate.com(a.attack.com>"), sender, NULL, NULL },
		{ S("<any@legitimate.com'@any.attack.com>"), sender, NULL, NULL },
		{ S("<@legitimate.com,@any.com:'any@attack.com>"), COMMAND_OK, "'any",
			"attack.com" },
		{ S("<a@example.org>x@example.net"), sender, NULL, NULL },
		{ S("<a@b@example.org>"), sender, NULL, NULL },
		{ S("<a@example.org\0.example.net>"), sender, NULL, NULL },
		{ S("a@example.org"), sender, NULL, NULL },
		{ S("<a@example.org"), sender, NULL, NULL },
		{ S("a@example.org>"), sender, NULL, NULL },
		{ S("<<a@example.org>>"), sender, NULL, NULL },
		{ S("<a b@example.org>"), sender, NULL, NULL },
		{ S("<a>"), sender, NULL, NULL },
		{ S("<@example.org>"), sender, NULL, NULL },
		{ S("<a@>"), sender, NULL, NULL },
		{ S("<.a@example.org>"), sender, NULL, NULL },
		{ S("<a.@example.org>"), sender, NULL, NULL },
		{ S("<a..b@example.org>"), sender, NULL, NULL },
		{ S("<\"a@example.org>"), sender, NULL, NULL },
		{ S("<\"a\"b@example.org>"), sender, NULL, NULL },
		{ S("<\"a\001\"@example.org>"), sender, NULL, NULL },
		{ S("<a@example..org>"), sender, NULL, NULL },
		{ S("<a@example.org.>"), sender, NULL, NULL },
		{ S("<a@-example.org>"), sender, NULL, NULL },
		{ S("<a@exam_ple.org>"), sender, NULL, NULL },
		{ S("<a@[1.2.3]>"), sender, NULL, NULL },
		{ S("<a@[::1]>"), sender, NULL, NULL },
		{ S("<postmaster>"), sender, NULL, NULL },
		{ S("<\xc3\xa4@example.org>"), COMMAND_NEEDS_SMTPUTF8, NULL, NULL },
		{ S("<a@\xc3\xa4.example>"), COMMAND_NEEDS_SMTPUTF8, NULL, NULL },
		{ S("<\xc3@example.org>"), sender, NULL, NULL },
		{ S("<a@\xc0\xae.example>"), sender, NULL, NULL },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = BUF_INIT;
		struct command cmd;
		buf_c(&b, "MAIL FROM:");
		buf_str_add(&b, rows[i].inner);
		enum command_error error = command_read(buf_str(&b), USUAL, &cmd);
		if (error != rows[i].error)
			fail_msg("%.*s: %d", STR_ARG(rows[i].inner), error);
		if (!error) {
			assert_true(str_eq_c(cmd.path.local, rows[i].local));
			assert_true(str_eq_c(cmd.path.domain, rows[i].domain));
		}
		buf_free(&b);
	}
}

static void recipients(void **state)
{
	struct command cmd;

	assert_int_equal(command_read(STR("RCPT TO:<Postmaster>"), USUAL, &cmd), COMMAND_OK);
	assert_true(str_eq_c(cmd.path.local, "Postmaster"));
	assert_int_equal(cmd.path.domain.n, 0);
	assert_int_equal(command_read(STR("RCPT TO:<>"), USUAL, &cmd), COMMAND_RECIPIENT_SYNTAX);
	assert_int_equal(command_read(STR("RCPT TO:<a@b.example> SIZE=1"), USUAL, &cmd),
		COMMAND_PARAMETER);
	/* RFC 6531: a recipient needs the offer; the session asks for MAIL's SMTPUTF8. */
	assert_int_equal(command_read(STR("RCPT TO:<\xc3\xa4@b.example>"), ALL, &cmd), COMMAND_OK);
	assert_true(cmd.path.utf8);
}

static void parameters(void **state)
{
	static const struct {
		const char *text;
		unsigned offered;
		enum command_error error;
	} rows[] = {
		{ "SIZE=1000", USUAL, COMMAND_OK },
		{ "SIZE=1000", 0, COMMAND_PARAMETER },
		{ "size=1000 body=8bitmime", USUAL, COMMAND_OK },
		{ "SIZE=99999999999999999999", USUAL, COMMAND_OK },
		{ "SIZE=999999999999999999999", USUAL, COMMAND_PARAMETER_VALUE },
		{ "SIZE=", USUAL, COMMAND_SYNTAX },
		{ "SIZE", USUAL, COMMAND_PARAMETER_VALUE },
		{ "SIZE=-1", USUAL, COMMAND_PARAMETER_VALUE },
		{ "SIZE=1 SIZE=2", USUAL, COMMAND_PARAMETER_VALUE },
		{ "BODY=7BIT", USUAL, COMMAND_OK },
		{ "BODY=BINARYMIME", USUAL, COMMAND_PARAMETER },
		{ "AUTH=<>", USUAL, COMMAND_PARAMETER },
		{ "AUTH=<>", COMMAND_WITH_AUTH, COMMAND_OK },
		{ "AUTH=e+3Dmc2@example.com", COMMAND_WITH_AUTH, COMMAND_OK },
		{ "AUTH=a+b", COMMAND_WITH_AUTH, COMMAND_PARAMETER_VALUE },
		{ "AUTH", COMMAND_WITH_AUTH, COMMAND_PARAMETER_VALUE },
		{ "=x", USUAL, COMMAND_SYNTAX },
		{ "X_Y=1", USUAL, COMMAND_SYNTAX },
		{ "A=b=c", USUAL, COMMAND_SYNTAX },
		{ "SMTPUTF8", ALL, COMMAND_OK },
		{ "SMTPUTF8", USUAL, COMMAND_PARAMETER },
		{ "SMTPUTF8=1", ALL, COMMAND_PARAMETER_VALUE },
		{ "RET=FULL ENVID=abc+2Bd", ALL, COMMAND_OK },
		{ "RET=SOME", ALL, COMMAND_PARAMETER_VALUE },
		{ "ENVID=a+00b", ALL, COMMAND_PARAMETER_VALUE },
		{ "ENVID=a+0", ALL, COMMAND_PARAMETER_VALUE },
		{ "ENVID=a+2b", ALL, COMMAND_PARAMETER_VALUE },
		{ "NOTIFY=NEVER", ALL, COMMAND_PARAMETER },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = BUF_INIT;
		struct command cmd;
		buf_printf(&b, "MAIL FROM:<a@example.org> %s", rows[i].text);
		enum command_error error = command_read(buf_str(&b), rows[i].offered, &cmd);
		if (error != rows[i].error)
			fail_msg("%s: %d", rows[i].text, error);
		buf_free(&b);
	}
}

static void dsn_of_recipients(void **state)
{
	static const struct {
		const char *text;
		enum command_error error;
	} rows[] = {
		{ "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.example", COMMAND_OK },
		{ "NOTIFY=NEVER,DELAY", COMMAND_PARAMETER_VALUE },
		{ "NOTIFY=SUCCESS,", COMMAND_PARAMETER_VALUE },
		{ "ORCPT=rfc822", COMMAND_PARAMETER_VALUE },
		{ "ORCPT=;a", COMMAND_PARAMETER_VALUE },
		{ "ORCPT=rfc822;", COMMAND_PARAMETER_VALUE },
		{ "ORCPT=rfc822;a+00", COMMAND_PARAMETER_VALUE },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b = BUF_INIT;
		struct command cmd;
		buf_printf(&b, "RCPT TO:<a@example.org> %s", rows[i].text);
		enum command_error error = command_read(buf_str(&b), ALL, &cmd);
		if (error != rows[i].error)
			fail_msg("%s: %d", rows[i].text, error);
		buf_free(&b);
	}
}

static void sender_in_utf8(void **state)
{
	struct command cmd;

	assert_int_equal(command_read(STR("MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8"), ALL, &cmd),
		COMMAND_OK);
	assert_true(cmd.path.utf8 && cmd.smtputf8);
	assert_int_equal(command_read(STR("MAIL FROM:<\xc3\xa4@b.example>"), ALL, &cmd),
		COMMAND_NEEDS_SMTPUTF8);
}

static void lengths(void **state)
{
	static const struct {
		size_t local, label, labels;
		int result;
	} rows[] = {
		{ 64, 63, 3, 0 },
		{ LIMIT_LOCAL_PART, 10, 1, 0 },
		{ LIMIT_LOCAL_PART + 1, 10, 1, -1 },
		{ 1, 64, 1, -1 },
		{ 1, 63, 4, 0 },
		{ 1, 63, 5, -1 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct command_path path;
		struct buf b = BUF_INIT;
		for (size_t k = 0; k < rows[i].local; k++)
			buf_char(&b, 'a');
		buf_char(&b, '@');
		for (size_t k = 0; k < rows[i].labels; k++) {
			if (k)
				buf_char(&b, '.');
			for (size_t j = 0; j < rows[i].label; j++)
				buf_char(&b, 'd');
		}
		assert_int_equal(command_mailbox(buf_str(&b), false, &path), rows[i].result);
		buf_free(&b);
	}
}

static void quoting(void **state)
{
	struct arena *arena = arena_new(10000);
	struct command_path path;
	struct str plain;

	assert_int_equal(command_mailbox(STR("\"a\\ b\\\"\"@c.example"), false, &path), 0);
	assert_true(str_eq_c(command_local_unquoted(arena, &path), "a b\""));
	assert_int_equal(command_xtext(arena, STR("a+2Bb+3Dc"), &plain), 0);
	assert_true(str_eq_c(plain, "a+b=c"));
	assert_int_equal(command_xtext(arena, STR("a+00"), &plain), -1);
	assert_int_equal(command_xtext(arena, STR("a=b"), &plain), -1);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs),
		cmocka_unit_test(hosts),
		cmocka_unit_test(paths),
		cmocka_unit_test(recipients),
		cmocka_unit_test(parameters),
		cmocka_unit_test(dsn_of_recipients),
		cmocka_unit_test(sender_in_utf8),
		cmocka_unit_test(lengths),
		cmocka_unit_test(quoting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
