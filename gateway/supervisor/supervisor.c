#include "gateway/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/log.h"

#define CHORES_MS	 50
#define STOP_DEADLINE_MS 60000
#define STOP_AGAIN_MS	 1000
#define ROLES_A_STAGE	 3
#define DESCRIPTORS	 65536 /* of a process, as the unit for systemd says too */

/* What there is once: it serves all generations. */
static const enum role singles[] = { ROLE_RESOLVER, ROLE_KEEPER, ROLE_TRAINER, ROLE_WEB };

/* In this order they are ended: each before those that it asks. */
static const struct {
	enum role roles[ROLES_A_STAGE];
	size_t count;
} stop_stages[] = {
	{ { ROLE_FRONT, ROLE_WEB }, 2 },
	{ { ROLE_TRAINER }, 1 },
	{ { ROLE_INSPECTOR, ROLE_SCANNER, ROLE_RESOLVER }, 3 },
	{ { ROLE_KEEPER }, 1 },
};
#define STOP_STAGES (sizeof(stop_stages) / sizeof(*stop_stages))

bool supervisor_is_generational(enum role role)
{
	return role == ROLE_FRONT || role == ROLE_INSPECTOR || role == ROLE_SCANNER;
}

void supervisor_wake(struct supervisor *s)
{
	loop_timer_set(s->chores, 0);
}

/* Starting a generation */

static bool is_installed(const struct supervisor *s, enum role role)
{
	char path[5000];

	snprintf(path, sizeof(path), "%s/%s", s->libexec, role_names[role]);
	return access(path, X_OK) == 0;
}

static int spawn(struct supervisor *s, enum role role, struct settings *settings, struct err *err)
{
	if (!is_installed(s, role))
		return err_set(err, "%s/%s is missing: the installation is not complete",
			s->libexec, role_names[role]);
	return process_spawn(s, role, s->preparing, settings, err) != NULL ? 0 : -1;
}

static int spawn_generation(struct supervisor *s, struct settings *settings, struct err *err)
{
	if (spawn(s, ROLE_INSPECTOR, settings, err) != 0 ||
		spawn(s, ROLE_SCANNER, settings, err) != 0)
		return -1;
	for (int64_t i = 0; i < settings->config->fronts; i++)
		if (spawn(s, ROLE_FRONT, settings, err) != 0)
			return -1;
	return 0;
}

static bool is_all_ready(const struct supervisor *s)
{
	for (const struct process *p = s->processes; p != NULL; p = p->next)
		if (p->generation == s->preparing && p->state != PROCESS_READY)
			return false;
	return true;
}

static void log_generation(const struct supervisor *s, const char *event, int64_t generation)
{
	struct log_line *line = log_line(LOG_LEVEL_INFO, event);

	log_int(line, "generation", generation);
	log_c(line, "file", s->file);
	log_end(line);
}

/* The file's text is new: those that are there once are to read it too. */
static void replace_singles(struct supervisor *s)
{
	for (struct process *p = s->processes; p != NULL; p = p->next) {
		if (supervisor_is_generational(p->role) || p->is_replaced ||
			str_eq(p->settings->text, s->settings->text))
			continue;
		p->is_replaced = true;
		process_drain(p, loop_now_ms(s->loop) + STOP_DEADLINE_MS);
	}
}

/* Half for those that are in a conversation to end it, half for what they have begun then. */
static int64_t drain_deadline(const struct process *p)
{
	return loop_now_ms(p->supervisor->loop) + p->settings->config->limits.drain_timeout / 2;
}

static bool has_serving_front(const struct supervisor *s, int64_t generation)
{
	for (const struct process *p = s->processes; p != NULL; p = p->next)
		if (p->role == ROLE_FRONT && p->generation == generation &&
			p->state == PROCESS_SERVING)
			return true;
	return false;
}

/* What judges for an old generation is needed, and replaced if it dies, as long as its fronts
 * serve. */
static void drain_old_judges(struct supervisor *s)
{
	for (struct process *p = s->processes, *next; p != NULL; p = next) {
		next = p->next;
		if (!supervisor_is_generational(p->role) || p->role == ROLE_FRONT ||
			p->generation == s->generation || p->generation == s->preparing ||
			p->state == PROCESS_DRAINING || has_serving_front(s, p->generation))
			continue;
		if (p->state == PROCESS_WAITING)
			process_remove(&p);
		else
			process_drain(p, drain_deadline(p));
	}
}

