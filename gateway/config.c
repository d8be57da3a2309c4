#include "gateway/config.h"

#include <unistd.h>

#include "bayes/table.h"
#include "core/limits.h"
#include "core/mail/mail.h"
#include "gateway/config_address.h"
#include "rules/policy.h"

#define FORWARDERS_MAX 16
#define LISTENERS_MAX  64
#define NETS_MAX       256

static const char *const bare_lf_names[] = { "normalize", "refuse", NULL };
static const char *const tls_names[] = { "offer", "off", "implicit", NULL };
static const char *const backend_tls_names[] = { "may", "require", "off", NULL };

#define AT(type, field) offsetof(struct type, field)

static const struct option global_rows[] = {
	{ "hostname", OPTION_STRING, AT(config, hostname), NULL, .required = true,
		.help = "The name of this gateway: in its banner, its headers and reports." },
	{ "state_dir", OPTION_STRING, AT(config, state_dir), "/var/lib/gatepost",
		.help = "The folder of all that is kept: quarantine, model, reports." },
	{ "bare_lf", OPTION_ENUM, AT(config, bare_lf), "normalize", .choices = bare_lf_names,
		.help = "A line feed without carriage return in a message: made a line end, or "
			"the message refused. It never ends a message." },
	{ "fronts", OPTION_INT, AT(config, fronts), "0", 0, 64,
		.help = "Processes that speak SMTP; 0: one a core." },
	{ "inspectors_per_front", OPTION_INT, AT(config, inspectors_per_front), "2", 1, 64,
		.help = "Processes that judge mail, for each front." },
	{ "scanners", OPTION_INT, AT(config, scanners), "2", 1, 64,
		.help = "Processes that look for viruses." },
	OPTION_ROWS_END,
};

static const struct option listener_rows[] = {
	{ "tls", OPTION_ENUM, AT(config_listener, tls), "offer", .choices = tls_names,
		.help = "Is STARTTLS offered? With implicit TLS begins at once, as clients expect it of "
			"port 465 (RFC 8314)." },
	{ "tls_certificate", OPTION_STRING, AT(config_listener, tls_certificate),
		.help = "PEM file with the certificate chain; without one, a self-signed "
			"certificate is made in state_dir." },
	{ "tls_key", OPTION_STRING, AT(config_listener, tls_key),
		.help = "PEM file with the certificate's private key." },
	{ "proxy_protocol_from", OPTION_LIST, AT(config_listener, proxy_protocol_from),
		.help = "Addresses and networks of load balancers, whose connections begin with "
			"a PROXY header (version 1 or 2)." },
	{ "outbound_from", OPTION_LIST, AT(config_listener, outbound_from),
		.help = "Makes this a listener for outgoing mail, and says who may send through it: "
			"addresses and networks of mailbox servers, and \"accounts\" for whoever "
			"proves one by AUTH (gatepost account). Mail for the domains is not taken here "
			"then, but by other listeners. Limits and rates of one client do not hold for "
			"these networks; those of messages and recipients hold for each account." },
	OPTION_ROWS_END,
};

static const struct option outbound_rows[] = {
	{ "relay", OPTION_LIST, AT(config_outbound, relay), .required = true,
		.help = "The smarthosts that outgoing mail is handed to, tried in this order: "
			"smtp://host:port. Mail for our own domains goes there too." },
	{ "relay_tls", OPTION_ENUM, AT(config_outbound, relay_tls), "may",
		.choices = backend_tls_names,
		.help = "STARTTLS towards the relay: when it is offered, always, or never." },
	{ "relay_login", OPTION_STRING, AT(config_outbound, relay_login),
		.help = "The name to log in with at the relay (AUTH PLAIN or LOGIN), if it asks for one; "
			"takes relay_tls = require." },
	{ "relay_password_file", OPTION_STRING, AT(config_outbound, relay_password_file),
		.help = "File with the password for it, alone in its first line." },
	{ "sign", OPTION_BOOL, AT(config_outbound, sign), "true",
		.help = "Sign (DKIM) with the newest keys of the domain in From, RSA and Ed25519, as "
			"gatepost dkim keygen makes them; mail of a domain without keys goes unsigned." },
	OPTION_ROWS_END,
};

static const struct option domain_rows[] = {
	{ "backend", OPTION_LIST, AT(config_domain, backend), .required = true,
		.help = "The domain's mailbox servers, tried in this order: smtp://host:port, "
			"lmtp://host:port or lmtp:/path/to/socket." },
	{ "backend_tls", OPTION_ENUM, AT(config_domain, backend_tls), "may",
		.choices = backend_tls_names,
		.help = "STARTTLS towards the backend: when it is offered, always, or never." },
	{ "verify_recipients", OPTION_BOOL, AT(config_domain, verify_recipients), "true",
		.help = "Ask the backend about each recipient before the message is taken." },
	{ "arc_seal", OPTION_BOOL, AT(config_domain, arc_seal), "true",
		.help = "Seal what goes to the backend, if the arc section names a sealer." },
	OPTION_ROWS_END,
};

