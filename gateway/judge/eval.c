/* eval: the classifier over a corpus in order, each message judged, then learned. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bayes/teacher.h"
#include "core/limits.h"
#include "gateway/judge/eval_plan.h"
#include "gateway/judge/judge.h"

struct eval_values {
	const char *index, *model, *feedback, *train;
	bool shuffle;
	double flip;
	int64_t seed, learn_count;
};
#define OPTION(name, arg, kind, member, standard, text)                                            \
	COMMAND_OPTION(0, name, arg, kind, struct eval_values, member, standard, text)
static const struct command_option options[] = {
	OPTION("index", "FILE", OPTION_STRING, index, "",
		"Lines \"spam PATH\" or \"ham PATH\", PATH relative to FILE."),
	OPTION("model", "DIR", OPTION_STRING, model, "",
		"Keep the model in this folder, which must be empty or missing."),
	OPTION("feedback", "KIND", OPTION_STRING, feedback, "",
		"immediate: each label is learned once its message is judged (the default); "
		"delayed=N: once N messages more are judged; partial=PERCENT: of that share of "
		"messages; errors: of messages that were misjudged."),
	OPTION("no-learn-after", "N", OPTION_INT, learn_count, "1000000000",
		"Learn nothing from messages behind the Nth."),
	OPTION("train", "FILE", OPTION_STRING, train, "",
		"Learn all of this list first, then judge the index without feedback."),
	{ { "flip", OPTION_NUMBER, offsetof(struct eval_values, flip), "0", 0, 100,
		  "Learn this share of labels the wrong way round; the true ones are printed." },
		0, "PERCENT" },
	COMMAND_FLAG(0, "shuffle", struct eval_values, shuffle,
		"Take the messages of each list in an order of chance."),
	OPTION("seed", "N", OPTION_INT, seed, "1",
		"Of all that is chance. The same seed gives the same run on every machine."),
	COMMAND_OPTIONS_END,
};

struct list {
	struct eval_sample *v;
	size_t n;
};

struct run {
	struct eval_plan plan;
	struct model *model;
	struct list train, index;
	/* Copies teach as little here as in a training log (teacher.h). */
	struct near *near;
	int64_t lessons, *copies; /* of each lesson, by its number from 1 */
};

/* The whole index first: a wrong line ends the run before it has printed anything. */
static int read_index(const char *file, struct arena *arena, struct list *list, struct err *err)
{
	struct str text, line;
	size_t number = 0, room = 0;
	if (judge_read_file(file, LIMIT_FACTS_BYTES * 4u, arena, &text, err) < 0)
		return -1;
	size_t slash = str_rchr(str_c(file), '/');
	struct str folder = slash < strlen(file) ? str_from(file, slash + 1) : STR("");
	while (str_cut(&text, '\n', &line)) {
		number++;
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n == 0)
			continue;
		bool spam = str_starts(line, "spam ");
		if (!spam && !str_starts(line, "ham "))
			return err_set(err, "%s:%zu: expected \"spam PATH\" or \"ham PATH\"", file,
				number);
		struct str path = str_skip(line, spam ? 5 : 4);
		if (list->n == room) {
			list->v = arena_grow(arena, list->v, room, room * 2 + 1024, sizeof(*list->v));
			room = room * 2 + 1024;
		}
		list->v[list->n++] = (struct eval_sample){spam,
			path.n && path.p[0] == '/'
				? arena_cstr(arena, path)
				: arena_printf(arena, "%.*s%.*s", STR_ARG(folder), STR_ARG(path))
					  .p};
	}
	return 0;
}

/* From the arena. */
static int look_at(const struct run *run, const struct eval_sample *sample, struct arena *arena,
	struct features *features_r, struct err *err)
{
	struct str raw;
	if (judge_read_file(sample->path, LIMIT_MESSAGE_BYTES, arena, &raw, err) < 0)
		return -1;
	features_of(mail_parse(arena, judge_crlf(arena, raw)), model_salt(run->model), features_r);
	return 0;
}

/* What the model thought before. */
static struct opinion learn(struct run *run, const struct features *features, bool spam)
{
	struct near_sketch sketch;
	near_sketch(features, &sketch);
	int64_t copy_of = near_find(run->near, &sketch, spam);
	if (copy_of && !teacher_heeds_copy(++run->copies[copy_of])) {
		struct opinion before = model_classify(run->model, features);
		model_count(run->model, spam);
		return before;
	}
	if (!copy_of)
		near_add(run->near, &sketch, spam, ++run->lessons);
	return model_learn(run->model, features, spam, 0);
}

/* One that was judged a while ago is taken apart anew, rather than all of them kept till then. */
static int learn_late(struct run *run, size_t at, struct err *err)
{
	const struct eval_sample *sample = &run->index.v[at];
	struct features features;
	if (!eval_plan_tells(&run->plan, at))
		return 0;
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	int rc = look_at(run, sample, arena, &features, err);
	if (rc == 0)
		learn(run, &features, eval_plan_label(&run->plan, at, sample->spam));
	arena_free(&arena);
	return rc;
}

