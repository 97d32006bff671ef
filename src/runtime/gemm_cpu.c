/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product for CPUs: cuts the product into blocks, each one work-item of cl/gemm_cpu.cl. Blocks are as large
 * as the cores' caches like them, and so many that all cores have work to the end.
 */
#include <math.h>

#include "gemm.h"

/* Twins of the kernel's. */
#define ROWS(dev)   ((dev)->info.float_vector >= 16 ? 13 : 6)
#define A_STEP(dev) ((dev)->info.float_vector >= 16 ? 16 : 8)
#define TILE(dev)   ((dev)->info.float_vector >= 16 ? 2 * VECTOR : VECTOR) /* columns */
#define A_ROW       528
#define VECTOR      16

#define MAX_DEPTH   512   /* of a block of K; less than A_ROW */
#define MAX_COLUMNS 256   /* of a block of C */
#define MAX_PANELS  32768 /* floats of panels of a transpose that are copied together */
/* Blocks per core that keep the last ones from waiting for one, and the least arithmetic that is worth a block. */
#define BLOCKS_EACH 2
#define LEAST_FLOPS 6e5
/* Panels over which the copying of B should be spread. */
#define MIN_PANELS 10
/* What copying A and B costs, in columns and rows of a block. */
#define COPY_OF_A 13
#define COPY_OF_B 5
/* Cuts are compared up to here, and another one taken for this. */
#define MOST_CORES  8
#define MOST_ACROSS 8
#define WORTH_IT    0.98

typedef struct blocking {
	int mr; /* rows of a panel, and of the tile in registers */
	int kc, nc, panels_each;
} blocking;

/* Blocks of B want a cache as large as the one that PoCL's local memory stands for. */
bool clef__gemm_cpu_fits(const clef_device *dev)
{
	return dev->info.kind == CLEF_DEVICE_CPU && dev->info.local_memory >= 128 * 1024;
}

/* Floats of a block of B. */
static int block_size(const clef_device *dev)
{
	return (int)CLEF__MIN(dev->info.local_memory / 2 / sizeof(float), 1u << 20);
}

/* A block's time in multiply-adds of one k, with the copying of A and B counted as columns and rows. */
static double block_cost(int rows, int columns)
{
	return (double)(rows + COPY_OF_B) * (columns + COPY_OF_A);
}

/* The time of the core that has most to do. PoCL's threads take as many of the blocks that are left, in order, as each
 * of them would get of those. */
static double find_makespan(const clef_device *dev, const clef__gemm_opts *g, const blocking *b)
{
	const int cores = (int)dev->info.compute_units, rows = b->panels_each * b->mr;
	const int across = clef__divide_up(g->n, b->nc), blocks = across * clef__divide_up(g->m, rows);
	double load[MOST_CORES] = { 0 }, most = 0;

	for (int next = 0; next < blocks;) {
		int take = clef__divide_up(blocks - next, cores), core = 0;

		for (int i = 1; i < cores; i++)
			core = load[i] < load[core] ? i : core;
		for (; take > 0; take--, next++)
			load[core] += block_cost(CLEF__MIN(rows, g->m - next / across * rows),
						 CLEF__MIN(b->nc, g->n - next % across * b->nc));
		most = CLEF__MAX(most, load[core]);
	}
	return most;
}

/* `across` blocks of columns and so many of rows. */
static blocking cut(const clef_device *dev, const clef__gemm_opts *g, int across, int down)
{
	const int panels = clef__divide_up(g->m, ROWS(dev));
	blocking b = { .mr = ROWS(dev) };

	b.nc = clef__divide_up(clef__divide_up(g->n, across), TILE(dev)) * TILE(dev);
	/* Blocks of K of about one size, in whole vectors so that transposing B has no remainder inside. */
	b.kc = CLEF__MIN(MAX_DEPTH, block_size(dev) / b.nc / VECTOR * VECTOR);
	b.kc = clef__divide_up(clef__divide_up(g->k, clef__divide_up(g->k, b.kc)), VECTOR) * VECTOR;
	b.panels_each = CLEF__MAX(clef__divide_up(panels, down), CLEF__MIN(panels, MIN_PANELS));
	return b;
}

