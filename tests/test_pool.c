/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling, against windows that are laid out by hand on a padded image. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "op_case.h"

typedef struct pool_case {
	bool flat, adaptive, mean;
	clef_max_pool_opts window;
	bool exclude_pad;
	int divisor;
	int64_t out[2];
} pool_case;

static clef_tensor *apply(clef_tensor **x, const void *opts)
{
	const pool_case *c = opts;
	const clef_max_pool_opts *w = &c->window;
	clef_avg_pool_opts a = { w->kernel, w->kernel_w,  w->stride,      w->stride_w, w->pad,
				 w->pad_w,  w->ceil_mode, c->exclude_pad, c->divisor };

	if (c->adaptive && c->flat)
		return c->mean ? clef_adaptive_avg_pool1d(x[0], c->out[1]) : clef_adaptive_max_pool1d(x[0], c->out[1]);
	if (c->adaptive)
		return c->mean ? clef_adaptive_avg_pool2d(x[0], c->out[0], c->out[1])
			       : clef_adaptive_max_pool2d(x[0], c->out[0], c->out[1]);
	if (c->flat)
		return c->mean ? clef_avg_pool1d(x[0], &a) : clef_max_pool1d(x[0], w);
	return c->mean ? clef_avg_pool2d(x[0], &a) : clef_max_pool2d(x[0], w);
}

/* ---- the reference: which elements of an axis are in which window ---- */

#define MOST 64 /* elements and windows along an axis */

typedef struct axis {
	int windows;
	int elements[MOST];      /* in the image */
	int padded[MOST];        /* in the image and its padding */
	int element[MOST][MOST]; /* of window, the list */
} axis;

static axis adaptive_axis(int size, int64_t wanted)
{
	axis a = { .windows = wanted == -1 ? size : (int)wanted };

	for (int o = 0; o < a.windows; o++)
		for (int i = 0; i < size; i++) {
			/* Element i, from i to i + 1, overlaps the window from o size / out to (o + 1) size / out. */
			bool inside = (i + 1) * a.windows > o * size && i * a.windows < (o + 1) * size;

			if (inside)
				a.element[o][a.elements[o]++] = i;
		}
	return a;
}

static axis window_axis(int size, int kernel, int stride, int pad, int dilation, bool ceil_mode)
{
	axis a = { 0 };
	int span = (kernel - 1) * dilation + 1, room = size + 2 * pad;

	for (int start = 0; start < size + pad; start += stride) {
		int behind = start + span - room; /* what it sticks out */
		int o = a.windows;

		if (behind > 0 && !(ceil_mode && behind < stride))
			break;
		a.windows++;
		for (int k = 0; k < kernel; k++) {
			int at = start + k * dilation - pad;

			if (at >= 0 && at < size)
				a.element[o][a.elements[o]++] = at;
			a.padded[o] += at < size + pad;
		}
	}
	return a;
}

static void make_axes(const pool_case *c, const clef_shape *x, axis *rows, axis *columns)
{
	const clef_max_pool_opts *w = &c->window;
	int height = c->flat ? 1 : (int)x->dim[x->ndim - 2], width = (int)x->dim[x->ndim - 1];
	int stride = w->stride ? w->stride : w->kernel, dilation = w->dilation ? w->dilation : 1;
	int kernel_w = w->kernel_w ? w->kernel_w : w->kernel;

	if (c->adaptive) {
		*rows = adaptive_axis(height, c->flat ? 1 : c->out[0]);
		*columns = adaptive_axis(width, c->out[1]);
		return;
	}
	*rows = c->flat ? window_axis(1, 1, 1, 0, 1, false)
			: window_axis(height, w->kernel, stride, w->pad, dilation, w->ceil_mode);
	*columns = window_axis(width, kernel_w,
			       w->stride_w ? w->stride_w
			       : w->stride ? w->stride
					   : kernel_w,
			       w->pad_w == -1 ? 0
			       : w->pad_w     ? w->pad_w
					      : w->pad,
			       w->dilation_w ? w->dilation_w : dilation, w->ceil_mode);
}

