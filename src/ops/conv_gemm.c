/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions on GPUs as matrix products that need no matrix: the three computations, written as one product each for
 * cl/conv_gemm.cl, and the choice of its tile.
 *
 * With strides, the gradient to the images is a product for each of their phases: pixels whose row and column leave the
 * same remainder see the same taps, and no others. Each phase is a launch. The gradient of the weights has a depth of
 * all pixels and may have few tiles; so it is cut into chunks, as many as keep the device busy, and so short that sums
 * stay exact to a few bits. They are added up in their order.
 */
#include <math.h>

#include "conv_internal.h"

/* Twins of the kernel's. */
#define ALONG_DEPTH 1
#define QUADS       2
#define Y_QUADS     16

/* Work-groups for each of the device's units, which hides the latency of one behind the others. */
#define GROUPS_EACH 4
/* Pixels of a chunk: fewer cost more to write and add up than to multiply, more lose bits. */
#define MIN_CHUNK  256
#define MAX_CHUNK  4096
#define MAX_PARTS  (1 << 26) /* floats of all chunks, unless one alone has more */
#define MAX_PHASES 64

/* Less is not worth a matrix product: rows, and channels times taps. */
#define MIN_ROWS  4
#define MIN_DEPTH 8

/* ---- tiles ---- */

enum { TM, TN, TK, MR, NR, KU };
static const char *const params[] = { "tm", "tn", "tk", "mr", "nr", "ku", NULL };
static const char *const macros[] = { "TM", "TN", "TK", "MR", "NR", "KU" };

/* Of a work-group, rows, columns and depth; of a work-item, rows and columns; elements of the depth in a row of
 * instructions without a jump. The speed is that of a device that is full of them, as their reads of local memory and
 * of global memory for each multiplication suggest. 0: for measurements only. */
static const struct {
	int size[CLEF__CONV_PARAMS];
	double speed;
} tiles[] = {
	{ { 128, 128, 8, 8, 8, 2 }, 1 },  { { 128, 64, 8, 8, 8, 2 }, 0.95 },  { { 64, 128, 8, 8, 8, 2 }, 0.95 },
	{ { 64, 64, 16, 8, 4, 2 }, 0.8 }, { { 32, 128, 16, 4, 8, 2 }, 0.75 }, { { 32, 64, 16, 4, 4, 2 }, 0.6 },
	{ { 32, 32, 16, 4, 4, 2 }, 0.5 }, { { 16, 64, 16, 4, 4, 2 }, 0.45 },  { { 16, 16, 16, 4, 4, 1 }, 0.25 },
	{ { 128, 128, 8, 8, 8, 4 }, 0 },  { { 128, 128, 16, 8, 8, 2 }, 0 },   { { 64, 64, 8, 8, 8, 2 }, 0 },
	{ { 64, 64, 16, 8, 4, 4 }, 0 },   { { 64, 64, 16, 4, 4, 4 }, 0 },     { { 64, 32, 16, 4, 4, 4 }, 0 },
};
/* For a CPU, where it is only tried out. */
#define QUICK_TO_COMPILE (&tiles[8])

static int items_of(const int t[])
{
	return t[TM] / t[MR] * (t[TN] / t[NR]);
}

/* Whether the kernel has such a tile, and the device room for two of them, so that one work-group computes while
 * another waits. (Rusticl of Mesa 22.3 counts the memory of a kernel twice.) */
static bool tile_fits(const clef_device *dev, const int t[])
{
	const clef_device_info *info = clef_device_get_info(dev);
	int64_t copies, tables, items;

	for (int i = TM; i <= NR; i++)
		if (t[i] < 4 || t[i] > 512 || t[i] % 4)
			return false;
	if (t[KU] < 1 || t[TK] % t[KU] || t[TM] % t[MR] || t[TN] % t[NR] || t[MR] > 16 || t[NR] > 16)
		return false;
	items = items_of(t);
	copies = (int64_t)sizeof(float) * 2 * t[TK] * (t[TM] + 4 + t[TN] + 4);
	tables = (int64_t)sizeof(int) * 4 * (2 * t[TK] + t[TN]);
	return items % t[TN] == 0 && items % t[TK] == 0 && t[TM] * t[TK] % (4 * items) == 0 &&
	       t[TN] * t[TK] % (4 * items) == 0 && items <= (int64_t)info->max_work_group &&
	       2 * (copies + tables) <= (int64_t)info->local_memory;
}

