/* Mail of our own, from the keeper to the mailbox server: signed where there is a key, and sent in any case.
 * Mail of our users, between verdict and delivery: signed, or not sent. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/hash.h"
#include "core/mail/canonical.h"
#include "core/mail/pubkey.h"
#include "gateway/front/release.h"
#include "tests/unit/front/world.h"

#define MESSAGE "From: postmaster@example.net\r\nTo: alice@example.net\r\nSubject: held\r\n\r\nThree.\r\n"

/* Keys of example.net; the front takes them over. */
static void give_keys(struct front *front, bool rsa, bool ed25519)
{
	struct arena *arena = front->self->arena;
	struct keyring *ring = &front->keyring;

	ring->keys.v = ARENA_ARRAY(arena, 2, struct keyring_key);
	for (int i = 0; i < 2; i++) {
		struct keyring_key *key = &ring->keys.v[ring->keys.n];
		if (!(i ? ed25519 : rsa))
			continue;
		*key = (struct keyring_key){ .domain = STR("example.net"),
			.selector = i ? STR("e1") : STR("r1") };
		assert_int_equal(signkey_generate(i, &key->key, NULL), 0);
		ring->keys.n++;
	}
}

static bool verifies(const struct mail *m, const struct mail_header *h, const struct signkey *key)
{
	struct buf text = BUF_INIT, record = BUF_INIT;
	struct tags tags;
	uint8_t digest[32];
	const char *reason = "";

	assert_int_equal(tags_parse(h->value, m->arena, &tags), 0);
	struct str algorithm = tags_get(&tags, "a");
	assert_true(str_eq_c(algorithm, signkey_algorithm(key)));
	canonical_headers(&text, m, tags_get(&tags, "h"), h, true);
	canonical_signature(&text, h->line, true);
	hash_sha256(buf_str(&text), digest);
	signkey_record(key, &record);
	bool is_right = pubkey_verify(buf_str(&record), algorithm, digest,
		tags_squeeze(tags_get(&tags, "b"), m->arena), m->arena, &reason) == 1;
	buf_free(&text);
	buf_free(&record);
	return is_right;
}

/* How many of our signatures verify; all must. */
static size_t count_signatures(const struct front *front, struct str message)
{
	struct arena *arena = arena_new(16 << 20);
	struct mail *m = mail_parse(arena, message);
	const struct mail_header *h = NULL;
	size_t n = 0;

	while ((h = mail_header(m, "DKIM-Signature", h))) {
		bool is_one = false;
		if (str_ifind(h->value, STR("d=example.net")) == h->value.n)
			continue;
		for (size_t i = 0; i < front->keyring.keys.n && !is_one; i++) {
			const struct signkey *key = front->keyring.keys.v[i].key;
			is_one = str_ifind(h->value, str_c(signkey_algorithm(key))) < h->value.n &&
				verifies(m, h, key);
		}
		assert_true(is_one);
		n++;
	}
	arena_free(&arena);
	return n;
}

