/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and its logarithm along any dimension. */
#include <math.h>

#include <clef/ops.h>

#include "families.h"

typedef struct softmax_opts {
	clef_shape x;
	int dim;
	float range;
} softmax_opts;

static clef_status setup(clef__problem *p)
{
	const softmax_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -(double)o->range, .hi = (double)o->range, .whole = p->whole };
	p->tolerance = CLEF__TOLERANCE;
	p->gradient_tolerance = 2e-5;
	return CLEF_OK;
}

static void row_reference(const double *x, int64_t size, int64_t step, bool logarithm, double *y)
{
	double largest = x[0], sum = 0;

	for (int64_t r = 1; r < size; r++)
		largest = fmax(largest, x[r * step]);
	for (int64_t r = 0; r < size; r++)
		sum += exp(x[r * step] - largest);
	for (int64_t r = 0; r < size; r++) {
		y[r * step] = x[r * step] - largest - log(sum);
		if (!logarithm)
			y[r * step] = exp(y[r * step]);
	}
}

/* Every row of which an element is wanted. */
static bool reference(const clef__ref *x, const softmax_opts *o, bool logarithm, clef__ref *y)
{
	int dim = o->dim < 0 ? o->dim + x->shape.ndim : o->dim;
	int64_t step = clef__ref_size(&x->shape, dim + 1, x->shape.ndim), size = x->shape.ndim ? x->shape.dim[dim] : 1;

	for (int64_t i = y->from; i < y->to; i++) {
		int64_t at = i / step % size, first = i - at * step;

		if (at == 0 || i - step < y->from)
			row_reference(x->v + first, size, step, logarithm, y->v + first);
	}
	return true;
}

static const clef__term terms[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(softmax_opts, x), .about = "x" },
	{ .name = "dim",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(softmax_opts, dim),
	  .preset = -1,
	  .least = -CLEF_MAX_DIMS,
	  .most = CLEF_MAX_DIMS - 1,
	  .about = "the dimension of a row" },
	{ .name = "range",
	  .kind = CLEF__TERM_FLOAT,
	  .offset = offsetof(softmax_opts, range),
	  .preset = 4,
	  .least = 0,
	  .most = 1000,
	  .about = "the data is from -range to range" },
	{ NULL },
};

#define SOFTMAX(name_, logarithm)                                                                                      \
	static clef_tensor *apply_##name_(clef_tensor *const *x, const void *opts)                                     \
	{                                                                                                              \
		return clef_##name_(x[0], ((const softmax_opts *)opts)->dim);                                          \
	}                                                                                                              \
	static bool reference_##name_(const clef__ref *x, const void *opts, clef__ref *y)                              \
	{                                                                                                              \
		return reference(x, opts, logarithm, y);                                                               \
	}                                                                                                              \
	static const char *const problems_##name_[] = {                                                                \
		#name_ " x3x5 dim1",     #name_ " x2x3x2 dim1",     #name_ " x33x257",         #name_ " x257x33 dim0", \
		#name_ " x2x3x4x5 dim1", #name_ " x2x3x4x5 dim-2",  #name_ " x17 dim0",        #name_ " x16 dim0",     \
		#name_ " x3x1 dim1",     #name_ " x2x1000 range40", #name_ " x=scalar dim0",   #name_ " x0x3 dim1",    \
		#name_ " x3x0 dim1",     #name_ " x5x47",           #name_ " x9x1000 range40", #name_ " x2x3x31",      \
	};                                                                                                             \
	const clef__family clef__family_##name_ = { .name = #name_,                                                    \
						    .terms = terms,                                                    \
						    .setup = setup,                                                    \
						    .apply = apply_##name_,                                            \
						    .reference = reference_##name_,                                    \
						    CLEF__PROBLEMS(problems_##name_, 3) };

/* clang-format off */
SOFTMAX(softmax, false)
SOFTMAX(log_softmax, true)
/* clang-format on */
