/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization by the batch on CPUs. Two kernels one after the other read a large x twice from memory; a core that
 * does all of a channel finds it in its cache the second time, and writes the gradients to w and b in passing. Channels
 * of single elements are columns of a matrix, of which a core does some side by side (cl/norm_columns.cl). With few
 * channels there would be idle cores: those are left to normalize.c.
 */
#include "norm_internal.h"

#define LEAST_INNER    256
#define ITEMS_PER_CORE 4
/* As norm_columns.cl has it; and so many elements are worth all cores. */
#define BLOCK       64
#define FEW_NUMBERS (1 << 18)
#define ROWS        64 /* of a block, for one work-item, where statistics are given */

/* ---- the choice ---- */

typedef struct problem {
	int outer, channels, inner;
} problem;

static const clef__key_field fields[] = {
	{ "n", offsetof(problem, outer), -1, 1 },
	{ "c", offsetof(problem, channels), -1, 1 },
	{ "i", offsetof(problem, inner), -1, 1 },
	{ NULL },
};

static bool consistent(const void *of)
{
	const problem *a = of;

	return a->outer > 0 && a->channels > 0 && a->inner > 0 && (a->outer > 1 || a->inner > 1) &&
	       clef_shape_numel(CLEF_SHAPE(a->outer, a->channels, a->inner)) > 0;
}

static bool fits(const clef_device *dev, int way)
{
	return way == CLEF__NORM_PARTS || clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU;
}

static int shipped(const clef_device *dev, const void *of)
{
	const problem *a = of;
	int cores = (int)clef_device_get_info(dev)->compute_units;
	bool pays = a->inner == 1 ? a->channels >= BLOCK * cores || a->outer * a->channels <= FEW_NUMBERS
				  : a->inner >= LEAST_INNER && a->channels >= ITEMS_PER_CORE * cores;

	return fits(dev, CLEF__NORM_CHANNELS) && pays ? CLEF__NORM_CHANNELS : CLEF__NORM_PARTS;
}

static int operands(const void *of, clef_shape shape[CLEF__VARIANT_OPERANDS])
{
	const problem *a = of;

	shape[0] = CLEF_SHAPE(a->outer, a->channels, a->inner);
	shape[1] = shape[2] = CLEF_SHAPE(a->channels);
	return 3;
}

static clef_tensor *apply(clef_tensor *const *x, const void *of, int way)
{
	(void)of;
	return clef__batch_norm_by(x[0], x[1], x[2], way);
}

static const char *const names[] = { "channels", "parts", NULL };

const clef__variants clef__batch_norm_variants = { "normalize", fields,  sizeof(problem), names, consistent,
						   fits,        shipped, operands,        apply };

int clef__norm_choose(const clef__node *n, const clef__norm *v)
{
	const problem a = { v->outer, v->channels, v->inner };

	return clef__variant_choose(n, &clef__batch_norm_variants, &a);
}

/* ---- by channels ---- */

static const char *program(const clef__norm *v)
{
	return v->inner == 1 ? "norm_columns" : "norm_cpu";
}

static size_t items(const clef__norm *v)
{
	return (size_t)(v->inner == 1 ? clef__divide_up(v->channels, BLOCK) : v->channels);
}

bool clef__norm_has_columns(const clef_device *dev, const clef__norm *v)
{
	return v->inner == 1 && v->per_group == 0 && clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU;
}

clef_status clef__norm_columns(const clef__node *n, const clef__norm *v)
{
	const clef_tensor *x = n->x[0], *w = v->w ? v->w : x, *b = v->b ? v->b : x;
	const int wanted = clef__divide_up(v->channels, BLOCK) * clef__divide_up(v->outer, ROWS);

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "norm_columns",
					    .defines = clef__activation_defines(v->activation),
					    .kernel = "norm_apply",
					    .label = n->op->name,
					    .global = { (size_t)wanted },
					    .long_items = true,
					    .bytes = 8.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(w),
						      CLEF__TENSOR(b), CLEF__TENSOR(n->y), CLEF__INT(v->outer),
						      CLEF__INT(v->channels), CLEF__INT(clef__norm_affine(v)),
						      CLEF__INT(ROWS), CLEF__FLOAT(v->activation.p),
						      CLEF__FLOAT(v->activation.q), CLEF__INT(wanted) },
				    });
}

clef_status clef__norm_train(const clef__node *n, const clef__norm *v, const clef_tensor *running_mean,
			     const clef_tensor *running_var, float momentum)
{
	const clef_tensor *x = n->x[0], *w = v->w ? v->w : x, *b = v->b ? v->b : x;
	const clef_tensor *stats = n->saved[0];

	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = program(v),
			.defines = clef__activation_defines(v->activation),
			.kernel = "norm_train",
			.label = n->op->name,
			.global = { items(v) },
			.long_items = true,
			.bytes = 8.0 * (double)x->numel,
			.flops = 10.0 * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(stats), CLEF__TENSOR(w), CLEF__TENSOR(b),
				  CLEF__TENSOR(running_mean ? running_mean : stats),
				  CLEF__TENSOR(running_var ? running_var : stats), CLEF__TENSOR(n->y),
				  CLEF__INT(v->outer), CLEF__INT(v->channels), CLEF__INT(v->inner),
				  CLEF__INT(v->w != NULL), CLEF__INT(running_mean != NULL), CLEF__FLOAT(momentum),
				  CLEF__FLOAT(v->eps), CLEF__FLOAT(v->activation.p), CLEF__FLOAT(v->activation.q) },
		});
}

clef_status clef__norm_train_backward(const clef__node *n, const clef__norm *v, const clef_tensor *dy,
				      const clef__grad *dx, const clef__grad *dw, const clef__grad *db)
{
	const clef_tensor *x = n->x[0], *w = v->w ? v->w : x, *stats = n->saved[0];
	/* The result is read where there is an activation, and may be gone where there is none. */
	const clef_tensor *y = v->activation.kind ? n->y : x;
	const clef__grad none = { 0 }, *to_w = v->w ? dw : &none, *to_b = v->b ? db : &none;
	const int want = (dx->dx ? 1 : 0) + (to_w->dx ? 2 : 0) + (to_b->dx ? 4 : 0);
	const double bytes = dx->dx ? (dx->beta != 0 ? 16.0 : 12.0) : 8.0;

	if (!want)
		return CLEF_OK;
	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = program(v),
			.defines = clef__activation_defines(v->activation),
			.kernel = "norm_train_backward",
			.label = "batch_norm backward",
			.global = { items(v) },
			.long_items = true,
			.bytes = (bytes + (v->activation.kind ? 4.0 : 0)) * (double)x->numel,
			.flops = 12.0 * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__TENSOR(dy), CLEF__TENSOR(stats),
				  CLEF__TENSOR(w), CLEF__TENSOR(dx->dx ? dx->dx : stats),
				  CLEF__TENSOR(to_w->dx ? to_w->dx : stats), CLEF__TENSOR(to_b->dx ? to_b->dx : stats),
				  CLEF__INT(v->outer), CLEF__INT(v->channels), CLEF__INT(v->inner),
				  CLEF__INT(v->w != NULL), CLEF__INT(want), CLEF__FLOAT(dx->beta),
				  CLEF__FLOAT(to_w->beta), CLEF__FLOAT(to_b->beta), CLEF__FLOAT(v->activation.p),
				  CLEF__FLOAT(v->activation.q) },
		});
}
