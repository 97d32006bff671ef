/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a residual block: a sum and its activation in one pass over memory instead of two, and neither the sum nor
 * a gradient of it is kept. Sums that are broadcast and activations that do not fuse are two operations.
 */
#include <clef/ops.h>

#include "activation_internal.h"

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	clef_status status = clef__op_dtype(n, 0, "a", CLEF_FLOAT32);

	(void)dtype;
	*shape = n->x[0]->shape;
	return status ? status : clef__op_dtype(n, 1, "b", CLEF_FLOAT32);
}

static clef_status forward(const clef__node *n)
{
	const clef_activation *activation = n->opts;
	const clef_tensor *y = n->y;

	return clef__launch(
		y->dev, &(clef__launch_opts){
				.program = "add_act",
				.defines = clef__activation_defines(*activation),
				.kernel = "add_act",
				.global = { (size_t)y->numel },
				.bytes = 12.0 * (double)y->numel,
				.args = { CLEF__TENSOR(n->x[0]), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(y),
					  CLEF__FLOAT(activation->p), CLEF__FLOAT(activation->q), CLEF__INT(y->numel) },
			});
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef_tensor *dz;
	clef_tensor *scratch;
	clef_status status = clef__activation_backward(n, *(const clef_activation *)n->opts, dy, &dz, &scratch);

	for (int i = 0; i < 2 && !status; i++)
		status = clef__pass_gradient(dz, &dx[i]);
	clef__scratch_free(scratch);
	return status;
}

static bool needs(const clef__node *n, int i)
{
	(void)n;
	return i < 0;
}

static bool is_relu(const clef__node *n)
{
	return ((const clef_activation *)n->opts)->kind == CLEF_ACT_RELU;
}

static const clef__op add_act = { "add_act", infer, forward, backward, clef__in_place, needs, is_relu };

clef_tensor *clef_add_act(clef_tensor *a, clef_tensor *b, clef_activation activation)
{
	clef_activation full;

	if (!a || !b || activation.kind == CLEF_ACT_NONE || !clef__activation_fuses(activation) ||
	    !clef_shape_equal(a->shape, b->shape))
		return clef_activate(clef_add(a, b), activation);
	full = clef__activation_resolve(activation);
	return clef__apply(&add_act, (clef_tensor *[]){ a, b }, 2, &full, sizeof(full));
}
