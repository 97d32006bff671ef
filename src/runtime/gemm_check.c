/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of an engine for matrix products: a small product of small integers, exact in any order of summation, in
 * all four transposes, of one matrix and of two.
 *
 * An engine that passes is remembered in the kernel cache, so that a program's next start computes nothing. The key is
 * all that the result may depend on: the device with its limits, which engines adapt to, its driver, clef's version and
 * the engine's, and the source of its kernels. Failures are not remembered: their cause may be gone the next time.
 */
#include <math.h>

#include "gemm.h"

/* The most that an engine's check may have. */
enum { MAX_M = 21, MAX_N = 35, MAX_K = 50, MATRICES = 2, FEW = 7, PRODUCTS = 9, C_SIZE = MATRICES * MAX_M * MAX_N };

typedef struct operands {
	float a[MATRICES * MAX_M * MAX_K], b[MATRICES * MAX_K * MAX_N], c[PRODUCTS * C_SIZE];
	clef__buffer *buffer[3];
	clef__gemm_opts product[PRODUCTS]; /* enqueued, each with a part of c */
	int products;
} operands;

/* ---- the product ---- */

static void fill(float *x, int n, unsigned seed)
{
	for (int i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = (float)((int)(seed >> 28) - 8);
	}
}

/* Compares matrix i of C. A NaN, which is what C held before, is equal to nothing. */
static bool is_right(const operands *o, const clef__gemm_opts *g, int i)
{
	const float *a = o->a + (size_t)i * g->a_step, *b = o->b + (size_t)i * g->b_step;
	const float *c = o->c + g->c_offset + (size_t)i * g->c_step;

	for (int row = 0; row < g->m; row++)
		for (int column = 0; column < g->n; column++) {
			double sum = 0;

			for (int l = 0; l < g->k; l++)
				sum += (double)a[g->trans_a ? l * g->lda + row : row * g->lda + l] *
				       (double)b[g->trans_b ? column * g->ldb + l : l * g->ldb + column];
			if (!((double)c[row * g->ldc + column] - sum == 0))
				return false;
		}
	return true;
}

static clef_status enqueue(clef_device *dev, const clef__gemm_engine *e, operands *o, int m, int trans, int batch)
{
	const int n = e->check[1], k = e->check[2];
	clef__gemm_opts *g = &o->product[o->products];

	*g = (clef__gemm_opts){ .trans_a = trans & 1,
				.trans_b = trans & 2,
				.m = m,
				.n = n,
				.k = k,
				.alpha = 1,
				.a = o->buffer[0],
				.b = o->buffer[1],
				.c = o->buffer[2],
				.c_offset = (size_t)(C_SIZE * o->products++),
				.lda = trans & 1 ? m : k,
				.ldb = trans & 2 ? k : n,
				.ldc = n,
				.batch = batch,
				.a_step = (size_t)m * (size_t)k,
				.b_step = (size_t)k * (size_t)n,
				.c_step = (size_t)m * (size_t)n };
	return e->run(dev, g);
}

/* All before one is looked at, so that what they need is compiled together. */
static clef_status enqueue_all(clef_device *dev, const clef__gemm_engine *e, operands *o)
{
	clef_status status = CLEF_OK;

	for (int trans = 0; trans < 4 && !status; trans++) {
		status = enqueue(dev, e, o, e->check[0], trans, MATRICES);
		if (!status && e->own_batch)
			status = enqueue(dev, e, o, e->check[0], trans, 1);
	}
	if (!status && e->program_of_few)
		status = enqueue(dev, e, o, FEW, 2, MATRICES);
	return status;
}

/* An engine that cannot do a product is as bad as one that does it wrong, unless it is memory that it lacks. What has
 * waited before the check fails for reasons of its own. */