/* The last generation's connections go on; those of the one before have had their time. */
static void drain_old(struct supervisor *s)
{
	for (struct process *p = s->processes, *next; p != NULL; p = next) {
		next = p->next;
		if (p->role != ROLE_FRONT || p->generation == s->generation ||
			p->state == PROCESS_DRAINING)
			continue;
		if (p->state == PROCESS_WAITING)
			process_remove(&p);
		else if (p->state == PROCESS_SERVING && !p->is_retiring)
			process_retire(p, drain_deadline(p));
		else
			process_drain(p, drain_deadline(p));
	}
	drain_old_judges(s);
}

/* Everything of the generation is loaded and confined: from now on it is the one that serves. */
static void swap(struct supervisor *s)
{
	bool is_first = s->settings == NULL;

	s->generation = s->preparing;
	s->preparing = 0;
	settings_unref(&s->settings);
	s->settings = s->next;
	s->next = NULL;
	for (struct process *p = s->processes; p != NULL; p = p->next)
		if (p->generation == s->generation && p->state == PROCESS_READY)
			process_serve(p);
	listeners_keep(&s->listeners, s->settings);
	if (is_first) {
		log_generation(s, "started", s->generation);
		notify_send("READY=1");
		return;
	}
	drain_old(s);
	wiring_move_bench(s);
	for (struct process *p = s->processes; p != NULL; p = p->next)
		if (!supervisor_is_generational(p->role) && p->state == PROCESS_SERVING)
			process_tell_judge(p);
	replace_singles(s);
	shared_add(s->shared, SHARED_RELOADS, 1);
	log_generation(s, "reloaded", s->generation);
	notify_send("READY=1");
	supervisor_wake(s);
}

/* The generation under way comes to nothing; the one that serves goes on. */
static void abandon(struct supervisor *s, const char *why)
{
	if (s->settings == NULL) {
		fprintf(stderr, "gatepost: %s\n", why);
		s->status = 1;
		supervisor_stop(s);
		return;
	}
	struct log_line *line = log_line(LOG_LEVEL_ERROR, "reload-refused");
	log_c(line, "file", s->file);
	log_c(line, "text", why);
	log_end(line);
	for (struct process *p = s->processes; p != NULL; p = p->next)
		if (p->generation == s->preparing && supervisor_is_generational(p->role)) {
			p->state = PROCESS_DRAINING;
			process_kill(p);
		}
	listeners_undo(&s->listeners);
	s->preparing = 0;
	settings_unref(&s->next);
	notify_send("READY=1");
	supervisor_wake(s);
}

void supervisor_reload(struct supervisor *s)
{
	struct err err;

	if (s->is_stopping)
		return;
	if (s->preparing != 0) {
		s->reload_wanted = true;
		return;
	}
	log_generation(s, "reload-started", s->last_generation + 1);
	notify_send("RELOADING=1");
	s->preparing = ++s->last_generation;
	s->next = settings_load(s->file, &err);
	if (s->next != NULL &&
		strcmp(s->next->config->state_dir, s->settings->config->state_dir) != 0) {
		err_set(&err, "%s: state_dir cannot change while the gateway runs: stop it first",
			s->file);
		settings_unref(&s->next);
	}
	if (s->next == NULL || listeners_open(&s->listeners, s->next, &err) != 0 ||
		spawn_generation(s, s->next, &err) != 0)
		abandon(s, err.text);
}

/* What becomes of processes */

void supervisor_ready(struct supervisor *s, struct process *process)
{
	if (s->preparing != 0 && process->generation == s->preparing) {
		if (is_all_ready(s))
			swap(s);
		return;
	}
	process_serve(process);
	if (process->role != ROLE_INSPECTOR)
		return;
	/* Its databases may be newer than those of the one that died. */
	for (struct process *p = s->processes; p != NULL; p = p->next)
		if (p->state == PROCESS_SERVING && (p->role == ROLE_FRONT || p->role == ROLE_WEB))
			process_tell_judge(p);
}