/* Rows and columns of the product. */
static int rows_of(const clef__conv *g, clef__conv_way way)
{
	return (way == CLEF__CONV_BACKWARD_DATA ? g->c : g->k) / g->groups;
}

static double columns_of(const clef__conv *g, clef__conv_way way)
{
	switch (way) {
	case CLEF__CONV_FORWARD:
		return (double)g->n * g->oh * g->ow;
	case CLEF__CONV_BACKWARD_DATA:
		return (double)g->n * clef__divide_up(g->h, g->stride_h) * clef__divide_up(g->w, g->stride_w);
	default:
		return (double)(g->c / g->groups) * g->r * g->s;
	}
}

/* Rounds of work-groups until all is done, times what each computes. Chunks fill the rounds of the weights' gradient.
 */
static double cost(const clef_device *dev, const clef__conv *g, clef__conv_way way, const int t[], double speed)
{
	double units = CLEF__MAX(clef_device_get_info(dev)->compute_units, 1);
	double rounds = clef__divide_up(rows_of(g, way), t[TM]) * ceil(columns_of(g, way) / t[TN]) * g->groups / units;

	return (way == CLEF__CONV_BACKWARD_WEIGHTS ? rounds : ceil(rounds)) * t[TM] * t[TN] / speed;
}

/* Not so where half of it and more has nothing to compute: a smaller one does the same. */
static bool is_filled(const clef__conv *g, clef__conv_way way, const int t[])
{
	return (t[TM] <= 16 || 2 * (double)rows_of(g, way) > t[TM]) && (t[TN] <= 16 || 2 * columns_of(g, way) > t[TN]);
}

/* The one that is asked for, or the one that seems best; NULL where there is none. */
static const int *choose_tile(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	const int *best = NULL;
	double least = 0;

	for (int i = 0; i < CLEF__CONV_PARAMS; i++)
		if (g->param[i])
			return tile_fits(dev, g->param) && is_filled(g, way, g->param) ? g->param : NULL;
	if (clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU)
		return tile_fits(dev, QUICK_TO_COMPILE->size) ? QUICK_TO_COMPILE->size : NULL;
	for (int i = 0; i < CLEF_COUNT(tiles); i++) {
		double c = tiles[i].speed > 0 ? cost(dev, g, way, tiles[i].size, tiles[i].speed) : 0;

		if (tiles[i].speed > 0 && tile_fits(dev, tiles[i].size) && (!best || c < least)) {
			best = tiles[i].size;
			least = c;
		}
	}
	return best;
}

static const int *candidate(const clef_device *dev, int i)
{
	(void)dev;
	return i < CLEF_COUNT(tiles) ? tiles[i].size : NULL;
}

/* ---- where it is right, and where it is a good choice ---- */

static bool fits(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	if (way == CLEF__CONV_BACKWARD_DATA && (double)g->stride_h * g->stride_w > MAX_PHASES)
		return false;
	return g->n > 0 && g->c > 0 && g->k > 0 && choose_tile(dev, g, way);
}

/* On a CPU work-groups with barriers are a hundred times too slow. */
static bool pays(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	int depth = (way == CLEF__CONV_BACKWARD_DATA ? g->k : g->c) / g->groups * g->r * g->s;

	return clef_device_get_info(dev)->kind != CLEF_DEVICE_CPU && rows_of(g, way) >= MIN_ROWS && depth >= MIN_DEPTH;
}

/* ---- the product ---- */

