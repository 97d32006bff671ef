/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions: every implementation against the definition, written down as naively as can be, for each option alone
 * and for random combinations.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "op_case.h"

/* ---- references ---- */

/* A case's options, for all operations: those of one dimension have the fields of the columns. */
typedef struct conv_case {
	bool transposed, one;
	clef_conv2d_opts o;
	int output_pad_h, output_pad_w;
} conv_case;

/* Defaults filled in. */
typedef struct geometry {
	int64_t stride[2], before[2], after[2], dilation[2], groups;
} geometry;

static int64_t or_else(int value, int64_t other)
{
	return value ? value : other;
}

static geometry geometry_of(const conv_case *c)
{
	const clef_conv2d_opts *o = &c->o;
	geometry g = { .groups = or_else(o->groups, 1) };

	g.stride[0] = or_else(o->stride, 1);
	g.stride[1] = or_else(o->stride_w, g.stride[0]);
	g.dilation[0] = or_else(o->dilation, 1);
	g.dilation[1] = or_else(o->dilation_w, g.dilation[0]);
	g.before[0] = o->pad + o->pad_top;
	g.after[0] = o->pad + o->pad_bottom;
	g.before[1] = or_else(o->pad_w, o->pad) + o->pad_left;
	g.after[1] = or_else(o->pad_w, o->pad) + o->pad_right;
	if (c->one) {
		g.stride[0] = g.dilation[0] = 1;
		g.before[0] = g.after[0] = 0;
	}
	return g;
}

/* [a, b, w] as [a, b, 1, w]. */
static clef_shape as_2d(clef_shape s)
{
	return s.ndim == 3 ? CLEF_SHAPE(s.dim[0], s.dim[1], 1, s.dim[2]) : s;
}

/* The pixel at i of a row of `size` with what surrounds it; -1 for a zero. */
static int64_t pixel_at(int64_t i, int64_t size, clef_pad_mode mode)
{
	if (mode == CLEF_PAD_REPLICATE)
		return i < 0 ? 0 : i >= size ? size - 1 : i;
	if (mode == CLEF_PAD_CIRCULAR)
		return (i + 10 * size) % size;
	while (mode == CLEF_PAD_REFLECT && (i < 0 || i >= size))
		i = i < 0 ? -i : size - 1 - (i - (size - 1));
	return i < 0 || i >= size ? -1 : i;
}

static double image_at(const ref_array *x, int64_t n, int64_t c, int64_t i, int64_t j, clef_pad_mode mode)
{
	clef_shape s = as_2d(x->shape);

	i = pixel_at(i, s.dim[2], mode);
	j = pixel_at(j, s.dim[3], mode);
	return i < 0 || j < 0 ? 0 : x->v[((n * s.dim[1] + c) * s.dim[2] + i) * s.dim[3] + j];
}

static double correlate(const ref_array *x, const conv_case *c, int64_t n, int64_t k, int64_t oh, int64_t ow)
{
	clef_shape w = as_2d(x[1].shape);
	geometry g = geometry_of(c);
	int64_t group = k / (w.dim[0] / g.groups);
	double sum = 0;

	for (int64_t i = 0; i < w.dim[1]; i++)
		for (int64_t r = 0; r < w.dim[2]; r++)
			for (int64_t s = 0; s < w.dim[3]; s++)
				sum += x[1].v[((k * w.dim[1] + i) * w.dim[2] + r) * w.dim[3] + s] *
				       image_at(&x[0], n, group * w.dim[1] + i,
						oh * g.stride[0] + r * g.dilation[0] - g.before[0],
						ow * g.stride[1] + s * g.dilation[1] - g.before[1], c->o.pad_mode);
	return sum;
}

static void reference_conv(const ref_array *x, const conv_case *c, ref_array *y, bool bias)
{
	clef_shape s = as_2d(y->shape);
	int64_t at = 0;

	for (int64_t n = 0; n < s.dim[0]; n++)
		for (int64_t k = 0; k < s.dim[1]; k++)
			for (int64_t i = 0; i < s.dim[2]; i++)
				for (int64_t j = 0; j < s.dim[3]; j++)
					y->v[at++] = correlate(x, c, n, k, i, j) + (bias ? x[2].v[k] : 0);
}

/* Spreads one pixel of x times the kernel over the images of y that it is linked to. */
static void spread(const ref_array *x, const conv_case *c, int64_t at, ref_array *y)
{
	clef_shape xs = as_2d(x[0].shape), w = as_2d(x[1].shape), ys = as_2d(y->shape);
	geometry g = geometry_of(c);
	int64_t j = at % xs.dim[3], i = at / xs.dim[3] % xs.dim[2], from = at / xs.dim[3] / xs.dim[2] % xs.dim[1],
		n = at / xs.dim[3] / xs.dim[2] / xs.dim[1], group = from / (xs.dim[1] / g.groups);

	for (int64_t k = 0; k < w.dim[1]; k++)
		for (int64_t r = 0; r < w.dim[2]; r++)
			for (int64_t s = 0; s < w.dim[3]; s++) {
				int64_t oh = i * g.stride[0] + r * g.dilation[0] - g.before[0];
				int64_t ow = j * g.stride[1] + s * g.dilation[1] - g.before[1];

				if (oh < 0 || oh >= ys.dim[2] || ow < 0 || ow >= ys.dim[3])
					continue;
				y->v[((n * ys.dim[1] + group * w.dim[1] + k) * ys.dim[2] + oh) * ys.dim[3] + ow] +=
					x[0].v[at] * x[1].v[((from * w.dim[1] + k) * w.dim[2] + r) * w.dim[3] + s];
			}
}

