/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variance and standard deviation, in two passes: the mean first, then squared distances from it. The mean is kept as
 * two floats, the second being the mean of what the first leaves; with one, values of a mean M and a spread below
 * M 2^-24 would drown in its rounding error.
 */
#include <math.h>

#include "reduce_op.h"

typedef struct variance {
	clef__op op; /* first: a node's op leads back here */
	clef__fold_row fold;
	float slope;
} variance;

typedef struct variance_opts {
	clef__reduction r;
	bool biased;
} variance_opts;

static const clef__fold_row rest_of_mean = { .label = "rest of mean",
					     .defines = "#define COMBINE_SUM\n#define TERM x - S\n",
					     .sum = true };

static float per_degree(const variance_opts *opts)
{
	double degrees = opts->r.count - (opts->biased ? 0 : 1);

	/* Of nothing: 0 times infinity. */
	return degrees > 0 ? (float)(1 / degrees) : INFINITY;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	clef_status status = clef__reduction_infer(n, shape);

	(void)dtype;
	return status ? status : clef__save(n, 0, CLEF_FLOAT32, CLEF_SHAPE(2, clef_shape_numel(*shape)));
}

/* Both floats of the mean, all of the first before all of the second. */
static clef_status find_mean(const clef__node *n)
{
	const variance_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	clef_tensor first = *n->saved[0], rest;
	float scale = (float)(1 / opts->r.count);
	clef_status status;

	first.numel = n->y->numel;
	first.shape = n->y->shape;
	rest = first;
	rest.offset += (size_t)first.numel;
	status = clef__reduce_sum(x, opts->r.reduce, scale, 0, &first);
	return status ? status
		      : clef__fold(&rest_of_mean, x, opts->r.reduce, &(clef__fold_args){ .s = &first }, scale, &rest);
}

static clef_status forward(const clef__node *n)
{
	const variance *v = (const variance *)n->op;
	const variance_opts *opts = n->opts;
	const clef__fold_args args = { .s = n->saved[0] };
	clef_status status = find_mean(n);

	if (!status)
		status = clef__fold(&v->fold, n->x[0], opts->r.reduce, &args, per_degree(opts), n->y);
	if (!status && v->slope == 1)
		status = clef__fold_finish(&v->fold, &args, n->y);
	return status;
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const variance *v = (const variance *)n->op;
	const variance_opts *opts = n->opts;
	const clef__fold_args args = { .s = n->saved[0], .p = v->slope * per_degree(opts) };

	if (!dx->dx)
		return CLEF_OK;
	return clef__fold_backward(&v->fold, n->x[0], opts->r.reduce, n->y, dy, &args, dx->beta, dx->dx);
}

#define SQUARES "#define COMBINE_SUM\n#define TERM ((x - S) - T) * ((x - S) - T)\n"

static const variance var = { { "var", infer, forward, backward },
			      { .label = "var",
				.backward_label = "var backward",
				.defines = SQUARES "#define GRADIENT dy * p * ((x - S) - T)\n",
				.sum = true },
			      2 };
static const variance std_ = { { "std", infer, forward, backward },
			       { .label = "std",
				 .backward_label = "std backward",
				 .defines = SQUARES "#define FINISH sqrt(y)\n"
						    "#define GRADIENT y == 0.0f ? 0.0f : dy * p * ((x - S) - T) / y\n",
				 .sum = true },
			       1 };

static clef_tensor *apply(const variance *v, clef_tensor *x, const clef_var_opts *given)
{
	variance_opts opts = { .biased = given && given->biased };

	if (given) {
		opts.r.dims = (clef_reduce_opts){ .ndim = given->ndim, .keepdim = given->keepdim };
		memcpy(opts.r.dims.dim, given->dim, sizeof(given->dim));
	}
	return clef__apply(&v->op, &x, 1, &opts, sizeof(opts));
}

clef_tensor *clef_var(clef_tensor *x, const clef_var_opts *opts)
{
	return apply(&var, x, opts);
}

clef_tensor *clef_std(clef_tensor *x, const clef_var_opts *opts)
{
	return apply(&std_, x, opts);
}
