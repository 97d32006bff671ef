/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that are not pointwise: products, shapes, reductions, losses. */
#include <math.h>
#include <stdlib.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"
#include "op_case.h"

/* ---- linear ---- */

START_TEST(linear)
{
	check_family(&clef__family_linear);
}
END_TEST

START_TEST(linear_errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 5)));
	clef_tensor *w = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(3, 4)));
	clef_tensor *b = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(4)));

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_linear_no_bias(x, w), CLEF_ERROR_SHAPE, "linear: x has shape [2, 5], expected [..., 4]");
	ck_null_fails(clef_linear_no_bias(w, b), CLEF_ERROR_SHAPE, "linear: w has shape [4], expected [out, in]");
	ck_null_fails(clef_linear(b, w, b), CLEF_ERROR_SHAPE, "linear: b has shape [4], expected [3]");
	ck_null_fails(clef_linear(b, w, NULL), CLEF_ERROR_INVALID, "linear: given NULL");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tape_free(tape);
}
END_TEST

/* ---- shape ---- */

static clef_tensor *apply_reshape(clef_tensor **x, const void *opts)
{
	return clef_reshape(x[0], *(const clef_shape *)opts);
}

static clef_tensor *apply_flatten(clef_tensor **x, const void *opts)
{
	(void)opts;
	return clef_flatten(x[0]);
}

static void reference_same(const ref_array *x, const void *opts, ref_array *y)
{
	(void)opts;
	for (int64_t i = 0; i < y->numel; i++)
		y->v[i] = x[0].v[i];
}

static void run_shape(clef_tensor *(*apply)(clef_tensor **, const void *), clef_shape from, const clef_shape *to)
{
	op_case_run(&(op_case){ .name = "reshape",
				.apply = apply,
				.reference = reference_same,
				.opts = to,
				.inputs = 1,
				.in = { { .shape = from, .lo = -8, .hi = 8, .whole = true } } });
}

START_TEST(reshape)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 3, 4)));
	clef_shape to = CLEF_SHAPE(4, -1);

	run_shape(apply_reshape, CLEF_SHAPE(2, 3, 4), &to);
	run_shape(apply_flatten, CLEF_SHAPE(2, 3, 4), NULL);
	ck_ok(clef_tape_begin(tape));
	ck_assert(clef_shape_equal(clef_tensor_shape(clef_flatten(x)), CLEF_SHAPE(2, 12)));
	ck_assert_int_eq(clef_tensor_dtype(clef_flatten(x)), CLEF_INT32);
	ck_assert(clef_shape_equal(clef_tensor_shape(clef_reshape(x, to)), CLEF_SHAPE(4, 6)));
	ck_null_fails(clef_reshape(x, CLEF_SHAPE(5, -1)), CLEF_ERROR_SHAPE,
		      "reshape: x [2, 3, 4] does not fill [5, -1]");
	ck_null_fails(clef_reshape(x, CLEF_SHAPE(-1, -1)), CLEF_ERROR_SHAPE, "one may be -1");
	ck_null_fails(clef_reshape(x, CLEF_SHAPE(24, 2)), CLEF_ERROR_SHAPE, "does not fill [24, 2]");
	clef_tensor_free(x);
	clef_tape_free(tape);
}
END_TEST

/* ---- reductions ---- */

static clef_tensor *apply_sum(clef_tensor **x, const void *opts)
{
	return clef_sum(x[0], opts);
}

static clef_tensor *apply_mean(clef_tensor **x, const void *opts)
{
	return clef_mean(x[0], opts);
}

/* Where element i of x goes in the result. */
static int64_t reduced_index(const clef_shape *x, const clef_reduce_opts *opts, int64_t i)
{
	bool reduce[CLEF_MAX_DIMS] = { false };
	int64_t index = 0, step = 1;

	for (int d = 0; d < x->ndim; d++)
		reduce[d] = !opts || opts->ndim == 0;
	for (int d = 0; opts && d < opts->ndim; d++)
		reduce[opts->dim[d] + (opts->dim[d] < 0 ? x->ndim : 0)] = true;
	for (int d = x->ndim - 1; d >= 0; d--) {
		if (!reduce[d]) {
			index += i % x->dim[d] * step;
			step *= x->dim[d];
		}
		i /= x->dim[d];
	}
	return index;
}

