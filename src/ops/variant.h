/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that have several ways to their result, other than convolutions and products: which of them is taken. The
 * rules' choice stands unless clef tune has found a better one; nothing is measured in passing.
 */
#ifndef CLEF_VARIANT_H
#define CLEF_VARIANT_H

#include "tape.h"
#include "tuning.h"

#define CLEF__VARIANT_OPERANDS 3 /* that a gradient flows to */

typedef struct clef__variants {
	const char *begins;            /* of the text of a problem: "pool" */
	const clef__key_field *fields; /* of a struct of ints */
	size_t size;                   /* of the struct */
	/* By name; NULL ends them. The last is right for all problems, and what others are compared with. */
	const char *const *names;
	/* Whether the sizes of a text go together; whether a way is for the device; and which one the rules say. */
	bool (*consistent)(const void *problem);
	bool (*fits)(const clef_device *dev, int way);
	int (*shipped)(const clef_device *dev, const void *problem);
	/* The shapes of the operands; returns how many there are. */
	int (*operands)(const void *problem, clef_shape shape[CLEF__VARIANT_OPERANDS]);
	/* Records the operation, by the way. */
	clef_tensor *(*apply)(clef_tensor *const *x, const void *problem, int way);
} clef__variants;

extern const clef__variants clef__pool_variants, clef__batch_norm_variants;

/* The way that is kept for the problem of a node that is being recorded, or else that of the rules. */
int clef__variant_choose(const clef__node *n, const clef__variants *v, const void *problem);

/* As those of convolutions: see tuning.h. */
clef_status clef__variant_measurable(clef_device *dev, const char *problem);
clef_status clef__variant_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
				  bool *done);

#endif
