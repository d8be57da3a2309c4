/*
 * proxy: the header of the PROXY protocol, version 1 (text) and 2 (binary), with
 * which a load balancer says whom it speaks for.
 *
 * The caller decides whose header is believed, and calls this before its first
 * octet of SMTP, over the growing input buffer, until it says 1 or -1:
 *
 *	switch (proxy_parse(buf_str(in), &used, &proxy, &err)) {
 *	case 1: buf_consume(in, used); ...
 *	case 0: wait for more (under a deadline)
 *	default: close without a word
 *	}
 *
 * Only TCP over IPv4 and IPv6 has a client. LOCAL, UNKNOWN and UNSPEC are the
 * balancer speaking for itself (a health check): no mail is taken from it. UNIX
 * sockets and datagrams are refused. TLVs are skipped.
 */
#ifndef CORE_SMTP_PROXY_H
#define CORE_SMTP_PROXY_H

#include "core/ip.h"

enum proxy_kind { PROXY_LOCAL, PROXY_CLIENT };

struct proxy {
	enum proxy_kind kind;
	struct ip source, destination; /* of PROXY_CLIENT */
	uint16_t source_port, destination_port;
};

/* 1: complete, used_r octets are the header; 0: more is needed; -1: refuse. */
int proxy_parse(struct str in, size_t *used_r, struct proxy *proxy_r, struct err *err);

#endif
