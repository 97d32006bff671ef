/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the device can do: the limits that kernels are measured by. Vectors are as wide as the device's registers: wider
 * ones would not all fit into them, and multiply-adds would wait for memory.
 */

#if FLOAT_VECTOR >= 16
#define LANES 16
#define VEC   float16
#define FIRST (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#elif FLOAT_VECTOR >= 8
#define LANES 8
#define VEC   float8
#define FIRST (float8)(0, 1, 2, 3, 4, 5, 6, 7)
#elif FLOAT_VECTOR >= 4
#define LANES 4
#define VEC   float4
#define FIRST (float4)(0, 1, 2, 3)
#else
#define LANES 1
#define VEC   float
#define FIRST 0.0f
#endif

#ifdef FP_FAST_FMAF
#define MULTIPLY_ADD fma
#else
#define MULTIPLY_ADD mad
#endif

__kernel void probe_launch(__global float *y, ulong y_offset, float value)
{
	y[y_offset + get_global_id(0)] = value;
}

/* Each of n items copies, or adds up, `count` vectors of four: its own run on a CPU; on a GPU neighbours read what lies
 * side by side. */
#ifdef DEVICE_IS_CPU
#define WIDE    float16
#define VECTORS (count / 4)
#define AT(k)   ((size_t)i * VECTORS + (k))
#else
#define WIDE    float4
#define VECTORS count
#define AT(k)   ((size_t)(k)*n + i)
#endif

__kernel void probe_copy(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int count, int n)
{
	GLOBAL_ID(i, n);
	__global const WIDE *from = (__global const WIDE *)(x + x_offset);
	__global WIDE *to = (__global WIDE *)(y + y_offset);

	for (int k = 0; k < VECTORS; k++)
		to[AT(k)] = from[AT(k)];
}

__kernel void probe_read(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int count, int n)
{
	GLOBAL_ID(i, n);
	__global const WIDE *from = (__global const WIDE *)(x + x_offset);
	WIDE s0 = 0, s1 = 0, s2 = 0, s3 = 0;

	for (int k = 0; k + 4 <= VECTORS; k += 4) {
		s0 += from[AT(k)];
		s1 += from[AT(k + 1)];
		s2 += from[AT(k + 2)];
		s3 += from[AT(k + 3)];
	}
	s0 += s1 + (s2 + s3);
#ifdef DEVICE_IS_CPU
	y[y_offset + i] = sum16(s0);
#else
	y[y_offset + i] = s0.x + s0.y + (s0.z + s0.w);
#endif
}

/* 2 * LANES * 12 operations a round, twelve of them at a time in flight; all values stay between 0 and the first. Each
 * item leaves LANES values: were one of them not needed, a compiler might not compute it. */
__kernel void probe_multiply_add(__global float *y, ulong y_offset, float a, int rounds, int n)
{
	GLOBAL_ID(i, n);
	const VEC m = 0.5f * a;
	VEC s[12];

	for (int j = 0; j < 12; j++)
		s[j] = FIRST + (float)(j + 1);
	for (int r = 0; r < rounds; r++) {
#pragma unroll
		for (int j = 0; j < 12; j++)
			s[j] = MULTIPLY_ADD(s[j], m, m);
	}
	for (int j = 1; j < 12; j++)
		s[0] += s[j];
	((__global VEC *)(y + y_offset))[i] = s[0];
}
