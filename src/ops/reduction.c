/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and means over any dimensions, and what all reductions do with their options. */
#include <math.h>

#include "reduce_op.h"
#include "runs.h"

typedef struct sum_opts {
	clef__reduction r;
	float scale; /* y = scale * sum */
} sum_opts;

static clef_status mark_dims(clef__node *n, clef__reduction *r)
{
	int ndim = n->x[0]->shape.ndim;

	if (r->dims.ndim < 0 || r->dims.ndim > CLEF_MAX_DIMS)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "%d dimensions to reduce: 0 to %d are allowed",
				     r->dims.ndim, CLEF_MAX_DIMS);
	for (int i = 0; i < ndim; i++)
		r->reduce[i] = r->dims.ndim == 0;
	for (int i = 0; i < r->dims.ndim; i++) {
		int d = r->dims.dim[i];

		if (ndim == 0)
			return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d of x, which is a scalar", d);
		if (d < -ndim || d >= ndim)
			return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d of x %s: %d to %d are allowed", d,
					     CLEF__SHAPE_TEXT(n->x[0]->shape), -ndim, ndim - 1);
		d = d < 0 ? d + ndim : d;
		if (r->reduce[d])
			return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d is given twice", d);
		r->reduce[d] = true;
	}
	return CLEF_OK;
}

clef_status clef__reduction_infer(clef__node *n, clef_shape *shape)
{
	clef__reduction *r = clef__own_opts(n);
	const clef_shape *x = &n->x[0]->shape;
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	if (!status)
		status = mark_dims(n, r);
	if (status)
		return status;
	r->count = 1;
	for (int i = 0; i < x->ndim; i++) {
		if (r->reduce[i])
			r->count *= (double)x->dim[i];
		if (!r->reduce[i] || r->dims.keepdim)
			shape->dim[shape->ndim++] = r->reduce[i] ? 1 : x->dim[i];
	}
	if (clef_shape_numel(*shape) < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "the result %s would have more than 2^31 - 1 elements",
				     CLEF__SHAPE_TEXT(*shape));
	return CLEF_OK;
}

clef_status clef__reduction_some(const clef__node *n, const clef_shape *shape, const char *what)
{
	const clef__reduction *r = n->opts;

	if (r->count > 0 || clef_shape_numel(*shape) == 0)
		return CLEF_OK;
	return clef__op_fail(n, CLEF_ERROR_SHAPE, "the %s of no values: x is %s, and a reduced dimension is 0", what,
			     CLEF__SHAPE_TEXT(n->x[0]->shape));
}

/* ---- sum and mean ---- */

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	sum_opts *opts = clef__own_opts(n);
	clef_status status = clef__reduction_infer(n, shape);

	(void)dtype;
	/* The mean of nothing: 0 times infinity. */
	if (opts->scale == 0)
		opts->scale = opts->r.count > 0 ? (float)(1 / opts->r.count) : INFINITY;
	return status;
}

static clef_status forward(const clef__node *n)
{
	const sum_opts *opts = n->opts;

	return clef__reduce_sum(n->x[0], opts->r.reduce, opts->scale, 0, n->y);
}

/* dx = beta dx + scale dy, with dy repeated along the reduced dimensions. */
static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const sum_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	clef__arg cut, size, step;
	int dims, items;

	if (!dx->dx || !x->numel)
		return CLEF_OK;
	/* A loss, mostly: no index to compute. */
	if (dy->numel == 1)
		return clef__launch(x->dev,
				    &(clef__launch_opts){
					    .program = "sum",
					    .kernel = "expand_one",
					    .global = { (size_t)x->numel },
					    .bytes = 4.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__FLOAT(opts->scale),
						      CLEF__FLOAT(dx->beta), CLEF__INT(x->numel) },
				    });
	dims = clef__run_repeated(x->shape, opts->r.reduce, &size, &step);
	cut = clef__run_cut(x->dev, x->numel, dims, &size, false, &items);
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "sum",
					    .kernel = "expand",
					    .global = { (size_t)items },
					    .long_items = items < x->numel,
					    .bytes = 4.0 * (double)(x->numel + dy->numel),
					    .args = { CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__FLOAT(opts->scale),
						      CLEF__FLOAT(dx->beta), cut, size, step, CLEF__INT(items) },
				    });
}

static const clef__op sum = { "sum", infer, forward, backward };
static const clef__op mean = { "mean", infer, forward, backward };

static clef_tensor *apply(const clef__op *op, clef_tensor *x, const clef_reduce_opts *dims, float scale)
{
	sum_opts opts = { .scale = scale };

	if (dims)
		opts.r.dims = *dims;
	return clef__apply(op, &x, 1, &opts, sizeof(opts));
}

clef_tensor *clef_sum(clef_tensor *x, const clef_reduce_opts *opts)
{
	return apply(&sum, x, opts, 1);
}

clef_tensor *clef_mean(clef_tensor *x, const clef_reduce_opts *opts)
{
	return apply(&mean, x, opts, 0);
}
