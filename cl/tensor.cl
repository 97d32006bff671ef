/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on whole tensors: filling, copying, adding up. */
#include "runs.clh"

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
