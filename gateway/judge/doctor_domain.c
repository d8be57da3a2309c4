/* What the DNS says about where a domain's mail goes: MX, this host's names. */
#include "gateway/judge/doctor.h"

static bool is_ours(const struct doctor *d, const struct ip *ip)
{
	for (size_t i = 0; i < d->address_count; i++)
		if (ip_eq(&d->addresses[i], ip))
			return true;
	return false;
}

size_t doctor_each_address(struct doctor *d, struct str name,
	void (*each)(struct doctor *d, const struct ip *ip, void *context), void *context)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	size_t n = 0;

	for (size_t t = 0; t < 2; t++) {
		const struct dns_answer *a = doctor_ask(d, types[t], name);
		struct ip ip;

		for (size_t i = 0; i < a->data.n && i < DOCTOR_NAMES_MAX; i++)
			if (dns_address(a, i, &ip) == 0) {
				each(d, &ip, context);
				n++;
			}
	}
	return n;
}

/* ---- MX ---- */

static void note_ours(struct doctor *d, const struct ip *ip, void *context)
{
	*(bool *)context |= is_ours(d, ip);
}

bool doctor_leads_here(struct doctor *d, struct str name, bool *has_address_r)
{
	bool ours = dns_name_eq(name, str_c(d->hostname));

	*has_address_r = doctor_each_address(d, name, note_ours, &ours) > 0;
	return ours;
}

void doctor_exchanges(struct doctor *d, struct str domain, struct str_list *names_r)
{
	const struct dns_answer *mx = doctor_ask(d, DNS_MX, domain);
	uint16_t preference;
	struct str name;

	*names_r = (struct str_list){ .v = ARENA_ARRAY(d->arena, DOCTOR_NAMES_MAX, struct str) };
	for (size_t i = 0; i < mx->data.n && i < DOCTOR_NAMES_MAX; i++)
		if (dns_mx(mx, i, &preference, &name) == 0 && dns_is_hostname(name))
			names_r->v[names_r->n++] = name;
}

static void suggest_mx(struct doctor *d, const char *domain, unsigned preference)
{
	doctor_record(d, "%s. IN MX %u %s.", domain, preference, d->hostname);
}

/* One exchange: does it lead here? False also where it leads nowhere, which is said. */
static bool check_exchange(struct doctor *d, const char *domain, uint16_t preference,
	struct str name)
{
	const char *shown = doctor_name(d, name);
	const struct dns_answer *alias;
	bool ours, has_address;
	struct ip ip;

	if (ip_parse(name, &ip) == 0 || !dns_is_hostname(name)) {
		doctor_say(d, DOCTOR_WRONG, "mx", "\"%s\" in an MX record is no host name; an "
			"address cannot stand there.", shown);
		suggest_mx(d, domain, preference);
		return false;
	}
	alias = doctor_ask(d, DNS_CNAME, name);
	if (alias->data.n) {
		doctor_say(d, DOCTOR_WRONG, "mx", "%s is an alias (CNAME), to which no MX may "
			"point (RFC 2181 10.3).", shown);
		doctor_record(d, "%s. IN MX %u %s.", domain, preference, doctor_name(d,
			alias->data.v[0]));
	}
	ours = doctor_leads_here(d, name, &has_address);
	if (!has_address) {
		doctor_say(d, DOCTOR_WRONG, "mx", "The MX %s has no address.", shown);
		return false;
	}
	if (!ours)
		doctor_say(d, DOCTOR_ADVICE, "mx", "The MX %s (preference %u) is not this host: "
			"what arrives there is not judged here, unless it is another gateway.",
			shown, preference);
	else
		doctor_say(d, DOCTOR_RIGHT, "mx", "The MX %s (preference %u) leads here.", shown,
			preference);
	return ours;
}

static void check_mx(struct doctor *d, struct str domain_name)
{
	const char *domain = doctor_name(d, domain_name);
	const struct dns_answer *mx = doctor_ask(d, DNS_MX, domain_name);
	bool here = false;
	uint16_t preference;
	struct str name;

	if (dns_answer_is_error(mx)) {
		doctor_say(d, DOCTOR_WRONG, "mx", "The MX records of %s cannot be looked up: %s.",
			domain, dns_rcode_names[mx->rcode]);
		return;
	}
	if (mx->rcode == DNS_NXDOMAIN || !mx->data.n) {
		doctor_say(d, DOCTOR_WRONG, "mx", "%s %s.", domain, mx->rcode == DNS_NXDOMAIN ?
			"does not exist in the DNS" : "has no MX record");
		suggest_mx(d, domain, 10);
		return;
	}
	for (size_t i = 0; i < mx->data.n && i < DOCTOR_NAMES_MAX; i++) {
		if (dns_mx(mx, i, &preference, &name) < 0)
			continue;
		if (!name.n) {
			doctor_say(d, DOCTOR_WRONG, "mx", "%s has a null MX (RFC 7505), which says "
				"that it takes no mail.", domain);
			suggest_mx(d, domain, 10);
			return;
		}
		here |= check_exchange(d, domain, preference, name);
	}
	if (!here) {
		doctor_say(d, DOCTOR_WRONG, "mx", "No MX of %s leads to this host (%s).", domain,
			d->hostname);
		suggest_mx(d, domain, 10);
	}
}

