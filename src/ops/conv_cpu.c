/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions on a CPU without a matrix of pixels: cuts the result into blocks, each one work-item of cl/conv_cpu.cl,
 * so large that copying its part of the images costs little, and so many that all cores have work to the end.
 */
#include "conv_internal.h"

#define VECTOR 16

/* Local memory from which it stands for a core's own cache. */
#define MIN_LOCAL (128 * 1024)

/* Elements of a block's copy, and of a panel of weights. */
#define COPY_FLOATS  (32 * 1024)
#define PANEL_FLOATS 2048
/* Pixels of a block, and blocks for each core, where there is this much work for it and where there is less. */
#define MIN_PIXELS 64
#define MAX_PIXELS 1024
#define LARGE_WORK 5e8
#define TASKS_EACH 8
#define FEW_TASKS  4

/* Of a group: fewer make matrix products of little worth. */
#define FEW_CHANNELS 8
#define LITTLE_WORK  1e5
/* Channels * taps of a block that are too few. */
#define SHALLOW 64

#define MAX_PHASES 16
#define MAX_COPY   (1 << 20)

/* Twin of the kernel's, in the order of its arguments. */
typedef struct shape {
	int n, groups, c, h, w, m, yh, yw;
	int r, s, phases_h, phases_w, stride_h, stride_w, dilation_h, dilation_w;
	int pad_top, pad_left, first_h, first_w, copies, copy_step, narrow, splits;
	int rows, images, channels, copy_rows, copy_columns, plane, panels, panels_each;
} shape;

typedef struct tile {
	int mr, nv;
	double speed; /* of a full one, relative to the others */
	const char *defines;
} tile;

typedef struct plan {
	shape t;
	const tile *tile;
	int bands, blocks; /* of rows in an image, and of channels */
	int groups_each, tiles;
	size_t sums, table;
} plan;

/* ---- the tile ---- */

#define TILE(mr, nv, speed)                                                                                            \
	{                                                                                                              \
		mr, nv, speed, "#define MR " #mr "\n#define NV " #nv "\n"                                              \
	}

/* Registers hold the sums, a vector of pixels for each column, and on some devices a weight. */
static const tile tiles_16[] = { TILE(13, 2, 1), TILE(11, 2, 0.99), TILE(8, 3, 0.96), TILE(4, 6, 0.9),
				 TILE(1, 4, 0.4) };
static const tile tiles_8[] = { TILE(6, 1, 1), TILE(4, 1, 0.9), TILE(3, 1, 0.7), TILE(1, 4, 0.4) };
static const tile tiles_4[] = { TILE(3, 1, 1), TILE(1, 4, 0.5) };

static const tile *list_tiles(const clef_device *dev, int *count)
{
	unsigned width = clef_device_get_info(dev)->float_vector;

	*count = width >= 16 ? CLEF_COUNT(tiles_16) : width >= 8 ? CLEF_COUNT(tiles_8) : CLEF_COUNT(tiles_4);
	return width >= 16 ? tiles_16 : width >= 8 ? tiles_8 : tiles_4;
}

enum { MR, NV };
static const char *const params[] = { "mr", "nv", NULL };

/* The one that is asked for, or NULL; else the one that seems best. */
static const tile *choose_tile(const clef_device *dev, const clef__conv *g, int m)
{
	int count;
	const tile *tiles = list_tiles(dev, &count), *best = g->param[MR] ? NULL : tiles;
	double least = 0;

	for (int i = 0; i < count && g->param[MR]; i++)
		if (tiles[i].mr == g->param[MR] && tiles[i].nv == g->param[NV])
			return &tiles[i];

	for (int i = 0; i < count && !g->param[MR]; i++) {
		double cost = clef__divide_up(m, tiles[i].mr) * tiles[i].mr / tiles[i].speed;

		if (i == 0 || cost < least) {
			best = &tiles[i];
			least = cost;
		}
	}
	return best;
}

/* ---- the shape ---- */

/* As in the kernel. */
static int last_tap(int phase, int phases, int pad)
{
	return phases == 1 ? 0 : (phase + pad) % phases;
}

static int count_taps(int phase, int phases, int pad, int size)
{
	int last = last_tap(phase, phases, pad);

	return last < size ? clef__divide_up(size - last, phases) : 0;
}

/* In one direction: the first pixel that any phase sees from its first one, and how far they reach from there. */
static void find_reach(int phases, int pad, int size, int dilation, int *first, int *reach)
{
	int lo = INT32_MAX, hi = INT32_MIN;

	for (int a = 0; a < phases; a++) {
		int taps = count_taps(a, phases, pad, size), end = (a + pad - last_tap(a, phases, pad)) / phases;

		if (taps > 0) {
			lo = CLEF__MIN(lo, end - (taps - 1) * dilation);
			hi = CLEF__MAX(hi, end);
		}
	}
	*first = lo;
	*reach = hi - lo;
}

