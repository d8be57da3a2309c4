/* The runner, on filters of its own: this program has another registry than the gateway. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/limits.h"
#include "filters/evaluate.h"

static volatile uint32_t running;
static uint32_t running_seen;
static unsigned runs;

/* asks two questions in two rounds, then reports */
static enum step run_chain(struct filter_call *call)
{
	const struct dns_answer *a;

	runs++;
	running_seen = running;
	report(call, "CHAIN_BEGUN", NULL);
	propose_header(call, "X-Chain", STR("yes"));
	if (!ask_dns(call, DNS_TXT, STR("one.example"), &a))
		return STEP_WAIT;
	if (!ask_dns(call, DNS_TXT, STR("two.example"), &a))
		return STEP_WAIT;
	if (a->rcode == DNS_TIMEOUT)
		report(call, "CHAIN_LATE", "two was \x1b[31mlate");
	return STEP_DONE;
}

/* comes after chain, and needs a scan and a counter */
static enum step run_reader(struct filter_call *call)
{
	const struct facts_scan *scan;
	int64_t count;
	int known = ask_scan(call, &scan);

	if (!ask_counter(call, STR("k"), 2, 60, &count) || !known)
		return STEP_WAIT;
	if (reported(call, "CHAIN_BEGUN"))
		report_score(call, "READER_SAW", (double)count, "a chain of %d", 1);
	report_named(call, STR("READER_NAMED"), 0.5, ACTION_FORWARD, "named");
	return STEP_DONE;
}

static enum step run_failing(struct filter_call *call)
{
	report(call, "FAILING_FORGOTTEN", NULL);
	return filter_fail(call, "no %s", "luck");
}

/* asks for ever new names, as many as its conf says */
struct greedy_conf {
	int64_t count;
};
static enum step run_greedy(struct filter_call *call)
{
	const struct greedy_conf *conf = call->conf;
	const struct dns_answer *a;
	size_t timeouts = 0;
	bool wait = false;

	for (int64_t i = 0; i < conf->count; i++) {
		struct str name = arena_printf(call->arena, "n%d.%s.example", (int)i,
			call->filter->name);

		if (!ask_dns(call, DNS_A, name, &a))
			wait = true;
		else if (a->rcode == DNS_TIMEOUT)
			timeouts++;
	}
	if (wait)
		return STEP_WAIT;
	report_score(call, "GREEDY_TIMEOUTS", (double)timeouts, NULL);
	return STEP_DONE;
}

/* … one after the other */
static enum step run_patient(struct filter_call *call)
{
	const struct greedy_conf *conf = call->conf;
	const struct dns_answer *a;

	for (int64_t i = 0; i < conf->count; i++)
		if (!ask_dns(call, DNS_A, arena_printf(call->arena, "n%d.example", (int)i), &a))
			return STEP_WAIT;
	return STEP_DONE;
}

static enum step run_star(struct filter_call *call)
{
	report_score(call, "STAR_SAW", (double)call->earlier->n, NULL);
	*(size_t *)call->state = call->earlier->n;
	return STEP_DONE;
}

static unsigned explained;
static size_t explained_state;
static void explain_star(struct filter_call *call)
{
	explained++;
	explained_state = *(size_t *)call->state;
}

static void explain_failing(struct filter_call *call)
{
	fail_msg("%s is asked why, and had failed", call->filter->name);
}

static enum step run_early(struct filter_call *call)
{
	report(call, "EARLY_REFUSED", "no mail from %.*s", STR_ARG(call->facts->client_ip));
	return STEP_DONE;
}

static const struct finding_def chain_findings[] = {
	{ "CHAIN_BEGUN", 1, "A chain has begun.", 0 }, { "CHAIN_LATE", 2, "late", 0 }, { NULL }
};
static const struct finding_def reader_findings[] = { { "READER_SAW", 1, "saw", 0 }, { NULL } };
static const struct finding_def failing_findings[] = { { "FAILING_FORGOTTEN", 9, "x", 0 }, { NULL } };
static const struct finding_def greedy_findings[] = { { "GREEDY_TIMEOUTS", 0, "x", 0 }, { NULL } };
static const struct finding_def star_findings[] = { { "STAR_SAW", 0, "x", 0 }, { NULL } };
static const struct finding_def early_findings[] = {
	{ "EARLY_REFUSED", 0, "x", ACTION_REJECT }, { NULL }
};
static const char *const after_chain[] = { "chain", NULL };
static const char *const after_all[] = { "*", NULL };
static const struct option greedy_options[] = {
	{ .name = "count", .type = OPTION_INT, .offset = offsetof(struct greedy_conf, count),
		.def = "10", .min = 0, .max = 1000, .help = "x" },
	OPTION_ROWS_END,
};

