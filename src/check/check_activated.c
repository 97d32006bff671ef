/* SPDX-License-Identifier: Apache-2.0 */
/* Activations as values: activate, and add_act, the end of a residual block. */
#include <clef/ops.h>

#include "check_activation.h"
#include "families.h"

/* ---- activate ---- */

typedef struct activate_opts {
	clef_shape x;
	clef_activation activation;
} activate_opts;

static clef_status setup_activate(clef__problem *p)
{
	const activate_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -6, .hi = 6, .whole = p->whole };
	p->tolerance = CLEF__TOLERANCE;
	p->gradient_tolerance = 2e-5;
	return CLEF_OK;
}

static clef_tensor *apply_activate(clef_tensor *const *x, const void *opts)
{
	const activate_opts *o = opts;
	/* Without one x itself would be the result, which is no tensor of the tape. */
	clef_tensor *from = o->activation.kind == CLEF_ACT_NONE ? clef_reshape(x[0], clef_tensor_shape(x[0])) : x[0];

	return clef_activate(from, o->activation);
}

static bool reference_activate(const clef__ref *x, const void *opts, clef__ref *y)
{
	const activate_opts *o = opts;

	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = clef__ref_activate(o->activation, x->v[i]);
	return true;
}

static const clef__term terms_activate[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(activate_opts, x), .about = "x" },
	CLEF__ACTIVATION_TERMS(activate_opts, activation),
	{ NULL },
};

/* Parameters that are given, both left out, and a zero that is meant. Every kind by itself is a family. */
static const char *const problems_activate[] = {
	"activate x33 act=leaky_relu",
	"activate x33 act=hardtanh act_p-2 act_q0.5",
	"activate x3x5 act=leaky_relu act_p0.2",
	"activate x3x5 act=elu act_p-0",
	"activate x3x5",
	"activate x0x5 act=softplus act_p2 act_q1",
};

const clef__family clef__family_activate = { .name = "activate",
					     .terms = terms_activate,
					     .setup = setup_activate,
					     .apply = apply_activate,
					     .reference = reference_activate,
					     CLEF__PROBLEMS(problems_activate, 2) };

/* ---- add_act ---- */

typedef struct add_opts {
	clef_shape a, b;
	clef_activation activation;
} add_opts;

static clef_status setup_add(clef__problem *p)
{
	const add_opts *o = (const void *)p->opts;

	p->operands = 2;
	p->in[0] = (clef__operand){ .shape = o->a, .lo = -3, .hi = 3, .whole = p->whole };
	p->in[1] = (clef__operand){ .shape = o->b, .lo = -3, .hi = 3, .whole = p->whole };
	p->tolerance = CLEF__TOLERANCE;
	return CLEF_OK;
}

static clef_tensor *apply_add(clef_tensor *const *x, const void *opts)
{
	const add_opts *o = opts;

	return clef_add_act(x[0], x[1], o->activation);
}

static bool reference_add(const clef__ref *x, const void *opts, clef__ref *y)
{
	const add_opts *o = opts;

	for (int64_t i = y->from; i < y->to; i++) {
		double a = x[0].v[clef__ref_broadcast(&y->shape, &x[0].shape, i)];
		double b = x[1].v[clef__ref_broadcast(&y->shape, &x[1].shape, i)];

		y->v[i] = clef__ref_activate(o->activation, a + b);
	}
	return true;
}

static const clef__term terms_add[] = {
	{ .name = "a", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(add_opts, a), .about = "a" },
	{ .name = "b", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(add_opts, b), .about = "b" },
	CLEF__ACTIVATION_TERMS(add_opts, activation),
	{ NULL },
};

/* Fused, with and without vectors; and by two operations, for the shapes or for the activation. */
static const char *const problems_add[] = {
	"add_act a2x3 b2x3 act=relu",
	"add_act a4x9 b9 act=relu",
	"add_act a2x3 b2x3 act=gelu",
	"add_act a3x5x67 b3x5x67 act=relu",
	"add_act a3x5x67 b3x5x67 act=leaky_relu act_p0.25",
	"add_act a3x5x67 b3x5x67 act=leaky_relu act_p-0.5",
	"add_act a3x5x67 b3x5x67 act=tanh",
	"add_act a3x5x67 b3x5x67",
	"add_act a64x33 b64x33 act=hardtanh act_p-2 act_q0.5",
	"add_act a0x3 b0x3 act=relu",
};

const clef__family clef__family_add_act = { .name = "add_act",
					    .terms = terms_add,
					    .setup = setup_add,
					    .apply = apply_add,
					    .reference = reference_add,
					    CLEF__PROBLEMS(problems_add, 3) };
