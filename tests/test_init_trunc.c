/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normal values within bounds: the distribution, by every way of proposing, against theory; the device against the
 * host; the bits; what is refused.
 */
#include <float.h>
#include <math.h>

#include "init_case.h"
#include "random_hashes.h"

typedef struct bounded {
	float mean, std, lo, hi;
} bounded;

static const bounded rows[] = {
	{ 0, 1, -2, 2 },                    /* whole normal values */
	{ 0.1f, 0.02f, 0.06f, 0.14f },      /* the same, scaled */
	{ -3, 2, -INFINITY, INFINITY },     /* no bounds */
	{ 0, 1, 0, INFINITY },              /* half of it */
	{ 0, 0.02f, -2, 2 },                /* bounds that are never met */
	{ 5, 3, 4, 6 },                     /* uniform proposals, the mean between the bounds */
	{ 0, 1, 0, 2.5f },                  /* the worst of these */
	{ 0, 1, -0.001f, 0.002f },          /* hardly any curve */
	{ 0, 1, 1, 1.25f },                 /* uniform proposals, one tail */
	{ 0, 1, -1.25f, -1 },               /* mirrored */
	{ 0, 1, 1, 4 },                     /* exponential proposals */
	{ 0, 1, 0.01f, 5 },                 /* the same, with little to choose */
	{ 10, 2, -INFINITY, 4 },            /* mirrored */
	{ 0, 1, 3, 3.4f },                  /* with a bound that rejects many */
	{ 1, 0.5f, 16, INFINITY },          /* 30 deviations away */
	{ 0, 1, -20.01f, -20 },             /* uniform and far away */
	{ 100, 0.001f, 99.999f, 100.002f }, /* few floats to choose from */
};

/* The chance of a value below z of those between alpha and beta, from the side where nothing cancels. */
static double bounded_cdf(double x, const void *data)
{
	const bounded *b = data;
	const double scale = 1 / (double)b->std, mean = (double)b->mean;
	double alpha = ((double)b->lo - mean) * scale, beta = ((double)b->hi - mean) * scale, z = (x - mean) * scale;
	double part, all;

	if (alpha > 0) {
		part = normal_cdf(-alpha) - normal_cdf(-z);
		all = normal_cdf(-alpha) - normal_cdf(-beta);
	} else {
		part = normal_cdf(z) - normal_cdf(alpha);
		all = normal_cdf(beta) - normal_cdf(alpha);
	}
	return part / all;
}

#define MANY 200000

START_TEST(values_are_distributed_as_told)
{
	const bounded *b = &rows[_i];
	float *x = malloc(MANY * sizeof(*x));
	clef_rng rng = { 21, (uint64_t)_i };
	double distance;

	ck_assert_ptr_nonnull(x);
	ck_ok(clef_rng_trunc_normal(&rng, x, MANY, b->mean, b->std, b->lo, b->hi));
	ck_assert_uint_eq(rng.counter, (uint64_t)_i + 1);
	for (size_t i = 0; i < MANY; i++)
		ck_assert_msg(x[i] >= b->lo && x[i] <= b->hi, "%a in [%a, %a]", (double)x[i], (double)b->lo,
			      (double)b->hi);
	/* Floats themselves are coarse in the last row. */
	distance = ks_distance(x, MANY, bounded_cdf, b);
	ck_assert_msg(distance < (_i == CLEF_COUNT(rows) - 1 ? 3 : 1.95), "distance %g", distance);
	free(x);
}
END_TEST

/* Neighbours share the words of a block, but must not share their luck. */
START_TEST(values_are_independent)
{
	float *x = malloc(MANY * sizeof(*x));
	double square = 0;

	ck_assert_ptr_nonnull(x);
	ck_ok(clef_rng_trunc_normal(&(clef_rng){ 22, 0 }, x, MANY, 0, 1, -1.5f, 1.5f));
	for (int i = 0; i < MANY; i++)
		square += (double)x[i] * (double)x[i] / MANY;
	for (int lag = 1; lag <= 5; lag++) {
		double product = 0, squares = 0;

		for (int i = 0; i + lag < MANY; i++) {
			const double a = (double)x[i], b = (double)x[i + lag];

			product += a * b;
			squares += (a * a - square) * (b * b - square);
		}
		ck_assert_double_lt(fabs(product) / MANY, 4 * square / sqrt(MANY));
		ck_assert_double_lt(fabs(squares) / MANY, 4 * square / sqrt(MANY));
	}
	free(x);
}
END_TEST

