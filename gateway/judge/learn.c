/*
 * learn: teaches the classifier files, mboxes and Maildirs. A running gateway is the
 * only writer of its model, so messages are handed to it over the control socket;
 * without one the model in state_dir is written here, under its lock.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bayes/teacher.h"
#include "core/hash.h"
#include "core/limits.h"
#include "gateway/judge/corpus.h"
#include "gateway/judge/judge.h"

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
	const char *control;	 /* socket of a running gateway */
	struct teacher *teacher; /* or the model itself */
};

/* A running gateway */

static int connect_control(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sun.sun_path))
		return -1;
	memcpy(sun.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int send_all(int fd, struct str s)
{
	while (s.n) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		s = str_skip(s, (size_t)n);
	}
	return 0;
}

static int post(const struct lesson_run *run, struct str message, struct err *err)
{
	char head[256], reply[1024];
	size_t have = 0;
	int fd = connect_control(run->control);
	if (fd < 0)
		return err_sys(err, "the gateway at %s does not answer", run->control);
	int n = snprintf(head, sizeof(head),
		"POST /api/v1/learn?label=%s HTTP/1.1\r\nHost: gatepost\r\n"
		"Connection: close\r\nContent-Length: %zu\r\n\r\n",
		run->spam ? "spam" : "ham", message.n);
	int rc = send_all(fd, str_from(head, (size_t)n)) < 0 || send_all(fd, message) < 0 ? -1 : 0;
	for (ssize_t got; rc == 0 && have < sizeof(reply) - 1 &&
			  (got = recv(fd, reply + have, sizeof(reply) - 1 - have, 0)) > 0;)
		have += (size_t)got;
	close(fd);
	reply[have] = '\0';
	if (rc == 0 && str_starts(str_from(reply, have), "HTTP/1.1 200"))
		return 0;
	const char *body = strstr(reply, "\r\n\r\n");
	return err_set(
		err, "the gateway did not learn the message: %s", body ? body + 4 : "no answer");
}

/* None is running */

static int learn_here(struct lesson_run *run, struct str message, struct err *err)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	enum journal_change change = JOURNAL_KNOWN;
	char hash[65];
	struct journal_entry entry = {
		.time = time(NULL),
		.spam = run->spam,
		.channel = STR("cli"),
	};
	hash_sha256_hex(message, hash);
	entry.hash = str_c(hash);
	features_of(mail_parse(arena, message), model_salt(teacher_model(run->teacher)),
		&entry.features);
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
		rc = post(run, message, err);
		run->learned += rc == 0;
	}
	run->given += rc == 0;
	return rc;
}

static int open_target(
	struct lesson_run *run, const char *state_dir, struct arena *arena, struct err *err)
{
	run->control = arena_printf(arena, "%s/control.sock", state_dir).p;
	int fd = connect_control(run->control);
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	const char *folder = arena_printf(arena, "%s/bayes", state_dir).p;
	if (mkdir(state_dir, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "%s cannot be made", state_dir);
	if (mkdir(folder, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "%s cannot be made", folder);
	run->teacher = teacher_open(folder, err);
	return run->teacher ? 0 : -1;
}

static int learn_all(struct lesson_run *run, char **paths, int count, struct err *err)
{
	struct arena *arena = arena_new(SIZE_MAX);
	int rc = 0;
	for (int i = 0; rc == 0 && i < count; i++)
		rc = corpus_walk(paths[i], arena, learn_one, run, err);
	if (run->teacher && teacher_sync(run->teacher, rc < 0 ? NULL : err) < 0)
		rc = -1;
	arena_free(&arena);
	return rc;
}

static int read_state_dir(const char *file, struct arena *arena, const char **state_dir_r)
{
	struct str text;
	struct err err;
	struct conf *conf;
	if (config_load(file, arena, &text, &err) < 0)
		return judge_fail("learn", "%s", err.text);
	const struct config *config = config_read(text, file, arena, &conf);
	if (conf_errors(conf)->n)
		return judge_fail("learn", "%s", conf_errors(conf)->v[0]);
	*state_dir_r = config->state_dir;
	return COMMAND_OK;
}

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct learn_values *o = values;
	struct lesson_run lesson = {.spam = strcmp(argv[0], "spam") == 0};
	struct arena *arena = arena_new(SIZE_MAX);
	const char *state_dir = NULL;
	struct err err;
	if (!lesson.spam && strcmp(argv[0], "ham") != 0)
		return judge_usage("learn", "\"%s\": say spam or ham first", argv[0]);
	int rc = read_state_dir(o->conf, arena, &state_dir);
	if (rc == COMMAND_OK && (open_target(&lesson, state_dir, arena, &err) < 0 ||
					learn_all(&lesson, argv + 1, argc - 1, &err) < 0))
		rc = judge_fail("learn", "%s", err.text);
	printf("%zu messages learned as %s%s\n", lesson.learned, argv[0],
		lesson.teacher ? " (no gateway is running: its model was written here)" : "");
	if (lesson.given > lesson.learned)
		printf("%zu were known already\n", lesson.given - lesson.learned);
	teacher_close(&lesson.teacher);
	arena_free(&arena);
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
