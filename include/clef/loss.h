/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses and scores. What ops.h says of all operations holds for these, and of each the formula, the limits and the
 * defaults are those of the function in torch.nn.functional that its comment names. NaN and infinity travel as there.
 *
 *   clef_mse_loss(y, target, CLEF_REDUCTION_MEAN)
 *   clef_cross_entropy_with(logits, labels, &(clef_cross_entropy_opts){ .label_smoothing = 0.1f })
 *
 * An unknown reduction is CLEF_ERROR_INVALID. The mean of no losses is NaN, their sum 0.
 */
#ifndef CLEF_LOSS_H
#define CLEF_LOSS_H

#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of the losses of the elements, or rows. */
typedef enum clef_reduction {
	CLEF_REDUCTION_MEAN,
	CLEF_REDUCTION_SUM,
	CLEF_REDUCTION_NONE,      /* the losses themselves */
	CLEF_REDUCTION_BATCHMEAN, /* their sum, divided by the first dimension of x: for clef_kl_div() alone */
} clef_reduction;

/* ---- losses of classifiers ---- */

/* The mean over n of -log softmax(logits[n])[labels[n]], a scalar. logits [n, classes], labels [n] int32 in
 * 0..classes-1; a label outside makes the loss NaN (a kernel cannot report it otherwise). Computed from the logits
 * less their maximum, so that large ones do not overflow. torch.nn.functional.cross_entropy. */
CLEF_API clef_tensor *clef_cross_entropy(clef_tensor *logits, clef_tensor *labels);

/* For clef_cross_entropy_with() and clef_nll_loss(). */
typedef struct clef_cross_entropy_opts {
	clef_tensor *weight;   /* of each class, [classes] float32; NULL: all 1. No gradient flows to it. */
	bool has_ignore_index; /* false: labels of -100 are ignored, which is PyTorch's default */
	int32_t ignore_index;  /* labels of this value are ignored instead */
	float label_smoothing; /* 0 to 1: this share of every target is spread evenly over all classes */
	clef_reduction reduction;
} clef_cross_entropy_opts;

/*
 * The cross-entropy of logits [classes], [n, classes] or [n, classes, d1, ...] against a target, which is
 *
 *   - int32 labels, of the shape of the logits without the classes. The loss of a row is
 *     -weight[label] log softmax(logits)[label], that of an ignored one 0; the mean is weighted: the sum of losses
 *     divided by the sum of the weights of the labels that are not ignored. A label that is no class and not ignored
 *     makes the loss NaN, and so does a mean in which all are ignored.
 *   - float32 probabilities of the classes, of the shape of the logits: the loss of a row is the sum over its classes
 * of -target weight log softmax(logits), and the mean is over rows. Gradients flow to such a target too.
 *
 * Smoothing by e makes (1 - e) target + e / classes of a target, labels being probabilities of 0 and 1. opts NULL: the
 * defaults. Errors: label_smoothing outside of 0..1 is CLEF_ERROR_INVALID. torch.nn.functional.cross_entropy.
 */
CLEF_API clef_tensor *clef_cross_entropy_with(clef_tensor *logits, clef_tensor *target,
					      const clef_cross_entropy_opts *opts);

/* The same against labels alone, for inputs that are log-probabilities already, as clef_log_softmax() gives them; there
 * is no smoothing (CLEF_ERROR_INVALID). torch.nn.functional.nll_loss. */
CLEF_API clef_tensor *clef_nll_loss(clef_tensor *log_probabilities, clef_tensor *labels,
				    const clef_cross_entropy_opts *opts);

/* The share of rows n whose largest logit is at labels[n]; on a tie the first one counts; a NaN counts as largest.
 * Shapes as for clef_cross_entropy(); a scalar in [0, 1], NaN for n = 0. No gradient flows through it. */
CLEF_API clef_tensor *clef_accuracy(clef_tensor *logits, clef_tensor *labels);

/* ---- losses of one element and its target: both of one shape; gradients flow to both ---- */

/* (x - target)^2. torch.nn.functional.mse_loss. */
CLEF_API clef_tensor *clef_mse_loss(clef_tensor *x, clef_tensor *target, clef_reduction reduction);

