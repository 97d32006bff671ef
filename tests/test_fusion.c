/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations with an activation among their options, against the two operations one after another: for every row of
 * pointwise.def, and at the values where activations bend.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activation_internal.h"
#include "check_clef.h"
#include "conv_case.h"
#include "fusion_case.h"

/* ---- every kind ---- */

static bool wants_positive(clef_activation_kind kind)
{
	return kind == CLEF_ACT_LOG || kind == CLEF_ACT_SQRT || kind == CLEF_ACT_RSQRT || kind == CLEF_ACT_RECIPROCAL ||
	       kind == CLEF_ACT_POW;
}

/* Each pair of a program and a kind that fuses is a program to compile, so that only some kinds go through everything
 * in the short tests. The others take turns. */
static bool is_turn(clef_activation_kind kind, int i, int count)
{
	bool everywhere = kind == CLEF_ACT_NONE || kind == CLEF_ACT_RELU || kind == CLEF_ACT_LEAKY_RELU ||
			  kind == CLEF_ACT_SIGMOID || kind == CLEF_ACT_HARDTANH || kind == CLEF_ACT_GELU;

	if (test_small() && everywhere)
		return i % 4 == (int)kind % CLEF__MIN(4, count);
	return test_long() || everywhere || i == (int)kind % count;
}

START_TEST(every_kind)
{
	const clef_activation act = { (clef_activation_kind)_i };

	for (int i = 0; i < fusion_op_count; i++) {
		if (!is_turn(act.kind, i, fusion_op_count))
			continue;
		/* Without a bias there is no keeping a normalized x positive. */
		if (fusion_ops[i].inputs > 1 || !wants_positive(act.kind))
			fusion_check(&fusion_ops[i], act, wants_positive(act.kind));
	}
}
END_TEST

START_TEST(parameters)
{
	const clef_activation acts[] = { { CLEF_ACT_LEAKY_RELU, 0.3f, 0 },  { CLEF_ACT_LEAKY_RELU, -0.0f, 0 },
					 { CLEF_ACT_LEAKY_RELU, -0.5f, 0 }, { CLEF_ACT_HARDTANH, -0.2f, 0.4f },
					 { CLEF_ACT_HARDTANH, 0, 0.4f },    { CLEF_ACT_HARDSHRINK, 0.1f, 0 },
					 { CLEF_ACT_ADD_SCALAR, 1.25f, 0 }, { CLEF_ACT_MUL_SCALAR, -2.5f, 0 },
					 { CLEF_ACT_SOFTPLUS, 2, 1 } };

	for (int i = 0; i < fusion_op_count; i++)
		for (int a = 0; a < CLEF_COUNT(acts); a++)
			if (test_long() || (!test_small() && acts[a].kind < CLEF_ACT_HARDSHRINK) || a % 4 == i % 4)
				fusion_check(&fusion_ops[i], acts[a], false);
}
END_TEST

/* ---- which kinds fuse, and their slopes where they bend ---- */

START_TEST(what_fuses)
{
	const clef_activation_kind fusing[] = { CLEF_ACT_NONE,       CLEF_ACT_RELU,       CLEF_ACT_LEAKY_RELU,
						CLEF_ACT_RELU6,      CLEF_ACT_TANH,       CLEF_ACT_SIGMOID,
						CLEF_ACT_EXP,        CLEF_ACT_NEG,        CLEF_ACT_HARDTANH,
						CLEF_ACT_SQRT,       CLEF_ACT_RSQRT,      CLEF_ACT_RECIPROCAL,
						CLEF_ACT_HARDSHRINK, CLEF_ACT_ADD_SCALAR, CLEF_ACT_MUL_SCALAR };

	for (int kind = CLEF_ACT_NONE; kind < CLEF_ACT_KINDS; kind++) {
		bool want = false;

		for (int i = 0; i < CLEF_COUNT(fusing); i++)
			want |= (int)fusing[i] == kind;
		ck_assert_msg(clef__activation_fuses((clef_activation){ (clef_activation_kind)kind }) == want,
			      "kind %d", kind);
	}
	ck_assert(!clef__activation_fuses((clef_activation){ CLEF_ACT_LEAKY_RELU, -0.5f, 0 }));
	ck_assert(clef__activation_fuses((clef_activation){ CLEF_ACT_LEAKY_RELU, -0.0f, 0 }));
	ck_assert(!clef__activation_fuses((clef_activation){ CLEF_ACT_KINDS }));
}
END_TEST

