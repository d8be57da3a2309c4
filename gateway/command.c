#include "gateway/command.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define OPTION_COLUMN 26
#define HELP_WIDTH    80
#define NAMES_MAX     64
#define WORDS_MAX     128

static const struct command_option no_options[] = { COMMAND_OPTIONS_END };

static const struct command_option *options_of(const struct command *command)
{
	return command->options ? command->options : no_options;
}

static bool is_end(const struct command_option *o)
{
	return o->o.type == OPTION_END;
}

/* ---- parsing ---- */

static int unknown_option(const struct command *command, const char *typed, struct err *err)
{
	const char *names[NAMES_MAX + 1];
	size_t n = 0;
	for (const struct command_option *o = options_of(command); !is_end(o); o++)
		if (n < NAMES_MAX - 1)
			names[n++] = o->o.name;
	names[n++] = "help";
	names[n] = NULL;
	struct str name = str_c(typed);
	while (str_starts(name, "-"))
		name = str_skip(name, 1);
	char word[NAMES_MAX];
	snprintf(word, sizeof(word), "%.*s", (int)str_chr(name, '='), name.p);
	const char *nearest = str_starts(str_c(typed), "--") ? option_nearest(word, names) : NULL;
	if (nearest)
		return err_set(err, "unknown option %s: did you mean --%s?", typed, nearest);
	return err_set(err, "unknown option %s", typed);
}

/* *value_r: what stands behind = or the letter, or NULL. */
static const struct command_option *find_option(const struct command *command, const char *arg,
	const char **value_r)
{
	*value_r = NULL;
	for (const struct command_option *o = options_of(command); !is_end(o); o++) {
		if (arg[1] != '-') {
			if (!o->letter || arg[1] != o->letter || (!o->argument && arg[2]))
				continue;
			*value_r = arg[2] ? arg + 2 : NULL;
			return o;
		}
		struct str name = str_c(arg + 2);
		size_t equals = str_chr(name, '=');
		if (!str_eq_c(str_sub(name, 0, equals), o->o.name))
			continue;
		*value_r = equals < name.n ? name.p + equals + 1 : NULL;
		return o;
	}
	return NULL;
}

/* Lists are grown in place: a command line is short, and lives as long as the process. */
static void append(struct option_strings *list, const char *value)
{
	const char **v = realloc(list->v, (list->n + 1) * sizeof(*v));
	if (!v)
		abort();
	v[list->n++] = value;
	list->v = v;
}

static int set_option(const struct command_option *o, const char *value, void *values,
	struct err *err)
{
	struct err why;
	void *at = (char *)values + o->o.offset;
	if (o->o.type == OPTION_LIST) {
		append(at, value);
		return 0;
	}
	if (o->o.type == OPTION_STRING) {
		*(const char **)at = value;
		return 0;
	}
	if (option_parse(&o->o, str_c(value), values, &why) != 0)
		return err_set(err, "--%s %s", o->o.name, why.text);
	return 0;
}

static void set_defaults(const struct command *command, void *values)
{
	if (command->size)
		memset(values, 0, command->size);
	for (const struct command_option *o = options_of(command); !is_end(o); o++) {
		struct err err;
		int done = 0;
		if (o->o.type == OPTION_STRING)
			*(const char **)((char *)values + o->o.offset) = o->o.def ? o->o.def : "";
		else if (o->o.def && o->o.type != OPTION_LIST)
			done = option_parse(&o->o, str_c(o->o.def), values, &err);
		assert(done == 0);
		(void)done;
	}
}

int command_parse(const struct command *command, void *values, int argc, char **argv,
	struct err *err)
{
	uint64_t seen = 0;
	int n = 0;
	bool is_open = true;
	set_defaults(command, values);
	for (int i = 0; i < argc; i++) {
		const char *arg = argv[i], *value;
		if (is_open && strcmp(arg, "--") == 0) {
			is_open = false;
			continue;
		}
		if (!is_open || arg[0] != '-' || !arg[1]) {
			argv[n++] = argv[i];
			continue;
		}
		const struct command_option *o = find_option(command, arg, &value);
		if (!o)
			return unknown_option(command, arg, err);
		uint64_t bit = (uint64_t)1 << ((o - options_of(command)) & 63);
		if (seen & bit && o->o.type != OPTION_LIST)
			return err_set(err, "--%s stands twice", o->o.name);
		seen |= bit;
		if (!o->argument && value)
			return err_set(err, "--%s takes no value", o->o.name);
		if (o->argument && !value && ++i >= argc)
			return err_set(err, "--%s needs a value: %s", o->o.name, o->argument);
		if (!value)
			value = o->argument ? argv[i] : "true";
		if (set_option(o, value, values, err) != 0)
			return -1;
	}
	if (n < command->min_args)
		return err_set(err, "missing argument: %s", command->arguments);
	if (command->max_args >= 0 && n > command->max_args)
		return err_set(err, "one argument too many: %s", argv[command->max_args]);
	return n;
}

