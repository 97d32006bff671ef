/* SPDX-License-Identifier: Apache-2.0 */
/* Dimensions in another order: one strided copy there, and the same one back for the gradient. */
#include "shaping_internal.h"

typedef struct permute_opts {
	clef_shape order;
	int swap[2]; /* of a transpose, which has no order yet */
} permute_opts;

static clef_status check_order(clef__node *n, clef_shape *order)
{
	const clef_shape *x = &n->x[0]->shape;
	bool used[CLEF_MAX_DIMS] = { false };

	if (order->ndim != x->ndim)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "an order of %d dimensions for x %s", order->ndim,
				     CLEF__SHAPE_TEXT(*x));
	for (int i = 0; i < order->ndim; i++) {
		int64_t given = order->dim[i];
		int dim = (int)CLEF__MAX(CLEF__MIN(given, INT32_MAX), INT32_MIN);

		if (clef__wrap_dim(n, &dim, x->ndim))
			return CLEF_ERROR_INVALID;
		if (used[dim])
			return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d is twice in the order %s", dim,
					     CLEF__SHAPE_TEXT(*order));
		used[dim] = true;
		order->dim[i] = dim;
	}
	return CLEF_OK;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	/* The copy in the arena, which is this node's own. */
	permute_opts *opts = (permute_opts *)(uintptr_t)n->opts;
	const clef_tensor *x = n->x[0];
	clef_status status = check_order(n, &opts->order);

	*dtype = x->dtype;
	shape->ndim = x->shape.ndim;
	for (int i = 0; i < shape->ndim && !status; i++)
		shape->dim[i] = x->shape.dim[opts->order.dim[i]];
	return status;
}

static clef_status infer_transpose(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	permute_opts *opts = (permute_opts *)(uintptr_t)n->opts;
	const clef_shape *x = &n->x[0]->shape;

	if (clef__wrap_dim(n, &opts->swap[0], x->ndim) || clef__wrap_dim(n, &opts->swap[1], x->ndim))
		return CLEF_ERROR_INVALID;
	opts->order.ndim = x->ndim;
	for (int i = 0; i < x->ndim; i++)
		opts->order.dim[i] = i == opts->swap[0] ? opts->swap[1] : i == opts->swap[1] ? opts->swap[0] : i;
	return infer(n, shape, dtype);
}

static clef__strided make_block(const clef__node *n)
{
	const permute_opts *opts = n->opts;
	const clef_shape *y = &n->y->shape;
	clef__strided s = { .label = n->op->name, .ndim = y->ndim };
	int64_t step[CLEF_MAX_DIMS];

	clef__row_major(n->x[0]->shape, step);
	clef__row_major(*y, s.y_step);
	for (int i = 0; i < y->ndim; i++) {
		s.size[i] = y->dim[i];
		s.x_step[i] = step[opts->order.dim[i]];
	}
	return s;
}

static clef_status forward(const clef__node *n)
{
	const clef__strided s = make_block(n);

	return clef__strided_copy(&s, n->x[0], 0, n->y);
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__strided s = make_block(n);

	return dx->dx ? clef__strided_back(&s, dy, dx->beta, dx->dx) : CLEF_OK;
}

static const clef__op permute = { "permute", infer, forward, backward };
static const clef__op transpose = { "transpose", infer_transpose, forward, backward };

clef_tensor *clef_permute(clef_tensor *x, clef_shape order)
{
	permute_opts opts = { .order = order };

	return clef__apply(&permute, &x, 1, &opts, sizeof(opts));
}

clef_tensor *clef_transpose(clef_tensor *x, int dim0, int dim1)
{
	permute_opts opts = { .swap = { dim0, dim1 } };

	return clef__apply(&transpose, &x, 1, &opts, sizeof(opts));
}
