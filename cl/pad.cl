/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borders from the tensor itself, along one dimension: x [outer][in][inner], y [outer][out][inner], element o of y
 * standing at o - before. The modes are those of clef_pad_mode.
 */
#define REFLECT   1
#define REPLICATE 2
#define CIRCULAR  3

/* Which element of x stands at i, before, in or behind it. */
static int source(int i, int in, int mode)
{
	if (mode == REFLECT)
		return i < 0 ? -i : i < in ? i : 2 * (in - 1) - i;
	if (mode == REPLICATE)
		return clamp(i, 0, in - 1);
	return i < 0 ? i + in : i < in ? i : i - in;
}

__kernel void pad(__global const int *x, ulong x_offset, __global int *y, ulong y_offset, float unused, int mode,
                  int in, int out, int inner, int before, int n)
{
	GLOBAL_ID(id, n);
	const int o = id / inner % out;
	const size_t row = (size_t)(id / inner / out) * in + source(o - before, in, mode);

	y[y_offset + id] = x[x_offset + row * inner + id % inner];
}

/* dy[o], or 0 outside of y. */
static float gradient_at(__global const float *dy, int o, int out, int inner)
{
	return o >= 0 && o < out ? dy[(size_t)o * inner] : 0.0f;
}

/* dx = beta dx + what stands in y wherever this element does, from left to right. */
__kernel void pad_backward(__global const float *dy, ulong dy_offset, __global float *dx, ulong dx_offset, float beta,
                           int mode, int in, int out, int inner, int before, int n)
{
	GLOBAL_ID(id, n);
	const int i = id / inner % in, at = i + before;
	float sum = 0.0f;

	dy += dy_offset + (size_t)(id / inner / in) * out * inner + id % inner;
	if (mode == REPLICATE) {
		const int from = i == 0 ? 0 : max(at, 0), to = i == in - 1 ? out - 1 : min(at, out - 1);

		for (int o = from; o <= to; o++)
			sum += dy[(size_t)o * inner];
	} else if (mode == REFLECT) {
		sum += i > 0 ? gradient_at(dy, before - i, out, inner) : 0.0f;
		sum += gradient_at(dy, at, out, inner);
		sum += i < in - 1 ? gradient_at(dy, before + 2 * (in - 1) - i, out, inner) : 0.0f;
	} else {
		sum += gradient_at(dy, at - in, out, inner);
		sum += gradient_at(dy, at, out, inner);
		sum += gradient_at(dy, at + in, out, inner);
	}
	dx += dx_offset + id;
	*dx = beta == 0.0f ? sum : fma(beta, *dx, sum);
}