static void reference_sum(const ref_array *x, const void *opts, ref_array *y)
{
	for (int64_t i = 0; i < y->numel; i++)
		y->v[i] = 0;
	for (int64_t i = 0; i < x[0].numel; i++)
		y->v[reduced_index(&x[0].shape, opts, i)] += x[0].v[i];
}

static void reference_mean(const ref_array *x, const void *opts, ref_array *y)
{
	reference_sum(x, opts, y);
	for (int64_t i = 0; i < y->numel; i++)
		y->v[i] *= (double)y->numel / (double)x[0].numel;
}

static void run_reduction(clef_shape shape, const clef_reduce_opts *opts)
{
	op_case c = { .name = "sum",
		      .apply = apply_sum,
		      .reference = reference_sum,
		      .opts = opts,
		      .inputs = 1,
		      .in = { { .shape = shape, .lo = -8, .hi = 8, .whole = true } } };

	op_case_run(&c);
	c.name = "mean";
	c.apply = apply_mean;
	c.reference = reference_mean;
	c.in[0].whole = false;
	c.in[0].lo = 1;
	op_case_run(&c);
}

START_TEST(reductions)
{
	run_reduction(CLEF_SHAPE(33), NULL);
	run_reduction(CLEF_SHAPE(2, 3, 4), &(clef_reduce_opts){ .ndim = 2, .dim = { 0, -1 } });
	if (test_small())
		return;
	run_reduction(CLEF_SHAPE(2, 3, 4), &(clef_reduce_opts){ .ndim = 1, .dim = { 1 }, .keepdim = true });
	run_reduction(CLEF_SHAPE(257, 33), &(clef_reduce_opts){ .ndim = 1, .dim = { 0 } });
	run_reduction(CLEF_SHAPE(33, 257), &(clef_reduce_opts){ .ndim = 1, .dim = { 1 } });
	run_reduction(CLEF_SHAPE(7001), NULL);
	run_reduction(CLEF_SHAPE(5000, 2), &(clef_reduce_opts){ .ndim = 1, .dim = { 0 } });
	run_reduction(CLEF_SHAPE(2, 1, 3, 1, 2, 2, 2, 2), &(clef_reduce_opts){ .ndim = 4, .dim = { 0, 2, 5, 7 } });
	run_reduction(CLEF_SHAPE(1, 1), NULL);
	run_reduction(CLEF_SCALAR, NULL);
}
END_TEST

START_TEST(reduction_edges)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *none = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(0, 3)));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 3)));
	float y[3] = { 1, 1, 1 };

	ck_ok(clef_tape_begin(tape));
	ck_assert(clef_item(clef_sum(none, NULL)) == 0);
	ck_assert(isnan(clef_item(clef_mean(none, NULL))));
	ck_ok(clef_read(clef_sum(none, &(clef_reduce_opts){ .ndim = 1, .dim = { 0 } }), y, sizeof(y)));
	ck_assert(y[0] == 0 && y[1] == 0 && y[2] == 0);
	ck_null_fails(clef_sum(x, &(clef_reduce_opts){ .ndim = 1, .dim = { 2 } }), CLEF_ERROR_INVALID,
		      "sum: dimension 2 of x [2, 3]: -2 to 1 are allowed");
	ck_null_fails(clef_sum(x, &(clef_reduce_opts){ .ndim = 2, .dim = { 1, -1 } }), CLEF_ERROR_INVALID,
		      "dimension 1 is given twice");
	clef_tensor_free(none);
	clef_tensor_free(x);
	clef_tape_free(tape);
}
END_TEST

/* ---- losses ---- */

static clef_tensor *apply_cross_entropy(clef_tensor **x, const void *opts)
{
	(void)opts;
	return clef_cross_entropy(x[0], x[1]);
}

static void reference_cross_entropy(const ref_array *x, const void *opts, ref_array *y)
{
	int64_t n = x[0].shape.dim[0], classes = x[0].shape.dim[1];
	double total = 0;

	(void)opts;
	for (int64_t i = 0; i < n; i++) {
		const double *row = x[0].v + i * classes;
		double largest = row[0], sum = 0;

		for (int64_t c = 0; c < classes; c++)
			largest = fmax(largest, row[c]);
		for (int64_t c = 0; c < classes; c++)
			sum += exp(row[c] - largest);
		total += largest + log(sum) - row[(int64_t)x[1].v[i]];
	}
	y->v[0] = total / (double)n;
}

