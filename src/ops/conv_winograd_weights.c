/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of weights of 3 x 3 with stride 1 on CPUs, by the kernels of cl/conv_winograd_weights.cl: cuts it into
 * work-items, each of a block of outputs, a block of channels and a chunk of the tiles. What a work-item transforms
 * must fit into its core's cache, and every block of outputs transforms the images again; so blocks are as large as
 * that allows, and only where they are too few to keep all cores busy are there chunks, whose sums are added up
 * afterwards, in their order.
 */
#include "conv_internal.h"

/* Twins of the kernels'. */
#define VECTOR  16
#define POINTS  36
#define NR(dev) (wide(dev) ? 32 : 16)

#define AT_ONCE(dev) (wide(dev) ? 32 : 16) /* tiles: smaller caches go with shorter vectors */
#define ABOUT        64                    /* outputs and channels of a block */
#define TASKS_EACH   4                     /* for a core */
#define MIN_TILES    64
#define MIN_WIDTH    16 /* outputs, and channels */

/* Rows of a register tile, AT_ONCE, and ABOUT. */
enum { MR, TILES, BLOCK };
static const char *const params[] = { "mr", "tiles", "block", NULL };
#define TAKES_TILES(n) ((n) == 0 || (n) == 16 || (n) == 32 || (n) == 64)

/* Floats of products, which take four times the memory of the weights: of more there is a part at a time, as long as
 * that keeps all cores busy. */
#define MAX_PARTS ((size_t)2 << 20)

/* Outputs times channels: shorter vectors make transforms dearer than products. */
#define MIN_PAIRS(dev) (wide(dev) ? MIN_WIDTH * MIN_WIDTH : 512)

typedef struct plan {
	int tiles, piece, mr; /* macros of the kernels */
	int k_each, c_each;   /* of a block, padded to register tiles */
	int k_blocks, c_blocks;
	int k_blocks_at_once;
	int tiles_each, tile_blocks, chunks;
	size_t v, p, turn, stage; /* floats of local memory */
	size_t part;              /* floats of a work-item's products */
} plan;

static bool wide(const clef_device *dev)
{
	return clef_device_get_info(dev)->float_vector >= 16;
}

/* From one point to the next: twin of the kernels'. */
static size_t stride(int floats)
{
	return (size_t)((floats / VECTOR | 1) * VECTOR + 2 * VECTOR);
}

/* About `most` of each, equal parts, whole register tiles. */
static int even(int all, int most, int multiple)
{
	int parts = clef__divide_up(all, most);

	return clef__divide_up(clef__divide_up(all, parts), multiple) * multiple;
}

static plan make_plan(const clef_device *dev, const clef__conv *g)
{
	const clef_device_info *info = clef_device_get_info(dev);
	int columns = clef__divide_up(g->ow, 4), tasks = TASKS_EACH * (int)CLEF__MAX(info->compute_units, 1);
	plan p = { .tiles = clef__conv_param(g, TILES, AT_ONCE(dev)), .piece = columns >= 3 ? 4 : columns };

	p.mr = clef__conv_param(g, MR, clef__winograd_rows(dev, g->k));
	p.k_each = even(g->k, clef__conv_param(g, BLOCK, ABOUT) + 1, p.mr);
	p.c_each = even(g->c, clef__conv_param(g, BLOCK, ABOUT), NR(dev));
	p.k_blocks = clef__divide_up(g->k, p.k_each);
	p.c_blocks = clef__divide_up(g->c, p.c_each);
	p.tile_blocks = clef__divide_up(g->n * clef__divide_up(g->oh, 4) * clef__divide_up(g->ow, 4 * p.piece),
					p.tiles / p.piece);
	p.chunks = CLEF__MIN(clef__divide_up(tasks, p.k_blocks * p.c_blocks), p.tile_blocks);
	p.tiles_each = clef__divide_up(p.tile_blocks, p.chunks);
	p.chunks = clef__divide_up(p.tile_blocks, p.tiles_each);
	p.v = POINTS * stride(p.c_each * p.tiles);
	p.p = POINTS * stride(p.k_each * p.tiles);
	p.turn = POINTS * stride(VECTOR * p.tiles);
	p.stage = (size_t)(p.tiles / p.piece * 6 * (4 * p.piece + 4));
	p.part = POINTS * stride(p.k_each * p.c_each);
	p.k_blocks_at_once = (int)(MAX_PARTS / (p.part * (size_t)p.c_blocks * (size_t)p.chunks));
	p.k_blocks_at_once = CLEF__MAX(p.k_blocks_at_once, clef__divide_up(tasks, p.c_blocks * p.chunks));
	p.k_blocks_at_once = CLEF__MIN(p.k_blocks_at_once, p.k_blocks);
	p.k_blocks_at_once = clef__divide_up(p.k_blocks, clef__divide_up(p.k_blocks, p.k_blocks_at_once));
	return p;
}

static bool fits(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	const clef_device_info *info = clef_device_get_info(dev);
	plan p;

	(void)way;
	if (!(clef__conv_has_rows(g->param[MR]) && TAKES_TILES(g->param[TILES])) || info->kind != CLEF_DEVICE_CPU ||
	    !clef__winograd_does(g))
		return false;
	p = make_plan(dev, g);
	return sizeof(float) * (p.v + p.p + p.turn + p.stage) <= info->local_memory;
}

