#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ipc.h"
#include "core/sandbox.h"

static char folder[] = "/tmp/gatepost-sandbox-XXXXXX";
static char allowed[64], forbidden[64];

/* Each deed returns 0 if it succeeded, else errno. */
static int result(int value)
{
	return value >= 0 ? 0 : errno;
}

static int read_allowed(void)
{
	return result(open(allowed, O_RDONLY));
}
static int write_allowed(void)
{
	return result(open(allowed, O_WRONLY));
}
static int make_file(void)
{
	char path[80];
	snprintf(path, sizeof(path), "%s/new", folder);
	return result(open(path, O_CREAT | O_WRONLY, 0600));
}
static int read_forbidden(void)
{
	return result(open(forbidden, O_RDONLY));
}
static int make_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}
static int make_raw_socket(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0));
}
static int make_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int do_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return result(pid);
}
static int do_exec(void)
{
	char path[] = "/bin/true";
	char *argv[] = { path, NULL };
	return result(execve(path, argv, NULL));
}
static int do_ptrace(void)
{
	return result((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int map_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	return p == MAP_FAILED ? errno : 0;
}
static int map_data(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? errno : 0;
}
static int make_memfd(void)
{
	return memfd_sealed("test", STR("x"), NULL) >= 0 ? 0 : EPERM;
}
static int make_epoll(void)
{
	return result(epoll_create1(0));
}

enum { DIES = -1 };
static const struct {
	const char *name;
	unsigned allow;
	int (*deed)(void);
	int expect; /* errno, or DIES */
} rows[] = {
	{ "base maps data", 0, map_data, 0 },
	{ "base maps code", 0, map_code, DIES },
	{ "base opens", 0, read_allowed, EACCES },
	{ "base makes sockets", 0, make_socket, DIES },
	{ "base forks", 0, do_fork, DIES },
	{ "base execs", 0, do_exec, DIES },
	{ "base traces", 0, do_ptrace, DIES },
	{ "base makes memfds", 0, make_memfd, DIES },
	{ "base polls", 0, make_epoll, DIES },
	{ "loop polls", SANDBOX_LOOP, make_epoll, 0 },
	{ "memfd makes memfds", SANDBOX_MEMFD, make_memfd, 0 },
	{ "files reads", SANDBOX_FILES, read_allowed, 0 },
	{ "files makes", SANDBOX_FILES, make_file, 0 },
	{ "files writes", SANDBOX_FILES, write_allowed, 0 },
	{ "files reads elsewhere", SANDBOX_FILES, read_forbidden, EACCES },
	{ "files makes sockets", SANDBOX_FILES, make_socket, DIES },
	{ "connect makes sockets", SANDBOX_CONNECT, make_socket, 0 },
	{ "connect makes raw sockets", SANDBOX_CONNECT, make_raw_socket, DIES },
	{ "connect makes netlink sockets", SANDBOX_CONNECT, make_netlink, EAFNOSUPPORT },
	{ "fork forks", SANDBOX_FORK, do_fork, 0 },
	{ "fork execs", SANDBOX_FORK, do_exec, DIES },
};

/* In a process of its own: there is no way back. */
static int attempt(unsigned allow, bool only_log, int (*deed)(void))
{
	const char *const paths[] = { folder };
	struct sandbox sandbox = { .allow = allow,
		.write = paths,
		.write_count = 1,
		.only_log = only_log };
	struct err err;
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (sandbox_enter(&sandbox, NULL, &err) != 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(250);
		}
		_exit(deed());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return DIES;
	}
	return WEXITSTATUS(status);
}

static void test_deeds(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int got = attempt(rows[i].allow, false, rows[i].deed);
		if (got != rows[i].expect)
			fail_msg("%s: %d, expected %d", rows[i].name, got, rows[i].expect);
	}
}

static void test_only_log(void **state)
{
	assert_int_equal(attempt(0, true, make_socket), 0);
}

static int enter_twice(void)
{
	static const struct sandbox less = { .allow = 0 };
	struct err err;

	if (sandbox_enter(&less, NULL, &err) != 0)
		return 251;
	return do_fork();
}

static void test_tighten(void **state)
{
	assert_int_equal(attempt(SANDBOX_FORK, false, enter_twice), DIES);
}

static int set_up(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(allowed, sizeof(allowed), "%s/file", folder);
	snprintf(forbidden, sizeof(forbidden), "/etc/passwd");
	int fd = open(allowed, O_CREAT | O_WRONLY, 0600);
	close(fd);
	return fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/new", folder);
	unlink(path);
	unlink(allowed);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deeds),
		cmocka_unit_test(test_only_log),
		cmocka_unit_test(test_tighten),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
