#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/limits.h"
#include "gateway/resolve.h"

/*
 * A name server in the same loop. What it answers is told by the first label of
 * the question; "slow" is never answered, "c3" is an alias of "c2", and "loop" of itself.
 */
struct server {
	struct loop *loop;
	struct loop_io *io;
	int fd;
	uint16_t port;
	unsigned asked;
};

static const struct dns_steps steps = { 20, 0 };
static const uint8_t address[] = { 192, 0, 2, 1 };
static const uint8_t text[] = { 5, 'h', 'e', 'l', 'l', 'o', 0 };

static void put_record(struct buf *out, uint16_t type, const void *data, size_t n)
{
	const uint8_t head[] = { 0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)n };

	buf_add(out, head, sizeof(head));
	buf_add(out, data, n);
}

static void answer(const uint8_t *query, size_t end, struct buf *out)
{
	const char *label = (const char *)query + 13;
	uint16_t type = (uint16_t)(query[end - 4] << 8 | query[end - 3]);
	/* "\2c2" and where the rest of the name stands, behind the first label */
	uint8_t rcode = 0, count = 1, alias[8] = { 2 };

	struct str first = str_from(label, query[12]);
	if (str_ieq_c(first, "nx"))
		rcode = 3;
	else if (str_ieq_c(first, "broken"))
		rcode = 2;
	if (rcode != 0 || str_ieq_c(first, "nodata"))
		count = 0;
	if (first.n == 2 && first.p[0] == 'c' && first.p[1] > '0')
		alias[1] = 'c', alias[2] = (uint8_t)(first.p[1] - 1);
	else if (str_ieq_c(first, "loop"))
		memcpy(alias, "\4loop", 5);
	const uint8_t head[] = { query[0], query[1], 0x81, (uint8_t)(0x80 | rcode), 0, 1, 0, count,
		0, 0, 0, 0 };
	buf_add(out, head, sizeof(head));
	buf_add(out, query + 12, end - 12);
	if (alias[1] != 0) {
		alias[alias[0] + 1] = 0xc0;
		alias[alias[0] + 2] = (uint8_t)(12 + 1 + query[12]);
		put_record(out, DNS_CNAME, alias, alias[0] + 3u);
	} else if (count > 0 && type == DNS_TXT)
		put_record(out, DNS_TXT, text, sizeof(text) - 1);
	else if (count > 0)
		put_record(out, DNS_A, address, sizeof(address));
}

static void on_query(void *context, int fd, unsigned events)
{
	struct server *server = context;
	struct sockaddr_storage from;
	socklen_t from_n = sizeof(from);
	uint8_t query[2048];
	struct buf out = BUF_INIT;

	ssize_t n = recvfrom(fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_n);
	assert_true(n > 16);
	server->asked++;
	size_t end = 12;
	while (query[end] != 0)
		end += 1 + (size_t)query[end];
	end += 5;
	if (!str_ieq_c(str_from((const char *)query + 13, query[12]), "slow")) {
		answer(query, end, &out);
		sendto(fd, out.p, out.n, 0, (const struct sockaddr *)&from, from_n);
	}
	buf_free(&out);
}

static void server_open(struct server *server)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);

	*server = (struct server){ .loop = loop_new() };
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&at, &n), 0);
	server->port = ntohs(at.sin_port);
	server->io = loop_io_new(server->loop, server->fd, on_query, server);
	loop_io_want(server->io, LOOP_READ);
}

static void server_close(struct server *server)
{
	loop_io_free(&server->io);
	loop_free(&server->loop);
	close(server->fd);
}

static struct resolve *open_resolve(struct server *server, bool dnssec)
{
	static const char *names[] = { "127.0.0.1" };
	struct config_address forwarder = { .port = server->port };
	struct config_dns dns = {
		.forward = { names, 1 },
		.forwarders = &forwarder,
		.forwarder_count = 1,
		.dnssec = dnssec,
		.timeout = 5000,
		.cache_size = 1 << 20,
	};
	struct err err = { "" };

	assert_int_equal(ip_parse(STR("127.0.0.1"), &forwarder.ip), 0);
	struct resolve *resolve = resolve_new(server->loop, &dns, &err);
	if (resolve == NULL)
		fail_msg("%s", err.text);
	return resolve;
}

