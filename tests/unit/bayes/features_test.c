#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "bayes/fold.h"
#include "tests/unit/bayes/reference.h"

static const uint8_t salt[16] = "a salt of sixtee", other_salt[16] = "another of these";

#define BODY "\r\nBuy our watches at http://shop.example.com/ today, they are cheap.\r\n"

static struct features of(struct arena *arena, const char *message, const uint8_t key[16])
{
	struct features f;
	features_of(mail_parse(arena, str_c(message)), key, &f);
	return f;
}

static bool same(const struct features *a, const struct features *b)
{
	return a->gram_count == b->gram_count && a->token_count == b->token_count &&
	       memcmp(a->grams, b->grams, a->gram_count * sizeof(a->grams[0])) == 0 &&
	       memcmp(a->tokens, b->tokens, a->token_count * sizeof(a->tokens[0])) == 0;
}

static int compare_grams(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static int compare_tokens(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Where a message was collected and what others thought of it teaches nothing. */
static void leaves_traces_out(void **state)
{
	static const char *const traces[] = {
		"X-Spam-Status: Yes, score=20\r\n",
		"x-virus-scanned: clean\r\n",
		"List-Id: <l.example>\r\n",
		"X-Mailman-Version: 2\r\n",
		"X-Gatepost-Score: 3\r\n",
		"Delivered-To: a@example.net\r\n",
		"Authentication-Results: mx; spf=pass\r\n",
		"ARC-Seal: i=1\r\n",
		"Status: RO\r\n",
		"X-Bogosity: Spam\r\n",
		"Return-Path: <a@example.org>\r\n",
	};
	struct arena *arena = arena_new(64 << 20);
	struct features plain = of(arena, "From: a@example.org\r\nSubject: watches\r\n" BODY, salt);
	assert_true(plain.gram_count > 50 && plain.token_count > 20);
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
		const char *message = arena_printf(
			arena, "From: a@example.org\r\n%sSubject: watches\r\n%s", traces[i], BODY)
					      .p;
		struct features traced = of(arena, message, salt);
		if (!same(&plain, &traced))
			fail_msg("%s is seen", traces[i]);
	}
	struct features tagged = of(
		arena, "From: a@example.org\r\nSubject: [spam] [the list] watches\r\n" BODY, salt);
	assert_true(same(&plain, &tagged));
	arena_free(&arena);
}

static void depends_on_message_and_salt_alone(void **state)
{
	struct arena *arena = arena_new(64 << 20), *second = arena_new(64 << 20);
	const char *message = "Subject: watches\r\n" BODY;
	struct features a = of(arena, message, salt), b = of(second, message, salt),
			c = of(arena, message, other_salt);
	assert_true(same(&a, &b));
	assert_false(same(&a, &c));
	arena_free(&arena);
	arena_free(&second);
}

/* Any message, however large, gives at most so many, and each once. */
static void are_single_and_capped(void **state)
{
	struct arena *arena = arena_new(64 << 20);
	struct buf message = BUF_INIT;
	buf_c(&message, "Subject: numbers\r\nContent-Type: text/html\r\n\r\n");
	for (unsigned i = 0; i < 60000; i++)
		buf_printf(&message, "<b class=%u> w%x W%x%s", i * 7919u, i * 2654435761u,
			i * 40503u, i % 10 ? "" : "\r\n");
	struct features f;
	features_of(mail_parse(arena, buf_str(&message)), salt, &f);
	assert_in_range(f.gram_count, 1, FEATURES_GRAMS);
	assert_in_range(f.token_count, 1, FEATURES_TOKENS);
	qsort(f.grams, f.gram_count, sizeof(f.grams[0]), compare_grams);
	qsort(f.tokens, f.token_count, sizeof(f.tokens[0]), compare_tokens);
	for (size_t i = 1; i < f.gram_count; i++)
		assert_true(f.grams[i - 1] < f.grams[i]);
	for (size_t i = 1; i < f.token_count; i++)
		assert_true(f.tokens[i - 1] < f.tokens[i]);
	buf_free(&message);
	arena_free(&arena);
}

/* The same words are others in the headers than in the body, and each feature says where it was. */
static void tell_their_side(void **state)
{
	struct arena *arena = arena_new(64 << 20);
	struct features headers = of(arena, "Subject: cheap watches\r\n\r\n", salt),
			body = of(arena, "\r\ncheap watches\r\n", salt),
			both = of(arena, "Subject: cheap watches\r\n\r\ncheap watches\r\n", salt);
	size_t grams[FEATURES_SIDES] = {0}, tokens[FEATURES_SIDES] = {0};
	for (size_t i = 0; i < both.gram_count; i++)
		grams[features_gram_side(both.grams[i])]++;
	for (size_t i = 0; i < both.token_count; i++)
		tokens[features_token_side(both.tokens[i])]++;
	for (size_t i = 0; i < headers.gram_count; i++)
		assert_int_equal(features_gram_side(headers.grams[i]), FEATURES_HEADERS);
	assert_int_equal(grams[FEATURES_HEADERS], headers.gram_count);
	assert_int_equal(grams[FEATURES_BODY], body.gram_count);
	assert_true(grams[FEATURES_BODY] > 5 && tokens[FEATURES_BODY] > 2 && tokens[FEATURES_HEADERS] > 2);
	arena_free(&arena);
}

static void takes_any_octets(void **state)
{
	static const char *const messages[] = {"", "\r\n", "\r\n\r\n", "x", ":",
		"Subject:\r\n\r\n<", "Subject: [\r\n\r\n\xff\xff\xff\xff",
		"Subject: Re: Fw: re:\r\n\r\n< < <a <b >"};
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct arena *arena = arena_new(64 << 20);
		of(arena, messages[i], salt);
		arena_free(&arena);
	}
}