/* The sums of few tiles cost more to keep than to compute, and with few outputs or channels transforming them costs
 * more than multiplying. */
static bool pays(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	(void)way;
	return g->c >= MIN_WIDTH && g->k >= MIN_WIDTH && (double)g->c * g->k >= MIN_PAIRS(dev) &&
	       clef__winograd_tiles(g) >= MIN_TILES;
}

/* ---- launches ---- */

/* Blocks of outputs, some of all. */
typedef struct part_of {
	int first, count;
} part_of;

static clef__arg blocks_arg(const plan *p, part_of k)
{
	return (clef__arg){ .kind = CLEF__ARG_INT8,
			    .value.i8 = { p->k_each, p->c_each, k.count, p->c_blocks, p->tiles_each, p->tile_blocks,
					  p->chunks, k.first } };
}

static void write_defines(char *text, size_t size, const plan *p)
{
	snprintf(text, size, "#define TILES %d\n#define PIECE %d\n#define MR %d\n", p->tiles, p->piece, p->mr);
}

static clef_status multiply(const plan *p, const clef__conv *g, part_of k, const clef_tensor *x, const clef_tensor *y,
			    const clef_tensor *parts)
{
	char defines[128];

	write_defines(defines, sizeof(defines), p);
	return clef__launch(
		x->dev, &(clef__launch_opts){
				.program = "conv_winograd_weights",
				.defines = defines,
				.kernel = "winograd_products",
				.global = { (size_t)k.count, (size_t)p->c_blocks, (size_t)p->chunks },
				.local = { 1, 1, 1 },
				.bytes = 4.0 * ((double)x->numel + (double)y->numel + (double)parts->numel),
				.flops = 18.0 * g->n * g->k * g->oh * g->ow * g->c * k.count / p->k_blocks,
				.args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__TENSOR(parts), CLEF__INT(g->n),
					  clef__conv_size(g), clef__conv_step(g), blocks_arg(p, k),
					  CLEF__LOCAL(sizeof(float) * p->v), CLEF__LOCAL(sizeof(float) * p->p),
					  CLEF__LOCAL(sizeof(float) * p->turn), CLEF__LOCAL(sizeof(float) * p->stage) },
			});
}

static clef_status add_up(const plan *p, const clef__conv *g, part_of k, const clef_tensor *parts, const clef_tensor *x,
			  const clef_tensor *y, float beta, const clef_tensor *w)
{
	const int outputs = CLEF__MIN(k.count * p->k_each, g->k - k.first * p->k_each);
	char defines[128];

	write_defines(defines, sizeof(defines), p);
	return clef__launch(w->dev, &(clef__launch_opts){
					    .program = "conv_winograd_weights",
					    .defines = defines,
					    .kernel = "winograd_sum",
					    .global = { (size_t)p->c_blocks, (size_t)outputs },
					    .local = { 1, 1 },
					    .bytes = 4.0 * ((double)parts->numel + (double)w->numel),
					    .args = { CLEF__TENSOR(parts), CLEF__TENSOR(x), CLEF__TENSOR(y),
						      CLEF__TENSOR(w), CLEF__FLOAT(beta), CLEF__INT(g->n),
						      clef__conv_size(g), clef__conv_step(g), blocks_arg(p, k) },
				    });
}

static clef_status backward_weights(const clef__node *n, const clef__conv *g, const clef_tensor *x,
				    const clef_tensor *y, float beta, clef_tensor *w)
{
	const plan p = make_plan(w->dev, g);
	clef_tensor *parts =
		clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(p.chunks, p.k_blocks_at_once * p.c_blocks, (int64_t)p.part));
	clef_status status = parts ? CLEF_OK : clef_error_status();

	for (part_of k = { 0, p.k_blocks_at_once }; k.first < p.k_blocks && !status; k.first += k.count) {
		k.count = CLEF__MIN(p.k_blocks_at_once, p.k_blocks - k.first);
		status = multiply(&p, g, k, x, y, parts);
		if (!status)
			status = add_up(&p, g, k, parts, x, y, beta, w);
	}
	clef__scratch_free(parts);
	return status;
}

static const int *candidate(const clef_device *dev, int i)
{
	static const int wide_sets[][CLEF__CONV_PARAMS] = { { 11 },       { 8 },        { 13, 16 },
							    { 0, 0, 32 }, { 0, 0, 96 }, { 0, 0, 128 } };
	static const int narrow_sets[][CLEF__CONV_PARAMS] = { { 6 },        { 4 },        { 5, 32 },
							      { 0, 0, 32 }, { 0, 0, 96 }, { 0, 0, 128 } };

	_Static_assert(sizeof(wide_sets) == sizeof(narrow_sets), "as many of both");
	return i >= CLEF_COUNT(wide_sets) ? NULL : wide(dev) ? wide_sets[i] : narrow_sets[i];
}

const clef__conv_impl clef__conv_winograd_weights = { "winograd_weights", fits, pays,   NULL,     NULL,
						      backward_weights,   2e-4, params, candidate };
