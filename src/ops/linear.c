/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products as operations. All the work is the runtime's GEMM; the bias is its epilogue. */
#include <clef/ops.h>

#include "tape.h"

static clef_status check_floats(const clef__node *n, const char *const *names)
{
	clef_status status = CLEF_OK;

	for (int i = 0; i < n->inputs && !status; i++)
		status = clef__op_dtype(n, i, names[i], CLEF_FLOAT32);
	return status;
}

/* A tensor as a matrix: its last dimension is the columns, the others make the rows. */
static int columns(const clef_tensor *x)
{
	return (int)x->shape.dim[x->shape.ndim - 1];
}

static int rows(const clef_tensor *x)
{
	int64_t n = 1;

	/* Only an empty tensor can have more than an int holds, and then no row is looked at. */
	for (int i = 0; i < x->shape.ndim - 1; i++)
		n = CLEF__MIN(n * x->shape.dim[i], INT32_MAX);
	return (int)n;
}

/* c = op(a) op(b) + beta c, plus the bias in every row unless it is NULL. */
static clef_status product(const clef_tensor *a, bool trans_a, const clef_tensor *b, bool trans_b,
			   const clef_tensor *bias, float beta, const clef_tensor *c)
{
	return clef__gemm(c->dev, &(clef__gemm_opts){ .trans_a = trans_a,
						      .trans_b = trans_b,
						      .m = rows(c),
						      .n = columns(c),
						      .k = trans_a ? rows(a) : columns(a),
						      .alpha = 1,
						      .beta = beta,
						      .a = a->buffer,
						      .a_offset = a->offset,
						      .lda = CLEF__MAX(columns(a), 1),
						      .b = b->buffer,
						      .b_offset = b->offset,
						      .ldb = CLEF__MAX(columns(b), 1),
						      .c = c->buffer,
						      .c_offset = c->offset,
						      .ldc = CLEF__MAX(columns(c), 1),
						      .bias = bias ? bias->buffer : NULL,
						      .bias_offset = bias ? bias->offset : 0 });
}

/* ---- linear: y = x w^T + b ---- */

static clef_status linear_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef_shape *x = &n->x[0]->shape, *w = &n->x[1]->shape;
	clef_status status = check_floats(n, (const char *const[]){ "x", "w", "b" });

	(void)dtype;
	if (status)
		return status;
	if (w->ndim != 2)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "w has shape %s, expected [out, in]", CLEF__SHAPE_TEXT(*w));
	if (x->ndim < 1 || x->dim[x->ndim - 1] != w->dim[1])
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "x has shape %s, expected [..., %lld] for w %s",
				     CLEF__SHAPE_TEXT(*x), (long long)w->dim[1], CLEF__SHAPE_TEXT(*w));
	if (n->inputs > 2 && (n->x[2]->shape.ndim != 1 || n->x[2]->numel != w->dim[0]))
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "b has shape %s, expected [%lld] for w %s",
				     CLEF__SHAPE_TEXT(n->x[2]->shape), (long long)w->dim[0], CLEF__SHAPE_TEXT(*w));
	*shape = *x;
	shape->dim[x->ndim - 1] = w->dim[0];
	if (clef_shape_numel(*shape) < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "the result %s would have more than 2^31 - 1 elements",
				     CLEF__SHAPE_TEXT(*shape));
	return CLEF_OK;
}

static clef_status linear_forward(const clef__node *n)
{
	return product(n->x[0], false, n->x[1], true, n->inputs > 2 ? n->x[2] : NULL, 0, n->y);
}

static clef_status linear_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	bool leading[CLEF_MAX_DIMS] = { false };
	clef_status status = CLEF_OK;

	for (int i = 0; i < dy->shape.ndim - 1; i++)
		leading[i] = true;
	if (dx[0].dx)
		status = product(dy, false, n->x[1], false, NULL, dx[0].beta, dx[0].dx);
	if (!status && dx[1].dx)
		status = product(dy, true, n->x[0], false, NULL, dx[1].beta, dx[1].dx);
	if (!status && n->inputs > 2 && dx[2].dx)
		status = clef__reduce_sum(dy, leading, 1, dx[2].beta, dx[2].dx);
	return status;
}

static const clef__op linear = { "linear", linear_infer, linear_forward, linear_backward };

clef_tensor *clef_linear(clef_tensor *x, clef_tensor *w, clef_tensor *b)
{
	return clef__apply(&linear, (clef_tensor *[]){ x, w, b }, 3, NULL, 0);
}

clef_tensor *clef_linear_no_bias(clef_tensor *x, clef_tensor *w)
{
	return clef__apply(&linear, (clef_tensor *[]){ x, w }, 2, NULL, 0);
}

/* ---- matmul: y = a b ---- */

static clef_status matmul_infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef_shape *a = &n->x[0]->shape, *b = &n->x[1]->shape;
	clef_status status = check_floats(n, (const char *const[]){ "a", "b" });

	(void)dtype;
	if (status)
		return status;
	if (a->ndim != 2 || b->ndim != 2 || a->dim[1] != b->dim[0])
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "a %s and b %s, expected [m, k] and [k, n]",
				     CLEF__SHAPE_TEXT(*a), CLEF__SHAPE_TEXT(*b));
	*shape = CLEF_SHAPE(a->dim[0], b->dim[1]);
	if (clef_shape_numel(*shape) < 0)
		return clef__op_fail(n, CLEF_ERROR_SHAPE, "the result %s would have more than 2^31 - 1 elements",
				     CLEF__SHAPE_TEXT(*shape));
	return CLEF_OK;
}

static clef_status matmul_forward(const clef__node *n)
{
	return product(n->x[0], false, n->x[1], false, NULL, 0, n->y);
}

static clef_status matmul_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	clef_status status = CLEF_OK;

	if (dx[0].dx)
		status = product(dy, false, n->x[1], true, NULL, dx[0].beta, dx[0].dx);
	if (!status && dx[1].dx)
		status = product(n->x[0], true, dy, false, NULL, dx[1].beta, dx[1].dx);
	return status;
}

static const clef__op matmul = { "matmul", matmul_infer, matmul_forward, matmul_backward };

clef_tensor *clef_matmul(clef_tensor *a, clef_tensor *b)
{
	return clef__apply(&matmul, (clef_tensor *[]){ a, b }, 2, NULL, 0);
}
