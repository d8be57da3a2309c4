#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/response.h"

static const struct {
	const char *octets;
	int open, ended; /* result while more may come, and when nothing does */
	int status;
	const char *type, *body;
} cases[] = {
	{ "HTTP/1.1 200 OK\r\nContent-Type: text/plain \r\nContent-Length: 2\r\n\r\nhi", 1, 1, 200,
		"text/plain", "hi" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, and more", 1, 1, 200, "", "hi" },
	{ "HTTP/1.1 200 OK\r\n\r\nhi", 0, 1, 200, "", "hi" },
	{ "HTTP/1.0 404\n\nno", 0, 1, 404, "", "no" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n01;a=b\r\ni\r\n0\r\n\r\n", 1,
		1, 200, "", "hi" },
	{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\nHTTP/1.1 204 None\r\n"
	  "Content-Length: 0\r\n\r\n", 1, 1, 204, "", "" },
	/* cut short */
	{ "", 0, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nContent-Le", 0, -1, 0, "", "" },
	{ "HTTP/1.1 100 Continue\r\n\r\n", 0, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", 0, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", 0, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r", 0, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", 0, -1, 0, "", "" },
	/* malformed */
	{ "220 mx.example.net ESMTP\r\n", -1, -1, 0, "", "" },
	{ "HTTP/2 200\r\n\r\n", -1, -1, 0, "", "" },
	{ "HTTP/1.1 999 x\r\n\r\n", -1, -1, 0, "", "" },
	{ "HTTP/1.1 0200 x\r\n\r\n", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nno header\r\n\r\n", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi", -1, -1, 0,
		"", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000\r\n", -1, -1, 0, "", "" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n", -1, -1, 0, "", "" },
};

static void check(size_t i, bool has_ended, int expected)
{
	struct buf body = BUF_INIT;
	struct response r;
	struct err err = { "" };
	int result = response_parse(str_c(cases[i].octets), has_ended, &body, &r, &err);

	if (result != expected || (result < 0) != (err.text[0] != '\0'))
		fail_msg("%zu, ended %d: %d (%s)", i, has_ended, result, err.text);
	if (result == 1 && (r.status != cases[i].status || !str_eq_c(r.type, cases[i].type) ||
			    !str_eq_c(r.body, cases[i].body)))
		fail_msg("%zu, ended %d: %d \"%.*s\"", i, has_ended, r.status, STR_ARG(r.body));
	buf_free(&body);
}

static void test_parse(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(i, false, cases[i].open);
		check(i, true, cases[i].ended);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
