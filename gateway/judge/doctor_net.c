/* What this host reaches: the DNS, lists in it, mailbox servers. */
#include "core/smtp/client.h"
#include "filters/dnsbl.h"
#include "gateway/judge/doctor.h"

#define CONNECT_MS 10000

/* ---- name resolution ---- */

/* Would it be, without DNSSEC? */
static bool is_resolved_bare(struct doctor *d)
{
	const struct dns_question root = { .type = DNS_NS, .name = STR("") };
	const struct dns_steps none = { 0, 0 };
	const struct dns_answer *a = resolve_wait(d->unvalidated, &root, 1, &none, d->arena);

	return !dns_answer_is_error(a) && a->data.n;
}

/* False: nothing can be looked up. */
static bool check_resolver(struct doctor *d)
{
	const struct dns_answer *root = doctor_ask(d, DNS_NS, STR(""));
	const struct config_domain *first = d->config->domain_count ? d->config->domains : NULL;
	const char *how =
		d->config->dns.forwarder_count ? "by dns { forward }" : "by own recursion";

	if (!dns_answer_is_error(root) && root->data.n) {
		doctor_say(d, DOCTOR_RIGHT, "resolver", "Names are resolved (%s).", how);
	} else if (first && !dns_answer_is_error(doctor_ask(d, DNS_MX, str_c(first->name)))) {
		doctor_say(d, DOCTOR_RIGHT, "resolver", "%s is resolved (%s), though the root is "
			"not.", first->name, how);
	} else if (d->config->dns.dnssec && is_resolved_bare(d)) {
		doctor_say(d, DOCTOR_WRONG, "dnssec", "Names are resolved (%s), but DNSSEC refuses "
			"the answers: %s the clock is wrong.", how, d->config->dns.forwarder_count ?
			"the forwarders hold the signatures back (use others, or dns { dnssec = "
			"false }), or" : "");
		return false;
	} else {
		doctor_say(d, DOCTOR_WRONG, "resolver", "No name is resolved (%s): %s", how,
			d->config->dns.forwarder_count ? "are the forwarders right?" :
			"does a firewall stop port 53 to the Internet? Then name resolvers in dns "
			"{ forward }.");
		return false;
	}
	if (!d->config->dns.dnssec)
		doctor_say(d, DOCTOR_ADVICE, "dnssec", "DNSSEC is not validated here (dns { dnssec "
			"}): the forwarders have to.");
	else if (root->secure)
		doctor_say(d, DOCTOR_RIGHT, "dnssec", "DNSSEC is validated, so the clock is right "
			"too.");
	else
		doctor_say(d, DOCTOR_WRONG, "dnssec", "The root is not validated by DNSSEC: the "
			"forwarders hold the signatures back, or the clock is wrong.");
	return true;
}

/* ---- lists (RFC 5782 5) ---- */

enum listed { LISTED_NO, LISTED_YES, LISTED_REFUSED, LISTED_BROKEN, LISTED_UNKNOWN };

static enum listed is_listed(struct doctor *d, const char *entry, const char *zone)
{
	const struct dns_answer *a =
		doctor_ask(d, DNS_A, arena_printf(d->arena, "%s.%s", entry, zone));
	enum listed found = LISTED_NO;
	struct ip ip;

	if (dns_answer_is_error(a))
		return LISTED_UNKNOWN;
	for (size_t i = 0; i < a->data.n; i++) {
		if (dns_address(a, i, &ip) < 0 || ip.octets[0] != 127)
			return LISTED_BROKEN;
		if (ip.octets[1] == 255 && ip.octets[2] == 255)
			return LISTED_REFUSED;
		found = LISTED_YES;
	}
	return found;
}

static void check_zone(struct doctor *d, const struct dnsbl_zone *z)
{
	bool client = z->lists_clients;
	enum listed yes = is_listed(d, client ? "2.0.0.127" : "test", z->name);
	enum listed no = is_listed(d, client ? "1.0.0.127" : "invalid", z->name);
	const char *point = client ? "127.0.0.2" : "TEST";

	if (yes == LISTED_UNKNOWN || no == LISTED_UNKNOWN)
		doctor_say(d, DOCTOR_WRONG, "dnsbl", "%s does not answer.", z->name);
	else if (yes == LISTED_REFUSED || no == LISTED_REFUSED)
		doctor_say(d, DOCTOR_WRONG, "dnsbl", "%s refuses to answer this resolver: recurse "
			"without a forwarder, or leave the list out.", z->name);
	else if (yes == LISTED_BROKEN || no != LISTED_NO)
		doctor_say(d, DOCTOR_WRONG, "dnsbl", "%s lists everything: it is gone, or the "
			"resolver makes answers up.", z->name);
	else if (yes == LISTED_YES)
		doctor_say(d, DOCTOR_RIGHT, "dnsbl", "%s answers as a list does.", z->name);
	else
		/* Lists of domains have test points of their own more often than that one. */
		doctor_say(d, client ? DOCTOR_WRONG : DOCTOR_ADVICE, "dnsbl", "%s does not list "
			"%s, which every list must (RFC 5782 5): is it alive?", z->name, point);
	/* No answer may be a matter of minutes. */
	if (d->findings.v[d->findings.n - 1].state == DOCTOR_WRONG && yes != LISTED_UNKNOWN &&
		no != LISTED_UNKNOWN)
		doctor_record(d, "filter \"dnsbl\" { zone \"%s\" { enabled = false } }", z->name);
}