static void reference_transposed(const ref_array *x, const conv_case *c, ref_array *y, bool bias)
{
	clef_shape s = as_2d(y->shape);

	for (int64_t i = 0; i < y->numel; i++)
		y->v[i] = bias ? x[2].v[i / s.dim[3] / s.dim[2] % s.dim[1]] : 0;
	for (int64_t i = 0; i < x[0].numel; i++)
		spread(x, c, i, y);
}

static void reference(const ref_array *x, const void *opts, ref_array *y)
{
	const conv_case *c = opts;

	(c->transposed ? reference_transposed : reference_conv)(x, c, y, true);
}

static void reference_no_bias(const ref_array *x, const void *opts, ref_array *y)
{
	const conv_case *c = opts;

	(c->transposed ? reference_transposed : reference_conv)(x, c, y, false);
}

/* ---- the operations ---- */

/* b NULL: without a bias. */
static clef_tensor *apply_one(clef_tensor *x, clef_tensor *w, clef_tensor *b, const conv_case *c)
{
	const clef_conv2d_opts *f = &c->o;
	const clef_conv1d_opts o = { (int)or_else(f->stride_w, f->stride),
				     (int)or_else(f->pad_w, f->pad),
				     f->pad_left,
				     f->pad_right,
				     (int)or_else(f->dilation_w, f->dilation),
				     f->groups,
				     f->pad_mode };
	const clef_conv_transpose1d_opts t = { o.stride,        o.pad,      o.pad_left, o.pad_right,
					       c->output_pad_w, o.dilation, o.groups };

	if (c->transposed)
		return b ? clef_conv_transpose1d(x, w, b, &t) : clef_conv_transpose1d_no_bias(x, w, &t);
	return b ? clef_conv1d(x, w, b, &o) : clef_conv1d_no_bias(x, w, &o);
}

static clef_tensor *apply_any(clef_tensor *x, clef_tensor *w, clef_tensor *b, const conv_case *c)
{
	const clef_conv2d_opts *o = &c->o;
	const clef_conv_transpose2d_opts t = { .stride = o->stride,
					       .stride_w = o->stride_w,
					       .pad = o->pad,
					       .pad_w = o->pad_w,
					       .pad_top = o->pad_top,
					       .pad_bottom = o->pad_bottom,
					       .pad_left = o->pad_left,
					       .pad_right = o->pad_right,
					       .output_pad_h = c->output_pad_h,
					       .output_pad_w = c->output_pad_w,
					       .dilation = o->dilation,
					       .dilation_w = o->dilation_w,
					       .groups = o->groups };

	if (c->one)
		return apply_one(x, w, b, c);
	if (c->transposed)
		return b ? clef_conv_transpose2d(x, w, b, &t) : clef_conv_transpose2d_no_bias(x, w, &t);
	return b ? clef_conv2d(x, w, b, o) : clef_conv2d_no_bias(x, w, o);
}

static clef_tensor *apply(clef_tensor **x, const void *opts)
{
	return apply_any(x[0], x[1], x[2], opts);
}

static clef_tensor *apply_no_bias(clef_tensor **x, const void *opts)
{
	return apply_any(x[0], x[1], NULL, opts);
}

/* ---- running a case ---- */

static const char *const impls[] = { "im2col", "direct" };
static int runs[CLEF_COUNT(impls)];

/* Whether the implementation does the case: it may refuse, but in this way only. */
static bool does(clef_shape xs, clef_shape ws, const conv_case *c)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, xs));
	clef_tensor *w = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, ws)), *y;

	ck_ok(clef_tape_begin(tape));
	y = apply_any(x, w, NULL, c);
	if (!y) {
		ck_assert_msg(clef_error_status() == CLEF_ERROR_UNSUPPORTED, "%s", clef_error());
		clef_error_clear();
	}
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tape_free(tape);
	return y != NULL;
}

/* Whole numbers with a bias, where all must be exact, or real ones without. */
static void run_with(const char *impl, clef_shape x, clef_shape w, const conv_case *c, bool whole)
{
	double top = whole ? 8 : 1;
	int64_t outputs = c->transposed ? w.dim[1] * or_else(c->o.groups, 1) : w.dim[0];
	char name[200], xt[160], wt[160];

	snprintf(name, sizeof(name), "conv%s%s by %s, x %s, w %s", c->transposed ? "_transpose" : "",
		 c->one ? "1d" : "2d", impl, clef_shape_text(x, xt, sizeof(xt)), clef_shape_text(w, wt, sizeof(wt)));
	op_case_run(&(op_case){ .name = name,
				.apply = whole ? apply : apply_no_bias,
				.reference = whole ? reference : reference_no_bias,
				.opts = c,
				.inputs = whole ? 3 : 2,
				.in = { { .shape = x, .lo = -top, .hi = top, .whole = whole },
					{ .shape = w, .lo = -top, .hi = top, .whole = whole },
					{ .shape = CLEF_SHAPE(outputs), .lo = -top, .hi = top, .whole = whole } },
				.gradient_tolerance = 2e-5 });
}

static void run_case(clef_shape x, clef_shape w, const conv_case *c)
{
	for (int i = 0; i < CLEF_COUNT(impls); i++) {
		ck_assert(setenv("CLEF_CONV", impls[i], 1) == 0);
		if (!does(x, w, c))
			continue;
		runs[i]++;
		run_with(impls[i], x, w, c, true);
		if (!test_small())
			run_with(impls[i], x, w, c, false);
	}
	ck_assert(unsetenv("CLEF_CONV") == 0);
}

