#include "filters/dmarc/walk.h"

#include "filters/dmarc/psl.h"

static size_t count_labels(struct str domain)
{
	size_t n = domain.n ? 1 : 0;

	for (size_t i = 0; i < domain.n; i++)
		n += domain.p[i] == '.';
	return n;
}

static struct str parent(struct str domain)
{
	return str_skip(domain, str_chr(domain, '.') + 1);
}

/* domain lies under suffix: the name one label below suffix. */
static struct str one_below(struct str domain, struct str suffix)
{
	struct str prefix = str_sub(domain, 0, domain.n - suffix.n - 1);
	size_t dot = str_rchr(prefix, '.');

	return dot == prefix.n ? domain : str_skip(domain, dot + 1);
}

size_t dmarc_walk_names(struct str domain, struct str names_r[DMARC_WALK_QUERIES])
{
	size_t labels = count_labels(domain), n = 0;

	if (!labels)
		return 0;
	names_r[n++] = domain;
	/* Step 4: from eight labels or more straight to seven. */
	while (labels > DMARC_WALK_QUERIES) {
		domain = parent(domain);
		labels--;
	}
	while (--labels > 0) {
		domain = parent(domain);
		names_r[n++] = domain;
	}
	return n;
}

enum dmarc_walk_state dmarc_walk_record(
	struct filter_call *call, struct str domain, struct dmarc_policy_found *policy_r)
{
	struct str name = arena_printf(call->arena, "_dmarc.%.*s", STR_ARG(domain));
	const struct dns_answer *answer;
	size_t count = 0;

	*policy_r = (struct dmarc_policy_found){ .domain = domain };
	if (!ask_dns(call, DNS_TXT, name, &answer))
		return DMARC_WALK_PENDING;
	if (dns_answer_is_error(answer))
		return DMARC_WALK_ERROR;
	for (size_t i = 0; i < answer->data.n; i++) {
		struct str txt = dns_txt(answer, i, call->arena);
		if (!dmarc_record_is(txt))
			continue;
		dmarc_record_parse(txt, &policy_r->record);
		count++;
	}
	policy_r->found = count == 1; /* several: all are discarded (steps 2 and 6) */
	return DMARC_WALK_DONE;
}

/* Registers all questions of a walk, so that one round answers them. */
static void ask_ahead(struct filter_call *call, const struct str *names, size_t n)
{
	struct dmarc_policy_found ignored;

	for (size_t i = 0; i < n; i++)
		(void)dmarc_walk_record(call, names[i], &ignored);
}

/* What a walk has seen, as far as it went. */
struct seen {
	struct str organizational;
	struct dmarc_policy_found at_organizational, at_suffix;
};

/* Steps 1 to 7, and the choice of 4.10.2 on the way: the last record that is seen has the fewest
 * labels. */
static enum dmarc_walk_state walk(struct filter_call *call, struct str domain, struct seen *seen_r)
{
	struct str names[DMARC_WALK_QUERIES];
	size_t n = dmarc_walk_names(domain, names);
	struct dmarc_policy_found policy, below = { .found = false };

	*seen_r = (struct seen){ .organizational = domain };
	ask_ahead(call, names, n);
	for (size_t i = 0; i < n; i++) {
		enum dmarc_walk_state state = dmarc_walk_record(call, names[i], &policy);
		if (state != DMARC_WALK_DONE)
			return state;
		if (policy.found && policy.record.psd == DMARC_PSD_YES && i > 0) {
			seen_r->organizational = one_below(domain, names[i]);
			/* Where the walk jumped, that name was never asked for a record. */
			seen_r->at_organizational = (struct dmarc_policy_found){ .found = false };
			if (str_eq(below.domain, seen_r->organizational))
				seen_r->at_organizational = below;
			seen_r->at_suffix = policy;
			return DMARC_WALK_DONE;
		}
		if (policy.found) {
			seen_r->organizational = names[i];
			seen_r->at_organizational = policy;
		}
		if (policy.found && policy.record.psd != DMARC_PSD_UNKNOWN)
			return DMARC_WALK_DONE;
		below = policy;
	}
	return DMARC_WALK_DONE;
}

enum dmarc_walk_state dmarc_walk_organizational(struct filter_call *call,
	enum dmarc_discovery discovery, struct str domain, struct str *organizational_r)
{
	struct seen seen;

	if (discovery == DISCOVERY_PSL) {
		*organizational_r = dmarc_psl_organizational(domain);
		return DMARC_WALK_DONE;
	}
	enum dmarc_walk_state state = walk(call, domain, &seen);
	*organizational_r = seen.organizational;
	return state;
}

static enum dmarc_walk_state policy_by_psl(
	struct filter_call *call, struct str author, struct dmarc_policy_found *policy_r)
{
	struct str organizational = dmarc_psl_organizational(author);
	struct dmarc_policy_found above;
	enum dmarc_walk_state state = dmarc_walk_record(call, organizational, &above);

	if (state == DMARC_WALK_DONE)
		*policy_r = above;
	return state;
}

enum dmarc_walk_state dmarc_walk_policy(struct filter_call *call, enum dmarc_discovery discovery,
	struct str author, struct dmarc_policy_found *policy_r)
{
	struct str names[DMARC_WALK_QUERIES];
	struct seen seen;

	if (discovery == DISCOVERY_TREEWALK)
		ask_ahead(call, names, dmarc_walk_names(author, names));
	enum dmarc_walk_state state = dmarc_walk_record(call, author, policy_r);
	if (state != DMARC_WALK_DONE || policy_r->found)
		return state;
	if (discovery == DISCOVERY_PSL)
		return policy_by_psl(call, author, policy_r);
	state = walk(call, author, &seen);
	if (state == DMARC_WALK_DONE)
		*policy_r = seen.at_organizational.found ? seen.at_organizational : seen.at_suffix;
	return state;
}