/* z = x exactly, through each kernel that applies an activation. */
static clef_tensor *conv_identity(const fusion_operands *o, clef_activation act)
{
	return clef_conv2d(o->x[0], o->x[1], o->x[2], &(clef_conv2d_opts){ .activation = act });
}

static clef_tensor *norm_identity(const fusion_operands *o, clef_activation act)
{
	return clef_batch_norm(o->x[0], o->x[1], o->x[2], o->mean, o->var,
			       &(clef_batch_norm_opts){ .eps = 1e-30f, .activation = act });
}

static void run_bends(const fusion_op *op, clef_activation act)
{
	const float tiny = 1.2e-38f, one = 1, zero = 0;
	const float v[] = { 0.0f,
			    -0.0f,
			    tiny,
			    -tiny,
			    0.5f,
			    -0.5f,
			    nextafterf(0.5f, 1),
			    nextafterf(-0.5f, -1),
			    1,
			    -1,
			    nextafterf(1, 0),
			    nextafterf(-1, 0),
			    6,
			    nextafterf(6, 0),
			    nextafterf(6, 7),
			    1e20f,
			    -1e20f,
			    INFINITY,
			    -INFINITY,
			    NAN,
			    3 };
	fusion_operands o = { { fusion_leaf(CLEF_SHAPE(1, 1, 3, CLEF_COUNT(v) / 3), v, true), NULL, NULL },
			      NULL,
			      NULL };
	clef_shape w = op->apply == norm_identity ? CLEF_SHAPE(1) : CLEF_SHAPE(1, 1, 1, 1);
	fusion_outcome got, want;
	char name[100];

	o.x[1] = fusion_leaf(w, &one, false);
	o.x[2] = fusion_leaf(CLEF_SHAPE(1), &zero, false);
	o.mean = fusion_leaf(CLEF_SHAPE(1), &zero, false);
	o.var = fusion_leaf(CLEF_SHAPE(1), &one, false);
	got = fusion_run(op, &o, act, true);
	want = fusion_run(op, &o, act, false);
	snprintf(name, sizeof(name), "%s by %s, activation %d", op->name, op->impl, (int)act.kind);
	for (int i = 0; i < 2; i++)
		fusion_compare(name, i, got.v[i], want.v[i], CLEF_COUNT(v), i ? 2e-7 : 0);
	fusion_outcome_free(&got);
	fusion_outcome_free(&want);
	fusion_operands_free(&o);
}

START_TEST(bends)
{
	static const fusion_op through[] = { { "conv2d", "direct", 1, { { 0 } }, { { 0 } }, conv_identity },
					     { "conv2d", "im2col", 1, { { 0 } }, { { 0 } }, conv_identity },
					     { "batch_norm", "", 1, { { 0 } }, { { 0 } }, norm_identity } };
	const clef_activation act = { (clef_activation_kind)_i };

	for (int i = 0; i < CLEF_COUNT(through); i++)
		if (is_turn(act.kind, i, CLEF_COUNT(through)))
			run_bends(&through[i], act);
}
END_TEST

