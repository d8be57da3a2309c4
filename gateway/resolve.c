#include "gateway/resolve.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unbound.h>
#include <unbound-event.h>
#include <unistd.h>

#include "core/limits.h"

#define ROOT_KEY_FILE "/usr/share/dns/root.key"
#define CLASS_IN      1
#define TYPE_DNSKEY   48

#define FORWARDER_PACKET_MS 2000
#define SERVER_PACKET_MS    500

/* The root's keys (IANA, root-anchors.xml), for where the system's file is missing. */
static const char *const root_keys[] = {
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

struct resolve {
	struct loop *loop;
	struct ub_ctx *unbound;
	int64_t timeout_ms;
	int64_t packet_ms; /* without an answer for so long the library asks again */
	bool has_anchor;
	size_t in_flight;
	resolve_check_fn *check;
	void *check_context;
};

struct batch;
struct asked {
	struct batch *batch;
	const struct dns_question *question;
	struct dns_question now; /* what libunbound is asked: the name itself, or where aliases lead */
	struct dns_answer *answer;
	struct loop_timer *deadline;
	int id; /* libunbound's */
	int64_t started_ms;
	int64_t steps;
	bool is_insecure; /* an alias on the way was */
	bool is_answered;
};
struct batch {
	struct resolve *resolve;
	struct arena *arena;
	struct dns_answer *answers;
	size_t count, left;
	struct dns_steps steps; /* left */
	resolve_done_fn *done;
	void *context;
};

/* Setting up */

static int check(int code, const char *what, struct err *err)
{
	return code == 0 ? 0 : err_set(err, "DNS: %s: %s", what, ub_strerror(code));
}

static int set_options(struct resolve *resolve, const struct config_dns *dns, struct err *err)
{
	struct ub_ctx *unbound = resolve->unbound;
	char third[32], two_thirds[32], packet[32];
	const struct {
		const char *name, *value;
	} options[] = {
		{ "use-syslog:", "no" },
		/* Addresses of one's own networks have names too, where one's resolver knows them.
		 */
		{ "unblock-lan-zones:", "yes" },
		{ "do-not-query-localhost:", dns->forwarder_count > 0 ? "no" : "yes" },
		{ "edns-buffer-size:", "1232" },
		{ "num-queries-per-thread:", "4096" },
		{ "outgoing-range:", "4096" },
		{ "msg-cache-size:", third },
		{ "rrset-cache-size:", two_thirds },
		/* A broken zone that is mended is to be seen soon: senders retry within the hour.
		 */
		{ "cache-max-negative-ttl:", "900" },
		{ "qname-minimisation:", "yes" },
		/* Who answers with an error is not asked again and again: senders come back. */
		{ "outbound-msg-retry:", "1" }, /* of two packets */
		{ "max-sent-count:", "16" },
		/* Who is slow needs time, not more packets: above all a forwarder, which has work
		 * of its own. Of a zone's servers one may be dead, and another waits. */
		{ "infra-cache-min-rtt:", packet },
		{ "harden-below-nxdomain:", "yes" },
		/* `prefetch` stays off: what it asks, no message's budget pays for. */
	};

	snprintf(packet, sizeof(packet), "%lld", (long long)resolve->packet_ms);
	snprintf(third, sizeof(third), "%lld", (long long)(dns->cache_size / 3));
	snprintf(two_thirds, sizeof(two_thirds), "%lld", (long long)(dns->cache_size / 3 * 2));
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (check(ub_ctx_set_option(unbound, options[i].name, options[i].value),
			    options[i].name, err) != 0)
			return -1;
	return 0;
}

/*
 * A sender's zone decides how often we ask. Aliases are followed here (follow()), where their number is
 * known, and not by the library: "0", which it takes from a file alone (ub_ctx_set_option() has it
 * for a syntax error).
 */
static int forbid_aliases(struct ub_ctx *unbound, struct err *err)
{
	static const char text[] = "server:\n\tmax-query-restarts: 0\n";
	char path[64];
	int fd = memfd_create("unbound.conf", MFD_CLOEXEC), result;

	if (fd < 0)
		return err_sys(err, "DNS: memfd_create");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1)
		result = check(ub_ctx_config(unbound, path), "max-query-restarts", err);
	else
		result = err_sys(err, "DNS: memfd");
	close(fd);
	return result;
}

