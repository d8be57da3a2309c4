#include <stdlib.h>

#include "core/hash.h"
#include "core/limits.h"
#include "gateway/front/callout.h"
#include "gateway/front/listen.h"
#include "gateway/front/poison.h"
#include "gateway/front/release.h"
#include "gateway/front/session.h"
#include "gateway/front/upstream.h"
#include "gateway/log.h"

enum {
	SWEEP_MS = 1000,
	RESOLVER_WINDOW = LIMIT_IPC_WINDOW,
	KEEPER_WINDOW = LIMIT_IPC_WINDOW,
	TRAINER_WINDOW = 16, /* people report mail; who floods waits */
};

/* Wires */

static void on_peer_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	(void)context;
	(void)channel;
	ipc_close_fds(packet); /* resolver, keeper and trainer only answer */
}

static void on_resolver_closed(void *context, struct channel *channel)
{
	struct front *front = context;

	if (front->resolver == channel)
		front->resolver = NULL;
}

static void on_keeper_closed(void *context, struct channel *channel)
{
	struct front *front = context;

	if (front->keeper == channel)
		front->keeper = NULL;
}

static void on_trainer_closed(void *context, struct channel *channel)
{
	struct front *front = context;

	if (front->trainer == channel)
		front->trainer = NULL;
}

static const struct channel_ops resolver_ops = { on_peer_packet, on_resolver_closed };
static const struct channel_ops keeper_ops = { on_peer_packet, on_keeper_closed };
static const struct channel_ops trainer_ops = { on_peer_packet, on_trainer_closed };

static void wire(struct role_self *self, const struct ctl_peer *peer, int fd)
{
	struct front *front = self->context;
	struct ipc_packet unused = { .fds = { fd }, .fd_count = 1 };

	switch (peer->role) {
	case ROLE_INSPECTOR:
		workers_wire(front->inspectors, peer->index, peer->generation, fd);
		break;
	case ROLE_SCANNER:
		workers_wire(front->scanners, peer->index, peer->generation, fd);
		break;
	case ROLE_RESOLVER:
		/* The one before is answered as gone, even if we have not heard of its end yet. */
		channel_free(&front->resolver);
		front->resolver = channel_new(front->loop, fd, RESOLVER_WINDOW, &resolver_ops,
			front);
		channel_refuse_fds(front->resolver);
		break;
	case ROLE_KEEPER:
		channel_free(&front->keeper);
		front->keeper = channel_new(front->loop, fd, KEEPER_WINDOW, &keeper_ops, front);
		releases_pull(front->releases);
		break;
	case ROLE_TRAINER:
		channel_free(&front->trainer);
		front->trainer = channel_new(front->loop, fd, TRAINER_WINDOW, &trainer_ops, front);
		channel_refuse_fds(front->trainer);
		break;
	default:
		ipc_close_fds(&unused);
		break;
	}
}

static void kill_worker(void *context, const struct ctl_peer *peer)
{
	struct front *front = context;

	role_kill(front->self, (enum role)peer->role, peer->index);
}

static void listen_on(struct role_self *self, const struct ctl_listen *listen, int fd)
{
	listen_add(self->context, (size_t)listen->index, fd);
}

/* Life */

static void on_sweep(void *context)
{
	struct front *front = context;
	int64_t now = loop_now_ms(front->loop);

	for (struct session *s = front->sessions; s; s = front->cursor) {
		front->cursor = s->next;
		session_sweep(s, now);
	}
	upstream_sweep(front->upstream, now);
	shared_gauge_set(front->shared, ROLE_FRONT, front->self->index, SHARED_BUFFERED_BYTES,
		(int64_t)front->ledger.octets);
	shared_gauge_set(front->shared, ROLE_FRONT, front->self->index, SHARED_EVALUATIONS_QUEUED,
		(int64_t)workers_waiting(front->inspectors));
	loop_timer_set(front->sweep, SWEEP_MS);
}

static void start(struct role_self *self)
{
	struct front *front = self->context;

	listen_start(front);
	upstream_start(front->upstream);
	releases_pull(front->releases);
	loop_timer_set(front->sweep, SWEEP_MS);
}

static void retire(struct role_self *self)
{
	struct front *front = self->context;

	front->retiring = true;
	listen_stop(front);
	front_check_drained(front);
}

static void drain(struct role_self *self)
{
	struct front *front = self->context;

	front->retiring = front->draining = true;
	listen_stop(front);
	upstream_drain(front->upstream);
	/* The last one to go ends the process: it must not do so within this loop. */
	front->session_count++;
	for (struct session *s = front->sessions; s; s = front->cursor) {
		front->cursor = s->next;
		session_drain(s);
	}
	front->session_count--;
	front_check_drained(front);
}

static int load_keys(struct front *front, struct err *err)
{
	const struct option_strings *errors = conf_errors(front->self->conf);

	if (keyring_load(front->config->state_dir, front->self->arena, &front->keyring, err) != 0)
		return -1;
	keyring_check(&front->keyring, front->config, front->self->conf);
	return errors->n ? err_set(err, "%s", errors->v[0]) : 0;
}

static int load(struct role_self *self, struct err *err)
{
	struct front *front = ARENA_NEW(self->arena, struct front);
	struct workers_options workers = { .loop = self->loop, .role = ROLE_INSPECTOR,
		.wall_ms = self->config->limits.inspector_timeout, .kill = kill_worker, .context = front };

	self->context = front;
	front->self = self;
	front->loop = self->loop;
	front->config = self->config;
	front->shared = self->shared;
	hash_random(&front->session_number, sizeof(front->session_number));
	ledger_init(&front->ledger, (uint64_t)self->config->limits.front_memory);
	if (listen_load(front, err) != 0 || load_keys(front, err) != 0 ||
		accounts_load(self->config->state_dir, self->arena, &front->accounts, err) != 0 ||
		config_relay_password(self->config, self->arena, &front->relay_password, err) != 0)
		return -1;
	front->inspectors = workers_new(&workers);
	workers.role = ROLE_SCANNER;
	workers.wall_ms = self->config->limits.scanner_timeout;
	front->scanners = workers_new(&workers);
	front->poison = poison_new();
	front->callouts = callout_cache_new();
	front->releases = releases_new(front);
	front->sweep = loop_timer_new(front->loop, on_sweep, front);
	front->upstream = upstream_new(front, err);
	if (!front->upstream)
		return -1;
	for (size_t i = 0; i < self->config->domain_count; i++)
		for (size_t k = 0; k < self->config->domains[i].backend_count; k++)
			if (self->config->domains[i].backends[k].kind == BACKEND_LMTP_UNIX)
				role_allow_write(self, self->config->domains[i].backends[k].path);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct role_def front = {
		.role = ROLE_FRONT,
		.allow = SANDBOX_CONNECT | SANDBOX_ACCEPT | SANDBOX_MEMFD,
		.load = load,
		.wire = wire,
		.listen = listen_on,
		.start = start,
		.retire = retire,
		.drain = drain,
	};

	return role_main(&front, argc, argv);
}
