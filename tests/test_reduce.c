/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions over any dimensions: extremes, variance, norms, logsumexp. */
#include <math.h>
#include <stdlib.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

static const clef__family *const families[] = {
	&clef__family_max, &clef__family_min,  &clef__family_var,
	&clef__family_std, &clef__family_norm, &clef__family_logsumexp,
};

START_TEST(problems)
{
	check_family(families[_i]);
}
END_TEST

/* ---- values one by one ---- */

static clef_tape *tape;

static void setup(void)
{
	device_setup();
	tape = ck_new(clef_tape_new(test_device));
	ck_ok(clef_tape_begin(tape));
}

static void teardown(void)
{
	clef_tape_free(tape);
	device_teardown();
}

static clef_tensor *floats(clef_shape shape, float *v)
{
	clef_tensor *x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, shape, v }));

	ck_ok(clef_requires_grad(x, true));
	return x;
}

static void check_floats(const clef_tensor *y, const float *want)
{
	float got[64];
	int64_t n = clef_tensor_numel(y);

	ck_assert(y && n <= CLEF_COUNT(got));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(float)));
	for (int64_t i = 0; i < n; i++)
		ck_assert_msg(isnan(want[i]) ? isnan(got[i]) : got[i] == want[i], "element %d is %g, expected %g",
			      (int)i, (double)got[i], (double)want[i]);
}

/* The values, and the gradient of their sum. */
static void check_both(clef_tensor *y, const float *want, const clef_tensor *x, const float *gradient)
{
	check_floats(y, want);
	ck_ok(clef_backward(clef_sum(y, NULL)));
	check_floats(clef_grad(x), gradient);
}

static const clef_reduce_opts last = { .ndim = 1, .dim = { -1 } };

START_TEST(extreme_values)
{
	float v[] = { 3, 1, 3, 3, NAN, 2, -INFINITY, -INFINITY, 1, INFINITY, INFINITY, 0 };
	float third = 1 / 3.0f;
	clef_tensor *x = floats(CLEF_SHAPE(4, 3), v);

	check_both(clef_max(x, &last), (float[]){ 3, NAN, 1, INFINITY }, x,
		   (float[]){ 0.5f, 0, 0.5f, NAN, NAN, NAN, 0, 0, 1, 0.5f, 0.5f, 0 });
	check_both(clef_min(x, &last), (float[]){ 1, NAN, -INFINITY, 0 }, x,
		   (float[]){ 0, 1, 0, NAN, NAN, NAN, 0.5f, 0.5f, 0, 0, 0, 1 });
	x = floats(CLEF_SHAPE(3), (float[]){ -7, -7, -7 });
	check_both(clef_max(x, NULL), (float[]){ -7 }, x, (float[]){ third, third, third });
}
END_TEST

/* A NaN far into a long row reaches the result through the partial ones. */
START_TEST(extremes_of_many)
{
	enum { N = 5003 };
	float *v, *g;
	clef_tensor *x;

	if (test_small())
		test_skip("large shapes");
	v = calloc(N, sizeof(float));
	g = calloc(N, sizeof(float));
	ck_assert(v && g);
	for (int i = 0; i < N; i++)
		v[i] = (float)(i % 97);
	v[3000] = v[4999] = 100;
	x = floats(CLEF_SHAPE(N), v);
	ck_assert(clef_item(clef_max(x, NULL)) == 100);
	ck_ok(clef_backward(clef_max(x, NULL)));
	ck_ok(clef_read(clef_grad(x), g, N * sizeof(float)));
	for (int i = 0; i < N; i++)
		ck_assert(g[i] == (i == 3000 || i == 4999 ? 0.5f : 0));
	ck_assert(clef_item(clef_min(x, NULL)) == 0);
	v[2500] = NAN;
	x = floats(CLEF_SHAPE(N), v);
	ck_assert(isnan(clef_item(clef_max(x, NULL))));
	ck_assert(isnan(clef_item(clef_min(x, NULL))));
	free(v);
	free(g);
}
END_TEST

