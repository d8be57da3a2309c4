#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/limits.h"
#include "gateway/log.h"
#include "gateway/supervisor/supervisor.h"

/* Deaths within this time of the start follow upon each other too closely. */
#define EARLY_MS     1000
#define EARLY_DEATHS 3
#define RETRY_MS     1000
#define RETRY_MAX_MS 30000
#define AGAIN_MS     250

bool process_is_alive(const struct process *process)
{
	return process->state != PROCESS_WAITING && process->control != NULL && !process->is_reaped;
}

int process_send(struct process *process, uint16_t type, const struct record *record,
	const void *object, const int *fds, unsigned fd_count)
{
	struct ipc_packet packet = { .type = type, .fd_count = fd_count };
	struct buf buf = BUF_INIT;

	if (process->control == NULL)
		return -1;
	if (record != NULL)
		record_encode(record, object, &buf);
	for (unsigned i = 0; i < fd_count; i++)
		packet.fds[i] = fds[i];
	packet.payload = buf_str(&buf);
	int result = channel_send(process->control, &packet);
	buf_free(&buf);
	return result;
}

/* What a process says */

static int take_ready(struct process *process, const struct ipc_packet *packet, struct arena *arena,
	struct err *err)
{
	struct ctl_ready ready;

	if (record_decode(&ctl_ready_record, packet->payload, arena, &ready, err) != 0)
		return -1;
	buf_clear(&process->versions);
	buf_str_add(&process->versions, ready.versions);
	process->ready = ready;
	process->ready.versions = buf_str(&process->versions);
	/* Told to end while it loaded, because another of its generation failed: this crossed that. */
	if (process->state == PROCESS_DRAINING)
		return 0;
	if (process->state != PROCESS_STARTING)
		return err_set(err, "it is not starting");
	process->state = PROCESS_READY;
	supervisor_ready(process->supervisor, process);
	return 0;
}

static int take(struct process *process, const struct ipc_packet *packet, struct arena *arena,
	struct err *err)
{
	struct supervisor *s = process->supervisor;
	struct ctl_text text;
	struct ctl_died died;
	struct ctl_peer peer;

	switch (packet->type) {
	case CTL_READY:
		return take_ready(process, packet, arena, err);
	case CTL_FAILED:
		if (record_decode(&ctl_text_record, packet->payload, arena, &text, err) != 0)
			return -1;
		err_set(&process->failure, "%.*s", STR_ARG(text.text));
		return 0;
	case CTL_DIED:
		if (record_decode(&ctl_died_record, packet->payload, arena, &died, err) != 0)
			return -1;
		wiring_child_died(s, process, &died);
		return 0;
	case CTL_KILL:
		if (record_decode(&ctl_peer_record, packet->payload, arena, &peer, err) != 0)
			return -1;
		wiring_kill_child(s, process, &peer);
		return 0;
	case CTL_RELOAD:
		if (process->role != ROLE_SCANNER)
			return err_set(err, "this role may not ask for a reload");
		supervisor_reload(s);
		return 0;
	default:
		return err_set(err, "no such order");
	}
}

/* Roles talk to the network, and the supervisor trusts none: nonsense costs a role its life. */
static void on_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	struct process *process = context;
	struct arena *arena = arena_new(LIMIT_IPC_INLINE);
	struct err err;

	(void)channel;
	if (take(process, packet, arena, &err) != 0) {
		struct log_line *line = log_line(LOG_LEVEL_ERROR, "control-malformed");
		log_c(line, "from", role_names[process->role]);
		log_int(line, "type", packet->type);
		log_c(line, "text", err.text);
		log_end(line);
		process_kill(process);
	}
	arena_free(&arena);
}

static void gone(struct process *process)
{
	if (process->is_reaped && process->is_closed)
		supervisor_gone(process->supervisor, process);
}

