/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cross-entropy with all its options, and nll_loss, which is the same without the softmax. Labels are treated as
 * probabilities of 0 and 1, so smoothing, weights and soft targets are one formula: with the target masses
 * m = weight ((1 - e) target + e / classes), a row's loss is the sum of -m log softmax(x) and its gradient
 * softmax(x) sum(m) - m. Plain cross-entropy has a shorter path in cross_entropy.c.
 */
#include <clef/loss.h>

#include "tape.h"

/* Elements of a work-item of a CPU, backward. */
#define SPAN 1024

static const bool all_dims[CLEF_MAX_DIMS] = { true };

typedef struct class_loss_opts {
	clef_reduction reduction;
	float smoothing;
	int32_t ignore;
	/* Filled in by infer(): the input as n x classes x inner. */
	int classes, inner, rows;
} class_loss_opts;

/* saved[0]: of each row what backward needs, as class_loss.cl says; saved[1]: one over what the mean divides by. */

static const char *defines_of(const clef__node *n);

static clef_status check_options(const clef__node *n, const class_loss_opts *opts)
{
	if ((int)opts->reduction < 0 || opts->reduction > CLEF_REDUCTION_NONE)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "reduction %d: 0 to %d are allowed", (int)opts->reduction,
				     (int)CLEF_REDUCTION_NONE);
	if (!(opts->smoothing >= 0 && opts->smoothing <= 1))
		return clef__op_fail(n, CLEF_ERROR_INVALID, "label_smoothing is %g: 0 to 1 are allowed",
				     (double)opts->smoothing);
	return CLEF_OK;
}

/* The shapes of target and weight, once that of the input is known to be right. */
static clef_status check_target(const clef__node *n, const class_loss_opts *opts, const clef_shape *rows)
{
	const clef_tensor *x = n->x[0], *target = n->x[1];
	const clef_shape *expected = target->dtype == CLEF_INT32 ? rows : &x->shape;

	if (!clef_shape_equal(target->shape, *expected))
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "%s have shape %s, expected %s for input %s",
				     target->dtype == CLEF_INT32 ? "labels" : "probabilities",
				     CLEF__SHAPE_TEXT(target->shape), CLEF__SHAPE_TEXT(*expected),
				     CLEF__SHAPE_TEXT(x->shape));
	if (n->inputs < 3)
		return CLEF_OK;
	if (n->x[2]->shape.ndim != 1 || n->x[2]->numel != opts->classes)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "weight has shape %s, expected [%d] for input %s",
				     CLEF__SHAPE_TEXT(n->x[2]->shape), opts->classes, CLEF__SHAPE_TEXT(x->shape));
	return clef__op_dtype(n, 2, "weight", CLEF_FLOAT32);
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	/* The copy in the arena, which is this node's own. */
	class_loss_opts *opts = (class_loss_opts *)(uintptr_t)n->opts;
	const clef_shape *x = &n->x[0]->shape;
	int dim = x->ndim == 1 ? 0 : 1;
	clef_shape rows = *x;
	clef_status status = clef__op_dtype(n, 0, "input", CLEF_FLOAT32);

	(void)dtype;
	if (!status)
		status = check_options(n, opts);
	if (!status && (x->ndim < 1 || x->dim[dim] < 1))
		status = clef__op_fail(n, CLEF_ERROR_SHAPE,
				       "input has shape %s, expected [classes], [n, classes] or [n, classes, ...] with "
				       "one class at least",
				       CLEF__SHAPE_TEXT(*x));
	if (status)
		return status;
	opts->classes = (int)x->dim[dim];
	opts->rows = (int)(n->x[0]->numel / opts->classes);
	opts->inner = 1;
	for (int i = dim + 1; i < x->ndim; i++) {
		rows.dim[i - 1] = x->dim[i];
		if (opts->rows)
			opts->inner *= (int)x->dim[i];
	}
	rows.ndim--;
	*shape = opts->reduction == CLEF_REDUCTION_NONE ? rows : CLEF_SCALAR;
	status = check_target(n, opts, &rows);
	if (!status)
		status = clef__save(n, 0, CLEF_FLOAT32, CLEF_SHAPE(3, opts->rows));
	return status ? status : clef__save(n, 1, CLEF_FLOAT32, CLEF_SCALAR);
}

/* Weights may be left out: any other buffer then takes their place. */
static const clef_tensor *weight_of(const clef__node *n)
{
	return n->inputs > 2 ? n->x[2] : n->x[0];
}

static clef_status run_rows(const clef__node *n, const clef_tensor *losses, const clef_tensor *shares)
{
	const class_loss_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];

	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "class_loss",
			.defines = defines_of(n),
			.kernel = "class_loss",
			.label = n->op->name,
			.global = { (size_t)opts->rows },
			.long_items = true,
			.bytes = 4.0 * (double)x->numel,
			.args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(weight_of(n)),
				  CLEF__TENSOR(losses), CLEF__TENSOR(shares), CLEF__TENSOR(n->saved[0]),
				  CLEF__INT(n->inputs > 2), CLEF__FLOAT(opts->smoothing), CLEF__INT(opts->ignore),
				  CLEF__INT(opts->classes), CLEF__INT(opts->inner), CLEF__INT(opts->rows) },
		});
}

