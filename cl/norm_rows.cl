/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization over the last dimensions, for CPUs: x is [rows][count], a row is a group, and w and b have an element for
 * each place in it. The first pass over a row brings it into the cache for the others. The formulas are those of
 * norm_stats.cl and norm.cl. Sums are of sixteen lanes, put together every RUN elements, so that rounding errors do not
 * grow with the length of a row.
 */
#include "norm.clh"
#include "rows.clh"

#define RUN 1024

/* A row in runs: `each` for sixteen of a run, then `after`. */
#define EACH_RUN(count, each, after)                                                                                   \
	for (int from_ = 0; from_ < (count); from_ += RUN) {                                                           \
		EACH_VECTOR_OF(from_, min(from_ + RUN, count), count, each)                                            \
		after                                                                                                  \
	}

static float row_sum(__global const float *x, int count)
{
	float16 sums = 0.0f;
	float sum = 0.0f;

	EACH_RUN(count, sums += LOAD_ROW(x, 0.0f);, sum += sum16(sums); sums = 0.0f;)
	return sum;
}

/* The sums of x - mean and of its square. */
static float2 row_moments(__global const float *x, int count, float mean)
{
	float16 sums = 0.0f, squares = 0.0f;
	float2 sum = 0.0f;

	EACH_RUN(count, const float16 d = LOAD_ROW(x, mean) - mean; sums += d; squares += d * d;
	         , sum += (float2)(sum16(sums), sum16(squares)); sums = squares = 0.0f;)
	return sum;
}

/* affine: 1 with weight, 2 with bias; without them w and b are not read. Without `centre` the mean is taken as 0. */
__kernel void norm_rows(__global const float *x, ulong x_offset, __global float *stats, ulong stats_offset,
                        __global const float *w, ulong w_offset, __global const float *b, ulong b_offset,
                        __global float *y, ulong y_offset, int count, int rows, int affine, int centre, float eps)
{
	GLOBAL_ID(row, rows);
	x += x_offset + (size_t)row * count;
	y += y_offset + (size_t)row * count;
	w += w_offset;
	b += b_offset;
	const float mean = centre ? row_sum(x, count) / (float)count : 0.0f;
	const float2 m = row_moments(x, count, mean);
	const float rest = centre ? m.x / (float)count : 0.0f;
	/* Not centred, an infinity would come back as a NaN. */
	const float squares = centre ? m.y - m.x * rest : m.y;
	const float4 s = make_statistics(mean, rest, squares / (float)count, eps);

	vstore4(s, row, stats + stats_offset);
	EACH_VECTOR(count, {
		float16 v = (LOAD_ROW(x, 0.0f) - s.x - s.y) * s.z;

		if (affine & 1)
			v *= LOAD_ROW(w, 0.0f);
		if (affine & 2)
			v += LOAD_ROW(b, 0.0f);
		STORE_ROW(y, v);
	})
}

/* ---- gradients ---- */

/* Of sixteen. */
#define WEIGHTED (affine & 1 ? LOAD_ROW(dy, 0.0f) * LOAD_ROW(w, 0.0f) : LOAD_ROW(dy, 0.0f))
#define CENTRED  (LOAD_ROW(x, 0.0f) - s.x - s.y)

/* dx = beta dx + (dy w - mean(dy w) - xhat mean(dy w xhat)) / sqrt(var + eps), without the first mean where x has not
 * been centred. */
static void row_gradient(__global const float *x, __global const float *dy, __global const float *w, __global float *dx,
                         float4 s, int count, int affine, int centre, float beta)
{
	float16 sums = 0.0f, products = 0.0f;
	float2 sum = 0.0f;

	EACH_RUN(count, const float16 d = WEIGHTED; sums += d; products += d * CENTRED;
	         , sum += (float2)(sum16(sums), sum16(products)); sums = products = 0.0f;)
	const float mean = centre ? sum.x / (float)count : 0.0f, slope = sum.y * s.z / (float)count;

	EACH_VECTOR(count, {
		float16 v = (WEIGHTED - mean - CENTRED * s.z * slope) * s.z;

		if (beta != 0.0f)
			v += beta * LOAD_ROW(dx, 0.0f);
		STORE_ROW(dx, v);
	})
}

/* Adds dy to sums and dy xhat to products; the first row writes them. */
static void add_row(__global const float *x, __global const float *dy, __global float *sums, __global float *products,
                    float4 s, int count, bool first)
{
	EACH_VECTOR(count, {
		const float16 d = LOAD_ROW(dy, 0.0f);
		const float16 product = d * (CENTRED * s.z);

		STORE_ROW(sums, first ? d : LOAD_ROW(sums, 0.0f) + d);
		STORE_ROW(products, first ? product : LOAD_ROW(products, 0.0f) + product);
	})
}

/* A work-item is a chunk of `each` rows. want: 1 dx, 2 the sums over the chunk of dy and of dy xhat, each
 * [chunks][count]; what is not wanted is not touched. */
__kernel void norm_rows_backward(__global const float *x, ulong x_offset, __global const float *dy, ulong dy_offset,
                                 __global const float *stats, ulong stats_offset, __global const float *w,
                                 ulong w_offset, __global float *dx, ulong dx_offset, __global float *sums,
                                 ulong sums_offset, __global float *products, ulong products_offset, int count,
                                 int rows, int each, int chunks, int affine, int centre, int want, float beta)
{
	GLOBAL_ID(chunk, chunks);
	const int first = chunk * each, last = min(first + each, rows);
	__global float *chunk_sums = sums + sums_offset + (size_t)chunk * count;
	__global float *chunk_products = products + products_offset + (size_t)chunk * count;

	for (int row = first; row < last; row++) {
		__global const float *from = x + x_offset + (size_t)row * count;
		__global const float *above = dy + dy_offset + (size_t)row * count;
		const float4 s = vload4(row, stats + stats_offset);

		/* Before dx, which may be where dy is. */
		if (want & 2)
			add_row(from, above, chunk_sums, chunk_products, s, count, row == first);
		if (want & 1)
			row_gradient(from, above, w + w_offset, dx + dx_offset + (size_t)row * count, s, count, affine,
			             centre, beta);
	}
}
