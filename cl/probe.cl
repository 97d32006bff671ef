/* SPDX-License-Identifier: Apache-2.0 */
/* What the device can do: the two limits that kernels are measured by. */

__kernel void probe_copy(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int n)
{
	GLOBAL_ID(i, n);
	y[y_offset + i] = x[x_offset + i];
}

/* 2 * 16 * 12 operations a round, twelve of them at a time in flight. */
__kernel void probe_multiply_add(__global float *y, ulong y_offset, float a, int rounds, int n)
{
	GLOBAL_ID(i, n);
	const float16 m = 0.5f * a;
	float16 s[12];

	for (int j = 0; j < 12; j++)
		s[j] = (float)(i + j);
	for (int r = 0; r < rounds; r++) {
#pragma unroll
		for (int j = 0; j < 12; j++)
			s[j] = s[j] * m + m;
	}
	for (int j = 1; j < 12; j++)
		s[0] += s[j];
	y[y_offset + i] = s[0].s0 + s[0].s5 + s[0].sf;
}
