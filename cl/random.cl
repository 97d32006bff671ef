/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draws of random numbers into a tensor. A work-item makes PHILOX_WIDTH blocks of four consecutive values: one block
 * where the work-items themselves run side by side, as on a GPU; 16 in explicit vectors on a CPU, where that is about
 * ten times faster. Value i of the draw is word i % 4 of block i / 4, so the vectors, which hold one word of 16 blocks
 * each, are interleaved before they are stored.
 */
#include "philox.clh"

#define VALUES (4 * PHILOX_WIDTH)

#if PHILOX_WIDTH == 1
#define LANES       0u
#define STORE(v, x) vstore4((float4)((v)[0], (v)[1], (v)[2], (v)[3]), 0, (x))
#elif PHILOX_WIDTH == 16
#define LANES      ((uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#define QUAD(v, i) (v)[0].s##i, (v)[1].s##i, (v)[2].s##i, (v)[3].s##i
#define STORE(v, x)                                                                                                    \
	do {                                                                                                           \
		vstore16((float16)(QUAD(v, 0), QUAD(v, 1), QUAD(v, 2), QUAD(v, 3)), 0, (x));                           \
		vstore16((float16)(QUAD(v, 4), QUAD(v, 5), QUAD(v, 6), QUAD(v, 7)), 1, (x));                           \
		vstore16((float16)(QUAD(v, 8), QUAD(v, 9), QUAD(v, a), QUAD(v, b)), 2, (x));                           \
		vstore16((float16)(QUAD(v, c), QUAD(v, d), QUAD(v, e), QUAD(v, f)), 3, (x));                           \
	} while (0)
#endif

/* The words of the blocks that begin at value `first`. */
static void draw(philox_word w[4], uint first, ulong seed, ulong counter)
{
	philox_draw(w, first / 4 + LANES, 0, seed, counter);
}

/* Stores as many of the values as the n that are left of the tensor. */
static void store(__global float *x, uint n, const philox_real v[4])
{
	float part[VALUES];

	if (n >= VALUES) {
		STORE(v, x);
		return;
	}
	STORE(v, part);
	for (uint i = 0; i < n; i++)
		x[i] = part[i];
}

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
