/*
 * bayes status, bayes rebuild, bayes undo: how the classifier is doing, and taking
 * lessons back. The last two write the model, which a running gateway alone may do.
 */
#include <stdio.h>
#include <time.h>

#include "bayes/teacher.h"
#include "gateway/judge/judge.h"

struct bayes_values {
	const char *conf, *who;
	bool json;
	int64_t hours;
};

#define OPTION_CONFIG                                                                              \
	COMMAND_OPTION('c', "config", "FILE", OPTION_STRING, struct bayes_values, conf,            \
		CONFIG_DEFAULT_FILE, "The configuration, for its state_dir.")

static const struct command_option status_options[] = {
	OPTION_CONFIG,
	COMMAND_FLAG(0, "json", struct bayes_values, json, "Print JSON."),
	COMMAND_OPTIONS_END,
};
static const struct command_option rebuild_options[] = {
	OPTION_CONFIG,
	COMMAND_OPTIONS_END,
};
static const struct command_option undo_options[] = {
	OPTION_CONFIG,
	COMMAND_OPTION(0, "who", "NAME", OPTION_STRING, struct bayes_values, who, "",
		"Only lessons that this person gave."),
	COMMAND_OPTION(0, "hours", "N", OPTION_INT, struct bayes_values, hours, "24",
		"Lessons of this many hours, back from now."),
	COMMAND_OPTIONS_END,
};

static int find_folder(
	const char *name, const char *file, struct arena *arena, const char **folder_r)
{
	struct str text;
	struct err err;
	struct conf *conf;
	if (config_load(file, arena, &text, &err) < 0)
		return judge_fail(name, "%s", err.text);
	const struct config *config = config_read(text, file, arena, &conf);
	if (conf_errors(conf)->n)
		return judge_fail(name, "%s", conf_errors(conf)->v[0]);
	*folder_r = config_path(config, arena, "bayes");
	return COMMAND_OK;
}

/* Status */

struct status {
	int64_t spam, ham, logged;
	struct model_progress progress;
	char fingerprint[17];
};

static int read_status(const char *folder, struct arena *arena, struct status *s, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	const struct journal_which all = {.since = 0};
	uint8_t digest[32];
	struct model *model =
		model_open(arena_printf(arena, "%s/model", folder).p, MODEL_READ, err);
	if (!model)
		return -1;
	model_learned(model, &s->spam, &s->ham);
	model_progress(model, &s->progress);
	model_digest(model, digest);
	model_close(&model);
	for (size_t i = 0; i < sizeof(s->fingerprint) - 1; i++)
		s->fingerprint[i] = digits[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
	struct journal *journal =
		journal_open(arena_printf(arena, "%s/log.db", folder).p, true, err);
	int rc = journal ? journal_count(journal, &all, &s->logged, err) : -1;
	journal_close(&journal);
	return rc;
}

static void print_text(const struct status *s)
{
	printf("learned:      %lld spam, %lld ham; %lld lessons hold in the training log\n",
		(long long)s->spam, (long long)s->ham, (long long)s->logged);
	printf("of late:      %.1f%% of lessons misjudged before they were learned\n",
		100 * s->progress.error);
	printf("views:        agree on %.1f%%\n", 100 - 100 * s->progress.disagreement);
	printf("labels:       %.1f%% of spam's and %.1f%% of ham's are taken for wrong\n",
		100 * s->progress.noise[1], 100 * s->progress.noise[0]);
	printf("fingerprint:  %s\n", s->fingerprint);
}

static void print_json(const struct status *s)
{
	struct buf out = BUF_INIT;
	buf_printf(&out,
		"{\"spam\": %lld, \"ham\": %lld, \"logged\": %lld, \"error\": %.6f,"
		" \"disagreement\": %.6f, \"label_noise\": {\"spam\": %.6f, \"ham\": %.6f},"
		" \"fingerprint\": \"%s\"}\n",
		(long long)s->spam, (long long)s->ham, (long long)s->logged, s->progress.error,
		s->progress.disagreement, s->progress.noise[1], s->progress.noise[0],
		s->fingerprint);
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
}

static int run_status(const struct command *command, const void *values, int argc, char **argv)
{
	const struct bayes_values *o = values;
	struct arena *arena = arena_new(SIZE_MAX);
	struct status status = {.spam = 0};
	const char *folder = NULL;
	struct err err;
	int rc = find_folder(command->name, o->conf, arena, &folder);
	if (rc == COMMAND_OK && read_status(folder, arena, &status, &err) < 0)
		rc = judge_fail(command->name, "%s", err.text);
	if (rc == COMMAND_OK && o->json)
		print_json(&status);
	else if (rc == COMMAND_OK)
		print_text(&status);
	arena_free(&arena);
	return rc;
}

const struct command bayes_status_command = {
	.name = "bayes status",
	.summary = "Tells how the classifier is doing.",
	.description = "Error and agreement are those of about the last 200 lessons, each judged "
		       "before it "
		       "was learned. Models with the same fingerprint are the same to the bit.",
	.options = status_options,
	.size = sizeof(struct bayes_values),
	.run = run_status,
};

/* Rebuild and undo */

static struct teacher *open_teacher(const char *folder, struct err *err)
{
	struct teacher *teacher = teacher_open(folder, err);
	if (!teacher)
		err_prefix(err, "this needs the gateway to be stopped, or");
	return teacher;
}

static int change(const struct command *command, const struct bayes_values *o, bool undo)
{
	struct arena *arena = arena_new(SIZE_MAX);
	const struct journal_which which = {
		time(NULL) - o->hours * 3600, str_c(o->who ? o->who : "")};
	const char *folder = NULL;
	int64_t count = 0;
	struct err err;
	int rc = find_folder(command->name, o->conf, arena, &folder);
	struct teacher *teacher = rc == COMMAND_OK ? open_teacher(folder, &err) : NULL;
	if (rc == COMMAND_OK && (!teacher || (undo ? teacher_undo(teacher, &which, &count, &err)
						   : teacher_rebuild(teacher, &err)) < 0))
		rc = judge_fail(command->name, "%s", err.text);
	if (rc == COMMAND_OK && undo)
		printf("%lld lessons taken back\n", (long long)count);
	teacher_close(&teacher);
	arena_free(&arena);
	return rc;
}

static int run_rebuild(const struct command *command, const void *values, int argc, char **argv)
{
	return change(command, values, false);
}

static int run_undo(const struct command *command, const void *values, int argc, char **argv)
{
	return change(command, values, true);
}

const struct command bayes_rebuild_command = {
	.name = "bayes rebuild",
	.summary = "Makes the model again from the training log.",
	.description =
		"The gateway must not be running: its trainer does the same when it starts and "
		"finds the model missing, damaged or behind.",
	.options = rebuild_options,
	.size = sizeof(struct bayes_values),
	.run = run_rebuild,
};

const struct command bayes_undo_command = {
	.name = "bayes undo",
	.summary = "Takes the lessons of the last hours back.",
	.description =
		"They stay in the training log, marked; the model is made again without them. The "
		"gateway must not be running.",
	.options = undo_options,
	.size = sizeof(struct bayes_values),
	.run = run_undo,
};
