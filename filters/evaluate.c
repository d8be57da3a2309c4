#include "filters/engine.h"

#include <assert.h>

#include "core/limits.h"
#include "filters/rules.h"
#include "rules/template.h"
#include "rules/verdict.h"

/* One filter's part of an evaluation. */
struct slot {
	bool done;
	struct finding_list findings;
	struct question_list asked;
	struct buf headers;
	void *state;
	struct filter_failure failure; /* filter.n 0: none */
};

struct evaluation {
	struct engine *engine;
	struct str message;
	volatile uint32_t *running;
	struct arena *arena;
	struct mail *mail;
	struct facts facts; /* our own copy: what filters keep may point into it */
	unsigned stage;	    /* bits of enum stage; 0: nothing has run */
	bool finished;	    /* a verdict was given: what comes next is another question */
	struct slot *slots;
	struct auth auth;
	struct verdict verdict;
	struct needs needs;
};

struct evaluation *evaluation_new(struct engine *engine, struct str message,
	volatile uint32_t *running)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct evaluation *ev = ARENA_NEW(arena, struct evaluation);

	ev->engine = engine;
	ev->message = message;
	ev->running = running;
	ev->arena = arena;
	ev->slots = ARENA_ARRAY(arena, engine->count + 1, struct slot);
	return ev;
}

static void forget_results(struct evaluation *ev)
{
	for (size_t i = 0; i < ev->engine->count; i++) {
		buf_free(&ev->slots[i].headers);
		ev->slots[i] = (struct slot){ 0 };
	}
	ev->auth = (struct auth){ 0 };
	ev->verdict = (struct verdict){ 0 };
}

void evaluation_free(struct evaluation **ev)
{
	struct arena *arena;

	if (!*ev)
		return;
	forget_results(*ev);
	arena = (*ev)->arena;
	*ev = NULL;
	arena_free(&arena);
}

static double administrators_score(const void *context, struct str finding, double def)
{
	return policy_score(context, finding, def);
}

static void append_findings(struct arena *arena, struct finding_list *list,
	const struct finding_list *more)
{
	size_t room = LIMIT_FINDINGS - list->n;
	size_t n = more->n < room ? more->n : room;

	if (!n)
		return;
	list->v = arena_grow(arena, list->v, list->n, list->n + n, sizeof(*list->v));
	memcpy(list->v + list->n, more->v, n * sizeof(*list->v));
	list->n += n;
}

/* A finding of the runner's own, outside any filter's table. */
static void add_failure_finding(struct evaluation *ev, struct slot *slot, const struct filter *f)
{
	struct finding_list one = { ARENA_NEW(ev->arena, struct finding), 1 };

	one.v->name = engine_failure_name(f, ev->arena);
	one.v->score = policy_score(ev->engine->policies, one.v->name, 0);
	one.v->filter = str_c(f->name);
	one.v->stage = ev->stage;
	one.v->text = arena_printf(ev->arena, "The filter %s could not judge: %.*s", f->name,
		STR_ARG(slot->failure.reason));
	append_findings(ev->arena, &slot->findings, &one);
}

static void fail_slot(struct evaluation *ev, size_t i, struct str reason)
{
	static const int actions[] = {
		[ON_ERROR_IGNORE] = ACTION_FORWARD,
		[ON_ERROR_TEMPFAIL] = ACTION_TEMPFAIL,
		[ON_ERROR_QUARANTINE] = ACTION_QUARANTINE,
	};
	const struct runner *r = &ev->engine->runners[i];
	struct slot *slot = &ev->slots[i];

	slot->done = true;
	slot->findings = (struct finding_list){ 0 };
	buf_clear(&slot->headers);
	slot->failure.filter = str_c(r->filter->name);
	slot->failure.reason = reason.n ? reason : STR("it gave no reason");
	slot->failure.action = actions[r->common.on_error];
	add_failure_finding(ev, slot, r->filter);
}

static bool is_left_out(const struct facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->without.n; i++)
		if (str_eq_c(facts->without.v[i], name))
			return true;
	return false;
}

/* Of several stages at once, a filter sees the last one that it takes part in. */
static enum stage stage_for(unsigned stages, const struct filter *f)
{
	unsigned own = stages & (f->stages | STAGE_MESSAGE);
	unsigned stage = STAGE_MESSAGE;

	while (stage > STAGE_CONNECT && !(own & stage))
		stage >>= 1;
	return stage;
}

static void prepare_call(struct evaluation *ev, size_t i, struct filter_call *call,
	struct finding_list *earlier)
{
	const struct runner *r = &ev->engine->runners[i];
	struct slot *slot = &ev->slots[i];

