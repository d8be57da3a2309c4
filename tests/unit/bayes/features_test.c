#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "bayes/features.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_traces_out),
		cmocka_unit_test(depends_on_message_and_salt_alone),
		cmocka_unit_test(are_single_and_capped),
		cmocka_unit_test(takes_any_octets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
