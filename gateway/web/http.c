#include "gateway/web/http.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "core/json.h"

enum { TIMEOUT_S = 30, SEGMENT_MAX = 128, VALUE_MAX = 512 };

struct http_server {
	struct evhttp *http;
	const struct http_route *routes;
	bool is_trusted;
	char *token;
	void *context;
};

struct http_request {
	struct http_server *server;
	struct evhttp_request *req; /* NULL once the client is gone */
	char segment[SEGMENT_MAX + 1];
	char value[VALUE_MAX + 1]; /* of the last http_query() */
};

static void on_gone(struct evhttp_connection *connection, void *context)
{
	struct http_request *r = context;
	r->req = NULL;
}

static void release(struct http_request *r)
{
	if (r->req)
		evhttp_connection_set_closecb(evhttp_request_get_connection(r->req), NULL, NULL);
	free(r);
}

/* Answers */

static void add_headers(struct evhttp_request *req, const char *type)
{
	static const char *const headers[][2] = {
		{ "X-Content-Type-Options", "nosniff" },
		{ "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'" },
		{ "Cache-Control", "no-store" },
		{ "Referrer-Policy", "no-referrer" },
	};
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);
	evhttp_add_header(out, "Content-Type", type);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		evhttp_add_header(out, headers[i][0], headers[i][1]);
}

void http_reply(struct http_request *r, int status, const char *type, struct str body)
{
	struct evhttp_request *req = r->req;
	release(r);
	if (!req)
		return;
	add_headers(req, type);
	struct evbuffer *out = evbuffer_new();
	assert(out);
	evbuffer_add(out, body.n ? body.p : "", body.n);
	evhttp_send_reply(req, status, NULL, out);
	evbuffer_free(out);
}

void http_json(struct http_request *r, int status, struct str json)
{
	http_reply(r, status, "application/json", json);
}

void http_error(struct http_request *r, int status, const char *fmt, ...)
{
	struct buf text = BUF_INIT, json = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	buf_c(&json, "{\"error\": ");
	json_text(&json, buf_str(&text), 1000);
	buf_c(&json, "}\n");
	http_json(r, status, buf_str(&json));
	buf_free(&text);
	buf_free(&json);
}

/* Requests */

struct str http_segment(const struct http_request *r)
{
	return str_c(r->segment);
}

struct str http_body(struct http_request *r)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(r->req);
	size_t n = evbuffer_get_length(in);
	return str_from((const char *)evbuffer_pullup(in, -1), n);
}

struct str http_query(struct http_request *r, const char *name)
{
	struct evkeyvalq params;
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r->req));
	r->value[0] = '\0';
	if (!query || evhttp_parse_query_str(query, &params) < 0)
		return STR("");
	const char *value = evhttp_find_header(&params, name);
	if (value)
		snprintf(r->value, sizeof(r->value), "%s", value);
	evhttp_clear_headers(&params);
	return str_c(r->value);
}

struct str http_header(const struct http_request *r, const char *name)
{
	return str_c(evhttp_find_header(evhttp_request_get_input_headers(r->req), name));
}

void http_each_header(const struct http_request *r, const char *name,
	void (*each)(void *context, struct str value), void *context)
{
	struct evkeyval *header;
	TAILQ_FOREACH(header, evhttp_request_get_input_headers(r->req), next)
		if (str_ieq_c(str_c(header->key), name))
			each(context, str_c(header->value));
}

const char *http_who(const struct http_request *r)
{
	return r->server->is_trusted ? "control" : "admin";
}

/* A header that stands twice could be read as either. */
static bool is_ambiguous(struct evhttp_request *req)
{
	static const char *const single[] = { "Host", "Content-Length", "Transfer-Encoding" };
	unsigned seen[3] = { 0 };
	struct evkeyval *header;
	TAILQ_FOREACH(header, evhttp_request_get_input_headers(req), next)
		for (size_t i = 0; i < 3; i++)
			seen[i] += str_ieq_c(str_c(header->key), single[i]);
	return seen[0] > 1 || seen[1] > 1 || seen[2] > 1 || (seen[1] && seen[2]);
}

