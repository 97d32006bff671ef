/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions of 3 x 3 with stride 1 on CPUs, by the kernels of cl/conv_winograd.cl. The gradient to the images is
 * such a convolution too, with the weights turned round. The transformed images stay in the work-item's local memory,
 * which on a CPU is the core's cache, as long as they fit there; with many channels they are a scratch buffer, so that
 * several work-items can share the outputs among them.
 */
#include "conv_internal.h"

/* Twins of the kernel's. */
#define VECTOR 16
#define POINTS 36

/* Work-items for each core, so that the last ones do not wait for one. */
#define TASKS_EACH 4
#define MIN_TILES  48
#define MIN_WIDTH  16 /* channels, and outputs */
/* Panels of outputs that are multiplied before their result is transformed. */
#define MAX_BLOCK 5
/* Floats of transformed weights, which take four times the memory of the weights, and of transformed images: of more
 * there is a part at a time, as long as that keeps all cores busy. */
#define MAX_WEIGHTS ((size_t)1 << 20)
#define MAX_IMAGES  ((size_t)1 << 20)

/* Rows of a register tile, tiles of a work-item at a time, and MAX_BLOCK. */
enum { MR, TILES, BLOCK };
static const char *const params[] = { "mr", "tiles", "block", NULL };
#define TAKES_TILES(n) ((n) == 0 || (n) == 16 || (n) == 32 || (n) == 64)

typedef struct plan {
	int tiles, piece, mr; /* macros of the kernel */
	bool global_v;
	int blocks; /* of tiles */
	int panels, panels_each, block;
	int panels_at_once, blocks_at_once;    /* that are transformed together */
	size_t stage_bytes, v_floats, m_bytes; /* of a work-item */
} plan;

/* From one point to the next: twin of the kernel's. */
static size_t point_stride(size_t floats)
{
	return (floats / VECTOR | 1) * VECTOR + 2 * VECTOR;
}

/* As many as the registers hold, and few that are padding. Tiles of four rows are slower than those of five by less
 * than the padding that they save from 8 % on. */
int clef__winograd_rows(const clef_device *dev, int outputs)
{
	if (clef_device_get_info(dev)->float_vector < 16)
		return 100 * clef__divide_up(outputs, 5) * 5 > 108 * clef__divide_up(outputs, 4) * 4 ? 4 : 5;
	return outputs <= 16 ? 8 : outputs % 13 == 0 || outputs > 33 ? 13 : 11;
}

static void set_tiles(plan *p, const clef__conv *g, int tiles)
{
	int pieces = g->n * clef__divide_up(g->oh, 4) * clef__divide_up(g->ow, 4 * p->piece);

	p->tiles = tiles;
	p->blocks = clef__divide_up(pieces, tiles / p->piece);
	p->stage_bytes = sizeof(float) * (size_t)(tiles / p->piece) * 6 * (size_t)(4 * p->piece + 4);
	p->v_floats = POINTS * point_stride((size_t)g->c * (size_t)tiles);
	p->m_bytes = sizeof(float) * (size_t)p->mr * POINTS * (size_t)tiles;
}

/* Floats of a panel's transformed weights. */
static size_t weights_of_panel(const plan *p, const clef__conv *g)
{
	return (size_t)POINTS * (size_t)p->mr * (size_t)clef__divide_up(g->c, VECTOR) * VECTOR;
}

