/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One loss of an element and its target: VALUE as an expression of x, the target t and the parameter p, and GRADIENT
 * and TARGET_GRADIENT, what dy is multiplied with. The rows are in src/ops/loss.c.
 */
#include "pointwise.clh"

/* fmax() would give the limit for a NaN. */
static float at_least(float x, float limit)
{
	return x < limit ? limit : x;
}

static float limited(float x, float limit)
{
	return x < -limit ? -limit : x > limit ? limit : x;
}

static float smooth_l1(float d, float beta)
{
	return d < beta ? 0.5f * d * d / beta : d - 0.5f * beta;
}

/* At beta 0 the slope of |d|. */
static float smooth_l1_slope(float d, float beta)
{
	return beta == 0.0f ? sign(d) : limited(d / beta, 1.0f);
}

__kernel void loss_forward(__global const float *in, ulong in_offset, __global const float *target, ulong target_offset,
			   __global float *out, ulong out_offset, float p, int n)
{
	GLOBAL_ID(i, n);
	const float x = in[in_offset + i], t = target[target_offset + i];

	out[out_offset + i] = VALUE;
}

/* side 0: the gradient to x, 1: to the target. dy has one element for each loss, or one for their scaled sum. */
__kernel void loss_backward(__global const float *in, ulong in_offset, __global const float *target,
			    ulong target_offset, __global const float *dout, ulong dout_offset, __global float *din,
			    ulong din_offset, float p, int side, float scale, int each, float accumulate, int n)
{
	GLOBAL_ID(i, n);
	const float x = in[in_offset + i], t = target[target_offset + i];
	const float dy = scale * dout[dout_offset + (each ? i : 0)];
	float slope;

	if (side == 0)
		slope = GRADIENT;
	else
		slope = TARGET_GRADIENT;
	din += din_offset + i;
	*din = accumulate == 0.0f ? dy * slope : fma(accumulate, *din, dy * slope);
}
