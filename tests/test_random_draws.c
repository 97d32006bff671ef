/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integers, zeros and ones, exponential values and choices by weight: their distributions, the device against the host,
 * and the bits.
 */
#include <math.h>

#include "init_case.h"
#include "random_hashes.h"

#define MANY 200000

/* ---- integers ---- */

static const struct {
	int64_t lo, hi;
} ranges[] = {
	{ 0, 1 },
	{ 0, 10 },
	{ -7, 6 },
	{ -1000000, 1000000 },
	{ INT32_MIN, INT32_MIN + 3221225472LL }, /* a quarter of the words is refused */
	{ INT32_MIN, INT32_MIN + 2147483649LL }, /* half of them are, which is the most */
	{ INT32_MIN, (int64_t)INT32_MAX + 1 },   /* none is */
	{ -3, INT32_MAX },
};

static double range_cdf(double x, const void *data)
{
	const int64_t *bounds = data;

	return (x - (double)bounds[0]) / ((double)bounds[1] - (double)bounds[0]);
}

START_TEST(integers_lie_within_bounds)
{
	const int64_t bounds[2] = { ranges[_i].lo, ranges[_i].hi };
	int32_t *values = malloc(MANY * sizeof(*values));
	float *real = malloc(MANY * sizeof(*real));
	clef_rng rng = { 31, (uint64_t)_i };

	ck_assert(values && real);
	ck_ok(clef_rng_randint(&rng, values, MANY, bounds[0], bounds[1]));
	ck_assert_uint_eq(rng.counter, (uint64_t)_i + 1);
	for (int i = 0; i < MANY; i++) {
		ck_assert(values[i] >= bounds[0] && values[i] < bounds[1]);
		real[i] = (float)values[i];
	}
	/* The steps of small ranges are no distance from a straight line that means something. */
	if (bounds[1] - bounds[0] > 1000)
		ck_assert_double_lt(ks_distance(real, MANY, range_cdf, bounds), 1.95);
	free(values);
	free(real);
}
END_TEST

/* The chi-square statistic of 12 degrees of freedom exceeds 32.9 in one of a thousand samples. */
START_TEST(integers_are_equally_likely)
{
	int32_t *values = malloc(MANY * sizeof(*values));
	int counts[13] = { 0 };
	double chi = 0;

	ck_assert_ptr_nonnull(values);
	ck_ok(clef_rng_randint(&(clef_rng){ 32, 0 }, values, MANY, -7, 6));
	for (int i = 0; i < MANY; i++)
		counts[values[i] + 7]++;
	for (int i = 0; i < 13; i++)
		chi += pow(counts[i] - MANY / 13.0, 2) / (MANY / 13.0);
	ck_assert_double_lt(chi, 32.9);
	free(values);
}
END_TEST

/* ---- zeros and ones, exponential values ---- */

START_TEST(ones_are_as_likely_as_told)
{
	static const float shares[] = { 0, 1, 0.5f, 0.1f, 0.999f, 1e-3f };
	float *x = malloc(MANY * sizeof(*x)), *u = malloc(MANY * sizeof(*u));
	const double p = (double)shares[_i];
	int ones = 0;

	ck_assert(x && u);
	ck_ok(clef_rng_bernoulli(&(clef_rng){ 33, 0 }, x, MANY, shares[_i]));
	clef_rng_uniform(&(clef_rng){ 33, 0 }, u, MANY);
	for (int i = 0; i < MANY; i++) {
		ck_assert(x[i] == (u[i] < shares[_i] ? 1.0f : 0.0f));
		ones += x[i] == 1;
	}
	ck_assert_double_le(fabs(ones - MANY * p), 4 * sqrt(MANY * p * (1 - p)));
	free(x);
	free(u);
}
END_TEST

static double exponential_cdf(double x, const void *data)
{
	const double *rate = data;

	return -expm1(-x * *rate);
}