/* Backward to the images is the general case; forward is the one without phases. */
static shape make_shape(const clef__conv *g, bool backward)
{
	shape t = { .n = g->n,
		    .groups = g->groups,
		    .c = g->c / g->groups,
		    .h = g->h,
		    .w = g->w,
		    .m = g->k / g->groups,
		    .yh = g->oh,
		    .yw = g->ow,
		    .r = g->r,
		    .s = g->s,
		    .phases_h = 1,
		    .phases_w = 1,
		    .stride_h = g->stride_h,
		    .stride_w = g->stride_w,
		    .dilation_h = g->dilation_h,
		    .dilation_w = g->dilation_w,
		    .pad_top = (g->r - 1) * g->dilation_h - g->pad_top,
		    .pad_left = (g->s - 1) * g->dilation_w - g->pad_left };

	if (backward) {
		t.c = g->k / g->groups;
		t.h = g->oh;
		t.w = g->ow;
		t.m = g->c / g->groups;
		t.yh = g->h;
		t.yw = g->w;
		t.phases_h = g->stride_h;
		t.phases_w = g->stride_w;
		t.stride_h = t.stride_w = 1;
		t.pad_top = g->pad_top;
		t.pad_left = g->pad_left;
	}
	return t;
}

/* ---- the plan ---- */

static size_t copy_size(const shape *t)
{
	return (size_t)t->channels * (size_t)t->copies * (size_t)t->plane + VECTOR;
}

/* What follows from the block. Planes that are an odd number of cache lines apart do not get into each other's way. */
static void set_copy(plan *p, int reach_h)
{
	shape *t = &p->t;
	int columns = clef__divide_up(t->yw, t->phases_w), row, vectors;
	bool together;

	t->copy_rows = t->rows + reach_h / t->stride_h;
	t->plane = clef__divide_up(t->images * t->splits * t->copy_rows * t->copy_columns, VECTOR);
	t->plane = (t->plane | 1) * VECTOR;
	row = t->narrow ? columns : clef__divide_up(columns, VECTOR) * VECTOR;
	together = t->narrow && t->copy_rows == t->rows && t->splits == 1;
	vectors = together ? clef__divide_up(t->images * t->rows * row, VECTOR)
			   : t->images * clef__divide_up(t->rows * row, VECTOR);
	p->tiles = clef__divide_up(vectors, p->tile->nv);
	p->sums = (size_t)p->tile->mr * (size_t)p->tiles * (size_t)p->tile->nv * VECTOR * (size_t)t->phases_w + VECTOR;
	p->table = (size_t)t->channels * (size_t)t->r * (size_t)t->s + 2 * (size_t)p->tiles * (size_t)p->tile->nv;
	p->bands = clef__divide_up(clef__divide_up(t->yh, t->phases_h), t->rows);
	p->blocks = clef__divide_up(t->c, t->channels);
}

/* How the copy is laid out: see the kernel. */
static void choose_layout(plan *p, int reach_h, int reach_w)
{
	shape *t = &p->t;
	int columns = clef__divide_up(t->yw, t->phases_w), empty = clef__divide_up(columns, VECTOR) * VECTOR - columns;

	t->splits = CLEF__MIN(t->stride_h, reach_h + 1);
	t->narrow = reach_w == 0 || empty > columns / 16;
	if (t->narrow) {
		t->copy_step = t->phases_w > 1 ? 1 : t->dilation_w;
		t->copies = reach_w / t->copy_step + 1;
		t->copy_columns = columns;
	} else {
		t->copy_step = 1;
		t->copies = CLEF__MIN(t->stride_w, reach_w + 1);
		t->copy_columns = columns + reach_w / t->stride_w;
	}
}

/* Images as a whole, or several, or bands of rows; such that cores have enough to do. */
static void choose_block(plan *p, int reach_h, int wanted)
{
	shape *t = &p->t;
	int rows = clef__divide_up(t->yh, t->phases_h), columns = clef__divide_up(t->yw, t->phases_w);
	int taps = CLEF__MAX(t->r * t->s / (t->phases_h * t->phases_w), 1);
	int most = CLEF__MAX(PANEL_FLOATS / p->tile->mr / taps, 1), row = clef__divide_up(columns, VECTOR) * VECTOR;

	t->channels = clef__divide_up(t->c, clef__divide_up(t->c, most));
	t->rows = CLEF__MAX(CLEF__MIN(rows, MAX_PIXELS / columns), 1);
	t->images = t->rows < rows ? 1 : CLEF__MIN(MAX_PIXELS / (rows * row), t->n / wanted);
	t->images = CLEF__MAX(t->images, 1);
	set_copy(p, reach_h);
	for (; t->images > 1 && copy_size(t) > COPY_FLOATS; set_copy(p, reach_h))
		t->images--;
	while (t->rows > 1 && (copy_size(t) > COPY_FLOATS ||
			       ((double)p->bands * t->n < wanted && t->rows * columns >= 2 * MIN_PIXELS))) {
		t->rows = CLEF__MIN(clef__divide_up(rows, p->bands + 1), t->rows - 1);
		set_copy(p, reach_h);
	}
	for (; t->channels > 1 && copy_size(t) > COPY_FLOATS; set_copy(p, reach_h))
		t->channels = clef__divide_up(t->channels, 2);
}

