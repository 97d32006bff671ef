/* SPDX-License-Identifier: Apache-2.0 */
/* Losses with a margin, whose targets are 1, -1 and neither, and cosine similarity. */
#include <math.h>

#include "check_loss.h"

/* ---- margins ---- */

typedef struct margin_opts {
	clef_shape x;
	float margin;
	int reduction;
} margin_opts;

static clef_status set(clef__problem *p, int inputs, int dims_of_target)
{
	const margin_opts *o = (const void *)p->opts;
	clef_shape target = o->x;

	p->operands = inputs + 1;
	for (int i = 0; i < inputs; i++)
		p->in[i] = (clef__operand){ .shape = o->x, .lo = -2, .hi = 2, .whole = p->whole };
	target.ndim = CLEF__MAX(dims_of_target, 0);
	p->in[inputs] =
		(clef__operand){ .shape = target, .lo = -1, .hi = 2, .whole = true, .kind = CLEF__OPERAND_CONSTANT };
	p->tolerance = 5e-6;
	p->gradient_tolerance = 2e-5;
	return CLEF_OK;
}

static clef_status setup_hinge(clef__problem *p)
{
	return set(p, 1, ((const margin_opts *)(const void *)p->opts)->x.ndim);
}

static clef_status setup_ranking(clef__problem *p)
{
	return set(p, 2, ((const margin_opts *)(const void *)p->opts)->x.ndim);
}

static clef_status setup_cosine(clef__problem *p)
{
	return set(p, 2, ((const margin_opts *)(const void *)p->opts)->x.ndim - 1);
}

static clef_tensor *apply_hinge(clef_tensor *const *x, const void *opts)
{
	const margin_opts *o = opts;

	return clef_hinge_embedding_loss(x[0], x[1], o->margin, (clef_reduction)o->reduction);
}

static clef_tensor *apply_ranking(clef_tensor *const *x, const void *opts)
{
	const margin_opts *o = opts;

	return clef_margin_ranking_loss(x[0], x[1], x[2], o->margin, (clef_reduction)o->reduction);
}

static clef_tensor *apply_cosine(clef_tensor *const *x, const void *opts)
{
	const margin_opts *o = opts;

	return clef_cosine_embedding_loss(x[0], x[1], x[2], o->margin, (clef_reduction)o->reduction);
}

static double hinge(const clef__ref *x, const void *opts, int64_t i)
{
	double positive = x[0].v[i], target = x[1].v[i];
	double negative = fmax(0, (double)((const margin_opts *)opts)->margin - positive);

	return target == 1 ? positive : target == -1 ? negative : positive + negative;
}

static double ranking(const clef__ref *x, const void *opts, int64_t i)
{
	return fmax(0, -x[2].v[i] * (x[0].v[i] - x[1].v[i]) + (double)((const margin_opts *)opts)->margin);
}

static double cosine(const double *a, const double *b, int64_t n, int64_t a_step, int64_t b_step)
{
	double ab = 0, aa = 0, bb = 0;

	for (int64_t i = 0; i < n; i++) {
		ab += a[i * a_step] * b[i * b_step];
		aa += a[i * a_step] * a[i * a_step];
		bb += b[i * b_step] * b[i * b_step];
	}
	return ab / sqrt(aa * bb);
}

static double cosine_of_row(const clef__ref *x, const void *opts, int64_t i)
{
	int64_t d = clef__ref_size(&x->shape, -1, x->shape.ndim);
	double c = cosine(x[0].v + i * d, x[1].v + i * d, d, 1, 1), target = x[2].v[i];

	return target == 1 ? 1 - c : target == -1 ? fmax(0, c - (double)((const margin_opts *)opts)->margin) : 0;
}

static bool reference_hinge(const clef__ref *x, const void *opts, clef__ref *y)
{
	return clef__reference_losses(hinge, x, opts, ((const margin_opts *)opts)->reduction, x[1].numel,
				      (double)x[1].numel, y);
}

static bool reference_ranking(const clef__ref *x, const void *opts, clef__ref *y)
{
	return clef__reference_losses(ranking, x, opts, ((const margin_opts *)opts)->reduction, x[2].numel,
				      (double)x[2].numel, y);
}

static bool reference_cosine(const clef__ref *x, const void *opts, clef__ref *y)
{
	return clef__reference_losses(cosine_of_row, x, opts, ((const margin_opts *)opts)->reduction, x[2].numel,
				      (double)x[2].numel, y);
}

/* clang-format off */
#define X(text) { .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(margin_opts, x), \
		  .about = text }
#define MARGIN(preset_) { .name = "margin", .kind = CLEF__TERM_FLOAT, .offset = offsetof(margin_opts, margin), \
			  .preset = preset_, .about = "margin" }
/* clang-format on */

static const clef__term terms_hinge[] = {
	X("x, and the target"), MARGIN(1), CLEF__REDUCTION_TERM(margin_opts), { NULL }
};
static const clef__term terms_ranking[] = {
	X("x1, x2 and the target"), MARGIN(0), CLEF__REDUCTION_TERM(margin_opts), { NULL }
};
static const clef__term terms_cosine[] = {
	X("x1 and x2, [n, d] or [d]"), MARGIN(0), CLEF__REDUCTION_TERM(margin_opts), { NULL }
};