START_TEST(exponential_values_are_exponential)
{
	static const float rates[] = { 1, 0.25f, 1000, 1e-36f, 1e27f };
	const double rate = (double)rates[_i];
	float *x = malloc(MANY * sizeof(*x));
	double mean = 0, square = 0;
	clef_rng rng = { 34, 5 };

	ck_assert_ptr_nonnull(x);
	ck_ok(clef_rng_exponential(&rng, x, MANY, rates[_i]));
	ck_assert_uint_eq(rng.counter, 6);
	for (int i = 0; i < MANY; i++) {
		ck_assert(x[i] > 0 && (double)x[i] * rate < 22.3);
		mean += (double)x[i] * rate / MANY;
		square += pow((double)x[i] * rate, 2) / MANY;
	}
	ck_assert_double_lt(fabs(mean - 1), 4 * sqrt(1.0 / MANY));
	ck_assert_double_lt(fabs(square - 2), 4 * sqrt(20.0 / MANY));
	ck_assert_double_lt(ks_distance(x, MANY, exponential_cdf, &rate), 1.95);
	free(x);
}
END_TEST

START_TEST(exponential_values_are_logarithms)
{
	uint32_t words[1000];
	float x[1000];

	clef_rng_uint32(&(clef_rng){ 35, 0 }, words, 1000);
	ck_ok(clef_rng_exponential(&(clef_rng){ 35, 0 }, x, 1000, 2));
	for (int i = 0; i < 1000; i++) {
		const double want = -log((double)(words[i] | 1) * 0x1p-32) / 2;

		ck_assert_msg(fabs((double)x[i] / want - 1) < 2e-7, "%a, expected %a", (double)x[i], want);
	}
}
END_TEST

/* ---- choices by weight ---- */

/* The chi-square statistic of 4 degrees of freedom exceeds 18.5 in one of a thousand samples. */
START_TEST(choices_follow_the_weights)
{
	static const float weights[] = { 0, 1, 2.5f, 0, 0.5f, 4, 2, 0 };
	int32_t *values = malloc(MANY * sizeof(*values));
	int counts[8] = { 0 };
	double chi = 0;
	clef_rng rng = { 36, 1 };

	ck_assert_ptr_nonnull(values);
	ck_ok(clef_rng_multinomial(&rng, weights, 8, true, values, MANY));
	ck_assert_uint_eq(rng.counter, 2);
	for (int i = 0; i < MANY; i++) {
		ck_assert(values[i] >= 0 && values[i] < 8);
		counts[values[i]]++;
	}
	for (int i = 0; i < 8; i++) {
		const double want = MANY * (double)weights[i] / 10;

		ck_assert(weights[i] > 0 || !counts[i]);
		chi += want > 0 ? pow(counts[i] - want, 2) / want : 0;
	}
	ck_assert_double_lt(chi, 18.5);
	free(values);
}
END_TEST

/* Pairs (i, j) have the chance w_i / sum * w_j / (sum - w_i). The chi-square statistic of 11 degrees of freedom exceeds
 * 31.3 in one of a thousand samples. */
START_TEST(choices_without_replacement_follow_the_weights_left)
{
	enum { TRIALS = 50000 };
	static const float weights[] = { 1, 2, 0, 3, 4 };
	int counts[5][5] = { { 0 } };
	clef_rng rng = { 37, 0 };
	double chi = 0;

	for (int i = 0; i < TRIALS; i++) {
		int32_t pair[2];

		ck_ok(clef_rng_multinomial(&rng, weights, 5, false, pair, 2));
		counts[pair[0]][pair[1]]++;
	}
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < 5; j++) {
			const double w = (double)weights[i], v = (double)weights[j];
			const double want = i == j ? 0 : TRIALS * w / 10 * v / (10 - w);

			ck_assert(want > 0 || !counts[i][j]);
			chi += want > 0 ? pow(counts[i][j] - want, 2) / want : 0;
		}
	ck_assert_double_lt(chi, 31.3);
}
END_TEST

START_TEST(choices_of_all_are_a_permutation)
{
	float weights[1000];
	int32_t values[1000];
	bool seen[1000] = { false };

	clef_rng_uniform(&(clef_rng){ 1, 1 }, weights, 1000);
	for (int i = 0; i < 1000; i++)
		weights[i] += 1e-3f;
	ck_ok(clef_rng_multinomial(&(clef_rng){ 1, 2 }, weights, 1000, false, values, 1000));
	for (int i = 0; i < 1000; i++) {
		ck_assert(values[i] >= 0 && values[i] < 1000 && !seen[values[i]]);
		seen[values[i]] = true;
	}
}
END_TEST

/* ---- the device ---- */

