/* SPDX-License-Identifier: Apache-2.0 */
/*
 * max_pool, avg_pool, adaptive_max_pool and adaptive_avg_pool of one and two dimensions. The reference tells for each
 * window which elements of an axis are in it. Whole numbers have ties, at which there is no gradient to compare, but
 * their values are exact.
 */
#include <math.h>

#include <clef/ops.h>

#include "families.h"

typedef struct pool_opts {
	clef_shape x;
	clef_max_pool_opts window;
	bool exclude_pad;
	int divisor;
	int out, out_w;
	bool flat, adaptive, mean; /* set by setup() */
} pool_opts;

static clef_status setup(clef__problem *p)
{
	pool_opts *o = (void *)p->opts;

	o->flat = strstr(p->family->name, "1d") != NULL;
	o->adaptive = strstr(p->family->name, "adaptive") != NULL;
	o->mean = strstr(p->family->name, "avg") != NULL;
	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = p->whole };
	if (p->whole) {
		p->no_gradient = true;
		p->tolerance = o->mean && o->divisor != 1 ? CLEF__TOLERANCE : 0;
	}
	return CLEF_OK;
}

static clef_tensor *apply(clef_tensor *const *x, const void *opts)
{
	const pool_opts *o = opts;
	const clef_max_pool_opts *w = &o->window;
	const clef_avg_pool_opts a = { w->kernel, w->kernel_w,  w->stride,      w->stride_w, w->pad,
				       w->pad_w,  w->ceil_mode, o->exclude_pad, o->divisor };

	if (o->adaptive && o->flat)
		return o->mean ? clef_adaptive_avg_pool1d(x[0], o->out) : clef_adaptive_max_pool1d(x[0], o->out);
	if (o->adaptive)
		return o->mean ? clef_adaptive_avg_pool2d(x[0], o->out, o->out_w ? o->out_w : o->out)
			       : clef_adaptive_max_pool2d(x[0], o->out, o->out_w ? o->out_w : o->out);
	if (o->flat)
		return o->mean ? clef_avg_pool1d(x[0], &a) : clef_max_pool1d(x[0], w);
	return o->mean ? clef_avg_pool2d(x[0], &a) : clef_max_pool2d(x[0], w);
}

/* ---- the reference: which elements of an axis are in which window ---- */

typedef struct axis {
	int64_t size, windows;
	int64_t kernel, stride, pad, dilation; /* not of an adaptive one */
	bool adaptive;
} axis;

/* Windows start up to the image's last element, and stick out behind the padding only with ceil_mode. */
static axis window_axis(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, bool ceil_mode)
{
	axis a = { .size = size, .kernel = kernel, .stride = stride, .pad = pad, .dilation = dilation };
	int64_t span = (kernel - 1) * dilation + 1, room = size + 2 * pad;

	for (int64_t start = 0; start < size + pad; start += stride) {
		int64_t behind = start + span - room; /* what it sticks out */

		if (behind > 0 && !(ceil_mode && behind < stride))
			break;
		a.windows++;
	}
	return a;
}

static axis adaptive_axis(int64_t size, int64_t wanted)
{
	return (axis){ .size = size, .windows = wanted == -1 ? size : wanted, .kernel = size, .adaptive = true };
}

/* Element k of window o, of a.kernel; -1 if it is not there. */
static int64_t element_at(const axis *a, int64_t o, int64_t k)
{
	int64_t at = o * a->stride + k * a->dilation - a->pad;

	/* From k to k + 1, it overlaps the window from o size / out to (o + 1) size / out. */
	if (a->adaptive)
		return (k + 1) * a->windows > o * a->size && k * a->windows < (o + 1) * a->size ? k : -1;
	return at < a->size ? CLEF__MAX(at, -1) : -1;
}

/* How many elements of a window are in the image, or in the image and its padding. */
static int64_t count(const axis *a, int64_t o, bool with_pad)
{
	int64_t n = 0;

	for (int64_t k = 0; k < a->kernel; k++)
		n += with_pad ? o * a->stride + k * a->dilation - a->pad < a->size + a->pad : element_at(a, o, k) >= 0;
	return n;
}

static int64_t or_else(int value, int64_t other)
{
	return value ? value : other;
}

static void make_axes(const pool_opts *o, axis *rows, axis *columns)
{
	const clef_max_pool_opts *w = &o->window;
	int64_t height = o->flat ? 1 : o->x.dim[o->x.ndim - 2], width = o->x.dim[o->x.ndim - 1];
	int64_t kernel_w = or_else(w->kernel_w, w->kernel), dilation = or_else(w->dilation, 1);

	if (o->adaptive) {
		*rows = adaptive_axis(height, o->flat ? 1 : o->out);
		*columns = adaptive_axis(width, o->flat ? o->out : or_else(o->out_w, o->out));
		return;
	}
	*rows = o->flat ? window_axis(1, 1, 1, 0, 1, false)
			: window_axis(height, w->kernel, or_else(w->stride, w->kernel), w->pad, dilation, w->ceil_mode);
	*columns = window_axis(width, kernel_w, or_else(w->stride_w, or_else(w->stride, kernel_w)),
			       w->pad_w == -1 ? 0 : or_else(w->pad_w, w->pad), or_else(w->dilation_w, dilation),
			       w->ceil_mode);
}

