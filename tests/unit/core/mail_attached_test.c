/* Messages within messages, as clients forward them and mailbox providers report them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/limits.h"
#include "core/mail/attached.h"

#define HEAD	 "From: a@b.example\r\n"
#define MIXED	 HEAD "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nsee\r\n"
#define RFC822	 "--x\r\nContent-Type: message/rfc822\r\n"
#define SPAM	 "From: s@spam.example\r\nSubject: buy\r\n\r\nnow\r\n"
#define END	 "\r\n--x--\r\n"
#define REPORT	 HEAD "Content-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n" \
		"--x\r\nContent-Type: text/plain\r\n\r\nThis is a report.\r\n"
#define FEEDBACK(type) "--x\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: " type \
		"\r\nUser-Agent: x/1\r\nVersion: 1\r\n\r\n"

static const struct row {
	const char *id, *raw;
	size_t count;
	const char *first, *feedback;
} rows[] = {
	{"nothing", HEAD "\r\nSubject: x\r\nFrom: y@z.example\r\n", 0, "", ""},
	{"forwarded inline", MIXED "--x\r\n\r\n-- Forwarded --\r\n" SPAM END, 0, "", ""},
	{"attached", MIXED RFC822 "\r\n" SPAM END, 1, SPAM, ""},
	{"its last CRLF was the boundary's", MIXED RFC822 "\r\nFrom: s@spam.example\r\n\r\nnow" END, 1,
		"From: s@spam.example\r\n\r\nnow\r\n", ""},
	{"two", MIXED RFC822 "\r\n" SPAM "\r\n" RFC822 "\r\n" SPAM END, 2, SPAM, ""},
	{"global", MIXED "--x\r\nContent-Type: message/global\r\n\r\n" SPAM END, 1, SPAM, ""},
	{"base64, with LF", MIXED RFC822 "Content-Transfer-Encoding: base64\r\n\r\n"
		"RnJvbTogc0BzcGFtLmV4YW1wbGUKU3ViamVjdDogYnV5Cgpub3cK" END, 1, SPAM, ""},
	{"a file", MIXED "--x\r\nContent-Type: application/octet-stream; name=\"Buy.EML\"\r\n\r\n" SPAM END,
		1, SPAM, ""},
	{"another file", MIXED "--x\r\nContent-Type: application/octet-stream; name=eml\r\n\r\n" SPAM END,
		0, "", ""},
	{"digest", HEAD "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\n" SPAM
		"\r\n--x\r\n\r\n" SPAM END, 2, SPAM, ""},
	{"nothing but", HEAD "Content-Type: message/rfc822\r\n\r\n" SPAM, 1, SPAM, ""},
	{"no message", MIXED RFC822 "\r\nhello\r\n" END, 0, "", ""},
	{"empty", MIXED RFC822 "\r\n" END, 0, "", ""},
	{"one within another", MIXED RFC822 "\r\n" HEAD "Content-Type: multipart/mixed; boundary=y\r\n\r\n"
		"--y\r\nContent-Type: message/rfc822\r\n\r\n" SPAM "\r\n--y--\r\n" END, 1, NULL, ""},
	{"abuse", REPORT FEEDBACK("Abuse") RFC822 "\r\n" SPAM END, 1, SPAM, "abuse"},
	{"not spam", REPORT FEEDBACK("not-spam") RFC822 "\r\n" SPAM END, 1, SPAM, "not-spam"},
	{"headers alone", REPORT FEEDBACK("abuse") "--x\r\nContent-Type: text/rfc822-headers\r\n\r\n" SPAM
		END, 0, "", "abuse"},
	{"a report attached", MIXED RFC822 "\r\n" REPORT FEEDBACK("abuse") RFC822 "\r\n" SPAM END, 1, NULL, ""},
};

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
		struct mail_attached got;
		mail_attached(mail_parse(arena, str_c(row->raw)), 10, &got);
		if (got.count != row->count || got.messages.n != row->count)
			fail_msg("%s: %zu messages", row->id, got.count);
		if (row->count && row->first && !str_eq_c(got.messages.v[0], row->first))
			fail_msg("%s: %.*s", row->id, STR_ARG(got.messages.v[0]));
		if (!str_eq_c(got.feedback, row->feedback))
			fail_msg("%s: feedback %.*s", row->id, STR_ARG(got.feedback));
		arena_free(&arena);
	}
}

static void test_most(void **state)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct buf raw = BUF_INIT;
	struct mail_attached got;
	buf_c(&raw, MIXED);
	for (int i = 0; i < 60; i++)
		buf_c(&raw, RFC822 "\r\n" SPAM "\r\n");
	buf_c(&raw, END);
	mail_attached(mail_parse(arena, buf_str(&raw)), 50, &got);
	assert_int_equal(got.messages.n, 50);
	assert_int_equal(got.count, 60);
	buf_free(&raw);
	arena_free(&arena);
}

static void test_crlf(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"a", "a\r\n"},
		{"a\nb\r\n\nc\rd\n", "a\r\nb\r\n\r\nc\rd\r\n"},
		{"a\r", "a\r\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out = BUF_INIT;
		mail_add_crlf(str_c(cases[i][0]), &out);
		assert_true(str_eq_c(buf_str(&out), cases[i][1]));
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_crlf),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
