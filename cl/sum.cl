/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums: x [outer][reduced][inner], y [outer][chunks][inner] = alpha * sums over `chunk` values + beta * y. They are
 * summed up in two steps, so that the rounding error does not grow with their number. And their gradients.
 */
#include "rows.clh"
#include "runs.clh"

#define ROWS_AT_ONCE 32

static void store_sum(__global float *y, float sum, float alpha, float beta)
{
	*y = beta == 0.0f ? alpha * sum : fma(beta, *y, alpha * sum);
}

#ifdef DEVICE_IS_CPU
/* ---- a work-item has BLOCK neighbours, or what is left of a row ---- */

#define BLOCK 64

static void store_sums(__global float *y, int count, float16 sums, float alpha, float beta)
{
	const bool whole = count >= VECTOR;
	const int i = 0, row_end = count;
	float16 v = alpha * sums;

	if (beta != 0.0f)
		v = fma((float16)beta, LOAD_ROW(y, 0.0f), v);
	STORE_ROW(y, v);
}

/* EACH gives a macro the numbers of vectors side by side, of which the first and only one may have `count` elements. */
#define ZERO_SUM(j)  float16 sum##j = 0.0f;
#define ZERO_PART(j) float16 part##j = 0.0f;
#define ADD_PART(j)  sum##j += part##j;
#define ADD_ROW(j)   part##j += whole ? (float16)LOAD_GLOBAL(row + j * VECTOR) : load_some(row, count, 0.0f);
#define STORE_SUM(j) store_sums(y + j * VECTOR, count, sum##j, alpha, beta);
#define ONE(X)       X(0)
#define SUM_COLUMNS(EACH, count_)                                                                                      \
	{                                                                                                              \
		const int count = count_;                                                                              \
		const bool whole = count >= VECTOR;                                                                    \
		EACH(ZERO_SUM)                                                                                         \
                                                                                                                       \
		for (int r = 0; r < rows;) {                                                                           \
			const int stop = min(r + ROWS_AT_ONCE, rows);                                                  \
			EACH(ZERO_PART)                                                                                \
                                                                                                                       \
			for (; r < stop; r++) {                                                                        \
				__global const float *row = x + (size_t)r * inner;                                     \
                                                                                                                       \
				EACH(ADD_ROW)                                                                          \
			}                                                                                              \
			EACH(ADD_PART)                                                                                 \
		}                                                                                                      \
		EACH(STORE_SUM)                                                                                        \
	}

__kernel void sum_outer(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int reduced,
                        int inner, int chunk, int chunks, float alpha, float beta, int n)
{
	GLOBAL_ID(id, n);
	const int blocks = (inner + BLOCK - 1) / BLOCK;
	const int from = id % blocks * BLOCK, c = id / blocks % chunks, o = id / blocks / chunks;
	const int rows = min(chunk, reduced - c * chunk), last = min(from + BLOCK, inner);

	x += x_offset + ((size_t)o * reduced + (size_t)c * chunk) * inner + from;
	y += y_offset + ((size_t)o * chunks + c) * inner + from;
	if (last - from == BLOCK)
		SUM_COLUMNS(EACH_OF_4, BLOCK)
	else
		for (int left = last - from; left > 0; left -= VECTOR, x += VECTOR, y += VECTOR)
			SUM_COLUMNS(ONE, left)
}
#else
/* ---- a work-item has one sum ---- */

__kernel void sum_outer(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int reduced,
                        int inner, int chunk, int chunks, float alpha, float beta, int n)
{
	GLOBAL_ID(id, n);
	const int i = id % inner, c = id / inner % chunks, o = id / inner / chunks;
	const int from = c * chunk, to = min(from + chunk, reduced);
	float sum = 0.0f;

	x += x_offset + (size_t)o * reduced * inner + i;
	for (int r = from; r < to;) {
		const int stop = min(r + ROWS_AT_ONCE, to);
		float part = 0.0f;

		for (; r < stop; r++)
			part += x[(size_t)r * inner];
		sum += part;
	}
	store_sum(y + y_offset + id, sum, alpha, beta);
}

#endif

/* Where inner is 1: sixteen sums side by side, added up at the end. */
__kernel void sum_inner(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int reduced,
                        int inner, int chunk, int chunks, float alpha, float beta, int n)
{
	GLOBAL_ID(id, n);
	const int c = id % chunks, o = id / chunks;
	const int from = c * chunk, to = min(from + chunk, reduced);
	float16 sums = 0.0f;
	float sum = 0.0f;
	int r = from;

	x += x_offset + (size_t)o * reduced;
	for (; r + 16 <= to; r += 16)
		sums += vload16(0, x + r);
	for (; r < to; r++)
		sum += x[r];
	store_sum(y + y_offset + id, sum16(sums) + sum, alpha, beta);
}

/* ---- gradients of sums ---- */

/* y = alpha x[0] + beta y */
__kernel void expand_one(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, float alpha,
                         float beta, int n)
{
	GLOBAL_ID(i, n);
	store_sum(y + y_offset + i, x[x_offset], alpha, beta);
}

/* y = alpha x + beta y, with x repeated along the dimensions of y where its step is 0. */
__kernel void expand(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, float alpha,
                     float beta, int8 cut, int8 size, int8 step, int items)
{
	GLOBAL_ID(id, items);
	const run r = find_run(id, cut, size, step, step);

	x += x_offset + r.x;
	y += y_offset + r.start;
	EACH_OF_RUN(r, step.s0, 1, store_sum(y + at_y, x[at_x], alpha, beta);)
}
