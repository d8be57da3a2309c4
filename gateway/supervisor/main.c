/* `gatepost run`: the supervisor. */
#include "gateway/command.h"
#include "gateway/supervisor/supervisor.h"

struct run_values {
	const char *conf;
	bool sandbox_log;
};

static const struct command_option run_options[] = {
	COMMAND_OPTION('c', "config", "CONF", OPTION_STRING, struct run_values, conf,
		CONFIG_DEFAULT_FILE, "The configuration file."),
	COMMAND_FLAG(0, "sandbox-log", struct run_values, sandbox_log,
		"Let the kernel log what the sandboxes would refuse, and refuse nothing: for "
		"finding out what is missing, never for mail."),
	COMMAND_OPTIONS_END,
};

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct run_values *o = values;

	if (o->sandbox_log)
		setenv("GATEPOST_SANDBOX_LOG", "1", 1);
	return supervisor_run(o->conf) == 0 ? COMMAND_OK : COMMAND_FAILED;
}

static const struct command run_command = {
	.name = "run",
	.summary = "Runs the gateway in the foreground.",
	.description = "SIGHUP reads the configuration anew: what is broken is refused and changes "
		       "nothing. SIGTERM finishes what is under way and ends.",
	.options = run_options,
	.size = sizeof(struct run_values),
	.run = run,
};

int main(int argc, char **argv)
{
	static const struct command *const commands[] = { &run_command, NULL };

	return command_main("gatepost", "judges mail before it is taken", commands, argc, argv);
}