/* torch.nn.init.trunc_normal_ has this deviation by default. */
START_TEST(two_deviations_leave_0_88)
{
	float *x = malloc(MANY * sizeof(*x));
	double sum = 0;

	ck_assert_ptr_nonnull(x);
	ck_ok(clef_rng_trunc_normal(&(clef_rng){ 23, 0 }, x, MANY, 0, 1, -2, 2));
	for (int i = 0; i < MANY; i++)
		sum += (double)x[i] * (double)x[i];
	ck_assert_double_lt(fabs(sqrt(sum / MANY) - 0.8796256610342398), 0.003);
	free(x);
}
END_TEST

/* Bounds that leave one value, or that are millions of deviations away. */
START_TEST(extreme_bounds_are_kept)
{
	static const bounded extreme[] = {
		{ 0, 1, 3, 3 },
		{ 0, 1, 1e6f, 2e6f },
		{ 0, 1e-30f, 1, 2 },
		{ 0, 1, -1e30f, -1e6f },
		{ 0, 1, -INFINITY, -FLT_MAX },
		{ -3e38f, 1, 3e38f, FLT_MAX },
		{ 0, 1e38f, -3e38f, 3e38f },
		{ 7, FLT_MIN, 7, 7 },
	};
	float x[1000];

	for (int i = 0; i < CLEF_COUNT(extreme); i++) {
		const bounded *b = &extreme[i];

		ck_ok(clef_rng_trunc_normal(&(clef_rng){ 1, 1 }, x, 1000, b->mean, b->std, b->lo, b->hi));
		for (int j = 0; j < 1000; j++)
			ck_assert_msg(x[j] >= b->lo && x[j] <= b->hi, "row %d: %g", i, (double)x[j]);
	}
}
END_TEST

START_TEST(device_equals_host)
{
	const bounded *b = &rows[_i];
	const int sizes[] = { 1, 5, 67, 1031, 65537 };
	const clef_rng start = { 0xfedcba9876543210, 0x1122334455667788 };
	float *want = malloc(65537 * sizeof(*want));

	ck_assert_ptr_nonnull(want);
	for (int i = 0; i < CLEF_COUNT(sizes) - (test_small() ? 2 : 0); i++) {
		inside t = inside_new(CLEF_SHAPE(sizes[i]), (size_t)i * 3);
		clef_rng host = start, device = start;

		ck_ok(clef_rng_trunc_normal(&host, want, t.n, b->mean, b->std, b->lo, b->hi));
		ck_ok(clef_init_trunc_normal(t.x, b->mean, b->std, b->lo, b->hi, &device));
		ck_assert_uint_eq(device.counter, host.counter);
		ck_same_bits(inside_read(&t), want, t.n);
		inside_free(&t);
	}
	free(want);
}
END_TEST

/* Of 4,096 values of draw 2 of seed 1, by each way of proposing: every compiler and every device gives these bits. */
static const struct {
	bounded b;
	uint64_t hash;
} hashes[] = {
	{ { 0, 1, -2, 2 }, CLEF__HASH_TRUNC_NORMAL },
	{ { 0, 1, -1, 1 }, 0x5b066ed0073a6426u },
	{ { 0, 1, 1, 4 }, 0x5a7a569de70513a8u },
	{ { 0, 1, -1.25f, -1 }, 0xaef6090942e8395au },
};