/* PyTorch's slopes at the ends: those of the flat side, and 1 for NaN. */
START_TEST(slopes_at_ends)
{
	const struct {
		clef_activation_kind kind;
		float x, slope;
	} rows[] = {
		{ CLEF_ACT_RELU, 0, 0 },
		{ CLEF_ACT_RELU, -0.0f, 0 },
		{ CLEF_ACT_RELU, 1e-30f, 1 },
		{ CLEF_ACT_RELU, NAN, 1 },
		{ CLEF_ACT_RELU6, 0, 0 },
		{ CLEF_ACT_RELU6, 6, 0 },
		{ CLEF_ACT_RELU6, 5.999999f, 1 },
		{ CLEF_ACT_RELU6, 1e-30f, 1 },
		{ CLEF_ACT_RELU6, NAN, 1 },
		{ CLEF_ACT_HARDTANH, 1, 0 },
		{ CLEF_ACT_HARDTANH, -1, 0 },
		{ CLEF_ACT_HARDTANH, 0.9999999f, 1 },
		{ CLEF_ACT_HARDTANH, NAN, 1 },
		{ CLEF_ACT_HARDSHRINK, 0.5f, 0 },
		{ CLEF_ACT_HARDSHRINK, 0.50000006f, 1 },
		{ CLEF_ACT_HARDSHRINK, NAN, 1 },
		{ CLEF_ACT_HARDSHRINK, -0.5f, 0 },
		{ CLEF_ACT_LEAKY_RELU, 0, 0.01f },
		{ CLEF_ACT_LEAKY_RELU, 1e-30f, 1 },
	};
	clef_tape *tape = ck_new(clef_tape_new(test_device));

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		clef_tensor *x = fusion_leaf(CLEF_SHAPE(1), &rows[i].x, true);

		ck_ok(clef_tape_begin(tape));
		ck_ok(clef_backward(clef_activate(x, (clef_activation){ rows[i].kind })));
		ck_assert_msg((float)clef_item(clef_grad(x)) == rows[i].slope, "kind %d at %.9g: slope %g",
			      (int)rows[i].kind, (double)rows[i].x, clef_item(clef_grad(x)));
		clef_tensor_free(x);
	}
	clef_tape_free(tape);
}
END_TEST

/* ---- what it saves ---- */

typedef struct cost {
	uint64_t forward, backward, memory;
} cost;

static cost measure(const fusion_op *op, clef_activation_kind kind, bool fused)
{
	const clef_activation act = { kind }, none = { CLEF_ACT_NONE };
	fusion_operands o = fusion_operands_new(op, false);
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_device_stats before, middle, after;
	clef_tensor *loss;

	conv_force_name(op->impl);
	for (int round = 0; round < 2; round++) { /* the first product includes a check */
		ck_ok(clef_tape_begin(tape));
		before = clef_device_get_stats(test_device);
		loss = ck_new(fused ? op->apply(&o, act) : clef_activate(op->apply(&o, none), act));
		middle = clef_device_get_stats(test_device);
		loss = ck_new(clef_sum(loss, NULL));
		after = clef_device_get_stats(test_device);
		ck_ok(clef_backward(loss));
		after.launches = clef_device_get_stats(test_device).launches - after.launches;
	}
	fusion_operands_free(&o);
	clef_tape_free(tape);
	return (cost){ middle.launches - before.launches, after.launches, middle.memory_in_use - before.memory_in_use };
}

START_TEST(costs_less)
{
	for (int i = 0; i < fusion_op_count; i++) {
		const fusion_op *op = &fusion_ops[i];
		const bool norm = strncmp(op->name, "batch_norm", 10) == 0;
		cost one = measure(op, CLEF_ACT_RELU, true), two = measure(op, CLEF_ACT_RELU, false);

		ck_assert_msg(one.forward < two.forward || !strcmp(op->name, "conv2d_no_bias"),
			      "%s by %s: %d launches, by hand %d", op->name, op->impl, (int)one.forward,
			      (int)two.forward);
		ck_assert_msg(one.forward <= two.forward && one.backward + norm == two.backward,
			      "%s by %s: %d launches backward, by hand %d", op->name, op->impl, (int)one.backward,
			      (int)two.backward);
		ck_assert_msg(one.memory < two.memory, "%s by %s: %d bytes, by hand %d", op->name, op->impl,
			      (int)one.memory, (int)two.memory);
		one = measure(op, CLEF_ACT_GELU, true);
		ck_assert(one.forward == two.forward);
		ck_assert(one.memory == two.memory);
	}
}
END_TEST

/* ---- edges ---- */

static clef_tensor *add_act(const fusion_operands *o, clef_activation act)
{
	return clef_add_act(o->x[0], o->x[1], act);
}