	for (size_t j = 0; j < i; j++)
		if (r->after >> j & 1)
			append_findings(ev->arena, earlier, &ev->slots[j].findings);
	if (!slot->state)
		slot->state = arena_alloc(ev->arena, r->filter->state_size ? r->filter->state_size : 1);
	slot->findings = (struct finding_list){ 0 };
	buf_clear(&slot->headers);
	*call = (struct filter_call){
		.facts = &ev->facts,
		.stage = stage_for(ev->stage, r->filter),
		.mail = ev->mail,
		.conf = r->conf,
		.state = slot->state,
		.arena = ev->arena,
		.auth = &ev->auth,
		.filter = r->filter,
		.findings = &slot->findings,
		.earlier = earlier,
		.needs = &ev->needs,
		.verdict = &ev->verdict,
		.asked = &slot->asked,
		.headers = &slot->headers,
		.remaining_ms = r->common.timeout - ev->facts.waited_ms,
		.score = administrators_score,
		.score_context = ev->engine->policies,
	};
}

static void run_slot(struct evaluation *ev, size_t i)
{
	const struct runner *r = &ev->engine->runners[i];
	struct finding_list earlier = { 0 };
	struct needs before = ev->needs;
	struct filter_call call;
	enum step step;

	prepare_call(ev, i, &call, &earlier);
	if (ev->running)
		*ev->running = (uint32_t)r->index + 1;
	step = r->filter->run(&call);
	if (ev->running)
		*ev->running = 0;

	if (step == STEP_WAIT && call.remaining_ms > 0)
		return;
	/* Nobody waits any more for what this filter alone has asked for. */
	ev->needs = before;
	if (step == STEP_DONE)
		ev->slots[i].done = true;
	else if (step == STEP_WAIT)
		fail_slot(ev, i, arena_printf(ev->arena, "it timed out after %lld ms of waiting",
			(long long)r->common.timeout));
	else
		fail_slot(ev, i, call.fail_reason);
}

static bool takes_part(const struct evaluation *ev, const struct filter *f)
{
	return engine_looks_at(f, facts_traffic(&ev->facts)) &&
	       (ev->stage == STAGE_MESSAGE || (f->stages & ev->stage));
}

/* Runs what can run; true if anything waits. */
static bool run_slots(struct evaluation *ev)
{
	uint64_t done = 0;
	bool waiting = false;

	for (size_t i = 0; i < ev->engine->count; i++) {
		const struct runner *r = &ev->engine->runners[i];
		struct slot *slot = &ev->slots[i];

		if (!slot->done && !takes_part(ev, r->filter))
			slot->done = true;
		if (!slot->done && is_left_out(&ev->facts, r->filter->name))
			fail_slot(ev, i, STR("it came to an abnormal end on this message"));
		if (!slot->done && !(r->after & ~done))
			run_slot(ev, i);
		if (slot->done)
			done |= UINT64_C(1) << i;
		else
			waiting = true;
	}
	return waiting;
}

/* ------------------------------------------------------- limits of questions */

struct question_count {
	const struct question *seen[LIMIT_DNS_QUESTIONS + 1];
	size_t all;
	int64_t auth;	 /* with alias steps */
	int64_t reserve; /* what is left of DMARC's */
};

static int64_t left_for(const struct question_count *count, const struct filter *f)
{
	int64_t left = LIMIT_AUTH_DNS_QUESTIONS - count->auth;

	if (!f->has_reserve)
		left -= count->reserve;
	return left > 0 ? left : 0;
}

/* Counts q unless its like was counted already. Returns false when it is one too many. */
static bool count_question(struct question_count *count, const struct question *q,
	const struct filter *f)
{
	for (size_t i = 0; i < count->all; i++)
		if (count->seen[i]->hash == q->hash && count->seen[i]->type == q->type &&
			dns_name_eq(count->seen[i]->name, q->name))
			return true;
	if (count->all >= LIMIT_DNS_QUESTIONS || (f->authenticates && !left_for(count, f)))
		return false;
	count->seen[count->all++] = q;
	if (f->authenticates)
		count->auth += 1 + q->steps;
	if (f->has_reserve)
		count->reserve -= count->reserve > q->steps ? 1 + q->steps : count->reserve;
	return true;
}

/*
 * Those that are answered are counted first, then the others in the order of the filters: so
 * recorded facts, where what was refused is as absent as what was never asked, come to the same
 * refusals when they are evaluated again.
 */
static bool refuse_questions(struct evaluation *ev)
{
	struct question_count count = { .reserve = LIMIT_DMARC_DNS_QUESTIONS };
	bool refused = false;

	for (int answered = 1; answered >= 0; answered--) {
		for (size_t i = 0; i < ev->engine->count; i++) {
			struct question_list *asked = &ev->slots[i].asked;
			const struct filter *f = ev->engine->runners[i].filter;

			for (size_t k = 0; k < asked->n; k++) {
				struct question *q = &asked->v[k];

				if (q->answered != answered || q->refused ||
					count_question(&count, q, f) || answered)
					continue;
				q->refused = refused = true;
			}
		}
	}
	ev->needs.reserved_steps = count.reserve < LIMIT_AUTH_DNS_QUESTIONS - count.auth ?
		count.reserve : LIMIT_AUTH_DNS_QUESTIONS - count.auth;
	if (ev->needs.reserved_steps < 0)
		ev->needs.reserved_steps = 0;
	ev->needs.steps = LIMIT_AUTH_DNS_QUESTIONS - count.auth - count.reserve;
	return refused;
}

