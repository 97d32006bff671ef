/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling: the problems of its families, and what has to be told by hand. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

static const clef__family *const families[] = { &clef__family_max_pool2d,          &clef__family_max_pool1d,
						&clef__family_avg_pool2d,          &clef__family_avg_pool1d,
						&clef__family_adaptive_max_pool2d, &clef__family_adaptive_max_pool1d,
						&clef__family_adaptive_avg_pool2d, &clef__family_adaptive_avg_pool1d };

START_TEST(problems)
{
	check_family(families[_i]);
}
END_TEST

/* ---- by hand ---- */

#define WINDOWS(...)                                                                                                   \
	(clef_max_pool_opts)                                                                                           \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

static clef_tape *tape;

static void tape_setup(void)
{
	device_setup();
	tape = ck_new(clef_tape_new(test_device));
	ck_ok(clef_tape_begin(tape));
}

static void tape_teardown(void)
{
	clef_tape_free(tape);
	device_teardown();
}

static clef_tensor *input(clef_shape shape, float *values)
{
	clef_tensor *x = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, shape, values }));

	ck_ok(clef_requires_grad(x, true));
	return x;
}

/* Values, indices and gradient of a maximum, compared bit by bit but for NaN. */
static void check_max(clef_tensor *x, clef_tensor *y, const float *values, const int32_t *indices,
		      const float *gradient)
{
	size_t n = (size_t)clef_tensor_numel(y), m = (size_t)clef_tensor_numel(x);
	float got[64], g[64];
	int32_t at[64];
	clef_tensor *index = ck_new(clef_max_pool_indices(y));

	ck_assert(n <= 64 && m <= 64);
	ck_assert(clef_tensor_dtype(index) == CLEF_INT32);
	ck_assert(clef_shape_equal(clef_tensor_shape(index), clef_tensor_shape(y)));
	ck_ok(clef_read(y, got, n * sizeof(float)));
	ck_ok(clef_read(index, at, n * sizeof(int32_t)));
	ck_ok(clef_backward(clef_sum(y, NULL)));
	ck_ok(clef_read(clef_grad(x), g, m * sizeof(float)));
	for (size_t i = 0; i < n; i++) {
		ck_assert_msg(isnan(values[i]) ? isnan(got[i]) : got[i] == values[i], "y[%d] is %g, expected %g",
			      (int)i, (double)got[i], (double)values[i]);
		ck_assert_msg(at[i] == indices[i], "index %d is %d, expected %d", (int)i, (int)at[i], (int)indices[i]);
	}
	for (size_t i = 0; i < m; i++)
		ck_assert_msg(g[i] == gradient[i], "gradient %d is %g, expected %g", (int)i, (double)g[i],
			      (double)gradient[i]);
}

START_TEST(ties)
{
	float v[] = { 3, 3, 1, 3, 3, 2 };
	clef_tensor *x = input(CLEF_SHAPE(1, 2, 3), v);

	check_max(x, clef_max_pool2d(x, &WINDOWS(.kernel = 2, .stride = 1)), (float[]){ 3, 3 }, (int32_t[]){ 0, 1 },
		  (float[]){ 1, 1, 0, 0, 0, 0 });
	check_max(x, clef_adaptive_max_pool2d(x, 1, 2), (float[]){ 3, 3 }, (int32_t[]){ 0, 1 },
		  (float[]){ 1, 1, 0, 0, 0, 0 });
	check_max(x, clef_max_pool1d(x, &WINDOWS(.kernel = 3)), (float[]){ 3, 3 }, (int32_t[]){ 0, 0 },
		  (float[]){ 1, 0, 0, 1, 0, 0 });
}
END_TEST

START_TEST(nan_and_infinity)
{
	float v[] = { 1, NAN, 3, -INFINITY, -INFINITY, -INFINITY, INFINITY, 0, NAN, NAN };
	float a[] = { 1, NAN, 3, INFINITY, INFINITY, -INFINITY }, y[3], g[6];
	clef_tensor *x = input(CLEF_SHAPE(1, 10), v), *mean;

	check_max(x, clef_max_pool1d(x, &WINDOWS(.kernel = 2)), (float[]){ NAN, 3, -INFINITY, INFINITY, NAN },
		  (int32_t[]){ 1, 2, 4, 6, 9 }, (float[]){ 0, 1, 1, 0, 1, 0, 1, 0, 0, 1 });
	x = input(CLEF_SHAPE(1, 6), a);
	mean = ck_new(clef_avg_pool1d(x, &(clef_avg_pool_opts){ .kernel = 2 }));
	ck_ok(clef_read(mean, y, sizeof(y)));
	ck_assert(isnan(y[0]) && y[1] == INFINITY && isnan(y[2]));
	ck_ok(clef_backward(clef_sum(mean, NULL)));
	ck_ok(clef_read(clef_grad(x), g, sizeof(g)));
	for (int i = 0; i < 6; i++)
		ck_assert(g[i] == 0.5f);
}
END_TEST

START_TEST(window_of_padding)
{
	float v[] = { 5, 6 };
	clef_tensor *x = input(CLEF_SHAPE(1, 2), v);

	/* One window, with elements at -1 and 2 of an image of two. */
	check_max(x, clef_max_pool1d(x, &WINDOWS(.kernel = 2, .dilation = 3, .pad = 1)), (float[]){ -INFINITY },
		  (int32_t[]){ -1 }, (float[]){ 0, 0 });
}
END_TEST

