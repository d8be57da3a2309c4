#include "gateway/role_start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/log.h"

/*
 * Each role a user of its own, so that a role that was taken over can neither
 * signal nor trace another one. Those that share the state folder share a group.
 */
const struct role_user role_users[] = {
	{ ROLE_FRONT, "_gatepost-front", "_gatepost-front" },
	{ ROLE_INSPECTOR, "_gatepost-inspector", "_gatepost-inspector" },
	{ ROLE_SCANNER, "_gatepost-scanner", "_gatepost-scanner" },
	{ ROLE_RESOLVER, "_gatepost-resolver", "_gatepost-resolver" },
	{ ROLE_KEEPER, "_gatepost", "_gatepost" },
	{ ROLE_TRAINER, "_gatepost-trainer", "_gatepost" },
	{ ROLE_WEB, "_gatepost-web", "_gatepost" },
};
const size_t role_user_count = sizeof(role_users) / sizeof(*role_users);

/* Arguments: pairs, given by the supervisor, and by tests of the sandbox. */

static int parse_arguments(struct role_self *self, int argc, char **argv, struct err *err)
{
	int i = 1;

	for (; i + 1 < argc; i += 2) {
		struct str name = str_c(argv[i]), value = str_c(argv[i + 1]);
		int result = 0;
		if (str_eq_c(name, "--index"))
			result = str_to_i64(value, 0, SHARED_PROCESSES - 1, &self->index);
		else if (str_eq_c(name, "--generation"))
			result = str_to_i64(value, 0, INT64_MAX, &self->generation);
		else if (str_eq_c(name, "-c"))
			self->private->file = argv[i + 1];
		else if (str_eq_c(name, "--sandbox-probe"))
			self->private->probe = argv[i + 1];
		else if (str_eq_c(name, "--only-child"))
			self->private->is_only_child = true;
		else
			break;
		if (result != 0)
			return err_set(err, "%s: bad value %s", argv[i], argv[i + 1]);
	}
	self->private->is_alone = self->private->probe != NULL || self->private->is_only_child;
	if (i != argc || self->private->file == NULL)
		return err_set(err, "this is a part of the gateway, which `gatepost run` starts");
	return 0;
}

/* Configuration and shared table */

static int read_config(struct role_self *self, struct err *err)
{
	const char *file = self->private->file;
	struct str text;
	int result = self->private->is_alone
			     ? config_load(file, self->arena, &text, err)
			     : config_load_fd(ROLE_FD_CONFIG, self->arena, &text, err);

	if (result != 0)
		return -1;
	self->config = config_read(text, file, self->arena, &self->conf);
	const struct option_strings *errors = conf_errors(self->conf);
	if (errors->n > 0)
		return err_set(err, "%s", errors->v[0]);
	return 0;
}

static int map_shared(struct role_self *self, bool is_loader, struct err *err)
{
	int fd = ROLE_FD_SHARED;

	if (self->private->is_alone) {
		self->shared = shared_create(&fd, err);
		if (self->shared == NULL)
			return -1;
		shared_unmap(&self->shared);
	}
	if (is_loader) {
		self->running = shared_map_running(fd, err);
	} else {
		self->shared = shared_map(fd, err);
		self->running = self->shared != NULL ? shared_running_of(self->shared) : NULL;
	}
	close(fd);
	return self->running != NULL ? 0 : -1;
}

/* Users */

static int find_user(struct role_self *self, enum role role, struct err *err)
{
	self->private->is_root = geteuid() == 0;
	if (!self->private->is_root)
		return 0;
	for (size_t i = 0; i < role_user_count; i++) {
		if (role_users[i].role != role)
			continue;
		const struct passwd *user = getpwnam(role_users[i].user);
		const struct group *group = getgrnam(role_users[i].group);
		if (user == NULL || group == NULL)
			return err_set(err,
				"there is no %s %s: run `gatepost setup` once as root, "
				"or start the gateway as another user",
				user == NULL ? "user" : "group",
				user == NULL ? role_users[i].user : role_users[i].group);
		self->private->uid = user->pw_uid;
		self->private->gid = group->gr_gid;
		return 0;
	}
	return err_set(err, "role %s has no user", role_names[role]);
}

int role_open(struct role_self *self, enum role role, bool is_loader, int argc, char **argv,
	struct err *err)
{
	log_start(role_names[role], -1);
	/* A terminal sends its signals to all of us; only the supervisor is to act on them. */
	static const int ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		signal(ignored[i], SIG_IGN);
	umask(027);
	self->arena = arena_new(SIZE_MAX);
	if (parse_arguments(self, argc, argv, err) != 0)
		return -1;
	log_start(role_names[role], self->index);
	if (read_config(self, err) != 0 || map_shared(self, is_loader, err) != 0)
		return -1;
	close(ROLE_FD_CONFIG);
	return find_user(self, role, err);
}

/* Paths */

static void paths_add(struct role_self *self, struct role_paths *paths, const char *path)
{
	paths->v = arena_grow(self->arena, paths->v, paths->n, paths->n + 1, sizeof(*paths->v));
	paths->v[paths->n++] = path;
}

void role_allow_read(struct role_self *self, const char *path)
{
	paths_add(self, &self->private->read, path);
}

void role_allow_write(struct role_self *self, const char *path)
{
	paths_add(self, &self->private->write, path);
}

/*
 * A role may own the folder above, and must not get another one by putting a link
 * to it there: only a link of root's own is followed.
 */
static int give(const char *path, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && st.st_uid == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot open the folder %s", path);
	int result = fchown(fd, uid, gid);
	if (result != 0)
		err_sys(err, "cannot give %s to the role's user", path);
	close(fd);
	return result;
}

