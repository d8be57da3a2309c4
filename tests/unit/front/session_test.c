/* Whole sessions against a front whose surroundings are played (world.h): the order of commands,
 * every end of a transaction, and the outcome as the sender, the mailbox server and the
 * quarantine see it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/buf.h"
#include "tests/unit/front/world.h"

#define MAIL "MAIL FROM:<bob@example.org>\r\n"
#define RCPT "RCPT TO:<alice@example.net>\r\n"
#define EHLO "1", "EHLO x\r\n"
#define TO(name) "RCPT TO:<" name "@example.net>\r\n"
#define DATA "DATA\r\n"
#define TEXT "From: bob@example.org\r\n\r\nHello.\r\n..dot\r\n.\r\n"
#define STEPS 24
#define SECRET "AGFsaWNlQGV4YW1wbGUubmV0AHNlY3JldA==\r\n"
#define WRONG "AUTH PLAIN AGFsaWNlQGV4YW1wbGUubmV0AFNlY3JldA==\r\n"

struct dialogue {
	const char *name;
	struct play play;
	const char *steps[STEPS];
	const char *codes;
	size_t delivered, held;
};

static const struct dialogue dialogues[] = {
	{ "a message",
		.steps = { EHLO, "1", MAIL, "1", RCPT, "1", DATA, "1", TEXT, "1", "QUIT\r\n" },
		.codes = "220 250 250 250 354 250 221", .delivered = 1 },
	{ "all pipelined",
		.steps = { EHLO, "3", MAIL RCPT DATA, "2", TEXT "QUIT\r\n" },
		.codes = "220 250 250 250 354 250 221", .delivered = 1 },
	{ "octet by octet",
		.steps = { "0", "E", "0", "HLO x\r", "1", "\n", "1", MAIL, "1", RCPT, "1", DATA,
			"0", "a: b\r\n\r\n.", "0", ".\r\n", "0", ".\r", "1", "\n" },
		.codes = "220 250 250 250 354 250", .delivered = 1 },
	{ "two messages",
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", TEXT, "3", MAIL RCPT DATA,
			"1", TEXT },
		.codes = "220 250 250 250 354 250 250 250 354 250", .delivered = 2 },
	{ "several recipients in one batch",
		.steps = { EHLO, "5",
			MAIL RCPT TO("nobody") TO("later")
			"RCPT TO:<a@example.org>\r\n", "2", DATA TEXT },
		.codes = "220 250 250 250 550 450 550 554 EOF" },
	{ "another policy goes separately",
		.steps = { EHLO, "3", MAIL RCPT "RCPT TO:<a@example.com>\r\n" },
		.codes = "220 250 250 250 452" },
	{ "a recipient twice is one",
		.steps = { EHLO, "4", MAIL RCPT RCPT DATA, "1", TEXT },
		.codes = "220 250 250 250 250 354 250", .delivered = 1 },

	/* By account. */
	{ "AUTH PLAIN, and a message",
		.play = { .accounts = true },
		.steps = { EHLO, "1", "MAIL FROM:<alice@example.net>\r\n", "1", "AUTH PLAIN " SECRET, "4",
			"MAIL FROM:<alice@example.net>\r\n" "RCPT TO:<x@elsewhere.example>\r\n" RCPT DATA,
			"1", TEXT },
		.codes = "220 250 530 235 250 250 250 354 250", .delivered = 1 },
	{ "AUTH LOGIN, answers pipelined",
		.play = { .accounts = true },
		.steps = { EHLO, "4", "AUTH LOGIN\r\nYWxpY2VAZXhhbXBsZS5uZXQ=\r\nc2VjcmV0\r\nMAIL FROM:<>\r\n" },
		.codes = "220 250 334 334 235 250" },
	{ "AUTH at the wrong time",
		.play = { .accounts = true },
		.steps = { "1", "AUTH PLAIN " SECRET, "1", "EHLO x\r\n", "1", "AUTH PLAIN " SECRET, "1", "AUTH PLAIN " SECRET,
			"1", "MAIL FROM:<alice@example.net>\r\n", "1", "AUTH PLAIN " SECRET },
		.codes = "220 503 250 235 503 250 503" },
	{ "AUTH that comes to nothing, and a line that is no command",
		.play = { .accounts = true },
		.steps = { EHLO, "1", "AUTH PLAIN\r\n", "1", "*\r\n", "1", "AUTH LOGIN\r\n", "1", "QUIT \r\n", "1",
			"AUTH PLAIN\r\n", "2", "a\nb\r\n", "1", "NOOP\r\n", "1", "AUTH PLAIN AGEAYg==\r\n" },
		.codes = "220 250 334 501 334 501 334 500 500 250 535" },
	{ "a client that hangs up within AUTH",
		.play = { .accounts = true },
		.steps = { EHLO, "1", "AUTH LOGIN\r\n", "-", "" },
		.codes = "220 250 334" },
	{ "too many wrong passwords",
		.play = { .accounts = true },
		.steps = { EHLO, "10", WRONG WRONG WRONG WRONG WRONG WRONG WRONG WRONG WRONG WRONG, "1", "NOOP\r\n" },
		.codes = "220 250 535 535 535 535 535 535 535 535 535 535 421 EOF" },

	/* Order of commands. */
	{ "no EHLO",
		.steps = { "1", MAIL },
		.codes = "220 503" },
	{ "no MAIL",
		.steps = { EHLO, "1", RCPT, "1", DATA },
		.codes = "220 250 503 503" },
	{ "no RCPT",
		.steps = { EHLO, "2", MAIL DATA },
		.codes = "220 250 250 503" },
	{ "no valid RCPT",
		.steps = { EHLO, "3", MAIL TO("nobody") DATA },
		.codes = "220 250 250 550 554" },
	{ "MAIL in MAIL",
		.steps = { EHLO, "2", MAIL MAIL },
		.codes = "220 250 250 503" },
	{ "RSET ends it",
		.steps = { EHLO, "4", MAIL RCPT "RSET\r\nDATA\r\n" },
		.codes = "220 250 250 250 250 503" },
	{ "EHLO ends it",
		.steps = { EHLO, "2", MAIL RCPT, "1", "EHLO y\r\n", "1", DATA },
		.codes = "220 250 250 250 250 503" },
	{ "a refused message ends it",
		.steps = { EHLO, "3", MAIL TO("refused") DATA,
			"1", TEXT, "1", RCPT, "1", DATA },
		.codes = "220 250 250 250 354 550 503 503" },
	{ "DATA is the last of its group",
		.steps = { EHLO, "3", MAIL RCPT "DATA\r\nNOOP\r\n" },
		.codes = "220 250 250 250 554 EOF" },
	{ "HELO has no groups",
		.steps = { "1", "HELO x\r\n", "1", MAIL RCPT },
		.codes = "220 250 554 EOF" },
	{ "STARTTLS is not offered",
		.steps = { EHLO, "1", "STARTTLS\r\n" },
		.codes = "220 250 502" },
	{ "what is not done",
		.steps = { EHLO, "5", "VRFY a\r\nEXPN a\r\nHELP\r\nNOOP\r\nFOO\r\n" },
		.codes = "220 250 252 502 214 250 500" },
	{ "too large by its own word",
		.steps = { EHLO, "1", "MAIL FROM:<a@b.org> SIZE=200000\r\n" },
		.codes = "220 250 552" },
	{ "a browser",
		.steps = { "1", "GET / HTTP/1.1\r\n" },
		.codes = "220 554 EOF" },

	/* BDAT (RFC 3030). */
	{ "chunks",
		.steps = { EHLO, "2", MAIL RCPT, "1", "BDAT 6\r\na: b\r\n", "1",
			"BDAT 9 LAST\r\n\r\n.\r\nab\r\n" },
		.codes = "220 250 250 250 250 250", .delivered = 1 },
	{ "chunks in one go",
		.steps = { EHLO, "4", MAIL RCPT "BDAT 6\r\na: b\r\nBDAT 7 LAST\r\n\r\nabc\r\n" },
		.codes = "220 250 250 250 250 250", .delivered = 1 },
	{ "a chunk for nobody is thrown away",
		.steps = { EHLO, "2", "BDAT 6\r\nQUIT\r\nNOOP\r\n" },
		.codes = "220 250 503 250" },
	{ "a bare CR in a chunk",
		.steps = { EHLO, "3", MAIL RCPT "BDAT 4\r\na\rbc" },
		.codes = "220 250 250 250 550 EOF" },
	{ "RSET between chunks",
		.steps = { EHLO, "3", MAIL RCPT "BDAT 6\r\na: b\r\n", "2",
			"RSET\r\nBDAT 2 LAST\r\n\r\n" },
		.codes = "220 250 250 250 250 250 503" },
	{ "DATA after BDAT",
		.steps = { EHLO, "3", MAIL RCPT "BDAT 6\r\na: b\r\n", "1", DATA },
		.codes = "220 250 250 250 250 503" },
	{ "a chunk of a gigantic size",
		.steps = { EHLO, "1", "BDAT 99999999999\r\n" },
		.codes = "220 250 552 EOF" },
	{ "a chunk of a size beyond all",
		.steps = { EHLO, "1", "BDAT 18446744073709551615\r\n" },
		.codes = "220 250 501 EOF" },
	{ "a chunk of no size",
		.steps = { EHLO, "1", "BDAT -1\r\n" },
		.codes = "220 250 501 EOF" },

	/* What ends DATA, and what does not. */
	{ "a bare LF before the dot",
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", "a: b\r\n\r\nc\n.\r\nMAIL" },
		.codes = "220 250 250 250 354 550 EOF" },
	{ "a bare CR",
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", "a: b\r\n\r\nc\rd\r\n.\r\n" },
		.codes = "220 250 250 250 354 550 EOF" },

	/* Every row of the outcome table that a sender can tell. */
	{ "held",
		.steps = { EHLO, "3", MAIL TO("held") DATA, "1", TEXT },
		.codes = "220 250 250 250 354 250", .held = 1 },
	{ "one held, one forwarded",
		.steps = { EHLO, "4", MAIL RCPT TO("held") DATA, "1", TEXT },
		.codes = "220 250 250 250 250 354 250", .delivered = 1, .held = 1 },
	{ "one refused, one forwarded",
		.steps = { EHLO, "4", MAIL RCPT TO("refused") DATA, "1", TEXT },
		.codes = "220 250 250 250 250 354 250", .delivered = 1, .held = 1 },
	{ "one must wait",
		.steps = { EHLO, "4", MAIL RCPT TO("wait") DATA, "1", TEXT },
		.codes = "220 250 250 250 250 354 451" },
	{ "no room in the quarantine", .play = { .store = KEEP_NO_SPACE },
		.steps = { EHLO, "4", MAIL RCPT TO("held") DATA, "1", TEXT },
		.codes = "220 250 250 250 250 354 452" },
	{ "no keeper", .play = { .no_keeper = true },
		.steps = { EHLO, "3", MAIL TO("held") DATA, "1", TEXT },
		.codes = "220 250 250 250 354 451" },
	{ "the mailbox server refuses the content", .play = { .after_dot = "552 5.2.2 Full" },
		.steps = { EHLO, "4", MAIL RCPT TO("held") DATA, "1", TEXT },
		.codes = "220 250 250 250 250 354 552" },
	{ "the mailbox server wants it later", .play = { .after_dot = "452 4.2.2 Full" },
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", TEXT },
		.codes = "220 250 250 250 354 452" },
	{ "the mailbox server refuses DATA, and takes the next",
		.play = { .data = "451 4.3.0 Not now" },
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", TEXT, "3", MAIL RCPT DATA, "1", TEXT },
		.codes = "220 250 250 250 354 451 250 250 354 250", .delivered = 1 },
	{ "the mailbox server goes away", .play = { .after_dot = "421 4.3.2 Bye" },
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", TEXT },
		.codes = "220 250 250 250 354 451" },
	{ "the mailbox server hangs up after our dot", .play = { .after_dot = "" },
		.steps = { EHLO, "4", MAIL RCPT TO("held") DATA, "1", TEXT },
		.codes = "220 250 250 250 250 354 451" },
	{ "the mailbox server does not let us relay",
		.play = { .after_dot = "554 5.7.1 Relay access denied" },
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", TEXT },
		.codes = "220 250 250 250 354 451" },
	{ "no mailbox server",
		.play = { .no_backend = true },
		.steps = { EHLO, "2", MAIL RCPT },
		.codes = "220 250 250 451" },

	/* Inspectors die. */
	{ "once: tried again",
		.play = { .inspector_dies = 1 },
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", TEXT },
		.codes = "220 250 250 250 354 250", .delivered = 1 },
	{ "twice: held as what it is", .play = { .inspector_dies = 2 },
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", TEXT, "3", MAIL RCPT DATA, "1", TEXT },
		.codes = "220 250 250 250 354 250 250 250 354 250", .held = 2 },

	{ "twice, on its way out: its sender is told", .play = { .inspector_dies = 2, .accounts = true },
		.steps = { EHLO, "1", "AUTH PLAIN " SECRET, "3", "MAIL FROM:<alice@example.net>\r\n" RCPT DATA, "1", TEXT,
			"3", "MAIL FROM:<alice@example.net>\r\n" RCPT DATA, "1", TEXT },
		.codes = "220 250 235 250 250 354 554 250 250 354 554" },

	{ "greedy: the message is not judged, and the front lives", .play = { .greedy = true },
		.steps = { EHLO, "3", MAIL RCPT DATA, "1", TEXT, "3", MAIL RCPT DATA },
		.codes = "220 250 250 250 354 451 250 250 354" },

	/* Stages before the message. */
	{ "refused at RCPT", .play = { .stages = STAGE_ALL },
		.steps = { EHLO, "4", MAIL TO("refused") TO("wait") RCPT },
		.codes = "220 250 250 550 451 250" },

	/* The client goes away at any place; nothing is left behind. */
	{ "gone after RCPT",
		.steps = { EHLO, "0", MAIL RCPT, "-" },
		.codes = "220 250" },
	{ "gone in DATA",
		.steps = { EHLO, "3", MAIL RCPT DATA, "0", "a: b\r\n", "-" },
		.codes = "220 250 250 250 354" },
	{ "gone before the reply",
		.steps = { EHLO, "3", MAIL RCPT DATA, "0", TEXT, "-" },
		.codes = "220 250 250 250 354" },
};

