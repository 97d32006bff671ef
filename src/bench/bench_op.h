/* SPDX-License-Identifier: Apache-2.0 */
/* A problem on the device, made to be timed. */
#ifndef CLEF_BENCH_OP_H
#define CLEF_BENCH_OP_H

#include "bench_internal.h"
#include "problem.h"
#include "tape.h"

typedef struct clef__bench_op {
	clef_bench *b;
	clef__problem p;
	clef__ref ref[CLEF__OPERANDS]; /* the operands' values */
	float *host[CLEF__OPERANDS];   /* the same as they were uploaded */
	clef_tensor *x[CLEF__OPERANDS];
	clef_tape *tape;
	clef_tensor *y, *loss;
	float *weight;           /* the gradient of the result */
	clef_tensor *weight_dev; /* the same on the device */
	double error;            /* relative to what is allowed: the largest so far */
} clef__bench_op;

/* What is known of an operation by its name. */
typedef struct clef__bench_trait {
	bool products; /* the result is linear in each operand, or sums of such: f(x + d) - f(x - d) has no error of
			* third order, however large d is */
	bool parts;    /* may read less of an operand than all of it */
	double saves;  /* how much faster than by the definition it may be */
} clef__bench_trait;

clef__bench_trait clef__bench_trait_of(const clef__problem *p);

/* Whether operand i has a gradient. */
bool clef__bench_has_gradient(const clef__bench_op *op, int i);

/* Runs the operation anew: op->y and op->loss. */
clef_status clef__bench_forward(void *op);

/* What is wrong with the result that was timed, in a new string, or NULL; *status is that of the check itself. */
char *clef__bench_check_values(clef__bench_op *op, clef_status *status);

/* The same of the gradients that were timed. */
char *clef__bench_check_gradients(clef__bench_op *op, clef_status *status);

#endif
