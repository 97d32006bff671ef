/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations: values and gradients, small and in many chunks. */
#include <math.h>
#include <stdlib.h>

#include "check_clef.h"
#include "divide.h"
#include "norm_case.h"

START_TEST(batch_norm)
{
	norm_run_batch(CLEF_SHAPE(3, 2));
	norm_run_batch(CLEF_SHAPE(2, 3, 3));
	if (test_small())
		return;
	norm_run_batch(CLEF_SHAPE(33, 257));
	norm_run_batch(CLEF_SHAPE(257, 1));
	norm_run_batch(CLEF_SHAPE(2, 5, 1, 33));
	norm_run_batch(CLEF_SHAPE(1, 33, 2, 9));
	norm_run_batch(CLEF_SHAPE(5, 3, 2, 3, 2));
}
END_TEST

START_TEST(layer_norm)
{
	norm_run((norm_case){ .kind = NORM_LAYER, .dims = 1 }, CLEF_SHAPE(3, 5));
	norm_run((norm_case){ .kind = NORM_RMS, .dims = 1 }, CLEF_SHAPE(2, 17));
	if (test_small())
		return;
	for (norm_kind kind = NORM_LAYER; kind <= NORM_RMS; kind++) {
		norm_run((norm_case){ .kind = kind, .dims = 1 }, CLEF_SHAPE(33));
		norm_run((norm_case){ .kind = kind, .dims = 1 }, CLEF_SHAPE(33, 257));
		norm_run((norm_case){ .kind = kind, .dims = 2 }, CLEF_SHAPE(4, 3, 11));
		norm_run((norm_case){ .kind = kind, .dims = 3 }, CLEF_SHAPE(2, 3, 5));
		norm_run((norm_case){ .kind = kind, .dims = 1 }, CLEF_SHAPE(257, 2));
	}
	/* A single element in each group: x less its mean is 0. */
	norm_run((norm_case){ .kind = NORM_LAYER, .dims = 1 }, CLEF_SHAPE(5, 1));
}
END_TEST

START_TEST(group_norm)
{
	norm_run((norm_case){ .kind = NORM_GROUP, .groups = 2 }, CLEF_SHAPE(2, 4, 3));
	norm_run((norm_case){ .kind = NORM_INSTANCE }, CLEF_SHAPE(2, 2, 5));
	if (test_small())
		return;
	norm_run((norm_case){ .kind = NORM_GROUP, .groups = 3 }, CLEF_SHAPE(5, 33));
	norm_run((norm_case){ .kind = NORM_GROUP, .groups = 1 }, CLEF_SHAPE(3, 33, 1, 1));
	norm_run((norm_case){ .kind = NORM_GROUP, .groups = 6 }, CLEF_SHAPE(3, 6, 3, 11));
	norm_run((norm_case){ .kind = NORM_GROUP, .groups = 2 }, CLEF_SHAPE(1, 4, 257));
	norm_run((norm_case){ .kind = NORM_GROUP, .groups = 33 }, CLEF_SHAPE(3, 33));
	norm_run((norm_case){ .kind = NORM_INSTANCE }, CLEF_SHAPE(3, 5, 33));
	norm_run((norm_case){ .kind = NORM_INSTANCE }, CLEF_SHAPE(1, 33, 4, 4));
	norm_run((norm_case){ .kind = NORM_INSTANCE }, CLEF_SHAPE(33, 1, 2, 1, 3));
}
END_TEST

/* ---- large ones, in many chunks, on sizes where op_case's reference would take too long for gradients ---- */

static void fill_random(float *x, int64_t n, double mean, double deviation)
{
	uint64_t state = 99;

	for (int64_t i = 0; i < n; i++) {
		double sum = -6;

		for (int k = 0; k < 12; k++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			sum += (double)(state >> 11) * 0x1p-53;
		}
		x[i] = (float)(mean + deviation * sum);
	}
}

