#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "filters/evaluate.h"


struct listed {
	const char *name, *address; /* address NULL: rcode */
	int rcode;
};
struct row {
	const char *what, *conf, *client;
	struct listed records[6];
	const char *finding; /* expected; NULL: none of a score */
	double score;
	const char *text; /* what its sentence contains */
};

#define ZEN "1.2.0.192.zen.spamhaus.org"
static const char own_zone[] =
	"filter \"dnsbl\" { defaults = false zone \"bl.example.org\" { score = 2 "
	"codes = { \"127.0.0.2\", \"127.0.0.4-7 = 3 exploited\", \"127.0.*.9 = -1.5\", "
	"\"127.0.1.&12 = 6\" } } }";
#define OWN "1.2.0.192.bl.example.org"

static const struct row rows[] = {
	{ "not listed" },
	{ "no client", .client = "" },
	{ "a local client is nobody's", .client = "10.1.2.3",
		.records = { { "3.2.1.10.zen.spamhaus.org", "127.0.0.2" } } },
	{ "zen", .records = { { ZEN, "127.0.0.4" } }, .finding = "DNSBL_ZEN", .score = 5,
		.text = "192.0.2.1 is listed by zen.spamhaus.org: 127.0.0.4, exploited machine." },
	{ "the worst of several", .records = { { ZEN, "127.0.0.11" }, { ZEN, "127.0.0.9" },
		{ ZEN, "127.0.0.3" } }, .finding = "DNSBL_ZEN", .score = 6, .text = "127.0.0.9" },
	{ "a code that means nothing", .records = { { ZEN, "127.0.0.77" } } },
	{ "blocked resolver", .records = { { ZEN, "127.255.255.254" } }, .finding = "DNSBL_BLOCKED",
		.text = "refuses questions" },
	{ "a parked domain", .records = { { ZEN, "198.51.100.7" } }, .finding = "DNSBL_BROKEN",
		.text = "outside 127.0.0.0/8" },
	{ "servfail", .records = { { ZEN, NULL, DNS_SERVFAIL } } },
	{ "IPv6", .client = "2001:db8::1", .records = { { "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		"0.0.0.0.8.b.d.0.1.0.0.2.zen.spamhaus.org", "127.0.0.3" } },
		.finding = "DNSBL_ZEN", .score = 4 },
	{ "the good ones", .records = { { "1.2.0.192.list.dnswl.org", "127.0.5.3" } },
		.finding = "DNSBL_DNSWL", .score = -5 },
	{ "scores", "scores { DNSBL_ZEN = 4.5 }", .records = { { ZEN, "127.0.0.2" } },
		.finding = "DNSBL_ZEN", .score = 4.5 },
	{ "a built-in one left out",
		"filter \"dnsbl\" { zone \"zen.spamhaus.org\" { enabled = false } }",
		.records = { { ZEN, "127.0.0.2" } } },
	{ "a built-in one with another score",
		"filter \"dnsbl\" { zone \"zen.spamhaus.org\" { score = 1 } }",
		.records = { { ZEN, "127.0.0.4" } }, .finding = "DNSBL_ZEN", .score = 1 },
	{ "defaults off", "filter \"dnsbl\" { defaults = false }", .records = { { ZEN, "127.0.0.2" } } },
	{ "own zone, score of the zone", own_zone, .records = { { OWN, "127.0.0.2" } },
		.finding = "DNSBL_EXAMPLE", .score = 2 },
	{ "own zone, range", own_zone, .records = { { OWN, "127.0.0.7" } },
		.finding = "DNSBL_EXAMPLE", .score = 3, .text = ", exploited." },
	{ "own zone, behind the range", own_zone, .records = { { OWN, "127.0.0.8" } } },
	{ "own zone, any octet", own_zone, .records = { { OWN, "127.0.200.9" } },
		.finding = "DNSBL_EXAMPLE", .score = -1.5 },
	{ "own zone, bits", own_zone, .records = { { OWN, "127.0.1.8" } },
		.finding = "DNSBL_EXAMPLE", .score = 6 },
	{ "own zone, other bits", own_zone, .records = { { OWN, "127.0.1.3" } } },
	{ "a name of its own", "filter \"dnsbl\" { zone \"x.example\" { score = 1 name = \"my-own\" } }",
		.records = { { "1.2.0.192.x.example", "127.0.0.2" } }, .finding = "DNSBL_MY_OWN",
		.score = 1 },
	{ "no codes: anything", "filter \"dnsbl\" { zone \"x.example\" { } }",
		.records = { { "1.2.0.192.x.example", "127.9.9.9" } }, .finding = "DNSBL_X", .score = 3 },
	{ "no codes: but the test address", "filter \"dnsbl\" { zone \"x.example\" { } }",
		.records = { { "1.2.0.192.x.example", "127.0.0.1" } } },
	{ "a domain of a link", .records = { { "example.co.uk.dbl.spamhaus.org", "127.0.1.4" } },
		.finding = "DNSBL_DBL", .score = 5, .text = "example.co.uk is listed by" },
	{ "the sender's domain", .records = { { "example.com.multi.surbl.org", "127.0.0.72" } },
		.finding = "DNSBL_SURBL", .score = 5, .text = "phishing" },
	{ "the author's domain", .records = { { "example.net.multi.surbl.org", "127.0.0.64" } },
		.finding = "DNSBL_SURBL", .score = 3 },
	{ "domains off", "filter \"dnsbl\" { domains = false }",
		.records = { { "example.com.multi.surbl.org", "127.0.0.72" } } },
	{ "fewer domains", "filter \"dnsbl\" { max_domains = 1 }",
		.records = { { "example.net.multi.surbl.org", "127.0.0.64" } } },
};

static const char message[] =
	"From: <x@news.example.net>\r\nTo: y@example.org\r\nContent-Type: text/plain\r\n\r\n"
	"See http://www.shop.example.co.uk/a and http://192.0.2.7/b and http://co.uk/\r\n";

static void add_answers(const struct row *r, const struct needs *needs, struct arena *arena,
	struct facts *facts)
{
	size_t n = facts->dns.n;

	facts->dns.v = arena_grow(arena, facts->dns.v, n, n + needs->dns.n, sizeof(*facts->dns.v));
	for (size_t i = 0; i < needs->dns.n; i++) {
		struct dns_answer *a = &facts->dns.v[n + i];

		*a = (struct dns_answer){ .type = needs->dns.v[i].type,
			.name = needs->dns.v[i].name, .rcode = DNS_NXDOMAIN };
		a->data.v = ARENA_ARRAY(arena, 6, struct str);
		for (const struct listed *x = r->records; x < r->records + 6 && x->name; x++) {
			struct ip ip;

			if (a->type != DNS_A || !str_ieq_c(a->name, x->name))
				continue;
			a->rcode = x->rcode;
			if (x->address && ip_parse(str_c(x->address), &ip) == 0)
				a->data.v[a->data.n++] =
					arena_dup(arena, str_from((char *)ip.octets, 4));
		}
	}
	facts->dns.n = n + needs->dns.n;
}

static struct engine *start(const char *conf_text, struct arena *arena, struct conf **conf_r)
{
	struct str text = arena_printf(arena, "%s", conf_text ? conf_text : "");
	struct conf *conf = conf_parse(text, "test", arena);
	struct env env = { .arena = arena, .hostname = "mx", .conf = conf, .offline = true };
	struct err err;

	*conf_r = conf;
	return engine_start(conf, &env, &err);
}

static void judge(const struct row *r, struct arena *arena, struct verdict *v)
{
	struct conf *conf;
	struct engine *e = start(r->conf, arena, &conf);
	struct facts_scan clean = { .result = SCAN_CLEAN };
	struct facts facts = { .scan = &clean, .mail_from = STR("b@bounce.example.com"), .has_mail_from = true,
		.client_ip = str_c(r->client ? r->client : "192.0.2.1") };
	struct evaluation *ev;
	struct needs needs;
	struct verdict found;

	if (conf_errors(conf)->n)
		fail_msg("%s: %s", r->what, conf_errors(conf)->v[0]);
	ev = evaluation_new(e, STR(message), NULL);
	while (!evaluate(ev, &facts, STAGE_MESSAGE, &needs, &found))
		add_answers(r, &needs, arena, &facts);
	record_copy(&verdict_record, &found, arena, v);
	evaluation_free(&ev);
	engine_stop(&e);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct arena *arena = arena_new(SIZE_MAX);
		bool found = false;
		struct verdict v;

		judge(r, arena, &v);
		for (size_t k = 0; k < v.findings.n; k++) {
			const struct finding *f = &v.findings.v[k];

			if (!str_eq_c(f->filter, "dnsbl"))
				continue;
			if (!r->finding || !str_eq_c(f->name, r->finding) || f->score != r->score)
				fail_msg("%s: %.*s %g", r->what, STR_ARG(f->name), f->score);
			if (r->text && str_find(f->text, str_c(r->text)) == f->text.n)
				fail_msg("%s: %.*s", r->what, STR_ARG(f->text));
			if (r->finding && f->about_client != str_starts(f->text, r->client ? r->client : "192.0.2.1 "))
				fail_msg("%s: about the client, or not", r->what);
			found = true;
		}
		if (r->finding && !found)
			fail_msg("%s: no finding", r->what);
		arena_free(&arena);
	}
}

static void test_conf_errors(void **state)
{
	static const char *const wrong[] = {
		"codes = { \"127.0.0\" }", "codes = { \"10.0.0.1\" }", "codes = { \"127.0.0.300\" }",
		"codes = { \"127.0.0.7-4\" }", "codes = { \"127.0.0.2 = much\" }",
		"codes = { \"127.0.0.&0\" }", "codes = { \"\" }", "codes = { \"127.0.0.1.2\" }",
		"score = 1000", "kind = \"neither\"", "unknown = 1",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct arena *arena = arena_new(SIZE_MAX);
		struct conf *conf;
		char text[200];

		snprintf(text, sizeof(text), "filter \"dnsbl\" { zone \"x.example\" { %s } }", wrong[i]);
		struct engine *e = start(text, arena, &conf);
		if (!conf_errors(conf)->n)
			fail_msg("accepted: %s", wrong[i]);
		engine_stop(&e);
		arena_free(&arena);
	}
}

/* What the client's address needs is asked before it says anything. */
static void test_connect(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct conf *conf;
	struct engine *e = start("filter \"dnsbl\" { zone \"zen.spamhaus.org\" { action = \"reject\" } }",
		arena, &conf);
	const struct row row = { .records = { { ZEN, "127.0.0.4" } } };
	struct facts facts = { .client_ip = STR("192.0.2.1") };
	struct evaluation *ev = evaluation_new(e, STR(""), NULL);
	struct needs needs;
	struct verdict v;

	assert_int_equal(evaluate(ev, &facts, STAGE_CONNECT, &needs, &v), 0);
	assert_true(needs.dns.n >= 4);
	add_answers(&row, &needs, arena, &facts);
	assert_int_equal(evaluate(ev, &facts, STAGE_CONNECT, &needs, &v), 1);
	assert_int_equal(v.action, ACTION_REJECT);
	assert_true(str_starts(v.reply, "550 5.7.1 192.0.2.1 is listed by zen.spamhaus.org"));
	evaluation_free(&ev);
	engine_stop(&e);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_conf_errors),
		cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
