#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/facts.h"
#include "core/json.h"

static const char sample[] =
	"{\"now\": \"2026-11-20T12:00:00Z\", \"client\": {\"ip\": \"::ffff:192.0.2.1\"}, \"helo\": \"mail.example.org\","
	" \"mail_from\": \"bob@example.org\", \"rcpt_to\": [\"alice@example.net\"],"
	" \"dns\": {\"example.org\": {\"TXT\": [\"v=spf1 -all\", [\"a\", \"b\\u0000\\u00ff\"]],"
	"   \"MX\": [[10, \"mx.example.org\"]], \"A\": [\"192.0.2.1\"]},"
	"  \"slow.example.org\": {\"rcode\": \"TIMEOUT\", \"A\": [\"192.0.2.9\"]},"
	"  \"broken.example.org\": {\"TXT\": {\"rcode\": \"SERVFAIL\"}},"
	"  \"www.example.org\": {\"CNAME\": \"EXAMPLE.org.\"}, \"loop.test\": {\"CNAME\": [\"loop.test\"]},"
	"  \"deep.under.test\": {\"A\": [\"192.0.2.7\"]}}}";

struct loaded {
	struct arena *arena;
	struct facts facts;
	struct facts_zone *zone;
};

static struct loaded load(const char *json)
{
	struct loaded l = { .arena = arena_new(1 << 20) };
	struct err err = { "" };
	if (facts_from_json(str_c(json), l.arena, &l.facts, &l.zone, &err) < 0)
		fail_msg("%s", err.text);
	return l;
}

static void envelope_is_read(void **state)
{
	struct loaded l = load(sample);
	assert_int_equal(l.facts.now, 1795176000);
	assert_true(str_eq_c(l.facts.client_ip, "192.0.2.1"));
	assert_true(l.facts.has_helo);
	assert_true(str_eq_c(l.facts.mail_from, "bob@example.org"));
	assert_int_equal(l.facts.rcpt_to.n, 1);
	arena_free(&l.arena);
}

static void zone_answers(void **state)
{
	static const struct {
		const char *name;
		int64_t type;
		int rcode;
		size_t records;
	} rows[] = {
		{ "example.org", DNS_TXT, DNS_NOERROR, 2 },
		{ "EXAMPLE.ORG.", DNS_MX, DNS_NOERROR, 1 },
		{ "example.org", DNS_AAAA, DNS_NOERROR, 0 },
		{ "nosuch.example.org", DNS_A, DNS_NXDOMAIN, 0 },
		{ "slow.example.org", DNS_TXT, DNS_TIMEOUT, 0 },
		{ "slow.example.org", DNS_A, DNS_NOERROR, 1 },
		{ "broken.example.org", DNS_TXT, DNS_SERVFAIL, 0 },
		{ "broken.example.org", DNS_A, DNS_NOERROR, 0 },
		{ "www.example.org", DNS_A, DNS_NOERROR, 1 },
		{ "www.example.org", DNS_CNAME, DNS_NOERROR, 1 },
		{ "loop.test", DNS_A, DNS_SERVFAIL, 0 },
		{ "under.test", DNS_A, DNS_NOERROR, 0 },
		{ "test", DNS_MX, DNS_NOERROR, 0 },
		{ "nder.test", DNS_A, DNS_NXDOMAIN, 0 },
	};
	struct loaded l = load(sample);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_question q = { .type = rows[i].type, .name = str_c(rows[i].name) };
		struct dns_answer a;
		facts_zone_answer(l.zone, l.arena, &q, &a);
		if (a.rcode != rows[i].rcode || a.data.n != rows[i].records)
			fail_msg("%s %s: %s with %zu records", rows[i].name, dns_type_name(rows[i].type),
				dns_rcode_names[a.rcode], a.data.n);
	}
	struct dns_question q = { .type = DNS_TXT, .name = STR("example.org") };
	struct dns_answer a;
	facts_zone_answer(l.zone, l.arena, &q, &a);
	struct str joined = dns_txt(&a, 1, l.arena);
	assert_int_equal(joined.n, 4);
	assert_memory_equal(joined.p, "ab\0\xff", 4);
	arena_free(&l.arena);
}