static const struct option dns_rows[] = {
	{ "forward", OPTION_LIST, AT(config_dns, forward),
		.help = "Resolvers to ask, address or address@port; none: own recursion." },
	{ "dnssec", OPTION_BOOL, AT(config_dns, dnssec), "true",
		.help = "Validate DNSSEC; with forward the default is false." },
	{ "trust_anchor", OPTION_STRING, AT(config_dns, trust_anchor),
		.help = "File of DS or DNSKEY records to trust instead of the root's: for "
			"laboratories and zones that are signed at home." },
	{ "timeout", OPTION_TIME, AT(config_dns, timeout), "6s", 100, 60000,
		.help = "How long one look-up may take, with all its retries." },
	{ "cache_size", OPTION_SIZE, AT(config_dns, cache_size), "32MB", 1 << 20, 4294967296.0,
		.help = "Memory for cached answers." },
	OPTION_ROWS_END,
};

static const struct option limits_rows[] = {
	{ "message_size", OPTION_SIZE, AT(config_limits, message_size), "25MB", 1024,
		LIMIT_MESSAGE_BYTES, .help = "The largest message that is taken." },
	{ "recipients", OPTION_INT, AT(config_limits, recipients), "100", 1, LIMIT_RECIPIENTS,
		.help = "Recipients of one message." },
	{ "messages_per_session", OPTION_INT, AT(config_limits, messages_per_session), "100", 1,
		LIMIT_MESSAGES_A_SESSION, .help = "Messages in one connection." },
	{ "connections", OPTION_INT, AT(config_limits, connections), "10000", 1, 1000000,
		.help = "Connections open at once." },
	{ "connections_per_client", OPTION_INT, AT(config_limits, connections_per_client), "50", 1,
		1000000, .help = "Connections open at once from one client address." },
	{ "connection_rate", OPTION_INT, AT(config_limits, connection_rate), "0", 0, 1000000,
		.help = "New connections of one client in a minute; 0: any number." },
	{ "message_rate", OPTION_INT, AT(config_limits, message_rate), "0", 0, 1000000,
		.help = "Messages of one client in a minute; 0: any number." },
	{ "recipient_rate", OPTION_INT, AT(config_limits, recipient_rate), "0", 0, 1000000,
		.help = "Recipients of one client in a minute; 0: any number." },
	{ "auth_failures", OPTION_INT, AT(config_limits, auth_failures), "10", 1, 1000000,
		.help = "Wrong passwords of one client in ten minutes; past it no more are heard." },
	{ "backend_connections", OPTION_INT, AT(config_limits, backend_connections), "20", 1, 10000,
		.help = "Connections open at once to one backend." },
	{ "front_memory", OPTION_SIZE, AT(config_limits, front_memory), "512MB", 1 << 20,
		1099511627776.0, .help = "Message bytes that one front holds at once; past it "
			"senders are asked to come back." },
	{ "command_timeout", OPTION_TIME, AT(config_limits, command_timeout), "5min", 1000, 3600000,
		.help = "How long a client may wait before its next command." },
	{ "data_timeout", OPTION_TIME, AT(config_limits, data_timeout), "3min", 1000, 3600000,
		.help = "How long a client may wait between two pieces of a message." },
	{ "session_timeout", OPTION_TIME, AT(config_limits, session_timeout), "1h", 1000, 86400000,
		.help = "How long one connection may last." },
	{ "evaluate_timeout", OPTION_TIME, AT(config_limits, evaluate_timeout), "60s", 100, 300000,
		.help = "How long a message's look-ups may take; then it is judged without them." },
	{ "inspector_timeout", OPTION_TIME, AT(config_limits, inspector_timeout), "20s", 100, 300000,
		.help = "An inspector that computes longer than this is killed: no honest message takes so long." },
	{ "scanner_timeout", OPTION_TIME, AT(config_limits, scanner_timeout), "2min", 100, 300000,
		.help = "The same for a scanner." },
	{ "backend_connect_timeout", OPTION_TIME, AT(config_limits, backend_connect_timeout), "10s",
		100, 300000, .help = "Connecting to a backend, before the next one is tried." },
	{ "backend_timeout", OPTION_TIME, AT(config_limits, backend_timeout), "2min", 100, 3600000,
		.help = "A backend's reply to a command." },
	{ "backend_data_timeout", OPTION_TIME, AT(config_limits, backend_data_timeout), "8min", 100,
		3600000, .help = "A backend's reply to a whole message." },
	{ "backend_idle", OPTION_TIME, AT(config_limits, backend_idle), "30s", 100, 3600000,
		.help = "An unused connection to a backend is closed after this." },
	{ "release_retry", OPTION_TIME, AT(config_limits, release_retry), "1min", 1000, 86400000,
		.help = "A message that was released from quarantine, and that its backend could "
			"not take, is offered again after this." },
	{ "drain_timeout", OPTION_TIME, AT(config_limits, drain_timeout), "10min", 100, 86400000,
		.help = "After a reload or at the end, connections that are still open are "
			"closed after this." },
	OPTION_ROWS_END,
};

static const struct option admin_rows[] = {
	{ "listen", OPTION_STRING, AT(config_admin, listen), "127.0.0.1:8025",
		.help = "Address and port of the admin HTTP server." },
	{ "token_file", OPTION_STRING, AT(config_admin, token_file),
		.help = "File with the token that the API asks for; without it the API answers on "
			"the control socket only." },
	OPTION_ROWS_END,
};

