/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local response normalization (Krizhevsky, Sutskever and Hinton 2012). The base of the power is kept for backward,
 * which needs it in a window around each element.
 */
#include <math.h>

#include <clef/ops.h>

#include "divide.h"
#include "tape.h"

typedef struct lrn_opts {
	int size;
	clef_local_response_norm_opts given;
} lrn_opts;

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const lrn_opts *opts = n->opts;
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	(void)dtype;
	*shape = n->x[0]->shape;
	if (!status && shape->ndim < 2)
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected [n, channels, ...]",
				       CLEF__SHAPE_TEXT(*shape));
	if (!status && opts->size < 1)
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "size is %d, expected 1 or more channels", opts->size);
	if (!status && (!isfinite(opts->given.alpha) || !isfinite(opts->given.beta) || !isfinite(opts->given.k)))
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "alpha %g, beta %g and k %g, expected finite numbers",
				       (double)opts->given.alpha, (double)opts->given.beta, (double)opts->given.k);
	return status ? status : clef__save(n, 0, CLEF_FLOAT32, *shape);
}

/* Of x with elements. */
static int inner(const clef_tensor *x)
{
	return (int)(x->numel / x->shape.dim[0] / x->shape.dim[1]);
}

static clef_status forward(const clef__node *n)
{
	const lrn_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];

	if (x->numel == 0)
		return CLEF_OK;
	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "local_response_norm",
			.kernel = "lrn_forward",
			.label = "local_response_norm",
			.global = { (size_t)x->numel },
			.bytes = 12.0 * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(n->y),
				  CLEF__INT(x->shape.dim[1]), CLEF__INT(inner(x)), CLEF__DIVIDER(inner(x)),
				  CLEF__DIVIDER(x->shape.dim[1]), CLEF__INT(opts->size),
				  CLEF__FLOAT(opts->given.alpha / (float)opts->size), CLEF__FLOAT(opts->given.beta),
				  CLEF__FLOAT(opts->given.k), CLEF__INT(x->numel) },
		});
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const lrn_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];

	if (!dx->dx || x->numel == 0)
		return CLEF_OK;
	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "local_response_norm",
			.kernel = "lrn_backward",
			.label = "local_response_norm backward",
			.global = { (size_t)x->numel },
			.bytes = (dx->beta != 0 ? 24.0 : 20.0) * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(n->y), CLEF__TENSOR(dy),
				  CLEF__TENSOR(dx->dx), CLEF__FLOAT(dx->beta), CLEF__INT(x->shape.dim[1]),
				  CLEF__INT(inner(x)), CLEF__DIVIDER(inner(x)), CLEF__DIVIDER(x->shape.dim[1]),
				  CLEF__INT(opts->size), CLEF__FLOAT(opts->given.alpha / (float)opts->size),
				  CLEF__FLOAT(opts->given.beta), CLEF__INT(x->numel) },
		});
}

static const clef__op local_response_norm = { "local_response_norm", infer, forward, backward };

clef_tensor *clef_local_response_norm(clef_tensor *x, int size, const clef_local_response_norm_opts *given)
{
	lrn_opts opts = { .size = size };

	if (given)
		opts.given = *given;
	if (opts.given.alpha == 0)
		opts.given.alpha = 1e-4f;
	if (opts.given.beta == 0)
		opts.given.beta = 0.75f;
	if (opts.given.k == 0)
		opts.given.k = 1;
	return clef__apply(&local_response_norm, &x, 1, &opts, sizeof(opts));
}
