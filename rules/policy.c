#include "rules/policy.h"

#include "core/mail/mail.h"

struct domain_policy {
	struct str name; /* lower case */
	struct policy policy;
};
struct score {
	struct str name;
	double value;
};
struct policy_set {
	struct policy global;
	struct policy_outbound outbound;
	LIST(struct domain_policy) domains; /* sorted by name */
	LIST(struct score) scores;	    /* sorted by name */
};

static const char *const dmarc_modes[] = { "careful", "strict", "off", NULL };
/* In the order of enum action; tempfail would only make a virus come again and again. */
static const char *const content_actions[] = { "forward", "tag", "quarantine", "reject", NULL };

const struct option policy_options[] = {
	{
		.name = "tag_score", .type = OPTION_NUMBER,
		.offset = offsetof(struct policy, tag_score), .def = "5", .min = -1000, .max = 100000,
		.help = "From this score on a message is delivered with X-Spam-Flag: YES.",
	},
	{
		.name = "quarantine_score", .type = OPTION_NUMBER,
		.offset = offsetof(struct policy, quarantine_score), .def = "8", .min = -1000,
		.max = 100000, .help = "From this score on a message is held in quarantine.",
	},
	{
		.name = "reject_score", .type = OPTION_NUMBER,
		.offset = offsetof(struct policy, reject_score), .def = "15", .min = -1000,
		.max = 100000, .help = "From this score on a message is refused.",
	},
	{
		.name = "dmarc", .type = OPTION_ENUM, .offset = offsetof(struct policy, dmarc),
		.def = "careful", .choices = dmarc_modes,
		.help = "What a DMARC failure under p=reject means: careful (refuse with a second sign "
			"of abuse, else quarantine), strict (refuse) or off (DMARC acts only by its score).",
	},
	{
		.name = "virus", .type = OPTION_ENUM, .offset = offsetof(struct policy, virus),
		.def = "quarantine", .choices = content_actions,
		.help = "What is done with a message in which a virus was found.",
	},
	{
		.name = "unscannable", .type = OPTION_ENUM, .offset = offsetof(struct policy, unscannable),
		.def = "forward", .choices = content_actions,
		.help = "What is done with a message that the virus scanner could not look into wholly, "
			"as encrypted archives or those beyond its limits.",
	},
	{
		.name = "spam_headers", .type = OPTION_BOOL,
		.offset = offsetof(struct policy, spam_headers), .def = "true",
		.help = "Whether delivered messages carry X-Spam-Status, X-Spam-Score and their like.",
	},
	OPTION_ROWS_END,
};

static const char *const from_modes[] = { "address", "domain", "any", NULL };

const struct option policy_outbound_options[] = {
	{
		.name = "from", .type = OPTION_ENUM, .offset = offsetof(struct policy_outbound, from),
		.def = "domain", .choices = from_modes,
		.help = "What the one address in From must be: that of the sender (address: the account, "
			"or without one the address of MAIL FROM), in the sender's domain (domain), or "
			"in any domain of ours (any). Other mail is refused.",
	},
	{
		.name = "quarantine_score", .type = OPTION_NUMBER,
		.offset = offsetof(struct policy_outbound, policy.quarantine_score), .def = "100000",
		.min = -1000, .max = POLICY_NEVER,
		.help = "From this score on a message is held in quarantine and its sender told "
			"that it was taken. By default none is: who sends it is ours, and can be told.",
	},
	{
		.name = "reject_score", .type = OPTION_NUMBER,
		.offset = offsetof(struct policy_outbound, policy.reject_score), .def = "15",
		.min = -1000, .max = POLICY_NEVER,
		.help = "From this score on a message is refused.",
	},
	{
		.name = "virus", .type = OPTION_ENUM,
		.offset = offsetof(struct policy_outbound, policy.virus), .def = "reject",
		.choices = content_actions,
		.help = "What is done with a message in which a virus was found.",
	},
	{
		.name = "unscannable", .type = OPTION_ENUM,
		.offset = offsetof(struct policy_outbound, policy.unscannable), .def = "forward",
		.choices = content_actions,
		.help = "What is done with a message that the virus scanner could not look into wholly.",
	},
	OPTION_ROWS_END,
};

/* A domain changes only what its section names; the rest stays the global policy's. */
static void overlay(const struct conf_section *section, const struct policy *from,
	struct policy *onto)
{
	static const size_t sizes[] = {
		[OPTION_NUMBER] = sizeof(double), [OPTION_ENUM] = sizeof(int),
		[OPTION_BOOL] = sizeof(bool),
	};