static blocking choose_blocking(const clef_device *dev, const clef__gemm_opts *g)
{
	const int shares = CLEF__MAX(clef__divide_up(g->m, ROWS(dev)) / MIN_PANELS, 1);
	const int cores = (int)CLEF__MAX(dev->info.compute_units, 1);
	const int blocks = clef__divide_up(
		(int)CLEF__MIN(clef__gemm_flops(g) / LEAST_FLOPS + 1, BLOCKS_EACH * (double)cores), g->batch);
	int nc = MAX_COLUMNS, across;
	double least;
	blocking best;

	while (nc > 2 * VECTOR &&
	       (nc * MAX_DEPTH > block_size(dev) || g->n <= nc / 2 || clef__divide_up(g->n, nc) * shares < blocks))
		nc /= 2;
	across = clef__divide_up(g->n, nc);
	best = cut(dev, g, across, clef__divide_up(blocks, across));
	if (g->batch > 1 || cores == 1 || cores > MOST_CORES || across > MOST_ACROSS)
		return best;
	least = find_makespan(dev, g, &best);
	for (int c = across; c < across + 3; c++)
		for (int more = 0; more < 3; more++) {
			const blocking b = cut(dev, g, c, clef__divide_up(blocks, c) + more);
			const double time = find_makespan(dev, g, &b);

			if (time < WORTH_IT * least) {
				least = time;
				best = b;
			}
		}
	return best;
}

/* Floats of local memory for a panel of A, or for several of a transpose. */
static int panel_size(const clef_device *dev, const clef__gemm_opts *g, const blocking *b)
{
	const int room = (int)CLEF__MIN(dev->info.local_memory / 4 / sizeof(float), MAX_PANELS);

	return g->trans_a ? CLEF__MAX(b->kc * A_STEP(dev), room) : b->mr * A_ROW;
}

/* EACH_OF() in cl/vector.clh. */
static bool has_rows(const clef_device *dev, int mr)
{
	return mr == ROWS(dev) || mr == 4 || mr == 5 || mr == 8 || (mr == 11 && A_STEP(dev) >= 11);
}

/* The parameters of a choice, or what the rules say; false for those that make no sense here. */
static bool find_blocking(const clef_device *dev, const clef__gemm_opts *g, const clef__choice *c, blocking *b)
{
	size_t floats;

	*b = choose_blocking(dev, g);
	if (!c || !c->param[0].name[0])
		return true;
	b->mr = clef__choice_get(c, "mr", b->mr);
	b->kc = clef__choice_get(c, "kc", b->kc);
	b->nc = clef__choice_get(c, "nc", b->nc);
	b->panels_each = clef__choice_get(c, "panels", b->panels_each);
	if (!has_rows(dev, b->mr) || b->kc < VECTOR || b->kc > MAX_DEPTH || b->kc % VECTOR || b->nc < TILE(dev) ||
	    b->nc > 4 * MAX_COLUMNS || b->nc % TILE(dev) || b->panels_each < 1 ||
	    b->panels_each > clef__divide_up(g->m, b->mr))
		return false;
	floats = (size_t)panel_size(dev, g, b) + (size_t)b->kc * (size_t)b->nc;
	return sizeof(float) * floats <= dev->info.local_memory;
}

/* ---- tuning ---- */

bool clef__gemm_cpu_takes(const clef_device *dev, const clef__gemm_opts *g, const clef__choice *c)
{
	blocking b;

	return clef__choice_get(c, "dot", 0) ? clef__gemm_dot_fits(g) : find_blocking(dev, g, c, &b);
}

/* Adds one that is new and makes sense. */
static int add_candidate(const clef_device *dev, const clef__gemm_opts *g, const blocking *b, clef__choice *list,
			 int count, int max)
{
	clef__choice c = clef__choice_make("cpu");

	if (b->mr != ROWS(dev))
		clef__choice_add(&c, "mr", b->mr);
	clef__choice_add(&c, "kc", b->kc);
	clef__choice_add(&c, "nc", b->nc);
	clef__choice_add(&c, "panels", b->panels_each);
	for (int i = 0; i < count; i++)
		if (memcmp(&list[i], &c, sizeof(c)) == 0)
			return count;
	if (count < max && clef__gemm_cpu_takes(dev, g, &c))
		list[count++] = c;
	return count;
}

/* Panels of fewer rows, where that saves padding: each number is a program of its own. */
static int add_rows(const clef_device *dev, const clef__gemm_opts *g, clef__choice *list, int count, int max)
{
	static const int fewer[] = { 11, 8, 5, 4 };
	const blocking own = choose_blocking(dev, g);
	int padded = clef__divide_up(g->m, own.mr) * own.mr;

	for (int i = 0; i < CLEF_COUNT(fewer); i++) {
		blocking b = own;

		b.mr = fewer[i];
		b.panels_each = CLEF__MIN(clef__divide_up(own.panels_each * own.mr, b.mr), clef__divide_up(g->m, b.mr));
		if (b.mr < own.mr && clef__divide_up(g->m, b.mr) * b.mr < padded)
			count = add_candidate(dev, g, &b, list, count, max);
	}
	return count;
}