static const struct option learn_rows[] = {
	{ "spam_address", OPTION_STRING, AT(config_learn, spam_address),
		.help = "Who forwards spam to this address as an attachment teaches the classifier. Taken "
			"are messages of users of our own domains, by a DMARC pass, and of \"from\"." },
	{ "ham_address", OPTION_STRING, AT(config_learn, ham_address),
		.help = "The same for mail that was wrongly taken for spam." },
	{ "from", OPTION_LIST, AT(config_learn, from),
		.help = "Addresses and networks of relays that authenticate users themselves: what comes "
			"from them is learned." },
	{ "user_quota", OPTION_INT, AT(config_learn, user_quota), "100", 0, 1e9,
		.help = "Lessons of one user within a day, by mail or from a mailbox; 0: any number. Who has "
			"the admin API's token, and \"gatepost learn\", have no quotas." },
	{ "user_ham_quota", OPTION_INT, AT(config_learn, user_ham_quota), "50", 0, 1e9,
		.help = "How many of them may be wanted mail: that is what spam would like to be." },
	{ "sender_quota", OPTION_INT, AT(config_learn, sender_quota), "200", 0, 1e9,
		.help = "Lessons of all such users within a day about mail from one domain; 0: any number." },
	{ "tenant_quota", OPTION_INT, AT(config_learn, tenant_quota), "2000", 0, 1e9,
		.help = "Lessons of one domain's users within a day, if there are several domains; 0: any number." },
	{ "auto", OPTION_BOOL, AT(config_learn, automatic), "false",
		.help = "Whether messages teach the classifier without anybody's word, for what is known of them "
			"without reading them. Learned as spam is what was held or refused, and carries a virus "
			"or comes from a client on two DNS lists (one that scores it 4 or more, another 2 or more), "
			"or on one such list of 4 while SPF fails or the author's domain asks for its refusal or quarantine "
			"(DMARC). Learned as wanted is what was forwarded untagged, if one of the accounts sent it "
			"out or \"auto_domains\" names its author's domain. Total scores, rules and the "
			"classifier's opinion never teach; nor do messages that the classifier is sure of, or "
			"signs that contradict each other. What a person says of the same message prevails." },
	{ "auto_domains", OPTION_LIST, AT(config_learn, auto_domains),
		.help = "Domains of authors, each exactly as named, whose mail \"auto\" learns as wanted if it "
			"passes DMARC and is forwarded untagged." },
	{ "auto_quota", OPTION_INT, AT(config_learn, auto_quota), "50", 0, 1e9,
		.help = "Lessons by \"auto\" within a day, for each kind of evidence (virus, dnsbl, account, "
			"dmarc); 0: any number." },
	{ "kept_lessons", OPTION_INT, AT(config_learn, kept_lessons), "20000", 0, 1e9,
		.help = "How many lessons, the newest, the training log keeps whole, in about 12 kB each. Of older "
			"ones it keeps who said what of which message, and when, in half a kB; what they taught "
			"stays in the classifier, but cannot be taken back exactly any more. 0: all." },
	{ "half_life", OPTION_INT, AT(config_learn, half_life), "180", 1, TABLE_HALF_LIFE_MOST,
		.help = "Days in which what the classifier has learned fades by half, so that it follows what mail is "
			"like now. Where little is taught, a longer one keeps more. Another value has the model made "
			"again from the training log at the next start." },
	OPTION_ROWS_END,
};

static const struct option arc_rows[] = {
	{ "seal_as", OPTION_STRING, AT(config_arc, seal_as),
		.help = "A domain of yours whose newest RSA key (gatepost dkim keygen) seals what is forwarded "
			"or tagged (ARC, RFC 8617), so that whoever trusts it can see behind the mailbox server "
			"what was found here; without one nothing is sealed. Best one that signs nothing else, "
			"as arc.example.net. What cannot be sealed is delivered without." },
	OPTION_ROWS_END,
};

/* The last three are read by what judges mail. */
static const char *const section_names[] = { "listen", "domain", "dns", "limits", "admin", "learn",
	"outbound", "arc", "filter", "scores", "policy", NULL };
static const char *const no_sections[] = { NULL };

/* ---- names ---- */

static struct config_name *names_at(const struct config_names *names, struct str name)
{
	size_t at = str_hash(name) & (names->cap - 1);
	while (names->v[at].name && !str_eq_c(name, names->v[at].name))
		at = (at + 1) & (names->cap - 1);
	return &names->v[at];
}

static const struct config_name *names_find(const struct config_names *names, struct str name)
{
	const struct config_name *slot = names->cap ? names_at(names, name) : NULL;
	return slot && slot->name ? slot : NULL;
}

/* It must not be there yet. */
static void names_add(struct config_names *names, struct arena *arena, const char *name,
	size_t index)
{
	if (names->n * 2 >= names->cap) {
		struct config_names old = *names;
		names->cap = old.cap ? old.cap * 2 : 16;
		names->v = ARENA_ARRAY(arena, names->cap, struct config_name);
		for (size_t i = 0; i < old.cap; i++)
			if (old.v[i].name)
				*names_at(names, str_c(old.v[i].name)) = old.v[i];
	}
	*names_at(names, str_c(name)) = (struct config_name){ name, index };
	names->n++;
}

/* ---- sections ---- */

