#include "gateway/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/limits.h"
#include "gateway/log.h"
#include "gateway/role_start.h"

struct child {
	pid_t pid; /* 0: free */
	int64_t index, generation;
};

struct loader {
	const struct loader_def *def;
	struct role_self self;
	int signals;
	size_t mapped_bytes; /* by load() */
	bool is_draining;
	size_t count;
	struct child children[SHARED_INSPECTORS];
};

/* The child */

static void limit_memory(const struct loader *loader)
{
#if !defined(__SANITIZE_ADDRESS__)
	/* AddressSanitizer's shadow is larger than any limit. */
	rlim_t bytes = loader->mapped_bytes + loader->def->memory_bytes;
	struct rlimit limit = { bytes, bytes };
	if (loader->def->memory_bytes > 0)
		setrlimit(RLIMIT_AS, &limit);
#else
	(void)loader;
#endif
}

static int tighten(const struct loader *loader, struct err *err)
{
	const struct role_private *private = loader->self.private;
	struct sandbox sandbox = {
		.allow = loader->def->allow,
		.read = private->read.v,
		.read_count = private->read.n,
		.write = private->write.v,
		.write_count = private->write.n,
		.only_log = sandbox_wants_log(),
	};

	limit_memory(loader);
	return sandbox_enter(&sandbox, NULL, err);
}

/* Has the other end gone? Then nobody waits for an answer, and failing to give it is no failure. */
static bool is_abandoned(int fd)
{
	struct pollfd p = { .fd = fd };
	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static int serve(const struct loader *loader, struct loader_child *child, struct err *err)
{
	struct ipc_store store = { .buf = BUF_INIT };
	struct ipc_packet request;
	int result;

	/* Receive, work, reply: what a request leaves behind is the work's to forget. */
	while ((result = ipc_recv(child->fd, &store, &request, err)) == 1) {
		result = loader->def->work(child, &request, err);
		*child->running = 0;
		if (result != 0)
			return is_abandoned(child->fd) ? 0 : -1;
	}
	return result;
}

static _Noreturn void run_child(struct loader *loader, int64_t index, int fd, pid_t parent)
{
	struct loader_child child = {
		.self = &loader->self,
		.index = index,
		.fd = fd,
		.running = shared_running_word(loader->self.running, index),
	};
	struct err err;

	log_start(role_names[loader->def->role], index);
	close(loader->signals);
	close(ROLE_FD_CONTROL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The loader may have died before this: then nobody would send it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		role_end(1);
	*child.running = 0;
	if ((loader->def->child != NULL && loader->def->child(&child, &err) != 0) ||
		tighten(loader, &err) != 0 || serve(loader, &child, &err) != 0) {
		log_event(LOG_LEVEL_ERROR, "child-failed", "%s", err.text);
		role_end(1);
	}
	role_end(0);
}

/* The loader */

static int send_died(struct loader *loader, const struct child *child, int status, struct err *err)
{
	char filter[SHARED_FILTER_NAME];
	struct buf buf = BUF_INIT;

	shared_running_filter(loader->self.running, child->index, filter);
	struct ctl_died died = { .index = child->index,
		.generation = child->generation,
		.status = status,
		.filter = str_c(filter) };
	record_encode(&ctl_died_record, &died, &buf);
	struct ipc_packet packet = { .type = CTL_DIED, .payload = buf_str(&buf) };
	int result = ipc_send(ROLE_FD_CONTROL, &packet, err);
	buf_free(&buf);
	return result;
}

static int reap(struct loader *loader, struct err *err)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(loader->signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < SHARED_INSPECTORS; i++) {
			struct child child = loader->children[i];
			if (child.pid != pid)
				continue;
			loader->children[i].pid = 0;
			loader->count--;
			if (send_died(loader, &child, status, err) != 0)
				return -1;
		}
	}
	return 0;
}

static int take_fork(struct loader *loader, struct ipc_packet *packet, const struct ctl_peer *peer,
	struct err *err)
{
	pid_t self = getpid();

	if (packet->fd_count != 1 || peer->index < 0 || peer->index >= SHARED_INSPECTORS)
		return err_set(err, "order to fork makes no sense");
	struct child *child = &loader->children[peer->index];
	if (child->pid != 0)
		return err_set(err, "child %lld is there already", (long long)peer->index);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, "fork");
	if (pid == 0)
		run_child(loader, peer->index, packet->fds[0], self);
	*child = (struct child){ .pid = pid, .index = peer->index, .generation = peer->generation };
	loader->count++;
	return 0;
}

static void take_kill(struct loader *loader, const struct ctl_peer *peer)
{
	if (peer->index < 0 || peer->index >= SHARED_INSPECTORS)
		return;
	if (loader->children[peer->index].pid != 0)
		kill(loader->children[peer->index].pid, SIGKILL);
}

static int take(struct loader *loader, struct ipc_packet *packet, struct arena *arena,
	struct err *err)
{
	struct ctl_peer peer;

