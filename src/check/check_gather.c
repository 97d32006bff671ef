/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups by index: gather, index_select and embedding. Values must arrive as they are. */
#include <clef/ops.h>

#include "families.h"
#include "places.h"

typedef struct gather_opts {
	clef_shape x; /* of embedding: the weights */
	clef_shape index;
	int dim;
} gather_opts;

/* Indices are all in range. */
static clef_status setup(clef__problem *p)
{
	const gather_opts *o = (const void *)p->opts;
	int dim = dim_of(&o->x, o->dim);

	p->operands = 2;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = true };
	p->in[1] = (clef__operand){ .shape = o->index,
				    .hi = dim < 0 ? 0 : (double)o->x.dim[dim],
				    .kind = CLEF__OPERAND_LABEL };
	return CLEF_OK;
}

/* ---- gather ---- */

static clef_tensor *apply_gather(clef_tensor *const *x, const void *opts)
{
	return clef_gather(x[0], ((const gather_opts *)opts)->dim, x[1]);
}

static bool reference_gather(const clef__ref *x, const void *opts, clef__ref *y)
{
	int dim = dim_of(&y->shape, ((const gather_opts *)opts)->dim);

	for (int64_t i = y->from; i < y->to; i++) {
		place p = place_of(&y->shape, i);

		p.at[dim] = (int64_t)x[1].v[i];
		y->v[i] = value_at(&x[0], &p);
	}
	return true;
}

#define SHAPE(term, field, text)                                                                                       \
	{                                                                                                              \
		.name = term, .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(gather_opts, field),           \
		.about = text                                                                                          \
	}
#define DIM                                                                                                            \
	{                                                                                                              \
		.name = "dim", .kind = CLEF__TERM_INT, .offset = offsetof(gather_opts, dim), .about = "dimension of x" \
	}

static const clef__term terms_gather[] = {
	SHAPE("x", x, "x"), SHAPE("index", index, "as many dimensions as x"), DIM, { NULL }
};

static const char *const problems_gather[] = {
	"gather x3x4 index3x2 dim1",     "gather x3x4 index9x4",
	"gather x33x17 index33x1 dim-1", "gather x5x6x7 index5x9x7 dim1",
	"gather x5x6x7 index2x9x3 dim1", "gather x5x6x7 index1x6x5 dim-3",
	"gather x257 index1000",         "gather x3x4 index3x0 dim1",
	"gather x3x4 index0x2 dim1",     "gather x2x3x2x2x1x2x2x2 index2x3x2x5x1x2x2x2 dim3",
};

const clef__family clef__family_gather = { .name = "gather",
					   .terms = terms_gather,
					   .setup = setup,
					   .apply = apply_gather,
					   .reference = reference_gather,
					   CLEF__PROBLEMS(problems_gather, 1) };

/* ---- index_select ---- */

static clef_tensor *apply_select(clef_tensor *const *x, const void *opts)
{
	return clef_index_select(x[0], ((const gather_opts *)opts)->dim, x[1]);
}

static bool reference_select(const clef__ref *x, const void *opts, clef__ref *y)
{
	int dim = dim_of(&y->shape, ((const gather_opts *)opts)->dim);

	for (int64_t i = y->from; i < y->to; i++) {
		place p = place_of(&y->shape, i);

		p.at[dim] = (int64_t)x[1].v[p.at[dim]];
		y->v[i] = value_at(&x[0], &p);
	}
	return true;
}

static const clef__term terms_select[] = {
	SHAPE("x", x, "x"), SHAPE("index", index, "of one dimension"), DIM, { NULL }
};

static const char *const problems_select[] = {
	"index_select x3x4 index5",           "index_select x3x4 index257 dim1", "index_select x33x5x7 index3 dim-2",
	"index_select x2x3x257 index33 dim2", "index_select x7 index100",        "index_select x3x4 index0",
	"index_select x0x4 index3 dim1",
};

const clef__family clef__family_index_select = { .name = "index_select",
						 .terms = terms_select,
						 .setup = setup,
						 .apply = apply_select,
						 .reference = reference_select,
						 CLEF__PROBLEMS(problems_select, 1) };

/* ---- embedding ---- */

static clef_tensor *apply_embedding(clef_tensor *const *x, const void *opts)
{
	(void)opts;
	return clef_embedding(x[1], x[0], NULL);
}

static bool reference_embedding(const clef__ref *x, const void *opts, clef__ref *y)
{
	int64_t width = clef__ref_size(&x[0].shape, 1, x[0].shape.ndim);

	(void)opts;
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = x[0].v[(int64_t)x[1].v[i / width] * width + i % width];
	return true;
}

static const clef__term terms_embedding[] = { SHAPE("weight", x, "weight [count, ...]"),
					      SHAPE("index", index, "of any shape"),
					      { NULL } };

static const char *const problems_embedding[] = {
	"embedding weight5x3 index4",    "embedding weight33x17 index7x9", "embedding weight257x1 index2x3x5",
	"embedding weight2x65 index300", "embedding weight7 index3x3",     "embedding weight7x2x3 index=scalar",
	"embedding weight7x2 index0x3",  "embedding weight7x0 index3",     "embedding weight3x1100 index5",
};

const clef__family clef__family_embedding = { .name = "embedding",
					      .terms = terms_embedding,
					      .setup = setup,
					      .apply = apply_embedding,
					      .reference = reference_embedding,
					      CLEF__PROBLEMS(problems_embedding, 1) };
