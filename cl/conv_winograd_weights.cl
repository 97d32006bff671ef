/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of weights of 3 x 3 with stride 1 on CPUs, by the transpose of Winograd's F(4x4, 3x3): with the matrices
 * of conv_winograd.cl
 *     dw = G^T [sum over tiles of (A dy A^T) (B^T x B)] G
 * so that the middle is 36 matrix products of outputs by tiles by channels. One work-item has a block of outputs, one of
 * channels and a chunk of the tiles, which it takes TILES at a time: P and V, the transformed gradients and images of
 * these, stay in its core's cache, and the products go to its part of a scratch buffer. A second kernel adds up the
 * parts and transforms them.
 *
 * TILES, PIECE and MR come from the host.
 */
#include "conv_winograd.clh"

/* Channels in a register tile. */
#if FLOAT_VECTOR >= 16
#define NR                   (2 * VECTOR)
#define ONE_OR_TWO(one, two) one two
#else
#define NR                   VECTOR
#define ONE_OR_TWO(one, two) one
#endif

#define P_STRIDE(k) STRIDE((size_t)(k) * TILES)
#define M_STRIDE(floats) STRIDE((size_t)(floats))

/* blocks: outputs and channels of a block, padded to whole register tiles; their blocks, those of outputs that are
 * computed now; blocks of tiles of a chunk, and all; chunks; the first of the blocks of outputs */
#define K_EACH        blocks.s0
#define C_EACH        blocks.s1
#define K_BLOCKS      blocks.s2
#define C_BLOCKS      blocks.s3
#define TILES_EACH    blocks.s4
#define TILE_BLOCKS   blocks.s5
#define CHUNKS        blocks.s6
#define FIRST_K_BLOCK blocks.s7

static void clear(__local float *to, size_t floats)
{
	for (size_t i = 0; i < floats; i++)
		to[i] = 0.0f;
}

/* ---- gradients: P [36][output][TILES] ---- */

#define TRANSFORM_GRADIENT(d0, d1, d2, d3, p)                                                                          \
	{                                                                                                              \
		const float16 even_ = d0 + d2, odd_ = d1 + d3;                                                         \
		const float16 even4_ = d0 + 4.0f * d2, odd4_ = 2.0f * d1 + 8.0f * d3;                                  \
		p[0] = d0;                                                                                             \
		p[1] = even_ + odd_;                                                                                   \
		p[2] = even_ - odd_;                                                                                   \
		p[3] = even4_ + odd4_;                                                                                 \
		p[4] = even4_ - odd4_;                                                                                 \
		p[5] = d3;                                                                                             \
	}

static void transform_gradient_row(__local const float *s, float16 *p)
{
	const float16 a0 = QUAD(s), a1 = QUAD(s + NEXT_QUAD), a2 = QUAD(s + 2 * NEXT_QUAD), a3 = QUAD(s + 3 * NEXT_QUAD);

	SPLIT(a0, a1, a2, a3)
	TRANSFORM_GRADIENT(d0, d1, d2, d3, p)
}

/* What is outside of y is zero in the stage, the same for every output. */
static void transform_gradients(const piece *pieces, __global const float *y, int ow, size_t plane, int outputs,
                                size_t stride, __local float *stage, __local float *p)
{
	clear(stage, PIECES * 6 * WIDTH);
	for (int k = 0; k < outputs; k++) {
		for (int i = 0; i < PIECES; i++)
			for (int r = 0; r < pieces[i].rows; r++) {
				__global const float *row = y + (pieces[i].to + (long)k * plane + r * ow);

				copy_row(stage + (i * 6 + r) * WIDTH, row, pieces[i].columns);
				if (k + 1 < outputs)
					prefetch_row(row + plane, pieces[i].columns);
			}
		for (int t = 0; t < VECTORS; t++) {
			__local const float *s = stage + t * (VECTOR / PIECE) * 6 * WIDTH;
			__local float *to = p + (size_t)k * TILES + t * VECTOR;
			float16 rows[4][6];

			for (int r = 0; r < 4; r++)
				transform_gradient_row(s + r * WIDTH, rows[r]);
			for (int j = 0; j < 6; j++) {
				float16 done[6];

				TRANSFORM_GRADIENT(rows[0][j], rows[1][j], rows[2][j], rows[3][j], done)
				for (int i = 0; i < 6; i++)
					*(__local float16 *)(to + (6 * i + j) * stride) = done[i];
			}
		}
	}
}

/* ---- images: V [36][TILES][channel], 16 channels at a time through `turn` [36][16][TILES] ---- */

