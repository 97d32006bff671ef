/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling by the mean: forward a work-item is a window, backward an element of x. */
#include "avg_pool.clh"

__kernel void avg_pool(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int8 image,
                       int8 window, int exclude_pad, int divisor, int n)
{
	GLOBAL_ID(id, n);
	const int row = id / image.s3 % image.s2, column = id % image.s3;
	const span rows = ROWS(window_elements, row), columns = COLUMNS(window_elements, column);
	float sum = 0.0f;

	x += x_offset + (size_t)(id / image.s3 / image.s2) * image.s0 * image.s1;
	for (int r = rows.first; r < rows.end; r++) {
		float row_sum = 0.0f;

		for (int c = columns.first; c < columns.end; c++)
			row_sum += x[r * image.s1 + c];
		sum += row_sum;
	}
	y[y_offset + id] = sum / divisor_of(row, column, image, window, exclude_pad, divisor);
}

/* dx = beta dx + the shares of the windows around this element. */
__kernel void avg_pool_backward(__global const float *dy, ulong dy_offset, __global float *dx, ulong dx_offset,
                                float beta, int8 image, int8 window, int exclude_pad, int divisor, int n)
{
	GLOBAL_ID(id, n);
	const int at = id % (image.s0 * image.s1);
	const span rows = ROWS(windows_around, at / image.s1);
	const span columns = COLUMNS(windows_around, at % image.s1);
	float sum = 0.0f;

	dy += dy_offset + (size_t)(id / (image.s0 * image.s1)) * image.s2 * image.s3;
	for (int r = rows.first; r < rows.end; r++)
		for (int c = columns.first; c < columns.end; c++)
			sum += dy[r * image.s3 + c] / divisor_of(r, c, image, window, exclude_pad, divisor);
	dx += dx_offset + id;
	*dx = beta == 0.0f ? sum : fma(beta, *dx, sum);
}
