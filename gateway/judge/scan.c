/* One message for the scanner, which is started for it: only that program links libclamav. */
#include "gateway/judge/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/ipc.h"
#include "core/json.h"
#include "gateway/protocol.h"

#define WAIT_MS	     300000 /* the database is loaded first */
#define TROUBLE_MAX  300

/* In the child of the fork. */
static _Noreturn void become(const char *path, const char *conf_file, int channel, int trouble)
{
	/* Out of the way of the places that they are to take. */
	channel = fcntl(channel, F_DUPFD, 10);
	trouble = fcntl(trouble, F_DUPFD, 10);
	if (channel < 0 || trouble < 0 || dup2(channel, ROLE_FD_CONTROL) < 0 ||
		dup2(trouble, STDERR_FILENO) < 0)
		_exit(126);
	close_range(ROLE_FD_CONTROL + 1, ~0u, 0);
	execl(path, path, "--only-child", "yes", "-c", conf_file, (char *)NULL);
	_exit(127);
}

static pid_t start(const char *conf_file, int trouble, int *channel_r, struct err *err)
{
	char path[4096];
	int pair[2];
	pid_t pid;

	if (command_libexec("scanner", path, err) < 0 || ipc_pair(pair, err) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		become(path, conf_file, pair[1], trouble);
	close(pair[1]);
	*channel_r = pair[0];
	if (pid < 0) {
		close(pair[0]);
		return err_sys(err, "fork");
	}
	return pid;
}

static int ask(int channel, struct str message, struct arena *arena, struct facts_scan *scan_r,
	struct err *err)
{
	struct ipc_packet request = { .type = SCAN, .id = 1, .fd_count = 1 }, reply;
	struct ipc_store store = { .buf = BUF_INIT };
	struct pollfd p = { .fd = channel, .events = POLLIN };
	int fd = memfd_sealed("message", message, err), rc;

	if (fd < 0)
		return -1;
	request.fds[0] = fd;
	signal(SIGPIPE, SIG_IGN); /* it may have ended already */
	rc = ipc_send(channel, &request, err);
	close(fd);
	if (rc == 0 && poll(&p, 1, WAIT_MS) != 1)
		rc = err_set(err, "it did not answer within %d seconds", WAIT_MS / 1000);
	if (rc == 0 && ipc_recv(channel, &store, &reply, err) != 1)
		rc = err_set(err, "it ended");
	else if (rc == 0)
		rc = record_decode(&facts_scan_record, arena_dup(arena, reply.payload), arena,
			scan_r, err);
	ipc_store_free(&store);
	return rc;
}

/* What it said itself says more. */
static void quote(int trouble, struct err *err)
{
	char text[TROUBLE_MAX + 1];
	ssize_t n = pread(trouble, text, TROUBLE_MAX, 0);
	struct str rest = str_from(text, n > 0 ? (size_t)n : 0), line;
	struct buf safe = BUF_INIT;

	if (str_cut(&rest, '\n', &line) && line.n) {
		text_safe(&safe, line, TROUBLE_MAX);
		err_set(err, "%.*s", STR_ARG(buf_str(&safe)));
	}
	buf_free(&safe);
}

const struct facts_scan *judge_scan(const char *conf_file, struct str message, struct arena *arena,
	struct err *err)
{
	struct facts_scan *scan = ARENA_NEW(arena, struct facts_scan);
	int trouble = memfd_open("trouble", err), channel = -1, rc;
	pid_t pid = trouble < 0 ? -1 : start(conf_file, trouble, &channel, err);

	if (pid < 0) {
		if (trouble >= 0)
			close(trouble);
		return NULL;
	}
	rc = ask(channel, message, arena, scan, err);
	/* It ends with its channel; one that hangs does not. */
	close(channel);
	if (rc < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (rc < 0)
		quote(trouble, err);
	close(trouble);
	return rc < 0 ? NULL : scan;
}
