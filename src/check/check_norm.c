/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_norm, layer_norm, rms_norm, group_norm and instance_norm. One naive reference for all: it knows for each
 * element which group it is in and which w and b are its own, and computes means and variances of groups by going
 * through all elements.
 */
#include <math.h>

#include <clef/ops.h>

#include "check_norm.h"
#include "families.h"

enum { BATCH = 'b', LAYER = 'l', RMS = 'r', GROUP = 'g', INSTANCE = 'i' };

static bool over_last(const clef__norm_problem *o)
{
	return o->kind == LAYER || o->kind == RMS;
}

/* Of batch_norm, behind x, w and b. */
static int first_statistic(const clef__norm_problem *o)
{
	return o->plain ? 1 : 3;
}

static clef_status setup(clef__problem *p)
{
	clef__norm_problem *o = (void *)p->opts;
	clef_shape affine = CLEF_SHAPE(o->x.ndim > 1 ? o->x.dim[1] : 1);
	clef__operand *in = p->in;

	o->kind = p->family->name[0];
	if (over_last(o)) {
		affine.ndim = CLEF__MIN(o->dims, o->x.ndim);
		for (int i = 0; i < affine.ndim; i++)
			affine.dim[i] = o->x.dim[o->x.ndim - affine.ndim + i];
	}
	p->operands = o->plain ? 1 : o->kind == RMS ? 2 : 3;
	in[0] = (clef__operand){ .shape = o->x, .lo = -2, .hi = 3, .whole = p->whole };
	in[1] = (clef__operand){ .shape = affine, .lo = 0.5, .hi = 2 };
	in[2] = (clef__operand){ .shape = affine, .lo = -1, .hi = 1 };
	if (o->kind == BATCH) {
		clef__operand_kind kind = o->training ? CLEF__OPERAND_STATE : CLEF__OPERAND_CONSTANT;

		in[p->operands++] = (clef__operand){ .shape = affine, .lo = 0, .hi = 1.2, .kind = kind };
		in[p->operands++] = (clef__operand){ .shape = affine, .lo = 0.5, .hi = 3, .kind = kind };
	}
	p->tolerance = 3e-6;
	p->gradient_tolerance = 5e-5;
	return CLEF_OK;
}

static clef_tensor *apply(clef_tensor *const *x, const void *opts)
{
	const clef__norm_problem *o = opts;
	const clef_batch_norm_opts batch = { o->training, o->keep_running, o->momentum, o->eps, o->act };
	clef_tensor *const *running = x + first_statistic(o);

	switch (o->kind) {
	case BATCH:
		return o->plain ? clef_batch_norm_plain(x[0], running[0], running[1], &batch)
				: clef_batch_norm(x[0], x[1], x[2], running[0], running[1], &batch);
	case LAYER:
		return o->plain ? clef_layer_norm_plain(x[0], o->dims, o->eps)
				: clef_layer_norm(x[0], x[1], x[2], o->eps);
	case RMS:
		return o->plain ? clef_rms_norm_plain(x[0], o->dims, o->eps) : clef_rms_norm(x[0], x[1], o->eps);
	case GROUP:
		return o->plain ? clef_group_norm_plain(x[0], o->g, o->eps)
				: clef_group_norm(x[0], o->g, x[1], x[2], o->eps);
	default:
		return o->plain ? clef_instance_norm_plain(x[0], o->eps) : clef_instance_norm(x[0], x[1], x[2], o->eps);
	}
}

/* ---- the reference ---- */

void clef__norm_place(const clef__norm_problem *o, int64_t i, int64_t *group, int64_t *weight)
{
	const clef_shape *s = &o->x;
	int64_t channel, sample;

	if (over_last(o)) {
		int64_t length = clef__ref_size(s, s->ndim - o->dims, s->ndim);

		*group = i / length;
		*weight = i % length;
		return;
	}
	sample = i / clef__ref_size(s, 1, s->ndim);
	channel = i / clef__ref_size(s, 2, s->ndim) % s->dim[1];
	*weight = channel;
	*group = o->kind == BATCH      ? channel
		 : o->kind == INSTANCE ? sample * s->dim[1] + channel
				       : sample * o->g + channel / (s->dim[1] / o->g);
}

