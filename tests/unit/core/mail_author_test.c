/*
 * Who is the author? Every way to make two readers disagree on it, after the composition
 * attacks of "Composition Kills" (USENIX Security 2020): each must be told from honest mail by
 * the number of From headers, by an odd one, or by a value that is not one valid mailbox.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "core/mail/mail.h"

struct row {
	const char *id, *raw;
	size_t from_count;
	bool odd;	    /* one of the From headers is */
	bool valid;	    /* the first From's value */
	size_t addresses;   /* in it */
	const char *domain; /* of the first of them */
};

#define REST	"To: <victim@victim.example>\r\nSubject: x\r\n\r\nHi\r\n"
#define ENCODED "=?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuZXhhbXBsZT4=?="

static const struct row rows[] = {
	{"honest", "From: Ann <ann@good.example>\r\n" REST, 1, false, true, 1, "good.example"},
	{"a8 two From", "From: <first@attack.example>\r\nFrom: <admin@legitimate.example>\r\n" REST,
		2, false, true, 1, "attack.example"},
	{"a9 blank before the first",
		" From: <first@attack.example>\r\nFrom: <admin@legitimate.example>\r\n" REST, 2,
		true, true, 1, "attack.example"},
	{"a10 blank before the colon",
		"From: <first@attack.example>\r\nFrom : <admin@legitimate.example>\r\n" REST, 2,
		true, true, 1, "attack.example"},
	{"a11 folded name",
		"From\r\n : <first@attack.example>\r\nFrom: <admin@legitimate.example>\r\n" REST, 2,
		true, true, 1, "attack.example"},
	{"a12 folded name, Sender",
		"From\r\n : <first@attack.example>\r\nSender: <admin@legitimate.example>\r\n" REST,
		1, true, true, 1, "attack.example"},
	{"a13 folded name, Resent-From",
		"From\r\n : <first@attack.example>\r\n"
		"Resent-From: <admin@legitimate.example>\r\n" REST,
		1, true, true, 1, "attack.example"},
	{"a14 two addresses", "From: <first@attack.example>, <admin@legitimate.example>\r\n" REST,
		1, false, true, 2, "attack.example"},
	{"a15 encoded address", "From:" ENCODED ",<second@attack.example>\r\n" REST, 1, false,
		false, 1, "attack.example"},
	{"a16 route", "From: <@attack.example,@any.example:admin@legitimate.example>\r\n" REST, 1,
		false, false, 3, "attack.example"},
	{"a17 escaped comma", "From: <first@attack.example>\\,<admin@legitimate.example>\r\n" REST,
		1, false, false, 2, "attack.example"},
	{"a18 bare and angle", "From: admin@legitimate.example<first@attack.example>\r\n" REST, 1,
		false, false, 2, "legitimate.example"},
	{"a18 bare and angle, comma",
		"From: admin@legitimate.example,<first@attack.example>\r\n" REST, 1, false, true, 2,
		"legitimate.example"},
	{"a19 text behind", "From: <any@attack.example>admin@legitimate.example\r\n" REST, 1, false,
		false, 2, "attack.example"},
	{"name with NUL", NULL, 2, true, true, 1, "attack.example"},
	{"tab before the colon", "From\t: a@attack.example\r\n" REST, 1, true, true, 1,
		"attack.example"},
	{"folded twice", "From\r\n \r\n : a@attack.example\r\n" REST, 1, true, true, 1,
		"attack.example"},
	{"case", "fRoM:a@attack.example\r\nFROM: b@b.example\r\n" REST, 2, false, true, 1,
		"attack.example"},
	{"behind a line that is no header",
		"From: a@attack.example\r\nhello world\r\nFrom: b@b.example\r\n" REST, 2, true,
		true, 1, "attack.example"},
	{"after an mbox line", "From x@y Mon Jan  1 00:00:00 2026\r\nFrom: a@b.example\r\n" REST, 1,
		false, true, 1, "b.example"},
	{"none", "X-From: a@b.example\r\n" REST, 0, false, false, 0, ""},
};

static struct str raw_of(const struct row *row)
{
	if (row->raw)
		return str_c(row->raw);
	return STR("From: a@attack.example\r\nFrom\0: b@legitimate.example\r\n" REST);
}

