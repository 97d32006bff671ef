/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax, its logarithm and logsumexp. A first kernel, of one work-item a row, finds what all elements of a row share:
 * forward the maximum and the sum, backward the inner product. A second one, of one work-item an element, does the rest
 * in any order. On a CPU a work-item does all of a long row, which its cache holds.
 */
#include <math.h>

#include "reduce_op.h"

#define LEAST_ROW 16

/* ---- softmax and log_softmax: rows along one dimension, x as outer x reduced x inner ---- */

typedef struct softmax {
	clef__op op; /* first: a node's op leads back here */
	const char *defines, *backward_label;
} softmax;

typedef struct softmax_opts {
	int dim, reduced, inner;
} softmax_opts;

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	softmax_opts *opts = clef__own_opts(n);
	const clef_shape *x = &n->x[0]->shape;
	int ndim = CLEF__MAX(x->ndim, 1);
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	(void)dtype;
	if (status)
		return status;
	if (opts->dim < -ndim || opts->dim >= ndim)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d of x %s: %d to %d are allowed", opts->dim,
				     CLEF__SHAPE_TEXT(*x), -ndim, ndim - 1);
	opts->dim += opts->dim < 0 ? ndim : 0;
	opts->reduced = x->ndim && n->x[0]->numel ? (int)x->dim[opts->dim] : 1;
	opts->inner = 1;
	for (int i = opts->dim + 1; i < x->ndim && n->x[0]->numel; i++)
		opts->inner *= (int)x->dim[i];
	*shape = *x;
	return CLEF_OK;
}

static clef_tensor *new_stats(const clef__node *n, int per_row)
{
	const softmax_opts *opts = n->opts;

	return clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(per_row, n->y->numel / opts->reduced));
}

/* On a CPU, rows of consecutive values that fill its vectors, and more. */
static bool by_whole_rows(const clef__node *n)
{
	const softmax_opts *opts = n->opts;

	return opts->inner == 1 && opts->reduced >= LEAST_ROW &&
	       clef_device_get_info(n->y->dev)->kind == CLEF_DEVICE_CPU;
}

static clef_status whole_rows(const clef__node *n)
{
	const softmax *s = (const softmax *)n->op;
	const softmax_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	int rows = (int)(x->numel / opts->reduced);

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "softmax",
					    .defines = s->defines,
					    .kernel = "softmax_whole_rows",
					    .label = s->op.name,
					    .global = { (size_t)rows },
					    .long_items = true,
					    .bytes = 8.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->y), CLEF__INT(opts->reduced),
						      CLEF__INT(rows) },
				    });
}

static clef_status whole_rows_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const softmax *s = (const softmax *)n->op;
	const softmax_opts *opts = n->opts;
	const clef_tensor *y = n->y;
	int rows = (int)(y->numel / opts->reduced);

	return clef__launch(y->dev,
			    &(clef__launch_opts){
				    .program = "softmax",
				    .defines = s->defines,
				    .kernel = "softmax_backward_whole_rows",
				    .label = s->backward_label,
				    .global = { (size_t)rows },
				    .long_items = true,
				    .bytes = (dx->beta != 0 ? 16.0 : 12.0) * (double)y->numel,
				    .args = { CLEF__TENSOR(y), CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx),
					      CLEF__FLOAT(dx->beta), CLEF__INT(opts->reduced), CLEF__INT(rows) },
			    });
}

