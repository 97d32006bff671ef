/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product for CPUs: cuts the product into blocks, each one work-item of cl/gemm_cpu.cl. Blocks are as large
 * as the cores' caches like them, and so many that all cores have work to the end.
 */
#include "gemm.h"

/* Twins of the kernel's. */
#define MR(dev) ((dev)->info.float_vector >= 16 ? 13 : 3)
#define VECTOR  16

#define MAX_DEPTH   256 /* of a block of K */
#define MAX_COLUMNS 256 /* of a block of C */
/* Blocks per core that keep the last ones from waiting for one. */
#define TASKS_EACH 4
/* Rows over which the copying of B should be spread. */
#define MIN_PANELS 10

typedef struct blocking {
	int kc, nc, panels, panels_each;
} blocking;

static int divide_up(int a, int b)
{
	return (a + b - 1) / b;
}

/* Blocks of B want a cache as large as the one that PoCL's local memory stands for. */
bool clef__gemm_cpu_fits(const clef_device *dev)
{
	return dev->info.kind == CLEF_DEVICE_CPU && dev->info.local_memory >= 128 * 1024;
}

static blocking choose_blocking(const clef_device *dev, const clef__gemm_opts *g)
{
	int tasks = divide_up(TASKS_EACH * (int)CLEF__MAX(dev->info.compute_units, 1), g->batch), floats, rest;
	blocking b = { .nc = MAX_COLUMNS, .panels = divide_up(g->m, MR(dev)) };

	/* Blocks of K of about one size, in whole vectors so that transposing B has no remainder inside. */
	floats = (int)CLEF__MIN(dev->info.local_memory / 2 / sizeof(float), 1u << 20);
	while (b.nc > 2 * VECTOR && (b.nc * MAX_DEPTH > floats || g->n <= b.nc / 2 || divide_up(g->n, b.nc) < tasks))
		b.nc /= 2;
	b.kc = CLEF__MIN(MAX_DEPTH, floats / b.nc / VECTOR * VECTOR);
	b.kc = divide_up(divide_up(g->k, divide_up(g->k, b.kc)), VECTOR) * VECTOR;
	rest = divide_up(tasks, divide_up(g->n, b.nc));
	b.panels_each = CLEF__MAX(divide_up(b.panels, rest), CLEF__MIN(b.panels, MIN_PANELS));
	return b;
}

/* Floats of one packed matrix. */
static size_t packed_size(const clef_device *dev, const clef__gemm_opts *g, const blocking *b)
{
	return (size_t)b->panels * (size_t)MR(dev) * (size_t)g->k;
}

static clef_status pack(clef_device *dev, const clef__gemm_opts *g, const blocking *b, const clef__buffer *packed)
{
	int each = b->panels * divide_up(g->k, b->kc), items = each * (g->a_step ? g->batch : 1);

	return clef__launch(
		dev, &(clef__launch_opts){
			     .program = "gemm_cpu",
			     .defines = g->epilogue,
			     .kernel = "gemm_cpu_pack",
			     .global = { (size_t)items },
			     .long_items = true,
			     .bytes = 8.0 * g->m * g->k * (g->a_step ? g->batch : 1),
			     .args = { CLEF__BUFFER(g->a, g->a_offset), CLEF__INT(g->trans_a ? 1 : g->lda),
				       CLEF__INT(g->trans_a ? g->lda : 1), CLEF__ULONG(g->a_step),
				       CLEF__BUFFER(packed, 0), CLEF__INT(g->m), CLEF__INT(g->k), CLEF__INT(b->kc),
				       CLEF__FLOAT(g->alpha), CLEF__INT(b->panels), CLEF__INT(each), CLEF__INT(items) },
		     });
}

static clef_status multiply(clef_device *dev, const clef__gemm_opts *g, const blocking *b, const clef__buffer *packed)
{
	const clef__buffer *bias = g->bias ? g->bias : g->c;

	return clef__launch(dev, &(clef__launch_opts){
					 .program = "gemm_cpu",
					 .defines = g->epilogue,
					 .kernel = "gemm_cpu",
					 .global = { (size_t)divide_up(g->n, b->nc),
						     (size_t)divide_up(b->panels, b->panels_each), (size_t)g->batch },
					 .local = { 1, 1, 1 },
					 .bytes = clef__gemm_bytes(g),
					 .flops = clef__gemm_flops(g),
					 .args = { CLEF__BUFFER(packed, 0),
						   CLEF__ULONG(g->a_step ? packed_size(dev, g, b) : 0),
						   CLEF__BUFFER(g->b, g->b_offset),
						   CLEF__INT(g->ldb),
						   CLEF__ULONG(g->b_step),
						   CLEF__INT(g->trans_b),
						   CLEF__BUFFER(g->c, g->c_offset),
						   CLEF__INT(g->ldc),
						   CLEF__ULONG(g->c_step),
						   CLEF__INT(g->m),
						   CLEF__INT(g->n),
						   CLEF__INT(g->k),
						   CLEF__INT(b->kc),
						   CLEF__INT(b->nc),
						   CLEF__INT(b->panels_each),
						   CLEF__FLOAT(g->beta),
						   CLEF__BUFFER(bias, g->bias_offset),
						   CLEF__INT(g->bias != NULL),
						   CLEF__FLOAT(g->p),
						   CLEF__FLOAT(g->q),
						   CLEF__LOCAL(sizeof(float) * (size_t)b->kc * (size_t)b->nc) },
				 });
}

clef_status clef__gemm_cpu(clef_device *dev, const clef__gemm_opts *g)
{
	blocking b = choose_blocking(dev, g);
	size_t matrices = g->a_step ? (size_t)g->batch : 1;
	clef__buffer *packed = clef__buffer_new(dev, sizeof(float) * packed_size(dev, g, &b) * matrices);
	clef_status status;

	if (!packed)
		return clef_error_status();
	status = pack(dev, g, &b, packed);
	if (!status)
		status = multiply(dev, g, &b, packed);
	clef__buffer_release(packed);
	return status;
}
