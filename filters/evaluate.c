#include "filters/evaluate.h"

#include <assert.h>
#include <ctype.h>

#include "core/limits.h"
#include "rules/template.h"
#include "rules/verdict.h"

#define MAX_FILTERS 64 /* sets of filters are bits of a uint64_t */

/* An enabled filter, in the order in which they run. */
struct runner {
	const struct filter *filter;
	size_t index; /* into filters[] */
	void *conf;
	struct filter_common common;
	uint64_t after; /* runners that must be done first, their own `after` included */
};

struct engine {
	struct arena *arena;
	const char *hostname;
	struct policy_set *policies;
	struct runner *runners;
	size_t count;
	const char *versions;
};

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
	struct slot *slots;
	struct auth auth;
	struct verdict verdict;
	struct needs needs;
};

/* ------------------------------------------------------------------ start */

static bool is_all(const struct filter *f)
{
	for (size_t i = 0; f->after && f->after[i]; i++)
		if (strcmp(f->after[i], "*") == 0)
			return true;
	return false;
}

/* Direct predecessors of filters[index], as bits of the registry. */
static int direct_after(size_t index, uint64_t *after_r, struct err *err)
{
	const struct filter *f = filters[index];
	uint64_t after = 0;

	for (size_t i = 0; f->after && f->after[i]; i++) {
		const char *name = f->after[i];
		size_t k = 0;

		if (strcmp(name, "*") == 0) {
			for (size_t j = 0; j < filter_count; j++)
				if (j != index && !is_all(filters[j]))
					after |= UINT64_C(1) << j;
			continue;
		}
		while (k < filter_count && strcmp(filters[k]->name, name) != 0)
			k++;
		if (k == filter_count)
			return err_set(err, "filter \"%s\" comes after \"%s\", which does not exist",
				f->name, name);
		after |= UINT64_C(1) << k;
	}
	*after_r = after;
	return 0;
}

/*
 * Fills order_r with all indexes of the registry, predecessors first, and after_r with the
 * transitive predecessors of each. Repeatedly takes the first filter that is ready, so that the
 * order of filters.def holds where `after` leaves it open.
 */
static int sort_filters(size_t order_r[MAX_FILTERS], uint64_t after_r[MAX_FILTERS], struct err *err)
{
	uint64_t placed = 0;

	for (size_t i = 0; i < filter_count; i++)
		if (direct_after(i, &after_r[i], err) < 0)
			return -1;
	for (size_t n = 0; n < filter_count; n++) {
		size_t i = 0;

		while (i < filter_count && (placed >> i & 1 || after_r[i] & ~placed))
			i++;
		if (i == filter_count) {
			for (i = 0; placed >> i & 1; i++)
				;
			return err_set(err, "filter \"%s\" waits for itself: a cycle in `after`",
				filters[i]->name);
		}
		for (size_t j = 0; j < filter_count; j++)
			if (after_r[i] >> j & 1)
				after_r[i] |= after_r[j];
		order_r[n] = i;
		placed |= UINT64_C(1) << i;
	}
	return 0;
}

static const struct conf_section *find_section(const struct conf *conf, const char *name)
{
	const struct conf_section *s = NULL;

	while ((s = conf_next(conf_root(conf), "filter", s)))
		if (strcmp(conf_title(s), name) == 0)
			return s;
	return NULL;
}

static void check_sections(struct conf *conf, struct arena *arena)
{
	const char **names = ARENA_ARRAY(arena, filter_count + 1, const char *);
	const struct conf_section *s = NULL;

	for (size_t i = 0; i < filter_count; i++)
		names[i] = filters[i]->name;
	while ((s = conf_next(conf_root(conf), "filter", s))) {
		const char *nearest;

		if (filter_find(conf_title(s)))
			continue;
		nearest = option_nearest(conf_title(s), names);
		conf_error(conf, s, NULL, "there is no filter \"%s\"%s%s%s", conf_title(s),
			nearest ? "; is \"" : "", nearest ? nearest : "",
			nearest ? "\" meant?" : "");
	}
}

