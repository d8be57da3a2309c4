/*
 * ip: IPv4 and IPv6 addresses and networks.
 *
 * An IPv4-mapped IPv6 address is unmapped wherever one is read, so that there
 * is one form for each client.
 */
#ifndef CORE_IP_H
#define CORE_IP_H

#include <sys/socket.h>

#include "core/arena.h"
#include "core/err.h"

enum ip_family { IP_NONE, IP_V4, IP_V6 };

struct ip {
	enum ip_family family;
	uint8_t octets[16]; /* 4 or 16 of them, network order; the rest zero */
};
struct ip_net {
	struct ip ip;
	unsigned bits;
};

#define IP_TEXT_MAX 46

/* RFC 3986 form, without brackets, zone or port. 0 or -1. */
int ip_parse(struct str s, struct ip *ip_r);
/* "192.0.2.0/24" or an address alone. Host bits must be zero. */
int ip_net_parse(struct str s, struct ip_net *net_r, struct err *err);
bool ip_in_net(const struct ip *ip, const struct ip_net *net);
bool ip_eq(const struct ip *a, const struct ip *b);
/* Do the first `bits` bits of both, of one family, agree? */
bool ip_prefix_eq(const struct ip *a, const struct ip *b, unsigned bits);
void ip_format(const struct ip *ip, char text_r[IP_TEXT_MAX]);
struct str ip_str(struct arena *arena, const struct ip *ip);
void ip_from_sockaddr(const struct sockaddr_storage *sa, struct ip *ip_r, uint16_t *port_r);
socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *sa_r);
/* "2.0.0.127" style labels as DNSBLs use them (RFC 5782), without a zone. */
struct str ip_reverse_labels(struct arena *arena, const struct ip *ip);
/* "1.2.0.192.in-addr.arpa" / "….ip6.arpa" */
struct str ip_reverse_name(struct arena *arena, const struct ip *ip);
/* Loopback, private, link-local, documentation excluded? True for what the Internet routes. */
bool ip_is_global(const struct ip *ip);

#endif
