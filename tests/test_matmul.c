/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices: the problems of their families; how many launches they take; and sums over the batch that are
 * too large for scratch.
 */
#include <stdlib.h>
#include <string.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

START_TEST(matmul)
{
	check_family(&clef__family_matmul);
}
END_TEST

START_TEST(matmul_trans)
{
	check_family(&clef__family_matmul_trans);
}
END_TEST

/* ---- tensors of random numbers ---- */

static uint32_t seed = 1;

static clef_tensor *random_leaf(clef_shape shape, bool whole)
{
	size_t n = (size_t)clef_shape_numel(shape);
	float *v = malloc(n * sizeof(float) + 1);
	clef_tensor *x;

	ck_assert_ptr_nonnull(v);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		v[i] = whole ? (float)(seed >> 28) - 8 : (float)(seed >> 8) * 0x1p-20f - 8;
	}
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, shape, v }));
	ck_ok(clef_requires_grad(x, true));
	free(v);
	return x;
}

static float *values_of(const clef_tensor *x)
{
	size_t bytes = (size_t)clef_tensor_numel(x) * sizeof(float);
	float *v = malloc(bytes + 1);

	ck_assert_ptr_nonnull(v);
	ck_ok(clef_read(x, v, bytes));
	return v;
}

/* ---- runs and launches ---- */

START_TEST(runs_give_equal_bits)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	int n = test_small() ? 5 : 37;
	clef_tensor *a = random_leaf(CLEF_SHAPE(3, 1, n, 2 * n), false);
	clef_tensor *b = random_leaf(CLEF_SHAPE(2, 2 * n, n), false);
	float *first[3] = { NULL }, *again[3];

	for (int run = 0; run < 2; run++) {
		clef_tensor *y, *from[3];

		ck_ok(clef_tape_begin(tape));
		y = ck_new(clef_matmul(a, b));
		ck_ok(clef_backward(clef_sum(clef_mul(y, y), NULL)));
		from[0] = y;
		from[1] = clef_grad(a);
		from[2] = clef_grad(b);
		for (int i = 0; i < 3; i++) {
			size_t bytes = (size_t)clef_tensor_numel(from[i]) * sizeof(float);

			again[i] = values_of(from[i]);
			ck_assert(!run || memcmp(first[i], again[i], bytes) == 0);
			free(first[i]);
			first[i] = again[i];
		}
	}
	for (int i = 0; i < 3; i++)
		free(first[i]);
	clef_tensor_free(a);
	clef_tensor_free(b);
	clef_tape_free(tape);
}
END_TEST

/* Launches forward and backward. */
static int launches(clef_shape a_shape, clef_shape b_shape)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *a = random_leaf(a_shape, true), *b = random_leaf(b_shape, true), *loss;
	uint64_t before;
	int count;

	ck_ok(clef_tape_begin(tape));
	before = clef_device_get_stats(test_device).launches;
	loss = ck_new(clef_matmul(a, b));
	count = (int)(clef_device_get_stats(test_device).launches - before);
	loss = ck_new(clef_sum(loss, NULL));
	before = clef_device_get_stats(test_device).launches;
	ck_ok(clef_backward(loss));
	count += (int)(clef_device_get_stats(test_device).launches - before);
	clef_tensor_free(a);
	clef_tensor_free(b);
	clef_tape_free(tape);
	return count;
}

/* A batch takes no more than one product does, neither where one operand is repeated and its gradient is a longer
 * product; another pass adds up where it is not. */
START_TEST(batches_are_one_launch)
{
	int one = launches(CLEF_SHAPE(3, 4), CLEF_SHAPE(4, 5));

	ck_assert_int_eq(launches(CLEF_SHAPE(9, 3, 4), CLEF_SHAPE(9, 4, 5)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(2, 3, 3, 4), CLEF_SHAPE(2, 3, 4, 5)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(9, 3, 4), CLEF_SHAPE(4, 5)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(2, 3, 3, 4), CLEF_SHAPE(4)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(2, 3, 3, 4), CLEF_SHAPE(2, 1, 4, 5)), one);
	ck_assert_int_eq(launches(CLEF_SHAPE(3, 4), CLEF_SHAPE(9, 4, 5)), one + 1);
}
END_TEST