static void test_signed(void **state)
{
	static const struct {
		struct play play;
		bool rsa, ed25519;
		size_t signatures;
	} rows[] = {
		{ { .sign_for = "example.net" }, true, true, 2 },
		{ { .sign_for = "example.net" }, true, false, 1 },
		{ { .sign_for = "example.net" }, false, true, 1 },
		{ { .sign_for = "example.net" }, false, false, 0 },
		{ { .sign_for = "example.com" }, true, true, 0 },
		{ { .sign_for = NULL }, true, true, 0 },
		/* One that dies costs its signature, and not the message. */
		/* One that dies is replaced; a second one costs the signature, and not the message. */
		{ { .sign_for = "example.net", .drafts_die = 1 }, true, true, 2 },
		{ { .sign_for = "example.net", .drafts_die = 2 }, true, true, 1 },
		{ { .sign_for = "example.net", .drafts_die = 4 }, true, true, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct play play = rows[i].play;
		play.job = MESSAGE;
		struct world *w = world_new(&play);
		struct front *front = world_front(w);

		give_keys(front, rows[i].rsa, rows[i].ed25519);
		releases_pull(front->releases);
		world_settle(w);
		assert_int_equal(world_job_result(w), KEEP_OK);
		assert_int_equal(world_delivered(w), 1);
		if (count_signatures(front, world_message(w, 0)) != rows[i].signatures)
			fail_msg("row %zu: %.*s", i, STR_ARG(world_message(w, 0)));
		assert_true(str_find(world_message(w, 0), STR("From: postmaster")) <
			world_message(w, 0).n);
		world_free(&w);
	}
}

#define TALK(to) \
	{ "1", "EHLO x\r\n", "3", "MAIL FROM:<bob@example.net>\r\n" to "DATA\r\n", "1", MESSAGE ".\r\n" }
#define ALICE "RCPT TO:<alice@example.net>\r\n"

static size_t count_headers(struct str message, const char *name)
{
	struct arena *arena = arena_new(16 << 20);
	size_t n = mail_header_count(mail_parse(arena, message), name);

	arena_free(&arena);
	return n;
}

/* The same with an ARC set: all of it or nothing, and never for the price of the message. */
static void test_sealed(void **state)
{
	static const char *const steps[8] = TALK(ALICE), *const held[8] = TALK("RCPT TO:<held@example.net>\r\n");
	static const struct {
		struct play play;
		const char *const *steps;
		size_t drafts, delivered, sets;
	} rows[] = {
		{ { .seal_as = "example.net" }, steps, 2, 1, 1 },
		{ { .seal_as = "example.net", .drafts_die = 1 }, steps, 3, 1, 1 },
		{ { .seal_as = "example.net", .drafts_die = 2 }, steps, 2, 1, 0 },
		/* Half a set would be none. */
		{ { .seal_as = "example.net", .drafts_live = 1, .drafts_die = 2 }, steps, 3, 1, 0 },
		{ { .seal_as = "example.com" }, steps, 0, 1, 0 },
		{ { .seal_as = NULL }, steps, 0, 1, 0 },
		{ { .seal_as = "example.net" }, held, 0, 0, 0 },
		{ { .seal_as = "example.net", .draft_hangs_up = true }, steps, 1, 0, 0 },
		/* What is ours is signed, not sealed. */
		{ { .seal_as = "example.net", .sign_for = "example.net" }, steps, 2, 1, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = world_new(&rows[i].play);

		give_keys(world_front(w), true, true);
		world_talk(w, rows[i].steps);
		if (world_drafts(w) != rows[i].drafts || world_delivered(w) != rows[i].delivered)
			fail_msg("row %zu: %zu drafts, %zu delivered", i, world_drafts(w),
				world_delivered(w));
		if (rows[i].delivered) {
			struct str message = world_message(w, 0);
			assert_int_equal(count_headers(message, "ARC-Seal"), rows[i].sets);
			assert_int_equal(count_headers(message, "ARC-Message-Signature"), rows[i].sets);
			assert_int_equal(count_headers(message, "ARC-Authentication-Results"), rows[i].sets);
			assert_int_equal(str_starts(message, "ARC-Seal: "), rows[i].sets);
		}
		world_free(&w);
	}
}

/* A message of `n` times `piece`, with `before` and `behind`. */
static const char *heap(struct buf *out, const char *before, const char *piece, size_t n, const char *behind)
{
	buf_clear(out);
	buf_c(out, before);
	while (n-- > 0)
		buf_c(out, piece);
	buf_c(out, behind);
	buf_c(out, ".\r\n");
	buf_char(out, '\0');
	return out->p;
}

/* Whatever a message heaps up, its signatures keep within their caps, and hold. */
static void test_heaps(void **state)
{
	static const struct {
		const char *before, *piece;
		size_t n;
		const char *behind;
	} rows[] = {
		{ "From: a@example.net\r\nSubject:", "\r\n x", 9000, "\r\n\r\nbody\r\n" },
		{ "From: a@example.net\r\n", "List-Unsubscribe-Post: x\r\n", 900, "\r\nbody\r\n" },
		{ "From: a@example.net\r\n", "DKIM-Signature: x\r\n", 900, "\r\nbody\r\n" },
		{ "", "From: a@example.net\r\n", 900, "\r\nbody\r\n" },
		{ "From: a@example.net\r\n", "To:\r\nCc:\r\nSubject:\r\nReferences:\r\nList-Id:\r\n", 180, "" },
		{ "From: a@example.net\r\n", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 900, "" },
		{ "From: a@example.net\r\n\r\n", "\r\n", 40000, "" },
		{ "From: a@example.net\r\n\r\n", " \t\r\n", 20000, "x\r\n" },
		{ "no header at all\r\n", "x\r\n", 1, "" },
		{ "", "\r\n", 1, "" },
		{ ": \r\n :\r\n", "From\r\n", 5, "\r\n\r\n" },
	};
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		struct play play = { .sign_for = i % 2 ? "example.net" : NULL,
			.seal_as = i % 2 ? NULL : "example.net" };
		struct world *w = world_new(&play);
		const char *const steps[] = { "1", "EHLO x\r\n", "3",
			"MAIL FROM:<bob@example.net>\r\n" ALICE "DATA\r\n", "1",
			heap(&text, rows[i / 2].before, rows[i / 2].piece, rows[i / 2].n, rows[i / 2].behind), NULL };

		give_keys(world_front(w), true, true);
		if (strcmp(world_talk(w, steps), "220 250 250 250 354 250") != 0)
			fail_msg("row %zu: %s", i / 2, world_transcript(w));
		struct str message = world_message(w, 0);
		if (i % 2 ? count_signatures(world_front(w), message) < 2 : !str_starts(message, "ARC-Seal: "))
			fail_msg("row %zu: %.*s", i / 2, STR_ARG(str_sub(message, 0, 3000)));
		world_free(&w);
	}
	buf_free(&text);
}

/* Between verdict and delivery. */
static void test_session(void **state)
{
	static const struct {
		struct play play;
		const char *const steps[12];
		const char *codes;
		size_t drafts, delivered, signatures, held;
	} rows[] = {
		{ { .sign_for = "example.net" }, TALK(ALICE), "220 250 250 250 354 250", 2, 1, 2, 0 },
		{ { .sign_for = "example.net", .drafts_die = 1 }, TALK(ALICE),
			"220 250 250 250 354 250", 3, 1, 2, 0 },
		/* Unsigned it would be another message than was promised. */
		{ { .sign_for = "example.net", .drafts_die = 2 }, TALK(ALICE),
			"220 250 250 250 354 451", 3, 0, 0, 0 },
		/* It has no key. */
		{ { .sign_for = "example.com" }, TALK(ALICE), "220 250 250 250 354 250", 0, 1, 0, 0 },
		{ { .sign_for = NULL }, TALK(ALICE), "220 250 250 250 354 250", 0, 1, 0, 0 },
		/* What does not leave is not signed; what is held leaves later. */
		{ { .sign_for = "example.net" }, TALK("RCPT TO:<refused@example.net>\r\n"),
			"220 250 250 250 354 550", 0, 0, 0, 0 },
		{ { .sign_for = "example.net" }, TALK("RCPT TO:<held@example.net>\r\n"),
			"220 250 250 250 354 250", 2, 0, 0, 1 },
		/* Who hangs up meanwhile gets nothing sent: he comes again. */
		{ { .sign_for = "example.net", .draft_hangs_up = true }, TALK(ALICE),
			"220 250 250 250 354", 1, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = world_new(&rows[i].play);
		struct front *front = world_front(w);

		give_keys(front, true, true);
		assert_string_equal(world_talk(w, rows[i].steps), rows[i].codes);
		if (world_drafts(w) != rows[i].drafts || world_delivered(w) != rows[i].delivered)
			fail_msg("row %zu: %zu drafts, %zu delivered", i, world_drafts(w),
				world_delivered(w));
		assert_int_equal(world_held(w), rows[i].held);
		assert_int_equal(world_pending(w), 0);
		if (rows[i].delivered) {
			struct str message = world_message(w, 0);
			assert_int_equal(count_signatures(front, message), rows[i].signatures);
			assert_int_equal(str_starts(message, "DKIM-Signature: "), rows[i].signatures > 0);
		}
		world_free(&w);
	}
}

static void on_turn(void *context)
{
	loop_stop(context);
}

/* The front goes while nobody has hashed the message yet. */
static void test_end(void **state)
{
	struct play play = { .job = MESSAGE, .sign_for = "example.net", .no_inspector = true };
	struct world *w = world_new(&play);
	struct front *front = world_front(w);
	struct loop_timer *turn = loop_timer_new(front->loop, on_turn, front->loop);

	give_keys(front, false, true);
	releases_pull(front->releases);
	while (!workers_waiting(front->inspectors)) {
		loop_timer_set(turn, 0);
		loop_run(front->loop);
	}
	assert_false(releases_are_idle(front->releases));
	loop_timer_free(&turn);
	world_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_heaps),
		cmocka_unit_test(test_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
