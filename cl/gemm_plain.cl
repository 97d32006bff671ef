/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product that fits every device: no local memory, no barrier, any work-group size. A work-item computes
 * four rows of one column; neighbours in a work-group share the elements of A and read neighbouring ones of B.
 */
#include "activation.clh"

/* C = value(alpha op(A) op(B) + bias + beta C); element (i, l) of op(A) is a[i * a_row + l * a_col], and so on. */
__kernel void gemm_plain(__global const float *a, ulong a_offset, int a_row, int a_col, ulong a_step,
                         __global const float *b, ulong b_offset, int b_row, int b_col, ulong b_step, __global float *c,
                         ulong c_offset, int ldc, ulong c_step, int m, int n, int k, float alpha, float beta,
                         __global const float *bias, ulong bias_offset, int has_bias, float p, float q)
{
	const int j = (int)get_global_id(0);
	const int i = 4 * (int)get_global_id(1);
	const size_t matrix = get_global_id(2);
	float sum[4] = { 0.0f, 0.0f, 0.0f, 0.0f };

	if (j >= n)
		return;
	a += a_offset + matrix * a_step + (size_t)i * a_row;
	b += b_offset + matrix * b_step + (size_t)j * b_col;
	c += c_offset + matrix * c_step + (size_t)i * ldc + j;
	const int rows = min(4, m - i);
	const float add = has_bias ? bias[bias_offset + j] : 0.0f;
	/* Rows beyond the last repeat it: cheaper than a branch, and their sums are not stored. */
	const size_t r1 = (size_t)min(1, rows - 1) * a_row, r2 = (size_t)min(2, rows - 1) * a_row,
	             r3 = (size_t)min(3, rows - 1) * a_row;

	for (int l = 0; l < k; l++) {
		__global const float *al = a + (size_t)l * a_col;
		const float bl = b[(size_t)l * b_row];

		sum[0] = fma(al[0], bl, sum[0]);
		sum[1] = fma(al[r1], bl, sum[1]);
		sum[2] = fma(al[r2], bl, sum[2]);
		sum[3] = fma(al[r3], bl, sum[3]);
	}
	for (int r = 0; r < rows; r++) {
		__global float *cr = c + (size_t)r * ldc;
		const float product = alpha * sum[r] + add;

		*cr = activate(beta == 0.0f ? product : fma(beta, *cr, product), p, q);
	}
}
