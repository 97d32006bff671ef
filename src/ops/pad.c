/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borders. A constant one is a fill and a copy of the block that remains of x. The others are made one dimension at a
 * time, which gives the same elements, corners included, as all at once; then few elements of y come from one of x, and
 * each element of the gradient gathers its own.
 */
#include "shaping_internal.h"

/* The border of one dimension. */
typedef struct along_opts {
	clef_pad_mode mode;
	int dim, before, behind;
} along_opts;

/* Before and behind dimension d, counted from 0. */
static void border_of(const clef_pad_opts *opts, int ndim, int d, int border[2])
{
	border[0] = opts->pad[2 * (ndim - 1 - d)];
	border[1] = opts->pad[2 * (ndim - 1 - d) + 1];
}

static clef_status padded_size(clef__node *n, int d, int before, int behind, clef_shape *shape)
{
	shape->dim[d] += (int64_t)before + behind;
	if (shape->dim[d] >= 0)
		return CLEF_OK;
	return clef__op_fail(n, CLEF_ERROR_SHAPE, "%d and %d elements more in dimension %d of x %s: a negative size",
			     before, behind, d, CLEF__SHAPE_TEXT(n->x[0]->shape));
}

/* ---- constant ---- */

static clef_status infer_constant(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	int border[2];

	*shape = n->x[0]->shape;
	*dtype = n->x[0]->dtype;
	for (int d = 0; d < shape->ndim; d++) {
		border_of(n->opts, shape->ndim, d, border);
		if (padded_size(n, d, border[0], border[1], shape))
			return CLEF_ERROR_SHAPE;
	}
	return clef__check_size(n, shape);
}

/* What remains of x. */
static clef__strided make_block(const clef__node *n, int64_t *numel)
{
	const clef_shape *x = &n->x[0]->shape, *y = &n->y->shape;
	clef__strided s = { .label = n->op->name, .ndim = x->ndim };
	int border[2];

	*numel = 1;
	clef__row_major(*x, s.x_step);
	clef__row_major(*y, s.y_step);
	for (int d = 0; d < x->ndim; d++) {
		int64_t x_start, y_start;

		border_of(n->opts, x->ndim, d, border);
		x_start = CLEF__MAX(-(int64_t)border[0], 0);
		y_start = CLEF__MAX(border[0], 0);
		s.size[d] = CLEF__MAX(CLEF__MIN(x->dim[d] - x_start, y->dim[d] - y_start), 0);
		s.x_start += x_start * s.x_step[d];
		s.y_start += y_start * s.y_step[d];
		*numel *= s.size[d];
	}
	return s;
}

static clef_status forward_constant(const clef__node *n)
{
	const clef_pad_opts *opts = n->opts;
	int64_t numel;
	const clef__strided s = make_block(n, &numel);
	clef_status status = numel == n->y->numel ? CLEF_OK : clef_fill(n->y, (double)opts->value);

	return status ? status : clef__strided_copy(&s, n->x[0], 0, n->y);
}

static clef_status backward_constant(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	int64_t numel;
	const clef__strided s = make_block(n, &numel);

	return dx->dx ? clef__block_backward(&s, numel == n->x[0]->numel, dy, dx) : CLEF_OK;
}

static const clef__op constant = { "pad", infer_constant, forward_constant, backward_constant };

/* ---- from x itself ---- */

static clef_status infer_along(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const along_opts *opts = n->opts;
	int64_t size = n->x[0]->shape.dim[opts->dim], most = CLEF__MAX(opts->before, opts->behind);

	*shape = n->x[0]->shape;
	*dtype = n->x[0]->dtype;
	if (padded_size(n, opts->dim, opts->before, opts->behind, shape))
		return CLEF_ERROR_SHAPE;
	if (opts->mode == CLEF_PAD_REFLECT && most >= size)
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "%lld elements to be reflected in dimension %d of x %s: fewer than there are",
				     (long long)most, opts->dim, CLEF__SHAPE_TEXT(n->x[0]->shape));
	if (opts->mode == CLEF_PAD_CIRCULAR && most > size)
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "%lld elements around dimension %d of x %s: no more than there are",
				     (long long)most, opts->dim, CLEF__SHAPE_TEXT(n->x[0]->shape));
	if (most > INT32_MAX - size)
		return clef__op_fail(n, CLEF_ERROR_INVALID, "%lld elements more in dimension %d of x %s: too many",
				     (long long)most, opts->dim, CLEF__SHAPE_TEXT(n->x[0]->shape));
	if (size == 0 && shape->dim[opts->dim] > 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "dimension %d of x %s has no element to be repeated",
				     opts->dim, CLEF__SHAPE_TEXT(n->x[0]->shape));
	return clef__check_size(n, shape);
}

