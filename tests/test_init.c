/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initializers: the library's own checks of all kinds; uniform values between bounds that are hard to keep; bounds and
 * deviations against PyTorch's, worked out by hand; and errors.
 */
#include <float.h>
#include <math.h>

#include "check_case.h"
#include "families.h"
#include "init_case.h"
#include "init_reference.h"

/* ---- bits ---- */

START_TEST(all_kinds)
{
	check_family(&clef__family_init);
}
END_TEST

static void check_fails(const char *problem, const char *message)
{
	clef_check_result r;

	ck_ok(clef_check(test_device, problem, &r));
	ck_assert_int_eq(r.verdict, CLEF_VERDICT_FAILED);
	ck_assert_msg(strstr(r.message, message) != NULL, "%s: %s", problem, r.message);
}

START_TEST(what_cannot_be_filled_fails)
{
	check_fails("init kind=xavier_normal x5", "shape [5] has no fans");
	check_fails("init kind=normal x5 q-1", "standard deviation -1");
	check_fails("init kind=dirac x5x3x3 groups2", "2 groups");
}
END_TEST

/* Between these bounds lie few floats or very many, or u (hi - lo) + lo rounds to hi for many u. */
START_TEST(uniforms_stay_below_the_upper_bound)
{
	static const struct {
		float lo, hi;
	} rows[] = {
		{ 1, 1 + 0x1p-22f }, { -1 - 0x1p-21f, -1 }, { 3, 3 },       { 0x1p24f, 0x1p24f + 4 }, { -1e38f, 2e38f },
		{ -1, 0 },           { -1e-20f, 1 },        { 0.1f, 0.3f }, { -0x1p23f, 0.125f },     { 0, 0 }
	};
	inside t = inside_new(CLEF_SHAPE(5000), 5);
	float want[5000];

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		const float lo = rows[i].lo, hi = rows[i].hi;
		clef_rng rng = { 3, (uint64_t)i };
		const float *x;

		clef__init_ref_uniform(rng, want, 5000, lo, hi);
		ck_ok(clef_init_uniform(t.x, lo, hi, &rng));
		x = inside_read(&t);
		ck_same_bits(x, want, 5000);
		for (size_t j = 0; j < t.n; j++)
			ck_assert_msg(x[j] >= lo && (x[j] < hi || lo == hi), "%a in [%a, %a)", (double)x[j], (double)lo,
				      (double)hi);
	}
	inside_free(&t);
}
END_TEST

START_TEST(deviation_0_gives_the_mean)
{
	inside t = inside_new(CLEF_SHAPE(100), 1);
	const float *x;

	ck_ok(clef_init_normal(t.x, 1.25f, 0, &(clef_rng){ 0 }));
	x = inside_read(&t);
	for (int i = 0; i < 100; i++)
		ck_assert(x[i] == 1.25f);
	inside_free(&t);
}
END_TEST

START_TEST(draws_follow_one_another)
{
	clef_rng rng = { 8, 0 };
	float want[50];
	inside t = inside_new(CLEF_SHAPE(5, 10), 2);

	for (uint64_t i = 0; i < 4; i++) {
		clef__init_ref_uniform((clef_rng){ 8, i }, want, 50, 0, 1);
		ck_ok(clef_init_uniform(t.x, 0, 1, &rng));
		ck_same_bits(inside_read(&t), want, 50);
	}
	inside_free(&t);
}
END_TEST

