/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of 3 x 3 with stride 1 on CPUs, by Winograd's F(4x4, 3x3): four times fewer multiplications; its
 * matrices are in winograd.clh. Output is made in tiles of 4 x 4 pixels, each from 6 x 6 pixels of input:
 *     y = A^T [sum over c of (G w G^T) (B^T x B)] A
 * so that the middle is 36 matrix products of outputs by channels by tiles. One work-item carries TILES tiles through
 * all three steps; what is between them stays in its core's cache.
 *
 * TILES, PIECE, MR and V_GLOBAL come from the host; conv_winograd.clh says what they are.
 */
#include "activation.clh"
#include "conv_winograd.clh"

#define U_STRIDE(panels, channels) STRIDE((size_t)(panels) * (((channels) + VECTOR - 1) / VECTOR) * MR * VECTOR)

/* ---- weights: U [36][panel of MR outputs][block of 16 channels][MR][16] ---- */

/*
 * A work-item transforms the weights of MR outputs and blocks_each blocks of channels, 16 of which are its lanes; u has
 * those of `panels` panels, from first_panel on. Weights [k][c][3][3], of which the outputs are k, or c where
 * `transposed`; then they are turned round as well. Lanes and rows that are too many repeat the last one: no product
 * reads them, no result is made of them.
 */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void winograd_weights(__global const float *w, ulong w_offset, __global float *u, ulong u_offset, int outputs,
                               int channels, int transposed, int blocks_each, int first_panel, int panels)
{
	const int panel = first_panel + (int)get_global_id(0), blocks = (channels + VECTOR - 1) / VECTOR;
	const int from = (int)get_global_id(1) * blocks_each, to = min(from + blocks_each, blocks);
	const size_t stride = U_STRIDE(panels, channels);
	const int next_k = 9 * (transposed ? 1 : channels), next_c = 9 * (transposed ? outputs : 1);
	const int first = transposed ? 8 : 0, next = transposed ? -1 : 1;

	w += w_offset;
	u += u_offset + get_global_id(0) * blocks * MR * VECTOR;
	for (int block = from; block < to; block++)
		for (int r = 0; r < MR; r++) {
			__global const float *g = w + (size_t)min(panel * MR + r, outputs - 1) * next_k +
			                          (size_t)block * VECTOR * next_c + first;
			const int last = min(VECTOR, channels - block * VECTOR) - 1;
			float16 half_done[3][6];

			for (int i = 0; i < 3; i++, g += 3 * next) {
#define LANE(l, j) g[min(l, last) * next_c + (j) * next]
#define LANES(j)                                                                                                       \
	(float16)(LANE(0, j), LANE(1, j), LANE(2, j), LANE(3, j), LANE(4, j), LANE(5, j), LANE(6, j), LANE(7, j),      \
	          LANE(8, j), LANE(9, j), LANE(10, j), LANE(11, j), LANE(12, j), LANE(13, j), LANE(14, j), LANE(15, j))
				const float16 g0 = LANES(0), g1 = LANES(1), g2 = LANES(2);
#undef LANE
#undef LANES
				TRANSFORM_WEIGHTS(g0, g1, g2, half_done[i])
			}
			for (int j = 0; j < 6; j++) {
				float16 done[6];

				TRANSFORM_WEIGHTS(half_done[0][j], half_done[1][j], half_done[2][j], done)
				for (int i = 0; i < 6; i++)
					*(__global float16 *)(u + (6 * i + j) * stride +
					                      ((size_t)block * MR + r) * VECTOR) = done[i];
			}
		}
}

/* ---- products: M [output][36][TILES] ---- */

#define M_STRIDE (POINTS * TILES)

#if VECTORS == 1
#define ONE_OR_TWO(one, two) one
#else
#define ONE_OR_TWO(one, two) one two
#endif

