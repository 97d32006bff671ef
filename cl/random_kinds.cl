/* SPDX-License-Identifier: Apache-2.0 */
/* The less common draws: exponential values, zeros and ones, integers. */
#include "random.clh"

/* x = -ln(u) / rate, with half_mean = 1 / (2 rate). */
RANDOM_KERNEL void exponential(__global float *x, ulong x_offset, uint n, float half_mean, ulong seed, ulong counter)
{
	FOR_STEPS(first, n)
	{
		philox_word w[4];
		philox_real v[4];

		draw(w, first, seed, counter);
#define VALUE(i) v[i] = philox_log(w[i]) * PHILOX_REAL(half_mean)
		FOUR(VALUE);
#undef VALUE
		store(x + x_offset + first, n - first, v);
	}
}

/* x = u < p. */
RANDOM_KERNEL void bernoulli(__global float *x, ulong x_offset, uint n, float p, ulong seed, ulong counter)
{
	FOR_STEPS(first, n)
	{
		philox_word w[4];
		philox_real v[4];

		draw(w, first, seed, counter);
#define VALUE(i) v[i] = philox_uniform(w[i]) < p ? PHILOX_REAL(1.0f) : PHILOX_REAL(0.0f)
		FOUR(VALUE);
#undef VALUE
		store(x + x_offset + first, n - first, v);
	}
}

/* y = u < p, for a p to each value. */
RANDOM_KERNEL void bernoulli_each(__global const float *p, ulong p_offset, __global float *y, ulong y_offset, uint n,
				  ulong seed, ulong counter)
{
	p += p_offset;
	y += y_offset;
	FOR_STEPS(first, n)
	{
		philox_word w[4];
		philox_real v[4];
		float u[VALUES];

		draw(w, first, seed, counter);
#define VALUE(i) v[i] = philox_uniform(w[i])
		FOUR(VALUE);
#undef VALUE
		STORE(float, , v, u);
		for (uint i = 0; i < min(n - first, (uint)VALUES); i++)
			y[first + i] = u[i] < p[first + i] ? 1.0f : 0.0f;
	}
}

/* x = lo + r, 0 <= r < range. The sums wrap, as the range may be larger than what an int holds. */
RANDOM_KERNEL void integers(__global uint *x, ulong x_offset, uint n, uint lo, uint range, uint excess, ulong seed,
			    ulong counter)
{
	x += x_offset;
	FOR_STEPS(first, n)
	{
		philox_word w[4] = { PHILOX_WORD(0u), PHILOX_WORD(0u), PHILOX_WORD(0u), PHILOX_WORD(0u) };
		uint part[VALUES];

		philox_below(w, range, excess, first / 4 + LANES, 0, seed, counter);
#define VALUE(i) w[i] += lo
		FOUR(VALUE);
#undef VALUE
		if (n - first >= VALUES) {
			STORE(uint, __global, w, x + first);
			continue;
		}
		STORE(uint, , w, part);
		for (uint i = 0; i < n - first; i++)
			x[first + i] = part[i];
	}
}