static void run(clef_shape x, clef_shape w, clef_conv2d_opts o)
{
	run_case(x, w, &(conv_case){ .o = o });
}

static void run_transposed(clef_shape x, clef_shape w, clef_conv2d_opts o, int more_h, int more_w)
{
	run_case(x, w, &(conv_case){ .transposed = true, .o = o, .output_pad_h = more_h, .output_pad_w = more_w });
}

/* ---- options one by one ---- */

START_TEST(plain)
{
	run(CLEF_SHAPE(2, 2, 5, 4), CLEF_SHAPE(3, 2, 3, 2), (clef_conv2d_opts){ 0 });
	if (test_small())
		return;
	/* One product an image, and one for all. */
	run(CLEF_SHAPE(2, 3, 23, 25), CLEF_SHAPE(5, 3, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(3, 4, 5, 5), CLEF_SHAPE(9, 4, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(1, 1, 3, 257), CLEF_SHAPE(2, 1, 2, 3), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(1, 2, 257, 1), CLEF_SHAPE(3, 2, 5, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(1, 1, 1, 1), CLEF_SHAPE(1, 1, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(5, 3, 1, 1), CLEF_SHAPE(4, 3, 1, 1), (clef_conv2d_opts){ 0 });
	run(CLEF_SHAPE(2, 3, 6, 7), CLEF_SHAPE(4, 3, 6, 7), (clef_conv2d_opts){ 0 });
	/* Batches of four images and one. */
	run(CLEF_SHAPE(5, 1, 46, 50), CLEF_SHAPE(2, 1, 2, 1), (clef_conv2d_opts){ 0 });
	ck_assert_int_eq(runs[0], runs[1]);
}
END_TEST

START_TEST(strides)
{
	run(CLEF_SHAPE(1, 2, 6, 7), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 2 });
	if (test_small())
		return;
	run(CLEF_SHAPE(2, 2, 20, 37), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 2, .stride_w = 1 });
	run(CLEF_SHAPE(2, 2, 20, 37), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride_w = 2 });
	run(CLEF_SHAPE(2, 2, 40, 67), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 3 });
	run(CLEF_SHAPE(2, 3, 9, 9), CLEF_SHAPE(3, 3, 1, 1), (clef_conv2d_opts){ .stride = 2 });
	/* Larger than the kernel, than the image, and than all. */
	run(CLEF_SHAPE(2, 2, 11, 13), CLEF_SHAPE(3, 2, 2, 2), (clef_conv2d_opts){ .stride = 5 });
	run(CLEF_SHAPE(2, 2, 4, 4), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = 7 });
	run(CLEF_SHAPE(2, 2, 4, 4), CLEF_SHAPE(3, 2, 3, 3), (clef_conv2d_opts){ .stride = INT32_MAX, .pad = 1 });
	ck_assert_int_eq(runs[0], runs[1]);
}
END_TEST

START_TEST(padding)
{
	run(CLEF_SHAPE(1, 2, 3, 4), CLEF_SHAPE(2, 2, 3, 3), (clef_conv2d_opts){ .pad = 1 });
	if (test_small())
		return;
	run(CLEF_SHAPE(2, 3, 8, 33), CLEF_SHAPE(4, 3, 5, 5), (clef_conv2d_opts){ .pad = 2 });
	run(CLEF_SHAPE(2, 3, 8, 9), CLEF_SHAPE(4, 3, 5, 3), (clef_conv2d_opts){ .pad = 2, .pad_w = 1 });
	run(CLEF_SHAPE(2, 3, 8, 9), CLEF_SHAPE(4, 3, 1, 3), (clef_conv2d_opts){ .pad_w = 1 });
	run(CLEF_SHAPE(2, 3, 8, 9), CLEF_SHAPE(4, 3, 3, 1), (clef_conv2d_opts){ .pad_top = 1, .pad_bottom = 1 });
	run(CLEF_SHAPE(2, 3, 8, 9), CLEF_SHAPE(4, 3, 2, 2), (clef_conv2d_opts){ .pad_right = 1, .pad_bottom = 1 });
	run(CLEF_SHAPE(2, 3, 5, 6), CLEF_SHAPE(4, 3, 3, 4),
	    (clef_conv2d_opts){ .pad = 1, .pad_top = 1, .pad_bottom = 2, .pad_left = 3, .pad_right = 0 });
	run(CLEF_SHAPE(2, 3, 2, 2), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .pad = 9 });
	run(CLEF_SHAPE(2, 3, 1, 1), CLEF_SHAPE(4, 3, 5, 5), (clef_conv2d_opts){ .pad = 2 });
	run(CLEF_SHAPE(2, 3, 3, 3), CLEF_SHAPE(4, 3, 1, 1), (clef_conv2d_opts){ .pad = 1 });
	/* As many rows and columns of y as of x, but not the same ones. */
	run(CLEF_SHAPE(1, 3, 4, 4), CLEF_SHAPE(4, 3, 1, 1), (clef_conv2d_opts){ .pad = 2, .stride = 2 });
	ck_assert_int_eq(runs[0], runs[1]);
}
END_TEST