static void check_lists(struct doctor *d)
{
	const void *conf = engine_conf(d->setup->engine, "dnsbl");
	struct dnsbl_zone zone;

	for (size_t i = 0; conf && dnsbl_zone(conf, i, &zone); i++)
		if (zone.enabled)
			check_zone(d, &zone);
}

/* ---- mailbox servers ---- */

struct visit {
	struct loop *loop;
	struct client *client;
	struct buf why;
	bool ready, tls, over;
};

static void on_ready(void *context)
{
	struct visit *v = context;

	v->ready = true;
	v->tls = client_session_tls(v->client) != NULL;
	client_quit(v->client);
}

static void on_closed(void *context, const struct client_reply *reply)
{
	struct visit *v = context;

	buf_str_add(&v->why, reply->text);
	v->over = true;
	loop_stop(v->loop);
}

/* Name to address. 0, or -1 where there is none. */
static int find_backend(struct doctor *d, const struct config_backend *b, struct client_options *o)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct client_target target;
	struct ip ip;

	if (client_target_parse(str_c(b->text), &target, NULL) < 0)
		return -1;
	if (client_target_address(&target, &o->address, &o->address_length) == 1)
		return 0;
	for (size_t t = 0; t < 2; t++) {
		const struct dns_answer *a = doctor_ask(d, types[t], str_c(b->host));

		if (a->data.n && dns_address(a, 0, &ip) == 0) {
			o->address_length = ip_to_sockaddr(&ip, b->port, &o->address);
			return 0;
		}
	}
	return -1;
}

static void visit(struct doctor *d, const struct config_backend *b, const struct client_options *o)
{
	static const struct client_ops ops = { on_ready, on_closed };
	struct visit v = { .loop = d->loop, .why = BUF_INIT };
	struct err err;

	v.client = client_new(d->loop, o, &ops, &v, &err);
	if (!v.client) {
		doctor_say(d, DOCTOR_WRONG, "backend", "%s: %s.", b->text, err.text);
		return;
	}
	while (!v.over)
		loop_run(d->loop);
	client_free(&v.client);
	if (v.ready)
		doctor_say(d, DOCTOR_RIGHT, "backend", "%s greets%s.", b->text, v.tls ? ", with TLS"
			: "");
	else
		doctor_say(d, DOCTOR_WRONG, "backend", "%s takes no mail: %.*s.", b->text,
			STR_ARG(buf_str(&v.why)));
	buf_free(&v.why);
}

static void check_backend(struct doctor *d, const struct config_domain *domain,
	const struct config_backend *b)
{
	static const enum client_tls tls[] = {
		[CONFIG_BACKEND_TLS_MAY] = CLIENT_TLS_MAY,
		[CONFIG_BACKEND_TLS_REQUIRE] = CLIENT_TLS_MUST,
		[CONFIG_BACKEND_TLS_OFF] = CLIENT_TLS_NEVER,
	};
	struct client_options o = {
		.protocol = b->kind == BACKEND_SMTP ? CLIENT_SMTP : CLIENT_LMTP,
		.hostname = d->hostname,
		.name = b->ip.family == IP_NONE && b->host[0] ? b->host : NULL,
		.tls = tls[domain->backend_tls],
		.tls_context = d->tls,
		.timeouts = { .connect = CONNECT_MS, .greeting = CONNECT_MS,
			.command = CONNECT_MS },
	};

	if (find_backend(d, b, &o) < 0)
		doctor_say(d, DOCTOR_WRONG, "backend", "%s: the name %s has no address.", b->text,
			b->host);
	else
		visit(d, b, &o);
}

static void check_backends(struct doctor *d)
{
	bool *seen = ARENA_ARRAY(d->arena, d->config->backend_count + 1, bool);

	for (const struct config_domain *domain = NULL;
		(domain = config_next_route(d->config, domain));) {
		for (size_t j = 0; j < domain->backend_count; j++) {
			const struct config_backend *b = &domain->backends[j];

			if (!seen[b->index])
				check_backend(d, domain, b);
			seen[b->index] = true;
		}
	}
}

void doctor_net_check(struct doctor *d)
{
	if (check_resolver(d))
		check_lists(d);
	check_backends(d);
}
