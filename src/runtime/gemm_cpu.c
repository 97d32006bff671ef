/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product for CPUs: cuts the product into blocks, each one work-item of cl/gemm_cpu.cl. Blocks are as large
 * as the cores' caches like them, and so many that all cores have work to the end.
 */
#include "gemm.h"

/* Twins of the kernel's. */
#define MR(dev)     ((dev)->info.float_vector >= 16 ? 13 : 6)
#define A_STEP(dev) ((dev)->info.float_vector >= 16 ? 16 : 8)
#define A_ROW       528
#define VECTOR      16

#define MAX_DEPTH   512 /* of a block of K; less than A_ROW */
#define MAX_COLUMNS 256 /* of a block of C */
/* Blocks per core that keep the last ones from waiting for one, and the least arithmetic that is worth a block. */
#define BLOCKS_EACH 2
#define LEAST_FLOPS 6e5
/* Panels over which the copying of B should be spread. */
#define MIN_PANELS 10

typedef struct blocking {
	int kc, nc, panels_each;
} blocking;

/* Blocks of B want a cache as large as the one that PoCL's local memory stands for. */
bool clef__gemm_cpu_fits(const clef_device *dev)
{
	return dev->info.kind == CLEF_DEVICE_CPU && dev->info.local_memory >= 128 * 1024;
}

static blocking choose_blocking(const clef_device *dev, const clef__gemm_opts *g)
{
	int panels = clef__divide_up(g->m, MR(dev)), shares = CLEF__MAX(panels / MIN_PANELS, 1), blocks;
	int floats = (int)CLEF__MIN(dev->info.local_memory / 2 / sizeof(float), 1u << 20);
	double most = BLOCKS_EACH * (double)CLEF__MAX(dev->info.compute_units, 1);
	blocking b = { .nc = MAX_COLUMNS };

	blocks = clef__divide_up((int)CLEF__MIN(clef__gemm_flops(g) / LEAST_FLOPS + 1, most), g->batch);
	while (b.nc > 2 * VECTOR &&
	       (b.nc * MAX_DEPTH > floats || g->n <= b.nc / 2 || clef__divide_up(g->n, b.nc) * shares < blocks))
		b.nc /= 2;
	/* Blocks of K of about one size, in whole vectors so that transposing B has no remainder inside. */
	b.kc = CLEF__MIN(MAX_DEPTH, floats / b.nc / VECTOR * VECTOR);
	b.kc = clef__divide_up(clef__divide_up(g->k, clef__divide_up(g->k, b.kc)), VECTOR) * VECTOR;
	blocks = clef__divide_up(blocks, clef__divide_up(g->n, b.nc));
	b.panels_each = CLEF__MAX(clef__divide_up(panels, blocks), CLEF__MIN(panels, MIN_PANELS));
	return b;
}

/* Floats of local memory for a panel of A, as rows or as columns, and for a block of B. */
static size_t panel_size(const clef_device *dev, const blocking *b)
{
	return (size_t)CLEF__MAX(b->kc * A_STEP(dev), MR(dev) * A_ROW);
}

clef_status clef__gemm_cpu(clef_device *dev, const clef__gemm_opts *g)
{
	const clef__buffer *bias = g->bias ? g->bias : g->c;
	blocking b = choose_blocking(dev, g);

	if (clef__gemm_dot_fits(g))
		return clef__gemm_dot(dev, g);
	return clef__launch(
		dev, &(clef__launch_opts){
			     .program = "gemm_cpu",
			     .defines = g->epilogue,
			     .kernel = "gemm_cpu",
			     .global = { (size_t)clef__divide_up(g->n, b.nc),
					 (size_t)clef__divide_up(g->m, b.panels_each * MR(dev)), (size_t)g->batch },
			     .local = { 1, 1, 1 },
			     .bytes = clef__gemm_bytes(g),
			     .flops = clef__gemm_flops(g),
			     .args = { CLEF__BUFFER(g->a, g->a_offset),
				       CLEF__INT(g->lda),
				       CLEF__ULONG(g->a_step),
				       CLEF__INT(g->trans_a),
				       CLEF__BUFFER(g->b, g->b_offset),
				       CLEF__INT(g->ldb),
				       CLEF__ULONG(g->b_step),
				       CLEF__INT(g->trans_b),
				       CLEF__BUFFER(g->c, g->c_offset),
				       CLEF__INT(g->ldc),
				       CLEF__ULONG(g->c_step),
				       { .kind = CLEF__ARG_INT8,
					 .value.i8 = { g->m, g->n, g->k, b.kc, b.nc, b.panels_each } },
				       CLEF__FLOAT(g->alpha),
				       CLEF__FLOAT(g->beta),
				       CLEF__BUFFER(bias, g->bias_offset),
				       CLEF__INT(g->bias != NULL),
				       CLEF__FLOAT(g->p),
				       CLEF__FLOAT(g->q),
				       CLEF__LOCAL(sizeof(float) * panel_size(dev, &b)),
				       CLEF__LOCAL(sizeof(float) * (size_t)b.kc * (size_t)b.nc) },
		     });
}