static double pool(const pool_case *c, const double *image, int width, const axis *rows, int oh, const axis *columns,
		   int ow)
{
	double largest = -INFINITY, sum = 0;
	int count = rows->elements[oh] * columns->elements[ow];

	for (int r = 0; r < rows->elements[oh]; r++)
		for (int k = 0; k < columns->elements[ow]; k++) {
			double v = image[rows->element[oh][r] * width + columns->element[ow][k]];

			largest = v > largest ? v : largest;
			sum += v;
		}
	if (!c->mean)
		return largest;
	if (!c->adaptive && !c->exclude_pad)
		count = rows->padded[oh] * columns->padded[ow];
	return sum / (c->divisor ? c->divisor : count);
}

static void reference(const ref_array *x, const void *opts, ref_array *y)
{
	const pool_case *c = opts;
	static axis rows, columns;
	int height = c->flat ? 1 : (int)x->shape.dim[x->shape.ndim - 2], width = (int)x->shape.dim[x->shape.ndim - 1];
	int64_t i = 0;

	make_axes(c, &x->shape, &rows, &columns);
	ck_assert_int_eq((int)y->shape.dim[y->shape.ndim - 1], columns.windows);
	if (!c->flat)
		ck_assert_int_eq((int)y->shape.dim[y->shape.ndim - 2], rows.windows);
	for (int64_t plane = 0; plane < x->numel / (height * width); plane++)
		for (int oh = 0; oh < rows.windows; oh++)
			for (int ow = 0; ow < columns.windows; ow++)
				y->v[i++] = pool(c, x->v + plane * height * width, width, &rows, oh, &columns, ow);
	ck_assert_int_eq((int)i, (int)y->numel);
}

/* ---- cases ---- */

static void run(clef_shape shape, pool_case c)
{
	op_case t = { .name = c.adaptive ? "adaptive_pool" : "pool",
		      .apply = apply,
		      .reference = reference,
		      .opts = &c,
		      .inputs = 1,
		      .in = { { .shape = shape, .lo = -8, .hi = 8 } } };

	op_case_run(&t);
	/* Equal elements: no gradient there, but the values are exact, if not divided. */
	t.in[0].whole = true;
	t.no_gradient = true;
	t.tolerance = c.mean && c.divisor != 1 ? OP_TOLERANCE : 0;
	op_case_run(&t);
}

/* The largest and the mean, with all that the mean can be. */
static void run_windows(clef_shape shape, clef_max_pool_opts w)
{
	pool_case c = { .flat = shape.ndim == 2 || (shape.ndim == 3 && shape.dim[0] == 2), .window = w };

	run(shape, c);
	if (w.dilation || w.dilation_w)
		return;
	c.mean = true;
	run(shape, c);
	c.exclude_pad = true;
	run(shape, c);
	c.divisor = 1;
	run(shape, c);
}

#define WINDOWS(...)                                                                                                   \
	(clef_max_pool_opts)                                                                                           \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

START_TEST(windows_2d)
{
	run_windows(CLEF_SHAPE(1, 2, 4, 4), WINDOWS(.kernel = 2));
	run_windows(CLEF_SHAPE(1, 1, 5, 6), WINDOWS(.kernel = 3, .stride = 2, .pad = 1, .ceil_mode = true));
	if (test_small())
		return;
	run_windows(CLEF_SHAPE(2, 3, 33, 17), WINDOWS(.kernel = 3, .stride = 2, .pad = 1));
	run_windows(CLEF_SHAPE(2, 3, 12, 12), WINDOWS(.kernel = 3, .stride = 1, .pad = 1));
	run_windows(CLEF_SHAPE(3, 7, 9), WINDOWS(.kernel = 2, .kernel_w = 5, .stride = 3, .stride_w = 2));
	run_windows(CLEF_SHAPE(3, 7, 9), WINDOWS(.kernel = 4, .kernel_w = 1, .pad = 2, .pad_w = -1));
	run_windows(CLEF_SHAPE(1, 2, 7, 8), WINDOWS(.kernel = 4, .stride = 3, .pad = 2, .pad_w = 1));
	run_windows(CLEF_SHAPE(1, 2, 7, 8), WINDOWS(.kernel = 2, .stride = 5, .ceil_mode = true));
	run_windows(CLEF_SHAPE(1, 2, 10, 11), WINDOWS(.kernel = 2, .stride = 3, .ceil_mode = true));
	/* The last window of rounding up would start in the padding on the right. */
	run_windows(CLEF_SHAPE(1, 1, 3, 4), WINDOWS(.kernel = 2, .stride = 2, .pad = 1, .ceil_mode = true));
	run_windows(CLEF_SHAPE(4, 3, 1, 1), WINDOWS(.kernel = 1));
	run_windows(CLEF_SHAPE(4, 3, 1, 1), WINDOWS(.kernel = 3, .pad = 1));
	run_windows(CLEF_SHAPE(2, 2, 5, 5), WINDOWS(.kernel = 5));
	run_windows(CLEF_SHAPE(257, 1, 3, 3), WINDOWS(.kernel = 3, .stride = 1));
	run_windows(CLEF_SHAPE(1, 1, 8, 8), WINDOWS(.kernel = 5, .stride = 1, .pad = 2));
}
END_TEST

