/* SPDX-License-Identifier: Apache-2.0 */
/* Losses with a margin and cosine similarity; their edges are in test_loss.c. */
#include <math.h>

#include "check_clef.h"
#include "op_case.h"

/* ---- margins: the target is a constant of the case ---- */

typedef struct margin_opts {
	float margin;
	clef_reduction reduction;
	clef_tensor *tensor;
} margin_opts;

#define TARGETS 5
static const float targets[TARGETS] = { 1, -1, -1, 0, 1 };

static clef_tensor *apply_hinge(clef_tensor **x, const void *opts)
{
	const margin_opts *o = opts;

	return clef_hinge_embedding_loss(x[0], o->tensor, o->margin, o->reduction);
}

static clef_tensor *apply_ranking(clef_tensor **x, const void *opts)
{
	const margin_opts *o = opts;

	return clef_margin_ranking_loss(x[0], x[1], o->tensor, o->margin, o->reduction);
}

static clef_tensor *apply_cosine(clef_tensor **x, const void *opts)
{
	const margin_opts *o = opts;

	return clef_cosine_embedding_loss(x[0], x[1], o->tensor, o->margin, o->reduction);
}

static void reduce(ref_array *y, int64_t n, clef_reduction reduction, const double *v)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++) {
		sum += v[i];
		if (reduction == CLEF_REDUCTION_NONE)
			y->v[i] = v[i];
	}
	if (reduction != CLEF_REDUCTION_NONE)
		y->v[0] = reduction == CLEF_REDUCTION_MEAN ? sum / (double)n : sum;
}

static void reference_hinge(const ref_array *x, const void *opts, ref_array *y)
{
	const margin_opts *o = opts;
	double v[TARGETS];

	for (int i = 0; i < TARGETS; i++) {
		double positive = x->v[i], negative = fmax(0, (double)o->margin - x->v[i]);

		v[i] = targets[i] == 1 ? positive : targets[i] == -1 ? negative : positive + negative;
	}
	reduce(y, TARGETS, o->reduction, v);
}

static void reference_ranking(const ref_array *x, const void *opts, ref_array *y)
{
	const margin_opts *o = opts;
	double v[TARGETS];

	for (int i = 0; i < TARGETS; i++)
		v[i] = fmax(0, -(double)targets[i] * (x[0].v[i] - x[1].v[i]) + (double)o->margin);
	reduce(y, TARGETS, o->reduction, v);
}

static double cosine(const double *a, const double *b, int64_t n, int64_t step)
{
	double ab = 0, aa = 0, bb = 0;

	for (int64_t i = 0; i < n; i++) {
		ab += a[i * step] * b[i * step];
		aa += a[i * step] * a[i * step];
		bb += b[i * step] * b[i * step];
	}
	return ab / sqrt(aa * bb);
}

static void reference_cosine(const ref_array *x, const void *opts, ref_array *y)
{
	const margin_opts *o = opts;
	int64_t d = x->numel / TARGETS;
	double v[TARGETS];

	for (int i = 0; i < TARGETS; i++) {
		double c = cosine(x[0].v + i * d, x[1].v + i * d, d, 1);

		v[i] = targets[i] == 1 ? 1 - c : targets[i] == -1 ? fmax(0, c - (double)o->margin) : 0;
	}
	reduce(y, TARGETS, o->reduction, v);
}

START_TEST(margins)
{
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(TARGETS), (void *)(uintptr_t)targets };
	margin_opts opts = { .margin = 0.25f, .tensor = ck_new(clef_tensor_from(test_device, &array)) };
	op_case c = { .opts = &opts,
		      .in = { { .shape = CLEF_SHAPE(TARGETS), .lo = -2, .hi = 2 },
			      { .shape = CLEF_SHAPE(TARGETS), .lo = -2, .hi = 2 } },
		      .tolerance = 5e-6,
		      .gradient_tolerance = 2e-5 };

	for (int r = 0; r <= CLEF_REDUCTION_NONE; r++) {
		opts.reduction = (clef_reduction)r;
		c.inputs = 1;
		c.name = "hinge_embedding_loss";
		c.apply = apply_hinge;
		c.reference = reference_hinge;
		op_case_run(&c);
		c.inputs = 2;
		c.name = "margin_ranking_loss";
		c.apply = apply_ranking;
		c.reference = reference_ranking;
		op_case_run(&c);
		c.name = "cosine_embedding_loss";
		c.apply = apply_cosine;
		c.reference = reference_cosine;
		c.in[0].shape = c.in[1].shape = CLEF_SHAPE(TARGETS, 7);
		op_case_run(&c);
		c.in[0].shape = c.in[1].shape = CLEF_SHAPE(TARGETS);
	}
	clef_tensor_free(opts.tensor);
}
END_TEST

/* ---- cosine similarity ---- */

static clef_tensor *apply_similarity(clef_tensor **x, const void *opts)
{
	return clef_cosine_similarity(x[0], x[1], *(const int *)opts, 1e-8f);
}

/* Of [2, 3, 4], or [1, 3, 4] for the second, along dimension 1 or -1. */
static void reference_similarity(const ref_array *x, const void *opts, ref_array *y)
{
	bool last = *(const int *)opts == -1;

	for (int64_t i = 0; i < y->numel; i++) {
		int64_t at = last ? i * 4 : i / 4 * 12 + i % 4;

		y->v[i] = cosine(x[0].v + at, x[1].v + at % x[1].numel, last ? 4 : 3, last ? 1 : 4);
	}
}

START_TEST(similarity)
{
	static const int dims[] = { 1, -1 };

	for (int64_t n = 1; n <= 2; n++)
		for (int i = 0; i < CLEF_COUNT(dims); i++)
			op_case_run(&(op_case){ .name = "cosine_similarity",
						.apply = apply_similarity,
						.reference = reference_similarity,
						.opts = &dims[i],
						.inputs = 2,
						.in = { { .shape = CLEF_SHAPE(2, 3, 4), .lo = -2, .hi = 2 },
							{ .shape = CLEF_SHAPE(n, 3, 4), .lo = -2, .hi = 2 } },
						.tolerance = 5e-6,
						.gradient_tolerance = 2e-5 });
}
END_TEST

Suite *margin_loss_suite(void)
{
	Suite *s = suite_create("margin_loss");
	TCase *c = tcase_create("margin_loss");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, margins);
	tcase_add_test(c, similarity);
	suite_add_tcase(s, c);
	return s;
}