/* How many records of the file were added: 0 if it is not there. -1: one of them is none. */
static int add_anchor_file(struct resolve *resolve, const char *path, struct err *err)
{
	char line[4096];
	int count = 0;
	FILE *f = fopen(path, "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		struct str s = str_trim_crlf(str_c(line));
		if (s.n == 0 || s.p[0] == ';')
			continue;
		line[(size_t)(s.p - line) + s.n] = '\0';
		if (check(ub_ctx_add_ta(resolve->unbound, s.p), path, err) != 0) {
			fclose(f);
			return -1;
		}
		count++;
	}
	if (f != NULL)
		fclose(f);
	return count;
}

static int add_anchor(struct resolve *resolve, const char *own, struct err *err)
{
	int count = add_anchor_file(resolve, *own ? own : ROOT_KEY_FILE, err);

	if (count < 0)
		return -1;
	if (*own && count == 0)
		return err_set(err, "DNS: the trust anchor %s holds no record, or cannot be read", own);
	for (size_t i = 0; count == 0 && i < sizeof(root_keys) / sizeof(*root_keys); i++)
		if (check(ub_ctx_add_ta(resolve->unbound, root_keys[i]), "trust anchor", err) != 0)
			return -1;
	/* Whether the root's keys come through says nothing about other anchors. */
	resolve->has_anchor = !*own;
	return 0;
}

static int add_forwarders(struct ub_ctx *unbound, const struct config_dns *dns, struct err *err)
{
	char ip[IP_TEXT_MAX], address[IP_TEXT_MAX + 8];

	for (size_t i = 0; i < dns->forwarder_count; i++) {
		ip_format(&dns->forwarders[i].ip, ip);
		snprintf(address, sizeof(address), "%s@%u", ip, dns->forwarders[i].port);
		if (check(ub_ctx_set_fwd(unbound, address), dns->forward.v[i], err) != 0)
			return -1;
	}
	return 0;
}

static void ignore(void *context, int rcode, void *packet, int n, int security, char *why,
	int limited)
{
}

/*
 * The order matters: removing a zone fixes the configuration, and what is set
 * afterwards is refused. The first question then makes what else there is, while
 * files may still be read.
 */
static int set_up(struct resolve *resolve, const struct config_dns *dns, struct err *err)
{
	struct ub_ctx *unbound = resolve->unbound;

	/* What it has to tell is told by the answers. */
	ub_ctx_debugout(unbound, NULL);
	if (forbid_aliases(unbound, err) != 0 || set_options(resolve, dns, err) != 0)
		return -1;
	if (dns->dnssec && add_anchor(resolve, dns->trust_anchor ? dns->trust_anchor : "", err) != 0)
		return -1;
	if (add_forwarders(unbound, dns, err) != 0)
		return -1;
	/* Laboratories live below .test (RFC 6761 6.2); their resolver is to be asked. */
	if (check(ub_ctx_zone_remove(unbound, "test."), "test.", err) != 0)
		return -1;
	return check(ub_resolve_event(unbound, "localhost.", DNS_A, CLASS_IN, NULL, ignore, NULL),
		"first question", err);
}

struct resolve *resolve_new(struct loop *loop, const struct config_dns *dns, struct err *err)
{
	struct resolve *resolve = calloc(1, sizeof(*resolve));

	if (resolve == NULL)
		abort();
	resolve->loop = loop;
	resolve->timeout_ms = dns->timeout;
	resolve->packet_ms =
		dns->forwarder_count > 0 ? FORWARDER_PACKET_MS : SERVER_PACKET_MS;
	resolve->unbound = ub_ctx_create_event(loop_base(loop));
	if (resolve->unbound == NULL)
		err_set(err, "DNS: libunbound cannot be started");
	if (resolve->unbound == NULL || set_up(resolve, dns, err) != 0) {
		resolve_free(&resolve);
		return NULL;
	}
	return resolve;
}

