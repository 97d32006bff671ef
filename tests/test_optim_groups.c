/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of parameters; what a step does with gradients before it uses them: scaling, clipping, the check for NaN and
 * infinity; and averages of weights. References are in double precision.
 */
#include <math.h>
#include <string.h>

#include "optim_case.h"

#define RATE 0.125

static const clef_sgd_opts plain = { .lr = 0.125f };

/* A step of plain SGD of parameter i. */
static void reference(int i, double lr, double decay, double factor)
{
	for (int k = 0; k < optim_f.n[i]; k++)
		optim_f.ref[i][k] -= lr * (factor * (double)optim_f.c[i][k] + decay * optim_f.ref[i][k]);
}

static void step(clef_optim *optim, uint64_t want_launches)
{
	uint64_t before = optim_launches();

	ck_ok(clef_optim_step(optim));
	ck_assert_uint_eq(optim_launches() - before, want_launches);
}

/* ---- groups ---- */

START_TEST(test_groups)
{
	clef_optim *optim =
		ck_new(clef_sgd_new(optim_f.params, &(clef_sgd_opts){ .lr = 0.125f, .weight_decay = 0.25f }));

	ck_ok(clef_optim_group(optim, "w0, w2", &(clef_group_opts){ .weight_decay = -0.0f }));
	ck_ok(clef_optim_group(optim, "*2", &(clef_group_opts){ .lr_factor = 0.5f }));
	for (int n = 0; n < 3; n++) {
		optim_gradients(7);
		step(optim, 1);
		reference(0, RATE, 0, 1);
		reference(1, RATE, 0.25, 1);
		reference(2, RATE / 2, 0.25, 1);
		optim_compare(n);
	}
	ck_ok(clef_optim_set_lr(optim, 0.25f));
	ck_ok(clef_optim_group(optim, "?1", &(clef_group_opts){ .frozen = true }));
	optim_gradients(7);
	step(optim, 1);
	reference(0, 0.25, 0, 1);
	reference(2, RATE, 0.25, 1);
	optim_compare(3);
	ck_ok(clef_optim_group(optim, "w*", &(clef_group_opts){ .frozen = true }));
	optim_gradients(7);
	ck_fails(clef_optim_step(optim), CLEF_ERROR_STATE, "none of the 3 parameters");
	clef_optim_free(optim);
}
END_TEST

START_TEST(test_patterns)
{
	static const struct {
		const char *pattern;
		unsigned matches; /* of "conv.weight", "bn1.weight", "bn1.bias" */
	} cases[] = {
		{ "*", 7 },           { "*.bias", 4 },   { "bn*.weight", 2 }, { "*.weight", 3 },
		{ "conv.weight", 1 }, { "?n1.*", 6 },    { "*bias bn*", 6 },  { ",*.bias, ", 4 },
		{ "**1**", 6 },       { "*n*.*i*t", 3 }, { "*.weight*", 3 },  { "c*v.w*ht", 1 },
	};
	static const char *const none[] = { "bias", "bn?", "*.weights", "c", "conv.weight?", "*.bias x", "" };
	static const char *const names[] = { "conv.weight", "bn1.weight", "bn1.bias" };
	clef_params *params = ck_new(clef_params_new(test_device));
	clef_optim *optim;

	for (int i = 0; i < CLEF_COUNT(names); i++)
		ck_new(clef_params_add(params, names[i], CLEF_SHAPE(1), NULL));
	ck_ok(clef_params_commit(params, &(clef_rng){ .seed = 1 }));
	for (int i = 0; i < CLEF_COUNT(cases); i++) {
		optim = ck_new(clef_sgd_new(params, &(clef_sgd_opts){ .lr = 1 }));
		ck_ok(clef_optim_group(optim, cases[i].pattern, &(clef_group_opts){ .frozen = true }));
		for (int k = 0; k < CLEF_COUNT(names); k++) {
			clef_tensor *w = clef_params_get(params, k);

			ck_ok(clef_tape_begin(optim_f.tape));
			ck_ok(clef_backward(clef_sum(w, NULL)));
			ck_assert_msg((clef_optim_step(optim) != CLEF_OK) == (cases[i].matches >> k & 1),
				      "\"%s\" and %s", cases[i].pattern, names[k]);
			ck_ok(clef_requires_grad(w, true));
			/* what a refused step left behind goes with another optimizer */
			clef_optim *other = ck_new(clef_sgd_new(params, NULL));

			clef_optim_step(other);
			clef_optim_free(other);
		}
		clef_optim_free(optim);
	}
	optim = ck_new(clef_sgd_new(params, NULL));
	for (int i = 0; i < CLEF_COUNT(none); i++)
		ck_fails(clef_optim_group(optim, none[i], &(clef_group_opts){ .frozen = true }), CLEF_ERROR_INVALID,
			 "clef_optim_group: ");
	ck_fails(clef_optim_group(optim, "*", &(clef_group_opts){ .lr_factor = -1 }), CLEF_ERROR_INVALID,
		 "lr_factor is -1");
	ck_fails(clef_optim_group(optim, "*", &(clef_group_opts){ .weight_decay = -1 }), CLEF_ERROR_INVALID,
		 "weight_decay is -1");
	ck_fails(clef_optim_group(optim, "*", NULL), CLEF_ERROR_INVALID, "clef_optim_group");
	clef_optim_free(optim);
	clef_params_free(params);
}
END_TEST

