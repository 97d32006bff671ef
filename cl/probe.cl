/* SPDX-License-Identifier: Apache-2.0 */
/* What the device can do: the two limits that kernels are measured by. */

__kernel void probe_copy(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int n)
{
	GLOBAL_ID(i, n);
	y[y_offset + i] = x[x_offset + i];
}

/* 2 * 12 * lanes operations a round, twelve of them at a time in flight: as many sums as have room in registers. */
#if FLOAT_VECTOR == 8
#define FLOATS float8
#else
#define FLOATS float16
#endif

__kernel void probe_multiply_add(__global float *y, ulong y_offset, float a, int rounds, int n)
{
	GLOBAL_ID(i, n);
	const FLOATS m = 0.5f * a;
	FLOATS s[12];

	for (int j = 0; j < 12; j++)
		s[j] = (float)(i + j);
	for (int r = 0; r < rounds; r++) {
#pragma unroll
		for (int j = 0; j < 12; j++)
			s[j] = s[j] * m + m;
	}
	for (int j = 1; j < 12; j++)
		s[0] += s[j];
	y[y_offset + i] = s[0].s0 + s[0].s5 + s[0].hi.s3;
}
