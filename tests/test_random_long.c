/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The normal sampler over 10^8 values, a hundred draws of a million: moments to the fourth, what lies beyond four and
 * five standard deviations, Kolmogorov and Smirnov's distance of each draw and of all together, and Anderson and
 * Darling's, which weighs the tails. Only with CLEF_TEST_LONG. Seeds are fixed, so it passes always or never.
 */
#include <math.h>

#include "init_case.h"

#define DRAWS   100
#define MANY    1000000
#define TOTAL   ((double)DRAWS * MANY)
#define COLUMNS 100000

static float x[MANY];
static double below[COLUMNS + 1]; /* values below -7 + 14 i / COLUMNS, in the end */

static double standard_normal_cdf(double value, const void *data)
{
	(void)data;
	return normal_cdf(value);
}

/* A^2 = -n - sum (2 i - 1) / n (ln F(x_i) + ln(1 - F(x_n+1-i))), of sorted values. Its mean is 1, its variance 0.58,
 * and it exceeds 6 in one of a thousand samples. */
static double anderson_darling(void)
{
	double sum = 0;

	for (int i = 0; i < MANY; i++)
		sum += (2.0 * i + 1) / MANY *
		       (log(normal_cdf((double)x[i])) + log(normal_cdf(-(double)x[MANY - 1 - i])));
	return -MANY - sum;
}

static void count_columns(void)
{
	for (int i = 0; i < MANY; i++)
		below[(int)floor(((double)x[i] + 7) / 14 * COLUMNS) + 1]++;
}

static double overall_distance(void)
{
	double worst = 0;

	for (int i = 1; i <= COLUMNS; i++) {
		below[i] += below[i - 1];
		worst = fmax(worst, fabs(below[i] / TOTAL - normal_cdf(-7 + 14.0 * i / COLUMNS)));
	}
	return worst * sqrt(TOTAL);
}

/* |got - want| within four standard errors, given the variance of a term. */
static void ck_near(const char *what, double got, double want, double variance)
{
	printf("random_long: %s: %g, expected %g +- %g\n", what, got, want, sqrt(variance));
	ck_assert_msg(fabs(got - want) < 4 * sqrt(variance), "%s: %g, expected %g", what, got, want);
}

START_TEST(a_hundred_million_normals_are_normal)
{
	double moments[5] = { 0 }, beyond_4 = 0, beyond_5 = 0, squares = 0, largest = 0, all;
	const double p4 = 2 * normal_cdf(-4), p5 = 2 * normal_cdf(-5);

	if (!test_long())
		test_skip("CLEF_TEST_LONG is not set");
	for (uint64_t draw = 0; draw < DRAWS; draw++) {
		clef_rng_normal(&(clef_rng){ 2024, draw }, x, MANY);
		for (int i = 0; i < MANY; i++) {
			const double z = (double)x[i];

			moments[1] += z;
			moments[2] += z * z;
			moments[3] += z * z * z;
			moments[4] += z * z * z * z;
			beyond_4 += fabs(z) > 4;
			beyond_5 += fabs(z) > 5;
		}
		count_columns();
		largest = fmax(largest, ks_distance(x, MANY, standard_normal_cdf, NULL));
		squares += anderson_darling();
	}
	ck_near("mean", moments[1] / TOTAL, 0, 1 / TOTAL);
	ck_near("mean square", moments[2] / TOTAL, 1, 2 / TOTAL);
	ck_near("mean third power", moments[3] / TOTAL, 0, 15 / TOTAL);
	ck_near("mean fourth power", moments[4] / TOTAL, 3, 96 / TOTAL);
	ck_near("beyond 4", beyond_4, TOTAL * p4, TOTAL * p4);
	ck_near("beyond 5", beyond_5, TOTAL * p5, TOTAL * p5);
	ck_near("Anderson and Darling", squares / DRAWS, 1, 0.58 / DRAWS);
	all = overall_distance();
	printf("random_long: Kolmogorov and Smirnov: %g at most, %g over all\n", largest, all);
	/* 2.5 is exceeded in one of 130,000 samples, and there are a hundred. */
	ck_assert_double_lt(largest, 2.5);
	ck_assert_double_lt(all, 1.95);
}
END_TEST

Suite *random_long_suite(void)
{
	Suite *s = suite_create("random_long");
	TCase *c = tcase_create("host");

	tcase_set_timeout(c, 1200);
	tcase_add_test(c, a_hundred_million_normals_are_normal);
	suite_add_tcase(s, c);
	return s;
}
