#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "gateway/config.h"

#define FIRST "hostname = \"mx.example.net\"\n"
#define DOMAIN "domain \"example.net\" { backend = \"smtp://10.0.0.5\" }\n"

#define RELAY "outbound { relay = \"smtp://10.0.0.7:25\" }\n"
#define OUT_FROM(net) "listen \"1.2.3.4:26\" { outbound_from = \"" net "\" }\n"

static struct arena *arena;
static struct conf *conf;

static int setup(void **state)
{
	arena = arena_new(16 << 20);
	return 0;
}

static int teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

static struct config *read_text(const char *text)
{
	return config_read(str_c(text), "t.conf", arena, &conf);
}

static struct config *read_clean(const char *text)
{
	struct config *config = read_text(text);
	for (size_t i = 0; i < conf_errors(conf)->n; i++)
		print_error("%s\n", conf_errors(conf)->v[i]);
	assert_int_equal(conf_errors(conf)->n, 0);
	return config;
}

static void test_first_ten_lines(void **state)
{
	const struct config *c = read_clean(
		"hostname  = \"mx.example.net\"\n"
		"state_dir = \"/var/lib/gatepost/\"\n"
		"listen \"0.0.0.0:25\" { tls_certificate = \"/c.pem\"  tls_key = \"/k.pem\" }\n"
		"listen \"127.0.0.1:2525\" { proxy_protocol_from = { \"127.0.0.1\" \"10.0.0.0/8\" } }\n"
		"domain \"example.net\" { backend = { \"smtp://10.0.0.5:25\" } }\n"
		"domain \"example.org\" { backend = { \"lmtp://10.0.0.6:24\" }  quarantine_score = 6 }\n"
		"dns    { forward = { \"127.0.0.1@5353\" } }\n"
		"policy { tag_score = 5  quarantine_score = 8  reject_score = 15 }\n"
		"filter \"clamav\" { enabled = false }\n"
		"admin  { listen = \"127.0.0.1:8025\"  token_file = \"/etc/gatepost/admin.token\" }\n");
	assert_string_equal(c->hostname, "mx.example.net");
	assert_string_equal(c->state_dir, "/var/lib/gatepost");
	assert_string_equal(config_path(c, arena, "x"), "/var/lib/gatepost/x");
	assert_int_equal(c->listener_count, 2);
	assert_string_equal(c->listeners[0].tls_key, "/k.pem");
	assert_int_equal(c->listeners[1].address.port, 2525);
	assert_int_equal(c->listeners[1].proxy_net_count, 2);
	assert_int_equal(c->listeners[1].proxy_nets[1].bits, 8);
	assert_int_equal(c->domain_count, 2);
	assert_int_equal(c->domains[1].backends[0].kind, BACKEND_LMTP);
	assert_int_equal(c->dns.forwarders[0].port, 5353);
	assert_false(c->dns.dnssec);
	assert_true(c->admin.enabled);
	assert_int_equal(c->admin.address.port, 8025);
}

static void test_smallest(void **state)
{
	const struct config *c = read_clean(FIRST DOMAIN);
	assert_int_equal(c->listener_count, 2);
	assert_int_equal(c->listeners[0].address.ip.family, IP_V6);
	assert_int_equal(c->listeners[1].address.port, 25);
	assert_true(c->listeners[1].optional);
	assert_false(c->admin.enabled);
	assert_true(c->dns.dnssec);
	assert_int_equal(c->limits.message_size, 25 << 20);
	assert_true(c->fronts >= 1);
	assert_string_equal(c->state_dir, "/var/lib/gatepost");
}

static void test_backends(void **state)
{
	static const struct {
		const char *text;
		enum config_backend_kind kind;
		const char *host;
		uint16_t port;
	} table[] = {
		{ "smtp://10.0.0.5:2525", BACKEND_SMTP, "10.0.0.5", 2525 },
		{ "smtp://mail.example.net", BACKEND_SMTP, "mail.example.net", 25 },
		{ "smtp://[2001:db8::1]:26", BACKEND_SMTP, "2001:db8::1", 26 },
		{ "smtp://[2001:db8::1]", BACKEND_SMTP, "2001:db8::1", 25 },
		{ "LMTP://localhost", BACKEND_LMTP, "localhost", 24 },
		{ "lmtp:/run/dovecot/lmtp", BACKEND_LMTP_UNIX, "", 0 },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct config *c = read_clean(arena_printf(arena,
			FIRST "domain \"a.example\" { backend = \"%s\" }", table[i].text).p);
		const struct config_backend *b = &c->domains[0].backends[0];
		assert_int_equal(b->kind, table[i].kind);
		assert_string_equal(b->host, table[i].host);
		assert_int_equal(b->port, table[i].port);
		assert_string_equal(b->text, table[i].text);
	}
}

