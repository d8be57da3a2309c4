/*
 * dnsstub: answers each DNS question at once, so that what is measured is not DNS.
 *
 *	dnsstub [ZONE]
 *
 * Prints "listening ADDRESS@PORT" and serves UDP until it is killed. ZONE has a line
 * a record: name, type (A or TXT) and value, separated by tabs. A name that is listed,
 * or under which one is, exists; any other is NXDOMAIN. Negative answers carry an SOA,
 * for resolvers drop those that do not. SIGUSR1 prints the number of questions so far.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD	    12
#define NAME_MAX_N  256
#define PACKET_MAX  4096
#define TYPE_NONE   0 /* the name exists, no more */
#define TYPE_A	    1
#define TYPE_TXT    16
#define TTL_SECONDS 3600

struct entry {
	const char *name;
	unsigned type;
	const char *value;
};

static struct entry *entries;
static size_t entry_count, entry_room;
static volatile sig_atomic_t wants_count;

static void on_usr1(int number)
{
	(void)number;
	wants_count = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "dnsstub: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the zone ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void add(const char *name, unsigned type, const char *value)
{
	if (entry_count == entry_room) {
		entry_room = entry_room ? 2 * entry_room : 1024;
		entries = realloc(entries, entry_room * sizeof(*entries));
		if (!entries)
			die("memory");
	}
	entries[entry_count++] = (struct entry){ name, type, value };
}

/* The strings live as long as the process. */
static void read_zone(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;

	if (!f)
		die(path);
	while (getline(&line, &room, f) > 0) {
		char *rest = strdup(line);
		if (!rest)
			die("memory");
		rest[strcspn(rest, "\r\n")] = '\0';
		char *name = strsep(&rest, "\t"), *type = strsep(&rest, "\t");
		if (!type || !rest) {
			fprintf(stderr, "dnsstub: %s: not a record: %s", path, line);
			exit(1);
		}
		for (char *p = name; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		add(name, strcmp(type, "A") ? TYPE_TXT : TYPE_A, rest);
		for (const char *up = name; (up = strchr(up, '.')); up++)
			add(up + 1, TYPE_NONE, "");
	}
	free(line);
	fclose(f);
	qsort(entries, entry_count, sizeof(*entries), by_name);
}

static const struct entry *find(const char *name)
{
	size_t low = 0, high = entry_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(entries[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < entry_count && !strcmp(entries[low].name, name) ? &entries[low] : NULL;
}

/* ---- a question and its answer ---- */

/* The name in text, in lower case. Returns the octets of the question, 0 for nonsense. */
static size_t read_question(const uint8_t *packet, size_t n, char name[NAME_MAX_N], unsigned *type_r)
{
	size_t at = HEAD, to = 0;

	while (at < n && packet[at]) {
		size_t label = packet[at++];
		if (label > 63 || at + label >= n || to + label + 1 >= NAME_MAX_N)
			return 0;
		if (to)
			name[to++] = '.';
		for (size_t i = 0; i < label; i++)
			name[to++] = (char)tolower(packet[at++]);
	}
	name[to] = '\0';
	if (at + 5 > n)
		return 0;
	*type_r = (unsigned)packet[at + 1] << 8 | packet[at + 2];
	return at + 5 - HEAD;
}

static size_t put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
	return 2;
}

/* An answer's data with its length before it. */
static size_t put_data(uint8_t *to, const struct entry *e)
{
	size_t n = 2, left = strlen(e->value);
	const char *from = e->value;

	if (e->type == TYPE_A) {
		inet_pton(AF_INET, e->value, to + 2);
		return put16(to, 4) + 4;
	}
	do {
		size_t piece = left < 255 ? left : 255;
		to[n++] = (uint8_t)piece;
		memcpy(to + n, from, piece);
		n += piece;
		from += piece;
		left -= piece;
	} while (left);
	put16(to, (unsigned)n - 2);
	return n;
}

/* Turns a query into its answer; returns its octets. */
static size_t answer(uint8_t *packet, size_t n)
{
	static const uint8_t soa[] = { 0, 0, TYPE_A + 5, 0, 1, 0, 0, 14, 16, 0, 22, 0, 0, 0, 0, 0, 1,
		0, 0, 14, 16, 0, 0, 3, 132, 0, 9, 58, 128, 0, 0, 14, 16 };
	char name[NAME_MAX_N];
	unsigned type, answers = 0;
	size_t question = n > HEAD ? read_question(packet, n, name, &type) : 0;

	if (!question)
		return 0;
	const struct entry *found = find(name), *e = found;
	size_t at = HEAD + question;
	for (; e && e < entries + entry_count && !strcmp(e->name, name); e++) {
		if (e->type != type || at + strlen(e->value) + 32 > PACKET_MAX)
			continue;
		at += put16(packet + at, 0xc000 | HEAD);
		at += put16(packet + at, type);
		at += put16(packet + at, 1);
		at += put16(packet + at, 0);
		at += put16(packet + at, TTL_SECONDS);
		at += put_data(packet + at, e);
		answers++;
	}
	if (!answers) {
		memcpy(packet + at, soa, sizeof(soa));
		at += sizeof(soa);
	}
	packet[2] = 0x80 | (packet[2] & 0x79);
	packet[3] = found ? 0x80 : 0x83;
	put16(packet + 6, answers);
	put16(packet + 8, answers ? 0 : 1);
	put16(packet + 10, 0);
	return at;
}

static void serve(int fd)
{
	unsigned long questions = 0;
	uint8_t packet[PACKET_MAX + 64];

	for (;;) {
		struct sockaddr_in peer;
		socklen_t peer_n = sizeof(peer);
		ssize_t n = recvfrom(fd, packet, PACKET_MAX, 0, (struct sockaddr *)&peer, &peer_n);
		if (wants_count) {
			wants_count = 0;
			printf("%lu\n", questions);
			fflush(stdout);
		}
		if (n < 0 && errno != EINTR)
			die("receive");
		size_t octets = n > 0 ? answer(packet, (size_t)n) : 0;
		if (octets)
			sendto(fd, packet, octets, 0, (struct sockaddr *)&peer, peer_n);
		questions += octets > 0;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct sigaction action = { .sa_handler = on_usr1 };
	socklen_t n = sizeof(address);
	int room = 4 << 20;

	if (argc > 2) {
		fputs("usage: dnsstub [ZONE]\n", stderr);
		return 2;
	}
	if (argc == 2)
		read_zone(argv[1]);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sigaction(SIGUSR1, &action, NULL);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
		getsockname(fd, (struct sockaddr *)&address, &n))
		die("bind");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	printf("listening 127.0.0.1@%u\n", ntohs(address.sin_port));
	fflush(stdout);
	serve(fd);
}
