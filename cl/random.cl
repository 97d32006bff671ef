/* SPDX-License-Identifier: Apache-2.0 */
/* Uniform and normal values, which most initializers are made of. */
#include "random.clh"

/* x = lo + u (hi - lo), rounded once. `last` is the largest float below hi, in case that rounds up to hi. */
RANDOM_KERNEL void uniform(__global float *x, ulong x_offset, uint n, float lo, float range, float last, ulong seed,
			   ulong counter)
{
	FOR_STEPS(first, n)
	{
		philox_word w[4];
		philox_real v[4];

		draw(w, first, seed, counter);
#define VALUE(i) v[i] = min(philox_fma(philox_uniform(w[i]), PHILOX_REAL(range), PHILOX_REAL(lo)), PHILOX_REAL(last))
		FOUR(VALUE);
#undef VALUE
		store(x + x_offset + first, n - first, v);
	}
}

/* x = mean + z std, rounded once. */
RANDOM_KERNEL void normal(__global float *x, ulong x_offset, uint n, float mean, float std, ulong seed, ulong counter)
{
	FOR_STEPS(first, n)
	{
		philox_word w[4];
		philox_real v[4];

		draw(w, first, seed, counter);
		philox_normal(w, v);
#define VALUE(i) v[i] = philox_fma(v[i], PHILOX_REAL(std), PHILOX_REAL(mean))
		FOUR(VALUE);
#undef VALUE
		store(x + x_offset + first, n - first, v);
	}
}