static void test_shared_backends(void **state)
{
	const struct config *c = read_clean(FIRST
		"domain \"a.example\" { backend = { \"smtp://h:1\" \"smtp://h:2\" } }"
		"domain \"B.example\" { backend = { \"smtp://h:2\" \"smtp://h:3\" } }");
	assert_int_equal(c->backend_count, 3);
	assert_int_equal(c->domains[0].backends[1].index, c->domains[1].backends[0].index);
	assert_int_equal(c->domains[1].backends[1].index, 2);
	assert_ptr_equal(config_find_domain(c, STR("b.EXAMPLE")), &c->domains[1]);
	assert_null(config_find_domain(c, STR("sub.b.example")));
	assert_null(config_find_domain(c, STR("")));
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *error; /* the first one */
	} table[] = {
		{ DOMAIN, "t.conf:1:1: hostname is missing: " },
		{ FIRST, "t.conf:1:1: no domain section: " },
		{ FIRST DOMAIN "hostnam = \"x\"",
			"t.conf:3:1: unknown key \"hostnam\": did you mean \"hostname\"?" },
		{ FIRST DOMAIN "listne \"127.0.0.1:25\" { }",
			"t.conf:3:1: unknown section \"listne\": did you mean \"listen\"?" },
		{ FIRST DOMAIN "listen \"25\" { }", "t.conf:3:1: the title of a listen section is" },
		{ FIRST DOMAIN "listen \"1.2.3.4:70000\" { }", "t.conf:3:1: the title of a listen" },
		{ FIRST DOMAIN "listen \"1.2.3.4:25\" { tls_key = \"k\" }",
			"t.conf:3:33: tls_certificate and tls_key belong together" },
		{ FIRST DOMAIN "listen \"1.2.3.4:25\" { proxy_protocol_from = \"10.0.0.1/8\" }",
			"t.conf:3:45: proxy_protocol_from: " },
		{ FIRST "domain \"x y\" { backend = \"smtp://h\" }", "t.conf:2:1: the title of a domain" },
		{ FIRST "domain \"x.example\" { }", "t.conf:2:1: backend is missing: " },
		{ FIRST "domain \"x.example\" { backend = { } }", "t.conf:2:32: backend names no" },
		{ FIRST "domain \"x.example\" { backend = \"h:25\" }",
			"t.conf:2:32: backend \"h:25\" is none of smtp://host:port" },
		{ FIRST "domain \"x.example\" { backend = \"smtp://h:0\" }", "t.conf:2:32: backend" },
		{ FIRST DOMAIN "domain \"EXAMPLE.net\" { backend = \"smtp://h\" }",
			"t.conf:3:1: domain \"example.net\" stands twice" },
		{ FIRST "domain \"x.example\" { backend = \"smtp://h\" tag_scor = 5 }",
			"t.conf:2:43: unknown key \"tag_scor\": did you mean \"tag_score\"?" },
		{ FIRST DOMAIN "dns { forward = \"localhost\" }", "t.conf:3:17: forward \"localhost\"" },
		{ FIRST DOMAIN "dns \"x\" { }", "t.conf:3:1: section \"dns\" has no title" },
		{ FIRST DOMAIN "limits { message_size = 5GB }", "t.conf:3:25: message_size must lie" },
		{ FIRST DOMAIN "learn { spam_address = \"spam@example.com\" }",
			"t.conf:3:24: spam_address \"spam@example.com\" is no address in one of the domain sections" },
		{ FIRST DOMAIN "learn { from = \"x\" }", "t.conf:3:" },
		{ FIRST DOMAIN "learn { auto_domains = \"bob@example.org\" }",
			"t.conf:3:24: auto_domains \"bob@example.org\" is no domain: name it as example.org" },
		{ FIRST DOMAIN "admin { listen = \"here\" }", "t.conf:3:18: listen is an address" },
		{ "hostname = \"mx example\"" DOMAIN, "t.conf:1:12: hostname \"mx example\"" },
		{ FIRST DOMAIN "state_dir = \"here\"", "t.conf:3:13: state_dir must be a full path" },
		{ FIRST DOMAIN OUT_FROM("10.0.0.0/8"),
			"t.conf:3:39: mail cannot leave: say where it goes, as outbound { relay = " },
		{ FIRST DOMAIN RELAY OUT_FROM("0.0.0.0/0"), "t.conf:4:39: outbound_from 0.0.0.0/0 would "
			"let strangers send mail to anywhere (an open relay): " },
		{ FIRST DOMAIN RELAY OUT_FROM("128.0.0.0/1"), "t.conf:4:39: outbound_from 128.0.0.0/1" },
		{ FIRST DOMAIN RELAY OUT_FROM("::/0"), "t.conf:4:39: outbound_from ::/0 would" },
		{ FIRST DOMAIN RELAY OUT_FROM("2000::/3"), "t.conf:4:39: outbound_from 2000::/3 would" },
		{ FIRST DOMAIN RELAY OUT_FROM("::ffff:0:0/96"), "t.conf:4:39: outbound_from: " },
		{ FIRST DOMAIN RELAY OUT_FROM("everybody"), "t.conf:4:39: outbound_from: " },
		{ FIRST DOMAIN RELAY "listen \"1.2.3.4:26\" { outbound_from = \"10.0.0.5\" "
			"proxy_protocol_from = \"0.0.0.0/0\" }",
			"t.conf:4:72: proxy_protocol_from 0.0.0.0/0: whoever is in it may claim" },
		{ FIRST DOMAIN "listen \"1.2.3.4:465\" { tls = implicit proxy_protocol_from = \"10.0.0.1\" }",
			"t.conf:3:30: implicit TLS does not go with proxy_protocol_from" },
		{ FIRST DOMAIN RELAY OUT_FROM("acounts"), "t.conf:4:39: outbound_from: \"acounts\" is no IP "
			"address, nor the word accounts" },
		{ FIRST DOMAIN RELAY "listen \"1.2.3.4:26\" { outbound_from = \"accounts\" tls = off }",
			"t.conf:4:56: outbound_from has accounts, whose passwords are taken inside TLS" },
		{ FIRST DOMAIN "outbound { relay = \"smtp://h\" relay_tls = require relay_login = \"x\" }",
			"t.conf:3:65: relay_login and relay_password_file belong together" },
		{ FIRST DOMAIN "outbound { relay = \"smtp://h\" relay_login = \"x\" relay_password_file = \"/p\" }",
			"t.conf:3:45: a password is not said in the clear: relay_login takes relay_tls" },
		{ FIRST DOMAIN "outbound { }", "t.conf:3:1: relay is missing: " },
		{ FIRST DOMAIN "outbound { relay = { } }", "t.conf:3:20: relay names no smarthost" },
		{ FIRST DOMAIN "outbound { relay = \"lmtp://h\" }",
			"t.conf:3:20: relay \"lmtp://h\" is not of the form smtp://host:port" },
		{ FIRST DOMAIN "outbound { relay = \"smtp://h\" from = \"all\" }", "t.conf:3:38: from must be" },
		{ FIRST DOMAIN "outbound { relay = \"smtp://h\" tag_score = 3 }",
			"t.conf:3:31: unknown key \"tag_score\"" },
		{ FIRST DOMAIN "outbound { relay = \"smtp://1.2.3.4:26\" } " OUT_FROM("10.0.0.5"),
			"t.conf:3:20: relay \"smtp://1.2.3.4:26\" is a listener of this gateway" },
		{ FIRST DOMAIN "dns { inner { } }", "t.conf:3:7: unknown section \"inner\" in \"dns\"" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		read_text(table[i].text);
		assert_true(conf_errors(conf)->n > 0);
		if (strncmp(conf_errors(conf)->v[0], table[i].error, strlen(table[i].error)) != 0)
			fail_msg("%s\n%s", conf_errors(conf)->v[0], table[i].error);
	}
}

