#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "bayes/math.h"

/* Our own functions agree with the C library's, which are good to the last bit or two. */

static void logarithm(void **state)
{
	for (double x = 1e-300; x < 1e300; x *= 1.37)
		assert_true(fabs(math_log(x) - log(x)) <= 1e-12 * (1 + fabs(log(x))));
	for (double x = 0.5; x < 2; x += 1e-3)
		assert_true(fabs(math_log(x) - log(x)) <= 1e-12);
	assert_true(math_log(1) == 0);
}

static void exponential(void **state)
{
	for (double x = -690; x < 690; x += 0.0917)
		assert_true(fabs(math_exp(x) / exp(x) - 1) <= 1e-12);
	assert_true(math_exp(0) == 1);
	assert_true(isfinite(math_exp(1e9)) && math_exp(-1e9) > 0);
}

static void logistic(void **state)
{
	for (double x = -40; x < 40; x += 0.013) {
		assert_true(fabs(math_logistic(x) - 1 / (1 + exp(-x))) <= 1e-12);
		assert_true(fabs(math_logistic(x) + math_logistic(-x) - 1) <= 1e-12);
	}
	assert_true(math_logistic(0) == 0.5);
	assert_true(math_logistic(1e300) == 1 && math_logistic(-1e300) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logarithm),
		cmocka_unit_test(exponential),
		cmocka_unit_test(logistic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
