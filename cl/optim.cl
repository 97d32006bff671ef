/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A step of an optimizer over a range of the collated parameters. The host defines RULE, a function of optim_rules.clh,
 * and STATES, how many states it has; the others of the three are not touched. This runs at the speed of memory, which
 * is why values, gradients and states are each read and written once, by vectors.
 */
#include "optim.clh"
#include "optim_rules.clh"

__kernel void update(__global float *restrict w, ulong w_offset, __global const float *restrict g, ulong g_offset,
		     __global float *restrict s0, ulong s0_offset, __global float *restrict s1, ulong s1_offset,
		     __global float *restrict s2, ulong s2_offset, __global const float *control, ulong control_offset,
		     __global const float *ratios, ulong ratios_offset, int n, NUMBERS)
{
	GLOBAL_ID(i, n);
	GET_NUMBERS(c, k, PARAMETER(i / (BLOCK / ITEM)));
	const ulong from = (ulong)i * ITEM;
	float factor = 1.0f, ratio = 1.0f;

	if (ACTIVE(c) == 0.0f)
		return;
#ifdef CONTROL
	control += control_offset;
	if (control[CONTROL_SKIP] != 0.0f)
		return;
	factor = control[CONTROL_FACTOR];
#endif
#ifdef RATIO
	ratio = ratios[ratios_offset + PARAMETER(i / (BLOCK / ITEM))];
#endif
	w += w_offset + from;
	g += g_offset + from;
	s0 += s0_offset + from;
	s1 += s1_offset + from;
	s2 += s2_offset + from;
	for (int j = 0; j < ITEM; j += LANES) {
		real x = load_next(w + j), d = factor * gradient(g + j, c), s[3];

#if STATES > 0
		s[0] = load_next(s0 + j);
#endif
#if STATES > 1
		s[1] = load_next(s1 + j);
#endif
#if STATES > 2
		s[2] = load_next(s2 + j);
#endif
		d = decayed(d, x, L2(c));
		x = SHRUNK(x, c);
		RULE(&x, d, s, k, RATE(c), ratio);
		STORE_GLOBAL(w + j, x);
#if STATES > 0
		STORE_GLOBAL(s0 + j, s[0]);
#endif
#if STATES > 1
		STORE_GLOBAL(s1 + j, s[1]);
#endif
#if STATES > 2
		STORE_GLOBAL(s2 + j, s[2]);
#endif
	}
}
