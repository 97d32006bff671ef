/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adafactor, in six launches: what pieces know by themselves, which for flat parameters and small matrices is all, and
 * for a tile the sums of its rows and columns; from those the statistics of large matrices, and their means; the norms
 * that need these; the distance that each parameter goes; the step. The gradient is read three times, or twice where
 * the statistics are at hand at once: that is less than keeping the direction.
 *
 * The direction is g / sqrt(R C / mean R). The roots of R / mean R and of C are taken apart, so an element costs two
 * products.
 */
#include "optim_factor.clh"
#ifdef DEVICE_IS_CPU
#include "optim_matrices_cpu.clh"
#else
#include "optim_matrices.clh"
#endif

/* ---- large matrices ---- */

/* Sums of squares of rows and of columns go to parts. */
static void sum_tile(const work *job, __global float *parts)
{
	const int8 q = job->q;
	const int width = COLUMN_END(q) - COLUMN(q), vectors = (width + LANES - 1) / LANES;
	__local float *by_column = job->scratch;
#ifndef DEVICE_IS_CPU
	const int pitch = vectors | 1; /* so that the items' rows are in different banks */
	__local float *by_vector = job->scratch + LANES * ITEMS;
#endif

	EACH_VECTOR(v, vectors)
	STORE_LOCAL(by_column + SLOT(v), (real)(0.0f));
	EACH_ROW(row, vectors)
	{
		__global const float *from = job->g + row * COLUMNS(job->p) + COLUMN(q);
		real sum = 0.0f;

		EACH_VECTOR(v, vectors)
		{
			const real x = element(job, load_some(from + v * LANES, width - v * LANES));

			sum += x * x;
			STORE_LOCAL(by_column + SLOT(v), LOAD_LOCAL(by_column + SLOT(v)) + x * x);
#ifndef DEVICE_IS_CPU
			by_vector[(row - FROM(q)) * pitch + v] = SUM(sum);
#endif
		}
#ifdef DEVICE_IS_CPU
		parts[ROW_SUMS(q) + row - FROM(q)] = SUM(sum);
#endif
	}
#ifdef DEVICE_IS_CPU
	EACH_VECTOR(v, vectors)
	store_some(LOAD_LOCAL(by_column + SLOT(v)), parts + COLUMN_SUMS(q) + v * LANES, width - v * LANES);
#else
	barrier(CLK_LOCAL_MEM_FENCE);
	for (int row = ITEM_ID; row < TO(q) - FROM(q); row += ITEMS) {
		float sum = 0.0f;

		for (int v = 0; v < vectors; v++)
			sum += by_vector[row * pitch + v];
		parts[ROW_SUMS(q) + row] = sum;
	}
	for (int i = ITEM_ID; i < width; i += ITEMS) {
		float sum = 0.0f;

		for (int above = 0; above < ITEMS / vectors; above++)
			sum += by_column[above * vectors * LANES + i];
		parts[COLUMN_SUMS(q) + i] = sum;
	}
#endif
}

/* Of a block of statistics: where it is, where the first of its sums are, how far apart the others of them, how many
 * they are, of how many squares all together, the parameter. */
__kernel void finish_statistics(__global const float *parts, ulong parts_offset, __global float *stats,
				ulong stats_offset, __global const int *blocks, ulong blocks_offset,
				__global const float *control, ulong control_offset, int n, NUMBERS)
{
	GLOBAL_ID(i, n);
	const int8 b = vload8(i / (BLOCK / ITEM), blocks + blocks_offset);
	GET_NUMBERS(c, k, b.s5);
	GET_FACTOR(c, factor);

	parts += parts_offset + b.s1 + i % (BLOCK / ITEM) * ITEM;
	stats += stats_offset + b.s0 + i % (BLOCK / ITEM) * ITEM;
	for (int j = 0; j < ITEM; j += LANES) {
		const real before = LOAD_GLOBAL(stats + j);
		real sum = 0.0f;

		for (int part = 0; part < b.s3; part++)
			sum += LOAD_GLOBAL(parts + part * b.s2 + j);
		STORE_GLOBAL(stats + j, before + SHARE(k) * (sum / (float)b.s4 - before));
	}
}

/* The mean over the rows of each large matrix; of[2 i] is where its statistics start, of[2 i + 1] how many they are. */
__kernel void means(__global const float *stats, ulong stats_offset, __global const int *of, ulong of_offset,
		    __global float *mean, ulong mean_offset, __local float *lane)
{
	const int i = (int)get_group_id(0), start = of[of_offset + 2 * i], rows = of[of_offset + 2 * i + 1];
	real sum = 0.0f;

	stats += stats_offset + start;
	for (int row = ITEM_ID * LANES; row < rows; row += ITEMS * LANES)
		sum += load_some(stats + row, rows - row);

	const float total = group_sum(sum, lane);

	if (ITEM_ID == 0)
		mean[mean_offset + i] = total / (float)rows;
}

/* The matrix of a tile. */
#define TILE_MATRIX(job) (FROM((job)->q) / ROWS((job)->p))

/* What the direction has of the tile's columns goes to scratch, so that FOR_TILE can be used. */
static void take_columns(const work *job)
{
	const int8 q = job->q;
	const int width = COLUMN_END(q) - COLUMN(q), vectors = (width + LANES - 1) / LANES;
	__global const float *from = job->by_col + TILE_MATRIX(job) * COLUMNS(job->p) + COLUMN(q);

	EACH_VECTOR(v, vectors)
	STORE_LOCAL(job->scratch + SLOT(v), 1.0f / sqrt(load_some(from + v * LANES, width - v * LANES)));
}

