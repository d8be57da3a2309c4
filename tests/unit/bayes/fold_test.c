#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bayes/fold.h"

static void folds(void **state)
{
	static const struct {
		const char *text, *folded;
	} rows[] = {
		{"Viagra", "viagra"},
		{"a  b\t\r\nc ", "a b c "},
		{"  lead", "lead"},
		{"\xd0\xa0\xd0\xb0y\xd0\xa0\xd0\xb0l", "paypal"}, /* Cyrillic Р and а */
		{"\xce\x91\xce\x92", "ab"},			  /* Greek Α and Β */
		{"\xef\xbc\xb6\xef\xbd\x89", "vi"},		  /* full width */
		{"vi\xe2\x80\x8b"
		 "ag\xc2\xadra",
			"viagra"},			    /* zero width, soft hyphen */
		{"\xf0\x9d\x90\x80\xf0\x9d\x90\x9b", "ab"}, /* mathematical bold A, b */
		{"\xc3\x84\xc3\xa4", "\xc3\xa4\xc3\xa4"},   /* Ä and ä */
		{"a\xc2\xa0"
		 "b\xe3\x80\x80"
		 "c",
			"a b c"},	  /* other blanks */
		{"\xff\xfe", "\xff\xfe"}, /* no UTF-8: as it is */
		{"\xe4\xb8\xad", "\xe4\xb8\xad"},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = BUF_INIT;
		fold_text(str_c(rows[i].text), 1000, &out);
		if (!str_eq_c(buf_str(&out), rows[i].folded))
			fail_msg("row %zu: got \"%.*s\"", i, STR_ARG(buf_str(&out)));
		buf_free(&out);
	}
}

static void keeps_to_its_cap(void **state)
{
	struct buf out = BUF_INIT;
	buf_c(&out, "before ");
	fold_text(STR("ABCDEFGH"), 4, &out);
	assert_true(str_eq_c(buf_str(&out), "before abcd"));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folds),
		cmocka_unit_test(keeps_to_its_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
