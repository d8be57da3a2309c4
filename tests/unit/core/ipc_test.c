#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/ipc.h"
#include "core/limits.h"

enum { PING = 100, PONG, NOTE };

static struct str pattern(size_t n)
{
	char *p = malloc(n + 1);
	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 7 + i / 251);
	return str_from(p, n);
}

static void pattern_free(struct str s)
{
	free((void *)(uintptr_t)s.p);
}

/* Blocking packets of every size around the edge where a memfd takes over. */
static void test_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 1000, LIMIT_IPC_INLINE - 1, LIMIT_IPC_INLINE,
		LIMIT_IPC_INLINE + 1, 1u << 20, 8u << 20 };
	struct ipc_store store = { .buf = BUF_INIT };
	struct err err;
	int fds[2];

	assert_int_equal(ipc_pair(fds, &err), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct str content = pattern(sizes[i]);
		struct ipc_packet in, out = { .type = NOTE, .id = 7, .payload = content };
		assert_int_equal(ipc_send(fds[0], &out, &err), 0);
		assert_int_equal(ipc_recv(fds[1], &store, &in, &err), 1);
		assert_int_equal(in.type, NOTE);
		assert_int_equal(in.id, 7);
		assert_int_equal(in.fd_count, 0);
		assert_true(str_eq(in.payload, content));
		pattern_free(content);
	}
	close(fds[0]);
	struct ipc_packet in;
	assert_int_equal(ipc_recv(fds[1], &store, &in, &err), 0);
	close(fds[1]);
	ipc_store_free(&store);
}

static void test_too_large(void **state)
{
	struct err err;
	int fds[2];

	assert_int_equal(ipc_pair(fds, &err), 0);
	struct str content = pattern(LIMIT_IPC_BYTES + 1);
	struct ipc_packet out = { .type = NOTE, .payload = content };
	assert_int_equal(ipc_send(fds[0], &out, &err), -1);
	assert_non_null(strstr(err.text, "limit"));
	pattern_free(content);
	close(fds[0]);
	close(fds[1]);
}