static clef_status launch_along(const clef__node *n, bool back, const clef_tensor *from, float beta,
				const clef_tensor *to)
{
	const along_opts *opts = n->opts;
	int64_t inner = 1;

	for (int d = opts->dim + 1; d < to->shape.ndim && to->numel; d++)
		inner *= to->shape.dim[d];
	return clef__launch(to->dev, &(clef__launch_opts){
					     .program = "pad",
					     .kernel = back ? "pad_backward" : "pad",
					     .global = { (size_t)to->numel },
					     .bytes = 4.0 * ((double)from->numel + (double)to->numel),
					     .args = { CLEF__TENSOR(from), CLEF__TENSOR(to), CLEF__FLOAT(beta),
						       CLEF__INT(opts->mode), CLEF__INT(n->x[0]->shape.dim[opts->dim]),
						       CLEF__INT(n->y->shape.dim[opts->dim]), CLEF__INT(inner),
						       CLEF__INT(opts->before), CLEF__INT(to->numel) },
				     });
}

static clef_status forward_along(const clef__node *n)
{
	return launch_along(n, false, n->x[0], 0, n->y);
}

static clef_status backward_along(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	return dx->dx ? launch_along(n, true, dy, dx->beta, dx->dx) : CLEF_OK;
}

static const clef__op along = { "pad", infer_along, forward_along, backward_along };

/* Takes the negative borders of opts off. */
static clef_tensor *cut(clef_tensor *x, clef_pad_opts *opts)
{
	clef_pad_opts cuts = { .mode = CLEF_PAD_ZEROS };
	bool any = false;

	for (int i = 0; i < CLEF_COUNT(opts->pad); i++) {
		cuts.pad[i] = CLEF__MIN(opts->pad[i], 0);
		opts->pad[i] -= cuts.pad[i];
		any = any || cuts.pad[i];
	}
	return any ? clef__apply(&constant, &x, 1, &cuts, sizeof(cuts)) : x;
}

static clef_tensor *apply_along(clef_tensor *x, clef_pad_opts opts)
{
	int border[2];
	bool any = false;

	if (opts.mode == CLEF_PAD_CIRCULAR)
		x = cut(x, &opts);
	for (int d = 0; x && d < x->shape.ndim; d++) {
		along_opts o = { .mode = opts.mode, .dim = d };

		border_of(&opts, x->shape.ndim, d, border);
		if (border[0] == 0 && border[1] == 0)
			continue;
		o.before = border[0];
		o.behind = border[1];
		x = clef__apply(&along, &x, 1, &o, sizeof(o));
		any = true;
	}
	/* Nothing to add: a copy, as for every other border. */
	return any ? x : clef__apply(&constant, &x, 1, &opts, sizeof(opts));
}

clef_tensor *clef_pad(clef_tensor *x, const clef_pad_opts *opts)
{
	if (!x || !opts) {
		clef__null_argument("pad");
		return NULL;
	}
	for (int i = 2 * x->shape.ndim; i < CLEF_COUNT(opts->pad); i++)
		if (opts->pad[i] != 0)
			return clef__fail_null(CLEF_ERROR_INVALID, "pad: pad[%d] is %d, but x %s has %d dimensions", i,
					       opts->pad[i], CLEF__SHAPE_TEXT(x->shape), x->shape.ndim);
	switch (opts->mode) {
	case CLEF_PAD_ZEROS:
		return clef__apply(&constant, &x, 1, opts, sizeof(*opts));
	case CLEF_PAD_REFLECT:
	case CLEF_PAD_REPLICATE:
	case CLEF_PAD_CIRCULAR:
		return apply_along(x, *opts);
	}
	return clef__fail_null(CLEF_ERROR_INVALID, "pad: mode %d is none", (int)opts->mode);
}
