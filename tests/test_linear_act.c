/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linear layer with an activation: its problems, and against the two operations one after another: values and all
 * gradients, for every activation there is, with its defaults and other parameters; and what fusing them saves.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activation_internal.h"
#include "check_case.h"
#include "check_clef.h"
#include "families.h"
#include "gemm_case.h"

enum { X, W, BIAS, OPERANDS };

typedef struct layer {
	clef_tape *tape;
	clef_tensor *in[OPERANDS], *weight;
	clef_shape out;
} layer;

/* Uniform over a range, with some of the ends of hardtanh and others. */
static clef_tensor *leaf(clef_shape shape, double lo, double hi, double scale)
{
	size_t n = (size_t)clef_shape_numel(shape);
	float *v = malloc(n * sizeof(float) + 1);
	clef_tensor *x;

	ck_assert_ptr_nonnull(v);
	for (size_t i = 0; i < n; i++)
		v[i] = (float)(scale * (lo + (hi - lo) * ((double)gemm_next_value(false) + 8) / 16));
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, shape, v }));
	ck_ok(clef_requires_grad(x, true));
	free(v);
	return x;
}

static layer layer_new(int rows, int in, int out, double lo, double hi)
{
	layer l = { .tape = ck_new(clef_tape_new(test_device)), .out = CLEF_SHAPE(2, rows, out) };

	l.in[X] = leaf(CLEF_SHAPE(2, rows, in), lo, hi, 1);
	l.in[W] = leaf(CLEF_SHAPE(out, in), lo, hi, 4 / sqrt(in));
	l.in[BIAS] = leaf(CLEF_SHAPE(out), lo, hi, 1);
	l.weight = leaf(l.out, 0.5, 1.5, 1);
	return l;
}

static void layer_free(layer *l)
{
	for (int i = 0; i < OPERANDS; i++)
		clef_tensor_free(l->in[i]);
	clef_tensor_free(l->weight);
	clef_tape_free(l->tape);
}

static clef_tensor *apply(const layer *l, clef_activation a, bool fused, bool bias)
{
	if (bias)
		return fused ? clef_linear_act(l->in[X], l->in[W], l->in[BIAS], a)
			     : clef_activate(clef_linear(l->in[X], l->in[W], l->in[BIAS]), a);
	return fused ? clef_linear_act_no_bias(l->in[X], l->in[W], a)
		     : clef_activate(clef_linear_no_bias(l->in[X], l->in[W]), a);
}

/* y and the gradients of x, w and b, each to be freed. */
typedef struct results {
	float *v[1 + OPERANDS];
	size_t n[1 + OPERANDS];
} results;

static results run(const layer *l, clef_activation a, bool fused, bool bias)
{
	results r = { { NULL }, { 0 } };
	clef_tensor *y;

	ck_ok(clef_tape_begin(l->tape));
	y = ck_new(apply(l, a, fused, bias));
	ck_assert(clef_shape_equal(clef_tensor_shape(y), l->out));
	ck_ok(clef_backward(clef_sum(clef_mul(y, l->weight), NULL)));
	for (int i = 0; i < 1 + (bias ? OPERANDS : OPERANDS - 1); i++) {
		const clef_tensor *from = i ? clef_grad(l->in[i - 1]) : y;

		r.n[i] = (size_t)clef_tensor_numel(from);
		r.v[i] = malloc(r.n[i] * sizeof(float) + 1);
		ck_assert_ptr_nonnull(r.v[i]);
		ck_ok(clef_read(from, r.v[i], r.n[i] * sizeof(float)));
	}
	return r;
}

static void results_free(results *r)
{
	for (int i = 0; i < CLEF_COUNT(r->v); i++)
		free(r->v[i]);
}

static bool same_bits(const results *a, const results *b, int which)
{
	return memcmp(a->v[which], b->v[which], a->n[which] * sizeof(float)) == 0;
}

/* Kernels may round an activation by a bit or two otherwise than another program's; then sums of it differ. */
static void compare(const results *got, const results *want, int which, const char *what)
{
	double scale = 0;

	for (size_t i = 0; i < want->n[which]; i++)
		if (isfinite(want->v[which][i]))
			scale += fabs((double)want->v[which][i]) / (double)want->n[which];
	for (size_t i = 0; i < want->n[which]; i++) {
		double g = (double)got->v[which][i], w = (double)want->v[which][i];

		if (isnan(w) || isinf(w))
			ck_assert_msg(isnan(w) ? isnan(g) : g == w, "%s: result %d, element %d is %g, expected %g",
				      what, which, (int)i, g, w);
		else
			ck_assert_msg(fabs(g - w) <= 1e-6 * (fabs(w) + scale),
				      "%s: result %d, element %d is %.9g, expected %.9g", what, which, (int)i, g, w);
	}
}

static int count_exact, count_compared;

static void check_layer(const layer *l, clef_activation a, const char *what)
{
	for (int bias = 0; bias < 2; bias++) {
		results got = run(l, a, true, bias), want = run(l, a, false, bias), again = run(l, a, true, bias);

		for (int i = 0; i < 1 + (bias ? OPERANDS : OPERANDS - 1); i++) {
			compare(&got, &want, i, what);
			ck_assert_msg(same_bits(&got, &again, i), "%s: two runs give different bits", what);
			count_exact += same_bits(&got, &want, i);
			count_compared++;
		}
		results_free(&got);
		results_free(&want);
		results_free(&again);
	}
}

