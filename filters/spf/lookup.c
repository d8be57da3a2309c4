#include "filters/spf/lookup.h"

#include "core/limits.h"
#include "filters/spf/macro.h"

#define EXPLANATION_MAX 500 /* octets: it goes into a reply line */

enum spf_answer spf_lookup_fail(struct spf_walk *walk, int result, const char *reason)
{
	if (walk->error == AUTH_NONE) {
		walk->error = result;
		walk->check->reason = str_c(reason);
	}
	return SPF_STOPPED;
}

/*
 * A sender's own records must not use up what DMARC needs for the author's, so
 * SPF has a share of the questions. A question of which the answer is there was
 * counted when it was asked.
 */
static bool may_ask(const struct spf_walk *walk, enum dns_type type, struct str name, size_t share)
{
	const struct filter_call *call = walk->check->call;
	size_t taken = 0;

	if (!call->asked || facts_dns(call->facts, name, type))
		return true;
	for (size_t i = 0; i < call->asked->n; i++)
		taken += 1 + (size_t)call->asked->v[i].steps;
	return taken < share;
}

/* NULL: pending, or the share is used up, which is an error. */
static const struct dns_answer *ask(struct spf_walk *walk, enum dns_type type, struct str name)
{
	const struct dns_answer *answer;

	if (!may_ask(walk, type, name, walk->check->share)) {
		spf_lookup_fail(walk, AUTH_TEMPERROR, "the check takes too many look-ups");
		return NULL;
	}
	if (ask_dns(walk->check->call, type, name, &answer))
		return answer;
	walk->pending = true;
	return NULL;
}

/* What may be needed soon; half of the share is kept for what is. */
static void ask_ahead(struct spf_walk *walk, enum dns_type type, struct str name)
{
	const struct dns_answer *answer;

	if (may_ask(walk, type, name, walk->check->share / 2))
		(void)ask_dns(walk->check->call, type, name, &answer);
}

/* With the standard's reading of errors and of answers without records (4.6.4, 5). */
static enum spf_answer ask_strictly(struct spf_walk *walk, enum dns_type type, struct str name,
	const struct dns_answer **answer_r)
{
	*answer_r = ask(walk, type, name);
	if (!*answer_r)
		return SPF_STOPPED;
	if (dns_answer_is_error(*answer_r))
		return spf_lookup_fail(walk, AUTH_TEMPERROR, "the DNS did not answer");
	if (!dns_answer_is_void(*answer_r))
		return SPF_MATCH;
	if (++walk->voids > LIMIT_SPF_VOIDS)
		return spf_lookup_fail(walk, AUTH_PERMERROR, "more than 2 look-ups found nothing");
	return SPF_NO_MATCH;
}

static enum dns_type address_type(const struct spf_walk *walk)
{
	return walk->check->values.client.family == IP_V6 ? DNS_AAAA : DNS_A;
}

static bool has_client(const struct spf_walk *walk, const struct dns_answer *answer, unsigned bits)
{
	struct ip ip;

	for (size_t i = 0; i < answer->data.n; i++)
		if (dns_address(answer, i, &ip) == 0 &&
			ip.family == walk->check->values.client.family &&
			ip_prefix_eq(&ip, &walk->check->values.client, bits))
			return true;
	return false;
}

/*
 * Text of our grammar to a name as core/dns.h writes it. False for what cannot be
 * asked: an empty or long label, or octets outside ASCII, which must never match
 * (RFC 8616 section 4). Too long a name loses labels at its left (7.3).
 */
static bool to_name(struct str text, struct arena *arena, struct str *name_r)
{
	if (text.n && text.p[text.n - 1] == '.')
		text.n--;
	while (text.n > 253) {
		size_t dot = str_chr(text, '.');
		if (dot == text.n)
			return false;
		text = str_skip(text, dot + 1);
	}
	char *out = arena_alloc(arena, text.n * 2 + 1);
	size_t n = 0, label = 0;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if ((unsigned char)c >= 0x80 || c == '\0' || (c == '.' && label == 0))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
		if (c == '\\')
			out[n++] = '\\';
		out[n++] = c;
	}
	*name_r = str_from(out, n);
	return label > 0;
}

/* The host names of the client that map back to it (5.5): first ten, errors skipped. */
static bool validated_names(
	struct spf_walk *walk, const struct dns_answer *ptr, struct str_list *names_r)
{
	size_t count = ptr->data.n < LIMIT_SPF_TERMS ? ptr->data.n : LIMIT_SPF_TERMS;
	bool complete = true;

