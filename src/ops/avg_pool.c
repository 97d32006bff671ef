/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling by the mean. In backward each element of x gathers from the windows that cover it, in their order: no
 * atomics, and sums that are the same in every run. Global pooling is a sum like any other and is left to the tensor
 * layer, which splits long ones.
 */
#include "pool_internal.h"

clef_status clef__avg_pool_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	clef_status status = clef__pool_infer(n, shape);
	clef__pool *p = clef__own_opts(n);

	(void)dtype;
	if (!status)
		p->way = clef__pool_choose(n, p, false);
	return status;
}

/* Adaptive, with one output an image. */
static clef_status forward_global(const clef__node *n)
{
	const clef__pool *p = n->opts;
	bool reduce[CLEF_MAX_DIMS] = { false };

	reduce[n->y->shape.ndim - 1] = true;
	if (!p->flat)
		reduce[n->y->shape.ndim - 2] = true;
	return clef__reduce_sum(n->x[0], reduce, 1 / ((float)p->in[0] * (float)p->in[1]), 0, n->y);
}

clef_status clef__avg_pool_forward(const clef__node *n)
{
	const clef__pool *p = n->opts;
	const clef_tensor *x = n->x[0], *y = n->y;

	if (p->adaptive && p->out[0] == 1 && p->out[1] == 1)
		return forward_global(n);
	return clef__launch(
		x->dev, &(clef__launch_opts){
				.program = "avg_pool",
				.defines = clef__pool_defines(p),
				.kernel = "avg_pool",
				.label = n->op->name,
				.global = { (size_t)y->numel },
				.bytes = 4.0 * ((double)x->numel + (double)y->numel),
				.args = { CLEF__TENSOR(x), CLEF__TENSOR(y), clef__pool_image(p), clef__pool_window(p),
					  CLEF__INT(p->exclude_pad), CLEF__INT(p->divisor), CLEF__INT(y->numel) },
			});
}

static clef_status backward_rows(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__pool *p = n->opts;
	const clef_tensor *x = n->x[0];
	const clef__pool_blocks b = clef__pool_cut(p->in[0], p->in[1]);
	int items = (int)(x->numel / ((int64_t)p->in[0] * p->in[1])) * b.count;

	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "avg_pool_cpu",
			.defines = clef__pool_defines(p),
			.kernel = "avg_pool_backward",
			.global = { (size_t)items },
			.long_items = true,
			.bytes = (dx->beta != 0 ? 8.0 : 4.0) * (double)x->numel + 4.0 * (double)dy->numel,
			.args = { CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__FLOAT(dx->beta), clef__pool_image(p),
				  clef__pool_window(p), CLEF__INT(p->exclude_pad), CLEF__INT(p->divisor),
				  CLEF__INT(b.rows), CLEF__INT(b.count), CLEF__INT(items) },
		});
}

clef_status clef__avg_pool_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef__pool *p = n->opts;
	const clef_tensor *x = n->x[0];

	if (!dx->dx)
		return CLEF_OK;
	if (p->way == CLEF__POOL_ROWS)
		return backward_rows(n, dy, dx);
	return clef__launch(x->dev,
			    &(clef__launch_opts){
				    .program = "avg_pool",
				    .defines = clef__pool_defines(p),
				    .kernel = "avg_pool_backward",
				    .global = { (size_t)x->numel },
				    .bytes = (dx->beta != 0 ? 8.0 : 4.0) * (double)x->numel + 4.0 * (double)dy->numel,
				    .args = { CLEF__TENSOR(dy), CLEF__TENSOR(dx->dx), CLEF__FLOAT(dx->beta),
					      clef__pool_image(p), clef__pool_window(p), CLEF__INT(p->exclude_pad),
					      CLEF__INT(p->divisor), CLEF__INT(x->numel) },
			    });
}

static const clef__op avg_pool2d = {
	"avg_pool2d", clef__avg_pool_infer, clef__avg_pool_forward, clef__avg_pool_backward, NULL, clef__needs_nothing
};
static const clef__op avg_pool1d = {
	"avg_pool1d", clef__avg_pool_infer, clef__avg_pool_forward, clef__avg_pool_backward, NULL, clef__needs_nothing
};

static clef_tensor *apply(const clef__op *op, clef_tensor *x, bool flat, const clef_avg_pool_opts *o)
{
	clef__pool p;

	if (!o) {
		clef__null_argument(op->name);
		return NULL;
	}
	p = clef__pool_windows(flat, (int[]){ o->kernel, o->kernel_w }, (int[]){ o->stride, o->stride_w },
			       (int[]){ o->pad, o->pad_w }, (int[]){ 0, 0 }, o->ceil_mode);
	p.exclude_pad = o->exclude_pad;
	p.divisor = o->divisor;
	return clef__apply(op, &x, 1, &p, sizeof(p));
}

clef_tensor *clef_avg_pool2d(clef_tensor *x, const clef_avg_pool_opts *opts)
{
	return apply(&avg_pool2d, x, false, opts);
}

clef_tensor *clef_avg_pool1d(clef_tensor *x, const clef_avg_pool_opts *opts)
{
	return apply(&avg_pool1d, x, true, opts);
}
