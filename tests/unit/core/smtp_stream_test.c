#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/smtp/stream.h"

struct side {
	struct loop *loop;
	struct stream *stream;
	struct buf got;
	int ends, drains, secured;
	enum stream_end why;
	size_t stop_at; /* octets upon which the loop stops */
	size_t dropped;
	struct tls_context *upgrade; /* go to TLS when "STARTTLS\r\n" has come */
	bool free_on_input;
};

static void on_input(void *context, struct buf *in)
{
	struct side *s = context;

	if (s->free_on_input) {
		stream_free(&s->stream);
		loop_stop(s->loop);
		return;
	}
	if (s->upgrade && !stream_tls(s->stream)) {
		buf_consume(in, strlen("STARTTLS\r\n"));
		s->dropped = stream_start_tls(s->stream, s->upgrade, NULL);
		return;
	}
	buf_str_add(&s->got, buf_str(in));
	buf_clear(in);
	if (s->got.n >= s->stop_at)
		loop_stop(s->loop);
}

static void on_drained(void *context)
{
	((struct side *)context)->drains++;
}

static void on_secure(void *context)
{
	((struct side *)context)->secured++;
}

static void on_end(void *context, enum stream_end why, const struct err *err)
{
	struct side *s = context;

	s->ends++;
	s->why = why;
	loop_stop(s->loop);
}

static const struct stream_ops ops = { .on_input = on_input, .on_drained = on_drained,
	.on_secure = on_secure, .on_end = on_end };

struct pair {
	struct loop *loop;
	struct side a, b;
	int fds[2];
};

/* Two streams, or with `raw` one stream and a descriptor of ours. */
static void setup(struct pair *p, bool raw)
{
	*p = (struct pair){ .loop = loop_new() };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fds), 0);
	p->a.loop = p->b.loop = p->loop;
	p->a.stop_at = p->b.stop_at = SIZE_MAX;
	p->a.stream = stream_new(p->loop, p->fds[0], &ops, &p->a);
	if (!raw)
		p->b.stream = stream_new(p->loop, p->fds[1], &ops, &p->b);
}

static void teardown(struct pair *p)
{
	stream_free(&p->a.stream);
	stream_free(&p->b.stream);
	buf_free(&p->a.got);
	buf_free(&p->b.got);
	loop_free(&p->loop);
}

static struct tls_context *server_context(const char *name)
{
	struct tls_server_options o = { .name = name, .security_level = 1 };
	struct err err;

	assert_int_equal(tls_self_signed_pem("a.example", &o.certificate_pem, &o.key_pem, &err), 0);
	struct tls_context *ctx = tls_server_new(&o, &err);
	assert_non_null(ctx);
	free((void *)o.certificate_pem.p);
	free((void *)o.key_pem.p);
	return ctx;
}

static void all_octets_arrive(void **state)
{
	struct pair p;
	struct buf big = BUF_INIT;

	setup(&p, false);
	while (big.n < 3 << 20)
		buf_printf(&big, "%zu ", big.n);
	p.b.stop_at = big.n;
	stream_write(p.a.stream, buf_str(&big));
	assert_true(stream_is_full(p.a.stream));
	loop_run(p.loop);
	assert_true(str_eq(buf_str(&p.b.got), buf_str(&big)));
	assert_int_equal(p.a.drains, 1);
	assert_int_equal(stream_octets_out(p.a.stream), big.n);
	buf_free(&big);
	teardown(&p);
}

static void paused_input_waits(void **state)
{
	struct pair p;

	setup(&p, false);
	stream_pause(p.b.stream);
	stream_write(p.a.stream, STR("hello"));
	p.a.stop_at = 1;
	stream_write(p.b.stream, STR("x")); /* the loop stops when this is there */
	loop_run(p.loop);
	assert_int_equal(p.b.got.n, 0);
	p.b.stop_at = 5;
	stream_resume(p.b.stream);
	loop_run(p.loop);
	assert_true(str_eq_c(buf_str(&p.b.got), "hello"));
	teardown(&p);
}

static void ends_are_told_once(void **state)
{
	struct pair p;

	setup(&p, true);
	close(p.fds[1]);
	loop_run(p.loop);
	assert_int_equal(p.a.ends, 1);
	assert_int_equal(p.a.why, STREAM_END_PEER);
	stream_write(p.a.stream, STR("to nobody"));
	teardown(&p);
}