static const struct ip_net *read_nets(struct conf *conf, const struct conf_section *s,
	const char *key, const struct option_strings *texts, const char *risk)
{
	struct err err;
	struct ip_net *nets = ARENA_ARRAY(conf_arena(conf), texts->n, struct ip_net);
	if (texts->n > NETS_MAX)
		conf_error(conf, s, key, "%s has more than %d entries", key, NETS_MAX);
	for (size_t i = 0; i < texts->n; i++) {
		if (ip_net_parse(str_c(texts->v[i]), &nets[i], &err) != 0)
			conf_error(conf, s, key, "%s: %s", key, err.text);
		else if (nets[i].bits == 0)
			conf_warn(conf, s, key, "%s %s: that is everybody: %s", key, texts->v[i], risk);
	}
	return nets;
}

/* Nobody's own network is wider than the private ones: 10.0.0.0/8, fc00::/7; and of the rest of
 * IPv6, what is given to one country. */
static bool is_too_wide(const struct ip_net *net)
{
	return net->bits < (net->ip.family == IP_V4 ? 8 : ip_is_global(&net->ip) ? 16 : 7);
}

/* Nobody but who is named here may send mail to anywhere. */
static void read_outbound_from(struct conf *conf, const struct conf_section *s,
	struct config_listener *l)
{
	static const char key[] = "outbound_from";
	struct ip_net *nets = ARENA_ARRAY(conf_arena(conf), l->outbound_from.n, struct ip_net);
	struct err err;
	l->outbound = l->outbound_from.n > 0;
	l->outbound_nets = nets;
	if (l->outbound_from.n > NETS_MAX)
		conf_error(conf, s, key, "%s has more than %d entries", key, NETS_MAX);
	for (size_t i = 0; i < l->outbound_from.n; i++) {
		struct ip_net *net = &nets[l->outbound_net_count];
		if (strcmp(l->outbound_from.v[i], "accounts") == 0)
			l->accounts = true;
		else if (ip_net_parse(str_c(l->outbound_from.v[i]), net, &err) != 0)
			conf_error(conf, s, key, "%s: %s, nor the word accounts", key, err.text);
		else if (is_too_wide(net))
			conf_error(conf, s, key, "outbound_from %s would let strangers send mail to "
				"anywhere (an open relay): name your mailbox servers' addresses",
				l->outbound_from.v[i]);
		else
			l->outbound_net_count++;
	}
	if (l->accounts && l->tls == CONFIG_TLS_OFF)
		conf_error(conf, s, "tls", "outbound_from has accounts, whose passwords are taken inside "
			"TLS only: let it be offered");
	for (size_t i = 0; l->outbound_net_count && i < l->proxy_net_count; i++)
		if (is_too_wide(&l->proxy_nets[i]))
			conf_error(conf, s, "proxy_protocol_from", "proxy_protocol_from %s: whoever is in "
				"it may claim to be one of outbound_from, and send mail to anywhere (an "
				"open relay): name the load balancers' addresses",
				l->proxy_protocol_from.v[i]);
}

static void read_listener(struct conf *conf, const struct conf_section *s,
	struct config_listener *l)
{
	conf_read(conf, s, listener_rows, l);
	conf_allow(conf, s, no_sections);
	l->title = conf_title(s);
	if (config_address_parse(l->title, ':', SMTP_PORT, &l->address) != 0)
		conf_error(conf, s, NULL, "the title of a listen section is an address and a port, as "
			"listen \"0.0.0.0:25\" or listen \"[::]:25\"");
	if (!*l->tls_certificate != !*l->tls_key)
		conf_error(conf, s, *l->tls_key ? "tls_key" : "tls_certificate",
			"tls_certificate and tls_key belong together: one of them is missing");
	l->proxy_nets = read_nets(conf, s, "proxy_protocol_from", &l->proxy_protocol_from,
		"clients may claim to come from any address");
	l->proxy_net_count = l->proxy_protocol_from.n;
	if (l->proxy_net_count && l->tls == CONFIG_TLS_IMPLICIT)
		conf_error(conf, s, "tls", "implicit TLS does not go with proxy_protocol_from: let the load "
			"balancer take the TLS off, or offer STARTTLS");
	read_outbound_from(conf, s, l);
}

static void default_listeners(struct conf *conf, struct config *config)
{
	static const char *const titles[] = { "[::]:25", "0.0.0.0:25" };
	config->listeners = ARENA_ARRAY(conf_arena(conf), 2, struct config_listener);
	config->listener_count = 2;
	for (size_t i = 0; i < 2; i++) {
		struct config_listener *l = &config->listeners[i];
		conf_read(conf, NULL, listener_rows, l);
		l->title = titles[i];
		l->optional = true;
		config_address_parse(l->title, ':', SMTP_PORT, &l->address);
	}
}

static size_t count(const struct conf *conf, const char *name)
{
	size_t n = 0;
	for (const struct conf_section *s = NULL; (s = conf_next(conf_root(conf), name, s));)
		n++;
	return n;
}

