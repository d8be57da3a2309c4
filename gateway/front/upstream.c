#include "gateway/front/upstream.h"

#include <assert.h>
#include <stdlib.h>

#include "core/limits.h"
#include "gateway/front/upstream_private.h"
#include "gateway/log.h"

enum {
	DOWN_MS = 5000,	      /* a server that could not be reached is left alone */
	HOLD_OFF_MS = 2000,   /* it refused another connection, while it serves those it has */
	MESSAGES_A_SESSION = 500,
	FRESH_MS = 1000,      /* a session that young is not likely to have been closed unseen */
};

struct loan {
	struct loan *next, *prev; /* while it waits */
	struct upstream *upstream;
	struct upstream_order order;
	struct backend *backend; /* that serves, or served it */
	struct upsession *session; /* NULL: waits, or lost */
	bool waits;
	int64_t asked_ms;
};

static int64_t now_ms(const struct upstream *u)
{
	return loop_now_ms(u->front->loop);
}

/* Queue */

static void enqueue(struct loan *loan)
{
	struct upstream *u = loan->upstream;
	int q = loan->order.urgent ? 0 : 1;

	loan->waits = true;
	loan->next = NULL;
	loan->prev = u->tail[q];
	*(u->tail[q] ? &u->tail[q]->next : &u->head[q]) = loan;
	u->tail[q] = loan;
}

static void dequeue(struct loan *loan)
{
	struct upstream *u = loan->upstream;
	int q = loan->order.urgent ? 0 : 1;

	loan->waits = false;
	*(loan->prev ? &loan->prev->next : &u->head[q]) = loan->next;
	*(loan->next ? &loan->next->prev : &u->tail[q]) = loan->prev;
}

static void fail(struct loan *loan, const char *why)
{
	struct upstream_order order = loan->order;

	dequeue(loan);
	free(loan);
	order.done(order.context, NULL, why);
}

/* Sessions */

static void session_drop(struct upsession *session)
{
	struct backend *b = session->backend;
	struct upsession **link = &b->sessions;

	while (*link != session)
		link = &(*link)->next;
	*link = session->next;
	b->count--;
	if (!session->ready)
		b->connecting--;
	if (session->loan)
		session->loan->session = NULL;
	shared_gauge_add(b->upstream->front->shared, ROLE_FRONT, b->upstream->front->self->index,
		SHARED_OPEN_BACKENDS, -1);
	ledger_give_descriptors(&b->upstream->front->ledger, 1);
	client_free(&session->client);
	free(session);
}

void upstream_set_down(struct backend *b, const char *why)
{
	b->down_until_ms = now_ms(b->upstream) + DOWN_MS;
	shared_add(b->upstream->front->shared, SHARED_BACKEND_FAILURES, 1);
	if (b->is_down)
		return;
	b->is_down = true;

	struct log_line *line = log_line(LOG_LEVEL_WARNING, "backend-down");

	log_c(line, "backend", b->config->text);
	log_c(line, "text", why);
	log_end(line);
}

static void on_ready(void *context)
{
	struct upsession *session = context;
	struct backend *b = session->backend;

	session->ready = true;
	session->ready_ms = now_ms(b->upstream);
	b->connecting--;
	b->known = true;
	b->offers = client_offers(session->client);
	b->size_limit = client_size_limit(session->client);
	b->down_until_ms = 0;
	if (b->is_down) {
		struct log_line *line = log_line(LOG_LEVEL_INFO, "backend-up");

		log_c(line, "backend", b->config->text);
		log_end(line);
		b->is_down = false;
	}
	upstream_pump(b->upstream);
}

static void on_closed(void *context, const struct client_reply *reply)
{
	struct upsession *session = context;
	struct backend *b = session->backend;
	bool came_about = session->ready;
	char why[300];

	snprintf(why, sizeof(why), "%d %s %.*s", reply->code, reply->enhanced,
		STR_ARG(reply->text));
	session_drop(session);
	if (!came_about) {
		/* It serves others of us: then it only wants no more of them. */
		if (b->count > b->connecting)
			b->hold_off_until_ms = now_ms(b->upstream) + HOLD_OFF_MS;
		else
			upstream_set_down(b, why);
	}
	upstream_pump(b->upstream);
}