static void times_out(void **state)
{
	struct pair p;

	setup(&p, true);
	stream_idle(p.a.stream, 5);
	loop_run(p.loop);
	assert_int_equal(p.a.why, STREAM_END_IDLE);
	close(p.fds[1]);
	teardown(&p);
	setup(&p, true);
	stream_idle(p.a.stream, 100000);
	stream_deadline(p.a.stream, 5);
	loop_run(p.loop);
	assert_int_equal(p.a.why, STREAM_END_DEADLINE);
	close(p.fds[1]);
	teardown(&p);
}

static void freed_on_input(void **state)
{
	struct pair p;

	setup(&p, false);
	p.b.free_on_input = true;
	stream_write(p.a.stream, STR("hello"));
	loop_run(p.loop);
	assert_null(p.b.stream);
	teardown(&p);
}

/* Last words reach a peer that is still sending. */
static void finish_lingers(void **state)
{
	struct pair p;
	char text[10] = "";

	setup(&p, true);
	assert_int_equal(write(p.fds[1], "a lot that nobody will read", 27), 27);
	stream_write(p.a.stream, STR("bye"));
	stream_finish(&p.a.stream);
	assert_null(p.a.stream);
	assert_int_equal(read(p.fds[1], text, sizeof(text)), 3);
	assert_int_equal(read(p.fds[1], text, sizeof(text)), 0);
	close(p.fds[1]);
	loop_run(p.loop); /* ends by itself, when the stream is gone */
	teardown(&p);
}

/* Nobody takes what comes: the stream stops reading rather than hoard, and goes on later. */
static void take_late(void *context, struct buf *in)
{
	struct side *s = context;

	if (!s->stop_at)
		return;
	buf_str_add(&s->got, buf_str(in));
	buf_clear(in);
	if (s->got.n >= s->stop_at)
		loop_stop(s->loop);
}

static void untaken_input_is_bounded(void **state)
{
	static const struct stream_ops late = { .on_input = take_late, .on_end = on_end };
	static char block[10 * STREAM_INPUT_MAX];
	struct pair p;

	setup(&p, true);
	stream_free(&p.a.stream);
	close(p.fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p.fds), 0);
	p.a.stream = stream_new(p.loop, p.fds[0], &late, &p.a);
	p.b.stream = stream_new(p.loop, p.fds[1], &ops, &p.b);
	p.a.stop_at = 0;
	stream_write(p.b.stream, str_from(block, sizeof(block)));
	stream_idle(p.b.stream, 20);
	loop_run(p.loop); /* until the writer sees that nothing moves */
	assert_int_equal(p.b.why, STREAM_END_IDLE);
	assert_int_equal(p.a.ends, 0);
	size_t in = stream_octets_in(p.a.stream);
	assert_true(in >= STREAM_INPUT_MAX && in < 2 * STREAM_INPUT_MAX);
	p.a.stop_at = in + 1;
	stream_pause(p.a.stream);
	stream_resume(p.a.stream);
	loop_run(p.loop);
	assert_true(p.a.got.n > in);
	teardown(&p);
}

static void tls_both_ways(void **state)
{
	struct tls_client_options o = { .verify = TLS_VERIFY_NONE, .security_level = 1 };
	struct tls_context *server = server_context("a");
	struct err err;
	struct tls_context *client = tls_client_new(&o, &err);
	struct buf big = BUF_INIT;
	struct pair p;

	setup(&p, false);
	while (big.n < 1 << 20)
		buf_printf(&big, "%zu ", big.n);
	assert_int_equal(stream_start_tls(p.a.stream, client, "a.example"), 0);
	assert_int_equal(stream_start_tls(p.b.stream, server, NULL), 0);
	p.b.stop_at = big.n;
	stream_write(p.a.stream, buf_str(&big));
	loop_run(p.loop);
	assert_true(str_eq(buf_str(&p.b.got), buf_str(&big)));
	assert_int_equal(p.a.secured + p.b.secured, 2);
	assert_string_equal(tls_version(stream_tls(p.a.stream)), "TLSv1.3");
	p.a.stop_at = 5;
	stream_write(p.b.stream, STR("hello"));
	loop_run(p.loop);
	stream_free(&p.a.stream);
	loop_run(p.loop);
	assert_int_equal(p.b.why, STREAM_END_PEER);
	teardown(&p);
	buf_free(&big);
	tls_context_free(&server);
	tls_context_free(&client);
}

