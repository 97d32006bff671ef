/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every row of pointwise.def, and prelu: a family each. A row of the library without a reference here does not compile.
 */
#define _XOPEN_SOURCE 700 /* M_SQRT2 */
#include <math.h>

#include <clef/ops.h>

#include "activation_internal.h"
#include "check_activation.h"
#include "families.h"

typedef struct unary_opts {
	clef_shape x;
	float p, q; /* the operation's parameters */
} unary_opts;

typedef struct binary_opts {
	clef_shape a, b;
} binary_opts;

/* ---- what all rows share ---- */

static clef_status set_unary(clef__problem *p, double lo, double hi, double tolerance)
{
	const unary_opts *o = (const void *)p->opts;

	p->operands = 1;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = lo, .hi = hi, .whole = p->whole };
	p->tolerance = tolerance > 0 ? tolerance : CLEF__TOLERANCE;
	p->gradient_tolerance = 2e-5;
	return CLEF_OK;
}

static bool map_unary(double (*f)(double x, double p, double q), const clef__ref *x, const unary_opts *o, clef__ref *y)
{
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = f(x->v[i], (double)o->p, (double)o->q);
	return true;
}

static clef_status set_binary(clef__problem *p, double lo, double hi)
{
	const binary_opts *o = (const void *)p->opts;

	p->operands = 2;
	p->in[0] = (clef__operand){ .shape = o->a, .lo = lo, .hi = hi, .whole = p->whole };
	p->in[1] = (clef__operand){ .shape = o->b, .lo = lo, .hi = hi, .whole = p->whole };
	p->tolerance = p->whole ? 0 : CLEF__TOLERANCE;
	return CLEF_OK;
}

static bool map_binary(double (*f)(double a, double b), const clef__ref *x, clef__ref *y)
{
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = f(x[0].v[clef__ref_broadcast(&y->shape, &x[0].shape, i)],
			    x[1].v[clef__ref_broadcast(&y->shape, &x[1].shape, i)]);
	return true;
}

/* ---- the rows: name, operands from lo to hi, parameters of a second problem, and the value ---- */

static double logistic(double x)
{
	return 1 / (1 + exp(-x));
}