/* The folders above belong to root and the group that shares the state; the last to the role. */
static int make_folder(const struct role_self *self, const char *path, bool is_last,
	struct err *err)
{
	const struct role_private *private = self->private;

	if (mkdir(path, 0750) != 0) {
		if (errno != EEXIST)
			return err_sys(err, "cannot make the folder %s", path);
		if (!is_last)
			return 0;
	}
	if (!private->is_root)
		return 0;
	return give(path, is_last ? private->uid : 0, private->gid, err);
}

int role_folder(struct role_self *self, const char *path, struct err *err)
{
	char *part = arena_cstr(self->arena, str_c(path));

	for (char *slash = part + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		int result = make_folder(self, part, false, err);
		*slash = '/';
		if (result != 0)
			return -1;
	}
	if (make_folder(self, path, true, err) != 0)
		return -1;
	role_allow_write(self, path);
	return 0;
}

int role_as_user(struct role_self *self, struct err *err)
{
	const struct role_private *private = self->private;

	if (!private->is_root)
		return 0;
	if (setegid(private->gid) != 0 || seteuid(private->uid) != 0)
		return err_sys(err, "cannot act as the role's user");
	return 0;
}

/* Confinement */

/*
 * An empty root that nothing can be put into: a folder that is removed while we
 * stand in it.
 */
static int enter_empty_root(struct err *err)
{
	char path[] = "/tmp/gatepost-XXXXXX";

	if (mkdtemp(path) == NULL)
		return err_sys(err, "cannot make an empty root in /tmp");
	int result = chdir(path);
	if (rmdir(path) != 0 || result != 0 || chroot(".") != 0 || chdir("/") != 0)
		return err_sys(err, "cannot enter an empty root");
	return 0;
}

static int drop_privileges(const struct role_private *private, struct err *err)
{
	if (!private->is_root)
		return 0;
	/* After role_as_user() only the effective ids are others. */
	if (seteuid(0) != 0 || setegid(0) != 0)
		return err_sys(err, "cannot become root again");
	if (private->read.n == 0 && private->write.n == 0 && enter_empty_root(err) != 0)
		return -1;
	if (setgroups(1, &private->gid) != 0 ||
		setresgid(private->gid, private->gid, private->gid) != 0 ||
		setresuid(private->uid, private->uid, private->uid) != 0)
		return err_sys(err, "cannot become the role's user");
	if (setuid(0) == 0)
		return err_set(err, "root came back after it was given up");
	return 0;
}

static void set_limits(void)
{
	struct rlimit none = { 0, 0 }, files;

	setrlimit(RLIMIT_CORE, &none);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int role_confine(struct role_self *self, unsigned allow, struct err *err)
{
	const struct role_private *private = self->private;
	struct sandbox sandbox = {
		.allow = allow,
		.read = private->read.v,
		.read_count = private->read.n,
		.write = private->write.v,
		.write_count = private->write.n,
		.only_log = sandbox_wants_log(),
	};
	struct sandbox_note note;

	set_limits();
	if (drop_privileges(private, err) != 0 || sandbox_enter(&sandbox, &note, err) != 0)
		return -1;
	if (note.text[0] != '\0')
		log_event(LOG_LEVEL_WARNING, "sandbox-degraded", "%s", note.text);
	return 0;
}

/* Words to the supervisor */

static int say(uint16_t type, const struct record *record, const void *object, struct err *err)
{
	struct buf buf = BUF_INIT;

	record_encode(record, object, &buf);
	struct ipc_packet packet = { .type = type, .payload = buf_str(&buf) };
	int result = ipc_send(ROLE_FD_CONTROL, &packet, err);
	buf_free(&buf);
	return result;
}

int role_say_ready(struct role_self *self, const struct ctl_ready *ready, struct err *err)
{
	if (self->private->is_alone)
		return 0;
	return say(CTL_READY, &ctl_ready_record, ready, err);
}

int role_say_failed(struct role_self *self, const struct err *why)
{
	struct ctl_text text = { .text = str_c(why->text) };

	/* By hand, or to try the sandbox: there is no supervisor that would show it. */
	if (self->private->file == NULL || self->private->is_alone ||
		say(CTL_FAILED, &ctl_text_record, &text, NULL) != 0)
		fprintf(stderr, "%s\n", why->text);
	return self->private->file == NULL ? 2 : 1;
}

void role_end(int status)
{
	fflush(stdout);
	_exit(status);
}

/* Probes */

static int probe_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int probe_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int probe_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = probe_socket();

	if (fd < 0)
		return -1;
	int result = connect(fd, (const struct sockaddr *)&to, sizeof(to));
	/* Nobody listens there, but the attempt was let through. */
	return result == 0 || errno == ECONNREFUSED ? 0 : -1;
}

static int probe_exec(void)
{
	char path[] = "/bin/true";
	char *argv[] = { path, NULL }, *envp[] = { NULL };

	return execve(path, argv, envp);
}

static int probe_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid;
}

int role_probe(const struct role_self *self)
{
	static const struct {
		const char *name;
		int (*try)(void);
	} deeds[] = {
		{ "open", probe_open },
		{ "socket", probe_socket },
		{ "connect", probe_connect },
		{ "exec", probe_exec },
		{ "fork", probe_fork },
		{ NULL, NULL },
	};

	for (size_t i = 0; deeds[i].name != NULL; i++) {
		if (strcmp(deeds[i].name, self->private->probe) != 0)
			continue;
		bool done = deeds[i].try() >= 0;
		int error = errno;
		printf("%s: %s\n", deeds[i].name, done ? "done" : strerror(error));
		return done ? 1 : 0;
	}
	fprintf(stderr, "unknown deed; known are open, socket, connect, exec and fork\n");
	return 2;
}
