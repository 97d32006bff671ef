/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of optimizers in double precision, for the family `optim` and for tests. */
#ifndef CLEF_OPTIM_REFERENCE_H
#define CLEF_OPTIM_REFERENCE_H

#include <clef/optim.h>

/* A parameter as a reference has it. */
typedef struct clef__optim_ref {
	int n;                /* elements */
	int rows;             /* of a matrix, else 0 */
	int t;                /* the step it is at, from 1 */
	const float *g;       /* its gradient */
	double *w;            /* its values */
	double *s0, *s1, *s2; /* n numbers each, at first 0: the state, with what the rule likes in it */
	double product;       /* more state */
} clef__optim_ref;

/* Each rule: X(name, the optimizer for clef_optim_parse(), a state that it must have, or NULL). */
/* clang-format off */
#define CLEF__OPTIM_RULE_MAP(X) \
	X(sgd, "sgd(lr=0.05)", NULL) \
	X(sgd_momentum, "sgd(lr=0.05, momentum=0.9, dampening=0.5, weight_decay=0.01)", "momentum_buffer") \
	X(sgd_nesterov, "sgd(lr=0.05, momentum=0.9, nesterov)", "momentum_buffer") \
	X(sgd_classical, "sgd(lr=0.05, momentum=0.9, dampening=0.25, classical)", "momentum_buffer") \
	X(sgd_sutskever, "sgd(lr=0.05, momentum=0.9, nesterov, classical)", "momentum_buffer") \
	X(sgd_decoupled, "sgd(lr=0.05, weight_decay=0.1, decoupled, maximize)", NULL) \
	X(adagrad, "adagrad(lr=0.05, lr_decay=0.01, accumulator=0.1, weight_decay=0.1)", "sum") \
	X(adadelta, "adadelta(weight_decay=0.01)", "acc_delta") \
	X(rmsprop, "rmsprop(lr=0.01)", "square_avg") \
	X(rmsprop_centered, "rmsprop(lr=0.01, alpha=0.9, momentum=0.5, centered, eps=0.001)", "grad_avg") \
	X(adam, "adam(lr=0.02, weight_decay=0.1)", "exp_avg_sq") \
	X(adam_amsgrad, "adam(lr=0.01, amsgrad, weight_decay=0.1)", "max_exp_avg_sq") \
	X(adamw, "adamw(lr=0.01)", "exp_avg") \
	X(adamax, "adamax(lr=0.01)", "exp_inf") \
	X(nadam, "nadam", "exp_avg_sq") \
	X(radam, "radam(lr=0.01)", "exp_avg_sq") \
	X(rprop, "rprop(step_max=0.05)", "step_size") \
	X(asgd, "asgd(lr=0.05, lambd=0.01, t0=10)", "ax") \
	X(lion, "lion(lr=0.001, weight_decay=0.1)", "exp_avg") \
	X(lars, "lars(lr=0.5, trust=0.02, weight_decay=0.1)", "momentum_buffer") \
	X(lamb, "lamb(lr=0.01, weight_decay=0.1)", "exp_avg_sq") \
	X(adafactor, "adafactor(lr=0.02, weight_decay=0.1)", "col_var")
/* clang-format on */

typedef struct clef__optim_rule_row {
	const char *name, *optimizer, *state;
	void (*step)(clef__optim_ref *p); /* at step p->t */
} clef__optim_rule_row;

#define CLEF__OPTIM_RULE_ONE(name, optimizer, state) +1
#define CLEF__OPTIM_RULES                            (0 CLEF__OPTIM_RULE_MAP(CLEF__OPTIM_RULE_ONE))

extern const clef__optim_rule_row clef__optim_rules[CLEF__OPTIM_RULES];

/* A step of SGD without `classical`, `decoupled` and `maximize`, and of Adam without `amsgrad` and these, at a rate
 * that counts instead of the options'. */
void clef__optim_ref_sgd(clef__optim_ref *p, const clef_sgd_opts *o, double lr);
void clef__optim_ref_adam(clef__optim_ref *p, const clef_adam_opts *o, double lr);

#endif
