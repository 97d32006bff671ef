/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic that no tape records: filling, copying, adding up. Gradients and update rules by hand are made of it. */
#include "tensor_internal.h"

/* Sums of more values than this are made of partial sums, where there are too few outputs to keep a device busy. */
#define CHUNK       1024
#define FEW_OUTPUTS 4096
#define BLOCK       64 /* columns of a work-item in sum.cl */

clef_status clef_fill(clef_tensor *x, double value)
{
	bool real;

	if (!x)
		return clef__null_argument("clef_fill");
	if (clef__tensor_check("clef_fill", x))
		return CLEF_ERROR_STATE;
	real = x->dtype == CLEF_FLOAT32;
	if (!real && !(value > -2147483649.0 && value < 2147483648.0))
		return clef__fail(CLEF_ERROR_INVALID, "clef_fill: %g does not fit an int32 tensor", value);
	if (!x->buffer)
		return CLEF_OK;
	return clef__launch(
		x->dev,
		&(clef__launch_opts){
			.program = "tensor",
			.kernel = real ? "fill" : "fill_int",
			.global = { (size_t)x->numel },
			.bytes = 4.0 * (double)x->numel,
			.args = { CLEF__TENSOR(x), real ? (clef__arg)CLEF__FLOAT(value) : (clef__arg)CLEF__INT(value),
				  CLEF__INT(x->numel) },
		});
}

clef_status clef__axpby(float alpha, const clef_tensor *x, float beta, clef_tensor *y)
{
	if (!x->buffer || !y->buffer)
		return CLEF_OK;
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "tensor",
					    .kernel = "axpby",
					    .global = { (size_t)x->numel },
					    .bytes = (beta != 0 ? 12.0 : 8.0) * (double)x->numel,
					    .args = { CLEF__FLOAT(alpha), CLEF__TENSOR(x), CLEF__FLOAT(beta),
						      CLEF__TENSOR(y), CLEF__INT(x->numel) },
				    });
}

static clef_status check_pair(const char *what, const clef_tensor *x, const clef_tensor *y)
{
	if (!x || !y)
		return clef__null_argument(what);
	if (clef__tensor_check(what, x) || clef__tensor_check(what, y))
		return CLEF_ERROR_STATE;
	if (!clef_shape_equal(x->shape, y->shape))
		return clef__fail(CLEF_ERROR_SHAPE, "%s: x %s and y %s differ", what, CLEF__SHAPE_TEXT(x->shape),
				  CLEF__SHAPE_TEXT(y->shape));
	if (x->dtype != y->dtype)
		return clef__fail(CLEF_ERROR_DTYPE, "%s: x is %s, y is %s", what, clef_dtype_name(x->dtype),
				  clef_dtype_name(y->dtype));
	if (x->dev != y->dev)
		return clef__fail(CLEF_ERROR_INVALID, "%s: x and y are on two devices", what);
	return CLEF_OK;
}

clef_status clef_axpy(float alpha, const clef_tensor *x, clef_tensor *y)
{
	clef_status status = check_pair("clef_axpy", x, y);

	if (status)
		return status;
	if (x->dtype != CLEF_FLOAT32)
		return clef__fail(CLEF_ERROR_DTYPE, "clef_axpy: x and y are %s, expected float32",
				  clef_dtype_name(x->dtype));
	return clef__axpby(alpha, x, 1, y);
}

clef_status clef_copy(const clef_tensor *x, clef_tensor *y)
{
	clef_status status = check_pair("clef_copy", x, y);

	if (status || !x->buffer || !y->buffer)
		return status;
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "tensor",
					    .kernel = "copy",
					    .global = { (size_t)x->numel },
					    .bytes = 8.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__INT(x->numel) },
				    });
}

/* ---- sums ---- */

/* x as outer x reduced x inner; y[outer][chunk][inner] = alpha * the sum over one chunk + beta * y. */
typedef struct sum_pass {
	int outer, reduced, inner, chunk;
} sum_pass;

