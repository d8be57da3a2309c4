#include "core/smtp/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_OCTETS	 (16u << 10)
#define READ_OCTETS_BULK (64u << 10)
#define KEEP_OCTETS	 1024 /* an empty buffer that is larger is given back */

enum state {
	CONNECTING,
	OPEN,
	BEFORE_TLS, /* output in the clear is still to be sent */
	HANDSHAKE,
	LINGER, /* let go of, all sent: waiting for the peer to close */
	ENDED,	/* or about to be: on_end() is due */
};

struct stream {
	struct loop *loop;
	struct loop_io *io;
	struct loop_timer *timer;     /* for the nearest of idle time, deadline and kick */
	const struct stream_ops *ops; /* NULL: nobody is listening any more */
	void *context;
	int fd;
	enum state state;
	bool paused;
	bool released; /* stream_finish() */
	bool was_full;
	bool bulk;				  /* the last read filled its room */
	bool kicked;				  /* something is to be told from the loop */
	bool show;				  /* … on_input() with what is left */
	bool freed;				  /* while a callback of ours is on the stack */
	unsigned depth;				  /* of such callbacks */
	unsigned tls_read_wants, tls_write_wants; /* LOOP_…, 0: as usual */
	struct buf in, out;
	size_t sent; /* of out */
	struct tls *tls;
	struct tls_context *tls_context;
	char *tls_name;
	int64_t idle_ms, moved_ms, deadline_ms; /* deadline_ms: when, 0: none */
	int64_t armed_ms;			/* when the timer is set to fire, 0: is not */
	uint64_t octets_in, octets_out;
	enum stream_end why;
	struct err *err; /* of an end that is yet to be told */
};

static void handle(void *context, int fd, unsigned events);
static void tick(void *context);

/* ---- life ---- */

static void destroy(struct stream *s)
{
	buf_free(&s->in);
	buf_free(&s->out);
	free(s->tls_name);
	free(s->err);
	free(s);
}

static void release(struct stream *s)
{
	loop_io_free(&s->io);
	loop_timer_free(&s->timer);
	if (s->tls)
		tls_shutdown(s->tls);
	tls_free(&s->tls);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->ops = NULL;
	s->freed = true;
	if (!s->depth)
		destroy(s);
}

void stream_free(struct stream **stream)
{
	if (!*stream)
		return;
	release(*stream);
	*stream = NULL;
}

/* Every entry from the loop is enclosed by these two, so that callbacks may free. */
static void enter(struct stream *s)
{
	s->depth++;
}

static void leave(struct stream *s)
{
	if (!--s->depth && s->freed)
		destroy(s);
}

/* ---- time ---- */

static void arm(struct stream *s)
{
	int64_t at = 0;

	if (s->freed)
		return;
	if (s->idle_ms && s->state != ENDED)
		at = s->moved_ms + s->idle_ms;
	if (s->deadline_ms && s->state != ENDED && (!at || s->deadline_ms < at))
		at = s->deadline_ms;
	if (s->kicked)
		at = 1; /* long ago */
	/* A timer that fires too early is cheaper than one that is moved with each octet. */
	if (!at || (s->armed_ms && s->armed_ms <= at))
		return;
	s->armed_ms = at;
	int64_t in_ms = at - loop_now_ms(s->loop);
	loop_timer_set(s->timer, in_ms > 0 ? in_ms : 0);
}

static void kick(struct stream *s)
{
	s->kicked = true;
	arm(s);
}

static void moved(struct stream *s)
{
	if (s->idle_ms)
		s->moved_ms = loop_now_ms(s->loop);
}

void stream_idle(struct stream *s, int64_t ms)
{
	s->idle_ms = ms;
	s->moved_ms = loop_now_ms(s->loop);
	arm(s);
}

void stream_deadline(struct stream *s, int64_t ms)
{
	s->deadline_ms = ms ? loop_now_ms(s->loop) + ms : 0;
	arm(s);
}

/* ---- what the loop is to watch ---- */

static void watch(struct stream *s)
{
	unsigned want = 0;

	if (s->freed)
		return;
	switch (s->state) {
	case CONNECTING:
	case BEFORE_TLS:
		want = LOOP_WRITE;
		break;
	case HANDSHAKE:
		want = s->tls_read_wants ? s->tls_read_wants : LOOP_READ;
		break;
	case OPEN:
		if (!s->paused && !s->released && s->in.n < STREAM_INPUT_MAX)
			want |= s->tls_read_wants ? s->tls_read_wants : LOOP_READ;
		if (stream_unsent(s))
			want |= s->tls_write_wants ? s->tls_write_wants : LOOP_WRITE;
		break;
	case LINGER:
		want = LOOP_READ;
		break;
	case ENDED:
		break;
	}
	loop_io_want(s->io, want);
}

