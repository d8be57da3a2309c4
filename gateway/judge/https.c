#include "gateway/judge/https.h"

#include "core/smtp/stream.h"

struct fetch {
	const struct https_order *order;
	struct stream *stream;
	struct buf in, unchunked;
	struct response *response;
	struct err *err;
	int result; /* of response_parse() */
	bool is_secure, is_over;
};

static void finish(struct fetch *f)
{
	f->is_over = true;
	stream_free(&f->stream);
	loop_stop(f->order->loop);
}

static void on_connected(void *context)
{
	struct fetch *f = context;

	stream_start_tls(f->stream, f->order->tls, f->order->name);
}

static void on_secure(void *context)
{
	struct fetch *f = context;

	f->is_secure = true;
	buf_printf(stream_out(f->stream), "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/plain\r\n"
		"User-Agent: gatepost-doctor\r\nConnection: close\r\n\r\n", f->order->path,
		f->order->name);
	stream_flush(f->stream);
}

static void on_input(void *context, struct buf *in)
{
	struct fetch *f = context;

	/* What comes before TLS is dropped with its start. */
	if (!f->is_secure)
		return;
	buf_str_add(&f->in, buf_str(in));
	buf_consume(in, in->n);
	f->result = response_parse(buf_str(&f->in), false, &f->unchunked, f->response, f->err);
	if (f->result == 0 && f->in.n > f->order->body_max + HTTPS_HEAD_BYTES)
		f->result = err_set(f->err, "the answer is larger than %zu octets",
			f->order->body_max);
	if (f->result != 0)
		finish(f);
}

static void on_end(void *context, enum stream_end why, const struct err *err)
{
	struct fetch *f = context;

	f->result = -1;
	switch (why) {
	case STREAM_END_PEER:
		f->result = response_parse(buf_str(&f->in), true, &f->unchunked, f->response,
			f->err);
		break;
	case STREAM_END_ERROR:
		err_set(f->err, "%s", err->text);
		break;
	case STREAM_END_IDLE:
	case STREAM_END_DEADLINE:
		err_set(f->err, "it did not answer within %d seconds", HTTPS_WAIT_MS / 1000);
		break;
	}
	finish(f);
}

static int take(const struct fetch *f, struct arena *arena, struct err *err)
{
	struct response *r = f->response;

	if (f->result != 1)
		return -1;
	if (r->body.n > f->order->body_max)
		return err_set(err, "the answer is larger than %zu octets", f->order->body_max);
	r->body = arena_dup(arena, r->body);
	r->type = arena_dup(arena, r->type);
	return 0;
}

int https_get(const struct https_order *order, struct arena *arena, struct response *response_r,
	struct err *err)
{
	static const struct stream_ops ops = { .on_connected = on_connected,
		.on_secure = on_secure, .on_input = on_input, .on_end = on_end };
	struct fetch f = { .order = order, .in = BUF_INIT, .unchunked = BUF_INIT,
		.response = response_r, .err = err };
	struct sockaddr_storage address;
	socklen_t length = ip_to_sockaddr(&order->address, order->port, &address);
	int rc;

	f.stream = stream_connect(order->loop, &address, length, &ops, &f, err);
	if (!f.stream)
		return -1;
	stream_deadline(f.stream, HTTPS_WAIT_MS);
	while (!f.is_over)
		loop_run(order->loop);
	rc = take(&f, arena, err);
	buf_free(&f.in);
	buf_free(&f.unchunked);
	return rc;
}