static double pool(const pool_opts *o, const double *image, const axis *rows, int64_t oh, const axis *columns,
		   int64_t ow)
{
	bool padded = !o->adaptive && !o->exclude_pad;
	double largest = -INFINITY, sum = 0;

	for (int64_t r = 0; r < rows->kernel; r++) {
		int64_t row = element_at(rows, oh, r);

		for (int64_t k = 0; row >= 0 && k < columns->kernel; k++) {
			int64_t column = element_at(columns, ow, k);

			if (column < 0)
				continue;
			largest = fmax(largest, image[row * columns->size + column]);
			sum += image[row * columns->size + column];
		}
	}
	if (!o->mean)
		return largest;
	return sum / (o->divisor ? o->divisor : (double)(count(rows, oh, padded) * count(columns, ow, padded)));
}

static bool reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	const pool_opts *o = opts;
	axis rows, columns;

	make_axes(o, &rows, &columns);
	if (y->shape.dim[y->shape.ndim - 1] != columns.windows ||
	    (!o->flat && y->shape.dim[y->shape.ndim - 2] != rows.windows)) {
		clef__fail(CLEF_ERROR_SHAPE, "y is %s, expected %lld x %lld windows", CLEF__SHAPE_TEXT(y->shape),
			   (long long)rows.windows, (long long)columns.windows);
		return false;
	}
	for (int64_t i = y->from; i < y->to; i++) {
		int64_t plane = i / columns.windows / rows.windows;

		y->v[i] = pool(o, x->v + plane * rows.size * columns.size, &rows, i / columns.windows % rows.windows,
			       &columns, i % columns.windows);
	}
	return true;
}

/* ---- terms ---- */

#define X_TERM                                                                                                         \
	{                                                                                                              \
		.name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(pool_opts, x), .about = "x"     \
	}
#define NUMBER(term, field, preset_, least_, about_)                                                                   \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_INT, .offset = offsetof(pool_opts, field), .preset = preset_,         \
		.least = least_, .most = INT32_MAX, .about = about_                                                    \
	}
#define FLAG(term, field, about_)                                                                                      \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_FLAG, .offset = offsetof(pool_opts, field), .about = about_           \
	}
#define PLAIN                                                                                                          \
	X_TERM, NUMBER("k", window.kernel, 0, 1, "size of the window"),                                                \
		NUMBER("st", window.stride, 0, 0, "stride; 0: as k"), NUMBER("p", window.pad, 0, 0, "padding")
#define WIDE                                                                                                           \
	NUMBER("kw", window.kernel_w, 0, 0, "columns of the window; 0: as k"),                                         \
		NUMBER("stw", window.stride_w, 0, 0, "stride of columns; 0: as st"),                                   \
		NUMBER("pw", window.pad_w, 0, -1, "padding of columns; 0: as p, -1: none")
#define CEIL FLAG("ceil", window.ceil_mode, "rounds the size of the result up")
#define MEAN                                                                                                           \
	CEIL, FLAG("exclude_pad", exclude_pad, "divides by elements of the image alone"),                              \
		NUMBER("divisor", divisor, 0, -INT32_MAX, "divides by this; 0: by the size of the window")
#define DILATED NUMBER("d", window.dilation, 1, 0, "dilation")

static const clef__term terms_max_pool2d[] = {
	PLAIN, WIDE, DILATED, NUMBER("dw", window.dilation_w, 0, 0, "dilation of columns; 0: as d"), CEIL, { NULL }
};
static const clef__term terms_max_pool1d[] = { PLAIN, DILATED, CEIL, { NULL } };
static const clef__term terms_avg_pool2d[] = { PLAIN, WIDE, MEAN, { NULL } };
static const clef__term terms_avg_pool1d[] = { PLAIN, MEAN, { NULL } };

static const clef__term terms_2d[] = { X_TERM,
				       NUMBER("out", out, 1, -1, "rows; -1: those of x"),
				       NUMBER("outw", out_w, 0, -1, "columns; 0: as out"),
				       { NULL } };
static const clef__term terms_1d[] = { X_TERM, NUMBER("out", out, 1, -1, "elements; -1: those of x"), { NULL } };
#define terms_adaptive_max_pool2d terms_2d
#define terms_adaptive_avg_pool2d terms_2d
#define terms_adaptive_max_pool1d terms_1d
#define terms_adaptive_avg_pool1d terms_1d

/* ---- problems: the same windows for the largest and for the mean, with all that the mean can be ---- */

