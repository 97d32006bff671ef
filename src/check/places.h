/* SPDX-License-Identifier: Apache-2.0 */
/* Elements by their coordinates, for references of operations that move elements about. */
#ifndef CLEF_PLACES_H
#define CLEF_PLACES_H

#include <math.h>

#include "problem.h"

typedef struct place {
	int64_t at[CLEF_MAX_DIMS];
} place;

static inline place place_of(const clef_shape *s, int64_t i)
{
	place p = { { 0 } };

	for (int d = s->ndim - 1; d >= 0; d--) {
		p.at[d] = i % s->dim[d];
		i /= s->dim[d];
	}
	return p;
}

/* NaN for a place outside, which no result is: the comparison will show it. */
static inline double value_at(const clef__ref *x, const place *p)
{
	int64_t i = 0;

	for (int d = 0; d < x->shape.ndim; d++) {
		if (p->at[d] < 0 || p->at[d] >= x->shape.dim[d])
			return (double)NAN;
		i = i * x->shape.dim[d] + p->at[d];
	}
	return x->v[i];
}

/* Dimension `dim` of a shape, which may count from the end; -1 if there is none. */
static inline int dim_of(const clef_shape *s, int64_t dim)
{
	dim += dim < 0 ? s->ndim : 0;
	return dim >= 0 && dim < s->ndim ? (int)dim : -1;
}

#endif
