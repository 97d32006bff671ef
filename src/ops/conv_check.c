/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of convolutions and the geometry that follows from shapes and options. One-dimensional ones are images of one
 * row; only messages know the difference.
 */
#include "conv_internal.h"

/* Of an image with its padding, and of a kernel with its dilation, in one direction: leaves room for sums of a few of
 * them in a kernel's int. */
#define MAX_EXTENT (1 << 26)

typedef struct texts {
	char text[48];
} texts;

/* "5 x 7", or "7" in one dimension. */
static texts sizes(const clef__conv_opts *o, int64_t h, int64_t w)
{
	texts t;

	if (o->dims == 1)
		snprintf(t.text, sizeof(t.text), "%lld", (long long)w);
	else
		snprintf(t.text, sizeof(t.text), "%lld x %lld", (long long)h, (long long)w);
	return t;
}

/* Size of a shape [a, b, (h,) w] in direction d, 0 rows and 1 columns. */
static int64_t extent(const clef__conv_opts *o, const clef_shape *s, int d)
{
	return o->dims == 1 && d == 0 ? 1 : s->dim[o->dims + d];
}

/* Of a kernel with its dilation. */
static int64_t reach(const clef__conv_opts *o, const clef_shape *w, int d)
{
	return o->dilation[d] * (extent(o, w, d) - 1) + 1;
}

static clef_status check_tensors(const clef__node *n, const clef__conv_opts *o, bool transposed)
{
	static const char *const names[] = { "x", "w", "b" };
	const clef_shape *x = &n->x[0]->shape, *w = &n->x[1]->shape;
	clef_status status = CLEF_OK;

	for (int i = 0; i < n->inputs && !status; i++)
		status = clef__op_dtype(n, i, names[i], CLEF_FLOAT32);
	if (status)
		return status;
	if (x->ndim != 2 + o->dims)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected %s", CLEF__SHAPE_TEXT(*x),
				     o->dims == 1 ? "[n, c, l]" : "[n, c, h, w]");
	if (w->ndim != 2 + o->dims)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "w has shape %s, expected %s%s", CLEF__SHAPE_TEXT(*w),
				     transposed ? "[c, k / groups, " : "[k, c / groups, ",
				     o->dims == 1 ? "r]" : "r, s]");
	for (int d = 0; d < 2; d++)
		if (extent(o, x, d) < 1 || extent(o, w, d) < 1)
			return clef__op_fail(n, CLEF_ERROR_SHAPE, "x %s and w %s must both have pixels",
					     CLEF__SHAPE_TEXT(*x), CLEF__SHAPE_TEXT(*w));
	return CLEF_OK;
}

/* `takes` channels of x, by w; `outputs` channels of y. */
static clef_status check_channels(const clef__node *n, const clef__conv_opts *o, int64_t takes, int64_t outputs)
{
	const clef_shape *x = &n->x[0]->shape, *w = &n->x[1]->shape;

	if (x->dim[1] % o->groups != 0 || outputs % o->groups != 0)
		return clef__op_fail(
			n, CLEF_ERROR_SHAPE, "%lld groups do not divide the %lld channels of x %s and the %lld of y",
			(long long)o->groups, (long long)x->dim[1], CLEF__SHAPE_TEXT(*x), (long long)outputs);
	if (x->dim[1] != takes)
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "x %s has %lld channels, but w %s with %lld group%s takes %lld",
				     CLEF__SHAPE_TEXT(*x), (long long)x->dim[1], CLEF__SHAPE_TEXT(*w),
				     (long long)o->groups, o->groups == 1 ? "" : "s", (long long)takes);
	if (n->inputs > 2 && (n->x[2]->shape.ndim != 1 || n->x[2]->numel != outputs))
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "b has shape %s, expected [%lld], a value for each channel of y",
				     CLEF__SHAPE_TEXT(n->x[2]->shape), (long long)outputs);
	return CLEF_OK;
}

static clef_status check_extents(const clef__node *n, const clef__conv_opts *o, const int64_t image[2],
				 const int64_t kernel[2])
{
	for (int d = 0; d < 2; d++)
		if (image[d] > MAX_EXTENT || kernel[d] > MAX_EXTENT)
			return clef__op_fail(n, CLEF_ERROR_SHAPE,
					     "an image with its padding of %s and a kernel with its dilation of %s: at "
					     "most %d in each direction",
					     sizes(o, image[0], image[1]).text, sizes(o, kernel[0], kernel[1]).text,
					     MAX_EXTENT);
	return CLEF_OK;
}

static clef_status check_mode(const clef__node *n, const clef__conv_opts *o)
{
	const clef_shape *x = &n->x[0]->shape;

	if (o->mode < CLEF_PAD_ZEROS || o->mode > CLEF_PAD_CIRCULAR)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "pad_mode is %d, which is none", (int)o->mode);
	for (int d = 2 - o->dims; d < 2; d++) {
		int64_t most = CLEF__MAX(o->before[d], o->after[d]), size = extent(o, x, d);

		if (o->mode == CLEF_PAD_REFLECT && most >= size)
			return clef__op_fail(n, CLEF_ERROR_SHAPE,
					     "padding by %lld that reflects x %s: it must be smaller than the image",
					     (long long)most, CLEF__SHAPE_TEXT(*x));
		if (o->mode == CLEF_PAD_CIRCULAR && most > size)
			return clef__op_fail(n, CLEF_ERROR_SHAPE,
					     "circular padding by %lld of x %s: it must not be larger than the image",
					     (long long)most, CLEF__SHAPE_TEXT(*x));
	}
	return CLEF_OK;
}