static const struct client_ops client_ops = { .on_ready = on_ready, .on_closed = on_closed };

static void connect_one(struct backend *b)
{
	struct front *front = b->upstream->front;
	const struct config_limits *limits = &front->config->limits;
	struct client_options options = {
		.protocol = b->config->kind == BACKEND_SMTP ? CLIENT_SMTP : CLIENT_LMTP,
		.hostname = front->config->hostname,
		.name = b->config->host[0] && b->config->ip.family == IP_NONE ? b->config->host :
										NULL,
		.timeouts = { .connect = limits->backend_connect_timeout,
			.greeting = limits->backend_timeout, .command = limits->backend_timeout,
			.data_start = limits->backend_timeout,
			.data_block = limits->backend_timeout,
			.data_end = limits->backend_data_timeout } };
	struct upsession *session;
	struct err err = { "" };

	if ((b->traffic & TRAFFIC_OUTBOUND) && front->relay_password) {
		options.login = front->config->outbound.relay_login;
		options.password = front->relay_password;
	}
	if (b->tls != CONFIG_BACKEND_TLS_OFF) {
		bool must = b->tls == CONFIG_BACKEND_TLS_REQUIRE;

		options.tls = must ? CLIENT_TLS_MUST : CLIENT_TLS_MAY;
		options.tls_context = must && options.name ? b->upstream->verifying :
							     b->upstream->opportunistic;
	}
	if (!upstream_address(b, &options) || !ledger_take_descriptors(&front->ledger, 1))
		return;
	session = calloc(1, sizeof(*session));
	if (!session)
		abort();
	session->backend = b;
	session->next = b->sessions;
	b->sessions = session;
	b->count++;
	b->connecting++;
	shared_add(front->shared, SHARED_BACKEND_CONNECTIONS, 1);
	shared_gauge_add(front->shared, ROLE_FRONT, front->self->index, SHARED_OPEN_BACKENDS, 1);
	session->client = client_new(front->loop, &options, &client_ops, session, &err);
	if (!session->client) {
		session_drop(session);
		upstream_set_down(b, err.text);
	}
}

/* Lending */

static struct upsession *idle_session(struct backend *b)
{
	for (struct upsession *s = b->sessions; s; s = s->next)
		if (s->ready && !s->loan && client_is_idle(s->client))
			return s;
	return NULL;
}

enum lent { LENT, WAITS, NO_BACKEND };

/* The first backend that is up: its idle session, or the wait for it. */
static enum lent try(struct loan *loan)
{
	struct upstream *u = loan->upstream;
	const struct config_domain *domain = loan->order.domain;
	int64_t now = now_ms(u);

	for (size_t i = 0; i < domain->backend_count; i++) {
		struct backend *b = &u->backends[domain->backends[i].index];
		struct upsession *session = idle_session(b);

		if (session) {
			session->loan = loan;
			session->pooled |= now - session->ready_ms > FRESH_MS;
			loan->session = session;
			loan->backend = b;
			return LENT;
		}
		if (now < b->down_until_ms)
			continue;
		b->wanted++;
		if (b->connecting < b->wanted && b->count < u->limit &&
			now >= b->hold_off_until_ms)
			connect_one(b);
		if (now >= b->down_until_ms)
			return WAITS;
	}
	return NO_BACKEND;
}

/* The first who can be served or must be told, and what it is. */
static struct loan *next_decided(struct upstream *u, enum lent *lent_r)
{
	for (size_t i = 0; i < u->backend_count; i++)
		u->backends[i].wanted = 0;
	for (int q = 0; q < 2; q++) {
		for (struct loan *loan = u->head[q]; loan; loan = loan->next) {
			*lent_r = try(loan);
			if (*lent_r != WAITS)
				return loan;
		}
	}
	return NULL;
}