/* ---- gradients ---- */

static double norm(unsigned which)
{
	double sum = 0;

	for (int i = 0; i < OPTIM_PARAMS; i++)
		for (int k = 0; which >> i & 1 && k < optim_f.n[i]; k++)
			sum += (double)optim_f.c[i][k] * (double)optim_f.c[i][k];
	return sqrt(sum);
}

START_TEST(test_clip_norm)
{
	static const unsigned which[] = { 7, 5, 2, 7 };
	clef_optim *optim = ck_new(clef_sgd_new(optim_f.params, &plain));

	for (int n = 0; n < CLEF_COUNT(which); n++) {
		float most = n == 3 ? 100.0f : 1.5f; /* the last is not shortened */
		double size;

		ck_ok(clef_optim_gradients(optim, &(clef_gradient_opts){ .scale = 0.5f, .clip_norm = most }));
		optim_gradients(which[n]);
		step(optim, 3);
		size = norm(which[n]) / 2;
		ck_assert_double_eq_tol(clef_optim_grad_norm(optim), size, 1e-5 * size);
		for (int i = 0; i < OPTIM_PARAMS; i++)
			if (which[n] >> i & 1)
				reference(i, RATE, 0, 0.5 * fmin(1, (double)most / (size + 1e-6)));
		optim_compare(n);
	}
	ck_ok(clef_optim_gradients(optim, NULL));
	optim_gradients(7);
	step(optim, 1);
	for (int i = 0; i < OPTIM_PARAMS; i++)
		reference(i, RATE, 0, 1);
	optim_compare(9);
	ck_assert(isnan(clef_optim_grad_norm(optim)));
	clef_optim_free(optim);
}
END_TEST

START_TEST(test_clip_value)
{
	clef_optim *optim = ck_new(clef_sgd_new(optim_f.params, &plain));

	ck_ok(clef_optim_gradients(optim, &(clef_gradient_opts){ .scale = 2, .clip_value = 0.75f }));
	optim_gradients(7);
	step(optim, 1);
	for (int i = 0; i < OPTIM_PARAMS; i++)
		for (int k = 0; k < optim_f.n[i]; k++)
			optim_f.ref[i][k] -= RATE * fmax(-0.75, fmin(0.75, 2 * (double)optim_f.c[i][k]));
	optim_compare(0);
	clef_optim_free(optim);
}
END_TEST