/* CVE-2011-0411: what was pipelined behind STARTTLS is dropped, and reported. */
static void input_before_tls_is_dropped(void **state)
{
	struct tls_context *server = server_context("a");
	struct pair p;

	setup(&p, true);
	p.a.upgrade = server;
	struct str text = STR("STARTTLS\r\nRSET\r\nMAIL FROM:<a@example.org>\r\n");
	assert_int_equal(write(p.fds[1], text.p, text.n), (ssize_t)text.n);
	shutdown(p.fds[1], SHUT_WR);
	loop_run(p.loop);
	assert_int_equal(p.a.dropped, text.n - strlen("STARTTLS\r\n"));
	assert_int_equal(p.a.got.n, 0);
	assert_int_equal(p.a.ends, 1);
	close(p.fds[1]);
	teardown(&p);
	tls_context_free(&server);
}

/* A connection that is cut inside TLS is an error, not an end: nobody is to take half for all. */
static void truncation_is_an_error(void **state)
{
	struct tls_client_options o = { .verify = TLS_VERIFY_NONE, .security_level = 1 };
	struct tls_context *server = server_context("a");
	struct err err;
	struct tls_context *client = tls_client_new(&o, &err);
	struct pair p;

	setup(&p, false);
	stream_start_tls(p.a.stream, client, NULL);
	stream_start_tls(p.b.stream, server, NULL);
	p.b.stop_at = 5;
	stream_write(p.a.stream, STR("hello"));
	loop_run(p.loop);
	shutdown(p.fds[0], SHUT_RDWR);
	stream_write(p.a.stream, STR("x"));
	p.b.stop_at = SIZE_MAX;
	while (!p.b.ends)
		loop_run(p.loop);
	assert_int_equal(p.b.why, STREAM_END_ERROR);
	teardown(&p);
	tls_context_free(&server);
	tls_context_free(&client);
}

/* ---- contexts ---- */

static void certificates_from_files(void **state)
{
	char folder[] = "/tmp/gatepost-tls-XXXXXX", cert[64], key[64], other[64], other_key[64];
	struct tls_server_options o = { .name = "a", .security_level = 1 };
	struct err err = { "" };
	struct stat st;

	assert_non_null(mkdtemp(folder));
	snprintf(cert, sizeof(cert), "%s/cert.pem", folder);
	snprintf(key, sizeof(key), "%s/key.pem", folder);
	snprintf(other, sizeof(other), "%s/other.pem", folder);
	snprintf(other_key, sizeof(other_key), "%s/other-key.pem", folder);
	assert_int_equal(tls_self_signed("mx.example.net", cert, key, &err), 0);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	o.certificate = cert;
	o.key = key;
	struct tls_context *ctx = tls_server_new(&o, &err);
	assert_non_null(ctx);
	tls_context_free(&ctx);

	assert_int_equal(tls_self_signed("mx.example.net", other, other_key, &err), 0);
	o.key = other_key;
	assert_null(tls_server_new(&o, &err));
	assert_non_null(strstr(err.text, "does not belong"));
	o.key = "/nonexistent/key.pem";
	assert_null(tls_server_new(&o, &err));
	assert_non_null(strstr(err.text, "/nonexistent/key.pem"));
	o.certificate = key; /* no certificate in it */
	assert_null(tls_server_new(&o, &err));
	assert_non_null(strstr(err.text, key));
	assert_int_equal(tls_self_signed("a.example", "/nonexistent/c", "/nonexistent/k", &err), -1);
	unlink(cert);
	unlink(key);
	unlink(other);
	unlink(other_key);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_octets_arrive),
		cmocka_unit_test(paused_input_waits),
		cmocka_unit_test(ends_are_told_once),
		cmocka_unit_test(times_out),
		cmocka_unit_test(freed_on_input),
		cmocka_unit_test(finish_lingers),
		cmocka_unit_test(untaken_input_is_bounded),
		cmocka_unit_test(tls_both_ways),
		cmocka_unit_test(input_before_tls_is_dropped),
		cmocka_unit_test(truncation_is_an_error),
		cmocka_unit_test(certificates_from_files),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
