#include "gateway/front/session.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/smtp/proxy.h"
#include "gateway/front/judgement.h"
#include "gateway/log.h"

/* A header of the PROXY protocol, or a handshake, must be there by then. */
enum { PROXY_MS = 10000, TLS_MS = 30000, RATE_WINDOW_S = 60 };

/* Ends */

static void release_holds(struct session *s)
{
	struct front *front = s->front;

	if (!s->holds_connection)
		return;
	shared_hold(front->shared, front->self->index, s->client_key, -1);
	shared_hold(front->shared, front->self->index,
		shared_key(front->shared, "connections", STR("")), -1);
	shared_gauge_add(front->shared, ROLE_FRONT, front->self->index, SHARED_OPEN_CONNECTIONS,
		-1);
}

static void destroy(struct session *s)
{
	struct front *front = s->front;

	stream_free(&s->stream);
	judgement_cancel(&s->connect);
	/* What has begun to have effects is carried to its end, and calls back. */
	if (s->transaction && s->transaction->delivering) {
		s->phase = SESSION_CLOSED;
		return;
	}
	transaction_free(&s->transaction);
	release_holds(s);
	if (front->cursor == s)
		front->cursor = s->next;
	ledger_give_descriptors(&front->ledger, 1);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	front->session_count--;
	arena_free(&s->arena);
	free(s);
	front_check_drained(front);
}

/* What was asked for while it was not safe: the upgrade, the end. */
static void settle(struct session *s)
{
	if (s->closing) {
		if (s->stream)
			stream_finish(&s->stream);
		destroy(s);
		return;
	}
	if (!s->stream)
		return;
	stream_flush(s->stream);
	if (s->start_tls) {
		s->start_tls = false;
		s->phase = SESSION_TLS;
		s->due_ms = loop_now_ms(s->front->loop) + TLS_MS;
		/* RFC 3207 section 4.2, CVE-2011-0411: what was sent in the clear behind STARTTLS
		 * must never be answered inside TLS. */
		if (stream_start_tls(s->stream, s->listener->tls, NULL) != 0)
			destroy(s);
	}
}

static bool is_of_our_networks(const struct session *s)
{
	const struct config_listener *l = s->listener->config;

	for (size_t i = 0; i < l->outbound_net_count; i++)
		if (ip_in_net(&s->client, &l->outbound_nets[i]))
			return true;
	return false;
}

bool session_is_known(const struct session *s)
{
	return s->facts.account.n || is_of_our_networks(s);
}

uint64_t session_rate_key(const struct session *s)
{
	return s->facts.account.n ? shared_key(s->front->shared, "account", s->facts.account) :
				    s->client_key;
}

/* Replies */

void session_reply(struct session *s, int code, const char *enhanced, struct str text)
{
	if (code >= 500 && !session_is_known(s))
		s->errors++;
	if (s->stream)
		reply_write(stream_out(s->stream), code, enhanced, text);
}

void session_line(struct session *s, const char *line)
{
	if (line[0] == '5' && !session_is_known(s))
		s->errors++;
	if (s->stream)
		reply_line(stream_out(s->stream), line);
}

void session_challenge(struct session *s, const char *challenge)
{
	struct buf line = BUF_INIT;

	buf_printf(&line, "334 %s%c", challenge, 0);
	session_line(s, line.p);
	buf_free(&line);
}

void session_answer(struct session *s, const struct answer *answer)
{
	assert(answer->code != 0);
	session_reply(s, answer->code, answer->enhanced, answer->text);
	/* RFC 5321 3.8: behind a 421 there is nothing more. */
	if (answer->code == 421)
		session_close(s);
}

void session_close(struct session *s)
{
	s->closing = true;
}

void session_dismiss(struct session *s, const char *line)
{
	session_line(s, line);
	session_close(s);
}

void session_progress(struct session *s)
{
	uint64_t octets = stream_octets_in(s->stream);

	if (octets - s->octets_in < LIMIT_TRICKLE_OCTETS)
		return;
	s->octets_in = octets;
	s->due_ms = loop_now_ms(s->front->loop) + s->front->config->limits.data_timeout;
}