static void log_process(enum log_level level, const char *event, const struct process *process)
{
	struct log_line *line = log_line(level, event);

	log_c(line, "what", role_names[process->role]);
	log_int(line, "number", process->index);
	log_int(line, "generation", process->generation);
	log_int(line, "process", process->pid);
	if (WIFSIGNALED(process->status))
		log_int(line, "signal", WTERMSIG(process->status));
	else
		log_int(line, "status", WEXITSTATUS(process->status));
	if (process->failure.text[0] != '\0')
		log_c(line, "text", process->failure.text);
	log_end(line);
}

static void advance_stop(struct supervisor *s);

/* Of a generation that is not in use yet, one failed: for a reason that it told, or by a signal. */
static void start_failed(struct supervisor *s, struct process *process)
{
	struct err why;

	if (process->failure.text[0] != '\0')
		why = process->failure;
	else if (WIFSIGNALED(process->status))
		err_set(&why, "%s was ended by signal %d while it started",
			role_names[process->role], WTERMSIG(process->status));
	else
		err_set(&why, "%s ended with status %d while it started", role_names[process->role],
			WEXITSTATUS(process->status));
	process_remove(&process);
	abandon(s, why.text);
}

static void respawn(struct process *process)
{
	struct supervisor *s = process->supervisor;
	struct err err;

	if (!supervisor_is_generational(process->role) && s->settings != NULL) {
		settings_unref(&process->settings);
		process->settings = settings_ref(s->settings);
	}
	if (process_respawn(process, &err) == 0)
		return;
	log_event(LOG_LEVEL_ERROR, "respawn-failed", "%s: %s", role_names[process->role], err.text);
	process->state = PROCESS_WAITING;
	process->retry_ms = loop_now_ms(s->loop) + 1000;
	supervisor_wake(s);
}

void supervisor_gone(struct supervisor *s, struct process *process)
{
	wiring_disconnect(s, process);
	shared_forget(s->shared, process->role, process->index);
	bool is_leaving = process->state == PROCESS_DRAINING || process->is_retiring;
	if (s->is_stopping || (is_leaving && !process->is_replaced)) {
		bool is_death = !s->is_stopping && process->state == PROCESS_SERVING &&
				process->status != 0;
		log_process(is_death ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
			is_death ? "role-died" : "ended", process);
		process_remove(&process);
		if (s->is_stopping)
			advance_stop(s);
		else
			drain_old_judges(s);
		return;
	}
	if (s->preparing != 0 && process->generation == s->preparing) {
		log_process(LOG_LEVEL_ERROR, "start-failed", process);
		start_failed(s, process);
		return;
	}
	if (process->is_replaced && process->state == PROCESS_DRAINING) {
		log_process(LOG_LEVEL_INFO, "replaced", process);
	} else {
		log_process(LOG_LEVEL_ERROR, "role-died", process);
		shared_add(s->shared, SHARED_ROLE_DEATHS, 1);
	}
	respawn(process);
	process->is_replaced = false;
}

/* The end */

static bool is_of_stage(enum role role, size_t stage)
{
	for (size_t i = 0; i < stop_stages[stage].count; i++)
		if (stop_stages[stage].roles[i] == role)
			return true;
	return false;
}

static size_t drain_stage(struct supervisor *s, size_t stage)
{
	size_t count = 0;

	for (struct process *p = s->processes, *next; p != NULL; p = next) {
		next = p->next;
		if (!is_of_stage(p->role, stage))
			continue;
		if (p->state == PROCESS_WAITING) {
			process_remove(&p);
			continue;
		}
		count++;
		if (p->state != PROCESS_DRAINING)
			process_drain(p, p->deadline_ms);
	}
	return count;
}

static void advance_stop(struct supervisor *s)
{
	while (s->stop_stage < STOP_STAGES && drain_stage(s, s->stop_stage) == 0)
		s->stop_stage++;
	if (s->stop_stage == STOP_STAGES)
		loop_stop(s->loop);
}

void supervisor_stop(struct supervisor *s)
{
	if (s->is_stopping) {
		/* Asked again: somebody does not want to wait. At once, it is the same wish
		 * that came twice, to us and to our process group. */
		if (loop_now_ms(s->loop) - s->stopping_since_ms < STOP_AGAIN_MS)
			return;
		for (struct process *p = s->processes; p != NULL; p = p->next)
			process_kill(p);
		return;
	}
	s->is_stopping = true;
	log_event(LOG_LEVEL_INFO, "stopping", "taking nothing new, finishing what is under way");
	notify_send("STOPPING=1");
	s->stopping_since_ms = loop_now_ms(s->loop);
	int64_t deadline = s->stopping_since_ms + STOP_DEADLINE_MS;
	for (struct process *p = s->processes; p != NULL; p = p->next)
		p->deadline_ms = deadline;
	advance_stop(s);
}

