/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images with a border made of their own pixels, and the gradient of that: each pixel gathers from all its places in
 * the padded image. x [planes][h][w], y [planes][h + padding][w + padding].
 */

enum { REFLECT = 1, REPLICATE, CIRCULAR }; /* clef_pad_mode */

/* The pixel that stands at i, of `size` pixels. Reflection and rotation go once around at most. */
static int source(int i, int size, int mode)
{
	if (i >= 0 && i < size)
		return i;
	if (mode == REFLECT)
		return i < 0 ? -i : 2 * (size - 1) - i;
	if (mode == CIRCULAR)
		return i < 0 ? i + size : i - size;
	return clamp(i, 0, size - 1);
}

/* The next place after i where pixel p stands, with `before` and `after` pixels of border: i itself goes over the border
 * in front, p, and the border behind. */
static int next_place(int i, int p, int size, int after, int mode)
{
	for (i++; i < 0; i++)
		if (source(i, size, mode) == p)
			return i;
	if (i <= p)
		return p;
	for (i = max(i, size); i < size + after; i++)
		if (source(i, size, mode) == p)
			return i;
	return size + after;
}

/* border: above, below, left, right */
__kernel void conv_pad(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int h, int w,
                       int top, int bottom, int left, int right, int mode, int items)
{
	GLOBAL_ID(id, items);
	const int yw = w + left + right, yh = h + top + bottom;
	const int j = source(id % yw - left, w, mode), i = source(id / yw % yh - top, h, mode), plane = id / yw / yh;

	y[y_offset + id] = x[x_offset + ((size_t)plane * h + i) * w + j];
}

/* dx = beta dx + the sum of dy over all places of each pixel */
__kernel void conv_pad_backward(__global const float *dy, ulong dy_offset, __global float *dx, ulong dx_offset, int h,
                                int w, int top, int bottom, int left, int right, int mode, float beta, int items)
{
	GLOBAL_ID(id, items);
	const int x = id % w, y = id / w % h, plane = id / w / h, width = w + left + right;
	float sum = 0.0f;

	dy += dy_offset + ((size_t)plane * (h + top + bottom) + top) * width + left;
	for (int i = next_place(-top - 1, y, h, bottom, mode); i < h + bottom; i = next_place(i, y, h, bottom, mode))
		for (int j = next_place(-left - 1, x, w, right, mode); j < w + right;
		     j = next_place(j, x, w, right, mode))
			sum += dy[(long)i * width + j];
	dx += dx_offset + id;
	*dx = beta == 0.0f ? sum : fma(beta, *dx, sum);
}
