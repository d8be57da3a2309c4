#include <sys/wait.h>
#include <unistd.h>

#include "gateway/log.h"
#include "gateway/supervisor/supervisor.h"

/* A child that ends by itself with a failure would do so again at once. */
#define CHILD_RETRY_MS 250
/* One that ends without says that its channel closed: mostly, that of its owner is to be heard. */
#define CHILD_LEFT_MS  50

/* Requests run from the asker to the other. */
static const struct {
	enum role asker, answerer;
} wires[] = {
	{ ROLE_FRONT, ROLE_RESOLVER },
	{ ROLE_FRONT, ROLE_KEEPER },
	{ ROLE_FRONT, ROLE_TRAINER },
	{ ROLE_WEB, ROLE_KEEPER },
	{ ROLE_WEB, ROLE_TRAINER },
	{ ROLE_WEB, ROLE_RESOLVER },
};

/* Children that a loader forks for an asker. */
static size_t children_for(const struct process *loader, const struct process *asker)
{
	const struct config *config = asker->settings->config;

	if (loader->role == ROLE_INSPECTOR) {
		if (asker->role == ROLE_FRONT)
			return (size_t)config->inspectors_per_front;
		return asker->role == ROLE_WEB || asker->role == ROLE_TRAINER ? 1 : 0;
	}
	if (loader->role == ROLE_SCANNER && asker->role == ROLE_WEB)
		return 1;
	if (loader->role == ROLE_SCANNER && asker->role == ROLE_FRONT) {
		/* The file's number is for all fronts; each needs one at least. */
		int64_t each = config->scanners / config->fronts;
		return each < 1 ? 1 : (size_t)each;
	}
	return 0;
}

static bool is_loader(enum role role)
{
	return role == ROLE_INSPECTOR || role == ROLE_SCANNER;
}

/* Does this loader work for this process? */
static bool is_loader_of(const struct supervisor *s, const struct process *loader,
	const struct process *asker)
{
	if (!is_loader(loader->role))
		return false;
	if (supervisor_is_generational(asker->role))
		return loader->generation == asker->generation;
	return loader->generation == s->generation;
}

/* A channel between two processes that run. */
static void wire(struct process *asker, struct process *answerer)
{
	struct ctl_peer to_asker = { (int)answerer->role, answerer->index, answerer->generation };
	struct ctl_peer to_answerer = { (int)asker->role, asker->index, asker->generation };
	struct err err;
	int fds[2];

	if (ipc_pair(fds, &err) != 0) {
		log_event(LOG_LEVEL_ERROR, "wiring-failed", "%s", err.text);
		return;
	}
	process_send(asker, CTL_WIRE, &ctl_peer_record, &to_asker, &fds[0], 1);
	process_send(answerer, CTL_WIRE, &ctl_peer_record, &to_answerer, &fds[1], 1);
	close(fds[0]);
	close(fds[1]);
}

/* A new child takes another number than the last one had: its word then still tells of that one. */
static struct child *free_child(struct supervisor *s)
{
	for (size_t i = 0; i < SHARED_INSPECTORS; i++) {
		struct child *child = &s->children[s->next_child];
		int64_t index = s->next_child;
		s->next_child = (s->next_child + 1) % SHARED_INSPECTORS;
		if (!child->is_used) {
			*child = (struct child){ .is_used = true, .index = index };
			return child;
		}
	}
	return NULL;
}

static void fork_child(struct supervisor *s, struct process *loader, struct process *owner)
{
	struct child *child = free_child(s);
	struct err err;
	int fds[2];

	if (child == NULL || ipc_pair(fds, &err) != 0) {
		log_event(LOG_LEVEL_ERROR, "wiring-failed", "%s",
			child == NULL ? "too many inspectors and scanners" : err.text);
		if (child != NULL)
			child->is_used = false;
		return;
	}
	child->role = loader->role;
	child->generation = loader->generation;
	child->loader = loader;
	child->owner = owner;
	struct ctl_peer to_loader = { (int)owner->role, child->index, loader->generation };
	struct ctl_peer to_owner = { (int)loader->role, child->index, loader->generation };
	process_send(loader, CTL_FORK, &ctl_peer_record, &to_loader, &fds[0], 1);
	process_send(owner, CTL_WIRE, &ctl_peer_record, &to_owner, &fds[1], 1);
	close(fds[0]);
	close(fds[1]);
}

static void connect_children(struct supervisor *s, struct process *loader, struct process *asker)
{
	for (size_t n = children_for(loader, asker); n > 0; n--)
		fork_child(s, loader, asker);
}