static void test_authors(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		struct arena *a = arena_new(1 << 20);
		struct mail *m = mail_parse(a, raw_of(row));
		size_t count = 0;
		bool odd = false;
		struct mail_addresses list = {0};
		for (const struct mail_header *h = NULL; (h = mail_header(m, "From", h));) {
			if (count++ == 0)
				mail_parse_addresses(m, h->value, &list);
			odd |= h->odd;
		}
		bool same = count == row->from_count && odd == row->odd &&
			    list.valid == row->valid && list.list.n == row->addresses &&
			    (!list.list.n || str_eq_c(list.list.v[0].domain, row->domain));
		if (!same)
			print_error("%s: %zu From, odd %d, valid %d, %zu addresses, first %.*s\n",
				row->id, count, odd, list.valid, list.list.n,
				STR_ARG(list.list.n ? list.list.v[0].domain : STR("")));
		assert_true(same);
		assert_int_equal(mail_header_count(m, "from"), count);
		arena_free(&a);
	}
}

struct syntax {
	const char *value;
	bool valid;
	size_t count;
	const char *display, *local, *domain; /* of the first */
};

static const struct syntax syntaxes[] = {
	{"a@b.example", true, 1, "", "a", "b.example"},
	{"<a@b.example>", true, 1, "", "a", "b.example"},
	{"Ann <a@B.Example>", true, 1, "Ann", "a", "b.example"},
	{"John Q. Public <a@b.example>", true, 1, "John Q. Public", "a", "b.example"},
	{"\"Doe, Jane\" <a@b.example>", true, 1, "Doe, Jane", "a", "b.example"},
	{"\"a \\\"b\\\" c\" <a@b.example>", true, 1, "a \"b\" c", "a", "b.example"},
	{"=?utf-8?q?J=C3=BCrgen?= <j@b.example>", true, 1, "J\xc3\xbcrgen", "j", "b.example"},
	{"\"=?utf-8?q?J=C3=BCrgen?=\" <j@b.example>", true, 1, "J\xc3\xbcrgen", "j", "b.example"},
	{"a@b.example (Ann)", true, 1, "Ann", "a", "b.example"},
	{"(c) a (c(d)) @ (e) b.example (f)", true, 1, "f", "a", "b.example"},
	{"\"a b\"@b.example", true, 1, "", "a b", "b.example"},
	{"a@[192.0.2.1]", true, 1, "", "a", ""},
	{"a@b.example, Bob <b@c.example>", true, 2, "", "a", "b.example"},
	{"undisclosed-recipients:;", true, 0, "", "", ""},
	{"Team: a@b.example, b@c.example;", true, 2, "", "a", "b.example"},
	{"Team: a@b.example;, x@y.example", true, 2, "", "a", "b.example"},
	{"a@b\xc3\xbc"
	 "cher.example",
		true, 1, "", "a", "xn--bcher-kva.example"},
	{"j\xc3\xb6rg@b.example", true, 1, "", "j\xc3\xb6rg", "b.example"},
	{"Ann\r\n <a@b.example>", true, 1, "Ann", "a", "b.example"},
	{"", false, 0, "", "", ""},
	{"Ann", false, 0, "", "", ""},
	{"a@b.example,", false, 1, "", "a", "b.example"},
	{"a..b@c.example", false, 1, "", "a..b", "c.example"},
	{".a@c.example", false, 1, "", ".a", "c.example"},
	{"a@b@c.example", false, 2, "", "a", "b"},
	{"a@b.example c@d.example", false, 2, "", "a", "b.example"},
	{"Ann <a@b.example", false, 1, "Ann", "a", "b.example"},
	{"\"Ann <a@b.example>", false, 1, "\"Ann", "a", "b.example"},
	{"Ann <a@b.example> (x", false, 1, "Ann", "a", "b.example"},
	{"\"x@y.example\" z@c.example", false, 1, "x@y.example", "z", "c.example"},
	{"a@b\xff.example", false, 1, "", "a", ""},
	{"a@b.example;c@d.example", false, 2, "", "a", "b.example"},
	{"<a@b.example><c@d.example>", false, 2, "", "a", "b.example"},
	{"Team: a@b.example", false, 1, "Team:", "a", "b.example"},
	{"foo\rbar <a@b.example>", false, 1, "foo\rbar", "a", "b.example"},
};