/* |x - target|; the gradient of equal ones is 0. torch.nn.functional.l1_loss. */
CLEF_API clef_tensor *clef_l1_loss(clef_tensor *x, clef_tensor *target, clef_reduction reduction);

/* d^2 / (2 beta) where d = |x - target| is below beta, else d - beta / 2; beta >= 0, PyTorch's default is 1.
 * torch.nn.functional.smooth_l1_loss. */
CLEF_API clef_tensor *clef_smooth_l1_loss(clef_tensor *x, clef_tensor *target, float beta, clef_reduction reduction);

/* d^2 / 2 where d = |x - target| is at most delta, else delta (d - delta / 2); delta > 0, PyTorch's default is 1.
 * torch.nn.functional.huber_loss. */
CLEF_API clef_tensor *clef_huber_loss(clef_tensor *x, clef_tensor *target, float delta, clef_reduction reduction);

typedef struct clef_bce_opts {
	clef_tensor *weight; /* factors of the losses, of a shape that broadcasts to that of x; NULL: 1 */
	clef_tensor
		*pos_weight; /* factors of the part that a target of 1 makes, likewise; NULL: 1. With logits only. */
	clef_reduction reduction;
} clef_bce_opts;

/* -(target log x + (1 - target) log(1 - x)), each logarithm at least -100. x from 0 to 1, else NaN (PyTorch: an error).
 * opts NULL: the defaults; pos_weight is CLEF_ERROR_INVALID. torch.nn.functional.binary_cross_entropy. */
CLEF_API clef_tensor *clef_bce_loss(clef_tensor *x, clef_tensor *target, const clef_bce_opts *opts);

/* The same of x = sigmoid(logits), computed without loss for logits of any size.
 * torch.nn.functional.binary_cross_entropy_with_logits. */
CLEF_API clef_tensor *clef_bce_with_logits_loss(clef_tensor *logits, clef_tensor *target, const clef_bce_opts *opts);

/* target (log target - x), 0 for a target of 0; with log_target, target itself is a logarithm: exp(target) (target -
 * x). x holds log-probabilities. The mean is over elements, as in PyTorch; CLEF_REDUCTION_BATCHMEAN is what the name
 * means. torch.nn.functional.kl_div. */
CLEF_API clef_tensor *clef_kl_div(clef_tensor *x, clef_tensor *target, bool log_target, clef_reduction reduction);

/* ---- margins: target holds 1 and -1, float32, and gets no gradient ---- */

/* x where target is 1, max(0, margin - x) where it is -1, and the sum of both elsewhere. One shape. PyTorch's default
 * margin is 1. torch.nn.functional.hinge_embedding_loss. */
CLEF_API clef_tensor *clef_hinge_embedding_loss(clef_tensor *x, clef_tensor *target, float margin,
						clef_reduction reduction);

/* max(0, margin - target (x1 - x2)). Three tensors of one shape. PyTorch's default margin is 0.
 * torch.nn.functional.margin_ranking_loss. */
CLEF_API clef_tensor *clef_margin_ranking_loss(clef_tensor *x1, clef_tensor *x2, clef_tensor *target, float margin,
					       clef_reduction reduction);

/* x1 x2 / (|x1| |x2|) along one dimension, which goes away; each norm is at least eps, PyTorch's default of which is
 * 1e-8. x1 and x2 have as many dimensions, equal along dim and otherwise broadcast as in clef_mul().
 * torch.nn.functional.cosine_similarity. */
CLEF_API clef_tensor *clef_cosine_similarity(clef_tensor *x1, clef_tensor *x2, int dim, float eps);

/* 1 - cos where target is 1, max(0, cos - margin) where it is -1, 0 elsewhere, with cos the cosine of two vectors: x1
 * and x2 [n, d] or [d], target [n] or a scalar. PyTorch's default margin is 0.
 * torch.nn.functional.cosine_embedding_loss. */
CLEF_API clef_tensor *clef_cosine_embedding_loss(clef_tensor *x1, clef_tensor *x2, clef_tensor *target, float margin,
						 clef_reduction reduction);

#ifdef __cplusplus
}
#endif

#endif