/* ---- help and manual ---- */

static void option_head(const struct command_option *o, struct buf *out)
{
	if (o->letter)
		buf_printf(out, "-%c, --%s", o->letter, o->o.name);
	else
		buf_printf(out, "    --%s", o->o.name);
	if (o->argument)
		buf_printf(out, " %s", o->argument);
}

static void help_option(const struct command_option *o, struct buf *out)
{
	size_t from = out->n;
	buf_c(out, "  ");
	option_head(o, out);
	size_t width = out->n - from;
	if (width >= OPTION_COLUMN)
		buf_printf(out, "\n%*s", OPTION_COLUMN, "");
	else
		buf_printf(out, "%*s", (int)(OPTION_COLUMN - width), "");
	buf_c(out, o->o.help);
	if (o->argument && o->o.def && *o->o.def)
		buf_printf(out, " (default: %s)", o->o.def);
	buf_char(out, '\n');
}

/* Filled to the width of a terminal; line feeds stay. */
static void help_text(const char *text, struct buf *out)
{
	size_t column = 0;
	while (*text) {
		size_t n = strcspn(text, " \n");
		if (column && column + 1 + n > HELP_WIDTH) {
			buf_char(out, '\n');
			column = 0;
		} else if (column) {
			buf_char(out, ' ');
			column++;
		}
		buf_add(out, text, n);
		column += n;
		text += n;
		if (*text == '\n') {
			buf_char(out, '\n');
			column = 0;
		}
		if (*text)
			text++;
	}
	buf_char(out, '\n');
}

void command_help(const char *program, const struct command *command, struct buf *out)
{
	const struct command_option *o = options_of(command);
	buf_printf(out, "usage: %s %s%s%s%s\n\n%s\n", program, command->name,
		is_end(o) ? "" : " [OPTIONS]", command->arguments ? " " : "",
		command->arguments ? command->arguments : "", command->summary);
	if (command->description) {
		buf_c(out, "\n");
		help_text(command->description, out);
	}
	buf_c(out, "\n");
	for (; !is_end(o); o++)
		help_option(o, out);
	buf_printf(out, "  -h, --help%*sShow this.\n", OPTION_COLUMN - 12, "");
}

/* roff takes a line's leading . or ' and any backslash as its own. */
static void man_line(const char *text, struct buf *out)
{
	bool is_start = true;
	for (; *text; text++) {
		if (is_start && (*text == '.' || *text == '\''))
			buf_c(out, "\\&");
		is_start = *text == '\n';
		if (is_start && text[1] == '\n') {
			buf_c(out, "\n.Pp");
			continue;
		}
		if (*text == '\\')
			buf_c(out, "\\e");
		else if (*text == '-')
			buf_c(out, "\\-");
		else
			buf_char(out, *text);
	}
	buf_char(out, '\n');
}

/* "gatepost", "quarantine list" becomes gatepost-quarantine-list. */
static void page_name(const char *program, const char *name, bool upper, struct buf *out)
{
	size_t from = out->n;
	buf_printf(out, "%s%s%s", program, *name ? "-" : "", name);
	for (size_t i = from; i < out->n; i++) {
		if (out->p[i] == ' ')
			out->p[i] = '-';
		if (upper && out->p[i] >= 'a' && out->p[i] <= 'z')
			out->p[i] = (char)(out->p[i] - 32);
	}
}

static void man_head(const char *program, const char *name, const char *summary, struct buf *out)
{
	buf_c(out, ".Dd November 20, 2026\n.Dt ");
	page_name(program, name, true, out);
	buf_c(out, " 1\n.Os Gatepost " GATEPOST_VERSION "\n.Sh NAME\n.Nm ");
	page_name(program, name, false, out);
	buf_c(out, "\n.Nd ");
	man_line(summary, out);
}

static void man_exit_status(struct buf *out)
{
	buf_c(out, ".Sh EXIT STATUS\n"
		"0: done. 1: the answer is no, or something failed. 2: wrong usage.\n"
		".Sh SEE ALSO\n.Xr gatepost 1 ,\n.Xr gatepost.conf 5\n");
}

