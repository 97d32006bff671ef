/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of pooling by the mean, for CPUs: a work-item is a block of rows, and each window that reaches into it
 * gives its share to its elements there. Windows come in their order, so sums are the same in every run.
 */
#include "avg_pool.clh"

__kernel void avg_pool_backward(__global const float *dy, ulong dy_offset, __global float *dx, ulong dx_offset,
                                float beta, int8 image, int8 window, int exclude_pad, int divisor, int block,
                                int blocks, int n)
{
	GLOBAL_ID(id, n);
	const int plane = id / blocks, from = id % blocks * block, to = min(from + block, image.s0);
	const int count = (to - from) * image.s1;
	const int top = ROWS(windows_around, from).first, bottom = ROWS(windows_around, to - 1).end;

	dy += dy_offset + (size_t)plane * image.s2 * image.s3;
	dx += dx_offset + (size_t)plane * image.s0 * image.s1;
	if (beta == 0.0f)
		for (int i = 0; i < count; i++)
			dx[from * image.s1 + i] = 0.0f;
	else
		for (int i = 0; i < count; i++)
			dx[from * image.s1 + i] *= beta;
	for (int row = top; row < bottom; row++) {
		const span rows = ROWS(window_elements, row);
		const int first = max(rows.first, from), end = min(rows.end, to);

		for (int column = 0; column < image.s3; column++) {
			const span columns = COLUMNS(window_elements, column);
			const float share = dy[row * image.s3 + column] /
			                    divisor_of(row, column, image, window, exclude_pad, divisor);

			for (int r = first; r < end; r++)
				for (int c = columns.first; c < columns.end; c++)
					dx[r * image.s1 + c] += share;
		}
	}
}
