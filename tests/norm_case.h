/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations against one reference. */
#ifndef CLEF_TESTS_NORM_CASE_H
#define CLEF_TESTS_NORM_CASE_H

#include "op_case.h"

typedef enum norm_kind { NORM_BATCH, NORM_LAYER, NORM_RMS, NORM_GROUP, NORM_INSTANCE } norm_kind;

typedef struct norm_case {
	norm_kind kind;
	bool affine, evaluate;
	int groups;                /* of NORM_GROUP */
	int dims;                  /* of NORM_LAYER and NORM_RMS */
	float eps;                 /* as given; 0: the default */
	clef_tensor *mean, *var;   /* of NORM_BATCH */
	const float *means, *vars; /* what they hold, for evaluation */
} norm_case;

/* For an op_case: opts is a norm_case. */
clef_tensor *norm_apply(clef_tensor **x, const void *opts);
void norm_reference(const ref_array *x, const void *opts, ref_array *y);

/* The product of the dimensions from `from` on. */
int64_t norm_size_from(const clef_shape *s, int from);

/* The group of element i, and the index of its w and b. */
void norm_place(const norm_case *c, const clef_shape *s, int64_t i, int64_t *group, int64_t *weight);

/* A leaf on test_device. */
clef_tensor *norm_tensor(clef_shape shape, const float *values);

/* Runs the case with w and b and without. */
void norm_run(norm_case c, clef_shape shape);

/* batch_norm that evaluates and that trains. */
void norm_run_batch(clef_shape shape);

#endif
