/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that take an activation, and how each is held against the two operations one after another.
 */
#ifndef CLEF_TESTS_FUSION_CASE_H
#define CLEF_TESTS_FUSION_CASE_H

#include <clef/clef.h>

#define FUSION_OPERANDS 3

/* mean and var are for batch_norm. */
typedef struct fusion_operands {
	clef_tensor *x[FUSION_OPERANDS], *mean, *var;
} fusion_operands;

typedef struct fusion_op {
	const char *name, *impl; /* impl: of a convolution; "": the library's choice */
	int inputs;
	clef_shape shape[FUSION_OPERANDS], small[FUSION_OPERANDS]; /* small: where test_small() */
	clef_tensor *(*apply)(const fusion_operands *o, clef_activation act);
} fusion_op;

extern const fusion_op fusion_ops[];
extern const int fusion_op_count;

/* A float32 leaf on test_device. */
clef_tensor *fusion_leaf(clef_shape shape, const float *values, bool grad);
clef_tensor *fusion_uniform(clef_shape shape, double lo, double hi, uint64_t seed, bool grad);

/* Operands at random; `positive`: such that the operation's result is so. */
fusion_operands fusion_operands_new(const fusion_op *op, bool positive);
void fusion_operands_free(fusion_operands *o);

/* y and the gradients of all operands. */
typedef struct fusion_outcome {
	float *v[1 + FUSION_OPERANDS];
	int64_t n[1 + FUSION_OPERANDS];
} fusion_outcome;

/* The operation with the activation among its options, or the two. Twice backward, so that the second pass adds to the
 * gradients of the first. */
fusion_outcome fusion_run(const fusion_op *op, const fusion_operands *o, clef_activation act, bool fused);
void fusion_outcome_free(fusion_outcome *o);

/* Ends the test unless both are the same, or differ by `limit` relative to the larger of the element and the mean.
 * which: 0 for values, else gradients. */
void fusion_compare(const char *name, int which, const float *got, const float *want, int64_t n, double limit);

/* Both ways, compared: bit for bit where the kind does not fuse. */
void fusion_check(const fusion_op *op, clef_activation act, bool positive);

#endif
