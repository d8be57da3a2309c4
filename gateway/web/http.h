/*
 * http: requests of the admin API over evhttp, with its traps closed.
 *
 * Two servers share one table of routes: the control socket, whose file
 * permission is its guard, and the `admin` listener, where all but the routes that
 * are marked open ask for the token (Authorization: Bearer …). A request with both
 * Transfer-Encoding and Content-Length, or with one of Host, Content-Length,
 * Transfer-Encoding twice, is refused: two parsers could read it differently.
 *
 * A handler answers at once, or keeps the request while it waits for another role;
 * http_reply() then does the right thing also if the client has gone away. Every
 * request is answered exactly once.
 */
#ifndef GATEWAY_WEB_HTTP_H
#define GATEWAY_WEB_HTTP_H

#include "core/buf.h"
#include "core/loop.h"

enum { HTTP_HEADER_MAX = 16 << 10, HTTP_BODY_MAX = 64 << 20 };

struct http_request;
struct http_route {
	const char *method; /* "GET" or "POST" */
	const char *path;   /* "/api/v1/quarantine/?/release": a '?' stands for one segment */
	bool is_open;	    /* needs no token */
	void (*handle)(void *context, struct http_request *request);
};

struct http_server;
/* Serves a listening socket (taken over). token: NULL or "" and not trusted: only open routes. */
struct http_server *http_server_new(struct loop *loop, int fd, const struct http_route *routes,
	bool is_trusted, const char *token, void *context);
void http_server_free(struct http_server **server);

/* The segment that stood for '?', decoded; a parameter of the query, or empty; the body. */
struct str http_segment(const struct http_request *request);
struct str http_query(struct http_request *request, const char *name);
struct str http_body(struct http_request *request);
/* The first header of this name, or all of them in turn: each() for every one. Empty if there is none. */
struct str http_header(const struct http_request *request, const char *name);
void http_each_header(const struct http_request *request, const char *name,
	void (*each)(void *context, struct str value), void *context);
/* Who asks, for the audit: "control" or "admin". */
const char *http_who(const struct http_request *request);

void http_reply(struct http_request *request, int status, const char *type, struct str body);
void http_json(struct http_request *request, int status, struct str json);
/* {"error": "…"} */
void http_error(struct http_request *request, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