static void check_device(int n, clef_rng start)
{
	inside t = inside_new(CLEF_SHAPE(n), (size_t)n % 7);
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(n)));
	float *want = malloc(t.n * sizeof(*want));
	int32_t *whole = malloc(t.n * sizeof(*whole)), *got = malloc(t.n * sizeof(*got));
	clef_rng host = start, device = start;

	ck_assert(want && whole && got);
	ck_ok(clef_rng_exponential(&host, want, t.n, 3));
	ck_ok(clef_random_exponential(t.x, 3, &device));
	ck_same_bits(inside_read(&t), want, t.n);
	ck_ok(clef_rng_bernoulli(&host, want, t.n, 0.3f));
	ck_ok(clef_random_bernoulli(t.x, 0.3f, &device));
	ck_same_bits(inside_read(&t), want, t.n);
	for (int i = 0; i < CLEF_COUNT(ranges); i++) {
		ck_ok(clef_rng_randint(&host, whole, t.n, ranges[i].lo, ranges[i].hi));
		ck_ok(clef_random_int(ints, ranges[i].lo, ranges[i].hi, &device));
		ck_ok(clef_read(ints, got, t.n * sizeof(*got)));
		ck_assert_mem_eq(got, whole, t.n * sizeof(*got));
	}
	ck_assert_uint_eq(device.counter, host.counter);
	clef_tensor_free(ints);
	inside_free(&t);
	free(want);
	free(whole);
	free(got);
}

START_TEST(device_equals_host)
{
	static const int sizes[] = { 1, 6, 64, 129, 4097, 65537 };

	for (int i = 0; i < CLEF_COUNT(sizes) - (test_small() ? 2 : 0); i++)
		check_device(sizes[i], (clef_rng){ 0xfedcba9876543210, 0x1122334455667788 });
}
END_TEST

/* Of 4,096 values of draw 2 of seed 1: every compiler and every device gives these bits. */
#define HASH_WORDS       0xa60a494082aa29c3u
#define HASH_PERMUTATION 0x5ab0fd8cfd3e34cdu
#define HASH_CHOICES     0x430fafc5f497d778u
#define HASH_SAMPLE      0xd84a229c4195f890u

static void ck_hash(const char *what, const void *values, uint64_t want)
{
	const uint64_t hash = clef__hash(CLEF__HASH_START, values, 4096 * sizeof(uint32_t));

	ck_assert_msg(hash == want, "%s: 0x%llx, expected 0x%llx", what, (unsigned long long)hash,
		      (unsigned long long)want);
}

START_TEST(bits_are_the_same_everywhere)
{
	static const clef_rng start = { 1, 2 };
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(4096)));
	inside t = inside_new(CLEF_SHAPE(4096), 0);
	uint32_t words[4096];
	int32_t numbers[4096];
	float weights[5000];
	clef_rng rng = start;

	clef_rng_uint32(&rng, words, 4096);
	ck_hash("words", words, HASH_WORDS);
	rng = start;
	ck_ok(clef_random_exponential(t.x, 1, &rng));
	ck_hash("exponential", inside_read(&t), CLEF__HASH_EXPONENTIAL);
	rng = start;
	ck_ok(clef_random_bernoulli(t.x, 0.3f, &rng));
	ck_hash("bernoulli", inside_read(&t), CLEF__HASH_BERNOULLI);
	rng = start;
	ck_ok(clef_random_int(ints, -1, 3000000000LL - 1000000000, &rng));
	ck_ok(clef_read(ints, numbers, sizeof(numbers)));
	ck_hash("integers", numbers, CLEF__HASH_INTEGERS);
	rng = start;
	clef_rng_permutation(&rng, numbers, 4096);
	ck_hash("permutation", numbers, HASH_PERMUTATION);
	rng = start;
	ck_ok(clef_rng_exponential(&rng, weights, 5000, 1));
	ck_ok(clef_rng_multinomial(&rng, weights, 5000, true, numbers, 4096));
	ck_hash("choices", numbers, HASH_CHOICES);
	ck_ok(clef_rng_multinomial(&rng, weights, 5000, false, numbers, 4096));
	ck_hash("choices without replacement", numbers, HASH_SAMPLE);
	clef_tensor_free(ints);
	inside_free(&t);
}
END_TEST

/* ---- errors ---- */

