/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization: y = act((x - mean) / sqrt(var + eps) * w + b), with mean and var of the group that an element is in,
 * four floats for each as norm_stats.cl makes them: the mean as the sum of two, 1 / sqrt(var + eps), and var.
 *
 * x is [outer][channels][inner]. A channel has one w and one b. A group is either a channel, throughout outer
 * (per_group 0: batch_norm), or per_group neighbouring segments of `inner` elements (layer_norm, group_norm,
 * instance_norm, rms_norm).
 *
 * The activation has the parameters p and q. Backward, each kernel that reads dy goes through it on the way.
 */
#define ACTIVATION_16
#include "activation.clh"
#include "divide.clh"

/* What a work-item of the elementwise kernels does: up to `span` neighbours, which share all that belongs to a channel
 * and a group. Twin of run_layout(). */
typedef struct run {
	int channel, group, count;
	size_t start;
} run;

/* layout: inner, span, spans that make up inner, channels, per_group */
static run find_run(int id, int8 layout, ulong by_spans, ulong by_channels, ulong by_group)
{
	const int segment = divide(id, by_spans), from = (id - segment * layout.s2) * layout.s1;
	const int channel = segment - divide(segment, by_channels) * layout.s3;
	const run r = { channel, layout.s4 ? divide(segment, by_group) : channel, min(layout.s1, layout.s0 - from),
		        (size_t)segment * layout.s0 + from };

	return r;
}

/* affine: 1 with weight, 2 with bias; without them w and b are not read. */
__kernel void norm_forward(__global const float *x, ulong x_offset, __global const float *stats, ulong stats_offset,
                           __global const float *w, ulong w_offset, __global const float *b, ulong b_offset,
                           __global float *y, ulong y_offset, int8 layout, ulong by_spans, ulong by_channels,
                           ulong by_group, int affine, float p, float q, int items)
{
	GLOBAL_ID(id, items);
	const run r = find_run(id, layout, by_spans, by_channels, by_group);
	const float4 s = vload4(r.group, stats + stats_offset);
	const float weight = affine & 1 ? w[w_offset + r.channel] : 1.0f;
	const float bias = affine & 2 ? b[b_offset + r.channel] : 0.0f;

	x += x_offset + r.start;
	y += y_offset + r.start;
	for (int i = 0; i < r.count; i++)
		y[i] = activate((x[i] - s.x - s.y) * s.z * weight + bias, p, q);
}

/* ---- gradients; xhat is x normalized, dz the gradient to what is activated ---- */

/* The sums of dz and of dz xhat over neighbours. */
static float2 run_sums(__global const float *x, __global const float *y, __global const float *dy, int n, float4 s,
                       float p, float q)
{
	float16 sums = 0.0f, products = 0.0f;
	float2 sum = 0.0f;
	int i = 0;

	for (; i + 16 <= n; i += 16) {
		const float16 d = activation_gradient16(vload16(0, y + i), vload16(0, dy + i), p, q);

		sums += d;
		products += d * (vload16(0, x + i) - s.x - s.y);
	}
	for (; i < n; i++)
		sum += activation_gradient(y[i], dy[i], p, q) * (float2)(1.0f, x[i] - s.x - s.y);
	return (sum + (float2)(sum16(sums), sum16(products))) * (float2)(1.0f, s.z);
}

/* A work-item is a chunk of a channel, in a group of any kind: sums of dz and of dz xhat, each [chunks][channels]. */
__kernel void norm_channel_sums(__global const float *x, ulong x_offset, __global const float *y, ulong y_offset,
                                __global const float *dy, ulong dy_offset, __global const float *stats,
                                ulong stats_offset, __global float *sums, ulong sums_offset, __global float *products,
                                ulong products_offset, int inner, int channels, int per_group, ulong by_group,
                                int count, int chunk, int chunks, float p, float q)
{
	GLOBAL_ID(id, channels * chunks);
	const int c = id % channels, from = id / channels * chunk, to = from + min(chunk, count - from);
	float2 sum = 0.0f;

	x += x_offset;
	y += y_offset;
	dy += dy_offset;
	stats += stats_offset;
	if (inner == 1)
		for (int t = from; t < to; t++) {
			const int i = t * channels + c;
			const float4 s = vload4(per_group ? divide(i, by_group) : c, stats);

			sum += activation_gradient(y[i], dy[i], p, q) * (float2)(1.0f, (x[i] - s.x - s.y) * s.z);
		}
	else
		for (int t = from; t < to;) {
			const int segment = t / inner * channels + c, n = min(inner - t % inner, to - t);
			const size_t at = (size_t)segment * inner + t % inner;
			const float4 s = vload4(per_group ? segment / per_group : c, stats);

			sum += run_sums(x + at, y + at, dy + at, n, s, p, q);
			t += n;
		}
	sums[sums_offset + id] = sum.x;
	products[products_offset + id] = sum.y;
}

/* No group of neighbours is activated. */
#ifndef VALUE
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

			sum += (affine ? w[c] : 1.0f) * run_sums(x + t, dy + t, dy + t, n, s, 0.0f, 0.0f);
			t += n;
		}
	sums[sums_offset + id] = sum.x;
	products[products_offset + id] = sum.y;
}
#endif

/*
 * dx = beta dx + the gradient through y and the statistics:
 *     (dz w - mean(dz w) - xhat mean(dz w xhat)) / sqrt(var + eps)
 * with the means over the group; where a channel is the group, sums are of dz without w, which is a factor then.
 * through: 1 through the mean, 2 through the variance. share is 1 / count.
 */
__kernel void norm_backward(__global const float *x, ulong x_offset, __global const float *y, ulong y_offset,
                            __global const float *dy, ulong dy_offset, __global const float *stats, ulong stats_offset,
                            __global const float *w, ulong w_offset, __global const float *sums, ulong sums_offset,
                            __global const float *products, ulong products_offset, __global float *dx, ulong dx_offset,
                            float beta, float share, int8 layout, ulong by_spans, ulong by_channels, ulong by_group,
                            int affine, int through, float p, float q, int items)
{
	GLOBAL_ID(id, items);
	const run r = find_run(id, layout, by_spans, by_channels, by_group);
	const float4 s = vload4(r.group, stats + stats_offset);
	const float weight = affine & 1 ? w[w_offset + r.channel] : 1.0f;
	const float before = layout.s4 ? weight : 1.0f, after = s.z * (layout.s4 ? 1.0f : weight);
	const float mean = through & 1 ? share * sums[sums_offset + r.group] : 0.0f;
	const float slope = through & 2 ? share * products[products_offset + r.group] : 0.0f;

	x += x_offset + r.start;
	y += y_offset + r.start;
	dy += dy_offset + r.start;
	dx += dx_offset + r.start;
	for (int i = 0; i < r.count; i++) {
		const float xhat = (x[i] - s.x - s.y) * s.z;
		/* Rounded on its own, as in the sums: for a group of one it is what is taken off. */
		const float dz = activation_gradient(y[i], dy[i], p, q) * before;
		float v = dz - mean;

		/* Where the statistics are given, a NaN in x is not one here. */
		v = (through & 2 ? v - xhat * slope : v) * after;
		dx[i] = beta == 0.0f ? v : fma(beta, dx[i], v);
	}
}
