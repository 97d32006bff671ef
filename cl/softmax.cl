/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax along the middle of [outer][reduced][inner]. VALUE is y as an expression of x and of the row's largest and
 * sum; GRADIENT is dx as an expression of y, dy and the row's sum of SUMMAND. In a row of consecutive values sixteen
 * results are kept side by side. On a CPU such a row is one work-item's from beginning to end, while it is in the cache.
 */
#include "vector.clh"

#define LANES VECTOR

static size_t first_of_row(int row, int reduced, int inner)
{
	return (size_t)(row / inner) * reduced * inner + row % inner;
}

/* stats: the maxima of all rows, then their sums of exp(x - maximum). */
__kernel void softmax_rows(__global const float *x, ulong x_offset, __global float *stats, ulong stats_offset,
			   int reduced, int inner, int rows)
{
	GLOBAL_ID(row, rows);
	float lanes[LANES], largest, sum = 0.0f;
	int i = 1;

	x += x_offset + first_of_row(row, reduced, inner);
	stats += stats_offset + row;
	largest = x[0];
	for (int j = 0; j < LANES; j++)
		lanes[j] = largest;
	if (inner == 1)
		for (i = 0; i + LANES <= reduced; i += LANES)
			for (int j = 0; j < LANES; j++)
				lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
	for (; i < reduced; i++)
		largest = x[(size_t)i * inner] > largest ? x[(size_t)i * inner] : largest;
	for (int j = 0; j < LANES; j++) {
		largest = lanes[j] > largest ? lanes[j] : largest;
		lanes[j] = 0.0f;
	}
	i = 0;
	if (inner == 1)
		for (; i + LANES <= reduced; i += LANES)
			for (int j = 0; j < LANES; j++)
				lanes[j] += exp(x[i + j] - largest);
	for (; i < reduced; i++)
		sum += exp(x[(size_t)i * inner] - largest);
	for (int j = 0; j < LANES; j++)
		sum += lanes[j];
	stats[0] = largest;
	stats[rows] = sum;
}

__kernel void softmax(__global const float *in, ulong in_offset, __global const float *stats, ulong stats_offset,
		      __global float *out, ulong out_offset, int reduced, int inner, int rows, int n)
{
	GLOBAL_ID(i, n);
	const int row = i / inner / reduced * inner + i % inner;
	const float x = in[in_offset + i];
	const float largest = stats[stats_offset + row], sum = stats[stats_offset + rows + row];

	out[out_offset + i] = VALUE;
}

__kernel void softmax_backward_rows(__global const float *out, ulong out_offset, __global const float *dout,
				    ulong dout_offset, __global float *sums, ulong sums_offset, int reduced, int inner,
				    int rows)
{
	GLOBAL_ID(row, rows);
	float lanes[LANES], sum = 0.0f;
	int i = 0;

	out += out_offset + first_of_row(row, reduced, inner);
	dout += dout_offset + first_of_row(row, reduced, inner);
	for (int j = 0; j < LANES; j++)
		lanes[j] = 0.0f;
	if (inner == 1)
		for (; i + LANES <= reduced; i += LANES)
			for (int j = 0; j < LANES; j++) {
				const float y = out[i + j], dy = dout[i + j];

				lanes[j] += SUMMAND;
			}
	for (; i < reduced; i++) {
		const float y = out[(size_t)i * inner], dy = dout[(size_t)i * inner];

		sum += SUMMAND;
	}
	for (int j = 0; j < LANES; j++)
		sum += lanes[j];
	sums[sums_offset + row] = sum;
}

__kernel void softmax_backward(__global const float *out, ulong out_offset, __global const float *dout,
			       ulong dout_offset, __global const float *sums, ulong sums_offset, __global float *din,
			       ulong din_offset, float accumulate, int reduced, int inner, int n)
{
	GLOBAL_ID(i, n);
	const float y = out[out_offset + i], dy = dout[dout_offset + i];
	const float sum = sums[sums_offset + i / inner / reduced * inner + i % inner];
	const float term = GRADIENT;

	din += din_offset + i;
	*din = accumulate == 0.0f ? term : fma(accumulate, *din, term);
}

