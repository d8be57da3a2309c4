/*
 * dnsbl: lists in the DNS (RFC 5782): of clients' addresses, and of domains.
 *
 * Each zone has a score, or one for each of its return codes. Only what a list documents counts:
 * an answer outside 127.0.0.0/8 is a broken or abandoned list, 127.255.255.x its complaint about
 * who asks, and neither is ever a listing.
 */
#include "filters/dnsbl.h"

#include <libpsl.h>

#include "core/conf.h"
#include "core/filter.h"
#include "core/limits.h"

#define MAX_CODES      32 /* of one zone */
#define MAX_DOMAINS    30 /* that are asked about in one message, whatever is configured */
#define DEFAULT_SCORE  "3"

enum zone_kind { ZONE_CLIENT, ZONE_DOMAIN };

/* An octet of the answer: a range, or with `mask` any of these bits. */
struct octet {
	uint8_t low, high, mask;
};
struct code {
	struct octet octets[4];
	bool has_score;
	double score;
	struct str label; /* what the code means; may be empty */
};

/* As its section says. */
struct zone_options {
	bool enabled;
	double score;
	int kind, action;
	bool ipv6;
	const char *name;
	struct option_strings codes;
};
struct zone {
	const char *zone;
	struct zone_options o;
	struct str finding; /* "DNSBL_ZEN" */
	struct code *codes;
	size_t code_count;
};
struct dnsbl_conf {
	bool defaults, domains;
	int64_t max_domains;
	/* from the sub-sections and the built-in list */
	struct zone *zones;
	size_t zone_count;
	const psl_ctx_t *psl;
	psl_ctx_t *own_psl; /* NULL: the library's built-in one */
};

static const char *const kinds[] = { "client", "domain", NULL };
static const char *const actions[] = { "forward", "tag", "quarantine", "reject", NULL };

static const struct option zone_options[] = {
	{ .name = "enabled", .type = OPTION_BOOL, .offset = offsetof(struct zone_options, enabled),
		.def = "true", .help = "Whether the zone is asked; for leaving out a built-in one." },
	{ .name = "score", .type = OPTION_NUMBER, .offset = offsetof(struct zone_options, score),
		.def = DEFAULT_SCORE, .min = -100, .max = 100,
		.help = "Of a listing; negative for a list of good senders." },
	{ .name = "codes", .type = OPTION_LIST, .offset = offsetof(struct zone_options, codes),
		.help = "Return codes that count, each as \"127.0.0.4-7 = 3 meaning\": in an octet a "
			"number, a range, * for any, or &N for any of N's bits; score and meaning may "
			"be left out. Without codes every answer in 127.0.0.0/8 counts." },
	{ .name = "kind", .type = OPTION_ENUM, .offset = offsetof(struct zone_options, kind),
		.def = "client", .choices = kinds,
		.help = "Whether it lists clients' addresses, or domains (of senders and links)." },
	{ .name = "action", .type = OPTION_ENUM, .offset = offsetof(struct zone_options, action),
		.def = "forward", .choices = actions,
		.help = "What a listing asks for by itself; reject refuses the client at once." },
	{ .name = "ipv6", .type = OPTION_BOOL, .offset = offsetof(struct zone_options, ipv6),
		.def = "true", .help = "Whether IPv6 clients are looked up." },
	{ .name = "name", .type = OPTION_STRING, .offset = offsetof(struct zone_options, name),
		.def = "\"\"", .help = "Its findings are called DNSBL_ and this; by default the first "
			"telling label of the zone." },
	OPTION_ROWS_END,
};

static const struct option options[] = {
	{ .name = "defaults", .type = OPTION_BOOL, .offset = offsetof(struct dnsbl_conf, defaults),
		.def = "true", .help = "Whether the built-in zones are asked beside the configured ones." },
	{ .name = "domains", .type = OPTION_BOOL, .offset = offsetof(struct dnsbl_conf, domains),
		.def = "true", .help = "Whether domains of the sender and of links are looked up too." },
	{ .name = "max_domains", .type = OPTION_INT,
		.offset = offsetof(struct dnsbl_conf, max_domains), .def = "10", .min = 0,
		.max = MAX_DOMAINS, .help = "How many domains of one message are looked up." },
	OPTION_ROWS_END,
};

/*
 * Lists that may be asked without an account by a server that recurses by itself, document their
 * codes, and have been there for many years.
 */