/* dx of sum(y * weight) for y normalized without w and b, by the formula in double. */
static void reference_gradient(const norm_case *c, const ref_array *x, const double *weight, double *dx)
{
	double *m = calloc(5 * (size_t)x->numel + 1, sizeof(double)), *var = m + x->numel, *sum = var + x->numel;
	double *product = sum + x->numel, *count = product + x->numel;
	double eps = c->kind == NORM_RMS ? 0x1p-23 : 1e-5;
	int64_t g, w;

	ck_assert_ptr_nonnull(m);
	for (int pass = 0; pass < 3; pass++)
		for (int64_t i = 0; i < x->numel; i++) {
			norm_place(c, &x->shape, i, &g, &w);
			count[g] += pass == 0;
			m[g] += pass == 0 && c->kind != NORM_RMS ? x->v[i] : 0;
			if (pass > 0) {
				double d = x->v[i] - m[g] / count[g];

				var[g] += pass == 1 ? d * d : 0;
				sum[g] += pass == 2 && c->kind != NORM_RMS ? weight[i] : 0;
				product[g] += pass == 2 ? weight[i] * d / sqrt(var[g] / count[g] + eps) : 0;
			}
		}
	for (int64_t i = 0; i < x->numel; i++) {
		double r, xhat;

		norm_place(c, &x->shape, i, &g, &w);
		r = 1 / sqrt(var[g] / count[g] + eps);
		xhat = (x->v[i] - m[g] / count[g]) * r;
		dx[i] = r * (weight[i] - sum[g] / count[g] - xhat * product[g] / count[g]);
	}
	free(m);
}

static void check_close(const char *what, const float *got, const double *want, int64_t n, double limit)
{
	double worst = 0;

	for (int64_t i = 0; i < n; i++) {
		double error = fabs((double)got[i] - want[i]) / fmax(1, fabs(want[i]));

		ck_assert_msg(error <= limit, "%s: element %d is %.9g, expected %.9g", what, (int)i, (double)got[i],
			      want[i]);
		worst = fmax(worst, error);
	}
}

/* Values and gradients of one large case. */
static void run_large(norm_case c, clef_shape shape, double mean, double deviation)
{
	int64_t n = clef_shape_numel(shape);
	float *x = malloc((size_t)n * sizeof(float)), *weights = malloc((size_t)n * sizeof(float));
	float *got = malloc((size_t)n * sizeof(float));
	ref_array ref = { shape, n, calloc((size_t)n, sizeof(double)) };
	ref_array want = { shape, n, calloc((size_t)n, sizeof(double)) };
	double *weight = calloc((size_t)n, sizeof(double));
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *in, *y;

	ck_assert(x && weights && got && ref.v && want.v && weight);
	fill_random(x, n, mean, deviation);
	fill_random(weights, n, 0, 1);
	for (int64_t i = 0; i < n; i++) {
		ref.v[i] = (double)x[i];
		weight[i] = (double)weights[i];
	}
	in = norm_tensor(shape, x);
	ck_ok(clef_requires_grad(in, true));
	ck_ok(clef_tape_begin(tape));
	y = ck_new(norm_apply(&in, &c));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(float)));
	norm_reference(&ref, &c, &want);
	check_close("y", got, want.v, n, 2e-6);
	ck_ok(clef_backward(
		clef_sum(clef_mul(y, clef_input(tape, &(clef_array){ CLEF_FLOAT32, shape, weights })), NULL)));
	ck_ok(clef_read(clef_grad(in), got, (size_t)n * sizeof(float)));
	reference_gradient(&c, &ref, weight, want.v);
	check_close("dx", got, want.v, n, 1e-5 / fmin(deviation, 1));
	clef_tensor_free(in);
	clef_tape_free(tape);
	free(x);
	free(weights);
	free(got);
	free(ref.v);
	free(want.v);
	free(weight);
}

