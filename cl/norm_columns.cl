/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization by the batch where a channel is a column of a matrix, for CPUs: x is [outer][channels], and a work-item
 * has BLOCK neighbouring channels. Kernels, arguments and formulas are those of norm_cpu.cl, with inner 1. Columns are
 * summed up in parts of ROWS_AT_ONCE, so that rounding errors do not grow with their length.
 *
 * Functions do `vectors` times sixteen columns, or `count` where those are less. Both are constants where they are called
 * for a whole block, so that compilers keep the vectors of sums in registers.
 */
#define ACTIVATION_16
#include "activation.clh"
#include "norm.clh"
#include "rows.clh"

#define BLOCK        64
#define MOST         (BLOCK / VECTOR)
#define ROWS_AT_ONCE 32

#define EACH_V       for (int v = 0; v < vectors; v++)
#define COLUMNS(p)   (count >= VECTOR ? (float16)LOAD_GLOBAL((p) + v * VECTOR) : load_some(p, count, 0.0f))
#define PUT_COLUMNS(p, x)                                                                                              \
	if (count >= VECTOR)                                                                                           \
		STORE_GLOBAL((p) + v * VECTOR, x);                                                                     \
	else                                                                                                           \
		store_some(p, count, x)

/* a[] and b[]: the sums over the rows of A and B, of sixteen columns. */
#define SUM_ROWS(a, b, A, B)                                                                                           \
	EACH_V a[v] = b[v] = 0.0f;                                                                                     \
	for (int r = 0; r < outer;) {                                                                                  \
		const int stop = min(r + ROWS_AT_ONCE, outer);                                                         \
		float16 part_a[MOST], part_b[MOST];                                                                    \
                                                                                                                       \
		EACH_V part_a[v] = part_b[v] = 0.0f;                                                                   \
		for (; r < stop; r++) {                                                                                \
			const size_t at = (size_t)r * channels;                                                        \
                                                                                                                       \
			EACH_V                                                                                         \
			{                                                                                              \
				const float16 term = A;                                                                \
                                                                                                                       \
				part_a[v] += term;                                                                     \
				part_b[v] += B;                                                                        \
			}                                                                                              \
		}                                                                                                      \
		EACH_V                                                                                                 \
		{                                                                                                      \
			a[v] += part_a[v];                                                                             \
			b[v] += part_b[v];                                                                             \
		}                                                                                                      \
	}

/* Statistics of the columns, four floats each. */
static void find_statistics(__global const float *x, __global float *stats, int outer, int channels, int vectors,
                            int count, float eps)
{
	const float n = (float)outer;
	float16 mean[MOST], sum[MOST], squares[MOST];

	SUM_ROWS(mean, sum, COLUMNS(x + at), 0.0f)
	EACH_V mean[v] /= n;
	SUM_ROWS(sum, squares, COLUMNS(x + at) - mean[v], term * term)
	EACH_V
	{
		float m[VECTOR], s[VECTOR], q[VECTOR];

		vstore16(mean[v], 0, m);
		vstore16(sum[v], 0, s);
		vstore16(squares[v], 0, q);
		for (int i = 0; i < min(count, VECTOR); i++)
			vstore4(make_statistics(m[i], s[i] / n, (q[i] - s[i] * (s[i] / n)) / n, eps), v * VECTOR + i,
			        stats);
	}
}

/* A statistic of sixteen columns, or what lies behind them in one for each channel. */
static float16 take_statistic(__global const float *stats, int which, int v, int count)
{
	float lane[VECTOR];

	for (int i = 0; i < VECTOR; i++)
		lane[i] = i < count ? stats[4 * (v * VECTOR + i) + which] : 0.0f;
	return *(const float16_any *)lane;
}

