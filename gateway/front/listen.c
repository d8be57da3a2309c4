#include "gateway/front/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/front/session.h"
#include "gateway/log.h"

/* At most so many from one socket before others have their turn. */
enum { ACCEPT_BATCH = 32 };

/* Certificates */

/* Fronts start side by side: the first one makes the pair, the others find it. */
static int make_self_signed(struct front *front, const char *certificate, const char *key,
	struct err *err)
{
	const struct config *config = front->config;
	const char *lock_path = config_path(config, front->self->arena, "tls.lock");
	int lock, result = 0;

	if (mkdir(config->state_dir, 0750) != 0 && errno != EEXIST)
		return err_sys(err, "cannot make the state folder %s", config->state_dir);
	lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return err_sys(err, "cannot open %s", lock_path);
	if (flock(lock, LOCK_EX) != 0)
		result = err_sys(err, "cannot lock %s", lock_path);
	else if (access(certificate, R_OK) != 0 || access(key, R_OK) != 0)
		result = tls_self_signed(config->hostname, certificate, key, err);
	close(lock);
	return result;
}

static struct tls_context *load_context(struct front *front, const struct config_listener *config,
	struct err *err)
{
	struct tls_server_options options = { .name = config->title,
		.certificate = config->tls_certificate, .key = config->tls_key,
		.security_level = 1 };

	if (!config->tls_certificate[0]) {
		struct arena *arena = front->self->arena;

		options.certificate = config_path(front->config, arena, "self-signed.crt");
		options.key = config_path(front->config, arena, "self-signed.key");
		if (make_self_signed(front, options.certificate, options.key, err) != 0)
			return NULL;
		log_event(LOG_LEVEL_WARNING, "self-signed",
			"listener %s has no tls_certificate: senders are offered a self-signed one",
			config->title);
	}
	return tls_server_new(&options, err);
}

int listen_load(struct front *front, struct err *err)
{
	const struct config *config = front->config;

	front->listener_count = config->listener_count;
	front->listeners = arena_array(front->self->arena, config->listener_count,
		sizeof(*front->listeners));
	for (size_t i = 0; i < config->listener_count; i++) {
		struct listener *l = &front->listeners[i];

		l->front = front;
		l->config = &config->listeners[i];
		l->fd = -1;
		if (l->config->tls == CONFIG_TLS_OFF)
			continue;
		l->tls = load_context(front, l->config, err);
		if (!l->tls)
			return err_prefix(err, "listen \"%s\"", l->config->title);
	}
	return 0;
}

/* Accepting */

/* No session for it, no memory and perhaps no descriptor: one line, as far as it goes. */
static void turn_away(struct front *front, int fd)
{
	static const char line[] = "421 4.3.2 Too many connections, try again later\r\n";

	shared_add(front->shared, SHARED_CONNECTIONS_REFUSED, 1);
	(void)!send(fd, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

/* Kernel errors that belong to the connection that did not come about (accept(2)). */
static bool is_passing(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
	       error == EHOSTUNREACH || error == ENETUNREACH || error == EPERM;
}

static void on_connection(void *context, int listening, unsigned events)
{
	struct listener *l = context;

	for (int i = 0; i < ACCEPT_BATCH && l->fd >= 0; i++) {
		struct sockaddr_storage address;
		socklen_t length = sizeof(address);
		int on = 1, fd = accept4(listening, (struct sockaddr *)&address, &length,
			SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct ip ip;
		uint16_t port;

		if (fd < 0 && is_passing(errno))
			continue;
		if (fd < 0)
			return;
		ip_from_sockaddr(&address, &ip, &port);
		/* Replies are written whole: to wait for more to go with them only costs time. */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (ledger_take_descriptors(&l->front->ledger, 1))
			session_new(l, fd, &ip, port);
		else
			turn_away(l->front, fd);
	}
}

void listen_add(struct front *front, size_t index, int fd)
{
	struct listener *l = index < front->listener_count ? &front->listeners[index] : NULL;

	if (!l || l->fd >= 0 || front->retiring) {
		close(fd);
		return;
	}
	l->fd = fd;
	l->io = loop_io_new(front->loop, fd, on_connection, l);
}

void listen_start(struct front *front)
{
	for (size_t i = 0; i < front->listener_count; i++)
		if (front->listeners[i].io)
			loop_io_want(front->listeners[i].io, LOOP_READ);
}

void listen_stop(struct front *front)
{
	for (size_t i = 0; i < front->listener_count; i++) {
		struct listener *l = &front->listeners[i];

		loop_io_free(&l->io);
		if (l->fd >= 0)
			close(l->fd);
		l->fd = -1;
	}
}
