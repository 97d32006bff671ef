/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics that normalizations (norm.cl) go by. A group is a channel throughout outer, or neighbouring segments.
 *
 * A group's statistics are four floats: the mean as the sum of two, so that x - mean keeps its digits where the mean
 * is much larger than the deviation; 1 / sqrt(var + eps); and var. Each chunk of a group gives its mean and the sum of
 * squares about that, in two passes over data that the first one brought into the cache; chunks are put together by
 * the formula of Chan, Golub and LeVeque (1983).
 */
#include "norm.clh"

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

__kernel void norm_running(__global const float *stats, ulong stats_offset, __global float *mean, ulong mean_offset,
                           __global float *var, ulong var_offset, float momentum, float unbias, int n)
{
	GLOBAL_ID(g, n);
	const float4 s = vload4(g, stats + stats_offset);

	mix(mean + mean_offset + g, momentum, s.x + s.y);
	mix(var + var_offset + g, momentum, s.w * unbias);
}
