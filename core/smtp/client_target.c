#include <stddef.h>
#include <sys/un.h>

#include "core/smtp/client.h"

/* "host", "host:port" or "[address]:port". */
static int parse_host(struct str s, struct client_target *t, struct err *err)
{
	struct str host = s, port = {0};
	uint64_t number;

	if (s.n && s.p[0] == '[') {
		size_t end = str_chr(s, ']');
		if (end == s.n)
			return err_set(err, "a '[' without its ']'");
		host = str_sub(s, 1, end - 1);
		port = str_skip(s, end + 1);
		if (port.n && port.p[0] != ':')
			return err_set(err, "only a port can stand behind ']'");
	} else {
		size_t colon = str_chr(s, ':');
		host = str_sub(s, 0, colon);
		port = str_skip(s, colon);
	}
	if (!host.n || host.n >= sizeof(t->host) || memchr(host.p, '\0', host.n))
		return err_set(err, "no host name or address");
	memcpy(t->host, host.p, host.n);
	t->host[host.n] = '\0';
	if (!port.n)
		return 0;
	if (str_to_u64(str_skip(port, 1), 1, 65535, &number))
		return err_set(err, "the port is a number from 1 to 65535");
	t->port = (uint16_t)number;
	return 0;
}

static int parse_path(struct str s, struct client_target *t, struct err *err)
{
	if (s.n < 2 || s.n >= sizeof(t->path) || memchr(s.p, '\0', s.n))
		return err_set(err, "a socket's path has at most %zu octets", sizeof(t->path) - 1);
	memcpy(t->path, s.p, s.n);
	t->path[s.n] = '\0';
	t->port = 0;
	return 0;
}

int client_target_parse(struct str url, struct client_target *target_r, struct err *err)
{
	struct client_target t = {0};
	struct str rest = url;
	int status;

	if (str_istarts(url, "smtp://")) {
		t.protocol = CLIENT_SMTP;
		t.port = 25;
		rest = str_skip(url, 7);
		status = parse_host(rest, &t, err);
	} else if (str_istarts(url, "lmtp://")) {
		t.protocol = CLIENT_LMTP;
		t.port = 24;
		rest = str_skip(url, 7);
		status = parse_host(rest, &t, err);
	} else if (str_istarts(url, "lmtp:/")) {
		t.protocol = CLIENT_LMTP;
		status = parse_path(str_skip(url, 5), &t, err);
	} else {
		status = err_set(err, "a backend is smtp://host:port, lmtp://host:port or "
				      "lmtp:/path/to/socket");
	}
	if (status)
		return -1;
	*target_r = t;
	return 0;
}

int client_target_address(
	const struct client_target *t, struct sockaddr_storage *address_r, socklen_t *length_r)
{
	struct ip ip;

	if (t->path[0]) {
		struct sockaddr_un un = {.sun_family = AF_UNIX};
		_Static_assert(sizeof(un.sun_path) >= sizeof(t->path), "a path fits");
		memcpy(un.sun_path, t->path, strlen(t->path) + 1);
		memset(address_r, 0, sizeof(*address_r));
		memcpy(address_r, &un, sizeof(un));
		*length_r =
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(t->path) + 1);
		return 1;
	}
	/* RFC 6761 6.3: this one name needs no DNS. */
	const char *host = str_ieq_c(str_c(t->host), "localhost") ? "127.0.0.1" : t->host;
	if (ip_parse(str_c(host), &ip))
		return 0;
	*length_r = ip_to_sockaddr(&ip, t->port, address_r);
	return 1;
}
