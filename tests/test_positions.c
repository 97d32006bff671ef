/* SPDX-License-Identifier: Apache-2.0 */
/* Where the largest and smallest values are, and the k largest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "op_case.h"

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

static void check_ints(const clef_tensor *y, clef_shape shape, const int32_t *want)
{
	int32_t got[64];
	int64_t n = clef_tensor_numel(y);

	ck_assert(y && n <= CLEF_COUNT(got));
	ck_assert_int_eq(clef_tensor_dtype(y), CLEF_INT32);
	ck_assert(clef_shape_equal(clef_tensor_shape(y), shape));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(int32_t)));
	for (int64_t i = 0; i < n; i++)
		ck_assert_msg(got[i] == want[i], "element %d is %d, expected %d", (int)i, (int)got[i], (int)want[i]);
}

/* The values, and the gradient of their sum. */
static void check_both(clef_tensor *y, const float *want, const clef_tensor *x, const float *gradient)
{
	check_floats(y, want);
	ck_ok(clef_backward(clef_sum(y, NULL)));
	check_floats(clef_grad(x), gradient);
}

static const clef_reduce_opts last = { .ndim = 1, .dim = { -1 } };

START_TEST(positions)
{
	float v[] = { 3, 1, 3, NAN, 5, NAN, -INFINITY, -INFINITY, -INFINITY, 2, INFINITY, INFINITY };
	clef_tensor *x = floats(CLEF_SHAPE(4, 3), v), *y;

	check_ints(clef_argmax(x, &last), CLEF_SHAPE(4), (int32_t[]){ 0, 0, 0, 1 });
	check_ints(clef_argmin(x, &last), CLEF_SHAPE(4), (int32_t[]){ 1, 0, 0, 0 });
	check_ints(clef_argmax(x, &(clef_reduce_opts){ .ndim = 1, .dim = { 0 }, .keepdim = true }), CLEF_SHAPE(1, 3),
		   (int32_t[]){ 1, 3, 1 });
	check_ints(clef_argmin(x, &(clef_reduce_opts){ .ndim = 1, .dim = { 0 } }), CLEF_SHAPE(3),
		   (int32_t[]){ 1, 2, 1 });
	y = clef_argmax(x, NULL);
	check_ints(y, CLEF_SCALAR, (int32_t[]){ 3 });
	ck_fails(clef_backward(y), CLEF_ERROR_STATE, "requires a gradient");
	check_ints(clef_argmin(x, &(clef_reduce_opts){ .keepdim = true }), CLEF_SHAPE(1, 1), (int32_t[]){ 3 });
	x = floats(CLEF_SHAPE(0, 3), v);
	check_ints(clef_argmin(x, &last), CLEF_SHAPE(0), NULL);
}
END_TEST

/* Against a plain loop, along each dimension; long rows are searched in chunks. */
static void run_positions(clef_shape shape, int dim)
{
	int64_t n = clef_shape_numel(shape), inner = 1, reduced = shape.dim[dim], outputs = n / reduced;
	float *v = malloc((size_t)n * sizeof(float));
	int32_t *got = malloc((size_t)outputs * sizeof(int32_t));
	clef_reduce_opts opts = { .ndim = 1, .dim = { dim } };

	ck_assert(v && got);
	for (int i = dim + 1; i < shape.ndim; i++)
		inner *= shape.dim[i];
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)(i * 7919 % 2003 % 501);
	for (int sign = -1; sign <= 1; sign += 2) {
		clef_tensor *x = floats(shape, v);

		ck_ok(clef_read(sign > 0 ? clef_argmax(x, &opts) : clef_argmin(x, &opts), got,
				(size_t)outputs * sizeof(int32_t)));
		for (int64_t o = 0; o < outputs; o++) {
			const float *row = v + o / inner * reduced * inner + o % inner;
			int64_t best = 0;

			for (int64_t r = 1; r < reduced; r++)
				if ((float)sign * row[r * inner] > (float)sign * row[best * inner])
					best = r;
			ck_assert_int_eq(got[o], best);
		}
	}
	free(v);
	free(got);
}

START_TEST(positions_of_many)
{
	run_positions(CLEF_SHAPE(2, 3, 4), 1);
	if (test_small())
		return;
	run_positions(CLEF_SHAPE(33, 257), 0);
	run_positions(CLEF_SHAPE(33, 257), 1);
	run_positions(CLEF_SHAPE(7001), 0);
	run_positions(CLEF_SHAPE(3, 3001, 2), 1);
	run_positions(CLEF_SHAPE(1500000), 0);
}
END_TEST

START_TEST(position_errors)
{
	clef_tensor *x = floats(CLEF_SHAPE(2, 3), (float[6]){ 0 }), *none = floats(CLEF_SHAPE(0, 3), NULL);

	ck_null_fails(clef_argmin(none, NULL), CLEF_ERROR_SHAPE, "argmin: the argmin of no values");
	ck_null_fails(clef_argmax(x, &(clef_reduce_opts){ .ndim = 2, .dim = { 0, 1 } }), CLEF_ERROR_INVALID,
		      "argmax: 2 dimensions given: one, or none for all");
	ck_null_fails(clef_argmax(NULL, NULL), CLEF_ERROR_INVALID, "argmax: given NULL");
}
END_TEST