/* w and b: NULL for none. */
static void normalize(__global const float *x, __global const float *stats, __global const float *w,
                      __global const float *b, __global float *restrict y, int outer, int channels, int vectors,
                      int count, float p, float q)
{
	float16 mean[MOST], rest[MOST], scale[MOST], bias[MOST];

	EACH_V
	{
		mean[v] = take_statistic(stats, 0, v, count);
		rest[v] = take_statistic(stats, 1, v, count);
		scale[v] = take_statistic(stats, 2, v, count);
		if (w)
			scale[v] *= COLUMNS(w);
		bias[v] = b ? COLUMNS(b) : 0.0f;
	}
	for (int r = 0; r < outer; r++) {
		const size_t at = (size_t)r * channels;

		EACH_V
		{
			float lane[VECTOR];

			*(float16_any *)lane = (COLUMNS(x + at) - mean[v] - rest[v]) * scale[v] + bias[v];
			for (int i = 0; i < VECTOR; i++)
				lane[i] = activate(lane[i], p, q);
			PUT_COLUMNS(y + at, *(const float16_any *)lane);
		}
	}
}

static void train(__global const float *x, __global float *stats, __global const float *w, __global const float *b,
                  __global float *restrict y, int outer, int channels, int vectors, int count, float eps, float p,
                  float q)
{
	find_statistics(x, stats, outer, channels, vectors, count, eps);
	normalize(x, stats, w, b, y, outer, channels, vectors, count, p, q);
}

/* move: 1 to move the running statistics, which are not touched otherwise. */
__kernel void norm_train(__global const float *x, ulong x_offset, __global float *stats, ulong stats_offset,
                         __global const float *w, ulong w_offset, __global const float *b, ulong b_offset,
                         __global float *running_mean, ulong mean_offset, __global float *running_var, ulong var_offset,
                         __global float *restrict y, ulong y_offset, int outer, int channels, int inner, int affine,
                         int move, float momentum, float eps, float p, float q)
{
	GLOBAL_ID(id, (channels + BLOCK - 1) / BLOCK);
	const int c = id * BLOCK, n = min(BLOCK, channels - c);

	x += x_offset + c;
	y += y_offset + c;
	stats += stats_offset + 4 * (size_t)c;
	w = affine ? w + w_offset + c : 0;
	b = affine ? b + b_offset + c : 0;
	if (n == BLOCK)
		train(x, stats, w, b, y, outer, channels, MOST, BLOCK, eps, p, q);
	else
		for (int i = 0; i < n; i += VECTOR)
			train(x + i, stats + 4 * i, w ? w + i : 0, b ? b + i : 0, y + i, outer, channels, 1, n - i, eps, p,
			      q);
	for (int i = 0; move && i < n; i++) {
		const float4 s = vload4(i, stats);

		mix(running_mean + mean_offset + c + i, momentum, s.x + s.y);
		mix(running_var + var_offset + c + i, momentum, s.w * ((float)outer / ((float)outer - 1.0f)));
	}
}

/* The result alone, by statistics that are there; a work-item has `rows` rows of a block. affine: 1 with weight, 2 with
 * bias. */
__kernel void norm_apply(__global const float *x, ulong x_offset, __global const float *stats, ulong stats_offset,
                         __global const float *w, ulong w_offset, __global const float *b, ulong b_offset,
                         __global float *restrict y, ulong y_offset, int outer, int channels, int affine, int rows,
                         float p, float q, int items)
{
	GLOBAL_ID(id, items);
	const int blocks = (channels + BLOCK - 1) / BLOCK;
	const int c = id % blocks * BLOCK, n = min(BLOCK, channels - c), first = id / blocks * rows;
	const int last = min(first + rows, outer);

	x += x_offset + (size_t)first * channels + c;
	y += y_offset + (size_t)first * channels + c;
	stats += stats_offset + 4 * (size_t)c;
	w = affine & 1 ? w + w_offset + c : 0;
	b = affine & 2 ? b + b_offset + c : 0;
	if (n == BLOCK)
		normalize(x, stats, w, b, y, last - first, channels, MOST, BLOCK, p, q);
	else
		for (int i = 0; i < n; i += VECTOR)
			normalize(x + i, stats + 4 * i, w ? w + i : 0, b ? b + i : 0, y + i, last - first, channels, 1,
			          n - i, p, q);
}