static void read_listeners(struct conf *conf, struct config *config)
{
	size_t n = count(conf, "listen"), i = 0;
	if (!n) {
		default_listeners(conf, config);
		return;
	}
	config->listeners = ARENA_ARRAY(conf_arena(conf), n, struct config_listener);
	config->listener_count = n;
	for (const struct conf_section *s = NULL; (s = conf_next(conf_root(conf), "listen", s));) {
		if (i == LISTENERS_MAX)
			conf_error(conf, s, NULL, "more than %d listen sections", LISTENERS_MAX);
		read_listener(conf, s, &config->listeners[i++]);
	}
}

/* Equal texts in several domains are one backend, with one limit and one pool. A relay that we log in at
 * is one of its own: what strangers send must not get into its sessions. */
static size_t backend_index(struct conf *conf, struct config *config, const char *text, const char *login)
{
	if (*login)
		text = arena_printf(conf_arena(conf), "%s as %s", text, login).p;
	const struct config_name *known = names_find(&config->backend_names, str_c(text));
	if (known)
		return known->index;
	names_add(&config->backend_names, conf_arena(conf), text, config->backend_names.n);
	return config->backend_names.n - 1;
}

/* key: "backend" of a domain, or "relay". */
static void read_backends(struct conf *conf, const struct conf_section *s, const char *key,
	struct config *config, struct config_domain *d)
{
	size_t n = d->backend.n;
	bool is_relay = strcmp(key, "relay") == 0;
	struct config_backend *backends = ARENA_ARRAY(conf_arena(conf), n, struct config_backend);
	if (conf_has(s, key) && !n)
		conf_error(conf, s, key, "%s names no %s", key,
			is_relay ? "smarthost" : "mailbox server");
	for (size_t i = 0; i < n; i++) {
		if (config_address_backend(conf_arena(conf), d->backend.v[i], &backends[i]) != 0 ||
			(is_relay && backends[i].kind != BACKEND_SMTP)) {
			conf_error(conf, s, key, "%s \"%s\" is %s", key, d->backend.v[i],
				is_relay ? "not of the form smtp://host:port" :
				"none of smtp://host:port, lmtp://host:port, lmtp:/path/to/socket");
			backends[i].text = "";
			continue;
		}
		backends[i].index = backend_index(conf, config, d->backend.v[i],
			is_relay ? config->outbound.relay_login : "");
	}
	d->backends = backends;
	d->backend_count = n;
}

/* What a domain section itself says about policy: which keys, and their values. */
struct policy_key {
	uint64_t written;
	struct policy policy;
};

/* The first domain that says the same, by number. */
static size_t policy_class(const struct conf_section *s, struct policy_key *keys, size_t own)
{
	size_t class = 0;
	for (size_t i = 0; policy_options[i].name; i++)
		if (conf_has(s, policy_options[i].name))
			keys[own].written |= 1ull << (i % 64);
	while (memcmp(&keys[class], &keys[own], sizeof(*keys)) != 0)
		class++;
	return class;
}

static void read_domain(struct conf *conf, const struct conf_section *s, struct config *config,
	struct config_domain *d, struct policy_key *keys)
{
	size_t own = (size_t)(d - config->domains);
	conf_read2(conf, s, domain_rows, d, policy_options, &keys[own].policy);
	d->policy_class = policy_class(s, keys, own);
	conf_allow(conf, s, no_sections);
	struct str name;
	if (mail_domain_canonical(conf_arena(conf), str_c(conf_title(s)), &name) != 0)
		name = STR("");
	d->name = arena_cstr(conf_arena(conf), name);
	if (!config_address_is_domain(d->name))
		conf_error(conf, s, NULL, "the title of a domain section is a domain, as "
			"domain \"example.net\"");
	else if (names_find(&config->domain_names, str_c(d->name)))
		conf_error(conf, s, NULL, "domain \"%s\" stands twice", d->name);
	else
		names_add(&config->domain_names, conf_arena(conf), d->name,
			(size_t)(d - config->domains));
	read_backends(conf, s, "backend", config, d);
}

static void read_domains(struct conf *conf, struct config *config)
{
	size_t i = 0;
	config->domain_count = count(conf, "domain");
	config->domains = ARENA_ARRAY(conf_arena(conf), config->domain_count, struct config_domain);
	/* Zeroed, so that equal ones are equal octet for octet. */
	struct policy_key *keys = ARENA_ARRAY(conf_arena(conf), config->domain_count,
		struct policy_key);
	for (const struct conf_section *s = NULL; (s = conf_next(conf_root(conf), "domain", s));)
		read_domain(conf, s, config, &config->domains[i++], keys);
	if (!config->domain_count)
		conf_error(conf, conf_root(conf), NULL, "no domain section: say for whom mail is "
			"taken, and where it goes, as domain \"example.net\" "
			"{ backend = \"smtp://10.0.0.5:25\" }");
}

static const struct conf_section *only(struct conf *conf, const char *name)
{
	const struct conf_section *s = conf_next(conf_root(conf), name, NULL);
	if (!s)
		return NULL;
	conf_allow(conf, s, no_sections);
	for (const struct conf_section *more = s; more; more = conf_next(conf_root(conf), name, more))
		if (*conf_title(more))
			conf_error(conf, more, NULL, "section \"%s\" has no title, and stands once",
				name);
	return s;
}

