/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every row of pointwise.def against a reference in double precision. A row of the library without a row here does not
 * compile.
 */
#define _XOPEN_SOURCE 700 /* M_SQRT2 */
#include <math.h>

#include "check_clef.h"
#include "op_case.h"

/* ---- references ---- */

typedef struct unary_ref {
	double lo, hi;    /* where the operation is tested */
	float p, q;       /* a second set of parameters, besides the defaults */
	double tolerance; /* 0: the default */
	double (*f)(double x, double p, double q);
} unary_ref;

typedef struct binary_ref {
	double lo, hi;
	double (*f)(double a, double b);
} binary_ref;

static double logistic(double x)
{
	return 1 / (1 + exp(-x));
}

#define REF(name, lo, hi, p, q, expression) REF_TOL(name, lo, hi, p, q, 0, expression)
#define REF_TOL(name, lo, hi, p2, q2, tol, expression)                                                                 \
	static double ref_##name(double x, double p, double q)                                                         \
	{                                                                                                              \
		(void)p;                                                                                               \
		(void)q;                                                                                               \
		return expression;                                                                                     \
	}                                                                                                              \
	static const unary_ref row_##name = { lo, hi, p2, q2, tol, ref_##name };
#define REF2(name, lo, hi, expression)                                                                                 \
	static double ref_##name(double a, double b)                                                                   \
	{                                                                                                              \
		return expression;                                                                                     \
	}                                                                                                              \
	static const binary_ref row_##name = { lo, hi, ref_##name };

/* clang-format off */
REF(relu, -6, 6, 0, 0, x <= 0 ? 0 : x)
REF(leaky_relu, -6, 6, 0.2f, 0, x > 0 ? x : p * x)
REF(elu, -6, 6, 1.7f, 0, x > 0 ? x : p * expm1(x))
REF(selu, -6, 6, 0, 0, 1.0507009873554804934 * (x > 0 ? x : 1.6732632423543772848 * expm1(x)))
REF(celu, -6, 6, 0.6f, 0, x > 0 ? x : p * expm1(x / p))
REF(gelu, -6, 6, 0, 0, 0.5 * x * erfc(-x * M_SQRT1_2))
REF(gelu_tanh, -6, 6, 0, 0, 0.5 * x * (1 + tanh(M_SQRT2 * M_2_SQRTPI / 2 * (x + 0.044715 * x * x * x))))
REF(sigmoid, -9, 9, 0, 0, logistic(x))
REF(tanh, -3, 3, 0, 0, tanh(x))
REF(softplus, -30, 30, 0.7f, 5, x * p > q ? x : log1p(exp(x * p)) / p)
REF(softsign, -6, 6, 0, 0, x / (1 + fabs(x)))
REF(silu, -9, 9, 0, 0, x * logistic(x))
REF(mish, -9, 9, 0, 0, x * tanh(x > 30 ? x : log1p(exp(x))))
REF(hardtanh, -3, 3, -0.5f, 2, x < p ? p : x > q ? q : x)
REF(relu6, -3, 9, 0, 0, x < 0 ? 0 : x > 6 ? 6 : x)
REF(hardsigmoid, -6, 6, 0, 0, x <= -3 ? 0 : x >= 3 ? 1 : x / 6 + 0.5)
REF(hardswish, -6, 6, 0, 0, x <= -3 ? x * 0 : x >= 3 ? x : x * (x + 3) / 6)
REF(tanhshrink, -6, 6, 0, 0, x - tanh(x))
REF(softshrink, -2, 2, 0.9f, 0, x > p ? x - p : x < -p ? x + p : x * 0)
REF(hardshrink, -2, 2, 0.9f, 0, x >= -p && x <= p ? 0 : x)
REF(logsigmoid, -9, 9, 0, 0, fmin(x, 0) - log1p(exp(-fabs(x))))
REF(threshold, -2, 2, 0.3f, -1.5f, x <= p ? q : x)
REF(exp, -6, 6, 0, 0, exp(x))
REF(log, 0.05, 9, 0, 0, log(x))
REF(sqrt, 0.05, 9, 0, 0, sqrt(x))
REF(rsqrt, 0.05, 9, 0, 0, 1 / sqrt(x))
REF(abs, -6, 6, 0, 0, fabs(x))
REF(neg, -6, 6, 0, 0, -x)
REF(square, -6, 6, 0, 0, x * x)
REF(reciprocal, 0.3, 6, 0, 0, 1 / x)
REF(sin, -6, 6, 0, 0, sin(x))
REF(cos, -6, 6, 0, 0, cos(x))
REF(clamp, -3, 3, -0.5f, 1.5f, x < p ? p : x > q ? q : x)
REF_TOL(pow, 0.2, 4, -1.3f, 0, 1e-5, pow(x, p))
REF(add_scalar, -6, 6, 2.5f, 0, x + p)
REF(mul_scalar, -6, 6, -2.5f, 0, x * p)