START_TEST(no_elements)
{
	clef_tensor *x = input(CLEF_SHAPE(0, 3, 4, 4), NULL), *y;
	clef_max_pool_opts w = { .kernel = 2 };

	y = ck_new(clef_max_pool2d(x, &w));
	ck_assert(clef_shape_equal(clef_tensor_shape(y), CLEF_SHAPE(0, 3, 2, 2)));
	y = ck_new(
		clef_add(clef_sum(y, NULL), clef_sum(clef_avg_pool2d(x, &(clef_avg_pool_opts){ .kernel = 2 }), NULL)));
	y = ck_new(clef_add(y, clef_sum(clef_adaptive_avg_pool2d(x, 1, 1), NULL)));
	y = ck_new(clef_add(y, clef_sum(clef_adaptive_max_pool2d(x, 3, 1), NULL)));
	ck_assert(clef_item(y) == 0);
	ck_ok(clef_backward(y));
	ck_null_fails(clef_max_pool2d(input(CLEF_SHAPE(2, 3, 0, 4), NULL), &w), CLEF_ERROR_SHAPE,
		      "max_pool2d: x has shape [2, 3, 0, 4]: there is nothing to pool");
	ck_null_fails(clef_adaptive_avg_pool1d(input(CLEF_SHAPE(2, 3, 0), NULL), 1), CLEF_ERROR_SHAPE,
		      "there is nothing to pool");
}
END_TEST

START_TEST(errors)
{
	static float v[2 * 3 * 4];
	clef_tensor *x = input(CLEF_SHAPE(2, 3, 4), v), *flat = input(CLEF_SHAPE(24), v);
	clef_tensor *labels = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 3, 4)));

	ck_null_fails(clef_max_pool2d(x, NULL), CLEF_ERROR_INVALID, "max_pool2d: given NULL");
	ck_null_fails(clef_max_pool2d(flat, &WINDOWS(.kernel = 2)), CLEF_ERROR_SHAPE,
		      "max_pool2d: x has shape [24], expected [n, c, h, w] or [c, h, w]");
	ck_null_fails(clef_max_pool1d(flat, &WINDOWS(.kernel = 2)), CLEF_ERROR_SHAPE,
		      "max_pool1d: x has shape [24], expected [n, c, l] or [c, l]");
	ck_null_fails(clef_max_pool2d(labels, &WINDOWS(.kernel = 2)), CLEF_ERROR_DTYPE, "x is int32, expected float32");
	ck_null_fails(clef_max_pool2d(x, &WINDOWS(.stride = 2)), CLEF_ERROR_INVALID, "kernel 0: 1 or more");
	ck_null_fails(clef_max_pool2d(x, &WINDOWS(.kernel = 2, .stride = -1)), CLEF_ERROR_INVALID,
		      "stride -1: 1 or more");
	ck_null_fails(clef_max_pool2d(x, &WINDOWS(.kernel = 2, .pad = -1)), CLEF_ERROR_INVALID, "pad -1: 0 or more");
	ck_null_fails(clef_max_pool2d(x, &WINDOWS(.kernel = 2, .dilation_w = -3)), CLEF_ERROR_INVALID,
		      "dilation -3: 1 or more");
	ck_null_fails(clef_max_pool2d(x, &WINDOWS(.kernel = 3, .pad = 2)), CLEF_ERROR_INVALID,
		      "pad 2: at most half of the kernel, 3");
	ck_null_fails(clef_max_pool2d(x, &WINDOWS(.kernel = 4)), CLEF_ERROR_SHAPE,
		      "a window of 4 does not fit into x [2, 3, 4] with pad 0");
	ck_null_fails(clef_max_pool2d(x, &WINDOWS(.kernel = 2, .stride = INT32_MAX)), CLEF_ERROR_INVALID,
		      "too large in sum");
	ck_null_fails(clef_max_pool2d(x, &WINDOWS(.kernel = INT32_MAX, .pad = INT32_MAX / 2)), CLEF_ERROR_INVALID,
		      "too large in sum");
	ck_null_fails(clef_max_pool1d(x, &WINDOWS(.kernel = 2, .kernel_w = 2)), CLEF_ERROR_INVALID,
		      "options for the width");
	ck_null_fails(clef_avg_pool2d(x, &(clef_avg_pool_opts){ .kernel = 3, .pad = 2 }), CLEF_ERROR_INVALID,
		      "avg_pool2d: pad 2: at most half of the kernel, 3");
	ck_null_fails(clef_adaptive_avg_pool2d(x, 0, 1), CLEF_ERROR_INVALID,
		      "adaptive_avg_pool2d: an output size of 0: 1 or more, or -1");
	ck_null_fails(clef_adaptive_max_pool1d(x, -2), CLEF_ERROR_INVALID, "adaptive_max_pool1d: an output size of -2");
	ck_null_fails(clef_adaptive_max_pool2d(x, 1 << 20, 1 << 20), CLEF_ERROR_SHAPE, "more than 2^31 - 1 elements");
	ck_null_fails(clef_max_pool_indices(x), CLEF_ERROR_INVALID, "is no result of a maximum pooling");
	ck_null_fails(clef_max_pool_indices(labels), CLEF_ERROR_INVALID, "is no result of a maximum pooling");
	clef_tensor_free(labels);
}
END_TEST

Suite *pool_suite(void)
{
	Suite *s = suite_create("pool");
	TCase *c = tcase_create("pool"), *hand = tcase_create("by hand");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, problems, 0, CLEF_COUNT(families));
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(hand, tape_setup, tape_teardown);
	tcase_add_test(hand, ties);
	tcase_add_test(hand, nan_and_infinity);
	tcase_add_test(hand, window_of_padding);
	tcase_add_test(hand, no_elements);
	tcase_add_test(hand, errors);
	suite_add_tcase(s, hand);
	return s;
}