static void read_dns(struct conf *conf, struct config_dns *dns)
{
	const struct conf_section *s = only(conf, "dns");
	conf_read(conf, s, dns_rows, dns);
	struct config_address *to = ARENA_ARRAY(conf_arena(conf), dns->forward.n,
		struct config_address);
	for (size_t i = 0; i < dns->forward.n; i++)
		if (config_address_parse(dns->forward.v[i], '@', DNS_PORT, &to[i]) != 0 || !to[i].port)
			conf_error(conf, s, "forward", "forward \"%s\" is no address or address@port, as "
				"127.0.0.1@5353", dns->forward.v[i]);
	if (dns->forward.n > FORWARDERS_MAX)
		conf_error(conf, s, "forward", "forward has more than %d entries", FORWARDERS_MAX);
	dns->forwarders = to;
	dns->forwarder_count = dns->forward.n;
	/* A forwarder is trusted to validate; a local one with a zone of its own could not be
	 * validated from the root. */
	if (s && dns->forward.n && !*dns->trust_anchor && !conf_has(s, "dnssec"))
		dns->dnssec = false;
}

/* What it is handed would come back to us. */
static bool is_ourselves(const struct config *config, const struct config_backend *b)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (b->port && b->port == config->listeners[i].address.port &&
			ip_eq(&b->ip, &config->listeners[i].address.ip))
			return true;
	return false;
}

static void check_outbound_listeners(struct conf *conf, const struct config *config)
{
	const struct conf_section *outbound = conf_next(conf_root(conf), "outbound", NULL), *s = NULL;
	size_t n = 0;
	for (size_t i = 0; i < config->listener_count; i++) {
		s = conf_next(conf_root(conf), "listen", s);
		n += config->listeners[i].outbound;
		if (config->listeners[i].outbound && !outbound)
			conf_error(conf, s, "outbound_from", "mail cannot leave: say where it goes, as "
				"outbound { relay = \"smtp://smarthost.example:25\" }");
	}
	if (outbound && !n)
		conf_warn(conf, outbound, NULL, "no listener takes outgoing mail: say which, as "
			"listen \"10.0.0.1:2525\" { outbound_from = \"10.0.0.5\" }");
	else if (n && n == config->listener_count)
		conf_warn(conf, conf_next(conf_root(conf), "listen", NULL), "outbound_from",
			"every listener is for outgoing mail, so none comes in: is listen "
			"\"0.0.0.0:25\" { } missing?");
}

static void check_login(struct conf *conf, const struct conf_section *s, const struct config_outbound *o)
{
	bool login = *o->relay_login;
	if (login != (*o->relay_password_file != '\0'))
		conf_error(conf, s, login ? "relay_login" : "relay_password_file", "relay_login and "
			"relay_password_file belong together: one of them is missing");
	if (login && o->relay_tls != CONFIG_BACKEND_TLS_REQUIRE)
		conf_error(conf, s, "relay_login", "a password is not said in the clear: relay_login takes "
			"relay_tls = require");
	for (size_t i = 0; login && i < o->route.backend_count; i++)
		if (o->route.backends[i].ip.family != IP_NONE)
			conf_warn(conf, s, "relay", "relay \"%s\" is an address, so its certificate is not "
				"verified, and whoever answers there is told the password: name the host",
				o->relay.v[i]);
}

/* All goes to the relay, mail for our own domains too: a message with recipients here and
 * elsewhere stays one message, and is answered by one server. It is asked about recipients at RCPT,
 * where each has an answer of its own: a sender of ours is told, and not left with a mail in quarantine. */
static void read_outbound(struct conf *conf, struct config *config)
{
	const struct conf_section *s = only(conf, "outbound");
	struct config_outbound *o = &config->outbound;
	check_outbound_listeners(conf, config);
	if (!s)
		return;
	o->enabled = true;
	conf_read2(conf, s, outbound_rows, o, policy_outbound_options, &o->policy);
	o->route = (struct config_domain){ .name = "", .backend = o->relay,
		.backend_tls = o->relay_tls, .verify_recipients = true };
	read_backends(conf, s, "relay", config, &o->route);
	check_login(conf, s, o);
	for (size_t i = 0; i < o->route.backend_count; i++)
		if (is_ourselves(config, &o->route.backends[i]))
			conf_error(conf, s, "relay", "relay \"%s\" is a listener of this gateway: mail "
				"would go in circles", o->relay.v[i]);
}

static bool is_loopback(const struct ip *ip)
{
	static const struct ip v6 = { .family = IP_V6, .octets = { [15] = 1 } };
	return ip->family == IP_V4 ? ip->octets[0] == 127 : ip_eq(ip, &v6);
}

static void read_admin(struct conf *conf, struct config_admin *admin)
{
	const struct conf_section *s = only(conf, "admin");
	conf_read(conf, s, admin_rows, admin);
	admin->enabled = s != NULL;
	if (config_address_parse(admin->listen, ':', 8025, &admin->address) != 0)
		conf_error(conf, s, "listen", "listen is an address and a port, as \"127.0.0.1:8025\"");
	else if (!is_loopback(&admin->address.ip))
		conf_warn(conf, s, "listen", "the admin HTTP server speaks no TLS: on %s its token, and "
			"held mail, can be read on the way; 127.0.0.1 behind a TLS proxy is safer",
			admin->listen);
}