static void check_subsections(struct conf *conf, struct arena *arena,
	const struct conf_section *section, const struct filter_section *allowed)
{
	const char **names;
	size_t n = 0;

	while (allowed && allowed[n].name)
		n++;
	names = ARENA_ARRAY(arena, n + 1, const char *);
	for (size_t i = 0; i < n; i++)
		names[i] = allowed[i].name;
	conf_allow(conf, section, names);
}

static void read_runner(struct conf *conf, struct engine *e, struct runner *r)
{
	static const struct option no_options[] = { OPTION_ROWS_END };
	const struct filter *f = r->filter;
	const struct conf_section *section = find_section(conf, f->name);
	struct option *common = ARENA_ARRAY(e->arena, FILTER_COMMON_ROWS, struct option);

	r->conf = arena_alloc(e->arena, f->conf_size ? f->conf_size : 1);
	filter_common_options(f, common);
	conf_read2(conf, section, common, &r->common, f->options ? f->options : no_options,
		r->conf);
	if (section)
		check_subsections(conf, e->arena, section, f->sections);
}

static void start_runner(struct conf *conf, const struct env *env, struct runner *r)
{
	const struct filter *f = r->filter;
	struct env own = *env;
	struct err err;

	own.section = find_section(conf, f->name);
	own.conf = conf;
	if (f->start && f->start(r->conf, &own, &err) < 0)
		conf_error(conf, own.section ? own.section : conf_root(conf), NULL,
			"filter \"%s\": %s", f->name, err.text);
}

static const char *list_versions(const struct engine *e)
{
	struct buf b = BUF_INIT;
	const char *text;

	for (size_t i = 0; i < e->count; i++) {
		const struct filter *f = e->runners[i].filter;
		const char *version = f->version ? f->version(e->runners[i].conf) : NULL;

		if (version)
			buf_printf(&b, "%s%s=%s", b.n ? " " : "", f->name, version);
	}
	text = arena_cstr(e->arena, buf_str(&b));
	buf_free(&b);
	return text;
}

/* Turns predecessors by registry index into predecessors by place among those that are enabled. */
static void renumber_after(struct engine *e)
{
	for (size_t i = 0; i < e->count; i++) {
		uint64_t by_index = e->runners[i].after;

		e->runners[i].after = 0;
		for (size_t j = 0; j < i; j++)
			if (by_index >> e->runners[j].index & 1)
				e->runners[i].after |= UINT64_C(1) << j;
	}
}

struct engine *engine_start(struct conf *conf, const struct env *env, struct err *err)
{
	struct arena *arena = env->arena;
	struct engine *e = ARENA_NEW(arena, struct engine);
	size_t order[MAX_FILTERS];
	uint64_t after[MAX_FILTERS];

	assert(filter_count <= MAX_FILTERS);
	e->arena = arena;
	e->hostname = env->hostname;
	e->runners = ARENA_ARRAY(arena, filter_count + 1, struct runner);
	if (sort_filters(order, after, err) < 0)
		return NULL;
	check_sections(conf, arena);
	e->policies = policy_set_read(conf, arena);
	for (size_t i = 0; i < filter_count; i++) {
		struct runner *r = &e->runners[e->count];

		*r = (struct runner){
			.filter = filters[order[i]], .index = order[i], .after = after[order[i]]
		};
		read_runner(conf, e, r);
		if (r->common.enabled)
			e->count++;
	}
	renumber_after(e);
	/* With errors in what was read so far, a start would only add their consequences. */
	for (size_t i = 0; i < e->count && !conf_errors(conf)->n; i++)
		start_runner(conf, env, &e->runners[i]);
	e->versions = conf_errors(conf)->n ? "" : list_versions(e);
	return e;
}

unsigned engine_stages(const struct engine *engine)
{
	unsigned stages = STAGE_MESSAGE;

	for (size_t i = 0; i < engine->count; i++)
		stages |= engine->runners[i].filter->stages;
	return stages;
}

