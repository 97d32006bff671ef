/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between regular patterns of elements: sizes and steps of `dims` dimensions, innermost first. */

/* Where element i of the block lies in x and in y. */
static int2 places(int i, int dims, int8 size, int8 x_step, int8 y_step)
{
	int sizes[8], x[8], y[8];
	int2 at = (int2)(0, 0);

	vstore8(size, 0, sizes);
	vstore8(x_step, 0, x);
	vstore8(y_step, 0, y);
	for (int d = 0; d < dims; d++) {
		/* The outermost index is what the others leave. */
		const int rest = d + 1 < dims ? i / sizes[d] : 0, r = i - rest * sizes[d];

		at += (int2)(r * x[d], r * y[d]);
		i = rest;
	}
	return at;
}

/* y = x, whatever the bits mean. */
__kernel void strided_copy(__global const int *x, ulong x_offset, __global int *y, ulong y_offset, float unused,
                           int dims, int8 size, int8 x_step, int8 y_step, int n)
{
	GLOBAL_ID(i, n);
	const int2 at = places(i, dims, size, x_step, y_step);

	y[y_offset + at.y] = x[x_offset + at.x];
}

/* y = x + beta y. */
__kernel void strided_add(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, float beta,
                          int dims, int8 size, int8 x_step, int8 y_step, int n)
{
	GLOBAL_ID(i, n);
	const int2 at = places(i, dims, size, x_step, y_step);

	y[y_offset + at.y] = fma(beta, y[y_offset + at.y], x[x_offset + at.x]);
}