void resolve_free(struct resolve **resolve)
{
	if (*resolve == NULL)
		return;
	if ((*resolve)->unbound != NULL)
		ub_ctx_delete((*resolve)->unbound);
	free(*resolve);
	*resolve = NULL;
}

/* Asking */

static void batch_finish(struct batch *batch)
{
	if (--batch->left == 0)
		batch->done(batch->context, batch->answers, batch->count);
}

static void asked_finish(struct asked *asked)
{
	asked->is_answered = true;
	loop_timer_free(&asked->deadline);
	asked->batch->resolve->in_flight--;
	/* The name is the asker's, whatever the packet said. */
	asked->answer->name = asked->question->name;
	asked->answer->type = asked->question->type;
	asked->answer->steps = asked->steps;
	batch_finish(asked->batch);
}

static int start(struct asked *asked);

/* One question more, for an alias: is it allowed? */
static bool take_step(struct asked *asked)
{
	struct dns_steps *steps = &asked->batch->steps;
	int64_t *left = asked->question->reserved ? &steps->reserved : &steps->ordinary;

	if (*left <= 0 || asked->steps >= LIMIT_DNS_ALIASES)
		return false;
	(*left)--;
	asked->steps++;
	return true;
}

/*
 * To the library an alias that it may not follow is SERVFAIL; asked for the CNAME itself, it then
 * answers from its cache. So a step costs one question: that for what the alias leads to, or, where
 * it was a true SERVFAIL, that for a CNAME. True: the answer is yet to come.
 */
static bool follow(struct asked *asked)
{
	struct dns_answer *answer = asked->answer;
	const struct resolve *resolve = asked->batch->resolve;

	if (asked->now.type == asked->question->type) {
		if (answer->rcode != DNS_SERVFAIL || asked->now.type == DNS_CNAME)
			return false;
		/* So late, it means that nobody answered; sooner, that may be, but a zone that is
		 * asked for the first time, from the root on, takes its time. */
		if (loop_now_ms(resolve->loop) - asked->started_ms >= resolve->timeout_ms / 2)
			return false;
		if (!take_step(asked))
			return false;
		asked->now.type = DNS_CNAME;
	} else if (answer->data.n == 1) {
		asked->is_insecure |= !answer->secure;
		asked->now = (struct dns_question){ .type = asked->question->type,
			.name = answer->data.v[0] };
	} else {
		*answer = (struct dns_answer){ .rcode = DNS_SERVFAIL };
		return false;
	}
	if (start(asked) == 0)
		return true;
	*answer = (struct dns_answer){ .rcode = DNS_SERVFAIL };
	return false;
}

/* libunbound's callback; it may run within ub_resolve_event(). */
static void on_answer(void *context, int rcode, void *packet, int n, int security, char *why,
	int limited)
{
	struct asked *asked = context;

	(void)why;
	(void)limited;
	/*
	 * security: 0 insecure, 1 bogus, 2 secure. What is bogus arrives with a packet that looks
	 * good; and with an rcode of its own the library hands over whatever packet came last.
	 */
	if (rcode != 0 || packet == NULL || n <= 0 || security == 1) {
		*asked->answer = (struct dns_answer){ .rcode = DNS_SERVFAIL };
	} else {
		dns_parse_packet(asked->batch->arena, &asked->now, packet, (size_t)n,
			asked->answer);
		asked->answer->secure = security == 2 && !asked->is_insecure;
	}
	if (!follow(asked))
		asked_finish(asked);
}

static void on_deadline(void *context)
{
	struct asked *asked = context;

	/* It goes on inside, for the cache, but does not call us any more. */
	ub_cancel(asked->batch->resolve->unbound, asked->id);
	*asked->answer = (struct dns_answer){ .rcode = DNS_TIMEOUT };
	asked_finish(asked);
}

/* As libunbound reads a name: every octet that could mean something as \DDD (RFC 1035 5.1). */
static int name_text(struct str name, struct buf *out)
{
	uint8_t wire[256];
	size_t n;

	if (dns_name_to_wire(name, wire, &n) != 0)
		return -1;
	for (size_t at = 0; at < n && wire[at] != 0; at += 1 + (size_t)wire[at]) {
		for (size_t i = 1; i <= wire[at]; i++) {
			char c = (char)wire[at + i];
			if (char_is_alnum(c) || c == '-' || c == '_')
				buf_char(out, c);
			else
				buf_printf(out, "\\%03u", (unsigned)wire[at + i]);
		}
		buf_char(out, '.');
	}
	if (out->n == 0)
		buf_char(out, '.');
	buf_char(out, '\0');
	return 0;
}

