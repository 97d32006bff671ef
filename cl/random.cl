/* SPDX-License-Identifier: Apache-2.0 */
/* Uniform and normal values, which most initializers are made of. */
#include "random.clh"

/* x = lo + u (hi - lo), rounded once. `last` is the largest float below hi, in case that rounds up to hi. */
__kernel void uniform(__global float *x, ulong x_offset, uint n, float lo, float range, float last, ulong seed,
		      ulong counter)
{
	const uint first = (uint)get_global_id(0) * VALUES;
	philox_word w[4];
	philox_real v[4];

	if (first >= n)
		return;
	draw(w, first, seed, counter);
	for (int i = 0; i < 4; i++)
		v[i] = min(philox_fma(philox_uniform(w[i]), PHILOX_REAL(range), PHILOX_REAL(lo)), PHILOX_REAL(last));
	store(x + x_offset + first, n - first, v);
}

/* x = mean + z std, rounded once. */
__kernel void normal(__global float *x, ulong x_offset, uint n, float mean, float std, ulong seed, ulong counter)
{
	const uint first = (uint)get_global_id(0) * VALUES;
	philox_word w[4];
	philox_real v[4];

	if (first >= n)
		return;
	draw(w, first, seed, counter);
	philox_normal(w, v);
	for (int i = 0; i < 4; i++)
		v[i] = philox_fma(v[i], PHILOX_REAL(std), PHILOX_REAL(mean));
	store(x + x_offset + first, n - first, v);
}