/* Widths, depths and numbers of blocks for each core around those that the rules know. */
int clef__gemm_cpu_candidates(const clef_device *dev, const clef__gemm_opts *g, clef__choice *list, int max)
{
	static const int each[] = { 2, 1, 4 }, depths[] = { 256, 512, 128 };
	int panels = clef__divide_up(g->m, ROWS(dev)), cores = (int)CLEF__MAX(dev->info.compute_units, 1), count = 0;

	if (clef__gemm_dot_fits(g) && !clef__gemm_dot_pays(g) && max > 0) {
		list[count] = clef__choice_make("cpu");
		clef__choice_add(&list[count++], "dot", 1);
	}
	count = add_rows(dev, g, list, count, max);
	for (int i = 0; i < CLEF_COUNT(each); i++)
		for (int j = 0; j < CLEF_COUNT(depths); j++)
			for (int nc = 2 * VECTOR; nc <= 2 * MAX_COLUMNS && nc < 2 * g->n + 2 * VECTOR; nc *= 2) {
				int all = clef__divide_up(cores * each[i], g->batch);
				int rows = clef__divide_up(all, clef__divide_up(g->n, nc));
				blocking b = { .mr = ROWS(dev),
					       .nc = nc,
					       .panels_each = clef__divide_up(panels, rows) };

				b.kc = clef__divide_up(g->k, clef__divide_up(g->k, depths[j]));
				b.kc = clef__divide_up(b.kc, VECTOR) * VECTOR;
				count = add_candidate(dev, g, &b, list, count, max);
			}
	return count;
}

/* ---- running ---- */

static bool takes_dot(const clef__gemm_opts *g)
{
	bool own = !g->with || !g->with->param[0].name[0];

	return clef__gemm_dot_fits(g) && (own ? clef__gemm_dot_pays(g) : clef__choice_get(g->with, "dot", 0));
}

static int packed_columns(const clef_device *dev, const clef__gemm_opts *g)
{
	return clef__divide_up(g->n, TILE(dev)) * TILE(dev);
}

size_t clef__gemm_cpu_packed_size(const clef_device *dev, const clef__gemm_opts *g)
{
	return takes_dot(g) ? 0 : (size_t)packed_columns(dev, g) * (size_t)g->k;
}

clef_status clef__gemm_cpu_pack(clef_device *dev, const clef__gemm_opts *g, clef__buffer *to, size_t offset)
{
	return clef__launch(dev, &(clef__launch_opts){
					 .program = "gemm_cpu_pack",
					 .kernel = "gemm_cpu_pack",
					 .global = { (size_t)packed_columns(dev, g) / VECTOR },
					 .local = { 1, 1, 1 },
					 .bytes = 8.0 * g->n * g->k,
					 .args = { CLEF__BUFFER(g->b, g->b_offset), CLEF__INT(g->ldb),
						   CLEF__BUFFER(to, offset), CLEF__INT(g->n), CLEF__INT(g->k) },
				 });
}

clef_status clef__gemm_cpu(clef_device *dev, const clef__gemm_opts *g)
{
	const clef__buffer *bias = g->bias ? g->bias : g->c, *gate = g->gate ? g->gate : g->c;
	size_t a_floats, b_floats;
	char defines[1024];
	blocking b;

	if (takes_dot(g))
		return clef__gemm_dot(dev, g);
	if (!find_blocking(dev, g, g->with, &b))
		b = choose_blocking(dev, g);
	a_floats = (size_t)panel_size(dev, g, &b);
	b_floats = g->packed ? 1 : (size_t)b.kc * (size_t)b.nc;
	snprintf(defines, sizeof(defines), "#define MR %d\n%s%s", b.mr, g->packed ? "#define PACKED\n" : "",
		 g->epilogue ? g->epilogue : CLEF__FLOOR);
	return clef__launch(
		dev, &(clef__launch_opts){
			     .program = "gemm_cpu",
			     .defines = defines,
			     .kernel = "gemm_cpu",
			     .global = { (size_t)clef__divide_up(g->n, b.nc),
					 (size_t)clef__divide_up(g->m, b.panels_each * b.mr), (size_t)g->batch },
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
					 .value.i8 = { g->m, g->n, g->k, b.kc, b.nc, b.panels_each, (int)a_floats } },
				       CLEF__FLOAT(g->alpha),
				       CLEF__FLOAT(g->beta),
				       CLEF__BUFFER(bias, g->bias_offset),
				       CLEF__INT(g->bias != NULL),
				       CLEF__FLOAT(g->epilogue ? g->p : -INFINITY),
				       CLEF__FLOAT(g->q),
				       CLEF__BUFFER(gate, g->gate_offset),
				       CLEF__INT(g->gate != NULL),
				       CLEF__LOCAL(sizeof(float) * a_floats),
				       CLEF__LOCAL(sizeof(float) * b_floats) },
		     });
}
