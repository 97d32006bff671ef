/* SPDX-License-Identifier: Apache-2.0 */
/* Initializers on the host, for the family `init` and for tests. */
#ifndef CLEF_INIT_REFERENCE_H
#define CLEF_INIT_REFERENCE_H

#include <clef/init.h>

/* Uniform and normal values as clef_init_uniform() and clef_init_normal() round them. */
void clef__init_ref_uniform(clef_rng rng, float *x, size_t n, float lo, float hi);
void clef__init_ref_normal(clef_rng rng, float *x, size_t n, float mean, float std);

/* What any initializer but an orthogonal one makes, to the bit; x has room for the shape, which the initializer can
 * fill. */
clef_status clef__init_ref(const clef_init *init, clef_shape shape, clef_rng rng, float *x);

/*
 * x, as a matrix with dim[0] rows, against what makes the Q of the QR decomposition of its normal draw the only one.
 * Its vectors, columns or rows, whichever are fewer, have length 1 and right angles, but for *error, when divided by
 * the gain; and normal vector i is a sum of vectors 0 to i with a positive share of the last, which *other tells: the
 * first i for which it is not, or -1. ERROR_MEMORY.
 */
clef_status clef__init_ref_orthogonal(const float *x, clef_shape shape, double gain, clef_rng rng, double *error,
				      int64_t *other);

#endif