static void test_all_errors_at_once(void **state)
{
	read_text("hostname = \"a b\"\nlimits { recipients = 0 }\ndns { timeout = 1 }\nx = 1");
	assert_int_equal(conf_errors(conf)->n, 5);
	assert_non_null(strstr(conf_errors(conf)->v[4], "t.conf:4:1: unknown key \"x\""));
}

static void test_dump_reads_back(void **state)
{
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct config *c = read_clean(FIRST DOMAIN "fronts = 3 admin { }"
		"listen \"[::1]:0\" { tls = off } limits { command_timeout = \"90s\" }"
		RELAY OUT_FROM("10.0.0.5"));
	config_dump(conf, c, &first);
	buf_char(&first, '\0');
	assert_non_null(strstr(first.p, "command_timeout = 90s   # t.conf:3\n"));
	assert_non_null(strstr(first.p, "data_timeout = 3min   # default\n"));
	c = read_clean(first.p);
	assert_int_equal(c->fronts, 3);
	assert_int_equal(c->listeners[0].tls, CONFIG_TLS_OFF);
	assert_true(c->listeners[1].outbound && c->outbound.enabled);
	config_dump(conf, c, &second);
	assert_true(second.n > 0);
	buf_free(&first);
	buf_free(&second);
}

static const char *first_warning(void)
{
	return conf_warnings(conf)->n ? conf_warnings(conf)->v[0] : "";
}

