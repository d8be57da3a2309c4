/*
 * role: the start of every role that has an event loop.
 *
 *	static int load(struct role_self *self, struct err *err)
 *	{
 *		self->context = keeper_new(self);
 *		return role_folder(self, config_path(self->config, self->arena, "quarantine"), err);
 *	}
 *	static const struct role_def keeper = {
 *		.role = ROLE_KEEPER, .allow = SANDBOX_FILES | SANDBOX_MEMFD,
 *		.load = load, .wire = wire, .start = start, .drain = drain,
 *	};
 *	int main(int argc, char **argv) { return role_main(&keeper, argc, argv); }
 *
 * role_main() reads the configuration from ROLE_FD_CONFIG, maps the shared table,
 * calls load(), confines the process (as root: user and group of the role, and an
 * empty root if it named no path; always: no new privileges, resource limits,
 * Landlock, seccomp), tells the supervisor that it is ready, and runs the loop.
 * All callbacks come from that loop. When the supervisor is gone the process ends.
 *
 * Signals: SIGTERM and SIGINT are ignored (the supervisor drains us), SIGPIPE too.
 *
 * Each executable also takes `--sandbox-probe open|socket|connect|exec|fork -c FILE`: it
 * loads, confines itself, tries that, and says what became of it (role.c).
 */
#ifndef GATEWAY_ROLE_H
#define GATEWAY_ROLE_H

#include "core/ipc.h"
#include "core/loop.h"
#include "core/sandbox.h"
#include "gateway/config.h"
#include "gateway/protocol.h"
#include "gateway/shared.h"

struct role_self;

struct role_def {
	enum role role;
	/* enum sandbox_allow, beyond SANDBOX_LOOP. Paths are named in load(). */
	unsigned allow;
	/*
	 * Opens, reads and warms up all that cannot be had later. Still with the privileges
	 * of the start. A failure ends the start of the gateway with this text.
	 */
	int (*load)(struct role_self *self, struct err *err);
	/*
	 * A channel to that peer; fd is yours (channel_new). May come at any time, before
	 * start() and after: a peer that died and was made anew comes with its old role and
	 * index (inspectors: a new index), and its old channel has closed or soon will.
	 */
	void (*wire)(struct role_self *self, const struct ctl_peer *peer, int fd);
	/* A socket that listens, non-blocking; index is that of config->listeners (fronts). */
	void (*listen)(struct role_self *self, const struct ctl_listen *listen, int fd);
	/* Everything of the start is there: serve. self->judge is filled (front, web). */
	void (*start)(struct role_self *self);
	/*
	 * A new generation serves what is new: close the listeners, go on with what is open, and
	 * when that has ended call role_exit(). May be NULL: then as drain(). drain() may follow.
	 */
	void (*retire)(struct role_self *self);
	/* Take nothing new, finish what is under way, then call role_exit(). */
	void (*drain)(struct role_self *self);
	/* An inspector of ours died (its channel closed, before or after this). May be NULL. */
	void (*died)(struct role_self *self, const struct ctl_died *died);
};

struct role_self {
	const struct role_def *def;
	const struct config *config; /* read-only */
	struct conf *conf;	     /* for sections that config.h does not know */
	struct arena *arena;	     /* of the process */
	struct loop *loop;
	struct shared *shared; /* NULL in inspectors and scanners */
	struct shared_running *running;
	int64_t index, generation; /* index: unique among the live processes of this role */
	bool is_draining;
	struct ctl_ready judge; /* the inspectors' stages and versions; kept up to date */
	void *context;		/* yours; load() sets it */
	struct role_private *private;
};

/* Runs the role to its end; returns the exit status. */
int role_main(const struct role_def *def, int argc, char **argv);
/* Finished (after drain()): leaves the loop, exit status 0. */
void role_exit(struct role_self *self);

/* In load(): the sandbox lets this path be read, or written (everything below a folder).
 * The text must live as long as the role. */
void role_allow_read(struct role_self *self, const char *path);
void role_allow_write(struct role_self *self, const char *path);
/* In load(): makes a folder (0750, and those above it) if it is missing, makes it the
 * role's own when started as root, and lets it be written. */
int role_folder(struct role_self *self, const char *path, struct err *err);
/* In load(), after what needs root: what is made from here on is the role's own, as it will be
 * after the confinement. Nothing if not started as root. */
int role_as_user(struct role_self *self, struct err *err);

/* To the supervisor: kill this inspector (it is past its time); it is replaced. */
void role_kill(struct role_self *self, enum role peer, int64_t index);

/* Users and groups by role, for `gatepost setup`; as root they must exist. */
struct role_user {
	enum role role;
	const char *user, *group;
};
extern const struct role_user role_users[];
extern const size_t role_user_count;

#endif
