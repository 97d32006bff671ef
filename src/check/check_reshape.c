/* SPDX-License-Identifier: Apache-2.0 */
/* Other shapes of the same memory: reshape and flatten. */
#include <clef/ops.h>

#include "families.h"

typedef struct reshape_opts {
	clef_shape x;
	clef__list to;
} reshape_opts;

static clef_status setup(clef__problem *p)
{
	const reshape_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -8, .hi = 8, .whole = p->whole };
	p->tolerance = p->whole ? 0 : CLEF__EXACT;
	return CLEF_OK;
}

static clef_tensor *apply_reshape(clef_tensor *const *x, const void *opts)
{
	const reshape_opts *o = opts;
	clef_shape to = { .ndim = o->to.count };

	memcpy(to.dim, o->to.v, sizeof(to.dim));
	return clef_reshape(x[0], to);
}

static clef_tensor *apply_flatten(clef_tensor *const *x, const void *opts)
{
	(void)opts;
	return clef_flatten(x[0]);
}

static bool reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	(void)opts;
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = x[0].v[i];
	return true;
}

#define X                                                                                                              \
	{                                                                                                              \
		.name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(reshape_opts, x), .about = "x"  \
	}

static const clef__term terms_reshape[] = {
	X,
	{ .name = "to",
	  .kind = CLEF__TERM_LIST,
	  .offset = offsetof(reshape_opts, to),
	  .about = "the new shape, with one -1 at most; none: a scalar" },
	{ NULL },
};

static const clef__term terms_flatten[] = { X, { NULL } };

static const char *const problems_reshape[] = { "reshape x2x3x4 to4,-1 whole", "reshape x2x3x4 to24", "reshape x1x1",
						"reshape x=scalar to1,1", "reshape x0x4 to2,0" };

static const char *const problems_flatten[] = { "flatten x2x3x4 whole", "flatten x3x5", "flatten x0x2x3" };

const clef__family clef__family_reshape = { .name = "reshape",
					    .terms = terms_reshape,
					    .setup = setup,
					    .apply = apply_reshape,
					    .reference = reference,
					    CLEF__PROBLEMS(problems_reshape, 1) };

const clef__family clef__family_flatten = { .name = "flatten",
					    .terms = terms_flatten,
					    .setup = setup,
					    .apply = apply_flatten,
					    .reference = reference,
					    CLEF__PROBLEMS(problems_flatten, 1) };