static void multiply(__global const float *u, V_SPACE const float *v, int channels, __local float *m)
{
#define START(r) ONE_OR_TWO(float16 s##r = 0.0f;, float16 t##r = 0.0f;)
#define STEP(r)  ONE_OR_TWO(s##r = u[r * VECTOR] * v0 + s##r;, t##r = u[r * VECTOR] * v1 + t##r;)
#define STORE(r)                                                                                                       \
	ONE_OR_TWO(*(__local float16 *)(m + r * M_STRIDE) = s##r;                                                      \
	           , *(__local float16 *)(m + r * M_STRIDE + VECTOR) = t##r;)
	EACH_ROW(START)
	for (; channels > 0; channels -= VECTOR, u += (MR - 1) * VECTOR)
		for (int c = min(channels, VECTOR); c > 0; c--, u++, v += TILES) {
			ONE_OR_TWO(const float16 v0 = *(V_SPACE const float16 *)v;
			           , const float16 v1 = *(V_SPACE const float16 *)(v + VECTOR);)

			EACH_ROW(STEP)
		}
	EACH_ROW(STORE)
#undef START
#undef STEP
#undef STORE
}

/* ---- output ---- */

#if PIECE == 4
#define PIXELS                float16
#define PIXELS_ANY            float16_any
#define PART_OF_QUAD(quad, i) (quad)
#elif PIECE == 2
#define PIXELS                float8
#define PIXELS_ANY            float8_any
#define PART_OF_QUAD(quad, i) ((i) == 0 ? (quad).lo : (quad).hi)
#else
#define PIXELS                float4
#define PIXELS_ANY            float4_any
#define PART_OF_QUAD(quad, i)                                                                                          \
	((i) == 0 ? (quad).lo.lo : (i) == 1 ? (quad).lo.hi : (i) == 2 ? (quad).hi.lo : (quad).hi.hi)
#endif

/* Where results of an output channel go, and through what. The gate has as many values as y, or is 0. */
typedef struct target {
	__global float *y;
	__global const float *gate;
	int width; /* of y */
	float beta, p, q;
} target;

/* y = act(beta y + sums), and 0 where the gate says so, for a row of a piece; at beta 0 y is not read. */
static void store_row(const target *to, piece piece_, int row, PIXELS sums)
{
	const long at = piece_.to + (long)row * to->width;
	const int count = piece_.columns;
	__global float *y = to->y + at;
	float pixels[4 * PIECE];

#ifndef VALUE
	if (count == 4 * PIECE) {
		PIXELS z = to->beta == 0.0f ? sums : to->beta * *(__global const PIXELS_ANY *)y + sums;

		if (to->gate)
			z = GATED(PIXELS, z, *(__global const PIXELS_ANY *)(to->gate + at));
		*(__global PIXELS_ANY *)y = RAISED(PIXELS, z, to->p);
		return;
	}
#endif
	*(PIXELS_ANY *)pixels = sums;
	if (count == 4 * PIECE && to->beta == 0.0f)
		for (int i = 0; i < 4 * PIECE; i++)
			y[i] = activate(pixels[i], to->p, to->q);
	else
		for (int i = 0; i < count; i++)
			y[i] = activate(to->beta == 0.0f ? pixels[i] : to->beta * y[i] + pixels[i], to->p, to->q);
	for (int i = 0; to->gate && i < count; i++)
		if (to->gate[at + i] <= 0.0f)
			y[i] = 0.0f;
}

static void store_quad(const target *to, const piece *pieces, int row, float16 quad)
{
	for (int i = 0; i < 4 / PIECE; i++)
		if (row < pieces[i].rows)
			store_row(to, pieces[i], row, PART_OF_QUAD(quad, i));
}

/* Images and weights as they are given, for an output channel: w is at its first weight. */
typedef struct given {
	__global const float *x, *w;
	size_t plane;             /* of x */
	int width, channels;      /* of x */
	int next_w, next_channel; /* in w, which is walked backwards when it is turned round */
} given;

/* A weight's share of a row. Padding has none, also where the weight is NaN or infinite. */
static PIXELS term(piece p, float w, const float *line, int t)
{
	float share[4 * PIECE];

	*(PIXELS_ANY *)share = w * *(const PIXELS_ANY *)(line + t);
	if (!isfinite(w))
		for (int j = 0; j < 4 * PIECE; j++)
			if (j + t < p.left || j + t >= p.left + p.count)
				share[j] = 0.0f;
	return *(PIXELS_ANY *)share;
}

/*
 * 16 tiles by the definition. Where a value is NaN, infinite or near the largest number, the transforms spread it over
 * its whole tile, and infinities meet in them and become NaN; so tiles that are not finite are made again, here.
 */
static void define_output(const target *to, const piece *pieces, const given *g, float bias)
{
	for (int i = 0; i < VECTOR / PIECE; i++) {
		const piece p = pieces[i];

		for (int row = 0; row < p.rows; row++) {
			PIXELS sums = bias;

			for (int c = 0; c < g->channels; c++)
				for (int r = 0; r < 3; r++) {
					__global const float *w = g->w + (long)c * g->next_channel + 3 * r * g->next_w;
					__global const float *x =
						g->x + (p.from + (long)c * g->plane + (long)(row + r) * g->width);
					float line[4 * PIECE + 2] = { 0.0f };

					if (row + r < p.first || row + r >= p.last)
						continue;
					for (int j = 0; j < p.count; j++)
						line[p.left + j] = x[j];
					for (int t = 0; t < 3; t++)
						sums += term(p, w[t * g->next_w], line, t);
				}
			store_row(to, p, row, sums);
		}
	}
}

/* An output channel of 16 tiles, m [36][TILES]. */
static void transform_output(const target *to, const piece *pieces, __local const float *m, const given *g,
                             float bias)
{
	float16 rows[6][4], done[4][4], all = 0.0f;

	for (int i = 0; i < 6; i++) {
#define POINT(j) (*(__local const float16 *)(m + (6 * i + j) * TILES))
		const float16 m0 = POINT(0), m1 = POINT(1), m2 = POINT(2), m3 = POINT(3), m4 = POINT(4), m5 = POINT(5);
#undef POINT

		TRANSFORM_OUTPUT(m0, m1, m2, m3, m4, m5, rows[i])
	}
	for (int j = 0; j < 4; j++) {
		float16 column[4];

		TRANSFORM_OUTPUT(rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j], column)
		for (int i = 0; i < 4; i++) {
			done[i][j] = column[i] + bias;
			all += done[i][j];
		}
	}
	if (any(isnan(all - all))) {
		define_output(to, pieces, g, bias);
		return;
	}
	for (int i = 0; i < 4; i++) {
		/* Tiles 0-7 and 8-15, pixels 0 and 2, 1 and 3. */
		const float16 a = (float16)(done[i][0].lo, done[i][2].lo), b = (float16)(done[i][1].lo, done[i][3].lo),
		              c = (float16)(done[i][0].hi, done[i][2].hi), d = (float16)(done[i][1].hi, done[i][3].hi);
#define FIRST(a, b)                                                                                                    \
	(float16)((a).s0, (b).s0, (a).s8, (b).s8, (a).s1, (b).s1, (a).s9, (b).s9, (a).s2, (b).s2, (a).sa, (b).sa,      \
	          (a).s3, (b).s3, (a).sb, (b).sb)
#define SECOND(a, b)                                                                                                   \
	(float16)((a).s4, (b).s4, (a).sc, (b).sc, (a).s5, (b).s5, (a).sd, (b).sd, (a).s6, (b).s6, (a).se, (b).se,      \
	          (a).s7, (b).s7, (a).sf, (b).sf)
		store_quad(to, pieces, i, FIRST(a, b));
		store_quad(to, pieces + 4 / PIECE, i, SECOND(a, b));
		store_quad(to, pieces + 8 / PIECE, i, FIRST(c, d));
		store_quad(to, pieces + 12 / PIECE, i, SECOND(c, d));
#undef FIRST
#undef SECOND
	}
}

