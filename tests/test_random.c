/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers on the host: the generator against published vectors, the layout of a draw, the distributions against
 * theory, and hashes that hold every compiler to the same bits. Seeds are fixed, so a statistical test passes always or
 * never; its limits are those of a chance below one in a thousand.
 */
#include <math.h>

#include "init_case.h"
#include "philox.clh"
#include "random_hashes.h"

/* ---- words ---- */

/* The three vectors of ten rounds for philox4x32 in Random123's tests/kat_vectors. Copyright 2010-2012, D. E. Shaw
 * Research; BSD 3-clause licence. */
START_TEST(philox_gives_the_published_words)
{
	static const struct {
		uint32_t counter[4], key[2], out[4];
	} rows[] = {
		{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
		  { 0xffffffff, 0xffffffff },
		  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
		  { 0xa4093822, 0x299f31d0 },
		  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		uint32_t out[4];

		clef_philox4x32(rows[i].counter, rows[i].key, out);
		ck_assert_mem_eq(out, rows[i].out, sizeof(out));
	}
}
END_TEST

START_TEST(a_draw_is_laid_out_as_documented)
{
	const clef_rng start = { 0x0123456789abcdef, 0xfedcba9876543210 };
	const uint32_t key[2] = { 0x89abcdef, 0x01234567 };
	clef_rng rng = start;
	uint32_t words[23];
	float uniforms[23];

	clef_rng_uint32(&rng, words, 23);
	ck_assert(rng.seed == start.seed && rng.counter == start.counter + 1);
	rng = start;
	clef_rng_uniform(&rng, uniforms, 23);
	ck_assert(rng.counter == start.counter + 1);
	for (uint32_t i = 0; i < 23; i++) {
		uint32_t out[4];

		clef_philox4x32((uint32_t[]){ i / 4, 0, 0x76543210, 0xfedcba98 }, key, out);
		ck_assert_uint_eq(words[i], out[i % 4]);
		ck_assert(uniforms[i] == (float)(words[i] >> 8) / 16777216.0f);
	}
}
END_TEST

/* Neither the size of a draw nor what was drawn before shows in its values. */
START_TEST(a_draw_depends_on_seed_counter_and_place_alone)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 4, 5, 17, 1000 };
	float all[1000], part[1001];

	for (int kind = 0; kind < 2; kind++) {
		void (*draw)(clef_rng *, float *, size_t) = kind ? clef_rng_normal : clef_rng_uniform;

		draw(&(clef_rng){ 5, 8 }, all, 1000);
		for (int i = 0; i < CLEF_COUNT(sizes); i++) {
			clef_rng rng = { 5, 7 };

			clef_rng_uint32(&rng, NULL, 0);
			part[sizes[i]] = 42;
			draw(&rng, part, sizes[i]);
			ck_assert_mem_eq(part, all, sizes[i] * sizeof(float));
			ck_assert(part[sizes[i]] == 42 && rng.counter == 9);
		}
		draw(&(clef_rng){ 5, 9 }, part, 1000);
		ck_assert_mem_ne(part, all, sizeof(all));
		draw(&(clef_rng){ 6, 8 }, part, 1000);
		ck_assert_mem_ne(part, all, sizeof(all));
	}
}
END_TEST

START_TEST(bits_are_the_same_everywhere)
{
	static float values[65536];

	clef_rng_uniform(&(clef_rng){ 1, 2 }, values, 65536);
	ck_assert_uint_eq(clef__hash(CLEF__HASH_START, values, sizeof(values)), CLEF__HASH_UNIFORM);
	clef_rng_normal(&(clef_rng){ 1, 2 }, values, 65536);
	ck_assert_uint_eq(clef__hash(CLEF__HASH_START, values, sizeof(values)), CLEF__HASH_NORMAL);
}
END_TEST

/* ---- the normal transform against the C library in double ---- */