/* Without values, as in a model's dry run, and without elements. */
START_TEST(nothing_to_fill_is_a_draw_too)
{
	static const clef_kaiming_opts opts = { .a = 1 };
	const uint64_t launches = clef_device_get_stats(test_device).launches;
	clef_tensor *dry = ck_new(clef__tensor_view(test_device, CLEF_FLOAT32, CLEF_SHAPE(4, 5), NULL, 0));
	clef_tensor *empty = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(3, 0)));
	clef_rng rng = { 1, 0 };

	ck_ok(clef_init_uniform(dry, 0, 1, &rng));
	ck_ok(clef_init_normal(dry, 0, 1, &rng));
	ck_ok(clef_init_xavier_uniform(dry, 0, &rng));
	ck_ok(clef_init_xavier_normal(dry, 0, &rng));
	ck_ok(clef_init_kaiming_uniform(dry, &opts, &rng));
	ck_ok(clef_init_kaiming_normal(dry, NULL, &rng));
	ck_ok(clef_init_uniform(empty, 0, 1, &rng));
	ck_ok(clef_init_normal(empty, 0, 1, &rng));
	ck_assert_uint_eq(rng.counter, 8);
	ck_ok(clef_init_trunc_normal(dry, 0, 1, -2, 2, &rng));
	ck_ok(clef_init_trunc_normal(empty, 0, 1, -2, 2, &rng));
	ck_ok(clef_init_lecun_uniform(dry, &rng));
	ck_ok(clef_init_lecun_normal(dry, &rng));
	ck_ok(clef_init_orthogonal(dry, 0, &rng));
	ck_ok(clef_init_orthogonal(empty, 0, &rng));
	ck_ok(clef_init_sparse(dry, 0.5f, 1, &rng));
	ck_ok(clef_init_sparse(empty, 0.5f, 1, &rng));
	ck_ok(clef_random_exponential(dry, 1, &rng));
	ck_ok(clef_random_bernoulli(empty, 1, &rng));
	ck_assert_uint_eq(rng.counter, 18);
	ck_ok(clef_init_eye(dry));
	ck_ok(clef_init_eye(empty));
	ck_ok(clef_init_constant(dry, 3));
	ck_ok(clef_init_constant(empty, 3));
	ck_assert_uint_eq(clef_device_get_stats(test_device).launches, launches);
	clef_tensor_free(dry);
	clef_tensor_free(empty);
}
END_TEST

/* ---- fans and gains ---- */

START_TEST(fans_are_those_of_pytorch)
{
	static const struct {
		clef_shape shape;
		int64_t fan_in, fan_out;
	} rows[] = {
		{ { 2, { 10, 784 } }, 784, 10 },
		{ { 3, { 8, 4, 3 } }, 12, 24 },
		{ { 4, { 64, 3, 5, 5 } }, 75, 1600 },
		{ { 4, { 0, 3, 5, 5 } }, 75, 0 },
		{ { 2, { 7, 0 } }, 0, 7 },
		{ { 8, { 2, 3, 1, 2, 1, 2, 1, 2 } }, 24, 16 },
		{ { 3, { 0, 2147483647, 2147483647 } }, 2147483647LL * 2147483647, 0 },
	};

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		int64_t in = -1, out = -1;

		ck_ok(clef_calculate_fan(rows[i].shape, &in, &out));
		ck_assert_int_eq(in, rows[i].fan_in);
		ck_assert_int_eq(out, rows[i].fan_out);
		ck_ok(clef_calculate_fan(rows[i].shape, NULL, NULL));
	}
}
END_TEST

START_TEST(fans_need_two_dimensions)
{
	int64_t in = 5, out = 6;
	clef_shape wrong = { 2, { 3, -1 } };
	clef_shape huge = { 5, { 0, 2, 2147483647, 2147483647, 2147483647 } };

	ck_fails(clef_calculate_fan(CLEF_SHAPE(7), &in, &out), CLEF_ERROR_SHAPE, "[7]");
	ck_fails(clef_calculate_fan(CLEF_SCALAR, &in, &out), CLEF_ERROR_SHAPE, "[]");
	ck_fails(clef_calculate_fan(wrong, &in, &out), CLEF_ERROR_SHAPE, "-1");
	ck_fails(clef_calculate_fan(huge, &in, &out), CLEF_ERROR_SHAPE, "2147483647");
	ck_assert(in == 5 && out == 6);
}
END_TEST

START_TEST(gains_are_those_of_pytorch)
{
	ck_assert_float_eq(clef_calculate_gain(CLEF_NONLINEARITY_LINEAR, 9), 1);
	ck_assert_float_eq(clef_calculate_gain(CLEF_NONLINEARITY_SIGMOID, 9), 1);
	ck_assert_float_eq(clef_calculate_gain(CLEF_NONLINEARITY_TANH, 9), 1.6666666666666667f);
	ck_assert_float_eq(clef_calculate_gain(CLEF_NONLINEARITY_SELU, 9), 0.75f);
	ck_assert_float_eq(clef_calculate_gain(CLEF_NONLINEARITY_RELU, 9), 1.4142135623730951f);
	ck_assert_float_eq(clef_calculate_gain(CLEF_NONLINEARITY_LEAKY_RELU, 0), 1.4142135623730951f);
	ck_assert_float_eq(clef_calculate_gain(CLEF_NONLINEARITY_LEAKY_RELU, 0.01f), 1.4141428569978354f);
	ck_assert_float_eq(clef_calculate_gain(CLEF_NONLINEARITY_LEAKY_RELU, -0.2f), 1.3867504905630728f);
	ck_assert(isnan(clef_calculate_gain((clef_nonlinearity)6, 0)));
	ck_assert(isnan(clef_calculate_gain((clef_nonlinearity)-1, 0)));
}
END_TEST