/* Undecided is wrong too: so the first ones are learned. */
static bool is_right(double log_odds, bool spam)
{
	return spam ? log_odds > 0 : log_odds < 0;
}

static double judge_and_learn(struct run *run, size_t at, const struct features *features)
{
	const struct eval_plan *plan = &run->plan;
	bool label = eval_plan_label(plan, at, run->index.v[at].spam);
	if (plan->delay > 0 || !eval_plan_tells(plan, at))
		return model_classify(run->model, features).log_odds;
	if (!plan->errors_only)
		return learn(run, features, label).log_odds;
	double log_odds = model_classify(run->model, features).log_odds;
	if (!is_right(log_odds, label))
		learn(run, features, label);
	return log_odds;
}

static int judge_one(struct run *run, size_t at, struct err *err)
{
	const struct eval_plan *plan = &run->plan;
	const struct eval_sample *sample = &run->index.v[at];
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct features features;
	int rc = look_at(run, sample, arena, &features, err);
	if (rc == 0) {
		double log_odds = judge_and_learn(run, at, &features);
		printf("%s %.6f\n", sample->spam ? "spam" : "ham", log_odds);
		fflush(stdout);
	}
	arena_free(&arena);
	if (rc == 0 && plan->delay > 0 && (int64_t)at >= plan->delay)
		rc = learn_late(run, at - (size_t)plan->delay, err);
	return rc;
}

static int learn_list(struct run *run, struct err *err)
{
	const struct list index = run->index;
	int rc = 0;
	run->index = run->train;
	for (size_t at = 0; rc == 0 && at < run->train.n; at++)
		rc = learn_late(run, at, err);
	run->index = index;
	run->plan.learn_count = 0;
	return rc;
}

static int make_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0700) == 0)
		return 0;
	DIR *d = errno == EEXIST ? opendir(path) : NULL;
	if (!d)
		return err_sys(err, "%s cannot be made", path);
	size_t entries = 0;
	while (readdir(d))
		entries++;
	closedir(d);
	return entries <= 2 ? 0
			    : err_set(err, "%s is not empty: evaluation begins with an empty model",
				      path);
}

static struct model *open_model(const char *folder, struct arena *arena, struct err *err)
{
	if (!folder[0])
		return model_open(NULL, MODEL_MEMORY, err);
	const char *path = arena_printf(arena, "%s/model", folder).p;
	if (make_folder(folder, err) < 0 || model_ensure(path, err) < 0)
		return NULL;
	return model_open(path, MODEL_WRITE, err);
}

static int read_lists(
	struct run *run, const struct eval_values *o, struct arena *arena, struct err *err)
{
	if (read_index(o->index, arena, &run->index, err) < 0 ||
		(o->train[0] && read_index(o->train, arena, &run->train, err) < 0))
		return -1;
	if (o->shuffle) {
		eval_plan_shuffle(&run->plan, run->index.v, run->index.n);
		eval_plan_shuffle(&run->plan, run->train.v, run->train.n);
	}
	return 0;
}

static int run_lists(const struct eval_values *o, struct run *run, struct err *err)
{
	struct arena *arena = arena_new(SIZE_MAX);
	int rc = read_lists(run, o, arena, err);
	if (rc == 0 && !(run->model = open_model(o->model, arena, err)))
		rc = -1;
	run->copies = ARENA_ARRAY(arena, run->train.n + run->index.n + 1, int64_t);
	run->near = near_new();
	if (rc == 0 && o->train[0])
		rc = learn_list(run, err);
	for (size_t at = 0; rc == 0 && at < run->index.n; at++)
		rc = judge_one(run, at, err);
	if (rc == 0)
		rc = model_sync(run->model, err);
	near_free(&run->near);
	model_close(&run->model);
	arena_free(&arena);
	return rc;
}

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct eval_values *o = values;
	struct run run = { .plan = { .seed = (uint64_t)o->seed, .flip_percent = o->flip,
				   .learn_count = o->learn_count } };
	struct err err;
	if (!o->index[0])
		return judge_usage("eval", "--index FILE is missing");
	if (eval_plan_feedback(&run.plan, o->feedback[0] ? o->feedback : "immediate", &err) < 0)
		return judge_usage("eval", "%s", err.text);
	if (o->train[0] && o->feedback[0])
		return judge_usage("eval", "with --train there is no feedback: leave --feedback out");
	return run_lists(o, &run, &err) < 0 ? judge_fail("eval", "%s", err.text) : COMMAND_OK;
}

const struct command eval_command = {
	.name = "eval",
	.summary = "Runs the classifier over a corpus in order, learning each message after it was "
		   "judged.",
	.description = "Begins with an empty model. Prints a line a message, flushed: LABEL "
		       "LOG_ODDS, positive for spam. No DNS and no findings of other filters take "
		       "part. Near copies of a message teach as little as they do a gateway. With "
		       "--train the figures are those across corpora: what one list has taught is "
		       "tried on another.",
	.options = options,
	.size = sizeof(struct eval_values),
	.run = run,
};