REF2(add, -6, 6, a + b)
REF2(sub, -6, 6, a - b)
REF2(mul, -6, 6, a * b)
REF2(div, 0.4, 6, a / b)
REF2(maximum, -6, 6, a > b || isnan(a) ? a : b)
REF2(minimum, -6, 6, a < b || isnan(a) ? a : b)
/* clang-format on */

/* ---- the rows of the library ---- */

typedef struct unary_case {
	const char *name;
	clef_tensor *(*apply)(clef_tensor *x, float p, float q);
	float p, q;
	const unary_ref *ref;
} unary_case;

typedef struct binary_case {
	const char *name;
	clef_tensor *(*apply)(clef_tensor *a, clef_tensor *b);
	const binary_ref *ref;
} binary_case;

#define CALL(name, call)                                                                                               \
	static clef_tensor *call_##name(clef_tensor *x, float p, float q)                                              \
	{                                                                                                              \
		(void)p;                                                                                               \
		(void)q;                                                                                               \
		return call;                                                                                           \
	}
#define CLEF_UNARY0(name, NAME, value, gradient)                                 CALL(name, clef_##name(x))
#define CLEF_UNARY1(name, NAME, p1, p1_default, value, gradient)                 CALL(name, clef_##name(x, p))
#define CLEF_UNARY2(name, NAME, p1, p1_default, q1, q1_default, value, gradient) CALL(name, clef_##name(x, p, q))
#include <clef/pointwise.def>

static const unary_case unary_cases[] = {
#define CLEF_UNARY0(name, NAME, value, gradient)               { #name, call_##name, 0, 0, &row_##name },
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient) { #name, call_##name, p_default, 0, &row_##name },
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient)                                           \
	{ #name, call_##name, p_default, q_default, &row_##name },
#include <clef/pointwise.def>
};

static const binary_case binary_cases[] = {
#define CLEF_BINARY(name, value, da, db) { #name, clef_##name, &row_##name },
#include <clef/pointwise.def>
};

static clef_tensor *apply_unary(clef_tensor **x, const void *opts)
{
	const unary_case *u = opts;

	return u->apply(x[0], u->p, u->q);
}

static void reference_unary(const ref_array *x, const void *opts, ref_array *y)
{
	const unary_case *u = opts;

	for (int64_t i = 0; i < y->numel; i++)
		y->v[i] = u->ref->f(x[0].v[i], (double)u->p, (double)u->q);
}

static clef_tensor *apply_binary(clef_tensor **x, const void *opts)
{
	return ((const binary_case *)opts)->apply(x[0], x[1]);
}

/* Index into an operand of the element that result element i takes, by NumPy's rule. */
static int64_t broadcast_index(const clef_shape *y, const clef_shape *x, int64_t i)
{
	int64_t index = 0, step = 1;

	for (int d = y->ndim - 1, e = x->ndim - 1; e >= 0; d--, e--) {
		if (x->dim[e] != 1)
			index += i % y->dim[d] * step;
		step *= x->dim[e];
		i /= y->dim[d];
	}
	return index;
}

static void reference_binary(const ref_array *x, const void *opts, ref_array *y)
{
	const binary_case *b = opts;

	for (int64_t i = 0; i < y->numel; i++)
		y->v[i] = b->ref->f(x[0].v[broadcast_index(&y->shape, &x[0].shape, i)],
				    x[1].v[broadcast_index(&y->shape, &x[1].shape, i)]);
}

static void run_unary(const unary_case *u, clef_shape shape)
{
	const unary_ref *r = u->ref;

	op_case_run(&(op_case){ .name = u->name,
				.apply = apply_unary,
				.reference = reference_unary,
				.opts = u,
				.inputs = 1,
				.in = { { .shape = shape, .lo = r->lo, .hi = r->hi } },
				.tolerance = r->tolerance,
				.gradient_tolerance = 2e-5 });
}