static void check_learn_address(struct conf *conf, const struct conf_section *s,
	const struct config *config, const char *key, const char *address)
{
	size_t at = str_rchr(str_c(address), '@');
	if (*address && (at == 0 || !config_find_domain(config, str_skip(str_c(address), at + 1))))
		conf_error(conf, s, key, "%s \"%s\" is no address in one of the domain sections", key,
			address);
}

static void read_auto_domains(struct conf *conf, const struct conf_section *s,
	struct option_strings *domains)
{
	const char **canonical = ARENA_ARRAY(conf_arena(conf), domains->n, const char *);
	struct str domain;
	for (size_t i = 0; i < domains->n; i++) {
		canonical[i] = domains->v[i];
		if (mail_domain_canonical(conf_arena(conf), str_c(domains->v[i]), &domain) != 0 ||
			!config_address_is_domain(arena_cstr(conf_arena(conf), domain)))
			conf_error(conf, s, "auto_domains", "auto_domains \"%s\" is no domain: name it "
				"as example.org", domains->v[i]);
		else
			canonical[i] = arena_cstr(conf_arena(conf), domain);
	}
	domains->v = canonical;
}

static void read_learn(struct conf *conf, struct config *config)
{
	const struct conf_section *s = only(conf, "learn");
	struct config_learn *learn = &config->learn;
	conf_read(conf, s, learn_rows, learn);
	check_learn_address(conf, s, config, "spam_address", learn->spam_address);
	check_learn_address(conf, s, config, "ham_address", learn->ham_address);
	if (*learn->spam_address && str_ieq_c(str_c(learn->ham_address), learn->spam_address))
		conf_error(conf, s, "ham_address", "ham_address is that for spam");
	learn->nets = read_nets(conf, s, "from", &learn->from, "strangers may teach the classifier");
	learn->net_count = learn->from.n;
	read_auto_domains(conf, s, &learn->auto_domains);
}

/* The seal says what that filter found. */
static bool is_filter_enabled(struct conf *conf, const char *name)
{
	static const struct option rows[] = { { "enabled", OPTION_BOOL, 0, "true" }, OPTION_ROWS_END };
	bool enabled = true;
	for (const struct conf_section *s = NULL; (s = conf_next(conf_root(conf), "filter", s));)
		if (strcmp(conf_title(s), name) == 0)
			conf_read_some(conf, s, rows, &enabled);
	return enabled;
}

static void read_arc(struct conf *conf, struct config_arc *arc)
{
	const struct conf_section *s = only(conf, "arc");
	struct str domain;
	conf_read(conf, s, arc_rows, arc);
	if (!*arc->seal_as)
		return;
	if (mail_domain_canonical(conf_arena(conf), str_c(arc->seal_as), &domain) != 0 ||
		!config_address_is_domain(arena_cstr(conf_arena(conf), domain)))
		conf_error(conf, s, "seal_as", "seal_as \"%s\" is no domain", arc->seal_as);
	else
		arc->seal_as = arena_cstr(conf_arena(conf), domain);
	if (!is_filter_enabled(conf, "arc"))
		conf_error(conf, s, "seal_as", "seal_as needs filter \"arc\", which is not enabled");
}

static void read_global(struct conf *conf, struct config *config)
{
	const struct conf_section *root = conf_root(conf);
	struct str state_dir;
	conf_read(conf, root, global_rows, config);
	if (*config->hostname && !config_address_is_domain(config->hostname))
		conf_error(conf, root, "hostname", "hostname \"%s\" is no host name",
			config->hostname);
	state_dir = str_c(config->state_dir);
	if (!str_starts(state_dir, "/"))
		conf_error(conf, root, "state_dir", "state_dir must be a full path, from /");
	while (state_dir.n > 1 && state_dir.p[state_dir.n - 1] == '/')
		state_dir.n--;
	config->state_dir = arena_cstr(conf_arena(conf), state_dir);
	if (!config->fronts) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);
		config->fronts = cores < 1 ? 1 : cores > 64 ? 64 : cores;
	}
}

struct config *config_read(struct str text, const char *file, struct arena *arena,
	struct conf **conf_r)
{
	struct config *config = ARENA_NEW(arena, struct config);
	struct conf *conf = conf_parse(text, file, arena);
	const struct conf_section *limits;
	*conf_r = conf;
	conf_allow(conf, conf_root(conf), section_names);
	read_global(conf, config);
	read_listeners(conf, config);
	read_domains(conf, config);
	read_outbound(conf, config);
	config->backend_count = config->backend_names.n;
	read_dns(conf, &config->dns);
	limits = only(conf, "limits");
	conf_read(conf, limits, limits_rows, &config->limits);
	read_admin(conf, &config->admin);
	read_learn(conf, config);
	read_arc(conf, &config->arc);
	return config;
}

/* ---- for who uses it ---- */

const struct config_domain *config_find_domain(const struct config *config, struct str domain)
{
	char canonical[MAIL_DOMAIN_MAX];
	const struct config_name *found;
	if (!mail_domain_key(domain, canonical, &domain))
		return NULL;
	found = names_find(&config->domain_names, domain);
	return found ? &config->domains[found->index] : NULL;
}

bool config_same_backends(const struct config_domain *a, const struct config_domain *b)
{
	if (a->backend_count != b->backend_count)
		return false;
	for (size_t i = 0; i < a->backend_count; i++)
		if (a->backends[i].index != b->backends[i].index)
			return false;
	return true;
}

