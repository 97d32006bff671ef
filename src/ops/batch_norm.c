/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch normalization (Ioffe and Szegedy 2015). In training a channel's statistics come from the batch, and the running
 * ones move towards them on the device, behind the kernels that computed them. In evaluation the running statistics are
 * copied into the node first, so that gradients are right even if a later operation moves them.
 */
#include <clef/ops.h>

#include "norm_internal.h"

typedef struct own_opts {
	clef_batch_norm_opts given; /* first: who exports a network knows these only */
	int way;                    /* in training; before infer() one more, or 0 to choose */
} own_opts;

/* The places of the operands, which depend on whether there are w and b. */
static int running(const clef__node *n)
{
	return n->inputs - 2;
}

static clef__norm view(const clef__node *n)
{
	const clef_batch_norm_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	clef__norm v = { .given = !opts->training, .eps = opts->eps, .activation = opts->activation };

	if (n->inputs > 3) {
		v.w = n->x[1];
		v.b = n->x[2];
	}
	v.channels = v.groups = (int)x->shape.dim[1];
	v.outer = (int)x->shape.dim[0];
	if (x->numel) {
		v.count = (int)x->numel / v.channels;
		v.inner = v.count / v.outer;
	}
	return v;
}

static clef_status check_options(const clef__node *n)
{
	const clef_batch_norm_opts *opts = n->opts;
	const clef_shape *x = &n->x[0]->shape;

	if (!(opts->momentum >= 0) || opts->momentum > 1)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "momentum is %g: 0 to 1 are allowed",
				     (double)opts->momentum);
	if (x->ndim < 2)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected [n, channels, ...]",
				     CLEF__SHAPE_TEXT(*x));
	if (opts->training && n->x[0]->numel && n->x[0]->numel == x->dim[1])
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "x %s has one value for each channel; training needs more, to have a variance",
				     CLEF__SHAPE_TEXT(*x));
	return CLEF_OK;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	static const char *const names[] = { "w", "b", "running_mean", "running_var" };
	own_opts *own = clef__own_opts(n);
	const clef_batch_norm_opts *opts = &own->given;
	clef_status status = clef__norm_infer(n, opts->eps, shape);

	(void)dtype;
	if (!status)
		status = check_options(n);
	for (int i = 1; i < n->inputs && !status; i++)
		status = clef__norm_operand(n, i, names[i + 4 - n->inputs], CLEF_SHAPE(shape->dim[1]));
	for (int i = running(n); i < n->inputs && !status; i++)
		if (n->x[i]->requires_grad)
			status = clef__op_fail(n, CLEF_ERROR_INVALID,
					       "%s requires a gradient, but no gradient flows to running statistics",
					       names[i + 4 - n->inputs]);
	if (!status && opts->training && !own->way) {
		const clef__norm v = view(n);

		own->way = clef__norm_choose(n, &v) + 1;
	}
	return status ? status : clef__norm_save(n, shape->dim[1]);
}

/* The statistics of evaluation. */
static clef_status take_running(const clef__node *n, const clef__norm *v)
{
	return clef__launch(n->y->dev,
			    &(clef__launch_opts){
				    .program = "norm_stats",
				    .kernel = "norm_given",
				    .global = { (size_t)v->channels },
				    .args = { CLEF__TENSOR(n->x[running(n)]), CLEF__TENSOR(n->x[running(n) + 1]),
					      CLEF__TENSOR(n->saved[0]), CLEF__FLOAT(v->eps), CLEF__INT(v->channels) },
			    });
}

static clef_status update_running(const clef__node *n, const clef__norm *v)
{
	const clef_batch_norm_opts *opts = n->opts;

	return clef__launch(n->y->dev,
			    &(clef__launch_opts){
				    .program = "norm_stats",
				    .kernel = "norm_running",
				    .global = { (size_t)v->channels },
				    .args = { CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(n->x[running(n)]),
					      CLEF__TENSOR(n->x[running(n) + 1]), CLEF__FLOAT(opts->momentum),
					      CLEF__FLOAT((double)v->count / (v->count - 1)), CLEF__INT(v->channels) },
			    });
}

static bool by_channels(const clef__node *n)
{
	const own_opts *own = n->opts;

	return own->given.training && own->way == CLEF__NORM_CHANNELS + 1;
}

static clef_status forward(const clef__node *n)
{
	const clef_batch_norm_opts *opts = n->opts;
	const clef__norm v = view(n);
	clef_status status;

	if (n->y->numel == 0)
		return CLEF_OK;
	if (by_channels(n)) {
		bool move = !opts->keep_running;

		return clef__norm_train(n, &v, move ? n->x[running(n)] : NULL, move ? n->x[running(n) + 1] : NULL,
					opts->momentum);
	}
	if (opts->training) {
		status = clef__norm_moments(n, &v);
		if (!status && !opts->keep_running)
			status = update_running(n, &v);
	} else {
		status = take_running(n, &v);
	}
	return status ? status : clef__norm_forward(n, &v);
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__norm v = view(n);

	if (n->x[0]->numel && by_channels(n))
		return clef__norm_train_backward(n, &v, dy, dx, dx + 1, dx + 2);
	return clef__norm_backward(n, &v, dy, dx, dx + 1, dx + 2);
}

static bool needs(const clef__node *n, int i)
{
	return i >= 0 || ((const clef_batch_norm_opts *)n->opts)->activation.kind != CLEF_ACT_NONE;
}

static const clef__op batch_norm = { "batch_norm", infer, forward, backward, NULL, needs };

static clef_tensor *apply(clef_tensor *const *x, int inputs, const clef_batch_norm_opts *given, int way)
{
	own_opts own = { .way = way };
	clef_batch_norm_opts *opts = &own.given;

	if (given)
		*opts = *given;
	if (opts->eps == 0)
		opts->eps = 1e-5f;
	if (opts->momentum == 0)
		opts->momentum = 0.1f;
	if (clef__activation_fuses(opts->activation)) {
		opts->activation = clef__activation_resolve(opts->activation);
		return clef__apply(&batch_norm, x, inputs, &own, sizeof(own));
	}
	opts->activation = (clef_activation){ CLEF_ACT_NONE };
	return clef_activate(clef__apply(&batch_norm, x, inputs, &own, sizeof(own)), given->activation);
}

clef_tensor *clef_batch_norm(clef_tensor *x, clef_tensor *w, clef_tensor *b, clef_tensor *running_mean,
			     clef_tensor *running_var, const clef_batch_norm_opts *opts)
{
	return apply((clef_tensor *[]){ x, w, b, running_mean, running_var }, 5, opts, 0);
}

clef_tensor *clef_batch_norm_plain(clef_tensor *x, clef_tensor *running_mean, clef_tensor *running_var,
				   const clef_batch_norm_opts *opts)
{
	return apply((clef_tensor *[]){ x, running_mean, running_var }, 3, opts, 0);
}

/* Without moving anything, so that any two tensors do for the running statistics. */
clef_tensor *clef__batch_norm_by(clef_tensor *x, clef_tensor *w, clef_tensor *b, int way)
{
	const clef_batch_norm_opts opts = { .training = true, .keep_running = true };
	clef_tensor *still = clef_detach(w);

	return apply((clef_tensor *[]){ x, w, b, still, still }, 5, &opts, way + 1);
}
