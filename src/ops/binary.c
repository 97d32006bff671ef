/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pointwise operations of two operands, with broadcasting. Dimensions along which both operands behave alike are made
 * one, so operands of one shape become a single dimension and take the kernels without index arithmetic. The gradient
 * of an operand that was broadcast is computed in the shape of the result and summed down.
 */
#include <clef/ops.h>

#include "runs.h"
#include "tape.h"

typedef struct binary {
	clef__op op; /* first: a node's op leads back here */
	const char *defines;
	const char *gradient[2];
	const char *backward_label;
} binary;

/* Broadcast operands as strides over the joined dimensions, innermost first; stride 0 repeats. */
typedef struct layout {
	bool plain; /* all of one shape */
	int dims;
	int32_t size[8], a_stride[8], b_stride[8];
} layout;

/* Dimension i, counted from the last, or 1 where there is none. */
static int64_t dim_from_end(const clef_shape *s, int i)
{
	return i < s->ndim ? s->dim[s->ndim - 1 - i] : 1;
}

static layout make_layout(const clef__node *n)
{
	const clef_shape *a = &n->x[0]->shape, *b = &n->x[1]->shape, *y = &n->y->shape;
	layout l = { .size = { 1, 1, 1, 1, 1, 1, 1, 1 } };
	int32_t a_step = 1, b_step = 1;
	int used = 0;

	/* Steps over the other dimensions of an empty tensor might overflow, and nothing will be launched. */
	if (!n->y->numel)
		return l;
	l.plain = clef_shape_equal(*a, *y) && clef_shape_equal(*b, *y);
	for (int i = 0; i < y->ndim; i++) {
		int32_t size = (int32_t)dim_from_end(y, i);
		int32_t as = dim_from_end(a, i) == 1 ? 0 : a_step, bs = dim_from_end(b, i) == 1 ? 0 : b_step;

		if (size == 1)
			continue;
		if (used && (l.a_stride[used - 1] == 0) == (as == 0) && (l.b_stride[used - 1] == 0) == (bs == 0)) {
			l.size[used - 1] *= size;
		} else {
			l.size[used] = size;
			l.a_stride[used] = as;
			l.b_stride[used++] = bs;
		}
		a_step *= (int32_t)dim_from_end(a, i);
		b_step *= (int32_t)dim_from_end(b, i);
	}
	l.dims = used;
	return l;
}

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	const clef_shape *a = &n->x[0]->shape, *b = &n->x[1]->shape;
	clef_status status = clef__op_dtype(n, 0, "a", CLEF_FLOAT32);

	(void)dtype;
	if (!status)
		status = clef__op_dtype(n, 1, "b", CLEF_FLOAT32);
	shape->ndim = CLEF__MAX(a->ndim, b->ndim);
	for (int i = 0; i < shape->ndim && !status; i++) {
		int64_t as = dim_from_end(a, i), bs = dim_from_end(b, i);

		if (as != bs && as != 1 && bs != 1)
			status = clef__op_fail(n, CLEF_ERROR_SHAPE,
					       "a %s and b %s cannot be broadcast: sizes must be equal or 1, counted "
					       "from the last dimension",
					       CLEF__SHAPE_TEXT(*a), CLEF__SHAPE_TEXT(*b));
		shape->dim[shape->ndim - 1 - i] = as == 1 ? bs : as;
	}
	if (!status && clef_shape_numel(*shape) < 0)
		status = clef__op_fail(n, CLEF_ERROR_SHAPE, "the result %s would have more than 2^31 - 1 elements",
				       CLEF__SHAPE_TEXT(*shape));
	return status;
}

static clef__arg int8_arg(const int32_t v[8])
{
	clef__arg arg = { .kind = CLEF__ARG_INT8 };

	memcpy(arg.value.i8, v, sizeof(arg.value.i8));
	return arg;
}

/* The work-items, and the arguments behind their number. */
static int share_out(const clef_tensor *y, const layout *l, clef__arg args[4])
{
	int items;

	if (l->plain || !y->numel)
		return (int)y->numel;
	args[1] = int8_arg(l->size);
	args[2] = int8_arg(l->a_stride);
	args[3] = int8_arg(l->b_stride);
	args[0] = clef__run_cut(y->dev, y->numel, l->dims, &args[1], false, &items);
	return items;
}

static clef_status forward(const clef__node *n)
{
	const binary *op = (const binary *)n->op;
	const layout l = make_layout(n);
	const clef_tensor *y = n->y;
	clef__arg run[4] = { { 0 } };
	const int items = share_out(y, &l, run);

	return clef__launch(y->dev, &(clef__launch_opts){
					    .program = "binary",
					    .defines = op->defines,
					    .kernel = l.plain ? "binary_forward" : "binary_forward_broadcast",
					    .label = op->op.name,
					    .global = { (size_t)items },
					    .long_items = items < y->numel,
					    .bytes = 12.0 * (double)y->numel,
					    .args = { CLEF__TENSOR(n->x[0]), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(y),
						      CLEF__INT(items), run[0], run[1], run[2], run[3] },
				    });
}