/* Calls BODY with u, the direction, for the `left` elements from `at` on, counted from the parameter's start; mean is
 * that of the matrix. */
#define FOR_TILE(mean, BODY)                                                                                           \
	const int width = COLUMN_END(job->q) - COLUMN(job->q), vectors = (width + LANES - 1) / LANES;                  \
	const float size = (mean) < EPS1(job->k) ? EPS1(job->k) : (mean);                                              \
                                                                                                                       \
	EACH_ROW(row, vectors)                                                                                         \
	{                                                                                                              \
		const float of_row = sqrt(size / job->by_row[row]);                                                    \
                                                                                                                       \
		EACH_VECTOR(v, vectors)                                                                                \
		{                                                                                                      \
			const int at = row * COLUMNS(job->p) + COLUMN(job->q) + v * LANES, left = width - v * LANES;   \
			const real u = element(job, load_some(job->g + at, left)) *                                    \
				       bounded(job, of_row * LOAD_LOCAL(job->scratch + SLOT(v)));                      \
                                                                                                                       \
			BODY;                                                                                          \
		}                                                                                                      \
	}

static void measure_tile(const work *job, float mean, real *squares, real *direction)
{
	take_columns(job);
	FOR_TILE(mean, const real x = load_some(job->w + at, left); *squares += x * x; *direction += u * u)
}

static void step_tile(const work *job, float mean, float distance)
{
	take_columns(job);
	FOR_TILE(mean,
		 store_some(SHRUNK(load_some(job->w + at, left), job->c) - distance * u, job->w + at, left))
}

/* ---- elements with statistics of their own ---- */

static void measure_flat(const work *job, real *squares, real *direction)
{
	for (int at = FROM(job->q) + ITEM_ID * LANES; at < TO(job->q); at += ITEMS * LANES) {
		const int left = TO(job->q) - at;
		const real w = load_some(job->w + at, left), g = element(job, load_some(job->g + at, left));
		const real v = updated(job, load_some(job->by_row + at, left), g * g);
		const real u = g * bounded(job, 1.0f / sqrt(v));

		store_some(v, job->by_row + at, left);
		*squares += w * w;
		*direction += u * u;
	}
}

static void step_flat(const work *job, float distance)
{
	for (int at = FROM(job->q) + ITEM_ID * LANES; at < TO(job->q); at += ITEMS * LANES) {
		const int left = TO(job->q) - at;
		const real w = load_some(job->w + at, left), g = element(job, load_some(job->g + at, left));
		const real u = g * bounded(job, 1.0f / sqrt(load_some(job->by_row + at, left)));

		store_some(SHRUNK(w, job->c) - distance * u, job->w + at, left);
	}
}

/* ---- the launches over pieces ---- */

static void store_sums(const work *job, real squares, real direction, __global float *sums)
{
	const float all_squares = group_sum(squares, job->scratch), directions = group_sum(direction, job->scratch);

	if (ITEM_ID == 0) {
		sums[PARTS * get_group_id(0)] = all_squares;
		sums[PARTS * get_group_id(0) + 1] = directions;
	}
}

/* What a piece knows by itself. */
__kernel void statistics(PIECE_ARGUMENTS)
{
	GET_WORK(job);
	real squares = 0.0f, direction = 0.0f;

	if (KIND(q) == TILE) {
		sum_tile(&job, parts + parts_offset);
		return;
	}
	if (KIND(q) == FLAT)
		measure_flat(&job, &squares, &direction);
	else
		measure_matrices(&job, &squares, &direction);
	store_sums(&job, squares, direction, sums + sums_offset);
}

/* The norms of tiles. */
__kernel void measure_tiles(PIECE_ARGUMENTS)
{
	GET_WORK(job);
	real squares = 0.0f, direction = 0.0f;

	if (KIND(q) != TILE)
		return;
	measure_tile(&job, mean[mean_offset + MEAN(p) + TILE_MATRIX(&job)], &squares, &direction);
	store_sums(&job, squares, direction, sums + sums_offset);
}

/* One work-group a parameter, the pieces of which start at first[parameter]. */
__kernel void finish_factored(__global const float *sums, ulong sums_offset, __global const int *first,
			      ulong first_offset, __global const int *shapes, ulong shapes_offset,
			      __global float *ratios, ulong ratios_offset, __global const float *control,
			      ulong control_offset, __local float *lane, int parameter, int piece, NUMBERS)
{
	const int i = parameter + (int)get_group_id(0);
	GET_NUMBERS(c, k, i);
	GET_FACTOR(c, factor);
	const float n = (float)COUNT(vload8(i, shapes + shapes_offset));

	first += first_offset + i;
	sums += sums_offset;

	const int from = first[0] - piece, count = first[1] - first[0];
	const float w = sqrt(sum_up(sums, 0, from, count, lane) / n);
	const float u = sqrt(sum_up(sums, 1, from, count, lane) / n);

	if (get_local_id(0) == 0)
		ratios[ratios_offset + i] = fmax(EPS2(k), w) * BOUND(k) / fmax(1.0f, u / MOST(k));
}

__kernel void update_factored(PIECE_ARGUMENTS)
{
	GET_WORK(job);
	const float distance = ratios[ratios_offset + OWNER(q)];

	if (KIND(q) == FLAT)
		step_flat(&job, distance);
	else if (KIND(q) == SMALL)
		step_matrices(&job, distance);
	else
		step_tile(&job, mean[mean_offset + MEAN(p) + TILE_MATRIX(&job)], distance);
}
