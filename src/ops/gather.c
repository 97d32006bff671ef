/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups by index. x is seen as [outer][size][inner] and y as [outer][count][inner], and an index either belongs to an
 * element of y (gather) or to a whole slice (index_select, embedding).
 *
 * An index may come up several times, so the gradient is a sum. It is made without atomics, and in one order: the
 * elements of dx that one inner and outer place can reach are dealt out in ranges of `size` among a few work-items,
 * each of which reads all indices in their order and adds what falls into its own range. How many ranges there are
 * changes the time only.
 */
#include "shaping_internal.h"

/* Work-items to aim for in backward. */
#define ITEMS_CPU 64
#define ITEMS_GPU 16384
/* Elements of a slice for one of them on a CPU, forward. */
#define SPAN 1024

typedef struct gather_opts {
	int dim;
	bool whole; /* an index for each element of y */
	bool has_padding;
	int padding; /* no gradient for this index */
	int32_t outer, size, count, inner;
} gather_opts;

/* The products of the dimensions before and behind opts->dim; all 1 where there are no elements. */
static void split_shape(gather_opts *opts, const clef_shape *x, const clef_shape *y, int64_t count)
{
	opts->outer = opts->inner = 1;
	opts->size = (int32_t)x->dim[opts->dim];
	opts->count = (int32_t)count;
	for (int i = 0; i < x->ndim && clef_shape_numel(*y) > 0; i++)
		if (i < opts->dim)
			opts->outer *= (int32_t)x->dim[i];
		else if (i > opts->dim)
			opts->inner *= (int32_t)x->dim[i];
}

static clef_status infer_gather(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	/* The copy in the arena, which is this node's own. */
	gather_opts *opts = (gather_opts *)(uintptr_t)n->opts;
	const clef_tensor *x = n->x[0];
	clef_status status = clef__op_dtype(n, 1, "index", CLEF_INT32);

	if (status)
		return status;
	*dtype = x->dtype;
	*shape = n->x[1]->shape;
	split_shape(opts, &x->shape, shape, shape->dim[opts->dim]);
	return CLEF_OK;
}

static clef_status infer_select(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	gather_opts *opts = (gather_opts *)(uintptr_t)n->opts;
	const clef_tensor *x = n->x[0], *index = n->x[1];
	clef_status status = clef__op_dtype(n, 1, "index", CLEF_INT32);

	if (!status)
		status = clef__wrap_dim(n, &opts->dim, x->shape.ndim);
	if (status)
		return status;
	if (index->shape.ndim != 1)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "index has shape %s, expected one dimension",
				     CLEF__SHAPE_TEXT(index->shape));
	*dtype = x->dtype;
	*shape = x->shape;
	shape->dim[opts->dim] = index->numel;
	split_shape(opts, &x->shape, shape, index->numel);
	return clef__check_size(n, shape);
}

static clef_status infer_embedding(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	gather_opts *opts = (gather_opts *)(uintptr_t)n->opts;
	const clef_shape *w = &n->x[0]->shape, *index = &n->x[1]->shape;
	clef_status status = clef__op_dtype(n, 1, "index", CLEF_INT32);
	int64_t rows;

	if (status)
		return status;
	if (w->ndim < 1 || index->ndim + w->ndim - 1 > CLEF_MAX_DIMS)
		return clef__op_fail(n, CLEF_ERROR_SHAPE,
				     "weight %s and index %s, expected weight [count, ...] and a result of at most %d "
				     "dimensions",
				     CLEF__SHAPE_TEXT(*w), CLEF__SHAPE_TEXT(*index), CLEF_MAX_DIMS);
	rows = w->dim[0];
	if (opts->has_padding && (opts->padding < -rows || opts->padding >= rows))
		return clef__op_fail(n, CLEF_ERROR_INVALID, "padding_idx %d of weight %s: %lld to %lld are allowed",
				     opts->padding, CLEF__SHAPE_TEXT(*w), (long long)-rows, (long long)rows - 1);
	opts->padding += opts->padding < 0 ? (int)rows : 0;
	*dtype = n->x[0]->dtype;
	*shape = *index;
	for (int i = 1; i < w->ndim; i++)
		shape->dim[shape->ndim++] = w->dim[i];
	if (clef__check_size(n, shape))
		return CLEF_ERROR_SHAPE;
	split_shape(opts, w, shape, n->x[1]->numel);
	return CLEF_OK;
}

