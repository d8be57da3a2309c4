/*
 * loader: roles that open and compile everything once and then fork (inspector, scanner).
 *
 *	static const struct loader_def inspector = {
 *		.role = ROLE_INSPECTOR, .load = load, .work = work, .names = names,
 *	};
 *	int main(int argc, char **argv) { return loader_main(&inspector, argc, argv); }
 *
 * The parent, the loader, calls load() once with the privileges of the start,
 * confines itself, and forks a child for each CTL_FORK. A child has its channel and
 * the memory that it was born with, nothing else: it confines itself further (no
 * fork, no files unless named, no socket), then receives, works, replies, one
 * request at a time. It ends when its channel closes, and is killed when its
 * loader dies. A death is told to the supervisor with the filter that ran.
 *
 * With "--only-child yes -c FILE" it has no supervisor, forks nothing, and serves the channel at
 * ROLE_FD_CONTROL itself, until that closes: for commands.
 */
#ifndef GATEWAY_LOADER_H
#define GATEWAY_LOADER_H

#include "gateway/role.h"

/* A child, as work() sees it. */
struct loader_child {
	struct role_self *self; /* its loop is NULL: there is none */
	int64_t index;
	int fd;			    /* the channel: reply by ipc_send(), with the request's id */
	volatile uint32_t *running; /* names the filter that runs */
	void *context;		    /* the child's own */
};

struct loader_def {
	enum role role;
	/* enum sandbox_allow for loader and children, beyond the channel and memory:
	 * SANDBOX_FILES for the scanner's folder. */
	unsigned allow;
	/* As role_def.load; *ready_r is sent to the supervisor (stages and versions). */
	int (*load)(struct role_self *self, struct ctl_ready *ready_r, struct err *err);
	/* In a new child before it confines itself the last bit; may be NULL. */
	int (*child)(struct loader_child *child, struct err *err);
	/* Answers one request. Its descriptors are work()'s to close, its payload lives until
	 * the return. 0; -1 and err: the child ends (a request that makes no sense). */
	int (*work)(struct loader_child *child, struct ipc_packet *request, struct err *err);
	/* What the numbers in the running word mean: number i + 1 is names()[i]. May be NULL. */
	const char *const *(*names)(size_t *count_r);
	/* Called about every tick_ms in the loader: true asks the supervisor to reload, since what
	 * was loaded is out of date. May be NULL. */
	bool (*tick)(struct role_self *self);
	int64_t tick_ms;
	/* More deeds for --sandbox-probe: the exit status, or -1 if it is not known. May be NULL.
	 */
	int (*probe)(struct role_self *self, const char *deed);
	size_t memory_bytes; /* of a child beyond what the loader has; 0: no limit */
};

int loader_main(const struct loader_def *def, int argc, char **argv);

#endif