static void fail_waiting(struct evaluation *ev, struct str reason)
{
	for (size_t i = 0; i < ev->engine->count; i++)
		if (!ev->slots[i].done)
			fail_slot(ev, i, reason);
}

/* ---------------------------------------------------------------- verdict */

static void collect(struct evaluation *ev, struct filter_failure *failures, size_t *failure_count_r)
{
	struct verdict *v = &ev->verdict;
	struct buf headers = BUF_INIT;

	*failure_count_r = 0;
	v->findings = (struct finding_list){ 0 };
	for (size_t i = 0; i < ev->engine->count; i++) {
		struct slot *slot = &ev->slots[i];

		append_findings(ev->arena, &v->findings, &slot->findings);
		if (headers.n + slot->headers.n <= LIMIT_FILTER_HEADER_BYTES)
			buf_str_add(&headers, buf_str(&slot->headers));
		if (slot->failure.filter.n && slot->failure.action != ACTION_FORWARD)
			failures[(*failure_count_r)++] = slot->failure;
	}
	v->auth = ev->auth;
	v->headers = arena_dup(ev->arena, buf_str(&headers));
	buf_free(&headers);
}

/* Metas look at what all filters found, BAYES ranges too, so they come last. */
static void add_metas(struct evaluation *ev)
{
	for (size_t i = 0; i < ev->engine->count; i++) {
		const struct runner *r = &ev->engine->runners[i];
		const struct slot *slot = &ev->slots[i];

		if (strcmp(r->filter->name, "rules") == 0)
			rules_metas(r->conf, slot->failure.filter.n ? NULL : slot->state,
				&ev->verdict.findings, ev->arena, administrators_score,
				ev->engine->policies);
	}
}

static void finish(struct evaluation *ev, struct verdict *verdict_r)
{
	struct filter_failure failures[ENGINE_MAX_FILTERS + 1];
	struct verdict_input in = {
		.facts = &ev->facts,
		.stage = ev->stage,
		.policies = ev->engine->policies,
		.failures = failures,
		.hostname = ev->engine->hostname,
		.mail = ev->mail,
	};

	collect(ev, failures, &in.failure_count);
	if (ev->stage == STAGE_MESSAGE)
		add_metas(ev);
	if (arena_is_over(ev->arena))
		failures[in.failure_count++] = (struct filter_failure){
			STR("evaluation"), STR("taking the message apart needs too much memory"),
			ACTION_QUARANTINE
		};
	verdict_decide(&in, ev->arena, &ev->verdict);
	verdict_headers(&in, ev->arena, &ev->verdict);
	if (ev->stage == STAGE_MESSAGE)
		template_fill(&in, ev->arena, &ev->verdict);
	*verdict_r = ev->verdict;
}

int evaluate(struct evaluation *ev, const struct facts *facts, unsigned stage,
	struct needs *needs_r, struct verdict *verdict_r)
{
	bool waiting;
	unsigned passes = 0;

	if (stage != ev->stage || ev->finished)
		forget_results(ev);
	ev->stage = stage;
	ev->finished = false;
	record_copy(&facts_record, facts, ev->arena, &ev->facts);
	if (stage == STAGE_MESSAGE && !ev->mail)
		ev->mail = mail_parse(ev->arena, ev->message);
	do {
		if (passes++ == LIMIT_ROUNDS)
			fail_waiting(ev, STR("it asks too many DNS questions"));
		ev->needs = (struct needs){ 0 };
		waiting = run_slots(ev);
	} while (waiting && refuse_questions(ev));
	if (waiting) {
		/* A filter that waits without having asked would wait for ever. */
		assert(ev->needs.dns.n || ev->needs.scan || ev->needs.counters.n);
		*needs_r = ev->needs;
		return 0;
	}
	finish(ev, verdict_r);
	ev->finished = true;
	return 1;
}

void evaluation_explain(struct evaluation *ev)
{
	assert(ev->finished);
	for (size_t i = 0; i < ev->engine->count; i++) {
		const struct runner *r = &ev->engine->runners[i];
		const struct slot *slot = &ev->slots[i];
		struct filter_call call = {
			.facts = &ev->facts,
			.stage = stage_for(ev->stage, r->filter),
			.mail = ev->mail,
			.conf = r->conf,
			.state = slot->state,
			.arena = ev->arena,
			.auth = &ev->auth,
			.filter = r->filter,
			.verdict = &ev->verdict,
		};

		if (!r->filter->explain || !slot->state || slot->failure.filter.n)
			continue;
		if (ev->running)
			*ev->running = (uint32_t)r->index + 1;
		r->filter->explain(&call);
		if (ev->running)
			*ev->running = 0;
	}
}
