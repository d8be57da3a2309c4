/*
 * control: one request to the running gateway, over state_dir/control.sock.
 *
 * The web role speaks the admin API there, guarded by the socket's file mode. A
 * small blocking HTTP/1.1 client: one connection a request.
 *
 *	struct control_reply reply;
 *	if (control_request(&place, "GET", "/api/v1/status", STR(""), &reply, &err) == 1)
 *		... reply.status, reply.json
 *	control_reply_free(&reply);
 */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

#include <jansson.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"

#define CONTROL_SOCKET "control.sock"

struct control_reply {
	int status; /* HTTP's */
	struct str body;
	json_t *json; /* NULL if the body is none */
	struct buf raw, unchunked;
};

/*
 * 1: there is a reply. 0: no gateway runs on this state folder (err says so, with the remedy).
 * -1: anything else. `body` is JSON, or empty for none.
 */
int control_request(const char *state_dir, const char *method, const char *path, struct str body,
	struct control_reply *reply_r, struct err *err);
/* Is there one? */
bool control_is_served(const char *state_dir);
void control_reply_free(struct control_reply *reply);
/* What the server says about a status other than 2xx: {"error": "…"}, else the status. */
void control_error(const struct control_reply *reply, struct err *err);
/* Appends text percent-encoded, as one path segment or query value (RFC 3986 2.1). */
void control_escape(struct buf *path, const char *text);

#endif
