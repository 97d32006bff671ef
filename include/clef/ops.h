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

#include <clef/activation.h>
#include <clef/augment.h>
#include <clef/conv.h>
#include <clef/loss.h>
#include <clef/norm.h>
#include <clef/pool.h>
#include <clef/reduce.h>
#include <clef/shaping.h>
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

/* y = activation(x w^T + b): clef_activate() of clef_linear(), in one kernel and keeping y alone where the activation
 * allows it (activation.h). */
CLEF_API clef_tensor *clef_linear_act(clef_tensor *x, clef_tensor *w, clef_tensor *b, clef_activation activation);
CLEF_API clef_tensor *clef_linear_act_no_bias(clef_tensor *x, clef_tensor *w, clef_activation activation);

/* y = activation(a + b), the end of a residual block: clef_activate() of clef_add(), in one kernel and keeping y alone
 * where both have one shape and the activation allows it (activation.h). */
CLEF_API clef_tensor *clef_add_act(clef_tensor *a, clef_tensor *b, clef_activation activation);

/*
 * y = a b: products of matrices, a [..., m, k], b [..., k, n], y [..., m, n]. The dimensions before the last two are
 * those of a batch and broadcast as in clef_add(): aligned at the end, equal or 1. A tensor of one dimension is a row
 * as a and a column as b, and y does not have that dimension: [k] and [k] give a scalar, [..., m, k] and [k] give
 * [..., m], and [k] and [..., k, n] give [..., n]. Repeated operands are not copied, and their gradients are summed
 * over the batch. With k = 0 all of y is 0. A tensor without dimensions is CLEF_ERROR_SHAPE. torch.matmul, torch.bmm,
 * torch.mm, torch.mv, torch.dot.
 */
CLEF_API clef_tensor *clef_matmul(clef_tensor *a, clef_tensor *b);

/* y = op(a) op(b), where op exchanges the last two dimensions if trans_a, or trans_b, is true: without a copy. With
 * trans_a a is [..., k, m], with trans_b b is [..., n, k]; either then has two dimensions at least. torch.matmul of
 * a.mT and b.mT. */
CLEF_API clef_tensor *clef_matmul_trans(clef_tensor *a, bool trans_a, clef_tensor *b, bool trans_b);

/* ---- shape: no copy, the result shares the memory of x ---- */

/* The elements of x in another shape of the same size; one dimension may be -1 and is then computed.
 * torch.reshape. */
CLEF_API clef_tensor *clef_reshape(clef_tensor *x, clef_shape shape);

/* All dimensions but the first made one: [n, c, h, w] becomes [n, c*h*w]; [n] becomes [n, 1]. torch.nn.Flatten. */
CLEF_API clef_tensor *clef_flatten(clef_tensor *x);

#ifdef __cplusplus
}
#endif

#endif