#define REF(name, lo, hi, second, expression) REF_TOL(name, lo, hi, second, 0, expression)
#define REF_TOL(name, lo, hi, second, tolerance, expression)                                                           \
	static double value_##name(double x, double p, double q)                                                       \
	{                                                                                                              \
		(void)p;                                                                                               \
		(void)q;                                                                                               \
		return expression;                                                                                     \
	}                                                                                                              \
	static bool reference_##name(const clef__ref *x, const void *opts, clef__ref *y)                               \
	{                                                                                                              \
		return map_unary(value_##name, x, opts, y);                                                            \
	}                                                                                                              \
	static clef_status setup_##name(clef__problem *problem)                                                        \
	{                                                                                                              \
		return set_unary(problem, lo, hi, tolerance);                                                          \
	}                                                                                                              \
	static const char *const problems_##name[] = { #name " x33",      #name " x9" second, #name " x2x1031" second, \
						       #name " x3x1x257", #name " x1",        #name " x4x0" };
#define REF2(name, lo, hi, expression)                                                                                 \
	static double value_##name(double a, double b)                                                                 \
	{                                                                                                              \
		return expression;                                                                                     \
	}                                                                                                              \
	static bool reference_##name(const clef__ref *x, const void *opts, clef__ref *y)                               \
	{                                                                                                              \
		(void)opts;                                                                                            \
		return map_binary(value_##name, x, y);                                                                 \
	}                                                                                                              \
	static clef_status setup_##name(clef__problem *problem)                                                        \
	{                                                                                                              \
		return set_binary(problem, lo, hi);                                                                    \
	}                                                                                                              \
	static const char *const problems_##name[] = { #name " a33 b33",                                               \
						       #name " a4x9 b9",                                               \
						       #name " a3 b2x1",                                               \
						       #name " a3x257 b3x1",                                           \
						       #name " a3x1100 b1100",                                         \
						       #name " a1 b3x33",                                              \
						       #name " a=scalar b5",                                           \
						       #name " a2x1x3x1x5 b4x1x6x1",                                   \
						       #name " a2x1x2x1x2x1x2x1 b1x3x1x3x1x3x1x3",                     \
						       #name " a6000x3 b3",                                            \
						       #name " a0x3 b3",                                               \
						       #name " a1 b0" };

/* clang-format off */
REF(relu, -6, 6, "", x <= 0 ? 0 : x)
REF(leaky_relu, -6, 6, " negative_slope0.2", x > 0 ? x : p * x)
REF(elu, -6, 6, " alpha1.7", x > 0 ? x : p * expm1(x))
REF(selu, -6, 6, "", 1.0507009873554804934 * (x > 0 ? x : 1.6732632423543772848 * expm1(x)))
REF(celu, -6, 6, " alpha0.6", x > 0 ? x : p * expm1(x / p))
REF(gelu, -6, 6, "", 0.5 * x * erfc(-x * M_SQRT1_2))
REF(gelu_tanh, -6, 6, "", 0.5 * x * (1 + tanh(M_SQRT2 * M_2_SQRTPI / 2 * (x + 0.044715 * x * x * x))))
REF(sigmoid, -9, 9, "", logistic(x))
REF(tanh, -3, 3, "", tanh(x))
REF(softplus, -30, 30, " beta0.7 threshold5", x * p > q ? x : log1p(exp(x * p)) / p)
REF(softsign, -6, 6, "", x / (1 + fabs(x)))
REF(silu, -9, 9, "", x * logistic(x))
REF(mish, -9, 9, "", x * tanh(x > 30 ? x : log1p(exp(x))))
REF(hardtanh, -3, 3, " min_val-0.5 max_val2", x < p ? p : x > q ? q : x)
REF(relu6, -3, 9, "", x < 0 ? 0 : x > 6 ? 6 : x)
REF(hardsigmoid, -6, 6, "", x <= -3 ? 0 : x >= 3 ? 1 : x / 6 + 0.5)
REF(hardswish, -6, 6, "", x <= -3 ? x * 0 : x >= 3 ? x : x * (x + 3) / 6)
REF(tanhshrink, -6, 6, "", x - tanh(x))
REF(softshrink, -2, 2, " lambda0.9", x > p ? x - p : x < -p ? x + p : x * 0)
REF(hardshrink, -2, 2, " lambda0.9", x >= -p && x <= p ? 0 : x)
REF(logsigmoid, -9, 9, "", fmin(x, 0) - log1p(exp(-fabs(x))))
REF(threshold, -2, 2, " threshold0.3 value-1.5", x <= p ? q : x)
REF(exp, -6, 6, "", exp(x))
REF(log, 0.05, 9, "", log(x))
REF(sqrt, 0.05, 9, "", sqrt(x))
REF(rsqrt, 0.05, 9, "", 1 / sqrt(x))
REF(abs, -6, 6, "", fabs(x))
REF(neg, -6, 6, "", -x)
REF(square, -6, 6, "", x * x)
REF(reciprocal, 0.3, 6, "", 1 / x)
REF(sin, -6, 6, "", sin(x))
REF(cos, -6, 6, "", cos(x))
REF(clamp, -3, 3, " min-0.5 max1.5", x < p ? p : x > q ? q : x)
REF_TOL(pow, 0.2, 4, " exponent-1.3", 1e-5, pow(x, p))
REF(add_scalar, -6, 6, " value2.5", x + p)
REF(mul_scalar, -6, 6, " value-2.5", x * p)

REF2(add, -6, 6, a + b)
REF2(sub, -6, 6, a - b)
REF2(mul, -6, 6, a * b)
REF2(div, 0.4, 6, a / b)
REF2(maximum, -6, 6, a > b || isnan(a) ? a : b)
REF2(minimum, -6, 6, a < b || isnan(a) ? a : b)
/* clang-format on */

/* ---- families ---- */

#define X_TERM                                                                                                         \
	{                                                                                                              \
		.name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(unary_opts, x), .about = "x"    \
	}
#define PARAMETER(term, field, value)                                                                                  \
	{                                                                                                              \
		.name = #term, .kind = CLEF__TERM_FLOAT, .offset = offsetof(unary_opts, field), .preset = value,       \
		.about = "as in pointwise.def"                                                                         \
	}
#define UNARY(name_, quick_ones, call, ...)                                                                            \
	static clef_tensor *apply_##name_(clef_tensor *const *x, const void *opts)                                     \
	{                                                                                                              \
		const unary_opts *o = opts;                                                                            \
                                                                                                                       \
		(void)o;                                                                                               \
		return clef_##name_ call;                                                                              \
	}                                                                                                              \
	static const clef__term terms_##name_[] = { X_TERM, __VA_ARGS__ };                                             \
	const clef__family clef__family_##name_ = { .name = #name_,                                                    \
						    .terms = terms_##name_,                                            \
						    .setup = setup_##name_,                                            \
						    .apply = apply_##name_,                                            \
						    .reference = reference_##name_,                                    \
						    CLEF__PROBLEMS(problems_##name_, quick_ones) };
#define CLEF_UNARY0(name_, NAME, value, gradient) UNARY(name_, 1, (x[0]), { NULL })
#define CLEF_UNARY1(name_, NAME, first, preset1, value, gradient)                                                      \
	UNARY(name_, 2, (x[0], o->p), PARAMETER(first, p, (double)preset1), { NULL })
#define CLEF_UNARY2(name_, NAME, first, preset1, second, preset2, value, gradient)                                     \
	UNARY(name_, 2, (x[0], o->p, o->q), PARAMETER(first, p, (double)preset1),                                      \
	      PARAMETER(second, q, (double)preset2), { NULL })
#define CLEF_BINARY(name_, value, da, db)                                                                              \
	static clef_tensor *apply_##name_(clef_tensor *const *x, const void *opts)                                     \
	{                                                                                                              \
		(void)opts;                                                                                            \
		return clef_##name_(x[0], x[1]);                                                                       \
	}                                                                                                              \
	const clef__family clef__family_##name_ = { .name = #name_,                                                    \
						    .terms = terms_binary,                                             \
						    .setup = setup_##name_,                                            \
						    .apply = apply_##name_,                                            \
						    .reference = reference_##name_,                                    \
						    CLEF__PROBLEMS(problems_##name_, 3) };

static const clef__term terms_binary[] = {
	{ .name = "a", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(binary_opts, a), .about = "a" },
	{ .name = "b", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(binary_opts, b), .about = "b" },
	{ NULL },
};

#include <clef/pointwise.def>

/* ---- as activations ---- */

const char *const clef__activation_words[] = {
	"none",
#define CLEF_UNARY0(name, NAME, value, gradient)             #name,
#define CLEF_UNARY1(name, NAME, p, d, value, gradient)       #name,
#define CLEF_UNARY2(name, NAME, p, d, q, e, value, gradient) #name,
#include <clef/pointwise.def>
	NULL,
};

double clef__ref_activate(clef_activation activation, double x)
{
	const clef_activation a = clef__activation_resolve(activation);

	switch (a.kind) {
#define CASE(name, NAME)                                                                                               \
	case CLEF_ACT_##NAME:                                                                                          \
		return value_##name(x, (double)a.p, (double)a.q);
#define CLEF_UNARY0(name, NAME, value, gradient)             CASE(name, NAME)
#define CLEF_UNARY1(name, NAME, p, d, value, gradient)       CASE(name, NAME)
#define CLEF_UNARY2(name, NAME, p, d, q, e, value, gradient) CASE(name, NAME)
#include <clef/pointwise.def>
#undef CASE
	default:
		return x;
	}
}

/* ---- prelu ---- */

typedef struct prelu_opts {
	clef_shape x;
	int slopes;
} prelu_opts;

static clef_status setup_prelu(clef__problem *p)
{
	const prelu_opts *o = (const void *)p->opts;

	p->operands = 2;
	p->in[0] = (clef__operand){ .shape = o->x, .lo = -3, .hi = 3, .whole = p->whole };
	p->in[1] =
		(clef__operand){ .shape = CLEF_SHAPE(o->slopes), .lo = 0, .hi = p->whole ? 4 : 1, .whole = p->whole };
	return CLEF_OK;
}

static clef_tensor *apply_prelu(clef_tensor *const *x, const void *opts)
{
	(void)opts;
	return clef_prelu(x[0], x[1]);
}

static bool reference_prelu(const clef__ref *x, const void *opts, clef__ref *y)
{
	int64_t inner = clef__ref_size(&y->shape, 2, y->shape.ndim), channels = x[1].numel;

	(void)opts;
	for (int64_t i = y->from; i < y->to; i++)
		y->v[i] = x[0].v[i] > 0 ? x[0].v[i] : x[0].v[i] * x[1].v[i / inner % channels];
	return true;
}

static const clef__term terms_prelu[] = {
	{ .name = "x", .kind = CLEF__TERM_SHAPE, .preset = 1, .offset = offsetof(prelu_opts, x), .about = "x" },
	{ .name = "slopes",
	  .kind = CLEF__TERM_INT,
	  .offset = offsetof(prelu_opts, slopes),
	  .preset = 1,
	  .least = 1,
	  .most = 1e6,
	  .about = "1, or as many as channels" },
	{ NULL },
};

static const char *const problems_prelu[] = { "prelu x2x5x3 slopes5", "prelu x2x5x3x3", "prelu x4x7 slopes7",
					      "prelu x9" };

const clef__family clef__family_prelu = { .name = "prelu",
					  .terms = terms_prelu,
					  .setup = setup_prelu,
					  .apply = apply_prelu,
					  .reference = reference_prelu,
					  CLEF__PROBLEMS(problems_prelu, 1) };
