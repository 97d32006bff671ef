/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activation_internal.h"
#include "check_clef.h"
#include "conv_case.h"
#include "fusion_case.h"

/* ---- operations, each with and without an activation ---- */

static clef_tensor *conv2d(const fusion_operands *o, clef_activation act)
{
	return clef_conv2d(o->x[0], o->x[1], o->x[2], &(clef_conv2d_opts){ .pad = 1, .activation = act });
}

static clef_tensor *conv2d_no_bias(const fusion_operands *o, clef_activation act)
{
	return clef_conv2d_no_bias(o->x[0], o->x[1], &(clef_conv2d_opts){ .stride = 2, .activation = act });
}

static clef_tensor *conv2d_mirrored(const fusion_operands *o, clef_activation act)
{
	return clef_conv2d(
		o->x[0], o->x[1], o->x[2],
		&(clef_conv2d_opts){ .pad = 2, .groups = 2, .pad_mode = CLEF_PAD_REFLECT, .activation = act });
}

static clef_tensor *conv1d(const fusion_operands *o, clef_activation act)
{
	return clef_conv1d(o->x[0], o->x[1], o->x[2], &(clef_conv1d_opts){ .dilation = 2, .activation = act });
}

static clef_tensor *conv_transpose2d(const fusion_operands *o, clef_activation act)
{
	return clef_conv_transpose2d(o->x[0], o->x[1], o->x[2],
				     &(clef_conv_transpose2d_opts){ .stride = 2, .activation = act });
}

static clef_tensor *conv_transpose1d(const fusion_operands *o, clef_activation act)
{
	return clef_conv_transpose1d(o->x[0], o->x[1], o->x[2], &(clef_conv_transpose1d_opts){ .activation = act });
}

static clef_tensor *norm_training(const fusion_operands *o, clef_activation act)
{
	return clef_batch_norm(o->x[0], o->x[1], o->x[2], o->mean, o->var,
			       &(clef_batch_norm_opts){ .training = true, .activation = act });
}

static clef_tensor *norm_evaluation(const fusion_operands *o, clef_activation act)
{
	return clef_batch_norm(o->x[0], o->x[1], o->x[2], o->mean, o->var,
			       &(clef_batch_norm_opts){ .activation = act });
}

static clef_tensor *add_act(const fusion_operands *o, clef_activation act)
{
	return clef_add_act(o->x[0], o->x[1], act);
}

static clef_tensor *norm_plain(const fusion_operands *o, clef_activation act)
{
	return clef_batch_norm_plain(o->x[0], o->mean, o->var,
				     &(clef_batch_norm_opts){ .training = true, .activation = act });
}

