/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions by expression. A row of defines says what is folded, and the kernels of cl/fold.cl do the rest, for any
 * set of dimensions. Expressions are OpenCL C over floats:
 *
 *   TERM      what is folded, of x, Z, S, T and p, together with COMBINE_SUM, COMBINE_MAX or COMBINE_MIN; a maximum or
 *             minimum is taken of partial results again, so its TERM must leave those as they are
 *   FINISH    the new value of a result, of y, S and p
 *   GRADIENT  the gradient to x, of x, y, Z, S, T, dy and p
 *
 * Z is the element of a second tensor of the shape of x. S and T are what `s` holds for this result: `s` has one value
 * for each result, or two, all S before all T.
 */
#ifndef CLEF_FOLD_H
#define CLEF_FOLD_H

#include "tensor_internal.h"

typedef struct clef__fold_row {
	const char *label, *backward_label; /* in the profile */
	const char *defines;
	bool sum; /* COMBINE_SUM */
} clef__fold_row;

/* The tensors an expression may read besides x; NULL where it reads none. */
typedef struct clef__fold_args {
	const clef_tensor *z, *s;
	float p;
} clef__fold_args;

/*
 * y = alpha * (TERM folded over the dimensions of x where reduce[i]), alpha being 1 for a maximum or minimum. y has as
 * many elements as the kept dimensions of x, in their order. A fold of nothing is 0, minus infinity (maximum) or plus
 * infinity. The order of summation depends on the shape alone.
 */
clef_status clef__fold(const clef__fold_row *row, const clef_tensor *x, const bool reduce[CLEF_MAX_DIMS],
		       const clef__fold_args *args, float alpha, clef_tensor *y);

/* y = FINISH, elementwise. */
clef_status clef__fold_finish(const clef__fold_row *row, const clef__fold_args *args, clef_tensor *y);

/* dx = beta * dx + GRADIENT, with y, dy, S and T repeated along the reduced dimensions; at beta 0 dx is not read. */
clef_status clef__fold_backward(const clef__fold_row *row, const clef_tensor *x, const bool reduce[CLEF_MAX_DIMS],
				const clef_tensor *y, const clef_tensor *dy, const clef__fold_args *args, float beta,
				clef_tensor *dx);

#endif