/* Parts for the cores besides those of images. */
static void choose_parts(plan *p, int wanted)
{
	shape *t = &p->t;
	int tasks = CLEF__MIN(clef__divide_up(t->n, t->images) * p->bands, wanted);

	p->groups_each = clef__divide_up(t->groups, CLEF__MIN(clef__divide_up(wanted, tasks), t->groups));
	tasks = CLEF__MIN(tasks * clef__divide_up(t->groups, p->groups_each), wanted);
	t->panels = clef__divide_up(t->m, p->tile->mr);
	t->panels_each = clef__divide_up(t->panels, CLEF__MIN(clef__divide_up(wanted, tasks), t->panels));
}

static double flops(const clef__conv *g)
{
	return 2.0 * g->n * g->k * g->oh * g->ow * (g->c / g->groups) * g->r * g->s;
}

/* False where it is not made for. */
static bool make_plan(const clef_device *dev, const clef__conv *g, bool backward, plan *p)
{
	const clef_device_info *info = clef_device_get_info(dev);
	int cores = (int)CLEF__MAX(info->compute_units, 1), reach_h, reach_w;
	int wanted = cores * (flops(g) / cores < LARGE_WORK ? FEW_TASKS : TASKS_EACH);
	shape *t = &p->t;

	*p = (plan){ .t = make_shape(g, backward) };
	p->tile = choose_tile(dev, g, t->m);
	if (!p->tile)
		return false;
	if (t->phases_h > MAX_PHASES || t->phases_w > MAX_PHASES)
		return false;
	/* Phases of dilated windows are of many kinds. */
	if ((t->phases_h > 1 && t->dilation_h > 1) || (t->phases_w > 1 && t->dilation_w > 1))
		return false;
	find_reach(t->phases_h, t->pad_top, t->r, t->dilation_h, &t->first_h, &reach_h);
	find_reach(t->phases_w, t->pad_left, t->s, t->dilation_w, &t->first_w, &reach_w);
	choose_layout(p, reach_h, reach_w);
	/* One row, which is the least. */
	if ((double)t->copies * t->splits * (1 + reach_h / t->stride_h) * t->copy_columns > MAX_COPY)
		return false;
	choose_block(p, reach_h, wanted);
	choose_parts(p, wanted);
	return (copy_size(t) + p->sums + p->table) * sizeof(float) <= info->local_memory;
}

static bool fits(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	const clef_device_info *info = clef_device_get_info(dev);
	plan p;

	return info->kind == CLEF_DEVICE_CPU && info->local_memory >= MIN_LOCAL && g->n > 0 && g->c > 0 && g->k > 0 &&
	       make_plan(dev, g, way == CLEF__CONV_BACKWARD_DATA, &p);
}

/* Not for rows so long that few channels have room, nor for images so small that vectors would be mostly empty, where
 * matrix products are large. Where they are not, a direct computation is next in line: better for what is less work
 * than a launch. */
static bool pays(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	int pixels;
	plan p;

	make_plan(dev, g, way == CLEF__CONV_BACKWARD_DATA, &p);
	if (p.t.channels < p.t.c && p.t.channels * g->r * g->s < SHALLOW)
		return false;
	if (g->k / g->groups < FEW_CHANNELS || g->c / g->groups < FEW_CHANNELS)
		return flops(g) >= LITTLE_WORK;
	pixels = p.t.images * p.t.rows * clef__divide_up(p.t.yw, p.t.phases_w);
	return 2 * pixels >= p.tiles * p.tile->nv * VECTOR;
}

/* ---- running ---- */

static clef__arg int8_of(const int *from)
{
	clef__arg arg = { .kind = CLEF__ARG_INT8 };

	memcpy(arg.value.i8, from, sizeof(arg.value.i8));
	return arg;
}

