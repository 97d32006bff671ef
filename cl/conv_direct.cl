/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions by their definition, for every geometry. A work-item computes SPAN neighbouring pixels of a row: 16 on a
 * CPU, which become a vector where they lie inside the image, and 1 on a GPU. All sums have a fixed order. The
 * activation, with the parameters p and q, is applied where a result is stored.
 */
#include "conv.clh"

/* y = act(beta y + conv(x, w) + bias) */
__kernel void conv_direct_forward(__global const float *x, ulong x_offset, __global const float *w, ulong w_offset,
                                  __global const float *bias, ulong bias_offset, int has_bias, __global float *y,
                                  ulong y_offset, float beta, float p, float q, int8 size, int8 step, int items)
{
	GLOBAL_ID(id, items);
	const geometry g = unpack(size, step);
	const int spans = (g.ow + SPAN - 1) / SPAN, ow = id % spans * SPAN, oh = id / spans % g.oh;
	const int plane = id / spans / g.oh, k = plane % g.k, image = plane / g.k;
	const int channels = g.c / g.groups, first = k / (g.k / g.groups) * channels;
	float sum[SPAN];

	for (int i = 0; i < SPAN; i++)
		sum[i] = 0.0f;
	x += x_offset + ((size_t)image * g.c + first) * g.h * g.w;
	w += w_offset + (size_t)k * channels * g.r * g.s;
	for (int c = 0; c < channels; c++, x += (size_t)g.h * g.w)
		for (int r = 0; r < g.r; r++, w += g.s) {
			const int h = oh * g.stride_h - g.pad_top + r * g.dilation_h;

			if (h < 0 || h >= g.h)
				continue;
			for (int s = 0; s < g.s; s++)
				add_pixels(sum, w[s], x + (size_t)h * g.w,
				           ow * g.stride_w - g.pad_left + s * g.dilation_w, g.stride_w, g.w);
		}
	y += y_offset + ((size_t)plane * g.oh + oh) * g.ow + ow;
	store_pixels(y, sum, has_bias ? bias[bias_offset + k] : 0.0f, beta, p, q, min(SPAN, g.ow - ow));
}

/* x = act(beta x + bias + all that y contributes to each pixel) */
__kernel void conv_direct_backward_data(__global const float *y, ulong y_offset, __global const float *w,
                                        ulong w_offset, __global const float *bias, ulong bias_offset, int has_bias,
                                        __global float *x, ulong x_offset, float beta, float p, float q, int8 size,
                                        int8 step, int items)
{
	GLOBAL_ID(id, items);
	const geometry g = unpack(size, step);
	const int spans = (g.w + SPAN - 1) / SPAN, from = id % spans * SPAN, h = id / spans % g.h;
	const int plane = id / spans / g.h, c = plane % g.c, image = plane / g.c;
	const int channels = g.c / g.groups, outputs = g.k / g.groups, first = c / channels * outputs;
	float sum[SPAN];

	for (int i = 0; i < SPAN; i++)
		sum[i] = 0.0f;
	y += y_offset + ((size_t)image * g.k + first) * g.oh * g.ow;
	w += w_offset + ((size_t)first * channels + c % channels) * g.r * g.s;
	for (int k = 0; k < outputs; k++, y += (size_t)g.oh * g.ow, w += (size_t)channels * g.r * g.s)
		for (int r = 0; r < g.r; r++) {
			const int t = h + g.pad_top - r * g.dilation_h, oh = t / g.stride_h;

			if (t < 0 || t % g.stride_h != 0 || oh >= g.oh)
				continue;
			for (int s = 0; s < g.s; s++)
				add_pixels_transposed(sum, w[r * g.s + s], y + (size_t)oh * g.ow,
				                      from + g.pad_left - s * g.dilation_w, g.stride_w, g.ow);
		}
	x += x_offset + ((size_t)plane * g.h + h) * g.w + from;
	store_pixels(x, sum, has_bias ? bias[bias_offset + c] : 0.0f, beta, p, q, min(SPAN, g.w - from));
}

#ifndef VALUE
/*
 * part[chunk][k][c / groups][r][s] = the gradient of the weights from `rows` rows of y, out of all rows of all images.
 * Sums over a row are added up on their own, which keeps the rounding error small.
 */
__kernel void conv_direct_backward_weights(__global const float *x, ulong x_offset, __global const float *y,
                                           ulong y_offset, __global float *part, ulong part_offset, int rows,
                                           int all_rows, int8 size, int8 step, int items)
{
	GLOBAL_ID(id, items);
	const geometry g = unpack(size, step);
	const int channels = g.c / g.groups, s = id % g.s, r = id / g.s % g.r, c = id / g.s / g.r % channels;
	const int k = id / g.s / g.r / channels % g.k, chunk = id / g.s / g.r / channels / g.k;
	const int channel = k / (g.k / g.groups) * channels + c;
	const int shift = s * g.dilation_w - g.pad_left;
	/* The columns of y to which a column inside x belongs. */
	const int lo = shift >= 0 ? 0 : (-shift + g.stride_w - 1) / g.stride_w;
	const int hi = shift >= g.w ? 0 : min(g.ow, (g.w - 1 - shift) / g.stride_w + 1);
	/* Not chunk * rows + rows, which may be too large for an int. */
	const int count = min(rows, all_rows - chunk * rows);
	float total[SPAN], sum = 0.0f;

	for (int i = 0; i < SPAN; i++)
		total[i] = 0.0f;
	for (int row = chunk * rows, left = count; left > 0; left--, row++) {
		const int image = row / g.oh, oh = row % g.oh;
		const int h = oh * g.stride_h - g.pad_top + r * g.dilation_h;
		__global const float *xr = x + x_offset + (((size_t)image * g.c + channel) * g.h + h) * g.w + shift;
		__global const float *yr = y + y_offset + (((size_t)image * g.k + k) * g.oh + oh) * g.ow;
		float part_sum[SPAN];
		int ow = lo;

		if (h < 0 || h >= g.h)
			continue;
		for (int i = 0; i < SPAN; i++)
			part_sum[i] = 0.0f;
		for (; ow + SPAN <= hi; ow += SPAN)
			for (int i = 0; i < SPAN; i++)
				part_sum[i] = fma(xr[(ow + i) * g.stride_w], yr[ow + i], part_sum[i]);
		for (int i = 0; ow < hi; i++, ow++)
			part_sum[i] = fma(xr[ow * g.stride_w], yr[ow], part_sum[i]);
		for (int i = 0; i < SPAN; i++)
			total[i] += part_sum[i];
	}
	for (int i = 0; i < SPAN; i++)
		sum += total[i];
	part[part_offset + id] = sum;
}
#endif
