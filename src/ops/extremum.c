/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest and smallest values, and where they are. Values are folded; positions have kernels of their own, which
 * find the best of each chunk first and then the best of those, so that a long row keeps many work-items busy.
 */
#include "reduce_op.h"

/* Chunks of at least so many values are searched by one work-item each. */
#define CHUNK       1024
#define FEW_OUTPUTS 4096

/* ---- values ---- */

typedef struct extremum {
	clef__op op; /* first: a node's op leads back here */
	clef__fold_row fold;
} extremum;

/* How many values equal the result: they share its gradient. */
static const clef__fold_row ties = { .label = "count ties",
				     .defines = "#define COMBINE_SUM\n"
						"#define TERM x == S ? 1.0f : 0.0f\n",
				     .sum = true };

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const extremum *e = (const extremum *)n->op;
	clef_status status = clef__reduction_infer(n, shape);

	(void)dtype;
	return status ? status : clef__reduction_some(n, shape, e->op.name);
}

static clef_status forward(const clef__node *n)
{
	const extremum *e = (const extremum *)n->op;
	const clef__reduction *r = n->opts;

	return clef__fold(&e->fold, n->x[0], r->reduce, NULL, 1, n->y);
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const extremum *e = (const extremum *)n->op;
	const clef__reduction *r = n->opts;
	clef_tensor *count;
	clef_status status;

	if (!dx->dx)
		return CLEF_OK;
	count = clef__scratch(n, CLEF_FLOAT32, n->y->shape);
	if (!count)
		return clef_error_status();
	status = clef__fold(&ties, n->x[0], r->reduce, &(clef__fold_args){ .s = n->y }, 1, count);
	if (!status)
		status = clef__fold_backward(&e->fold, n->x[0], r->reduce, n->y, dy, &(clef__fold_args){ .s = count },
					     dx->beta, dx->dx);
	clef__scratch_free(count);
	return status;
}

#define EXTREMUM(name, combine)                                                                                        \
	static const extremum name##imum = { { #name, infer, forward, backward },                                      \
					     { .label = #name,                                                         \
					       .backward_label = #name " backward",                                    \
					       .defines =                                                              \
						       "#define " combine "\n#define TERM x\n"                         \
						       "#define GRADIENT x == y ? dy / S : y == y ? 0.0f : NAN\n" } };

EXTREMUM(max, "COMBINE_MAX")
EXTREMUM(min, "COMBINE_MIN")

static clef_tensor *apply(const clef__op *op, clef_tensor *x, const clef_reduce_opts *dims)
{
	clef__reduction r = { .count = 0 };

	if (dims)
		r.dims = *dims;
	return clef__apply(op, &x, 1, &r, sizeof(r));
}

clef_tensor *clef_max(clef_tensor *x, const clef_reduce_opts *opts)
{
	return apply(&maximum.op, x, opts);
}

clef_tensor *clef_min(clef_tensor *x, const clef_reduce_opts *opts)
{
	return apply(&minimum.op, x, opts);
}

/* ---- positions ---- */

typedef struct position {
	clef__op op; /* first: a node's op leads back here */
	const char *defines;
} position;

static clef_status position_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef__reduction *r = n->opts;
	clef_status status = clef__reduction_infer(n, shape);

	*dtype = CLEF_INT32;
	if (!status && r->dims.ndim > 1)
		status =
			clef__op_fail(n, CLEF_ERROR_INVALID, "%d dimensions given: one, or none for all", r->dims.ndim);
	return status ? status : clef__reduction_some(n, shape, n->op->name);
}

/* x as outer x reduced x inner. */
static clef_status find(const clef__node *n, int reduced, int inner, int chunk, int chunks, const clef_tensor *out)
{
	const position *p = (const position *)n->op;
	const clef_tensor *x = n->x[0];

	return clef__launch(
		x->dev, &(clef__launch_opts){
				.program = "extremum",
				.defines = p->defines,
				.kernel = "find",
				.label = p->op.name,
				.global = { (size_t)(n->y->numel * chunks) },
				.long_items = true,
				.bytes = 4.0 * (double)(x->numel + n->y->numel * chunks),
				.args = { CLEF__TENSOR(x), CLEF__TENSOR(out), CLEF__INT(reduced), CLEF__INT(inner),
					  CLEF__INT(chunk), CLEF__INT(n->y->numel), CLEF__INT(n->y->numel * chunks) },
			});
}

static clef_status find_of_found(const clef__node *n, int reduced, int inner, int chunks, const clef_tensor *found)
{
	const position *p = (const position *)n->op;
	const clef_tensor *x = n->x[0];

	return clef__launch(
		x->dev, &(clef__launch_opts){
				.program = "extremum",
				.defines = p->defines,
				.kernel = "find_of_found",
				.label = p->op.name,
				.global = { (size_t)n->y->numel },
				.long_items = true,
				.bytes = 8.0 * (double)found->numel,
				.args = { CLEF__TENSOR(x), CLEF__TENSOR(found), CLEF__TENSOR(n->y), CLEF__INT(reduced),
					  CLEF__INT(inner), CLEF__INT(chunks), CLEF__INT(n->y->numel) },
			});
}

static clef_status position_forward(const clef__node *n)
{
	const clef__reduction *r = n->opts;
	const clef_shape *s = &n->x[0]->shape;
	int reduced = (int)r->count, inner = 1, chunk = CHUNK, chunks;
	clef_tensor *found;
	clef_status status;

	if (n->y->numel == 0)
		return CLEF_OK;
	for (int i = s->ndim - 1; r->dims.ndim && !r->reduce[i]; i--)
		inner *= (int)s->dim[i];
	if (reduced <= 2 * CHUNK || n->y->numel >= FEW_OUTPUTS)
		return find(n, reduced, inner, reduced, 1, n->y);
	/* About as many chunks as there are values in each. */
	while (chunk < reduced / chunk)
		chunk *= 2;
	chunks = (reduced - 1) / chunk + 1;
	found = clef__scratch(n, CLEF_INT32, CLEF_SHAPE(chunks, n->y->numel));
	if (!found)
		return clef_error_status();
	status = find(n, reduced, inner, chunk, chunks, found);
	if (!status)
		status = find_of_found(n, reduced, inner, chunks, found);
	clef__scratch_free(found);
	return status;
}

static const position argmax = { { "argmax", position_infer, position_forward, NULL },
				 "#define BEATS(a, b) ((a) > (b) || ((a) != (a) && (b) == (b)))\n" };
static const position argmin = { { "argmin", position_infer, position_forward, NULL },
				 "#define BEATS(a, b) ((a) < (b) || ((a) != (a) && (b) == (b)))\n" };

clef_tensor *clef_argmax(clef_tensor *x, const clef_reduce_opts *opts)
{
	return apply(&argmax.op, x, opts);
}

clef_tensor *clef_argmin(clef_tensor *x, const clef_reduce_opts *opts)
{
	return apply(&argmin.op, x, opts);
}
