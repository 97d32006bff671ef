/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups: x [outer][size][inner], y [outer][count][inner]. `whole`: an index for each element of y, else for each of
 * `count`. */

/* y = x where the index says, whatever the bits mean; `invalid` where there is no such element. A work-item has up to
 * `span` elements of a slice: one of them with `whole`, and on a GPU. */
__kernel void gather(__global const uint *x, ulong x_offset, __global const int *index, ulong index_offset,
                     __global uint *y, ulong y_offset, int size, int count, int inner, int whole, uint invalid, int span,
                     int n)
{
	GLOBAL_ID(id, n);
	const int spans = (inner + span - 1) / span, line = id / spans, start = id % spans * span;
	const int from = index[index_offset + (whole ? id : line % count)], stop = min(span, inner - start);
	const bool valid = from >= 0 && from < size;

	x += x_offset + ((size_t)(line / count) * size + (valid ? from : 0)) * inner + start;
	y += y_offset + (size_t)line * inner + start;
	if (valid)
		for (int i = 0; i < stop; i++)
			y[i] = x[i];
	else
		for (int i = 0; i < stop; i++)
			y[i] = invalid;
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