/* 1100 products of 250 x 250 would be 69 million elements. */
START_TEST(sum_beyond_scratch)
{
	enum { COUNT = 1100, SIDE = 250 };
	clef_tape *tape;
	clef_tensor *a, *b, *y;
	float *bv, *da, *again;

	if (test_small())
		test_skip("large");
	tape = ck_new(clef_tape_new(test_device));
	a = random_leaf(CLEF_SHAPE(SIDE, SIDE), true);
	b = random_leaf(CLEF_SHAPE(COUNT, SIDE, 1), true);
	ck_ok(clef_tape_begin(tape));
	y = ck_new(clef_matmul(a, b));
	ck_ok(clef_backward(clef_sum(y, NULL)));
	ck_assert_uint_lt(clef_device_get_stats(test_device).memory_peak, 100000000);
	bv = values_of(b);
	da = values_of(clef_grad(a));
	for (int j = 0; j < SIDE; j++) {
		double sum = 0;

		for (int i = 0; i < COUNT; i++)
			sum += (double)bv[i * SIDE + j];
		for (int i = 0; i < SIDE; i++)
			ck_assert_msg((double)da[i * SIDE + j] == sum, "da[%d][%d] is %g, expected %g", i, j,
				      (double)da[i * SIDE + j], sum);
	}
	ck_ok(clef_backward_add(clef_sum(y, NULL)));
	again = values_of(clef_grad(a));
	for (int i = 0; i < SIDE * SIDE; i++)
		ck_assert_msg(again[i] == 2 * da[i], "da[%d] is %g, expected twice %g", i, (double)again[i],
			      (double)da[i]);
	free(bv);
	free(da);
	free(again);
	clef_tensor_free(a);
	clef_tensor_free(b);
	clef_tape_free(tape);
}
END_TEST

/* ---- errors ---- */

static void check_error(clef_shape a_shape, bool ta, clef_shape b_shape, bool tb, const char *message)
{
	clef_tensor *a = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, a_shape));
	clef_tensor *b = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, b_shape));

	ck_null_fails(clef_matmul_trans(a, ta, b, tb), CLEF_ERROR_SHAPE, message);
	clef_tensor_free(a);
	clef_tensor_free(b);
}

START_TEST(errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 2)));
	clef_tensor *i = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 2)));

	ck_ok(clef_tape_begin(tape));
	check_error(CLEF_SHAPE(2, 5), false, CLEF_SHAPE(3, 4), false,
		    "matmul: a [2, 5] and b [3, 4], expected [..., m, k] and [..., k, n]");
	check_error(CLEF_SHAPE(2, 5), true, CLEF_SHAPE(5, 4), false, "a [2, 5] transposed and b [5, 4], expected [...");
	check_error(CLEF_SHAPE(2, 5), false, CLEF_SHAPE(5, 4), true, "a [2, 5] and b [5, 4] transposed, expected [...");
	check_error(CLEF_SHAPE(5), false, CLEF_SHAPE(4), false, "a [5] and b [4], expected [..., m, k]");
	check_error(CLEF_SHAPE(5), false, CLEF_SHAPE(3, 4, 5), false, "a [5] and b [3, 4, 5], expected [..., m, k]");
	check_error(CLEF_SCALAR, false, CLEF_SHAPE(4), false, "a [] and b [4], expected at least one dimension each");
	check_error(CLEF_SHAPE(4), false, CLEF_SCALAR, false, "a [4] and b [], expected at least one dimension each");
	check_error(CLEF_SHAPE(4), true, CLEF_SHAPE(4, 4), false,
		    "a [4] transposed and b [4, 4], expected at least two dimensions of what is transposed");
	check_error(CLEF_SHAPE(4, 4), false, CLEF_SHAPE(4), true, "and b [4] transposed, expected at least two");
	check_error(CLEF_SHAPE(2, 3, 4), false, CLEF_SHAPE(3, 4, 5), false,
		    "a [2, 3, 4] and b [3, 4, 5], expected dimensions before the last two that are equal or 1");
	check_error(CLEF_SHAPE(2, 2, 3, 4), false, CLEF_SHAPE(3, 1, 4, 5), false, "equal or 1");
	check_error(CLEF_SHAPE(1 << 16, 1), false, CLEF_SHAPE(1, 1 << 15), false,
		    "a [65536, 1] and b [1, 32768]: the result [65536, 32768] would have more than 2^31 - 1 elements");
	check_error(CLEF_SHAPE(1 << 16, 0), false, CLEF_SHAPE(0, 1 << 15), false, "more than 2^31 - 1 elements");
	ck_null_fails(clef_matmul(i, x), CLEF_ERROR_DTYPE, "matmul: a is int32");
	ck_null_fails(clef_matmul(x, i), CLEF_ERROR_DTYPE, "matmul: b is int32");
	ck_null_fails(clef_matmul(NULL, x), CLEF_ERROR_INVALID, "matmul: given NULL");
	ck_null_fails(clef_matmul_trans(x, true, NULL, true), CLEF_ERROR_INVALID, "matmul: given NULL");
	clef_tensor_free(x);
	clef_tensor_free(i);
	clef_tape_free(tape);
}
END_TEST

Suite *matmul_suite(void)
{
	Suite *s = suite_create("matmul");
	TCase *c = tcase_create("matmul");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, matmul);
	tcase_add_test(c, matmul_trans);
	tcase_add_test(c, runs_give_equal_bits);
	tcase_add_test(c, batches_are_one_launch);
	tcase_add_test(c, sum_beyond_scratch);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