/* ---- gradients ---- */

/* What belongs to the columns of a function. */
typedef struct columns {
	__global const float *x, *y, *dy, *stats, *w;
	__global float *dx, *dw, *db;
} columns;

static void add_gradient(__global float *to, float beta, float16 sums, int v, int vectors, int count)
{
	if (beta != 0.0f)
		sums = fma((float16)beta, COLUMNS(to), sums);
	PUT_COLUMNS(to, sums);
}

static void train_backward(columns g, int outer, int channels, int vectors, int count, int want, float dx_beta,
                           float dw_beta, float db_beta, float p, float q)
{
	const float n = (float)outer;
	float16 mean[MOST], rest[MOST], root[MOST], first[MOST], second[MOST];

	EACH_V
	{
		mean[v] = take_statistic(g.stats, 0, v, count);
		rest[v] = take_statistic(g.stats, 1, v, count);
		root[v] = take_statistic(g.stats, 2, v, count);
	}
	SUM_ROWS(first, second, activation_gradient16(COLUMNS(g.y + at), COLUMNS(g.dy + at), p, q),
	         term * (COLUMNS(g.x + at) - mean[v] - rest[v]))
	EACH_V
	{
		second[v] *= root[v];
		if (want & 2)
			add_gradient(g.dw, dw_beta, second[v], v, vectors, count);
		if (want & 4)
			add_gradient(g.db, db_beta, first[v], v, vectors, count);
		first[v] /= n;
		second[v] *= root[v] / n;
		if (g.w)
			root[v] *= COLUMNS(g.w);
	}
	for (int r = 0; (want & 1) && r < outer; r++) {
		const size_t at = (size_t)r * channels;

		EACH_V
		{
			const float16 d = activation_gradient16(COLUMNS(g.y + at), COLUMNS(g.dy + at), p, q);
			float16 to = (d - first[v] - (COLUMNS(g.x + at) - mean[v] - rest[v]) * second[v]) * root[v];

			if (dx_beta != 0.0f)
				to = fma((float16)dx_beta, COLUMNS(g.dx + at), to);
			PUT_COLUMNS(g.dx + at, to);
		}
	}
}

/* want: 1 dx, 2 dw, 4 db; what is not wanted is not touched. Each of them is beta times itself plus its gradient. */
__kernel void norm_train_backward(__global const float *x, ulong x_offset, __global const float *y, ulong y_offset,
                                  __global const float *dy, ulong dy_offset, __global const float *stats,
                                  ulong stats_offset, __global const float *w, ulong w_offset, __global float *dx,
                                  ulong dx_offset, __global float *dw, ulong dw_offset, __global float *db,
                                  ulong db_offset, int outer, int channels, int inner, int affine, int want,
                                  float dx_beta, float dw_beta, float db_beta, float p, float q)
{
	GLOBAL_ID(id, (channels + BLOCK - 1) / BLOCK);
	const int c = id * BLOCK, n = min(BLOCK, channels - c);

	for (int i = 0; i < n; i += n == BLOCK ? BLOCK : VECTOR) {
		const columns g = { x + x_offset + c + i,
		                    y + y_offset + c + i,
		                    dy + dy_offset + c + i,
		                    stats + stats_offset + 4 * (size_t)(c + i),
		                    affine ? w + w_offset + c + i : 0,
		                    dx + dx_offset + c + i,
		                    dw + dw_offset + c + i,
		                    db + db_offset + c + i };

		if (n == BLOCK)
			train_backward(g, outer, channels, MOST, BLOCK, want, dx_beta, dw_beta, db_beta, p, q);
		else
			train_backward(g, outer, channels, 1, n - i, want, dx_beta, dw_beta, db_beta, p, q);
	}
}
