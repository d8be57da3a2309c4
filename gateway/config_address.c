#include "gateway/config_address.h"

#include "core/limits.h"

/* Splits "host<sep>port", "[v6]<sep>port" or a host alone (port_r then left alone). */
static int split_port(struct str text, char sep, struct str *host_r, uint16_t *port_r)
{
	uint64_t port;
	size_t at;
	if (str_starts(text, "[")) {
		at = str_chr(text, ']');
		if (at == text.n)
			return -1;
		*host_r = str_sub(text, 1, at - 1);
		text = str_skip(text, at + 1);
		if (!text.n)
			return 0;
		if (text.p[0] != sep)
			return -1;
		at = 0;
	} else {
		at = str_rchr(text, sep);
		*host_r = str_sub(text, 0, at);
		if (at == text.n)
			return 0;
	}
	if (str_to_u64(str_skip(text, at + 1), 0, 65535, &port) != 0)
		return -1;
	*port_r = (uint16_t)port;
	return 0;
}

int config_address_parse(const char *text, char sep, uint16_t port,
	struct config_address *address_r)
{
	struct str host;
	address_r->port = port;
	if (split_port(str_c(text), sep, &host, &address_r->port) != 0)
		return -1;
	return ip_parse(host, &address_r->ip);
}

bool config_address_is_domain(const char *name)
{
	size_t label = 0, n = strlen(name);
	if (!n || n > LIMIT_DOMAIN)
		return false;
	for (const char *p = name; *p; p++) {
		if (*p == '.') {
			if (!label)
				return false;
			label = 0;
		} else if (char_is_alnum(*p) || *p == '-' || *p == '_') {
			if (++label > 63)
				return false;
		} else {
			return false;
		}
	}
	return label > 0;
}

/* The text after "scheme://". */
static int parse_host_port(struct arena *arena, struct str text, uint16_t port,
	struct config_backend *b)
{
	struct str host;
	b->port = port;
	if (split_port(text, ':', &host, &b->port) != 0 || b->port == 0)
		return -1;
	b->host = arena_cstr(arena, host);
	if (ip_parse(host, &b->ip) == 0)
		return 0;
	b->ip.family = IP_NONE;
	return config_address_is_domain(b->host) ? 0 : -1;
}

int config_address_backend(struct arena *arena, const char *text, struct config_backend *b)
{
	struct str s = str_c(text);
	*b = (struct config_backend){ .text = text, .host = "", .path = "" };
	if (str_istarts(s, "smtp://")) {
		b->kind = BACKEND_SMTP;
		return parse_host_port(arena, str_skip(s, 7), SMTP_PORT, b);
	}
	if (str_istarts(s, "lmtp://")) {
		b->kind = BACKEND_LMTP;
		return parse_host_port(arena, str_skip(s, 7), LMTP_PORT, b);
	}
	if (str_istarts(s, "lmtp:/")) {
		b->kind = BACKEND_LMTP_UNIX;
		b->path = text + 5;
		/* sun_path is 108 octets with its NUL */
		return s.n - 5 < 108 ? 0 : -1;
	}
	return -1;
}
