/* SPDX-License-Identifier: Apache-2.0 */
/* What the reductions share: the options of a reduction, checked and worked out. */
#ifndef CLEF_REDUCE_OP_H
#define CLEF_REDUCE_OP_H

#include <clef/reduce.h>

#include "fold.h"
#include "tape.h"

/* The first member of a reduction's options. */
typedef struct clef__reduction {
	clef_reduce_opts dims;
	bool reduce[CLEF_MAX_DIMS]; /* this and count: filled in by clef__reduction_infer() */
	double count;               /* values that make one result */
} clef__reduction;

/* Checks that x is float32 and the dimensions are right; completes the node's options, which begin with a
 * clef__reduction, and gives the shape of the result. */
clef_status clef__reduction_infer(clef__node *n, clef_shape *shape);

/* Fails when there are results to be made of no values. `what` is "maximum". */
clef_status clef__reduction_some(const clef__node *n, const clef_shape *shape, const char *what);

#endif
