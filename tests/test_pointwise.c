/* SPDX-License-Identifier: Apache-2.0 */
/* Pointwise operations: the problems of their families, the ends of the numbers, and what is refused. */
#include <math.h>

#include "check_case.h"
#include "check_clef.h"
#include "families.h"

/* ---- the rows of the library ---- */

static const clef__family *const unary_families[] = {
#define CLEF_UNARY0(name, NAME, value, gradient)             &clef__family_##name,
#define CLEF_UNARY1(name, NAME, p, d, value, gradient)       &clef__family_##name,
#define CLEF_UNARY2(name, NAME, p, d, q, e, value, gradient) &clef__family_##name,
#include <clef/pointwise.def>
};

static const clef__family *const binary_families[] = {
#define CLEF_BINARY(name, value, da, db) &clef__family_##name,
#include <clef/pointwise.def>
};

START_TEST(unary)
{
	check_family(unary_families[_i]);
}
END_TEST

START_TEST(binary)
{
	check_family(binary_families[_i]);
}
END_TEST

/* Values and slopes at the ends of the numbers. Where the reference overflows to NaN, so may we. */
START_TEST(unary_extremes)
{
	const clef__family *f = unary_families[_i];
	float v[] = { 0.0f,  -0.0f, 1e-20f, -1e-20f, 40.0f,  -40.0f,   88.0f,     -88.0f, -120.0f,
		      120.f, 1e6f,  -1e6f,  1e18f,   -1e18f, INFINITY, -INFINITY, NAN };
	float y[CLEF_COUNT(v)], dx[CLEF_COUNT(v)];
	double in[CLEF_COUNT(v)], wanted[CLEF_COUNT(v)];
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(CLEF_COUNT(v)), v };
	clef__ref from = { array.shape, CLEF_COUNT(v), in, 0, CLEF_COUNT(v) }, to = from;
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x, *out;
	clef__problem p;

	ck_ok(clef__problem_parse(f->problems[0], &p));
	ck_ok(clef_tape_begin(tape));
	x = ck_new(clef_input(tape, &array));
	ck_ok(clef_requires_grad(x, true));
	out = ck_new(f->apply(&x, p.opts));
	ck_ok(clef_backward(clef_sum(out, NULL)));
	ck_ok(clef_read(out, y, sizeof(y)));
	ck_ok(clef_read(clef_grad(x), dx, sizeof(dx)));
	to.v = wanted;
	for (int i = 0; i < CLEF_COUNT(v); i++)
		in[i] = (double)v[i];
	ck_assert(f->reference(&from, p.opts, &to));
	for (int i = 0; i < CLEF_COUNT(v); i++) {
		double want = wanted[i], limit = p.tolerance > CLEF__TOLERANCE ? 1e-4 : 4e-6;

		/* Denormal numbers, such as exp(x) may be, count as zero. */
		double tiny = 1.2e-38 * fmax(1, fmin(fabs((double)v[i]), 200));

		if (isnan(want)) {
			ck_assert_msg(isnan(y[i]), "%s(%g) is %g, expected NaN", f->name, (double)v[i], (double)y[i]);
			continue;
		}
		if (fabs(want) > 3.4e38)
			want = copysign((double)INFINITY, want);
		ck_assert_msg((double)y[i] == want || fabs((double)y[i] - want) <= fmax(limit * fabs(want), tiny),
			      "%s(%g) is %.9g, expected %.9g", f->name, (double)v[i], (double)y[i], want);
		ck_assert_msg(isfinite(v[i]) && fabsf(v[i]) > 1e-10f && isfinite(want) && isfinite(y[i]) && y[i] != 0
				      ? !isnan(dx[i])
				      : true,
			      "%s: the slope at %g is NaN", f->name, (double)v[i]);
	}
	clef_tape_free(tape);
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

START_TEST(prelu)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 5, 3)));
	clef_tensor *w = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(3)));

	check_family(&clef__family_prelu);
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
	tcase_add_loop_test(c, unary, 0, CLEF_COUNT(unary_families));
	tcase_add_loop_test(c, unary_extremes, 0, CLEF_COUNT(unary_families));
	tcase_add_loop_test(c, binary, 0, CLEF_COUNT(binary_families));
	tcase_add_test(c, binary_nan_and_ties);
	tcase_add_test(c, binary_errors);
	tcase_add_test(c, prelu);
	suite_add_tcase(s, c);
	return s;
}
