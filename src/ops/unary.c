/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pointwise operations of one operand. Each row of pointwise.def becomes an operation here: its expressions are put in
 * front of cl/unary.cl as macros, so a program holds the kernels of one operation, and only what a model uses is
 * compiled.
 */
#include <clef/ops.h>

#include "tape.h"

typedef struct unary {
	clef__op op; /* first: a node's op leads back here */
	const char *defines;
	const char *backward_label;
} unary;

typedef struct unary_opts {
	float p, q;
} unary_opts;

static clef_status infer(clef__node *n, clef_shape *shape, clef_dtype *dtype)
{
	(void)dtype;
	*shape = n->x[0]->shape;
	return clef__op_dtype(n, 0, "x", CLEF_FLOAT32);
}

static clef_status forward(const clef__node *n)
{
	const unary *u = (const unary *)n->op;
	const unary_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];

	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "unary",
					    .defines = u->defines,
					    .kernel = "unary_forward",
					    .label = u->op.name,
					    .global = { (size_t)x->numel },
					    .bytes = 8.0 * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->y), CLEF__FLOAT(opts->p),
						      CLEF__FLOAT(opts->q), CLEF__INT(x->numel) },
				    });
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	const unary *u = (const unary *)n->op;
	const unary_opts *opts = n->opts;
	const clef_tensor *x = n->x[0];

	if (!dx->dx)
		return CLEF_OK;
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "unary",
					    .defines = u->defines,
					    .kernel = "unary_backward",
					    .label = u->backward_label,
					    .global = { (size_t)x->numel },
					    .bytes = (dx->beta != 0 ? 20.0 : 16.0) * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(n->y), CLEF__TENSOR(dy),
						      CLEF__TENSOR(dx->dx), CLEF__FLOAT(opts->p), CLEF__FLOAT(opts->q),
						      CLEF__FLOAT(dx->beta), CLEF__INT(x->numel) },
				    });
}

static clef_tensor *apply(const unary *u, clef_tensor *x, float p, float q)
{
	const unary_opts opts = { p, q };

	return clef__apply(&u->op, &x, 1, &opts, sizeof(opts));
}

#define EXPRESSIONS(parameters, value, gradient)                                                                       \
	"#define PARAMETERS " parameters "\n#define VALUE " value "\n#define GRADIENT " gradient "\n"
#define UNARY(name, parameters, value, gradient)                                                                       \
	static const unary name##_row = { { #name, infer, forward, backward },                                         \
					  EXPRESSIONS(parameters, value, gradient),                                    \
					  #name " backward" };

#define CLEF_UNARY0(name, NAME, value, gradient)                                                                       \
	UNARY(name, "", value, gradient)                                                                               \
	clef_tensor *clef_##name(clef_tensor *x)                                                                       \
	{                                                                                                              \
		return apply(&name##_row, x, 0, 0);                                                                    \
	}
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)                                                         \
	UNARY(name, "const float " #p " = p_;", value, gradient)                                                       \
	clef_tensor *clef_##name(clef_tensor *x, float p)                                                              \
	{                                                                                                              \
		return apply(&name##_row, x, p, 0);                                                                    \
	}
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient)                                           \
	UNARY(name, "const float " #p " = p_; const float " #q " = q_;", value, gradient)                              \
	clef_tensor *clef_##name(clef_tensor *x, float p, float q)                                                     \
	{                                                                                                              \
		return apply(&name##_row, x, p, q);                                                                    \
	}
#include <clef/pointwise.def>
