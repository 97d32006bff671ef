/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimizers (torch.optim). An optimizer updates a set of parameters from their gradients: one kernel launch a step,
 * whatever the number of parameters, as long as the last clef_backward() reached all of them. In the formulas w is a
 * value, g its gradient plus weight_decay * w, lr the learning rate, t = 1, 2, ... the step of that parameter.
 *
 * A parameter that no clef_backward() has reached since the last step is left alone with its state, as PyTorch does
 * with a gradient of None; so is one that no longer requires a gradient.
 *
 * The set of parameters must be committed and not empty. NULL for options means all defaults; an option out of range is
 * ERROR_INVALID, and the message names it, its value and the range.
 */
#ifndef CLEF_OPTIM_H
#define CLEF_OPTIM_H

#include <clef/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clef_optim clef_optim;

typedef struct clef_sgd_opts {
	float lr;           /* > 0; default 1e-3 */
	float momentum;     /* 0 <= momentum < 1 */
	float dampening;    /* 0 <= dampening <= 1 */
	float weight_decay; /* >= 0 */
	bool nesterov;      /* needs momentum, and dampening 0 */
} clef_sgd_opts;

/* v = momentum v + (1 - dampening) g, at the first step v = g; w -= lr v, or with nesterov w -= lr (g + momentum v).
 * Without momentum w -= lr g. torch.optim.SGD. */
CLEF_API clef_optim *clef_sgd_new(clef_params *params, const clef_sgd_opts *opts);

typedef struct clef_adam_opts {
	float lr;           /* > 0; default 1e-3 */
	float beta1;        /* 0 < beta1 < 1; default 0.9 */
	float beta2;        /* 0 < beta2 < 1; default 0.999 */
	float eps;          /* > 0; default 1e-8 */
	float weight_decay; /* >= 0 */
} clef_adam_opts;

/* Kingma and Ba 2015. m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
 * w -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps). torch.optim.Adam. */
CLEF_API clef_optim *clef_adam_new(clef_params *params, const clef_adam_opts *opts);

/* Frees the optimizer and its state, before or after the parameters. NULL is accepted. */
CLEF_API void clef_optim_free(clef_optim *optim);

/* Updates the parameters from their gradients. ERROR_STATE when no gradient has been computed since the last step. */
CLEF_API clef_status clef_optim_step(clef_optim *optim);

/* The learning rate; > 0 and finite. get gives NaN for NULL. */
CLEF_API float clef_optim_get_lr(const clef_optim *optim);
CLEF_API clef_status clef_optim_set_lr(clef_optim *optim, float lr);

#ifdef __cplusplus
}
#endif

#endif
