/*
 * geo, on a database that perl's MaxMind::DB::Writer makes here, and on MaxMind's own test databases
 * where ../shared/suites has them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "filters/evaluate.h"

#define SUITE SOURCE_DIR "/../shared/suites/geo/test-data/"

static char folder[] = "/tmp/geo-XXXXXX";

static const char writer[] =
	"use MaxMind::DB::Writer::Tree;\n"
	"sub tree { my ($type, $ip, %t) = @_;\n"
	"  return MaxMind::DB::Writer::Tree->new(ip_version => $ip, record_size => 24,\n"
	"    database_type => $type, languages => [\"en\"], description => { en => \"test\" },\n"
	"    map_key_type_callback => sub { $t{$_[0]} // \"map\" }, remove_reserved_networks => 0) }\n"
	"sub save { my ($t, $f) = @_; open my $o, \">:raw\", $f or die; $t->write_tree($o); close $o }\n"
	"my $t = tree(\"Test-Country\", 6, iso_code => \"utf8_string\", odd => \"uint32\");\n"
	"$t->insert_network(\"192.0.2.0/24\", { country => { iso_code => \"XA\" } });\n"
	"$t->insert_network(\"198.51.100.0/24\", { registered_country => { iso_code => \"XB\" } });\n"
	"$t->insert_network(\"203.0.113.0/24\", { country => { odd => 7 } });\n"
	"$t->insert_network(\"2001:db8::/32\", { country => { iso_code => \"XC\" } });\n"
	"save($t, \"$ARGV[0]/country.mmdb\");\n"
	"$t = tree(\"Test-ASN\", 4, autonomous_system_number => \"uint32\",\n"
	"  autonomous_system_organization => \"utf8_string\");\n"
	"$t->insert_network(\"192.0.2.0/24\", { autonomous_system_number => 64500,\n"
	"  autonomous_system_organization => \"Bad \\r\\n Net\" });\n"
	"save($t, \"$ARGV[0]/asn.mmdb\");\n";

static int make_databases(void **state)
{
	char path[100], command[300];
	FILE *f;

	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/write.pl", folder);
	f = fopen(path, "we");
	if (!f)
		return -1;
	fputs(writer, f);
	fclose(f);
	snprintf(command, sizeof(command), "perl %s %s >/dev/null 2>&1", path, folder);
	if (system(command) != 0)
		print_message("libmaxmind-db-writer-perl is missing: skipped\n");
	return 0;
}

static int remove_databases(void **state)
{
	static const char *const names[] = { "write.pl", "country.mmdb", "asn.mmdb" };
	char path[100];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

/* `conf` is what stands in the filter's section. */
static struct engine *start(const char *conf_text, struct arena *arena, struct conf **conf_r)
{
	struct str text = arena_printf(arena, "filter \"geo\" { %s }", conf_text);
	struct conf *conf = conf_parse(text, "test", arena);
	struct env env = { .arena = arena, .hostname = "mx", .conf = conf };
	struct err err;

	*conf_r = conf;
	return engine_start(conf, &env, &err);
}

static const struct finding *find(const struct verdict *v, const char *name)
{
	for (size_t i = 0; i < v->findings.n; i++)
		if (str_eq_c(v->findings.v[i].name, name))
			return &v->findings.v[i];
	return NULL;
}

/* DNS is not asked about: every question of other filters is a TIMEOUT. */
static void judge(const char *conf_text, const char *client, struct arena *arena,
	struct verdict *v)
{
	struct conf *conf;
	struct engine *e = start(conf_text, arena, &conf);
	struct facts facts = { .client_ip = str_c(client), .waited_ms = INT32_MAX };
	struct evaluation *ev;
	struct needs needs;
	struct verdict found;

	if (conf_errors(conf)->n)
		fail_msg("%s", conf_errors(conf)->v[0]);
	ev = evaluation_new(e, STR(""), NULL);
	assert_int_equal(evaluate(ev, &facts, STAGE_CONNECT, &needs, &found), 1);
	record_copy(&verdict_record, &found, arena, v);
	evaluation_free(&ev);
	engine_stop(&e);
}

