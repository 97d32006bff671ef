/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pointwise operation of two operands: VALUE is y as an expression of a and b, GRADIENT_A and GRADIENT_B are da and
 * db as expressions of a, b, y and dy. The rows are in pointwise.def.
 *
 * Where operands are broadcast, `size` are the sizes of the result's dimensions, innermost first, filled up with 1, and
 * the strides lead to the operands' elements.
 */

static int2 operand_indices(int i, int8 size, int8 a_stride, int8 b_stride)
{
	int sizes[8], a[8], b[8];
	int2 index = (int2)(0, 0);

	vstore8(size, 0, sizes);
	vstore8(a_stride, 0, a);
	vstore8(b_stride, 0, b);
	for (int d = 0; d < 8 && i > 0; d++) {
		const int r = i % sizes[d];

		index += (int2)(r * a[d], r * b[d]);
		i /= sizes[d];
	}
	return index;
}

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
                                       __global float *y, ulong y_offset, int n, int8 size, int8 a_stride,
                                       int8 b_stride)
{
	GLOBAL_ID(i, n);
	const int2 at = operand_indices(i, size, a_stride, b_stride);

	y[y_offset + i] = value(a[a_offset + at.x], b[b_offset + at.y]);
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
                                        ulong out_offset, int side, float accumulate, int n, int8 size, int8 a_stride,
                                        int8 b_stride)
{
	GLOBAL_ID(i, n);
	const int2 at = operand_indices(i, size, a_stride, b_stride);

	store(out + out_offset + i, accumulate,
	      gradient(a[a_offset + at.x], b[b_offset + at.y], y[y_offset + i], dy[dy_offset + i], side));
}
