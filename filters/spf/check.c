#include "filters/spf/check.h"

#include <setjmp.h>
/* The library's headers need these three first. */
#include <netinet/in.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <spf2/spf.h>

#include "core/limits.h"
#include "filters/spf/lookup.h"

/* Where the library's own fatal errors end: its default prints and aborts. */
static jmp_buf *escape;

static void __attribute__((noreturn))
on_library_error(const char *file, int line, const char *message)
{
	(void)file, (void)line, (void)message;
	if (escape)
		longjmp(*escape, 1);
	abort();
}

void spf_check_init(void)
{
	SPF_error_handler = on_library_error;
	SPF_warning_handler = NULL;
	SPF_info_handler = NULL;
	SPF_debug_handler = NULL;
}

static const struct spf_asked *asked_at(const struct spf_walk *walk, const char *token)
{
	struct str s = str_c(token);
	uint64_t n;

	if (!str_istarts(s, "t"))
		return NULL;
	s = str_sub(s, 1, str_chr(s, '.') - 1);
	if (!walk->asked.n || str_to_u64(s, 0, walk->asked.n - 1, &n) < 0)
		return NULL;
	return &walk->asked.v[n];
}

static size_t add_asked(struct spf_walk *walk, struct spf_asked asked)
{
	if (walk->asked.n == walk->asked_cap) {
		size_t old = walk->asked_cap;
		walk->asked_cap = old ? old * 2 : 16;
		walk->asked.v = arena_grow(
			walk->arena, walk->asked.v, old, walk->asked_cap, sizeof(*walk->asked.v));
	}
	walk->asked.v[walk->asked.n] = asked;
	return walk->asked.n++;
}

static bool matches_network(const struct spf_walk *walk, const struct spf_term *term)
{
	struct ip network = { .family = term->mechanism == SPF_IP6 ? IP_V6 : IP_V4 };
	const struct ip *client = &walk->check->values.client;

	memcpy(network.octets, term->network, sizeof(network.octets));
	return network.family == client->family && ip_prefix_eq(&network, client, term->bits4);
}

/*
 * The record that the library sees: terms that cannot match are left out, one
 * that surely does is `all`, and past the limit nothing matters any more, since
 * the eleventh term that needs the DNS ends the check.
 */
static void rewrite(struct spf_walk *walk, const struct spf_record *record, struct str domain,
	bool outermost, struct buf *out)
{
	size_t first = walk->asked.n, count = 0;

	buf_c(out, "v=spf1");
	for (size_t i = 0; i < record->terms.n && count <= LIMIT_SPF_TERMS; i++) {
		const struct spf_term *term = &record->terms.v[i];
		bool is_network = term->mechanism == SPF_IP4 || term->mechanism == SPF_IP6;
		if (is_network && !matches_network(walk, term))
			continue;
		if (is_network || term->mechanism == SPF_ALL) {
			buf_printf(out, " %call", term->qualifier);
			goto prefetch;
		}
		size_t n = add_asked(walk, (struct spf_asked){ term, term->domain, domain, false });
		buf_printf(out, " %c%s:t%zu.spf", term->qualifier,
			term->mechanism == SPF_INCLUDE ? "include" : "exists", n);
		count++;
	}
	if (record->redirect.n && !record->has_all && count <= LIMIT_SPF_TERMS) {
		size_t n = add_asked(
			walk, (struct spf_asked){ NULL, record->redirect, domain, outermost });
		buf_printf(out, " redirect=t%zu.spf", n);
	}
prefetch:
	for (size_t i = first; i < walk->asked.n && i - first + walk->terms < LIMIT_SPF_TERMS; i++)
		spf_lookup_prefetch(walk, &walk->asked.v[i]);
}

static SPF_errcode_t read_record(struct spf_walk *walk, struct str domain, struct str txt,
	bool outermost, SPF_server_t *server, SPF_response_t *response, SPF_record_t **record_r)
{
	struct spf_record record;
	struct buf text = BUF_INIT;
	struct err err;

	if (spf_record_parse(txt, walk->arena, &record, &err) < 0) {
		const char *why = arena_cstr(walk->arena, str_c(err.text));
		spf_lookup_fail(walk, AUTH_PERMERROR, why);
		return SPF_E_SYNTAX;
	}
	if (outermost) {
		walk->exp = record.exp;
		walk->exp_domain = domain;
	}
	rewrite(walk, &record, domain, outermost, &text);
	buf_char(&text, '\0');
	SPF_errcode_t code = SPF_record_compile(server, response, record_r, text.p);
	buf_free(&text);
	return code;
}

/* libspf2 asks for the record behind include and redirect. */
static SPF_errcode_t get_record(SPF_server_t *server, SPF_request_t *request,
	SPF_response_t *response, SPF_record_t **record_r)
{
	struct spf_walk *walk = server->resolver->hook;
	const struct spf_asked *asked = asked_at(walk, request->cur_dom);
	struct str name, txt;

	*record_r = NULL;
	response->result = SPF_RESULT_PERMERROR;
	if (!asked || walk->pending || walk->error != AUTH_NONE)
		return SPF_E_DNS_ERROR;
	bool outermost = asked->outermost;
	enum spf_answer found = spf_lookup_target(walk, asked, &name);
	if (found == SPF_MATCH)
		found = spf_lookup_record(walk, name, &txt);
	if (found == SPF_NO_MATCH) /* 5.2, 6.1: none becomes permerror */
		spf_lookup_fail(
			walk, AUTH_PERMERROR, "include or redirect to a name without SPF record");
	if (found != SPF_MATCH)
		return SPF_E_DNS_ERROR;
	return read_record(walk, name, txt, outermost, server, response, record_r);
}