static bool token_is_right(const struct http_server *s, struct evhttp_request *req)
{
	struct str given = str_c(evhttp_find_header(evhttp_request_get_input_headers(req), "Authorization"));
	struct str token = str_c(s->token);
	if (s->is_trusted)
		return true;
	/* Rspamd's clients send it as Password. */
	if (str_istarts(given, "Bearer "))
		given = str_trim(str_skip(given, 7));
	else
		given = str_c(evhttp_find_header(evhttp_request_get_input_headers(req), "Password"));
	if (token.n == 0)
		return false;
	return given.n == token.n && CRYPTO_memcmp(given.p, token.p, token.n) == 0;
}

/* Does the path fit the route? '?' takes one segment, which is kept. */
static bool fits(struct str path, const char *pattern, struct http_request *r)
{
	struct str rest = str_c(pattern), want, have;
	r->segment[0] = '\0';
	while (str_cut(&rest, '/', &want)) {
		if (!str_cut(&path, '/', &have))
			return false;
		if (!str_eq_c(want, "?")) {
			if (!str_eq(want, have))
				return false;
			continue;
		}
		if (have.n == 0 || have.n > SEGMENT_MAX)
			return false;
		memcpy(r->segment, have.p, have.n);
		r->segment[have.n] = '\0';
	}
	return path.p == NULL;
}

static bool method_is(struct evhttp_request *req, const char *method)
{
	enum evhttp_cmd_type cmd = evhttp_request_get_command(req);
	return strcmp(method, "GET") == 0 ? cmd == EVHTTP_REQ_GET || cmd == EVHTTP_REQ_HEAD :
					    cmd == EVHTTP_REQ_POST;
}

static void route(struct http_request *r, struct str path)
{
	bool known = false;
	for (const struct http_route *to = r->server->routes; to->path; to++) {
		if (!fits(path, to->path, r))
			continue;
		known = true;
		if (!method_is(r->req, to->method))
			continue;
		if (!to->is_open && !token_is_right(r->server, r->req))
			http_error(r, 401, "%s", r->server->token[0] ?
				"the token is missing or wrong: send Authorization: Bearer TOKEN" :
				"no token_file is configured in the admin section: use the control socket");
		else
			to->handle(r->server->context, r);
		return;
	}
	http_error(r, known ? 405 : 404, known ? "not with this method" : "no such resource");
}

static void on_request(struct evhttp_request *req, void *context)
{
	struct http_request *r = calloc(1, sizeof(*r));
	assert(r);
	r->server = context;
	r->req = req;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_gone, r);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	if (is_ambiguous(req) || !path)
		http_error(r, 400, "the request is ambiguous or malformed");
	else
		route(r, str_c(path));
}

struct http_server *http_server_new(struct loop *loop, int fd, const struct http_route *routes,
	bool is_trusted, const char *token, void *context)
{
	struct http_server *s = calloc(1, sizeof(*s));
	assert(s);
	s->http = evhttp_new(loop_base(loop));
	s->token = strdup(token ? token : "");
	assert(s->http && s->token);
	s->routes = routes;
	s->is_trusted = is_trusted;
	s->context = context;
	evhttp_set_max_headers_size(s->http, HTTP_HEADER_MAX);
	evhttp_set_max_body_size(s->http, HTTP_BODY_MAX);
	evhttp_set_timeout(s->http, TIMEOUT_S);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
	evhttp_set_gencb(s->http, on_request, s);
	if (evhttp_accept_socket(s->http, fd) < 0)
		http_server_free(&s);
	return s;
}

void http_server_free(struct http_server **server)
{
	struct http_server *s = *server;
	if (!s)
		return;
	evhttp_free(s->http);
	free(s->token);
	free(s);
	*server = NULL;
}
