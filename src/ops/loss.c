/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses of an element and its target. Each is a row of expressions, like the pointwise operations, and the kernels of
 * cl/loss.cl around them know the reductions: forward the losses go to y or to a scratch tensor that is summed,
 * backward the gradient of a sum is one number for all. Weights, and losses of several tensors, are made of other
 * operations.
 */
#include <math.h>

#include <clef/ops.h>

#include "tape.h"

static const bool all_dims[CLEF_MAX_DIMS] = { true, true, true, true, true, true, true, true };

typedef struct loss {
	clef__op op; /* first: a node's op leads back here */
	const char *defines, *backward_label;
} loss;

typedef struct loss_opts {
	clef_reduction reduction;
	float p;
} loss_opts;

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const loss_opts *opts = n->opts;
	const clef_shape *x = &n->x[0]->shape, *target = &n->x[1]->shape;
	clef_status status = clef__op_dtype(n, 0, "x", CLEF_FLOAT32);

	(void)dtype;
	if (!status)
		status = clef__op_dtype(n, 1, "target", CLEF_FLOAT32);
	if (!status && !clef_shape_equal(*x, *target))
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "target has shape %s, expected %s, that of x",
				       CLEF__SHAPE_TEXT(*target), CLEF__SHAPE_TEXT(*x));
	if (!status && isnan(opts->p))
		status = clef__op_fail(n, CLEF_ERROR_INVALID, "the parameter is NaN");
	*shape = opts->reduction == CLEF_REDUCTION_NONE ? *x : CLEF_SCALAR;
	return status;
}

/* What the sum is multiplied with; for no elements the mean is 0 times infinity. */
static float scale_of(const clef__node *n)
{
	const loss_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];

	if (opts->reduction == CLEF_REDUCTION_MEAN)
		return 1 / (float)x->numel;
	if (opts->reduction == CLEF_REDUCTION_BATCHMEAN)
		return x->shape.ndim ? 1 / (float)x->shape.dim[0] : 1;
	return 1;
}

static clef_status forward(const clef__node *n)
{
	const loss *l = (const loss *)n->op;
	const loss_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	bool none = opts->reduction == CLEF_REDUCTION_NONE;
	clef_tensor *losses = none ? n->y : clef__scratch(n, CLEF_FLOAT32, x->shape);
	clef_status status;

	if (!losses)
		return clef_error_status();
	status = clef__launch(x->dev, &(clef__launch_opts){
					      .program = "loss",
					      .defines = l->defines,
					      .kernel = "loss_forward",
					      .label = l->op.name,
					      .global = { (size_t)x->numel },
					      .bytes = 12.0 * (double)x->numel,
					      .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(losses),
							CLEF__FLOAT(opts->p), CLEF__INT(x->numel) },
				      });
	if (none)
		return status;
	if (!status)
		status = clef__reduce_sum(losses, all_dims, scale_of(n), 0, n->y);
	clef__scratch_free(losses);
	return status;
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const loss *l = (const loss *)n->op;
	const loss_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];
	clef_status status = CLEF_OK;

	for (int side = 0; side < 2 && !status; side++)
		if (dx[side].dx)
			status = clef__launch(
				x->dev, &(clef__launch_opts){
						.program = "loss",
						.defines = l->defines,
						.kernel = "loss_backward",
						.label = l->backward_label,
						.global = { (size_t)x->numel },
						.bytes = (dx[side].beta != 0 ? 16.0 : 12.0) * (double)x->numel,
						.args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(dy),
							  CLEF__TENSOR(dx[side].dx), CLEF__FLOAT(opts->p),
							  CLEF__INT(side), CLEF__FLOAT(scale_of(n)),
							  CLEF__INT(opts->reduction == CLEF_REDUCTION_NONE),
							  CLEF__FLOAT(dx[side].beta), CLEF__INT(x->numel) },
					});
	return status;
}

