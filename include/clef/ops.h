/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on tensors: each takes tensors, enqueues its kernels and returns a new tensor of the tape (see tensor.h),
 * recorded so that clef_backward() can differentiate it. All of them
 *
 *   - compute in float32 and want float32 tensors, unless they say otherwise;
 *   - return NULL for a NULL tensor and keep the first error message;
 *   - check their inputs, and on a mistake return NULL with the operation, the shapes and what was expected: wrong
 *     shapes are CLEF_ERROR_SHAPE, wrong types CLEF_ERROR_DTYPE, tensors of two devices or two tapes
 *     CLEF_ERROR_INVALID, and no tape begun CLEF_ERROR_STATE;
 *   - accept tensors without elements;
 *   - are deterministic: equal inputs give equal bits on the same device.
 */
#ifndef CLEF_OPS_H
#define CLEF_OPS_H

#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pointwise ----
 *
 * One operand, y[i] = f(x[i]), same shape as x:
 *   clef_relu(x), clef_leaky_relu(x, negative_slope), clef_softplus(x, beta, threshold), ...
 * Two operands, y = f(a, b), with the shapes broadcast as in NumPy and PyTorch (aligned at the last dimension; a size
 * of 1 is repeated):
 *   clef_add(a, b), clef_mul(a, b), ...
 * pointwise.def is the list, with the formula, the gradient and PyTorch's default of every parameter. */

#define CLEF_UNARY0(name, NAME, value, gradient) CLEF_API clef_tensor *clef_##name(clef_tensor *x);
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)                                                         \
	CLEF_API clef_tensor *clef_##name(clef_tensor *x, float p);
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient)                                           \
	CLEF_API clef_tensor *clef_##name(clef_tensor *x, float p, float q);
#define CLEF_BINARY(name, value, da, db) CLEF_API clef_tensor *clef_##name(clef_tensor *a, clef_tensor *b);
#include <clef/pointwise.def>

/* Leaky ReLU with a learned slope: x where x > 0, else w * x. w has one element, or as many as dimension 1 of x, one
 * for each channel; shape [1] or [C]. torch.nn.functional.prelu. */
CLEF_API clef_tensor *clef_prelu(clef_tensor *x, clef_tensor *w);

/* ---- linear algebra ---- */

/* y = x w^T + b. x [..., in], w [out, in], b [out] or absent; y [..., out]. torch.nn.functional.linear.
 * To leave the bias out call clef_linear_no_bias(): a NULL b is an error that came from elsewhere. */
CLEF_API clef_tensor *clef_linear(clef_tensor *x, clef_tensor *w, clef_tensor *b);
CLEF_API clef_tensor *clef_linear_no_bias(clef_tensor *x, clef_tensor *w);

/* y = a b for matrices, a [m, k], b [k, n], y [m, n]. torch.mm. */
CLEF_API clef_tensor *clef_matmul(clef_tensor *a, clef_tensor *b);

/* ---- shape: no copy, the result shares the memory of x ---- */

/* The elements of x in another shape of the same size; one dimension may be -1 and is then computed.
 * torch.reshape. */
CLEF_API clef_tensor *clef_reshape(clef_tensor *x, clef_shape shape);

/* All dimensions but the first made one: [n, c, h, w] becomes [n, c*h*w]; [n] becomes [n, 1]. torch.nn.Flatten. */
CLEF_API clef_tensor *clef_flatten(clef_tensor *x);

/* ---- reductions ---- */

typedef struct clef_reduce_opts {
	int ndim;               /* how many entries of dim count; 0: reduce over all dimensions */
	int dim[CLEF_MAX_DIMS]; /* dimensions to reduce, each once; negative ones count from the end */
	bool keepdim;           /* keep the reduced dimensions, with size 1 */
} clef_reduce_opts;

/* The sum over the given dimensions; opts NULL: over all, giving a scalar. The sum of nothing is 0. torch.sum. */
CLEF_API clef_tensor *clef_sum(clef_tensor *x, const clef_reduce_opts *opts);

/* The mean over the given dimensions; opts NULL: over all. The mean of nothing is NaN. torch.mean. */
CLEF_API clef_tensor *clef_mean(clef_tensor *x, const clef_reduce_opts *opts);

/* ---- losses and scores ---- */

/* The mean over n of -log softmax(logits[n])[labels[n]], a scalar. logits [n, classes], labels [n] int32 in
 * 0..classes-1; a label outside makes the loss NaN (a kernel cannot report it otherwise). Computed from the logits
 * less their maximum, so that large ones do not overflow. torch.nn.functional.cross_entropy. */
CLEF_API clef_tensor *clef_cross_entropy(clef_tensor *logits, clef_tensor *labels);

/* The share of rows n whose largest logit is at labels[n]; on a tie the first one counts; a NaN counts as largest.
 * Shapes as for clef_cross_entropy(); a scalar in [0, 1], NaN for n = 0. No gradient flows through it. */
CLEF_API clef_tensor *clef_accuracy(clef_tensor *logits, clef_tensor *labels);

#ifdef __cplusplus
}
#endif

#endif
