/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the pooling family share: their geometry. */
#ifndef CLEF_POOL_INTERNAL_H
#define CLEF_POOL_INTERNAL_H

#include <clef/pool.h>

#include "variant.h"

/* Of one operation; the pairs are height and width. A sequence is an image of height 1. */
typedef struct clef__pool {
	bool flat, adaptive;
	bool width_given; /* the options name a width */
	int32_t kernel[2], stride[2], pad[2], dilation[2];
	bool ceil_mode;
	bool exclude_pad; /* of the mean: see clef_avg_pool_opts */
	int divisor;
	int64_t wanted[2]; /* adaptive: the sizes asked for */
	int32_t in[2], out[2];
	int way; /* of CLEF__POOL_ROWS and so on, behind clef__pool_infer(); before it one more, or 0 to choose */
} clef__pool;

/* The geometry from options as they stand in the public structs. */
clef__pool clef__pool_windows(bool flat, const int kernel[2], const int stride[2], const int pad[2],
			      const int dilation[2], bool ceil_mode);

/* Checks x and the options, fills in the sizes in the node's own copy of the geometry, gives the shape of y. */
clef_status clef__pool_infer(clef__node *n, clef_shape *shape);

/* As arguments of a kernel: in h, w, out h, w; and kernel, stride, pad and dilation, h and w of each. */
clef__arg clef__pool_image(const clef__pool *p);
clef__arg clef__pool_window(const clef__pool *p);

/* For the kernels of CPUs, of which a work-item is a block of neighbouring rows in an image of `height` rows of `width`
 * elements: how many rows, and how many blocks an image has. */
typedef struct clef__pool_blocks {
	int rows, count;
} clef__pool_blocks;

clef__pool_blocks clef__pool_cut(int height, int width);

/* Those, or kernels of which a work-item is an element. */
enum { CLEF__POOL_ROWS, CLEF__POOL_ELEMENTS };

/* The defines of its programs. */
const char *clef__pool_defines(const clef__pool *p);

/* In pool_variant.c: chooses the way of a pooling whose sizes are known. */
int clef__pool_choose(const clef__node *n, const clef__pool *p, bool largest);

clef_status clef__max_pool_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype);
clef_status clef__max_pool_forward(const clef__node *n);
clef_status clef__max_pool_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx);

clef_status clef__avg_pool_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype);
clef_status clef__avg_pool_forward(const clef__node *n);
clef_status clef__avg_pool_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx);

#endif