#define WEIGHTS CLEF_SHAPE(64, 3, 5, 5) /* fan_in 75, fan_out 1600 */

/* x holds draw 0 of seed 4, uniform in [-scale, scale) or normal with that deviation, but for a rounding of scale. */
static void check_scaled(inside *t, bool normal, double scale)
{
	float *want = malloc(t->n * sizeof(float));
	const float *x = inside_read(t);

	ck_assert_ptr_nonnull(want);
	if (normal)
		clef__init_ref_normal((clef_rng){ 4, 0 }, want, t->n, 0, 1);
	else
		clef__init_ref_uniform((clef_rng){ 4, 0 }, want, t->n, -1, 1);
	for (size_t i = 0; i < t->n; i++)
		ck_assert_msg(fabs((double)x[i] - scale * (double)want[i]) <
				      3e-7 * scale * fmax(1, fabs((double)want[i])),
			      "element %zu is %g, expected %g", i, (double)x[i], scale * (double)want[i]);
	free(want);
}

/* torch.nn.init's bounds and deviations for weights of 64x3x5x5. */
START_TEST(xavier_scales_as_in_pytorch)
{
	inside t = inside_new(WEIGHTS, 9);

	ck_ok(clef_init_xavier_uniform(t.x, 1, &(clef_rng){ 4, 0 }));
	check_scaled(&t, false, 0.059850560166457976);
	ck_ok(clef_init_xavier_uniform(t.x, 0, &(clef_rng){ 4, 0 }));
	check_scaled(&t, false, 0.059850560166457976);
	ck_ok(clef_init_xavier_uniform(t.x, 5.0f / 3, &(clef_rng){ 4, 0 }));
	check_scaled(&t, false, 0.0997509336107633);
	ck_ok(clef_init_xavier_normal(t.x, 0, &(clef_rng){ 4, 0 }));
	check_scaled(&t, true, 0.03455473702325441);
	ck_ok(clef_init_xavier_normal(t.x, 2, &(clef_rng){ 4, 0 }));
	check_scaled(&t, true, 2 * 0.03455473702325441);
	inside_free(&t);
}
END_TEST

START_TEST(kaiming_scales_as_in_pytorch)
{
	static const struct {
		clef_kaiming_opts opts;
		double std;
	} rows[] = {
		{ { 0 }, 0.16329931618554522 },
		{ { .a = 2.2360679775f }, 0.06666666666666667 }, /* nn.Linear: bound 1 / sqrt(fan_in) */
		{ { .a = 0.2f }, 0.1601281538050871 },
		{ { CLEF_FAN_OUT, CLEF_NONLINEARITY_RELU, 0 }, 0.035355339059327376 },
		{ { CLEF_FAN_OUT, CLEF_NONLINEARITY_LINEAR, 7 }, 0.025 },
		{ { CLEF_FAN_IN, CLEF_NONLINEARITY_TANH, 0 }, 0.19245008972987523 },
		{ { CLEF_FAN_IN, CLEF_NONLINEARITY_SELU, 0 }, 0.08660254037844385 },
	};
	inside t = inside_new(WEIGHTS, 9);

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		ck_ok(clef_init_kaiming_normal(t.x, &rows[i].opts, &(clef_rng){ 4, 0 }));
		check_scaled(&t, true, rows[i].std);
		ck_ok(clef_init_kaiming_uniform(t.x, &rows[i].opts, &(clef_rng){ 4, 0 }));
		check_scaled(&t, false, rows[i].std * 1.7320508075688772);
	}
	ck_ok(clef_init_kaiming_uniform(t.x, NULL, &(clef_rng){ 4, 0 }));
	check_scaled(&t, false, 0.282842712474619);
	inside_free(&t);
}
END_TEST

/* ---- errors ---- */

