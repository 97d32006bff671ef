/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling by the largest element: forward a work-item is a window, backward an element of x. */
#include "pool.clh"

/* y = the largest element of each window; index = where in its image, -1 for a window without elements. */
__kernel void max_pool(__global const float *x, ulong x_offset, __global int *index, ulong index_offset,
                       __global float *y, ulong y_offset, int8 image, int8 window, int n)
{
	GLOBAL_ID(id, n);
	const span rows = ROWS(window_elements, id / image.s3 % image.s2);
	const span columns = COLUMNS(window_elements, id % image.s3);
	int at = rows.first < rows.end && columns.first < columns.end ? rows.first * image.s1 + columns.first : -1;
	float largest = -INFINITY;

	x += x_offset + (size_t)(id / image.s3 / image.s2) * image.s0 * image.s1;
	for (int r = rows.first; r < rows.end; r += rows.step)
		for (int c = columns.first; c < columns.end; c += columns.step) {
			const float v = x[r * image.s1 + c];

			if (v > largest || v != v) {
				largest = v;
				at = r * image.s1 + c;
			}
		}
	index[index_offset + id] = at;
	y[y_offset + id] = largest;
}

/* dx = beta dx + the gradients of the windows that found this element. */
__kernel void max_pool_backward(__global const int *index, ulong index_offset, __global const float *dy,
                                ulong dy_offset, __global float *dx, ulong dx_offset, float beta, int8 image,
                                int8 window, int n)
{
	GLOBAL_ID(id, n);
	const int at = id % (image.s0 * image.s1);
	const span rows = ROWS(windows_around, at / image.s1);
	const span columns = COLUMNS(windows_around, at % image.s1);
	const size_t plane = (size_t)(id / (image.s0 * image.s1)) * image.s2 * image.s3;
	float sum = 0.0f;

	index += index_offset + plane;
	dy += dy_offset + plane;
	for (int r = rows.first; r < rows.end; r++)
		for (int c = columns.first; c < columns.end; c++)
			if (index[r * image.s3 + c] == at)
				sum += dy[r * image.s3 + c];
	dx += dx_offset + id;
	*dx = beta == 0.0f ? sum : fma(beta, *dx, sum);
}