static clef_status forward(const clef__node *n)
{
	const gather_opts *opts = n->opts;
	const clef_tensor *x = n->x[0], *y = n->y;
	/* NaN; the smallest integer. */
	uint32_t invalid = y->dtype == CLEF_FLOAT32 ? 0x7fc00000 : 0x80000000;
	bool runs = !opts->whole && clef_device_get_info(x->dev)->kind == CLEF_DEVICE_CPU;
	int span = runs ? CLEF__MIN(opts->inner, SPAN) : 1;
	int items = y->numel ? opts->outer * opts->count * clef__divide_up(opts->inner, span) : 0;

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "gather",
					    .kernel = "gather",
					    .label = n->op->name,
					    .global = { (size_t)items },
					    .long_items = items < y->numel,
					    .bytes = 8.0 * (double)y->numel + 4.0 * (double)n->x[1]->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(y),
						      CLEF__INT(opts->size), CLEF__INT(opts->count),
						      CLEF__INT(opts->inner), CLEF__INT(opts->whole),
						      CLEF__UINT(invalid), CLEF__INT(span), CLEF__INT(items) },
				    });
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const gather_opts *opts = n->opts;
	clef_device *dev = dy->dev;
	int64_t lines = (int64_t)opts->outer * opts->inner;
	int64_t items = clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU ? ITEMS_CPU : ITEMS_GPU;
	int64_t ranges = CLEF__MAX(CLEF__MIN(items / lines, opts->size), 1);
	clef_status status = CLEF_OK;

	if (!dx->dx)
		return CLEF_OK;
	if (dx->beta == 0)
		status = clef_fill(dx->dx, 0);
	if (status || dy->numel == 0)
		return status;
	return clef__launch(
		dev,
		&(clef__launch_opts){
			.program = "gather",
			.kernel = "gather_backward",
			.global = { (size_t)(lines * ranges) },
			.long_items = true,
			.bytes = 12.0 * (double)dy->numel + 4.0 * (double)n->x[1]->numel,
			.flops = (double)dy->numel,
			.args = { CLEF__TENSOR(n->x[1]), CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__INT(opts->size),
				  CLEF__INT(opts->count), CLEF__INT(opts->inner), CLEF__INT(opts->whole),
				  CLEF__INT(opts->has_padding ? opts->padding : -1), CLEF__INT(lines),
				  CLEF__INT((opts->size + ranges - 1) / ranges), CLEF__INT(lines * ranges) },
		});
}

static const clef__op gather = { "gather", infer_gather, forward, backward };
static const clef__op index_select = { "index_select", infer_select, forward, backward };
static const clef__op embedding = { "embedding", infer_embedding, forward, backward };

/* The shapes of a gather, and `dim` counted from 0. */
static clef_status check_gather(const clef_tensor *x, const clef_tensor *index, int *dim)
{
	int ndim = x->shape.ndim;
	bool fits = index->shape.ndim == ndim;

	if (*dim < -ndim || *dim >= ndim)
		return clef__fail(CLEF_ERROR_INVALID, "gather: dimension %d of x %s", *dim, CLEF__SHAPE_TEXT(x->shape));
	*dim += *dim < 0 ? ndim : 0;
	for (int i = 0; i < ndim && fits; i++)
		fits = i == *dim || index->shape.dim[i] <= x->shape.dim[i];
	if (fits)
		return CLEF_OK;
	return clef__fail(CLEF_ERROR_SHAPE,
			  "gather: index has shape %s, expected as many dimensions as x %s, and none larger but for "
			  "dimension %d",
			  CLEF__SHAPE_TEXT(index->shape), CLEF__SHAPE_TEXT(x->shape), *dim);
}

clef_tensor *clef_gather(clef_tensor *x, int dim, clef_tensor *index)
{
	gather_opts opts = { .whole = true };

	if (!x || !index) {
		clef__null_argument("gather");
		return NULL;
	}
	if (check_gather(x, index, &dim))
		return NULL;
	/* Where the index is smaller than x, the rest of x has no part in it. */
	for (int i = 0; x && i < index->shape.ndim; i++)
		if (i != dim && index->shape.dim[i] < x->shape.dim[i])
			x = clef_slice(x, i, 0, index->shape.dim[i], 1);
	opts.dim = dim;
	return clef__apply(&gather, (clef_tensor *[]){ x, index }, 2, &opts, sizeof(opts));
}

clef_tensor *clef_index_select(clef_tensor *x, int dim, clef_tensor *index)
{
	gather_opts opts = { .dim = dim };

	return clef__apply(&index_select, (clef_tensor *[]){ x, index }, 2, &opts, sizeof(opts));
}

clef_tensor *clef_embedding(clef_tensor *index, clef_tensor *weight, const clef_embedding_opts *o)
{
	gather_opts opts = { .dim = 0 };

	if (o) {
		opts.has_padding = o->has_padding;
		opts.padding = o->padding_idx;
	}
	return clef__apply(&embedding, (clef_tensor *[]){ weight, index }, 2, &opts, sizeof(opts));
}
