/* SPDX-License-Identifier: Apache-2.0 */
/* Channels to pixels and back: a permutation between two reshapes, which cost nothing. */
#include "shaping_internal.h"

/* Checks x and r and gives c, h and w. */
static bool image_dims(const char *what, const clef_tensor *x, int r, int64_t dim[3])
{
	if (!x) {
		clef__null_argument(what);
		return false;
	}
	if (x->shape.ndim < 3 || x->shape.ndim > 6) {
		clef__fail(CLEF_ERROR_SHAPE, "%s: x has shape %s, expected [..., c, h, w] of 3 to 6 dimensions", what,
			   CLEF__SHAPE_TEXT(x->shape));
		return false;
	}
	if (r < 1 || r > 1 << 15) {
		clef__fail(CLEF_ERROR_INVALID, "%s: r %d: 1 to %d", what, r, 1 << 15);
		return false;
	}
	for (int i = 0; i < 3; i++)
		dim[i] = x->shape.dim[x->shape.ndim - 3 + i];
	return true;
}

/* x reshaped to `from` behind its leading dimensions, these permuted, and reshaped again. */
static clef_tensor *shuffle(clef_tensor *x, const int64_t from[5], const int order[5], const int64_t to[3])
{
	int front = x->shape.ndim - 3;
	clef_shape split = x->shape, permuted = { .ndim = front + 5 }, joined = x->shape;

	split.ndim = front + 5;
	for (int i = 0; i < front; i++)
		permuted.dim[i] = i;
	for (int i = 0; i < 5; i++) {
		split.dim[front + i] = from[i];
		permuted.dim[front + i] = front + order[i];
	}
	for (int i = 0; i < 3; i++)
		joined.dim[front + i] = to[i];
	return clef_reshape(clef_permute(clef_reshape(x, split), permuted), joined);
}

clef_tensor *clef_pixel_shuffle(clef_tensor *x, int r)
{
	int64_t dim[3], square = (int64_t)r * r;

	if (!image_dims("pixel_shuffle", x, r, dim))
		return NULL;
	if (dim[0] % square)
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "pixel_shuffle: %lld channels of x %s are not divisible by %lld",
				       (long long)dim[0], CLEF__SHAPE_TEXT(x->shape), (long long)square);
	return shuffle(x, (int64_t[]){ dim[0] / square, r, r, dim[1], dim[2] }, (int[]){ 0, 3, 1, 4, 2 },
		       (int64_t[]){ dim[0] / square, dim[1] * r, dim[2] * r });
}

clef_tensor *clef_pixel_unshuffle(clef_tensor *x, int r)
{
	int64_t dim[3];

	if (!image_dims("pixel_unshuffle", x, r, dim))
		return NULL;
	if (dim[1] % r || dim[2] % r)
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "pixel_unshuffle: %lld x %lld pixels of x %s are not divisible by %d",
				       (long long)dim[1], (long long)dim[2], CLEF__SHAPE_TEXT(x->shape), r);
	return shuffle(x, (int64_t[]){ dim[0], dim[1] / r, r, dim[2] / r, r }, (int[]){ 0, 2, 4, 1, 3 },
		       (int64_t[]){ dim[0] * r * r, dim[1] / r, dim[2] / r });
}