/* Where the next output channel goes, `plane` behind this one, while this one is transformed. */
static void prefetch_output(const target *to, const piece *pieces, size_t plane)
{
	for (int i = 0; i < PIECES; i++)
		for (int r = 0; r < pieces[i].rows; r++) {
			const long at = pieces[i].to + (long)plane + (long)r * to->width;

			PREFETCH_WRITE(to->y + at);
			if (to->gate)
				PREFETCH_NEAR(to->gate + at);
		}
}

/* The outputs of panels [from, end), `block` of them at a time; u has `panels` from `first_panel` on. */
static void multiply_all(const piece *pieces, __global const float *x, __global const float *w, int turned,
                         __global const float *u, V_SPACE const float *v, int8 size, int from, int end, int block,
                         int first_panel, int panels, __local float *m, const target *to,
                         __global const float *bias, int has_bias)
{
	const int channels = size.s0, outputs = size.s3;
	const size_t plane = (size_t)size.s6 * size.s7, u_stride = U_STRIDE(panels, channels), v_stride = V_STRIDE(channels);
	const size_t panel = (size_t)(channels + VECTOR - 1) / VECTOR * MR * VECTOR;
	const int next_output = 9 * (turned ? 1 : channels), next_channel = 9 * (turned ? outputs : 1);
	given g = { x, w, (size_t)size.s1 * size.s2, size.s2, channels, turned ? -1 : 1, next_channel };

	for (int first = from; first < end; first += block) {
		const int count = min(block, end - first), rows = min(count * MR, outputs - first * MR);

		for (int point = 0; point < POINTS; point++)
			for (int p = 0; p < count; p++)
				for (int t = 0; t < TILES; t += 2 * VECTOR)
					multiply(u + point * u_stride + (first - first_panel + p) * panel,
					         v + point * v_stride + t, channels,
					         m + p * MR * M_STRIDE + point * TILES + t);
		for (int r = 0; r < rows; r++) {
			const int k = first * MR + r;

			target channel = *to;

			channel.y += k * plane;
			if (to->gate)
				channel.gate += k * plane;
			if (r + 1 < rows)
				prefetch_output(&channel, pieces, plane);
			g.w = w + ((size_t)k * next_output + (turned ? 8 : 0));
			for (int t = 0; t < VECTORS; t++)
				transform_output(&channel, pieces + t * (VECTOR / PIECE),
				                 m + r * M_STRIDE + t * VECTOR, &g, has_bias ? bias[k] : 0.0f);
		}
	}
}

