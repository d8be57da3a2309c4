/* `gatepost config check`: what the supervisor checks, and what only filters can. */
#include <stdio.h>

#include "gateway/judge/judge.h"

struct config_values {
	const char *conf;
};

static const struct command_option options[] = {
	COMMAND_OPTION('c', "config", "CONF", OPTION_STRING, struct config_values, conf,
		CONFIG_DEFAULT_FILE, "The configuration file."),
	COMMAND_OPTIONS_END,
};

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct config_values *o = values;
	struct judge_setup setup = { .arena = arena_new(SIZE_MAX) };
	int rc = judge_set_up("config check", o->conf, &setup);

	if (rc == COMMAND_OK)
		printf("%s: no errors\n", o->conf);
	arena_free(&setup.arena);
	return rc;
}

const struct command config_check_command = {
	.name = "config check",
	.summary = "Checks the configuration, filters and what they load included.",
	.options = options,
	.size = sizeof(struct config_values),
	.run = run,
};