/* ---- the k largest ---- */

static clef_tensor *apply_topk(clef_tensor **x, const void *opts)
{
	return clef_topk(x[0], *(const int *)opts, NULL);
}

static int descending(const void *a, const void *b)
{
	double l = *(const double *)a, r = *(const double *)b;

	return l < r ? 1 : l > r ? -1 : 0;
}

static void reference_topk(const ref_array *x, const void *opts, ref_array *y)
{
	int k = *(const int *)opts;
	int64_t n = x->shape.dim[x->shape.ndim - 1];
	double *row = malloc((size_t)n * sizeof(double) + 1);

	ck_assert_ptr_nonnull(row);
	for (int64_t r = 0; k && r < y->numel / k; r++) {
		memcpy(row, x->v + r * n, (size_t)n * sizeof(double));
		qsort(row, (size_t)n, sizeof(double), descending);
		memcpy(y->v + r * k, row, (size_t)k * sizeof(double));
	}
	free(row);
}

static void run_topk(clef_shape shape, int k)
{
	op_case_run(&(op_case){ .name = "topk",
				.apply = apply_topk,
				.reference = reference_topk,
				.opts = &k,
				.inputs = 1,
				.in = { { .shape = shape, .lo = -4, .hi = 4 } },
				.tolerance = 1e-30 });
}

START_TEST(topk)
{
	run_topk(CLEF_SHAPE(3, 5), 2);
	if (test_small())
		return;
	run_topk(CLEF_SHAPE(33, 257), 5);
	run_topk(CLEF_SHAPE(2, 3, 7), 7);
	run_topk(CLEF_SHAPE(17), 1);
	run_topk(CLEF_SHAPE(0, 4), 2);
	run_topk(CLEF_SHAPE(4, 0), 0);
}
END_TEST

START_TEST(topk_edges)
{
	float v[] = { 5, NAN, 5, INFINITY, NAN, 5, 1, 1, 1, -INFINITY, 1, 1 };
	clef_tensor *x = floats(CLEF_SHAPE(2, 6), v), *at, *y = clef_topk(x, 5, &at);

	check_ints(at, CLEF_SHAPE(2, 5), (int32_t[]){ 1, 4, 3, 0, 2, 0, 1, 2, 4, 5 });
	check_both(y, (float[]){ NAN, NAN, INFINITY, 5, 5, 1, 1, 1, 1, 1 }, x,
		   (float[]){ 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1 });
	x = floats(CLEF_SCALAR, v);
	y = clef_topk(x, 1, &at);
	check_ints(at, CLEF_SHAPE(1), (int32_t[]){ 0 });
	check_both(y, v, x, (float[]){ 1 });
	ck_null_fails(clef_topk(x, 2, &at), CLEF_ERROR_INVALID, "topk: k is 2: 0 to 1 are allowed for x []");
	ck_assert_ptr_null(at);
	ck_null_fails(clef_topk(x, -1, NULL), CLEF_ERROR_INVALID, "topk: k is -1");
}
END_TEST

START_TEST(topk_accuracy)
{
	float v[] = { 1, 2, 3, 4, 4, 4, 4, 4, 1, 9, NAN, 3, 5, 6, 7, 8 };
	clef_array array = { CLEF_INT32, CLEF_SHAPE(4), (int32_t[]){ 2, 1, 1, -1 } };
	clef_tensor *x = floats(CLEF_SHAPE(4, 4), v), *labels = ck_new(clef_input(tape, &array));

	ck_assert(clef_item(clef_topk_accuracy(x, labels, 1)) == 0);
	ck_assert(clef_item(clef_topk_accuracy(x, labels, 2)) == 0.75);
	ck_assert(clef_item(clef_topk_accuracy(x, labels, 4)) == 0.75);
	ck_assert(clef_item(clef_topk_accuracy(x, labels, 1)) == clef_item(clef_accuracy(x, labels)));
	ck_null_fails(clef_topk_accuracy(x, labels, 5), CLEF_ERROR_INVALID,
		      "topk_accuracy: k is 5: 1 to 4 are allowed for logits [4, 4]");
	ck_null_fails(clef_topk_accuracy(x, x, 1), CLEF_ERROR_DTYPE, "labels is float32, expected int32");
	ck_null_fails(clef_topk_accuracy(floats(CLEF_SHAPE(2, 8), v), labels, 1), CLEF_ERROR_SHAPE,
		      "labels have shape [4], expected [2] for logits [2, 8]");
	array.shape = CLEF_SHAPE(0);
	ck_assert(isnan(clef_item(clef_topk_accuracy(floats(CLEF_SHAPE(0, 4), v), clef_input(tape, &array), 1))));
}
END_TEST

Suite *positions_suite(void)
{
	Suite *s = suite_create("positions");
	TCase *c = tcase_create("positions"), *t = tcase_create("topk");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, positions);
	tcase_add_test(c, positions_of_many);
	tcase_add_test(c, position_errors);
	tcase_add_test(c, topk_edges);
	tcase_add_test(c, topk_accuracy);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(t, device_setup, device_teardown);
	tcase_add_test(t, topk);
	suite_add_tcase(s, t);
	return s;
}
