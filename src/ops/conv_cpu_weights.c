/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of a convolution's weights for CPUs: cuts it into work-items of cl/conv_cpu_weights.cl, or of
 * cl/conv_cpu_weights_few.cl where each output sees few channels. Weights are cut into blocks whose sums stay in a
 * core's second-level cache; where these are too few to keep all cores busy, the images are cut too, into chunks whose
 * sums are added up afterwards, in their order.
 */
#include "conv_internal.h"

/* Twins of the kernels'. */
#define NR(dev) (wide(dev) ? 32 : 16)
#define VECTOR  16

#define TASKS_EACH 8 /* for a core */
#define MIN_LOCAL  (128 * 1024)

/* Of many channels. */
#define MANY_PIXELS 128 /* of a block, about: with NR outputs each they fill half of a first-level cache */
#define MANY_SUMS   80  /* of a block of weights */
#define MAX_OUTPUTS 512 /* of a block */
#define MIN_PIXELS  64  /* of all images */

/* Of few. */
#define FEW_WEIGHTS 40   /* of an output, at most */
#define FEW_OUTPUTS 8    /* of a group: fewer go with few channels, too */
#define FEW_PIXELS  1024 /* of a block */
#define FEW_SUMS    64

/* Rows of a register tile, pixels of a block, and its sums, in units of 1024 floats. */
enum { MR, PIXELS, SUMS };
static const char *const params[] = { "mr", "pixels", "sums", NULL };

/* A block has at least one row, and what it lays out grows with these. */
#define MAX_WIDTH  1024
#define MAX_STRIDE 4
#define MAX_KERNEL 16

static bool wide(const clef_device *dev)
{
	return clef_device_get_info(dev)->float_vector >= 16;
}

static int round_up(int a, int b)
{
	return clef__divide_up(a, b) * b;
}

/* So many that parts are about equal, none larger than `most`. */
static int even(int all, int most, int multiple)
{
	return CLEF__MIN(round_up(clef__divide_up(all, clef__divide_up(all, CLEF__MAX(most, 1))), multiple), all);
}

typedef struct blocking {
	bool few;
	int mr;
	int images, rows;        /* of a block of pixels */
	int units, each, chunks; /* blocks of pixels: all, of a chunk */
	int c, k, groups;        /* of a block of weights */
	int c_blocks, k_blocks, group_blocks;
	int row;                                            /* few: weights of an output, padded */
	size_t part;                                        /* floats of a block of weights */
	size_t image, pixels, outputs, sums, lines, places; /* elements of local memory */
} blocking;

static int weights_each(const clef__conv *g)
{
	return g->c / g->groups * g->r * g->s;
}

static size_t local_bytes(const blocking *b)
{
	return 4 * (b->image + b->pixels + b->outputs + b->sums + b->lines + b->places);
}

/* Rows of x, in all phases, that a block of pixels sees. */
static int phase_rows(const clef__conv *g, const blocking *b)
{
	return (g->r == 1 ? 1 : g->stride_h) * (b->rows + (g->r - 1) * g->dilation_h / g->stride_h);
}

static void choose_pixels(const clef__conv *g, int pixels, blocking *b)
{
	int plane = g->oh * g->ow;
	int line = CLEF__MAX((g->ow - 1) * g->stride_w + (g->s - 1) * g->dilation_w + 1, g->pad_left + g->w);

	b->images = 1;
	b->rows = g->oh;
	if (plane > pixels)
		b->rows = clef__divide_up(g->oh, clef__divide_up(plane, pixels));
	else
		b->images = CLEF__MIN(clef__divide_up(pixels, plane), g->n);
	b->units = clef__divide_up(g->n, b->images) * clef__divide_up(g->oh, b->rows);
	b->image = (size_t)line * (size_t)((b->rows - 1) * g->stride_h + (g->r - 1) * g->dilation_h + 1) + 2 * VECTOR;
}

/* As many chunks as keep all cores busy. */
static void choose_chunks(const clef_device *dev, blocking *b)
{
	int tasks = TASKS_EACH * (int)CLEF__MAX(clef_device_get_info(dev)->compute_units, 1);
	int blocks = b->c_blocks * b->k_blocks * b->group_blocks;

	b->each = clef__divide_up(b->units, CLEF__MAX(CLEF__MIN(clef__divide_up(tasks, blocks), b->units), 1));
	b->chunks = clef__divide_up(b->units, b->each);
}

/* Weights of an output that are none, in tiles of so many. */
static int padding(const clef__conv *g, int rows)
{
	return round_up(weights_each(g), rows) - weights_each(g);
}

