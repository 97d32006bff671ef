/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization: y = (x - mean) / sqrt(var + eps) * w + b, with mean and var of the group that an element is in.
 *
 * x is [outer][channels][inner]. A channel has one w and one b. A group is either a channel, throughout outer
 * (per_group 0: batch_norm), or per_group neighbouring segments of `inner` elements (layer_norm, group_norm,
 * instance_norm, rms_norm).
 *
 * A group's statistics are four floats: the mean as the sum of two, so that x - mean keeps its digits where the mean
 * is much larger than the deviation; 1 / sqrt(var + eps); and var. Each chunk of a group gives its mean and the sum of
 * squares about that, in two passes over data that the first one brought into the cache; chunks are put together by
 * the formula of Chan, Golub and LeVeque (1983).
 */
#include "divide.clh"

/* Elements t of a group, from <= t < to, as runs: BODY sees `run_x`, `run_n` elements that lie `step` apart. */
#define FOR_RUNS(x, BODY)                                                                                              \
	for (int t = from; t < to;) {                                                                                  \
		__global const float *run_x = (x) + (size_t)(t / run) * run_stride + (size_t)(t % run) * step;         \
		const int run_n = min(run - t % run, to - t);                                                          \
		BODY;                                                                                                  \
		t += run_n;                                                                                            \
	}

static float run_sum(__global const float *x, int n, int step)
{
	float16 sums = 0.0f;
	float sum = 0.0f;
	int i = 0;

	for (; step == 1 && i + 16 <= n; i += 16)
		sums += vload16(0, x + i);
	for (; i < n; i++)
		sum += x[(size_t)i * step];
	return sum16(sums) + sum;
}

/* The sums of x - mean and of its square. */
static float2 run_moments(__global const float *x, int n, int step, float mean)
{
	float16 sums = 0.0f, squares = 0.0f;
	float2 s = 0.0f;
	int i = 0;

	for (; step == 1 && i + 16 <= n; i += 16) {
		const float16 d = vload16(0, x + i) - mean;

		sums += d;
		squares += d * d;
	}
	for (; i < n; i++) {
		const float d = x[(size_t)i * step] - mean;

		s += (float2)(d, d * d);
	}
	return s + (float2)(sum16(sums), sum16(squares));
}

/* A variance that rounding made negative is 0; one that is NaN stays so. */
static float4 make_statistics(float mean, float rest, float var, float eps)
{
	var = var < 0.0f ? 0.0f : var;
	return (float4)(mean, isinf(mean) ? 0.0f : rest, 1.0f / sqrt(var + eps), var);
}

/* A work-item is a chunk of a group. part [chunks][groups][3]: mean, rest of the mean, squares; if there is only one
 * chunk, then the statistics [groups][4] instead. Without `centre` the mean is taken as 0. */
__kernel void norm_moments(__global const float *x, ulong x_offset, __global float *part, ulong part_offset, int groups,
                           int group_stride, int count, int run, int run_stride, int step, int chunk, int chunks,
                           int centre, float eps)
{
	GLOBAL_ID(id, groups * chunks);
	const int g = id % groups, c = id / groups;
	const int from = c * chunk, to = from + min(chunk, count - from);
	const float n = (float)(to - from);
	float mean = 0.0f;
	float2 s = 0.0f;

	x += x_offset + (size_t)g * group_stride;
	part += part_offset;
	if (centre) {
		FOR_RUNS(x, mean += run_sum(run_x, run_n, step));
		mean /= n;
	}
	FOR_RUNS(x, s += run_moments(run_x, run_n, step, mean));
	const float rest = centre ? s.x / n : 0.0f;
	const float squares = centre ? s.y - s.x * rest : s.y;

	if (chunks == 1)
		vstore4(make_statistics(mean, rest, squares / n, eps), g, part);
	else
		vstore3((float3)(mean, rest, squares), id, part);
}