START_TEST(dilations)
{
	run(CLEF_SHAPE(1, 2, 5, 6), CLEF_SHAPE(2, 2, 2, 3), (clef_conv2d_opts){ .dilation = 2 });
	if (test_small())
		return;
	run(CLEF_SHAPE(2, 3, 12, 40), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .dilation = 2, .dilation_w = 5 });
	run(CLEF_SHAPE(2, 3, 12, 13), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .dilation_w = 3, .pad = 3 });
	run(CLEF_SHAPE(2, 3, 3, 3), CLEF_SHAPE(4, 3, 3, 3), (clef_conv2d_opts){ .dilation = 7, .pad = 7 });
	run(CLEF_SHAPE(2, 3, 3, 3), CLEF_SHAPE(4, 3, 1, 1), (clef_conv2d_opts){ .dilation = INT32_MAX });
	ck_assert_int_eq(runs[0], runs[1]);
}
END_TEST

START_TEST(grouped)
{
	run(CLEF_SHAPE(1, 4, 4, 5), CLEF_SHAPE(6, 2, 2, 3), (clef_conv2d_opts){ .groups = 2 });
	if (test_small())
		return;
	/* Depthwise: one for each, and a multiplier. */
	run(CLEF_SHAPE(2, 5, 9, 35), CLEF_SHAPE(5, 1, 3, 3), (clef_conv2d_opts){ .groups = 5, .pad = 1 });
	run(CLEF_SHAPE(2, 3, 9, 8), CLEF_SHAPE(9, 1, 3, 3), (clef_conv2d_opts){ .groups = 3, .stride = 2 });
	run(CLEF_SHAPE(2, 4, 5, 5), CLEF_SHAPE(2, 2, 1, 1), (clef_conv2d_opts){ .groups = 2 });
	ck_assert_int_eq(runs[0], 0);
	/* Large enough for products. */
	run(CLEF_SHAPE(2, 8, 6, 7), CLEF_SHAPE(16, 4, 3, 3), (clef_conv2d_opts){ .groups = 2, .pad = 1 });
	run(CLEF_SHAPE(2, 64, 4, 4), CLEF_SHAPE(16, 32, 1, 1), (clef_conv2d_opts){ .groups = 2 });
	ck_assert_int_eq(runs[0], 2);
}
END_TEST

START_TEST(pad_modes)
{
	for (clef_pad_mode mode = CLEF_PAD_REFLECT; mode <= CLEF_PAD_CIRCULAR; mode++) {
		run(CLEF_SHAPE(1, 1, 3, 2), CLEF_SHAPE(2, 1, 3, 3), (clef_conv2d_opts){ .pad = 1, .pad_mode = mode });
		if (test_small())
			continue;
		/* As much as circular, and then as reflection, allows. */
		run(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(2, 3, 3, 3),
		    (clef_conv2d_opts){ .pad = mode == CLEF_PAD_REFLECT ? 3 : 4, .pad_w = 4, .pad_mode = mode });
		run(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(2, 3, 2, 3),
		    (clef_conv2d_opts){ .pad_top = 2, .pad_right = 3, .stride = 2, .pad_mode = mode });
		run(CLEF_SHAPE(2, 2, 6, 35), CLEF_SHAPE(4, 1, 3, 3),
		    (clef_conv2d_opts){ .pad = 2, .groups = 2, .dilation = 2, .pad_mode = mode });
		run(CLEF_SHAPE(2, 2, 3, 3), CLEF_SHAPE(4, 2, 3, 3), (clef_conv2d_opts){ .pad_mode = mode });
	}
	if (test_small())
		return;
	run(CLEF_SHAPE(2, 1, 1, 1), CLEF_SHAPE(2, 1, 3, 3),
	    (clef_conv2d_opts){ .pad = 9, .pad_mode = CLEF_PAD_REPLICATE });
	run(CLEF_SHAPE(2, 1, 1, 1), CLEF_SHAPE(2, 1, 3, 3),
	    (clef_conv2d_opts){ .pad = 1, .pad_mode = CLEF_PAD_CIRCULAR });
}
END_TEST

START_TEST(transposed)
{
	run_transposed(CLEF_SHAPE(1, 2, 3, 2), CLEF_SHAPE(2, 3, 2, 3), (clef_conv2d_opts){ .stride = 2, .pad = 1 }, 1,
		       0);
	if (test_small())
		return;
	run_transposed(CLEF_SHAPE(2, 3, 4, 33), CLEF_SHAPE(3, 5, 3, 3), (clef_conv2d_opts){ 0 }, 0, 0);
	run_transposed(CLEF_SHAPE(2, 3, 25, 25), CLEF_SHAPE(3, 5, 1, 1), (clef_conv2d_opts){ 0 }, 0, 0);
	run_transposed(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(3, 5, 2, 2), (clef_conv2d_opts){ .stride = 2 }, 0, 0);
	run_transposed(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(3, 5, 3, 4), (clef_conv2d_opts){ .stride = 3, .stride_w = 2 },
		       2, 1);
	/* Larger than the stride, but not than the dilation. */
	run_transposed(CLEF_SHAPE(2, 3, 4, 5), CLEF_SHAPE(3, 5, 3, 3), (clef_conv2d_opts){ .dilation = 3 }, 2, 1);
	run_transposed(CLEF_SHAPE(2, 4, 4, 5), CLEF_SHAPE(4, 3, 3, 3),
		       (clef_conv2d_opts){ .stride = 2, .groups = 2, .pad = 1, .pad_left = 1, .pad_bottom = 2 }, 1, 1);
	run_transposed(CLEF_SHAPE(2, 4, 1, 1), CLEF_SHAPE(4, 3, 5, 5), (clef_conv2d_opts){ .stride = 9 }, 8, 0);
	run_transposed(CLEF_SHAPE(2, 16, 5, 5), CLEF_SHAPE(16, 8, 3, 3), (clef_conv2d_opts){ .groups = 2 }, 0, 0);
	/* More is cut than the kernel adds. */
	run_transposed(CLEF_SHAPE(2, 2, 9, 9), CLEF_SHAPE(2, 3, 3, 3), (clef_conv2d_opts){ .pad = 4 }, 0, 0);
}
END_TEST

