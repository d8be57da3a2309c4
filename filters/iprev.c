/*
 * iprev: does the client's address lead to a name that leads back to it (RFC 8601
 * section 3)? What comes out of PTR records is hostile: a name that is no host
 * name is as good as none, and is shown nowhere.
 */
#include "core/filter.h"

#define NAMES_MAX 5 /* PTR records looked at: honest hosts have one */

static const struct finding_def iprev_findings[] = {
	{ "IPREV_FAIL", 0.5, "The client's name does not lead back to its address.", 0 },
	{ "IPREV_NONE", 0.5, "The client's address has no name.", 0 },
	{ .name = NULL },
};

static bool leads_back(const struct dns_answer *answer, const struct ip *client)
{
	struct ip ip;

	for (size_t i = 0; i < answer->data.n; i++)
		if (dns_address(answer, i, &ip) == 0 && ip_eq(&ip, client))
			return true;
	return false;
}

/* Looks at all names, so that their questions go out together. False: answers are missing. */
static bool look_at_names(struct filter_call *call, const struct dns_answer *ptr,
	const struct ip *client, struct auth_iprev *slot)
{
	enum dns_type type = client->family == IP_V6 ? DNS_AAAA : DNS_A;
	const struct dns_answer *answer;
	bool complete = true, trouble = false;

	slot->result = AUTH_FAIL;
	for (size_t i = 0; i < ptr->data.n && i < NAMES_MAX; i++) {
		struct str name = ptr->data.v[i];
		if (!dns_is_hostname(name))
			continue;
		if (!ask_dns(call, type, name, &answer)) {
			complete = false;
		} else if (dns_answer_is_error(answer)) {
			trouble = true;
		} else if (slot->result != AUTH_PASS && leads_back(answer, client)) {
			slot->result = AUTH_PASS;
			slot->name = arena_lower(call->arena, name);
		}
	}
	if (slot->result == AUTH_PASS)
		return true;
	if (!complete || trouble)
		slot->result = AUTH_TEMPERROR;
	return complete;
}

static enum step iprev_run(struct filter_call *call)
{
	struct auth_iprev *slot = ARENA_NEW(call->arena, struct auth_iprev);
	const struct dns_answer *ptr;
	struct ip client;

	if (ip_parse(call->facts->client_ip, &client) < 0)
		return STEP_DONE;
	call->auth->iprev = slot;
	slot->result = AUTH_TEMPERROR; /* holds if the answers never come */
	if (!ask_dns(call, DNS_PTR, ip_reverse_name(call->arena, &client), &ptr))
		return STEP_WAIT;
	if (dns_answer_is_error(ptr))
		return STEP_DONE;
	if (dns_answer_is_void(ptr)) {
		slot->result = AUTH_PERMERROR; /* RFC 8601 2.7.3: there is no PTR record */
		report(call, "IPREV_NONE", NULL);
		return STEP_DONE;
	}
	if (!look_at_names(call, ptr, &client, slot))
		return STEP_WAIT;
	if (slot->result == AUTH_FAIL)
		report(call, "IPREV_FAIL", NULL);
	return STEP_DONE;
}

const struct filter filter_iprev = {
	.name = "iprev",
	.summary = "does the client's address lead to a name and back (RFC 8601 3)",
	.stages = STAGE_CONNECT | STAGE_MESSAGE,
	.findings = iprev_findings,
	.default_timeout = "10s",
	.authenticates = true,
	.run = iprev_run,
};