/* clang-format off */
#define S(...) { CLEF_COUNT(((int64_t[]){ __VA_ARGS__ })), { __VA_ARGS__ } }
/* By im2col: results of several images brought into order, results in place, and images that are matrices. */
const fusion_op fusion_ops[] = {
	{ "conv2d", "direct", 3, { S(2, 3, 6, 19), S(5, 3, 3, 3), S(5) },
	  { S(1, 2, 3, 3), S(2, 2, 3, 3), S(2) }, conv2d },
	{ "conv2d", "im2col", 3, { S(3, 2, 6, 9), S(5, 2, 3, 3), S(5) },
	  { S(2, 1, 2, 3), S(2, 1, 3, 3), S(2) }, conv2d },
	{ "conv2d", "im2col", 3, { S(1, 3, 6, 9), S(5, 3, 3, 3), S(5) },
	  { S(1, 1, 2, 3), S(2, 1, 3, 3), S(2) }, conv2d },
	{ "conv2d_no_bias", "im2col", 2, { S(1, 3, 6, 9), S(5, 3, 3, 3) },
	  { S(1, 1, 3, 4), S(2, 1, 3, 3) }, conv2d_no_bias },
	{ "conv2d_no_bias", "direct", 2, { S(2, 3, 6, 9), S(5, 3, 3, 3) },
	  { S(1, 1, 3, 4), S(2, 1, 3, 3) }, conv2d_no_bias },
	{ "conv2d mirrored", "direct", 3, { S(2, 4, 5, 4), S(6, 2, 3, 3), S(6) },
	  { S(1, 2, 3, 3), S(2, 1, 3, 3), S(2) }, conv2d_mirrored },
	{ "conv1d", "", 3, { S(2, 3, 37), S(4, 3, 5), S(4) },
	  { S(1, 2, 7), S(2, 2, 3), S(2) }, conv1d },
	{ "conv_transpose2d", "im2col", 3, { S(2, 3, 4, 5), S(3, 4, 3, 3), S(4) },
	  { S(1, 1, 2, 2), S(1, 2, 3, 3), S(2) }, conv_transpose2d },
	{ "conv_transpose2d", "direct", 3, { S(2, 3, 4, 5), S(3, 4, 3, 3), S(4) },
	  { S(1, 1, 2, 2), S(1, 2, 3, 3), S(2) }, conv_transpose2d },
	{ "conv_transpose1d", "im2col", 3, { S(1, 3, 600), S(3, 4, 1), S(4) },
	  { S(1, 1, 4), S(1, 2, 1), S(2) }, conv_transpose1d },
	{ "batch_norm training", "", 3, { S(5, 7, 3, 11), S(7), S(7) },
	  { S(2, 2, 3), S(2), S(2) }, norm_training },
	{ "batch_norm training", "", 3, { S(33, 5), S(5), S(5) },
	  { S(4, 2), S(2), S(2) }, norm_training },
	{ "batch_norm evaluation", "", 3, { S(3, 7, 2, 9), S(7), S(7) },
	  { S(2, 2, 2), S(2), S(2) }, norm_evaluation },
	{ "batch_norm_plain", "", 1, { S(3, 4, 35) }, { S(2, 2, 3) }, norm_plain },
	{ "add_act", "", 2, { S(3, 5, 67), S(3, 5, 67) }, { S(2, 3), S(2, 3) }, add_act },
	{ "batch_norm large", "", 3, { S(7, 3, 25, 41), S(3), S(3) },
	  { S(2, 2, 20), S(2), S(2) }, norm_training },
};
const int fusion_op_count = CLEF_COUNT(fusion_ops);
/* clang-format on */

/* ---- one run, fused or by hand ---- */

static void take(fusion_outcome *o, int i, const clef_tensor *x)
{
	o->n[i] = clef_tensor_numel(ck_new((void *)(uintptr_t)x));
	o->v[i] = malloc((size_t)o->n[i] * sizeof(float) + 1);
	ck_assert_ptr_nonnull(o->v[i]);
	ck_ok(clef_read(x, o->v[i], (size_t)o->n[i] * sizeof(float)));
}

void fusion_outcome_free(fusion_outcome *o)
{
	for (int i = 0; i <= FUSION_OPERANDS; i++)
		free(o->v[i]);
}

clef_tensor *fusion_leaf(clef_shape shape, const float *values, bool grad)
{
	const clef_array array = { CLEF_FLOAT32, shape, (void *)(uintptr_t)values };
	clef_tensor *x = ck_new(clef_tensor_from(test_device, &array));

	if (grad)
		ck_ok(clef_requires_grad(x, true));
	return x;
}

clef_tensor *fusion_uniform(clef_shape shape, double lo, double hi, uint64_t seed, bool grad)
{
	int64_t n = clef_shape_numel(shape);
	float *v = malloc((size_t)n * sizeof(float) + 1);
	clef_tensor *x;

	ck_assert_ptr_nonnull(v);
	for (int64_t i = 0; i < n; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		v[i] = (float)(lo + (hi - lo) * (double)(seed >> 11) * 0x1p-53);
	}
	x = fusion_leaf(shape, v, grad);
	free(v);
	return x;
}