#ifdef DEVICE_IS_CPU
/* ---- rows of consecutive values, on a CPU ---- */

static float16 load_some(__global const float *x, int count, float rest)
{
	float lane[LANES];

	for (int i = 0; i < LANES; i++)
		lane[i] = i < count ? x[i] : rest;
	return *(const float16_any *)lane;
}

static void store_some(__global float *y, int count, float16 x)
{
	float lane[LANES];

	*(float16_any *)lane = x;
	for (int i = 0; i < count; i++)
		y[i] = lane[i];
}

static float add_lanes(float16 x)
{
	const float8 a = x.lo + x.hi;
	const float4 b = a.lo + a.hi;

	return (b.x + b.y) + (b.z + b.w);
}

/* A NaN stays where it is: results of its row are NaN by their own sums. */
static float largest_lane(float16 x)
{
	const float8 a = fmax(x.lo, x.hi);
	const float4 b = fmax(a.lo, a.hi);

	return fmax(fmax(b.x, b.y), fmax(b.z, b.w));
}

/* f(i, x) for all of a row, with what is behind its end as `rest`. */
#define EACH_VECTOR(from, count, rest, f)                                                                              \
	{                                                                                                              \
		int i = 0;                                                                                             \
                                                                                                                       \
		for (; i + LANES <= (count); i += LANES) {                                                             \
			const float16 x = LOAD_GLOBAL((from) + i);                                                     \
                                                                                                                       \
			f                                                                                              \
		}                                                                                                      \
		if (i < (count)) {                                                                                     \
			const float16 x = load_some((from) + i, (count)-i, rest);                                      \
                                                                                                                       \
			f                                                                                              \
		}                                                                                                      \
	}

__kernel void softmax_whole_rows(__global const float *in, ulong in_offset, __global float *out, ulong out_offset,
				 int reduced, int rows)
{
	GLOBAL_ID(row, rows);
	float16 most = -INFINITY, sums = 0.0f;
	float largest, sum;

	in += in_offset + (size_t)row * reduced;
	out += out_offset + (size_t)row * reduced;
	EACH_VECTOR(in, reduced, -INFINITY, most = fmax(most, x);)
	largest = largest_lane(most);
	EACH_VECTOR(in, reduced, -INFINITY, sums += exp(x - largest);)
	sum = add_lanes(sums);
	EACH_VECTOR(in, reduced, -INFINITY, const float16 y = VALUE;
		    if (i + LANES <= reduced) STORE_GLOBAL(out + i, y); else store_some(out + i, reduced - i, y);)
}

__kernel void softmax_backward_whole_rows(__global const float *out, ulong out_offset, __global const float *dout,
					  ulong dout_offset, __global float *din, ulong din_offset, float accumulate,
					  int reduced, int rows)
{
	GLOBAL_ID(row, rows);
	const int whole = reduced / LANES * LANES;
	float16 sums = 0.0f;
	float sum;

	out += out_offset + (size_t)row * reduced;
	dout += dout_offset + (size_t)row * reduced;
	din += din_offset + (size_t)row * reduced;
	for (int i = 0; i < reduced; i += LANES) {
		const float16 y = i < whole ? LOAD_GLOBAL(out + i) : load_some(out + i, reduced - i, 0.0f);
		const float16 dy = i < whole ? LOAD_GLOBAL(dout + i) : load_some(dout + i, reduced - i, 0.0f);

		sums += SUMMAND;
	}
	sum = add_lanes(sums);
	for (int i = 0; i < reduced; i += LANES) {
		const float16 y = i < whole ? LOAD_GLOBAL(out + i) : load_some(out + i, reduced - i, 0.0f);
		const float16 dy = i < whole ? LOAD_GLOBAL(dout + i) : load_some(dout + i, reduced - i, 0.0f);
		float16 term = GRADIENT;

		if (accumulate != 0.0f)
			term += accumulate *
				(i < whole ? LOAD_GLOBAL(din + i) : load_some(din + i, reduced - i, 0.0f));
		if (i < whole)
			STORE_GLOBAL(din + i, term);
		else
			store_some(din + i, reduced - i, term);
	}
}
#endif