/* The quick ones first. */
#define WINDOWS_2D(X)                                                                                                  \
	X("x1x1x5x6 k3 st2 p1", " ceil")                                                                               \
	X("x1x2x4x4 k2", "")                                                                                           \
	X("x2x3x33x17 k3 st2 p1", "")                                                                                  \
	X("x2x3x12x12 k3 st1 p1", "")                                                                                  \
	X("x3x7x9 k2 st3 kw5 stw2", "")                                                                                \
	X("x3x7x9 k4 p2 kw1 pw-1", "")                                                                                 \
	X("x1x2x7x8 k4 st3 p2 pw1", "")                                                                                \
	X("x1x2x7x8 k2 st5", " ceil")                                                                                  \
	X("x1x2x10x11 k2 st3", " ceil")                                                                                \
	/* The last window of rounding up would start in the padding on the right. */                                  \
	X("x1x1x3x4 k2 st2 p1", " ceil")                                                                               \
	X("x4x3x1x1 k1", "")                                                                                           \
	X("x4x3x1x1 k3 p1", "")                                                                                        \
	X("x2x2x5x5 k5", "")                                                                                           \
	X("x257x1x3x3 k3 st1", "")                                                                                     \
	X("x1x1x8x8 k5 st1 p2", "")
#define WINDOWS_1D(X)                                                                                                  \
	X("x2x3x7 k3 st2 p1", "")                                                                                      \
	X("x5x33 k4 st3 p2", " ceil")                                                                                  \
	X("x2x1x60 k60", "")                                                                                           \
	X("x2x9x10 k2 st7", "")
#define SIZES_2D(X)                                                                                                    \
	X("x1x2x5x4 out3 outw2")                                                                                       \
	X("x1x2x5x4")                                                                                                  \
	X("x3x17x33 out7 outw5")                                                                                       \
	X("x2x3x3x4 out5 outw9")                                                                                       \
	X("x2x3x8x8 out4")                                                                                             \
	X("x2x3x7x9 out-1 outw3")                                                                                      \
	X("x2x3x7x9 out2 outw-1")                                                                                      \
	X("x2x3x63x61")
#define SIZES_1D(X)                                                                                                    \
	X("x2x3x33 out5")                                                                                              \
	X("x3x60")                                                                                                     \
	X("x2x3x5 out16")

#define BOTH(text)             text, text " whole"
#define LARGEST_2D(a, b)       BOTH("max_pool2d " a b),
#define LARGEST_1D(a, b)       BOTH("max_pool1d " a b),
#define MEANS(name, a, b)      BOTH(name a b), BOTH(name a b " exclude_pad"), BOTH(name a b " exclude_pad divisor1"),
#define MEANS_2D(a, b)         MEANS("avg_pool2d ", a, b)
#define MEANS_1D(a, b)         MEANS("avg_pool1d ", a, b)
#define ADAPTIVE_LARGEST_2D(a) BOTH("adaptive_max_pool2d " a),
#define ADAPTIVE_LARGEST_1D(a) BOTH("adaptive_max_pool1d " a),
#define ADAPTIVE_MEAN_2D(a)    BOTH("adaptive_avg_pool2d " a),
#define ADAPTIVE_MEAN_1D(a)    BOTH("adaptive_avg_pool1d " a),

/* clang-format off */
static const char *const problems_max_pool2d[] = {
	BOTH("max_pool2d x1x1x6x5 k2 st1 d2"),
	WINDOWS_2D(LARGEST_2D)
	BOTH("max_pool2d x2x2x12x13 k3 st2 p1 d2"),
	BOTH("max_pool2d x2x2x12x13 k3 st4 d3 dw1 ceil"),
	BOTH("max_pool2d x1x3x9x10 k3 st1 p1 d3"),
	BOTH("max_pool2d x1x1x4x4 k1 st1 d2147483647"),
};
static const char *const problems_max_pool1d[] = {
	WINDOWS_1D(LARGEST_1D)
	BOTH("max_pool1d x2x9x17 k3 st2 d4"),
};
/* clang-format on */
static const char *const problems_avg_pool2d[] = { WINDOWS_2D(MEANS_2D) };
static const char *const problems_avg_pool1d[] = { WINDOWS_1D(MEANS_1D) };
static const char *const problems_adaptive_max_pool2d[] = { SIZES_2D(ADAPTIVE_LARGEST_2D) };
static const char *const problems_adaptive_max_pool1d[] = { SIZES_1D(ADAPTIVE_LARGEST_1D) };
static const char *const problems_adaptive_avg_pool2d[] = { SIZES_2D(ADAPTIVE_MEAN_2D) };
static const char *const problems_adaptive_avg_pool1d[] = { SIZES_1D(ADAPTIVE_MEAN_1D) };

/* ---- families ---- */

CLEF__FAMILY_ROW(max_pool2d, 6)
CLEF__FAMILY_ROW(max_pool1d, 2)
CLEF__FAMILY_ROW(avg_pool2d, 8)
CLEF__FAMILY_ROW(avg_pool1d, 2)
CLEF__FAMILY_ROW(adaptive_max_pool2d, 4)
CLEF__FAMILY_ROW(adaptive_max_pool1d, 1)
CLEF__FAMILY_ROW(adaptive_avg_pool2d, 4)
CLEF__FAMILY_ROW(adaptive_avg_pool1d, 1)