static void test_dialogues(void **unused)
{
	for (size_t i = 0; i < sizeof(dialogues) / sizeof(dialogues[0]); i++) {
		const struct dialogue *d = &dialogues[i];
		struct world *w = world_new(&d->play);
		const char *steps[STEPS + 2] = { NULL }, *codes;
		size_t n = 0;

		for (; d->steps[n]; n++)
			steps[n] = d->steps[n];
		if (str_ends(str_c(d->codes), "EOF")) {
			steps[n] = "EOF";
			steps[n + 1] = "";
		}
		codes = world_talk(w, steps);
		if (strcmp(codes, d->codes) != 0)
			fail_msg("%s: %s, not %s\n%s", d->name, codes, d->codes,
				world_transcript(w));
		if (world_delivered(w) != d->delivered || world_held(w) != d->held ||
			world_pending(w))
			fail_msg("%s: %zu delivered, %zu held, %zu pending", d->name,
				world_delivered(w), world_held(w), world_pending(w));
		/* All that was taken was given back. */
		assert_int_equal(world_front(w)->ledger.octets, 0);
		assert_int_equal(world_front(w)->session_count, 0);
		world_free(&w);
	}
}

static void test_content(void **unused)
{
	static const char *const steps[] = { "1", "EHLO x\r\n", "3", MAIL RCPT "DATA\r\n", "1",
		"From: a@example.org\r\n\r\n..one\r\n...two\r\nthree\nfour\r\n.\r\n", NULL };
	struct play play = { 0 };
	struct world *w = world_new(&play);
	struct str message;
	size_t body;

	assert_string_equal(world_talk(w, steps), "220 250 250 250 354 250");
	assert_int_equal(world_delivered(w), 1);
	message = world_message(w, 0);
	assert_true(str_starts(message, "X-Test: 1\r\nReceived: from x (unknown [192.0.2.1]) by "
					"mx.example.net"));
	body = str_find(message, STR("From: a@example.org\r\n"));
	assert_true(str_eq(str_skip(message, body),
		STR("From: a@example.org\r\n\r\n.one\r\n..two\r\nthree\r\nfour\r\n")));
	world_free(&w);
}

