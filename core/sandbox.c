#include "core/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Landlock. The system's header may be older than the kernel, so what came
 * after ABI 1 stands here by its number (linux/landlock.h of Linux 6.12).
 */

#define FS_ABI1		((UINT64_C(1) << 13) - 1)
#define FS_REFER	(UINT64_C(1) << 13) /* ABI 2 */
#define FS_TRUNCATE	(UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV	(UINT64_C(1) << 15) /* ABI 5 */
#define NET_BIND_TCP	(UINT64_C(1) << 0)  /* ABI 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)  /* ABI 4 */
#define SCOPE_ABSTRACT	(UINT64_C(1) << 0)  /* ABI 6 */
#define SCOPE_SIGNAL	(UINT64_C(1) << 1)  /* ABI 6 */

/* Of a file, only these make sense; the kernel refuses a rule with others. */
#define FS_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                   \
	(FS_READ | FS_TRUNCATE | FS_REFER | LANDLOCK_ACCESS_FS_WRITE_FILE |                        \
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                   \
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |                        \
		LANDLOCK_ACCESS_FS_MAKE_SYM)

struct ruleset {
	uint64_t fs, net, scope;
};

static struct ruleset ruleset_of(int abi)
{
	struct ruleset set = { .fs = FS_ABI1 };

	if (abi >= 2)
		set.fs |= FS_REFER;
	if (abi >= 3)
		set.fs |= FS_TRUNCATE;
	if (abi >= 5)
		set.fs |= FS_IOCTL_DEV;
	if (abi >= 4)
		set.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= 6)
		set.scope = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	return set;
}

static int add_path(int ruleset, const char *path, uint64_t access, struct err *err)
{
	struct stat st;
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0) {
		err_sys(err, "sandbox: cannot look at %s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		access &= FS_FILE;
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
	long result = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	if (result != 0)
		err_sys(err, "sandbox: landlock_add_rule for %s", path);
	close(fd);
	return result == 0 ? 0 : -1;
}

static int add_paths(int ruleset, const struct sandbox *sandbox, uint64_t handled, struct err *err)
{
	if (!(sandbox->allow & SANDBOX_FILES))
		return 0;
	for (size_t i = 0; i < sandbox->read_count; i++)
		if (add_path(ruleset, sandbox->read[i], FS_READ & handled, err) != 0)
			return -1;
	for (size_t i = 0; i < sandbox->write_count; i++)
		if (add_path(ruleset, sandbox->write[i], FS_WRITE & handled, err) != 0)
			return -1;
	return 0;
}

static int enter_landlock(const struct sandbox *sandbox, struct sandbox_note *note, struct err *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		snprintf(note->text, sizeof(note->text),
			"this kernel has no Landlock: files and ports are only guarded by "
			"seccomp%s",
			sandbox->allow & SANDBOX_FILES ? " and file permissions" : "");
		return 0;
	}
	note->landlock_abi = (int)abi;
	if (abi < 4 && !(sandbox->allow & SANDBOX_CONNECT))
		snprintf(note->text, sizeof(note->text),
			"Landlock ABI %ld cannot guard TCP ports: only seccomp does", abi);
	struct ruleset set = ruleset_of((int)abi);
	if (sandbox->allow & SANDBOX_CONNECT)
		set.net = 0;
	/* Older kernels know a shorter struct, and take a longer one whose rest is zero. */
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0);
	if (ruleset < 0)
		return err_sys(err, "sandbox: landlock_create_ruleset");
	int result = add_paths(ruleset, sandbox, set.fs, err);
	if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		result = err_sys(err, "sandbox: landlock_restrict_self");
	close(ruleset);
	return result;
}

/* seccomp: names, since numbers differ between machines; unknown ones are passed over. */

/* Memory, time, what is open already, and the end: what any process needs. */
static const char *const base_calls[] = { "brk", "clock_getres", "clock_gettime", "clock_nanosleep",
	"close", "dup", "exit", "exit_group", "fcntl", "fcntl64", "fstat", "fstat64", "futex",
	"futex_time64", "futex_waitv", "getpid", "getrandom", "gettid", "gettimeofday", "getuid",
	"geteuid", "getgid", "getegid", "lseek", "_llseek", "madvise", "mremap", "munmap",
	"nanosleep", "poll", "ppoll", "pread64", "read", "readv", "recvmsg", "recvfrom",
	"restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_yield",
	"sendmsg", "set_robust_list", "sigaltstack", "time", "tgkill", "uname", "write", "writev",
	"sysinfo", "sched_getaffinity", NULL };
