/* eval: the classifier over a corpus in order, each message judged, then learned. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bayes/model.h"
#include "core/limits.h"
#include "gateway/judge/judge.h"

struct eval_values {
	const char *index, *model;
};
static const struct command_option options[] = {
	COMMAND_OPTION(0, "index", "FILE", OPTION_STRING, struct eval_values, index, "",
		"Lines \"spam PATH\" or \"ham PATH\", PATH relative to FILE."),
	COMMAND_OPTION(0, "model", "DIR", OPTION_STRING, struct eval_values, model, "",
		"Keep the model in this folder, which must be empty or missing."),
	COMMAND_OPTIONS_END,
};

struct sample {
	bool spam;
	const char *path;
};

/* The whole index first: a wrong line ends the run before it has printed anything. */
static int read_index(const char *file, struct arena *arena, struct sample **samples_r,
	size_t *count_r, struct err *err)
{
	struct str text, line;
	size_t number = 0, room = 0;
	if (judge_read_file(file, LIMIT_FACTS_BYTES * 4u, arena, &text, err) < 0)
		return -1;
	size_t slash = str_rchr(str_c(file), '/');
	struct str folder = slash < strlen(file) ? str_from(file, slash + 1) : STR("");
	*count_r = 0;
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
		if (*count_r == room) {
			*samples_r = arena_grow(
				arena, *samples_r, room, room * 2 + 1024, sizeof(**samples_r));
			room = room * 2 + 1024;
		}
		(*samples_r)[(*count_r)++] = (struct sample){spam,
			path.n && path.p[0] == '/'
				? arena_cstr(arena, path)
				: arena_printf(arena, "%.*s%.*s", STR_ARG(folder), STR_ARG(path))
					  .p};
	}
	return 0;
}

static int judge_one(struct model *model, const struct sample *sample, struct err *err)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct str raw;
	struct features features;
	int rc = judge_read_file(sample->path, LIMIT_MESSAGE_BYTES, arena, &raw, err);
	if (rc == 0) {
		struct mail *mail = mail_parse(arena, judge_crlf(arena, raw));
		features_of(mail, model_salt(model), &features);
		struct opinion before = model_learn(model, &features, sample->spam, 0);
		printf("%s %.6f\n", sample->spam ? "spam" : "ham", before.log_odds);
		fflush(stdout);
	}
	arena_free(&arena);
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

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct eval_values *o = values;
	struct arena *arena = arena_new(SIZE_MAX);
	struct sample *samples = NULL;
	size_t count;
	struct err err;
	int rc = 0;
	if (!o->index[0])
		return judge_usage("eval", "--index FILE is missing");
	struct model *model = NULL;
	if (read_index(o->index, arena, &samples, &count, &err) < 0 ||
		!(model = open_model(o->model, arena, &err)))
		rc = -1;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = judge_one(model, &samples[i], &err);
	if (rc == 0)
		rc = model_sync(model, &err);
	model_close(&model);
	int code = rc < 0 ? judge_fail("eval", "%s", err.text) : COMMAND_OK;
	arena_free(&arena);
	return code;
}

const struct command eval_command = {
	.name = "eval",
	.summary = "Runs the classifier over a corpus in order, learning each message after it was "
		   "judged.",
	.description = "Begins with an empty model. Prints a line a message, flushed: LABEL "
		       "LOG_ODDS, positive "
		       "for spam. No DNS and no findings of other filters take part.",
	.options = options,
	.size = sizeof(struct eval_values),
	.run = run,
};