/* A float holds 7 digits: with the mean in one float nothing would be left of these. */
START_TEST(variance_far_from_zero)
{
	enum { N = 64 };
	float v[N];
	double mean = 0, sum = 0, var;
	clef_tensor *x;

	for (int i = 0; i < N; i++) {
		v[i] = 16384 + (float)(i * 37 % N) / 512;
		mean += (double)v[i] / N;
	}
	for (int i = 0; i < N; i++)
		sum += ((double)v[i] - mean) * ((double)v[i] - mean);
	x = floats(CLEF_SHAPE(N), v);
	var = clef_item(clef_var(x, NULL));
	ck_assert_msg(fabs(var / (sum / (N - 1)) - 1) < 1e-6, "%g, expected %g", var, sum / (N - 1));
}
END_TEST

START_TEST(variance_edges)
{
	clef_tensor *x = floats(CLEF_SHAPE(1), (float[]){ 5 });

	check_both(clef_var(x, NULL), (float[]){ NAN }, x, (float[]){ NAN });
	check_both(clef_std(x, NULL), (float[]){ NAN }, x, (float[]){ NAN });
	check_both(clef_var(x, &(clef_var_opts){ .biased = true }), (float[]){ 0 }, x, (float[]){ 0 });
	x = floats(CLEF_SHAPE(4, 2), (float[]){ 2, 2, 1, NAN, 1, INFINITY, 1, 3 });
	check_both(clef_std(x, &(clef_var_opts){ .ndim = 1, .dim = { 1 }, .biased = true }),
		   (float[]){ 0, NAN, NAN, 1 }, x, (float[]){ 0, 0, NAN, NAN, NAN, NAN, -0.5f, 0.5f });
	x = floats(CLEF_SHAPE(0, 2), NULL);
	check_floats(clef_var(x, &(clef_var_opts){ .ndim = 1, .dim = { 0 } }), (float[]){ NAN, NAN });
	check_floats(clef_var(x, &(clef_var_opts){ .ndim = 1, .dim = { 0 }, .biased = true }), (float[]){ NAN, NAN });
}
END_TEST

START_TEST(norm_edges)
{
	float v[] = { 0, 0, 2, -2, NAN, 0, INFINITY, 1 }, zero[] = { 0, 0 };
	clef_tensor *x = floats(CLEF_SHAPE(4, 2), v), *none = floats(CLEF_SHAPE(0, 2), NULL);

	check_both(clef_norm(x, &(clef_norm_opts){ .ndim = 1, .dim = { 1 }, .p = 1 }), (float[]){ 0, 4, NAN, INFINITY },
		   x, (float[]){ 0, 0, 1, -1, 0, 0, 1, 1 });
	check_both(clef_norm(x, &(clef_norm_opts){ .ndim = 1, .dim = { 1 }, .p = INFINITY }),
		   (float[]){ 0, 2, NAN, INFINITY }, x, (float[]){ 0, 0, 0.5f, -0.5f, 0, 0, 1, 0 });
	check_both(clef_norm(x, &(clef_norm_opts){ .ndim = 1, .dim = { 1 }, .p = -INFINITY }),
		   (float[]){ 0, 2, NAN, 1 }, x, (float[]){ 0, 0, 0.5f, -0.5f, 0, 0, 0, 1 });
	x = floats(CLEF_SHAPE(2, 2), (float[]){ 0, 0, 3, -4 });
	check_both(clef_norm(x, &(clef_norm_opts){ .ndim = 1, .dim = { 1 } }), (float[]){ 0, 5 }, x,
		   (float[]){ 0, 0, 0.6f, -0.8f });
	x = floats(CLEF_SHAPE(2), zero);
	for (float p = -2; p <= 3; p += 0.5f)
		check_both(clef_norm(x, &(clef_norm_opts){ .p = p }), zero, x, zero);
	check_floats(clef_norm(none, &(clef_norm_opts){ .ndim = 1, .dim = { 0 }, .p = 3 }), zero);
	ck_null_fails(clef_norm(none, &(clef_norm_opts){ .p = INFINITY }), CLEF_ERROR_SHAPE,
		      "norm: the norm of infinite or negative order of no values: x is [0, 2]");
	ck_null_fails(clef_norm(x, &(clef_norm_opts){ .p = NAN }), CLEF_ERROR_INVALID, "norm: p is NaN");
}
END_TEST

