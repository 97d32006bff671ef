/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the shaping family share. */
#ifndef CLEF_SHAPING_INTERNAL_H
#define CLEF_SHAPING_INTERNAL_H

#include <clef/ops.h>
#include <clef/shaping.h>

#include "strided.h"
#include "tape.h"

/* Makes a dimension that is counted from the end one counted from 0, of `ndim` there are. */
static inline clef_status clef__wrap_dim(const clef__node *n, int *dim, int ndim)
{
	const clef_shape *x = &n->x[0]->shape;

	if (ndim == 0)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d of a scalar, which has none", *dim);
	if (*dim < -ndim || *dim >= ndim)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "dimension %d of x %s: %d to %d are allowed", *dim,
				     CLEF__SHAPE_TEXT(*x), -ndim, ndim - 1);
	*dim += *dim < 0 ? ndim : 0;
	return CLEF_OK;
}

/* Fails when the result would be too large. */
static inline clef_status clef__check_size(const clef__node *n, const clef_shape *shape)
{
	if (clef_shape_numel(*shape) >= 0)
		return CLEF_OK;
	return clef__op_fail(n, CLEF_ERROR_SHAPE, "the result %s would have more than 2^31 - 1 elements",
			     CLEF__SHAPE_TEXT(*shape));
}

/* The gradient of a block that was copied out of x: zero where nothing was taken. `whole`: all was. beta is 0 or 1. */
static inline clef_status clef__block_backward(const clef__strided *s, bool whole, const clef_tensor *dy,
					       const clef__grad *dx)
{
	clef_status status = whole || dx->beta != 0 ? CLEF_OK : clef_fill(dx->dx, 0);

	return status ? status : clef__strided_back(s, dy, dx->beta, dx->dx);
}

#endif
