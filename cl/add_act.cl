/* SPDX-License-Identifier: Apache-2.0 */
/* y = activation(a + b), of one shape. */
#include "activation.clh"

__kernel void add_act(__global const float *a, ulong a_offset, __global const float *b, ulong b_offset,
                      __global float *y, ulong y_offset, float p, float q, int n)
{
	GLOBAL_ID(i, n);
	y[y_offset + i] = activate(a[a_offset + i] + b[b_offset + i], p, q);
}