START_TEST(many_chunks)
{
	float zeros[3] = { 0, 0, 0 };
	norm_case batch = { .kind = NORM_BATCH };

	norm_run((norm_case){ .kind = NORM_LAYER, .dims = 1 }, CLEF_SHAPE(1, 2100));
	norm_run((norm_case){ .kind = NORM_GROUP, .groups = 1 }, CLEF_SHAPE(1, 3, 701));
	norm_run_batch(CLEF_SHAPE(701, 1, 3));
	norm_run_batch(CLEF_SHAPE(2111, 1));
	if (test_small())
		return;
	norm_run((norm_case){ .kind = NORM_GROUP, .groups = 2 }, CLEF_SHAPE(2, 6, 33, 43));
	norm_run((norm_case){ .kind = NORM_LAYER, .dims = 1 }, CLEF_SHAPE(2100, 2));
	norm_run_batch(CLEF_SHAPE(7, 3, 25, 41));
	batch.mean = norm_tensor(CLEF_SHAPE(3), zeros);
	batch.var = norm_tensor(CLEF_SHAPE(3), zeros);
	run_large(batch, CLEF_SHAPE(7, 3, 25, 41), 0.3, 2);
	run_large(batch, CLEF_SHAPE(1, 3, 70, 90), 0.3, 2);
	run_large(batch, CLEF_SHAPE(5001, 3), 0.3, 2);
	run_large((norm_case){ .kind = NORM_LAYER, .dims = 2 }, CLEF_SHAPE(3, 61, 101), 0.3, 2);
	run_large((norm_case){ .kind = NORM_RMS, .dims = 1 }, CLEF_SHAPE(2, 100003), 0.3, 2);
	run_large((norm_case){ .kind = NORM_GROUP, .groups = 2 }, CLEF_SHAPE(2, 6, 33, 43), 0.3, 2);
	run_large((norm_case){ .kind = NORM_GROUP, .groups = 2 }, CLEF_SHAPE(2, 9002), 0.3, 2);
	run_large((norm_case){ .kind = NORM_INSTANCE }, CLEF_SHAPE(2, 2, 61, 101), 0.3, 2);
	clef_tensor_free(batch.mean);
	clef_tensor_free(batch.var);
}
END_TEST

/* Sums of squares less squared sums would have no digit left here. */
START_TEST(large_mean)
{
	float zeros[3] = { 0, 0, 0 };
	norm_case batch = { .kind = NORM_BATCH };

	if (test_small())
		test_skip("an interpreter");
	batch.mean = norm_tensor(CLEF_SHAPE(3), zeros);
	batch.var = norm_tensor(CLEF_SHAPE(3), zeros);
	run_large(batch, CLEF_SHAPE(16, 3, 20, 20), 1e4, 1);
	run_large(batch, CLEF_SHAPE(64, 3), 1e4, 1);
	run_large(batch, CLEF_SHAPE(4000, 3), -1e4, 1);
	run_large((norm_case){ .kind = NORM_LAYER, .dims = 1 }, CLEF_SHAPE(5, 700), 1e4, 1);
	run_large((norm_case){ .kind = NORM_LAYER, .dims = 1 }, CLEF_SHAPE(2, 9000), 1e4, 1);
	run_large((norm_case){ .kind = NORM_GROUP, .groups = 2 }, CLEF_SHAPE(3, 4, 31), 1e4, 1);
	run_large((norm_case){ .kind = NORM_INSTANCE }, CLEF_SHAPE(3, 4, 31), -1e4, 1);
	clef_tensor_free(batch.mean);
	clef_tensor_free(batch.var);
}
END_TEST

/* ---- the kernels' division ---- */

START_TEST(dividers)
{
	uint64_t state = 5;

	for (int k = 0; k < 200000; k++) {
		int d, n[5];

		state = state * 6364136223846793005u + 1442695040888963407u;
		d = (int)((state >> 33) >> (state >> 8) % 31);
		d = d > 0 ? d : 1;
		n[0] = (int)(state >> 32 & INT32_MAX);
		n[1] = d - 1;
		n[2] = d;
		n[3] = INT32_MAX / d * d - 1;
		n[4] = INT32_MAX;
		for (int i = 0; i < CLEF_COUNT(n); i++) {
			const uint64_t by = clef__divider(d);

			ck_assert_msg((int)((uint64_t)n[i] * (uint32_t)by >> (by >> 32)) == n[i] / d, "%d / %d", n[i],
				      d);
		}
	}
}
END_TEST

Suite *norm_suite(void)
{
	Suite *s = suite_create("norm");
	TCase *c = tcase_create("norm");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, batch_norm);
	tcase_add_test(c, layer_norm);
	tcase_add_test(c, group_norm);
	tcase_add_test(c, many_chunks);
	tcase_add_test(c, large_mean);
	tcase_add_test(c, dividers);
	suite_add_tcase(s, c);
	return s;
}