static void test_syntax(void **state)
{
	for (size_t i = 0; i < sizeof(syntaxes) / sizeof(*syntaxes); i++) {
		const struct syntax *row = &syntaxes[i];
		struct arena *a = arena_new(1 << 20);
		struct mail *m = mail_parse(a, STR("X: y\r\n\r\n"));
		struct mail_addresses list;
		mail_parse_addresses(m, str_c(row->value), &list);
		struct mail_address first = {0};
		if (list.list.n)
			first = list.list.v[0];
		bool same = list.valid == row->valid && list.list.n == row->count &&
			    str_eq_c(first.local, row->local) &&
			    str_eq_c(first.domain, row->domain) &&
			    (row->count != 1 || str_eq_c(first.display, row->display));
		if (!same)
			print_error("%s: valid %d, %zu: \"%.*s\" %.*s @ %.*s\n", row->value,
				list.valid, list.list.n, STR_ARG(first.display),
				STR_ARG(first.local), STR_ARG(first.domain));
		assert_true(same);
		arena_free(&a);
	}
}

static void test_many_addresses(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct mail *m = mail_parse(a, STR("X: y\r\n\r\n"));
	struct buf b = BUF_INIT;
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%sa%d@b.example", i ? ", " : "", i);
	struct mail_addresses list;
	mail_parse_addresses(m, buf_str(&b), &list);
	assert_true(list.valid);
	assert_true(list.list.n < 1000 && list.list.n >= 200);
	buf_free(&b);
	arena_free(&a);
}

struct domain {
	const char *in, *out; /* NULL: refused */
};

static const struct domain domains[] = {
	{"Example.ORG", "example.org"},
	{"example.org.", "example.org"},
	{"localhost", "localhost"},
	{"b\xc3\xbc"
	 "cher.example",
		"xn--bcher-kva.example"},
	{"B\xc3\x9c"
	 "CHER.example",
		"xn--bcher-kva.example"},
	{"bu\xcc\x88"
	 "cher.example",
		"xn--bcher-kva.example"},	      /* not in NFC */
	{"fa\xc3\x9f.example", "xn--fa-hia.example"}, /* nontransitional */
	{"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
	{"a\xe3\x80\x82"
	 "example",
		"a.example"}, /* ideographic full stop */
	{"xn--a.example", NULL},
	{"xn--bcher-.example", NULL},
	{"xn--zzzzzzzz99999.example", NULL},
	{"xn--abc-.example", NULL},
	{"", NULL},
	{".", NULL},
	{"example..org", NULL},
	{".example.org", NULL},
	{"example.org..", NULL},
	{"-a.example", NULL},
	{"a-.example", NULL},
	{"a_b.example", NULL},
	{"a b.example", NULL},
	{"legitimate.example(.attack.example", NULL},
	{"legitimate.example'a.attack.example", NULL},
	{"a\xff.example", NULL},
	{"a\xef\xbc\xa0"
	 "b.example",
		NULL}, /* full-width @ */
	{"a\xe2\x80\x8b"
	 "b.example",
		"ab.example"}, /* zero width space: mapped away */
	{"0123456789012345678901234567890123456789012345678901234567890123.example", NULL},
};

static void test_domains(void **state)
{
	struct arena *a = arena_new(1 << 20);
	for (size_t i = 0; i < sizeof(domains) / sizeof(*domains); i++) {
		struct str out = STR("?");
		int rc = mail_domain_canonical(a, str_c(domains[i].in), &out);
		if (domains[i].out ? rc || !str_eq_c(out, domains[i].out) : !rc)
			print_error("%s: %d %.*s\n", domains[i].in, rc, STR_ARG(out));
		assert_int_equal(rc, domains[i].out ? 0 : -1);
		assert_true(!domains[i].out || str_eq_c(out, domains[i].out));
	}
	struct str out;
	assert_int_equal(mail_domain_canonical(a, STR("a\0b.example"), &out), -1);
	arena_free(&a);
}

static void test_keys(void **state)
{
	static const struct domain keys[] = {
		{"Example.ORG", "example.org"},
		{"example.org.", "example.org"},
		{"B\xc3\x9c"
		 "CHER.example",
			"xn--bcher-kva.example"},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		{"a_b.example", "a_b.example"},
		{"", NULL},
		{".", NULL},
		{"a\xff.example", NULL},
		{"a\xef\xbc\xa0"
		 "b.example",
			NULL},
	};
	char scratch[MAIL_DOMAIN_MAX], *longest = calloc(1, 300);
	struct str key;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		bool found = mail_domain_key(str_c(keys[i].in), scratch, &key);
		assert_int_equal(found, keys[i].out != NULL);
		assert_true(!found || str_eq_c(key, keys[i].out));
	}
	memset(longest, 'a', 299);
	assert_false(mail_domain_key(str_c(longest), scratch, &key));
	assert_true(mail_domain_key(str_from(longest, 256), scratch, &key));
	free(longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authors),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
