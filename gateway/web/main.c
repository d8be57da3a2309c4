/*
 * web: the admin API, metrics and health over HTTP, on the control socket and on
 * the `admin` listener. It reads the quarantine's index itself (SQLite, read-only),
 * so that no search holds a commit up; what changes something is asked of the
 * keeper or the trainer. No message is taken apart here.
 */
#include <time.h>
#include <unistd.h>

#include "core/limits.h"
#include "gateway/log.h"
#include "gateway/web/web.h"

enum { REQUEST_MEMORY = 8 << 20 };

const struct http_route web_routes[] = {
	{ "GET", "/healthz", true, web_healthz },
	{ "GET", "/metrics", true, web_metrics },
	{ "GET", "/api/v1/status", true, web_status },
	{ "GET", "/api/v1/reports", false, web_reports },
	{ "GET", "/api/v1/quarantine", false, web_quarantine_list },
	{ "GET", "/api/v1/quarantine/?", false, web_quarantine_show },
	{ "GET", "/api/v1/quarantine/?/message", false, web_quarantine_message },
	{ "POST", "/api/v1/quarantine/?/release", false, web_quarantine_release },
	{ "POST", "/api/v1/quarantine/?/delete", false, web_quarantine_delete },
	{ "POST", "/api/v1/quarantine/?/learn", false, web_quarantine_learn },
	{ "POST", "/api/v1/learn", false, web_learn },
	{ "GET", "/api/v1/bayes", false, web_bayes },
	{ "POST", "/api/v1/bayes/rebuild", false, web_bayes_rebuild },
	{ "POST", "/api/v1/bayes/undo", false, web_bayes_undo },
	{ "POST", "/api/v1/bayes/rollback", false, web_bayes_roll_back },
	{ "GET", "/api/v1/bayes/refused", false, web_bayes_review },
	{ "POST", "/api/v1/bayes/accept", false, web_bayes_accept },
	{ "GET", "/ping", true, web_ping },
	{ "POST", "/checkv2", false, web_checkv2 },
	{ "POST", "/learnspam", false, web_learnspam },
	{ "POST", "/learnham", false, web_learnham },
	{ "GET", "/stat", false, web_stat },
	{ NULL, NULL, false, NULL },
};

static void on_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	/* Peers only answer; what comes unasked is not for us. */
	for (unsigned i = 0; i < packet->fd_count; i++)
		close(packet->fds[i]);
}

/* Where the channel to a peer of this role is kept; NULL for a role that we have no business with. */
static struct channel **place_of(struct web *web, int role)
{
	switch (role) {
	case ROLE_KEEPER:
		return &web->keeper;
	case ROLE_TRAINER:
		return &web->trainer;
	case ROLE_RESOLVER:
		return &web->resolver;
	case ROLE_INSPECTOR:
		return &web->bench;
	case ROLE_SCANNER:
		return &web->scanner;
	default:
		return NULL;
	}
}

static void on_closed(void *context, struct channel *channel)
{
	struct web *web = context;
	for (int role = 0; role < ROLE_COUNT; role++) {
		struct channel **place = place_of(web, role);
		if (place && *place == channel)
			*place = NULL;
	}
}

static int load(struct role_self *self, struct err *err)
{
	struct web *web = ARENA_NEW(self->arena, struct web);
	self->context = web;
	web->self = self;
	web->arena = arena_new(REQUEST_MEMORY);
	web->started = (int64_t)time(NULL);
	/* SQLite's readers share its -shm file with the keeper. */
	role_allow_read(self, self->config->state_dir);
	return config_token(self->config, self->arena, &web->token, err);
}

static void wire(struct role_self *self, const struct ctl_peer *peer, int fd)
{
	static const struct channel_ops ops = { .packet = on_packet, .closed = on_closed };
	struct web *web = self->context;
	struct channel **place = place_of(web, peer->role);
	/* One that comes anew takes the old one's place: what was outstanding there is answered NULL. */
	if (place)
		channel_free(place);
	if (place)
		*place = channel_new(self->loop, fd, LIMIT_IPC_WINDOW, &ops, web);
	else
		close(fd);
}

static void on_listen(struct role_self *self, const struct ctl_listen *which, int fd)
{
	struct web *web = self->context;
	bool control = str_eq_c(which->name, "control");
	struct http_server **server = &web->servers[control];
	http_server_free(server);
	*server = http_server_new(self->loop, fd, web_routes, control, web->token, web);
	if (!*server)
		log_event(LOG_LEVEL_ERROR, "http-failed", "%.*s cannot be served", STR_ARG(which->name));
}

static void drain(struct role_self *self)
{
	struct web *web = self->context;
	http_server_free(&web->servers[0]);
	http_server_free(&web->servers[1]);
	store_close(&web->index);
	collect_close(&web->reports);
	role_exit(self);
}

int main(int argc, char **argv)
{
	static const struct role_def web = {
		.role = ROLE_WEB,
		.allow = SANDBOX_ACCEPT | SANDBOX_FILES | SANDBOX_MEMFD,
		.load = load,
		.wire = wire,
		.listen = on_listen,
		.drain = drain,
	};
	return role_main(&web, argc, argv);
}
