/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that make one value of many, and the softmax family. What ops.h says of all operations holds for these.
 *
 * Reductions take the dimensions to reduce in an option struct, which begins with the same three fields for all of
 * them:
 *
 *   clef_sum(x, NULL)                                                         of everything, a scalar
 *   clef_max(x, &(clef_reduce_opts){ .ndim = 1, .dim = { -1 } })              over the last dimension
 *   clef_var(x, &(clef_var_opts){ .ndim = 3, .dim = { 0, 2, 3 }, .keepdim = true })
 *
 * A dimension out of range or given twice is CLEF_ERROR_INVALID.
 */
#ifndef CLEF_REDUCE_H
#define CLEF_REDUCE_H

#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clef_reduce_opts {
	int ndim;               /* how many entries of dim count; 0: reduce over all dimensions */
	int dim[CLEF_MAX_DIMS]; /* dimensions to reduce, each once; negative ones count from the end */
	bool keepdim;           /* keep the reduced dimensions, with size 1 */
} clef_reduce_opts;

/* ---- sums ---- */

/* The sum over the given dimensions; opts NULL: over all, giving a scalar. The sum of nothing is 0. torch.sum. */
CLEF_API clef_tensor *clef_sum(clef_tensor *x, const clef_reduce_opts *opts);

/* The mean over the given dimensions; opts NULL: over all. The mean of nothing is NaN. torch.mean. */
CLEF_API clef_tensor *clef_mean(clef_tensor *x, const clef_reduce_opts *opts);

typedef struct clef_var_opts {
	int ndim, dim[CLEF_MAX_DIMS]; /* as in clef_reduce_opts */
	bool keepdim;
	bool biased; /* divide by the number of values n, not by n - 1. PyTorch: correction=0 */
} clef_var_opts;

/*
 * The variance and its root, the standard deviation, over the given dimensions: the sum of squared distances from the
 * mean, divided by n - 1. In two passes, with a mean that is more precise than a float, so that values far from 0 lose
 * nothing. NaN where the divisor is 0. Where the standard deviation is 0 so is its gradient. torch.var, torch.std.
 */
CLEF_API clef_tensor *clef_var(clef_tensor *x, const clef_var_opts *opts);
CLEF_API clef_tensor *clef_std(clef_tensor *x, const clef_var_opts *opts);

typedef struct clef_norm_opts {
	int ndim, dim[CLEF_MAX_DIMS]; /* as in clef_reduce_opts */
	bool keepdim;
	float p; /* the order; 0: 2 */
} clef_norm_opts;

/*
 * The vector norm over the given dimensions: (sum of |x|^p)^(1/p); the largest |x| for p INFINITY, the smallest for
 * -INFINITY. Any other p but NaN is allowed (CLEF_ERROR_INVALID). The norm of nothing is 0 for p > 0; for others, and
 * for infinite p, it does not exist (CLEF_ERROR_SHAPE). Where the norm is 0 so is its gradient; with infinite p equal
 * values share the gradient. torch.linalg.vector_norm.
 */
CLEF_API clef_tensor *clef_norm(clef_tensor *x, const clef_norm_opts *opts);

/* ---- extremes ---- */

/*
 * The largest and the smallest value over the given dimensions. Where there is a NaN the result is NaN. Equal values
 * share the gradient evenly. Of nothing there is none: CLEF_ERROR_SHAPE. torch.amax, torch.amin.
 */
CLEF_API clef_tensor *clef_max(clef_tensor *x, const clef_reduce_opts *opts);
CLEF_API clef_tensor *clef_min(clef_tensor *x, const clef_reduce_opts *opts);

/*
 * The index of the largest and of the smallest value along one dimension, int32; over all dimensions (opts NULL) the
 * index in the flattened tensor. The first of equal values counts, and before them the first NaN. No gradient flows.
 * Errors: CLEF_ERROR_INVALID for two or more dimensions, CLEF_ERROR_SHAPE where there is nothing to choose from.
 * torch.argmax, torch.argmin.
 */
CLEF_API clef_tensor *clef_argmax(clef_tensor *x, const clef_reduce_opts *opts);
CLEF_API clef_tensor *clef_argmin(clef_tensor *x, const clef_reduce_opts *opts);

/*
 * The k largest values along the last dimension, largest first, [..., n] to [..., k], and in *indices, unless that is
 * NULL, where they were: int32, valid as long as the result, and NULL when this fails. Of equal values the first comes
 * first; a NaN counts as largest. A value's gradient goes to its place. 0 <= k <= n (CLEF_ERROR_INVALID). Takes time
 * proportional to k n, so it is for small k. torch.topk.
 */
CLEF_API clef_tensor *clef_topk(clef_tensor *x, int k, clef_tensor **indices);

/* The share of rows whose label is among the k largest logits, as clef_topk() orders them: with k = 1 what
 * clef_accuracy() gives. logits [n, classes], labels [n] int32, 1 <= k <= classes; a label that is no class is a miss.
 * A scalar in [0, 1], NaN for n = 0. No gradient flows through it. */
CLEF_API clef_tensor *clef_topk_accuracy(clef_tensor *logits, clef_tensor *labels, int k);

/* ---- the softmax family ---- */

/*
 * exp(x) / sum(exp(x)) along one dimension, and its logarithm. Computed from x less its maximum, so that large values
 * do not overflow. All NaN where the maximum is infinite, of either sign, or NaN. dim as in clef_reduce_opts; a scalar
 * has dimension 0. torch.nn.functional.softmax, log_softmax.
 */
CLEF_API clef_tensor *clef_softmax(clef_tensor *x, int dim);
CLEF_API clef_tensor *clef_log_softmax(clef_tensor *x, int dim);

/* log(sum(exp(x))) over the given dimensions, computed likewise; minus infinity for nothing and for values that are all
 * minus infinity, whose gradient is NaN. torch.logsumexp. */
CLEF_API clef_tensor *clef_logsumexp(clef_tensor *x, const clef_reduce_opts *opts);

#ifdef __cplusplus
}
#endif

#endif
