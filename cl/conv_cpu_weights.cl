/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of a convolution's weights for CPUs: a matrix product of outputs with the pixels that they saw, over all
 * pixels of all images. One work-item owns a block of weights and some of the images, which it takes in blocks of
 * pixels. For each block it lays out the pixels, side by side for all images, and the outputs in the same order with
 * the channels innermost, [k / NR][row][image][column][NR]. Then it runs a tile of MR weights (c, r, s) by NR outputs
 * over them, held in registers. Sums go to memory between blocks; those of all work-items are added up, and brought
 * into their final order, by a second kernel.
 */
#include "conv_pixels.clh"
#include "stream.clh"

#if FLOAT_VECTOR >= 16
#define NR 32
#else
#define NR 16
#endif
#define EACH_WEIGHT EACH_OF(MR)

/* ---- outputs ---- */

/* places[p] = where pixel p of an image goes. */
static void find_places(const geometry *g, const block *b, __local int *places)
{
	for (int row = 0; row < b->rows; row++, places += g->ow)
		for (int j = 0; j < g->ow; j++)
			places[j] = (row * b->line + j) * NR;
}

static void load_16_outputs(__global const float *y, size_t plane, int count, int pixels, __local const int *places,
			    __local float *outputs)
{
	int p = 0;

	if (count == VECTOR)
		for (; p + VECTOR <= pixels; p += VECTOR) {
#define READ(i)  float16 x##i = LOAD_GLOBAL(y + i * plane + p), y##i;
#define WRITE(i) STORE_LOCAL(outputs + places[p + i], x##i);
			EACH_OF_16(READ)
			TRANSPOSE
			EACH_OF_16(WRITE)
#undef READ
#undef WRITE
		}
	for (; p < pixels; p++)
		for (int i = 0; i < VECTOR; i++)
			outputs[places[p] + i] = i < count ? y[i * plane + p] : 0.0f;
}

static void load_outputs(__global const float *y, const geometry *g, const block *b, int outputs_here,
			 __local const int *places, __local float *outputs)
{
	const size_t plane = (size_t)g->oh * g->ow;

	y += (size_t)b->image * g->k * plane + (size_t)b->row * g->ow;
	for (int i = 0; i < b->images; i++, y += g->k * plane)
		for (int k = 0; k < outputs_here; k += VECTOR)
			load_16_outputs(y + k * plane, plane, min(VECTOR, outputs_here - k), b->rows * g->ow, places,
					outputs + k / NR * b->pixels * NR + k % NR + i * b->image_step * NR);
}

/* ---- what the next block needs is fetched while this one is computed ---- */

static stream stream_of_pixels(__global const float *x, const geometry *g, const block *b, int channels, int turns)
{
	const int from = b->row * g->stride_h - g->pad_top;

	return stream_of(x + (size_t)b->image * g->c * g->h * g->w, g->w, g->h, g->c, from, from + b->image_rows,
	                 b->phases == 1 ? g->stride_h : 1, channels, b->images, turns);
}

static stream stream_of_outputs(__global const float *y, const geometry *g, const block *b, int channels, int turns)
{
	return stream_of(y + (size_t)b->image * g->k * g->oh * g->ow, g->ow, g->oh, g->k, b->row, b->row + b->rows, 1,
	                 channels, b->images, turns);
}

/* ---- the tile ---- */