/* Over the limit of 100k: read to its end, refused, forgotten; and nothing is left of it. */
static void test_too_large(void **unused)
{
	enum { OCTETS = 150000 };
	struct buf data = BUF_INIT, chunk = BUF_INIT;
	const char *steps[] = { "1", "EHLO x\r\n", "3", MAIL RCPT "DATA\r\n", "1", NULL, "3",
		MAIL RCPT "RSET\r\n", "3", NULL, "1", "DATA\r\n", NULL };
	struct play play = { 0 };
	struct world *w = world_new(&play);

	buf_c(&chunk, MAIL RCPT "BDAT 150000\r\n");
	for (size_t i = 0; i < OCTETS / 50; i++) {
		buf_c(&data, "a: 3456789012345678901234567890123456789012345678\r\n");
		buf_c(&chunk, "a: 345678901234567890123456789012345678901234567\r\n");
	}
	buf_c(&data, ".\r\n");
	buf_char(&data, '\0');
	buf_char(&chunk, '\0');
	steps[5] = data.p;
	steps[9] = chunk.p;
	assert_string_equal(world_talk(w, steps),
		"220 250 250 250 354 552 250 250 250 250 250 552 503");
	assert_int_equal(world_delivered(w), 0);
	assert_int_equal(world_front(w)->ledger.octets, 0);
	buf_free(&data);
	buf_free(&chunk);
	world_free(&w);
}

/* Nothing of a message, cut at any octet into two writes, may be read another way. */
static void test_splits(void **unused)
{
	static const char all[] = "EHLO x\r\n" MAIL RCPT
		"BDAT 6\r\na: b\r\nBDAT 7 LAST\r\n\r\n.ab\r\n" MAIL RCPT
		"BDAT 5\r\nQUIT\nRSET\r\nNOOP\r\n";
	struct play play = { 0 };
	struct world *w = world_new(&play);
	struct buf head = BUF_INIT;

	for (size_t cut = sizeof("EHLO x\r\n") - 1; cut < sizeof(all) - 1; cut++) {
		const char *steps[] = { "1", "EHLO x\r\n", "0", NULL, "9", all + cut, NULL };
		size_t before = world_delivered(w);

		buf_clear(&head);
		buf_add(&head, all + 8, cut - 8);
		buf_char(&head, '\0');
		steps[3] = head.p;
		/* Replies to the first half may come with it or behind it: the sum is the same. */
		assert_string_equal(world_talk(w, steps),
			"220 250 250 250 250 250 250 250 250 250 250");
		if (before < 60)
			assert_int_equal(world_delivered(w), before + 1);
	}
	buf_free(&head);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_splits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