/* libspf2 asks whether tN.spf exists: whether term N matches. */
static SPF_dns_rr_t *lookup(SPF_dns_server_t *layer, const char *name, ns_type type, int cache)
{
	struct spf_walk *walk = layer->hook;
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(layer, name, type, 0, TRY_AGAIN);
	const struct spf_asked *asked = asked_at(walk, name);

	(void)cache;
	if (!rr || !asked || !asked->term || walk->pending || walk->error != AUTH_NONE)
		return rr;
	switch (spf_lookup_term(walk, asked)) {
	case SPF_STOPPED:
		break;
	case SPF_NO_MATCH:
		rr->herrno = HOST_NOT_FOUND;
		break;
	case SPF_MATCH:
		if (SPF_dns_rr_buf_realloc(rr, 0, sizeof(struct in_addr)) != SPF_E_SUCCESS)
			break;
		rr->rr[0]->a.s_addr = htonl(INADDR_LOOPBACK);
		rr->num_rr = 1;
		rr->herrno = NETDB_SUCCESS;
		break;
	}
	return rr;
}

/* Explanations are the front's: the library finds none. */
static SPF_errcode_t get_explanation(
	SPF_server_t *server, const char *domain, char **text_r, size_t *length_r)
{
	(void)server, (void)domain, (void)text_r, (void)length_r;
	return SPF_E_NOT_SPF;
}

static int to_result(SPF_result_t result)
{
	switch (result) {
	case SPF_RESULT_NEUTRAL:
		return AUTH_NEUTRAL;
	case SPF_RESULT_PASS:
		return AUTH_PASS;
	case SPF_RESULT_FAIL:
		return AUTH_FAIL;
	case SPF_RESULT_SOFTFAIL:
		return AUTH_SOFTFAIL;
	case SPF_RESULT_NONE:
	case SPF_RESULT_INVALID:
	case SPF_RESULT_TEMPERROR:
	case SPF_RESULT_PERMERROR:
		break;
	}
	return AUTH_PERMERROR;
}

/* The library keeps nothing of the client: the front compares all addresses. */
static void set_request(SPF_request_t *request)
{
	SPF_request_set_ipv4(request, (struct in_addr){ htonl(0xc0000201) });
	SPF_request_set_env_from(request, "front@sender.spf");
	request->cur_dom = "current.spf";
}

static int interpret(struct spf_walk *walk, struct str txt)
{
	SPF_dns_server_t layer = { .lookup = lookup,
		.get_spf = get_record,
		.get_exp = get_explanation,
		.name = "front",
		.hook = walk };
	SPF_server_t *server = SPF_server_new_dns(&layer, 0);
	SPF_request_t *request = SPF_request_new(server);
	SPF_record_t *record = NULL;
	int result = AUTH_PERMERROR;

	SPF_server_set_max_dns_mech(server, INT32_MAX);
	set_request(request);
	SPF_response_t *response = SPF_response_new(request);
	if (read_record(walk, walk->check->domain, txt, true, server, response, &record) ==
		SPF_E_SUCCESS) {
		/* Not SPF_request_query_mailfrom(): for it, loopback always passes. */
		response->spf_record_exp = record;
		SPF_record_interpret(record, request, response, 0);
		result = to_result(response->result);
	}
	if (record)
		SPF_record_free(record);
	SPF_response_free(response);
	SPF_request_free(request);
	SPF_server_free(server);
	return result;
}

/* With the way out for fatal errors of the library; what it then held is lost, once. */
static int interpret_safely(struct spf_walk *walk, struct str txt)
{
	jmp_buf here;

	escape = &here;
	if (setjmp(here)) {
		escape = NULL;
		spf_lookup_fail(walk, AUTH_PERMERROR, "libspf2 gave up");
		return AUTH_PERMERROR;
	}
	int result = interpret(walk, txt);
	escape = NULL;
	return result;
}

int spf_check_run(struct spf_check *check)
{
	struct spf_walk walk = { .check = check, .arena = check->call->arena };
	struct str txt;

	check->reason = check->explanation = STR("");
	check->result = AUTH_NONE;
	/* 4.3: what is no name of several labels has no record. */
	if (!dns_is_hostname(check->domain) || str_chr(check->domain, '.') == check->domain.n)
		return 1;
	enum spf_answer found = spf_lookup_record(&walk, check->domain, &txt);
	if (found == SPF_MATCH)
		check->result = interpret_safely(&walk, txt);
	if (walk.pending)
		return 0;
	if (walk.error != AUTH_NONE)
		check->result = walk.error;
	if (check->result == AUTH_FAIL && check->explain &&
		!spf_lookup_explanation(&walk, &check->explanation))
		return !walk.pending; /* no answer will come if the share of questions is used up */
	return 1;
}
