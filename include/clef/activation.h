/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations as values, for operations that apply one to their result: conv2d, batch_norm and others have it among
 * their options. Part of ops.h, whose general remarks hold here too.
 *
 *   y = clef_conv2d(x, w, b, &(clef_conv2d_opts){ .pad = 1, .activation = { CLEF_ACT_RELU } });
 *   y = clef_batch_norm(x, w, b, mean, var, &(clef_batch_norm_opts){ .activation = { CLEF_ACT_HARDTANH, -2, 2 } });
 *
 * The result is that of the two operations one after another. Where the gradient of the activation follows from its
 * result alone, as for relu, leaky_relu, sigmoid and tanh, they are one: the activation then costs no pass over memory,
 * and what it is applied to is not kept. Every other kind runs as an operation of its own.
 */
#ifndef CLEF_ACTIVATION_H
#define CLEF_ACTIVATION_H

#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The pointwise operations of one operand: CLEF_ACT_RELU is clef_relu(), and so on. */
typedef enum clef_activation_kind {
	CLEF_ACT_NONE,
#define CLEF_UNARY0(name, NAME, value, gradient)                             CLEF_ACT_##NAME,
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)               CLEF_ACT_##NAME,
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient) CLEF_ACT_##NAME,
#include <clef/pointwise.def>
	CLEF_ACT_KINDS /* the number of kinds, with NONE */
} clef_activation_kind;

typedef struct clef_activation {
	clef_activation_kind kind;
	float p, q; /* the parameters in the order of pointwise.def; both 0: the defaults there, and with p -0.0f a real
		     * 0. Not read where the kind has none. */
} clef_activation;

/* x with the activation applied; for CLEF_ACT_NONE x itself, and nothing is recorded. ERROR_INVALID for a kind that is
 * none. */
CLEF_API clef_tensor *clef_activate(clef_tensor *x, clef_activation activation);

#ifdef __cplusplus
}
#endif

#endif