void command_man(const char *program, const struct command *command, struct buf *out)
{
	man_head(program, command->name, command->summary, out);
	buf_printf(out, ".Sh SYNOPSIS\n.Nm %s %s\n", program, command->name);
	for (const struct command_option *o = options_of(command); !is_end(o); o++) {
		buf_printf(out, ".Op Fl %s%s", o->letter ? "" : "-", o->letter ? "" : o->o.name);
		if (o->letter)
			buf_char(out, o->letter);
		if (o->argument)
			buf_printf(out, " Ar %s", o->argument);
		buf_char(out, '\n');
	}
	if (command->arguments)
		buf_printf(out, ".Ar %s\n", command->arguments);
	buf_c(out, ".Sh DESCRIPTION\n");
	man_line(command->summary, out);
	if (command->description) {
		buf_c(out, ".Pp\n");
		man_line(command->description, out);
	}
	buf_c(out, ".Bl -tag -width Ds\n");
	for (const struct command_option *o = options_of(command); !is_end(o); o++) {
		buf_c(out, ".It ");
		if (o->letter)
			buf_printf(out, "Fl %c , ", o->letter);
		buf_printf(out, "Fl -%s", o->o.name);
		if (o->argument)
			buf_printf(out, " Ar %s", o->argument);
		buf_char(out, '\n');
		man_line(o->o.help, out);
		if (o->argument && o->o.def && *o->o.def)
			buf_printf(out, "Default: %s.\n", o->o.def);
	}
	buf_c(out, ".It Fl h , Fl -help\nShow a summary.\n.El\n");
	man_exit_status(out);
}

static void list_commands(const struct command *const *commands, const char *group, struct buf *out)
{
	size_t n = strlen(group);
	for (; *commands; commands++)
		if (!(*commands)->hidden && strncmp((*commands)->name, group, n) == 0)
			buf_printf(out, "  %-22s %s\n", (*commands)->name, (*commands)->summary);
}

static void help_all(const char *program, const char *purpose, const struct command *const *commands,
	const char *group, struct buf *out)
{
	buf_printf(out, "usage: %s COMMAND [OPTIONS] [ARGUMENTS]\n\n%s %s.\n\n", program, program,
		purpose);
	list_commands(commands, group, out);
	buf_printf(out, "\n%s COMMAND --help says more.\n", program);
}

static void man_all(const char *program, const char *purpose, const struct command *const *commands,
	struct buf *out)
{
	man_head(program, "", purpose, out);
	buf_printf(out, ".Sh SYNOPSIS\n.Nm %s\n.Ar COMMAND\n.Op Ar OPTIONS\n.Op Ar ARGUMENTS\n"
		".Sh DESCRIPTION\n.Bl -tag -width Ds\n", program);
	for (; *commands; commands++) {
		if ((*commands)->hidden)
			continue;
		buf_printf(out, ".It Cm %s\n", (*commands)->name);
		man_line((*commands)->summary, out);
	}
	buf_c(out, ".El\n");
	man_exit_status(out);
}

/* ---- dispatch ---- */

static int print(struct buf *out)
{
	bool is_written = fwrite(out->p, 1, out->n, stdout) == out->n && fflush(stdout) == 0;
	buf_free(out);
	return is_written ? COMMAND_OK : COMMAND_FAILED;
}

/* How many words of argv the name takes; 0: it is another one. */
static int match(const struct command *command, int argc, char **argv)
{
	struct str rest = str_c(command->name), word;
	int n = 0;
	while (str_cut(&rest, ' ', &word)) {
		if (n >= argc || !str_eq_c(word, argv[n]))
			return 0;
		n++;
	}
	return n;
}

static const struct command *find(const struct command *const *commands, int argc, char **argv,
	int *words_r)
{
	for (; *commands; commands++)
		if ((*words_r = match(*commands, argc, argv)))
			return *commands;
	return NULL;
}

/* The first word of two-word names: "quarantine". */
static bool is_group(const struct command *const *commands, const char *word)
{
	size_t n = strlen(word);
	for (; *commands; commands++)
		if (strncmp((*commands)->name, word, n) == 0 && (*commands)->name[n] == ' ')
			return true;
	return false;
}