static double worst_normal_error(uint32_t radius, uint32_t angle)
{
	const double u = (double)(radius | 1) * 0x1p-32;
	const double r = sqrt(-2 * (u < 0.5 ? log(u) : log1p(-(double)(0u - (radius | 1)) * 0x1p-32)));
	const double t = (double)philox_as_int(angle << 2 | 2) * 0x1p-31 * atan(1);
	const double side = angle >> 31 ? -r * cos(t) : r * cos(t), along = r * sin(t);
	const bool upright = angle >> 30 & 1;
	float a, b;

	philox_normal_pair(radius, angle, &a, &b);
	return fmax(fabs((double)a / (upright ? along : side) - 1), fabs((double)b / (upright ? side : along) - 1));
}

START_TEST(normals_are_exact_to_3e_7)
{
	double worst = 0;
	uint32_t words[4];

	for (int i = 0; i < 32; i++)
		for (int j = 0; j < 32; j++)
			for (uint32_t k = 0; k < 3; k++) {
				worst = fmax(worst, worst_normal_error((1u << i) - 1 + k, (1u << j) - 1 + k));
				worst = fmax(worst, worst_normal_error(0u - (1u << i) - 1 + k, 0u - (1u << j) - 1 + k));
			}
	for (uint32_t i = 0; i < 200000; i++) {
		clef_philox4x32((uint32_t[]){ i, 0, 0, 0 }, (uint32_t[]){ 3, 0 }, words);
		worst = fmax(worst, worst_normal_error(words[0], words[1]));
		worst = fmax(worst, worst_normal_error(words[2] >> (i % 32), words[3]));
	}
	ck_assert_msg(worst < 3e-7, "relative error %g", worst);
}
END_TEST

START_TEST(normals_reach_from_6_66_to_6_66)
{
	float a, b;

	philox_normal_pair(0, 0, &a, &b);
	ck_assert(a > 6.66f && a < 6.661f && b > 0);
	philox_normal_pair(0, 1u << 31, &a, &b);
	ck_assert(a < -6.66f);
	philox_normal_pair(0, 1u << 30, &a, &b);
	ck_assert(b > 6.66f);
	philox_normal_pair(0, 3u << 30, &a, &b);
	ck_assert(b < -6.66f);
	philox_normal_pair(0xffffffff, 0, &a, &b);
	ck_assert(a > 2.1e-5f && a < 2.2e-5f);
}
END_TEST

/* ---- distributions ---- */

#define MANY 1000000

static float many[MANY];

static double uniform_cdf(double x, const void *data)
{
	(void)data;
	return x;
}

static double standard_normal_cdf(double x, const void *data)
{
	(void)data;
	return normal_cdf(x);
}

/* The mean of x^power, or with a lag of x[i] x[i + lag]. */
static double moment(int power, int lag)
{
	double sum = 0;

	for (int i = 0; i + lag < MANY; i++)
		sum += lag ? (double)many[i] * (double)many[i + lag] : pow((double)many[i], power);
	return sum / MANY;
}

/* |got - want| within four standard errors, given the variance of a term. */
static void ck_near(double got, double want, double variance)
{
	ck_assert_msg(fabs(got - want) < 4 * sqrt(variance / MANY), "%g, expected %g", got, want);
}

START_TEST(uniforms_are_uniform)
{
	clef_rng_uniform(&(clef_rng){ 11, 0 }, many, MANY);
	for (int i = 0; i < MANY; i++)
		ck_assert(many[i] >= 0 && many[i] < 1 && many[i] * 0x1p24f == floorf(many[i] * 0x1p24f));
	ck_near(moment(1, 0), 1.0 / 2, 1.0 / 12);
	ck_near(moment(2, 0), 1.0 / 3, 1.0 / 5 - 1.0 / 9);
	for (int lag = 1; lag <= 5; lag++)
		ck_near(moment(0, lag), 1.0 / 4, 1.0 / 6);
	ck_assert_double_lt(ks_distance(many, MANY, uniform_cdf, NULL), 1.95);
}
END_TEST

