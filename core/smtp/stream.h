/*
 * stream: a non-blocking stream of octets over a descriptor, with or without
 * TLS, on the event loop.
 *
 * It owns the descriptor, an input buffer and an output buffer. Input is handed
 * to on_input(), which takes off what it has understood and leaves the rest;
 * output is written as the peer takes it. Memory is bounded on both sides: past
 * STREAM_INPUT_MAX of input that is left lying the stream stops reading until
 * on_input() (called again by way of stream_pause() and stream_resume()) has
 * taken some; and a writer that cares stops at stream_is_full() until
 * on_drained().
 *
 *	static const struct stream_ops ops = { .on_input = ..., .on_end = ... };
 *	struct stream *s = stream_new(loop, fd, &ops, session);
 *	reply_line(stream_out(s), "220 ...");
 *	stream_flush(s);
 *
 * Callbacks may call anything here, stream_free() too; no callback comes after
 * that. on_end() comes once, unless the stream was freed or finished before. All of
 * them come from the loop, none from inside a call made here.
 *
 * The process ignores SIGPIPE.
 */
#ifndef CORE_SMTP_STREAM_H
#define CORE_SMTP_STREAM_H

#include <sys/socket.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/tls.h"

#define STREAM_INPUT_MAX  (128u << 10)
#define STREAM_OUTPUT_MAX (128u << 10)
#define STREAM_LINGER_MS  2000

struct stream;

enum stream_end {
	STREAM_END_PEER,    /* end of file: the peer has closed in due form */
	STREAM_END_ERROR,   /* reset, TLS failure …: err says what */
	STREAM_END_IDLE,    /* nothing moved for the idle time */
	STREAM_END_DEADLINE /* the deadline has come */
};

struct stream_ops {
	/* There is input (new, or left over after stream_resume()). Take it off with
	 * buf_consume(). What is left is shown again with the next octet that comes. */
	void (*on_input)(void *context, struct buf *in);
	/* Output that was full has drained to a quarter. May be NULL. */
	void (*on_drained)(void *context);
	/* stream_connect(): there is a connection. */
	void (*on_connected)(void *context);
	/* The TLS handshake is done. */
	void (*on_secure)(void *context);
	/* It is over; nothing more is read or written. Free the stream here or later. */
	void (*on_end)(void *context, enum stream_end why, const struct err *err);
};

/* Takes over fd (which is made non-blocking). Reading begins at once. */
struct stream *stream_new(struct loop *loop, int fd, const struct stream_ops *ops, void *context);
/* Begins to connect; on_connected() or on_end() follows from the loop. NULL with err
 * if not even a socket could be had. */
struct stream *stream_connect(struct loop *loop, const struct sockaddr_storage *address,
	socklen_t length, const struct stream_ops *ops, void *context, struct err *err);
/* Closes at once: unsent output is lost. */
void stream_free(struct stream **stream);
/* Lets go of the stream, sets the caller's pointer to NULL, and closes it by itself once
 * all output is sent and the peer has closed too, or after STREAM_LINGER_MS: so a peer
 * that is still sending reads our last words before it meets a reset. No callbacks. */
void stream_finish(struct stream **stream);

/* The output buffer, to append to; then stream_flush(). */
struct buf *stream_out(struct stream *stream);
/* Writes as much as goes; the rest follows by itself. Errors are reported by on_end() later. */
void stream_flush(struct stream *stream);
void stream_write(struct stream *stream, struct str octets); /* append and flush */
bool stream_is_full(const struct stream *stream);
size_t stream_unsent(const struct stream *stream);

/* Stop reading, and go on (on_input() is called again from the loop if input is left).
 * While paused an end of file goes unseen. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);
bool stream_is_paused(const struct stream *stream);

/* STARTTLS, once its line has been taken off the input. Input that lies in the buffer or comes before the handshake's first octet
 * was sent in the clear and is dropped: returns the number of octets dropped, which
 * should be 0 in an honest session (refuse it then). Output is flushed in the clear
 * first. `name` as in tls_new(). on_secure() or on_end() follows. */
size_t stream_start_tls(struct stream *stream, struct tls_context *ctx, const char *name);
/* NULL while in the clear. */
const struct tls *stream_tls(const struct stream *stream);

/* Milliseconds without an octet in either direction; 0: no limit. Starts anew with each
 * octet and each call. */
void stream_idle(struct stream *stream, int64_t ms);
/* Milliseconds from now, whatever moves; 0: none. */
void stream_deadline(struct stream *stream, int64_t ms);

uint64_t stream_octets_in(const struct stream *stream);
uint64_t stream_octets_out(const struct stream *stream);
int stream_fd(const struct stream *stream);

#endif
