/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loss and the score of classifiers. Softmax is fused into the loss: forward keeps, for each row, the maximum and
 * the logarithm of the sum of exponentials, and backward makes softmax from it while it writes the gradient, so no
 * probabilities are stored.
 */
#include <clef/loss.h>

#include "divide.h"
#include "tape.h"

static const bool all_rows[CLEF_MAX_DIMS] = { true };

static clef_status check_inputs(clef__node *n)
{
	const clef_shape *x = &n->x[0]->shape, *labels = &n->x[1]->shape;
	clef_status status = clef__op_dtype(n, 0, "logits", CLEF_FLOAT32);

	if (!status)
		status = clef__op_dtype(n, 1, "labels", CLEF_INT32);
	if (!status && (x->ndim != 2 || x->dim[1] < 1))
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "logits have shape %s, expected [n, classes]",
				       CLEF__SHAPE_TEXT(*x));
	if (!status && (labels->ndim != 1 || labels->dim[0] != x->dim[0]))
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "labels have shape %s, expected [%lld] for logits %s",
				       CLEF__SHAPE_TEXT(*labels), (long long)x->dim[0], CLEF__SHAPE_TEXT(*x));
	return status;
}

/* Runs a kernel over the rows and gives the mean of what it writes. `saved` may be NULL. */
static clef_status mean_of_rows(const clef__node *n, const char *kernel, const clef_tensor *saved)
{
	const clef_tensor *x = n->x[0];
	int rows = (int)x->shape.dim[0], classes = (int)x->shape.dim[1];
	clef_tensor *score = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(rows));
	clef_status status;

	if (!score)
		return clef_error_status();
	if (!saved)
		saved = score;
	status = clef__launch(x->dev, &(clef__launch_opts){
					      .program = "cross_entropy",
					      .kernel = kernel,
					      .global = { (size_t)rows },
					      .long_items = true,
					      .bytes = 4.0 * (double)x->numel,
					      .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(score),
							CLEF__TENSOR(saved), CLEF__INT(classes), CLEF__INT(rows) },
				      });
	/* For no rows 0 times infinity: NaN. */
	if (!status)
		status = clef__reduce_sum(score, all_rows, 1 / (float)rows, 0, n->y);
	clef__scratch_free(score);
	return status;
}

static clef_status loss_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	clef_status status = check_inputs(n);

	(void)dtype;
	*shape = CLEF_SCALAR;
	return status ? status : clef__save(n, 0, CLEF_FLOAT32, CLEF_SHAPE(2, n->x[0]->shape.dim[0]));
}

static clef_status loss_forward(const clef__node *n)
{
	return mean_of_rows(n, "cross_entropy", n->saved[0]);
}

static clef_status backward_by_rows(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef_tensor *x = n->x[0];

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "cross_entropy",
					    .kernel = "cross_entropy_backward_rows",
					    .label = "cross_entropy_backward",
					    .global = { (size_t)x->shape.dim[0] },
					    .long_items = true,
					    .bytes = 8.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(n->saved[0]),
						      CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__FLOAT(dx->beta),
						      CLEF__INT(x->shape.dim[1]), CLEF__INT(x->shape.dim[0]) },
				    });
}

static clef_status loss_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef_tensor *x = n->x[0];

	if (!dx->dx)
		return CLEF_OK;
	if (clef_device_get_info(x->dev)->kind == CLEF_DEVICE_CPU)
		return backward_by_rows(n, dy, dx);
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "cross_entropy",
					    .kernel = "cross_entropy_backward",
					    .global = { (size_t)x->numel },
					    .bytes = 8.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(n->saved[0]),
						      CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__FLOAT(dx->beta),
						      CLEF__INT(x->shape.dim[1]), CLEF__DIVIDER(x->shape.dim[1]),
						      CLEF__INT(x->shape.dim[0]), CLEF__INT(x->numel) },
				    });
}

static const clef__op cross_entropy = { "cross_entropy", loss_infer, loss_forward, loss_backward };

clef_tensor *clef_cross_entropy(clef_tensor *logits, clef_tensor *labels)
{
	return clef__apply(&cross_entropy, (clef_tensor *[]){ logits, labels }, 2, NULL, 0);
}

static clef_status accuracy_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	(void)dtype;
	*shape = CLEF_SCALAR;
	return check_inputs(n);
}

static clef_status accuracy_forward(const clef__node *n)
{
	return mean_of_rows(n, "accuracy", NULL);
}

static const clef__op accuracy = { "accuracy", accuracy_infer, accuracy_forward, NULL };

clef_tensor *clef_accuracy(clef_tensor *logits, clef_tensor *labels)
{
	return clef__apply(&accuracy, (clef_tensor *[]){ logits, labels }, 2, NULL, 0);
}