/* Nothing moves any more. Told from the loop, never from inside a call of the owner's. */
static void end(struct stream *s, enum stream_end why, const struct err *err)
{
	if (s->state == ENDED)
		return;
	s->state = ENDED;
	s->why = why;
	if (err && s->ops) {
		s->err = malloc(sizeof(*s->err));
		assert(s->err);
		*s->err = *err;
	}
	watch(s);
	kick(s);
}

static void tell_end(struct stream *s)
{
	const struct stream_ops *ops = s->ops;
	struct err none = {""};

	if (s->released) {
		release(s);
		return;
	}
	s->ops = NULL;
	if (ops)
		ops->on_end(s->context, s->why, s->err ? s->err : &none);
}

/* ---- output ---- */

static ssize_t put_plain(struct stream *s, struct str octets, struct err *err)
{
	ssize_t n = send(s->fd, octets.p, octets.n, MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	err_sys(err, "write");
	return -1;
}

static ssize_t put_tls(struct stream *s, struct str octets, struct err *err)
{
	size_t n = 0;

	s->tls_write_wants = 0;
	switch (tls_write(s->tls, octets.p, octets.n, &n, err)) {
	case TLS_DONE:
		return (ssize_t)n;
	case TLS_WANT_READ:
		s->tls_write_wants = LOOP_READ;
		return 0;
	case TLS_WANT_WRITE:
		return 0;
	case TLS_CLOSED:
		err_set(err, "the peer has ended TLS");
		return -1;
	case TLS_FAILED:
		break;
	}
	return -1;
}

static void sent_all(struct stream *s)
{
	s->sent = 0;
	if (s->out.cap > KEEP_OCTETS)
		buf_free(&s->out);
	else
		buf_clear(&s->out);
}

static void write_out(struct stream *s)
{
	struct err err;

	while (stream_unsent(s)) {
		struct str rest = str_skip(buf_str(&s->out), s->sent);
		ssize_t n = s->tls ? put_tls(s, rest, &err) : put_plain(s, rest, &err);
		if (n < 0) {
			end(s, STREAM_END_ERROR, &err);
			return;
		}
		if (!n)
			break;
		s->sent += (size_t)n;
		s->octets_out += (size_t)n;
		moved(s);
	}
	if (!stream_unsent(s)) {
		sent_all(s);
	} else if (s->sent >= STREAM_OUTPUT_MAX) {
		buf_consume(&s->out, s->sent);
		s->sent = 0;
	}
	if (stream_is_full(s))
		s->was_full = true;
}

/* All is sent, and nobody is there to send more. */
static void linger(struct stream *s)
{
	if (s->tls)
		tls_shutdown(s->tls);
	shutdown(s->fd, SHUT_WR);
	s->state = LINGER;
}

struct buf *stream_out(struct stream *s)
{
	return &s->out;
}

void stream_flush(struct stream *s)
{
	if (s->state == OPEN || s->state == BEFORE_TLS)
		write_out(s);
	watch(s);
	arm(s);
}

void stream_write(struct stream *s, struct str octets)
{
	buf_str_add(&s->out, octets);
	stream_flush(s);
}

size_t stream_unsent(const struct stream *s)
{
	return s->out.n - s->sent;
}

bool stream_is_full(const struct stream *s)
{
	return stream_unsent(s) >= STREAM_OUTPUT_MAX;
}

/* ---- input ---- */

/* Octets read; 0: none for now; -1: the stream has ended. */
static ssize_t get(struct stream *s, char *to, size_t room)
{
	struct err err;
	size_t n = 0;

	if (!s->tls) {
		ssize_t got = recv(s->fd, to, room, 0);
		if (got > 0)
			return got;
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (got < 0)
			err_sys(&err, "read");
		end(s, got ? STREAM_END_ERROR : STREAM_END_PEER, got ? &err : NULL);
		return -1;
	}
	s->tls_read_wants = 0;
	switch (tls_read(s->tls, to, room, &n, &err)) {
	case TLS_DONE:
		return (ssize_t)n;
	case TLS_WANT_READ:
		return 0;
	case TLS_WANT_WRITE:
		s->tls_read_wants = LOOP_WRITE;
		return 0;
	case TLS_CLOSED:
		end(s, STREAM_END_PEER, NULL);
		return -1;
	case TLS_FAILED:
		end(s, STREAM_END_ERROR, &err);
		return -1;
	}
	return -1;
}

static void show_input(struct stream *s)
{
	if (s->in.n && s->ops && !s->paused)
		s->ops->on_input(s->context, &s->in);
	if (s->freed)
		return;
	if (!s->in.n && s->in.cap > KEEP_OCTETS)
		buf_free(&s->in);
}

static void read_in(struct stream *s)
{
	do {
		size_t room = s->bulk ? READ_OCTETS_BULK : READ_OCTETS;
		ssize_t n = get(s, buf_reserve(&s->in, room), room);
		if (n <= 0)
			break;
		buf_commit(&s->in, (size_t)n);
		s->octets_in += (size_t)n;
		s->bulk = (size_t)n == room;
		moved(s);
		show_input(s);
	} while (!s->freed && !s->paused && s->state == OPEN && s->in.n < STREAM_INPUT_MAX &&
		 s->tls && tls_pending(s->tls));
	/* Nothing was read: the room is not needed either. */
	if (!s->freed && !s->in.n && s->in.cap > KEEP_OCTETS)
		buf_free(&s->in);
}

static void discard(struct stream *s)
{
	char waste[READ_OCTETS];
	ssize_t n = recv(s->fd, waste, sizeof(waste), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		release(s);
}

void stream_pause(struct stream *s)
{
	s->paused = true;
	watch(s);
}

void stream_resume(struct stream *s)
{
	if (!s->paused)
		return;
	s->paused = false;
	watch(s);
	if (s->state == OPEN && (s->in.n || (s->tls && tls_pending(s->tls)))) {
		s->show = true;
		kick(s);
	}
}

bool stream_is_paused(const struct stream *s)
{
	return s->paused;
}

/* ---- TLS ---- */

static void shake_hands(struct stream *s)
{
	struct err err;

	s->tls_read_wants = 0;
	switch (tls_handshake(s->tls, &err)) {
	case TLS_DONE:
		s->state = OPEN;
		if (s->ops && s->ops->on_secure)
			s->ops->on_secure(s->context);
		/* The first records may have come along with the handshake's last. */
		if (!s->freed && s->state == OPEN && !s->paused)
			read_in(s);
		break;
	case TLS_WANT_READ:
		s->tls_read_wants = LOOP_READ;
		break;
	case TLS_WANT_WRITE:
		s->tls_read_wants = LOOP_WRITE;
		break;
	case TLS_CLOSED:
		err_set(&err, "the peer has closed in the TLS handshake");
		end(s, STREAM_END_ERROR, &err);
		break;
	case TLS_FAILED:
		end(s, STREAM_END_ERROR, &err);
		break;
	}
}

static void begin_tls(struct stream *s)
{
	s->tls = tls_new(s->tls_context, s->fd, s->tls_name);
	s->state = HANDSHAKE;
}

size_t stream_start_tls(struct stream *s, struct tls_context *ctx, const char *name)
{
	size_t dropped = s->in.n;

	assert(!s->tls && (s->state == OPEN || s->state == ENDED));
	buf_free(&s->in);
	if (s->state == ENDED)
		return dropped;
	s->tls_context = ctx;
	s->tls_name = name ? strdup(name) : NULL;
	s->state = BEFORE_TLS;
	write_out(s);
	if (s->state == BEFORE_TLS) {
		if (!stream_unsent(s))
			begin_tls(s);
		/* A client speaks first; and from the loop, so that nothing is told from here. */
		kick(s);
	}
	watch(s);
	return dropped;
}

const struct tls *stream_tls(const struct stream *s)
{
	return s->state == HANDSHAKE ? NULL : s->tls;
}

/* ---- from the loop ---- */

static void finish_connect(struct stream *s)
{
	int number = 0;
	socklen_t n = sizeof(number);
	struct err err;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &number, &n))
		number = errno;
	if (number) {
		errno = number;
		err_sys(&err, "connect");
		end(s, STREAM_END_ERROR, &err);
		return;
	}
	s->state = OPEN;
	moved(s);
	if (s->ops && s->ops->on_connected)
		s->ops->on_connected(s->context);
	if (!s->freed && s->state == OPEN)
		write_out(s);
}