/* ---- kernels: all at once, or in two steps where V is too large for the cache ---- */

#ifdef V_GLOBAL
/* A work-item transforms channels_each channels of TILES tiles. v has those from first_block on, here and in the next
 * kernel. */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void winograd_input(__global const float *x, ulong x_offset, __global float *v, ulong v_offset, int images,
                             int8 size, int8 step, int first_block, int channels_each, __local float *stage)
{
	const int block = (int)get_global_id(0), from = (int)get_global_id(1) * channels_each, channels = size.s0;
	piece pieces[PIECES];

	for (int i = 0; i < PIECES; i++)
		pieces[i] = find_piece((first_block + block) * PIECES + i, images, size, step);
	transform_input(pieces, x + x_offset, size.s2, (size_t)size.s1 * size.s2, channels, from,
	                min(from + channels_each, channels), stage,
	                v + (v_offset + block * POINTS * V_STRIDE(channels)));
}
#endif

/* part is first_block, first_panel, panels, panels_each, block. */
__attribute__((reqd_work_group_size(1, 1, 1)))
__kernel void winograd(__global const float *x, ulong x_offset, __global const float *w, ulong w_offset, int turned,
                       __global const float *u, ulong u_offset, __global const float *global_v, ulong v_offset,
                       __global const float *bias, ulong bias_offset, int has_bias, __global float *y, ulong y_offset,
                       float beta, float p_, float q_, __global const float *gate, ulong gate_offset, int has_gate,
                       int images, int8 size, int8 step, int8 part, __local float *m, __local float *local_v,
                       __local float *stage)
{
	const int first_block = part.s0, first_panel = part.s1, panels = part.s2, panels_each = part.s3, block = part.s4;
	const int tiles = (int)get_global_id(0), from = first_panel + (int)get_global_id(1) * panels_each;
	const int channels = size.s0;
	const target to = { y + y_offset, has_gate ? gate + gate_offset : 0, size.s7, beta, p_, q_ };
	piece pieces[PIECES];
#ifdef V_GLOBAL
	__global const float *v = global_v + (v_offset + tiles * POINTS * V_STRIDE(channels));
#else
	__local float *v = local_v;
#endif

	for (int i = 0; i < PIECES; i++)
		pieces[i] = find_piece((first_block + tiles) * PIECES + i, images, size, step);
#ifndef V_GLOBAL
	transform_input(pieces, x + x_offset, size.s2, (size_t)size.s1 * size.s2, channels, 0, channels, stage, v);
#endif
	multiply_all(pieces, x + x_offset, w + w_offset, turned, u + u_offset, v, size, from,
	             min(from + panels_each, first_panel + panels), block, first_panel, panels, m, &to,
	             bias + bias_offset, has_bias);
}
