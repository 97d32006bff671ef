/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers on the host, from the same text as the kernels' (cl/philox.clh). Element i of a draw is word i % 4 of
 * the Philox block i / 4.
 */
#include <clef/init.h>

#include "base_internal.h"
#include "philox.clh"

void clef_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t c[4] = { counter[0], counter[1], counter[2], counter[3] };

	philox4x32(c, key[0], key[1]);
	memcpy(out, c, sizeof(c));
}

static void draw_block(const clef_rng *rng, uint64_t block, uint32_t w[4])
{
	philox_draw(w, (uint32_t)block, (uint32_t)(block >> 32), rng->seed, rng->counter);
}

void clef_rng_uint32(clef_rng *rng, uint32_t *values, size_t n)
{
	uint32_t w[4];

	for (size_t i = 0; i < n; i += 4) {
		draw_block(rng, i / 4, w);
		memcpy(values + i, w, CLEF__MIN(n - i, 4) * sizeof(*w));
	}
	rng->counter++;
}

void clef_rng_uniform(clef_rng *rng, float *values, size_t n)
{
	uint32_t w[4];

	for (size_t i = 0; i < n; i++) {
		if (i % 4 == 0)
			draw_block(rng, i / 4, w);
		values[i] = philox_uniform(w[i % 4]);
	}
	rng->counter++;
}

void clef_rng_normal(clef_rng *rng, float *values, size_t n)
{
	uint32_t w[4];
	float z[4];

	for (size_t i = 0; i < n; i += 4) {
		draw_block(rng, i / 4, w);
		philox_normal(w, z);
		memcpy(values + i, z, CLEF__MIN(n - i, 4) * sizeof(*z));
	}
	rng->counter++;
}

/* The words of one draw, one after another. */
typedef struct words {
	const clef_rng *rng;
	uint64_t used;
	uint32_t block[4];
} words;

static uint32_t next_word(words *w)
{
	if (w->used % 4 == 0)
		draw_block(w->rng, w->used / 4, w->block);
	return w->block[w->used++ % 4];
}

/* 0 <= result < n, each equally likely: the high half of word * n, drawn again in the few cases that would make some
 * results likelier. Lemire, "Fast random integer generation in an interval", 2019. */
static uint32_t below(words *w, uint32_t n)
{
	uint64_t product = (uint64_t)next_word(w) * n;

	if ((uint32_t)product < n)
		for (const uint32_t excess = (0u - n) % n; (uint32_t)product < excess;)
			product = (uint64_t)next_word(w) * n;
	return (uint32_t)(product >> 32);
}

void clef_rng_permutation(clef_rng *rng, int32_t *values, size_t n)
{
	words w = { .rng = rng };

	for (size_t i = 0; i < n; i++)
		values[i] = (int32_t)i;
	for (size_t i = n; i > 1; i--) {
		const uint32_t j = below(&w, (uint32_t)i);
		const int32_t last = values[i - 1];

		values[i - 1] = values[j];
		values[j] = last;
	}
	rng->counter++;
}