/* out = accumulate * out + the gradient to operand `side`, in the shape of the result. */
static clef_status gradient(const clef__node *n, const clef_tensor *dy, int side, float accumulate,
			    const clef_tensor *out)
{
	const binary *op = (const binary *)n->op;
	const layout l = make_layout(n);
	const clef_tensor *y = n->y;
	clef__arg run[4] = { { 0 } };
	const int items = share_out(y, &l, run);

	return clef__launch(
		y->dev, &(clef__launch_opts){
				.program = "binary",
				.defines = op->defines,
				.kernel = l.plain ? "binary_backward" : "binary_backward_broadcast",
				.label = op->backward_label,
				.global = { (size_t)items },
				.long_items = items < y->numel,
				.bytes = (accumulate != 0 ? 24.0 : 20.0) * (double)y->numel,
				.args = { CLEF__TENSOR(n->x[0]), CLEF__TENSOR(n->x[1]), CLEF__TENSOR(y),
					  CLEF__TENSOR(dy), CLEF__TENSOR(out), CLEF__INT(side), CLEF__FLOAT(accumulate),
					  CLEF__INT(items), run[0], run[1], run[2], run[3] },
			});
}

static clef_status backward_side(const clef__node *n, const clef_tensor *dy, int side, const clef__grad *dx)
{
	const binary *op = (const binary *)n->op;
	const clef_shape *x = &n->x[side]->shape, *y = &n->y->shape;
	bool passes_dy = strcmp(op->gradient[side], "dy") == 0;
	bool reduce[CLEF_MAX_DIMS] = { false };
	clef_tensor *term;
	clef_status status;

	if (clef_shape_equal(*x, *y))
		return passes_dy ? clef__pass_gradient(dy, dx) : gradient(n, dy, side, dx->beta, dx->dx);
	for (int i = 0; i < y->ndim; i++)
		reduce[y->ndim - 1 - i] = dim_from_end(x, i) == 1 && dim_from_end(y, i) != 1;
	if (passes_dy)
		return clef__reduce_sum(dy, reduce, 1, dx->beta, dx->dx);
	term = clef__scratch(n, CLEF_FLOAT32, *y);
	if (!term)
		return clef_error_status();
	status = gradient(n, dy, side, 0, term);
	if (!status)
		status = clef__reduce_sum(term, reduce, 1, dx->beta, dx->dx);
	clef__scratch_free(term);
	return status;
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	clef_status status = CLEF_OK;

	for (int side = 0; side < 2 && !status; side++)
		if (dx[side].dx)
			status = backward_side(n, dy, side, &dx[side]);
	return status;
}

/* The other operand needs dy as it is. */
static bool in_place(const clef__node *n)
{
	return strcmp(((const binary *)n->op)->gradient[0], "dy") == 0 && clef_shape_equal(n->x[0]->shape, n->y->shape);
}

static bool needs(const clef__node *n, int i)
{
	const binary *op = (const binary *)n->op;

	(void)i;
	return strcmp(op->gradient[0], "dy") != 0 || strcmp(op->gradient[1], "dy") != 0;
}

#define BINARY(name, value, da, db)                                                                                    \
	static const binary name##_row = { { #name, infer, forward, backward, in_place, needs },                       \
					   "#define VALUE " value "\n#define GRADIENT_A " da                           \
					   "\n#define GRADIENT_B " db "\n",                                            \
					   { da, db },                                                                 \
					   #name " backward" };

#define CLEF_BINARY(name, value, da, db)                                                                               \
	BINARY(name, value, da, db)                                                                                    \
	clef_tensor *clef_##name(clef_tensor *a, clef_tensor *b)                                                       \
	{                                                                                                              \
		return clef__apply(&name##_row.op, (clef_tensor *[]){ a, b }, 2, NULL, 0);                             \
	}
#include <clef/pointwise.def>

/* ---- prelu: broadcasting along the channels ---- */

BINARY(prelu, "a > 0.0f ? a : a * b", "a > 0.0f ? dy : dy * b", "a > 0.0f ? 0.0f : dy * a")

clef_tensor *clef_prelu(clef_tensor *x, clef_tensor *w)
{
	clef_shape s;
	int64_t channels;

	if (!x || !w) {
		clef__null_argument("prelu");
		return NULL;
	}
	channels = x->shape.ndim > 1 ? x->shape.dim[1] : 1;
	if (w->shape.ndim != 1 || (w->numel != 1 && w->numel != channels))
		return clef__fail_null(CLEF_ERROR_SHAPE,
				       "prelu: w has shape %s, expected [1] or [%lld], one for each channel of x %s",
				       CLEF__SHAPE_TEXT(w->shape), (long long)channels, CLEF__SHAPE_TEXT(x->shape));
	if (w->numel != 1) {
		s = (clef_shape){ .ndim = x->shape.ndim - 1, .dim = { 1, 1, 1, 1, 1, 1, 1, 1 } };
		s.dim[0] = channels;
		w = clef_reshape(w, s);
	}
	return clef__apply(&prelu_row.op, (clef_tensor *[]){ x, w }, 2, NULL, 0);
}