static void choose_few(const clef_device *dev, const clef__conv *g, blocking *b)
{
	int outputs = g->k / g->groups, sums = 1024 * clef__conv_param(g, SUMS, FEW_SUMS);
	int tasks = TASKS_EACH * (int)CLEF__MAX(clef_device_get_info(dev)->compute_units, 1);

	/* One row less costs 2 %, padding more. */
	b->mr = clef__conv_param(g, MR, wide(dev) ? 9 : padding(g, 6) > padding(g, 5) ? 5 : 6);
	choose_pixels(g, clef__conv_param(g, PIXELS, FEW_PIXELS), b);
	b->row = round_up(weights_each(g), b->mr);
	b->c = g->c / g->groups;
	b->c_blocks = 1;
	b->k = even(outputs, sums / (b->row * VECTOR), 2);
	b->k_blocks = clef__divide_up(outputs, b->k);
	b->groups = CLEF__MIN(sums / (b->row * VECTOR * b->k), clef__divide_up(g->groups, tasks));
	b->groups = CLEF__MAX(b->groups, 1);
	b->group_blocks = clef__divide_up(g->groups, b->groups);
	b->part = (size_t)round_up(b->groups * b->k * b->row, VECTOR);
	b->pixels = (size_t)(g->s * phase_rows(g, b) * b->images * g->ow) * (size_t)b->c + VECTOR;
	b->sums = b->part * VECTOR;
	b->lines = (size_t)b->row;
}

static void choose_many(const clef_device *dev, const clef__conv *g, blocking *b)
{
	int channels = g->c / g->groups, outputs = g->k / g->groups, taps = g->r * g->s;
	size_t each, room = (size_t)clef_device_get_info(dev)->local_memory / sizeof(float) / 2;

	b->mr = clef__conv_param(g, MR, wide(dev) ? 12 : 6);
	choose_pixels(g, clef__conv_param(g, PIXELS, MANY_PIXELS), b);
	each = (size_t)(g->s * phase_rows(g, b) * b->images * g->ow);
	b->k = even(outputs, MAX_OUTPUTS, NR(dev));
	b->c = CLEF__MIN(1024 * clef__conv_param(g, SUMS, MANY_SUMS) / (b->k * taps),
			 (int)CLEF__MIN(room / each, (size_t)channels));
	b->c = even(channels, b->c, 1);
	b->c_blocks = clef__divide_up(channels, b->c);
	b->k_blocks = clef__divide_up(outputs, b->k);
	b->groups = 1;
	b->group_blocks = g->groups;
	b->lines = (size_t)round_up(b->c * taps, b->mr);
	b->places = (size_t)(b->rows * g->ow);
	b->part = (size_t)round_up(b->k, NR(dev)) * b->lines;
	b->pixels = each * (size_t)b->c + VECTOR;
	b->outputs = (size_t)round_up(b->k, NR(dev)) * b->places * (size_t)b->images;
}

static bool takes_few(const clef__conv *g)
{
	return weights_each(g) <= FEW_WEIGHTS || (g->groups > 1 && g->k / g->groups < FEW_OUTPUTS);
}

static blocking choose_blocking(const clef_device *dev, const clef__conv *g)
{
	blocking b = { .few = takes_few(g) };

	(b.few ? choose_few : choose_many)(dev, g, &b);
	choose_chunks(dev, &b);
	return b;
}

/* ---- where it is right, and where it is a good choice ---- */

static bool fits(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	blocking b;

	(void)way;
	if (!clef__conv_has_rows(g->param[MR]) || clef_device_get_info(dev)->kind != CLEF_DEVICE_CPU || g->n < 1 ||
	    g->c < 1 || g->k < 1 || g->ow > MAX_WIDTH || g->w > MAX_WIDTH * MAX_STRIDE || g->pad_left > MAX_WIDTH ||
	    g->stride_h > MAX_STRIDE || g->stride_w > MAX_STRIDE || g->r > MAX_KERNEL || g->s > MAX_KERNEL ||
	    g->dilation_h > MAX_KERNEL || g->dilation_w > MAX_KERNEL || weights_each(g) > 1 << 20)
		return false;
	b = choose_blocking(dev, g);
	return local_bytes(&b) <= clef_device_get_info(dev)->local_memory;
}

/* Sums of few pixels cost more to keep than to compute, and a device whose local memory is no cache is another kind. */
static bool pays(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	(void)way;
	return clef_device_get_info(dev)->local_memory >= MIN_LOCAL &&
	       (double)g->n * g->oh * g->ow >= (takes_few(g) ? 1 : MIN_PIXELS);
}

/* ---- launches ---- */

static clef__arg int8_arg(const int v[8])
{
	clef__arg arg = { .kind = CLEF__ARG_INT8 };

	memcpy(arg.value.i8, v, sizeof(arg.value.i8));
	return arg;
}

static double flops(const clef__conv *g)
{
	return 2.0 * g->n * g->k * g->oh * g->ow * weights_each(g);
}

