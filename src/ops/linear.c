/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linear layer's operation. All the work is the runtime's product of matrices, which adds the bias and applies the
 * activation to what it stores.
 */
#include <clef/ops.h>

#include "activation_internal.h"

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

/* c = op(a) op(b) + beta c */
static clef__gemm_opts product(const clef_tensor *a, bool trans_a, const clef_tensor *b, bool trans_b, float beta,
			       const clef_tensor *c)
{
	return (clef__gemm_opts){
		.trans_a = trans_a,
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
	};
}

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

/* Without gradients the weights stay as the product wants them. */
static clef_status multiply(const clef__node *n, clef__gemm_opts *g)
{
	const clef_tensor *w = n->x[1];
	const size_t place[] = { (size_t)(uintptr_t)w->buffer, w->offset, (size_t)g->n, (size_t)g->k };
	size_t size = clef__keeps(n, w) ? clef__gemm_packed_size(n->y->dev, g) : 0;
	clef_tensor *packed;
	clef_status status;
	bool made;

	if (!size || size > INT32_MAX)
		return clef__gemm(n->y->dev, g);
	packed = clef__keep(n, w, clef__hash(CLEF__HASH_START, place, sizeof(place)), CLEF_SHAPE((int64_t)size), &made);
	if (!packed)
		return clef_error_status();
	status = made ? CLEF_OK : clef__gemm_pack(n->y->dev, g, packed->buffer, packed->offset);
	g->b = packed->buffer;
	g->b_offset = packed->offset;
	g->packed = true;
	if (!status)
		status = clef__gemm(n->y->dev, g);
	clef__keep_end(w, packed, !status);
	return status;
}

static clef_status linear_forward(const clef__node *n)
{
	clef_activation activation = *(const clef_activation *)n->opts;
	const clef_tensor *b = n->inputs > 2 ? n->x[2] : NULL;
	clef__gemm_opts g = product(n->x[0], false, n->x[1], true, 0, n->y);

	g.bias = b ? b->buffer : NULL;
	g.bias_offset = b ? b->offset : 0;
	if (activation.kind != CLEF_ACT_NONE) {
		g.epilogue = clef__activation_floor(&activation);
		g.p = activation.p;
		g.q = activation.q;
	}
	return multiply(n, &g);
}

/* dz: the gradient to x w^T + b. */
static clef_status linear_backward_from(const clef__node *n, const clef_tensor *dz, const clef__grad *dx)
{
	bool leading[CLEF_MAX_DIMS] = { false };
	clef_status status = CLEF_OK;
	clef__gemm_opts g;

	for (int i = 0; i < dz->shape.ndim - 1; i++)
		leading[i] = true;
	if (dx[0].dx) {
		g = product(dz, false, n->x[1], false, dx[0].beta, dx[0].dx);
		if (dx[0].gate) {
			g.gate = dx[0].gate->buffer;
			g.gate_offset = dx[0].gate->offset;
		}
		status = clef__gemm(dz->dev, &g);
	}
	if (!status && dx[1].dx) {
		g = product(dz, true, n->x[0], false, dx[1].beta, dx[1].dx);
		status = clef__gemm(dz->dev, &g);
	}
	if (!status && n->inputs > 2 && dx[2].dx)
		status = clef__reduce_sum(dz, leading, 1, dx[2].beta, dx[2].dx);
	return status;
}

static clef_status linear_backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const clef_tensor *dz;
	clef_tensor *scratch;
	clef_status status = clef__activation_backward(n, *(const clef_activation *)n->opts, dy, &dz, &scratch);

	if (!status)
		status = linear_backward_from(n, dz, dx);
	clef__scratch_free(scratch);
	return status;
}

static bool linear_needs(const clef__node *n, int i)
{
	return i >= 0 || ((const clef_activation *)n->opts)->kind != CLEF_ACT_NONE;
}

static bool linear_is_relu(const clef__node *n)
{
	return ((const clef_activation *)n->opts)->kind == CLEF_ACT_RELU;
}

static const clef__op linear = { .name = "linear",
				 .infer = linear_infer,
				 .forward = linear_forward,
				 .backward = linear_backward,
				 .needs = linear_needs,
				 .is_relu = linear_is_relu,
				 .heeds_gate = true };

static clef_tensor *apply(clef_tensor *const *x, int inputs, clef_activation activation)
{
	bool fuses = clef__activation_fuses(activation);
	const clef_activation fused = fuses ? clef__activation_resolve(activation) : (clef_activation){ CLEF_ACT_NONE };
	clef_tensor *y = clef__apply(&linear, x, inputs, &fused, sizeof(fused));

	return fuses ? y : clef_activate(y, activation);
}

clef_tensor *clef_linear(clef_tensor *x, clef_tensor *w, clef_tensor *b)
{
	return clef_linear_act(x, w, b, (clef_activation){ CLEF_ACT_NONE });
}

clef_tensor *clef_linear_no_bias(clef_tensor *x, clef_tensor *w)
{
	return clef_linear_act_no_bias(x, w, (clef_activation){ CLEF_ACT_NONE });
}

clef_tensor *clef_linear_act(clef_tensor *x, clef_tensor *w, clef_tensor *b, clef_activation activation)
{
	return apply((clef_tensor *[]){ x, w, b }, 3, activation);
}

clef_tensor *clef_linear_act_no_bias(clef_tensor *x, clef_tensor *w, clef_activation activation)
{
	return apply((clef_tensor *[]){ x, w }, 2, activation);
}
