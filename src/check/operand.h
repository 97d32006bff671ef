/* SPDX-License-Identifier: Apache-2.0 */
/* Operands of problems on the device, between guard values. */
#ifndef CLEF_OPERAND_H
#define CLEF_OPERAND_H

#include "problem.h"

#define CLEF__GUARD 37 /* elements before and behind each operand: no multiple of a vector */

typedef struct clef__placed {
	clef__ref ref;
	clef_tensor *x;      /* view into values */
	clef_tensor *values; /* with guards of NaN */
	clef_tensor *grads;  /* the same; NULL where there is no gradient */
	float *host;         /* values as uploaded, with guards */
} clef__placed;

/* Draws operand i and uploads it. Free it in any case. */
clef_status clef__place_new(clef_device *dev, const clef__problem *p, int i, clef__placed *o);
void clef__place_free(clef__placed *o);

/* A reference with room for its values, which are 0. False with a message without memory. free(ref->v). */
bool clef__ref_new(clef_shape shape, clef__ref *ref);

/* The next number of a stream that is one integer. */
double clef__draw_uniform(uint64_t *state, double lo, double hi);

#endif