static const char *const names[] = {
	"none",
#define CLEF_UNARY0(name, NAME, value, gradient)                             #name,
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)               #name,
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient) #name,
#include <clef/pointwise.def>
};

/* A kind that fuses makes the products' kernels compile anew, which takes seconds: in the short tests some stand for
 * all. */
static bool is_turn(clef_activation_kind kind)
{
	if (test_small())
		return kind == CLEF_ACT_RELU;
	return test_long() || !clef__activation_fuses((clef_activation){ kind }) || kind == CLEF_ACT_NONE ||
	       kind == CLEF_ACT_RELU || kind == CLEF_ACT_LEAKY_RELU || kind == CLEF_ACT_TANH;
}

/* On both sides of 0, and above it, where logarithms and roots have gradients. */
START_TEST(every_activation)
{
	static const float parameters[][2] = { { 0, 0 }, { 0.25f, 0.75f }, { -0.5f, 0.5f }, { -0.0f, 0 } };
	layer mixed, positive;

	ck_assert_int_eq(CLEF_COUNT(names), CLEF_ACT_KINDS);
	if (!is_turn((clef_activation_kind)_i))
		return;
	device_setup();
	mixed = test_small() ? layer_new(2, 3, 4, -1, 1) : layer_new(17, 33, 50, -1, 1);
	positive = layer_new(2, 9, 5, 0.1, 1);
	for (int i = 0; i < CLEF_COUNT(parameters); i++) {
		clef_activation a = { (clef_activation_kind)_i, parameters[i][0], parameters[i][1] };
		char what[80];

		snprintf(what, sizeof(what), "%s(%g, %g)", names[_i], (double)a.p, (double)a.q);
		check_layer(&mixed, a, what);
		if (!test_small())
			check_layer(&positive, a, what);
	}
	if (getenv("CLEF_TEST_REPORT"))
		printf("%s: %d of %d equal to the last bit\n", names[_i], count_exact, count_compared);
	layer_free(&mixed);
	layer_free(&positive);
	device_teardown();
}
END_TEST

/* ---- problems ---- */

START_TEST(activate)
{
	check_family(&clef__family_activate);
}
END_TEST

START_TEST(linear_act)
{
	check_family(&clef__family_linear_act);
}
END_TEST

START_TEST(add_act)
{
	check_family(&clef__family_add_act);
}
END_TEST

/* ---- what it saves ---- */

typedef struct cost {
	uint64_t launches, memory;
} cost;

static cost forward_cost(const layer *l, clef_activation a, bool fused)
{
	clef_device_stats before, after;

	ck_ok(clef_tape_begin(l->tape));
	before = clef_device_get_stats(test_device);
	ck_new(apply(l, a, fused, true));
	after = clef_device_get_stats(test_device);
	return (cost){ after.launches - before.launches, after.memory_in_use - before.memory_in_use };
}

/* An activation that fuses costs neither a launch nor memory; any other is an operation. */
START_TEST(fused_is_one_operation)
{
	layer l = layer_new(64, 32, 128, -1, 1);
	cost none = forward_cost(&l, (clef_activation){ CLEF_ACT_NONE }, true);
	cost two = forward_cost(&l, (clef_activation){ CLEF_ACT_RELU }, false);
	cost fused = forward_cost(&l, (clef_activation){ CLEF_ACT_RELU }, true);
	cost other = forward_cost(&l, (clef_activation){ CLEF_ACT_GELU }, true);

	ck_assert_uint_eq(two.launches, none.launches + 1);
	ck_assert_uint_eq(fused.launches, none.launches);
	ck_assert_uint_eq(other.launches, none.launches + 1);
	ck_assert_uint_eq(two.memory, 2 * none.memory);
	ck_assert_uint_eq(fused.memory, none.memory);
	layer_free(&l);
}
END_TEST

/* ---- errors ---- */

START_TEST(errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = leaf(CLEF_SHAPE(2, 5), -1, 1, 1), *w = leaf(CLEF_SHAPE(3, 4), -1, 1, 1);
	clef_tensor *v = leaf(CLEF_SHAPE(3, 5), -1, 1, 1);
	const clef_activation relu = { CLEF_ACT_RELU };

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_linear_act_no_bias(x, w, relu), CLEF_ERROR_SHAPE,
		      "linear: x has shape [2, 5], expected [..., 4]");
	ck_null_fails(clef_linear_act(x, v, NULL, relu), CLEF_ERROR_INVALID, "linear: given NULL");
	ck_null_fails(clef_linear_act_no_bias(x, v, (clef_activation){ CLEF_ACT_KINDS }), CLEF_ERROR_INVALID,
		      "clef_activation_kind");
	ck_null_fails(clef_linear_act_no_bias(x, v, (clef_activation){ (clef_activation_kind)-1 }), CLEF_ERROR_INVALID,
		      "clef_activation_kind");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(v);
	clef_tape_free(tape);
}
END_TEST

Suite *linear_act_suite(void)
{
	Suite *s = suite_create("linear_act");
	TCase *c = tcase_create("activations");

	tcase_add_loop_test(c, every_activation, 0, CLEF_ACT_KINDS);
	suite_add_tcase(s, c);
	c = tcase_create("linear_act");
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, activate);
	tcase_add_test(c, linear_act);
	tcase_add_test(c, add_act);
	tcase_add_test(c, fused_is_one_operation);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