#define EVERY(options) options, options " reduction=sum", options " reduction=none"

static const char *const problems_hinge[] = { EVERY("hinge_embedding_loss x6 margin0.25"), "hinge_embedding_loss x9x7",
					      "hinge_embedding_loss x33x65 margin0.25 reduction=none" };
static const char *const problems_ranking[] = { EVERY("margin_ranking_loss x6 margin0.25"), "margin_ranking_loss x9x7",
						"margin_ranking_loss x33x65 margin0.25 reduction=none" };
static const char *const problems_cosine[] = { EVERY("cosine_embedding_loss x6x7 margin0.25"),
					       EVERY("cosine_embedding_loss x7"), "cosine_embedding_loss x33x65" };

const clef__family clef__family_hinge_embedding_loss = { .name = "hinge_embedding_loss",
							 .terms = terms_hinge,
							 .setup = setup_hinge,
							 .apply = apply_hinge,
							 .reference = reference_hinge,
							 CLEF__PROBLEMS(problems_hinge, 3) };

const clef__family clef__family_margin_ranking_loss = { .name = "margin_ranking_loss",
							.terms = terms_ranking,
							.setup = setup_ranking,
							.apply = apply_ranking,
							.reference = reference_ranking,
							CLEF__PROBLEMS(problems_ranking, 3) };

const clef__family clef__family_cosine_embedding_loss = { .name = "cosine_embedding_loss",
							  .terms = terms_cosine,
							  .setup = setup_cosine,
							  .apply = apply_cosine,
							  .reference = reference_cosine,
							  CLEF__PROBLEMS(problems_cosine, 3) };

/* ---- cosine similarity ---- */

typedef struct similarity_opts {
	clef_shape a, b;
	int dim;
	float eps;
} similarity_opts;

static clef_status setup_similarity(clef__problem *p)
{
	const similarity_opts *o = (const void *)p->opts;

	p->operands = 2;
	p->in[0] = (clef__operand){ .shape = o->a, .lo = -2, .hi = 2, .whole = p->whole };
	p->in[1] = (clef__operand){ .shape = o->b, .lo = -2, .hi = 2, .whole = p->whole };
	p->tolerance = 5e-6;
	p->gradient_tolerance = 2e-5;
	return CLEF_OK;
}

static clef_tensor *apply_similarity(clef_tensor *const *x, const void *opts)
{
	const similarity_opts *o = opts;

	return clef_cosine_similarity(x[0], x[1], o->dim, o->eps);
}

/* Where in x the vector of result i begins; y has as many dimensions, of which `dim` is 1. */
static int64_t start_of(const clef_shape *x, const clef_shape *y, int dim, int64_t i)
{
	int64_t start = 0, step = 1;

	for (int d = x->ndim - 1; d >= 0; d--) {
		if (d != dim && x->dim[d] != 1)
			start += i % y->dim[d] * step;
		step *= x->dim[d];
		i /= y->dim[d];
	}
	return start;
}

static bool reference_similarity(const clef__ref *x, const void *opts, clef__ref *y)
{
	const clef_shape *a = &x[0].shape, *b = &x[1].shape;
	int dim = ((const similarity_opts *)opts)->dim;
	clef_shape all = *a;

	dim += dim < 0 ? a->ndim : 0;
	for (int d = 0; d < a->ndim; d++)
		all.dim[d] = d == dim ? 1 : a->dim[d] == 1 ? b->dim[d] : a->dim[d];
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = cosine(x[0].v + start_of(a, &all, dim, i), x[1].v + start_of(b, &all, dim, i),
				 clef__ref_size(a, dim, dim + 1), clef__ref_size(a, dim + 1, a->ndim),
				 clef__ref_size(b, dim + 1, b->ndim));
	return true;
}

static const clef__term terms_similarity[] = {
	{ .name = "a", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(similarity_opts, a), .about = "x1" },
	{ .name = "b", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(similarity_opts, b), .about = "x2" },
	{ .name = "dim",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(similarity_opts, dim),
	  .preset = 1,
	  .least = -CLEF_MAX_DIMS,
	  .most = CLEF_MAX_DIMS - 1,
	  .about = "the dimension of a vector" },
	{ .name = "eps",
	  .kind = CLEF__TERM_FLOAT,
	  .offset = offsetof(similarity_opts, eps),
	  .preset = 1e-8,
	  .about = "the least norm" },
	{ NULL },
};

static const char *const problems_similarity[] = {
	"cosine_similarity a2x3x4 b2x3x4",       "cosine_similarity a2x3x4 b1x3x4",
	"cosine_similarity a2x3x4 b2x3x4 dim-1", "cosine_similarity a2x3x4 b1x3x4 dim-1",
	"cosine_similarity a2x3x1 b2x3x4",       "cosine_similarity a7 b7 dim0",
	"cosine_similarity a33x65 b33x65",
};

const clef__family clef__family_cosine_similarity = { .name = "cosine_similarity",
						      .terms = terms_similarity,
						      .setup = setup_similarity,
						      .apply = apply_similarity,
						      .reference = reference_similarity,
						      CLEF__PROBLEMS(problems_similarity, 2) };