/* Mean and variance of each group; there are no more groups than elements. `count` is scratch. */
static void measure(const clef__ref *x, const clef__norm_problem *o, double *mean, double *var, double *count)
{
	int64_t g, w;

	for (int64_t i = 0; i < x->numel; i++) {
		clef__norm_place(o, i, &g, &w);
		count[g]++;
		mean[g] += x->v[i];
	}
	for (int64_t i = 0; i < x->numel; i++)
		mean[i] = o->kind == RMS ? 0 : mean[i] / count[i];
	for (int64_t i = 0; i < x->numel; i++) {
		clef__norm_place(o, i, &g, &w);
		var[g] += (x->v[i] - mean[g]) * (x->v[i] - mean[g]);
	}
	for (int64_t i = 0; i < x->numel; i++)
		var[i] /= count[i];
}

static bool reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	const clef__norm_problem *o = opts;
	bool evaluates = o->kind == BATCH && !o->training;
	double eps = o->eps != 0 ? (double)o->eps : o->kind == RMS ? 0x1p-23 : 1e-5;
	double *room = clef__calloc(3 * (size_t)x[0].numel + 1, sizeof(*room), "means and variances");
	double *mean = room, *var = room + x[0].numel;
	int64_t g, w;

	if (!room)
		return false;
	if (evaluates) {
		mean = x[first_statistic(o)].v;
		var = x[first_statistic(o) + 1].v;
	} else {
		measure(&x[0], o, mean, var, room + 2 * x[0].numel);
	}
	for (int64_t i = y->from; i < y->to; i++) {
		clef__norm_place(o, i, &g, &w);
		y->v[i] = (x[0].v[i] - mean[g]) / sqrt(var[g] + eps);
		if (!o->plain)
			y->v[i] = y->v[i] * x[1].v[w] + (o->kind == RMS ? 0 : x[2].v[w]);
		y->v[i] = clef__ref_activate(o->act, y->v[i]);
	}
	free(room);
	return true;
}

/* ---- terms ---- */

#define X_TERM                                                                                                         \
	{                                                                                                              \
		.name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(clef__norm_problem, x),         \
		.about = "x [n, channels, ...]"                                                                        \
	}
#define DIMS                                                                                                           \
	{                                                                                                              \
		.name = "dims", .kind = CLEF__TERM_INT, .offset = offsetof(clef__norm_problem, dims), .preset = 1,     \
		.least = 1, .most = CLEF_MAX_DIMS, .about = "how many of the last dimensions"                          \
	}
#define FLAG(term, field, about_)                                                                                      \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_FLAG, .offset = offsetof(clef__norm_problem, field), .about = about_  \
	}
#define NUMBER(term, field, about_)                                                                                    \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_FLOAT, .offset = offsetof(clef__norm_problem, field), .about = about_ \
	}
#define LAST                                                                                                           \
	NUMBER("eps", eps, "as in norm.h; 0: the default"), FLAG("plain", plain, "without w and b"),                   \
	{                                                                                                              \
		NULL                                                                                                   \
	}

static const clef__term terms_batch_norm[] = {
	X_TERM,
	FLAG("training", training, "by the batch's own statistics"),
	FLAG("keep_running", keep_running, "leaves the running statistics alone"),
	NUMBER("momentum", momentum, "as in norm.h; 0: the default"),
	CLEF__ACTIVATION_TERMS(clef__norm_problem, act),
	LAST,
};
static const clef__term terms_layer_norm[] = { X_TERM, DIMS, LAST };
static const clef__term terms_rms_norm[] = { X_TERM, DIMS, LAST };
static const clef__term terms_instance_norm[] = { X_TERM, LAST };
static const clef__term terms_group_norm[] = {
	X_TERM,
	{ .name = "g",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(clef__norm_problem, g),
	  .preset = 1,
	  .least = 1,
	  .most = 1e6,
	  .about = "groups of channels" },
	LAST,
};

