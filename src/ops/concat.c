/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joining tensors. Seen from the dimension along which they are joined, the result is a matrix: a row is what stands
 * behind one place of the dimensions in front, and each tensor gives a part of each row. So a join is one copy of a
 * block for each tensor, whether the dimension is new or not.
 */
#include "shaping_internal.h"

static clef_status check_inputs(clef__node *n)
{
	for (int i = 1; i < n->inputs; i++)
		if (n->x[i]->dtype != n->x[0]->dtype)
			return clef__op_fail(n, CLEF_ERROR_DTYPE, "tensor %d is %s, the first is %s", i + 1,
					     clef_dtype_name(n->x[i]->dtype), clef_dtype_name(n->x[0]->dtype));
	return CLEF_OK;
}

static clef_status infer_cat(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	int *dim = (int *)(uintptr_t)n->opts;
	clef_status status = check_inputs(n);

	if (!status)
		status = clef__wrap_dim(n, dim, n->x[0]->shape.ndim);
	if (status)
		return status;
	*shape = n->x[0]->shape;
	*dtype = n->x[0]->dtype;
	for (int i = 1; i < n->inputs; i++) {
		clef_shape like = n->x[i]->shape;

		if (like.ndim == shape->ndim)
			like.dim[*dim] = n->x[0]->shape.dim[*dim];
		if (!clef_shape_equal(like, n->x[0]->shape))
			return clef__op_fail(
				n, CLEF_ERROR_SHAPE,
				"tensor %d has shape %s, expected that of the first, %s, but for dimension %d", i + 1,
				CLEF__SHAPE_TEXT(n->x[i]->shape), CLEF__SHAPE_TEXT(n->x[0]->shape), *dim);
		shape->dim[*dim] += n->x[i]->shape.dim[*dim];
	}
	return clef__check_size(n, shape);
}

static clef_status infer_stack(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	int *dim = (int *)(uintptr_t)n->opts;
	const clef_shape *x = &n->x[0]->shape;
	clef_status status = check_inputs(n);

	for (int i = 1; i < n->inputs && !status; i++)
		if (!clef_shape_equal(n->x[i]->shape, *x))
			status = clef__op_fail(n, CLEF_ERROR_SHAPE, "tensor %d has shape %s, the first has %s", i + 1,
					       CLEF__SHAPE_TEXT(n->x[i]->shape), CLEF__SHAPE_TEXT(*x));
	if (!status && x->ndim == CLEF_MAX_DIMS)
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "tensors of shape %s: at most %d dimensions",
				       CLEF__SHAPE_TEXT(*x), CLEF_MAX_DIMS - 1);
	if (!status)
		status = clef__wrap_dim(n, dim, x->ndim + 1);
	if (status)
		return status;
	*dtype = n->x[0]->dtype;
	shape->ndim = x->ndim + 1;
	for (int i = 0; i < shape->ndim; i++)
		shape->dim[i] = i == *dim ? n->inputs : x->dim[i - (i > *dim)];
	return clef__check_size(n, shape);
}

/* The blocks in order; `start` goes on from one to the next. */
static clef__strided next_block(const clef__node *n, int i, int64_t *start)
{
	clef__strided s = { .label = n->op->name, .ndim = 2, .x_step = { 0, 1 }, .y_step = { 0, 1 } };
	int64_t rows = 1;

	if (n->x[i]->numel == 0)
		return s;
	for (int d = 0; d < *(const int *)n->opts; d++)
		rows *= n->y->shape.dim[d];
	s.size[0] = rows;
	s.size[1] = s.x_step[0] = n->x[i]->numel / rows;
	s.y_step[0] = n->y->numel / rows;
	s.y_start = *start;
	*start += s.size[1];
	return s;
}

static clef_status forward(const clef__node *n)
{
	clef_status status = CLEF_OK;
	int64_t start = 0;

	for (int i = 0; i < n->inputs && !status; i++) {
		const clef__strided s = next_block(n, i, &start);

		status = clef__strided_copy(&s, n->x[i], 0, n->y);
	}
	return status;
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	clef_status status = CLEF_OK;
	int64_t start = 0;

	for (int i = 0; i < n->inputs && !status; i++) {
		const clef__strided s = next_block(n, i, &start);

		if (dx[i].dx)
			status = clef__strided_back(&s, dy, dx[i].beta, dx[i].dx);
	}
	return status;
}

static const clef__op cat = { "cat", infer_cat, forward, backward };
static const clef__op stack = { "stack", infer_stack, forward, backward };

static clef_tensor *apply(const clef__op *op, clef_tensor *const *x, int count, int dim)
{
	if (!x) {
		clef__null_argument(op->name);
		return NULL;
	}
	if (count < 1)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: %d tensors: 1 or more", op->name, count);
	return clef__apply(op, x, count, &dim, sizeof(dim));
}

clef_tensor *clef_cat(clef_tensor *const *x, int count, int dim)
{
	return apply(&cat, x, count, dim);
}

clef_tensor *clef_stack(clef_tensor *const *x, int count, int dim)
{
	return apply(&stack, x, count, dim);
}
