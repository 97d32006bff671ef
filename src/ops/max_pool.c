/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling by the largest element. Forward keeps where each one was found; in backward each element of x looks for
 * itself in the windows that cover it, in their order, so overlapping windows need no atomics and sums are the same in
 * every run. On a CPU a work-item does the same for whole rows.
 */
#include "pool_internal.h"

clef_status clef__max_pool_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	clef_status status = clef__pool_infer(n, shape);
	clef__pool *p = clef__own_opts(n);

	(void)dtype;
	if (status)
		return status;
	p->way = clef__pool_choose(n, p, true);
	return clef__save(n, 0, CLEF_INT32, *shape);
}

static clef_status forward_rows(const clef__node *n)
{
	const clef__pool *p = n->opts;
	const clef_tensor *x = n->x[0], *y = n->y;
	const clef__pool_blocks b = clef__pool_cut(p->out[0], p->out[1]);
	int items = (int)(y->numel / ((int64_t)p->out[0] * p->out[1])) * b.count;

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "max_pool_cpu",
					    .defines = clef__pool_defines(p),
					    .kernel = "max_pool",
					    .label = n->op->name,
					    .global = { (size_t)items },
					    .long_items = true,
					    .bytes = 4.0 * (double)x->numel + 8.0 * (double)y->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(y),
						      clef__pool_image(p), clef__pool_window(p), CLEF__INT(b.rows),
						      CLEF__INT(b.count), CLEF__INT(items) },
				    });
}

clef_status clef__max_pool_forward(const clef__node *n)
{
	const clef__pool *p = n->opts;
	const clef_tensor *x = n->x[0], *y = n->y;

	if (p->way == CLEF__POOL_ROWS)
		return forward_rows(n);
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "max_pool",
					    .defines = clef__pool_defines(p),
					    .kernel = "max_pool",
					    .label = n->op->name,
					    .global = { (size_t)y->numel },
					    .bytes = 4.0 * (double)x->numel + 8.0 * (double)y->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(y),
						      clef__pool_image(p), clef__pool_window(p), CLEF__INT(y->numel) },
				    });
}

static clef_status backward_rows(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__pool *p = n->opts;
	const clef_tensor *x = n->x[0];
	const clef__pool_blocks b = clef__pool_cut(p->in[0], p->in[1]);
	int items = (int)(x->numel / ((int64_t)p->in[0] * p->in[1])) * b.count;

	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "max_pool_cpu",
				    .defines = clef__pool_defines(p),
				    .kernel = "max_pool_backward",
				    .global = { (size_t)items },
				    .long_items = true,
				    .bytes = (dx->beta != 0 ? 8.0 : 4.0) * (double)x->numel + 8.0 * (double)dy->numel,
				    .args = { CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx),
					      CLEF__FLOAT(dx->beta), clef__pool_image(p), clef__pool_window(p),
					      CLEF__INT(b.rows), CLEF__INT(b.count), CLEF__INT(items) },
			    });
}

clef_status clef__max_pool_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__pool *p = n->opts;
	const clef_tensor *x = n->x[0];

	if (!dx->dx)
		return CLEF_OK;
	if (p->way == CLEF__POOL_ROWS)
		return backward_rows(n, dy, dx);
	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "max_pool",
				    .defines = clef__pool_defines(p),
				    .kernel = "max_pool_backward",
				    .global = { (size_t)x->numel },
				    .bytes = (dx->beta != 0 ? 8.0 : 4.0) * (double)x->numel + 8.0 * (double)dy->numel,
				    .args = { CLEF__TENSOR(n->saved[0]), CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx),
					      CLEF__FLOAT(dx->beta), clef__pool_image(p), clef__pool_window(p),
					      CLEF__INT(x->numel) },
			    });
}

static const clef__op max_pool2d = {
	"max_pool2d", clef__max_pool_infer, clef__max_pool_forward, clef__max_pool_backward, NULL, clef__needs_nothing
};
static const clef__op max_pool1d = {
	"max_pool1d", clef__max_pool_infer, clef__max_pool_forward, clef__max_pool_backward, NULL, clef__needs_nothing
};

static clef_tensor *apply(const clef__op *op, clef_tensor *x, bool flat, const clef_max_pool_opts *o)
{
	clef__pool p;

	if (!o) {
		clef__null_argument(op->name);
		return NULL;
	}
	p = clef__pool_windows(flat, (int[]){ o->kernel, o->kernel_w }, (int[]){ o->stride, o->stride_w },
			       (int[]){ o->pad, o->pad_w }, (int[]){ o->dilation, o->dilation_w }, o->ceil_mode);
	return clef__apply(op, &x, 1, &p, sizeof(p));
}

clef_tensor *clef_max_pool2d(clef_tensor *x, const clef_max_pool_opts *opts)
{
	return apply(&max_pool2d, x, false, opts);
}

clef_tensor *clef_max_pool1d(clef_tensor *x, const clef_max_pool_opts *opts)
{
	return apply(&max_pool1d, x, true, opts);
}

clef_tensor *clef_max_pool_indices(clef_tensor *y)
{
	if (!y) {
		clef__null_argument("clef_max_pool_indices");
		return NULL;
	}
	if (clef__tensor_check("clef_max_pool_indices", y))
		return NULL;
	for (int i = y->tape ? clef__tape_count(y->tape) - 1 : -1; i >= 0; i--) {
		const clef__node *n = clef__tape_node(y->tape, i);

		if (n->y == y && n->op->forward == clef__max_pool_forward)
			return n->saved[0];
	}
	return clef__fail_null(CLEF_ERROR_INVALID, "clef_max_pool_indices: y %s is no result of a maximum pooling",
			       CLEF__SHAPE_TEXT(y->shape));
}
