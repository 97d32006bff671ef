/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization of groups of channels, sample by sample (Wu and He 2018), and of each channel, sample by sample
 * (Ulyanov, Vedaldi and Lempitsky 2016), which is the same with as many groups as channels.
 */
#include <clef/ops.h>

#include "norm_internal.h"

typedef struct group_opts {
	int groups; /* 0: as many as channels */
	float eps;
} group_opts;

static clef__norm view(const clef__node *n)
{
	const group_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	clef__norm v = { .eps = opts->eps };

	v.w = n->inputs > 1 ? n->x[1] : NULL;
	v.b = n->inputs > 1 ? n->x[2] : NULL;
	if (!x->numel)
		return v;
	v.outer = (int)x->shape.dim[0];
	v.channels = (int)x->shape.dim[1];
	v.inner = (int)x->numel / v.outer / v.channels;
	v.per_group = opts->groups ? v.channels / opts->groups : 1;
	v.groups = v.outer * (v.channels / v.per_group);
	v.count = v.per_group * v.inner;
	return v;
}

static clef_status check_operands(clef__node *n, clef_shape *shape)
{
	const group_opts *opts = n->opts;
	clef_status status = clef__norm_infer(n, opts->eps, shape);

	if (!status && shape->ndim < 2)
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected [n, channels, ...]",
				       CLEF__SHAPE_TEXT(*shape));
	for (int i = 1; i < n->inputs && !status; i++)
		status = clef__norm_operand(n, i, i == 1 ? "w" : "b", CLEF_SHAPE(shape->dim[1]));
	return status;
}

static clef_status group_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const group_opts *opts = n->opts;
	clef_status status = check_operands(n, shape);

	(void)dtype;
	if (!status && (opts->groups < 1 || shape->dim[1] % opts->groups != 0))
		status = clef__op_fail(n, CLEF_ERROR_INVALID,
				       "%d groups for x %s: expected a number that divides the %lld channels",
				       opts->groups, CLEF__SHAPE_TEXT(*shape), (long long)shape->dim[1]);
	return status ? status : clef__norm_save(n, view(n).groups);
}

static clef_status instance_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	clef_status status = check_operands(n, shape);

	(void)dtype;
	if (!status && n->x[0]->numel && n->x[0]->numel == shape->dim[0] * shape->dim[1])
		status = clef__op_fail(n, CLEF_ERROR_SHAPE,
				       "x %s has one value for each channel; more are needed to have a variance",
				       CLEF__SHAPE_TEXT(*shape));
	return status ? status : clef__norm_save(n, view(n).groups);
}

static clef_status forward(const clef__node *n)
{
	const clef__norm v = view(n);
	clef_status status;

	if (n->y->numel == 0)
		return CLEF_OK;
	status = clef__norm_moments(n, &v);
	return status ? status : clef__norm_forward(n, &v);
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__norm v = view(n);

	return clef__norm_backward(n, &v, dy, dx, dx + 1, dx + 2);
}

static const clef__op group_norm = { "group_norm", group_infer, forward, backward };
static const clef__op instance_norm = { "instance_norm", instance_infer, forward, backward };

static clef_tensor *apply(const clef__op *op, clef_tensor *const *x, int inputs, int groups, float eps)
{
	const group_opts opts = { groups, eps != 0 ? eps : 1e-5f };

	return clef__apply(op, x, inputs, &opts, sizeof(opts));
}

clef_tensor *clef_group_norm(clef_tensor *x, int groups, clef_tensor *w, clef_tensor *b, float eps)
{
	return apply(&group_norm, (clef_tensor *[]){ x, w, b }, 3, groups, eps);
}

clef_tensor *clef_group_norm_plain(clef_tensor *x, int groups, float eps)
{
	return apply(&group_norm, &x, 1, groups, eps);
}

clef_tensor *clef_instance_norm(clef_tensor *x, clef_tensor *w, clef_tensor *b, float eps)
{
	return apply(&instance_norm, (clef_tensor *[]){ x, w, b }, 3, 0, eps);
}

clef_tensor *clef_instance_norm_plain(clef_tensor *x, float eps)
{
	return apply(&instance_norm, &x, 1, 0, eps);
}