/* y = sum of losses / sum of shares, of which the inverse is kept. */
static clef_status divide(const clef__node *n)
{
	return clef__launch(n->y->dev, &(clef__launch_opts){
					       .program = "class_loss",
					       .defines = defines_of(n),
					       .kernel = "class_loss_divide",
					       .global = { 1 },
					       .bytes = 16,
					       .args = { CLEF__TENSOR(n->y), CLEF__TENSOR(n->saved[1]) },
				       });
}

static clef_status forward(const clef__node *n)
{
	const class_loss_opts *opts = n->opts;
	bool none = opts->reduction == CLEF_REDUCTION_NONE;
	clef_tensor *shares = clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(opts->rows));
	clef_tensor *losses = none ? n->y : clef__scratch(n, CLEF_FLOAT32, CLEF_SHAPE(opts->rows));
	clef_status status = losses && shares ? run_rows(n, losses, shares) : clef_error_status();

	if (!status && !none)
		status = clef__reduce_sum(losses, all_dims, 1, 0, n->y);
	if (!status && opts->reduction == CLEF_REDUCTION_MEAN)
		status = clef__reduce_sum(shares, all_dims, 1, 0, n->saved[1]);
	if (!status && opts->reduction == CLEF_REDUCTION_MEAN)
		status = divide(n);
	if (!none)
		clef__scratch_free(losses);
	clef__scratch_free(shares);
	return status;
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	static const char *const kernels[] = { "class_loss_backward", "class_loss_backward_target" };
	const class_loss_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	/* Neighbours, of a row or of a class. */
	const int along = CLEF__MAX(opts->inner == 1 ? opts->classes : opts->inner, 1);
	const int span = clef_device_get_info(x->dev)->kind == CLEF_DEVICE_CPU ? CLEF__MIN(along, SPAN) : 1;
	const int items = (int)(x->numel / along) * clef__divide_up(along, span);
	clef_status status = CLEF_OK;

	for (int i = 0; i < 2 && !status; i++)
		if (dx[i].dx)
			status = clef__launch(
				x->dev,
				&(clef__launch_opts){
					.program = "class_loss",
					.defines = defines_of(n),
					.kernel = kernels[i],
					.global = { (size_t)items },
					.long_items = span > 1,
					.bytes = 8.0 * (double)x->numel,
					.args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(weight_of(n)),
						  CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(n->saved[1]),
						  CLEF__TENSOR(dy), CLEF__TENSOR(dx[i].dx), CLEF__INT(n->inputs > 2),
						  CLEF__FLOAT(opts->smoothing), CLEF__INT(opts->ignore),
						  CLEF__INT((int)opts->reduction), CLEF__FLOAT(dx[i].beta),
						  CLEF__INT(opts->classes), CLEF__INT(opts->inner),
						  CLEF__INT(opts->rows), CLEF__INT(span), CLEF__INT(items) },
				});
	return status;
}

static const clef__op cross_entropy = { "cross_entropy", infer, forward, backward };
static const clef__op nll_loss = { "nll_loss", infer, forward, backward };

static const char *defines_of(const clef__node *n)
{
	return n->op == &nll_loss             ? "#define FROM_LOGITS 0\n#define LABELS 1\n"
	       : n->x[1]->dtype == CLEF_INT32 ? "#define FROM_LOGITS 1\n#define LABELS 1\n"
					      : "#define FROM_LOGITS 1\n#define LABELS 0\n";
}

static clef_tensor *apply(const clef__op *op, clef_tensor *x, clef_tensor *target, const clef_cross_entropy_opts *given)
{
	class_loss_opts opts = { .ignore = -100 };
	clef_tensor *weight = given ? given->weight : NULL;

	if (given) {
		opts.reduction = given->reduction;
		opts.smoothing = given->label_smoothing;
		opts.ignore = given->has_ignore_index ? given->ignore_index : -100;
	}
	/* No gradient flows to the weights. */
	if (weight && weight->requires_grad)
		weight = clef_detach(weight);
	return clef__apply(op, (clef_tensor *[]){ x, target, weight }, given && given->weight ? 3 : 2, &opts,
			   sizeof(opts));
}

clef_tensor *clef_cross_entropy_with(clef_tensor *logits, clef_tensor *target, const clef_cross_entropy_opts *opts)
{
	return apply(&cross_entropy, logits, target, opts);
}

clef_tensor *clef_nll_loss(clef_tensor *log_probabilities, clef_tensor *labels, const clef_cross_entropy_opts *opts)
{
	if (opts && opts->label_smoothing != 0)
		return clef__fail_null(CLEF_ERROR_INVALID,
				       "nll_loss: label_smoothing is %g: it is for "
				       "clef_cross_entropy_with()",
				       (double)opts->label_smoothing);
	if (labels && labels->dtype != CLEF_INT32)
		return clef__fail_null(CLEF_ERROR_DTYPE, "nll_loss: labels is %s, expected int32",
				       clef_dtype_name(labels->dtype));
	return apply(&nll_loss, log_probabilities, labels, opts);
}