START_TEST(bad_arguments_are_refused)
{
	static const float weights[] = { 1, 0, 2 }, bad[] = { 1, -1 }, infinite[] = { INFINITY }, none[] = { 0, 0 };
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 3)));
	inside t = inside_new(CLEF_SHAPE(4, 5), 0);
	clef_rng rng = { 1, 6 };
	int32_t values[4];
	float x[4];

	ck_fails(clef_random_exponential(t.x, 0, &rng), CLEF_ERROR_INVALID, "rate 0");
	ck_fails(clef_random_exponential(t.x, NAN, &rng), CLEF_ERROR_INVALID, "rate nan");
	ck_fails(clef_rng_exponential(&rng, x, 4, -1), CLEF_ERROR_INVALID, "clef_rng_exponential: rate -1");
	ck_fails(clef_random_exponential(ints, 1, &rng), CLEF_ERROR_DTYPE, "int32");
	ck_fails(clef_random_bernoulli(t.x, 1.5f, &rng), CLEF_ERROR_INVALID, "probability 1.5");
	ck_fails(clef_random_bernoulli(t.x, NAN, &rng), CLEF_ERROR_INVALID, "probability nan");
	ck_fails(clef_rng_bernoulli(&rng, x, 4, -0.5f), CLEF_ERROR_INVALID, "clef_rng_bernoulli: probability -0.5");
	ck_fails(clef_random_bernoulli(NULL, 1, &rng), CLEF_ERROR_INVALID, "clef_random_bernoulli");
	ck_fails(clef_random_int(ints, 3, 3, &rng), CLEF_ERROR_INVALID, "bounds 3 and 3");
	ck_fails(clef_random_int(ints, 0, 2147483649LL, &rng), CLEF_ERROR_INVALID, "2147483649");
	ck_fails(clef_rng_randint(&rng, values, 4, -2147483649LL, 0), CLEF_ERROR_INVALID, "clef_rng_randint");
	ck_fails(clef_random_int(t.x, 0, 3, &rng), CLEF_ERROR_DTYPE, "float32, expected int32");
	ck_fails(clef_random_int(ints, 0, 3, NULL), CLEF_ERROR_INVALID, "rng is NULL");
	ck_fails(clef_random_int(NULL, 0, 3, &rng), CLEF_ERROR_INVALID, "clef_random_int");
	ck_fails(clef_rng_multinomial(&rng, weights, 3, false, values, 3), CLEF_ERROR_INVALID, "3 of 2 numbers");
	ck_fails(clef_rng_multinomial(&rng, bad, 2, true, values, 1), CLEF_ERROR_INVALID, "weight 1 is -1");
	ck_fails(clef_rng_multinomial(&rng, infinite, 1, true, values, 1), CLEF_ERROR_INVALID, "weight 0 is inf");
	ck_fails(clef_rng_multinomial(&rng, none, 2, true, values, 1), CLEF_ERROR_INVALID, "none of 2 weights");
	ck_fails(clef_rng_multinomial(&rng, NULL, 0, true, values, 1), CLEF_ERROR_INVALID, "none of 0 weights");
	ck_assert_uint_eq(rng.counter, 6);
	ck_ok(clef_rng_multinomial(&rng, none, 2, false, values, 0));
	ck_assert_uint_eq(rng.counter, 7);
	for (size_t i = 0; i < t.n; i++)
		ck_assert(inside_read(&t)[i] == GUARD);
	inside_free(&t);
	clef_tensor_free(ints);
}
END_TEST

Suite *random_draws_suite(void)
{
	Suite *s = suite_create("random_draws");
	TCase *host = tcase_create("host"), *device = tcase_create("device");

	tcase_add_loop_test(host, integers_lie_within_bounds, 0, CLEF_COUNT(ranges));
	tcase_add_test(host, integers_are_equally_likely);
	tcase_add_loop_test(host, ones_are_as_likely_as_told, 0, 6);
	tcase_add_loop_test(host, exponential_values_are_exponential, 0, 5);
	tcase_add_test(host, exponential_values_are_logarithms);
	tcase_add_test(host, choices_follow_the_weights);
	tcase_add_test(host, choices_without_replacement_follow_the_weights_left);
	tcase_add_test(host, choices_of_all_are_a_permutation);
	suite_add_tcase(s, host);

	tcase_add_checked_fixture(device, device_setup, device_teardown);
	tcase_add_test(device, device_equals_host);
	tcase_add_test(device, bits_are_the_same_everywhere);
	tcase_add_test(device, bad_arguments_are_refused);
	suite_add_tcase(s, device);
	return s;
}