static void transform_images(const piece *pieces, __global const float *x, int w, size_t plane, int channels,
                             size_t stride, int c_each, __local float *stage, __local float *turn, __local float *v)
{
	for (int c = 0; c < channels; c += VECTOR) {
		transform_input(pieces, x + (size_t)c * plane, w, plane, VECTOR, 0, min(VECTOR, channels - c), stage,
		                turn);
		for (int point = 0; point < POINTS; point++)
			for (int t = 0; t < TILES; t += VECTOR) {
				__local const float *from = turn + point * V_STRIDE(VECTOR) + t;
				__local float *to = v + point * stride + (size_t)t * c_each + c;

#define READ(i)  float16 x##i = *(__local const float16 *)(from + i * TILES), y##i;
#define WRITE(i) *(__local float16 *)(to + (size_t)i * c_each) = x##i;
				EACH_OF_16(READ)
				TRANSPOSE
				EACH_OF_16(WRITE)
#undef READ
#undef WRITE
			}
	}
}

/* ---- products: M [36][panel of MR outputs][panel of NR channels][MR][NR] ---- */

static void multiply(__local const float *p, __local const float *v, int c_each, __global float *m, int first)
{
#define START(r) ONE_OR_TWO(float16 s##r = 0.0f;, float16 t##r = 0.0f;)
#define RESUME(r)                                                                                                      \
	ONE_OR_TWO(s##r = *(__global const float16 *)(m + r * NR);                                                     \
	           , t##r = *(__global const float16 *)(m + r * NR + VECTOR);)
#define STEP(r) ONE_OR_TWO(s##r = p[r * TILES + t] * v0 + s##r;, t##r = p[r * TILES + t] * v1 + t##r;)
#define STORE(r)                                                                                                       \
	ONE_OR_TWO(*(__global float16 *)(m + r * NR) = s##r;, *(__global float16 *)(m + r * NR + VECTOR) = t##r;)
	EACH_ROW(START)
	if (!first) {
		EACH_ROW(RESUME)
	}
	for (int t = 0; t < TILES; t++, v += c_each) {
		ONE_OR_TWO(const float16 v0 = *(__local const float16 *)v;
		           , const float16 v1 = *(__local const float16 *)(v + VECTOR);)

		EACH_ROW(STEP)
	}
	EACH_ROW(STORE)
#undef START
#undef RESUME
#undef STEP
#undef STORE
}

__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void winograd_products(__global const float *x, ulong x_offset, __global const float *y, ulong y_offset,
                                __global float *parts, ulong parts_offset, int images, int8 size, int8 step,
                                int8 blocks, __local float *v, __local float *p, __local float *turn,
                                __local float *stage)
{
	const int k0 = (FIRST_K_BLOCK + (int)get_global_id(0)) * K_EACH, c0 = (int)get_global_id(1) * C_EACH;
	const int outputs = min(K_EACH, size.s3 - k0), channels = min(C_EACH, size.s0 - c0);
	const int from = (int)get_global_id(2) * TILES_EACH, to = min(from + TILES_EACH, TILE_BLOCKS);
	const size_t plane = (size_t)size.s1 * size.s2, y_plane = (size_t)size.s6 * size.s7;
	const size_t v_stride = STRIDE((size_t)C_EACH * TILES), p_stride = P_STRIDE(K_EACH);
	const size_t m_stride = M_STRIDE(K_EACH * C_EACH);
	const size_t part = (get_global_id(2) * K_BLOCKS + get_global_id(0)) * C_BLOCKS + get_global_id(1);
	piece pieces[PIECES];

	x += x_offset + c0 * plane;
	y += y_offset + k0 * y_plane;
	parts += parts_offset + part * POINTS * m_stride;
	/* Rows and lanes without an output or a channel give products that no one reads. */
	clear(v, POINTS * v_stride);
	clear(p, POINTS * p_stride);
	clear(turn, POINTS * V_STRIDE(VECTOR));
	for (int block = from; block < to; block++) {
		for (int i = 0; i < PIECES; i++)
			pieces[i] = find_piece(block * PIECES + i, images, size, step);
		transform_images(pieces, x, size.s2, plane, channels, v_stride, C_EACH, stage, turn, v);
		transform_gradients(pieces, y, size.s7, y_plane, outputs, p_stride, stage, p);
		for (int point = 0; point < POINTS; point++)
			for (int k = 0; k < outputs; k += MR)
				for (int c = 0; c < channels; c += NR)
					multiply(p + point * p_stride + (size_t)k * TILES, v + point * v_stride + c,
					         C_EACH, parts + point * m_stride + (size_t)k * C_EACH + c * MR,
					         block == from);
	}
}

/* ---- the sum of the parts, and what becomes of it ---- */

#define TRANSFORM_SUMS(m0, m1, m2, m3, m4, m5, w)                                                                      \
	{                                                                                                              \
		const float16 near_ = (m1 + m2) * (1.0f / 6), far_ = m3 + m4;                                          \
		w[0] = 0.25f * m0 - near_ + far_ * (1.0f / 24);                                                        \
		w[1] = (m2 - m1) * (1.0f / 6) + (m3 - m4) * (1.0f / 12);                                               \
		w[2] = far_ * (1.0f / 6) - near_ + m5;                                                                 \
	}

/* The nine weights of one output and one channel by the definition, for x and y that are not finite: the transforms
 * spread these over a tile. Sixteen pixels of a row at a time. */
static void define_weights(__global const float *x, __global const float *y, int images, int8 size, int8 step, float *w)
{
	const int8 lane = (int8)(0, 1, 2, 3, 4, 5, 6, 7);
	const int16 lanes = (int16)(lane, lane + 8);
	const int h = size.s1, width = size.s2, oh = size.s6, ow = size.s7;
	float16 sums[9];

	for (int i = 0; i < 9; i++)
		sums[i] = 0.0f;
	for (int image = 0; image < images; image++)
		for (int row = 0; row < oh; row++)
			for (int from = 0; from < ow; from += VECTOR) {
				__global const float *dy =
					y + ((size_t)image * size.s3 * oh + row) * ow + from;
				const int count = min(VECTOR, ow - from), left = from - step.s3;
				float given[VECTOR] = { 0.0f };

				for (int j = 0; j < count; j++)
					given[j] = dy[j];
				for (int r = 0; r < 3; r++) {
					const int at = row + r - step.s2;
					__global const float *pixels =
						x + ((long)image * size.s0 * h + at) * width + left;
					float line[VECTOR + 2] = { 0.0f };

					if (at < 0 || at >= h)
						continue;
					for (int j = max(0, -left); j < min(count + 2, width - left); j++)
						line[j] = pixels[j];
					for (int s = 0; s < 3; s++)
						sums[3 * r + s] += select((float16)0.0f,
						                          *(float16_any *)given *
						                                  *(const float16_any *)(line + s),
						                          lanes < count);
				}
			}
	for (int i = 0; i < 9; i++) {
		float lane_sums[VECTOR], sum = 0.0f;

		*(float16_any *)lane_sums = sums[i];
		for (int j = 0; j < VECTOR; j++)
			sum += lane_sums[j];
		w[i] = sum;
	}
}

/* The nine sums of 16 channels from their 36, over all parts; m: at the first channel in the first part. */
static void transform_sums(__global const float *m, size_t stride, size_t chunk, int chunks, float16 w[3][3])
{
	float16 sums[6][6], rows[3][6];

	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 6; j++, m += stride) {
			sums[i][j] = *(__global const float16 *)m;
			for (int n = 1; n < chunks; n++)
				sums[i][j] += *(__global const float16 *)(m + n * chunk);
		}
	for (int j = 0; j < 6; j++) {
		float16 column[3];

		TRANSFORM_SUMS(sums[0][j], sums[1][j], sums[2][j], sums[3][j], sums[4][j], sums[5][j], column)
		for (int i = 0; i < 3; i++)
			rows[i][j] = column[i];
	}
	for (int i = 0; i < 3; i++)
		TRANSFORM_SUMS(rows[i][0], rows[i][1], rows[i][2], rows[i][3], rows[i][4], rows[i][5], w[i])
}

static int all_finite(const float16 *v, int count)
{
	float16 all = 0.0f;

	for (int i = 0; i < count; i++)
		all += v[i];
	return !any(isnan(all - all));
}

/* w [k][c][3][3] = beta w + the transformed sum. A work-item has the channels of a block for one output. */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void winograd_sum(__global const float *parts, ulong parts_offset, __global const float *x, ulong x_offset,
                           __global const float *y, ulong y_offset, __global float *w, ulong w_offset, float beta,
                           int images, int8 size, int8 step, int8 blocks)
{
	const int block = (int)get_global_id(0), k_here = (int)get_global_id(1), in_k = k_here % K_EACH;
	const int k = FIRST_K_BLOCK * K_EACH + k_here;
	const int first = block * C_EACH, channels = min(C_EACH, size.s0 - first);
	const size_t m_stride = STRIDE(K_EACH * C_EACH), part = POINTS * m_stride, chunk = part * K_BLOCKS * C_BLOCKS;

	parts += parts_offset + ((size_t)(k_here / K_EACH) * C_BLOCKS + block) * part;
	parts += (size_t)(in_k / MR * MR) * C_EACH + in_k % MR * NR;
	x += x_offset + (size_t)first * size.s1 * size.s2;
	y += y_offset + (size_t)k * size.s6 * size.s7;
	w += w_offset + ((size_t)k * size.s0 + first) * 9;
	for (int c = 0; c < channels; c += VECTOR) {
		const int count = min(VECTOR, channels - c);
		float16 done[3][3];
		int finite;

		transform_sums(parts + (c / NR * MR * NR + c % NR), m_stride, chunk, CHUNKS, done);
		finite = all_finite(&done[0][0], 9);
		for (int lane = 0; lane < count; lane++, w += 9) {
			const float *taps = (const float *)done;
			float made[9];

			for (int i = 0; i < 9; i++)
				made[i] = taps[i * VECTOR + lane];
			if (!finite)
				define_weights(x + (size_t)(c + lane) * size.s1 * size.s2, y, images, size, step, made);
			for (int i = 0; i < 9; i++)
				w[i] = beta == 0.0f ? made[i] : beta * w[i] + made[i];
		}
	}
}
