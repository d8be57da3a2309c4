/*
 * bayes status, rebuild, undo, rollback, review, accept: how the classifier is doing, and
 * taking lessons back, or in. A running gateway is asked over its control socket, since it alone may
 * write the model; without one the model in state_dir is looked at, or written, here.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bayes/review.h"
#include "bayes/status.h"
#include "bayes/teacher.h"
#include "core/json.h"
#include "core/limits.h"
#include "gateway/control.h"
#include "gateway/judge/judge.h"

#define POLL_MS 50 /* between questions whether the gateway has made its model again */

struct bayes_values {
	const char *conf, *who;
	bool json;
	int64_t hours, back;
};

/* What all of them need. */
struct bayes_run {
	const char *name;
	struct arena *arena;
	const char *state_dir, *folder;
	int64_t half_life;
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

static const struct command_option rollback_options[] = {
	OPTION_CONFIG,
	COMMAND_OPTION(0, "back", "N", OPTION_INT, struct bayes_values, back, "0",
		"How many checkpoints to go back beyond the newest."),
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
	run->half_life = config->learn.half_life;
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
	if (s->trimmed)
		printf("log:          what %lld older lessons taught is in the model's base, and cannot be taken back\n",
			(long long)s->trimmed);
	if (s->refused)
		printf("review:       %lld lessons were refused as harmful: gatepost bayes review\n",
			(long long)s->refused);
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

struct changed {
	int64_t undone, trimmed;
	bool accepted, rebuilding;
};
static const struct field changed_fields[] = {
	FIELD_INT(struct changed, undone),
	FIELD_INT(struct changed, trimmed),
	FIELD_BOOL(struct changed, accepted),
	FIELD_BOOL(struct changed, rebuilding),
	FIELD_END,
};
static const struct record changed_record = RECORD("changed", struct changed, changed_fields);

/* What is to be done, by the gateway or here. */
struct change {
	enum { REBUILD, UNDO, ROLL_BACK, ACCEPT } what;
	struct journal_which which; /* UNDO */
	int64_t number;		    /* ROLL_BACK, ACCEPT */
};

static void path_of(const struct change *change, struct buf *path)
{
	switch (change->what) {
	case REBUILD:
		buf_c(path, "/api/v1/bayes/rebuild");
		break;
	case UNDO:
		buf_printf(path, "/api/v1/bayes/undo?since=%lld&who=", (long long)change->which.since);
		control_escape(path, change->which.who.n ? change->which.who.p : "");
		break;
	case ROLL_BACK:
		buf_printf(path, "/api/v1/bayes/rollback?checkpoint=%lld", (long long)change->number);
		break;
	case ACCEPT:
		buf_printf(path, "/api/v1/bayes/accept?id=%lld", (long long)change->number);
		break;
	}
	buf_char(path, '\0');
}

/* 1: done by the gateway. 0: none runs. -1. */
static int order(const struct bayes_run *run, const struct change *change,
	struct journal_undone *undone_r, struct err *err)
{
	struct buf path = BUF_INIT;
	struct changed changed = { .rebuilding = true };
	struct str answer;
	path_of(change, &path);
	int rc = ask(run, "POST", path.p, &answer, err);
	buf_free(&path);
	if (rc == 1 && record_from_json(&changed_record, answer, run->arena, &changed, err) < 0)
		rc = -1;
	if (rc == 1 && changed.rebuilding && await_rebuilt(run, err) < 0)
		rc = -1;
	*undone_r = (struct journal_undone){changed.undone, changed.trimmed};
	return rc;
}

static int begin_here(struct teacher *teacher, const struct change *change,
	struct journal_undone *undone_r, struct err *err)
{
	int rc = 1;
	switch (change->what) {
	case REBUILD:
		return teacher_begin_rebuild(teacher, err);
	case UNDO:
		return teacher_undo(teacher, &change->which, undone_r, err);
	case ROLL_BACK:
		rc = teacher_roll_back(teacher, change->number, undone_r, err);
		break;
	case ACCEPT:
		rc = teacher_accept(teacher, change->number, err);
		break;
	}
	if (rc == 0)
		return err_set(err, change->what == ACCEPT ? "no refused lesson has this number"
							   : "there is no such checkpoint");
	return rc < 0 ? -1 : 0;
}

static int change_here(const struct bayes_run *run, const struct change *change,
	struct journal_undone *undone_r, struct err *err)
{
	struct teacher *teacher = teacher_open(run->folder, run->half_life, err);
	int rc = teacher ? begin_here(teacher, change, undone_r, err) : -1;
	while (rc == 0 && teacher_is_rebuilding(teacher))
		rc = teacher_step_rebuild(teacher, err) < 0 ? -1 : 0;
	if (teacher)
		judge_tell_lost(run->name, teacher);
	teacher_close(&teacher);
	return rc;
}

static void print_undone(const struct journal_undone *undone)
{
	printf("%lld lessons taken back\n", (long long)undone->count);
	if (undone->trimmed)
		printf("%lld of them are older than what the training log keeps whole: they hold no more, but what "
		       "they taught stays in the model, and fades\n", (long long)undone->trimmed);
}

static int carry_out(const struct command *command, const struct bayes_values *o,
	const struct change *change)
{
	struct bayes_run run;
	struct journal_undone undone = {0};
	struct err err;
	int rc = set_up(&run, command, o);
	if (rc == COMMAND_OK) {
		int ordered = order(&run, change, &undone, &err);
		if (ordered < 0 || (ordered == 0 && change_here(&run, change, &undone, &err) < 0))
			rc = judge_fail(run.name, "%s", err.text);
	}
	if (rc == COMMAND_OK && (change->what == UNDO || change->what == ROLL_BACK))
		print_undone(&undone);
	arena_free(&run.arena);
	return rc;
}

static int run_rebuild(const struct command *command, const void *values, int argc, char **argv)
{
	return carry_out(command, values, &(struct change){ .what = REBUILD });
}

static int run_undo(const struct command *command, const void *values, int argc, char **argv)
{
	const struct bayes_values *o = values;
	const struct change undo = { .what = UNDO,
		.which = { time(NULL) - o->hours * 3600, str_c(o->who) } };
	return carry_out(command, o, &undo);
}

static int run_roll_back(const struct command *command, const void *values, int argc, char **argv)
{
	const struct bayes_values *o = values;
	return carry_out(command, o, &(struct change){ .what = ROLL_BACK, .number = o->back });
}

static int run_accept(const struct command *command, const void *values, int argc, char **argv)
{
	uint64_t id;
	if (str_to_u64(str_c(argv[0]), 1, INT64_MAX, &id) < 0)
		return judge_usage(command->name, "\"%s\" is no number of a lesson", argv[0]);
	return carry_out(command, values, &(struct change){ .what = ACCEPT, .number = (int64_t)id });
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
		       "the running gateway if there is one. Of lessons that are older than the newest \"learn "
		       "{ kept_lessons }\" the log does not know any more what they taught: they are marked, "
		       "too, but that stays in the model, and fades; how many they are is said.",
	.options = undo_options,
	.size = sizeof(struct bayes_values),
	.run = run_undo,
};

const struct command bayes_rollback_command = {
	.name = "bayes rollback",
	.summary = "Takes all lessons back that came after a checkpoint.",
	.description = "The classifier is then what it was at the checkpoint: one is made each day on which "
		       "lessons came, and three are kept, as long as fewer than \"learn "
		       "{ kept_lessons }\" came behind them. The lessons stay in the training log, marked.",
	.options = rollback_options,
	.size = sizeof(struct bayes_values),
	.run = run_roll_back,
};

const struct command bayes_accept_command = {
	.name = "bayes accept",
	.summary = "Lets a refused lesson hold after all.",
	.arguments = "NUMBER",
	.min_args = 1,
	.max_args = 1,
	.description = "NUMBER is that of \"gatepost bayes review\". The model is made again with it.",
	.options = rebuild_options,
	.size = sizeof(struct bayes_values),
	.run = run_accept,
};

/* Review */

static int read_review(const struct bayes_run *run, struct bayes_review *review, struct err *err)
{
	struct str answer;
	int rc = ask(run, "GET", "/api/v1/bayes/refused", &answer, err);
	if (rc != 0)
		return rc < 0 ? -1 : record_from_json(&bayes_review_record, answer, run->arena, review, err);
	struct journal *journal =
		journal_open(arena_printf(run->arena, "%s/log.db", run->folder).p, true, err);
	rc = journal ? bayes_review_read(journal, run->arena, review, err) : -1;
	journal_close(&journal);
	return rc;
}

static void print_review(const struct bayes_review *review)
{
	struct buf out = BUF_INIT;
	for (size_t i = 0; i < review->refused.n; i++) {
		const struct bayes_refused *l = &review->refused.v[i];
		const time_t seconds = l->time;
		char when[32] = "";
		struct tm tm;
		if (gmtime_r(&seconds, &tm))
			strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
		buf_printf(&out, "%lld  %s  %s  ", (long long)l->id, when, l->spam ? "spam" : "ham");
		text_safe(&out, l->who, 100);
		buf_printf(&out, " (%.*s)  message %.*s\n", STR_ARG(l->channel), STR_ARG(l->hash));
	}
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
}

static int run_review(const struct command *command, const void *values, int argc, char **argv)
{
	const struct bayes_values *o = values;
	struct bayes_run run;
	struct bayes_review review = { .refused = { NULL, 0 } };
	struct buf out = BUF_INIT;
	struct err err;
	int rc = set_up(&run, command, o);
	if (rc == COMMAND_OK && read_review(&run, &review, &err) < 0)
		rc = judge_fail(run.name, "%s", err.text);
	if (rc == COMMAND_OK && o->json) {
		record_to_json(&bayes_review_record, &review, &out);
		buf_char(&out, '\n');
		fwrite(out.p, 1, out.n, stdout);
	} else if (rc == COMMAND_OK) {
		print_review(&review);
	}
	buf_free(&out);
	arena_free(&run.arena);
	return rc;
}

const struct command bayes_review_command = {
	.name = "bayes review",
	.summary = "Lists lessons that were refused, since known messages would have been misjudged.",
	.description = "The newest hundred, newest first: number, time (UTC), label, giver, channel, and the "
		       "hash by which the training log knows the message. What is older than the newest \"learn { "
		       "kept_lessons }\" is not listed: such a message can be taught anew.",
	.options = status_options,
	.size = sizeof(struct bayes_values),
	.run = run_review,
};