static void on_closed(void *context, struct channel *channel)
{
	struct process *process = context;

	(void)channel;
	process->control = NULL;
	process->is_closed = true;
	/* It has closed its end of its own will, or talked nonsense: nothing ties it to us. */
	process_kill(process);
	gone(process);
}

static const struct channel_ops control_ops = { on_packet, on_closed };

void process_reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *process = s->processes;
		while (process != NULL && (process->pid != pid || process->is_reaped))
			process = process->next;
		if (process == NULL)
			continue;
		process->is_reaped = true;
		process->status = status;
		gone(process);
	}
}

/* Starting */

/* In the child of the fork, which is to become the role. */
static _Noreturn void become(const struct process *process, int control)
{
	const struct supervisor *s = process->supervisor;
	int from[3] = { control, process->settings->fd, s->shared_fd };
	char path[5000], index[32], generation[32];

	/* The places 3 to 5 may be taken by what is to go elsewhere. */
	for (int i = 0; i < 3; i++)
		from[i] = fcntl(from[i], F_DUPFD, 10);
	for (int i = 0; i < 3; i++)
		if (from[i] < 0 || dup2(from[i], ROLE_FD_CONTROL + i) < 0)
			_exit(126);
	close_range(ROLE_FD_SHARED + 1, ~0u, 0);
	/* A fault is for the first of its name: what takes its place is to work. */
	if (process->early_deaths + (unsigned)process->is_replaced > 0 &&
		getenv("GATEPOST_FAULT_AGAIN") == NULL)
		unsetenv("GATEPOST_FAULT");
	snprintf(path, sizeof(path), "%s/%s", s->libexec, role_names[process->role]);
	snprintf(index, sizeof(index), "%lld", (long long)process->index);
	snprintf(generation, sizeof(generation), "%lld", (long long)process->generation);
	execl(path, path, "--index", index, "--generation", generation, "-c",
		process->settings->file, (char *)NULL);
	_exit(127);
}

static int launch(struct process *process, struct err *err)
{
	struct supervisor *s = process->supervisor;
	int fds[2];

	if (ipc_pair(fds, err) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		become(process, fds[1]);
	int error = errno;
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		errno = error;
		return err_sys(err, "fork");
	}
	process->pid = pid;
	process->state = PROCESS_STARTING;
	process->is_reaped = process->is_closed = false;
	process->failure.text[0] = '\0';
	process->started_ms = loop_now_ms(s->loop);
	process->control = channel_new(s->loop, fds[0], 0, &control_ops, process);
	channel_refuse_fds(process->control);
	wiring_connect(s, process);
	return 0;
}

static int free_index(const struct supervisor *s, enum role role, int64_t *index_r)
{
	for (int64_t i = 0; i < SHARED_PROCESSES; i++) {
		const struct process *p = s->processes;
		while (p != NULL && (p->role != role || p->index != i))
			p = p->next;
		if (p == NULL) {
			*index_r = i;
			return 0;
		}
	}
	return -1;
}

struct process *process_spawn(struct supervisor *s, enum role role, int64_t generation,
	struct settings *settings, struct err *err)
{
	struct process *process = calloc(1, sizeof(*process));
	int64_t index;

	if (process == NULL)
		abort();
	if (free_index(s, role, &index) != 0) {
		free(process);
		return err_set(err,
			       "too many processes of the role %s: earlier generations are "
			       "still draining",
			       role_names[role]),
		       NULL;
	}
	*process = (struct process){ .supervisor = s,
		.role = role,
		.index = index,
		.generation = generation,
		.settings = settings_ref(settings),
		.next = s->processes };
	s->processes = process;
	if (launch(process, err) != 0) {
		process_remove(&process);
		return NULL;
	}
	return process;
}

/*
 * At once, but for one that dies each time: if it never gets to work, each time twice as
 * long. One that did work is worth a try soon: mail is waiting for it.
 */
