/* SPDX-License-Identifier: Apache-2.0 */
/* The k largest values, by sorting rows, and the shares of labels among them. */
#include <stdlib.h>

#include <clef/ops.h>

#include "families.h"

/* ---- topk ---- */

typedef struct topk_opts {
	clef_shape x;
	int k;
	bool indices;
} topk_opts;

/* With whole numbers a row has equal ones, and the first comes first. */
static clef_status setup_topk(clef__problem *p)
{
	const topk_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -4, .hi = 4, .whole = p->whole };
	p->tolerance = CLEF__EXACT;
	p->no_gradient = o->indices;
	return CLEF_OK;
}

static clef_tensor *apply_topk(clef_tensor *const *x, const void *opts)
{
	const topk_opts *o = opts;
	clef_tensor *indices, *y;

	if (!o->indices)
		return clef_topk(x[0], o->k, NULL);
	y = clef_topk(x[0], o->k, &indices);
	return y ? indices : NULL;
}

typedef struct ranked {
	double v;
	int64_t at;
} ranked;

static int descending(const void *a, const void *b)
{
	const ranked *l = a, *r = b;

	return l->v < r->v ? 1 : l->v > r->v ? -1 : (l->at > r->at) - (l->at < r->at);
}

static bool reference_topk(const clef__ref *x, const void *opts, clef__ref *y)
{
	const topk_opts *o = opts;
	int64_t n = clef__ref_size(&x->shape, -1, x->shape.ndim), k = o->k;
	ranked *row = clef__calloc((size_t)n + 1, sizeof(*row), "a reference");

	for (int64_t r = k ? y->from / k : 0; row && k && r * k < y->to; r++) {
		for (int64_t i = 0; i < n; i++)
			row[i] = (ranked){ x->v[r * n + i], i };
		qsort(row, (size_t)n, sizeof(*row), descending);
		for (int64_t i = 0; i < k; i++)
			y->v[r * k + i] = o->indices ? (double)row[i].at : row[i].v;
	}
	free(row);
	return row != NULL;
}

static const clef__term terms_topk[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(topk_opts, x), .about = "x [..., n]" },
	{ .name = "k",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(topk_opts, k),
	  .preset = 1,
	  .least = 0,
	  .most = 1e6,
	  .about = "how many of a row" },
	{ .name = "indices",
	  .kind = CLEF__TERM_FLAG,
	  .offset = offsetof(topk_opts, indices),
	  .about = "where they are, not what" },
	{ NULL },
};

static const char *const problems_topk[] = {
	"topk x3x5 k2",           "topk x3x5 k2 indices", "topk x33x257 k5",        "topk x33x257 k5 indices whole",
	"topk x33x257 k5 whole",  "topk x2x3x7 k7",       "topk x2x3x7 k7 indices", "topk x17",
	"topk x17 indices whole", "topk x=scalar",        "topk x0x4 k2",           "topk x4x0 k0",
};

const clef__family clef__family_topk = { .name = "topk",
					 .terms = terms_topk,
					 .setup = setup_topk,
					 .apply = apply_topk,
					 .reference = reference_topk,
					 CLEF__PROBLEMS(problems_topk, 2) };

/* ---- accuracies ---- */

typedef struct accuracy_opts {
	clef_shape x;
	int k;
} accuracy_opts;

static clef_status setup_topk_accuracy(clef__problem *p)
{
	const accuracy_opts *o = (const void *)p->opts;

	p->operands = 2;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -4, .hi = 4, .whole = p->whole };
	p->in[1] = (clef__operand){ .shape = CLEF_SHAPE(clef__ref_size(&o->x, 0, 1)),
				    .lo = 0,
				    .hi = (double)clef__ref_size(&o->x, 1, 2),
				    .kind = CLEF__OPERAND_LABEL };
	p->tolerance = CLEF__TOLERANCE;
	p->no_gradient = true;
	return CLEF_OK;
}

static clef_status setup_accuracy(clef__problem *p)
{
	((accuracy_opts *)(void *)p->opts)->k = 1;
	return setup_topk_accuracy(p);
}

static clef_tensor *apply_accuracy(clef_tensor *const *x, const void *opts)
{
	(void)opts;
	return clef_accuracy(x[0], x[1]);
}

static clef_tensor *apply_topk_accuracy(clef_tensor *const *x, const void *opts)
{
	return clef_topk_accuracy(x[0], x[1], ((const accuracy_opts *)opts)->k);
}

/* A label is among the k largest where fewer than k logits come before its own. */
static bool reference_accuracy(const clef__ref *x, const void *opts, clef__ref *y)
{
	int64_t n = x[0].shape.dim[0], classes = x[0].shape.dim[1], hits = 0;

	for (int64_t i = 0; i < n; i++) {
		const double *row = x[0].v + i * classes;
		int64_t label = (int64_t)x[1].v[i], before = 0;

		for (int64_t c = 0; c < classes; c++)
			before += row[c] > row[label] || (row[c] == row[label] && c < label);
		hits += before < ((const accuracy_opts *)opts)->k;
	}
	y->v[0] = (double)hits / (double)n;
	return true;
}

#define LOGITS                                                                                                         \
	{                                                                                                              \
		.name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(accuracy_opts, x),              \
		.about = "logits [n, classes]"                                                                         \
	}

static const clef__term terms_accuracy[] = { LOGITS, { NULL } };

static const clef__term terms_topk_accuracy[] = {
	LOGITS,
	{ .name = "k",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(accuracy_opts, k),
	  .preset = 1,
	  .least = 1,
	  .most = 1e6,
	  .about = "how many of a row" },
	{ NULL },
};

static const char *const problems_accuracy[] = {
	"accuracy x5x3",   "accuracy x33x10",  "accuracy x33x10 whole",
	"accuracy x257x1", "accuracy x1x1000", "accuracy x7x10",
};

static const char *const problems_topk_accuracy[] = {
	"topk_accuracy x5x3 k2",      "topk_accuracy x33x10 k3", "topk_accuracy x33x10 k3 whole",
	"topk_accuracy x257x5 whole", "topk_accuracy x257x1",    "topk_accuracy x20x1000 k500",
};

const clef__family clef__family_accuracy = { .name = "accuracy",
					     .terms = terms_accuracy,
					     .setup = setup_accuracy,
					     .apply = apply_accuracy,
					     .reference = reference_accuracy,
					     CLEF__PROBLEMS(problems_accuracy, 1) };

const clef__family clef__family_topk_accuracy = { .name = "topk_accuracy",
						  .terms = terms_topk_accuracy,
						  .setup = setup_topk_accuracy,
						  .apply = apply_topk_accuracy,
						  .reference = reference_accuracy,
						  CLEF__PROBLEMS(problems_topk_accuracy, 1) };