START_TEST(one_dimension)
{
	conv_case c = { .one = true, .o = { .stride = 2, .pad = 1, .pad_left = 1 } };

	run_case(CLEF_SHAPE(2, 3, 7), CLEF_SHAPE(4, 3, 3), &c);
	c.transposed = true;
	c.output_pad_w = 1;
	run_case(CLEF_SHAPE(2, 3, 7), CLEF_SHAPE(3, 4, 3), &c);
	if (test_small())
		return;
	c = (conv_case){ .one = true, .o = { .dilation = 3, .groups = 2, .pad = 5, .pad_mode = CLEF_PAD_REFLECT } };
	run_case(CLEF_SHAPE(3, 4, 257), CLEF_SHAPE(6, 2, 5), &c);
	c.o.pad_mode = CLEF_PAD_CIRCULAR;
	run_case(CLEF_SHAPE(3, 4, 5), CLEF_SHAPE(6, 2, 5), &c);
	c = (conv_case){ .one = true, .transposed = true, .o = { .dilation = 2, .groups = 2, .pad_right = 1 } };
	run_case(CLEF_SHAPE(3, 4, 33), CLEF_SHAPE(4, 3, 5), &c);
}
END_TEST

/* ---- random combinations ---- */

static uint64_t state;

static int roll(int from, int to)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return from + (int)((state >> 33) % (uint64_t)(to - from + 1));
}

/* Mostly `usual`. */
static int seldom(int usual, int from, int to)
{
	int other = roll(from, to);

	return roll(0, 2) ? usual : other;
}

static clef_conv2d_opts random_opts(void)
{
	return (clef_conv2d_opts){ .stride = seldom(0, 1, 4),
				   .stride_w = seldom(0, 1, 4),
				   .pad = seldom(0, 1, 3),
				   .pad_w = seldom(0, 1, 3),
				   .pad_top = seldom(0, 1, 3),
				   .pad_bottom = seldom(0, 1, 3),
				   .pad_left = seldom(0, 1, 3),
				   .pad_right = seldom(0, 1, 3),
				   .dilation = seldom(0, 1, 3),
				   .dilation_w = seldom(0, 1, 3),
				   .groups = seldom(1, 2, 3) };
}

static int64_t at_least(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void random_run(const conv_case *c, clef_shape x, clef_shape w)
{
	if (c->one) {
		x = CLEF_SHAPE(x.dim[0], x.dim[1], x.dim[3]);
		w = CLEF_SHAPE(w.dim[0], w.dim[1], w.dim[3]);
	}
	run_case(x, w, c);
}

/* Shapes for which the options are allowed: padding is 6 at most, and a transposed image must not be cut away. */
static void random_case(void)
{
	conv_case c = { .transposed = roll(0, 2) == 0, .one = roll(0, 5) == 0, .o = random_opts() };
	int64_t parts = c.o.groups, in = parts * roll(1, 3), out = parts * roll(1, 3), n = roll(1, 3);
	int64_t h = roll(1, 9), w = roll(0, 2) ? roll(1, 9) : roll(1, 40), r = roll(1, 4), s = roll(1, 4);
	geometry g;

	if (c.one) {
		h = r = 1;
		c.o.stride_w = c.o.dilation_w = c.o.pad_w = 0;
	}
	if (!c.transposed)
		c.o.pad_mode = (clef_pad_mode)roll(0, 3);
	g = geometry_of(&c);
	if (c.transposed) {
		h = c.one ? 1 : h + 12;
		w += 12;
		c.output_pad_h = roll(0, (int)g.stride[0] - 1);
		c.output_pad_w = roll(0, (int)g.stride[1] - 1);
	} else {
		h = at_least(h, (r - 1) * g.dilation[0] + 1 - g.before[0] - g.after[0]);
		w = at_least(w, (s - 1) * g.dilation[1] + 1 - g.before[1] - g.after[1]);
		h = at_least(h, c.one || !c.o.pad_mode ? 1 : 7);
		w = at_least(w, c.o.pad_mode ? 7 : 1);
	}
	random_run(&c, CLEF_SHAPE(n, in, h, w),
		   c.transposed ? CLEF_SHAPE(in, out / parts, r, s) : CLEF_SHAPE(out, in / parts, r, s));
}

/* Four tests of some each, so that none runs out of time. */
START_TEST(random_combinations)
{
	int count = test_small() ? 0 : test_long() ? 300 : 25;

	state = (uint64_t)_i + 1;
	for (int i = 0; i < count; i++)
		random_case();
	if (count)
		ck_assert_msg(runs[0] > count / 3 && runs[1] == count, "im2col did %d of %d, direct %d", runs[0], count,
			      runs[1]);
}
END_TEST

/* ---- edges ---- */

static clef_tensor *apply_to_itself(clef_tensor **x, const void *opts)
{
	return clef_conv2d_no_bias(x[0], x[0], opts);
}

static void reference_to_itself(const ref_array *x, const void *opts, ref_array *y)
{
	const conv_case c = { .o = *(const clef_conv2d_opts *)opts };

	reference_conv((const ref_array[]){ x[0], x[0] }, &c, y, false);
}

START_TEST(one_tensor_for_both)
{
	for (int i = 0; i < CLEF_COUNT(impls); i++) {
		ck_assert(setenv("CLEF_CONV", impls[i], 1) == 0);
		op_case_run(&(op_case){ .name = "conv2d of x with x",
					.apply = apply_to_itself,
					.reference = reference_to_itself,
					.opts = &(clef_conv2d_opts){ .pad = 1 },
					.inputs = 1,
					.in = { { .shape = CLEF_SHAPE(2, 2, 3, 3), .lo = -8, .hi = 8, .whole = true } },
					.gradient_tolerance = 2e-5 });
	}
}
END_TEST

static clef_tensor *filled(clef_shape shape, double value)
{
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, shape));

	ck_ok(clef_fill(x, value));
	ck_ok(clef_requires_grad(x, true));
	return x;
}

