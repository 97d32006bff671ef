/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations: values and gradients, small and in many chunks. */
#include <math.h>
#include <stdlib.h>

#include "check_case.h"
#include "check_clef.h"
#include "check_norm.h"
#include "divide.h"
#include "families.h"

/* The quick ones have several chunks too. */
static const clef__family *const families[] = { &clef__family_batch_norm,    &clef__family_layer_norm,
						&clef__family_rms_norm,      &clef__family_group_norm,
						&clef__family_instance_norm, &clef__family_local_response_norm };

START_TEST(problems)
{
	check_family(families[_i]);
}
END_TEST

/* ---- large ones, in many chunks, on sizes where a reference's differences would take too long for gradients ---- */

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
static void reference_gradient(const clef__problem *p, const clef__ref *x, const double *weight, double *dx)
{
	double *m = calloc(5 * (size_t)x->numel + 1, sizeof(double)), *var = m + x->numel, *sum = var + x->numel;
	double *product = sum + x->numel, *count = product + x->numel;
	const bool rms = p->family == &clef__family_rms_norm;
	double eps = rms ? 0x1p-23 : 1e-5;
	int64_t g, w;

	ck_assert_ptr_nonnull(m);
	for (int pass = 0; pass < 3; pass++)
		for (int64_t i = 0; i < x->numel; i++) {
			clef__norm_place((const void *)p->opts, i, &g, &w);
			count[g] += pass == 0;
			m[g] += pass == 0 && !rms ? x->v[i] : 0;
			if (pass > 0) {
				double d = x->v[i] - m[g] / count[g];

				var[g] += pass == 1 ? d * d : 0;
				sum[g] += pass == 2 && !rms ? weight[i] : 0;
				product[g] += pass == 2 ? weight[i] * d / sqrt(var[g] / count[g] + eps) : 0;
			}
		}
	for (int64_t i = 0; i < x->numel; i++) {
		double r, xhat;

		clef__norm_place((const void *)p->opts, i, &g, &w);
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
static void run_large(const char *problem, double mean, double deviation)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *in[CLEF__OPERANDS], *y;
	clef__ref ref[CLEF__OPERANDS], want;
	float *weights, *got;
	double *weight;
	clef__problem p;
	int64_t n;

	ck_ok(clef__problem_parse(problem, &p));
	n = clef_shape_numel(p.in[0].shape);
	weights = malloc((size_t)n * sizeof(float));
	got = malloc((size_t)n * sizeof(float));
	weight = calloc((size_t)n, sizeof(double));
	want = (clef__ref){ .shape = p.in[0].shape, .numel = n, .v = calloc((size_t)n, sizeof(double)), .to = n };
	ck_assert(weights && got && weight && want.v);
	for (int i = 0; i < p.operands; i++) {
		float *values = calloc((size_t)clef_shape_numel(p.in[i].shape), sizeof(float));

		ck_assert_ptr_nonnull(values);
		ck_ok(clef__problem_draw(&p, i, &ref[i], values));
		if (i == 0)
			fill_random(values, n, mean, deviation);
		for (int64_t k = 0; k < ref[i].numel; k++)
			ref[i].v[k] = (double)values[k];
		in[i] = test_tensor(p.in[i].shape, values);
		free(values);
	}
	fill_random(weights, n, 0, 1);
	for (int64_t i = 0; i < n; i++)
		weight[i] = (double)weights[i];
	ck_ok(clef_requires_grad(in[0], true));
	ck_ok(clef_tape_begin(tape));
	y = ck_new(p.family->apply(in, p.opts));
	ck_ok(clef_read(y, got, (size_t)n * sizeof(float)));
	ck_assert(p.family->reference(ref, p.opts, &want));
	check_close("y", got, want.v, n, 2e-6);
	ck_ok(clef_backward(
		clef_sum(clef_mul(y, clef_input(tape, &(clef_array){ CLEF_FLOAT32, want.shape, weights })), NULL)));
	ck_ok(clef_read(clef_grad(in[0]), got, (size_t)n * sizeof(float)));
	reference_gradient(&p, &ref[0], weight, want.v);
	check_close("dx", got, want.v, n, 1e-5 / fmin(deviation, 1));
	for (int i = 0; i < p.operands; i++) {
		clef_tensor_free(in[i]);
		free(ref[i].v);
	}
	clef_tape_free(tape);
	free(weights);
	free(got);
	free(want.v);
	free(weight);
}

START_TEST(many_chunks)
{
	static const char *const large[] = {
		"batch_norm x7x3x25x41 training plain",
		"batch_norm x1x3x70x90 training plain",
		"batch_norm x5001x3 training plain",
		"layer_norm x3x61x101 dims2 plain",
		"rms_norm x2x100003 plain",
		"group_norm x2x6x33x43 g2 plain",
		"group_norm x2x9002 g2 plain",
		"instance_norm x2x2x61x101 plain",
	};

	if (test_small())
		test_skip("an interpreter");
	for (int i = 0; i < CLEF_COUNT(large); i++)
		run_large(large[i], 0.3, 2);
}
END_TEST

/* Sums of squares less squared sums would have no digit left here. */
START_TEST(large_mean)
{
	if (test_small())
		test_skip("an interpreter");
	run_large("batch_norm x16x3x20x20 training plain", 1e4, 1);
	run_large("batch_norm x64x3 training plain", 1e4, 1);
	run_large("batch_norm x4000x3 training plain", -1e4, 1);
	run_large("layer_norm x5x700 plain", 1e4, 1);
	run_large("layer_norm x2x9000 plain", 1e4, 1);
	run_large("group_norm x3x4x31 g2 plain", 1e4, 1);
	run_large("instance_norm x3x4x31 plain", -1e4, 1);
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
	tcase_add_loop_test(c, problems, 0, CLEF_COUNT(families));
	tcase_add_test(c, many_chunks);
	tcase_add_test(c, large_mean);
	tcase_add_test(c, dividers);
	suite_add_tcase(s, c);
	return s;
}
