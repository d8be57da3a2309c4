/*
 * supervisor: holds the gateway together, and reads nothing that came from the network.
 *
 * It owns the listening sockets, the configuration, the shared table, and every
 * process. What must be running is a list of struct process; a new one is spawned,
 * wired to all that it talks to, and when it says that it is ready it is told to
 * serve. What dies is made anew by the same steps.
 *
 *	settings.c    one read and checked configuration
 *	listeners.c   sockets by their title
 *	process.c     a process from fork to its end, and what it says
 *	wiring.c      who talks to whom; inspectors' and scanners' children
 *	supervisor.c  generations: start, reload, stop
 *
 * A generation is a front for each core with the inspectors and scanners that judge for
 * them. The others (resolver, keeper, trainer, web) are there once; they are made anew
 * after a reload if the file's text changed.
 */
#ifndef GATEWAY_SUPERVISOR_SUPERVISOR_H
#define GATEWAY_SUPERVISOR_SUPERVISOR_H

#include <sys/types.h>

#include "core/ipc.h"
#include "core/loop.h"
#include "gateway/config.h"
#include "gateway/protocol.h"
#include "gateway/shared.h"

/* Settings: shared by all processes that were started with them. */
struct settings {
	unsigned references;
	struct arena *arena;
	struct str text;
	const char *file;
	struct conf *conf;
	struct config *config;
	const char *admin_title; /* of the admin listener */
	int fd;			 /* sealed memfd of the text */
};
/* With one reference. On failure every error of the file is logged, err has the first. */
struct settings *settings_load(const char *file, struct err *err);
struct settings *settings_ref(struct settings *settings);
void settings_unref(struct settings **settings);

/* Listeners */
struct listener {
	struct listener *next;
	char *title; /* of the listen section; "admin ADDRESS", "control" */
	int fd;
	bool is_new; /* opened for settings that are not in use yet */
};
struct listener_list {
	struct listener *first;
};
/* Opens what the settings name and is not open yet. On failure nothing new stays open. */
int listeners_open(struct listener_list *list, const struct settings *settings, struct err *err);
/* Closes what was opened last, or else what these settings do not name. */
void listeners_undo(struct listener_list *list);
void listeners_keep(struct listener_list *list, const struct settings *settings);
/* -1 if there is none of this title. */
int listeners_find(const struct listener_list *list, const char *title);
/* The control socket in state_dir; refuses if another gateway answers there. */
int listeners_open_control(struct listener_list *list, const struct settings *settings,
	struct err *err);

/* Processes */
enum process_state {
	PROCESS_STARTING,
	PROCESS_READY, /* loaded and confined, waits for the others of its generation */
	PROCESS_SERVING,
	PROCESS_DRAINING,
	PROCESS_WAITING, /* not running: died too often, to be started at retry_ms */
};
struct supervisor;
struct process {
	struct process *next;
	struct supervisor *supervisor;
	enum role role;
	int64_t index, generation;
	struct settings *settings;
	enum process_state state;
	pid_t pid;
	struct channel *control;
	bool is_reaped, is_closed; /* gone when both */
	int status;		   /* of waitpid */
	bool is_retiring;	   /* serves only what is open; deadline_ms holds */
	bool is_replaced;	   /* drains, and is then started anew with the current settings */
	int64_t started_ms, retry_ms, deadline_ms;
	unsigned early_deaths;
	struct ctl_ready ready;
	struct buf versions; /* what ready.versions points to */
	struct err failure;  /* of CTL_FAILED, or "" */
};
/* NULL and err if not even a fork was possible. Wires it to all that it talks to. */
struct process *process_spawn(struct supervisor *s, enum role role, int64_t generation,
	struct settings *settings, struct err *err);
/* The same process anew, after its end. */
int process_respawn(struct process *process, struct err *err);
/* Hands it its sockets and says start. */
void process_serve(struct process *process);
/* The inspectors' stages and versions, where they matter and may have changed. */
void process_tell_judge(struct process *process);
void process_retire(struct process *process, int64_t deadline_ms);
void process_drain(struct process *process, int64_t deadline_ms);
void process_kill(const struct process *process);
/* Takes it off the list and frees it. */
void process_remove(struct process **process);
/* To be called on SIGCHLD. */
void process_reap(struct supervisor *s);
int process_send(struct process *process, uint16_t type, const struct record *record,
	const void *object, const int *fds, unsigned fd_count);
bool process_is_alive(const struct process *process);

/* Wiring */
struct child {
	bool is_used;
	bool is_superseded; /* its owner has another one: let it go */
	enum role role;
	int64_t index, generation;
	int64_t retry_ms;		/* not 0: to be forked then */
	struct process *loader, *owner; /* NULL: gone */
};
/* Makes all channels of a process that has just been spawned. */
void wiring_connect(struct supervisor *s, struct process *process);
/* Forgets what was wired to a process that is gone. */
void wiring_disconnect(struct supervisor *s, const struct process *process);
/* Web and trainer get their inspector from the newest generation. */
void wiring_move_bench(struct supervisor *s);
void wiring_child_died(struct supervisor *s, struct process *loader, const struct ctl_died *died);
/* Forwards the order if the child is the asker's. */
void wiring_kill_child(struct supervisor *s, const struct process *asker,
	const struct ctl_peer *peer);
/* Forks what is due. Is anything left to be done later? */
bool wiring_retry(struct supervisor *s, int64_t now_ms);

/* The whole */
struct supervisor {
	struct loop *loop;
	const char *file;
	char libexec[4096]; /* folder of the roles' executables */
	struct shared *shared;
	int shared_fd;
	struct settings *settings; /* in use */
	struct settings *next;	   /* of a reload under way, or NULL */
	int64_t generation;	   /* the newest that serves, or is being started at the start */
	int64_t preparing;	   /* being started, or 0 */
	int64_t last_generation;   /* ever tried */
	struct listener_list listeners;
	struct process *processes;
	struct child children[SHARED_INSPECTORS];
	int64_t next_child;
	struct loop_timer *chores;
	bool reload_wanted; /* asked for while one was under way */
	bool is_stopping;
	int64_t stopping_since_ms;
	size_t stop_stage;
	int status;
};

/* Does the role belong to a generation? Otherwise there is one of it. */
bool supervisor_is_generational(enum role role);
/* What a process says and what becomes of it; called by process.c. */
void supervisor_ready(struct supervisor *s, struct process *process);
void supervisor_gone(struct supervisor *s, struct process *process);
void supervisor_reload(struct supervisor *s);
void supervisor_stop(struct supervisor *s);
/* Have chores looked at soon. */
void supervisor_wake(struct supervisor *s);
/* Starts everything and runs until the end; the exit status. */
int supervisor_run(const char *file);

/* "READY=1" and the like to systemd, if it asked for it (sd_notify(3)). */
void notify_send(const char *state);

#endif
