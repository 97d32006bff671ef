/* SPDX-License-Identifier: Apache-2.0 */
/* Other shapes for the same elements: tensors are contiguous, so a reshape is a view and costs nothing forward. */
#include <clef/ops.h>

#include "tape.h"

/* The shape with its -1 filled in. */
static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef_tensor *x = n->x[0];
	int64_t known = 1;
	int unknown = -1;

	*shape = *(const clef_shape *)n->opts;
	*dtype = x->dtype;
	if (shape->ndim < 0 || shape->ndim > CLEF_MAX_DIMS)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "a shape of %d dimensions: at most %d", shape->ndim,
				     CLEF_MAX_DIMS);
	for (int i = 0; i < shape->ndim; i++) {
		if (shape->dim[i] == -1 && unknown < 0)
			unknown = i;
		else if (shape->dim[i] < 0 || shape->dim[i] > INT32_MAX || known > INT32_MAX)
			return clef__op_fail(n, CLEF_ERROR_SHAPE, "%s: sizes are 0 or more, and one may be -1",
					     CLEF__SHAPE_TEXT(*shape));
		else
			known *= shape->dim[i];
	}
	if (unknown >= 0 && known > 0 && x->numel % known == 0)
		shape->dim[unknown] = x->numel / known;
	if (clef_shape_numel(*shape) != x->numel)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "x %s does not fill %s", CLEF__SHAPE_TEXT(x->shape),
				     CLEF__SHAPE_TEXT(*shape));
	return CLEF_OK;
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	(void)n;
	return clef__pass_gradient(dy, dx);
}

static const clef__op reshape = { "reshape", infer, NULL, backward, clef__in_place };
static const clef__op flatten = { "flatten", infer, NULL, backward, clef__in_place };

clef_tensor *clef_reshape(clef_tensor *x, clef_shape shape)
{
	return clef__apply(&reshape, &x, 1, &shape, sizeof(shape));
}

clef_tensor *clef_flatten(clef_tensor *x)
{
	clef_shape shape = CLEF_SHAPE(1, 1);

	if (x && x->shape.ndim > 0) {
		shape.dim[0] = x->shape.dim[0];
		for (int i = 1; i < x->shape.ndim; i++)
			shape.dim[1] = CLEF__MIN(shape.dim[1] * x->shape.dim[i], (int64_t)INT32_MAX);
	}
	return clef__apply(&flatten, &x, 1, &shape, sizeof(shape));
}
