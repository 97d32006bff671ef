/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to do to C besides the product, for engines that leave it and where there is nothing to sum. */
#include "activation.clh"

/* C = value(beta C + bias), the bias in every row if there is one, and 0 where the gate, if there is one, is 0 or less.
 * At beta 0 C is not read. */
__kernel void gemm_finish(__global float *c, ulong c_offset, int ldc, ulong c_step, int m, int n, float beta,
                          __global const float *bias, ulong bias_offset, int has_bias, float p, float q,
                          __global const float *gate, ulong gate_offset, int has_gate)
{
	const int j = (int)get_global_id(0);
	const int i = (int)get_global_id(1);

	if (j >= n)
		return;
	const size_t at = get_global_id(2) * c_step + (size_t)i * ldc + j;

	c += c_offset + at;
	const float add = has_bias ? bias[bias_offset + j] : 0.0f;

	*c = has_gate && gate[gate_offset + at] <= 0.0f
	             ? 0.0f
	             : activate(beta == 0.0f ? add : fma(beta, *c, add), p, q);
}