/* All rules with norms of their own take a shortened gradient too. */
START_TEST(test_clip_with_norms)
{
	clef_optim *optim;
	static float want[OPTIM_PARAMS][OPTIM_LARGEST], start[OPTIM_PARAMS][OPTIM_LARGEST];
	float got[OPTIM_LARGEST];
	static const float scale = 0.0625f;

	/* By a norm that makes the factor a sixteenth, against gradients that are multiplied with it. */
	for (int clipped = 0; clipped < 2; clipped++) {
		clef_gradient_opts o = { .scale = clipped ? 0.0f : scale };

		optim = _i == 0   ? clef_lamb_new(optim_f.params, &(clef_lamb_opts){ .eps = 1e-3f })
			: _i == 1 ? clef_lars_new(optim_f.params, NULL)
				  : clef_adafactor_new(optim_f.params, &(clef_adafactor_opts){ .eps1 = 0.1f });
		ck_new(optim);
		for (int i = 0; i < OPTIM_PARAMS; i++) {
			if (!clipped)
				ck_ok(clef_read(optim_f.w[i], start[i], (size_t)optim_f.n[i] * sizeof(float)));
			else
				ck_ok(clef_write(optim_f.w[i], start[i], (size_t)optim_f.n[i] * sizeof(float)));
		}
		if (clipped)
			optim_gradients_again(7);
		else
			optim_gradients(7);
		if (clipped)
			o.clip_norm = (float)(norm(7) * (double)scale);
		ck_ok(clef_optim_gradients(optim, &o));
		ck_ok(clef_optim_step(optim));
		for (int i = 0; i < OPTIM_PARAMS; i++) {
			ck_ok(clef_read(optim_f.w[i], got, (size_t)optim_f.n[i] * sizeof(float)));
			for (int k = 0; k < optim_f.n[i]; k++) {
				if (!clipped)
					want[i][k] = got[k];
				else
					ck_assert_float_eq_tol(got[k], want[i][k], 2e-6f);
			}
		}
		clef_optim_free(optim);
	}
}
END_TEST

/* A step with a NaN or an infinity changes nothing: neither values nor state. */
START_TEST(test_skip)
{
	clef_optim *optim = ck_new(clef_sgd_new(optim_f.params, &(clef_sgd_opts){ .lr = 0.125f, .momentum = 0.5f }));
	static const float bad[] = { NAN, INFINITY, -INFINITY };
	double m[OPTIM_PARAMS][OPTIM_LARGEST] = { 0 };

	ck_ok(clef_optim_gradients(optim, &(clef_gradient_opts){ .nonfinite = CLEF_NONFINITE_SKIP }));
	for (int n = 0; n < 6; n++) {
		optim_gradients(7);
		if (n % 2) {
			optim_f.c[n % 3][n % 5] = bad[n / 2];
			optim_gradients_again(7);
		}
		step(optim, 3);
		for (int i = 0; i < OPTIM_PARAMS && n % 2 == 0; i++)
			for (int k = 0; k < optim_f.n[i]; k++) {
				m[i][k] = (n ? 0.5 * m[i][k] : 0) + (double)optim_f.c[i][k];
				optim_f.ref[i][k] -= RATE * m[i][k];
			}
		optim_compare(n);
	}
	ck_fails(clef_optim_check(optim), CLEF_ERROR_STATE, "3 steps had NaN or infinity");
	ck_ok(clef_optim_check(optim));
	clef_optim_free(optim);
}
END_TEST

START_TEST(test_stop)
{
	clef_optim *optim = ck_new(clef_sgd_new(optim_f.params, &plain));

	ck_ok(clef_optim_gradients(optim, &(clef_gradient_opts){ .nonfinite = CLEF_NONFINITE_STOP }));
	for (int n = 0; n < 4; n++) {
		optim_gradients(7);
		if (n == 1) {
			optim_f.c[1][100] = NAN;
			optim_gradients_again(7);
		}
		step(optim, 3);
		if (n == 0)
			for (int i = 0; i < OPTIM_PARAMS; i++)
				reference(i, RATE, 0, 1);
		optim_compare(n);
	}
	ck_fails(clef_optim_check(optim), CLEF_ERROR_STATE, "1 step had NaN or infinity");
	optim_gradients(7);
	step(optim, 3);
	for (int i = 0; i < OPTIM_PARAMS; i++)
		reference(i, RATE, 0, 1);
	optim_compare(5);
	clef_optim_free(optim);
}
END_TEST