void upstream_pump(struct upstream *u)
{
	struct loan *loan;
	enum lent lent;

	u->again = true;
	if (u->pumping)
		return;
	u->pumping = true;
	while (u->again) {
		u->again = false;
		while ((loan = next_decided(u, &lent))) {
			if (lent == NO_BACKEND) {
				fail(loan, "no mailbox server can be reached");
				continue;
			}
			dequeue(loan);
			loan->order.done(loan->order.context, loan->session->client, NULL);
		}
	}
	u->pumping = false;
}

struct loan *upstream_borrow(struct upstream *u, const struct upstream_order *order)
{
	struct loan *loan = calloc(1, sizeof(*loan));

	if (!loan)
		abort();
	assert(order->domain->backend_count > 0 && order->wait_ms > 0);
	loan->upstream = u;
	loan->order = *order;
	loan->asked_ms = now_ms(u);
	if (order->fresh) {
		for (size_t i = 0; i < order->domain->backend_count; i++) {
			struct backend *b = &u->backends[order->domain->backends[i].index];
			struct upsession *stale;

			while ((stale = idle_session(b)))
				session_drop(stale);
		}
	}
	/* Nobody is overtaken: while others wait for a backend, it has no idle session. A wait that
	 * cannot succeed is ended by the next sweep, so that done() comes from the loop. */
	if (try(loan) != LENT)
		enqueue(loan);
	return loan;
}

struct client *upstream_client(const struct loan *loan)
{
	return loan->session ? loan->session->client : NULL;
}

bool upstream_was_pooled(const struct loan *loan)
{
	return loan->session && loan->session->pooled;
}

const char *upstream_name(const struct loan *loan)
{
	return loan->backend ? loan->backend->config->text : "";
}

void upstream_return(struct loan **loan_p, bool clean)
{
	struct loan *loan = *loan_p;
	struct upsession *session;
	struct upstream *u;

	if (!loan)
		return;
	*loan_p = NULL;
	u = loan->upstream;
	session = loan->session;
	if (loan->waits)
		dequeue(loan);
	free(loan);
	if (!session)
		return;
	session->loan = NULL;
	session->pooled = true;
	if (!clean || !client_is_idle(session->client))
		session_drop(session);
	else if (u->draining || client_messages(session->client) >= MESSAGES_A_SESSION)
		client_quit(session->client);
	upstream_pump(u);
}

/* Life */

static void sweep_backend(struct backend *b, int64_t now)
{
	struct upstream *u = b->upstream;
	int64_t idle = u->front->config->limits.backend_idle;
	struct upsession *next;

	for (struct upsession *s = b->sessions; s; s = next) {
		next = s->next;
		if (s->ready && !s->loan && client_is_idle(s->client) &&
			(u->draining || now - client_last_used_ms(s->client) > idle))
			client_quit(s->client);
	}
	/* What it offers decides what we offer. */
	if (!b->known && !b->count && now >= b->down_until_ms && !u->draining)
		connect_one(b);
}

void upstream_sweep(struct upstream *u, int64_t now)
{
	struct loan *next;

	for (int q = 0; q < 2; q++) {
		for (struct loan *loan = u->head[q]; loan; loan = next) {
			next = loan->next;
			if (now - loan->asked_ms < loan->order.wait_ms)
				continue;
			fail(loan, "the mailbox server has no connection to spare");
			next = u->head[q]; /* the callback may have changed the queue */
		}
	}
	for (size_t i = 0; i < u->backend_count; i++)
		sweep_backend(&u->backends[i], now);
	upstream_pump(u);
}

void upstream_start(struct upstream *u)
{
	for (size_t i = 0; i < u->backend_count; i++)
		sweep_backend(&u->backends[i], now_ms(u));
}

void upstream_drain(struct upstream *u)
{
	u->draining = true;
	upstream_sweep(u, now_ms(u));
}