#define OFF .summary = "x", .disabled_by_default = true
static const struct filter star = { .name = "star", OFF, .after = after_all,
	.findings = star_findings, .state_size = sizeof(size_t), .run = run_star,
	.explain = explain_star };
static const struct filter reader = { .name = "reader", OFF, .after = after_chain,
	.findings = reader_findings, .run = run_reader };
static const struct filter chain = { .name = "chain", OFF, .findings = chain_findings,
	.default_timeout = "5s", .run = run_chain };
static const struct filter failing = { .name = "failing", OFF, .findings = failing_findings,
	.run = run_failing, .explain = explain_failing };
static const struct filter greedy = { .name = "greedy", OFF, .findings = greedy_findings,
	.options = greedy_options, .conf_size = sizeof(struct greedy_conf), .authenticates = true,
	.run = run_greedy };
static const struct filter greedy2 = { .name = "greedy2", OFF, .findings = greedy_findings,
	.options = greedy_options, .conf_size = sizeof(struct greedy_conf), .run = run_greedy };
static const struct filter patient = { .name = "patient", OFF, .options = greedy_options,
	.conf_size = sizeof(struct greedy_conf), .authenticates = true, .run = run_patient };
static const struct filter early = { .name = "early", OFF, .stages = STAGE_CONNECT,
	.findings = early_findings, .run = run_early };

/* Those that others come after stand behind them, so that the order is really made. */
const struct filter *const filters[] = {
	&star, &reader, &chain, &failing, &greedy, &greedy2, &early, &patient, NULL
};
const size_t filter_count = 8;

const struct filter *filter_find(const char *name)
{
	for (size_t i = 0; i < filter_count; i++)
		if (strcmp(filters[i]->name, name) == 0)
			return filters[i];
	return NULL;
}

/* ------------------------------------------------------------------ helpers */

struct bench {
	struct arena *arena;
	struct conf *conf;
	struct engine *engine;
	struct evaluation *ev;
	struct facts facts;
	struct needs needs;
	struct verdict verdict;
	unsigned rounds;
	size_t questions;
};

static void begin(struct bench *b, const char *text)
{
	struct err err;

	*b = (struct bench){ .arena = arena_new(SIZE_MAX) };
	b->conf = conf_parse(str_c(text), "test", b->arena);
	struct env env = { .arena = b->arena, .hostname = "mx.example.net", .state_dir = "",
		.conf = b->conf };
	b->engine = engine_start(b->conf, &env, &err);
	assert_non_null(b->engine);
	assert_int_equal(conf_errors(b->conf)->n, 0);
	b->ev = evaluation_new(b->engine, STR("From: a@example.org\r\n\r\nhello\r\n"), &running);
}

static void end(struct bench *b)
{
	evaluation_free(&b->ev);
	engine_stop(&b->engine);
	arena_free(&b->arena);
}

static int step(struct bench *b, unsigned stage)
{
	b->rounds++;
	return evaluate(b->ev, &b->facts, stage, &b->needs, &b->verdict);
}

static void answer(struct bench *b, int rcode)
{
	size_t n = b->facts.dns.n;

	b->facts.dns.v = arena_grow(b->arena, b->facts.dns.v, n, n + b->needs.dns.n,
		sizeof(*b->facts.dns.v));
	for (size_t i = 0; i < b->needs.dns.n; i++)
		b->facts.dns.v[n + i] = (struct dns_answer){
			.type = b->needs.dns.v[i].type, .rcode = rcode,
			.name = arena_dup(b->arena, b->needs.dns.v[i].name),
		};
	b->facts.dns.n = n + b->needs.dns.n;
	b->questions += b->needs.dns.n;
}

static const struct finding *find(const struct verdict *v, const char *name)
{
	for (size_t i = 0; i < v->findings.n; i++)
		if (str_eq_c(v->findings.v[i].name, name))
			return &v->findings.v[i];
	return NULL;
}

static void to_the_end(struct bench *b, int rcode)
{
	while (!step(b, STAGE_MESSAGE)) {
		assert_true(b->rounds < 20);
		answer(b, rcode);
	}
}

/* -------------------------------------------------------------------- tests */