static const struct {
	const char *zone;
	double score;
	enum zone_kind kind;
	bool ipv6;
	const char *codes[8];
} built_in[] = {
	{ "zen.spamhaus.org", 4, ZONE_CLIENT, true,
		{ "127.0.0.2 = 5 source of spam", "127.0.0.3 = 4 snowshoe sender",
			"127.0.0.4-7 = 5 exploited machine", "127.0.0.9 = 6 hijacked network",
			"127.0.0.10-11 = 3 address that should not send mail" } },
	{ "bl.spamcop.net", 2.5, ZONE_CLIENT, false, { "127.0.0.2 reported source of spam" } },
	{ "psbl.surriel.org", 1.5, ZONE_CLIENT, true, { "127.0.0.2 sent mail to spam traps" } },
	{ "bl.mailspike.net", 1.5, ZONE_CLIENT, false,
		{ "127.0.0.2 = 2.5 distributed spam wave", "127.0.0.10 = 2.5 worst reputation",
			"127.0.0.11 = 2 very bad reputation", "127.0.0.12 = 1 bad reputation" } },
	{ "list.dnswl.org", -1, ZONE_CLIENT, true,
		{ "127.0.*.0 = -0.1 known, trust none", "127.0.*.1 = -0.7 trust low",
			"127.0.*.2 = -2.3 trust medium", "127.0.*.3 = -5 trust high" } },
	{ "dbl.spamhaus.org", 3, ZONE_DOMAIN, false,
		{ "127.0.1.2 = 4 spam domain", "127.0.1.4-6 = 5 phishing, malware or botnet domain",
			"127.0.1.102-106 = 2.5 abused legitimate domain" } },
	{ "multi.surbl.org", 3, ZONE_DOMAIN, false,
		{ "127.0.0.&8 = 5 phishing", "127.0.0.&16 = 5 malware", "127.0.0.&64 = 3 abuse",
			"127.0.0.&128 = 2.5 cracked site" } },
};

static const struct finding_def findings[] = {
	{ "DNSBL_BLOCKED", 0, "A DNS list refuses to answer questions from here.", ACTION_FORWARD },
	{ "DNSBL_BROKEN", 0, "A DNS list answers with what is no return code.", ACTION_FORWARD },
	{ NULL },
};

/* ------------------------------------------------------------------- codes */

static int parse_number(struct str s, uint8_t *value_r)
{
	uint64_t v;

	if (str_to_u64(s, 0, 255, &v) < 0)
		return -1;
	*value_r = (uint8_t)v;
	return 0;
}

static int parse_octet(struct str s, struct octet *o_r)
{
	size_t dash = str_chr(s, '-');

	*o_r = (struct octet){ 0, 255, 0 };
	if (str_eq_c(s, "*"))
		return 0;
	if (s.n > 1 && s.p[0] == '&')
		return parse_number(str_skip(s, 1), &o_r->mask) < 0 || !o_r->mask ? -1 : 0;
	if (parse_number(str_sub(s, 0, dash), &o_r->low) < 0)
		return -1;
	if (dash == s.n)
		o_r->high = o_r->low;
	else if (parse_number(str_skip(s, dash + 1), &o_r->high) < 0)
		return -1;
	return o_r->low <= o_r->high ? 0 : -1;
}

/* "127.0.0.4-7 = 3 exploited machine" */
static int parse_code(struct str text, struct code *code_r, struct err *err)
{
	struct str rest = text, pattern, word, octet;
	size_t n = 0;

	*code_r = (struct code){ .has_score = false };
	if (!str_word(&rest, &pattern))
		return err_set(err, "a code is empty");
	while (str_cut(&pattern, '.', &octet))
		if (n == 4 || parse_octet(octet, &code_r->octets[n++]) < 0)
			return err_set(err, "\"%.*s\": \"%.*s\" is no octet of a return code",
				STR_ARG(text), STR_ARG(octet));
	if (n != 4 || code_r->octets[0].low != 127 || code_r->octets[0].high != 127)
		return err_set(err, "\"%.*s\": a return code has four octets, the first one 127 "
			"(RFC 5782)", STR_ARG(text));
	rest = str_trim(rest);
	if (str_starts(rest, "=")) {
		rest = str_skip(rest, 1);
		code_r->has_score = true;
		if (!str_word(&rest, &word) || str_to_double(word, -100, 100, &code_r->score) < 0)
			return err_set(err, "\"%.*s\": behind = stands a score between -100 and 100",
				STR_ARG(text));
	}
	code_r->label = str_trim(rest);
	return 0;
}