void wiring_connect(struct supervisor *s, struct process *process)
{
	for (struct process *other = s->processes; other != NULL; other = other->next) {
		if (other == process || !process_is_alive(other))
			continue;
		for (size_t i = 0; i < sizeof(wires) / sizeof(*wires); i++) {
			if (process->role == wires[i].asker && other->role == wires[i].answerer)
				wire(process, other);
			if (other->role == wires[i].asker && process->role == wires[i].answerer)
				wire(other, process);
		}
		if (is_loader_of(s, process, other))
			connect_children(s, process, other);
		if (is_loader_of(s, other, process))
			connect_children(s, other, process);
	}
}

void wiring_disconnect(struct supervisor *s, const struct process *process)
{
	for (size_t i = 0; i < SHARED_INSPECTORS; i++) {
		struct child *child = &s->children[i];
		if (!child->is_used)
			continue;
		/* Children die with their loader. */
		if (child->loader == process) {
			child->is_used = false;
		} else if (child->owner == process) {
			/* Nobody waits for what it works on; its loader says when it is gone. */
			struct ctl_peer who = { (int)process->role, child->index,
				child->generation };
			child->owner = NULL;
			process_send(child->loader, CTL_KILL, &ctl_peer_record, &who, NULL, 0);
		}
	}
}

void wiring_move_bench(struct supervisor *s)
{
	for (size_t i = 0; i < SHARED_INSPECTORS; i++) {
		struct child *child = &s->children[i];
		if (child->is_used && child->owner != NULL &&
			!supervisor_is_generational(child->owner->role) &&
			child->generation != s->generation)
			child->is_superseded = true;
	}
	for (struct process *loader = s->processes; loader != NULL; loader = loader->next) {
		if (!is_loader(loader->role) || loader->generation != s->generation)
			continue;
		for (struct process *p = s->processes; p != NULL; p = p->next)
			if (!supervisor_is_generational(p->role) && process_is_alive(p))
				connect_children(s, loader, p);
	}
}

static void log_death(const struct child *child, int status, struct str filter)
{
	struct log_line *line = log_line(LOG_LEVEL_WARNING, "inspector-died");

	log_c(line, "what", role_names[child->role]);
	log_int(line, "child", child->index);
	log_int(line, "generation", child->generation);
	if (WIFSIGNALED(status))
		log_int(line, "signal", WTERMSIG(status));
	else
		log_int(line, "status", WEXITSTATUS(status));
	if (filter.n > 0)
		log_str(line, "filter", filter);
	log_end(line);
}

/* Is there somebody who still needs this child? Without, its end is the usual one. */
static bool is_missed(const struct supervisor *s, const struct child *child)
{
	return child->owner != NULL && process_is_alive(child->owner) &&
		process_is_alive(child->loader) && !child->is_superseded &&
		child->owner->state != PROCESS_DRAINING && !s->is_stopping;
}

static void fork_later(struct supervisor *s, struct child *child, int64_t in_ms)
{
	child->is_used = true;
	child->retry_ms = loop_now_ms(s->loop) + in_ms;
	supervisor_wake(s);
}

void wiring_child_died(struct supervisor *s, struct process *loader, const struct ctl_died *died)
{
	int status = (int)died->status;

	if (died->index < 0 || died->index >= SHARED_INSPECTORS)
		return;
	struct child *child = &s->children[died->index];
	if (!child->is_used || child->loader != loader)
		return;
	child->is_used = false;
	if (!is_missed(s, child))
		return;
	process_send(child->owner, CTL_DIED, &ctl_died_record, died, NULL, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (!child->owner->is_retiring)
			fork_later(s, child, CHILD_LEFT_MS);
		return;
	}
	log_death(child, status, died->filter);
	shared_add(s->shared, SHARED_INSPECTOR_DEATHS, 1);
	/* Killed: made anew at once, there is mail waiting. */
	if (WIFSIGNALED(status))
		fork_child(s, loader, child->owner);
	else
		fork_later(s, child, CHILD_RETRY_MS);
}

bool wiring_retry(struct supervisor *s, int64_t now_ms)
{
	bool is_left = false;

	for (size_t i = 0; i < SHARED_INSPECTORS; i++) {
		struct child *child = &s->children[i];
		if (!child->is_used || child->retry_ms == 0)
			continue;
		if (child->retry_ms > now_ms) {
			is_left = true;
			continue;
		}
		child->is_used = false;
		if (is_missed(s, child))
			fork_child(s, child->loader, child->owner);
	}
	return is_left;
}

void wiring_kill_child(struct supervisor *s, const struct process *asker,
	const struct ctl_peer *peer)
{
	if (peer->index < 0 || peer->index >= SHARED_INSPECTORS)
		return;
	const struct child *child = &s->children[peer->index];
	if (!child->is_used || child->owner != asker || child->loader == NULL)
		return;
	process_send(child->loader, CTL_KILL, &ctl_peer_record, peer, NULL, 0);
}
