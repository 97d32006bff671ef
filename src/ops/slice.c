/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a tensor, by Python's rules of slices. */
#include "shaping_internal.h"

typedef struct slice_opts {
	int dim;
	int64_t start, stop, step;
} slice_opts;

/* An end of a slice as a place from 0 to size. */
static int64_t place(int64_t at, int64_t size)
{
	at += at < 0 ? size : 0;
	return CLEF__MAX(CLEF__MIN(at, size), 0);
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	/* The copy in the arena, which is this node's own. */
	slice_opts *opts = (slice_opts *)(uintptr_t)n->opts;
	const clef_tensor *x = n->x[0];
	int64_t size;

	if (clef__wrap_dim(n, &opts->dim, x->shape.ndim))
		return CLEF_ERROR_INVALID;
	if (opts->step < 1)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "step %lld: 1 or more", (long long)opts->step);
	size = x->shape.dim[opts->dim];
	opts->start = place(opts->start, size);
	opts->stop = CLEF__MAX(place(opts->stop, size), opts->start);
	opts->step = CLEF__MIN(opts->step, CLEF__MAX(size, 1));
	*shape = x->shape;
	*dtype = x->dtype;
	shape->dim[opts->dim] = (opts->stop - opts->start + opts->step - 1) / opts->step;
	return CLEF_OK;
}

static clef__strided make_block(const clef__node *n)
{
	const slice_opts *opts = n->opts;
	const clef_shape *y = &n->y->shape;
	clef__strided s = { .label = n->op->name, .ndim = y->ndim };

	memcpy(s.size, y->dim, sizeof(s.size));
	clef__row_major(n->x[0]->shape, s.x_step);
	clef__row_major(*y, s.y_step);
	s.x_start = opts->start * s.x_step[opts->dim];
	s.x_step[opts->dim] *= opts->step;
	return s;
}

static clef_status forward(const clef__node *n)
{
	const clef__strided s = make_block(n);

	return clef__strided_copy(&s, n->x[0], 0, n->y);
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__strided s = make_block(n);

	return dx->dx ? clef__block_backward(&s, n->y->numel == n->x[0]->numel, dy, dx) : CLEF_OK;
}

static const clef__op slice = { "slice", infer, forward, backward };

clef_tensor *clef_slice(clef_tensor *x, int dim, int64_t start, int64_t stop, int64_t step)
{
	slice_opts opts = { dim, start, stop, step };

	return clef__apply(&slice, &x, 1, &opts, sizeof(opts));
}

static clef_status check_split(const clef_tensor *x, int64_t size, int dim, int count)
{
	int ndim = x->shape.ndim;
	int64_t length, wanted;

	if (dim < -ndim || dim >= ndim)
		return clef__fail(CLEF_ERROR_INVALID, "split: dimension %d of x %s", dim, CLEF__SHAPE_TEXT(x->shape));
	if (size < 1)
		return clef__fail(CLEF_ERROR_INVALID, "split: parts of %lld: 1 or more", (long long)size);
	length = x->shape.dim[dim < 0 ? dim + ndim : dim];
	wanted = length ? (length - 1) / size + 1 : 1;
	if (count != wanted)
		return clef__fail(CLEF_ERROR_INVALID, "split: x %s has %lld parts of %lld along dimension %d, not %d",
				  CLEF__SHAPE_TEXT(x->shape), (long long)wanted, (long long)size, dim, count);
	return CLEF_OK;
}

clef_status clef_split(clef_tensor *x, int64_t size, int dim, clef_tensor **parts, int count)
{
	clef_status status;

	for (int i = 0; parts && i < count; i++)
		parts[i] = NULL;
	if (!x || !parts)
		return clef__null_argument("split");
	status = check_split(x, size, dim, count);
	for (int i = 0; i < count && !status; i++) {
		/* The last part ends where the dimension does. */
		parts[i] = clef_slice(x, dim, i * size, i + 1 < count ? (i + 1) * size : CLEF_END, 1);
		if (!parts[i])
			status = clef_error_status();
	}
	for (int i = 0; i < count && status; i++)
		parts[i] = NULL;
	return status;
}