/* [n, channels, (h,) w] */
static clef_status result_shape(const clef__node *n, const clef__conv_opts *o, int64_t channels, int64_t h, int64_t w,
				clef_shape *shape)
{
	int64_t images = n->x[0]->shape.dim[0];

	*shape = o->dims == 1 ? CLEF_SHAPE(images, channels, w) : CLEF_SHAPE(images, channels, h, w);
	if (clef_shape_numel(*shape) < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "the result %s would have more than 2^31 - 1 elements",
				     CLEF__SHAPE_TEXT(*shape));
	return CLEF_OK;
}

/* Images and outputs of the geometry are x and y, or y and x for a transposed convolution. Strides and dilations that
 * do nothing are made 1. */
static void set_geometry(clef__conv_opts *o, int64_t images, const int64_t channels[2], const int64_t image[2],
			 const clef_shape *w, const int64_t out[2])
{
	o->g = (clef__conv){
		.n = (int)images,
		.c = (int)channels[0],
		.h = (int)image[0],
		.w = (int)image[1],
		.k = (int)channels[1],
		.r = (int)extent(o, w, 0),
		.s = (int)extent(o, w, 1),
		.oh = (int)out[0],
		.ow = (int)out[1],
		.stride_h = out[0] == 1 ? 1 : (int)o->stride[0],
		.stride_w = out[1] == 1 ? 1 : (int)o->stride[1],
		.pad_top = (int)o->before[0],
		.pad_left = (int)o->before[1],
		.dilation_h = extent(o, w, 0) == 1 ? 1 : (int)o->dilation[0],
		.dilation_w = extent(o, w, 1) == 1 ? 1 : (int)o->dilation[1],
		.groups = (int)o->groups,
	};
}

clef_status clef__conv_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	/* The copy in the arena, which is this node's own. */
	clef__conv_opts *o = (clef__conv_opts *)(uintptr_t)n->opts;
	const clef_shape *x = &n->x[0]->shape, *w = &n->x[1]->shape;
	int64_t padded[2], kernel[2], out[2];
	clef_status status = check_tensors(n, o, false);

	(void)dtype;
	if (!status)
		status = check_channels(n, o, w->dim[1] * o->groups, w->dim[0]);
	if (!status)
		status = check_mode(n, o);
	if (status)
		return status;
	for (int d = 0; d < 2; d++) {
		padded[d] = extent(o, x, d) + o->before[d] + o->after[d];
		kernel[d] = reach(o, w, d);
		out[d] = (padded[d] - kernel[d]) / o->stride[d] + 1;
	}
	if (kernel[0] > padded[0] || kernel[1] > padded[1])
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "the kernel of w %s, %s with its dilation, is larger than the image of x %s, %s "
				     "with its padding",
				     CLEF__SHAPE_TEXT(*w), sizes(o, kernel[0], kernel[1]).text, CLEF__SHAPE_TEXT(*x),
				     sizes(o, padded[0], padded[1]).text);
	status = check_extents(n, o, padded, kernel);
	if (!status)
		status = result_shape(n, o, w->dim[0], out[0], out[1], shape);
	if (status)
		return status;
	if (o->before[0] + o->after[0] + o->before[1] + o->after[1] == 0)
		o->mode = CLEF_PAD_ZEROS;
	set_geometry(o, x->dim[0], (const int64_t[]){ x->dim[1], w->dim[0] },
		     o->mode == CLEF_PAD_ZEROS ? (const int64_t[]){ extent(o, x, 0), extent(o, x, 1) } : padded, w,
		     out);
	if (o->mode == CLEF_PAD_ZEROS)
		return clef__conv_choose(n, o, false);
	o->g.pad_top = o->g.pad_left = 0;
	if (clef_shape_numel(CLEF_SHAPE(x->dim[0], x->dim[1], padded[0], padded[1])) < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "x %s, with %s pixels once padded, would have more than 2^31 - 1 elements",
				     CLEF__SHAPE_TEXT(*x), sizes(o, padded[0], padded[1]).text);
	return clef__conv_choose(n, o, false);
}

clef_status clef__conv_transpose_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	clef__conv_opts *o = (clef__conv_opts *)(uintptr_t)n->opts;
	const clef_shape *x = &n->x[0]->shape, *w = &n->x[1]->shape;
	int64_t whole[2], kernel[2], out[2];
	clef_status status = check_tensors(n, o, true);

	(void)dtype;
	if (!status)
		status = check_channels(n, o, w->dim[0], w->dim[1] * o->groups);
	if (status)
		return status;
	for (int d = 0; d < 2; d++) {
		if (o->output_pad[d] > 0 && o->output_pad[d] >= CLEF__MAX(o->stride[d], o->dilation[d]))
			return clef__op_fail(n, CLEF_ERROR_INVALID,
					     "output_pad is %lld: it must be smaller than the stride, %lld, or the "
					     "dilation, %lld",
					     (long long)o->output_pad[d], (long long)o->stride[d],
					     (long long)o->dilation[d]);
		kernel[d] = reach(o, w, d);
		whole[d] = (extent(o, x, d) - 1) * o->stride[d] + kernel[d] + o->output_pad[d];
		out[d] = whole[d] - o->before[d] - o->after[d];
	}
	if (out[0] < 1 || out[1] < 1)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "all is cut from the result of x %s and w %s, %s, by padding",
				     CLEF__SHAPE_TEXT(*x), CLEF__SHAPE_TEXT(*w), sizes(o, whole[0], whole[1]).text);
	status = check_extents(n, o, whole, kernel);
	if (!status)
		status = result_shape(n, o, w->dim[1] * o->groups, out[0], out[1], shape);
	if (status)
		return status;
	set_geometry(o, x->dim[0], (const int64_t[]){ w->dim[1] * o->groups, x->dim[1] }, out, w,
		     (const int64_t[]){ extent(o, x, 0), extent(o, x, 1) });
	return clef__conv_choose(n, o, true);
}