static void test_rounds(void **state)
{
	struct bench b;
	const struct finding *f;

	begin(&b, "filter \"chain\" { enabled = true } filter \"reader\" { enabled = true }");
	runs = 0;
	assert_int_equal(step(&b, STAGE_MESSAGE), 0);
	assert_int_equal(running_seen, 3); /* its place in the registry, from one */
	assert_int_equal(running, 0);
	assert_int_equal(b.needs.dns.n, 1);
	assert_int_equal(b.needs.dns.v[0].timeout_ms, 5000);
	assert_false(b.needs.scan); /* reader waits for chain */
	answer(&b, DNS_NXDOMAIN);
	b.facts.waited_ms = 1500;
	assert_int_equal(step(&b, STAGE_MESSAGE), 0);
	assert_int_equal(b.needs.dns.n, 1);
	assert_int_equal(b.needs.dns.v[0].timeout_ms, 3500);
	answer(&b, DNS_TIMEOUT);
	assert_int_equal(step(&b, STAGE_MESSAGE), 0);
	assert_int_equal(b.needs.dns.n, 0);
	assert_true(b.needs.scan);
	assert_int_equal(b.needs.counters.n, 1);
	assert_int_equal(b.needs.counters.v[0].add, 2);

	struct facts_scan scan = { .result = SCAN_CLEAN };
	struct facts_counter counter = { STR("k"), 4 };
	b.facts.scan = &scan;
	b.facts.counters.v = &counter;
	b.facts.counters.n = 1;
	assert_int_equal(step(&b, STAGE_MESSAGE), 1);
	assert_int_equal(runs, 3); /* what is done is not run again */
	assert_int_equal(b.verdict.findings.n, 4);
	f = find(&b.verdict, "CHAIN_LATE");
	assert_non_null(f);
	assert_true(str_chr(f->text, '\x1b') == f->text.n);
	assert_true(find(&b.verdict, "READER_SAW")->score == 4);
	assert_int_equal(find(&b.verdict, "READER_SAW")->stage, STAGE_MESSAGE);
	assert_true(b.verdict.score == 7.5);
	assert_true(str_find(b.verdict.headers, STR("X-Chain: yes\r\n")) < b.verdict.headers.n);
	end(&b);
}

/* A fresh evaluation of the same facts comes to the same verdict, whatever was kept on the way. */
static void test_pure(void **state)
{
	struct bench b;
	struct buf first = BUF_INIT, second = BUF_INIT;

	begin(&b, "filter \"chain\" { enabled = true } filter \"star\" { enabled = true } "
		"filter \"greedy\" { enabled = true count = 60 }");
	to_the_end(&b, DNS_NXDOMAIN);
	verdict_to_json(&b.verdict, &first);
	evaluation_free(&b.ev);
	b.ev = evaluation_new(b.engine, STR("From: a@example.org\r\n\r\nhello\r\n"), NULL);
	assert_int_equal(step(&b, STAGE_MESSAGE), 1);
	verdict_to_json(&b.verdict, &second);
	assert_true(str_eq(buf_str(&first), buf_str(&second)));
	buf_free(&first);
	buf_free(&second);
	end(&b);
}

/* A filter is asked why behind the verdict alone, when it ran, with what its run() kept. */
static void test_explain(void **state)
{
	struct bench b;

	begin(&b, "filter \"chain\" { enabled = true } filter \"star\" { enabled = true } "
		"filter \"failing\" { enabled = true }");
	explained = 0;
	to_the_end(&b, DNS_TIMEOUT);
	assert_int_equal(explained, 0);
	evaluation_explain(b.ev);
	assert_int_equal(explained, 1);
	assert_true((double)explained_state == find(&b.verdict, "STAR_SAW")->score);
	assert_true(explained_state > 0);
	end(&b);
	begin(&b, "filter \"chain\" { enabled = true }");
	to_the_end(&b, DNS_TIMEOUT);
	evaluation_explain(b.ev);
	assert_int_equal(explained, 1);
	end(&b);
}

