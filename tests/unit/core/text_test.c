#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/mail/mail.h"

static const char alternative[] =
	"From: a@a.example\r\n"
	"Content-Type: multipart/alternative; boundary=b\r\n"
	"\r\n"
	"--b\r\n"
	"Content-Type: text/plain; charset=iso-8859-1\r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n"
	"\r\n"
	"caf=E9 http://plain.example/x\r\n"
	"--b\r\n"
	"Content-Type: text/html\r\n"
	"Content-Transfer-Encoding: base64\r\n"
	"\r\n"
	/* <meta charset=koi8-r><p>\xc4\xc1 <a href="http://html.example/">http://html.example/</a> <img
	   src="https://img.example/1.png"> www.seen.example */
	"PG1ldGEgY2hhcnNldD1rb2k4LXI+PHA+xMEgPGEgaHJlZj0iaHR0cDovL2h0bWwuZXhhbXBsZS8i\r\n"
	"Pmh0dHA6Ly9odG1sLmV4YW1wbGUvPC9hPiA8aW1nIHNyYz0iaHR0cHM6Ly9pbWcuZXhhbXBsZS8x\r\n"
	"LnBuZyI+IHd3dy5zZWVuLmV4YW1wbGU=\r\n"
	"--b\r\n"
	"Content-Type: application/octet-stream\r\n"
	"\r\n"
	"http://binary.example/\r\n"
	"--b--\r\n";

static void test_alternative(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct mail *m = mail_parse(a, STR(alternative));
	static const struct {
		const char *url, *host, *text;
		enum mail_url_source source;
		size_t part;
	} urls[] = {
		{ "http://html.example/", "html.example", "http://html.example/", MAIL_URL_HREF, 2 },
		{ "https://img.example/1.png", "img.example", "", MAIL_URL_SRC, 2 },
		{ "http://plain.example/x", "plain.example", "", MAIL_URL_TEXT, 1 },
		{ "www.seen.example", "www.seen.example", "", MAIL_URL_TEXT, 2 },
	};

	struct str text = mail_text(m);
	const char *expected = "caf\xc3\xa9 http://plain.example/x\n"
			       "\xd0\xb4\xd0\xb0 http://html.example/ www.seen.example\n";
	if (!str_eq_c(text, expected))
		fail_msg("%.*s", STR_ARG(text));
	mail_urls(m);
	mail_urls(m);
	assert_int_equal(m->urls.n, 4);
	for (size_t i = 0; i < m->urls.n; i++) {
		const struct mail_url *u = &m->urls.v[i];
		if (!str_eq_c(u->url, urls[i].url) || !str_eq_c(u->host, urls[i].host) ||
			!str_eq_c(u->text, urls[i].text) || u->source != urls[i].source ||
			u->part != urls[i].part)
			fail_msg("%zu: %.*s %.*s \"%.*s\" %d %zu", i, STR_ARG(u->url),
				STR_ARG(u->host), STR_ARG(u->text), u->source, u->part);
	}
	assert_true(m->html.present);
	assert_int_equal(m->html.links, 1);
	assert_int_equal(m->html.remote_images, 1);
	arena_free(&a);
}

static void test_single(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct mail *m = mail_parse(a, STR("From: a@a.example\r\n\r\nhello\r\n"));
	assert_true(str_eq_c(str_trim_crlf(mail_text(m)), "hello"));
	mail_urls(m);
	assert_int_equal(m->urls.n, 0);
	assert_false(m->html.present);

	m = mail_parse(a, STR("From: a@a.example\r\nContent-Type: image/png\r\n\r\nhttp://a.example/"));
	assert_int_equal(mail_text(m).n, 0);
	mail_urls(m);
	assert_int_equal(m->urls.n, 0);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alternative),
		cmocka_unit_test(test_single),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
