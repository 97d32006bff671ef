/* SPDX-License-Identifier: Apache-2.0 */
/* Dimensions in another order: permute and transpose, by coordinates; values must arrive as they are. */
#include <clef/ops.h>

#include "families.h"
#include "places.h"

typedef struct order_opts {
	clef_shape x;
	clef__list order; /* of transpose: the two that are exchanged */
} order_opts;

static clef_status setup_permute(clef__problem *p)
{
	const order_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = true };
	return CLEF_OK;
}

/* ---- permute ---- */

static clef_tensor *apply_permute(clef_tensor *const *x, const void *opts)
{
	const order_opts *o = opts;
	clef_shape order = { .ndim = o->order.count };

	memcpy(order.dim, o->order.v, sizeof(o->order.v));
	return clef_permute(x[0], order);
}

static bool reference_permute(const clef__ref *x, const void *opts, clef__ref *y)
{
	const order_opts *o = opts;

	for (int64_t i = y->from; i < y->to; i++) {
		place p = place_of(&y->shape, i), from = { { 0 } };

		for (int d = 0; d < y->shape.ndim; d++)
			from.at[dim_of(&x->shape, o->order.v[d])] = p.at[d];
		y->v[i] = value_at(&x[0], &from);
	}
	return true;
}

static const clef__term terms_permute[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(order_opts, x), .about = "x" },
	{ .name = "order",
	  .kind = CLEF__TERM_LIST,
	  .offset = offsetof(order_opts, order),
	  .about = "for each dimension of y, that of x" },
	{ NULL },
};

static const char *const problems_permute[] = {
	"permute x2x3x4 order2,0,1",
	"permute x2x3x5x7 order0,2,3,1",
	"permute x2x3x5x7 order-1,1,-4,2",
	"permute x2x1x3x2x1x2x3x2 order7,6,5,4,3,2,1,0",
	"permute x257 order0",
	"permute x3x0x2 order2,1,0",
	"permute x=scalar",
};

const clef__family clef__family_permute = { .name = "permute",
					    .terms = terms_permute,
					    .setup = setup_permute,
					    .apply = apply_permute,
					    .reference = reference_permute,
					    CLEF__PROBLEMS(problems_permute, 1) };

/* ---- transpose ---- */

static clef_status setup_transpose(clef__problem *p)
{
	const order_opts *o = (const void *)p->opts;

	if (o->order.count != 2)
		return clef__fail(CLEF_ERROR_INVALID, "problem: transpose needs two dimensions, as in dims0,1");
	return setup_permute(p);
}

static clef_tensor *apply_transpose(clef_tensor *const *x, const void *opts)
{
	const order_opts *o = opts;

	return clef_transpose(x[0], (int)o->order.v[0], (int)o->order.v[1]);
}

static bool reference_transpose(const clef__ref *x, const void *opts, clef__ref *y)
{
	const order_opts *o = opts;
	int a = dim_of(&x->shape, o->order.v[0]), b = dim_of(&x->shape, o->order.v[1]);

	for (int64_t i = y->from; i < y->to; i++) {
		place p = place_of(&y->shape, i);
		int64_t at = p.at[a];

		p.at[a] = p.at[b];
		p.at[b] = at;
		y->v[i] = value_at(&x[0], &p);
	}
	return true;
}

static const clef__term terms_transpose[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(order_opts, x), .about = "x" },
	{ .name = "dims", .kind = CLEF__TERM_LIST, .offset = offsetof(order_opts, order), .about = "the two" },
	{ NULL },
};

static const char *const problems_transpose[] = {
	"transpose x2x3 dims0,1",
	"transpose x33x257 dims0,1",
	"transpose x4x5x6x7 dims1,-1",
	"transpose x4x5x6 dims-2,-2",
};

const clef__family clef__family_transpose = { .name = "transpose",
					      .terms = terms_transpose,
					      .setup = setup_transpose,
					      .apply = apply_transpose,
					      .reference = reference_transpose,
					      CLEF__PROBLEMS(problems_transpose, 1) };
