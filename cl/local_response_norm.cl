/* SPDX-License-Identifier: Apache-2.0 */
/* Local response normalization of x [outer][channels][inner]. A work-item is an element. */
#include "divide.clh"

/* s^-power. pow is slow on a CPU, where it is no vector operation, and nearly all use the default. */
static float inverse_power(float s, float power)
{
	return power == 0.75f ? 1.0f / (sqrt(s) * sqrt(sqrt(s))) : pow(s, -power);
}

/* base = k + alpha / size times the sum of squares over the channels c - size / 2 to c + (size - 1) / 2;
 * y = x base^-beta. */
__kernel void lrn_forward(__global const float *x, ulong x_offset, __global float *base, ulong base_offset,
                          __global float *y, ulong y_offset, int channels, int inner, ulong by_inner,
                          ulong by_channels, int size, float share, float power, float k, int n)
{
	GLOBAL_ID(i, n);
	const int q = divide(i, by_inner), c = q - divide(q, by_channels) * channels;
	const int from = max(-(size / 2), -c), to = min((size - 1) / 2, channels - 1 - c);
	float sum = 0.0f;

	x += x_offset + i;
	for (int d = from; d <= to; d++) {
		const float v = x[(long)d * inner];

		sum += v * v;
	}
	const float s = k + share * sum;

	base[base_offset + i] = s;
	y[y_offset + i] = *x * inverse_power(s, power);
}

/* x is in the windows of the channels c - (size - 1) / 2 to c + size / 2. */
__kernel void lrn_backward(__global const float *x, ulong x_offset, __global const float *base, ulong base_offset,
                           __global const float *y, ulong y_offset, __global const float *dy, ulong dy_offset,
                           __global float *dx, ulong dx_offset, float beta, int channels, int inner,
                           ulong by_inner, ulong by_channels, int size, float share, float power, int n)
{
	GLOBAL_ID(i, n);
	const int q = divide(i, by_inner), c = q - divide(q, by_channels) * channels;
	const int from = max(-((size - 1) / 2), -c), to = min(size / 2, channels - 1 - c);
	float sum = 0.0f;

	base += base_offset + i;
	y += y_offset + i;
	dy += dy_offset + i;
	dx += dx_offset + i;
	for (int d = from; d <= to; d++) {
		const long at = (long)d * inner;

		sum += dy[at] * y[at] / base[at];
	}
	const float v = *dy * inverse_power(*base, power) - 2.0f * share * power * x[x_offset + i] * sum;

	*dx = beta == 0.0f ? v : fma(beta, *dx, v);
}
