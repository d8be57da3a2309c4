/* What a filter may do to its call, without a runner. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/filter.h"
#include "core/limits.h"

static const struct finding_def findings[] = {
	{ "X_ONE", 1.5, "A sentence.", ACTION_REJECT }, { "X_TWO", 2, "Another.", 0 }, { NULL }
};
static const struct filter filter = { .name = "x", .stages = STAGE_MAIL, .findings = findings };

struct bench {
	struct arena *arena;
	struct facts facts;
	struct needs needs;
	struct finding_list findings, earlier;
	struct question_list asked;
	struct buf headers;
	struct filter_call call;
};

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->arena = arena_new(SIZE_MAX);
	b->call = (struct filter_call){ .facts = &b->facts, .arena = b->arena, .filter = &filter,
		.findings = &b->findings, .earlier = &b->earlier, .needs = &b->needs,
		.asked = &b->asked, .headers = &b->headers, .remaining_ms = 700 };
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	buf_free(&b->headers);
	arena_free(&b->arena);
	free(b);
	return 0;
}

static void test_ask_dns(void **state)
{
	struct bench *b = *state;
	struct dns_answer known = { .type = DNS_A, .name = STR("Known.example"),
		.rcode = DNS_NXDOMAIN };
	const struct dns_answer *a;
	char name[8] = "new.one";
	char label[100];

	b->facts.dns.v = &known;
	b->facts.dns.n = 1;
	assert_int_equal(ask_dns(&b->call, DNS_A, STR("known.EXAMPLE"), &a), 1);
	assert_ptr_equal(a, &known);
	assert_int_equal(ask_dns(&b->call, DNS_TXT, STR("known.example"), &a), 0);
	assert_int_equal(ask_dns(&b->call, DNS_TXT, STR("KNOWN.example"), &a), 0);
	assert_int_equal(ask_dns(&b->call, DNS_A, str_from(name, 7), &a), 0);
	memset(name, 'z', sizeof(name)); /* the question is a copy */
	assert_int_equal(b->needs.dns.n, 2);
	assert_true(str_eq_c(b->needs.dns.v[1].name, "new.one"));
	assert_int_equal(b->needs.dns.v[1].timeout_ms, 700);
	assert_int_equal(b->asked.n, 3);
	assert_true(b->asked.v[0].answered && !b->asked.v[1].answered);

	/* The runner's refusal is an answer. */
	b->asked.v[2].refused = true;
	assert_int_equal(ask_dns(&b->call, DNS_A, STR("new.one"), &a), 1);
	assert_int_equal(a->rcode, DNS_TIMEOUT);

	/* What fits into no packet exists nowhere. */
	memset(label, 'a', sizeof(label));
	assert_int_equal(ask_dns(&b->call, DNS_A, str_from(label, 64), &a), 1);
	assert_int_equal(a->rcode, DNS_NXDOMAIN);
	assert_int_equal(ask_dns(&b->call, DNS_A, STR("a..b"), &a), 1);
	assert_int_equal(a->rcode, DNS_NXDOMAIN);
	assert_int_equal(b->needs.dns.n, 2);
}

static void test_ask_many(void **state)
{
	struct bench *b = *state;
	const struct dns_answer *a;
	int64_t value;

	for (int i = 0; i < 200; i++) {
		assert_int_equal(ask_dns(&b->call, DNS_A,
			arena_printf(b->arena, "n%d.example", i), &a), 0);
		assert_int_equal(ask_counter(&b->call, arena_printf(b->arena, "k%d", i), i, 60,
			&value), 0);
	}
	assert_int_equal(b->needs.dns.n, 200);
	assert_int_equal(b->needs.counters.n, 200);
	for (int i = 0; i < 200; i++) {
		assert_true(str_eq(b->needs.dns.v[i].name, arena_printf(b->arena, "n%d.example", i)));
		assert_int_equal(b->needs.counters.v[i].add, i);
	}
}

static void test_ask_counter(void **state)
{
	struct bench *b = *state;
	struct facts_counter counter = { STR("k"), 7 };
	int64_t value;

	assert_int_equal(ask_counter(&b->call, STR("k"), 1, 60, &value), 0);
	assert_int_equal(ask_counter(&b->call, STR("k"), 1, 60, &value), 0);
	assert_int_equal(b->needs.counters.n, 1);
	b->facts.counters.v = &counter;
	b->facts.counters.n = 1;
	assert_int_equal(ask_counter(&b->call, STR("k"), 1, 60, &value), 1);
	assert_int_equal(value, 7);
}

static void test_report(void **state)
{
	struct bench *b = *state;
	struct finding *f;

	report(&b->call, "X_ONE", NULL);
	report(&b->call, "X_ONE", "again");
	report_score(&b->call, "X_TWO", -3, "peer says \x1b[2J%s", "\xe2\x80\xae");
	report_named(&b->call, STR("NAMED"), 1, ACTION_TAG, "n");
	assert_int_equal(b->findings.n, 3);
	f = b->findings.v;
	assert_true(str_eq_c(f[0].text, "A sentence."));
	assert_true(f[0].score == 1.5 && f[0].action == ACTION_REJECT && f[0].stage == STAGE_MAIL);
	assert_true(str_eq_c(f[0].filter, "x"));
	assert_true(f[1].score == -3);
	assert_true(str_chr(f[1].text, '\x1b') == f[1].text.n);
	assert_true(str_chr(f[1].text, '\xae') == f[1].text.n);
	assert_int_equal(f[2].action, ACTION_TAG);
	for (int i = 0; i < 2 * LIMIT_FINDINGS; i++)
		report_named(&b->call, arena_printf(b->arena, "N%d", i), 0, 0, "n");
	assert_int_equal(b->findings.n, LIMIT_FINDINGS);

	assert_false(reported(&b->call, "X_ONE"));
	b->earlier = b->findings;
	assert_true(reported(&b->call, "X_ONE"));
}

static void test_failing(void **state)
{
	struct bench *b = *state;

	assert_int_equal(filter_fail(&b->call, "%d of %d", 1, 2), STEP_FAIL);
	assert_true(str_eq_c(b->call.fail_reason, "1 of 2"));
}

static void test_headers(void **state)
{
	struct bench *b = *state;

	propose_header(&b->call, "X-A", STR("one\r\nX-B: two"));
	propose_header(&b->call, "X-C", STR("three"));
	assert_true(str_eq_c(buf_str(&b->headers), "X-A: one??X-B: two\r\nX-C: three\r\n"));
	b->call.headers = NULL;
	propose_header(&b->call, "X-D", STR("nobody listens"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_ask_dns), TEST(test_ask_many), TEST(test_ask_counter), TEST(test_report),
		TEST(test_failing), TEST(test_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
