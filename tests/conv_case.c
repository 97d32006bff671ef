/* SPDX-License-Identifier: Apache-2.0 */
/* The definition of convolutions, written down as naively as can be. */
#define _XOPEN_SOURCE 700
#include <stdlib.h>

#include "check_clef.h"
#include "conv_case.h"

/* ---- references ---- */

static int64_t or_else(int value, int64_t other)
{
	return value ? value : other;
}

conv_geometry conv_geometry_of(const conv_case *c)
{
	const clef_conv2d_opts *o = &c->o;
	conv_geometry g = { .groups = or_else(o->groups, 1) };

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
	conv_geometry g = conv_geometry_of(c);
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

void conv_case_reference(const ref_array *x, const conv_case *c, ref_array *y, bool bias)
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
	conv_geometry g = conv_geometry_of(c);
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

	(c->transposed ? reference_transposed : conv_case_reference)(x, c, y, true);
}

static void reference_no_bias(const ref_array *x, const void *opts, ref_array *y)
{
	const conv_case *c = opts;

	(c->transposed ? reference_transposed : conv_case_reference)(x, c, y, false);
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

const char *const conv_impls[CONV_IMPLS] = { "im2col", "direct", "winograd", "cpu", "cpu_weights", "winograd_weights" };
int conv_runs[CONV_IMPLS];

double conv_tolerance(const char *impl)
{
	return strncmp(impl, "winograd", strlen("winograd")) == 0 ? 2e-4 : 0;
}

bool conv_case_does(clef_shape xs, clef_shape ws, const conv_case *c)
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
				.tolerance = conv_tolerance(impl),
				.gradient_tolerance = fmax(conv_tolerance(impl), 2e-5) });
}

void conv_case_run_by(int i, clef_shape x, clef_shape w, const conv_case *c)
{
	test_setenv("CLEF_CONV", conv_impls[i]);
	if (conv_case_does(x, w, c)) {
		conv_runs[i]++;
		run_with(conv_impls[i], x, w, c, true);
		if (!test_small())
			run_with(conv_impls[i], x, w, c, false);
	}
	test_setenv("CLEF_CONV", NULL);
}

void conv_case_run(clef_shape x, clef_shape w, const conv_case *c)
{
	for (int i = 0; i < CONV_IMPLS; i++)
		conv_case_run_by(i, x, w, c);
}

/* ---- NaN and infinity ---- */

/* Whole numbers, and far apart in them one of each that is not finite. */
static void fill_nonfinite(const ref_array *a, float *v, bool special)
{
	static const float values[] = { NAN, INFINITY, -INFINITY };

	for (int64_t i = 0; i < a->numel; i++)
		v[i] = (float)((i * 7 + i / 5) % 9 - 4);
	for (int64_t i = 0; i < CLEF_COUNT(values) && special; i++)
		v[(2 * i + 1) * a->numel / (2 * CLEF_COUNT(values))] = values[i];
	for (int64_t i = 0; i < a->numel; i++)
		a->v[i] = (double)v[i];
}

static ref_array new_array(clef_shape shape)
{
	ref_array a = { shape, clef_shape_numel(shape), NULL };

	a.v = calloc((size_t)a.numel, sizeof(*a.v));
	ck_assert_ptr_nonnull(a.v);
	return a;
}

static void compare_nonfinite(const char *impl, const ref_array *y, const float *got)
{
	double tolerance = conv_tolerance(impl);

	for (int64_t i = 0; i < y->numel; i++) {
		double g = (double)got[i], want = y->v[i], size = fmax(fabs(want), 1e3);
		bool right = isnan(want)   ? isnan(g)
			     : isinf(want) ? isinf(g) && (g > 0) == (want > 0)
					   : fabs(g - want) <= tolerance * size;

		ck_assert_msg(right, "%s: y[%lld] is %g, expected %g", impl, (long long)i, g, want);
	}
}

static void run_nonfinite(const char *impl, ref_array *a, const conv_case *c)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	float *v[2] = { calloc((size_t)a[0].numel, sizeof(float)), calloc((size_t)a[1].numel, sizeof(float)) }, *got;
	clef_tensor *x[2], *y;
	ref_array want;

	ck_ok(clef_tape_begin(tape));
	for (int i = 0; i < 2; i++) {
		ck_assert_ptr_nonnull(v[i]);
		fill_nonfinite(&a[i], v[i], i == 0);
		x[i] = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, a[i].shape, v[i] }));
	}
	y = ck_new(apply_any(x[0], x[1], NULL, c));
	want = new_array(clef_tensor_shape(y));
	(c->transposed ? reference_transposed : conv_case_reference)(a, c, &want, false);
	got = calloc((size_t)want.numel, sizeof(*got));
	ck_assert_ptr_nonnull(got);
	ck_ok(clef_read(y, got, (size_t)want.numel * sizeof(*got)));
	compare_nonfinite(impl, &want, got);
	free(got);
	free(want.v);
	free(v[0]);
	free(v[1]);
	clef_tape_free(tape);
}

void conv_case_run_nonfinite(clef_shape x, clef_shape w, const conv_case *c)
{
	ref_array a[2] = { new_array(x), new_array(w) };

	for (int i = 0; i < CONV_IMPLS; i++) {
		test_setenv("CLEF_CONV", conv_impls[i]);
		if (conv_case_does(x, w, c)) {
			conv_runs[i]++;
			run_nonfinite(conv_impls[i], a, c);
		}
	}
	test_setenv("CLEF_CONV", NULL);
	free(a[0].v);
	free(a[1].v);
}
