/* SPDX-License-Identifier: Apache-2.0 */
/* How the kernels that include runs.clh share a pattern of elements out. */
#ifndef CLEF_RUNS_H
#define CLEF_RUNS_H

#include "tensor_internal.h"

/* The argument `cut` for a pattern of n elements in `dims` dimensions, innermost first, and in *items the number of
 * work-items. `across`: a tensor's step along the innermost one is neither 0 nor 1. */
clef__arg clef__run_cut(const clef_device *dev, int64_t n, int dims, const clef__arg *size, bool across, int *items);

/* All of a tensor, and the steps through one that is repeated along the dimensions where reduce[i]: 0 there. Returns
 * the number of dimensions, neighbours that are alike being one. */
int clef__run_repeated(clef_shape shape, const bool reduce[CLEF_MAX_DIMS], clef__arg *size, clef__arg *step);

#endif