START_TEST(unary)
{
	unary_case u = unary_cases[_i];

	run_unary(&u, CLEF_SHAPE(33));
	if (!test_small()) {
		run_unary(&u, CLEF_SHAPE(3, 1, 257));
		run_unary(&u, CLEF_SHAPE(1));
		run_unary(&u, CLEF_SHAPE(4, 0));
	}
	u.p = u.ref->p;
	u.q = u.ref->q;
	run_unary(&u, test_small() ? CLEF_SHAPE(9) : CLEF_SHAPE(2, 1031));
}
END_TEST

/* Values and slopes at the ends of the numbers. Where the reference overflows to NaN, so may we. */
START_TEST(unary_extremes)
{
	const unary_case *u = &unary_cases[_i];
	float v[] = { 0.0f,  -0.0f, 1e-20f, -1e-20f, 40.0f,  -40.0f,   88.0f,     -88.0f, -120.0f,
		      120.f, 1e6f,  -1e6f,  1e18f,   -1e18f, INFINITY, -INFINITY, NAN };
	float y[CLEF_COUNT(v)], dx[CLEF_COUNT(v)];
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(CLEF_COUNT(v)), v };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *out;

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &array));
	ck_ok(clef_requires_grad(x, true));
	out = ck_new(u->apply(x, u->p, u->q));
	ck_ok(clef_backward(clef_sum(out, NULL)));
	ck_ok(clef_read(out, y, sizeof(y)));
	ck_ok(clef_read(clef_grad(x), dx, sizeof(dx)));
	for (int i = 0; i < CLEF_COUNT(v); i++) {
		double want = u->ref->f((double)v[i], (double)u->p, (double)u->q);
		double limit = u->ref->tolerance > 0 ? 1e-4 : 4e-6;

		/* Denormal numbers, such as exp(x) may be, count as zero. */
		double tiny = 1.2e-38 * fmax(1, fmin(fabs((double)v[i]), 200));

		if (isnan(want)) {
			ck_assert_msg(isnan(y[i]), "%s(%g) is %g, expected NaN", u->name, (double)v[i], (double)y[i]);
			continue;
		}
		if (fabs(want) > 3.4e38)
			want = copysign((double)INFINITY, want);
		ck_assert_msg((double)y[i] == want || fabs((double)y[i] - want) <= fmax(limit * fabs(want), tiny),
			      "%s(%g) is %.9g, expected %.9g", u->name, (double)v[i], (double)y[i], want);
		ck_assert_msg(isfinite(v[i]) && fabsf(v[i]) > 1e-10f && isfinite(want) && isfinite(y[i]) && y[i] != 0
				      ? !isnan(dx[i])
				      : true,
			      "%s: the slope at %g is NaN", u->name, (double)v[i]);
	}
	clef_tape_free(tape);
}
END_TEST

static void run_binary(const binary_case *b, clef_shape first, clef_shape second)
{
	op_case_run(&(op_case){ .name = b->name,
				.apply = apply_binary,
				.reference = reference_binary,
				.opts = b,
				.inputs = 2,
				.in = { { .shape = first, .lo = b->ref->lo, .hi = b->ref->hi },
					{ .shape = second, .lo = b->ref->lo, .hi = b->ref->hi } } });
}

START_TEST(binary)
{
	const binary_case *b = &binary_cases[_i];

	run_binary(b, CLEF_SHAPE(33), CLEF_SHAPE(33));
	run_binary(b, CLEF_SHAPE(4, 9), CLEF_SHAPE(9));
	run_binary(b, CLEF_SHAPE(3), CLEF_SHAPE(2, 1));
	if (test_small())
		return;
	run_binary(b, CLEF_SHAPE(3, 257), CLEF_SHAPE(3, 1));
	run_binary(b, CLEF_SHAPE(1), CLEF_SHAPE(3, 33));
	run_binary(b, CLEF_SCALAR, CLEF_SHAPE(5));
	run_binary(b, CLEF_SHAPE(2, 1, 3, 1, 5), CLEF_SHAPE(4, 1, 6, 1));
	run_binary(b, CLEF_SHAPE(2, 1, 2, 1, 2, 1, 2, 1), CLEF_SHAPE(1, 3, 1, 3, 1, 3, 1, 3));
	run_binary(b, CLEF_SHAPE(6000, 3), CLEF_SHAPE(3));
	run_binary(b, CLEF_SHAPE(0, 3), CLEF_SHAPE(3));
	run_binary(b, CLEF_SHAPE(1), CLEF_SHAPE(0));
}
END_TEST