static const char *write_defines(char *text, size_t size, const blocking *b)
{
	snprintf(text, size, "#define MR %d\n", b->mr);
	return text;
}

static clef_status multiply(const clef__conv *g, const blocking *b, const clef_tensor *x, const clef_tensor *y,
			    const clef_tensor *parts)
{
	const int many[8] = { g->n, b->images, b->rows, b->each, b->c, b->k };
	const int few[8] = { g->n, b->images, b->rows, b->each, b->groups, b->k, b->row };
	char defines[32];
	clef__launch_opts l = {
		.defines = write_defines(defines, sizeof(defines), b),
		.program = b->few ? "conv_cpu_weights_few" : "conv_cpu_weights",
		.kernel = b->few ? "conv_weights_few" : "conv_weights",
		.global = { (size_t)(b->c_blocks * b->group_blocks), (size_t)b->k_blocks, (size_t)b->chunks },
		.local = { 1, 1, 1 },
		.bytes = 4.0 * ((double)x->numel + (double)y->numel + (double)parts->numel),
		.flops = flops(g),
		.args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__TENSOR(parts), clef__conv_size(g), clef__conv_step(g),
			  int8_arg(b->few ? few : many), CLEF__INT(b->image), CLEF__LOCAL(4 * b->image),
			  CLEF__LOCAL(4 * b->pixels), CLEF__LOCAL(4 * (b->few ? b->sums : b->outputs)),
			  CLEF__LOCAL(4 * b->lines) },
	};

	if (!b->few)
		l.args[11] = (clef__arg)CLEF__LOCAL(4 * b->places);
	return clef__launch(x->dev, &l);
}

static clef_status add_up(const clef__conv *g, const blocking *b, const clef_tensor *parts, float beta, clef_tensor *w)
{
	int taps = g->r * g->s, channels = g->c / g->groups, outputs = g->k / g->groups;
	int tiles = clef__divide_up(b->c * taps, VECTOR) * b->c_blocks * clef__divide_up(b->k, VECTOR) * b->k_blocks *
		    g->groups;
	int items = b->few ? (int)w->numel : tiles;
	const int many[8] = { b->chunks, g->groups, channels, outputs, b->c, b->k, taps };
	const int few[8] = { b->chunks, g->groups, outputs, channels * taps, b->groups, b->k, b->row };
	char defines[32];

	return clef__launch(w->dev, &(clef__launch_opts){
					    .program = b->few ? "conv_cpu_weights_few" : "conv_cpu_weights",
					    .defines = write_defines(defines, sizeof(defines), b),
					    .kernel = b->few ? "conv_weights_few_sum" : "conv_weights_sum",
					    .global = { (size_t)items },
					    .long_items = !b->few,
					    .bytes = 4.0 * ((double)parts->numel + (double)w->numel),
					    .args = { CLEF__TENSOR(parts), CLEF__TENSOR(w), CLEF__FLOAT(beta),
						      int8_arg(b->few ? few : many), CLEF__INT(items) },
				    });
}

static clef_status backward_weights(const clef__node *n, const clef__conv *g, const clef_tensor *x,
				    const clef_tensor *y, float beta, clef_tensor *w)
{
	const blocking b = choose_blocking(w->dev, g);
	clef_tensor *parts =
		clef__scratch(n, CLEF_FLOAT32,
			      CLEF_SHAPE(b.chunks, (int64_t)b.c_blocks * b.k_blocks * b.group_blocks, (int64_t)b.part));
	clef_status status;

	if (!parts)
		return clef_error_status();
	status = multiply(g, &b, x, y, parts);
	if (!status)
		status = add_up(g, &b, parts, beta, w);
	clef__scratch_free(parts);
	return status;
}

static const int *candidate(const clef_device *dev, int i)
{
	/* Few and many channels have other pixels; the sets that are out of the way for one lose quickly. */
	static const int wide_sets[][CLEF__CONV_PARAMS] = { { 11 },     { 8 },       { 0, 64 },   { 0, 256 },
							    { 0, 512 }, { 0, 2048 }, { 0, 0, 40 } };
	static const int narrow_sets[][CLEF__CONV_PARAMS] = { { 5 },      { 4 },       { 0, 64 },   { 0, 256 },
							      { 0, 512 }, { 0, 2048 }, { 0, 0, 40 } };

	_Static_assert(sizeof(wide_sets) == sizeof(narrow_sets), "as many of both");
	return i >= CLEF_COUNT(wide_sets) ? NULL : wide(dev) ? wide_sets[i] : narrow_sets[i];
}

const clef__conv_impl clef__conv_cpu_weights = { "cpu_weights",    fits, pays,   NULL,     NULL,
						 backward_weights, 0,    params, candidate };
