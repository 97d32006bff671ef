/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that move elements about: other orders, parts, joins, repeats, lookups. Included by ops.h, whose general
 * rules hold. clef_reshape() and clef_flatten(), which share memory, are in ops.h; all of these copy, since tensors are
 * contiguous.
 *
 * Unless they say otherwise they take float32 and int32 tensors alike, of any number of dimensions and also without
 * elements, and copy values bit by bit. A dimension is counted from 0, or from the end, -1 being the last; one that
 * there is not is ERROR_INVALID.
 */
#ifndef CLEF_SHAPING_H
#define CLEF_SHAPING_H

#include <clef/conv.h>
#include <clef/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- order ---- */

/* The dimensions in another order: that of y's dimension i is x's dimension order.dim[i], each once.
 * clef_permute(x, CLEF_SHAPE(0, 2, 3, 1)) makes [n, c, h, w] into [n, h, w, c]. torch.permute. */
CLEF_API clef_tensor *clef_permute(clef_tensor *x, clef_shape order);

/* Two dimensions exchanged. torch.transpose. */
CLEF_API clef_tensor *clef_transpose(clef_tensor *x, int dim0, int dim1);

/* ---- joins and parts ---- */

/* Tensors one behind the other along a dimension: of one type, and of one shape but for that dimension. count is 1 or
 * more. torch.cat. */
CLEF_API clef_tensor *clef_cat(clef_tensor *const *x, int count, int dim);

/* Tensors of one type and shape along a new dimension in front of dimension `dim`; at most 7 dimensions become 8.
 * torch.stack. */
CLEF_API clef_tensor *clef_stack(clef_tensor *const *x, int count, int dim);

/* As `stop` of a slice: to the end. */
#define CLEF_END INT64_MAX

/* Elements start, start + step, ... below stop of a dimension. Negative start and stop count from the end, and both
 * are cut to what there is, so a slice may be empty; step is 1 or more. Python: x[..., start:stop:step, ...]. */
CLEF_API clef_tensor *clef_slice(clef_tensor *x, int dim, int64_t start, int64_t stop, int64_t step);

/* Parts of `size` along a dimension, the last one of what remains, into parts[0] to parts[count - 1]; count must be
 * their number, the length of the dimension / size rounded up, or 1 for a length of 0. On an error all parts are NULL.
 * torch.split. */
CLEF_API clef_status clef_split(clef_tensor *x, int64_t size, int dim, clef_tensor **parts, int count);

/* ---- borders and repeats ---- */

typedef struct clef_pad_opts {
	/* Elements before and behind the last dimension, then before and behind the one in front of it, and so on, in
	 * PyTorch's order. Negative ones cut elements off. 0: none. */
	int pad[2 * CLEF_MAX_DIMS];
	clef_pad_mode mode; /* CLEF_PAD_ZEROS: `value`. One that goes around goes around what is left after cutting. */
	float value;        /* of the new elements in mode CLEF_PAD_ZEROS; rounded towards zero for int32 */
} clef_pad_opts;

/* x with a border: { .pad = { 1, 1, 2, 2 } } puts 1 column on each side and 2 rows. A dimension that would get a
 * negative size is ERROR_SHAPE. torch.nn.functional.pad. */
CLEF_API clef_tensor *clef_pad(clef_tensor *x, const clef_pad_opts *opts);

/* x repeated to a shape: dimensions are aligned at the last one, those of size 1 are repeated, new ones are put in
 * front, and -1 keeps a size. torch.Tensor.expand, torch.broadcast_to. */
CLEF_API clef_tensor *clef_expand(clef_tensor *x, clef_shape shape);

/* ---- lookups ----
 *
 * Indices are int32, counted from 0. One outside of its range gives NaN (INT32_MIN in an int32 tensor) and has no part
 * in the gradient: a kernel cannot report it otherwise. Gradients of elements that are taken several times are added up
 * in the order of the indices. */

/* y[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and so on: y has the shape of index, which has as many dimensions as
 * x and is nowhere larger, but for `dim`. torch.gather. */
CLEF_API clef_tensor *clef_gather(clef_tensor *x, int dim, clef_tensor *index);

/* The slices index[0], index[1], ... of a dimension; index is one-dimensional. torch.index_select. */
CLEF_API clef_tensor *clef_index_select(clef_tensor *x, int dim, clef_tensor *index);

typedef struct clef_embedding_opts {
	bool has_padding; /* no gradient flows to row padding_idx of the weights */
	int padding_idx;  /* negative: from the end */
} clef_embedding_opts;

/* Rows of the weights: weight [count, ...], index of any shape; y [index's shape, ...]. opts NULL: all defaults.
 * torch.nn.functional.embedding. */
CLEF_API clef_tensor *clef_embedding(clef_tensor *index, clef_tensor *weight, const clef_embedding_opts *opts);

/* ---- images ---- */

typedef enum clef_upsample_mode {
	CLEF_UPSAMPLE_NEAREST,
	CLEF_UPSAMPLE_BILINEAR,
} clef_upsample_mode;

/* The size is given in pixels or by a scale. */
typedef struct clef_upsample_opts {
	int out_h, out_w;   /* the new height and width; 0 0: by scale */
	double scale;       /* the height becomes scale * h, rounded down. 0: by size */
	double scale_w;     /* the same for the width; 0: as scale */
	bool align_corners; /* bilinear: pixels are points and the corners stay, instead of squares with their centres
			     */
	clef_upsample_mode mode;
} clef_upsample_opts;

/* Images at another size, up or down; float32. x [n, c, h, w], y [n, c, out h, out w]; images must have pixels, at most
 * 2^20 along a side. Where a pixel comes from follows from the scale as it was given; but if a size
 * happens to stay, or, for the nearest pixel, to double, from the sizes. torch.nn.functional.interpolate. */
CLEF_API clef_tensor *clef_upsample(clef_tensor *x, const clef_upsample_opts *opts);

/* [..., c r^2, h, w] to [..., c, h r, w r], with channels as the pixels of r x r squares; r is 1 or more, and x has 3
 * to 6 dimensions. torch.nn.functional.pixel_shuffle. */
CLEF_API clef_tensor *clef_pixel_shuffle(clef_tensor *x, int r);

/* The inverse: [..., c, h r, w r] to [..., c r^2, h, w]. torch.nn.functional.pixel_unshuffle. */
CLEF_API clef_tensor *clef_pixel_unshuffle(clef_tensor *x, int r);

#ifdef __cplusplus
}
#endif

#endif