static clef_status check_all(clef_device *dev, const clef__gemm_engine *e, operands *o, bool *good)
{
	const int waiting = dev->deferred_count;
	clef_status status = clef__buffer_write(o->buffer[0], 0, o->a, sizeof(o->a));

	if (!status)
		status = clef__buffer_write(o->buffer[1], 0, o->b, sizeof(o->b));
	if (!status)
		status = clef__buffer_write(o->buffer[2], 0, o->c, sizeof(o->c));
	if (!status)
		status = enqueue_all(dev, e, o);
	if (clef__deferred_run_first(dev, waiting))
		return clef_error_status();
	if (!status)
		status = clef__buffer_read(o->buffer[2], 0, o->c, sizeof(o->c));
	for (int p = 0; p < o->products && !status; p++)
		for (int i = 0; i < o->product[p].batch && *good; i++)
			*good = is_right(o, &o->product[p], i);
	if (!status || status == CLEF_ERROR_MEMORY || status == CLEF_ERROR_DEVICE_MEMORY || status == CLEF_ERROR_IO)
		return status;
	*good = false;
	return CLEF_OK;
}

static clef_status compute(clef_device *dev, const clef__gemm_engine *e, bool *good)
{
	operands o = { 0 };
	const size_t sizes[3] = { sizeof(o.a), sizeof(o.b), sizeof(o.c) };
	clef_status status = CLEF_OK;

	fill(o.a, CLEF_COUNT(o.a), 1);
	fill(o.b, CLEF_COUNT(o.b), 2);
	/* At beta 0 these must not be read. */
	for (int i = 0; i < CLEF_COUNT(o.c); i++)
		o.c[i] = NAN;
	for (int i = 0; i < 3 && !status; i++) {
		o.buffer[i] = clef__buffer_new(dev, sizes[i]);
		status = o.buffer[i] ? CLEF_OK : clef_error_status();
	}
	*good = true;
	if (!status)
		status = check_all(dev, e, &o, good);
	for (int i = 0; i < 3; i++)
		clef__buffer_release(o.buffer[i]);
	return status;
}

/* ---- what is remembered ---- */

static const char verdict[4] = "good";

static char *make_key(const clef_device *dev, const clef__gemm_engine *e, uint64_t program)
{
	const clef_device_info *i = &dev->info;

	return clef__format(
		"clef matrix product 1\n%s\n%s\n%s\n%s\n%s\nkind %d units %u local %llu group %llu %zu %zu %zu vector "
		"%u\nclef %s\n%s %s %016llx\n",
		i->platform_name, i->name, i->vendor, i->version, i->driver, (int)i->kind, i->compute_units,
		(unsigned long long)i->local_memory, (unsigned long long)i->max_work_group, dev->max_item_size[0],
		dev->max_item_size[1], dev->max_item_size[2], i->float_vector, clef_version(), e->name, e->version,
		(unsigned long long)program);
}

static bool is_remembered(clef_device *dev, const char *key)
{
	size_t size = 0;
	unsigned char *stored = clef__cache_load(dev, key, strlen(key), &size);
	bool good = stored && size == sizeof(verdict) && memcmp(stored, verdict, sizeof(verdict)) == 0;

	free(stored);
	return good;
}

static clef_status hash_programs(clef_device *dev, const clef__gemm_engine *e, uint64_t *hash)
{
	uint64_t few = 0;
	clef_status status = e->program ? clef__program_hash(dev, e->program, hash) : CLEF_OK;

	if (!status && e->program_of_few)
		status = clef__program_hash(dev, e->program_of_few, &few);
	if (!status && few)
		*hash = clef__hash(*hash, &few, sizeof(few));
	if (!status && e->run == clef__gemm_clblast)
		*hash = clef__clblast_hash(dev, *hash);
	return status;
}

clef_status clef__gemm_check(clef_device *dev, const clef__gemm_engine *e, bool *good)
{
	clef__profile *profile = dev->profile;
	uint64_t program = 0;
	clef_status status = hash_programs(dev, e, &program);
	char *key;

	if (status)
		return status;
	key = make_key(dev, e, program);
	if (!key)
		return CLEF_ERROR_MEMORY;
	*good = is_remembered(dev, key);
	if (!*good) {
		/* The check is no part of the profile, nor of what is counted. */
		dev->profile = NULL;
		dev->uncounted = true;
		clef_error_clear();
		status = compute(dev, e, good);
		dev->profile = profile;
		dev->uncounted = false;
		if (!status && *good)
			clef__cache_store(dev, key, strlen(key), (const unsigned char *)verdict, sizeof(verdict));
	}
	free(key);
	return status;
}