static clef_status pack(const clef__conv *g, bool backward, const plan *p, const clef_tensor *w,
			const clef_tensor *bias, const clef_tensor *packed)
{
	const shape *t = &p->t;
	const int *ints = (const int *)t, taps = g->r * g->s, depth = g->c / g->groups;
	int items = t->groups * p->blocks * t->phases_h * t->phases_w * t->panels;
	const clef_tensor *b = bias ? bias : w;

	return clef__launch(
		w->dev,
		&(clef__launch_opts){
			.program = "conv_cpu_pack",
			.defines = p->tile->defines,
			.kernel = "conv_cpu_pack",
			.global = { (size_t)items },
			.long_items = true,
			.bytes = 8.0 * (double)w->numel,
			.args = { CLEF__TENSOR(w), CLEF__ULONG((uint64_t)(g->k / g->groups) * (uint64_t)(depth * taps)),
				  CLEF__INT(backward ? taps : depth * taps), CLEF__INT(backward ? depth * taps : taps),
				  CLEF__INT(!backward), CLEF__TENSOR(b), CLEF__INT(bias != NULL), CLEF__TENSOR(packed),
				  int8_of(ints), int8_of(ints + 8), int8_of(ints + 16), int8_of(ints + 24),
				  CLEF__INT(items) },
		});
}

/* All that the packed weights depend on, besides the values. */
static uint64_t key_of(const plan *p, bool backward, const clef_tensor *w, const clef_tensor *bias)
{
	const void *from[] = { w->buffer, bias ? bias->buffer : NULL };
	const size_t numbers[] = { backward, (size_t)p->tile->mr, w->offset, bias ? bias->offset : 0 };

	return clef__hash(clef__hash(clef__hash(CLEF__HASH_START, &p->t, sizeof(p->t)), from, sizeof(from)), numbers,
			  sizeof(numbers));
}

static clef_status run(const clef__node *n, const clef__conv *g, bool backward, const clef_tensor *x,
		       const clef_tensor *w, const clef__conv_epilogue *given, float beta, const clef_tensor *y)
{
	clef__conv_epilogue e = given ? *given : (clef__conv_epilogue){ NULL };
	const char *activation = clef__activation_floor(&e.activation);
	const int *ints;
	char defines[1024];
	const clef_tensor *leaf = e.bias && e.bias->tape ? NULL : w;
	clef_tensor *packed;
	clef_status status;
	bool made;
	plan p;

	make_plan(x->dev, g, backward, &p);
	ints = (const int *)&p.t;
	snprintf(defines, sizeof(defines), "%s%s", p.tile->defines, activation);
	packed =
		clef__keep(n, leaf, key_of(&p, backward, w, e.bias),
			   CLEF_SHAPE((int64_t)p.t.groups * p.t.panels * p.tile->mr *
				      ((int64_t)p.blocks * p.t.phases_h * p.t.phases_w + (int64_t)p.t.c * g->r * g->s)),
			   &made);
	if (!packed)
		return clef_error_status();
	status = made ? CLEF_OK : pack(g, backward, &p, w, e.bias, packed);
	if (!status)
		status = clef__launch(
			x->dev,
			&(clef__launch_opts){
				.program = "conv_cpu",
				.defines = defines,
				.kernel = "conv_cpu",
				.label = backward ? "conv_cpu_backward" : "conv_cpu",
				.global = { (size_t)clef__divide_up(p.t.n, p.t.images) * (size_t)p.bands,
					    (size_t)clef__divide_up(p.t.panels, p.t.panels_each),
					    (size_t)clef__divide_up(p.t.groups, p.groups_each) },
				.local = { 1, 1, 1 },
				.bytes = 4.0 * (double)(x->numel + y->numel),
				.flops = flops(g),
				.args = { CLEF__TENSOR(x), CLEF__TENSOR(packed), CLEF__TENSOR(y), CLEF__FLOAT(beta),
					  CLEF__FLOAT(e.activation.p), CLEF__FLOAT(e.activation.q), int8_of(ints),
					  int8_of(ints + 8), int8_of(ints + 16), int8_of(ints + 24),
					  CLEF__INT(p.groups_each), CLEF__LOCAL(sizeof(float) * copy_size(&p.t)),
					  CLEF__LOCAL(sizeof(float) * p.sums), CLEF__LOCAL(sizeof(int) * p.table) },
			});
	clef__keep_end(leaf, packed, !status);
	return status;
}

static clef_status forward(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
			   const clef__conv_epilogue *e, float beta, const clef_tensor *y)
{
	return run(n, g, false, x, w, e, beta, y);
}

static clef_status backward_data(const clef__node *n, const clef__conv *g, const clef_tensor *y, const clef_tensor *w,
				 const clef__conv_epilogue *e, float beta, const clef_tensor *x)
{
	return run(n, g, true, y, w, e, beta, x);
}

static const int *candidate(const clef_device *dev, int i)
{
	static _Thread_local int set[CLEF__CONV_PARAMS];
	int count;
	const tile *tiles = list_tiles(dev, &count);

	if (i >= count)
		return NULL;
	set[MR] = tiles[i].mr;
	set[NV] = tiles[i].nv;
	return set;
}

const clef__conv_impl clef__conv_cpu = { "cpu", fits, pays, forward, backward_data, NULL, 0, params, candidate };