/* g as the kernels see it: outputs are k, whichever way it goes. False: local memory is too small. */
static bool make_plan(const clef_device *dev, const clef__conv *g, plan *p)
{
	const clef_device_info *info = clef_device_get_info(dev);
	size_t local = (size_t)CLEF__MIN(info->local_memory, (uint64_t)1 << 30), rest;
	int parts; /* of the panels that are done together */
	int tasks = TASKS_EACH * (int)CLEF__MAX(info->compute_units, 1), columns = clef__divide_up(g->ow, 4);
	/* Shorter vectors go with smaller caches, and with register tiles that are 16 tiles wide, not 32. */
	bool wide = info->float_vector >= 16;

	*p = (plan){ .piece = columns >= 3 ? 4 : columns,
		     .mr = clef__conv_param(g, MR, clef__winograd_rows(dev, g->k)) };
	p->panels = clef__divide_up(g->k, p->mr);
	set_tiles(p, g, clef__conv_param(g, TILES, wide ? 32 : VECTOR));
	if (local < p->stage_bytes + sizeof(float) * p->v_floats + p->m_bytes) {
		p->global_v = true;
		set_tiles(p, g, clef__conv_param(g, TILES, local < 64 * 1024 || !wide ? VECTOR : 64));
	}
	if (local < p->stage_bytes + p->m_bytes)
		return false;
	rest = local - p->stage_bytes - (p->global_v ? 0 : sizeof(float) * p->v_floats);
	p->blocks_at_once = p->blocks;
	if (p->global_v)
		p->blocks_at_once = clef__conv_part(p->blocks, CLEF__MAX(MAX_IMAGES / p->v_floats, (size_t)tasks));
	parts = CLEF__MIN(clef__divide_up(tasks, p->blocks_at_once), p->panels);
	p->panels_at_once = clef__conv_part(p->panels, CLEF__MAX(MAX_WEIGHTS / weights_of_panel(p, g), (size_t)parts));
	p->panels_each = clef__divide_up(p->panels_at_once, CLEF__MIN(parts, p->panels_at_once));
	p->block = (int)CLEF__MIN(rest / p->m_bytes,
				  (size_t)CLEF__MIN(clef__conv_param(g, BLOCK, MAX_BLOCK), p->panels_each));
	p->m_bytes *= (size_t)p->block;
	return true;
}

bool clef__winograd_does(const clef__conv *g)
{
	return g->r == 3 && g->s == 3 && g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 &&
	       g->dilation_w == 1 && g->groups == 1 && g->n > 0 && g->c > 0 && g->k > 0 && g->h > 0 && g->w > 0 &&
	       g->oh > 0 && g->ow > 0;
}

clef__conv clef__winograd_forward(const clef__conv *g, clef__conv_way way)
{
	clef__conv t = *g;

	if (way == CLEF__CONV_FORWARD)
		return t;
	t.c = g->k;
	t.h = g->oh;
	t.w = g->ow;
	t.k = g->c;
	t.oh = g->h;
	t.ow = g->w;
	t.pad_top = 2 - g->pad_top;
	t.pad_left = 2 - g->pad_left;
	return t;
}

double clef__winograd_tiles(const clef__conv *g)
{
	return (double)g->n * clef__divide_up(g->oh, 4) * clef__divide_up(g->ow, 4);
}

static bool fits(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	const clef__conv as = clef__winograd_forward(g, way);
	plan p;

	return clef__conv_has_rows(g->param[MR]) && TAKES_TILES(g->param[TILES]) &&
	       clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU && clef__winograd_does(g) && make_plan(dev, &as, &p);
}

/* Few channels make small products; and transforming the weights, at each call, costs about as much as 32 tiles. */
static bool pays(const clef_device *dev, const clef__conv *g, clef__conv_way way)
{
	const clef__conv as = clef__winograd_forward(g, way);

	(void)dev;
	return g->c >= MIN_WIDTH && g->k >= MIN_WIDTH && clef__winograd_tiles(&as) >= MIN_TILES;
}

/* ---- launches ---- */

/* Returns the activation with the parameters of that program. */
static clef_activation write_defines(char *text, size_t size, const plan *p, clef_activation activation)
{
	const char *more = clef__activation_floor(&activation);

	snprintf(text, size, "#define TILES %d\n#define PIECE %d\n#define MR %d\n%s%s", p->tiles, p->piece, p->mr,
		 p->global_v ? "#define V_GLOBAL\n" : "", more);
	return activation;
}

/* Some of all panels or blocks. */
typedef struct range {
	int first, count;
} range;