#define NAME(literal)                                                                              \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static void test_answers(void **state)
{
	static const struct {
		struct dns_question question;
		int rcode;
		size_t records;
	} rows[] = {
		{ { DNS_A, NAME("ok.test"), 0 }, DNS_NOERROR, 1 },
		{ { DNS_TXT, NAME("ok.test"), 0 }, DNS_NOERROR, 1 },
		{ { DNS_A, NAME("nodata.test"), 0 }, DNS_NOERROR, 0 },
		{ { DNS_A, NAME("nx.test"), 0 }, DNS_NXDOMAIN, 0 },
		{ { DNS_A, NAME("broken.test"), 0 }, DNS_SERVFAIL, 0 },
		{ { DNS_A, NAME("slow.test"), 100 }, DNS_TIMEOUT, 0 },
		/* Octets that mean something where names are text. */
		{ { DNS_A, NAME("o k\\.\\\\\"(;@$\x01\xff.test"), 0 }, DNS_NOERROR, 1 },
		{ { DNS_A, { "a\0b.test", 8 }, 0 }, DNS_NOERROR, 1 },
		/* What is no name cannot be asked. */
		{ { DNS_A, NAME("a..b"), 0 }, DNS_SERVFAIL, 0 },
		{ { DNS_A, NAME("OK.Test"), 0 }, DNS_NOERROR, 1 },
	};
	const size_t count = sizeof(rows) / sizeof(*rows);
	struct dns_question questions[sizeof(rows) / sizeof(*rows)];
	struct arena *arena = arena_new(1 << 20);
	struct server server;

	server_open(&server);
	struct resolve *resolve = open_resolve(&server, false);
	for (size_t i = 0; i < count; i++)
		questions[i] = rows[i].question;
	/* Twice: the second time most are in the cache, and answered before resolve_ask() returns.
	 */
	for (int round = 0; round < 2; round++) {
		const struct dns_answer *answers = resolve_wait(resolve, questions, count, &steps, arena);
		for (size_t i = 0; i < count; i++) {
			if (answers[i].rcode != rows[i].rcode ||
				answers[i].data.n != rows[i].records)
				fail_msg("row %zu: rcode %d, %zu records", i, answers[i].rcode,
					answers[i].data.n);
			assert_int_equal(answers[i].type, questions[i].type);
			assert_true(str_eq(answers[i].name, questions[i].name));
			assert_false(answers[i].secure);
		}
		assert_true(str_eq(answers[0].data.v[0], str_from((const char *)address, 4)));
	}
	resolve_free(&resolve);
	arena_free(&arena);
	server_close(&server);
}

static void test_caps(void **state)
{
	struct dns_question questions[LIMIT_DNS_QUESTIONS + 5];
	struct arena *arena = arena_new(1 << 20);
	struct server server;

	server_open(&server);
	struct resolve *resolve = open_resolve(&server, false);
	assert_non_null(resolve_wait(resolve, NULL, 0, &steps, arena));
	for (size_t i = 0; i < LIMIT_DNS_QUESTIONS + 5; i++)
		questions[i] =
			(struct dns_question){ DNS_A, arena_printf(arena, "n%zu.test", i), 0 };
	const struct dns_answer *answers =
		resolve_wait(resolve, questions, LIMIT_DNS_QUESTIONS + 5, &steps, arena);
	for (size_t i = 0; i < LIMIT_DNS_QUESTIONS + 5; i++)
		assert_int_equal(answers[i].rcode,
			i < LIMIT_DNS_QUESTIONS ? DNS_NOERROR : DNS_SERVFAIL);
	resolve_free(&resolve);
	arena_free(&arena);
	server_close(&server);
}

static void on_check(void *context, bool is_good)
{
	*(int *)context = is_good;
}

/* A trust anchor, and a forwarder that knows nothing of DNSSEC: what arrives is bogus. */
static void test_bogus(void **state)
{
	static const struct dns_question question = { DNS_A, NAME("ok.test"), 0 };
	struct arena *arena = arena_new(1 << 20);
	struct server server;
	int checked = -1;

	server_open(&server);
	struct resolve *resolve = open_resolve(&server, true);
	resolve_check_dnssec(resolve, on_check, &checked);
	const struct dns_answer *answers = resolve_wait(resolve, &question, 1, &steps, arena);
	assert_int_equal(answers[0].rcode, DNS_SERVFAIL);
	assert_int_equal(answers[0].data.n, 0);
	assert_int_equal(checked, 0);
	resolve_free(&resolve);
	arena_free(&arena);
	server_close(&server);
}

/* How many questions go out is known beforehand: one, and one for each step that was allowed. */
static void test_aliases(void **state)
{
	static const struct {
		const char *name;
		int64_t steps; /* allowed */
		int rcode;
		int64_t taken;
		unsigned asked;
	} cases[] = {
		{ "c1.a.example", 8, DNS_NOERROR, 1, 2 },
		{ "c3.b.example", 3, DNS_NOERROR, 3, 4 },
		{ "c3.c.example", 2, DNS_SERVFAIL, 2, 3 },
		{ "c1.d.example", 0, DNS_SERVFAIL, 0, 1 },
		{ "c8.e.example", 20, DNS_NOERROR, 8, 9 },
		{ "c9.f.example", 20, DNS_SERVFAIL, 8, 9 },
		{ "loop.g.example", 20, DNS_SERVFAIL, 8, 1 }, /* all in the cache */
		{ "broken.h.example", 20, DNS_SERVFAIL, 1, 2 }, /* no alias, as turns out */
	};
	struct server server;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new(1 << 20);
		const struct dns_question question = { .type = DNS_A, .name = str_c(cases[i].name) };
		const struct dns_steps allowed = { cases[i].steps, 0 };

		server_open(&server);
		struct resolve *resolve = open_resolve(&server, false);
		for (int again = 0; again < 2; again++) {
			const struct dns_answer *a =
				resolve_wait(resolve, &question, 1, &allowed, arena);
			if (a->rcode != cases[i].rcode || a->steps != cases[i].taken ||
				(a->rcode == DNS_NOERROR) != (a->data.n == 1))
				fail_msg("%s: %s, %zu records, asked %u times, %d steps", cases[i].name,
					dns_rcode_names[a->rcode], a->data.n, server.asked, (int)a->steps);
			assert_true(dns_name_eq(a->name, question.name));
			if (!again && server.asked != cases[i].asked)
				fail_msg("%s: asked %u times", cases[i].name, server.asked);
		}
		resolve_free(&resolve);
		server_close(&server);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_bogus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