static int unknown_command(const char *program, const struct command *const *commands, int argc,
	char **argv)
{
	const char *names[NAMES_MAX + 1];
	char typed[WORDS_MAX];
	size_t n = 0;
	bool two = argc > 1 && is_group(commands, argv[0]) && argv[1][0] != '-';
	snprintf(typed, sizeof(typed), "%s%s%s", argv[0], two ? " " : "", two ? argv[1] : "");
	for (; *commands && n < NAMES_MAX; commands++)
		if (!(*commands)->hidden)
			names[n++] = (*commands)->name;
	names[n] = NULL;
	const char *nearest = option_nearest(typed, names);
	if (nearest)
		fprintf(stderr, "%s: unknown command \"%s\": did you mean \"%s\"?\n", program, typed,
			nearest);
	else
		fprintf(stderr, "%s: unknown command \"%s\": see %s --help\n", program, typed, program);
	return COMMAND_USAGE;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/* argv[0] is the command's first word of `words`. */
static int run_program(const struct command *command, int words, int argc, char **argv, bool man)
{
	const char **args = calloc((size_t)argc + 3, sizeof(*args));
	int n = 0, code;
	if (!args)
		abort();
	args[n++] = command->program;
	if (man)
		args[n++] = "--man";
	for (int i = man || command->is_one_of_several ? 0 : words; i < argc; i++)
		args[n++] = argv[i];
	code = command_exec(command->program, (char *const *)args);
	free(args);
	return code;
}

static int run(const char *program, const struct command *command, int argc, char **argv)
{
	struct buf out = BUF_INIT;
	struct err err;
	int n, code;
	if (wants_help(argc, argv)) {
		command_help(program, command, &out);
		return print(&out);
	}
	void *values = calloc(1, command->size + 1);
	if (!values)
		abort();
	n = command_parse(command, values, argc, argv, &err);
	if (n < 0) {
		fprintf(stderr, "%s %s: %s\n%s %s --help says more.\n", program, command->name,
			err.text, program, command->name);
		code = COMMAND_USAGE;
	} else {
		code = command->run(command, values, n, argv);
	}
	free(values);
	return code;
}

static int print_man(const char *program, const char *purpose, const struct command *const *commands,
	int argc, char **argv)
{
	struct buf out = BUF_INIT;
	int words;
	if (argc == 0) {
		man_all(program, purpose, commands, &out);
		return print(&out);
	}
	const struct command *c = find(commands, argc, argv, &words);
	if (!c)
		return unknown_command(program, commands, argc, argv);
	if (c->program)
		return run_program(c, words, words, argv, true);
	command_man(program, c, &out);
	return print(&out);
}

/* A program of one command needs no name before its options. */
static bool is_nameless(const struct command *const *commands, int argc, char **argv)
{
	if (!commands[0] || commands[1] || (argc && match(commands[0], argc, argv)))
		return false;
	return !argc || (strcmp(argv[0], "--version") != 0 && strncmp(argv[0], "--man", 5) != 0);
}

int command_main(const char *program, const char *purpose, const struct command *const *commands,
	int argc, char **argv)
{
	struct buf out = BUF_INIT;
	int words;
	argc--;
	argv++;
	if (is_nameless(commands, argc, argv))
		return run(program, commands[0], argc, argv);
	if (argc == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
		help_all(program, purpose, commands, "", &out);
		if (argc)
			return print(&out);
		fwrite(out.p, 1, out.n, stderr);
		buf_free(&out);
		return COMMAND_USAGE;
	}
	if (strcmp(argv[0], "--version") == 0) {
		buf_printf(&out, "%s %s\n", program, GATEPOST_VERSION);
		return print(&out);
	}
	if (strcmp(argv[0], "--man-list") == 0) {
		for (; *commands; commands++)
			if (!(*commands)->hidden)
				buf_printf(&out, "%s\n", (*commands)->name);
		return print(&out);
	}
	if (strcmp(argv[0], "--man") == 0)
		return print_man(program, purpose, commands, argc - 1, argv + 1);
	const struct command *c = find(commands, argc, argv, &words);
	if (c && c->program)
		return run_program(c, words, argc, argv, false);
	if (c)
		return run(program, c, argc - words, argv + words);
	if (is_group(commands, argv[0]) && (argc == 1 || wants_help(argc, argv))) {
		bool asked = argc > 1;
		char group[WORDS_MAX];
		snprintf(group, sizeof(group), "%s ", argv[0]);
		help_all(program, purpose, commands, group, &out);
		fwrite(out.p, 1, out.n, asked ? stdout : stderr);
		buf_free(&out);
		return asked ? COMMAND_OK : COMMAND_USAGE;
	}
	return unknown_command(program, commands, argc, argv);
}

/* ---- other programs ---- */

int command_libexec(const char *name, char path_r[4096], struct err *err)
{
	static const char *const places[] = { "../libexec/gatepost", ".", "../../libexec/gatepost" };
	char self[2048];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return err_sys(err, "finding the place of this program (is /proc mounted?)");
	self[n] = '\0';
	size_t folder = str_rchr(str_from(self, (size_t)n), '/');
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path_r, 4096, "%.*s/%s/%s", (int)folder, self, places[i], name);
		if (access(path_r, X_OK) == 0)
			return 0;
	}
	return err_set(err, "%s is not installed: it belongs in %.*s/%s", name, (int)folder, self,
		places[0]);
}

int command_exec(const char *libexec_name, char *const *argv)
{
	char path[4096];
	struct err err;
	if (command_libexec(libexec_name, path, &err) == 0) {
		execv(path, argv);
		err_sys(&err, "%s", path);
	}
	fprintf(stderr, "gatepost: %s\n", err.text);
	return COMMAND_FAILED;
}
