/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions from the inside. The operations differ in their options and checks only: each becomes one geometry, that
 * of a convolution in two dimensions padded with zeros, for which implementations know three computations. A transposed
 * convolution is the same geometry with the first two of them exchanged.
 */
#ifndef CLEF_CONV_INTERNAL_H
#define CLEF_CONV_INTERNAL_H

#include <clef/conv.h>

#include "activation_internal.h"
#include "tuning.h"

#define CLEF__CONV_PARAMS 8

/* x [n][c][h][w], weights [k][c / groups][r][s], y [n][k][oh][ow]. y may have fewer rows and columns than x allows. */
typedef struct clef__conv {
	int n, c, h, w;
	int k, r, s;
	int oh, ow;
	int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
	int groups;
	/* Sizes of tiles and blocks, in the order of the implementation's names for them; 0: as it sees fit. */
	int param[CLEF__CONV_PARAMS];
} clef__conv;

/* What a result goes through where it is stored. */
typedef struct clef__conv_epilogue {
	const clef_tensor *bias;    /* a value for each of its channels, or NULL */
	clef_activation activation; /* resolved; it fuses */
	const clef_tensor *gate;    /* as the gate of a gradient, for implementations that heed it, or NULL */
} clef__conv_epilogue;

/* The three computations. */
typedef enum clef__conv_way {
	CLEF__CONV_FORWARD,
	CLEF__CONV_BACKWARD_DATA,
	CLEF__CONV_BACKWARD_WEIGHTS,
	CLEF__CONV_WAYS
} clef__conv_way;

/* How to compute them, or some of them: NULL is one that it does not know. Tensors give memory only: their shapes may
 * be others of the same size. */
typedef struct clef__conv_impl {
	const char *name;
	/* Where it is right. */
	bool (*fits)(const clef_device *dev, const clef__conv *g, clef__conv_way way);
	/* Where it is a good choice as well, compared with those behind it in the list. NULL: wherever it fits. */
	bool (*pays)(const clef_device *dev, const clef__conv *g, clef__conv_way way);
	/* y = beta y + conv(x, w); or, with an epilogue, y = activation(conv(x, w) + bias), and beta is 0. */
	clef_status (*forward)(const clef__node *n, const clef__conv *g, const clef_tensor *x, const clef_tensor *w,
			       const clef__conv_epilogue *e, float beta, const clef_tensor *y);
	/* x = beta x + what y contributes to it; the epilogue is as above. */
	clef_status (*backward_data)(const clef__node *n, const clef__conv *g, const clef_tensor *y,
				     const clef_tensor *w, const clef__conv_epilogue *e, float beta,
				     const clef_tensor *x);
	clef_status (*backward_weights)(const clef__node *n, const clef__conv *g, const clef_tensor *x,
					const clef_tensor *y, float beta, clef_tensor *w);
	/* Of its results, relative to their mean size; 0: with whole numbers they are exact. */
	double tolerance;
	/* The names of g->param, of which the first that is NULL is the last; NULL: there are none. */
	const char *const *params;
	/* Row i of the sets of them that are worth measuring on the device, or NULL behind the last one. Whether one
	 * can be had for a geometry, fits() says. */
	const int *(*candidate)(const clef_device *dev, int i);
	/* Made for GPUs: on a CPU it is right, but so slow that nobody measures it. */
	bool for_gpus;
	/* backward_data() heeds the gate, where it writes each element, once. */
	bool gates;
} clef__conv_impl;

extern const clef__conv_impl clef__conv_winograd, clef__conv_winograd_weights, clef__conv_winograd_gpu, clef__conv_cpu,
	clef__conv_cpu_weights, clef__conv_gemm, clef__conv_im2col, clef__conv_direct;

/* The geometry as two arguments of a kernel: twins of those in cl/conv.clh. */
clef__arg clef__conv_size(const clef__conv *g);
clef__arg clef__conv_step(const clef__conv *g);

/* The parameter, or `otherwise` where it is left to the implementation. */
static inline int clef__conv_param(const clef__conv *g, int i, int otherwise)
{
	return g->param[i] ? g->param[i] : otherwise;
}

/* Whether the kernels for CPUs have register tiles of so many rows; of 0, as they see fit, always. */
bool clef__conv_has_rows(int rows);

/* The rows of a register tile of Winograd's kernels for so many outputs. */
int clef__winograd_rows(const clef_device *dev, int outputs);

