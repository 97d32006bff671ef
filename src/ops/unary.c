/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pointwise operations of one operand. Each row of pointwise.def becomes an operation here: its expressions are put in
 * front of cl/unary.cl as macros, so a program holds the kernels of one operation, and only what a model uses is
 * compiled. The same rows are the activations that other operations apply (activation_internal.h).
 */
#include <ctype.h>
#include <math.h>

#include <clef/ops.h>

#include "activation_internal.h"

typedef struct unary {
	clef__op op; /* first: a node's op leads back here */
	const char *defines;
	const char *dx; /* the gradient, as an expression */
	const char *backward_label;
	float p, q; /* defaults */
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

/* dx = beta dx + the gradient. x is read where the row's gradient says so only. */
static clef_status enqueue_backward(const unary *u, const unary_opts *opts, const clef_tensor *x, const clef_tensor *y,
				    const clef_tensor *dy, float beta, const clef_tensor *dx)
{
	return clef__launch(x->dev, &(clef__launch_opts){
					    .program = "unary",
					    .defines = u->defines,
					    .kernel = "unary_backward",
					    .label = u->backward_label,
					    .global = { (size_t)x->numel },
					    .bytes = (beta != 0 ? 20.0 : 16.0) * (double)x->numel,
					    .args = { CLEF__TENSOR(x), CLEF__TENSOR(y), CLEF__TENSOR(dy),
						      CLEF__TENSOR(dx), CLEF__FLOAT(opts->p), CLEF__FLOAT(opts->q),
						      CLEF__FLOAT(beta), CLEF__INT(x->numel) },
				    });
}

static clef_status backward(const clef__node *n, const clef_tensor *dy, const clef__grad *dx)
{
	if (!dx->dx)
		return CLEF_OK;
	if (n->gated)
		return clef__pass_gradient(dy, dx);
	return enqueue_backward((const unary *)n->op, n->opts, n->x[0], n->y, dy, dx->beta, dx->dx);
}

static bool is_relu(const clef__node *n);

static clef_tensor *apply(const unary *u, clef_tensor *x, float p, float q)
{
	const unary_opts opts = { p, q };

	return clef__apply(&u->op, &x, 1, &opts, sizeof(opts));
}

/* ---- the rows ---- */

#define EXPRESSIONS(parameters, value, gradient)                                                                       \
	"#define PARAMETERS " parameters "\n#define VALUE " value "\n#define GRADIENT " gradient "\n"
#define UNARY(name, parameters, p_default, q_default, value, gradient)                                                 \
	static const unary name##_row = { .op = { #name, infer, forward, backward, clef__in_place, NULL, is_relu },    \
					  .defines = EXPRESSIONS(parameters, value, gradient),                         \
					  .dx = gradient,                                                              \
					  .backward_label = #name " backward",                                         \
					  .p = p_default,                                                              \
					  .q = q_default };

#define CLEF_UNARY0(name, NAME, value, gradient)                                                                       \
	UNARY(name, "", 0, 0, value, gradient)                                                                         \
	clef_tensor *clef_##name(clef_tensor *x)                                                                       \
	{                                                                                                              \
		return apply(&name##_row, x, 0, 0);                                                                    \
	}
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)                                                         \
	UNARY(name, "const float " #p " = p_;", p_default, 0, value, gradient)                                         \
	clef_tensor *clef_##name(clef_tensor *x, float p)                                                              \
	{                                                                                                              \
		return apply(&name##_row, x, p, 0);                                                                    \
	}
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient)                                           \
	UNARY(name, "const float " #p " = p_; const float " #q " = q_;", p_default, q_default, value, gradient)        \
	clef_tensor *clef_##name(clef_tensor *x, float p, float q)                                                     \
	{                                                                                                              \
		return apply(&name##_row, x, p, q);                                                                    \
	}
#include <clef/pointwise.def>

/* ---- activations ---- */

static const unary *row_of(clef_activation_kind kind)
{
	static const unary *const rows[CLEF_ACT_KINDS] = {
#define CLEF_UNARY0(name, NAME, value, gradient)                             [CLEF_ACT_##NAME] = &name##_row,
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)               [CLEF_ACT_##NAME] = &name##_row,
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient) [CLEF_ACT_##NAME] = &name##_row,
#include <clef/pointwise.def>
	};

	return (int)kind > CLEF_ACT_NONE && (int)kind < CLEF_ACT_KINDS ? rows[kind] : NULL;
}

static bool is_relu(const clef__node *n)
{
	return n->op == &relu_row.op;
}

/* Whether the expression uses the identifier. */
static bool says(const char *expression, const char *identifier)
{
	size_t length = strlen(identifier);

	for (const char *p = expression; *p;) {
		const char *word = p;

		while (isalnum((unsigned char)*p) || *p == '_')
			p++;
		if (word + length == p && memcmp(word, identifier, length) == 0)
			return true;
		p += p == word;
	}
	return false;
}

bool clef__activation_fuses(clef_activation a)
{
	const unary *u = row_of(a.kind);

	if (!u)
		return a.kind == CLEF_ACT_NONE;
	return !says(u->dx, "x") && !(says(u->dx, "X_OR_Y") && clef__activation_resolve(a).p < 0);
}

clef_activation clef__activation_resolve(clef_activation a)
{
	const unary *u = row_of(a.kind);
	bool left_out = a.p == 0 && !signbit(a.p) && a.q == 0 && !signbit(a.q);

	/* Adding 0 makes a zero out of the -0.0f that means one. */
	return (clef_activation){ a.kind, left_out && u ? u->p : a.p + 0.0f, left_out && u ? u->q : a.q + 0.0f };
}

const char *clef__activation_defines(clef_activation a)
{
	const unary *u = row_of(a.kind);

	return u ? u->defines : NULL;
}

const char *clef__activation_floor(clef_activation *a)
{
	if (a->kind != CLEF_ACT_NONE && a->kind != CLEF_ACT_RELU)
		return clef__activation_defines(*a);
	a->p = a->kind == CLEF_ACT_RELU ? 0 : -INFINITY;
	return CLEF__FLOOR;
}

clef_status clef__activation_backward(const clef__node *n, clef_activation a, const clef_tensor *dy,
				      const clef_tensor **dz, clef_tensor **scratch)
{
	clef_status status;

	*scratch = NULL;
	*dz = dy;
	if (n->gated)
		clef__result_done(n);
	if (a.kind == CLEF_ACT_NONE || n->gated)
		return CLEF_OK;
	if (n->y->asked_grad)
		*dz = *scratch = clef__scratch(n, CLEF_FLOAT32, dy->shape);
	if (!*dz)
		return clef_error_status();
	status = enqueue_backward(row_of(a.kind), &(unary_opts){ a.p, a.q }, n->y, n->y, dy, 0, *dz);
	clef__result_done(n);
	return status;
}

clef_status clef__gate(const clef_tensor *gate, const clef_tensor *dx)
{
	return enqueue_backward(&relu_row, &(unary_opts){ 0, 0 }, gate, gate, dx, 0, dx);
}

clef_tensor *clef_activate(clef_tensor *x, clef_activation a)
{
	const clef_activation full = clef__activation_resolve(a);
	const unary *u = row_of(a.kind);

	if (a.kind == CLEF_ACT_NONE)
		return x;
	if (!u)
		return clef__fail_null(CLEF_ERROR_INVALID,
				       "clef_activate: kind %d is no clef_activation_kind, of which there are %d",
				       (int)a.kind, (int)CLEF_ACT_KINDS);
	return apply(u, x, full.p, full.q);
}