/* Recorded facts, as JSON, come to the same verdict: time-outs, refusals and counters included. */
static void test_replay(void **state)
{
	static const char conf[] = "filter \"chain\" { enabled = true } filter \"star\" { enabled = true } "
		"filter \"reader\" { enabled = true } filter \"greedy\" { enabled = true count = 60 }";
	struct facts_scan scan = { .result = SCAN_CLEAN };
	struct facts_counter counter = { STR("k"), 4 };
	struct buf json = BUF_INIT, first = BUF_INIT, second = BUF_INIT;
	struct facts_zone *zone;
	struct bench b, again;
	struct err err;

	begin(&b, conf);
	b.facts.now = 1763640000;
	b.facts.scan = &scan;
	b.facts.counters.v = &counter;
	b.facts.counters.n = 1;
	to_the_end(&b, DNS_TIMEOUT);
	assert_non_null(find(&b.verdict, "CHAIN_LATE"));
	facts_to_json(&b.facts, &json);
	verdict_to_json(&b.verdict, &first);

	begin(&again, conf);
	if (facts_from_json(buf_str(&json), again.arena, &again.facts, &zone, &err) < 0)
		fail_msg("%s", err.text);
	while (!step(&again, STAGE_MESSAGE)) {
		size_t n = again.facts.dns.n;

		assert_true(again.rounds < 20);
		again.facts.dns.v = arena_grow(again.arena, again.facts.dns.v, n,
			n + again.needs.dns.n, sizeof(*again.facts.dns.v));
		for (size_t i = 0; i < again.needs.dns.n; i++)
			facts_zone_answer(zone, again.arena, &again.needs.dns.v[i],
				&again.facts.dns.v[n + i]);
		again.facts.dns.n += again.needs.dns.n;
	}
	assert_int_equal(again.facts.dns.n, b.facts.dns.n);
	verdict_to_json(&again.verdict, &second);
	assert_true(str_eq(buf_str(&first), buf_str(&second)));
	buf_free(&json);
	buf_free(&first);
	buf_free(&second);
	end(&b);
	end(&again);
}

/* DMARC's share is not for others. */
enum { ORDINARY_QUESTIONS = LIMIT_AUTH_DNS_QUESTIONS - LIMIT_DMARC_DNS_QUESTIONS };

static void test_question_limits(void **state)
{
	struct bench b;

	begin(&b, "filter \"greedy\" { enabled = true count = 60 }");
	to_the_end(&b, DNS_NXDOMAIN);
	assert_int_equal(b.questions, ORDINARY_QUESTIONS);
	assert_true(find(&b.verdict, "GREEDY_TIMEOUTS")->score == 60 - ORDINARY_QUESTIONS);
	end(&b);

	begin(&b, "filter \"greedy2\" { enabled = true count = 300 }");
	to_the_end(&b, DNS_NXDOMAIN);
	assert_int_equal(b.questions, LIMIT_DNS_QUESTIONS);
	end(&b);

	/* Both: authentication keeps its share only as long as there is room. */
	begin(&b, "filter \"greedy\" { enabled = true count = 60 } "
		"filter \"greedy2\" { enabled = true count = 30 }");
	to_the_end(&b, DNS_NXDOMAIN);
	assert_int_equal(b.questions, ORDINARY_QUESTIONS + 30);
	end(&b);
}

/* What aliases took is charged: with 3 steps an answer, a quarter as many can be asked. */
static void test_alias_steps(void **state)
{
	struct bench b;
	unsigned rounds = 0;

	begin(&b, "filter \"patient\" { enabled = true count = 20 }");
	while (!step(&b, STAGE_MESSAGE)) {
		size_t asked = b.facts.dns.n;

		assert_true(++rounds < LIMIT_ROUNDS);
		assert_int_equal(b.needs.dns.n, 1);
		assert_int_equal(b.needs.steps, ORDINARY_QUESTIONS - (int64_t)(asked * 4 + 1) > 0 ?
			ORDINARY_QUESTIONS - (int64_t)(asked * 4 + 1) : 0);
		assert_int_equal(b.needs.reserved_steps, LIMIT_DMARC_DNS_QUESTIONS);
		answer(&b, DNS_NXDOMAIN);
		for (size_t i = asked; i < b.facts.dns.n; i++)
			b.facts.dns.v[i].steps = 3;
	}
	assert_int_equal(b.facts.dns.n, ORDINARY_QUESTIONS / 4);
	end(&b);
}

static void test_failures(void **state)
{
	static const struct {
		const char *on_error;
		int action;
		const char *reply;
	} rows[] = {
		{ "ignore", ACTION_FORWARD, "250 " },
		{ "tempfail", ACTION_TEMPFAIL, "451 4.7.1 " },
		{ "quarantine", ACTION_QUARANTINE, "250 " },
	};

	for (size_t i = 0; i < 3; i++) {
		struct bench b;
		char text[100];

		snprintf(text, sizeof(text), "filter \"failing\" { enabled = true on_error = \"%s\" }",
			rows[i].on_error);
		begin(&b, text);
		assert_int_equal(step(&b, STAGE_MESSAGE), 1);
		assert_int_equal(b.verdict.action, rows[i].action);
		assert_true(str_starts(b.verdict.reply, rows[i].reply));
		assert_null(find(&b.verdict, "FAILING_FORGOTTEN"));
		const struct finding *f = find(&b.verdict, "FAILING_FAILED");
		assert_non_null(f);
		assert_true(f->score == 0);
		assert_true(str_find(f->text, STR("no luck")) < f->text.n);
		end(&b);
	}
}

