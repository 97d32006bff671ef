/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between regular patterns of elements: what transposes, slices, joins, repeats and their gradients are. */
#ifndef CLEF_STRIDED_H
#define CLEF_STRIDED_H

#include "tensor_internal.h"

/* A block of elements and the way through it in two tensors. Dimensions are outermost first, steps are in elements and
 * 0 or more; in the tensor that is written no two elements of the block are one. */
typedef struct clef__strided {
	const char *label; /* in the profile */
	int ndim;
	int64_t size[CLEF_MAX_DIMS];
	int64_t x_step[CLEF_MAX_DIMS], y_step[CLEF_MAX_DIMS];
	int64_t x_start, y_start;
} clef__strided;

/* The steps of a contiguous tensor. */
void clef__row_major(clef_shape shape, int64_t step[CLEF_MAX_DIMS]);

/* y = x + beta y on the block, and nothing elsewhere. At beta 0 y is not read and the bits are copied, of either type;
 * else both are float32. */
clef_status clef__strided_copy(const clef__strided *s, const clef_tensor *x, float beta, const clef_tensor *y);

/* The same with x and y exchanged, as gradients go: x = y + beta x. */
clef_status clef__strided_back(const clef__strided *s, const clef_tensor *y, float beta, const clef_tensor *x);

#endif