	switch (packet->type) {
	case CTL_FORK:
		if (record_decode(&ctl_peer_record, packet->payload, arena, &peer, err) != 0)
			return -1;
		return take_fork(loader, packet, &peer, err);
	case CTL_KILL:
		if (record_decode(&ctl_peer_record, packet->payload, arena, &peer, err) != 0)
			return -1;
		take_kill(loader, &peer);
		return 0;
	case CTL_START:
		return 0;
	case CTL_DRAIN:
		/* The children end when those who talk to them have drained. */
		loader->is_draining = true;
		return 0;
	default:
		return err_set(err, "packet of type %u is not for a loader", packet->type);
	}
}

static int ask_for_reload(struct err *err)
{
	struct ipc_packet packet = { .type = CTL_RELOAD };

	return ipc_send(ROLE_FD_CONTROL, &packet, err);
}

/* 1: go on; 0: the end; -1: failed. */
static int turn(struct loader *loader, struct ipc_store *store, struct err *err)
{
	struct pollfd fds[2] = {
		{ .fd = ROLE_FD_CONTROL, .events = POLLIN },
		{ .fd = loader->signals, .events = POLLIN },
	};
	struct ipc_packet packet;

	int ready = poll(fds, 2, loader->def->tick != NULL ? (int)loader->def->tick_ms : -1);
	if (ready < 0)
		return errno == EINTR ? 1 : err_sys(err, "poll");
	if (ready == 0 && !loader->is_draining && loader->def->tick(&loader->self))
		return ask_for_reload(err) < 0 ? -1 : 1;
	if (fds[1].revents != 0 && reap(loader, err) != 0)
		return -1;
	if (fds[0].revents != 0) {
		int result = ipc_recv(ROLE_FD_CONTROL, store, &packet, err);
		if (result != 1)
			return result;
		struct arena *arena = arena_new(LIMIT_IPC_INLINE);
		result = take(loader, &packet, arena, err);
		ipc_close_fds(&packet);
		arena_free(&arena);
		if (result != 0)
			return -1;
	}
	return loader->is_draining && loader->count == 0 ? 0 : 1;
}

/* For a command that needs one answer: what children do, without any. The channel lies where else the
 * supervisor's is. */
static _Noreturn void be_only_child(struct loader *loader)
{
	struct loader_child child = { .self = &loader->self, .fd = ROLE_FD_CONTROL,
		.running = shared_running_word(loader->self.running, 0) };
	struct err err;

	if ((loader->def->child != NULL && loader->def->child(&child, &err) != 0) ||
		tighten(loader, &err) != 0 || serve(loader, &child, &err) != 0)
		role_end(role_say_failed(&loader->self, &err));
	role_end(0);
}

/* Before the sandbox: afterwards there is no /proc. */
static size_t mapped_bytes(void)
{
	char text[64] = "";
	uint64_t pages = 0;
	struct str rest, first;

	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	if (fd >= 0)
		close(fd);
	rest = str_from(text, n > 0 ? (size_t)n : 0);
	if (str_word(&rest, &first))
		str_to_u64(first, 0, UINT64_MAX, &pages);
	return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int open_signals(struct loader *loader, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	loader->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return loader->signals < 0 ? err_sys(err, "signalfd") : 0;
}

static int start(struct loader *loader, struct ctl_ready *ready_r, struct err *err)
{
	const struct loader_def *def = loader->def;
	size_t count = 0;

	if (open_signals(loader, err) != 0 || def->load(&loader->self, ready_r, err) != 0)
		return -1;
	const char *const *names = def->names != NULL ? def->names(&count) : NULL;
	if (names != NULL)
		shared_running_names(loader->self.running, names, count);
	loader->mapped_bytes = mapped_bytes();
	return role_confine(&loader->self, def->allow | SANDBOX_FORK, err);
}

int loader_main(const struct loader_def *def, int argc, char **argv)
{
	static struct loader loader;
	struct role_private private = { 0 };
	struct ctl_ready ready = { 0 };
	struct ipc_store store = { .buf = BUF_INIT };
	struct err err = { "" };
	int result;

	loader.def = def;
	loader.self.private = &private;
	if (role_open(&loader.self, def->role, true, argc, argv, &err) != 0 ||
		start(&loader, &ready, &err) != 0)
		role_end(role_say_failed(&loader.self, &err));
	if (private.probe != NULL) {
		/* What children may do is what is to be proved. */
		if (tighten(&loader, &err) != 0)
			role_end(role_say_failed(&loader.self, &err));
		result = def->probe != NULL ? def->probe(&loader.self, private.probe) : -1;
		role_end(result >= 0 ? result : role_probe(&loader.self));
	}
	if (private.is_only_child)
		be_only_child(&loader);
	if (role_say_ready(&loader.self, &ready, &err) != 0)
		role_end(1);
	while ((result = turn(&loader, &store, &err)) == 1)
		;
	if (result != 0)
		log_event(LOG_LEVEL_ERROR, "loader-failed", "%s", err.text);
	role_end(result == 0 ? 0 : 1);
}
