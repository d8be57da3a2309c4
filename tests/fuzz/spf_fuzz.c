/* Two SPF records, one including the other, by the whole check: grammar, macros, limits, libspf2. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "filters/spf/check.h"

#define ROUNDS_MAX 20

/* TXT data: the text in strings of 255 octets. */
static struct str txt_data(struct arena *arena, struct str text)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < text.n; i += 255) {
		struct str piece = str_sub(text, i, 255);
		buf_char(&b, (char)piece.n);
		buf_str_add(&b, piece);
	}
	struct str data = arena_dup(arena, buf_str(&b));
	buf_free(&b);
	return data;
}

static struct str data_for(struct arena *arena, const struct dns_question *q, struct str record)
{
	static const char address[4] = { (char)192, 0, 2, 9 };

	switch ((enum dns_type)q->type) {
	case DNS_A:
		return str_from(address, 4);
	case DNS_TXT:
		return txt_data(arena, record);
	case DNS_MX:
		return STR("\0\1mx.example");
	case DNS_PTR:
		return STR("host.example");
	default:
		return STR("");
	}
}

static void answer(struct arena *arena, struct facts *facts, const struct needs *needs,
	struct str record)
{
	for (size_t i = 0; i < needs->dns.n; i++) {
		struct dns_answer *a = ARENA_NEW(arena, struct dns_answer);
		a->type = needs->dns.v[i].type;
		a->name = needs->dns.v[i].name;
		a->data.v = ARENA_NEW(arena, struct str);
		a->data.v[0] = data_for(arena, &needs->dns.v[i], record);
		a->data.n = a->data.v[0].n ? 1 : 0;
		facts->dns.v = arena_grow(arena, facts->dns.v, facts->dns.n, facts->dns.n + 1, sizeof(*a));
		facts->dns.v[facts->dns.n++] = *a;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct arena *arena = arena_new(8 << 20);
	struct str input = str_from((const char *)data, size);
	size_t half = str_chr(input, '\n');
	struct facts facts = { .has_mail_from = true };
	struct needs needs = { .scan = false };
	struct filter_call call = { .facts = &facts, .arena = arena, .needs = &needs, .remaining_ms = 1000 };
	struct spf_check check = { .call = &call, .domain = STR("example.com"), .explain = true, .share = 22,
		.values = { .local = str_sub(input, 0, 20), .sender_domain = STR("example.com"),
			.helo = str_sub(input, 3, 10) } };

	if (!started)
		spf_check_init();
	started = true;
	ip_parse(STR("192.0.2.1"), &check.values.client);
	needs.dns.v = ARENA_NEW(arena, struct dns_question);
	needs.dns.v[0] = (struct dns_question){ .type = DNS_TXT, .name = STR("example.com") };
	needs.dns.n = 1;
	answer(arena, &facts, &needs, str_sub(input, 0, half));
	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		needs = (struct needs){ .scan = false };
		if (spf_check_run(&check))
			break;
		assert(needs.dns.n > 0);
		answer(arena, &facts, &needs, str_skip(input, half + 1));
	}
	arena_free(&arena);
	return 0;
}