static void check_all(const clef_tensor *x, float value)
{
	size_t n = (size_t)clef_tensor_numel(x);
	float *v = malloc(n * sizeof(float) + 1);

	ck_assert_ptr_nonnull(v);
	ck_ok(clef_read(x, v, n * sizeof(float)));
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(v[i] == value, "element %d is %g, expected %g", (int)i, (double)v[i], (double)value);
	free(v);
}

/* No images: gradients of zero. No channels: the bias alone. */
START_TEST(nothing_to_do)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = filled(CLEF_SHAPE(0, 2, 4, 4), 0), *w = filled(CLEF_SHAPE(3, 2, 3, 3), 1);
	clef_tensor *b = filled(CLEF_SHAPE(3), 5), *y;
	clef_tensor *x0 = filled(CLEF_SHAPE(2, 0, 4, 4), 0), *w0 = filled(CLEF_SHAPE(3, 0, 3, 3), 0);

	ck_ok(clef_tape_begin(tape));
	for (int mode = CLEF_PAD_ZEROS; mode <= CLEF_PAD_REFLECT; mode++) {
		y = clef_conv2d(x, w, b, &(clef_conv2d_opts){ .pad = 1, .pad_mode = (clef_pad_mode)mode });
		ck_assert(clef_shape_equal(clef_tensor_shape(y), CLEF_SHAPE(0, 3, 4, 4)));
		ck_ok(clef_backward(clef_sum(y, NULL)));
		check_all(clef_grad(w), 0);
		check_all(clef_grad(b), 0);
	}
	y = clef_conv_transpose2d_no_bias(x, ck_new(clef_reshape(w, CLEF_SHAPE(2, 3, 3, 3))), NULL);
	ck_assert(clef_shape_equal(clef_tensor_shape(y), CLEF_SHAPE(0, 3, 6, 6)));
	ck_ok(clef_fill(clef_grad(w), 7));
	ck_ok(clef_backward(clef_sum(y, NULL)));
	check_all(clef_grad(w), 0);
	y = ck_new(clef_conv2d(x0, w0, b, NULL));
	check_all(y, 5);
	ck_ok(clef_backward(clef_sum(y, NULL)));
	check_all(clef_grad(b), 8);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tensor_free(x0);
	clef_tensor_free(w0);
	clef_tape_free(tape);
}
END_TEST

/* A NaN reaches the outputs that see it and no others. */
START_TEST(nan_travels)
{
	float v[1 * 1 * 5 * 21], got[5 * 21];
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(1, 1, 5, 21), v };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *w = filled(CLEF_SHAPE(1, 1, 3, 3), 1), *x, *y;

	for (int i = 0; i < CLEF_COUNT(v); i++)
		v[i] = i == 2 * 21 + 7 ? NAN : i == 4 * 21 + 20 ? INFINITY : 1;
	for (int i = 0; i < CLEF_COUNT(impls); i++) {
		ck_assert(setenv("CLEF_CONV", impls[i], 1) == 0);
		ck_ok(clef_tape_begin(tape));
		x = ck_new(clef_input(tape, &array));
		ck_ok(clef_requires_grad(x, true));
		y = ck_new(clef_conv2d_no_bias(x, w, &(clef_conv2d_opts){ .pad = 1 }));
		ck_ok(clef_read(y, got, sizeof(got)));
		for (int p = 0; p < CLEF_COUNT(got); p++) {
			int row = p / 21, column = p % 21;

			ck_assert_msg(isnan(got[p]) == (abs(row - 2) <= 1 && abs(column - 7) <= 1), "%s: y[%d] is %g",
				      impls[i], p, (double)got[p]);
			ck_assert_msg(isinf(got[p]) == (row >= 3 && column >= 19), "%s: y[%d] is %g", impls[i], p,
				      (double)got[p]);
		}
		/* The gradient of x does not depend on x. */
		ck_ok(clef_backward(clef_sum(y, NULL)));
		ck_ok(clef_read(clef_grad(x), got, sizeof(got)));
		for (int p = 0; p < CLEF_COUNT(got); p++)
			ck_assert(got[p] >= 4 && got[p] <= 9);
		ck_ok(clef_read(clef_grad(w), got, 9 * sizeof(float)));
		for (int p = 0; p < 9; p++)
			ck_assert(isnan(got[p]));
	}
	clef_tensor_free(w);
	clef_tape_free(tape);
}
END_TEST

