/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on whole tensors: filling, copying, adding up. */

__kernel void fill(__global float *x, ulong x_offset, float value, int n)
{
	GLOBAL_ID(i, n);
	x[x_offset + i] = value;
}

__kernel void fill_int(__global int *x, ulong x_offset, int value, int n)
{
	GLOBAL_ID(i, n);
	x[x_offset + i] = value;
}

__kernel void copy(__global const int *x, ulong x_offset, __global int *y, ulong y_offset, int n)
{
	GLOBAL_ID(i, n);
	y[y_offset + i] = x[x_offset + i];
}

/* y = alpha x + beta y; at beta 0 y is not read. */
__kernel void axpby(float alpha, __global const float *x, ulong x_offset, float beta, __global float *y, ulong y_offset,
                    int n)
{
	GLOBAL_ID(i, n);
	x += x_offset;
	y += y_offset;
	y[i] = beta == 0.0f ? alpha * x[i] : fma(beta, y[i], alpha * x[i]);
}

static void store_sum(__global float *y, float sum, float alpha, float beta)
{
	*y = beta == 0.0f ? alpha * sum : fma(beta, *y, alpha * sum);
}

/* x [outer][reduced][inner]; y [outer][chunks][inner] = alpha * sums over `chunk` values + beta * y. */
__kernel void sum_outer(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int reduced,
                        int inner, int chunk, int chunks, float alpha, float beta, int n)
{
	GLOBAL_ID(id, n);
	const int i = id % inner, c = id / inner % chunks, o = id / inner / chunks;
	const int from = c * chunk, to = min(from + chunk, reduced);
	float sum = 0.0f;

	x += x_offset + (size_t)o * reduced * inner + i;
	/* In two steps, so that the rounding error does not grow with the number of values. */
	for (int r = from; r < to;) {
		const int stop = min(r + 32, to);
		float part = 0.0f;

		for (; r < stop; r++)
			part += x[(size_t)r * inner];
		sum += part;
	}
	store_sum(y + y_offset + id, sum, alpha, beta);
}

/* The same for inner 1: sixteen sums side by side, added up at the end. */
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

/* y = alpha x[0] + beta y */
__kernel void expand_one(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, float alpha,
                         float beta, int n)
{
	GLOBAL_ID(i, n);
	store_sum(y + y_offset + i, x[x_offset], alpha, beta);
}

/* y = alpha x + beta y, with x repeated along the dimensions of y (innermost first) whose stride is 0. */
__kernel void expand(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, float alpha,
                     float beta, int n, int8 size, int8 stride)
{
	GLOBAL_ID(id, n);
	int sizes[8], strides[8], i = id, at = 0;

	vstore8(size, 0, sizes);
	vstore8(stride, 0, strides);
	for (int d = 0; d < 8 && i > 0; d++) {
		at += i % sizes[d] * strides[d];
		i /= sizes[d];
	}
	store_sum(y + y_offset + id, x[x_offset + at], alpha, beta);
}