static void need_databases(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/asn.mmdb", folder);
	if (access(path, R_OK) != 0)
		skip();
}

static void test_own(void **state)
{
	static const struct {
		const char *conf, *client, *finding;
		double score;
		int action;
	} rows[] = {
		{ "", "192.0.2.1", "GEO_COUNTRY_XA", 0, ACTION_FORWARD },
		{ "", "198.51.100.1", "GEO_COUNTRY_XB", 0, ACTION_FORWARD },
		{ "", "203.0.113.1", NULL, 0, ACTION_FORWARD },
		{ "allow_countries = { \"XA\" }", "203.0.113.1", NULL, 0, ACTION_FORWARD },
		{ "", "8.8.8.8", NULL, 0, ACTION_FORWARD },
		{ "", "2001:db8::1", "GEO_COUNTRY_XC", 0, ACTION_FORWARD },
		{ "", "::ffff:192.0.2.1", "GEO_COUNTRY_XA", 0, ACTION_FORWARD },
		{ "", "192.0.2.1", "GEO_ASN_64500", 0, ACTION_FORWARD },
		{ "country_scores = { \"XA = 2\", \"XB=-1\" }", "192.0.2.1", "GEO_COUNTRY_XA", 2, 0 },
		{ "country_scores = { \"XA = 2\", \"XB=-1\" }", "198.51.100.1", "GEO_COUNTRY_XB", -1, 0 },
		{ "asn_scores = { \"AS64500 = 3\" }", "192.0.2.1", "GEO_ASN_64500", 3, 0 },
		{ "block_countries = { \"xa\" }", "192.0.2.1", "GEO_COUNTRY_BLOCKED", 0, ACTION_REJECT },
		{ "block_countries = { \"XA\" }", "198.51.100.1", "GEO_COUNTRY_XB", 0, ACTION_FORWARD },
		{ "allow_countries = { \"XA\" }", "192.0.2.1", "GEO_COUNTRY_XA", 0, ACTION_FORWARD },
		{ "allow_countries = { \"XA\" }", "198.51.100.1", "GEO_COUNTRY_BLOCKED", 0,
			ACTION_REJECT },
		{ "block_asns = { \"64500\" }", "192.0.2.1", "GEO_ASN_BLOCKED", 0, ACTION_REJECT },
		{ "block_asns = { \"64500\" } action = \"quarantine\"", "192.0.2.1", "GEO_ASN_BLOCKED", 0,
			ACTION_FORWARD }, /* held until the message is there */
	};

	need_databases();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(SIZE_MAX);
		struct str conf = arena_printf(arena, "country_database = \"%s/country.mmdb\" "
			"asn_database = \"%s/asn.mmdb\" %s", folder, folder, rows[i].conf);
		const struct finding *f;
		struct verdict v;

		judge(conf.p, rows[i].client, arena, &v);
		f = rows[i].finding ? find(&v, rows[i].finding) : NULL;
		if (v.action != rows[i].action || (rows[i].finding && !f) ||
			(f && f->score != rows[i].score))
			fail_msg("%s, %s: %s, %.*s", rows[i].conf, rows[i].client,
				action_names[v.action], STR_ARG(v.reply));
		for (size_t k = 0; k < v.findings.n; k++)
			if (!rows[i].finding && str_starts(v.findings.v[k].name, "GEO_COUNTRY"))
				fail_msg("%s: %.*s", rows[i].client, STR_ARG(v.findings.v[k].name));
		arena_free(&arena);
	}
}

static void test_names_are_escaped(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	const struct finding *f;
	struct verdict v;

	need_databases();
	judge(arena_printf(arena, "asn_database = \"%s/asn.mmdb\"", folder).p, "192.0.2.1", arena, &v);
	f = find(&v, "GEO_ASN_64500");
	assert_non_null(f);
	assert_true(str_find(f->text, STR("Bad ?? Net")) < f->text.n);
	arena_free(&arena);
}