/* The kernel's arguments of these names. */
typedef struct product {
	int size[8], along[8], across[8], result[8];
	int modes, chunks;
	size_t a_offset, y_offset; /* besides those of the tensors */
} product;

static bool are_quads(const clef_tensor *x, int neighbours)
{
	return x->offset % 4 == 0 && neighbours % 4 == 0;
}

/* Windows of one pixel that see all pixels once. */
static bool is_pointwise(const clef__conv *g)
{
	return g->r == 1 && g->s == 1 && g->stride_h == 1 && g->stride_w == 1 && g->pad_top == 0 && g->pad_left == 0 &&
	       g->h == g->oh && g->w == g->ow;
}

/* The work-items' modes for the two matrices, and whether the result is stored in fours. */
static int modes_of(int a, bool a_quads, int x, bool x_quads, bool y_quads)
{
	return (a | (a_quads ? QUADS : 0)) | (x | (x_quads ? QUADS : 0)) << 2 | (y_quads ? Y_QUADS : 0);
}

static product forward_product(const clef__conv *g, const clef_tensor *x, const clef_tensor *w, const clef_tensor *y)
{
	int pixels = g->oh * g->ow, image = g->h * g->w, taps = g->r * g->s;
	int m = g->k / g->groups, c = g->c / g->groups, depth = c * taps;

	return (product){
		.size = { m, g->n * pixels, depth, g->groups, depth, g->h, g->w, depth },
		.along = { g->r, g->s, image, g->dilation_h, g->dilation_w, taps, g->s, 1 },
		.across = { g->oh, g->ow, g->c * image, g->stride_h, g->stride_w, -g->pad_top, -g->pad_left },
		.result = { g->k * pixels, g->ow, 1, pixels, m * pixels, 0, m * depth, c * image },
		.modes = modes_of(ALONG_DEPTH, are_quads(w, depth), 0, is_pointwise(g) && are_quads(x, image),
				  are_quads(y, pixels)),
		.chunks = 1,
	};
}

static product weights_product(const clef__conv *g, int each, int chunks, const clef_tensor *x, const clef_tensor *y,
			       const clef_tensor *w)
{
	int pixels = g->oh * g->ow, image = g->h * g->w, taps = g->r * g->s;
	int m = g->k / g->groups, c = g->c / g->groups, columns = c * taps;

	return (product){
		.size = { m, columns, g->n * pixels, g->groups, each, g->h, g->w, pixels },
		.along = { g->oh, g->ow, g->c * image, g->stride_h, g->stride_w, g->k * pixels, g->ow, 1 },
		.across = { g->r, g->s, image, g->dilation_h, g->dilation_w, -g->pad_top, -g->pad_left },
		.result = { taps, g->s, 1, columns, m * columns, g->k * columns, m * pixels, c * image },
		.modes = modes_of(ALONG_DEPTH, are_quads(y, pixels), ALONG_DEPTH,
				  is_pointwise(g) && are_quads(x, image), are_quads(w, columns)),
		.chunks = chunks,
	};
}

/* In one direction, of the pixels of x at `phase`, a stride apart: those of y that they see through their taps. */
typedef struct phase {
	int pixels;          /* of x */
	int first, taps, by; /* the first tap, their number, and from one to the next */
	int from, step;      /* the first pixel's at the first tap, and from one tap to the next */
} phase;

static int common_divisor(int a, int b)
{
	return b ? common_divisor(b, a % b) : a;
}

static phase phase_of(int at, int size, int stride, int taps, int dilation, int pad)
{
	int common = common_divisor(stride, dilation), first = 0, by = stride / common;

	while (first < taps && (at + pad - first * dilation) % stride)
		first++;
	if (first == taps)
		return (phase){ .pixels = clef__divide_up(size - at, stride) };
	return (phase){ .pixels = clef__divide_up(size - at, stride),
			.first = first,
			.taps = (taps - 1 - first) / by + 1,
			.by = by,
			.from = (at + pad - first * dilation) / stride,
			.step = -dilation / common };
}