/* Two pixels a step, so that the addresses, more than there are registers for, are fetched half as often. */
static void tile_2(__local const float *pixels, __local const int *lines, __local const float *outputs, int count,
		   __global float *sums, int first)
{
#define START(i)                                                                                                       \
	__local const float *x##i = pixels + lines[i];                                                                 \
	float16 s##i = 0.0f, t##i = 0.0f;
#define RESUME(i)                                                                                                      \
	s##i = LOAD_GLOBAL(sums + i * NR);                                                                             \
	t##i = LOAD_GLOBAL(sums + i * NR + VECTOR);
#define STEP(i)                                                                                                        \
	s##i = fma(x##i[p], y0, s##i);                                                                                 \
	t##i = fma(x##i[p], y1, t##i);                                                                                 \
	s##i = fma(x##i[p + 1], y2, s##i);                                                                             \
	t##i = fma(x##i[p + 1], y3, t##i);
#define LAST(i)                                                                                                        \
	s##i = fma(x##i[count], y0, s##i);                                                                             \
	t##i = fma(x##i[count], y1, t##i);
#define STORE(i)                                                                                                       \
	STORE_GLOBAL(sums + i * NR, s##i);                                                                             \
	STORE_GLOBAL(sums + i * NR + VECTOR, t##i);
	const int odd = count & 1;

	EACH_WEIGHT(START)
	if (!first) {
		EACH_WEIGHT(RESUME)
	}
	count -= odd;
	for (int p = 0; p < count; p += 2, outputs += 2 * NR) {
		const float16 y0 = LOAD_LOCAL(outputs), y1 = LOAD_LOCAL(outputs + VECTOR);
		const float16 y2 = LOAD_LOCAL(outputs + NR), y3 = LOAD_LOCAL(outputs + NR + VECTOR);

		EACH_WEIGHT(STEP)
	}
	if (odd) {
		const float16 y0 = LOAD_LOCAL(outputs), y1 = LOAD_LOCAL(outputs + VECTOR);

		EACH_WEIGHT(LAST)
	}
	EACH_WEIGHT(STORE)
#undef START
#undef RESUME
#undef STEP
#undef LAST
#undef STORE
}

/* The same for up to one vector of outputs. */
static void tile_1(__local const float *pixels, __local const int *lines, __local const float *outputs, int count,
		   __global float *sums, int first)
{
#define START(i)                                                                                                       \
	__local const float *x##i = pixels + lines[i];                                                                 \
	float16 s##i = 0.0f;
#define RESUME(i) s##i = LOAD_GLOBAL(sums + i * NR);
#define STEP(i)                                                                                                        \
	s##i = fma(x##i[p], y0, s##i);                                                                                 \
	s##i = fma(x##i[p + 1], y1, s##i);
#define LAST(i)  s##i = fma(x##i[count], y0, s##i);
#define STORE(i) STORE_GLOBAL(sums + i * NR, s##i);
	const int odd = count & 1;

	EACH_WEIGHT(START)
	if (!first) {
		EACH_WEIGHT(RESUME)
	}
	count -= odd;
	for (int p = 0; p < count; p += 2, outputs += 2 * NR) {
		const float16 y0 = LOAD_LOCAL(outputs), y1 = LOAD_LOCAL(outputs + NR);

		EACH_WEIGHT(STEP)
	}
	if (odd) {
		const float16 y0 = LOAD_LOCAL(outputs);

		EACH_WEIGHT(LAST)
	}
	EACH_WEIGHT(STORE)
#undef START
#undef RESUME
#undef STEP
#undef LAST
#undef STORE
}

/*
 * parts [chunk][group and block of c][block of k][k / NR][weights of the block][NR]
 *
 * Work-items: groups and blocks of c, blocks of k, chunks of blocks of pixels.
 * blocks: images in all, images of a block, rows of a block, blocks of a chunk, c of a block, k of a block
 */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void conv_weights(
	__global const float *x, ulong x_offset, __global const float *y, ulong y_offset, __global float *parts,
	ulong parts_offset, int8 size, int8 step, int8 blocks, int image_floats, __local float *image,
	__local float *pixels, __local float *outputs, __local int *lines, __local int *places)
{
	const geometry g = unpack(size, step);
	const int channels = g.c / g.groups, c_blocks = divide_up(channels, blocks.s4);
	const int group = (int)get_global_id(0) / c_blocks, c0 = (int)get_global_id(0) % c_blocks * blocks.s4;
	const int k0 = (int)get_global_id(1) * blocks.s5, c_here = min(blocks.s4, channels - c0);
	const int k_here = min(blocks.s5, g.k / g.groups - k0), padded = divide_up(blocks.s4 * g.r * g.s, MR) * MR;
	const int all = divide_up(blocks.s0, blocks.s1) * divide_up(g.oh, blocks.s2);
	const int from = (int)get_global_id(2) * blocks.s3, to = min(from + blocks.s3, all);
	const size_t part =
		(get_global_id(2) * get_global_size(0) + get_global_id(0)) * get_global_size(1) + get_global_id(1);

	x += x_offset + (size_t)(group * channels + c0) * g.h * g.w;
	y += y_offset + (size_t)(group * (g.k / g.groups) + k0) * g.oh * g.ow;
	parts += parts_offset + part * divide_up(blocks.s5, NR) * padded * NR;
	clear_run(image, image_floats);
	for (int i = from; i < to; i++) {
		const block b = find_block(&g, blocks, i, 1), next = find_block(&g, blocks, min(i + 1, to - 1), 1);
		const int tiles = divide_up(k_here, NR) * divide_up(c_here * g.r * g.s, MR);
		stream next_x = stream_of_pixels(x, &g, &next, c_here, tiles);
		stream next_y = stream_of_outputs(y, &g, &next, k_here, tiles);

		load_pixels(x, &g, &b, c_here, image, pixels);
		find_lines(&g, &b, c_here, padded, lines);
		find_places(&g, &b, places);
		load_outputs(y, &g, &b, k_here, places, outputs);
		for (int k = 0; k < k_here; k += NR)
			for (int j = 0; j < c_here * g.r * g.s; j += MR) {
				__local const float *out = outputs + k * b.pixels;
				__global float *sums = parts + ((size_t)k / NR * padded + j) * NR;

				stream_fetch(&next_y);
				stream_fetch(&next_x);
				if (NR > VECTOR && k + VECTOR < k_here)
					tile_2(pixels, lines + j, out, b.pixels, sums, i == from);
				else
					tile_1(pixels, lines + j, out, b.pixels, sums, i == from);
			}
	}
}

/*
 * w [k][c][r][s] = beta w + the sum of all parts. A work-item does 16 weights of 16 outputs.
 * blocks: chunks, groups, c and k of a group, c and k of a block, r * s
 */
__kernel void conv_weights_sum(__global const float *parts, ulong parts_offset, __global float *w, ulong w_offset,
			       float beta, int8 blocks, int items)
{
	GLOBAL_ID(id, items);
	const int chunks = blocks.s0, groups = blocks.s1, c_all = blocks.s2, k_all = blocks.s3;
	const int cb = blocks.s4, kb = blocks.s5, taps = blocks.s6;
	const int c_blocks = divide_up(c_all, cb), k_blocks = divide_up(k_all, kb);
	const int padded = divide_up(cb * taps, MR) * MR, tiles = divide_up(cb * taps, VECTOR);
	const int k_tiles = divide_up(kb, VECTOR);
	const int tile = id % tiles, c_block = id / tiles % c_blocks, kt = id / tiles / c_blocks % k_tiles;
	const int k_block = id / tiles / c_blocks / k_tiles % k_blocks,
		  group = id / tiles / c_blocks / k_tiles / k_blocks;
	const int j0 = tile * VECTOR, rows = min(VECTOR, min(cb, c_all - c_block * cb) * taps - j0);
	const int k0 = k_block * kb + kt * VECTOR, columns = min(min(VECTOR, kb - kt * VECTOR), k_all - k0);
	const size_t one = (size_t)divide_up(kb, NR) * padded * NR, step = one * k_blocks * c_blocks * groups;
	float sums[VECTOR * VECTOR];

	if (rows <= 0 || columns <= 0)
		return;
	parts += parts_offset + ((size_t)(group * c_blocks + c_block) * k_blocks + k_block) * one;
	parts += ((size_t)(kt * VECTOR / NR) * padded + j0) * NR + kt * VECTOR % NR;
	w += w_offset + ((size_t)group * k_all + k0) * c_all * taps + c_block * cb * taps + j0;
	/* Loops, although registers would be faster, because this takes a thousandth of the time that the products do,
	 * and compilers a second for it unrolled. */
	for (int j = 0; j < rows; j++, parts += NR) {
		float16 x = LOAD_GLOBAL(parts);

		for (int chunk = 1; chunk < chunks; chunk++)
			x += LOAD_GLOBAL(parts + chunk * step);
		*(float16_any *)(sums + j * VECTOR) = x;
	}
	for (int i = 0; i < columns; i++, w += (size_t)c_all * taps)
		for (int j = 0; j < rows; j++) {
			const float x = sums[j * VECTOR + i];

			w[j] = beta == 0.0f ? x : fma(beta, w[j], x);
		}
}
