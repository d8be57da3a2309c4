/*
 * sandbox: takes from this process, for good, all that its work does not need.
 *
 *	static const struct sandbox box = { .allow = SANDBOX_LOOP | SANDBOX_CONNECT };
 *	sandbox_enter(&box, &note, &err);
 *
 * Two layers. Landlock: only the named paths, no TCP without SANDBOX_CONNECT, no
 * signals and abstract sockets of others (as far as the kernel knows these; what
 * it lacks is told in the note). seccomp: a list of system calls; any other ends
 * the process (SIGSYS), but those by which libraries look for files answer EACCES
 * where no files are allowed. Never: exec, ptrace, executable memory, new privileges.
 *
 * All of a process's work that opens, loads or compiles is done before. Under
 * AddressSanitizer a few more calls are let through, for its reports.
 */
#ifndef CORE_SANDBOX_H
#define CORE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

enum sandbox_allow {
	SANDBOX_LOOP = 1,    /* epoll, timers, signals, reading and writing what is open */
	SANDBOX_CONNECT = 2, /* new sockets: IPv4, IPv6, and local ones by path */
	SANDBOX_ACCEPT = 4,  /* new connections on sockets that listen already */
	SANDBOX_FILES = 8,   /* open and change files below the named paths */
	SANDBOX_MEMFD = 16,  /* make and seal memfds */
	SANDBOX_FORK = 32,   /* fork, wait, kill children, and tighten the sandbox again */
};

struct sandbox {
	unsigned allow;
	/* Files or folders; with SANDBOX_FILES. One that does not exist is left out. */
	const char *const *read;
	size_t read_count;
	const char *const *write; /* and read, make, rename, remove */
	size_t write_count;
	bool only_log; /* violations are logged by the kernel, not punished: to find what is missing
			*/
};

struct sandbox_note {
	int landlock_abi; /* 0: this kernel has none */
	char text[200];	  /* what could not be had, or "" */
};

/*
 * -1: nothing holds, the process must not go on. note_r may be NULL. May be called
 * again for less (SANDBOX_FORK allowed it).
 */
int sandbox_enter(const struct sandbox *sandbox, struct sandbox_note *note_r, struct err *err);
/* Was an environment variable set that asks for only_log (GATEPOST_SANDBOX_LOG)? */
bool sandbox_wants_log(void);

#endif
