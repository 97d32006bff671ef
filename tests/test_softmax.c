/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and its logarithm along any dimension. */
#include <math.h>

#include "check_clef.h"
#include "op_case.h"

typedef struct softmax_opts {
	int dim;
	bool logarithm;
} softmax_opts;

static clef_tensor *apply(clef_tensor **x, const void *opts)
{
	const softmax_opts *o = opts;

	return o->logarithm ? clef_log_softmax(x[0], o->dim) : clef_softmax(x[0], o->dim);
}

static void row_reference(const double *x, int64_t size, int64_t step, bool logarithm, double *y)
{
	double largest = x[0], sum = 0;

	for (int64_t r = 1; r < size; r++)
		largest = fmax(largest, x[r * step]);
	for (int64_t r = 0; r < size; r++)
		sum += exp(x[r * step] - largest);
	for (int64_t r = 0; r < size; r++) {
		y[r * step] = x[r * step] - largest - log(sum);
		if (!logarithm)
			y[r * step] = exp(y[r * step]);
	}
}

static void reference(const ref_array *x, const void *opts, ref_array *y)
{
	const softmax_opts *o = opts;
	int dim = o->dim < 0 ? o->dim + x->shape.ndim : o->dim;
	int64_t step = 1, size = x->shape.ndim ? x->shape.dim[dim] : 1;

	for (int d = dim + 1; d < x->shape.ndim; d++)
		step *= x->shape.dim[d];
	for (int64_t i = 0; i < y->numel; i++)
		if (i / step % size == 0)
			row_reference(x->v + i, size, step, o->logarithm, y->v + i);
}

static void run(clef_shape shape, int dim, double range)
{
	softmax_opts opts = { dim, false };
	op_case c = { .name = "softmax",
		      .apply = apply,
		      .reference = reference,
		      .opts = &opts,
		      .inputs = 1,
		      .in = { { .shape = shape, .lo = -range, .hi = range } },
		      .gradient_tolerance = 2e-5 };

	op_case_run(&c);
	opts.logarithm = true;
	c.name = "log_softmax";
	op_case_run(&c);
}

START_TEST(cases)
{
	run(CLEF_SHAPE(3, 5), 1, 4);
	run(CLEF_SHAPE(2, 3, 2), 1, 4);
	if (test_small())
		return;
	run(CLEF_SHAPE(33, 257), -1, 4);
	run(CLEF_SHAPE(257, 33), 0, 4);
	run(CLEF_SHAPE(2, 3, 4, 5), 1, 4);
	run(CLEF_SHAPE(2, 3, 4, 5), -2, 4);
	run(CLEF_SHAPE(17), 0, 4);
	run(CLEF_SHAPE(16), 0, 4);
	run(CLEF_SHAPE(3, 1), 1, 4);
	run(CLEF_SHAPE(2, 1000), 1, 40);
	run(CLEF_SCALAR, 0, 4);
	run(CLEF_SHAPE(0, 3), 1, 4);
	run(CLEF_SHAPE(3, 0), 1, 4);
}
END_TEST

static void check(const clef_tensor *y, const float *want)
{
	float got[64];
	int64_t n = clef_tensor_numel(y);

	ck_assert(y && n <= CLEF_COUNT(got));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(float)));
	for (int64_t i = 0; i < n; i++)
		ck_assert_msg(isnan(want[i]) ? isnan(got[i]) : got[i] == want[i], "element %d is %g, expected %g",
			      (int)i, (double)got[i], (double)want[i]);
}

START_TEST(edges)
{
	float v[] = { -INFINITY, -INFINITY, INFINITY, 1, -INFINITY, 2, NAN, 1, 1, NAN, 1e38f, -1e38f };
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(6, 2), v };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x;

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &array));
	ck_ok(clef_requires_grad(x, true));
	check(clef_softmax(x, 1), (float[]){ NAN, NAN, NAN, NAN, 0, 1, NAN, NAN, NAN, NAN, 1, 0 });
	check(clef_log_softmax(x, 1), (float[]){ NAN, NAN, NAN, NAN, -INFINITY, 0, NAN, NAN, NAN, NAN, 0, -2e38f });
	ck_ok(clef_backward(clef_sum(clef_softmax(x, 1), NULL)));
	check(clef_grad(x), (float[]){ NAN, NAN, NAN, NAN, 0, 0, NAN, NAN, NAN, NAN, 0, 0 });
	ck_ok(clef_backward(clef_sum(clef_log_softmax(x, 1), NULL)));
	check(clef_grad(x), (float[]){ NAN, NAN, NAN, NAN, 1, -1, NAN, NAN, NAN, NAN, -1, 1 });
	ck_null_fails(clef_softmax(x, 2), CLEF_ERROR_INVALID, "softmax: dimension 2 of x [6, 2]: -2 to 1 are allowed");
	ck_null_fails(clef_log_softmax(x, -3), CLEF_ERROR_INVALID, "log_softmax: dimension -3 of x [6, 2]");
	array.dtype = CLEF_INT32;
	ck_null_fails(clef_softmax(clef_input(tape, &array), 0), CLEF_ERROR_DTYPE, "x is int32, expected float32");
	clef_tape_free(tape);
}
END_TEST

Suite *softmax_suite(void)
{
	Suite *s = suite_create("softmax");
	TCase *c = tcase_create("softmax");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, cases);
	tcase_add_test(c, edges);
	suite_add_tcase(s, c);
	return s;
}