const struct config_domain *config_next_route(const struct config *config,
	const struct config_domain *previous)
{
	size_t next = 0;
	if (previous == &config->outbound.route)
		return NULL;
	if (previous)
		next = (size_t)(previous - config->domains) + 1;
	if (next < config->domain_count)
		return &config->domains[next];
	return config->outbound.enabled ? &config->outbound.route : NULL;
}

const char *config_path(const struct config *config, struct arena *arena, const char *name)
{
	return arena_printf(arena, "%s/%s", config->state_dir, name).p;
}

/* ---- what is printed from the rows ---- */

static void dump_title(const char *name, const char *title, struct buf *out)
{
	static const struct option row = { .name = "title", .type = OPTION_STRING };
	buf_printf(out, "\n%s ", name);
	if (*title) {
		option_format(&row, &title, out);
		buf_char(out, ' ');
	}
	buf_c(out, "{\n");
}

static void dump_one(struct conf *conf, const char *name, const struct option *rows,
	const void *values, struct buf *out)
{
	dump_title(name, "", out);
	conf_dump(conf, conf_next(conf_root(conf), name, NULL), rows, values, "\t", out);
	buf_c(out, "}\n");
}

/* Policy keys only where the section names them: the rest is the policy section's. */
static void dump_policy(struct conf *conf, const struct conf_section *s, struct buf *out)
{
	struct policy policy;
	conf_read_some(conf, s, policy_options, &policy);
	for (const struct option *row = policy_options; row->type != OPTION_END; row++) {
		const struct option one[] = { *row, OPTION_ROWS_END };
		if (conf_has(s, row->name))
			conf_dump(conf, s, one, &policy, "\t", out);
	}
}

void config_dump(struct conf *conf, const struct config *config, struct buf *out)
{
	const struct conf_section *root = conf_root(conf), *s = NULL;
	conf_dump(conf, root, global_rows, config, "", out);
	for (size_t i = 0; i < config->listener_count; i++) {
		s = conf_next(root, "listen", s);
		dump_title("listen", config->listeners[i].title, out);
		conf_dump(conf, s, listener_rows, &config->listeners[i], "\t", out);
		buf_c(out, "}\n");
	}
	s = NULL;
	for (size_t i = 0; i < config->domain_count; i++) {
		s = conf_next(root, "domain", s);
		dump_title("domain", config->domains[i].name, out);
		conf_dump(conf, s, domain_rows, &config->domains[i], "\t", out);
		dump_policy(conf, s, out);
		buf_c(out, "}\n");
	}
	if (config->outbound.enabled) {
		s = conf_next(root, "outbound", NULL);
		dump_title("outbound", "", out);
		conf_dump(conf, s, outbound_rows, &config->outbound, "\t", out);
		conf_dump(conf, s, policy_outbound_options, &config->outbound.policy, "\t", out);
		buf_c(out, "}\n");
	}
	dump_one(conf, "dns", dns_rows, &config->dns, out);
	dump_one(conf, "limits", limits_rows, &config->limits, out);
	if (config->admin.enabled)
		dump_one(conf, "admin", admin_rows, &config->admin, out);
	dump_one(conf, "learn", learn_rows, &config->learn, out);
	dump_one(conf, "arc", arc_rows, &config->arc, out);
}

static const struct {
	const char *head, *name, *help;
	const struct option *rows, *more;
} sections[] = {
	{ "listen \"0.0.0.0:25\"", "listen \\(dqADDRESS:PORT\\(dq",
		"One for each address; without any, port 25 on all addresses.", listener_rows },
	{ "domain \"example.net\"", "domain \\(dqDOMAIN\\(dq",
		"For whom mail is taken. Exact: subdomains need sections of their own.", domain_rows },
	{ "outbound", "outbound", "Where outgoing mail goes, and what may go out. Without this "
		"section, and a listener with outbound_from, none does.", outbound_rows,
		policy_outbound_options },
	{ "dns", "dns", "How DNS is asked.", dns_rows },
	{ "limits", "limits", "What one client, and all of them, may take.", limits_rows },
	{ "admin", "admin", "Without this section there is no HTTP server.", admin_rows },
	{ "learn", "learn", "Addresses that teach the classifier. Mail to them is not forwarded.",
		learn_rows },
	{ "arc", "arc", "Sealing of what is forwarded. The filter of that name looks at seals of others.",
		arc_rows },
};

void config_sample(struct buf *out)
{
	option_sample(global_rows, "", out);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		buf_printf(out, "\n# %s\n#%s {\n", sections[i].help, sections[i].head);
		option_sample(sections[i].rows, "\t", out);
		if (sections[i].more)
			option_sample(sections[i].more, "\t", out);
		buf_c(out, "#}\n");
	}
}

void config_man(struct buf *out)
{
	buf_c(out, ".Ss Top level\n.Bl -tag -width Ds\n");
	option_man(global_rows, out);
	buf_c(out, ".El\n");
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		buf_printf(out, ".Ss %s\n%s\n.Bl -tag -width Ds\n", sections[i].name,
			sections[i].help);
		option_man(sections[i].rows, out);
		if (sections[i].more)
			option_man(sections[i].more, out);
		buf_c(out, ".El\n");
	}
}
