/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of 3 x 3 with stride 1 on GPUs, by Winograd's F(4x4, 3x3), in four kernels: one transforms the weights,
 * one the images, cl/conv_gemm.cl multiplies 36 pairs of matrices, M = U^T V, and one makes the result. In memory they
 * are
 *
 *     U [36][channels][rows]    V [36][channels][columns]    M [36][rows][columns]
 *
 * Rows are outputs and columns are tiles, of 4 x 4 pixels of the result, of all images; both are some of all. A
 * work-item transforms one tile of one channel, in registers, and its neighbour the next tile: so each of the 36 floats
 * that it loads or stores lies beside its neighbour's.
 */
#define NUMBER float
#include "conv_gpu.clh"
#include "winograd.clh"

/* ---- weights ---- */

/* Weights [k][c][3][3], of which the outputs are k, or c where `turned`; then they are turned round as well. Rows
 * behind the last output repeat it. */
__kernel void winograd_gpu_weights(__global const float *w, ulong w_offset, __global float *u, ulong u_offset,
				   int outputs, int channels, int turned, int first_row, int rows)
{
	const int row = (int)get_global_id(0), c = (int)get_global_id(1), k = min(first_row + row, outputs - 1);
	const size_t stride = (size_t)channels * rows;
	const int next = turned ? -1 : 1;
	float half_done[3][6];

	if (row >= rows)
		return;
	w += w_offset + 9 * (turned ? (size_t)c * outputs + k : (size_t)k * channels + c) + (turned ? 8 : 0);
	u += u_offset + (size_t)c * rows + row;
	UNROLL
	for (int i = 0; i < 3; i++) {
		const float g0 = w[3 * i * next], g1 = w[(3 * i + 1) * next], g2 = w[(3 * i + 2) * next];

		TRANSFORM_WEIGHTS(g0, g1, g2, half_done[i])
	}
	UNROLL
	for (int j = 0; j < 6; j++) {
		float done[6];

		TRANSFORM_WEIGHTS(half_done[0][j], half_done[1][j], half_done[2][j], done)
		UNROLL
		for (int i = 0; i < 6; i++)
			u[(6 * i + j) * stride] = done[i];
	}
}

/* ---- tiles ---- */

/* A tile's image, and its first row and column in the result. */
static int4 place_of(int tile, int8 size)
{
	const int down = (size.s6 + 3) / 4, across = (size.s7 + 3) / 4;

	return (int4)(tile / across / down, tile / across % down * 4, tile % across * 4, 0);
}

/* Columns behind the last tile are zero. What is outside of the image loads a pixel of it all the same, so that no load
 * waits for a branch. */
__kernel void winograd_gpu_input(__global const float *x, ulong x_offset, __global float *v, ulong v_offset, int images,
				 int8 size, int8 step, int first_column, int columns)
{
	const int column = (int)get_global_id(0), c = (int)get_global_id(1);
	const int channels = size.s0, h = size.s1, w = size.s2;
	const int4 at = place_of(first_column + column, size);
	const int h0 = at.y - step.s2, w0 = at.z - step.s3;
	const size_t stride = (size_t)channels * columns;
	float rows[6][6];

	if (column >= columns)
		return;
	x += x_offset + ((size_t)min(at.x, images - 1) * channels + c) * ((size_t)h * w);
	v += v_offset + (size_t)c * columns + column;
	UNROLL
	for (int i = 0; i < 6; i++) {
		const int inside = (at.x < images) & ((uint)(h0 + i) < (uint)h), from = clamp(h0 + i, 0, h - 1) * w;
		float d[6];

		UNROLL
		for (int j = 0; j < 6; j++) {
			const float pixel = x[from + clamp(w0 + j, 0, w - 1)];

			d[j] = inside & ((uint)(w0 + j) < (uint)w) ? pixel : 0.0f;
		}
		TRANSFORM_INPUT(d[0], d[1], d[2], d[3], d[4], d[5], rows[i])
	}
	UNROLL
	for (int j = 0; j < 6; j++) {
		float done[6];

		TRANSFORM_INPUT(rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j], done)
		UNROLL
		for (int i = 0; i < 6; i++)
			v[(6 * i + j) * stride] = done[i];
	}
}