static void write_more(struct stream *s)
{
	write_out(s);
	if (s->state != OPEN || !s->was_full || stream_unsent(s) > STREAM_OUTPUT_MAX / 4)
		return;
	s->was_full = false;
	if (s->ops && s->ops->on_drained)
		s->ops->on_drained(s->context);
}

static void handle_open(struct stream *s, unsigned events)
{
	unsigned reads = s->tls_read_wants ? s->tls_read_wants : LOOP_READ;
	unsigned writes = s->tls_write_wants ? s->tls_write_wants : LOOP_WRITE;

	if ((events & writes) && stream_unsent(s))
		write_more(s);
	if (!s->freed && s->state == OPEN && !s->paused && (events & reads))
		read_in(s);
}

static void handle(void *context, int fd, unsigned events)
{
	struct stream *s = context;

	enter(s);
	switch (s->state) {
	case CONNECTING:
		finish_connect(s);
		break;
	case OPEN:
		if (s->released)
			write_out(s);
		else
			handle_open(s, events);
		break;
	case BEFORE_TLS:
		write_out(s);
		if (s->state == BEFORE_TLS && !stream_unsent(s)) {
			begin_tls(s);
			shake_hands(s);
		}
		break;
	case HANDSHAKE:
		moved(s);
		shake_hands(s);
		break;
	case LINGER:
		discard(s);
		break;
	case ENDED:
		break;
	}
	if (!s->freed && s->released && s->state == OPEN && !stream_unsent(s))
		linger(s);
	watch(s);
	arm(s);
	leave(s);
}