	names_r->v = ARENA_ARRAY(walk->arena, count + 1, struct str);
	names_r->n = 0;
	for (size_t i = 0; i < count; i++) {
		const struct dns_answer *a = ask(walk, address_type(walk), ptr->data.v[i]);
		if (!a)
			complete = false;
		else if (!dns_answer_is_error(a) &&
			 has_client(walk, a, a->type == DNS_AAAA ? 128 : 32))
			names_r->v[names_r->n++] = ptr->data.v[i];
	}
	return complete;
}

static const struct dns_answer *ask_ptr(struct spf_walk *walk)
{
	return ask(walk, DNS_PTR, ip_reverse_name(walk->arena, &walk->check->values.client));
}

/* %{p}: the domain itself, else a name under it, else any that is validated (7.3). */
static bool find_validated(struct spf_walk *walk, struct str domain, struct str *name_r)
{
	const struct dns_answer *ptr = ask_ptr(walk);
	struct str_list names;

	*name_r = STR("");
	if (!ptr || (!dns_answer_is_error(ptr) && !validated_names(walk, ptr, &names)))
		return false;
	if (dns_answer_is_error(ptr))
		return true;
	int best = 0;
	for (size_t i = 0; i < names.n; i++) {
		int rank = dns_name_eq(names.v[i], domain)	? 3
			   : dns_name_under(names.v[i], domain) ? 2
								: 1;
		if (rank > best) {
			best = rank;
			*name_r = names.v[i];
		}
	}
	return true;
}

static bool expand(struct spf_walk *walk, const struct spf_asked *asked, struct str *text_r)
{
	struct spf_macro_values values = walk->check->values;

	*text_r = asked->domain;
	if (asked->target.n == 0)
		return true;
	values.domain = asked->domain;
	if (spf_macro_needs_validated(asked->target) &&
		!find_validated(walk, asked->domain, &values.validated))
		return false;
	*text_r = spf_macro_expand(asked->target, &values, false, walk->arena);
	return true;
}

enum spf_answer spf_lookup_target(
	struct spf_walk *walk, const struct spf_asked *asked, struct str *name_r)
{
	struct str text;

	if (++walk->terms > LIMIT_SPF_TERMS)
		return spf_lookup_fail(walk, AUTH_PERMERROR, "more than 10 terms need the DNS");
	if (!expand(walk, asked, &text))
		return SPF_STOPPED;
	return to_name(text, walk->arena, name_r) ? SPF_MATCH : SPF_NO_MATCH;
}

static enum spf_answer match_a(
	struct spf_walk *walk, enum dns_type type, struct str name, unsigned bits)
{
	const struct dns_answer *answer;
	enum spf_answer found = ask_strictly(walk, type, name, &answer);

	if (found != SPF_MATCH)
		return found;
	return has_client(walk, answer, bits) ? SPF_MATCH : SPF_NO_MATCH;
}

static enum spf_answer match_mx(struct spf_walk *walk, struct str name, unsigned bits)
{
	const struct dns_answer *mx;
	enum spf_answer found = ask_strictly(walk, DNS_MX, name, &mx);
	uint16_t preference;
	struct str host;

	if (found != SPF_MATCH)
		return found;
	/* Not "the first ten", which would depend on the order of the answer. */
	if (mx->data.n > LIMIT_SPF_TERMS)
		return spf_lookup_fail(
			walk, AUTH_PERMERROR, "more than 10 names behind an mx term");
	for (size_t i = 0; i < mx->data.n; i++)
		if (dns_mx(mx, i, &preference, &host) == 0 && host.n)
			ask_ahead(walk, address_type(walk), host);
	for (size_t i = 0; i < mx->data.n; i++) {
		if (dns_mx(mx, i, &preference, &host) < 0 || host.n == 0)
			continue;
		found = match_a(walk, address_type(walk), host, bits);
		if (found != SPF_NO_MATCH)
			return found;
	}
	return SPF_NO_MATCH;
}

static enum spf_answer match_ptr(struct spf_walk *walk, struct str name)
{
	const struct dns_answer *ptr = ask_ptr(walk);
	struct str_list names;

	if (!ptr)
		return SPF_STOPPED;
	if (dns_answer_is_error(ptr)) /* 5.5: "the mechanism fails to match" */
		return SPF_NO_MATCH;
	if (dns_answer_is_void(ptr) && ++walk->voids > LIMIT_SPF_VOIDS)
		return spf_lookup_fail(walk, AUTH_PERMERROR, "more than 2 look-ups found nothing");
	if (!validated_names(walk, ptr, &names))
		return SPF_STOPPED;
	for (size_t i = 0; i < names.n; i++)
		if (dns_name_under(names.v[i], name))
			return SPF_MATCH;
	return SPF_NO_MATCH;
}

