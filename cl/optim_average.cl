/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges two arrays. */
__kernel void swap(__global float *x, ulong x_offset, __global float *y, ulong y_offset, int n)
{
	GLOBAL_ID(i, n);

	x += x_offset;
	y += y_offset;

	const float kept = x[i];

	x[i] = y[i];
	y[i] = kept;
}