static int64_t pause_ms(const struct process *process)
{
	if (process->early_deaths < EARLY_DEATHS)
		return 0;
	if (process->state != PROCESS_STARTING)
		return AGAIN_MS;
	unsigned doublings = process->early_deaths - EARLY_DEATHS;
	int64_t pause = doublings > 5 ? RETRY_MAX_MS : (int64_t)RETRY_MS << doublings;
	return pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS;
}

int process_respawn(struct process *process, struct err *err)
{
	int64_t now = loop_now_ms(process->supervisor->loop);

	if (process->state != PROCESS_WAITING) {
		bool is_early = now - process->started_ms < EARLY_MS;
		/* One is remembered of any death: by it faults know that they have been. */
		process->early_deaths = is_early ? process->early_deaths + 1 : 1;
		int64_t pause = pause_ms(process);
		if (pause > 0) {
			process->state = PROCESS_WAITING;
			process->retry_ms = now + pause;
			supervisor_wake(process->supervisor);
			return 0;
		}
	}
	return launch(process, err);
}

/* Serving and ending */

static void send_listener(struct process *process, const char *title, const char *name,
	int64_t index)
{
	struct ctl_listen listen = { .name = str_c(name), .index = index };
	int fd = listeners_find(&process->supervisor->listeners, title);

	if (fd >= 0)
		process_send(process, CTL_LISTEN, &ctl_listen_record, &listen, &fd, 1);
}

static void send_listeners(struct process *process)
{
	const struct config *config = process->settings->config;

	if (process->role == ROLE_WEB) {
		send_listener(process, "control", "control", -1);
		if (config->admin.enabled)
			send_listener(process, process->settings->admin_title, "admin", -1);
	}
	if (process->role == ROLE_FRONT)
		for (size_t i = 0; i < config->listener_count; i++)
			send_listener(process, config->listeners[i].title,
				config->listeners[i].title, (int64_t)i);
}

void process_tell_judge(struct process *process)
{
	const struct supervisor *s = process->supervisor;
	int64_t generation =
		supervisor_is_generational(process->role) ? process->generation : s->generation;
	struct ctl_ready none = { 0 };

	for (const struct process *p = s->processes; p != NULL; p = p->next) {
		if (p->role != ROLE_INSPECTOR || p->generation != generation)
			continue;
		process_send(process, CTL_START, &ctl_ready_record, &p->ready, NULL, 0);
		return;
	}
	process_send(process, CTL_START, &ctl_ready_record, &none, NULL, 0);
}

void process_serve(struct process *process)
{
	process->state = PROCESS_SERVING;
	send_listeners(process);
	process_tell_judge(process);
}

void process_retire(struct process *process, int64_t deadline_ms)
{
	process->is_retiring = true;
	process->deadline_ms = deadline_ms;
	supervisor_wake(process->supervisor);
	if (process_send(process, CTL_RETIRE, NULL, NULL, NULL, 0) != 0)
		process_kill(process);
}

void process_drain(struct process *process, int64_t deadline_ms)
{
	process->deadline_ms = deadline_ms;
	supervisor_wake(process->supervisor);
	if (process->state == PROCESS_STARTING || process->state == PROCESS_WAITING ||
		process_send(process, CTL_DRAIN, NULL, NULL, NULL, 0) != 0)
		process_kill(process);
	if (process->state != PROCESS_WAITING)
		process->state = PROCESS_DRAINING;
}

void process_kill(const struct process *process)
{
	if (process->state != PROCESS_WAITING && !process->is_reaped && process->pid > 0)
		kill(process->pid, SIGKILL);
}

void process_remove(struct process **pointer)
{
	struct process *process = *pointer, **place = &process->supervisor->processes;

	*pointer = NULL;
	while (*place != process)
		place = &(*place)->next;
	*place = process->next;
	wiring_disconnect(process->supervisor, process);
	channel_free(&process->control);
	settings_unref(&process->settings);
	buf_free(&process->versions);
	free(process);
}
