#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/record.h"

struct item {
	int64_t a, b, c, d;
};
struct holder {
	LIST(struct item) items;
	struct str_list strings;
};
static const struct field item_fields[] = {
	FIELD_INT(struct item, a), FIELD_INT(struct item, b), FIELD_INT(struct item, c),
	FIELD_INT(struct item, d), FIELD_END,
};
static const struct record item_record = RECORD("item", struct item, item_fields);
static const struct field holder_fields[] = {
	FIELD_RECORDS(struct holder, items, &item_record),
	FIELD_STRS(struct holder, strings),
	FIELD_END,
};
static const struct record holder_record = RECORD("holder", struct holder, holder_fields);

/* Zeroes are an octet each in a packet, and eight or sixteen in memory. */
static void lists_stay_within_the_arena(void **state)
{
	enum { MANY = 100000 };
	static struct item items[MANY];
	static struct str strings[MANY];
	static const struct {
		size_t items, strings, cap;
		int result;
	} rows[] = {
		{ 0, 0, 1, 0 },
		{ MANY, MANY, 16 << 20, 0 },
		{ MANY, 0, 1 << 20, -1 },
		{ 0, MANY, 1 << 20, -1 },
		{ MANY, MANY, SIZE_MAX, 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct holder in = { { items, rows[i].items }, { strings, rows[i].strings } }, out;
		struct arena *arena = arena_new(rows[i].cap);
		struct buf payload = BUF_INIT;
		struct err err = { "" };
		record_encode(&holder_record, &in, &payload);
		assert_int_equal(record_decode(&holder_record, buf_str(&payload), arena, &out, &err),
			rows[i].result);
		assert_false(arena_is_over(arena));
		if (rows[i].result == 0)
			assert_int_equal(out.strings.n, rows[i].strings);
		else
			assert_string_not_equal(err.text, "");
		buf_free(&payload);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_stay_within_the_arena),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