/* What is recorded reads back to the same, answers and octets included. */
static void recorded_facts_read_back(void **state)
{
	struct loaded l = load(sample), again;
	static const struct {
		const char *name;
		int64_t type;
	} asked[] = { { "example.org", DNS_TXT }, { "example.org", DNS_MX }, { "slow.example.org", DNS_TXT } };
	l.facts.dns.v = ARENA_ARRAY(l.arena, 3, struct dns_answer);
	for (size_t i = 0; i < 3; i++) {
		struct dns_question q = { .type = asked[i].type, .name = str_c(asked[i].name) };
		facts_zone_answer(l.zone, l.arena, &q, &l.facts.dns.v[l.facts.dns.n++]);
	}
	l.facts.dns.v[0].steps = 3;
	l.facts.dns.v[2].steps = 1;
	struct buf first = BUF_INIT, second = BUF_INIT;
	facts_to_json(&l.facts, &first);
	buf_char(&first, '\0');
	again = load(first.p);
	assert_int_equal(again.facts.now, l.facts.now);
	struct dns_question q = { .type = DNS_TXT, .name = STR("example.org") };
	struct dns_answer a;
	facts_zone_answer(again.zone, again.arena, &q, &a);
	assert_true(str_eq(a.data.v[1], l.facts.dns.v[0].data.v[1]));
	assert_int_equal(a.steps, 3);
	q.name = STR("slow.example.org");
	facts_zone_answer(again.zone, again.arena, &q, &a);
	assert_int_equal(a.steps, 1);
	assert_int_equal(a.rcode, DNS_TIMEOUT);
	buf_free(&first);
	buf_free(&second);
	arena_free(&l.arena);
	arena_free(&again.arena);
}

static void wrong_input_is_named(void **state)
{
	static const char *const bad[] = { "[]", "{\"clinet\": {}}", "{\"client\": {\"ip\": \"1.2.3\"}}",
		"{\"now\": \"yesterday\"}", "{\"now\": \"2026-13-20T12:00:00Z\"}", "{\"rcpt_to\": \"a\"}",
		"{\"dns\": {\"a\": {\"A\": [\"x\"]}}}", "{\"dns\": {\"a\": {\"rcode\": \"BUSY\"}}}",
		"{\"dns\": {\"a\": {\"SOA\": [\"x\"]}}}", "{\"dns\": {\"a\": {\"TXT\": [\"\\u0100\"]}}}",
		"{\"helo\": 4}", "{\"helo\": \"a\", \"helo\": \"b\"}", "{\"has_helo\": true}", "{", "" };
	struct arena *arena = arena_new(1 << 20);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct facts facts;
		struct facts_zone *zone;
		struct err err = { "" };
		if (facts_from_json(str_c(bad[i]), arena, &facts, &zone, &err) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_true(err.text[0]);
	}
	arena_free(&arena);
}

static void binary_form_is_lossless_and_checked(void **state)
{
	struct loaded l = load(sample);
	struct dns_question q = { .type = DNS_MX, .name = STR("example.org") };
	l.facts.dns.v = ARENA_ARRAY(l.arena, 1, struct dns_answer);
	facts_zone_answer(l.zone, l.arena, &q, &l.facts.dns.v[0]);
	l.facts.dns.n = 1;
	struct buf one = BUF_INIT, two = BUF_INIT;
	record_encode(&facts_record, &l.facts, &one);
	struct facts copy;
	struct err err;
	assert_int_equal(record_decode(&facts_record, buf_str(&one), l.arena, &copy, &err), 0);
	record_encode(&facts_record, &copy, &two);
	assert_true(str_eq(buf_str(&one), buf_str(&two)));
	for (size_t cut = 0; cut < one.n; cut++)
		assert_int_equal(
			record_decode(&facts_record, str_from(one.p, cut), l.arena, &copy, &err), -1);
	buf_char(&one, 0);
	assert_int_equal(record_decode(&facts_record, buf_str(&one), l.arena, &copy, &err), -1);
	buf_free(&one);
	buf_free(&two);
	arena_free(&l.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelope_is_read),
		cmocka_unit_test(zone_answers),
		cmocka_unit_test(recorded_facts_read_back),
		cmocka_unit_test(wrong_input_is_named),
		cmocka_unit_test(binary_form_is_lossless_and_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
