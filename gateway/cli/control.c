#include "gateway/cli/control.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/time.h>
#include <unistd.h>

#define REPLY_BYTES_MAX (64u << 20)
#define WAIT_S		60

static int connect_to(const char *state_dir, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = WAIT_S };
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", state_dir, CONTROL_SOCKET), fd;
	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return err_set(err, "state_dir is too long for a socket's name: %s", state_dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	err_sys(err, "%s", sa.sun_path);
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int send_all(int fd, struct str s, struct err *err)
{
	while (s.n) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "sending to the gateway");
		s = str_skip(s, (size_t)n);
	}
	return 0;
}

static int receive_all(int fd, struct buf *b, struct err *err)
{
	for (;;) {
		ssize_t n = recv(fd, buf_reserve(b, 65536), 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "waiting for the gateway's reply");
		if (n == 0)
			return 0;
		buf_commit(b, (size_t)n);
		if (b->n > REPLY_BYTES_MAX)
			return err_set(err, "the gateway's reply is larger than %u MB",
				REPLY_BYTES_MAX >> 20);
	}
}

/* RFC 9112 7.1: chunks become one piece, in place. */
static int unchunk(struct str body, char *to, size_t *n_r)
{
	*n_r = 0;
	for (;;) {
		struct str line;
		size_t size = 0, digits = 0;
		if (!str_cut(&body, '\n', &line) || !body.p)
			return -1;
		while (digits < line.n && char_hex(line.p[digits]) >= 0 && digits < 8)
			size = size << 4 | (size_t)char_hex(line.p[digits++]);
		if (!digits)
			return -1;
		if (!size)
			return 0;
		if (size > body.n)
			return -1;
		memmove(to + *n_r, body.p, size);
		*n_r += size;
		body = str_skip(body, size);
		body = str_skip(body, str_starts(body, "\r\n") ? 2 : 1);
	}
}

static int parse_reply(struct control_reply *reply, struct err *err)
{
	struct str all = buf_str(&reply->raw), head, line, word;
	size_t end = str_find(all, STR("\r\n\r\n"));
	uint64_t status;
	bool chunked = false;
	if (end == all.n)
		return err_set(err, "the gateway's reply is cut short");
	head = str_sub(all, 0, end);
	reply->body = str_skip(all, end + 4);
	str_cut(&head, '\n', &line);
	if (!str_starts(line, "HTTP/1.") || !str_word(&line, &word) || !str_word(&line, &word) ||
		str_to_u64(word, 100, 599, &status) != 0)
		return err_set(err, "what answers is no gateway");
	reply->status = (int)status;
	while (str_cut(&head, '\n', &line))
		if (str_istarts(line, "transfer-encoding:") && str_ifind(line, STR("chunked")) < line.n)
			chunked = true;
	if (chunked && unchunk(reply->body, reply->raw.p + end + 4, &reply->body.n) != 0)
		return err_set(err, "the gateway's reply is cut short");
	return 0;
}

int control_request(const char *state_dir, const char *method, const char *path, struct str body,
	struct control_reply *reply_r, struct err *err)
{
	struct buf request = BUF_INIT;
	int fd = connect_to(state_dir, err), result;
	*reply_r = (struct control_reply){ .raw = BUF_INIT };
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED)) {
		err_set(err, "no gateway is running on %s: start it with `gatepost run`", state_dir);
		return 0;
	}
	if (fd < 0)
		return -1;
	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: gatepost\r\nConnection: close\r\n", method, path);
	if (body.n || strcmp(method, "POST") == 0)
		buf_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.n);
	buf_c(&request, "\r\n");
	buf_str_add(&request, body);
	result = send_all(fd, buf_str(&request), err);
	if (result == 0)
		result = receive_all(fd, &reply_r->raw, err);
	if (result == 0)
		result = parse_reply(reply_r, err);
	buf_free(&request);
	close(fd);
	if (result != 0) {
		control_reply_free(reply_r);
		return -1;
	}
	reply_r->json = json_loadb(reply_r->body.p, reply_r->body.n, JSON_ALLOW_NUL, NULL);
	return 1;
}

void control_reply_free(struct control_reply *reply)
{
	json_decref(reply->json);
	buf_free(&reply->raw);
	*reply = (struct control_reply){ .raw = BUF_INIT };
}

void control_error(const struct control_reply *reply, struct err *err)
{
	const char *text = json_string_value(json_object_get(reply->json, "error"));
	if (text)
		err_set(err, "%s", text);
	else
		err_set(err, "the gateway answers with HTTP status %d", reply->status);
}

void control_escape(struct buf *path, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (char_is_alnum((char)c) || memchr("-._~", c, 4))
			buf_char(path, (char)c);
		else
			buf_printf(path, "%%%02X", c);
	}
}