static product data_product(const clef__conv *g, const phase *v, const phase *u, const clef_tensor *y,
			    const clef_tensor *w, const clef_tensor *x)
{
	int pixels = g->oh * g->ow, image = g->h * g->w, taps = g->r * g->s;
	int m = g->c / g->groups, c = g->k / g->groups, depth = c * v->taps * u->taps;
	bool whole = v->pixels == g->h && u->pixels == g->w;

	return (product){
		.size = { m, g->n * v->pixels * u->pixels, depth, g->groups, CLEF__MAX(depth, 1), g->oh, g->ow, taps },
		.along = { CLEF__MAX(v->taps, 1), CLEF__MAX(u->taps, 1), pixels, v->step, u->step, m * taps,
			   v->by * g->s, u->by },
		.across = { v->pixels, u->pixels, g->k * pixels, 1, 1, v->from, u->from },
		.result = { g->c * image, v->pixels > 1 ? g->stride_h * g->w : 0, g->stride_w, image, m * image, 0,
			    c * m * taps, c * pixels },
		.modes = modes_of(0, taps == 1 && are_quads(w, m), 0, is_pointwise(g) && are_quads(y, pixels),
				  whole && are_quads(x, image)),
		.chunks = 1,
		.a_offset = (size_t)(v->first * g->s + u->first),
	};
}

/* ---- launches ---- */

static clef__arg int8_of(const int v[8])
{
	clef__arg arg = { .kind = CLEF__ARG_INT8 };

	memcpy(arg.value.i8, v, sizeof(arg.value.i8));
	return arg;
}

/* The activation becomes that of the program. */
static void write_defines(char *text, size_t size, const clef_device *dev, const int t[], const product *p,
			  clef_activation *activation)
{
	const char *more = clef__activation_floor(activation);
	size_t used = 0;

	for (int i = 0; params[i] && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "#define %s %d\n", macros[i], t[i]);
	if (clef_device_get_info(dev)->kind != CLEF_DEVICE_CPU && used < size)
		used += (size_t)snprintf(text + used, size - used, "#define A_MODE %d\n#define B_MODE %d\n",
					 p->modes & 3, p->modes >> 2 & 3);
	if (used < size)
		snprintf(text + used, size - used, "%s", more);
}

static clef_status multiply(const product *p, const int t[], const char *label, const clef_tensor *a,
			    const clef_tensor *x, const clef__conv_epilogue *given, float beta, const clef_tensor *y)
{
	clef__conv_epilogue e = given ? *given : (clef__conv_epilogue){ NULL };
	const clef_tensor *bias = e.bias ? e.bias : a;
	size_t items = (size_t)items_of(t);
	char defines[1024];

	write_defines(defines, sizeof(defines), y->dev, t, p, &e.activation);
	return clef__launch(y->dev, &(clef__launch_opts){
					    .program = "conv_gemm",
					    .defines = defines,
					    .kernel = "conv_gemm",
					    .label = label,
					    .global = { items * (size_t)clef__divide_up(p->size[0], t[TM]),
							(size_t)clef__divide_up(p->size[1], t[TN]),
							(size_t)p->size[3] * (size_t)p->chunks },
					    .local = { items, 1, 1 },
					    .bytes = 4.0 * ((double)a->numel + (double)x->numel +
							    (double)p->size[0] * p->size[1] * p->size[3] * p->chunks),
					    .flops = 2.0 * p->size[0] * p->size[1] * p->size[2] * p->size[3],
					    .args = { CLEF__BUFFER(a->buffer, a->offset + p->a_offset), CLEF__TENSOR(x),
						      CLEF__TENSOR(bias), CLEF__INT(e.bias != NULL),
						      CLEF__BUFFER(y->buffer, y->offset + p->y_offset),
						      CLEF__FLOAT(beta), CLEF__FLOAT(e.activation.p),
						      CLEF__FLOAT(e.activation.q), int8_of(p->size), int8_of(p->along),
						      int8_of(p->across), int8_of(p->result), CLEF__INT(p->modes) },
				    });
}