void session_wait(struct session *s)
{
	s->waiting = true;
}

void session_go_on(struct session *s)
{
	s->waiting = false;
	s->due_ms = loop_now_ms(s->front->loop) + s->front->config->limits.command_timeout;
	if (s->running)
		return;
	if (s->phase == SESSION_CLOSED || s->closing) {
		s->closing = true;
		settle(s);
		return;
	}
	stream_flush(s->stream);
	if (s->front->draining && !s->transaction && !s->has_input) {
		session_dismiss(s, "421 4.3.2 Service closing, come back in a moment");
		settle(s);
		return;
	}
	if (s->has_input || cmd_rcpt_is_pending(s)) {
		s->has_input = false;
		stream_pause(s->stream);
		stream_resume(s->stream);
	}
}

void session_end_transaction(struct session *s)
{
	transaction_free(&s->transaction);
}

bool session_client_gone(const struct session *s)
{
	char octet;

	if (!s->stream)
		return true;
	return recv(stream_fd(s->stream), &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

struct arena *session_arena(struct session *s)
{
	if (!s->arena)
		s->arena = arena_new(LIMIT_CONNECTION_MEMORY);
	return s->arena;
}

unsigned session_stages(const struct session *s)
{
	const struct ctl_ready *judge = &s->front->self->judge;

	return (unsigned)(s->facts.outbound ? judge->stages_outbound : judge->stages);
}

/* The CONNECT stage */

static void on_connect_judged(void *context, enum judgement_end end, struct verdict *verdict)
{
	struct session *s = context;
	void (*next)(struct session *) = s->after_connect;

	s->connect = NULL;
	s->after_connect = NULL;
	s->facts.dns = s->connect_facts.dns;
	s->facts.counters = s->connect_facts.counters;
	s->facts.without = s->connect_facts.without;
	/* Without a verdict nothing is lost: the same filters run again over the message. */
	if (end == JUDGEMENT_VERDICT && verdict->action >= ACTION_REJECT)
		answer_parse(&s->refusal, session_arena(s), verdict->reply,
			verdict->action == ACTION_REJECT ? "550 5.7.1 Refused" :
							   "451 4.7.1 Try again later");
	if (next)
		next(s);
}

void session_after_connect(struct session *s, void (*next)(struct session *))
{
	if (!s->connect) {
		next(s);
		return;
	}
	s->after_connect = next;
}

static void judge_connect(struct session *s)
{
	struct judgement_order order = { .facts = &s->connect_facts, .stage = STAGE_CONNECT,
		.message_fd = -1, .done = on_connect_judged, .context = s };

	if (!(session_stages(s) & STAGE_CONNECT))
		return;
	s->connect_facts = s->facts;
	order.arena = session_arena(s);
	s->connect = judgement_start(s->front, &order);
}

/* Admission */

/* One client: an IPv4 address, or the /64 that a single IPv6 customer has. */
static uint64_t client_key(struct session *s)
{
	size_t n = s->client.family == IP_V6 ? 8 : 4;

	return shared_key(s->front->shared, "client", str_from((char *)s->client.octets, n));
}

/* NULL, or the line that refuses. */
static const char *admit(struct session *s)
{
	const struct config_limits *limits = &s->front->config->limits;
	struct shared *shared = s->front->shared;
	int64_t index = s->front->self->index, all, own;

	s->client_key = client_key(s);
	own = shared_hold(shared, index, s->client_key, 1);
	all = shared_hold(shared, index, shared_key(shared, "connections", STR("")), 1);
	shared_gauge_add(shared, ROLE_FRONT, index, SHARED_OPEN_CONNECTIONS, 1);
	s->holds_connection = true;
	shared_add(shared, SHARED_CONNECTIONS, 1);
	if (s->front->draining || all > limits->connections)
		return "421 4.3.2 Too many connections, try again later";
	if (is_of_our_networks(s))
		return NULL;
	if (own > limits->connections_per_client)
		return "421 4.7.0 Too many connections from your address";
	if (limits->connection_rate > 0 &&
		shared_rate(shared, s->client_key, 1, RATE_WINDOW_S, front_time(s->front)) >
			limits->connection_rate)
		return "421 4.7.0 Too many connections from your address, try again later";
	return NULL;
}

static void set_facts(struct session *s, uint16_t port)
{
	ip_format(&s->client, s->text_ip);
	s->facts.now = front_time(s->front);
	s->facts.client_ip = str_c(s->text_ip);
	s->facts.client_port = port;
	s->facts.listener = str_c(s->listener->config->title);
	s->facts.outbound = s->listener->config->outbound;
	s->facts.session_id = str_c(s->id);
	s->facts.transaction_id = str_c(s->id);
}

static void welcome(struct session *s)
{
	struct buf line = BUF_INIT;

	s->welcomed = true;
	judge_connect(s);
	buf_printf(&line, "220 %s ESMTP Gatepost%c", s->front->config->hostname, 0);
	session_line(s, line.p);
	buf_free(&line);
	s->due_ms = loop_now_ms(s->front->loop) + s->front->config->limits.command_timeout;
}

/* TLS before anything is said (RFC 8314 3.3); who is not taken in is told nothing. */
static void secure_first(struct session *s, uint16_t port)
{
	set_facts(s, port);
	s->start_tls = true;
	if (admit(s)) {
		shared_add(s->front->shared, SHARED_CONNECTIONS_REFUSED, 1);
		session_close(s);
	}
}

/* From here on it is a session with a client. early: it spoke before we did. */
static void greet(struct session *s, uint16_t port, bool early)
{
	const char *refusal = admit(s);

	set_facts(s, port);
	s->phase = SESSION_COMMAND;
	if (!refusal && early)
		refusal = "554 5.5.0 You spoke before you were greeted";
	if (refusal) {
		shared_add(s->front->shared, SHARED_CONNECTIONS_REFUSED, 1);
		session_dismiss(s, refusal);
		return;
	}
	welcome(s);
}

/* Input */

/* RFC 2920: these must be the last of a group; and who was not offered PIPELINING has no groups.
 * A client that does not wait for answers is a program that only talks, or is being abused. */
static bool ends_group(enum command_verb verb)
{
	return verb == COMMAND_DATA || verb == COMMAND_EHLO || verb == COMMAND_HELO;
}

static void carry_out(struct session *s, const struct command *cmd)
{
	switch (cmd->verb) {
	case COMMAND_EHLO:
	case COMMAND_HELO:
		cmd_ehlo(s, cmd);
		break;
	case COMMAND_STARTTLS:
		cmd_starttls(s);
		break;
	case COMMAND_AUTH:
		cmd_auth(s, cmd);
		break;
	case COMMAND_MAIL:
		cmd_mail(s, cmd);
		break;
	case COMMAND_RCPT:
		cmd_rcpt(s, cmd);
		break;
	case COMMAND_DATA:
		cmd_data(s);
		break;
	case COMMAND_BDAT:
		cmd_bdat(s, cmd);
		break;
	default:
		cmd_other(s, cmd);
		break;
	}
}

static void one_command(struct session *s, struct str line)
{
	struct command cmd;
	unsigned offered = COMMAND_SIZE | COMMAND_8BITMIME |
			   (s->listener->config->accounts ? COMMAND_WITH_AUTH : 0);
	enum command_error error = command_read(line, offered, &cmd);

	if (s->more && (ends_group(cmd.verb) || !s->facts.esmtp)) {
		session_dismiss(s, "554 5.5.0 Improper pipelining");
		return;
	}
	if (++s->commands > LIMIT_COMMANDS_A_SESSION) {
		session_dismiss(s, "421 4.7.0 Too many commands");
		return;
	}
	if (!error) {
		carry_out(s, &cmd);
	} else if (cmd.verb == COMMAND_BDAT) {
		/* Nobody knows how many octets follow. */
		session_dismiss(s, command_error_reply(error));
	} else if (cmd.verb == COMMAND_RCPT && !session_is_known(s) &&
		   ++s->bad_recipients > LIMIT_BAD_RECIPIENTS) {
		session_dismiss(s, "421 4.7.0 Too many invalid recipients");
	} else {
		session_line(s, command_error_reply(error));
	}
}

static void read_command(struct session *s, struct str *in)
{
	struct str before = *in, line;
	struct lines lines = s->lines;
	enum lines_step step = lines_command(&s->lines, in, &line);
	bool is_rcpt = step == LINES_LINE && str_istarts(line, "RCPT");

	if (cmd_rcpt_is_pending(s) && !is_rcpt) {
		/* The batch ends here. Its answers come first; the line is read again. */
		*in = before;
		s->lines = lines;
		cmd_rcpt_decide(s);
		return;
	}
	switch (step) {
	case LINES_LINE:
		s->more = in->n > 0;
		s->due_ms = loop_now_ms(s->front->loop) +
			    s->front->config->limits.command_timeout;
		if (s->phase == SESSION_AUTH)
			cmd_auth_input(s, line);
		else
			one_command(s, line);
		break;
	case LINES_BAD:
		if (s->phase == SESSION_AUTH)
			cmd_auth_broken(s);
		else
			session_line(s, lines_error_reply(s->lines.error));
		break;
	case LINES_ABORT:
		session_dismiss(s, lines_error_reply(s->lines.error));
		break;
	default:
		s->running = false; /* no whole line */
		return;
	}
	if (s->errors > LIMIT_BAD_COMMANDS && !s->closing)
		session_dismiss(s, "421 4.7.0 Too many errors");
}

static void read_proxy(struct session *s, struct str *in)
{
	struct proxy proxy;
	struct err err = { "" };
	size_t used;

	switch (proxy_parse(*in, &used, &proxy, &err)) {
	case 0:
		s->running = false;
		return;
	case 1:
		*in = str_skip(*in, used);
		break;
	default:
		session_close(s);
		return;
	}
	/* LOCAL is the balancer's own health check: it gets its greeting, but no mail is taken
	 * for a client that has no address. */
	if (proxy.kind == PROXY_CLIENT)
		s->client = proxy.source;
	greet(s, proxy.kind == PROXY_CLIENT ? proxy.source_port : 0, in->n > 0);
	if (proxy.kind == PROXY_LOCAL)
		answer_parse(&s->refusal, session_arena(s),
			STR("554 5.7.1 No mail without a client behind the PROXY header"), "");
}

static void on_input(void *context, struct buf *in)
{
	struct session *s = context;
	struct str rest = buf_str(in);

	s->has_input = in->n > 0;
	if (s->waiting || s->closing)
		return;
	s->running = true;
	while (s->running && !s->waiting && !s->closing && !s->start_tls &&
		!stream_is_full(s->stream)) {
		switch (s->phase) {
		case SESSION_PROXY:
			read_proxy(s, &rest);
			break;
		case SESSION_COMMAND:
		case SESSION_AUTH:
			read_command(s, &rest);
			break;
		case SESSION_DATA:
			cmd_data_input(s, &rest);
			s->running = s->running && (s->phase != SESSION_DATA);
			break;
		case SESSION_CHUNK:
			cmd_bdat_input(s, &rest);
			s->running = s->running && (s->phase != SESSION_CHUNK);
			break;
		case SESSION_TLS:
		case SESSION_CLOSED:
			s->running = false;
			break;
		}
	}
	s->running = false;
	s->has_input = rest.n > 0;
	buf_consume(in, in->n - rest.n);
	settle(s);
}

static void on_secure(void *context)
{
	struct session *s = context;
	struct facts_tls *tls = ARENA_NEW(session_arena(s), struct facts_tls);

	/* RFC 3207 section 4.2: all that was said before is forgotten. */
	s->phase = SESSION_COMMAND;
	s->greeted = false;
	s->facts.esmtp = s->facts.has_helo = false;
	s->facts.helo = s->facts.account = STR("");
	tls->version = str_c(tls_version(stream_tls(s->stream)));
	tls->cipher = str_c(tls_cipher(stream_tls(s->stream)));
	s->facts.tls = tls;
	shared_add(s->front->shared, SHARED_TLS_SESSIONS, 1);
	s->due_ms = loop_now_ms(s->front->loop) + s->front->config->limits.command_timeout;
	if (!s->welcomed) {
		welcome(s);
		settle(s);
	}
}

static void on_end(void *context, enum stream_end why, const struct err *err)
{
	struct session *s = context;

	if (s->phase == SESSION_TLS) {
		struct log_line *line = log_line(LOG_LEVEL_INFO, "tls-failed");

		shared_add(s->front->shared, SHARED_TLS_FAILURES, 1);
		log_c(line, "session", s->id);
		log_str(line, "client", s->facts.client_ip);
		log_c(line, "text", err && why == STREAM_END_ERROR ? err->text : "closed");
		log_end(line);
	}
	destroy(s);
}

/* A client that asks faster than it reads the answers waits for itself. */
static void on_drained(void *context)
{
	struct session *s = context;

	if (s->waiting || !s->has_input)
		return;
	stream_pause(s->stream);
	stream_resume(s->stream);
}

static const struct stream_ops stream_ops = { .on_input = on_input, .on_secure = on_secure,
	.on_drained = on_drained, .on_end = on_end };

/* Begin */

static bool speaks_proxy(const struct listener *listener, const struct ip *client)
{
	for (size_t i = 0; i < listener->config->proxy_net_count; i++)
		if (ip_in_net(client, &listener->config->proxy_nets[i]))
			return true;
	return false;
}

static void make_id(struct session *s)
{
	struct front *front = s->front;

	/* Unique as long as the clock does not go back: the number goes on from a random one. */
	snprintf(s->id, sizeof(s->id), "%08llx%02x%06x", (unsigned long long)front_time(front),
		(unsigned)front->self->index & 0xff, front->session_number++ & 0xffffff);
}

static bool has_octets(int fd)
{
	char octet;

	return recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void session_new(struct listener *listener, int fd, const struct ip *client, uint16_t port)
{
	struct front *front = listener->front;
	bool early = has_octets(fd);
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->front = front;
	s->listener = listener;
	s->client = *client;
	s->begun_ms = loop_now_ms(front->loop);
	s->deadline_ms = s->begun_ms + front->config->limits.session_timeout;
	s->due_ms = s->begun_ms + PROXY_MS;
	make_id(s);
	lines_init(&s->lines);
	s->stream = stream_new(front->loop, fd, &stream_ops, s);
	s->next = front->sessions;
	s->link = &front->sessions;
	if (s->next)
		s->next->link = &s->next;
	front->sessions = s;
	front->session_count++;
	if (listener->config->proxy_net_count) {
		s->phase = SESSION_PROXY;
		/* Never parsed, never answered: it can only be somebody who should not be here. */
		if (!speaks_proxy(listener, client)) {
			shared_add(front->shared, SHARED_CONNECTIONS_REFUSED, 1);
			session_close(s);
		}
	} else if (listener->config->tls == CONFIG_TLS_IMPLICIT) {
		secure_first(s, port);
	} else {
		greet(s, port, early);
	}
	settle(s);
}

void session_sweep(struct session *s, int64_t now_ms)
{
	if (s->waiting || s->phase == SESSION_CLOSED || now_ms < s->due_ms) {
		if (s->waiting || s->phase == SESSION_CLOSED || now_ms < s->deadline_ms)
			return;
	}
	if (s->phase != SESSION_PROXY && s->phase != SESSION_TLS)
		session_line(s, "421 4.4.2 Timeout, closing the connection");
	session_close(s);
	settle(s);
}

void session_drain(struct session *s)
{
	if (s->waiting || s->transaction || s->phase == SESSION_CLOSED)
		return;
	if (s->phase == SESSION_COMMAND || s->phase == SESSION_AUTH)
		session_line(s, "421 4.3.2 Service closing, come back in a moment");
	session_close(s);
	settle(s);
}