static void test_descriptors(void **state)
{
	struct ipc_store store = { .buf = BUF_INIT };
	struct err err;
	int fds[2];

	assert_int_equal(ipc_pair(fds, &err), 0);
	struct str large = pattern(LIMIT_IPC_INLINE + 5);
	struct ipc_packet in, out = { .type = NOTE, .payload = large, .fd_count = IPC_FDS };
	for (int i = 0; i < IPC_FDS; i++) {
		out.fds[i] = memfd_sealed("test", str_from("abcd", (size_t)i), &err);
		assert_true(out.fds[i] >= 0);
	}
	assert_int_equal(ipc_send(fds[0], &out, &err), 0);
	for (int i = 0; i < IPC_FDS; i++)
		close(out.fds[i]);
	assert_int_equal(ipc_recv(fds[1], &store, &in, &err), 1);
	assert_true(str_eq(in.payload, large));
	assert_int_equal(in.fd_count, IPC_FDS);
	for (int i = 0; i < IPC_FDS; i++) {
		struct str content;
		assert_true(fcntl(in.fds[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(memfd_map(in.fds[i], 100, &content, &err), 0);
		assert_int_equal(content.n, i);
		memfd_unmap(content);
	}
	ipc_close_fds(&in);
	pattern_free(large);
	ipc_store_free(&store);
	close(fds[0]);
	close(fds[1]);
}

/* What a broken or hostile peer may send. */
static void test_malformed(void **state)
{
	struct ipc_store store = { .buf = BUF_INIT };
	struct ipc_packet in;
	struct err err;
	int fds[2];

	assert_int_equal(ipc_pair(fds, &err), 0);
	assert_int_equal(send(fds[0], "abc", 3, 0), 3);
	assert_int_equal(ipc_recv(fds[1], &store, &in, &err), -1);
	/* Says "large", but brings no memfd. */
	static const char large[8] = { 1, 0, 0, 0, NOTE, 0, 1, 0 };
	assert_int_equal(send(fds[0], large, sizeof(large), 0), sizeof(large));
	assert_int_equal(ipc_recv(fds[1], &store, &in, &err), -1);
	/* Longer than any packet of ours. */
	struct str content = pattern(LIMIT_IPC_INLINE + 100);
	assert_int_equal(send(fds[0], content.p, content.n, 0), (ssize_t)content.n);
	assert_int_equal(ipc_recv(fds[1], &store, &in, &err), -1);
	pattern_free(content);
	ipc_store_free(&store);
	close(fds[0]);
	close(fds[1]);
}

static void test_memfd(void **state)
{
	struct str content;
	struct err err;

	int fd = memfd_open("test", &err);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "hello", 5), 5);
	/* Whoever made it could still change it. */
	assert_int_equal(memfd_map(fd, 100, &content, &err), -1);
	assert_int_equal(memfd_seal(fd, &err), 0);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(memfd_map(fd, 4, &content, &err), -1);
	assert_int_equal(memfd_map(fd, 5, &content, &err), 0);
	assert_true(str_eq(content, STR("hello")));
	memfd_unmap(content);
	close(fd);
	fd = memfd_sealed("test", STR(""), &err);
	assert_int_equal(memfd_map(fd, 0, &content, &err), 0);
	assert_int_equal(content.n, 0);
	memfd_unmap(content);
	close(fd);
	assert_int_equal(memfd_map(0, 100, &content, &err), -1);
}

/* Two ends in one loop: a client that asks, a server that answers. */
struct rig {
	struct loop *loop;
	struct channel *client, *server;
	unsigned answered, unavailable, served, closed;
	bool mute;	 /* the server keeps requests to itself */
	bool free_early; /* the client is freed in the first reply */
	size_t expect;	 /* octets of a reply */
	struct ipc_packet last;
};

static void server_packet(void *context, struct channel *channel, struct ipc_packet *packet)
{
	struct rig *rig = context;

	rig->served++;
	ipc_close_fds(packet);
	rig->last = *packet;
	if (rig->mute)
		return;
	struct ipc_packet reply = { .type = PONG, .id = packet->id, .payload = packet->payload };
	assert_int_equal(channel_send(channel, &reply), 0);
}

static void count_closed(void *context, struct channel *channel)
{
	struct rig *rig = context;

	rig->closed++;
	if (channel == rig->client)
		rig->client = NULL;
	if (channel == rig->server)
		rig->server = NULL;
	loop_stop(rig->loop);
}

static const struct channel_ops server_ops = { server_packet, count_closed };
static const struct channel_ops client_ops = { NULL, count_closed };

static void on_reply(void *context, const struct ipc_packet *reply)
{
	struct rig *rig = context;

	if (reply == NULL) {
		rig->unavailable++;
		return;
	}
	assert_int_equal(reply->type, PONG);
	assert_int_equal(reply->payload.n, rig->expect);
	rig->answered++;
	if (rig->free_early)
		channel_free(&rig->client);
	if (rig->client == NULL || channel_outstanding(rig->client) == 0)
		loop_stop(rig->loop);
}

static void rig_open(struct rig *rig, unsigned window)
{
	int fds[2];

	*rig = (struct rig){ .loop = loop_new() };
	assert_int_equal(ipc_pair(fds, NULL), 0);
	rig->client = channel_new(rig->loop, fds[0], window, &client_ops, rig);
	rig->server = channel_new(rig->loop, fds[1], 0, &server_ops, rig);
}

static void rig_close(struct rig *rig)
{
	channel_free(&rig->client);
	channel_free(&rig->server);
	loop_free(&rig->loop);
}

static void test_window(void **state)
{
	struct rig rig;

	rig_open(&rig, 3);
	for (int round = 0; round < 5; round++) {
		uint32_t ids[4];
		for (int i = 0; i < 3; i++) {
			ids[i] =
				channel_request(rig.client, PING, STR(""), NULL, 0, on_reply, &rig);
			assert_int_not_equal(ids[i], 0);
		}
		assert_true(channel_is_busy(rig.client));
		assert_int_equal(channel_request(rig.client, PING, STR(""), NULL, 0, on_reply,
					 &rig),
			0);
		loop_run(rig.loop);
		assert_false(channel_is_busy(rig.client));
		assert_int_equal(rig.answered, 3 * (round + 1));
	}
	rig_close(&rig);
}

/* More than the socket holds: queued, in order, nothing blocks. */
static void test_queue(void **state)
{
	struct rig rig;
	struct str content = pattern(60000);

	rig_open(&rig, 100);
	rig.expect = content.n;
	int fd = memfd_sealed("test", STR("x"), NULL);
	for (int i = 0; i < 100; i++)
		assert_int_not_equal(channel_request(rig.client, PING, content, &fd, 1, on_reply,
					     &rig),
			0);
	close(fd);
	loop_run(rig.loop);
	assert_int_equal(rig.answered, 100);
	assert_int_equal(rig.served, 100);
	pattern_free(content);
	content = pattern(LIMIT_IPC_INLINE * 3);
	rig.expect = content.n;
	for (int i = 0; i < 20; i++)
		assert_int_not_equal(channel_request(rig.client, PING, content, NULL, 0, on_reply,
					     &rig),
			0);
	loop_run(rig.loop);
	assert_int_equal(rig.answered, 120);
	pattern_free(content);
	rig_close(&rig);
}

static void test_closed_peer(void **state)
{
	struct rig rig;

	rig_open(&rig, 8);
	rig.mute = true;
	for (int i = 0; i < 5; i++)
		channel_request(rig.client, PING, STR("x"), NULL, 0, on_reply, &rig);
	channel_free(&rig.server);
	loop_run(rig.loop);
	assert_int_equal(rig.unavailable, 5);
	assert_int_equal(rig.closed, 1);
	assert_null(rig.client);
	rig_close(&rig);
}

/* What the peer said before it died counts, even though it left requests unread. */
static void test_last_words(void **state)
{
	struct rig rig = { .loop = loop_new() };
	struct ipc_store store = { .buf = BUF_INIT };
	struct ipc_packet in;
	int fds[2];

	assert_int_equal(ipc_pair(fds, NULL), 0);
	rig.client = channel_new(rig.loop, fds[0], 8, &client_ops, &rig);
	for (int i = 0; i < 3; i++)
		channel_request(rig.client, PING, STR(""), NULL, 0, on_reply, &rig);
	assert_int_equal(ipc_recv(fds[1], &store, &in, NULL), 1);
	struct ipc_packet reply = { .type = PONG, .id = in.id };
	assert_int_equal(ipc_send(fds[1], &reply, NULL), 0);
	close(fds[1]);
	loop_run(rig.loop);
	assert_int_equal(rig.answered, 1);
	assert_int_equal(rig.unavailable, 2);
	ipc_store_free(&store);
	rig_close(&rig);
}

static void test_forget(void **state)
{
	struct rig rig;

	rig_open(&rig, 2);
	uint32_t id = channel_request(rig.client, PING, STR(""), NULL, 0, on_reply, &rig);
	channel_forget(rig.client, id);
	channel_forget(rig.client, 0);
	channel_forget(rig.client, UINT32_MAX);
	assert_int_equal(channel_outstanding(rig.client), 1);
	channel_request(rig.client, PING, STR(""), NULL, 0, on_reply, &rig);
	loop_run(rig.loop);
	assert_int_equal(rig.answered, 1);
	assert_int_equal(channel_outstanding(rig.client), 0);
	rig_close(&rig);
}

static void test_free_in_reply(void **state)
{
	struct rig rig;

	rig_open(&rig, 4);
	rig.free_early = true;
	for (int i = 0; i < 4; i++)
		channel_request(rig.client, PING, STR(""), NULL, 0, on_reply, &rig);
	loop_run(rig.loop);
	assert_int_equal(rig.answered, 1);
	assert_int_equal(rig.unavailable, 3);
	rig_close(&rig);
}

static void test_refused_descriptors(void **state)
{
	struct rig rig;

	rig_open(&rig, 4);
	rig.mute = true;
	channel_refuse_fds(rig.server);
	int fd = memfd_sealed("test", STR("x"), NULL);
	channel_request(rig.client, PING, STR(""), &fd, 1, on_reply, &rig);
	close(fd);
	loop_run(rig.loop);
	assert_int_equal(rig.served, 0);
	assert_int_equal(rig.closed, 1);
	assert_null(rig.server);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_memfd),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_closed_peer),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_free_in_reply),
		cmocka_unit_test(test_refused_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
