#include "bayes/math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double ln2 = 0.693147180559945309417;

double math_log(double x)
{
	/* x = m * 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh((m - 1) / (m + 1)). */
	uint64_t bits;
	memcpy(&bits, &x, 8);
	int e = (int)(bits >> 52 & 0x7ff) - 1023;
	bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
	double m;
	memcpy(&m, &bits, 8);
	if (m > 1.41421356237309504880) {
		m = m / 2;
		e++;
	}
	double z = (m - 1) / (m + 1), q = z * z, sum = 0;
#pragma GCC unroll 11 /* so that no division is left */
	for (int k = 21; k >= 1; k -= 2)
		sum = sum * q + 1.0 / k;
	return 2 * z * sum + e * ln2;
}

double math_exp(double x)
{
	if (x > 700)
		x = 700;
	if (x < -700)
		x = -700;
	int n = (int)(x / ln2 + (x < 0 ? -0.5 : 0.5));
	double r = x - n * ln2, sum = 1;
	for (int k = 14; k >= 1; k--)
		sum = 1 + r * sum / k;
	uint64_t bits = (uint64_t)(n + 1023) << 52;
	double scale;
	memcpy(&scale, &bits, 8);
	return sum * scale;
}

double math_logistic(double x)
{
	return 1 / (1 + math_exp(-x));
}

double math_sqrt(double x)
{
	/* IEEE 754 demands the exactly rounded root, so the machine's own is the same everywhere.
	 */
	return sqrt(x);
}
