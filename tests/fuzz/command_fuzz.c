/* The command parser: what it accepts reads back as itself, and holds no control. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "core/smtp/command.h"
#include "core/smtp/sasl.h"

static void check_within(struct str part, struct str line)
{
	if (part.n)
		assert(part.p >= line.p && part.p + part.n <= line.p + line.n);
}

static void check_path(struct arena *arena, const struct command_path *path)
{
	struct command_path again;

	for (size_t i = 0; i < path->address.n; i++)
		assert((unsigned char)path->address.p[i] >= ' ' && path->address.p[i] != 0x7f);
	if (!path->domain.n)
		return;
	assert(path->address.n == path->local.n + 1 + path->domain.n);
	assert(path->domain.n <= LIMIT_DOMAIN && path->local.n <= LIMIT_LOCAL_PART);
	assert(str_chr(path->domain, '@') == path->domain.n);
	assert(!command_mailbox(path->address, true, &again));
	assert(str_eq(again.domain, path->domain) && str_eq(again.local, path->local));
	assert(command_local_unquoted(arena, path).n <= path->local.n);
}

/* The command's own response first, then the line as the answer to each challenge. */
static void check_auth(struct arena *arena, const struct command *cmd, struct str line)
{
	struct sasl sasl;
	unsigned rounds = 0;
	enum sasl_step step = sasl_begin(&sasl, arena, cmd->mechanism, cmd->initial);

	while (step == SASL_CHALLENGE && rounds++ < 2) {
		assert(sasl.challenge);
		step = sasl_next(&sasl, line);
	}
	assert(step != SASL_CHALLENGE);
	if (step == SASL_CREDENTIALS) {
		assert(sasl.name.n <= LIMIT_PATH && sasl.password.n <= SASL_PASSWORD_MAX);
		assert(str_chr(sasl.name, '\0') == sasl.name.n);
	}
	sasl_end(&sasl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct command cmd;
	struct str plain;

	if (size < 1 || size > LIMIT_COMMAND_LINE)
		return 0;
	struct str line = str_from((const char *)data + 1, size - 1);
	struct arena *arena = arena_new(1 << 20);
	enum command_error error = command_read(line, data[0], &cmd);
	assert(error < COMMAND_ERRORS && command_error_reply(error)[0]);
	assert(command_verb_name(cmd.verb)[0]);
	check_within(cmd.argument, line);
	if (!error && (cmd.verb == COMMAND_MAIL || cmd.verb == COMMAND_RCPT)) {
		check_within(cmd.path.address, line);
		check_path(arena, &cmd.path);
		assert(!cmd.path.utf8 || (data[0] & COMMAND_SMTPUTF8));
		assert(!cmd.envid.n || !command_xtext(arena, cmd.envid, &plain));
	}
	if (!error && cmd.verb == COMMAND_AUTH) {
		check_within(cmd.mechanism, line);
		check_within(cmd.initial, line);
		check_auth(arena, &cmd, line);
	}
	/* Any octets, as a response to either mechanism. */
	cmd.initial = line;
	cmd.mechanism = data[0] & 1 ? STR("PLAIN") : STR("login");
	check_auth(arena, &cmd, line);
	command_xtext(arena, line, &plain);
	arena_free(&arena);
	return 0;
}
