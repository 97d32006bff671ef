/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The geometry of pooling, for all of its operations: what options mean, which are allowed, how large the result is.
 * Sizes are computed in 64 bits, and windows so large that a kernel's int could overflow are refused.
 */
#include "pool_internal.h"

#define BLOCK 4096 /* elements, which the first-level cache holds */

clef__pool clef__pool_windows(bool flat, const int kernel[2], const int stride[2], const int pad[2],
			      const int dilation[2], bool ceil_mode)
{
	clef__pool p = { .flat = flat, .ceil_mode = ceil_mode };

	p.width_given = kernel[1] || stride[1] || pad[1] || dilation[1];
	for (int i = 0; i < 2; i++) {
		bool width = i == 1 && !flat;

		p.kernel[i] = width && kernel[1] ? kernel[1] : kernel[0];
		p.stride[i] = width && stride[1] ? stride[1] : stride[0] ? stride[0] : p.kernel[i];
		p.pad[i] = width && pad[1] ? (pad[1] == -1 ? 0 : pad[1]) : pad[0];
		p.dilation[i] = width && dilation[1] ? dilation[1] : dilation[0] ? dilation[0] : 1;
	}
	if (flat) {
		p.kernel[0] = p.stride[0] = p.dilation[0] = 1;
		p.pad[0] = 0;
	}
	return p;
}

static clef_status check_image(const clef__node *n, clef__pool *p)
{
	const clef_shape *x = &n->x[0]->shape;
	int last = x->ndim - 1, axes = p->flat ? 1 : 2;

	if (x->ndim != axes + 1 && x->ndim != axes + 2)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected %s", CLEF__SHAPE_TEXT(*x),
				     p->flat ? "[n, c, l] or [c, l]" : "[n, c, h, w] or [c, h, w]");
	p->in[0] = p->flat ? 1 : (int32_t)x->dim[last - 1];
	p->in[1] = (int32_t)x->dim[last];
	if (p->in[0] < 1 || p->in[1] < 1)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s: there is nothing to pool",
				     CLEF__SHAPE_TEXT(*x));
	return CLEF_OK;
}

static clef_status check_option(const clef__node *n, const char *name, int value, int least)
{
	if (value >= least)
		return CLEF_OK;
	return clef__op_fail(n, CLEF_ERROR_INVALID, "%s %d: %d or more", name, value, least);
}

/* The number of windows along an axis. */
static clef_status infer_axis(const clef__node *n, clef__pool *p, int i)
{
	int64_t in = p->in[i], pad = p->pad[i], stride = p->stride[i];
	int64_t span = (int64_t)p->dilation[i] * ((int64_t)p->kernel[i] - 1) + 1, room = in + 2 * pad - span, out;

	if (check_option(n, "kernel", p->kernel[i], 1) || check_option(n, "stride", p->stride[i], 1) ||
	    check_option(n, "pad", p->pad[i], 0) || check_option(n, "dilation", p->dilation[i], 1))
		return CLEF_ERROR_INVALID;
	/* A single element has no next one, which might lie beyond an int. */
	if (p->kernel[i] == 1)
		p->dilation[i] = 1;
	if (pad > p->kernel[i] / 2)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "pad %lld: at most half of the kernel, %d", (long long)pad,
				     p->kernel[i]);
	if (room < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "a window of %lld does not fit into x %s with pad %lld",
				     (long long)span, CLEF__SHAPE_TEXT(n->x[0]->shape), (long long)pad);
	if (in + 2 * pad + span + stride > INT32_MAX)
		return clef__op_fail(
			n, CLEF_ERROR_INVALID, "x %s, a window of %lld, stride %lld and pad %lld: too large in sum",
			CLEF__SHAPE_TEXT(n->x[0]->shape), (long long)span, (long long)stride, (long long)pad);
	out = (room + (p->ceil_mode ? stride - 1 : 0)) / stride + 1;
	if ((out - 1) * stride >= in + pad)
		out--;
	p->out[i] = (int32_t)out;
	return CLEF_OK;
}

static clef_status infer_adaptive(const clef__node *n, clef__pool *p, int i)
{
	int64_t out = p->wanted[i] == -1 ? p->in[i] : p->wanted[i];

	if (out < 1 || out > INT32_MAX)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "an output size of %lld: 1 or more, or -1 for that of x",
				     (long long)out);
	p->out[i] = (int32_t)out;
	return CLEF_OK;
}

clef_status clef__pool_infer(clef__node *n, clef_shape *shape)
{
	clef__pool *p = clef__own_opts(n);
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	if (!status)
		status = check_image(n, p);
	if (!status && p->flat && p->width_given)
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "options for the width (..._w) of a sequence");
	for (int i = 0; i < 2 && !status; i++)
		status = p->adaptive ? infer_adaptive(n, p, i) : infer_axis(n, p, i);
	if (status)
		return status;
	*shape = n->x[0]->shape;
	shape->dim[shape->ndim - 1] = p->out[1];
	if (!p->flat)
		shape->dim[shape->ndim - 2] = p->out[0];
	if (clef_shape_numel(*shape) < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "the result %s would have more than 2^31 - 1 elements",
				     CLEF__SHAPE_TEXT(*shape));
	return CLEF_OK;
}

clef__arg clef__pool_image(const clef__pool *p)
{
	return (clef__arg){ .kind = CLEF__ARG_INT8, .value.i8 = { p->in[0], p->in[1], p->out[0], p->out[1] } };
}

clef__arg clef__pool_window(const clef__pool *p)
{
	return (clef__arg){ .kind = CLEF__ARG_INT8,
			    .value.i8 = { p->kernel[0], p->kernel[1], p->stride[0], p->stride[1], p->pad[0], p->pad[1],
					  p->dilation[0], p->dilation[1] } };
}

clef__pool_blocks clef__pool_cut(int height, int width)
{
	int rows = CLEF__MAX(1, CLEF__MIN(height, BLOCK / width));

	return (clef__pool_blocks){ rows, clef__divide_up(height, rows) };
}

const char *clef__pool_defines(const clef__pool *p)
{
	return p->adaptive ? "#define ADAPTIVE 1\n" : NULL;
}
