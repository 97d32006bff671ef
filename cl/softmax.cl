/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax along the middle of [outer][reduced][inner]. VALUE is y as an expression of x and of the row's largest and
 * sum; GRADIENT is dx as an expression of y, dy and the row's sum of SUMMAND. In a row of consecutive values sixteen
 * results are kept side by side. On a CPU such a row is one work-item's from beginning to end, while it is in the cache.
 */
#include "rows.clh"

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

__kernel void softmax_whole_rows(__global const float *in, ulong in_offset, __global float *out, ulong out_offset,
				 int reduced, int rows)
{
	GLOBAL_ID(row, rows);
	float16 most = -INFINITY, sums = 0.0f;
	float largest, sum;

	in += in_offset + (size_t)row * reduced;
	out += out_offset + (size_t)row * reduced;
	EACH_VECTOR(reduced, most = fmax(most, LOAD_ROW(in, -INFINITY));)
	largest = largest_lane(most);
	EACH_VECTOR(reduced, sums += exp(LOAD_ROW(in, -INFINITY) - largest);)
	sum = sum16(sums);
	EACH_VECTOR(reduced, {
		const float16 x = LOAD_ROW(in, -INFINITY);

		STORE_ROW(out, VALUE);
	})
}

__kernel void softmax_backward_whole_rows(__global const float *out, ulong out_offset, __global const float *dout,
					  ulong dout_offset, __global float *din, ulong din_offset, float accumulate,
					  int reduced, int rows)
{
	GLOBAL_ID(row, rows);
	float16 sums = 0.0f;
	float sum;

	out += out_offset + (size_t)row * reduced;
	dout += dout_offset + (size_t)row * reduced;
	din += din_offset + (size_t)row * reduced;
	EACH_VECTOR(reduced, {
		const float16 y = LOAD_ROW(out, 0.0f);
		const float16 dy = LOAD_ROW(dout, 0.0f);

		sums += SUMMAND;
	})
	sum = sum16(sums);
	EACH_VECTOR(reduced, {
		const float16 y = LOAD_ROW(out, 0.0f);
		const float16 dy = LOAD_ROW(dout, 0.0f);
		float16 term = GRADIENT;

		if (accumulate != 0.0f)
			term += accumulate * LOAD_ROW(din, 0.0f);
		STORE_ROW(din, term);
	})
}
#endif