static void test_outbound(void **state)
{
	const struct config *c = read_clean(FIRST DOMAIN "listen \"0.0.0.0:25\" { }\n"
		"listen \"10.0.0.1:2525\" { outbound_from = { \"10.0.0.0/24\" \"::ffff:10.0.1.5\" \"fc00::/7\" } }\n"
		"outbound { relay = { \"smtp://10.0.0.5\" \"smtp://smart.example:587\" } relay_tls = require "
		"from = address reject_score = 9 }");
	const struct config_listener *l = &c->listeners[1];
	const struct config_domain *route = NULL;

	assert_int_equal(conf_warnings(conf)->n, 0);
	assert_false(c->listeners[0].outbound);
	assert_true(l->outbound);
	assert_int_equal(l->outbound_net_count, 3);
	assert_int_equal(l->outbound_nets[1].ip.family, IP_V4);
	assert_true(c->outbound.enabled);
	assert_int_equal(c->outbound.policy.from, POLICY_FROM_ADDRESS);
	assert_true(c->outbound.policy.policy.reject_score == 9);
	assert_int_equal(c->outbound.route.backend_tls, CONFIG_BACKEND_TLS_REQUIRE);
	assert_int_equal(c->outbound.route.backend_count, 2);
	assert_int_equal(c->outbound.route.backends[1].port, 587);
	assert_int_equal(c->backend_count, 2);
	assert_ptr_equal(route = config_next_route(c, route), &c->domains[0]);
	assert_ptr_equal(route = config_next_route(c, route), &c->outbound.route);
	assert_null(config_next_route(c, route));

	c = read_clean(FIRST DOMAIN "outbound { relay = \"smtp://10.0.0.5\" relay_tls = require relay_login = \"x\" "
		"relay_password_file = \"/p\" }");
	assert_non_null(strstr(conf_warnings(conf)->v[conf_warnings(conf)->n - 1],
		"relay \"smtp://10.0.0.5\" is an address, so its certificate is not verified"));
	/* What strangers send must not get into sessions that are logged in. */
	assert_string_equal(c->domains[0].backends[0].text, c->outbound.route.backends[0].text);
	assert_int_not_equal(c->domains[0].backends[0].index, c->outbound.route.backends[0].index);

	c = read_clean(FIRST DOMAIN RELAY "listen \"1.2.3.4:587\" { outbound_from = { \"accounts\" } "
		"proxy_protocol_from = \"0.0.0.0/0\" }");
	assert_true(c->listeners[0].outbound && c->listeners[0].accounts);
	assert_int_equal(c->listeners[0].outbound_net_count, 0);

	c = read_clean(FIRST DOMAIN);
	assert_null(config_next_route(c, &c->domains[0]));
	read_clean(FIRST DOMAIN RELAY);
	assert_non_null(strstr(first_warning(), "t.conf:3:1: no listener takes outgoing mail"));
	read_clean(FIRST DOMAIN RELAY OUT_FROM("10.0.0.5"));
	assert_non_null(strstr(first_warning(), "t.conf:4:39: every listener is for outgoing mail"));
}

static void test_load(void **state)
{
	struct err err;
	struct str text;
	char path[] = "/tmp/gatepost-config-XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "abc", 3), 3);
	close(fd);
	assert_int_equal(config_load(path, arena, &text, &err), 0);
	assert_true(str_eq_c(text, "abc"));
	unlink(path);
	assert_int_equal(config_load(path, arena, &text, &err), -1);
	assert_non_null(strstr(err.text, "No such file"));
	assert_int_equal(config_load("/tmp", arena, &text, &err), -1);
	assert_string_equal(err.text, "/tmp is no regular file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_ten_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smallest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_backends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_errors_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_reads_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outbound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
