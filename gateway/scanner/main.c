/*
 * scanner: libclamav, loaded once, forked, and kept away from everything: a child
 * sees one message at a time, has no socket, and writes only to a folder of its own
 * on a tmpfs. Linked with libclamav, this executable is GPL-2 as a whole.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"
#include "filters/clamav/engine.h"
#include "gateway/loader.h"
#include "gateway/log.h"

#define SCANNER_PREFIX "gatepost-scan-"

enum { REQUEST_MEMORY = 4 << 20 };

struct scanner {
	struct clamav_engine *engine;
	struct clamav_conf conf;
	struct arena *arena;
	char folder[128];
};

/* Folders: /dev/shm/gatepost-scan-PID/CHILD */

/* Memory where there is any to be written to: some containers have none. */
static const char *scratch_root(void)
{
	return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	/* The folder itself stays: it is where the walk began. */
	return ftw->level == 0 ? 0 : remove(path);
}

static void empty(const char *folder)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What killed scanners left behind. */
static void remove_stale(void)
{
	DIR *d = opendir(scratch_root());
	for (struct dirent *e; d && (e = readdir(d));) {
		uint64_t pid;
		char path[300];
		struct str name = str_c(e->d_name);
		if (!str_starts(name, SCANNER_PREFIX) ||
			str_to_u64(str_skip(name, strlen(SCANNER_PREFIX)), 2, INT32_MAX, &pid) < 0 ||
			kill((pid_t)pid, 0) == 0 || errno != ESRCH)
			continue;
		snprintf(path, sizeof(path), "%s/%s", scratch_root(), e->d_name);
		empty(path);
		rmdir(path);
	}
	if (d)
		closedir(d);
}

static int make_folder(struct role_self *self, struct scanner *s, struct err *err)
{
	remove_stale();
	snprintf(s->folder, sizeof(s->folder), "%s/" SCANNER_PREFIX "%d", scratch_root(),
		(int)getpid());
	return role_folder(self, s->folder, err);
}

/* Reading the section: the filter's own rows, beside those that the runner gives to all. */

struct common {
	bool enabled;
	const char *rest; /* timeout, on_error: the inspector's business */
};
static const struct option common_options[] = {
	{ "enabled", OPTION_BOOL, offsetof(struct common, enabled), "true" },
	{ "timeout", OPTION_STRING, offsetof(struct common, rest), "" },
	{ "on_error", OPTION_STRING, offsetof(struct common, rest), "" },
	OPTION_ROWS_END,
};

static void read_section(struct role_self *self, struct scanner *s, struct common *common_r)
{
	const struct conf_section *section = NULL;
	while ((section = conf_next(conf_root(self->conf), "filter", section)))
		if (strcmp(conf_title(section), "clamav") == 0)
			break;
	/* Errors are told by the check of the whole configuration, by the same rows. */
	conf_read2(self->conf, section, common_options, common_r, clamav_options, &s->conf);
}

static int load(struct role_self *self, struct ctl_ready *ready_r, struct err *err)
{
	struct scanner *s = ARENA_NEW(self->arena, struct scanner);
	struct common common;
	self->context = s;
	s->arena = arena_new(REQUEST_MEMORY);
	read_section(self, s, &common);
	if (!common.enabled) {
		ready_r->versions = STR("clamav=off");
		return 0;
	}
	if (make_folder(self, s, err) < 0)
		return -1;
	for (size_t i = 0; i < s->conf.database.n; i++)
		role_allow_read(self, s->conf.database.v[i]);
	s->engine = clamav_engine_load(&s->conf, s->folder, err);
	if (!s->engine)
		return -1;
	ready_r->versions = str_c(clamav_engine_version(s->engine));
	return 0;
}

static int child(struct loader_child *child, struct err *err)
{
	struct scanner *s = child->self->context;
	size_t n = strlen(s->folder);
	if (!s->engine)
		return 0;
	snprintf(s->folder + n, sizeof(s->folder) - n, "/%lld", (long long)child->index);
	if (mkdir(s->folder, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "%s cannot be made", s->folder);
	empty(s->folder);
	clamav_engine_folder(s->engine, s->folder);
	return 0;
}

static void scan(struct scanner *s, const struct ipc_packet *request, struct facts_scan *scan_r)
{
	struct str message;
	struct err err;
	*scan_r = (struct facts_scan){ .result = SCAN_UNAVAILABLE };
	if (!s->engine) {
		scan_r->reason = STR("it is switched off");
		return;
	}
	if (request->fd_count != 1 || memfd_map(request->fds[0], LIMIT_MESSAGE_BYTES, &message, &err) < 0) {
		scan_r->reason = STR("the message did not come with the request");
		return;
	}
	clamav_engine_scan(s->engine, message, s->arena, scan_r);
	memfd_unmap(message);
}

static int work(struct loader_child *child, struct ipc_packet *request, struct err *err)
{
	struct scanner *s = child->self->context;
	struct facts_scan result;
	struct buf payload = BUF_INIT;
	arena_reset(s->arena);
	scan(s, request, &result);
	for (unsigned i = 0; i < request->fd_count; i++)
		close(request->fds[i]);
	record_encode(&facts_scan_record, &result, &payload);
	struct ipc_packet reply = { .id = request->id, .payload = buf_str(&payload) };
	int rc = ipc_send(child->fd, &reply, err);
	buf_free(&payload);
	return rc;
}

/* freshclam has been here: a new generation loads the new database beside this one. */
static bool tick(struct role_self *self)
{
	struct scanner *s = self->context;
	return s->engine && clamav_engine_is_stale(s->engine);
}

/* The licence boundary lies where the security boundary is: this program says so itself. */
static int print_version(void)
{
	puts("gatepost scanner " GATEPOST_VERSION "\n"
	     "Its sources are under the BSD 2-clause licence. Linked with libclamav, this executable\n"
	     "as a whole is under the GNU General Public License, version 2.");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct loader_def scanner = {
		.role = ROLE_SCANNER,
		.allow = SANDBOX_FILES | SANDBOX_MEMFD, /* memfd: a reply too large for a packet */
		.load = load,
		.child = child,
		.work = work,
		.tick = tick,
		.tick_ms = 5000,
		.memory_bytes = (size_t)1 << 30,
	};
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return print_version();
	return loader_main(&scanner, argc, argv);
}