static uint64_t launches(clef_tensor *x, clef_tensor *w, const clef_conv2d_opts *o)
{
	uint64_t before = clef_device_get_stats(test_device).launches;

	ck_new(clef_conv2d_no_bias(x, w, o));
	return clef_device_get_stats(test_device).launches - before;
}

START_TEST(choice)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = filled(CLEF_SHAPE(2, 4, 5, 5), 1), *w = filled(CLEF_SHAPE(8, 4, 3, 3), 1);
	clef_tensor *deep = filled(CLEF_SHAPE(4, 1, 3, 3), 1);

	ck_ok(clef_tape_begin(tape));
	/* The first product includes a check. */
	ck_new(clef_conv2d_no_bias(x, w, NULL));
	ck_assert_int_gt((int)launches(x, w, NULL), 1);
	ck_assert_int_eq((int)launches(x, deep, &(clef_conv2d_opts){ .groups = 4 }), 1);
	ck_assert(setenv("CLEF_CONV", "direct", 1) == 0);
	ck_assert_int_eq((int)launches(x, w, NULL), 1);
	ck_assert(setenv("CLEF_CONV", "im2col", 1) == 0);
	ck_assert_int_gt((int)launches(x, w, NULL), 1);
	ck_null_fails(clef_conv2d_no_bias(x, deep, &(clef_conv2d_opts){ .groups = 4 }), CLEF_ERROR_UNSUPPORTED,
		      "conv2d: CLEF_CONV asks for im2col, which does not do x [2, 4, 5, 5] with w [4, 1, 3, 3] and 4 "
		      "groups");
	ck_assert(setenv("CLEF_CONV", "winograd", 1) == 0);
	ck_null_fails(clef_conv2d_no_bias(x, w, NULL), CLEF_ERROR_INVALID,
		      "conv2d: CLEF_CONV is \"winograd\": there are im2col, direct");
	ck_assert(setenv("CLEF_CONV", "", 1) == 0);
	ck_assert_int_gt((int)launches(x, w, NULL), 1);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(deep);
	clef_tape_free(tape);
}
END_TEST

/* ---- errors ---- */

#define refused(status, part, ...)                                                                                     \
	ck_null_fails(clef_conv2d_no_bias(x, w, &(clef_conv2d_opts){ __VA_ARGS__ }), (status), (part))

START_TEST(errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = filled(CLEF_SHAPE(2, 4, 5, 6), 0), *w = filled(CLEF_SHAPE(6, 4, 3, 3), 0);
	clef_tensor *b = filled(CLEF_SHAPE(4), 0), *thin = filled(CLEF_SHAPE(6, 3, 3, 3), 0);
	clef_tensor *flat = filled(CLEF_SHAPE(2, 4, 0, 6), 0), *point = filled(CLEF_SHAPE(6, 4, 1, 1), 0);

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_conv2d(x, w, NULL, NULL), CLEF_ERROR_INVALID, "conv2d: given NULL");
	ck_null_fails(clef_conv2d(NULL, w, b, NULL), CLEF_ERROR_INVALID, "conv2d: given NULL");
	ck_null_fails(clef_conv2d(b, w, b, NULL), CLEF_ERROR_SHAPE, "conv2d: x has shape [4], expected [n, c, h, w]");
	ck_null_fails(clef_conv2d(x, b, b, NULL), CLEF_ERROR_SHAPE,
		      "conv2d: w has shape [4], expected [k, c / groups, r, s]");
	ck_null_fails(clef_conv2d(x, w, b, NULL), CLEF_ERROR_SHAPE,
		      "b has shape [4], expected [6], a value for each channel of y");
	ck_null_fails(clef_conv2d_no_bias(x, thin, NULL), CLEF_ERROR_SHAPE,
		      "x [2, 4, 5, 6] has 4 channels, but w [6, 3, 3, 3] with 1 group takes 3");
	ck_null_fails(clef_conv2d_no_bias(flat, point, NULL), CLEF_ERROR_SHAPE, "must both have pixels");
	refused(CLEF_ERROR_SHAPE, "x [2, 4, 5, 6] has 4 channels, but w [6, 4, 3, 3] with 2 groups takes 8",
		.groups = 2);
	refused(CLEF_ERROR_SHAPE, "4 groups do not divide the 4 channels of x [2, 4, 5, 6] and the 6 of y",
		.groups = 4);
	refused(CLEF_ERROR_SHAPE,
		"the kernel of w [6, 4, 3, 3], 5 x 9 with its dilation, is larger than the image of x [2, 4, 5, 6], 5 "
		"x 7 with its padding",
		.dilation = 2, .dilation_w = 4, .pad_left = 1);
	refused(CLEF_ERROR_SHAPE, "padding by 5 that reflects x [2, 4, 5, 6]: it must be smaller than the image",
		.pad = 5, .pad_mode = CLEF_PAD_REFLECT);
	refused(CLEF_ERROR_SHAPE, "circular padding by 7 of x [2, 4, 5, 6]: it must not be larger than the image",
		.pad_right = 7, .pad_mode = CLEF_PAD_CIRCULAR);
	refused(CLEF_ERROR_INVALID, "pad_mode is 4, which is none", .pad_mode = (clef_pad_mode)4);
	refused(CLEF_ERROR_INVALID, "conv2d: stride is -1: it must not be negative", .stride = -1);
	refused(CLEF_ERROR_INVALID, "stride_w is -2", .stride_w = -2);
	refused(CLEF_ERROR_INVALID, "pad is -1", .pad = -1);
	refused(CLEF_ERROR_INVALID, "pad_w is -1", .pad_w = -1);
	refused(CLEF_ERROR_INVALID, "pad_top is -1", .pad = 3, .pad_top = -1);
	refused(CLEF_ERROR_INVALID, "pad_bottom is -1", .pad_bottom = -1);
	refused(CLEF_ERROR_INVALID, "pad_left is -1", .pad_left = -1);
	refused(CLEF_ERROR_INVALID, "pad_right is -1", .pad_right = -1);
	refused(CLEF_ERROR_INVALID, "dilation is -1", .dilation = -1);
	refused(CLEF_ERROR_INVALID, "dilation_w is -1", .dilation_w = -1);
	refused(CLEF_ERROR_INVALID, "groups is -1", .groups = -1);
	refused(CLEF_ERROR_SHAPE, "at most 67108864 in each direction", .pad = INT32_MAX, .stride = INT32_MAX);
	refused(CLEF_ERROR_SHAPE, "with its dilation, is larger", .dilation = INT32_MAX);
	refused(CLEF_ERROR_SHAPE, "would have more than 2^31 - 1 elements", .pad = 20000);
	refused(CLEF_ERROR_SHAPE, "once padded, would have more than 2^31 - 1 elements", .pad = 20000, .stride = 20000,
		.pad_mode = CLEF_PAD_REPLICATE);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tensor_free(thin);
	clef_tensor_free(flat);
	clef_tensor_free(point);
	clef_tape_free(tape);
}
END_TEST