/* Sums of unlike shapes do not fuse. */
START_TEST(broadcast_sum)
{
	const fusion_op op = { .name = "add_act broadcast",
			       .impl = "",
			       .inputs = 2,
			       .shape = { CLEF_SHAPE(3, 5, 7), CLEF_SHAPE(5, 1) },
			       .small = { CLEF_SHAPE(2, 3), CLEF_SHAPE(3) },
			       .apply = add_act };

	fusion_check(&op, (clef_activation){ CLEF_ACT_RELU }, false);
	fusion_check(&op, (clef_activation){ CLEF_ACT_GELU }, false);
}
END_TEST

START_TEST(nothing)
{
	const clef_activation relu = { CLEF_ACT_RELU }, gelu = { CLEF_ACT_GELU };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = fusion_uniform(CLEF_SHAPE(0, 2, 4, 4), 0, 1, 1, true);
	clef_tensor *w = fusion_uniform(CLEF_SHAPE(3, 2, 3, 3), 0, 1, 1, true);
	fusion_operands o = { { x, fusion_uniform(CLEF_SHAPE(2), 0, 1, 1, true),
				fusion_uniform(CLEF_SHAPE(2), 0, 1, 1, true) },
			      fusion_uniform(CLEF_SHAPE(2), 0, 1, 1, false),
			      fusion_uniform(CLEF_SHAPE(2), 0, 1, 1, false) };
	float grad[54];

	for (int i = 0; i < 4; i++) {
		const clef_activation act = i % 2 ? relu : gelu;
		clef_tensor *y, *wanted = i < 2 ? w : o.x[1];

		ck_ok(clef_tape_begin(tape));
		y = i < 2 ? clef_conv2d_no_bias(x, w, &(clef_conv2d_opts){ .activation = act })
			  : clef_batch_norm(x, o.x[1], o.x[2], o.mean, o.var,
					    &(clef_batch_norm_opts){ .training = true, .activation = act });
		ck_assert_int_eq(clef_tensor_numel(ck_new(y)), 0);
		ck_ok(clef_backward(clef_sum(y, NULL)));
		ck_ok(clef_read(clef_grad(wanted), grad, (size_t)clef_tensor_numel(wanted) * sizeof(float)));
		ck_assert(grad[0] == 0 && grad[clef_tensor_numel(wanted) - 1] == 0);
	}
	fusion_operands_free(&o);
	clef_tensor_free(w);
	clef_tape_free(tape);
}
END_TEST

START_TEST(errors)
{
	const clef_activation bad = { CLEF_ACT_KINDS }, negative = { (clef_activation_kind)-1 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	fusion_operands o = fusion_operands_new(&fusion_ops[0], false);

	ck_ok(clef_tape_begin(tape));
	ck_assert_ptr_eq(clef_activate(o.x[0], (clef_activation){ CLEF_ACT_NONE }), o.x[0]);
	ck_assert_ptr_null(clef_activate(NULL, (clef_activation){ CLEF_ACT_NONE }));
	ck_null_fails(clef_activate(NULL, (clef_activation){ CLEF_ACT_RELU }), CLEF_ERROR_INVALID, "relu: given NULL");
	ck_null_fails(clef_activate(o.x[0], bad), CLEF_ERROR_INVALID, "is no clef_activation_kind");
	ck_null_fails(clef_activate(o.x[0], negative), CLEF_ERROR_INVALID, "clef_activate: kind -1 is no");
	ck_null_fails(fusion_ops[0].apply(&o, bad), CLEF_ERROR_INVALID, "is no clef_activation_kind");
	ck_null_fails(clef_conv2d(o.x[0], o.x[0], o.x[2], &(clef_conv2d_opts){ .activation = { CLEF_ACT_GELU } }),
		      CLEF_ERROR_SHAPE, "conv2d: b has shape [");
	fusion_operands_free(&o);
	clef_tape_free(tape);
}
END_TEST

Suite *fusion_suite(void)
{
	Suite *s = suite_create("fusion");
	TCase *c = tcase_create("fusion");

	tcase_set_timeout(c, 300);
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, every_kind, 0, CLEF_ACT_KINDS);
	tcase_add_test(c, parameters);
	tcase_add_test(c, what_fuses);
	tcase_add_loop_test(c, bends, 0, CLEF_ACT_KINDS);
	tcase_add_test(c, slopes_at_ends);
	tcase_add_test(c, costs_less);
	tcase_add_test(c, broadcast_sum);
	tcase_add_test(c, nothing);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
