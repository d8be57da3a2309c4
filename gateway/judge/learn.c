/*
 * learn: teaches the classifier files, mboxes and Maildirs. A running gateway is the
 * only writer of its model, so messages are handed to it over the control socket;
 * without one the model in state_dir is written here, under its lock, as the gateway
 * would: with what our own header lines say was found in the message.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "bayes/findings.h"
#include "bayes/teacher.h"
#include "core/hash.h"
#include "core/limits.h"
#include "gateway/control.h"
#include "gateway/identity.h"
#include "gateway/judge/corpus.h"
#include "gateway/judge/judge.h"
#include "rules/verdict.h"

struct learn_values {
	const char *conf;
};
static const struct command_option options[] = {
	COMMAND_OPTION('c', "config", "FILE", OPTION_STRING, struct learn_values, conf,
		CONFIG_DEFAULT_FILE, "The configuration, for its state_dir."),
	COMMAND_OPTIONS_END,
};

struct lesson_run {
	bool spam;
	size_t given, learned;
	struct arena *arena;
	const struct config *config;
	struct conf *conf;
	struct teacher *teacher; /* NULL: a running gateway learns */
	struct engine *engine;	 /* which knows whose findings are whose; NULL: it did not start */
};

/* A running gateway */

/* 1: learned. 0: no gateway is there. -1. */
static int post(const struct lesson_run *run, struct str message, struct err *err)
{
	struct control_reply reply;
	const char *path = run->spam ? "/api/v1/learn?label=spam" : "/api/v1/learn?label=ham";
	int rc = control_request(run->config->state_dir, "POST", path, message, &reply, err);
	if (rc == 1 && reply.status != 200) {
		control_error(&reply, err);
		rc = err_prefix(err, "the gateway did not learn the message");
	}
	control_reply_free(&reply);
	return rc;
}

/* None is running */

static void extract(const struct lesson_run *run, struct mail *mail, struct features *features_r)
{
	const uint8_t *salt = model_salt(teacher_model(run->teacher));
	struct str_list findings = { NULL, 0 };
	features_of(mail, salt, features_r);
	if (run->engine)
		engine_pick_findings(run->engine, verdict_headers_findings(mail, run->config->hostname),
			FEATURES_FINDINGS, mail->arena, &findings);
	findings_add(features_r, salt, findings.v, findings.n, mail->arena);
}

static int learn_here(struct lesson_run *run, struct str message, struct err *err)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	enum journal_change change = JOURNAL_KNOWN;
	char hash[IDENTITY_SIZE], octets[65];
	struct mail *mail = mail_parse(arena, message);
	struct journal_entry entry = {
		.time = time(NULL),
		.spam = run->spam,
		.channel = STR("cli"),
	};
	identity_of(mail, run->config->hostname, hash);
	hash_sha256_hex(message, octets);
	entry.hash = str_c(hash);
	entry.octets = str_c(octets);
	extract(run, mail, &entry.features);
	int rc = teacher_teach(run->teacher, &entry, &change, err);
	run->learned += rc == 0 && change != JOURNAL_KNOWN;
	arena_free(&arena);
	return rc;
}

static int learn_one(void *context, struct str message, struct err *err)
{
	struct lesson_run *run = context;
	int rc = 0;
	if (run->teacher) {
		rc = learn_here(run, message, err);
	} else {
		int posted = post(run, message, err);
		run->learned += posted == 1;
		rc = posted == 1 ? 0 : -1;
	}
	run->given += rc == 0;
	return rc;
}

/* What lacks for it, a GeoIP file say, is no reason to learn nothing. */
static void start_engine(struct lesson_run *run)
{
	struct env env = { .arena = run->arena, .state_dir = run->config->state_dir,
		.hostname = run->config->hostname, .conf = run->conf };
	struct err err;
	run->engine = engine_start(run->conf, &env, &err);
	if (!run->engine)
		fprintf(stderr, "gatepost learn: what filters found is not learned: %s\n", err.text);
}

static int open_target(struct lesson_run *run, struct err *err)
{
	const char *state_dir = run->config->state_dir;
	if (control_is_served(state_dir))
		return 0;
	const char *folder = arena_printf(run->arena, "%s/bayes", state_dir).p;
	if (mkdir(state_dir, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "%s cannot be made", state_dir);
	if (mkdir(folder, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "%s cannot be made", folder);
	run->teacher = teacher_open(folder, run->config->learn.half_life, err);
	if (!run->teacher)
		return -1;
	judge_tell_lost("learn", run->teacher);
	start_engine(run);
	return 0;
}

static int finish_here(struct lesson_run *run, struct err *err)
{
	int rc = teacher_sync(run->teacher, err);
	if (rc == 0)
		do
			rc = teacher_trim(run->teacher, run->config->learn.kept_lessons, err);
		while (rc > 0);
	return rc;
}

static int learn_all(struct lesson_run *run, char **paths, int count, struct err *err)
{
	struct arena *arena = arena_new(SIZE_MAX);
	int rc = 0;
	for (int i = 0; rc == 0 && i < count; i++)
		rc = corpus_walk(paths[i], arena, learn_one, run, err);
	if (run->teacher && finish_here(run, rc < 0 ? NULL : err) < 0)
		rc = -1;
	arena_free(&arena);
	return rc;
}

static int read_config(const char *file, struct lesson_run *run)
{
	struct str text;
	struct err err;
	if (config_load(file, run->arena, &text, &err) < 0)
		return judge_fail("learn", "%s", err.text);
	run->config = config_read(text, file, run->arena, &run->conf);
	if (conf_errors(run->conf)->n)
		return judge_fail("learn", "%s", conf_errors(run->conf)->v[0]);
	return COMMAND_OK;
}

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct learn_values *o = values;
	struct lesson_run lesson = {.spam = strcmp(argv[0], "spam") == 0};
	struct err err;
	if (!lesson.spam && strcmp(argv[0], "ham") != 0)
		return judge_usage("learn", "\"%s\": say spam or ham first", argv[0]);
	lesson.arena = arena_new(SIZE_MAX);
	int rc = read_config(o->conf, &lesson);
	if (rc == COMMAND_OK && (open_target(&lesson, &err) < 0 ||
					learn_all(&lesson, argv + 1, argc - 1, &err) < 0))
		rc = judge_fail("learn", "%s", err.text);
	/* After an error only what was learned all the same is worth telling. */
	if (rc == COMMAND_OK || lesson.learned)
		printf("%zu messages learned as %s%s\n", lesson.learned, argv[0],
			lesson.teacher ? " (no gateway is running: its model was written here)" :
			"");
	if (lesson.given > lesson.learned)
		printf("%zu were known already\n", lesson.given - lesson.learned);
	engine_stop(&lesson.engine);
	teacher_close(&lesson.teacher);
	arena_free(&lesson.arena);
	return rc;
}

const struct command learn_command = {
	.name = "learn",
	.summary = "Teaches the classifier what is spam and what is ham.",
	.arguments = "spam|ham PATH...",
	.min_args = 2,
	.max_args = -1,
	.description = "PATH is a message, an mbox, a Maildir, or a folder of these. A running "
		       "gateway learns "
		       "over its control socket; without one the model in state_dir is written.",
	.options = options,
	.size = sizeof(struct learn_values),
	.run = run,
};
