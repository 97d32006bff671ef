/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization over the last dimensions: layer normalization (Ba, Kiros and Hinton 2016), and by the root mean square
 * alone (Zhang and Sennrich 2019). Each place in those dimensions is a channel with one element: [rows][length][1].
 */
#include <float.h>

#include <clef/ops.h>

#include "norm_internal.h"

typedef struct layer_opts {
	int dims;
	float eps;
	bool no_mean;
} layer_opts;

static clef__norm view(const clef__node *n)
{
	const layer_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	clef__norm v = { .inner = 1, .no_mean = opts->no_mean, .eps = opts->eps };

	v.w = n->inputs > 1 ? n->x[1] : NULL;
	v.b = n->inputs > 2 ? n->x[2] : NULL;
	if (!x->numel)
		return v;
	v.count = 1;
	for (int i = x->shape.ndim - opts->dims; i < x->shape.ndim; i++)
		v.count *= (int)x->shape.dim[i];
	v.outer = v.groups = (int)x->numel / v.count;
	v.channels = v.per_group = v.count;
	return v;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const layer_opts *opts = n->opts;
	const clef_shape *x = &n->x[0]->shape;
	clef_shape last = { .ndim = opts->dims };
	clef_status status = clef__norm_infer(n, opts->eps, shape);

	(void)dtype;
	if (status)
		return status;
	if (n->inputs > 1 && (last.ndim < 1 || last.ndim > x->ndim))
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "w has shape %s, expected one to all last dimensions of x %s",
				     CLEF__SHAPE_TEXT(n->x[1]->shape), CLEF__SHAPE_TEXT(*x));
	if (last.ndim < 1 || last.ndim > x->ndim)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "the last %d dimensions of x %s: 1 to %d are allowed",
				     last.ndim, CLEF__SHAPE_TEXT(*x), x->ndim);
	for (int i = 0; i < last.ndim; i++)
		last.dim[i] = x->dim[x->ndim - last.ndim + i];
	for (int i = 1; i < n->inputs && !status; i++)
		status = clef__norm_operand(n, i, i == 1 ? "w" : "b", last);
	return status ? status : clef__norm_save(n, view(n).groups);
}

static clef_status forward(const clef__node *n)
{
	const clef__norm v = view(n);
	clef_status status;

	if (n->y->numel == 0)
		return CLEF_OK;
	if (clef__norm_by_rows(n->y->dev, &v))
		return clef__norm_rows(n, &v);
	status = clef__norm_moments(n, &v);
	return status ? status : clef__norm_forward(n, &v);
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__norm v = view(n);

	if (n->y->numel && clef__norm_by_rows(n->y->dev, &v))
		return clef__norm_rows_backward(n, &v, dy, dx, dx + 1, dx + 2);
	return clef__norm_backward(n, &v, dy, dx, dx + 1, dx + 2);
}

static const clef__op layer_norm = { "layer_norm", infer, forward, backward };
static const clef__op rms_norm = { "rms_norm", infer, forward, backward };

static clef_tensor *apply(const clef__op *op, clef_tensor *const *x, int inputs, int dims, float eps)
{
	const bool rms = op == &rms_norm;
	const layer_opts opts = { inputs > 1 && x[1] ? x[1]->shape.ndim : dims,
				  eps != 0 ? eps
				  : rms    ? FLT_EPSILON
					   : 1e-5f,
				  rms };

	return clef__apply(op, x, inputs, &opts, sizeof(opts));
}

clef_tensor *clef_layer_norm(clef_tensor *x, clef_tensor *w, clef_tensor *b, float eps)
{
	return apply(&layer_norm, (clef_tensor *[]){ x, w, b }, 3, 0, eps);
}

clef_tensor *clef_layer_norm_plain(clef_tensor *x, int dims, float eps)
{
	return apply(&layer_norm, &x, 1, dims, eps);
}

clef_tensor *clef_rms_norm(clef_tensor *x, clef_tensor *w, float eps)
{
	return apply(&rms_norm, (clef_tensor *[]){ x, w }, 2, 0, eps);
}

clef_tensor *clef_rms_norm_plain(clef_tensor *x, int dims, float eps)
{
	return apply(&rms_norm, &x, 1, dims, eps);
}