enum spf_answer spf_lookup_term(struct spf_walk *walk, const struct spf_asked *asked)
{
	bool six = walk->check->values.client.family == IP_V6;
	const struct spf_term *term = asked->term;
	const struct dns_answer *answer;
	struct str name;

	enum spf_answer found = spf_lookup_target(walk, asked, &name);
	if (found != SPF_MATCH)
		return found;
	switch (term->mechanism) {
	case SPF_A:
		return match_a(walk, address_type(walk), name, six ? term->bits6 : term->bits4);
	case SPF_MX:
		return match_mx(walk, name, six ? term->bits6 : term->bits4);
	case SPF_PTR:
		return match_ptr(walk, name);
	case SPF_EXISTS: /* always by A, whatever the client speaks (5.7) */
		return ask_strictly(walk, DNS_A, name, &answer);
	case SPF_ALL:
	case SPF_INCLUDE:
	case SPF_IP4:
	case SPF_IP6:
		break;
	}
	return SPF_NO_MATCH;
}

enum spf_answer spf_lookup_record(struct spf_walk *walk, struct str name, struct str *txt_r)
{
	const struct dns_answer *answer = ask(walk, DNS_TXT, name);
	size_t found = 0;

	if (!answer)
		return SPF_STOPPED;
	if (dns_answer_is_error(answer))
		return spf_lookup_fail(walk, AUTH_TEMPERROR, "the DNS did not answer");
	for (size_t i = 0; i < answer->data.n; i++) {
		struct str txt = dns_txt(answer, i, walk->arena);
		if (!spf_record_is(txt))
			continue;
		*txt_r = txt;
		found++;
	}
	if (found > 1)
		return spf_lookup_fail(walk, AUTH_PERMERROR, "more than one SPF record");
	return found ? SPF_MATCH : SPF_NO_MATCH;
}

void spf_lookup_prefetch(struct spf_walk *walk, const struct spf_asked *asked)
{
	enum dns_type type = DNS_TXT;
	struct str text, name;

	if (asked->term && asked->term->mechanism == SPF_PTR) {
		name = ip_reverse_name(walk->arena, &walk->check->values.client);
		ask_ahead(walk, DNS_PTR, name);
		return;
	}
	if (asked->term && asked->term->mechanism == SPF_MX)
		type = DNS_MX;
	else if (asked->term && asked->term->mechanism == SPF_A)
		type = address_type(walk);
	else if (asked->term && asked->term->mechanism == SPF_EXISTS)
		type = DNS_A;
	if (spf_macro_needs_validated(asked->target) || !expand(walk, asked, &text))
		return;
	if (to_name(text, walk->arena, &name))
		ask_ahead(walk, type, name);
}

/* Whatever is wrong with an explanation, it is as if there were none (6.2). */
bool spf_lookup_explanation(struct spf_walk *walk, struct str *text_r)
{
	struct spf_asked asked = { .target = walk->exp, .domain = walk->exp_domain };
	struct spf_macro_values values = walk->check->values;
	struct str text, name;

	*text_r = STR("");
	if (walk->exp.n == 0)
		return true;
	if (!expand(walk, &asked, &text))
		return false;
	if (!to_name(text, walk->arena, &name))
		return true;
	const struct dns_answer *answer = ask(walk, DNS_TXT, name);
	if (!answer)
		return false;
	if (dns_answer_is_error(answer) || answer->data.n != 1)
		return true;
	text = dns_txt(answer, 0, walk->arena);
	if (!spf_record_is_macro_string(text, true, true))
		return true;
	values.domain = walk->exp_domain;
	if (spf_macro_needs_validated(text) &&
		!find_validated(walk, walk->exp_domain, &values.validated))
		return false;
	text = spf_macro_expand(text, &values, true, walk->arena);
	/* What the sender put into his own name comes back here: printable ASCII only. */
	char *safe = arena_cstr(walk->arena, str_sub(text, 0, EXPLANATION_MAX));
	size_t n = text.n < EXPLANATION_MAX ? text.n : EXPLANATION_MAX;
	for (size_t i = 0; i < n; i++)
		if (safe[i] < 0x20 || safe[i] > 0x7e)
			safe[i] = '?';
	*text_r = str_from(safe, n);
	return true;
}
