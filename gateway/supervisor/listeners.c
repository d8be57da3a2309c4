#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/log.h"
#include "gateway/supervisor/supervisor.h"

#define CONTROL "control"

int listeners_find(const struct listener_list *list, const char *title)
{
	for (const struct listener *l = list->first; l != NULL; l = l->next)
		if (strcmp(l->title, title) == 0)
			return l->fd;
	return -1;
}

static void add(struct listener_list *list, const char *title, int fd)
{
	struct listener *l = malloc(sizeof(*l));
	char *copy = strdup(title);

	if (l == NULL || copy == NULL)
		abort();
	*l = (struct listener){ .next = list->first, .title = copy, .fd = fd, .is_new = true };
	list->first = l;
}

static void drop(struct listener **place)
{
	struct listener *l = *place;

	*place = l->next;
	close(l->fd);
	free(l->title);
	free(l);
}

static void log_listening(const char *title, int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t n = sizeof(sa);
	struct ip ip;
	uint16_t port;
	char text[IP_TEXT_MAX];

	if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
		return;
	ip_from_sockaddr(&sa, &ip, &port);
	ip_format(&ip, text);
	struct log_line *line = log_line(LOG_LEVEL_INFO, "listening");
	log_c(line, "listener", title);
	log_c(line, "address", text);
	log_int(line, "port", port);
	log_end(line);
}

/* -1 with errno. */
static int open_tcp(const struct config_address *address)
{
	struct sockaddr_storage sa;
	socklen_t n = ip_to_sockaddr(&address->ip, address->port, &sa);
	const int yes = 1;

	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/* "[::]" and "0.0.0.0" are two listeners, each with its own options. */
	if (sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
		bind(fd, (const struct sockaddr *)&sa, n) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static const char *remedy(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "another program listens there already (`ss -ltnp` shows which): stop it, "
		       "or choose another port";
	case EACCES:
	case EPERM:
		return "ports below 1024 need root or CAP_NET_BIND_SERVICE: start as root, or "
		       "choose another port";
	case EADDRNOTAVAIL:
		return "this machine does not have that address";
	case EAFNOSUPPORT:
		return "this machine does not speak that protocol";
	default:
		return strerror(error);
	}
}

/* The error carries the place in the file where the listener stands. */
static int refuse(const struct settings *settings, const char *section, const char *title,
	int error, struct err *err)
{
	const struct conf_section *s = NULL;
	struct conf *conf = settings->conf;

	while ((s = conf_next(conf_root(conf), section, s)) != NULL)
		if (strcmp(conf_title(s), title) == 0 || strcmp(section, "admin") == 0)
			break;
	if (s == NULL)
		return err_set(err, "cannot listen on %s: %s", title, remedy(error));
	conf_error(conf, s, NULL, "cannot listen on %s: %s", title, remedy(error));
	const struct option_strings *errors = conf_errors(conf);
	return err_set(err, "%s", errors->v[errors->n - 1]);
}

static int open_one(struct listener_list *list, const struct settings *settings,
	const char *section, const char *title, const char *shown,
	const struct config_address *address, bool is_optional, struct err *err)
{
	if (listeners_find(list, title) >= 0)
		return 0;
	int fd = open_tcp(address);
	if (fd < 0 && is_optional && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
		return 0;
	if (fd < 0)
		return refuse(settings, section, shown, errno, err);
	log_listening(shown, fd);
	add(list, title, fd);
	return 0;
}

int listeners_open(struct listener_list *list, const struct settings *settings, struct err *err)
{
	const struct config *config = settings->config;
	int result = 0;

	for (size_t i = 0; result == 0 && i < config->listener_count; i++) {
		const struct config_listener *l = &config->listeners[i];
		result = open_one(list, settings, "listen", l->title, l->title, &l->address,
			l->optional, err);
	}
	if (result == 0 && config->admin.enabled)
		result = open_one(list, settings, "admin", settings->admin_title,
			config->admin.listen, &config->admin.address, false, err);
	if (result != 0)
		listeners_undo(list);
	return result;
}

void listeners_undo(struct listener_list *list)
{
	for (struct listener **place = &list->first; *place != NULL;) {
		if ((*place)->is_new)
			drop(place);
		else
			place = &(*place)->next;
	}
}

static bool is_named(const struct settings *settings, const char *title)
{
	const struct config *config = settings->config;

	if (strcmp(title, CONTROL) == 0)
		return true;
	if (config->admin.enabled && strcmp(title, settings->admin_title) == 0)
		return true;
	for (size_t i = 0; i < config->listener_count; i++)
		if (strcmp(title, config->listeners[i].title) == 0)
			return true;
	return false;
}

void listeners_keep(struct listener_list *list, const struct settings *settings)
{
	for (struct listener **place = &list->first; *place != NULL;) {
		(*place)->is_new = false;
		if (is_named(settings, (*place)->title))
			place = &(*place)->next;
		else
			drop(place);
	}
}

/* The control socket */

static int make_state_dir(const char *path, struct err *err)
{
	const struct group *group = geteuid() == 0 ? getgrnam("_gatepost") : NULL;

	if (mkdir(path, 0750) != 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(err, "cannot make state_dir %s", path);
	}
	/* The roles that keep state there share this group. */
	if (group != NULL && chown(path, 0, group->gr_gid) != 0)
		return err_sys(err, "cannot give %s to the group _gatepost", path);
	return 0;
}

static int bind_control(int fd, const struct sockaddr_un *at, struct err *err)
{
	int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* EAGAIN: somebody listens, and is busy. */
	bool is_answered =
		connect(other, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN;

	close(other);
	if (is_answered)
		return err_set(err, "another gateway runs with this state_dir: %s answers",
			at->sun_path);
	/* Left behind by one that was killed. */
	unlink(at->sun_path);
	mode_t mask = umask(0177);
	int result = bind(fd, (const struct sockaddr *)at, sizeof(*at));
	umask(mask);
	if (result != 0 || listen(fd, 128) != 0)
		return err_sys(err, "cannot make the control socket %s", at->sun_path);
	return 0;
}

int listeners_open_control(struct listener_list *list, const struct settings *settings,
	struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const char *path = config_path(settings->config, settings->arena, "control.sock");

	if (make_state_dir(settings->config->state_dir, err) != 0)
		return -1;
	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(err, "state_dir %s is too long a path for a socket",
			settings->config->state_dir);
	memcpy(at.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	if (bind_control(fd, &at, err) != 0) {
		close(fd);
		return -1;
	}
	add(list, CONTROL, fd);
	return 0;
}
