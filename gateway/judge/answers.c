/* What the front has answered by resolver, scanner and keeper, answered here without any of them. */
#include "gateway/judge/judge.h"

#include <time.h>

#include "core/limits.h"

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Facts outlive the evaluation's memory, in which the questions lie. */
static struct dns_question *copy_questions(const struct answers *answers, const struct needs *needs)
{
	struct dns_question *q = ARENA_ARRAY(answers->arena, needs->dns.n, struct dns_question);

	for (size_t i = 0; i < needs->dns.n; i++) {
		q[i] = needs->dns.v[i];
		q[i].name = arena_dup(answers->arena, q[i].name);
	}
	return q;
}

static void add_dns(const struct answers *answers, const struct needs *needs, struct facts *facts)
{
	struct dns_question *q = copy_questions(answers, needs);
	size_t n = facts->dns.n, more = needs->dns.n;
	int64_t begin;

	facts->dns.v = arena_grow(answers->arena, facts->dns.v, n, n + more, sizeof(*facts->dns.v));
	if (answers->zone) {
		for (size_t i = 0; i < more; i++)
			facts_zone_answer(answers->zone, answers->arena, &q[i], &facts->dns.v[n + i]);
	} else {
		const struct dns_steps steps = { needs->steps, needs->reserved_steps };

		begin = now_ms();
		memcpy(facts->dns.v + n,
			resolve_wait(answers->resolve, q, more, &steps, answers->arena),
			more * sizeof(*facts->dns.v));
		facts->waited_ms += now_ms() - begin;
	}
	facts->dns.n = n + more;
}

/* EICAR's test file, put together here so that no scanner takes this program for it. */
static struct str eicar(struct arena *arena)
{
	return arena_printf(arena, "%s%s%s", "X5O!P%@AP[4\\PZX54(P^)7CC)7}$",
		"EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE!$H+H*");
}

static bool has_eicar(const struct answers *answers)
{
	struct str needle = eicar(answers->arena);
	struct mail *mail;

	if (str_find(answers->message, needle) < answers->message.n)
		return true;
	mail = mail_parse(answers->arena, answers->message);
	for (size_t i = 0; i < mail->parts.n; i++) {
		struct str content = mail_part_decoded(mail, &mail->parts.v[i]);

		if (str_find(content, needle) < content.n)
			return true;
	}
	return false;
}

static void add_scan(const struct answers *answers, struct facts *facts)
{
	struct facts_scan *scan = ARENA_NEW(answers->arena, struct facts_scan);

	if (answers->scan) {
		*scan = *answers->scan;
		facts->scan = scan;
		return;
	}
	scan->result = has_eicar(answers) ? SCAN_VIRUS : SCAN_CLEAN;
	scan->database = STR("built-in");
	if (scan->result == SCAN_VIRUS) {
		scan->names.v = ARENA_NEW(answers->arena, struct str);
		scan->names.v[0] = STR("Eicar-Test-Signature");
		scan->names.n = 1;
	}
	facts->scan = scan;
}

static void add_counters(const struct answers *answers, const struct needs *needs,
	struct facts *facts)
{
	size_t n = facts->counters.n;

	facts->counters.v = arena_grow(answers->arena, facts->counters.v, n, n + needs->counters.n,
		sizeof(*facts->counters.v));
	for (size_t i = 0; i < needs->counters.n; i++)
		facts->counters.v[n + i] = (struct facts_counter){
			.key = arena_dup(answers->arena, needs->counters.v[i].key),
			.value = needs->counters.v[i].add,
		};
	facts->counters.n = n + needs->counters.n;
}

void answers_add(const struct answers *answers, const struct needs *needs, struct facts *facts)
{
	if (needs->dns.n)
		add_dns(answers, needs, facts);
	if (needs->scan && !facts->scan)
		add_scan(answers, facts);
	if (needs->counters.n)
		add_counters(answers, needs, facts);
}

void judge_evaluate(struct engine *engine, const struct answers *answers, struct facts *facts,
	bool is_message, struct evaluation **ev_r, struct verdict *verdict_r)
{
	unsigned stage = is_message ? STAGE_MESSAGE : STAGE_CONNECT | STAGE_MAIL | STAGE_RCPT;
	struct needs needs;

	*ev_r = evaluation_new(engine, answers->message, NULL);
	for (unsigned rounds = 1; !evaluate(*ev_r, facts, stage, &needs, verdict_r); rounds++) {
		/* Filters' own limits end this long before; what does not end has waited too long. */
		if (rounds == LIMIT_ROUNDS)
			facts->waited_ms = INT32_MAX;
		answers_add(answers, &needs, facts);
	}
}
