/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization by the batch, for CPUs: a work-item is a channel, of which one pass brings the elements into the cache
 * and the next finds them there, so that statistics and result, or sums and gradient, cost one pass over memory. The
 * formulas are those of norm_stats.cl and norm.cl.
 *
 * x is [outer][channels][inner], a group is a channel. Runs of neighbours are summed up in sixteen lanes, and the lanes
 * every RUN elements, so that rounding errors do not grow with the length of a channel.
 */
#define ACTIVATION_16
#include "activation.clh"
#include "norm.clh"
#include "vector.clh"

#define RUN 1024

/* BODY sees `at`, the first of `n` neighbours of channel c. */
#define FOR_CHANNEL(BODY)                                                                                              \
	for (int o_ = 0; o_ < outer; o_++)                                                                             \
		for (int from_ = 0; from_ < inner; from_ += RUN) {                                                     \
			const size_t at = ((size_t)o_ * channels + c) * inner + from_;                                 \
			const int n = min(RUN, inner - from_);                                                         \
                                                                                                                       \
			BODY                                                                                           \
		}

/* After n more elements in the lanes: puts them away where it is time to. */
#define SETTLE(n)                                                                                                      \
	pending += n;                                                                                                  \
	if (pending >= RUN) {                                                                                          \
		total += (float2)(sum16(first), sum16(second));                                                        \
		first = second = 0.0f;                                                                                 \
		pending = 0;                                                                                           \
	}

/* move: 1 to move the running statistics, which are not touched otherwise. */
__kernel void norm_train(__global const float *x, ulong x_offset, __global float *stats, ulong stats_offset,
                         __global const float *w, ulong w_offset, __global const float *b, ulong b_offset,
                         __global float *running_mean, ulong mean_offset, __global float *running_var, ulong var_offset,
                         __global float *restrict y, ulong y_offset, int outer, int channels, int inner, int affine, int move,
                         float momentum, float eps, float p, float q)
{
	GLOBAL_ID(c, channels);
	const float count = (float)(outer * inner);
	float16 first = 0.0f, second = 0.0f;
	float2 total = 0.0f;
	int pending = 0;

	x += x_offset;
	y += y_offset;
	FOR_CHANNEL({
		int i = 0;

		for (; i + 16 <= n; i += 16)
			first += LOAD_GLOBAL(x + at + i);
		for (; i < n; i++)
			total.x += x[at + i];
		SETTLE(n)
	})
	const float mean = (total.x + sum16(first)) / count;

	first = second = total.x = total.y = 0.0f;
	FOR_CHANNEL({
		int i = 0;

		for (; i + 16 <= n; i += 16) {
			const float16 d = LOAD_GLOBAL(x + at + i) - mean;

			first += d;
			second += d * d;
		}
		for (; i < n; i++) {
			const float d = x[at + i] - mean;

			total += (float2)(d, d * d);
		}
		SETTLE(n)
	})
	total += (float2)(sum16(first), sum16(second));
	const float4 s = make_statistics(mean, total.x / count, (total.y - total.x * (total.x / count)) / count, eps);
	const float weight = affine ? w[w_offset + c] : 1.0f, bias = affine ? b[b_offset + c] : 0.0f;

	vstore4(s, c, stats + stats_offset);
	if (move) {
		mix(running_mean + mean_offset + c, momentum, s.x + s.y);
		mix(running_var + var_offset + c, momentum, s.w * (count / (count - 1.0f)));
	}
	FOR_CHANNEL({
		__global const float *from = x + at;
		__global float *to = y + at;

		for (int i = 0; i < n; i++)
			to[i] = activate((from[i] - s.x - s.y) * s.z * weight + bias, p, q);
	})
}

/* want: 1 dx, 2 dw, 4 db; what is not wanted is not touched. Each of them is beta times itself plus its gradient. */
__kernel void norm_train_backward(__global const float *x, ulong x_offset, __global const float *y, ulong y_offset,
                                  __global const float *dy, ulong dy_offset, __global const float *stats,
                                  ulong stats_offset, __global const float *w, ulong w_offset, __global float *restrict dx,
                                  ulong dx_offset, __global float *dw, ulong dw_offset, __global float *db,
                                  ulong db_offset, int outer, int channels, int inner, int affine, int want,
                                  float dx_beta, float dw_beta, float db_beta, float p, float q)
{
	GLOBAL_ID(c, channels);
	const float4 s = vload4(c, stats + stats_offset);
	const float count = (float)(outer * inner);
	float16 first = 0.0f, second = 0.0f;
	float2 total = 0.0f;
	int pending = 0;

	x += x_offset;
	y += y_offset;
	dy += dy_offset;
	dx += dx_offset;
	FOR_CHANNEL({
		__global const float *from = x + at;
		__global const float *result = y + at;
		__global const float *above = dy + at;
		int i = 0;

		for (; i + 16 <= n; i += 16) {
			const float16 d =
				activation_gradient16(LOAD_GLOBAL(result + i), LOAD_GLOBAL(above + i), p, q);

			first += d;
			second += d * (LOAD_GLOBAL(from + i) - s.x - s.y);
		}
		for (; i < n; i++)
			total += activation_gradient(result[i], above[i], p, q) *
			         (float2)(1.0f, from[i] - s.x - s.y);
		SETTLE(n)
	})
	total = (total + (float2)(sum16(first), sum16(second))) * (float2)(1.0f, s.z);
	if (want & 2) {
		dw += dw_offset + c;
		*dw = dw_beta == 0.0f ? total.y : fma(dw_beta, *dw, total.y);
	}
	if (want & 4) {
		db += db_offset + c;
		*db = db_beta == 0.0f ? total.x : fma(db_beta, *db, total.x);
	}
	if (!(want & 1))
		return;
	const float scale = s.z * (affine ? w[w_offset + c] : 1.0f), mean = total.x / count, slope = total.y / count;

	FOR_CHANNEL({
		__global const float *from = x + at;
		__global const float *result = y + at;
		__global const float *above = dy + at;
		__global float *to = dx + at;

		int i = 0;

		for (; i + 16 <= n; i += 16) {
			const float16 d =
				activation_gradient16(LOAD_GLOBAL(result + i), LOAD_GLOBAL(above + i), p, q);
			const float16 v = (d - mean - (LOAD_GLOBAL(from + i) - s.x - s.y) * s.z * slope) * scale;

			STORE_GLOBAL(to + i, dx_beta == 0.0f ? v : fma(dx_beta, LOAD_GLOBAL(to + i), v));
		}
		for (; i < n; i++) {
			const float d = activation_gradient(result[i], above[i], p, q);
			const float v = (d - mean - (from[i] - s.x - s.y) * s.z * slope) * scale;

			to[i] = dx_beta == 0.0f ? v : fma(dx_beta, to[i], v);
		}
	})
}