fusion_outcome fusion_run(const fusion_op *op, const fusion_operands *o, clef_activation act, bool fused)
{
	const clef_activation none = { CLEF_ACT_NONE };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *y, *weight, *loss;
	fusion_outcome result = { { NULL }, { 0 } };

	conv_force_name(op->impl);
	ck_ok(clef_tape_begin(tape));
	y = ck_new(fused ? op->apply(o, act) : clef_activate(op->apply(o, none), act));
	weight = fusion_uniform(clef_tensor_shape(y), -1, 2, 77, false);
	loss = ck_new(clef_sum(clef_mul(y, weight), NULL));
	ck_ok(clef_backward(loss));
	ck_ok(clef_backward_add(loss));
	take(&result, 0, y);
	for (int i = 0; i < op->inputs; i++)
		take(&result, i + 1, clef_grad(o->x[i]));
	clef_tensor_free(weight);
	clef_tape_free(tape);
	return result;
}

fusion_operands fusion_operands_new(const fusion_op *op, bool positive)
{
	const clef_shape *shape = test_small() ? op->small : op->shape;
	const bool norm = strncmp(op->name, "batch_norm", 10) == 0;
	const clef_shape channels = CLEF_SHAPE(shape[0].dim[1]);
	fusion_operands o = { { NULL }, NULL, NULL };

	for (int i = 0; i < op->inputs; i++)
		o.x[i] = fusion_uniform(shape[i], positive ? 0.1 : -1, 1, 3 + (uint64_t)i, true);
	if (norm && positive && op->inputs > 2)
		ck_ok(clef_fill(o.x[2], 6));
	o.mean = fusion_uniform(channels, -0.5, 0.5, 13, false);
	o.var = fusion_uniform(channels, 0.5, 2, 14, false);
	return o;
}

void fusion_operands_free(fusion_operands *o)
{
	for (int i = 0; i < FUSION_OPERANDS; i++)
		clef_tensor_free(o->x[i]);
	clef_tensor_free(o->mean);
	clef_tensor_free(o->var);
}

/* ---- comparing ---- */

void fusion_compare(const char *name, int which, const float *got, const float *want, int64_t n, double limit)
{
	double scale = 0;

	for (int64_t i = 0; i < n; i++)
		scale += isfinite(want[i]) ? fabs((double)want[i]) / (double)n : 0;
	for (int64_t i = 0; i < n; i++) {
		double a = (double)got[i], b = (double)want[i];
		bool same = a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= limit * fmax(fabs(b), scale);

		ck_assert_msg(same, "%s: %s %d is %.9g, by hand %.9g", name, which ? "gradient" : "value", (int)i, a,
			      b);
	}
}

/* Kinds that do not fuse are the two operations, bit for bit; where a kind fuses, compilers may contract a product and
 * a sum into one. */
static void compare(const char *name, clef_activation act, const fusion_outcome *got, const fusion_outcome *want)
{
	bool fuses = clef__activation_fuses(act);

	for (int i = 0; i <= FUSION_OPERANDS; i++) {
		ck_assert_int_eq(got->n[i], want->n[i]);
		fusion_compare(name, i, got->v[i], want->v[i], want->n[i], !fuses ? 0 : i ? 1e-5 : 1e-6);
	}
}

void fusion_check(const fusion_op *op, clef_activation act, bool positive)
{
	fusion_operands o = fusion_operands_new(op, positive);
	fusion_outcome got = fusion_run(op, &o, act, true), want;
	char name[100];

	/* The running statistics have moved, but nothing in training depends on them. */
	want = fusion_run(op, &o, act, false);
	snprintf(name, sizeof(name), "%s by %s, activation %d (%g, %g)", op->name, op->impl, (int)act.kind,
		 (double)act.p, (double)act.q);
	compare(name, act, &got, &want);
	for (int64_t i = 0; i < want.n[0]; i++)
		ck_assert_msg(isfinite(want.v[0][i]), "%s: %g is no test: is the kind for positive values only?", name,
			      (double)want.v[0][i]);
	fusion_outcome_free(&got);
	fusion_outcome_free(&want);
	fusion_operands_free(&o);
}