/* ---- problems ---- */

#define BOTH(text)  text, text " eps0.25 plain"
#define WAYS(sizes) BOTH("batch_norm " sizes), BOTH("batch_norm " sizes " training")

/* clang-format off */
static const char *const problems_batch_norm[] = {
	"batch_norm x2x3x3 training",
	"batch_norm x2x3x3 eps0.25 plain",
	"batch_norm x701x1x3 training",
	"batch_norm x2x3x3",
	"batch_norm x2x3x3 training eps0.25 plain",
	WAYS("x3x2"),
	WAYS("x33x257"),
	/* Two blocks of columns, and a part of one. */
	WAYS("x37x150"),
	"batch_norm x37x150 training act=relu",
	WAYS("x257x1"),
	WAYS("x2x5x1x33"),
	WAYS("x1x33x2x9"),
	WAYS("x5x3x2x3x2"),
	/* In many chunks. */
	BOTH("batch_norm x701x1x3"),
	"batch_norm x701x1x3 training eps0.25 plain",
	WAYS("x2111x1"),
	WAYS("x7x3x25x41"),
	"batch_norm x5x7x3x11 training keep_running momentum0.5",
	"batch_norm x5x7x3x11 training act=relu",
	"batch_norm x5x7x3x11 act=relu",
	"batch_norm x33x5 training act=tanh",
	"batch_norm x3x4x35 training act=leaky_relu plain",
	"batch_norm x3x4x35 training act=gelu",
};

static const char *const problems_layer_norm[] = {
	"layer_norm x3x5",
	"layer_norm x3x5 eps0.25 plain",
	"layer_norm x1x2100",
	"layer_norm x1x2100 eps0.25 plain",
	BOTH("layer_norm x33"),
	BOTH("layer_norm x33x257"),
	BOTH("layer_norm x4x3x11 dims2"),
	BOTH("layer_norm x2x3x5 dims3"),
	BOTH("layer_norm x257x2"),
	/* A single element in each group: x less its mean is 0. */
	BOTH("layer_norm x5x1"),
	BOTH("layer_norm x2100x2"),
	/* Too long for one work-item of a CPU. */
	BOTH("layer_norm x1x65601"),
};

static const char *const problems_rms_norm[] = {
	BOTH("rms_norm x2x17"),
	BOTH("rms_norm x33"),
	BOTH("rms_norm x33x257"),
	BOTH("rms_norm x4x3x11 dims2"),
	BOTH("rms_norm x2x3x5 dims3"),
	BOTH("rms_norm x257x2"),
	BOTH("rms_norm x1x2100"),
};

static const char *const problems_group_norm[] = {
	"group_norm x2x4x3 g2",
	"group_norm x2x4x3 g2 eps0.25 plain",
	"group_norm x1x3x701",
	"group_norm x1x3x701 eps0.25 plain",
	BOTH("group_norm x5x33 g3"),
	BOTH("group_norm x3x33x1x1"),
	BOTH("group_norm x3x6x3x11 g6"),
	BOTH("group_norm x1x4x257 g2"),
	BOTH("group_norm x3x33 g33"),
	BOTH("group_norm x2x6x33x43 g2"),
};

static const char *const problems_instance_norm[] = {
	BOTH("instance_norm x2x2x5"),
	BOTH("instance_norm x3x5x33"),
	BOTH("instance_norm x1x33x4x4"),
	BOTH("instance_norm x33x1x2x1x3"),
};
/* clang-format on */

/* ---- families ---- */

CLEF__FAMILY_ROW(batch_norm, 3)
CLEF__FAMILY_ROW(layer_norm, 3)
CLEF__FAMILY_ROW(rms_norm, 2)
CLEF__FAMILY_ROW(group_norm, 3)
CLEF__FAMILY_ROW(instance_norm, 2)