/* Whether Winograd's kernels do it: 3 x 3 with stride 1, one group, and something to compute. */
bool clef__winograd_does(const clef__conv *g);

/* g as it is; or the gradient to its images as a convolution of its own, with the weights turned round. */
clef__conv clef__winograd_forward(const clef__conv *g, clef__conv_way way);

/* Of 4 x 4 pixels of the result. */
double clef__winograd_tiles(const clef__conv *g);

/* One of about equal parts of `all`, none larger than `most` if that is possible. */
int clef__conv_part(int all, size_t most);

/* The way to the images by products in tiles, under a name for the profile. */
clef_status clef__conv_gemm_backward_data(const char *label, const clef__conv *g, const clef_tensor *y,
					  const clef_tensor *w, const clef__conv_epilogue *e, float beta,
					  const clef_tensor *x);

/* A CPU's vectors want several neighbours in one work-item, a GPU's caches want them in several. */
int clef__conv_span(const clef_device *dev);

/* ---- the operations ---- */

/* The options of all of them, defaults filled in; rows first, then columns. Kept as the node's. */
typedef struct clef__conv_opts {
	int dims; /* of an image: 1 or 2 */
	int64_t stride[2], before[2], after[2], dilation[2], output_pad[2], groups;
	clef_pad_mode mode;
	clef_activation activation;
	/* Found by infer(). The geometry is that of images which are already padded, unless the mode is zeros. */
	clef__conv g;
	const clef__conv_impl *impl[CLEF__CONV_WAYS];
	int param[CLEF__CONV_WAYS][CLEF__CONV_PARAMS];
} clef__conv_opts;

/* What is wrong with an option that must not be negative is told by name. */
typedef struct clef__conv_field {
	const char *name;
	int value;
} clef__conv_field;

/* Records the operation after a look at the fields. b may be NULL where `has_bias` is false. */
clef_tensor *clef__conv_apply(const clef__op *op, clef_tensor *x, clef_tensor *w, clef_tensor *b, bool has_bias,
			      const clef__conv_opts *opts, const clef__conv_field *fields, int count);

/* Sets opts->impl for opts->g: for each way the one that $CLEF_CONV names if it knows the way, else what is kept or
 * measured for the device, else the first implementation that pays. */
clef_status clef__conv_choose(const clef__node *n, clef__conv_opts *opts, bool transposed);

/* Implementation i, or NULL behind the last one; whether it knows the way; and what the rules say. */
const clef__conv_impl *clef__conv_impl_get(int i);
bool clef__conv_knows(const clef__conv_impl *impl, clef__conv_way way);
const clef__conv_impl *clef__conv_shipped(const clef_device *dev, const clef__conv *g, clef__conv_way way);

/* ---- conv_key.c ---- */

/* "conv forward n64 c3 h32 w32 k32 r5 s5 oh28 ow28"; what has its default is left out. */
void clef__conv_key(const clef__conv *g, clef__conv_way way, char text[CLEF__KEY_TEXT]);

/* False for what is no such text, or no convolution. */
bool clef__conv_key_parse(const char *text, clef__conv *g, clef__conv_way *way);

/* ---- conv_tune.c ---- */

/* Replaces the choice for one way by what is kept or measured, if anything is. */
clef_status clef__conv_tuned(const clef__node *n, clef__conv_opts *opts, clef__conv_way way);

/* Measures "conv forward n64 c3 ...": see clef__trial_run(). */
/* Whether it could; ERROR_INVALID for what is no convolution, ERROR_STATE where $CLEF_CONV leaves no choice. */
clef_status clef__conv_measurable(clef_device *dev, const char *problem);
clef_status clef__conv_measure(clef_device *dev, const char *problem, const clef__measure_opts *how, clef__tuned *t,
			       bool *done);

clef_status clef__conv_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype);
clef_status clef__conv_forward(const clef__node *n);
clef_status clef__conv_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx);

/* For both: y is needed where there is an activation. */
bool clef__conv_needs(const clef__node *n, int i);
bool clef__conv_is_relu(const clef__node *n);
bool clef__conv_over_gate(const clef__node *n);

clef_status clef__conv_transpose_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype);
clef_status clef__conv_transpose_forward(const clef__node *n);
clef_status clef__conv_transpose_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx);

#endif