START_TEST(binary_nan_and_ties)
{
	float av[] = { NAN, 1, NAN, 2, INFINITY }, bv[] = { 1, NAN, NAN, 2, -INFINITY }, y[5], da[5];
	clef_array a = { CLEF_FLOAT32, CLEF_SHAPE(5), av }, b = { CLEF_FLOAT32, CLEF_SHAPE(5), bv };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *out;

	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &a));
	ck_ok(clef_requires_grad(x, true));
	out = ck_new(clef_maximum(x, clef_input(tape, &b)));
	ck_ok(clef_backward(clef_sum(out, NULL)));
	ck_ok(clef_read(out, y, sizeof(y)));
	ck_ok(clef_read(clef_grad(x), da, sizeof(da)));
	ck_assert(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && y[3] == 2 && isinf(y[4]));
	ck_assert(da[3] == 0.5f && da[4] == 1);
	clef_tape_free(tape);
}
END_TEST

START_TEST(binary_errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *a = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(3, 4)));
	clef_tensor *b = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(3)));
	clef_tensor *i = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(3)));
	clef_tensor *big = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(70000, 1)));
	clef_tensor *wide = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(1, 70000)));

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_add(a, b), CLEF_ERROR_SHAPE, "add: a [3, 4] and b [3] cannot be broadcast");
	ck_null_fails(clef_mul(b, i), CLEF_ERROR_DTYPE, "mul: b is int32, expected float32");
	ck_null_fails(clef_relu(i), CLEF_ERROR_DTYPE, "relu: x is int32, expected float32");
	ck_null_fails(clef_sub(big, wide), CLEF_ERROR_SHAPE, "2^31");
	ck_null_fails(clef_relu(NULL), CLEF_ERROR_INVALID, "relu: given NULL");
	clef_tensor_free(a);
	clef_tensor_free(b);
	clef_tensor_free(i);
	clef_tensor_free(big);
	clef_tensor_free(wide);
	clef_tape_free(tape);
}
END_TEST

/* ---- prelu ---- */

static clef_tensor *apply_prelu(clef_tensor **x, const void *opts)
{
	(void)opts;
	return clef_prelu(x[0], x[1]);
}

static void reference_prelu(const ref_array *x, const void *opts, ref_array *y)
{
	int64_t inner = 1, channels = x[1].numel;

	(void)opts;
	for (int i = 2; i < y->shape.ndim; i++)
		inner *= y->shape.dim[i];
	for (int64_t i = 0; i < y->numel; i++)
		y->v[i] = x[0].v[i] > 0 ? x[0].v[i] : x[0].v[i] * x[1].v[i / inner % channels];
}

static void run_prelu(clef_shape x, int64_t slopes)
{
	op_case_run(&(op_case){
		.name = "prelu",
		.apply = apply_prelu,
		.reference = reference_prelu,
		.inputs = 2,
		.in = { { .shape = x, .lo = -3, .hi = 3 }, { .shape = CLEF_SHAPE(slopes), .lo = 0, .hi = 1 } } });
}

START_TEST(prelu)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 5, 3)));
	clef_tensor *w = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(3)));

	run_prelu(CLEF_SHAPE(2, 5, 3), 5);
	run_prelu(CLEF_SHAPE(2, 5, 3, 3), 1);
	run_prelu(CLEF_SHAPE(4, 7), 7);
	run_prelu(CLEF_SHAPE(9), 1);
	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_prelu(x, w), CLEF_ERROR_SHAPE, "w has shape [3], expected [1] or [5]");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tape_free(tape);
}
END_TEST

Suite *pointwise_suite(void)
{
	Suite *s = suite_create("pointwise");
	TCase *c = tcase_create("pointwise");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, unary, 0, CLEF_COUNT(unary_cases));
	tcase_add_loop_test(c, unary_extremes, 0, CLEF_COUNT(unary_cases));
	tcase_add_loop_test(c, binary, 0, CLEF_COUNT(binary_cases));
	tcase_add_test(c, binary_nan_and_ties);
	tcase_add_test(c, binary_errors);
	tcase_add_test(c, prelu);
	suite_add_tcase(s, c);
	return s;
}