START_TEST(logsumexp_edges)
{
	float v[] = { -INFINITY, -INFINITY, INFINITY, 1, -INFINITY, 2, NAN, 1, 1000, -INFINITY, INFINITY, -INFINITY };
	clef_tensor *x = floats(CLEF_SHAPE(6, 2), v);

	check_both(clef_logsumexp(x, &last), (float[]){ -INFINITY, INFINITY, 2, NAN, 1000, INFINITY }, x,
		   (float[]){ NAN, NAN, NAN, 0, 0, 1, NAN, NAN, 1, 0, NAN, 0 });
	x = floats(CLEF_SHAPE(0, 2), v);
	check_floats(clef_logsumexp(x, &(clef_reduce_opts){ .ndim = 1, .dim = { 0 } }),
		     (float[]){ -INFINITY, -INFINITY });
}
END_TEST

START_TEST(errors)
{
	clef_tensor *x = floats(CLEF_SHAPE(2, 3), (float[6]){ 0 }), *none = floats(CLEF_SHAPE(0, 3), NULL);
	clef_tensor *scalar = floats(CLEF_SCALAR, (float[]){ 7 });
	clef_tensor *ints = ck_new(clef_input(tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(2), (int32_t[2]){ 0 } }));

	ck_null_fails(clef_max(none, NULL), CLEF_ERROR_SHAPE,
		      "max: the max of no values: x is [0, 3], and a reduced dimension is 0");
	ck_null_fails(clef_max(x, &(clef_reduce_opts){ .ndim = 1, .dim = { -3 } }), CLEF_ERROR_INVALID,
		      "max: dimension -3 of x [2, 3]: -2 to 1 are allowed");
	ck_null_fails(clef_var(x, &(clef_var_opts){ .ndim = 2, .dim = { 1, -1 } }), CLEF_ERROR_INVALID,
		      "var: dimension 1 is given twice");
	ck_null_fails(clef_std(x, &(clef_var_opts){ .ndim = 9 }), CLEF_ERROR_INVALID, "std: 9 dimensions to reduce");
	ck_null_fails(clef_min(scalar, &last), CLEF_ERROR_INVALID, "min: dimension -1 of x, which is a scalar");
	ck_null_fails(clef_logsumexp(ints, NULL), CLEF_ERROR_DTYPE, "logsumexp: x is int32, expected float32");
	ck_null_fails(clef_max(NULL, NULL), CLEF_ERROR_INVALID, "max: given NULL");
	check_both(clef_max(scalar, NULL), (float[]){ 7 }, scalar, (float[]){ 1 });
	check_both(clef_norm(scalar, NULL), (float[]){ 7 }, scalar, (float[]){ 1 });
}
END_TEST

Suite *reduce_suite(void)
{
	Suite *s = suite_create("reduce");
	TCase *c = tcase_create("problems"), *e = tcase_create("edges");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, problems, 0, CLEF_COUNT(families));
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(e, setup, teardown);
	tcase_add_test(e, extreme_values);
	tcase_add_test(e, extremes_of_many);
	tcase_add_test(e, variance_far_from_zero);
	tcase_add_test(e, variance_edges);
	tcase_add_test(e, norm_edges);
	tcase_add_test(e, logsumexp_edges);
	tcase_add_test(e, errors);
	suite_add_tcase(s, e);
	return s;
}