static int start(struct asked *asked)
{
	struct resolve *resolve = asked->batch->resolve;
	struct buf name = BUF_INIT;
	int result = name_text(asked->now.name, &name);

	asked->started_ms = loop_now_ms(resolve->loop);

	if (result == 0 && ub_resolve_event(resolve->unbound, name.p, (int)asked->now.type,
				   CLASS_IN, asked, on_answer, &asked->id) != 0)
		result = -1;
	buf_free(&name);
	return result;
}

static void ask(struct batch *batch, const struct dns_question *question, struct dns_answer *answer)
{
	struct resolve *resolve = batch->resolve;
	struct asked *asked = ARENA_NEW(batch->arena, struct asked);
	int64_t timeout_ms = question->timeout_ms;

	*asked = (struct asked){
		.batch = batch, .question = question, .now = *question, .answer = answer
	};
	resolve->in_flight++;
	answer->rcode = DNS_SERVFAIL;
	if (resolve->in_flight > LIMIT_RESOLVER_QUESTIONS || start(asked) != 0) {
		asked_finish(asked);
		return;
	}
	if (asked->is_answered)
		return;
	if (timeout_ms <= 0 || timeout_ms > resolve->timeout_ms)
		timeout_ms = resolve->timeout_ms;
	asked->deadline = loop_timer_new(resolve->loop, on_deadline, asked);
	loop_timer_set(asked->deadline, timeout_ms);
}

void resolve_ask(struct resolve *resolve, const struct dns_question *questions, size_t count,
	const struct dns_steps *steps, struct arena *arena, resolve_done_fn *done, void *context)
{
	struct batch *batch = ARENA_NEW(arena, struct batch);

	/* One more is left until all are asked: answers that are there at once do not end it. */
	*batch = (struct batch){ .resolve = resolve,
		.arena = arena,
		.count = count,
		.left = count + 1,
		.steps = *steps,
		.done = done,
		.context = context,
		.answers = ARENA_ARRAY(arena, count + 1, struct dns_answer) };
	for (size_t i = 0; i < count; i++) {
		if (i < LIMIT_DNS_QUESTIONS) {
			ask(batch, &questions[i], &batch->answers[i]);
			continue;
		}
		batch->answers[i] = (struct dns_answer){ .type = questions[i].type,
			.name = questions[i].name,
			.rcode = DNS_SERVFAIL };
		batch->left--;
	}
	batch_finish(batch);
}

struct waiting {
	struct loop *loop;
	const struct dns_answer *answers;
	bool is_done;
};

static void on_waited(void *context, const struct dns_answer *answers, size_t count)
{
	struct waiting *waiting = context;

	(void)count;
	waiting->answers = answers;
	waiting->is_done = true;
	loop_stop(waiting->loop);
}

const struct dns_answer *resolve_wait(struct resolve *resolve, const struct dns_question *questions,
	size_t count, const struct dns_steps *steps, struct arena *arena)
{
	struct waiting waiting = { .loop = resolve->loop };

	resolve_ask(resolve, questions, count, steps, arena, on_waited, &waiting);
	while (!waiting.is_done)
		loop_run(resolve->loop);
	return waiting.answers;
}

/* Does DNSSEC get through? */

static void on_root_keys(void *context, int rcode, void *packet, int n, int security, char *why,
	int limited)
{
	struct resolve *resolve = context;

	/* No answer at all says nothing about DNSSEC. */
	if (packet != NULL && n > 0)
		resolve->check(resolve->check_context, security == 2);
}

void resolve_check_dnssec(struct resolve *resolve, resolve_check_fn *result, void *context)
{
	resolve->check = result;
	resolve->check_context = context;
	if (resolve->has_anchor)
		ub_resolve_event(resolve->unbound, ".", TYPE_DNSKEY, CLASS_IN, resolve,
			on_root_keys, NULL);
}
