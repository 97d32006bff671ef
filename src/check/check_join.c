/* SPDX-License-Identifier: Apache-2.0 */
/* Joins: cat and stack, by coordinates; values must arrive as they are. */
#include <clef/ops.h>

#include "families.h"
#include "places.h"

typedef struct join_opts {
	clef_shape x;
	int dim;
	clef__list more; /* of cat: what the tensors behind x have along the dimension */
	int count;
} join_opts;

static clef_status set_operands(clef__problem *p, int count)
{
	const join_opts *o = (const void *)p->opts;

	if (count > CLEF__OPERANDS)
		return clef__fail(CLEF_ERROR_INVALID, "problem: %s of %d tensors: %d at most", p->family->name, count,
				  CLEF__OPERANDS);
	p->operands = count;
	for (int i = 0; i < count; i++)
		p->in[i] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = true };
	return CLEF_OK;
}

/* ---- cat ---- */

static clef_status setup_cat(clef__problem *p)
{
	join_opts *o = (void *)p->opts;
	int dim = dim_of(&o->x, o->dim);
	clef_status s;

	o->count = 1 + o->more.count;
	s = set_operands(p, o->count);
	for (int i = 1; i < p->operands && dim >= 0; i++)
		p->in[i].shape.dim[dim] = o->more.v[i - 1];
	return s;
}

static clef_tensor *apply_cat(clef_tensor *const *x, const void *opts)
{
	const join_opts *o = opts;

	return clef_cat(x, o->count, o->dim);
}

static bool reference_cat(const clef__ref *x, const void *opts, clef__ref *y)
{
	const join_opts *o = opts;
	int dim = dim_of(&y->shape, o->dim);

	for (int64_t i = y->from; i < y->to; i++) {
		place p = place_of(&y->shape, i);
		int k = 0;

		while (k < o->count - 1 && p.at[dim] >= x[k].shape.dim[dim])
			p.at[dim] -= x[k++].shape.dim[dim];
		y->v[i] = value_at(&x[k], &p);
	}
	return true;
}

static const clef__term terms_cat[] = {
	{ .name = "x",
	  .kind = CLEF__TERM_SHAPE,
	  .preset = 1,
	  .offset = offsetof(join_opts, x),
	  .about = "the first tensor" },
	{ .name = "more",
	  .kind = CLEF__TERM_LIST,
	  .offset = offsetof(join_opts, more),
	  .about = "sizes of the others along the dimension" },
	{ .name = "dim", .kind = CLEF__TERM_INT, .offset = offsetof(join_opts, dim), .about = "dimension" },
	{ NULL },
};

static const char *const problems_cat[] = {
	"cat x2x3 more1,4 dim1",      "cat x2x3 more5,1", "cat x2x3x5x7 more33,1 dim1",
	"cat x2x3x5 more257,4 dim-1", "cat x33 more1,9",  "cat x2x0x3 more2,0 dim1",
	"cat x0x2 more3,4 dim1",      "cat x5x3 dim1",    "cat x2x3x2 more1,2,3,4,5 dim1",
};

const clef__family clef__family_cat = { .name = "cat",
					.terms = terms_cat,
					.setup = setup_cat,
					.apply = apply_cat,
					.reference = reference_cat,
					CLEF__PROBLEMS(problems_cat, 1) };

/* ---- stack ---- */

static clef_status setup_stack(clef__problem *p)
{
	return set_operands(p, ((const join_opts *)(const void *)p->opts)->count);
}

static clef_tensor *apply_stack(clef_tensor *const *x, const void *opts)
{
	const join_opts *o = opts;

	return clef_stack(x, o->count, o->dim);
}

static bool reference_stack(const clef__ref *x, const void *opts, clef__ref *y)
{
	const join_opts *o = opts;
	int dim = dim_of(&y->shape, o->dim);

	for (int64_t i = y->from; i < y->to; i++) {
		place p = place_of(&y->shape, i), from = { { 0 } };

		for (int d = 0; d < x[0].shape.ndim; d++)
			from.at[d] = p.at[d < dim ? d : d + 1];
		y->v[i] = value_at(&x[p.at[dim]], &from);
	}
	return true;
}

static const clef__term terms_stack[] = {
	{ .name = "x",
	  .kind = CLEF__TERM_SHAPE,
	  .preset = 1,
	  .offset = offsetof(join_opts, x),
	  .about = "each tensor" },
	{ .name = "count",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(join_opts, count),
	  .preset = 3,
	  .least = 1,
	  .most = CLEF__OPERANDS,
	  .about = "tensors" },
	{ .name = "dim", .kind = CLEF__TERM_INT, .offset = offsetof(join_opts, dim), .about = "new dimension" },
	{ NULL },
};

static const char *const problems_stack[] = {
	"stack x2x3 dim1", "stack x2x3",     "stack x2x3 dim-1",       "stack x4x5x6 dim-3",
	"stack x0x5 dim1", "stack x=scalar", "stack x7x3 count1 dim2", "stack x3x5 count6 dim1",
};

const clef__family clef__family_stack = { .name = "stack",
					  .terms = terms_stack,
					  .setup = setup_stack,
					  .apply = apply_stack,
					  .reference = reference_stack,
					  CLEF__PROBLEMS(problems_stack, 1) };
