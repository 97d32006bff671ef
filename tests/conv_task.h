/* SPDX-License-Identifier: Apache-2.0 */
/* One of the three computations of a convolution, by an implementation that is called directly. */
#ifndef CLEF_TESTS_CONV_TASK_H
#define CLEF_TESTS_CONV_TASK_H

#include "check_clef.h"
#include "conv_internal.h"

typedef struct conv_task {
	clef__conv g;
	clef__conv_way way;
	size_t offset; /* of each tensor in its buffer */
	float beta;
	bool real;     /* numbers; else they are whole */
	bool epilogue; /* a bias, and relu; then beta is 0 */
} conv_task;

extern const char *const conv_way_names[];

/* The sizes with those of y, of a whole convolution; strides, dilations and groups of 0 are 1. */
clef__conv conv_whole(const clef__conv *sizes);

/* The result, the caller's to free. What it is added to at beta 1 is the same for all implementations. */
float *conv_task_run(const clef__conv_impl *impl, const conv_task *t, size_t *count);

/* The implementation that is chosen. */
const char *conv_task_chosen(const clef__conv *sizes, clef__conv_way way);

#endif