static clef_status forward(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
			   const clef__conv_epilogue *e, float beta, const clef_tensor *y)
{
	const product p = forward_product(g, x, w, y);

	(void)n;
	return multiply(&p, choose_tile(y->dev, g, CLEF__CONV_FORWARD), "conv_gemm", w, x, e, beta, y);
}

clef_status clef__conv_gemm_backward_data(const char *label, const clef__conv *g, const clef_tensor *y,
					  const clef_tensor *w, const clef__conv_epilogue *e, float beta,
					  const clef_tensor *x)
{
	const int *tile = choose_tile(x->dev, g, CLEF__CONV_BACKWARD_DATA);
	clef_status status = CLEF_OK;

	for (int i = 0; i < CLEF__MIN(g->stride_h, g->h) && !status; i++)
		for (int j = 0; j < CLEF__MIN(g->stride_w, g->w) && !status; j++) {
			phase v = phase_of(i, g->h, g->stride_h, g->r, g->dilation_h, g->pad_top);
			phase u = phase_of(j, g->w, g->stride_w, g->s, g->dilation_w, g->pad_left);
			product p = data_product(g, &v, &u, y, w, x);

			p.y_offset = (size_t)i * (size_t)g->w + (size_t)j;
			status = multiply(&p, tile, label, w, y, e, beta, x);
		}
	return status;
}

static clef_status backward_data(const clef__node *n, const clef__conv *g, const clef_tensor *y, const clef_tensor *w,
				 const clef__conv_epilogue *e, float beta, const clef_tensor *x)
{
	(void)n;
	return clef__conv_gemm_backward_data("conv_gemm_backward", g, y, w, e, beta, x);
}

/* Pixels of a chunk: whole steps of the kernel. */
static int choose_chunk(const clef__conv *g, const int t[], const clef_tensor *w)
{
	int depth = g->n * g->oh * g->ow;
	double groups = clef__divide_up(g->k / g->groups, t[TM]) *
			ceil(columns_of(g, CLEF__CONV_BACKWARD_WEIGHTS) / t[TN]) * g->groups;
	double wanted = ceil(GROUPS_EACH * CLEF__MAX(clef_device_get_info(w->dev)->compute_units, 1) / groups);
	double most = CLEF__MIN(clef__divide_up(depth, MIN_CHUNK), (double)(MAX_PARTS / w->numel));
	double chunks = CLEF__MAX(CLEF__MIN(CLEF__MAX(wanted, clef__divide_up(depth, MAX_CHUNK)), most), 1);

	return clef__divide_up(clef__divide_up(depth, (int)chunks), t[TK]) * t[TK];
}

static clef_status backward_weights(const clef__node *n, const clef__conv *g, const clef_tensor *x,
				    const clef_tensor *y, float beta, clef_tensor *w)
{
	const int *tile = choose_tile(w->dev, g, CLEF__CONV_BACKWARD_WEIGHTS);
	int each = choose_chunk(g, tile, w), chunks = clef__divide_up(g->n * g->oh * g->ow, each);
	clef_tensor *parts = chunks > 1 ? clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(chunks, w->numel)) : w;
	clef_status status;
	product p;

	if (!parts)
		return clef_error_status();
	p = weights_product(g, each, chunks, x, y, parts);
	status = multiply(&p, tile, "conv_gemm_weights", y, x, NULL, chunks > 1 ? 0 : beta, parts);
	if (chunks == 1)
		return status;
	if (!status)
		status = clef__reduce_sum(parts, (const bool[CLEF_MAX_DIMS]){ true }, 1, beta, w);
	clef__scratch_free(parts);
	return status;
}

const clef__conv_impl clef__conv_gemm = { "gemm",           fits, pays,   forward,   backward_data,
					  backward_weights, 0,    params, candidate, true };
