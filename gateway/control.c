#include "gateway/control.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/response.h"

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

bool control_is_served(const char *state_dir)
{
	struct err err;
	int fd = connect_to(state_dir, &err);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
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

static int parse_reply(struct control_reply *reply, struct err *err)
{
	struct response response;

	if (response_parse(buf_str(&reply->raw), true, &reply->unchunked, &response, err) != 1)
		return err_prefix(err, "the gateway's reply");
	reply->status = response.status;
	reply->body = response.body;
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
	buf_free(&reply->unchunked);
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