static clef_status transform_weights(const plan *p, const clef__conv *g, const clef_tensor *w, bool turned,
				     range panels, const clef_tensor *u)
{
	char defines[128];
	int tasks = TASKS_EACH * (int)CLEF__MAX(clef_device_get_info(u->dev)->compute_units, 1);
	int blocks = clef__divide_up(g->c, VECTOR), parts = CLEF__MIN(clef__divide_up(tasks, panels.count), blocks),
	    each = clef__divide_up(blocks, parts);

	write_defines(defines, sizeof(defines), p, (clef_activation){ CLEF_ACT_NONE });
	return clef__launch(u->dev, &(clef__launch_opts){
					    .program = "conv_winograd",
					    .defines = defines,
					    .kernel = "winograd_weights",
					    .global = { (size_t)panels.count, (size_t)clef__divide_up(blocks, each) },
					    .local = { 1, 1, 1 },
					    .bytes = 4.0 * (double)(w->numel + u->numel),
					    .args = { CLEF__TENSOR(w), CLEF__TENSOR(u), CLEF__INT(g->k),
						      CLEF__INT(g->c), CLEF__INT(turned), CLEF__INT(each),
						      CLEF__INT(panels.first), CLEF__INT(panels.count) },
				    });
}

static clef_status transform_input(const plan *p, const clef__conv *g, range blocks, const clef_tensor *x,
				   const clef_tensor *v)
{
	char defines[128];
	int tasks = TASKS_EACH * (int)CLEF__MAX(clef_device_get_info(v->dev)->compute_units, 1);
	int parts = CLEF__MIN(clef__divide_up(tasks, blocks.count), g->c), each = clef__divide_up(g->c, parts);

	write_defines(defines, sizeof(defines), p, (clef_activation){ CLEF_ACT_NONE });
	return clef__launch(v->dev,
			    &(clef__launch_opts){
				    .program = "conv_winograd",
				    .defines = defines,
				    .kernel = "winograd_input",
				    .global = { (size_t)blocks.count, (size_t)clef__divide_up(g->c, each) },
				    .local = { 1, 1, 1 },
				    .bytes = 4.0 * ((double)x->numel * blocks.count / p->blocks + (double)v->numel),
				    .args = { CLEF__TENSOR(x), CLEF__TENSOR(v), CLEF__INT(g->n), clef__conv_size(g),
					      clef__conv_step(g), CLEF__INT(blocks.first), CLEF__INT(each),
					      CLEF__LOCAL(p->stage_bytes) },
			    });
}

/* The outputs of those panels, for some blocks of tiles. v NULL: the kernel transforms the images itself. x and w serve
 * tiles that are not finite. */
static clef_status multiply(const plan *p, const clef__conv *g, const clef_tensor *x, const clef_tensor *w, bool turned,
			    range panels, range blocks, const clef_tensor *u, const clef_tensor *v,
			    const clef__conv_epilogue *e, float beta, const clef_tensor *y)
{
	char defines[1024];
	const clef_tensor *b = e->bias ? e->bias : u, *from = v ? v : x, *gate = e->gate ? e->gate : u;
	const clef_activation activation = write_defines(defines, sizeof(defines), p, e->activation);

	return clef__launch(
		y->dev,
		&(clef__launch_opts){
			.program = "conv_winograd",
			.defines = defines,
			.kernel = "winograd",
			.global = { (size_t)blocks.count, (size_t)clef__divide_up(panels.count, p->panels_each) },
			.local = { 1, 1, 1 },
			.bytes = 4.0 * ((double)from->numel + (double)u->numel + (double)y->numel),
			.flops = 18.0 * g->n * g->k * g->oh * g->ow * g->c * panels.count / p->panels * blocks.count /
				 p->blocks,
			.args = { CLEF__TENSOR(x),
				  CLEF__TENSOR(w),
				  CLEF__INT(turned),
				  CLEF__TENSOR(u),
				  CLEF__TENSOR(from),
				  CLEF__TENSOR(b),
				  CLEF__INT(e->bias != NULL),
				  CLEF__TENSOR(y),
				  CLEF__FLOAT(beta),
				  CLEF__FLOAT(activation.p),
				  CLEF__FLOAT(activation.q),
				  CLEF__TENSOR(gate),
				  CLEF__INT(e->gate != NULL),
				  CLEF__INT(g->n),
				  clef__conv_size(g),
				  clef__conv_step(g),
				  { .kind = CLEF__ARG_INT8,
				    .value.i8 = { blocks.first, panels.first, panels.count, p->panels_each,
						  p->block } },
				  CLEF__LOCAL(p->m_bytes),
				  CLEF__LOCAL(p->global_v ? sizeof(float) : sizeof(float) * p->v_floats),
				  CLEF__LOCAL(p->global_v ? sizeof(float) : p->stage_bytes) },
		});
}