static clef_status forward(const clef__node *n)
{
	const softmax *s = (const softmax *)n->op;
	const softmax_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	int rows = (int)(x->numel / opts->reduced);
	clef_tensor *stats;
	clef_status status;

	if (by_whole_rows(n))
		return whole_rows(n);
	stats = new_stats(n, 2);
	if (!stats)
		return clef_error_status();
	status = clef__launch(x->dev, &(clef__launch_opts){
					      .program = "softmax",
					      .defines = s->defines,
					      .kernel = "softmax_rows",
					      .global = { (size_t)rows },
					      .long_items = true,
					      .bytes = 4.0 * (double)x->numel,
					      .args = { CLEF__TENSOR(x), CLEF__TENSOR(stats), CLEF__INT(opts->reduced),
							CLEF__INT(opts->inner), CLEF__INT(rows) },
				      });
	if (!status)
		status =
			clef__launch(x->dev, &(clef__launch_opts){
						     .program = "softmax",
						     .defines = s->defines,
						     .kernel = "softmax",
						     .label = s->op.name,
						     .global = { (size_t)x->numel },
						     .bytes = 8.0 * (double)x->numel,
						     .args = { CLEF__TENSOR(x), CLEF__TENSOR(stats), CLEF__TENSOR(n->y),
							       CLEF__INT(opts->reduced), CLEF__INT(opts->inner),
							       CLEF__INT(rows), CLEF__INT(x->numel) },
					     });
	clef__scratch_free(stats);
	return status;
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const softmax *s = (const softmax *)n->op;
	const softmax_opts *opts = n->opts;
	const clef_tensor *y = n->y;
	int rows = (int)(y->numel / opts->reduced);
	clef_tensor *sum;
	clef_status status;

	if (!dx->dx)
		return CLEF_OK;
	if (by_whole_rows(n))
		return whole_rows_backward(n, dy, dx);
	sum = new_stats(n, 1);
	if (!sum)
		return clef_error_status();
	status = clef__launch(y->dev,
			      &(clef__launch_opts){
				      .program = "softmax",
				      .defines = s->defines,
				      .kernel = "softmax_backward_rows",
				      .global = { (size_t)rows },
				      .long_items = true,
				      .bytes = 8.0 * (double)y->numel,
				      .args = { CLEF__TENSOR(y), CLEF__TENSOR(dy), CLEF__TENSOR(sum),
						CLEF__INT(opts->reduced), CLEF__INT(opts->inner), CLEF__INT(rows) },
			      });
	if (!status)
		status = clef__launch(
			y->dev, &(clef__launch_opts){
					.program = "softmax",
					.defines = s->defines,
					.kernel = "softmax_backward",
					.label = s->backward_label,
					.global = { (size_t)y->numel },
					.bytes = (dx->beta != 0 ? 16.0 : 12.0) * (double)y->numel,
					.args = { CLEF__TENSOR(y), CLEF__TENSOR(dy), CLEF__TENSOR(sum),
						  CLEF__TENSOR(dx->dx), CLEF__FLOAT(dx->beta), CLEF__INT(opts->reduced),
						  CLEF__INT(opts->inner), CLEF__INT(y->numel) },
				});
	clef__scratch_free(sum);
	return status;
}

static const softmax plain = { { "softmax", infer, forward, backward },
			       "#define VALUE exp(x - largest) / sum\n"
			       "#define SUMMAND dy * y\n"
			       "#define GRADIENT y * (dy - sum)\n",
			       "softmax backward" };
static const softmax logarithm = { { "log_softmax", infer, forward, backward },
				   "#define VALUE x - largest - log(sum)\n"
				   "#define SUMMAND dy\n"
				   "#define GRADIENT dy - exp(y) * sum\n",
				   "log_softmax backward" };

clef_tensor *clef_softmax(clef_tensor *x, int dim)
{
	const softmax_opts opts = { .dim = dim };

	return clef__apply(&plain.op, &x, 1, &opts, sizeof(opts));
}

clef_tensor *clef_log_softmax(clef_tensor *x, int dim)
{
	const softmax_opts opts = { .dim = dim };

	return clef__apply(&logarithm.op, &x, 1, &opts, sizeof(opts));
}

/* ---- logsumexp: two folds over any dimensions ---- */

/* The maximum, or 0 where it is infinite: the difference of infinities would be NaN. */
static const clef__fold_row finite_max = { .label = "logsumexp max",
					   .defines = "#define COMBINE_MAX\n#define TERM x\n"
						      "#define FINISH fabs(y) == INFINITY ? 0.0f : y\n" };
static const clef__fold_row sum_exp = { "logsumexp", "logsumexp backward",
					"#define COMBINE_SUM\n#define TERM exp(x - S)\n#define FINISH log(y) + S\n"
					"#define GRADIENT dy * exp(x - y)\n",
					true };

static clef_status logsumexp_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	(void)dtype;
	return clef__reduction_infer(n, shape);
}

static clef_status logsumexp_forward(const clef__node *n)
{
	const clef__reduction *r = n->opts;
	clef_tensor *largest = clef__scratch(n, CLEF_FLOAT32, n->y->shape);
	const clef__fold_args args = { .s = largest };
	clef_status status;

	if (!largest)
		return clef_error_status();
	status = clef__fold(&finite_max, n->x[0], r->reduce, NULL, 1, largest);
	if (!status)
		status = clef__fold_finish(&finite_max, NULL, largest);
	if (!status)
		status = clef__fold(&sum_exp, n->x[0], r->reduce, &args, 1, n->y);
	if (!status)
		status = clef__fold_finish(&sum_exp, &args, n->y);
	clef__scratch_free(largest);
	return status;
}

static clef_status logsumexp_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__reduction *r = n->opts;

	if (!dx->dx)
		return CLEF_OK;
	return clef__fold_backward(&sum_exp, n->x[0], r->reduce, n->y, dy, &(clef__fold_args){ 0 }, dx->beta, dx->dx);
}

static const clef__op logsumexp = { "logsumexp", logsumexp_infer, logsumexp_forward, logsumexp_backward };

clef_tensor *clef_logsumexp(clef_tensor *x, const clef_reduce_opts *opts)
{
	clef__reduction r = { .count = 0 };

	if (opts)
		r.dims = *opts;
	return clef__apply(&logsumexp, &x, 1, &r, sizeof(r));
}