START_TEST(bad_arguments_are_refused)
{
	inside t = inside_new(CLEF_SHAPE(4, 5), 0);
	clef_rng rng = { 1, 6 };

	ck_fails(clef_init_uniform(t.x, 1, 0.5f, &rng), CLEF_ERROR_INVALID, "bounds 1 and 0.5");
	ck_fails(clef_init_uniform(t.x, NAN, 1, &rng), CLEF_ERROR_INVALID, "nan");
	ck_fails(clef_init_uniform(t.x, 0, INFINITY, &rng), CLEF_ERROR_INVALID, "inf");
	ck_fails(clef_init_uniform(t.x, -INFINITY, 0, &rng), CLEF_ERROR_INVALID, "inf");
	ck_fails(clef_init_uniform(t.x, -FLT_MAX, FLT_MAX, &rng), CLEF_ERROR_INVALID, "apart");
	ck_fails(clef_init_normal(t.x, 0, -1, &rng), CLEF_ERROR_INVALID, "deviation -1");
	ck_fails(clef_init_normal(t.x, INFINITY, 1, &rng), CLEF_ERROR_INVALID, "mean inf");
	ck_fails(clef_init_normal(t.x, 0, NAN, &rng), CLEF_ERROR_INVALID, "nan");
	ck_fails(clef_init_xavier_uniform(t.x, -1, &rng), CLEF_ERROR_INVALID, "gain -1");
	ck_fails(clef_init_xavier_normal(t.x, INFINITY, &rng), CLEF_ERROR_INVALID, "gain inf");
	ck_fails(clef_init_xavier_normal(t.x, NAN, &rng), CLEF_ERROR_INVALID, "gain");
	ck_fails(clef_init_kaiming_uniform(t.x, &(clef_kaiming_opts){ .mode = (clef_fan_mode)2 }, &rng),
		 CLEF_ERROR_INVALID, "mode 2");
	ck_fails(clef_init_kaiming_normal(t.x, &(clef_kaiming_opts){ .nonlinearity = (clef_nonlinearity)6 }, &rng),
		 CLEF_ERROR_INVALID, "nonlinearity 6");
	ck_fails(clef_init_kaiming_normal(t.x, &(clef_kaiming_opts){ .a = INFINITY }, &rng), CLEF_ERROR_INVALID, "inf");
	ck_assert_uint_eq(rng.counter, 6);
	for (int i = 0; i < 20; i++)
		ck_assert(inside_read(&t)[i] == GUARD);
	inside_free(&t);
}
END_TEST

START_TEST(bad_tensors_are_refused)
{
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 3)));
	clef_tensor *flat = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(6)));
	clef_tensor *empty = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(6, 0)));
	clef_rng rng = { 1, 6 };

	ck_fails(clef_init_uniform(ints, 0, 1, &rng), CLEF_ERROR_DTYPE, "[2, 3] is int32");
	ck_fails(clef_init_normal(ints, 0, 1, &rng), CLEF_ERROR_DTYPE, "clef_init_normal");
	ck_fails(clef_init_constant(ints, 0), CLEF_ERROR_DTYPE, "clef_init_constant");
	ck_fails(clef_init_xavier_uniform(ints, 0, &rng), CLEF_ERROR_DTYPE, "clef_init_xavier_uniform");
	ck_fails(clef_init_kaiming_normal(ints, NULL, &rng), CLEF_ERROR_DTYPE, "clef_init_kaiming_normal");
	ck_fails(clef_init_xavier_normal(flat, 0, &rng), CLEF_ERROR_SHAPE, "[6]");
	ck_fails(clef_init_kaiming_uniform(flat, NULL, &rng), CLEF_ERROR_SHAPE, "[6]");
	ck_fails(clef_init_xavier_normal(empty, 0, &rng), CLEF_ERROR_SHAPE, "fan_in 0 and fan_out 6");
	ck_fails(clef_init_kaiming_uniform(empty, NULL, &rng), CLEF_ERROR_SHAPE, "fan_in 0");
	ck_fails(clef_init_uniform(flat, 0, 1, NULL), CLEF_ERROR_INVALID, "rng is NULL");
	ck_fails(clef_init_kaiming_normal(flat, NULL, NULL), CLEF_ERROR_INVALID, "rng is NULL");
	ck_fails(clef_init_uniform(NULL, 0, 1, &rng), CLEF_ERROR_INVALID, "clef_init_uniform");
	ck_fails(clef_init_constant(NULL, 0), CLEF_ERROR_INVALID, "clef_init_constant");
	ck_fails(clef_init_xavier_uniform(NULL, 0, &rng), CLEF_ERROR_INVALID, "clef_init_xavier_uniform");
	ck_fails(clef_init_kaiming_uniform(NULL, NULL, &rng), CLEF_ERROR_INVALID, "clef_init_kaiming_uniform");
	ck_assert_uint_eq(rng.counter, 6);
	clef_tensor_free(ints);
	clef_tensor_free(flat);
	clef_tensor_free(empty);
}
END_TEST