/* ---- this host ---- */

struct leading_back {
	const struct ip *ip;
	bool found;
};

static void note_same(struct doctor *d, const struct ip *ip, void *context)
{
	struct leading_back *back = context;

	back->found |= ip_eq(ip, back->ip);
}

static void check_ptr(struct doctor *d, const struct ip *ip, void *context)
{
	struct str reverse = ip_reverse_name(d->arena, ip);
	const struct dns_answer *ptr = doctor_ask(d, DNS_PTR, reverse);
	struct leading_back back = { .ip = ip };
	const char *name = "";
	char text[IP_TEXT_MAX];

	(void)context;
	ip_format(ip, text);
	for (size_t i = 0; i < ptr->data.n && i < DOCTOR_NAMES_MAX && !back.found; i++) {
		name = doctor_name(d, ptr->data.v[i]);
		if (dns_is_hostname(ptr->data.v[i]))
			doctor_each_address(d, ptr->data.v[i], note_same, &back);
	}
	if (dns_answer_is_error(ptr)) {
		doctor_say(d, DOCTOR_WRONG, "ptr", "The name of %s cannot be looked up: %s.", text,
			dns_rcode_names[ptr->rcode]);
	} else if (!back.found) {
		doctor_say(d, DOCTOR_WRONG, "ptr", ptr->data.n ? "%s leads to the name %s, which "
			"does not lead back: other servers distrust such a host." : "%s has no "
			"name: other servers distrust such a host.%s", text, name);
		doctor_record(d, "%.*s. IN PTR %s.", STR_ARG(reverse), d->hostname);
	} else if (!dns_name_eq(str_c(name), str_c(d->hostname))) {
		doctor_say(d, DOCTOR_ADVICE, "ptr", "%s is called %s, and this gateway %s: better "
			"the same.", text, name, d->hostname);
		doctor_record(d, "%.*s. IN PTR %s.", STR_ARG(reverse), d->hostname);
	} else {
		doctor_say(d, DOCTOR_RIGHT, "ptr", "%s leads to %s and back.", text, name);
	}
}

static void check_address(struct doctor *d, const struct ip *ip, void *context)
{
	char text[IP_TEXT_MAX];

	ip_format(ip, text);
	doctor_say(d, ip_is_global(ip) ? DOCTOR_RIGHT : DOCTOR_ADVICE, "address", ip_is_global(ip) ?
		"%s has the address %s." : "%s has the address %s, which the Internet does not "
		"reach.", d->hostname, text);
	check_ptr(d, ip, context);
}

static void check_host(struct doctor *d)
{
	if (doctor_each_address(d, str_c(d->hostname), check_address, NULL))
		return;
	const struct dns_answer *a = doctor_ask(d, DNS_A, str_c(d->hostname));
	if (dns_answer_is_error(a)) {
		doctor_say(d, DOCTOR_WRONG, "address", "The address of %s, the name of this "
			"gateway, cannot be looked up: %s.", d->hostname,
			dns_rcode_names[a->rcode]);
		return;
	}
	doctor_say(d, DOCTOR_WRONG, "address", "%s, the name of this gateway, has no address.",
		d->hostname);
	doctor_record(d, "%s. IN A ADDRESS", d->hostname);
}

static void note_address(struct doctor *d, const struct ip *ip, void *context)
{
	(void)context;
	doctor_add_address(d, ip);
}

void doctor_domain_check(struct doctor *d, struct str domain)
{
	doctor_each_address(d, str_c(d->hostname), note_address, NULL);
	if (!config_find_domain(d->config, domain)) {
		doctor_say(d, DOCTOR_WRONG, "domain", "The configuration has no section for %.*s: "
			"its mail would be refused.", STR_ARG(domain));
		doctor_record(d, "domain \"%.*s\" { backend = \"smtp://HOST:25\" }",
			STR_ARG(domain));
	}
	check_mx(d, domain);
	check_host(d);
	doctor_caa_check(d, domain);
	doctor_tlsa_check(d, domain);
}
