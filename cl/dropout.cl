/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropout: y = x scale where the value's random number is not below p, else x 0 (so that NaN stays NaN). Value i has
 * word i % 4 of Philox block i / 4, as in random.cl, and so have a work-item's values their layout: blocks of four on a
 * GPU, 16 such blocks in explicit vectors on a CPU. The mask is nowhere stored; backward draws it again.
 */
#include "divide.clh"
#include "philox.clh"

#define VALUES (4 * PHILOX_WIDTH)

#if PHILOX_WIDTH == 1
#define LANES 0u
#elif PHILOX_WIDTH == 16
#define LANES      ((uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#define QUAD(v, i) (v)[0].s##i, (v)[1].s##i, (v)[2].s##i, (v)[3].s##i
#endif

/* The factors of the VALUES values from `first` on. threshold: p 2^24, rounded up. */
static void draw(float *factor, uint first, uint threshold, float scale, ulong seed, ulong counter)
{
	philox_word w[4];
	philox_real v[4];

	philox_draw(w, first / 4 + LANES, 0, seed, counter);
	for (int i = 0; i < 4; i++)
		v[i] = w[i] >> 8 < threshold ? PHILOX_REAL(0.0f) : PHILOX_REAL(scale);
#if PHILOX_WIDTH == 1
	vstore4((float4)(v[0], v[1], v[2], v[3]), 0, factor);
#else
	vstore16((float16)(QUAD(v, 0), QUAD(v, 1), QUAD(v, 2), QUAD(v, 3)), 0, factor);
	vstore16((float16)(QUAD(v, 4), QUAD(v, 5), QUAD(v, 6), QUAD(v, 7)), 1, factor);
	vstore16((float16)(QUAD(v, 8), QUAD(v, 9), QUAD(v, a), QUAD(v, b)), 2, factor);
	vstore16((float16)(QUAD(v, c), QUAD(v, d), QUAD(v, e), QUAD(v, f)), 3, factor);
#endif
}

/* y = x factor + beta y. */
__kernel void dropout(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, float beta,
                      uint threshold, float scale, ulong seed, ulong counter, uint n)
{
	const uint first = (uint)get_global_id(0) * VALUES;
	float factor[VALUES];

	if (first >= n)
		return;
	x += x_offset + first;
	y += y_offset + first;
	draw(factor, first, threshold, scale, seed, counter);
	for (uint i = 0; i < min(n - first, (uint)VALUES); i++)
		y[i] = beta == 0.0f ? x[i] * factor[i] : fma(beta, y[i], x[i] * factor[i]);
}

/* The factors alone, n of them. */
__kernel void dropout_factors(__global float *y, ulong y_offset, uint threshold, float scale, ulong seed, ulong counter,
                              uint n)
{
	const uint first = (uint)get_global_id(0) * VALUES;
	float factor[VALUES];

	if (first >= n)
		return;
	y += y_offset + first;
	draw(factor, first, threshold, scale, seed, counter);
	for (uint i = 0; i < min(n - first, (uint)VALUES); i++)
		y[i] = factor[i];
}

/* y = x factor + beta y, with a factor for each `inner` elements. */
__kernel void dropout_channels(__global const float *x, ulong x_offset, __global const float *factor,
                               ulong factor_offset, __global float *y, ulong y_offset, float beta, ulong by_inner,
                               int n)
{
	GLOBAL_ID(i, n);
	const float v = x[x_offset + i] * factor[factor_offset + divide(i, by_inner)];

	y += y_offset + i;
	*y = beta == 0.0f ? v : fma(beta, *y, v);
}
