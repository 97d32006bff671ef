/* SPDX-License-Identifier: Apache-2.0 */
/* All tiles of a stored transpose of B, for products that will be computed more than once. */
#define PACKED
#include "gemm_cpu_pack.clh"

/* packed [n / NR][k][NR]. A work-item makes one vector of a tile. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void gemm_cpu_pack(__global const float *b, ulong b_offset,
                                                                           int ldb, __global float *packed,
                                                                           ulong packed_offset, int n, int k)
{
	const int j = (int)get_global_id(0) * VECTOR, from = min(j, n - 1);

	pack_columns(b + b_offset + (size_t)from * ldb, ldb, min(VECTOR, n - from), k,
	             packed + packed_offset + (size_t)(j / NR) * k * NR + j % NR);
}