static void handle_kick(struct stream *s)
{
	s->kicked = false;
	if (s->state == ENDED) {
		tell_end(s);
	} else if (s->state == HANDSHAKE) {
		shake_hands(s);
	} else if (s->show && s->state == OPEN) {
		s->show = false;
		show_input(s);
		if (!s->freed && s->state == OPEN && !s->paused && s->tls && tls_pending(s->tls))
			read_in(s);
	}
}

static void tick(void *context)
{
	struct stream *s = context;
	int64_t now = loop_now_ms(s->loop);

	enter(s);
	s->armed_ms = 0;
	if (s->kicked)
		handle_kick(s);
	if (!s->freed && s->state != ENDED) {
		if (s->deadline_ms && now >= s->deadline_ms)
			end(s, STREAM_END_DEADLINE, NULL);
		else if (s->idle_ms && now >= s->moved_ms + s->idle_ms)
			end(s, STREAM_END_IDLE, NULL);
	}
	watch(s);
	arm(s);
	leave(s);
}

/* ---- making and ending ---- */

static struct stream *make(
	struct loop *loop, int fd, enum state state, const struct stream_ops *ops, void *context)
{
	struct stream *s = calloc(1, sizeof(*s));
	int one = 1;

	assert(s && fd >= 0);
	int flags = fcntl(fd, F_GETFL);
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	/* Replies are small and awaited. Fails on a local socket, which does not matter. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*s = (struct stream){
		.loop = loop, .fd = fd, .state = state, .ops = ops, .context = context};
	s->io = loop_io_new(loop, fd, handle, s);
	s->timer = loop_timer_new(loop, tick, s);
	watch(s);
	return s;
}

struct stream *stream_new(struct loop *loop, int fd, const struct stream_ops *ops, void *context)
{
	return make(loop, fd, OPEN, ops, context);
}

struct stream *stream_connect(struct loop *loop, const struct sockaddr_storage *address,
	socklen_t length, const struct stream_ops *ops, void *context, struct err *err)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		err_sys(err, "cannot make a socket");
		return NULL;
	}
	int failed = connect(fd, (const struct sockaddr *)address, length) ? errno : 0;
	struct stream *s = make(loop, fd, CONNECTING, ops, context);
	/* A local socket whose queue is full says EAGAIN, and never becomes writable. */
	if (failed && failed != EINPROGRESS && failed != EINTR) {
		struct err why;
		errno = failed;
		err_sys(&why, "connect");
		end(s, STREAM_END_ERROR, &why);
	}
	return s;
}

void stream_finish(struct stream **stream)
{
	struct stream *s = *stream;

	if (!s)
		return;
	*stream = NULL;
	s->ops = NULL;
	s->released = true;
	buf_free(&s->in);
	if (s->state == OPEN)
		write_out(s);
	if (s->state != OPEN) {
		release(s);
		return;
	}
	if (!stream_unsent(s))
		linger(s);
	s->paused = false;
	s->idle_ms = 0;
	stream_deadline(s, STREAM_LINGER_MS);
	watch(s);
}

uint64_t stream_octets_in(const struct stream *s)
{
	return s->octets_in;
}

uint64_t stream_octets_out(const struct stream *s)
{
	return s->octets_out;
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}
