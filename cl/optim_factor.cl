/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adafactor, in five launches: the statistics of rows and columns; the mean of each matrix's rows; sums of squares over
 * chunks, of the values and of the direction; the distance that each parameter goes; the step. The direction is worked
 * out twice, which needs less memory than keeping it.
 */
#include "optim.clh"

/* k: what of a new square goes into the statistics, the bound of the distance, eps1, eps2 and d. */
#define SHARE(k) (k).s0
#define BOUND(k) (k).s1
#define EPS1(k)  (k).s2
#define EPS2(k)  (k).s3
#define MOST(k)  (k).s4

/* Of a parameter: where it starts, its elements, the rows and columns of its matrices, where its statistics of rows (or
 * of elements) and of columns start, its first matrix, and whether it has matrices. */
#define START(p)    (p).s0
#define COUNT(p)    (p).s1
#define ROWS(p)     (p).s2
#define COLUMNS(p)  (p).s3
#define BY_ROW(p)   (p).s4
#define BY_COL(p)   (p).s5
#define MATRIX(p)   (p).s6
#define MATRICES(p) (p).s7

static float element(__global const float *g, int at, float8 c, float factor)
{
	float x = SCALE(c) * g[at];

#ifdef CLIP_VALUE
	x = x > CLIP(c) ? CLIP(c) : x < -CLIP(c) ? -CLIP(c) : x;
#endif
	return factor * x;
}

/* The mean of `count` squares, `stride` apart; by sums of sums, which keeps the rounding error small. */
static float mean_square(__global const float *g, int at, int count, int stride, float8 c, float factor)
{
	float total = 0.0f;

	for (int i = 0; i < count;) {
		const int end = min(count, i + 64);
		float sum = 0.0f;

		for (; i < end; i++) {
			const float x = element(g, at + i * stride, c, factor);

			sum += x * x;
		}
		total += sum;
	}
	return total / (float)count;
}

/* owners: twice the parameter of each block of statistics, and one more for those of columns. */
__kernel void statistics(__global const float *g, ulong g_offset, __global float *stats, ulong stats_offset,
			 __global const int *owners, ulong owners_offset, __global const int *shapes,
			 ulong shapes_offset, __global const float *control, ulong control_offset, int first, int end,
			 int n, NUMBERS)
{
	GLOBAL_ID(id, n);
	const int owner = owners[owners_offset + id / BLOCK], parameter = owner / 2;

	if (parameter < first || parameter >= end)
		return;
	GET_NUMBERS(c, k, parameter);
	const int8 p = vload8(parameter, shapes + shapes_offset);
	const int i = id - (owner % 2 ? BY_COL(p) : BY_ROW(p));
	const int matrices = COUNT(p) / max(ROWS(p) * COLUMNS(p), 1);
	float factor = 1.0f, mean;

	if (ACTIVE(c) == 0.0f)
		return;
#ifdef CONTROL
	if (control[control_offset + CONTROL_SKIP] != 0.0f)
		return;
	factor = control[control_offset + CONTROL_FACTOR];
#endif
	g += g_offset;
	stats += stats_offset + id;
	if (owner % 2) {
		if (i >= matrices * COLUMNS(p))
			return;
		mean = mean_square(g, START(p) + i / COLUMNS(p) * ROWS(p) * COLUMNS(p) + i % COLUMNS(p), ROWS(p),
				   COLUMNS(p), c, factor);
	} else {
		if (i >= (MATRICES(p) ? matrices * ROWS(p) : COUNT(p)))
			return;
		mean = MATRICES(p) ? mean_square(g, START(p) + i * COLUMNS(p), COLUMNS(p), 1, c, factor)
				   : mean_square(g, START(p) + i, 1, 1, c, factor);
	}
	*stats += SHARE(k) * (mean - *stats);
}

/* The mean over the rows of each matrix; of[i] is its parameter. */
__kernel void means(__global const float *stats, ulong stats_offset, __global const int *of, ulong of_offset,
		    __global const int *shapes, ulong shapes_offset, __global float *mean, ulong mean_offset, int n)
{
	GLOBAL_ID(i, n);
	const int8 p = vload8(of[of_offset + i], shapes + shapes_offset);
	float total = 0.0f;

	stats += stats_offset + BY_ROW(p) + (i - MATRIX(p)) * ROWS(p);
	for (int r = 0; r < ROWS(p);) {
		const int end = min(ROWS(p), r + 64);
		float sum = 0.0f;

		for (; r < end; r++)
			sum += stats[r];
		total += sum;
	}
	mean[mean_offset + i] = total / (float)ROWS(p);
}

