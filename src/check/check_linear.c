/* SPDX-License-Identifier: Apache-2.0 */
/* Products of rows with weights: linear, and linear_act with an activation behind it. */
#include <clef/ops.h>

#include "check_activation.h"
#include "families.h"

typedef struct linear_opts {
	clef_shape x;
	int out;
	bool no_bias;
	clef_activation activation; /* of linear_act */
} linear_opts;

static int64_t inputs_of(const linear_opts *o)
{
	return o->x.ndim ? o->x.dim[o->x.ndim - 1] : 1;
}

static clef_status setup(clef__problem *p)
{
	const linear_opts *o = (const void *)p->opts;
	const clef__operand values = { .lo = -8, .hi = 8, .whole = p->whole };

	p->operands = o->no_bias ? 2 : 3;
	for (int i = 0; i < 3; i++)
		p->in[i] = values;
	p->in[0].shape = o->x;
	p->in[1].shape = CLEF_SHAPE(o->out, inputs_of(o));
	p->in[2].shape = CLEF_SHAPE(o->out);
	return CLEF_OK;
}

/* Sums at which activations are not flat. */
static clef_status setup_act(clef__problem *p)
{
	clef_status s = setup(p);

	for (int i = 0; i < p->operands; i++) {
		p->in[i].lo = p->whole ? -2 : -1;
		p->in[i].hi = p->whole ? 3 : 1;
	}
	p->tolerance = CLEF__TOLERANCE;
	return s;
}

static clef_tensor *apply(clef_tensor *const *x, const void *opts)
{
	const linear_opts *o = opts;

	return o->no_bias ? clef_linear_no_bias(x[0], x[1]) : clef_linear(x[0], x[1], x[2]);
}

static clef_tensor *apply_act(clef_tensor *const *x, const void *opts)
{
	const linear_opts *o = opts;

	return o->no_bias ? clef_linear_act_no_bias(x[0], x[1], o->activation)
			  : clef_linear_act(x[0], x[1], x[2], o->activation);
}

static bool reference(const clef__ref *x, const void *opts, clef__ref *y)
{
	const linear_opts *o = opts;
	int64_t in = inputs_of(o);

	for (int64_t i = y->from; i < y->to; i++) {
		const double *row = x[0].v + i / o->out * in, *w = x[1].v + i % o->out * in;
		double sum = o->no_bias ? 0 : x[2].v[i % o->out];

		for (int64_t l = 0; l < in; l++)
			sum += row[l] * w[l];
		y->v[i] = clef__ref_activate(o->activation, sum);
	}
	return true;
}

static double flops(const clef__problem *p)
{
	const linear_opts *o = (const void *)p->opts;

	return 2.0 * (double)clef_shape_numel(o->x) * o->out;
}

#define TERMS                                                                                                          \
	{ .name = "x",                                                                                                 \
	  .kind = CLEF__TERM_SHAPE,                                                                                    \
	  .offset = offsetof(linear_opts, x),                                                                          \
	  .preset = 1,                                                                                                 \
	  .about = "x [..., in]" },                                                                                    \
		{ .name = "out",                                                                                       \
		  .kind = CLEF__TERM_INT,                                                                              \
		  .offset = offsetof(linear_opts, out),                                                                \
		  .preset = 0,                                                                                         \
		  .least = 1,                                                                                          \
		  .most = 1e6,                                                                                         \
		  .about = "outputs" },                                                                                \
	{                                                                                                              \
		.name = "no_bias", .kind = CLEF__TERM_FLAG, .offset = offsetof(linear_opts, no_bias),                  \
		.about = "without a bias"                                                                              \
	}

static const clef__term terms[] = { TERMS, { NULL } };
static const clef__term terms_act[] = { TERMS, CLEF__ACTIVATION_TERMS(linear_opts, activation), { NULL } };

static const char *const problems[] = {
	"linear x4x5 out3 whole",
	"linear x4x5 out3",
	"linear x4x5 out3 no_bias",
	"linear x33x17 out9 whole",
	"linear x33x17 out9 no_bias whole",
	"linear x1x257 out33 whole",
	"linear x1x257 out33 no_bias whole",
	"linear x2x3x33 out1",
	"linear x2x3x33 out1 no_bias",
	"linear x7 out5 whole",
	"linear x7 out5 no_bias whole",
	"linear x65x130 out70 whole",
	"linear x65x130 out70 no_bias whole",
	"linear x0x5 out3 whole",
	"linear x0x5 out3 no_bias whole",
	"linear x3x0 out2 whole",
	"linear x3x0 out2 no_bias whole",
};

/* Kinds that fuse, for each of which kernels compile anew, and one that does not. */
static const char *const problems_act[] = {
	"linear_act x4x5 out3 act=relu",
	"linear_act x4x5 out3 no_bias act=relu",
	"linear_act x4x5 out3 act=gelu",
	"linear_act x4x5 out3 whole",
	"linear_act x2x17x33 out50 act=relu",
	"linear_act x2x17x33 out50 no_bias act=relu",
	"linear_act x2x17x33 out50 act=leaky_relu act_p0.25",
	"linear_act x2x17x33 out50 act=leaky_relu act_p-0.5",
	"linear_act x2x17x33 out50 no_bias act=tanh",
	"linear_act x2x17x33 out50 act=gelu",
	"linear_act x2x17x33 out50 no_bias act=softplus act_p2 act_q3",
	"linear_act x1x257 out33 act=relu",
	"linear_act x7 out5 act=tanh",
	"linear_act x0x5 out3 act=relu",
	"linear_act x3x0 out2 act=tanh",
};

const clef__family clef__family_linear = { .name = "linear",
					   .terms = terms,
					   .setup = setup,
					   .apply = apply,
					   .reference = reference,
					   .flops = flops,
					   CLEF__PROBLEMS(problems, 3) };

const clef__family clef__family_linear_act = { .name = "linear_act",
					       .terms = terms_act,
					       .setup = setup_act,
					       .apply = apply_act,
					       .reference = reference,
					       .flops = flops,
					       CLEF__PROBLEMS(problems_act, 3) };