START_TEST(bits_are_the_same_everywhere)
{
	const bounded *b = &hashes[_i].b;
	inside t = inside_new(CLEF_SHAPE(4096), 0);
	float host[4096];

	ck_ok(clef_rng_trunc_normal(&(clef_rng){ 1, 2 }, host, 4096, b->mean, b->std, b->lo, b->hi));
	ck_assert_uint_eq(clef__hash(CLEF__HASH_START, host, sizeof(host)), hashes[_i].hash);
	ck_ok(clef_init_trunc_normal(t.x, b->mean, b->std, b->lo, b->hi, &(clef_rng){ 1, 2 }));
	ck_assert_uint_eq(clef__hash(CLEF__HASH_START, inside_read(&t), sizeof(host)), hashes[_i].hash);
	inside_free(&t);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 3)));
	inside t = inside_new(CLEF_SHAPE(4, 5), 0);
	clef_rng rng = { 1, 6 };

	ck_fails(clef_init_trunc_normal(t.x, 0, 0, -2, 2, &rng), CLEF_ERROR_INVALID, "deviation 0");
	ck_fails(clef_init_trunc_normal(t.x, 0, -1, -2, 2, &rng), CLEF_ERROR_INVALID, "deviation -1");
	ck_fails(clef_init_trunc_normal(t.x, 0, INFINITY, -2, 2, &rng), CLEF_ERROR_INVALID, "inf");
	ck_fails(clef_init_trunc_normal(t.x, NAN, 1, -2, 2, &rng), CLEF_ERROR_INVALID, "mean nan");
	ck_fails(clef_init_trunc_normal(t.x, 0, 1, 2, -2, &rng), CLEF_ERROR_INVALID, "bounds 2 and -2");
	ck_fails(clef_init_trunc_normal(t.x, 0, 1, NAN, 2, &rng), CLEF_ERROR_INVALID, "nan and 2");
	ck_fails(clef_init_trunc_normal(t.x, 0, 1, INFINITY, INFINITY, &rng), CLEF_ERROR_INVALID, "lo <= hi");
	ck_fails(clef_init_trunc_normal(t.x, 0, 1, -INFINITY, -INFINITY, &rng), CLEF_ERROR_INVALID, "lo <= hi");
	ck_fails(clef_init_trunc_normal(ints, 0, 1, -2, 2, &rng), CLEF_ERROR_DTYPE, "int32");
	ck_fails(clef_init_trunc_normal(NULL, 0, 1, -2, 2, &rng), CLEF_ERROR_INVALID, "clef_init_trunc_normal");
	ck_fails(clef_init_trunc_normal(t.x, 0, 1, -2, 2, NULL), CLEF_ERROR_INVALID, "rng is NULL");
	ck_fails(clef_rng_trunc_normal(&rng, NULL, 0, 0, 0, -2, 2), CLEF_ERROR_INVALID, "clef_rng_trunc_normal");
	ck_fails(clef_init_trunc_normal(t.x, 0, 3e38f, -3e38f, 3e38f, &rng), CLEF_ERROR_INVALID, "apart");
	ck_assert_uint_eq(rng.counter, 6);
	for (size_t i = 0; i < t.n; i++)
		ck_assert(inside_read(&t)[i] == GUARD);
	inside_free(&t);
	clef_tensor_free(ints);
}
END_TEST

Suite *init_trunc_suite(void)
{
	Suite *s = suite_create("init_trunc");
	TCase *host = tcase_create("host"), *device = tcase_create("device");

	tcase_add_loop_test(host, values_are_distributed_as_told, 0, CLEF_COUNT(rows));
	tcase_add_test(host, values_are_independent);
	tcase_add_test(host, two_deviations_leave_0_88);
	tcase_add_test(host, extreme_bounds_are_kept);
	suite_add_tcase(s, host);

	tcase_add_checked_fixture(device, device_setup, device_teardown);
	tcase_add_loop_test(device, device_equals_host, 0, CLEF_COUNT(rows));
	tcase_add_loop_test(device, bits_are_the_same_everywhere, 0, CLEF_COUNT(hashes));
	tcase_add_test(device, bad_arguments_are_refused);
	suite_add_tcase(s, device);
	return s;
}
