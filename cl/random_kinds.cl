/* SPDX-License-Identifier: Apache-2.0 */
/* The less common draws: exponential values, zeros and ones, integers. */
#include "random.clh"

/* x = -ln(u) / rate, with half_mean = 1 / (2 rate). */
__kernel void exponential(__global float *x, ulong x_offset, uint n, float half_mean, ulong seed, ulong counter)
{
	const uint first = (uint)get_global_id(0) * VALUES;
	philox_word w[4];
	philox_real v[4];

	if (first >= n)
		return;
	draw(w, first, seed, counter);
	for (int i = 0; i < 4; i++)
		v[i] = philox_log(w[i]) * PHILOX_REAL(half_mean);
	store(x + x_offset + first, n - first, v);
}

/* x = u < p. */
__kernel void bernoulli(__global float *x, ulong x_offset, uint n, float p, ulong seed, ulong counter)
{
	const uint first = (uint)get_global_id(0) * VALUES;
	philox_word w[4];
	philox_real v[4];

	if (first >= n)
		return;
	draw(w, first, seed, counter);
	for (int i = 0; i < 4; i++)
		v[i] = philox_uniform(w[i]) < p ? PHILOX_REAL(1.0f) : PHILOX_REAL(0.0f);
	store(x + x_offset + first, n - first, v);
}

/* x = lo + r, 0 <= r < range. The sums wrap, as the range may be larger than what an int holds. */
__kernel void integers(__global uint *x, ulong x_offset, uint n, uint lo, uint range, uint excess, ulong seed,
		       ulong counter)
{
	const uint first = (uint)get_global_id(0) * VALUES;
	philox_word w[4] = { PHILOX_WORD(0u), PHILOX_WORD(0u), PHILOX_WORD(0u), PHILOX_WORD(0u) };
	uint part[VALUES];

	if (first >= n)
		return;
	x += x_offset + first;
	philox_below(w, range, excess, first / 4 + LANES, 0, seed, counter);
	for (int i = 0; i < 4; i++)
		w[i] += lo;
	if (n - first >= VALUES) {
		STORE(uint, w, x);
		return;
	}
	STORE(uint, w, part);
	for (uint i = 0; i < n - first; i++)
		x[i] = part[i];
}
