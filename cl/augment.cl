/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Augmentation of images [n, channels, height, width]: a work-item makes ROWS rows of a channel, or what is left of
 * them, and draws the numbers of its image itself, three blocks of Philox: so there is no pass that writes them down.
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

/* Pixels first..last - 1 of the row y are 0. */
static void clear(__global float *y, int first, int last)
{
	for (int i = first; i < last; i++)
		y[i] = 0.0f;
}

/* A row of y from one of x. Without mirrored edges it is a piece of x between zeros, which is copied at once. */
static void make_row(__global const float *x, __global float *y, motion m, int reflect)
{
	const int shift = m.translate + m.crop;
	const int first = min(m.size, max(0, max(-m.translate, -shift)));
	const int last = max(first, m.size - max(0, max(m.translate, shift)));

	if (reflect) {
		for (int i = 0; i < m.size; i++)
			y[i] = x[pixel_of(i, m, 1)];
	} else if (m.mirrored) {
		clear(y, 0, m.size - last);
		for (int i = first; i < last; i++)
			y[m.size - 1 - i] = x[i + shift];
		clear(y, m.size - first, m.size);
	} else {
		clear(y, 0, first);
		for (int i = first; i < last; i++)
			y[i] = x[i + shift];
		clear(y, last, m.size);
	}
}

/* image: height, width, crop, translate down and across, erase, reflect. Thresholds are probabilities times 2^24. */
__kernel void augment(__global const float *x, ulong x_offset, __global float *y, ulong y_offset, int8 image,
                      uint flip, uint vflip, uint erase_p, ulong by_pieces, ulong by_channels, ulong seed,
                      ulong counter, int pieces, int count)
{
	GLOBAL_ID(id, count);
	const int height = image.s0, width = image.s1, crop = image.s2, erase = image.s5, reflect = image.s6;
	const int plane = divide(id, by_pieces), n = divide(plane, by_channels);
	const int first = (id - plane * pieces) * ROWS, last = min(first + ROWS, height);
	uint w[12];

	for (uint i = 0; i < 3; i++)
		philox_draw(w + 4 * i, 3 * (uint)n + i, 0, seed, counter);

	const motion down = { choose(w[0], 2 * crop + 1) - crop, choose(w[2], 2 * image.s3 + 1) - image.s3, height,
		              w[5] >> 8 < vflip };
	const motion across = { choose(w[1], 2 * crop + 1) - crop, choose(w[3], 2 * image.s4 + 1) - image.s4, width,
		                w[4] >> 8 < flip };
	const int top = choose(w[6], height) - erase / 2, left = choose(w[7], width) - erase / 2;
	const int bottom = w[8] >> 8 < erase_p ? top + erase : top;

	x += x_offset + (size_t)plane * height * width;
	y += y_offset + (size_t)plane * height * width;
	for (int row = first; row < last; row++) {
		const int from = pixel_of(row, down, reflect);

		if (from < 0)
			clear(y + row * width, 0, width);
		else
			make_row(x + from * width, y + row * width, across, reflect);
		if (row >= top && row < bottom)
			clear(y + row * width, max(left, 0), min(left + erase, width));
	}
}