unsigned upstream_offers(const struct upstream *u, enum traffic traffic)
{
	unsigned offers = ~0u;

	for (size_t i = 0; i < u->backend_count; i++)
		if (u->backends[i].known && (u->backends[i].traffic & traffic))
			offers &= u->backends[i].offers;
	return offers;
}

uint64_t upstream_size_limit(const struct upstream *u, enum traffic traffic)
{
	uint64_t limit = (uint64_t)u->front->config->limits.message_size;

	for (size_t i = 0; i < u->backend_count; i++) {
		const struct backend *b = &u->backends[i];
		uint64_t theirs = b->known && (b->traffic & traffic) ? b->size_limit : 0;

		/* They count our header lines too. */
		if (theirs <= 2 * LIMIT_ADDED_HEADER_BYTES)
			continue;
		theirs -= LIMIT_ADDED_HEADER_BYTES;
		if (theirs < limit)
			limit = theirs;
	}
	return limit;
}

static void read_backends(struct upstream *u)
{
	const struct config *config = u->front->config;
	const struct config_domain *domain = NULL;

	u->backend_count = config->backend_count;
	u->backends = calloc(u->backend_count + 1, sizeof(*u->backends));
	if (!u->backends)
		abort();
	while ((domain = config_next_route(config, domain))) {
		for (size_t k = 0; k < domain->backend_count; k++) {
			struct backend *b = &u->backends[domain->backends[k].index];
			bool first = !b->config;

			b->upstream = u;
			b->config = &domain->backends[k];
			b->traffic |= domain == &config->outbound.route ? TRAFFIC_OUTBOUND :
									  TRAFFIC_INBOUND;
			if (first || domain->backend_tls == CONFIG_BACKEND_TLS_REQUIRE ||
				(domain->backend_tls == CONFIG_BACKEND_TLS_MAY &&
					b->tls == CONFIG_BACKEND_TLS_OFF))
				b->tls = domain->backend_tls;
		}
	}
}

static bool wants_verified(const struct upstream *u)
{
	for (size_t i = 0; i < u->backend_count; i++)
		if (u->backends[i].tls == CONFIG_BACKEND_TLS_REQUIRE)
			return true;
	return false;
}

struct upstream *upstream_new(struct front *front, struct err *err)
{
	const struct tls_client_options any = { .verify = TLS_VERIFY_NONE, .security_level = 1 };
	const struct tls_client_options strict = { .verify = TLS_VERIFY_NAME, .security_level = 2 };
	const struct config *config = front->config;
	struct upstream *u = calloc(1, sizeof(*u));
	int64_t total, share;

	if (!u)
		abort();
	u->front = front;
	read_backends(u);
	u->opportunistic = tls_client_new(&any, err);
	/* It reads the system's trusted certificates: only where they are needed. */
	if (u->opportunistic && wants_verified(u))
		u->verifying = tls_client_new(&strict, err);
	if (!u->opportunistic || (wants_verified(u) && !u->verifying)) {
		upstream_free(&u);
		return NULL;
	}
	/* The limit is for all fronts together; each has its share of it. */
	total = config->limits.backend_connections;
	share = total / config->fronts;
	if (front->self->index % config->fronts < total % config->fronts)
		share++;
	u->limit = share > 0 ? (unsigned)share : 1;
	return u;
}

void upstream_free(struct upstream **upstream)
{
	struct upstream *u = *upstream;

	if (!u)
		return;
	*upstream = NULL;
	u->pumping = true; /* nobody is called any more */
	for (int q = 0; q < 2; q++) {
		while (u->head[q]) {
			struct loan *loan = u->head[q];

			dequeue(loan);
			free(loan);
		}
	}
	for (size_t i = 0; i < u->backend_count; i++)
		while (u->backends[i].sessions)
			session_drop(u->backends[i].sessions);
	tls_context_free(&u->opportunistic);
	tls_context_free(&u->verifying);
	free(u->backends);
	free(u);
}
