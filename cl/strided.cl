/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between regular patterns of elements. */
#include "runs.clh"

/* y = x, whatever the bits mean. */
__kernel void strided_copy(__global const int *x, ulong x_offset, __global int *y, ulong y_offset, float unused,
                           int8 cut, int8 size, int8 x_step, int8 y_step, int items)
{
	GLOBAL_ID(id, items);
	const run r = find_run(id, cut, size, x_step, y_step);

	x += x_offset + r.x;
	y += y_offset + r.y;
	EACH_OF_RUN(r, x_step.s0, y_step.s0, y[at_y] = x[at_x];)
}

/* y = x + beta y. */
__kernel void strided_add(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, float beta,
                          int8 cut, int8 size, int8 x_step, int8 y_step, int items)
{
	GLOBAL_ID(id, items);
	const run r = find_run(id, cut, size, x_step, y_step);

	x += x_offset + r.x;
	y += y_offset + r.y;
	EACH_OF_RUN(r, x_step.s0, y_step.s0, y[at_y] = fma(beta, y[at_y], x[at_x]);)
}
