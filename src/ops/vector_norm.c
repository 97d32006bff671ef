/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector norms. A row for each case of p that has a simpler formula than the general one. The gradient of the general
 * case, sign(x) |x|^(p-1) / y^(p-1), is taken as a power of the quotient, which neither overflows nor vanishes.
 */
#include <math.h>

#include "reduce_op.h"

typedef struct norm_opts {
	clef__reduction r;
	float p;
} norm_opts;

static const clef__fold_row one = { "norm", "norm backward",
				    "#define COMBINE_SUM\n#define TERM fabs(x)\n#define GRADIENT dy * sign(x)\n",
				    true };
static const clef__fold_row two = { "norm", "norm backward",
				    "#define COMBINE_SUM\n#define TERM x * x\n#define FINISH sqrt(y)\n"
				    "#define GRADIENT y == 0.0f ? 0.0f : dy * (x / y)\n",
				    true };
static const clef__fold_row general = {
	"norm", "norm backward",
	"#define COMBINE_SUM\n#define TERM pow(fabs(x), p)\n#define FINISH pow(y, 1.0f / p)\n"
	"#define GRADIENT y == 0.0f || (x == 0.0f && y == y) ? 0.0f : "
	"dy * copysign(pow(fabs(x) / y, p - 1.0f), x)\n",
	true
};

/* Infinite orders: S is how many values reach the result. */
#define REACHED "#define GRADIENT fabs(x) == y ? sign(x) * (dy / S) : 0.0f\n"

static const clef__fold_row largest = { "norm", "norm backward", "#define COMBINE_MAX\n#define TERM fabs(x)\n" REACHED,
					false };
static const clef__fold_row smallest = { "norm", "norm backward", "#define COMBINE_MIN\n#define TERM fabs(x)\n" REACHED,
					 false };
static const clef__fold_row reached = { "count ties", NULL,
					"#define COMBINE_SUM\n#define TERM fabs(x) == S ? 1.0f : 0.0f\n", true };

static const clef__fold_row *row_of(float p)
{
	return p == 1 ? &one : p == 2 ? &two : !isinf(p) ? &general : p > 0 ? &largest : &smallest;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const norm_opts *opts = n->opts;
	clef_status status = clef__reduction_infer(n, shape);

	(void)dtype;
	if (!status && isnan(opts->p))
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "p is NaN: a number or an infinity is allowed");
	if (!status && (isinf(opts->p) || opts->p < 0))
		status = clef__reduction_some(n, shape, "norm of infinite or negative order");
	return status;
}

static clef_status forward(const clef__node *n)
{
	const norm_opts *opts = n->opts;
	const clef__fold_row *row = row_of(opts->p);
	const clef__fold_args args = { .p = opts->p };
	clef_status status = clef__fold(row, n->x[0], opts->r.reduce, &args, 1, n->y);

	if (!status && (row == &two || row == &general))
		status = clef__fold_finish(row, &args, n->y);
	return status;
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const norm_opts *opts = n->opts;
	const clef__fold_row *row = row_of(opts->p);
	clef_tensor *count = NULL;
	clef_status status = CLEF_OK;

	if (!dx->dx)
		return CLEF_OK;
	if (isinf(opts->p)) {
		count = clef__scratch(n, CLEF_FLOAT32, n->y->shape);
		if (!count)
			return clef_error_status();
		status = clef__fold(&reached, n->x[0], opts->r.reduce, &(clef__fold_args){ .s = n->y }, 1, count);
	}
	if (!status)
		status = clef__fold_backward(row, n->x[0], opts->r.reduce, n->y, dy,
					     &(clef__fold_args){ .s = count, .p = opts->p }, dx->beta, dx->dx);
	clef__scratch_free(count);
	return status;
}

static const clef__op norm = { "norm", infer, forward, backward };

clef_tensor *clef_norm(clef_tensor *x, const clef_norm_opts *opts)
{
	norm_opts own = { .p = opts && opts->p != 0 ? opts->p : 2 };

	if (opts) {
		own.r.dims = (clef_reduce_opts){ .ndim = opts->ndim, .keepdim = opts->keepdim };
		memcpy(own.r.dims.dim, opts->dim, sizeof(opts->dim));
	}
	return clef__apply(&norm, &x, 1, &own, sizeof(own));
}
