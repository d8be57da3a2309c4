/*
 * math: logarithm, exponential and logistic function of our own.
 *
 * The C library's give other last bits on other machines (with and without fused
 * multiply-add); these use only +, -, * and /, which IEEE 754 fixes, so that every
 * machine rebuilds a model to the same bits. Good to about 1e-12.
 */
#ifndef BAYES_MATH_H
#define BAYES_MATH_H

/* x > 0, finite. */
double math_log(double x);
double math_exp(double x); /* clamped to |x| <= 700 */
/* 1 / (1 + exp(-x)) */
double math_logistic(double x);
/* Exactly rounded, as IEEE 754 demands. x >= 0. */
double math_sqrt(double x);
static inline double math_between(double least, double x, double most)
{
	return x < least ? least : x > most ? most : x;
}

#endif