static const char *const loop_calls[] = { "epoll_create1", "epoll_create", "epoll_ctl",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2", "getsockopt", "setsockopt",
	"getsockname", "getpeername", "pipe2", "send", "sendto", "recv", "sendmmsg", "recvmmsg",
	"shutdown", "timerfd_create", "timerfd_settime", "socketpair", "sendfile", "splice",
	"pwrite64", "pwritev", "preadv", "select", "_newselect", "pselect6", "getrusage",
	"prlimit64", "getrlimit", "ugetrlimit", "dup2", "dup3", NULL };
static const char *const connect_calls[] = { "socket", "connect", "bind", "getsockopt",
	"setsockopt", "getsockname", "getpeername", NULL };
static const char *const accept_calls[] = { "accept", "accept4", NULL };
static const char *const files_calls[] = { "access", "chmod", "chdir", "creat", "fallocate",
	"faccessat", "faccessat2", "fchmod", "fchmodat", "fchown", "fdatasync", "flock", "fstatfs",
	"fstatfs64", "fsync", "ftruncate", "ftruncate64", "getcwd", "getdents", "getdents64",
	"link", "linkat", "lstat", "lstat64", "mkdir", "mkdirat", "msync", "newfstatat",
	"fstatat64", "open", "openat", "pwrite64", "pwritev", "preadv", "readlink", "readlinkat",
	"rename", "renameat", "renameat2", "rmdir", "stat", "stat64", "statfs", "statfs64", "statx",
	"symlink", "symlinkat", "truncate", "truncate64", "umask", "unlink", "unlinkat",
	"utimensat", "copy_file_range", "fadvise64", "sync_file_range", "syncfs", "getppid",
	"sysinfo", "dup2", "dup3", NULL };
static const char *const memfd_calls[] = { "memfd_create", "ftruncate", "ftruncate64", "fallocate",
	"pwrite64", "pwritev", "sendfile", "copy_file_range", NULL };
static const char *const fork_calls[] = { "fork", "vfork", "wait4", "waitid", "kill", "prctl",
	"seccomp", "setrlimit", "prlimit64", "getppid", "signalfd4", "pidfd_open",
	"pidfd_send_signal", "landlock_create_ruleset", "landlock_restrict_self",
	"landlock_add_rule", "close_range", "dup2", "dup3", "setpriority", NULL };
/* By these, libraries look for files: without any, they learn that there is none. */
static const char *const missing_calls[] = { "access", "faccessat", "faccessat2", "getcwd", "lstat",
	"lstat64", "newfstatat", "fstatat64", "open", "openat", "openat2", "readlink", "readlinkat",
	"stat", "stat64", "statx", NULL };
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
static const char *const sanitizer_calls[] = { "getppid", "getrlimit", "prctl", "prlimit64",
	"readlink", "readlinkat", "sched_getaffinity", "sched_yield", "setrlimit", "sigaltstack",
	NULL };
#endif

#ifdef SANITIZED
static bool entered;

/* Looking for leaks at the end needs /proc and ptrace, which are gone by then. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return entered;
}

static bool is_in(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}
#endif

static int allow_call(scmp_filter_ctx ctx, uint32_t action, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR)
		return 0;
	int result = seccomp_rule_add(ctx, action, nr, 0);
	/* The same call stands in several lists. */
	return result == -EEXIST ? 0 : result;
}

static int allow_calls(scmp_filter_ctx ctx, const char *const *names)
{
	int result = 0;

	for (; result == 0 && *names != NULL; names++)
		result = allow_call(ctx, SCMP_ACT_ALLOW, *names);
	return result;
}

/* Memory that can be written must never become code. */
static int allow_memory(scmp_filter_ctx ctx)
{
	static const char *const calls[] = { "mmap", "mmap2", "mprotect", "pkey_mprotect" };
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof(calls) / sizeof(*calls); i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);
		if (nr != __NR_SCMP_ERROR)
			result = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	}
	return result;
}

