/* demo-dns: the names of the demonstration, from the same JSON as `gatepost check --facts`.
 * UDP on one address; a TIMEOUT in the file is silence. */
#include "gateway/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/facts.h"
#include "core/limits.h"

#define PACKET_MAX  65535
#define HEADER_SIZE 12
#define FLAGS_REPLY 0x8580 /* QR, AA, RD, RA */

struct demo_dns_values {
	const char *address;
};
static const struct command_option demo_dns_options[] = {
	COMMAND_OPTION('a', "address", "ADDRESS", OPTION_STRING, struct demo_dns_values, address,
		"127.0.0.1", "Address to answer on."),
	COMMAND_OPTIONS_END,
};

static void put16(struct buf *out, unsigned v)
{
	buf_char(out, (char)(v >> 8));
	buf_char(out, (char)v);
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put_name(struct buf *out, struct str name)
{
	uint8_t wire[256];
	size_t n;
	if (dns_name_to_wire(name, wire, &n) != 0) {
		buf_char(out, '\0');
		return;
	}
	buf_add(out, wire, n);
}

/* A record's data as on the wire: names there are kept in presentation form. */
static void put_data(struct buf *out, int64_t type, struct str data)
{
	struct buf rdata = BUF_INIT;
	switch (type) {
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		put_name(&rdata, data);
		break;
	case DNS_MX:
		buf_str_add(&rdata, str_sub(data, 0, 2));
		put_name(&rdata, str_skip(data, 2));
		break;
	default:
		buf_str_add(&rdata, data);
		break;
	}
	put16(out, (unsigned)rdata.n);
	buf_str_add(out, buf_str(&rdata));
	buf_free(&rdata);
}

static unsigned wire_rcode(int rcode)
{
	return rcode == DNS_NXDOMAIN ? 3 : rcode == DNS_NOERROR ? 0 : 2;
}

/* The question's name ends at *end_r. 0, or -1 for what is no question of ours. */
static int read_question(const uint8_t *packet, size_t n, struct arena *arena,
	struct dns_question *q_r, size_t *end_r)
{
	size_t used;
	if (n < HEADER_SIZE || packet[2] & 0x80 || get16(packet + 4) != 1)
		return -1;
	if (dns_name_from_wire(packet + HEADER_SIZE, n - HEADER_SIZE, arena, &q_r->name, &used) != 0)
		return -1;
	*end_r = HEADER_SIZE + used + 4;
	if (*end_r > n)
		return -1;
	q_r->type = get16(packet + HEADER_SIZE + used);
	return 0;
}

/* Appends the reply; nothing for silence. */
static void answer(const struct facts_zone *zone, struct arena *arena, const uint8_t *packet,
	size_t n, struct buf *out)
{
	struct dns_question q = { 0 };
	struct dns_answer a;
	size_t end;
	if (read_question(packet, n, arena, &q, &end) != 0)
		return;
	facts_zone_answer(zone, arena, &q, &a);
	if (a.rcode == DNS_TIMEOUT)
		return;
	buf_add(out, packet, 2);
	put16(out, FLAGS_REPLY | wire_rcode(a.rcode));
	put16(out, 1);
	put16(out, (unsigned)a.data.n);
	put16(out, 0);
	put16(out, 0);
	buf_add(out, packet + HEADER_SIZE, end - HEADER_SIZE);
	for (size_t i = 0; i < a.data.n; i++) {
		put16(out, 0xc000 | HEADER_SIZE);
		put16(out, (unsigned)q.type);
		put16(out, 1);
		put16(out, 0);
		put16(out, 60);
		put_data(out, q.type, a.data.v[i]);
	}
}

/* Until an error. */
static void serve(int fd, const struct facts_zone *zone)
{
	static uint8_t packet[PACKET_MAX];
	for (;;) {
		struct sockaddr_storage from;
		socklen_t from_size = sizeof(from);
		ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from,
			&from_size);
		if (n < 0 && errno != EINTR) {
			cli_fail("demo-dns: %s", strerror(errno));
			return;
		}
		if (n < 0)
			continue;
		struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
		struct buf out = BUF_INIT;
		answer(zone, arena, packet, (size_t)n, &out);
		if (out.n)
			sendto(fd, out.p, out.n, 0, (struct sockaddr *)&from, from_size);
		buf_free(&out);
		arena_free(&arena);
	}
}

static int run(const struct demo_dns_values *v, char **argv, struct arena *arena)
{
	struct sockaddr_storage sa;
	struct facts_zone *zone;
	struct facts facts;
	struct str text;
	struct err err;
	struct ip ip;
	uint64_t port;
	if (ip_parse(str_c(v->address), &ip) != 0 || str_to_u64(str_c(argv[0]), 1, 65535, &port) != 0)
		return cli_fail("demo-dns: no address or port: %s, %s", v->address, argv[0]);
	if (config_load(argv[1], arena, &text, &err) != 0 ||
		facts_from_json(text, arena, &facts, &zone, &err) != 0)
		return cli_fail("demo-dns: %s", err.text);
	socklen_t size = ip_to_sockaddr(&ip, (uint16_t)port, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, size) != 0) {
		cli_fail("demo-dns: %s port %s: %s", v->address, argv[0], strerror(errno));
	} else {
		serve(fd, zone);
	}
	if (fd >= 0)
		close(fd);
	return COMMAND_FAILED;
}

static int demo_dns(const struct command *command, const void *values, int argc, char **argv)
{
	struct arena *arena = arena_new(LIMIT_FACTS_BYTES);
	int code = run(values, argv, arena);
	arena_free(&arena);
	return code;
}

const struct command cli_demo_dns = {
	"demo-dns", "Answers DNS questions for the demonstration.", "PORT FILE", 2, 2,
	.options = demo_dns_options, .size = sizeof(struct demo_dns_values), .hidden = true,
	.run = demo_dns,
};