static clef_tensor *apply_accuracy(clef_tensor **x, const void *opts)
{
	(void)opts;
	return clef_accuracy(x[0], x[1]);
}

static void reference_accuracy(const ref_array *x, const void *opts, ref_array *y)
{
	int64_t n = x[0].shape.dim[0], classes = x[0].shape.dim[1];
	int hits = 0;

	(void)opts;
	for (int64_t i = 0; i < n; i++) {
		const double *row = x[0].v + i * classes;
		int64_t best = 0;

		for (int64_t c = 1; c < classes; c++)
			best = row[c] > row[best] ? c : best;
		hits += best == (int64_t)x[1].v[i];
	}
	y->v[0] = (double)hits / (double)n;
}

static void run_loss(int64_t n, int64_t classes, double range)
{
	op_case c = { .name = "cross_entropy",
		      .apply = apply_cross_entropy,
		      .reference = reference_cross_entropy,
		      .inputs = 2,
		      .in = { { .shape = CLEF_SHAPE(n, classes), .lo = -range, .hi = range },
			      { .shape = CLEF_SHAPE(n), .lo = 0, .hi = (double)classes, .label = true } },
		      .gradient_tolerance = 2e-5 };

	op_case_run(&c);
	c.name = "accuracy";
	c.apply = apply_accuracy;
	c.reference = reference_accuracy;
	c.no_gradient = true;
	op_case_run(&c);
}

START_TEST(losses)
{
	run_loss(5, 3, 4);
	if (test_small())
		return;
	run_loss(33, 10, 4);
	run_loss(257, 1, 4);
	run_loss(1, 1000, 8);
	run_loss(7, 10, 40);
}
END_TEST

START_TEST(loss_edges)
{
	float big[] = { 1000, -1000, 0, -INFINITY, 3e38f, 0 }, grad[6], wrong[] = { 1, 2, 3, 4, 5, NAN };
	int32_t label[] = { 0, 1 }, outside[] = { 0, 3 };
	clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(2, 3), big }, t = { CLEF_INT32, CLEF_SHAPE(2), label };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *logits, *loss;

	ck_ok(clef_tape_begin(tape));
	logits = ck_new(clef_input(tape, &x));
	ck_ok(clef_requires_grad(logits, true));
	loss = ck_new(clef_cross_entropy(logits, clef_input(tape, &t)));
	ck_assert(clef_item(loss) == 0);
	ck_ok(clef_backward(loss));
	ck_ok(clef_read(clef_grad(logits), grad, sizeof(grad)));
	for (int i = 0; i < 6; i++)
		ck_assert_msg(grad[i] == 0, "gradient %d is %g", i, (double)grad[i]);
	t.data = outside;
	ck_assert(isnan(clef_item(clef_cross_entropy(logits, clef_input(tape, &t)))));
	x.data = wrong;
	t.data = label;
	/* The NaN counts as largest and is not label 1; in row 0 the largest is the last. */
	ck_assert(clef_item(clef_accuracy(clef_input(tape, &x), clef_input(tape, &t))) == 0);
	x.shape = CLEF_SHAPE(0, 3);
	t.shape = CLEF_SHAPE(0);
	ck_assert(isnan(clef_item(clef_cross_entropy(clef_input(tape, &x), clef_input(tape, &t)))));
	t.shape = CLEF_SHAPE(2);
	ck_null_fails(clef_cross_entropy(logits, clef_input(tape, &x)), CLEF_ERROR_DTYPE,
		      "cross_entropy: labels is float32, expected int32");
	t.shape = CLEF_SHAPE(1);
	ck_null_fails(clef_cross_entropy(logits, clef_input(tape, &t)), CLEF_ERROR_SHAPE,
		      "labels have shape [1], expected [2] for logits [2, 3]");
	clef_tape_free(tape);
}
END_TEST

Suite *ops_suite(void)
{
	Suite *s = suite_create("ops");
	TCase *c = tcase_create("ops");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, linear);
	tcase_add_test(c, linear_errors);
	tcase_add_test(c, reshape);
	tcase_add_test(c, reductions);
	tcase_add_test(c, reduction_edges);
	tcase_add_test(c, losses);
	tcase_add_test(c, loss_edges);
	suite_add_tcase(s, c);
	return s;
}