/* What is done later: retries, and an end to those that drain for too long. */
static void on_chores(void *context)
{
	struct supervisor *s = context;
	int64_t now = loop_now_ms(s->loop);
	bool is_left = wiring_retry(s, now);

	for (struct process *p = s->processes; p != NULL; p = p->next) {
		if (p->state == PROCESS_WAITING) {
			is_left = true;
			if (now >= p->retry_ms)
				respawn(p);
		} else if (p->state == PROCESS_DRAINING) {
			is_left = true;
			if (now >= p->deadline_ms)
				process_kill(p);
		} else if (p->is_retiring) {
			is_left = true;
			if (now >= p->deadline_ms)
				process_drain(p, drain_deadline(p));
		}
	}
	if (!s->is_stopping)
		drain_old_judges(s);
	if (s->reload_wanted && s->preparing == 0) {
		s->reload_wanted = false;
		supervisor_reload(s);
	}
	if (is_left || s->reload_wanted)
		loop_timer_set(s->chores, CHORES_MS);
}

/* The start */

static void on_child_signal(void *context)
{
	process_reap(context);
}

static void on_reload_signal(void *context)
{
	supervisor_reload(context);
}

static void on_stop_signal(void *context)
{
	supervisor_stop(context);
}

static int find_libexec(struct supervisor *s, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", s->libexec, sizeof(s->libexec) - 1);
	if (n <= 0)
		return err_sys(err, "cannot find out where this program lies");
	s->libexec[n] = '\0';
	char *slash = strrchr(s->libexec, '/');
	if (slash != NULL)
		*slash = '\0';
	return 0;
}

static int spawn_singles(struct supervisor *s, struct err *err)
{
	for (size_t i = 0; i < sizeof(singles) / sizeof(*singles); i++) {
		if (singles[i] == ROLE_TRAINER && !is_installed(s, ROLE_TRAINER))
			continue;
		if (spawn(s, singles[i], s->next, err) != 0)
			return -1;
	}
	return 0;
}

static int start(struct supervisor *s, struct err *err)
{
	s->next = settings_load(s->file, err);
	if (s->next == NULL || find_libexec(s, err) != 0)
		return -1;
	/* Sockets first: whoever cannot have them should not wait for databases to be told. */
	if (listeners_open_control(&s->listeners, s->next, err) != 0 ||
		listeners_open(&s->listeners, s->next, err) != 0)
		return -1;
	s->shared = shared_create(&s->shared_fd, err);
	if (s->shared == NULL)
		return -1;
	s->generation = s->preparing = s->last_generation = 1;
	if (spawn_generation(s, s->next, err) != 0 || spawn_singles(s, err) != 0)
		return -1;
	return 0;
}

/* Every connection is a descriptor of its front. Only root can have more than it was given. */
static void raise_limits(void)
{
	struct rlimit files, wanted = { DESCRIPTORS, DESCRIPTORS };

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return;
	if (files.rlim_max < wanted.rlim_max && setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

int supervisor_run(const char *file)
{
	static struct supervisor s;
	struct err err;

	log_start("supervisor", -1);
	raise_limits();
	signal(SIGPIPE, SIG_IGN);
	umask(027);
	s.file = file;
	s.loop = loop_new();
	s.chores = loop_timer_new(s.loop, on_chores, &s);
	struct loop_signal *signals[] = {
		loop_signal_new(s.loop, SIGCHLD, on_child_signal, &s),
		loop_signal_new(s.loop, SIGHUP, on_reload_signal, &s),
		loop_signal_new(s.loop, SIGTERM, on_stop_signal, &s),
		loop_signal_new(s.loop, SIGINT, on_stop_signal, &s),
	};
	if (start(&s, &err) != 0) {
		fprintf(stderr, "gatepost: %s\n", err.text);
		s.status = 1;
		supervisor_stop(&s);
	}
	loop_run(s.loop);
	if (s.status == 0)
		log_event(LOG_LEVEL_INFO, "stopped", "everything is finished");
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		loop_signal_free(&signals[i]);
	return s.status;
}