/* New sockets are for the Internet, or local ones by a path: no raw ones, no netlink. */
static int allow_sockets(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	int result = 0, nr = seccomp_syscall_resolve_name("socket");

	for (size_t i = 0; result == 0 && i < sizeof(families) / sizeof(*families); i++)
		result = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	/* getaddrinfo() and if_nametoindex() ask the kernel and can do without. */
	if (result == 0)
		result = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), nr, 1,
			SCMP_A0(SCMP_CMP_EQ, AF_NETLINK));
	return result;
}

/* A fork, but no namespaces. clone3 hides its flags from us; libc knows how to do without. */
static int allow_fork(scmp_filter_ctx ctx)
{
	const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
					CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
	int result = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
	if (result == 0)
		result = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return result;
}

/* stdio asks what a terminal is, libevent how much there is to read: nothing else. */
static int allow_ioctl(scmp_filter_ctx ctx)
{
	int result = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
		SCMP_A1(SCMP_CMP_EQ, FIONREAD));
	if (result == 0)
		result = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_NE, FIONREAD));
	return result;
}

static int fill(scmp_filter_ctx ctx, unsigned allow)
{
	static const struct {
		unsigned allow;
		const char *const *calls;
	} rows[] = {
		{ SANDBOX_LOOP, loop_calls },
		{ SANDBOX_ACCEPT, accept_calls },
		{ SANDBOX_FILES, files_calls },
		{ SANDBOX_MEMFD, memfd_calls },
		{ SANDBOX_FORK, fork_calls },
	};
	int result = allow_calls(ctx, base_calls);

	if (result == 0)
		result = allow_memory(ctx);
	if (result == 0)
		result = allow_ioctl(ctx);
	if (result == 0 && (allow & SANDBOX_FORK))
		result = allow_fork(ctx);
	for (size_t i = 0; result == 0 && i < sizeof(rows) / sizeof(*rows); i++)
		if (allow & rows[i].allow)
			result = allow_calls(ctx, rows[i].calls);
	if (result == 0 && (allow & SANDBOX_CONNECT)) {
		result = allow_sockets(ctx);
		for (const char *const *c = connect_calls + 1; result == 0 && *c != NULL; c++)
			result = allow_call(ctx, SCMP_ACT_ALLOW, *c);
	}
#ifdef SANITIZED
	if (result == 0)
		result = allow_calls(ctx, sanitizer_calls);
#endif
	if (allow & SANDBOX_FILES)
		return result;
	for (const char *const *name = missing_calls; result == 0 && *name != NULL; name++) {
#ifdef SANITIZED
		if (is_in(*name, sanitizer_calls))
			continue;
#endif
		result = allow_call(ctx, SCMP_ACT_ERRNO(EACCES), *name);
	}
	return result;
}

static int enter_seccomp(const struct sandbox *sandbox, struct err *err)
{
	uint32_t otherwise = sandbox->only_log ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	if (ctx == NULL)
		return err_set(err, "sandbox: seccomp_init failed");
	/* no_new_privs is set by ourselves; a system call of another machine is no call of ours. */
	int result = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, otherwise);
	if (result == 0)
		result = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (result == 0)
		result = fill(ctx, sandbox->allow);
	if (result == 0)
		result = seccomp_load(ctx);
	seccomp_release(ctx);
	if (result != 0) {
		errno = -result;
		return err_sys(err, "sandbox: seccomp");
	}
	return 0;
}

int sandbox_enter(const struct sandbox *sandbox, struct sandbox_note *note_r, struct err *err)
{
	struct sandbox_note note = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return err_sys(err, "sandbox: no_new_privs");
	/* Nobody of our own user looks into this memory, and no core file holds mail. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_sys(err, "sandbox: PR_SET_DUMPABLE");
	if (!sandbox->only_log && enter_landlock(sandbox, &note, err) != 0)
		return -1;
	if (enter_seccomp(sandbox, err) != 0)
		return -1;
#ifdef SANITIZED
	entered = true;
#endif
	if (note_r != NULL)
		*note_r = note;
	return 0;
}

bool sandbox_wants_log(void)
{
	return getenv("GATEPOST_SANDBOX_LOG") != NULL;
}
