/*
 * command: a command line from tables.
 *
 * A row is all there is to a subcommand: from it come parsing, --help, the manual
 * page (`gatepost --man NAME`) and the messages of wrong usage (exit 2, with the
 * nearest valid name). Values are read by core/option.h, as in the configuration.
 *
 *	struct list_values { bool json; int64_t limit; };
 *	static const struct command_option list_options[] = {
 *		COMMAND_FLAG(0, "json", struct list_values, json, "Print JSON."),
 *		COMMAND_OPTION('n', "limit", "N", OPTION_INT, struct list_values, limit, "50",
 *			"At most this many."),
 *		COMMAND_OPTIONS_END,
 *	};
 *	const struct command cli_list = { "quarantine list", "Lists what is held.",
 *		.options = list_options, .size = sizeof(struct list_values), .run = list };
 *
 *	static const struct command *const commands[] = { &cli_list, NULL };
 *	return command_main("gatepost", "judges mail", commands, argc, argv);
 *
 * Names may have two words. Options stand as --name VALUE, --name=VALUE, -n VALUE
 * or -nVALUE, before or behind arguments; "--" ends them.
 */
#ifndef GATEWAY_COMMAND_H
#define GATEWAY_COMMAND_H

#include "core/option.h"

/* Exit codes that scripts can use. */
enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_USAGE = 2 };

struct command_option {
	struct option o;      /* BOOL: a flag without value; LIST: may be repeated */
	char letter;	      /* 0: only the long name */
	const char *argument; /* "FILE", for help */
};

#define COMMAND_FLAG(short_name, long_name, type, field, text)                                  \
	{ { long_name, OPTION_BOOL, offsetof(type, field), "false", .help = text }, short_name, \
		NULL }
#define COMMAND_OPTION(short_name, long_name, arg, kind, type, field, standard, text)            \
	{ { long_name, kind, offsetof(type, field), standard, .help = text }, short_name, arg }
#define COMMAND_OPTIONS_END { OPTION_ROWS_END, 0, NULL }

struct command {
	const char *name, *summary;
	const char *arguments; /* "[MESSAGE]"; NULL: none */
	int min_args, max_args; /* -1: any number */
	const char *description; /* more for --help and the manual; NULL */
	const struct command_option *options; /* NULL: none */
	size_t size; /* of the struct that options fill in */
	bool hidden; /* not listed */
	/* Returns the exit code. values is zeroed, then filled in; args are argc strings. */
	int (*run)(const struct command *command, const void *values, int argc, char **argv);
	/* Instead of run and options: this program of libexec gets all arguments, --help and
	 * --man too, and before them the command's name if it has several. */
	const char *program;
	bool is_one_of_several;
};

/* Finds the command, parses, runs; prints help, manual (--man [NAME]; --man-list: those that
 * there are), version and usage errors. A program of one command may be given its options
 * without the name. */
int command_main(const char *program, const char *purpose,
	const struct command *const *commands, int argc, char **argv);
/* Reads argv (without program and command name) into values; arguments are moved to the
 * front of argv. Their number, or -1 with err. Strings point into argv. */
int command_parse(const struct command *command, void *values, int argc, char **argv,
	struct err *err);
void command_help(const char *program, const struct command *command, struct buf *out);
void command_man(const char *program, const struct command *command, struct buf *out);
/* "…/libexec/gatepost/NAME", found from the place of this executable. 0 or -1. */
int command_libexec(const char *name, char path_r[4096], struct err *err);
/* Replaces this process. Returns only on failure: the exit code, error printed. */
int command_exec(const char *libexec_name, char *const *argv);

#endif