START_TEST(test_gradient_errors)
{
	clef_optim *optim = ck_new(clef_sgd_new(optim_f.params, &plain));

	ck_fails(clef_optim_gradients(optim, &(clef_gradient_opts){ .scale = -1 }), CLEF_ERROR_INVALID, "scale is -1");
	ck_fails(clef_optim_gradients(optim, &(clef_gradient_opts){ .clip_norm = NAN }), CLEF_ERROR_INVALID,
		 "clip_norm is nan");
	ck_fails(clef_optim_gradients(optim, &(clef_gradient_opts){ .clip_value = -2 }), CLEF_ERROR_INVALID,
		 "clip_value is -2");
	ck_fails(clef_optim_gradients(optim, &(clef_gradient_opts){ .nonfinite = (clef_nonfinite)3 }),
		 CLEF_ERROR_INVALID, "nonfinite is 3");
	ck_fails(clef_optim_check(optim), CLEF_ERROR_STATE, "not checked");
	ck_assert(isnan(clef_optim_grad_norm(optim)));
	clef_optim_free(optim);
}
END_TEST

/* ---- averages ---- */

START_TEST(test_average)
{
	clef_optim *optim = ck_new(clef_sgd_new(optim_f.params, &plain));
	clef_average *average = ck_new(clef_average_new(optim_f.params, 0.75f));
	static double w[OPTIM_PARAMS][OPTIM_LARGEST], a[OPTIM_PARAMS][OPTIM_LARGEST];

	ck_fails(clef_average_swap(average), CLEF_ERROR_STATE, "before the first");
	for (int n = 0; n < 10; n++) {
		uint64_t before;

		optim_gradients(7);
		ck_ok(clef_optim_step(optim));
		before = optim_launches();
		ck_ok(clef_average_update(average));
		ck_assert_uint_le(optim_launches() - before, 1);
		for (int i = 0; i < OPTIM_PARAMS; i++) {
			reference(i, RATE, 0, 1);
			for (int k = 0; k < optim_f.n[i]; k++)
				a[i][k] = n ? 0.75 * a[i][k] + 0.25 * optim_f.ref[i][k] : optim_f.ref[i][k];
		}
	}
	memcpy(w, optim_f.ref, sizeof(w));
	ck_ok(clef_average_swap(average));
	memcpy(optim_f.ref, a, sizeof(a));
	optim_compare(0);
	ck_fails(clef_average_update(average), CLEF_ERROR_STATE, "clef_average_swap");
	ck_ok(clef_average_swap(average));
	memcpy(optim_f.ref, w, sizeof(w));
	optim_compare(1);
	ck_ok(clef_average_update(average));
	ck_null_fails(clef_average_new(optim_f.params, 1), CLEF_ERROR_INVALID, "decay is 1");
	ck_null_fails(clef_average_new(NULL, 0), CLEF_ERROR_INVALID, "clef_average_new");
	clef_optim_free(optim);
	clef_average_free(average);
	clef_average_free(NULL);
}
END_TEST

Suite *optim_groups_suite(void)
{
	Suite *s = suite_create("optim_groups");
	TCase *c = tcase_create("optim_groups");

	tcase_add_checked_fixture(c, optim_setup, optim_teardown);
	tcase_add_test(c, test_groups);
	tcase_add_test(c, test_patterns);
	tcase_add_test(c, test_clip_norm);
	tcase_add_test(c, test_clip_value);
	tcase_add_loop_test(c, test_clip_with_norms, 0, 3);
	tcase_add_test(c, test_skip);
	tcase_add_test(c, test_stop);
	tcase_add_test(c, test_gradient_errors);
	tcase_add_test(c, test_average);
	suite_add_tcase(s, c);
	return s;
}