/* The fast paths against the plain ones of reference.h */

static uint64_t random_of(uint64_t *seed, uint64_t n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (*seed >> 8) % n;
}

/* Words, blanks and all that is hostile, one after the other. */
static void add_text(struct buf *out, size_t n, bool lines, uint64_t *seed)
{
	static const struct str odd[] = {STR("."), STR("--"), STR("..."), STR("!"), STR("$1,000"),
		STR("\0"), STR("\xed\xa0\x80"), STR("\xed\xbf\xbf"), STR("\xff"), STR("\xc3"),
		STR("\xf0\x9f\x92"), STR("\xc0\x80"), STR("\xe2\x80\x8b"), STR("\xc2\xad"),
		STR("\xc2\xa0"), STR("\xe3\x80\x80"), STR("\x7f"), STR("\x80"), STR("@"),
		STR("\xd0\xa0\xd0\xb0"), STR("\xce\x91"), STR("\xef\xbc\xb6"),
		STR("\xf0\x9d\x90\x80"), STR("\xc3\x84"), STR("<"), STR("<b "), STR("<a href=\"x"),
		STR(">"), STR("</p>"), STR("\t"), STR("   "), STR("http://www.example.com/"),
		STR("\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe7\xac\xa6"), STR("[tag] "),
		STR("=?utf-8?q?=C3=A4?="), STR("Re: "), STR("'"), STR("_"), STR("\x01"), STR("Z[`{@/:")};
	size_t start = out->n, line = 0;
	while (out->n - start < n) {
		uint64_t kind = random_of(seed, 8);
		size_t length = random_of(seed, kind == 0 ? 130 : 11);
		bool loud = random_of(seed, 6) == 0;
		if (kind == 1) {
			buf_str_add(out, odd[random_of(seed, sizeof(odd) / sizeof(odd[0]))]);
		} else if (kind == 2) {
			for (size_t i = 0; i < length; i++)
				buf_char(out, (char)random_of(seed, lines ? 256 : 10));
		} else {
			for (size_t i = 0; i < length; i++)
				buf_char(out, (char)((loud ? 'A' : 'a') + random_of(seed, 26)));
			buf_char(out, ' ');
		}
		if (lines && ++line % 12 == 0)
			buf_c(out, "\r\n");
	}
}

static void add_message(struct buf *out, size_t body, uint64_t *seed)
{
	static const char *const names[] = {"From", "Received", "Received", "SUBJECT", "X-Spam-Flag",
		"List-Id", "Date", "x-mailer-with-a-name-that-is-longer-than-all-that-is-looked-at-x",
		"Path", "arc", "Message-ID", "Content-Disposition"};
	for (uint64_t i = random_of(seed, 14); i > 0; i--) {
		buf_c(out, names[random_of(seed, sizeof(names) / sizeof(names[0]))]);
		buf_c(out, ": ");
		add_text(out, random_of(seed, 9) ? random_of(seed, 90) : 600, false, seed);
		buf_c(out, "\r\n");
	}
	buf_c(out, random_of(seed, 2) ? "Content-Type: text/html\r\n\r\n" : "\r\n");
	add_text(out, body, true, seed);
}

static void must_be_those_of_reference(struct str message)
{
	static struct extractor reference;
	struct arena *arena = arena_new(64 << 20);
	struct features f;
	features_of(mail_parse(arena, message), salt, &f);
	ref_extract(&reference, mail_parse(arena, message), salt);
	assert_int_equal(f.gram_count, reference.gram_count);
	assert_int_equal(f.token_count, reference.token_count);
	assert_memory_equal(f.grams, reference.grams, f.gram_count * sizeof(f.grams[0]));
	assert_memory_equal(f.tokens, reference.tokens, f.token_count * sizeof(f.tokens[0]));
	arena_free(&arena);
}

static void are_those_of_the_reference(void **state)
{
	uint64_t seed = 2026;
	struct buf message = BUF_INIT;
	must_be_those_of_reference(STR(""));
	for (size_t i = 0; i < 600; i++) {
		buf_clear(&message);
		/* Up to each length at which a path or a text could end; and beyond all caps. */
		add_message(&message, i % 40 ? i % 300 : 5000 + i * 20, &seed);
		must_be_those_of_reference(buf_str(&message));
		must_be_those_of_reference(str_sub(buf_str(&message), 0, message.n / 2));
	}
	buf_free(&message);
}

static void folds_as_the_reference(void **state)
{
	uint64_t seed = 7;
	struct buf text = BUF_INIT, fast = BUF_INIT, plain = BUF_INIT;
	for (size_t i = 0; i < 4000; i++) {
		buf_clear(&text);
		add_text(&text, i % 80, i % 2, &seed);
		size_t cap = i % 3 ? i % 50 : 1000;
		fold_text(buf_str(&text), cap, &fast);
		ref_fold(buf_str(&text), cap, &plain);
		assert_true(str_eq(buf_str(&fast), buf_str(&plain)));
	}
	buf_free(&text);
	buf_free(&fast);
	buf_free(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(are_those_of_the_reference),
		cmocka_unit_test(folds_as_the_reference),
		cmocka_unit_test(leaves_traces_out),
		cmocka_unit_test(depends_on_message_and_salt_alone),
		cmocka_unit_test(are_single_and_capped),
		cmocka_unit_test(tell_their_side),
		cmocka_unit_test(takes_any_octets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
