/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products of few rows or columns for CPUs, with B a stored transpose: cl/gemm_dot.cl, which reads both where
 * they are.
 */
#include <math.h>

#include "gemm.h"

/* Twins of the kernel's. */
#define ROWS(dev)    ((dev)->info.float_vector >= 16 ? 4 : 2)
#define COLUMNS(dev) ((dev)->info.float_vector >= 16 ? 6 : 5)

/* Of k; at least one of the kernel's vectors. */
#define LEAST_DEPTH 16

/* Of rows or columns: with more, copying into tiles is worth it. */
#define FEW 20
/* Blocks per core, and the least arithmetic that is worth a block. */
#define BLOCKS_EACH 4
#define LEAST_FLOPS 1e5

bool clef__gemm_dot_fits(const clef__gemm_opts *g)
{
	return !g->trans_a && g->trans_b && g->k >= LEAST_DEPTH && !g->gate;
}

bool clef__gemm_dot_pays(const clef__gemm_opts *g)
{
	return CLEF__MIN(g->m, g->n) <= FEW;
}

clef_status clef__gemm_dot(clef_device *dev, const clef__gemm_opts *g)
{
	const clef__buffer *bias = g->bias ? g->bias : g->c;
	double most = BLOCKS_EACH * (double)CLEF__MAX(dev->info.compute_units, 1);
	int blocks = clef__divide_up((int)CLEF__MIN(clef__gemm_flops(g) / LEAST_FLOPS + 1, most), g->batch);
	bool tall = g->m > g->n;
	int mc = tall ? clef__divide_up(clef__divide_up(g->m, ROWS(dev)), blocks) * ROWS(dev) : g->m;
	int nc = tall ? g->n : clef__divide_up(clef__divide_up(g->n, COLUMNS(dev)), blocks) * COLUMNS(dev);

	return clef__launch(dev, &(clef__launch_opts){
					 .program = "gemm_dot",
					 .defines = g->epilogue ? g->epilogue : CLEF__FLOOR,
					 .kernel = "gemm_dot",
					 .global = { (size_t)clef__divide_up(g->n, nc),
						     (size_t)clef__divide_up(g->m, mc), (size_t)g->batch },
					 .local = { 1, 1, 1 },
					 .bytes = clef__gemm_bytes(g),
					 .flops = clef__gemm_flops(g),
					 .args = { CLEF__BUFFER(g->a, g->a_offset),
						   CLEF__INT(g->lda),
						   CLEF__ULONG(g->a_step),
						   CLEF__BUFFER(g->b, g->b_offset),
						   CLEF__INT(g->ldb),
						   CLEF__ULONG(g->b_step),
						   CLEF__BUFFER(g->c, g->c_offset),
						   CLEF__INT(g->ldc),
						   CLEF__ULONG(g->c_step),
						   { .kind = CLEF__ARG_INT8, .value.i8 = { g->m, g->n, g->k, mc, nc } },
						   CLEF__FLOAT(g->alpha),
						   CLEF__FLOAT(g->beta),
						   CLEF__BUFFER(bias, g->bias_offset),
						   CLEF__INT(g->bias != NULL),
						   CLEF__FLOAT(g->epilogue ? g->p : -INFINITY),
						   CLEF__FLOAT(g->q) },
				 });
}
