/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Augmentation of images [n, channels, height, width]: a work-item makes one row. It draws the numbers of its image
 * itself, three blocks of Philox, which is little beside a row and saves a pass that would write them down.
 */
#include "divide.clh"
#include "philox.clh"

typedef struct motion {
	int crop, translate; /* where pixel 0 comes from, in two steps */
	int size;
	int mirrored;
} motion;

/* One step: outside of 0..size - 1 where there is nothing. */
static int step_back(int at, int by, int size, int reflect)
{
	at += by;
	if (reflect) {
		at = abs(at);
		at = at < size ? at : 2 * (size - 1) - at;
	}
	return at;
}

/* The pixel of x that is pixel `at` of y along an axis, or -1. */
static int pixel_of(int at, motion m, int reflect)
{
	at = step_back(m.mirrored ? m.size - 1 - at : at, m.translate, m.size, reflect);
	const int known = at >= 0 && at < m.size;

	at = step_back(at, m.crop, m.size, reflect);
	return known && at >= 0 && at < m.size ? at : -1;
}

/* One of 0..range - 1. */
static int choose(uint word, int range)
{
	return (int)mul_hi(word, (uint)range);
}

/* image: height, width, crop, translate down and across, erase, reflect. Thresholds are probabilities times 2^24. */
__kernel void augment(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int8 image,
                      uint flip, uint vflip, uint erase_p, ulong by_height, ulong by_channels, ulong seed,
                      ulong counter, int rows)
{
	GLOBAL_ID(id, rows);
	const int height = image.s0, width = image.s1, crop = image.s2, erase = image.s5, reflect = image.s6;
	const int plane = divide(id, by_height), row = id - plane * height, n = divide(plane, by_channels);
	uint w[12];

	for (uint i = 0; i < 3; i++)
		philox_draw(w + 4 * i, 3 * (uint)n + i, 0, seed, counter);

	const motion down = { choose(w[0], 2 * crop + 1) - crop, choose(w[2], 2 * image.s3 + 1) - image.s3, height,
		              w[5] >> 8 < vflip };
	const motion across = { choose(w[1], 2 * crop + 1) - crop, choose(w[3], 2 * image.s4 + 1) - image.s4, width,
		                w[4] >> 8 < flip };
	const int top = choose(w[6], height) - erase / 2, left = choose(w[7], width) - erase / 2;
	const int covered = w[8] >> 8 < erase_p && row >= top && row < top + erase;
	const int from = pixel_of(row, down, reflect);

	x += x_offset + (size_t)plane * height * width + max(from, 0) * width;
	y += y_offset + (size_t)id * width;
	for (int i = 0; i < width; i++) {
		const int at = pixel_of(i, across, reflect);
		const int gone = at < 0 || from < 0 || (covered && i >= left && i < left + erase);

		y[i] = gone ? 0.0f : x[max(at, 0)];
	}
}
