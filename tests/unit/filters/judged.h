/*
 * judged: one message judged by all filters, as `gatepost check --facts` does it.
 *
 *	struct judged j;
 *	judge(&j, "{\"client\": {\"ip\": \"192.0.2.1\"}, ...}", "From: ...\r\n\r\n", "");
 *	assert_int_equal(j.v.auth.spf->result, AUTH_PASS);
 *	judged_free(&j);
 *
 * The whole zone is in the JSON; what was asked is counted.
 */
#ifndef TESTS_UNIT_FILTERS_JUDGED_H
#define TESTS_UNIT_FILTERS_JUDGED_H

#include "core/conf.h"
#include "core/limits.h"
#include "filters/evaluate.h"

struct judged {
	struct arena *process, *arena;
	struct evaluation *evaluation;
	struct verdict v;
	struct dns_question asked[LIMIT_DNS_QUESTIONS * 2];
	size_t asked_count, rounds;
};

/* Filters that these tests are not about are off. */
#define JUDGED_CONF \
	"filter \"headers\" { enabled = false } filter \"clamav\" { enabled = false } "

static inline void judge_answer(struct judged *j, struct facts *facts, struct facts_zone *zone,
	const struct needs *needs)
{
	for (size_t i = 0; i < needs->dns.n; i++) {
		assert_true(j->asked_count < sizeof(j->asked) / sizeof(j->asked[0]));
		struct dns_question *q = &j->asked[j->asked_count++];
		*q = needs->dns.v[i];
		q->name = arena_dup(j->arena, q->name);
		facts->dns.v = arena_grow(j->arena, facts->dns.v, facts->dns.n, facts->dns.n + 1,
			sizeof(*facts->dns.v));
		facts_zone_answer(zone, j->arena, q, &facts->dns.v[facts->dns.n++]);
	}
	j->rounds++;
}

static inline void judge_octets(struct judged *j, struct str json, struct str message, const char *conf)
{
	struct err err = { "" };
	struct facts facts;
	struct facts_zone *zone;
	struct needs needs;

	*j = (struct judged){ .process = arena_new(16 << 20), .arena = arena_new(16 << 20) };
	struct conf *c = conf_parse(str_c(conf), "test.conf", j->process);
	struct env env = { .state_dir = "", .hostname = "mx.example.net", .arena = j->process,
		.conf = c, .offline = true };
	struct engine *engine = engine_start(c, &env, &err);
	if (!engine || conf_errors(c)->n)
		fail_msg("engine: %s %s", err.text, conf_errors(c)->n ? conf_errors(c)->v[0] : "");
	if (facts_from_json(json, j->arena, &facts, &zone, &err) < 0)
		fail_msg("facts: %s in %.*s", err.text, STR_ARG(json));
	j->evaluation = evaluation_new(engine, message, NULL);
	while (!evaluate(j->evaluation, &facts, message.n ? STAGE_MESSAGE : STAGE_MAIL, &needs, &j->v)) {
		assert_int_equal(needs.scan, false);
		judge_answer(j, &facts, zone, &needs);
	}
}

static inline void judge(struct judged *j, const char *json, const char *message, const char *conf)
{
	judge_octets(j, str_c(json), str_c(message), conf);
}

static inline void judged_free(struct judged *j)
{
	evaluation_free(&j->evaluation);
	arena_free(&j->arena);
	arena_free(&j->process);
}

/* How often a question was asked for a name that ends like this. */
static inline size_t judged_asked(const struct judged *j, const char *suffix)
{
	size_t n = 0;

	for (size_t i = 0; i < j->asked_count; i++)
		n += str_iends(j->asked[i].name, suffix);
	return n;
}

#endif
