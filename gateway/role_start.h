/*
 * role_start: the steps of a role's start, for role.c and loader.c only.
 *
 *	role_open()     arguments, configuration, shared table, user
 *	(load)          the role's own
 *	role_confine()  privileges, limits, sandbox
 *	role_say()      CTL_READY or CTL_FAILED
 */
#ifndef GATEWAY_ROLE_START_H
#define GATEWAY_ROLE_START_H

#include <sys/types.h>

#include "gateway/role.h"

struct role_paths {
	const char **v;
	size_t n;
};

struct role_private {
	const char *file;  /* of the configuration, as the administrator named it */
	const char *probe; /* a deed to try in the sandbox, or NULL */
	/* No supervisor has started it: it reads the configuration from `file`, and says on stderr
	 * what fails. */
	bool is_alone;
	bool is_only_child; /* a loader that serves the one channel at ROLE_FD_CONTROL by itself */
	bool is_root;
	uid_t uid;
	gid_t gid;
	struct role_paths read, write;
	struct channel *control;
	bool has_started;
	int status;
};

/* is_loader: maps only the running words. Fills *self; -1 also for wrong arguments. */
int role_open(struct role_self *self, enum role role, bool is_loader, int argc, char **argv,
	struct err *err);
/* From here on the process can do only what `allow` and the named paths say. */
int role_confine(struct role_self *self, unsigned allow, struct err *err);
/* Blocking, on the control descriptor. Without one (probe) only failures are said, on stderr. */
int role_say_ready(struct role_self *self, const struct ctl_ready *ready, struct err *err);
int role_say_failed(struct role_self *self, const struct err *why);
/* Tries the deed: exit status 0 if it was refused, 1 if it succeeded (or SIGSYS ends it). */
int role_probe(const struct role_self *self);
/* Ends the process without handlers at exit: they would do what the sandbox forbids. */
_Noreturn void role_end(int status);

#endif