const char *engine_versions(const struct engine *engine)
{
	return engine->versions;
}

void engine_list(struct buf *out)
{
	static const char *const stage_names[] = { "connect", "mail", "rcpt", "message" };

	for (size_t i = 0; i < filter_count; i++) {
		const struct filter *f = filters[i];
		unsigned stages = f->stages | STAGE_MESSAGE;
		struct buf b = BUF_INIT;

		for (unsigned k = 0; k < 4; k++)
			if (stages >> k & 1)
				buf_printf(&b, "%s%s", b.n ? "," : "", stage_names[k]);
		buf_printf(out, "%-10s %-26.*s %-4s %s\n", f->name, STR_ARG(buf_str(&b)),
			f->disabled_by_default ? "off" : "on", f->summary);
		buf_free(&b);
	}
}

/* ---------------------------------------------------------------- running */

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
	struct buf name = BUF_INIT;

	for (const char *c = f->name; *c; c++)
		buf_char(&name, (char)toupper((unsigned char)*c));
	buf_c(&name, "_FAILED");
	one.v->name = arena_dup(ev->arena, buf_str(&name));
	buf_free(&name);
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

/* Runs what can run; true if anything waits. */
static bool run_slots(struct evaluation *ev)
{
	uint64_t done = 0;
	bool waiting = false;

	for (size_t i = 0; i < ev->engine->count; i++) {
		const struct runner *r = &ev->engine->runners[i];
		struct slot *slot = &ev->slots[i];

		if (!slot->done && ev->stage != STAGE_MESSAGE && !(r->filter->stages & ev->stage))
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
	size_t all, auth;
};

/* Counts q unless its like was counted already. Returns false when it is one too many. */
static bool count_question(struct question_count *count, const struct question *q, bool auth)
{
	for (size_t i = 0; i < count->all; i++)
		if (count->seen[i]->hash == q->hash && count->seen[i]->type == q->type &&
			dns_name_eq(count->seen[i]->name, q->name))
			return true;
	if (count->all >= LIMIT_DNS_QUESTIONS || (auth && count->auth >= LIMIT_AUTH_DNS_QUESTIONS))
		return false;
	count->seen[count->all++] = q;
	count->auth += auth;
	return true;
}

/*
 * Those that are answered are counted first, then the others in the order of the filters: so
 * recorded facts, where what was refused is as absent as what was never asked, come to the same
 * refusals when they are evaluated again.
 */
static bool refuse_questions(struct evaluation *ev)
{
	struct question_count count = { .all = 0 };
	bool refused = false;

	for (int answered = 1; answered >= 0; answered--) {
		for (size_t i = 0; i < ev->engine->count; i++) {
			struct question_list *asked = &ev->slots[i].asked;
			bool auth = ev->engine->runners[i].filter->authenticates;

			for (size_t k = 0; k < asked->n; k++) {
				struct question *q = &asked->v[k];

				if (q->answered != answered || q->refused ||
					count_question(&count, q, auth) || answered)
					continue;
				q->refused = refused = true;
			}
		}
	}
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
		if (headers.n + slot->headers.n <= LIMIT_ADDED_HEADER_BYTES / 2)
			buf_str_add(&headers, buf_str(&slot->headers));
		if (slot->failure.filter.n && slot->failure.action != ACTION_FORWARD)
			failures[(*failure_count_r)++] = slot->failure;
	}
	v->auth = ev->auth;
	v->headers = arena_dup(ev->arena, buf_str(&headers));
	buf_free(&headers);
}

static void finish(struct evaluation *ev, struct verdict *verdict_r)
{
	struct filter_failure failures[MAX_FILTERS + 1];
	struct verdict_input in = {
		.facts = &ev->facts,
		.stage = ev->stage,
		.policies = ev->engine->policies,
		.failures = failures,
		.hostname = ev->engine->hostname,
		.mail = ev->mail,
	};

	collect(ev, failures, &in.failure_count);
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

	if (stage != ev->stage)
		forget_results(ev);
	ev->stage = stage;
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
	return 1;
}