/* Calls BODY with e and u, the direction, for the elements from..to of parameter p, counted from its start. */
#define FOR_DIRECTIONS(from, to, BODY)                                                                                 \
	int row = MATRICES(p) ? (from) / COLUMNS(p) : 0, column = MATRICES(p) ? (from) % COLUMNS(p) : 0;               \
	for (int e = (from); e < (to); e++) {                                                                          \
		const int matrix = MATRICES(p) ? row / ROWS(p) : 0;                                                    \
		float v = stats[BY_ROW(p) + (MATRICES(p) ? row : e)];                                                  \
                                                                                                                       \
		if (MATRICES(p))                                                                                       \
			v = v * stats[BY_COL(p) + matrix * COLUMNS(p) + column] /                                      \
			    fmax(mean[MATRIX(p) + matrix], EPS1(k));                                                   \
		const float u = element(g, START(p) + e, c, factor) / sqrt(fmax(v, EPS1(k) * EPS1(k)));                \
                                                                                                                       \
		BODY;                                                                                                  \
		if (++column == COLUMNS(p)) {                                                                          \
			column = 0;                                                                                    \
			row++;                                                                                         \
		}                                                                                                      \
	}

__kernel void measure_factored(__global const float *w, ulong w_offset, __global const float *g, ulong g_offset,
			       __global const float *stats, ulong stats_offset, __global const float *mean,
			       ulong mean_offset, __global const int *shapes, ulong shapes_offset,
			       __global const float *control, ulong control_offset, __global const int *starts,
			       ulong starts_offset, __global float *sums, ulong sums_offset, int n, NUMBERS)
{
	GLOBAL_ID(i, n);
	const int first = starts[starts_offset + i], end = starts[starts_offset + i + 1];
	const int parameter = PARAMETER(first);
	GET_NUMBERS(c, k, parameter);
	const int8 p = vload8(parameter, shapes + shapes_offset);
	const int from = first * BLOCK - START(p), to = min(end * BLOCK - START(p), COUNT(p));
	float squares = 0.0f, direction = 0.0f, factor = 1.0f;

#ifdef CONTROL
	factor = control[control_offset + CONTROL_FACTOR];
#endif
	w += w_offset + START(p);
	g += g_offset;
	stats += stats_offset;
	mean += mean_offset;
	sums += sums_offset + PARTS * (ulong)i;
	if (ACTIVE(c) != 0.0f) {
		FOR_DIRECTIONS(from, to, squares += w[e] * w[e]; direction += u * u)
	}
	sums[0] = squares;
	sums[1] = direction;
}

/* One work-group a parameter. */
__kernel void finish_factored(__global const float *sums, ulong sums_offset, __global const int *first,
			      ulong first_offset, __global const int *shapes, ulong shapes_offset,
			      __global float *ratios, ulong ratios_offset, __local float *lane, int parameter,
			      int chunk, NUMBERS)
{
	const int i = parameter + (int)get_group_id(0);
	GET_NUMBERS(c, k, i);
	const float n = (float)vload8(i, shapes + shapes_offset).s1;

	first += first_offset + i;
	sums += sums_offset;

	const int from = first[0] - chunk, count = first[1] - first[0];
	const float w = sqrt(sum_up(sums, 0, from, count, lane) / n);
	const float u = sqrt(sum_up(sums, 1, from, count, lane) / n);

	if (get_local_id(0) == 0)
		ratios[ratios_offset + i] = fmax(EPS2(k), w) * BOUND(k) / fmax(1.0f, u / MOST(k));
}

__kernel void update_factored(__global float *w, ulong w_offset, __global const float *g, ulong g_offset,
			      __global const float *stats, ulong stats_offset, __global const float *mean,
			      ulong mean_offset, __global const int *shapes, ulong shapes_offset,
			      __global const float *control, ulong control_offset, __global const float *ratios,
			      ulong ratios_offset, int block, int n, NUMBERS)
{
	GLOBAL_ID(i, n);
	const int at = block * BLOCK + i * ITEM, parameter = PARAMETER(at / BLOCK);
	GET_NUMBERS(c, k, parameter);
	const int8 p = vload8(parameter, shapes + shapes_offset);
	const int from = at - START(p), to = min(from + ITEM, COUNT(p));
	const float distance = ratios[ratios_offset + parameter];
	float factor = 1.0f;

	if (ACTIVE(c) == 0.0f)
		return;
#ifdef CONTROL
	if (control[control_offset + CONTROL_SKIP] != 0.0f)
		return;
	factor = control[control_offset + CONTROL_FACTOR];
#endif
	w += w_offset + START(p);
	g += g_offset;
	stats += stats_offset;
	mean += mean_offset;
	FOR_DIRECTIONS(from, to, w[e] = SHRUNK(w[e], c) - distance * u)
}
