#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/smtp/command.h"
#include "core/smtp/sasl.h"

#define LONG "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
#define LONGER LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG /* over 512 octets of A */

static const struct {
	const char *command, *lines[3]; /* what the client says to each challenge */
	enum sasl_step step;
	const char *name, *password;
} rows[] = {
	{ "AUTH PLAIN AGFsaWNlAHNlY3JldA==", { NULL }, SASL_CREDENTIALS, "alice", "secret" },
	{ "auth plain", { "AGFsaWNlAHNlY3JldA==" }, SASL_CREDENTIALS, "alice", "secret" },
	{ "AUTH PLAIN YWxpY2UAYWxpY2UAc2VjcmV0", { NULL }, SASL_CREDENTIALS, "alice", "secret" },
	{ "AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldA==", { NULL }, SASL_SYNTAX }, /* bob, by alice */
	{ "AUTH PLAIN =", { NULL }, SASL_SYNTAX },
	{ "AUTH PLAIN AGFsaWNl", { NULL }, SASL_SYNTAX },	      /* no password */
	{ "AUTH PLAIN AGFsaWNlAHNlAGNyZXQ=", { NULL }, SASL_SYNTAX }, /* a third NUL */
	{ "AUTH PLAIN AGFsaWNlAA==", { NULL }, SASL_CREDENTIALS, "alice", "" },
	{ "AUTH PLAIN", { "*" }, SASL_CANCELLED },
	{ "AUTH PLAIN", { "AGFsaWNlAHNlY3JldA" }, SASL_SYNTAX }, /* padding left out */
	{ "AUTH PLAIN", { "AGFs aWNlAHNlY3JldA=" }, SASL_SYNTAX },
	{ "AUTH PLAIN", { "AGFsaWNl!HNlY3JldA==" }, SASL_SYNTAX },
	{ "AUTH PLAIN", { "AGFs=WNlAHNlY3JldA==" }, SASL_SYNTAX },
	{ "AUTH PLAIN", { "" }, SASL_SYNTAX },
	{ "AUTH LOGIN", { "YWxpY2U=", "c2VjcmV0" }, SASL_CREDENTIALS, "alice", "secret" },
	{ "AUTH LOGIN YWxpY2U=", { "c2VjcmV0" }, SASL_CREDENTIALS, "alice", "secret" },
	{ "AUTH LOGIN =", { "c2VjcmV0" }, SASL_CREDENTIALS, "", "secret" },
	{ "AUTH LOGIN", { "YWxpY2U=", "*" }, SASL_CANCELLED },
	{ "AUTH LOGIN", { "*" }, SASL_CANCELLED },
	{ "AUTH LOGIN", { "YQBi", "c2VjcmV0" }, SASL_SYNTAX },
	{ "AUTH LOGIN YWxpY2U=", { LONGER }, SASL_SYNTAX },
	{ "AUTH LOGIN " LONGER LONGER, { "c2VjcmV0" }, SASL_SYNTAX },
	{ "AUTH CRAM-MD5", { NULL }, SASL_UNKNOWN },
	{ "AUTH X_Y-Z", { NULL }, SASL_UNKNOWN },
};

static void test_exchanges(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(1 << 20);
		struct command cmd;
		struct sasl sasl;
		size_t line = 0;

		assert_int_equal(command_read(str_c(rows[i].command), 0, &cmd), COMMAND_OK);
		enum sasl_step step = sasl_begin(&sasl, arena, cmd.mechanism, cmd.initial);
		while (step == SASL_CHALLENGE && rows[i].lines[line])
			step = sasl_next(&sasl, str_c(rows[i].lines[line++]));
		if (step != rows[i].step || rows[i].lines[line])
			fail_msg("%s: %d after %zu lines", rows[i].command, step, line);
		if (step == SASL_CREDENTIALS) {
			assert_true(str_eq_c(sasl.name, rows[i].name));
			assert_true(str_eq_c(sasl.password, rows[i].password));
		}
		sasl_end(&sasl);
		assert_int_equal(sasl.name.n + sasl.password.n, 0);
		arena_free(&arena);
	}
}

static void test_syntax(void **state)
{
	static const char *const lines[] = { "AUTH", "AUTH ", "AUTH PLAIN AAAA BBBB", "AUTH PL?IN",
		"AUTH ABCDEFGHIJKLMNOPQRSTU" };
	struct command cmd;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(command_read(str_c(lines[i]), 0, &cmd), COMMAND_SYNTAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_syntax),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
