/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling by the largest element, for CPUs: a work-item is a block of rows, so that where a window lies is computed
 * once for a row, and windows side by side are compared at a time. Same results as max_pool.cl.
 */
#include "pool.clh"
#include "vector.clh"

/*
 * pool_N: N windows side by side, from the one that begins in column `left`, all of them whole within `rows`. Of
 * elements that lie two apart those of two vectors are taken, of which the second ends with the last element: nothing
 * behind it is read.
 */
#define DEFINE_POOL(N, EVEN, ODD, STEPS)                                                                               \
	static float##N load_##N(__global const float *x, int step)                                                    \
	{                                                                                                              \
		float lane[N];                                                                                         \
                                                                                                                       \
		if (step == 1)                                                                                         \
			return *(__global const float##N##_any *)x;                                                    \
		if (step == 2)                                                                                         \
			return (float##N)((*(__global const float##N##_any *)x).EVEN,                                  \
			                  (*(__global const float##N##_any *)(x + N - 1)).ODD);                        \
		for (int j = 0; j < N; j++)                                                                            \
			lane[j] = x[j * step];                                                                         \
		return vload##N(0, lane);                                                                              \
	}                                                                                                              \
                                                                                                                       \
	static void pool_##N(__global const float *x, int left, span rows, int8 image, int8 window,                    \
	                     __global int *index, __global float *y)                                                   \
	{                                                                                                              \
		const int last = left + (window.s1 - 1) * window.s7;                                                   \
		const int##N steps = (int##N)STEPS * window.s3;                                                        \
		float##N largest = -INFINITY;                                                                          \
		int##N at = steps + (rows.first * image.s1 + left);                                                    \
                                                                                                                       \
		for (int r = rows.first; r < rows.end; r += rows.step)                                                 \
			for (int c = left; c <= last; c += window.s7) {                                                \
				const float##N v = load_##N(x + r * image.s1 + c, window.s3);                          \
				const int##N larger = (v > largest) | (v != v);                                        \
                                                                                                                       \
				largest = larger ? v : largest;                                                        \
				at = larger ? steps + (r * image.s1 + c) : at;                                         \
			}                                                                                              \
		*(__global int##N##_any *)index = at;                                                                  \
		*(__global float##N##_any *)y = largest;                                                               \
	}

typedef int16 __attribute__((aligned(4))) int16_any;
typedef int8 __attribute__((aligned(4))) int8_any;
typedef int4 __attribute__((aligned(4))) int4_any;

DEFINE_POOL(16, s02468ace, s13579bdf, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
DEFINE_POOL(8, s0246, s1357, (0, 1, 2, 3, 4, 5, 6, 7))
DEFINE_POOL(4, s02, s13, (0, 1, 2, 3))

static void pool_1(__global const float *x, span rows, span columns, int8 image, __global int *index,
                   __global float *y)
{
	int at = rows.first < rows.end && columns.first < columns.end ? rows.first * image.s1 + columns.first : -1;
	float largest = -INFINITY;

	for (int r = rows.first; r < rows.end; r += rows.step)
		for (int c = columns.first; c < columns.end; c += columns.step) {
			const float v = x[r * image.s1 + c];

			if (v > largest || v != v) {
				largest = v;
				at = r * image.s1 + c;
			}
		}
	*index = at;
	*y = largest;
}

/* A work-item is `block` rows of windows of an image. */
__kernel void max_pool(__global const float *x, ulong x_offset, __global int *index, ulong index_offset,
                       __global float *y, ulong y_offset, int8 image, int8 window, int block, int blocks, int n)
{
	GLOBAL_ID(id, n);
	const int plane = id / blocks, from = id % blocks * block, to = min(from + block, image.s2);

	x += x_offset + (size_t)plane * image.s0 * image.s1;
	index += index_offset + (size_t)plane * image.s2 * image.s3;
	y += y_offset + (size_t)plane * image.s2 * image.s3;
	for (int row = from; row < to; row++) {
		const span rows = ROWS(window_elements, row);

		for (int column = 0; column < image.s3;) {
			const int at = row * image.s3 + column;
#ifndef ADAPTIVE
			const int left = column * window.s3 - window.s5;
			/* So many windows from here are whole. */
			const int room = image.s1 - 1 - left - (window.s1 - 1) * window.s7;
			const int whole = left < 0 || room < 0 ? 0 : min(room / window.s3 + 1, image.s3 - column);

			if (whole >= 16) {
				pool_16(x, left, rows, image, window, index + at, y + at);
				column += 16;
				continue;
			}
			if (whole >= 8) {
				pool_8(x, left, rows, image, window, index + at, y + at);
				column += 8;
				continue;
			}
			if (whole >= 4) {
				pool_4(x, left, rows, image, window, index + at, y + at);
				column += 4;
				continue;
			}
#endif
			pool_1(x, rows, COLUMNS(window_elements, column), image, index + at, y + at);
			column++;
		}
	}
}

/* A work-item is `block` rows of the elements of an image: what windows found there goes there, in their order. */
__kernel void max_pool_backward(__global const int *index, ulong index_offset, __global const float *dy,
                                ulong dy_offset, __global float *dx, ulong dx_offset, float beta, int8 image,
                                int8 window, int block, int blocks, int n)
{
	GLOBAL_ID(id, n);
	const int plane = id / blocks, from = id % blocks * block, to = min(from + block, image.s0);
	const int first = from * image.s1, count = (to - from) * image.s1;
	const int top = ROWS(windows_around, from).first * image.s3;
	const int bottom = ROWS(windows_around, to - 1).end * image.s3;

	index += index_offset + (size_t)plane * image.s2 * image.s3;
	dy += dy_offset + (size_t)plane * image.s2 * image.s3;
	dx += dx_offset + (size_t)plane * image.s0 * image.s1 + first;
	if (beta == 0.0f)
		for (int i = 0; i < count; i++)
			dx[i] = 0.0f;
	else
		for (int i = 0; i < count; i++)
			dx[i] *= beta;
	for (int i = top; i < bottom; i++) {
		const int at = index[i] - first;

		if (at >= 0 && at < count)
			dx[at] += dy[i];
	}
}
