/* SPDX-License-Identifier: Apache-2.0 */
/* Normal values within bounds. */
#include "random.clh"
#include "trunc_normal.clh"

RANDOM_KERNEL void trunc_normal_fill(__global float *x, ulong x_offset, uint n, int method, float base, float slope, float a,
				float b, float c, float lo, float hi, float rest, ulong seed, ulong counter)
{
	const trunc_normal t = { method, base, slope, a, b, c, lo, hi, rest };

	FOR_STEPS(first, n)
	{
		philox_real v[4];

		trunc_normal_block(v, t, first / 4 + LANES, 0, seed, counter);
		store(x + x_offset + first, n - first, v);
	}
}