static bool code_matches(const struct code *code, const uint8_t answer[4])
{
	for (int i = 0; i < 4; i++) {
		const struct octet *o = &code->octets[i];

		if (o->mask ? !(answer[i] & o->mask) : answer[i] < o->low || answer[i] > o->high)
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------- start */

static int parse_codes(struct zone *z, const char *const *codes, size_t n, struct arena *arena,
	struct err *err)
{
	if (n > MAX_CODES)
		return err_set(err, "zone \"%s\": more than %d codes", z->zone, MAX_CODES);
	z->codes = ARENA_ARRAY(arena, n + 1, struct code);
	for (z->code_count = 0; z->code_count < n; z->code_count++)
		if (parse_code(str_c(codes[z->code_count]), &z->codes[z->code_count], err) < 0)
			return err_prefix(err, "zone \"%s\"", z->zone);
	return 0;
}

/* Labels that tell nothing: of bl.spamcop.net, "spamcop" is the name. */
static bool is_generic(struct str label)
{
	static const char *const words[] = {
		"bl", "wl", "dnsbl", "rbl", "rhsbl", "uribl", "list", "multi", "all", "ip", "b", "dyna",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (str_ieq_c(label, words[i]))
			return true;
	return false;
}

static struct str finding_name(const struct zone *z, struct arena *arena)
{
	struct str rest = str_c(z->zone), label = rest, name = str_c(z->o.name);
	char *p;

	if (!name.n) {
		while (str_cut(&rest, '.', &label) && is_generic(label) &&
			str_chr(rest, '.') < rest.n)
			;
		name = label;
	}
	p = arena_alloc(arena, name.n + 7);
	memcpy(p, "DNSBL_", 6);
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		p[6 + i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : char_is_alnum(c) ? c : '_';
	}
	return str_from(p, name.n + 6);
}

static struct zone *find_zone(struct dnsbl_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->zone_count; i++)
		if (str_ieq_c(str_c(name), conf->zones[i].zone))
			return &conf->zones[i];
	return NULL;
}

static int add_built_in(struct dnsbl_conf *conf, struct arena *arena, struct err *err)
{
	for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++) {
		struct zone *z = &conf->zones[conf->zone_count++];
		size_t n = 0;

		while (n < 8 && built_in[i].codes[n])
			n++;
		z->zone = built_in[i].zone;
		z->o = (struct zone_options){
			.enabled = true, .score = built_in[i].score, .kind = built_in[i].kind,
			.ipv6 = built_in[i].ipv6, .name = "",
		};
		if (parse_codes(z, built_in[i].codes, n, arena, err) < 0)
			return -1;
	}
	return 0;
}

/* A section for a built-in zone changes what it names, any other adds a zone. */
static int read_zone(struct dnsbl_conf *conf, const struct env *env,
	const struct conf_section *section, struct err *err)
{
	struct zone *z = find_zone(conf, conf_title(section));
	struct zone_options own;
	struct str canonical;

	conf_read(env->conf, section, zone_options, &own);
	if (mail_domain_canonical(env->arena, str_c(conf_title(section)), &canonical) < 0 ||
		canonical.n > 180)
		return err_set(err, "zone \"%s\" is no domain name", conf_title(section));
	if (!z) {
		z = &conf->zones[conf->zone_count++];
		z->zone = arena_cstr(env->arena, canonical);
		z->o = own;
	} else {
		if (!conf_has(section, "score"))
			own.score = z->o.score;
		else if (!conf_has(section, "codes"))
			for (size_t i = 0; i < z->code_count; i++)
				z->codes[i].has_score = false;
		if (!conf_has(section, "kind"))
			own.kind = z->o.kind;
		if (!conf_has(section, "ipv6"))
			own.ipv6 = z->o.ipv6;
		z->o = own;
	}
	return own.codes.n ? parse_codes(z, own.codes.v, own.codes.n, env->arena, err) : 0;
}

static int start(void *data, const struct env *env, struct err *err)
{
	struct dnsbl_conf *conf = data;
	const struct conf_section *s = NULL;
	size_t n = sizeof(built_in) / sizeof(built_in[0]);

	while (env->section && (s = conf_next(env->section, "zone", s)))
		n++;
	conf->zones = ARENA_ARRAY(env->arena, n, struct zone);
	if (conf->defaults && add_built_in(conf, env->arena, err) < 0)
		return -1;
	while (env->section && (s = conf_next(env->section, "zone", s)))
		if (read_zone(conf, env, s, err) < 0)
			return -1;
	for (size_t i = 0; i < conf->zone_count; i++)
		conf->zones[i].finding = finding_name(&conf->zones[i], env->arena);
	/* psl_latest(NULL) finds nothing; the distribution's file is newer than the built-in list. */
	if (!env->offline)
		conf->own_psl = psl_latest(psl_dist_filename());
	conf->psl = conf->own_psl ? conf->own_psl : psl_builtin();
	return 0;
}

static void stop(void *data)
{
	struct dnsbl_conf *conf = data;

	psl_free(conf->own_psl);
	conf->own_psl = NULL;
}

bool dnsbl_zone(const void *data, size_t i, struct dnsbl_zone *zone_r)
{
	const struct dnsbl_conf *conf = data;

	if (i >= conf->zone_count)
		return false;
	*zone_r = (struct dnsbl_zone){
		.name = conf->zones[i].zone,
		.enabled = conf->zones[i].o.enabled &&
			(conf->domains || conf->zones[i].o.kind == ZONE_CLIENT),
		.lists_clients = conf->zones[i].o.kind == ZONE_CLIENT,
	};
	return true;
}

/* --------------------------------------------------------------------- run */

/* The worst, or for a list of good senders the best, of what one zone said. */
struct listing {
	bool found;
	double score;
	struct str what, label;
	char code[IP_TEXT_MAX];
};

static void take_listing(struct listing *l, double score, struct str what, struct str label,
	const struct ip *code)
{
	double size = score < 0 ? -score : score, held = l->score < 0 ? -l->score : l->score;

	if (l->found && size <= held)
		return;
	l->found = true;
	l->score = score;
	l->what = what;
	l->label = label;
	ip_format(code, l->code);
}

static void read_code(struct filter_call *call, const struct zone *z, struct str what,
	const struct ip *code, struct listing *l)
{
	const uint8_t *o = code->octets;

	if (code->family != IP_V4 || o[0] != 127) {
		report(call, "DNSBL_BROKEN", "%s answers with an address outside 127.0.0.0/8, so the "
			"list is broken or gone; leave it out.", z->zone);
		return;
	}
	if (o[1] == 255 && o[2] == 255) {
		report(call, "DNSBL_BLOCKED", "%s refuses questions from this resolver (127.255.255.%u): "
			"recurse without a forwarder, or leave the list out.", z->zone, o[3]);
		return;
	}
	if (!z->code_count && !(o[1] == 0 && o[2] == 0 && o[3] == 1))
		take_listing(l, z->o.score, what, STR(""), code);
	for (size_t i = 0; i < z->code_count; i++)
		if (code_matches(&z->codes[i], o))
			take_listing(l, z->codes[i].has_score ? z->codes[i].score : z->o.score, what,
				z->codes[i].label, code);
}

/* How far the questions of this call have come. */
struct progress {
	size_t asked, failed;
	bool waiting;
};

static void ask_zone(struct filter_call *call, const struct zone *z, struct str labels,
	struct str what, struct progress *p, struct listing *l)
{
	struct str name = arena_printf(call->arena, "%.*s.%s", STR_ARG(labels), z->zone);
	const struct dns_answer *a;
	struct ip code;

	p->asked++;
	if (!ask_dns(call, DNS_A, name, &a)) {
		p->waiting = true;
		return;
	}
	if (dns_answer_is_error(a))
		p->failed++;
	for (size_t i = 0; i < a->data.n; i++)
		if (dns_address(a, i, &code) == 0)
			read_code(call, z, what, &code, l);
}

static void report_listing(struct filter_call *call, const struct zone *z, const struct listing *l)
{
	if (!l->found)
		return;
	report_named(call, z->finding, l->score, z->o.action, "%.*s is listed by %s: %s%s%.*s.",
		STR_ARG(l->what), z->zone, l->code, l->label.n ? ", " : "", STR_ARG(l->label));
}

/* Behind the report of a list of clients, before any list of domains is asked. */
static void mark_client(struct filter_call *call, const struct zone *z)
{
	for (size_t i = 0; i < call->findings->n; i++)
		if (str_eq(call->findings->v[i].name, z->finding))
			call->findings->v[i].about_client = true;
}

/* Lists know what the Internet routes; the rest is never theirs to judge. */
static bool is_local(const struct ip *ip)
{
	static const char *const nets[] = {
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
		"100.64.0.0/10", "::1/128", "fe80::/10", "fc00::/7",
	};
	struct ip_net net;

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (ip_net_parse(str_c(nets[i]), &net, NULL) == 0 && ip_in_net(ip, &net))
			return true;
	return false;
}

static void ask_client(struct filter_call *call, const struct dnsbl_conf *conf, struct progress *p)
{
	struct str labels, text;
	struct ip ip;

	if (ip_parse(call->facts->client_ip, &ip) < 0 || is_local(&ip))
		return;
	labels = ip_reverse_labels(call->arena, &ip);
	text = ip_str(call->arena, &ip);
	for (size_t i = 0; i < conf->zone_count; i++) {
		const struct zone *z = &conf->zones[i];
		struct listing l = { .found = false };

		if (!z->o.enabled || z->o.kind != ZONE_CLIENT || (ip.family == IP_V6 && !z->o.ipv6))
			continue;
		ask_zone(call, z, labels, text, p, &l);
		report_listing(call, z, &l);
		mark_client(call, z);
	}
}

struct domains {
	struct str v[MAX_DOMAINS];
	size_t n, max;
};

/* What can be registered is what is listed: the host's other labels are the sender's to make up. */
static void add_domain(struct filter_call *call, const struct dnsbl_conf *conf, struct domains *d,
	struct str host)
{
	struct str canonical;
	const char *registrable;
	struct ip ip;

	if (d->n >= d->max || !host.n || ip_parse(host, &ip) == 0 ||
		mail_domain_canonical(call->arena, host, &canonical) < 0 || !dns_is_hostname(canonical))
		return;
	registrable = psl_registrable_domain(conf->psl, arena_cstr(call->arena, canonical));
	if (!registrable)
		return;
	for (size_t i = 0; i < d->n; i++)
		if (str_eq_c(d->v[i], registrable))
			return;
	d->v[d->n++] = str_c(registrable);
}

static void collect_domains(struct filter_call *call, const struct dnsbl_conf *conf,
	struct domains *d)
{
	const struct mail_header *from = mail_header(call->mail, "From", NULL);
	struct str sender = call->facts->mail_from;
	struct mail_addresses authors = { .valid = false };

	add_domain(call, conf, d, str_skip(sender, str_rchr(sender, '@') + 1));
	if (from)
		mail_parse_addresses(call->mail, from->value, &authors);
	for (size_t i = 0; i < authors.list.n; i++)
		add_domain(call, conf, d, authors.list.v[i].domain);
	mail_urls(call->mail);
	for (size_t i = 0; i < call->mail->urls.n; i++) {
		struct str host = call->mail->urls.v[i].host;

		/* Most links of a message go where the one before went. */
		if (i == 0 || !str_eq(host, call->mail->urls.v[i - 1].host))
			add_domain(call, conf, d, host);
	}
}

static void ask_domains(struct filter_call *call, const struct dnsbl_conf *conf,
	struct progress *p)
{
	struct domains d = { .max = (size_t)conf->max_domains };

	collect_domains(call, conf, &d);
	for (size_t i = 0; i < conf->zone_count; i++) {
		const struct zone *z = &conf->zones[i];
		struct listing l = { .found = false };

		if (!z->o.enabled || z->o.kind != ZONE_DOMAIN)
			continue;
		for (size_t k = 0; k < d.n; k++)
			ask_zone(call, z, d.v[k], d.v[k], p, &l);
		report_listing(call, z, &l);
	}
}

static enum step run(struct filter_call *call)
{
	const struct dnsbl_conf *conf = call->conf;
	struct progress p = { .asked = 0 };

	ask_client(call, conf, &p);
	if (call->mail && conf->domains)
		ask_domains(call, conf, &p);
	if (p.waiting)
		return STEP_WAIT;
	if (p.asked && p.failed == p.asked)
		return filter_fail(call, "none of its %zu questions was answered", p.asked);
	return STEP_DONE;
}

static const struct filter_section sections[] = { { "zone", zone_options }, { NULL } };

const struct filter filter_dnsbl = {
	.name = "dnsbl",
	.summary = "is the client, or a domain in the message, on a list in the DNS (RFC 5782)",
	.stages = STAGE_CONNECT,
	.findings = findings,
	.named_prefix = "DNSBL_",
	.options = options,
	.sections = sections,
	.conf_size = sizeof(struct dnsbl_conf),
	.default_timeout = "8s",
	.start = start,
	.stop = stop,
	.run = run,
};