/* ---- result ---- */

/* A pixel of the result by the definition: x is its channel 0, and `at` the row and column under w's first weight.
 * Padding has no share in it, also where a weight is NaN or infinite. */
static float define_pixel(__global const float *x, __global const float *w, int2 at, int8 size, int next,
			  int next_channel)
{
	float sum = 0.0f;

	for (int c = 0; c < size.s0; c++, x += (size_t)size.s1 * size.s2, w += next_channel)
		for (int i = 0; i < 9; i++) {
			const int row = at.x + i / 3, column = at.y + i % 3;

			if ((uint)row < (uint)size.s1 && (uint)column < (uint)size.s2)
				sum = fma(w[i * next], x[row * size.s2 + column], sum);
		}
	return sum;
}

/*
 * y = act(beta y + the transform of m + bias); at beta 0 y is not read.
 *
 * Where a value is NaN, infinite or near the largest number, the transforms spread it over its whole tile, and
 * infinities meet in them and become NaN; so tiles that are not finite are made again, from x and w.
 */
__kernel void winograd_gpu_output(__global const float *x, ulong x_offset, __global const float *w, ulong w_offset,
				  int turned, __global const float *m, ulong m_offset, __global const float *bias,
				  ulong bias_offset, int has_bias, __global float *y, ulong y_offset, float beta,
				  float p, float q, int images, int8 size, int8 step, int first_column, int columns,
				  int first_row, int rows)
{
	const int column = (int)get_global_id(0), row = (int)get_global_id(1), k = first_row + row;
	const int channels = size.s0, outputs = size.s3, oh = size.s6, ow = size.s7;
	const int4 at = place_of(first_column + column, size);
	const size_t stride = (size_t)rows * columns;
	const int quads = ow % 4 == 0 && y_offset % 4 == 0;
	float half_done[6][4], done[4][4], b, all = 0.0f;

	if (column >= columns || at.x >= images)
		return;
	m += m_offset + (size_t)row * columns + column;
	y += y_offset + (((size_t)at.x * outputs + k) * oh + at.y) * ow + at.z;
	b = has_bias ? bias[bias_offset + k] : 0.0f;
	UNROLL
	for (int i = 0; i < 6; i++) {
		const float m0 = m[6 * i * stride], m1 = m[(6 * i + 1) * stride], m2 = m[(6 * i + 2) * stride];
		const float m3 = m[(6 * i + 3) * stride], m4 = m[(6 * i + 4) * stride], m5 = m[(6 * i + 5) * stride];

		TRANSFORM_OUTPUT(m0, m1, m2, m3, m4, m5, half_done[i])
	}
	UNROLL
	for (int j = 0; j < 4; j++) {
		float d[4];

		TRANSFORM_OUTPUT(half_done[0][j], half_done[1][j], half_done[2][j], half_done[3][j], half_done[4][j],
				 half_done[5][j], d)
		UNROLL
		for (int i = 0; i < 4; i++) {
			done[i][j] = d[i] + b;
			all += done[i][j];
		}
	}
	if (isnan(all - all)) {
		x += x_offset + (size_t)at.x * channels * ((size_t)size.s1 * size.s2);
		w += w_offset + (turned ? 9 * (size_t)k + 8 : 9 * (size_t)k * channels);
		for (int i = 0; i < 16; i++)
			if (at.y + i / 4 < oh && at.z + i % 4 < ow)
				store(y + (i / 4 * ow + i % 4),
				      b + define_pixel(x, w, (int2)(at.y + i / 4 - step.s2, at.z + i % 4 - step.s3),
						       size, turned ? -1 : 1, turned ? 9 * outputs : 9),
				      beta, p, q);
		return;
	}
	UNROLL
	for (int i = 0; i < 4; i++)
		if (at.y + i < oh)
			store4(y + i * ow, (int4)(0, 1, 2, 3), ow - at.z, quads,
			       (float4)(done[i][0], done[i][1], done[i][2], done[i][3]), beta, p, q);
}