START_TEST(normals_are_normal)
{
	int beyond_4 = 0;

	clef_rng_normal(&(clef_rng){ 12, 0 }, many, MANY);
	for (int i = 0; i < MANY; i++)
		beyond_4 += fabsf(many[i]) > 4;
	ck_near(moment(1, 0), 0, 1);
	ck_near(moment(2, 0), 1, 2);
	ck_near(moment(3, 0), 0, 15);
	ck_near(moment(4, 0), 3, 96);
	for (int lag = 1; lag <= 5; lag++)
		ck_near(moment(0, lag), 0, 1);
	/* 63 on average. */
	ck_assert_int_ge(beyond_4, 35);
	ck_assert_int_le(beyond_4, 95);
	ck_assert_double_lt(ks_distance(many, MANY, standard_normal_cdf, NULL), 1.95);
}
END_TEST

/* The two values of a pair share their radius: their squares must still be uncorrelated. */
START_TEST(squares_of_a_pair_are_uncorrelated)
{
	double sum = 0;

	clef_rng_normal(&(clef_rng){ 13, 0 }, many, MANY);
	for (int i = 0; i < MANY; i += 2)
		sum += ((double)many[i] * (double)many[i] - 1) * ((double)many[i + 1] * (double)many[i + 1] - 1);
	ck_near(sum / (MANY / 2), 0, 2 * 4);
}
END_TEST

/* ---- permutations ---- */

START_TEST(permutation_has_each_number_once)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 64, 1000, 65537 };
	static int32_t values[65538];
	static bool seen[65537];

	for (int i = 0; i < CLEF_COUNT(sizes); i++) {
		const size_t n = sizes[i];
		clef_rng rng = { 3, 4 };
		size_t moved = 0;

		memset(seen, 0, sizeof(seen));
		values[n] = -42;
		clef_rng_permutation(&rng, values, n);
		ck_assert(rng.counter == 5 && values[n] == -42);
		for (size_t j = 0; j < n; j++) {
			ck_assert(values[j] >= 0 && (size_t)values[j] < n && !seen[values[j]]);
			seen[values[j]] = true;
			moved += (size_t)values[j] != j;
		}
		ck_assert(n < 64 || moved > n - 10);
	}
}
END_TEST

/* The chi-square statistic of 119 degrees of freedom exceeds 172 in one of a thousand samples. */
START_TEST(permutations_are_equally_likely)
{
	enum { TRIALS = 120000, KINDS = 120 };
	int counts[KINDS] = { 0 };
	clef_rng rng = { 99, 0 };
	double chi = 0;

	for (int i = 0; i < TRIALS; i++) {
		int32_t p[5];
		int index = 0;

		clef_rng_permutation(&rng, p, 5);
		for (int j = 0; j < 5; j++) {
			int smaller = 0;

			for (int k = j + 1; k < 5; k++)
				smaller += p[k] < p[j];
			index = index * (5 - j) + smaller;
		}
		counts[index]++;
	}
	for (int i = 0; i < KINDS; i++)
		chi += pow(counts[i] - (double)TRIALS / KINDS, 2) / ((double)TRIALS / KINDS);
	ck_assert_double_lt(chi, 172);
}
END_TEST

START_TEST(permutation_can_be_replayed)
{
	int32_t a[100], b[100];

	clef_rng_permutation(&(clef_rng){ 1, 1 }, a, 100);
	clef_rng_permutation(&(clef_rng){ 1, 1 }, b, 100);
	ck_assert_mem_eq(a, b, sizeof(a));
	clef_rng_permutation(&(clef_rng){ 1, 2 }, b, 100);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

Suite *random_suite(void)
{
	Suite *s = suite_create("random");
	TCase *c = tcase_create("host");

	tcase_add_test(c, philox_gives_the_published_words);
	tcase_add_test(c, a_draw_is_laid_out_as_documented);
	tcase_add_test(c, a_draw_depends_on_seed_counter_and_place_alone);
	tcase_add_test(c, bits_are_the_same_everywhere);
	tcase_add_test(c, normals_are_exact_to_3e_7);
	tcase_add_test(c, normals_reach_from_6_66_to_6_66);
	tcase_add_test(c, uniforms_are_uniform);
	tcase_add_test(c, normals_are_normal);
	tcase_add_test(c, squares_of_a_pair_are_uncorrelated);
	tcase_add_test(c, permutation_has_each_number_once);
	tcase_add_test(c, permutations_are_equally_likely);
	tcase_add_test(c, permutation_can_be_replayed);
	suite_add_tcase(s, c);
	return s;
}
