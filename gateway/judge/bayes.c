/*
 * bayes status, bayes rebuild, bayes undo: how the classifier is doing, and taking
 * lessons back. A running gateway is asked over its control socket, since it alone may
 * write the model; without one the model in state_dir is looked at, or written, here.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bayes/status.h"
#include "bayes/teacher.h"
#include "core/limits.h"
#include "gateway/control.h"
#include "gateway/judge/judge.h"

#define POLL_MS 50 /* between questions whether the gateway has made its model again */

struct bayes_values {
	const char *conf, *who;
	bool json;
	int64_t hours;
};

/* What all three need. */
struct bayes_run {
	const char *name;
	struct arena *arena;
	const char *state_dir, *folder;
	struct bayes_status_conf conf;
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

static int set_up(struct bayes_run *run, const struct command *command, const struct bayes_values *o)
{
	struct str text;
	struct err err;
	struct conf *conf;
	*run = (struct bayes_run){ .name = command->name, .arena = arena_new(SIZE_MAX) };
	if (config_load(o->conf, run->arena, &text, &err) < 0)
		return judge_fail(run->name, "%s", err.text);
	const struct config *config = config_read(text, o->conf, run->arena, &conf);
	bayes_status_configure(conf, &run->conf);
	if (conf_errors(conf)->n)
		return judge_fail(run->name, "%s", conf_errors(conf)->v[0]);
	run->state_dir = config->state_dir;
	run->folder = config_path(config, run->arena, "bayes");
	return COMMAND_OK;
}

/* 1: the answer's text, in the arena. 0: no gateway runs. -1. */
static int ask(const struct bayes_run *run, const char *method, const char *path, struct str *answer_r,
	struct err *err)
{
	struct control_reply reply;
	int rc = control_request(run->state_dir, method, path, STR(""), &reply, err);
	if (rc == 1 && reply.status != 200) {
		control_error(&reply, err);
		rc = -1;
	}
	if (rc == 1)
		*answer_r = arena_dup(run->arena, reply.body);
	control_reply_free(&reply);
	return rc;
}

static int ask_status(const struct bayes_run *run, struct bayes_status *s, struct err *err)
{
	struct str answer;
	int rc = ask(run, "GET", "/api/v1/bayes", &answer, err);
	if (rc == 1 && record_from_json(&bayes_status_record, answer, run->arena, s, err) < 0)
		return -1;
	return rc;
}

/* Status */

static int read_status(const struct bayes_run *run, struct bayes_status *s, struct err *err)
{
	const char *path = arena_printf(run->arena, "%s/model", run->folder).p;
	bool is_there = access(path, F_OK) == 0;
	struct model *model = model_open(path, is_there ? MODEL_READ : MODEL_MEMORY, err);
	if (!model)
		return -1;
	bayes_status_of(model, &run->conf, run->arena, s);
	if (!is_there) {
		model_close(&model);
		return 0;
	}
	struct journal *journal =
		journal_open(arena_printf(run->arena, "%s/log.db", run->folder).p, true, err);
	int rc = journal ? bayes_status_more(model, journal, run->arena, s, err) : -1;
	journal_close(&journal);
	model_close(&model);
	return rc;
}

static void print_text(const struct bayes_status *s)
{
	printf("learned:      %lld spam, %lld ham\n", (long long)s->spam, (long long)s->ham);
	if (s->counts)
		printf("judgements:   count\n");
	else
		printf("judgements:   do not count yet: needs %.*s\n", STR_ARG(s->needs));
	printf("of late:      %.1f%% of lessons misjudged before they were learned\n", 100 * s->error);
	printf("views:        agree on %.1f%%\n", 100 - 100 * s->disagreement);
	printf("labels:       %.1f%% of spam's and %.1f%% of ham's are taken for wrong\n",
		100 * s->label_noise.spam, 100 * s->label_noise.ham);
	if (s->rebuilding)
		printf("model:        is being made again from the training log\n");
	else
		printf("model:        %.*s, of %lld lessons that hold in the training log\n",
			STR_ARG(s->fingerprint), (long long)s->logged);
	if (s->trouble.n)
		printf("trouble:      it was not made again: %.*s\n", STR_ARG(s->trouble));
}

static void print_json(const struct bayes_status *s)
{
	struct buf out = BUF_INIT;
	record_to_json(&bayes_status_record, s, &out);
	buf_char(&out, '\n');
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
}

static int run_status(const struct command *command, const void *values, int argc, char **argv)
{
	const struct bayes_values *o = values;
	struct bayes_run run;
	struct bayes_status status = { .spam = 0 };
	struct err err;
	int rc = set_up(&run, command, o);
	if (rc == COMMAND_OK) {
		int asked = ask_status(&run, &status, &err);
		if (asked < 0 || (asked == 0 && read_status(&run, &status, &err) < 0))
			rc = judge_fail(run.name, "%s", err.text);
	}
	if (rc == COMMAND_OK && o->json)
		print_json(&status);
	else if (rc == COMMAND_OK)
		print_text(&status);
	arena_free(&run.arena);
	return rc;
}

const struct command bayes_status_command = {
	.name = "bayes status",
	.summary = "Tells how the classifier is doing.",
	.description = "Of the running gateway, or of the model in state_dir. Error and agreement are "
		       "those of about the last 200 lessons, each judged before it was learned. Models "
		       "with the same fingerprint are the same to the bit.",
	.options = status_options,
	.size = sizeof(struct bayes_values),
	.run = run_status,
};

/* Rebuild and undo */

static int await_rebuilt(const struct bayes_run *run, struct err *err)
{
	struct bayes_status status = { .rebuilding = true };
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	while (status.rebuilding) {
		int rc = ask_status(run, &status, err);
		if (rc != 1)
			return err_prefix(err, "while the model is made again");
		if (status.rebuilding)
			nanosleep(&pause, NULL);
	}
	return status.trouble.n ? err_set(err, "the model was not made again: %.*s", STR_ARG(status.trouble)) :
				  0;
}

struct undone {
	int64_t undone;
	bool rebuilding;
};
static const struct field undone_fields[] = {
	FIELD_INT(struct undone, undone),
	FIELD_BOOL(struct undone, rebuilding),
	FIELD_END,
};
static const struct record undone_record = RECORD("undone", struct undone, undone_fields);

/* 1: done by the gateway. 0: none runs. -1. which NULL: a rebuild alone. */
static int order(const struct bayes_run *run, const struct journal_which *which, int64_t *count_r,
	struct err *err)
{
	struct buf path = BUF_INIT;
	struct undone undone = { .rebuilding = true };
	struct str answer;
	if (which) {
		buf_printf(&path, "/api/v1/bayes/undo?since=%lld&who=", (long long)which->since);
		control_escape(&path, which->who.n ? which->who.p : "");
	} else {
		buf_c(&path, "/api/v1/bayes/rebuild");
	}
	buf_char(&path, '\0');
	int rc = ask(run, "POST", path.p, &answer, err);
	buf_free(&path);
	if (rc == 1 && record_from_json(&undone_record, answer, run->arena, &undone, err) < 0)
		rc = -1;
	if (rc == 1 && undone.rebuilding && await_rebuilt(run, err) < 0)
		rc = -1;
	*count_r = undone.undone;
	return rc;
}

static int change_here(const struct bayes_run *run, const struct journal_which *which, int64_t *count_r,
	struct err *err)
{
	struct teacher *teacher = teacher_open(run->folder, err);
	int rc = teacher ? 0 : -1;
	if (rc == 0)
		rc = which ? teacher_undo(teacher, which, count_r, err) : teacher_begin_rebuild(teacher, err);
	while (rc == 0 && teacher_is_rebuilding(teacher))
		rc = teacher_step_rebuild(teacher, err) < 0 ? -1 : 0;
	teacher_close(&teacher);
	return rc;
}

static int change(const struct command *command, const struct bayes_values *o,
	const struct journal_which *which)
{
	struct bayes_run run;
	int64_t count = 0;
	struct err err;
	int rc = set_up(&run, command, o);
	if (rc == COMMAND_OK) {
		int ordered = order(&run, which, &count, &err);
		if (ordered < 0 || (ordered == 0 && change_here(&run, which, &count, &err) < 0))
			rc = judge_fail(run.name, "%s", err.text);
	}
	if (rc == COMMAND_OK && which)
		printf("%lld lessons taken back\n", (long long)count);
	arena_free(&run.arena);
	return rc;
}

static int run_rebuild(const struct command *command, const void *values, int argc, char **argv)
{
	return change(command, values, NULL);
}

static int run_undo(const struct command *command, const void *values, int argc, char **argv)
{
	const struct bayes_values *o = values;
	const struct journal_which which = { time(NULL) - o->hours * 3600, str_c(o->who) };
	return change(command, o, &which);
}

const struct command bayes_rebuild_command = {
	.name = "bayes rebuild",
	.summary = "Makes the model again from the training log.",
	.description = "A running gateway judges by the old one and learns on until it is done. It does the "
		       "same when it starts and finds the model missing, damaged or behind.",
	.options = rebuild_options,
	.size = sizeof(struct bayes_values),
	.run = run_rebuild,
};

const struct command bayes_undo_command = {
	.name = "bayes undo",
	.summary = "Takes the lessons of the last hours back.",
	.description = "They stay in the training log, marked; the model is made again without them, by "
		       "the running gateway if there is one.",
	.options = undo_options,
	.size = sizeof(struct bayes_values),
	.run = run_undo,
};
