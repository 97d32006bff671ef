/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pointwise operation of two operands: VALUE is y as an expression of a and b, GRADIENT_A and GRADIENT_B are da and
 * db as expressions of a, b, y and dy. The rows are in pointwise.def.
 *
 * Where operands are broadcast, the pattern is that of the result, and the strides lead to the operands' elements.
 */
#include "runs.clh"

static float value(float a, float b)
{
	return VALUE;
}

static float gradient(float a, float b, float y, float dy, int side)
{
	return side == 0 ? (GRADIENT_A) : (GRADIENT_B);
}

__kernel void binary_forward(__global const float *a, ulong a_offset, __global const float *b, ulong b_offset,
                             __global float *y, ulong y_offset, int n)
{
	GLOBAL_ID(i, n);
	y[y_offset + i] = value(a[a_offset + i], b[b_offset + i]);
}

__kernel void binary_forward_broadcast(__global const float *a, ulong a_offset, __global const float *b, ulong b_offset,
                                       __global float *y, ulong y_offset, int items, int8 cut, int8 size,
                                       int8 a_stride, int8 b_stride)
{
	GLOBAL_ID(id, items);
	const run r = find_run(id, cut, size, a_stride, b_stride);

	a += a_offset + r.x;
	b += b_offset + r.y;
	y += y_offset + r.start;
	EACH_OF_RUN(r, a_stride.s0, b_stride.s0, y[i] = value(a[at_x], b[at_y]);)
}

static void store(__global float *out, float accumulate, float term)
{
	*out = accumulate == 0.0f ? term : accumulate * *out + term;
}

__kernel void binary_backward(__global const float *a, ulong a_offset, __global const float *b, ulong b_offset,
                              __global const float *y, ulong y_offset, __global const float *dy, ulong dy_offset,
                              __global float *out, ulong out_offset, int side, float accumulate, int n)
{
	GLOBAL_ID(i, n);
	store(out + out_offset + i, accumulate,
	      gradient(a[a_offset + i], b[b_offset + i], y[y_offset + i], dy[dy_offset + i], side));
}

__kernel void binary_backward_broadcast(__global const float *a, ulong a_offset, __global const float *b,
                                        ulong b_offset, __global const float *y, ulong y_offset,
                                        __global const float *dy, ulong dy_offset, __global float *out,
                                        ulong out_offset, int side, float accumulate, int items, int8 cut, int8 size,
                                        int8 a_stride, int8 b_stride)
{
	GLOBAL_ID(id, items);
	const run r = find_run(id, cut, size, a_stride, b_stride);

	a += a_offset + r.x;
	b += b_offset + r.y;
	y += y_offset + r.start;
	dy += dy_offset + r.start;
	out += out_offset + r.start;
	EACH_OF_RUN(r, a_stride.s0, b_stride.s0,
	            store(out + i, accumulate, gradient(a[at_x], b[at_y], y[i], dy[i], side));)
}
