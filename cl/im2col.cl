/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions as matrix products: around them, these kernels lay out the pixels that each output sees as a column of a
 * matrix, add such columns up again, and bring the products of several images into their order. What stores results
 * applies the activation, with the parameters p and q.
 */
#include "conv.clh"

#ifndef VALUE
/*
 * col [c][r][s][image][oh][ow] = the pixel of x that an output sees through an element of the kernel, 0 beyond the
 * border. A work-item writes up to `span` columns of one row.
 */
__kernel void im2col(__global const float *x, ulong x_offset, __global float *col, ulong col_offset, int8 size,
                     int8 step, int images, int span, int items)
{
	GLOBAL_ID(id, items);
	const geometry g = unpack(size, step);
	const int spans = (g.ow + span - 1) / span, from = id % spans * span, to = min(from + span, g.ow);
	const int row = id / spans, oh = row % g.oh, image = row / g.oh % images, element = row / g.oh / images;
	const int s = element % g.s, r = element / g.s % g.r, c = element / g.s / g.r;
	const int h = oh * g.stride_h - g.pad_top + r * g.dilation_h, shift = s * g.dilation_w - g.pad_left;
	/* The columns that see a pixel. */
	int lo = shift >= 0 ? 0 : (-shift + g.stride_w - 1) / g.stride_w;
	int hi = h < 0 || h >= g.h || shift >= g.w ? 0 : (g.w - 1 - shift) / g.stride_w + 1;
	int i = from;

	lo = clamp(lo, from, to);
	hi = clamp(hi, lo, to);
	col += col_offset + (size_t)row * g.ow;
	for (; i < lo; i++)
		col[i] = 0.0f;
	if (lo < hi) {
		x += x_offset + (((size_t)image * g.c + c) * g.h + h) * g.w + shift;
		if (g.stride_w == 1)
			for (; i < hi; i++)
				col[i] = x[i];
		else
			for (; i < hi; i++)
				col[i] = x[i * g.stride_w];
	}
	for (; i < to; i++)
		col[i] = 0.0f;
}
#endif

/* x = act(beta x + bias + the sum of all elements of col that im2col would make from each pixel). */
__kernel void col2im(__global const float *col, ulong col_offset, __global const float *bias, ulong bias_offset,
                     int has_bias, __global float *x, ulong x_offset, float beta, float p, float q, int8 size,
                     int8 step, int images, int items)
{
	GLOBAL_ID(id, items);
	const geometry g = unpack(size, step);
	const int spans = (g.w + SPAN - 1) / SPAN, from = id % spans * SPAN, h = id / spans % g.h;
	const int plane = id / spans / g.h, c = plane % g.c, image = plane / g.c;
	const size_t row_of_col = (size_t)images * g.oh * g.ow;
	float sum[SPAN];

	for (int i = 0; i < SPAN; i++)
		sum[i] = 0.0f;
	col += col_offset + (size_t)c * g.r * g.s * row_of_col + (size_t)image * g.oh * g.ow;
	for (int r = 0; r < g.r; r++) {
		const int t = h + g.pad_top - r * g.dilation_h, oh = t / g.stride_h;

		if (t < 0 || t % g.stride_h != 0 || oh >= g.oh)
			continue;
		for (int s = 0; s < g.s; s++)
			add_pixels_transposed(sum, 1.0f, col + (r * g.s + s) * row_of_col + (size_t)oh * g.ow,
			                      from + g.pad_left - s * g.dilation_w, g.stride_w, g.ow);
	}
	x += x_offset + ((size_t)plane * g.h + h) * g.w + from;
	store_pixels(x, sum, has_bias ? bias[bias_offset + c] : 0.0f, beta, p, q, min(SPAN, g.w - from));
}

/* y [images][planes][pixels] = act(y + bias [planes]). A work-item does up to `span` pixels. */
__kernel void finish_planes(__global const float *bias, ulong bias_offset, int has_bias, __global float *y,
                            ulong y_offset, float p, float q, int planes, int pixels, int span, int items)
{
	GLOBAL_ID(id, items);
	const int spans = (pixels + span - 1) / span, from = id % spans * span, plane = id / spans;
	const int count = min(span, pixels - from);
	const float add = has_bias ? bias[bias_offset + plane % planes] : 0.0f;

	y += y_offset + (size_t)plane * pixels + from;
	for (int t = 0; t < count; t++)
		y[t] = activate(y[t] + add, p, q);
}

/* y [b][a][pixels] = act(beta y + x [a][b][pixels] + bias[a]). A work-item does up to `span` pixels. */
__kernel void swap_planes(__global const float *x, ulong x_offset, __global const float *bias, ulong bias_offset,
                          int has_bias, __global float *y, ulong y_offset, float beta, float p, float q, int a,
                          int b, int pixels, int span, int items)
{
	GLOBAL_ID(id, items);
	const int spans = (pixels + span - 1) / span, from = id % spans * span, plane = id / spans;
	const int i = plane / b, j = plane % b, count = min(span, pixels - from);
	const float add = has_bias ? bias[bias_offset + i] : 0.0f;

	x += x_offset + (size_t)plane * pixels + from;
	y += y_offset + ((size_t)j * a + i) * pixels + from;
	if (beta == 0.0f)
		for (int t = 0; t < count; t++)
			y[t] = activate(x[t] + add, p, q);
	else
		for (int t = 0; t < count; t++)
			y[t] = activate(fma(beta, y[t], x[t] + add), p, q);
}