	for (const struct option *o = policy_options; o->name; o++)
		if (conf_has(section, o->name))
			memcpy((char *)onto + o->offset, (const char *)from + o->offset,
				sizes[o->type]);
}

static void check_order(struct conf *conf, const struct conf_section *section,
	const struct policy *p)
{
	if (p->tag_score > p->quarantine_score)
		conf_warn(conf, section, conf_has(section, "tag_score") ? "tag_score" : NULL,
			"tag_score %g is above quarantine_score %g: no message will ever be tagged",
			p->tag_score, p->quarantine_score);
	if (p->quarantine_score > p->reject_score)
		conf_warn(conf, section, conf_has(section, "reject_score") ? "reject_score" : NULL,
			"quarantine_score %g is above reject_score %g: no message will ever be held for "
			"its score",
			p->quarantine_score, p->reject_score);
}

static int compare_domains(const void *a, const void *b)
{
	const struct domain_policy *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

static void read_domains(struct conf *conf, struct arena *arena, struct policy_set *set)
{
	const struct conf_section *s = NULL;
	size_t n = 0;

	while ((s = conf_next(conf_root(conf), "domain", s)))
		n++;
	set->domains.v = ARENA_ARRAY(arena, n ? n : 1, struct domain_policy);
	while ((s = conf_next(conf_root(conf), "domain", s))) {
		struct domain_policy *d = &set->domains.v[set->domains.n++];
		struct policy own;
		struct str canonical;

		/* Addresses are compared in the form that the front's resolver and routes use. */
		if (mail_domain_canonical(arena, str_c(conf_title(s)), &canonical) < 0)
			canonical = arena_lower(arena, str_c(conf_title(s)));
		d->name = canonical;
		d->policy = set->global;
		conf_read_some(conf, s, policy_options, &own);
		overlay(s, &own, &d->policy);
		check_order(conf, s, &d->policy);
	}
	qsort(set->domains.v, set->domains.n, sizeof(*set->domains.v), compare_domains);
}

struct score_reader {
	struct policy_set *set;
	struct arena *arena;
};

static void add_score(void *context, const char *key, double value)
{
	struct score_reader *r = context;
	size_t n = r->set->scores.n;

	r->set->scores.v = arena_grow(r->arena, r->set->scores.v, n, n + 1, sizeof(struct score));
	r->set->scores.v[n] = (struct score){ arena_dup(r->arena, str_c(key)), value };
	r->set->scores.n++;
}

static int compare_scores(const void *a, const void *b)
{
	const struct score *x = a, *y = b;

	return str_cmp(x->name, y->name);
}

struct policy_set *policy_set_read(struct conf *conf, struct arena *arena)
{
	struct policy_set *set = ARENA_NEW(arena, struct policy_set);
	const struct conf_section *root = conf_root(conf);
	const struct conf_section *policy = conf_next(root, "policy", NULL);
	const struct conf_section *scores = conf_next(root, "scores", NULL);
	struct score_reader reader = { set, arena };

	conf_read(conf, policy, policy_options, &set->global);
	if (policy)
		check_order(conf, policy, &set->global);
	conf_read_some(conf, conf_next(root, "outbound", NULL), policy_outbound_options, &set->outbound);
	set->outbound.policy.tag_score = POLICY_NEVER;
	set->outbound.policy.dmarc = DMARC_MODE_OFF;
	read_domains(conf, arena, set);
	if (scores)
		conf_each_number(conf, scores, add_score, &reader);
	if (set->scores.n)
		qsort(set->scores.v, set->scores.n, sizeof(*set->scores.v), compare_scores);
	return set;
}

static const struct domain_policy *find_domain(const struct policy_set *set, struct str domain)
{
	size_t low = 0, high = set->domains.n;
	char canonical[MAIL_DOMAIN_MAX];

	if (!mail_domain_key(domain, canonical, &domain))
		return NULL;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_cmp(domain, set->domains.v[middle].name);

		if (order == 0)
			return &set->domains.v[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct policy *policy_for(const struct policy_set *set, struct str recipient)
{
	size_t at = str_rchr(recipient, '@');
	const struct domain_policy *d = find_domain(set, str_skip(recipient, at + 1));

	return d ? &d->policy : &set->global;
}

const struct policy_outbound *policy_outbound(const struct policy_set *set)
{
	return &set->outbound;
}

bool policy_knows_domain(const struct policy_set *set, struct str domain)
{
	return !set->domains.n || find_domain(set, domain);
}

double policy_score(const struct policy_set *set, struct str finding, double def)
{
	size_t low = 0, high = set->scores.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = str_cmp(finding, set->scores.v[middle].name);

		if (order == 0)
			return set->scores.v[middle].value;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return def;
}