START_TEST(other_errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = filled(CLEF_SHAPE(2, 4, 5, 6), 0), *w = filled(CLEF_SHAPE(4, 3, 3, 3), 0);
	clef_tensor *label = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 4, 5, 6)));
	clef_tensor *line = filled(CLEF_SHAPE(2, 4, 5), 0), *kernel = filled(CLEF_SHAPE(2, 4, 6), 0);

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_conv_transpose2d(x, w, label, NULL), CLEF_ERROR_DTYPE,
		      "conv_transpose2d: b is int32, expected float32");
	ck_null_fails(clef_conv2d_no_bias(label, w, NULL), CLEF_ERROR_DTYPE, "conv2d: x is int32, expected float32");
	ck_null_fails(clef_conv_transpose2d_no_bias(w, x, NULL), CLEF_ERROR_SHAPE,
		      "conv_transpose2d: x [4, 3, 3, 3] has 3 channels, but w [2, 4, 5, 6] with 1 group takes 2");
	ck_null_fails(clef_conv_transpose2d_no_bias(x, line, NULL), CLEF_ERROR_SHAPE,
		      "w has shape [2, 4, 5], expected [c, k / groups, r, s]");
	ck_null_fails(
		clef_conv_transpose2d_no_bias(x, w, &(clef_conv_transpose2d_opts){ .stride = 2, .output_pad = 2 }),
		CLEF_ERROR_INVALID, "output_pad is 2: it must be smaller than the stride, 2, or the dilation, 1");
	ck_null_fails(clef_conv_transpose2d_no_bias(x, w, &(clef_conv_transpose2d_opts){ .output_pad_h = -1 }),
		      CLEF_ERROR_INVALID, "output_pad_h is -1");
	ck_null_fails(clef_conv_transpose2d_no_bias(x, w, &(clef_conv_transpose2d_opts){ .pad = 4 }), CLEF_ERROR_SHAPE,
		      "all is cut from the result of x [2, 4, 5, 6] and w [4, 3, 3, 3], 7 x 8, by padding");
	ck_null_fails(clef_conv1d_no_bias(x, line, NULL), CLEF_ERROR_SHAPE,
		      "conv1d: x has shape [2, 4, 5, 6], expected [n, c, l]");
	ck_null_fails(clef_conv1d_no_bias(line, kernel, NULL), CLEF_ERROR_SHAPE,
		      "conv1d: the kernel of w [2, 4, 6], 6 with its dilation, is larger than the image of x [2, 4, "
		      "5], 5 with its padding");
	ck_null_fails(clef_conv_transpose1d_no_bias(line, kernel, &(clef_conv_transpose1d_opts){ .groups = 3 }),
		      CLEF_ERROR_SHAPE, "conv_transpose1d: 3 groups do not divide the 4 channels");
	ck_null_fails(clef_conv1d_no_bias(line, kernel, &(clef_conv1d_opts){ .pad_left = -3 }), CLEF_ERROR_INVALID,
		      "conv1d: pad_left is -3");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(label);
	clef_tensor_free(line);
	clef_tensor_free(kernel);
	clef_tape_free(tape);
}
END_TEST

Suite *conv_suite(void)
{
	Suite *s = suite_create("conv");
	TCase *c = tcase_create("conv");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, plain);
	tcase_add_test(c, strides);
	tcase_add_test(c, padding);
	tcase_add_test(c, dilations);
	tcase_add_test(c, grouped);
	tcase_add_test(c, pad_modes);
	tcase_add_test(c, transposed);
	tcase_add_test(c, one_dimension);
	tcase_add_loop_test(c, random_combinations, 0, 4);
	tcase_add_test(c, one_tensor_for_both);
	tcase_add_test(c, nothing_to_do);
	tcase_add_test(c, nan_travels);
	tcase_add_test(c, choice);
	tcase_add_test(c, errors);
	tcase_add_test(c, other_errors);
	suite_add_tcase(s, c);
	return s;
}