/* A work-item is a group. */
__kernel void norm_finish(__global const float *part, ulong part_offset, __global float *stats, ulong stats_offset,
                          int groups, int count, int chunk, int chunks, float eps)
{
	GLOBAL_ID(g, groups);
	const float full = (float)chunk / (float)count, last = (float)(count - (chunks - 1) * chunk) / (float)count;
	float mean = 0.0f, rest = 0.0f, var = 0.0f;

	part += part_offset;
	for (int c = 0; c < chunks; c++)
		mean += (c < chunks - 1 ? full : last) * vload3((size_t)c * groups + g, part).x;
	for (int c = 0; c < chunks; c++) {
		const float3 p = vload3((size_t)c * groups + g, part);

		rest += (c < chunks - 1 ? full : last) * (p.x - mean + p.y);
	}
	for (int c = 0; c < chunks; c++) {
		const float3 p = vload3((size_t)c * groups + g, part);
		const float d = p.x - mean + p.y - rest;

		var += p.z / (float)count + (c < chunks - 1 ? full : last) * d * d;
	}
	vstore4(make_statistics(mean, rest, var, eps), g, stats + stats_offset);
}

/* Statistics that are given. A negative variance is the caller's, and gives NaN. */
__kernel void norm_given(__global const float *mean, ulong mean_offset, __global const float *var, ulong var_offset,
			 __global float *stats, ulong stats_offset, float eps, int n)
{
	GLOBAL_ID(g, n);
	const float v = var[var_offset + g];

	vstore4((float4)(mean[mean_offset + g], 0.0f, 1.0f / sqrt(v + eps), v), g, stats + stats_offset);
}

static void mix(__global float *running, float momentum, float batch)
{
	*running = momentum == 1.0f ? batch : (1.0f - momentum) * *running + momentum * batch;
}

__kernel void norm_running(__global const float *stats, ulong stats_offset, __global float *mean, ulong mean_offset,
                           __global float *var, ulong var_offset, float momentum, float unbias, int n)
{
	GLOBAL_ID(g, n);
	const float4 s = vload4(g, stats + stats_offset);

	mix(mean + mean_offset + g, momentum, s.x + s.y);
	mix(var + var_offset + g, momentum, s.w * unbias);
}

/* affine: 1 with weight, 2 with bias; without them w and b are not read. */
__kernel void norm_forward(__global const float *x, ulong x_offset, __global const float *stats, ulong stats_offset,
                           __global const float *w, ulong w_offset, __global const float *b, ulong b_offset,
                           __global float *y, ulong y_offset, ulong by_inner, ulong by_channels, int channels,
                           int per_group, ulong by_group, int affine, int n)
{
	GLOBAL_ID(i, n);
	const int q = divide(i, by_inner), c = q - divide(q, by_channels) * channels;
	const int g = per_group ? divide(q, by_group) : c;
	const float4 s = vload4(g, stats + stats_offset);
	float v = (x[x_offset + i] - s.x - s.y) * s.z;

	v = affine & 1 ? v * w[w_offset + c] : v;
	y[y_offset + i] = affine & 2 ? v + b[b_offset + c] : v;
}

/* ---- gradients; xhat is x normalized ---- */

/* The sums of dy and of dy xhat over neighbours. */
static float2 run_sums(__global const float *x, __global const float *dy, int n, float4 s)
{
	float16 sums = 0.0f, products = 0.0f;
	float2 sum = 0.0f;
	int i = 0;

	for (; i + 16 <= n; i += 16) {
		const float16 d = vload16(0, dy + i);

		sums += d;
		products += d * (vload16(0, x + i) - s.x - s.y);
	}
	for (; i < n; i++)
		sum += dy[i] * (float2)(1.0f, x[i] - s.x - s.y);
	return (sum + (float2)(sum16(sums), sum16(products))) * (float2)(1.0f, s.z);
}

/* The same for neighbours with a weight each. */
static float2 run_weighted_sums(__global const float *x, __global const float *dy, __global const float *w, int n,
                                float4 s)
{
	float16 sums = 0.0f, products = 0.0f;
	float2 sum = 0.0f;
	int i = 0;

	for (; i + 16 <= n; i += 16) {
		const float16 d = vload16(0, dy + i) * vload16(0, w + i);

		sums += d;
		products += d * (vload16(0, x + i) - s.x - s.y);
	}
	for (; i < n; i++)
		sum += dy[i] * w[i] * (float2)(1.0f, x[i] - s.x - s.y);
	return (sum + (float2)(sum16(sums), sum16(products))) * (float2)(1.0f, s.z);
}

