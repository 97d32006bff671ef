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