START_TEST(windows_1d)
{
	run_windows(CLEF_SHAPE(2, 3, 7), WINDOWS(.kernel = 3, .stride = 2, .pad = 1));
	if (test_small())
		return;
	run_windows(CLEF_SHAPE(5, 33), WINDOWS(.kernel = 4, .stride = 3, .pad = 2, .ceil_mode = true));
	run_windows(CLEF_SHAPE(2, 1, 60), WINDOWS(.kernel = 60));
	run_windows(CLEF_SHAPE(2, 9, 10), WINDOWS(.kernel = 2, .stride = 7));
	run_windows(CLEF_SHAPE(2, 9, 17), WINDOWS(.kernel = 3, .stride = 2, .dilation = 4));
}
END_TEST

START_TEST(dilated)
{
	run_windows(CLEF_SHAPE(1, 1, 6, 5), WINDOWS(.kernel = 2, .stride = 1, .dilation = 2));
	if (test_small())
		return;
	run_windows(CLEF_SHAPE(2, 2, 12, 13), WINDOWS(.kernel = 3, .stride = 2, .pad = 1, .dilation = 2));
	run_windows(CLEF_SHAPE(2, 2, 12, 13),
		    WINDOWS(.kernel = 3, .stride = 4, .dilation = 3, .dilation_w = 1, .ceil_mode = true));
	run_windows(CLEF_SHAPE(1, 3, 9, 10), WINDOWS(.kernel = 3, .stride = 1, .pad = 1, .dilation = 3));
	run_windows(CLEF_SHAPE(1, 1, 4, 4), WINDOWS(.kernel = 1, .stride = 1, .dilation = INT32_MAX));
}
END_TEST

static void run_adaptive(clef_shape shape, int64_t h, int64_t w)
{
	pool_case c = { .flat = h == 0, .adaptive = true, .out = { h, w } };

	run(shape, c);
	c.mean = true;
	run(shape, c);
}

START_TEST(adaptive)
{
	run_adaptive(CLEF_SHAPE(1, 2, 5, 4), 3, 2);
	run_adaptive(CLEF_SHAPE(1, 2, 5, 4), 1, 1);
	if (test_small())
		return;
	run_adaptive(CLEF_SHAPE(3, 17, 33), 7, 5);
	run_adaptive(CLEF_SHAPE(2, 3, 3, 4), 5, 9);
	run_adaptive(CLEF_SHAPE(2, 3, 8, 8), 4, 4);
	run_adaptive(CLEF_SHAPE(2, 3, 7, 9), -1, 3);
	run_adaptive(CLEF_SHAPE(2, 3, 7, 9), 2, -1);
	run_adaptive(CLEF_SHAPE(2, 3, 63, 61), 1, 1);
	run_adaptive(CLEF_SHAPE(2, 3, 33), 0, 5);
	run_adaptive(CLEF_SHAPE(3, 60), 0, 1);
	run_adaptive(CLEF_SHAPE(2, 3, 5), 0, 16);
}
END_TEST

/* ---- by hand ---- */

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
	tcase_add_test(c, windows_2d);
	tcase_add_test(c, windows_1d);
	tcase_add_test(c, dilated);
	tcase_add_test(c, adaptive);
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
