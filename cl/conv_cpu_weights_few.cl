/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of a convolution's weights for CPUs, where each output sees few channels: the first layer of a network,
 * and depthwise and other grouped convolutions. Turning outputs around would cost as much as the product itself, so
 * here the lanes of vectors are pixels: a tile of MR weights by two outputs goes through the pixels of a block, 16 at
 * a time, with outputs where they are in memory. Each weight has 16 sums, which are added up at the end.
 *
 * Outputs of a convolution's groups follow each other, and so do the channels they see.
 */
#include "conv_pixels.clh"

#define EACH_TAP EACH_OF(MR)

/* ---- the tile: sums of weights, [MR][16] for each output ---- */

typedef struct walk {
	int images, pixels; /* of an image */
	int x_step;         /* from image to image */
	size_t y_step;
} walk;

static float16 load_part(__global const float *y, int count)
{
	float lane[VECTOR];

	for (int i = 0; i < VECTOR; i++)
		lane[i] = i < count ? y[i] : 0.0f;
	return *(const float16_any *)lane;
}

/* Lanes behind `count` are zeros, even if they are not a number. */
static float16 keep_part(float16 x, int count)
{
	const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

	return select((float16)0.0f, x, lane < (int16)count);
}

/* Outputs of the next two channels are fetched meanwhile, from `ahead` floats further on. */
static void tile_2(__local const float *pixels, __local const int *lines, __global const float *y, size_t plane,
		   const walk *w, __local float *sums0, __local float *sums1)
{
#define START(i)                                                                                                       \
	__local const float *x##i = pixels + lines[i];                                                                 \
	float16 s##i = LOAD_LOCAL(sums0 + i * VECTOR), t##i = LOAD_LOCAL(sums1 + i * VECTOR);
#define STEP(i)                                                                                                        \
	{                                                                                                              \
		const float16 x = LOAD_LOCAL(x##i + p);                                                                \
                                                                                                                       \
		s##i = fma(x, y0, s##i);                                                                               \
		t##i = fma(x, y1, t##i);                                                                               \
	}
#define LAST(i)                                                                                                        \
	{                                                                                                              \
		const float16 x = keep_part(LOAD_LOCAL(x##i + p), rest);                                               \
                                                                                                                       \
		s##i = fma(x, y0, s##i);                                                                               \
		t##i = fma(x, y1, t##i);                                                                               \
	}
#define STORE(i)                                                                                                       \
	STORE_LOCAL(sums0 + i * VECTOR, s##i);                                                                         \
	STORE_LOCAL(sums1 + i * VECTOR, t##i);
	const int rest = w->pixels % VECTOR;

	EACH_TAP(START)
	for (int image = 0, at = 0; image < w->images; image++, at += w->x_step, y += w->y_step) {
		const int end = at + w->pixels - rest;
		__global const float *from = y;
		int p = at;

		for (; p < end; p += VECTOR, from += VECTOR) {
			const float16 y0 = LOAD_GLOBAL(from), y1 = LOAD_GLOBAL(from + plane);

			PREFETCH(from + 2 * plane);
			PREFETCH(from + 3 * plane);
			EACH_TAP(STEP)
		}
		if (rest > 0) {
			const float16 y0 = load_part(from, rest), y1 = load_part(from + plane, rest);

			EACH_TAP(LAST)
		}
	}
	EACH_TAP(STORE)
#undef START
#undef STEP
#undef LAST
#undef STORE
}

/* The same for one output. */
static void tile_1(__local const float *pixels, __local const int *lines, __global const float *y, const walk *w,
		   __local float *sums)
{
#define START(i)                                                                                                       \
	__local const float *x##i = pixels + lines[i];                                                                 \
	float16 s##i = LOAD_LOCAL(sums + i * VECTOR);
#define STEP(i)  s##i = fma(LOAD_LOCAL(x##i + p), y0, s##i);
#define LAST(i)  s##i = fma(keep_part(LOAD_LOCAL(x##i + p), rest), y0, s##i);
#define STORE(i) STORE_LOCAL(sums + i * VECTOR, s##i);
	const int rest = w->pixels % VECTOR;

	EACH_TAP(START)
	for (int image = 0, at = 0; image < w->images; image++, at += w->x_step, y += w->y_step) {
		const int end = at + w->pixels - rest;
		__global const float *from = y;
		int p = at;

		for (; p < end; p += VECTOR, from += VECTOR) {
			const float16 y0 = LOAD_GLOBAL(from);

			EACH_TAP(STEP)
		}
		if (rest > 0) {
			const float16 y0 = load_part(from, rest);

			EACH_TAP(LAST)
		}
	}
	EACH_TAP(STORE)
#undef START
#undef STEP
#undef LAST
#undef STORE
}

/* sums [count][16]: each row added up. */
static void add_lanes(__local const float *sums, int count, __global float *out)
{
	for (int j = 0; j < count; j += VECTOR) {
#define READ(i) float16 x##i = LOAD_LOCAL(sums + (j + i) * VECTOR), y##i;
		EACH_OF_16(READ)
#undef READ
		TRANSPOSE
		x0 = ((x0 + x8) + (x4 + x12)) + ((x2 + x10) + (x6 + x14));
		x1 = ((x1 + x9) + (x5 + x13)) + ((x3 + x11) + (x7 + x15));
		STORE_GLOBAL(out + j, x0 + x1);
	}
}

/*
 * parts [chunk][block of groups][block of k][groups of the block][k of the block][weights], the last two dimensions and
 * the groups padded together to whole vectors.
 *
 * Work-items: blocks of groups, blocks of k, chunks of blocks of pixels.
 * blocks: as in conv_pixels.clh; s4 groups of a block, s5 k of a block, s6 weights of an output, padded to tiles
 */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void conv_weights_few(
	__global const float *x, ulong x_offset, __global const float *y, ulong y_offset, __global float *parts,
	ulong parts_offset, int8 size, int8 step, int8 blocks, int image_floats, __local float *image,
	__local float *pixels, __local float *sums, __local int *lines)
{
	const geometry g = unpack(size, step);
	const int channels = g.c / g.groups, k_all = g.k / g.groups, weights = channels * g.r * g.s;
	const int all = divide_up(blocks.s0, blocks.s1) * divide_up(g.oh, blocks.s2);
	const int from = (int)get_global_id(2) * blocks.s3, to = min(from + blocks.s3, all);
	const int g0 = (int)get_global_id(0) * blocks.s4, groups = min(blocks.s4, g.groups - g0);
	const int k0 = (int)get_global_id(1) * blocks.s5, k_here = min(blocks.s5, k_all - k0);
	const int padded = divide_up(blocks.s4 * blocks.s5 * blocks.s6, VECTOR) * VECTOR;
	const size_t part = (get_global_id(2) * get_global_size(0) + get_global_id(0)) * get_global_size(1) +
			    get_global_id(1),
		     plane = (size_t)g.oh * g.ow;

	clear_run(image, image_floats);
	clear_run(sums, padded * VECTOR);
	for (int i = from; i < to; i++) {
		const block b = find_block(&g, blocks, i, 0);
		const walk w = { b.images, b.rows * g.ow, b.image_step, g.k * plane };

		find_lines(&g, &b, channels, blocks.s6, lines);
		for (int group = 0; group < groups; group++) {
			__global const float *out = y + y_offset + (size_t)b.image * g.k * plane +
						    ((g0 + group) * k_all + k0) * plane + (size_t)b.row * g.ow;

			load_pixels(x + x_offset + (size_t)(g0 + group) * channels * g.h * g.w, &g, &b, channels, image,
				    pixels);
			for (int k = 0; k < k_here; k += 2, out += 2 * plane) {
				__local float *to_sums = sums + (group * blocks.s5 + k) * blocks.s6 * VECTOR;

				for (int j = 0; j < weights; j += MR, to_sums += MR * VECTOR)
					if (k + 1 < k_here)
						tile_2(pixels, lines + j, out, plane, &w, to_sums,
						       to_sums + blocks.s6 * VECTOR);
					else
						tile_1(pixels, lines + j, out, &w, to_sums);
			}
		}
	}
	add_lanes(sums, padded, parts + parts_offset + part * padded);
}

/*
 * w [k][c][r][s] = beta w + the sum of all parts.
 * blocks: chunks, groups, k of a group, weights of an output, then as above
 */
__kernel void conv_weights_few_sum(__global const float *parts, ulong parts_offset, __global float *w, ulong w_offset,
				   float beta, int8 blocks, int items)
{
	GLOBAL_ID(id, items);
	const int k_all = blocks.s2, weights = blocks.s3, gb = blocks.s4, kb = blocks.s5, row = blocks.s6;
	const int j = id % weights, k = id / weights % k_all, group = id / weights / k_all;
	const int k_blocks = divide_up(k_all, kb), g_blocks = divide_up(blocks.s1, gb);
	const size_t one = divide_up(gb * kb * row, VECTOR) * VECTOR;
	float sum = 0.0f;

	parts += parts_offset + (group / gb * k_blocks + k / kb) * one + (group % gb * kb + k % kb) * row + j;
	for (int chunk = 0; chunk < blocks.s0; chunk++, parts += one * k_blocks * g_blocks)
		sum += *parts;
	w += w_offset + id;
	*w = beta == 0.0f ? sum : fma(beta, *w, sum);
}
