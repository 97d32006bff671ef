/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The k largest of each row. The indices are one operation, without a gradient, and the values at them another, with
 * the indices as its second input: so both results are ordinary tensors of the tape.
 */
#include <clef/reduce.h>

#include "tape.h"

static const bool all_rows[CLEF_MAX_DIMS] = { true };

static int columns(const clef_tensor *x)
{
	return x->shape.ndim ? (int)x->shape.dim[x->shape.ndim - 1] : 1;
}

static int rows(const clef_tensor *x)
{
	return x->numel ? (int)(x->numel / columns(x)) : 0;
}

/* ---- indices ---- */

static clef_status indices_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef_shape *x = &n->x[0]->shape;
	int k = *(const int *)n->opts;
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	*dtype = CLEF_INT32;
	*shape = *x;
	if (!status && (k < 0 || k > columns(n->x[0])))
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "k is %d: 0 to %d are allowed for x %s", k,
				       columns(n->x[0]), CLEF__SHAPE_TEXT(*x));
	shape->ndim = CLEF__MAX(x->ndim, 1);
	shape->dim[shape->ndim - 1] = k;
	return status;
}

static clef_status indices_forward(const clef__node *n)
{
	const clef_tensor *x = n->x[0];
	int k = *(const int *)n->opts;

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "topk",
					    .kernel = "topk_indices",
					    .label = "topk",
					    .global = { (size_t)rows(x) },
					    .long_items = true,
					    .bytes = 4.0 * (double)x->numel * k,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->y), CLEF__INT(columns(x)),
						      CLEF__INT(k), CLEF__INT(rows(x)) },
				    });
}

static const clef__op topk_indices = { "topk", indices_infer, indices_forward, NULL };

/* ---- values ---- */

static clef_status values_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	(void)dtype;
	*shape = n->x[1]->shape;
	return CLEF_OK;
}

static clef_status values_forward(const clef__node *n)
{
	const clef_tensor *x = n->x[0], *y = n->y;

	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "topk",
				    .kernel = "topk_values",
				    .global = { (size_t)y->numel },
				    .bytes = 12.0 * (double)y->numel,
				    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(y),
					      CLEF__INT(columns(x)), CLEF__INT(columns(y)), CLEF__INT(y->numel) },
			    });
}

static clef_status values_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef_tensor *x = n->x[0];

	if (!dx->dx)
		return CLEF_OK;
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "topk",
					    .kernel = "topk_backward",
					    .label = "topk backward",
					    .global = { (size_t)x->numel },
					    .bytes = (dx->beta != 0 ? 8.0 : 4.0) * (double)x->numel,
					    .args = { CLEF__TENSOR(n->x[1]), CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx),
						      CLEF__FLOAT(dx->beta), CLEF__INT(columns(x)),
						      CLEF__INT(columns(n->y)), CLEF__INT(x->numel) },
				    });
}

static const clef__op topk_values = { "topk", values_infer, values_forward, values_backward };

clef_tensor *clef_topk(clef_tensor *x, int k, clef_tensor **indices)
{
	clef_tensor *at = clef__apply(&topk_indices, &x, 1, &k, sizeof(k));
	clef_tensor *y = at ? clef__apply(&topk_values, (clef_tensor *[]){ x, at }, 2, NULL, 0) : NULL;

	if (indices)
		*indices = y ? at : NULL;
	return y;
}

/* ---- accuracy ---- */

static clef_status accuracy_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef_shape *x = &n->x[0]->shape, *labels = &n->x[1]->shape;
	int k = *(const int *)n->opts;
	clef_status status = clef__op_dtype(n, 0, "logits", CLEF_FLOAT32);

	(void)dtype;
	*shape = CLEF_SCALAR;
	if (!status)
		status = clef__op_dtype(n, 1, "labels", CLEF_INT32);
	if (!status && x->ndim != 2)
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "logits have shape %s, expected [n, classes]",
				       CLEF__SHAPE_TEXT(*x));
	if (!status && (labels->ndim != 1 || labels->dim[0] != x->dim[0]))
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "labels have shape %s, expected [%lld] for logits %s",
				       CLEF__SHAPE_TEXT(*labels), (long long)x->dim[0], CLEF__SHAPE_TEXT(*x));
	if (!status && (k < 1 || k > x->dim[1]))
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "k is %d: 1 to %lld are allowed for logits %s", k,
				       (long long)x->dim[1], CLEF__SHAPE_TEXT(*x));
	return status;
}

static clef_status accuracy_forward(const clef__node *n)
{
	const clef_tensor *x = n->x[0];
	int k = *(const int *)n->opts, count = rows(x);
	clef_tensor *hits = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(count));
	clef_status status;

	if (!hits)
		return clef_error_status();
	status = clef__launch(x->dev, &(clef__launch_opts){
					      .program = "topk",
					      .kernel = "topk_hits",
					      .label = "topk_accuracy",
					      .global = { (size_t)count },
					      .long_items = true,
					      .bytes = 4.0 * (double)x->numel,
					      .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(hits),
							CLEF__INT(columns(x)), CLEF__INT(k), CLEF__INT(count) },
				      });
	/* For no rows 0 times infinity: NaN. */
	if (!status)
		status = clef__reduce_sum(hits, all_rows, 1 / (float)count, 0, n->y);
	clef__scratch_free(hits);
	return status;
}

static const clef__op topk_accuracy = { "topk_accuracy", accuracy_infer, accuracy_forward, NULL };

clef_tensor *clef_topk_accuracy(clef_tensor *logits, clef_tensor *labels, int k)
{
	return clef__apply(&topk_accuracy, (clef_tensor *[]){ logits, labels }, 2, &k, sizeof(k));
}
