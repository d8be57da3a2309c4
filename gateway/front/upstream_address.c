/* Where a backend is: an address, a socket in the file system, or a name that DNS knows. */
#include <sys/un.h>

#include "core/limits.h"
#include "gateway/front/upstream_private.h"

enum {
	RESOLVED_MS = 60000, /* how long a server's address is believed */
	RESOLVE_MS = 10000,
};

/* A name that cannot be resolved any more keeps the address that it had. */
static void settle(struct backend *b, const struct ip *found, const char *why)
{
	b->resolving = false;
	b->resolved_ms = loop_now_ms(b->upstream->front->loop);
	if (found->family != IP_NONE)
		b->ip = *found;
	else if (b->ip.family == IP_NONE)
		upstream_set_down(b, why);
}

static void on_resolved(void *context, const struct ipc_packet *reply)
{
	struct backend *b = context;
	struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
	struct resolve_reply r = { 0 };
	struct ip found = { .family = IP_NONE }, ip;

	if (reply)
		(void)record_decode(&resolve_reply_record, reply->payload, arena, &r, NULL);
	for (size_t i = 0; i < r.answers.n && found.family == IP_NONE; i++)
		for (size_t k = 0; k < r.answers.v[i].data.n && found.family == IP_NONE; k++)
			if (dns_address(&r.answers.v[i], k, &ip) == 0)
				found = ip;
	arena_free(&arena);
	settle(b, &found, "its name has no address");
	upstream_pump(b->upstream);
}

static void resolve(struct backend *b)
{
	struct front *front = b->upstream->front;
	struct str name = str_c(b->config->host);
	struct dns_question questions[] = {
		{ .type = DNS_A, .name = name, .timeout_ms = RESOLVE_MS },
		{ .type = DNS_AAAA, .name = name, .timeout_ms = RESOLVE_MS },
	};
	struct resolve_request request = {
		.questions = { questions, 2 }, .steps = 2 * LIMIT_DNS_ALIASES
	};
	struct ip none = { .family = IP_NONE };
	struct buf payload = BUF_INIT;

	record_encode(&resolve_request_record, &request, &payload);
	b->resolving = front->resolver && channel_request(front->resolver, RESOLVE,
						   buf_str(&payload), NULL, 0, on_resolved, b);
	buf_free(&payload);
	if (!b->resolving)
		settle(b, &none, "its name cannot be resolved now");
}

bool upstream_address(struct backend *b, struct client_options *options)
{
	const struct config_backend *config = b->config;
	struct sockaddr_un *un = (struct sockaddr_un *)&options->address;
	struct ip ip = config->ip;

	if (config->kind == BACKEND_LMTP_UNIX) {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", config->path);
		options->address_length = sizeof(*un);
		return true;
	}
	if (ip.family == IP_NONE && str_ieq_c(str_c(config->host), "localhost"))
		(void)ip_parse(STR("127.0.0.1"), &ip);
	if (ip.family == IP_NONE) {
		int64_t age = loop_now_ms(b->upstream->front->loop) - b->resolved_ms;

		if (!b->resolving && (b->ip.family == IP_NONE || age > RESOLVED_MS))
			resolve(b);
		ip = b->ip; /* while it is asked anew, the one that was right a minute ago */
	}
	if (ip.family == IP_NONE)
		return false;
	options->address_length = ip_to_sockaddr(&ip, config->port, &options->address);
	return true;
}
