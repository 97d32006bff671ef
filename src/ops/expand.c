/* SPDX-License-Identifier: Apache-2.0 */
/* Repeating a tensor along dimensions of size 1; the gradient is the sum over them. */
#include "shaping_internal.h"

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef_shape *x = &n->x[0]->shape, *to = n->opts;
	int front = to->ndim - x->ndim;

	if (to->ndim > CLEF_MAX_DIMS || front < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "x %s to %d dimensions: as many as x or more, at most %d",
				     CLEF__SHAPE_TEXT(*x), to->ndim, CLEF_MAX_DIMS);
	*shape = *to;
	*dtype = n->x[0]->dtype;
	for (int i = 0; i < to->ndim; i++) {
		int64_t size = i < front ? 1 : x->dim[i - front];

		if (to->dim[i] == -1 && i >= front)
			shape->dim[i] = size;
		else if (to->dim[i] < 0 || (size != 1 && size != to->dim[i]))
			return clef__op_fail(n, CLEF_ERROR_SHAPE,
					     "x %s cannot be repeated to %s: sizes must be equal to those of x, or 1 "
					     "in x, or -1 to keep that of x",
					     CLEF__SHAPE_TEXT(*x), CLEF__SHAPE_TEXT(*to));
	}
	return clef__check_size(n, shape);
}

static clef_status forward(const clef__node *n)
{
	const clef_shape *x = &n->x[0]->shape, *y = &n->y->shape;
	clef__strided s = { .label = n->op->name, .ndim = y->ndim };
	int front = y->ndim - x->ndim;
	int64_t step[CLEF_MAX_DIMS];

	memcpy(s.size, y->dim, sizeof(s.size));
	clef__row_major(*x, step);
	clef__row_major(*y, s.y_step);
	for (int i = front; i < y->ndim; i++)
		s.x_step[i] = x->dim[i - front] == 1 ? 0 : step[i - front];
	return clef__strided_copy(&s, n->x[0], 0, n->y);
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef_shape *x = &n->x[0]->shape, *y = &n->y->shape;
	int front = y->ndim - x->ndim;
	bool reduce[CLEF_MAX_DIMS] = { false };

	for (int i = 0; i < y->ndim; i++)
		reduce[i] = i < front || x->dim[i - front] != y->dim[i];
	return dx->dx ? clef__reduce_sum(dy, reduce, 1, dx->beta, dx->dx) : CLEF_OK;
}

static const clef__op expand = { "expand", infer, forward, backward };

clef_tensor *clef_expand(clef_tensor *x, clef_shape shape)
{
	return clef__apply(&expand, &x, 1, &shape, sizeof(shape));
}
