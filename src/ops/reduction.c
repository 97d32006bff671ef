/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and means over any dimensions. */
#include <math.h>

#include <clef/ops.h>

#include "tape.h"

typedef struct reduction_opts {
	clef_reduce_opts dims;
	bool reduce[CLEF_MAX_DIMS];
	float scale; /* y = scale * sum */
} reduction_opts;

static clef_status mark_dims(clef__node *n, reduction_opts *opts)
{
	int ndim = n->x[0]->shape.ndim;

	if (opts->dims.ndim < 0 || opts->dims.ndim > CLEF_MAX_DIMS)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "%d dimensions to reduce: 0 to %d are allowed",
				     opts->dims.ndim, CLEF_MAX_DIMS);
	for (int i = 0; i < ndim; i++)
		opts->reduce[i] = opts->dims.ndim == 0;
	for (int i = 0; i < opts->dims.ndim; i++) {
		int d = opts->dims.dim[i];

		if (d < -ndim || d >= ndim)
			return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d of x %s: %d to %d are allowed", d,
					     CLEF__SHAPE_TEXT(n->x[0]->shape), -ndim, ndim - 1);
		d = d < 0 ? d + ndim : d;
		if (opts->reduce[d])
			return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d is given twice", d);
		opts->reduce[d] = true;
	}
	return CLEF_OK;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	/* The copy in the arena, which is this node's own. */
	reduction_opts *opts = (reduction_opts *)(uintptr_t)n->opts;
	const clef_shape *x = &n->x[0]->shape;
	double count = 1;
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	(void)dtype;
	if (!status)
		status = mark_dims(n, opts);
	if (status)
		return status;
	for (int i = 0; i < x->ndim; i++) {
		if (opts->reduce[i])
			count *= (double)x->dim[i];
		if (!opts->reduce[i] || opts->dims.keepdim)
			shape->dim[shape->ndim++] = opts->reduce[i] ? 1 : x->dim[i];
	}
	/* The mean of nothing: 0 times infinity. */
	if (opts->scale == 0)
		opts->scale = count > 0 ? (float)(1 / count) : INFINITY;
	return CLEF_OK;
}

static clef_status forward(const clef__node *n)
{
	const reduction_opts *opts = n->opts;

	return clef__reduce_sum(n->x[0], opts->reduce, opts->scale, 0, n->y);
}

/* dx = beta dx + scale dy, with dy repeated along the reduced dimensions. */
static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const reduction_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	clef__arg size = { .kind = CLEF__ARG_INT8 }, stride = { .kind = CLEF__ARG_INT8 };
	int32_t step = 1;

	if (!dx->dx)
		return CLEF_OK;
	for (int i = 0; i < 8; i++)
		size.value.i8[i] = 1;
	for (int i = 0; i < x->shape.ndim; i++) {
		int d = x->shape.ndim - 1 - i;

		size.value.i8[i] = (int32_t)x->shape.dim[d];
		stride.value.i8[i] = opts->reduce[d] ? 0 : step;
		if (!opts->reduce[d])
			step *= (int32_t)x->shape.dim[d];
	}
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "tensor",
					    .kernel = "expand",
					    .global = { (size_t)x->numel },
					    .bytes = 8.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__FLOAT(opts->scale),
						      CLEF__FLOAT(dx->beta), CLEF__INT(x->numel), size, stride },
				    });
}

static const clef__op sum = { "sum", infer, forward, backward };
static const clef__op mean = { "mean", infer, forward, backward };

static clef_tensor *apply(const clef__op *op, clef_tensor *x, const clef_reduce_opts *dims, float scale)
{
	reduction_opts opts = { .scale = scale };

	if (dims)
		opts.dims = *dims;
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