static void test_quiet_without_database(void **state)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct verdict v;

	judge("", "192.0.2.1", arena, &v);
	for (size_t i = 0; i < v.findings.n; i++)
		assert_false(str_eq_c(v.findings.v[i].filter, "geo"));
	arena_free(&arena);
}

static void test_errors(void **state)
{
	static const char *const wrong[] = {
		"country_database = \"/nonexistent\"", "country_database = \"/dev/null\"",
		"country_database = \"/bin/sh\"", "block_countries = { \"XA\" }",
		"block_asns = { \"AS1\" }", "block_countries = { \"XAX\" }", "block_asns = { \"XA\" }",
		"country_scores = { \"XA\" }", "country_scores = { \"XA = x\" }",
		"block_countries = { \"XA = 2\" }", "asn_scores = { \"AS0 = 1\" }",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct arena *arena = arena_new(SIZE_MAX);
		struct conf *conf;

		struct engine *e = start(wrong[i], arena, &conf);
		if (!conf_errors(conf)->n)
			fail_msg("accepted: %s", wrong[i]);
		engine_stop(&e);
		arena_free(&arena);
	}
}

static void test_suite(void **state)
{
	static const struct {
		const char *country, *asn, *client, *finding;
	} rows[] = {
		{ "GeoLite2-Country-Test.mmdb", NULL, "2.125.160.216", "GEO_COUNTRY_GB" },
		{ "GeoLite2-Country-Test.mmdb", NULL, "89.160.20.112", "GEO_COUNTRY_SE" },
		{ "GeoLite2-Country-Test.mmdb", NULL, "2001:218::1", "GEO_COUNTRY_JP" },
		{ "GeoLite2-City-Test.mmdb", NULL, "81.2.69.142", "GEO_COUNTRY_GB" },
		{ "GeoIP2-Enterprise-Test.mmdb", NULL, "2.125.160.216", "GEO_COUNTRY_GB" },
		{ NULL, "GeoLite2-ASN-Test.mmdb", "1.128.0.1", "GEO_ASN_1221" },
		{ NULL, "GeoLite2-ASN-Test.mmdb", "2600:6000::1", "GEO_ASN_237" },
		{ NULL, "GeoIP2-ISP-Test.mmdb", "1.128.0.1", "GEO_ASN_1221" },
	};
	/* Broken in their trees, their types, their pointers: no crash, and no place. */
	static const char *const broken[] = {
		"MaxMind-DB-test-broken-pointers-24.mmdb", "MaxMind-DB-test-broken-search-tree-24.mmdb",
		"GeoIP2-City-Test-Broken-Double-Format.mmdb", "MaxMind-DB-test-decoder.mmdb",
		"MaxMind-DB-test-ipv4-24.mmdb", "MaxMind-DB-no-ipv4-search-tree.mmdb",
	};
	static const char *const clients[] = { "1.1.1.1", "1.1.1.32", "2.125.160.216", "::1:ffff:ffff" };

	if (access(SUITE, R_OK) != 0) {
		print_message("../shared/suites/geo is missing: skipped\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *arena = arena_new(SIZE_MAX);
		struct verdict v;

		judge(arena_printf(arena, "%s = \"%s%s\"", rows[i].country ? "country_database" :
			"asn_database", SUITE, rows[i].country ? rows[i].country : rows[i].asn).p,
			rows[i].client, arena, &v);
		if (!find(&v, rows[i].finding))
			fail_msg("%s: no %s", rows[i].client, rows[i].finding);
		arena_free(&arena);
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		for (size_t k = 0; k < 4; k++) {
			struct arena *arena = arena_new(SIZE_MAX);
			struct verdict v;

			judge(arena_printf(arena, "country_database = \"%s%s\" asn_database = "
				"\"%s%s\"", SUITE, broken[i], SUITE, broken[i]).p, clients[k], arena, &v);
			arena_free(&arena);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_names_are_escaped),
		cmocka_unit_test(test_quiet_without_database),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_suite),
	};

	return cmocka_run_group_tests(tests, make_databases, remove_databases);
}
