/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pointwise operation of one operand: VALUE is y as an expression of x, GRADIENT is dx as an expression of x, y and
 * dy, and PARAMETERS declares the names that both may use besides. The rows are in pointwise.def.
 */

#include "pointwise.clh"

#define X_OR_Y (p_ < 0.0f ? x : y)

__kernel void unary_forward(__global const float *in, ulong in_offset, __global float *out, ulong out_offset, float p_,
                            float q_, int n)
{
	GLOBAL_ID(i, n);
	PARAMETERS
	const float x = in[in_offset + i];

	out[out_offset + i] = VALUE;
}

__kernel void unary_backward(__global const float *in, ulong in_offset, __global const float *out, ulong out_offset,
                             __global const float *dout, ulong dout_offset, __global float *din, ulong din_offset,
                             float p_, float q_, float accumulate, int n)
{
	GLOBAL_ID(i, n);
	const float before = accumulate == 0.0f ? 0.0f : accumulate * din[din_offset + i];
	float term;
	{
		PARAMETERS
		const float x = in[in_offset + i];
		const float y = out[out_offset + i];
		const float dy = dout[dout_offset + i];

		term = GRADIENT;
	}
	din[din_offset + i] = before + term;
}
