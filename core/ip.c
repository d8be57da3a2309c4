#include "core/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static void unmap(struct ip *ip)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	if (ip->family != IP_V6 || memcmp(ip->octets, mapped, 12) != 0)
		return;
	memmove(ip->octets, ip->octets + 12, 4);
	memset(ip->octets + 4, 0, 12);
	ip->family = IP_V4;
}

int ip_parse(struct str s, struct ip *ip_r)
{
	char text[IP_TEXT_MAX];
	if (s.n == 0 || s.n >= sizeof(text) || str_chr(s, '\0') != s.n)
		return -1;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	struct ip ip = { .family = str_chr(s, ':') < s.n ? IP_V6 : IP_V4 };
	if (inet_pton(ip.family == IP_V6 ? AF_INET6 : AF_INET, text, ip.octets) != 1)
		return -1;
	unmap(&ip);
	*ip_r = ip;
	return 0;
}

static unsigned width(const struct ip *ip)
{
	return ip->family == IP_V4 ? 32 : ip->family == IP_V6 ? 128 : 0;
}

int ip_net_parse(struct str s, struct ip_net *net_r, struct err *err)
{
	struct ip_net net;
	size_t slash = str_chr(s, '/');
	if (ip_parse(str_sub(s, 0, slash), &net.ip) < 0)
		return err_set(err, "\"%.*s\" is no IP address", STR_ARG(s));
	uint64_t bits = width(&net.ip);
	if (slash < s.n && str_to_u64(str_skip(s, slash + 1), 0, bits, &bits) < 0)
		return err_set(err, "\"%.*s\": the prefix length must lie within 0 and %u",
			STR_ARG(s), width(&net.ip));
	net.bits = (unsigned)bits;
	for (unsigned i = net.bits; i < width(&net.ip); i++)
		if (net.ip.octets[i / 8] >> (7 - i % 8) & 1)
			return err_set(err, "\"%.*s\" has bits set behind its prefix: write the network's "
					    "first address", STR_ARG(s));
	*net_r = net;
	return 0;
}

bool ip_prefix_eq(const struct ip *a, const struct ip *b, unsigned bits)
{
	if (a->family != b->family || a->family == IP_NONE || bits > width(a))
		return false;
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a->octets, b->octets, whole) != 0)
		return false;
	unsigned mask = 0xff00u >> rest & 0xff;
	return rest == 0 || ((a->octets[whole] ^ b->octets[whole]) & mask) == 0;
}

bool ip_in_net(const struct ip *ip, const struct ip_net *net)
{
	return ip_prefix_eq(ip, &net->ip, net->bits);
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && memcmp(a->octets, b->octets, 16) == 0;
}

void ip_format(const struct ip *ip, char text_r[IP_TEXT_MAX])
{
	text_r[0] = '\0';
	if (ip->family != IP_NONE)
		inet_ntop(ip->family == IP_V6 ? AF_INET6 : AF_INET, ip->octets, text_r, IP_TEXT_MAX);
}

struct str ip_str(struct arena *arena, const struct ip *ip)
{
	char text[IP_TEXT_MAX];
	ip_format(ip, text);
	return arena_dup(arena, str_c(text));
}

void ip_from_sockaddr(const struct sockaddr_storage *sa, struct ip *ip_r, uint16_t *port_r)
{
	struct ip ip = { .family = IP_NONE };
	uint16_t port = 0;
	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		ip.family = IP_V4;
		memcpy(ip.octets, &in->sin_addr, 4);
		port = ntohs(in->sin_port);
	} else if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		ip.family = IP_V6;
		memcpy(ip.octets, &in6->sin6_addr, 16);
		port = ntohs(in6->sin6_port);
		unmap(&ip);
	}
	*ip_r = ip;
	if (port_r)
		*port_r = port;
}

socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *sa_r)
{
	memset(sa_r, 0, sizeof(*sa_r));
	if (ip->family == IP_V6) {
		struct sockaddr_in6 *in6 = (void *)sa_r;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		memcpy(&in6->sin6_addr, ip->octets, 16);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (void *)sa_r;
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	memcpy(&in->sin_addr, ip->octets, 4);
	return sizeof(*in);
}

struct str ip_reverse_labels(struct arena *arena, const struct ip *ip)
{
	const uint8_t *o = ip->octets;
	if (ip->family == IP_V4)
		return arena_printf(arena, "%u.%u.%u.%u", o[3], o[2], o[1], o[0]);
	char *text = arena_alloc(arena, 64);
	size_t n = 0;
	for (int i = 15; i >= 0 && ip->family == IP_V6; i--) {
		static const char hex[] = "0123456789abcdef";
		text[n++] = hex[o[i] & 15];
		text[n++] = '.';
		text[n++] = hex[o[i] >> 4];
		if (i)
			text[n++] = '.';
	}
	return (struct str){ text, n };
}

struct str ip_reverse_name(struct arena *arena, const struct ip *ip)
{
	struct str labels = ip_reverse_labels(arena, ip);
	return arena_printf(arena, "%.*s.%s", STR_ARG(labels),
		ip->family == IP_V4 ? "in-addr.arpa" : "ip6.arpa");
}

bool ip_is_global(const struct ip *ip)
{
	/* The parts of the IANA special-purpose registries that a mail server can meet. */
	static const struct {
		struct ip_net net;
	} special[] = {
		{ { { IP_V4, { 0 } }, 8 } },		 { { { IP_V4, { 10 } }, 8 } },
		{ { { IP_V4, { 100, 64 } }, 10 } },	 { { { IP_V4, { 127 } }, 8 } },
		{ { { IP_V4, { 169, 254 } }, 16 } },	 { { { IP_V4, { 172, 16 } }, 12 } },
		{ { { IP_V4, { 192, 168 } }, 16 } },	 { { { IP_V4, { 224 } }, 3 } },
		{ { { IP_V6, { 0 } }, 8 } },		 { { { IP_V6, { 0xfc } }, 7 } },
		{ { { IP_V6, { 0xfe, 0x80 } }, 10 } },	 { { { IP_V6, { 0xff } }, 8 } },
	};
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (ip_in_net(ip, &special[i].net))
			return false;
	return ip->family != IP_NONE;
}