static clef_status run_pass(clef_device *dev, const sum_pass *p, const clef__buffer *x, size_t x_offset, float alpha,
			    float beta, const clef__buffer *y, size_t y_offset)
{
	/* On a CPU a work-item sums up neighbouring columns. */
	const bool blocks = p->inner > 1 && clef_device_get_info(dev)->kind == CLEF_DEVICE_CPU;
	int chunks = p->reduced ? (p->reduced + p->chunk - 1) / p->chunk : 1;
	size_t sums = (size_t)p->outer * (size_t)chunks, outputs = sums * (size_t)p->inner;
	size_t items = blocks ? sums * (size_t)clef__divide_up(p->inner, BLOCK) : outputs;

	return clef__launch(
		dev, &(clef__launch_opts){
			     .program = "sum",
			     .kernel = p->inner == 1 ? "sum_inner" : "sum_outer",
			     .global = { items },
			     .long_items = true,
			     .bytes = 4.0 * ((double)p->outer * p->reduced * p->inner + (double)outputs),
			     .flops = (double)p->outer * p->reduced * p->inner,
			     .args = { CLEF__BUFFER(x, x_offset), CLEF__BUFFER(y, y_offset), CLEF__INT(p->reduced),
				       CLEF__INT(p->inner), CLEF__INT(p->chunk), CLEF__INT(chunks), CLEF__FLOAT(alpha),
				       CLEF__FLOAT(beta), CLEF__INT(items) },
		     });
}

/* The shape as alternating groups of kept and reduced dimensions, without those of size 1. */
typedef struct groups {
	int count;
	int size[CLEF_MAX_DIMS];
	bool reduce[CLEF_MAX_DIMS];
} groups;

static groups group_dims(const clef_tensor *x, const bool reduce[CLEF_MAX_DIMS])
{
	groups g = { 0 };

	for (int i = 0; i < x->shape.ndim; i++) {
		if (x->shape.dim[i] == 1)
			continue;
		if (g.count == 0 || g.reduce[g.count - 1] != reduce[i]) {
			g.reduce[g.count] = reduce[i];
			g.size[g.count++] = 1;
		}
		g.size[g.count - 1] *= (int)x->shape.dim[i];
	}
	return g;
}

static int product(const int *size, int count)
{
	int n = 1;

	for (int i = 0; i < count; i++)
		n *= size[i];
	return n;
}

/* Shrinks group i to its number of chunks, or, when that is 1, takes it out and joins its neighbours. */
static void shrink(groups *g, int i, int chunks)
{
	g->size[i] = chunks;
	if (chunks > 1)
		return;
	for (int j = i; j + 1 < g->count; j++) {
		g->size[j] = g->size[j + 1];
		g->reduce[j] = g->reduce[j + 1];
	}
	g->count--;
	if (i > 0 && i < g->count && g->reduce[i] == g->reduce[i - 1]) {
		g->size[i - 1] *= g->size[i];
		for (int j = i; j + 1 < g->count; j++) {
			g->size[j] = g->size[j + 1];
			g->reduce[j] = g->reduce[j + 1];
		}
		g->count--;
	}
}

static int last_reduced(const groups *g)
{
	for (int i = g->count - 1; i >= 0; i--)
		if (g->reduce[i])
			return i;
	return -1;
}

clef_status clef__reduce_sum(const clef_tensor *x, const bool reduce[CLEF_MAX_DIMS], float alpha, float beta,
			     clef_tensor *y)
{
	clef_device *dev = x->dev;
	clef__buffer *in = x->buffer, *out = NULL;
	size_t in_offset = x->offset;
	clef_status status = CLEF_OK;
	groups g;
	int i;

	if (!x->buffer || !y->buffer)
		return CLEF_OK;
	/* Sums of nothing. The other sizes may be so large that their product overflows. */
	if (x->numel == 0)
		return run_pass(dev, &(sum_pass){ 1, 0, (int)y->numel, 1 }, in, in_offset, alpha, beta, y->buffer,
				y->offset);
	g = group_dims(x, reduce);
	if (last_reduced(&g) < 0)
		return clef__axpby(alpha, x, beta, y);
	while (!status && (i = last_reduced(&g)) >= 0) {
		sum_pass p = { product(g.size, i), g.size[i], product(g.size + i + 1, g.count - i - 1), g.size[i] };
		int chunks = 1;
		bool last;

		if (p.reduced > 2 * CHUNK && (int64_t)p.outer * p.inner < FEW_OUTPUTS) {
			p.chunk = CHUNK;
			chunks = (p.reduced + CHUNK - 1) / CHUNK;
		}
		p.chunk = CLEF__MAX(p.chunk, 1);
		shrink(&g, i, chunks);
		last = last_reduced(&g) < 0;
		out = last ? NULL : clef__buffer_new(dev, sizeof(float) * (size_t)product(g.size, g.count));
		if (last)
			status = run_pass(dev, &p, in, in_offset, alpha, beta, y->buffer, y->offset);
		else
			status = out ? run_pass(dev, &p, in, in_offset, 1, 0, out, 0) : clef_error_status();
		if (in != x->buffer)
			clef__buffer_release(in);
		in = out;
		in_offset = 0;
	}
	if (in != x->buffer)
		clef__buffer_release(in);
	return status;
}
