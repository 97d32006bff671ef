/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers on the host, from the same text as the kernels' (cl/philox.clh). Element i of a draw is word i % 4 of
 * the Philox block i / 4.
 */
#include "init_internal.h"
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

clef_status clef_rng_exponential(clef_rng *rng, float *values, size_t n, float rate)
{
	clef_status status = clef__random_rate_check("clef_rng_exponential", rate);
	const float half_mean = (float)(0.5 / (double)rate);
	uint32_t w[4];

	if (status)
		return status;
	for (size_t i = 0; i < n; i++) {
		if (i % 4 == 0)
			draw_block(rng, i / 4, w);
		values[i] = philox_log(w[i % 4]) * half_mean;
	}
	rng->counter++;
	return CLEF_OK;
}

clef_status clef_rng_bernoulli(clef_rng *rng, float *values, size_t n, float p)
{
	clef_status status = clef__random_share_check("clef_rng_bernoulli", p);

	if (status)
		return status;
	clef_rng_uniform(rng, values, n);
	for (size_t i = 0; i < n; i++)
		values[i] = values[i] < p ? 1.0f : 0.0f;
	return CLEF_OK;
}

clef_status clef_rng_randint(clef_rng *rng, int32_t *values, size_t n, int64_t lo, int64_t hi)
{
	const uint32_t range = (uint32_t)((uint64_t)hi - (uint64_t)lo);
	const uint32_t excess = range ? (0u - range) % range : 0;
	clef_status status = clef__random_int_check("clef_rng_randint", lo, hi);
	uint32_t r[4] = { 0 };

	if (status)
		return status;
	for (size_t i = 0; i < n; i++) {
		if (i % 4 == 0)
			philox_below(r, range, excess, (uint32_t)(i / 4), (uint32_t)((uint64_t)(i / 4) >> 32),
				     rng->seed, rng->counter);
		values[i] = (int32_t)(lo + r[i % 4]);
	}
	rng->counter++;
	return CLEF_OK;
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