/* All blocks, for some panels, whose weights have been transformed. */
static clef_status multiply_blocks(const plan *p, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
				   bool turned, range panels, const clef_tensor *u, const clef_tensor *v,
				   const clef__conv_epilogue *e, float beta, const clef_tensor *y)
{
	range blocks = { 0, p->blocks_at_once };
	clef_status status = CLEF_OK;

	for (; blocks.first < p->blocks && !status; blocks.first += blocks.count) {
		blocks.count = CLEF__MIN(p->blocks_at_once, p->blocks - blocks.first);
		/* All of them at once stay from the first panels on. */
		if (v && (panels.first == 0 || p->blocks_at_once < p->blocks))
			status = transform_input(p, g, blocks, x, v);
		if (!status)
			status = multiply(p, g, x, w, turned, panels, blocks, u, v, e, beta, y);
	}
	return status;
}

/* All that the transformed weights depend on, besides the values. */
static uint64_t key_of(const plan *p, const clef__conv *g, const clef_tensor *w, bool turned)
{
	const size_t numbers[] = { (size_t)p->mr, (size_t)g->c, (size_t)g->k, turned, w->offset };

	return clef__hash(clef__hash(CLEF__HASH_START, numbers, sizeof(numbers)), &w->buffer, sizeof(w->buffer));
}

static clef_status run(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
		       bool turned, const clef__conv_epilogue *given, float beta, const clef_tensor *y)
{
	static const clef__conv_epilogue none;
	const clef_tensor *leaf;
	clef_tensor *u, *v = NULL;
	clef_status status;
	range panels;
	bool made;
	plan p;

	make_plan(y->dev, g, &p);
	leaf = p.panels_at_once == p.panels ? w : NULL;
	u = clef__keep(
		n, leaf, key_of(&p, g, w, turned),
		CLEF_SHAPE(POINTS, (int64_t)point_stride((size_t)p.panels_at_once * weights_of_panel(&p, g) / POINTS)),
		&made);
	if (u && p.global_v)
		v = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(p.blocks_at_once, (int64_t)p.v_floats));
	status = u && (v || !p.global_v) ? CLEF_OK : clef_error_status();
	panels = (range){ 0, p.panels_at_once };
	for (; panels.first < p.panels && !status; panels.first += panels.count) {
		panels.count = CLEF__MIN(p.panels_at_once, p.panels - panels.first);
		if (!made)
			status = transform_weights(&p, g, w, turned, panels, u);
		if (!status)
			status = multiply_blocks(&p, g, x, w, turned, panels, u, v, given ? given : &none, beta, y);
	}
	clef__scratch_free(v);
	clef__keep_end(leaf, u, !status);
	return status;
}

static clef_status forward(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
			   const clef__conv_epilogue *e, float beta, const clef_tensor *y)
{
	return run(n, g, x, w, false, e, beta, y);
}

static clef_status backward_data(const clef__node *n, const clef__conv *g, const clef_tensor *y, const clef_tensor *w,
				 const clef__conv_epilogue *e, float beta, const clef_tensor *x)
{
	const clef__conv t = clef__winograd_forward(g, CLEF__CONV_BACKWARD_DATA);

	return run(n, &t, y, w, true, e, beta, x);
}

static const int *candidate(const clef_device *dev, int i)
{
	static const int wide[][CLEF__CONV_PARAMS] = { { 11 }, { 8 }, { 13, 64 }, { 0, 0, 1 }, { 0, 0, 2 } };
	static const int narrow[][CLEF__CONV_PARAMS] = { { 6 }, { 4 }, { 3, 32 }, { 0, 0, 1 }, { 0, 0, 2 } };
	bool is_wide = clef_device_get_info(dev)->float_vector >= 16;

	_Static_assert(sizeof(wide) == sizeof(narrow), "as many of both");
	return i >= CLEF_COUNT(wide) ? NULL : is_wide ? wide[i] : narrow[i];
}

const clef__conv_impl clef__conv_winograd = { .name = "winograd",
					      .fits = fits,
					      .pays = pays,
					      .forward = forward,
					      .backward_data = backward_data,
					      .tolerance = 2e-4,
					      .params = params,
					      .candidate = candidate,
					      .gates = true };
