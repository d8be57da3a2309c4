/*
 * config_address: where something is, as a configuration writes it. Of gateway/config.c alone.
 */
#ifndef GATEWAY_CONFIG_ADDRESS_H
#define GATEWAY_CONFIG_ADDRESS_H

#include "gateway/config.h"

#define SMTP_PORT 25
#define LMTP_PORT 24
#define DNS_PORT  53

/* "address<sep>port", "[v6]<sep>port" or an address alone, which then has this port. 0 or -1. */
int config_address_parse(const char *text, char sep, uint16_t port, struct config_address *address_r);
/* "smtp://host:port", "lmtp://host:port", "lmtp:/path/to/socket"; all but the index. 0 or -1. */
int config_address_backend(struct arena *arena, const char *text, struct config_backend *backend_r);
/* RFC 5321 4.1.2 Domain: labels of letters, digits, hyphens; underscores are met in practice. */
bool config_address_is_domain(const char *name);

#endif