/* ---- initializers as data ---- */

START_TEST(apply_does_what_the_function_does)
{
	static const struct {
		clef_init init;
		bool normal;
		double scale;
	} rows[] = {
		{ { .kind = CLEF_INIT_UNIFORM, .p = -0.5f, .q = 0.5f }, false, 0.5 },
		{ { .kind = CLEF_INIT_NORMAL }, true, 1 },
		{ { .kind = CLEF_INIT_NORMAL, .q = 0.02f }, true, 0.02 },
		{ { .kind = CLEF_INIT_XAVIER_UNIFORM }, false, 0.059850560166457976 },
		{ { .kind = CLEF_INIT_XAVIER_NORMAL, .p = 2 }, true, 2 * 0.03455473702325441 },
		{ { .kind = CLEF_INIT_KAIMING_UNIFORM }, false, 0.282842712474619 },
		{ { .kind = CLEF_INIT_KAIMING_NORMAL, .kaiming = { CLEF_FAN_OUT, CLEF_NONLINEARITY_RELU, 0 } },
		  true,
		  0.035355339059327376 },
	};
	inside t = inside_new(WEIGHTS, 9);
	clef_rng rng;
	const float *x;

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		rng = (clef_rng){ 4, 0 };
		ck_ok(clef_init_apply(t.x, &rows[i].init, &rng));
		ck_assert_uint_eq(rng.counter, 1);
		check_scaled(&t, rows[i].normal, rows[i].scale);
	}
	ck_ok(clef_init_apply(t.x, &(clef_init){ .kind = CLEF_INIT_UNIFORM }, &rng));
	x = inside_read(&t);
	for (size_t i = 0; i < t.n; i++)
		ck_assert(x[i] >= 0 && x[i] < 1);
	ck_assert_uint_eq(rng.counter, 2);
	ck_ok(clef_init_apply(t.x, &(clef_init){ .kind = CLEF_INIT_CONSTANT, .p = 0.1f }, &rng));
	ck_assert(inside_read(&t)[7] == 0.1f && rng.counter == 2);
	ck_fails(clef_init_apply(t.x, &(clef_init){ 0 }, &rng), CLEF_ERROR_INVALID, "CLEF_INIT_DEFAULT");
	ck_fails(clef_init_apply(t.x, &(clef_init){ .kind = (clef_init_kind)99 }, &rng), CLEF_ERROR_INVALID, "kind 99");
	ck_fails(clef_init_apply(t.x, NULL, &rng), CLEF_ERROR_INVALID, "init is NULL");
	inside_free(&t);
}
END_TEST

Suite *init_suite(void)
{
	Suite *s = suite_create("init");
	TCase *host = tcase_create("host"), *device = tcase_create("device");

	tcase_add_test(host, fans_are_those_of_pytorch);
	tcase_add_test(host, fans_need_two_dimensions);
	tcase_add_test(host, gains_are_those_of_pytorch);
	suite_add_tcase(s, host);

	tcase_add_checked_fixture(device, device_setup, device_teardown);
	tcase_add_test(device, all_kinds);
	tcase_add_test(device, what_cannot_be_filled_fails);
	tcase_add_test(device, uniforms_stay_below_the_upper_bound);
	tcase_add_test(device, deviation_0_gives_the_mean);
	tcase_add_test(device, draws_follow_one_another);
	tcase_add_test(device, nothing_to_fill_is_a_draw_too);
	tcase_add_test(device, xavier_scales_as_in_pytorch);
	tcase_add_test(device, kaiming_scales_as_in_pytorch);
	tcase_add_test(device, bad_arguments_are_refused);
	tcase_add_test(device, bad_tensors_are_refused);
	tcase_add_test(device, apply_does_what_the_function_does);
	suite_add_tcase(s, device);
	return s;
}
