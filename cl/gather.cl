/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups: x [outer][size][inner], y [outer][count][inner]. `whole`: an index for each element of y, else for each of
 * `count`. */

/* y = x where the index says, whatever the bits mean; `invalid` where there is no such element. */
__kernel void gather(__global const uint *x, ulong x_offset, __global const int *index, ulong index_offset,
                     __global uint *y, ulong y_offset, int size, int count, int inner, int whole, uint invalid, int n)
{
	GLOBAL_ID(id, n);
	const int from = index[index_offset + (whole ? id : id / inner % count)];
	const size_t row = (size_t)(id / inner / count) * size + from;

	y[y_offset + id] = from >= 0 && from < size ? x[x_offset + row * inner + id % inner] : invalid;
}

/* dx += dy where the index says. A work-item has one outer and inner place, a line, and `range` of `size`. */
__kernel void gather_backward(__global const int *index, ulong index_offset, __global const float *dy, ulong dy_offset,
                              __global float *dx, ulong dx_offset, int size, int count, int inner, int whole,
                              int padding, int lines, int range, int n)
{
	GLOBAL_ID(id, n);
	const int line = id % lines;
	const long first = (long)(id / lines) * range, end = min(first + range, (long)size);
	const size_t start = (size_t)(line / inner) * count * inner + line % inner;

	index += index_offset + (whole ? start : 0);
	dy += dy_offset + start;
	dx += dx_offset + (size_t)(line / inner) * size * inner + line % inner;
	for (int k = 0; k < count; k++) {
		const int to = index[whole ? (size_t)k * inner : (size_t)k];

		if (to >= first && to < end && to != padding)
			dx[(size_t)to * inner] += dy[(size_t)k * inner];
	}
}