#define LOSS(name, value, gradient, target_gradient)                                                                   \
	static const loss name = { { #name, infer, forward, backward },                                                \
				   "#define VALUE " value "\n#define GRADIENT " gradient                               \
				   "\n#define TARGET_GRADIENT " target_gradient "\n",                                  \
				   #name " backward" };

/* clang-format off */
LOSS(mse_loss,
	"(x - t) * (x - t)",
	"2.0f * (x - t)",
	"2.0f * (t - x)")
LOSS(l1_loss,
	"fabs(x - t)",
	"sign(x - t)",
	"sign(t - x)")
LOSS(smooth_l1_loss,
	"smooth_l1(fabs(x - t), p)",
	"smooth_l1_slope(x - t, p)",
	"-smooth_l1_slope(x - t, p)")
LOSS(huber_loss,
	"fabs(x - t) <= p ? 0.5f * (x - t) * (x - t) : p * (fabs(x - t) - 0.5f * p)",
	"limited(x - t, p)",
	"-limited(x - t, p)")
LOSS(bce_loss,
	"(t - 1.0f) * at_least(log1p(-x), -100.0f) - t * at_least(log(x), -100.0f)",
	"(x - t) / fmax((1.0f - x) * x, 1e-12f)",
	"log1p(-x) - log(x)")
LOSS(bce_with_logits_loss,
	"(1.0f - t) * x + soft_plus(-x)",
	"1.0f / (1.0f + exp(-x)) - t",
	"-x")
LOSS(kl_div,
	"(t == 0.0f ? 0.0f : t * log(t)) - t * x",
	"-t",
	"log(t) + 1.0f - x")
LOSS(kl_div_log_target,
	"exp(t) * (t - x)",
	"-exp(t)",
	"exp(t) * (t - x + 1.0f)")
/* The targets of these are labels. */
LOSS(hinge_embedding_loss,
	"(t != 1.0f ? at_least(p - x, 0.0f) : 0.0f) + (t != -1.0f ? x : 0.0f)",
	"(t != 1.0f && p - x > 0.0f ? -1.0f : 0.0f) + (t != -1.0f ? 1.0f : 0.0f)",
	"0.0f")
LOSS(margin_ranking_loss,
	"at_least(p - t * x, 0.0f)",
	"p - t * x > 0.0f ? -t : 0.0f",
	"0.0f")
LOSS(cosine_embedding_loss,
	"t == 1.0f ? 1.0f - x : t == -1.0f ? at_least(x - p, 0.0f) : 0.0f",
	"t == 1.0f ? -1.0f : t == -1.0f && x - p > 0.0f ? 1.0f : 0.0f",
	"0.0f")
/* clang-format on */

static clef_tensor *apply(const loss *l, clef_tensor *x, clef_tensor *target, float p, clef_reduction reduction)
{
	const loss_opts opts = { reduction, p };
	int known = l == &kl_div || l == &kl_div_log_target ? CLEF_REDUCTION_BATCHMEAN : CLEF_REDUCTION_NONE;

	if ((int)reduction < 0 || (int)reduction > known)
		return clef__fail_null(CLEF_ERROR_INVALID, "%s: reduction %d: 0 to %d are allowed", l->op.name,
				       (int)reduction, known);
	return clef__apply(&l->op, (clef_tensor *[]){ x, target }, 2, &opts, sizeof(opts));
}

clef_tensor *clef_mse_loss(clef_tensor *x, clef_tensor *target, clef_reduction reduction)
{
	return apply(&mse_loss, x, target, 0, reduction);
}

clef_tensor *clef_l1_loss(clef_tensor *x, clef_tensor *target, clef_reduction reduction)
{
	return apply(&l1_loss, x, target, 0, reduction);
}

clef_tensor *clef_smooth_l1_loss(clef_tensor *x, clef_tensor *target, float beta, clef_reduction reduction)
{
	if (!(beta >= 0))
		return clef__fail_null(CLEF_ERROR_INVALID, "smooth_l1_loss: beta is %g: 0 or more is allowed",
				       (double)beta);
	return apply(&smooth_l1_loss, x, target, beta, reduction);
}

clef_tensor *clef_huber_loss(clef_tensor *x, clef_tensor *target, float delta, clef_reduction reduction)
{
	if (!(delta > 0))
		return clef__fail_null(CLEF_ERROR_INVALID, "huber_loss: delta is %g: more than 0 is allowed",
				       (double)delta);
	return apply(&huber_loss, x, target, delta, reduction);
}

clef_tensor *clef_kl_div(clef_tensor *x, clef_tensor *target, bool log_target, clef_reduction reduction)
{
	return apply(log_target ? &kl_div_log_target : &kl_div, x, target, 0, reduction);
}

/* A weight or label: no gradient flows to it. */
static clef_tensor *constant(clef_tensor *x)
{
	return x && x->requires_grad ? clef_detach(x) : x;
}

/* ---- binary cross-entropy, with weights ---- */

/* The losses times the weight, reduced. */
static clef_tensor *weighted(const loss *l, clef_tensor *losses, clef_tensor *weight, clef_reduction reduction)
{
	clef_tensor *y = weight ? clef_mul(losses, constant(weight)) : losses;

	if (y && !clef_shape_equal(y->shape, losses->shape))
		return clef__fail_null(CLEF_ERROR_SHAPE, "%s: weight %s cannot be broadcast to x %s", l->op.name,
				       CLEF__SHAPE_TEXT(weight->shape), CLEF__SHAPE_TEXT(losses->shape));
	return reduction == CLEF_REDUCTION_NONE  ? y
	       : reduction == CLEF_REDUCTION_SUM ? clef_sum(y, NULL)
						 : clef_mean(y, NULL);
}

/* (pos_weight - 1) target softplus(-x): what a weight other than 1 adds to the losses. */
static clef_tensor *add_positive(clef_tensor *losses, clef_tensor *x, clef_tensor *target, clef_tensor *pos_weight)
{
	clef_tensor *share = clef_mul(target, clef_add_scalar(constant(pos_weight), -1));

	if (share && x && !clef_shape_equal(share->shape, x->shape))
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "bce_with_logits_loss: pos_weight %s cannot be broadcast to x %s",
				       CLEF__SHAPE_TEXT(pos_weight->shape), CLEF__SHAPE_TEXT(x->shape));
	return clef_add(losses, clef_mul(share, clef_softplus(clef_neg(x), 1, 20)));
}

static clef_tensor *apply_bce(const loss *l, clef_tensor *x, clef_tensor *target, const clef_bce_opts *opts)
{
	const clef_bce_opts defaults = { .reduction = CLEF_REDUCTION_MEAN };
	clef_tensor *losses;

	if (!opts)
		opts = &defaults;
	if ((int)opts->reduction < 0 || opts->reduction > CLEF_REDUCTION_NONE || (!opts->weight && !opts->pos_weight))
		return apply(l, x, target, 0, opts->reduction);
	losses = apply(l, x, target, 0, CLEF_REDUCTION_NONE);
	if (losses && opts->pos_weight)
		losses = add_positive(losses, x, target, opts->pos_weight);
	return losses ? weighted(l, losses, opts->weight, opts->reduction) : NULL;
}

clef_tensor *clef_bce_loss(clef_tensor *x, clef_tensor *target, const clef_bce_opts *opts)
{
	if (opts && opts->pos_weight)
		return clef__fail_null(CLEF_ERROR_INVALID, "bce_loss: pos_weight is for clef_bce_with_logits_loss()");
	return apply_bce(&bce_loss, x, target, opts);
}

clef_tensor *clef_bce_with_logits_loss(clef_tensor *logits, clef_tensor *target, const clef_bce_opts *opts)
{
	return apply_bce(&bce_with_logits_loss, logits, target, opts);
}

/* ---- margins ---- */

clef_tensor *clef_hinge_embedding_loss(clef_tensor *x, clef_tensor *target, float margin, clef_reduction reduction)
{
	return apply(&hinge_embedding_loss, x, constant(target), margin, reduction);
}

/* Only tensors of one shape: clef_sub() alone would broadcast. */
static bool same_shape(const char *name, const clef_tensor *a, const clef_tensor *b)
{
	if (a && b && !clef_shape_equal(a->shape, b->shape)) {
		clef__fail(CLEF_ERROR_SHAPE, "%s: x1 %s and x2 %s, expected one shape", name,
			   CLEF__SHAPE_TEXT(a->shape), CLEF__SHAPE_TEXT(b->shape));
		return false;
	}
	return true;
}

clef_tensor *clef_margin_ranking_loss(clef_tensor *x1, clef_tensor *x2, clef_tensor *target, float margin,
				      clef_reduction reduction)
{
	if (!same_shape("margin_ranking_loss", x1, x2))
		return NULL;
	return apply(&margin_ranking_loss, clef_sub(x1, x2), constant(target), margin, reduction);
}

clef_tensor *clef_cosine_similarity(clef_tensor *x1, clef_tensor *x2, int dim, float eps)
{
	const clef_norm_opts norm = { .ndim = 1, .dim = { dim }, .keepdim = true };
	const clef_reduce_opts along = { .ndim = 1, .dim = { dim } };
	clef_tensor *a, *b;
	int at;

	if (!(eps > 0))
		return clef__fail_null(CLEF_ERROR_INVALID, "cosine_similarity: eps is %g: more than 0 is allowed",
				       (double)eps);
	if (x1 && x2 && x1->shape.ndim != x2->shape.ndim)
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "cosine_similarity: x1 %s and x2 %s, expected as many dimensions",
				       CLEF__SHAPE_TEXT(x1->shape), CLEF__SHAPE_TEXT(x2->shape));
	at = x1 && dim < 0 ? dim + x1->shape.ndim : dim;
	/* Only what is not summed may be broadcast, or the norms would be those of shorter vectors. */
	if (x1 && x2 && at >= 0 && at < x1->shape.ndim && x1->shape.dim[at] != x2->shape.dim[at])
		return clef__fail_null(CLEF_ERROR_SHAPE, "cosine_similarity: x1 %s and x2 %s differ in dimension %d",
				       CLEF__SHAPE_TEXT(x1->shape), CLEF__SHAPE_TEXT(x2->shape), at);
	a = clef_div(x1, clef_clamp(clef_norm(x1, &norm), eps, INFINITY));
	b = clef_div(x2, clef_clamp(clef_norm(x2, &norm), eps, INFINITY));
	return clef_sum(clef_mul(a, b), &along);
}

/* PyTorch adds 1e-12 to the squares of the norms here, instead of limiting them. */
clef_tensor *clef_cosine_embedding_loss(clef_tensor *x1, clef_tensor *x2, clef_tensor *target, float margin,
					clef_reduction reduction)
{
	const clef_reduce_opts along = { .ndim = 1, .dim = { -1 } };
	clef_tensor *inner, *a, *b;

	if (!same_shape("cosine_embedding_loss", x1, x2))
		return NULL;
	if (x1 && (x1->shape.ndim < 1 || x1->shape.ndim > 2))
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "cosine_embedding_loss: x1 has shape %s, expected [n, d] or [d]",
				       CLEF__SHAPE_TEXT(x1->shape));
	inner = clef_sum(clef_mul(x1, x2), &along);
	a = clef_add_scalar(clef_sum(clef_square(x1), &along), 1e-12f);
	b = clef_add_scalar(clef_sum(clef_square(x2), &along), 1e-12f);
	return apply(&cosine_embedding_loss, clef_div(inner, clef_sqrt(clef_mul(a, b))), constant(target), margin,
		     reduction);
}