static void test_time_and_absence(void **state)
{
	struct bench b;
	struct str name = STR("chain");

	begin(&b, "filter \"chain\" { enabled = true on_error = \"tempfail\" }");
	b.facts.waited_ms = 5000;
	assert_int_equal(step(&b, STAGE_MESSAGE), 1);
	assert_int_equal(b.verdict.action, ACTION_TEMPFAIL);
	assert_true(str_find(b.verdict.reason, STR("timed out")) < b.verdict.reason.n);
	end(&b);

	begin(&b, "filter \"chain\" { enabled = true } filter \"star\" { enabled = true }");
	b.facts.without.v = &name;
	b.facts.without.n = 1;
	assert_int_equal(step(&b, STAGE_MESSAGE), 1);
	assert_non_null(find(&b.verdict, "CHAIN_FAILED"));
	assert_true(find(&b.verdict, "STAR_SAW")->score == 1);
	end(&b);
}

static void test_stages(void **state)
{
	struct bench b;

	begin(&b, "filter \"early\" { enabled = true } filter \"chain\" { enabled = true }");
	assert_int_equal(engine_stages(b.engine, TRAFFIC_INBOUND), STAGE_CONNECT | STAGE_MESSAGE);
	assert_int_equal(engine_stages(b.engine, TRAFFIC_OUTBOUND), STAGE_MESSAGE);
	b.facts.client_ip = STR("192.0.2.1");
	assert_int_equal(step(&b, STAGE_CONNECT), 1);
	assert_int_equal(b.verdict.findings.n, 1);
	assert_int_equal(b.verdict.findings.v[0].stage, STAGE_CONNECT);
	assert_int_equal(b.verdict.action, ACTION_REJECT);
	assert_true(str_eq_c(b.verdict.reply, "550 5.7.1 no mail from 192.0.2.1"));
	assert_int_equal(step(&b, STAGE_MAIL), 1);
	assert_int_equal(b.verdict.action, ACTION_FORWARD);
	assert_int_equal(step(&b, STAGE_MESSAGE), 0);
	end(&b);
}

static void test_scores(void **state)
{
	struct bench b;

	begin(&b, "scores { CHAIN_BEGUN = 6 } filter \"chain\" { enabled = true }");
	to_the_end(&b, DNS_NXDOMAIN);
	assert_true(b.verdict.score == 6);
	assert_int_equal(b.verdict.action, ACTION_TAG);
	assert_int_equal(conf_warnings(b.conf)->n, 0);
	end(&b);
	begin(&b, "scores { FAILING_FAILED = 6 } filter \"failing\" { enabled = true }");
	assert_int_equal(step(&b, STAGE_MESSAGE), 1);
	assert_true(b.verdict.score == 6);
	assert_int_equal(conf_warnings(b.conf)->n, 0);
	end(&b);
	begin(&b, "scores { CHIAN_BEGUN = 6 }");
	assert_int_equal(conf_warnings(b.conf)->n, 1);
	end(&b);
}

/* A verdict ends an evaluation: with more recipients the same stage is a new one. */
static void test_again(void **state)
{
	struct bench b;

	begin(&b, "filter \"chain\" { enabled = true }");
	runs = 0;
	to_the_end(&b, DNS_NXDOMAIN);
	assert_int_equal(runs, 3);
	assert_int_equal(step(&b, STAGE_MESSAGE), 1);
	assert_int_equal(runs, 4);
	assert_true(b.verdict.score == 1);
	end(&b);
}

static void test_bad_names(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	const char *text = "filter \"chian\" { }";
	struct conf *conf = conf_parse(str_c(text), "test", arena);
	struct env env = { .arena = arena, .hostname = "x", .conf = conf };
	struct err err;

	assert_non_null(engine_start(conf, &env, &err));
	assert_int_equal(conf_errors(conf)->n, 1);
	assert_non_null(strstr(conf_errors(conf)->v[0], "\"chain\""));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_pure),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_question_limits),
		cmocka_unit_test(test_alias_steps),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_time_and_absence),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_bad_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