/* A work-item is a chunk of a channel, in a group of any kind: sums of dy and of dy xhat, each [chunks][channels]. */
__kernel void norm_channel_sums(__global const float *x, ulong x_offset, __global const float *dy, ulong dy_offset,
                                __global const float *stats, ulong stats_offset, __global float *sums,
                                ulong sums_offset, __global float *products, ulong products_offset, int inner,
                                int channels, int per_group, ulong by_group, int count, int chunk, int chunks)
{
	GLOBAL_ID(id, channels * chunks);
	const int c = id % channels, from = id / channels * chunk, to = from + min(chunk, count - from);
	float2 sum = 0.0f;

	x += x_offset;
	dy += dy_offset;
	stats += stats_offset;
	if (inner == 1)
		for (int t = from; t < to; t++) {
			const int q = t * channels + c;
			const float4 s = vload4(per_group ? divide(q, by_group) : c, stats);

			sum += dy[q] * (float2)(1.0f, (x[q] - s.x - s.y) * s.z);
		}
	else
		for (int t = from; t < to;) {
			const int q = t / inner * channels + c, n = min(inner - t % inner, to - t);
			const size_t at = (size_t)q * inner + t % inner;

			sum += run_sums(x + at, dy + at, n, vload4(per_group ? q / per_group : c, stats));
			t += n;
		}
	sums[sums_offset + id] = sum.x;
	products[products_offset + id] = sum.y;
}

/* A work-item is a chunk of a group of neighbours: sums of dy w and of dy w xhat, each [chunks][groups]. Without
 * `affine` w is 1, and `inner` may be the whole group. */
__kernel void norm_group_sums(__global const float *x, ulong x_offset, __global const float *dy, ulong dy_offset,
                              __global const float *stats, ulong stats_offset, __global const float *w, ulong w_offset,
                              __global float *sums, ulong sums_offset, __global float *products, ulong products_offset,
                              int groups, int inner, int channels, int count, int affine, int chunk, int chunks)
{
	GLOBAL_ID(id, groups * chunks);
	const int g = id % groups, from = id / groups * chunk, to = from + min(chunk, count - from);
	const size_t start = (size_t)g * count;
	const float4 s = vload4(g, stats + stats_offset);
	float2 sum = 0.0f;

	x += x_offset + start;
	dy += dy_offset + start;
	w += w_offset;
	if (affine && inner == 1)
		sum = run_weighted_sums(x + from, dy + from, w + start % channels + from, to - from, s);
	else
		for (int t = from; t < to;) {
			const int c = (int)((start + t) / inner % channels), n = min(inner - t % inner, to - t);

			sum += (affine ? w[c] : 1.0f) * run_sums(x + t, dy + t, n, s);
			t += n;
		}
	sums[sums_offset + id] = sum.x;
	products[products_offset + id] = sum.y;
}

/*
 * dx = beta dx + the gradient through y and the statistics:
 *     (dy w - mean(dy w) - xhat mean(dy w xhat)) / sqrt(var + eps)
 * with the means over the group; where a channel is the group, sums are of dy without w, which is a factor then.
 * through: 1 through the mean, 2 through the variance. share is 1 / count.
 */
__kernel void norm_backward(__global const float *x, ulong x_offset, __global const float *dy, ulong dy_offset,
                            __global const float *stats, ulong stats_offset, __global const float *w, ulong w_offset,
                            __global const float *sums, ulong sums_offset, __global const float *products,
                            ulong products_offset, __global float *dx, ulong dx_offset, float beta, float share,
                            ulong by_inner, ulong by_channels, int channels, int per_group, ulong by_group, int affine,
                            int through, int n)
{
	GLOBAL_ID(i, n);
	const int q = divide(i, by_inner), c = q - divide(q, by_channels) * channels;
	const int g = per_group ? divide(q, by_group) : c;
	const float4 s = vload4(g, stats + stats_offset);
	const float xhat = (x[x_offset + i] - s.x - s.y) * s.z;
	const float weight = affine & 1 ? w[w_offset + c] : 1.0f;
	float v = dy[dy_offset + i] * (per_group ? weight : 1.0f);

	if (through & 1)
		v -= share * sums[sums_offset + g];
	if (through & 2)
		v -= share * xhat * products[products_offset + g];
	v *= s.z * (per_group ? 1.0f : weight);
	dx += dx_offset + i;
	*dx = beta == 0.0f ? v : fma(beta, *dx, v);
}
