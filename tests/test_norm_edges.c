/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations at their edges: running statistics, special values, no elements, and what they refuse. */
#include <math.h>

#include "check_clef.h"
#include "check_norm.h"
#include "families.h"

/* ---- running statistics ---- */

static void check_pair(const clef_tensor *x, double a, double b)
{
	float got[2];

	ck_ok(clef_read(x, got, sizeof(got)));
	ck_assert_msg(fabs((double)got[0] - a) < 1e-5 && fabs((double)got[1] - b) < 1e-5, "%.9g %.9g, expected %g %g",
		      (double)got[0], (double)got[1], a, b);
}

START_TEST(running_statistics)
{
	/* Channel 0: 1 2 3 6, mean 3, variance 14/4, unbiased 14/3. Channel 1: 0 0 4 4, mean 2, 4, 16/3. */
	const float values[] = { 1, 2, 0, 0, 3, 6, 4, 4 }, one[] = { 1, 1 }, nan[] = { NAN, NAN };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = test_tensor(CLEF_SHAPE(2, 2, 2), values), *mean = test_tensor(CLEF_SHAPE(2), one);
	clef_tensor *var = test_tensor(CLEF_SHAPE(2), one), *none;

	ck_ok(clef_tape_begin_no_grad(tape));
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true }));
	check_pair(mean, 0.9 + 0.1 * 3, 0.9 + 0.1 * 2);
	check_pair(var, 0.9 + 0.1 * 14 / 3, 0.9 + 0.1 * 16 / 3);
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true, .momentum = 0.5f }));
	check_pair(mean, 2.1, 1.55);
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true, .keep_running = true }));
	ck_new(clef_batch_norm_plain(x, mean, var, NULL));
	none = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(0, 2, 2)));
	ck_new(clef_batch_norm_plain(none, mean, var, &(clef_batch_norm_opts){ .training = true }));
	check_pair(mean, 2.1, 1.55);
	/* At momentum 1 what was there does not count. */
	ck_ok(clef_write(mean, nan, sizeof(nan)));
	ck_ok(clef_write(var, nan, sizeof(nan)));
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true, .momentum = 1 }));
	check_pair(mean, 3, 2);
	check_pair(var, 14.0 / 3, 16.0 / 3);
	clef_tensor_free(x);
	clef_tensor_free(mean);
	clef_tensor_free(var);
	clef_tensor_free(none);
	clef_tape_free(tape);
}
END_TEST

/* Evaluation's gradient is by the statistics that evaluation saw. */
START_TEST(statistics_moved_later)
{
	const float values[] = { 1, 2, 3, 6, 4, 4, 0, 9 }, zero[] = { 0, 0 }, var4[] = { 4, 4 };
	float grad[8];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = test_tensor(CLEF_SHAPE(4, 2), values), *mean = test_tensor(CLEF_SHAPE(2), zero);
	clef_tensor *var = test_tensor(CLEF_SHAPE(2), var4), *y;

	ck_ok(clef_requires_grad(x, true));
	ck_ok(clef_tape_begin(tape));
	y = ck_new(clef_batch_norm_plain(x, mean, var, NULL));
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true, .momentum = 1 }));
	ck_ok(clef_backward(clef_sum(y, NULL)));
	ck_ok(clef_read(clef_grad(x), grad, sizeof(grad)));
	for (int i = 0; i < 8; i++)
		ck_assert_msg(fabs((double)grad[i] - 0.5) < 1e-5, "gradient %d is %g", i, (double)grad[i]);
	clef_tensor_free(x);
	clef_tensor_free(mean);
	clef_tensor_free(var);
	clef_tape_free(tape);
}
END_TEST

/* ---- edges ---- */

/* A group with a NaN or an infinity is NaN; the others are not touched. */
static void check_special(const char *problem, float special)
{
	const float values[] = { 1, 2, 5, special, 7, 9, 1, 1, 3, 3, 3, 3 }, ones[] = { 1, 1, 1 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x[CLEF__OPERANDS];
	int64_t group, bad, w;
	clef__problem p;
	float y[12];

	ck_ok(clef__problem_parse(problem, &p));
	for (int i = 0; i < p.operands; i++)
		x[i] = test_tensor(p.in[i].shape, i ? ones : values);
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_read(p.family->apply(x, p.opts), y, sizeof(y)));
	clef__norm_place((const void *)p.opts, 3, &bad, &w);
	for (int i = 0; i < 12; i++) {
		clef__norm_place((const void *)p.opts, i, &group, &w);
		if (p.family == &clef__family_rms_norm && isinf(special) && group == bad)
			ck_assert(i == 3 ? isnan(y[i]) : y[i] == 0);
		else
			ck_assert_msg((group == bad) == (isnan(y[i]) != 0), "%s, %g: y[%d] is %g", problem,
				      (double)special, i, (double)y[i]);
	}
	for (int i = 0; i < p.operands; i++)
		clef_tensor_free(x[i]);
	clef_tape_free(tape);
}

START_TEST(special_values)
{
	static const char *const problems[] = { "batch_norm x4x3 training plain", "layer_norm x4x3 plain",
						"rms_norm x4x3 plain", "group_norm x1x3x4 g3 plain",
						"instance_norm x1x3x4 plain" };
	const float values[] = { INFINITY, 1, -INFINITY, 2, 2, NAN };
	float ones[] = { 1, 1 }, got[2];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = test_tensor(CLEF_SHAPE(3, 2), values), *mean = test_tensor(CLEF_SHAPE(2), ones);
	clef_tensor *var = test_tensor(CLEF_SHAPE(2), ones);

	for (int i = 0; i < CLEF_COUNT(problems); i++) {
		check_special(problems[i], NAN);
		check_special(problems[i], INFINITY);
		check_special(problems[i], -INFINITY);
	}
	ck_ok(clef_tape_begin(tape));
	ck_new(clef_batch_norm_plain(x, mean, var, &(clef_batch_norm_opts){ .training = true }));
	ck_ok(clef_read(mean, got, sizeof(got)));
	ck_assert(isnan(got[0]) && isnan(got[1]));
	clef_tensor_free(x);
	clef_tensor_free(mean);
	clef_tensor_free(var);
	clef_tape_free(tape);
}
END_TEST

START_TEST(equal_values)
{
	float values[60], y[60];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x;

	for (int i = 0; i < 60; i++)
		values[i] = 12345.678f;
	x = test_tensor(CLEF_SHAPE(2, 30), values);
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_read(clef_layer_norm_plain(x, 1, 0), y, sizeof(y)));
	for (int i = 0; i < 60; i++)
		ck_assert_msg(fabs((double)y[i]) < 1e-6, "y[%d] is %g", i, (double)y[i]);
	clef_tensor_free(x);
	clef_tape_free(tape);
}
END_TEST

/* No elements: the result has none either, and gradients to w and b are sums of nothing. */
START_TEST(no_elements)
{
	const float ones[] = { 1, 1, 1, 1 };
	float grad[4];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(0, 4)));
	clef_tensor *flat = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, CLEF_SHAPE(2, 4, 0)));
	clef_tensor *w = test_tensor(CLEF_SHAPE(4), ones), *b = test_tensor(CLEF_SHAPE(4), ones);
	clef_tensor *mean = test_tensor(CLEF_SHAPE(4), ones), *var = test_tensor(CLEF_SHAPE(4), ones);

	ck_ok(clef_requires_grad(w, true));
	ck_ok(clef_requires_grad(b, true));
	for (int i = 0; i < 5; i++) {
		const clef_batch_norm_opts training = { .training = true };
		clef_tensor *y;

		ck_ok(clef_tape_begin(tape));
		y = i == 0   ? clef_batch_norm(x, w, b, mean, var, &training)
		    : i == 1 ? clef_batch_norm(flat, w, b, mean, var, NULL)
		    : i == 2 ? clef_layer_norm(x, w, b, 0)
		    : i == 3 ? clef_group_norm(flat, 2, w, b, 0)
			     : clef_instance_norm(flat, w, b, 0);
		ck_assert_int_eq(clef_tensor_numel(ck_new(y)), 0);
		ck_ok(clef_backward(clef_sum(y, NULL)));
		ck_ok(clef_read(clef_grad(w), grad, sizeof(grad)));
		ck_assert(grad[0] == 0 && grad[3] == 0);
		ck_ok(clef_read(clef_grad(b), grad, sizeof(grad)));
		ck_assert(grad[0] == 0 && grad[3] == 0);
	}
	ck_new(clef_rms_norm(x, w, 0));
	ck_new(clef_local_response_norm(flat, 3, NULL));
	clef_tensor_free(x);
	clef_tensor_free(flat);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tensor_free(mean);
	clef_tensor_free(var);
	clef_tape_free(tape);
}
END_TEST

/* w and b may be one tensor, whose gradient is then both. */
START_TEST(shared_operand)
{
	const float values[] = { 1, 2, 4, 8, 3, 1 }, ones[] = { 1, 1, 1 };
	float both[3], dw[3], db[3];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = test_tensor(CLEF_SHAPE(2, 3), values), *w = test_tensor(CLEF_SHAPE(3), ones);
	clef_tensor *b = test_tensor(CLEF_SHAPE(3), ones);

	ck_ok(clef_requires_grad(w, true));
	ck_ok(clef_requires_grad(b, true));
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_backward(clef_sum(clef_layer_norm(x, w, b, 0), NULL)));
	ck_ok(clef_read(clef_grad(w), dw, sizeof(dw)));
	ck_ok(clef_read(clef_grad(b), db, sizeof(db)));
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_backward(clef_sum(clef_layer_norm(x, w, w, 0), NULL)));
	ck_ok(clef_read(clef_grad(w), both, sizeof(both)));
	for (int i = 0; i < 3; i++)
		ck_assert(db[i] == 2 && both[i] == dw[i] + db[i]);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tape_free(tape);
}
END_TEST

START_TEST(batch_norm_errors)
{
	const clef_batch_norm_opts training = { .training = true }, wild = { .momentum = 1.5f }, bad = { .eps = -1 };
	const clef_batch_norm_opts endless = { .eps = INFINITY };
	const float ones[12] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = test_tensor(CLEF_SHAPE(4, 3), ones), *w = test_tensor(CLEF_SHAPE(3), ones);
	clef_tensor *one = test_tensor(CLEF_SHAPE(1, 3, 1), ones), *v = test_tensor(CLEF_SHAPE(4), ones);
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(3)));

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_batch_norm_plain(v, w, w, NULL), CLEF_ERROR_SHAPE,
		      "batch_norm: x has shape [4], expected [n, channels, ...]");
	ck_null_fails(clef_batch_norm_plain(x, v, w, NULL), CLEF_ERROR_SHAPE,
		      "batch_norm: running_mean has shape [4], expected [3] for x [4, 3]");
	ck_null_fails(clef_batch_norm(x, w, w, w, v, NULL), CLEF_ERROR_SHAPE, "running_var has shape [4]");
	ck_null_fails(clef_batch_norm(x, v, w, w, w, NULL), CLEF_ERROR_SHAPE, "batch_norm: w has shape [4]");
	ck_null_fails(clef_batch_norm(x, w, v, w, w, NULL), CLEF_ERROR_SHAPE, "batch_norm: b has shape [4]");
	ck_null_fails(clef_batch_norm(x, w, ints, w, w, NULL), CLEF_ERROR_DTYPE, "b is int32, expected float32");
	ck_null_fails(clef_batch_norm(x, w, NULL, w, w, NULL), CLEF_ERROR_INVALID, "batch_norm: given NULL");
	ck_null_fails(clef_batch_norm_plain(one, w, w, &training), CLEF_ERROR_SHAPE,
		      "batch_norm: x [1, 3, 1] has one value for each channel; training needs more");
	ck_new(clef_batch_norm_plain(one, w, w, NULL));
	ck_null_fails(clef_batch_norm_plain(x, w, w, &wild), CLEF_ERROR_INVALID,
		      "batch_norm: momentum is 1.5: 0 to 1 are allowed");
	ck_null_fails(clef_batch_norm_plain(x, w, w, &bad), CLEF_ERROR_INVALID, "eps is -1, expected a finite number");
	ck_null_fails(clef_batch_norm_plain(x, w, w, &endless), CLEF_ERROR_INVALID, "eps is inf");
	ck_ok(clef_requires_grad(w, true));
	ck_null_fails(clef_batch_norm_plain(x, w, w, NULL), CLEF_ERROR_INVALID,
		      "running_mean requires a gradient, but no gradient flows to running statistics");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(one);
	clef_tensor_free(v);
	clef_tensor_free(ints);
	clef_tape_free(tape);
}
END_TEST

START_TEST(other_errors)
{
	const float ones[12] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = test_tensor(CLEF_SHAPE(2, 6), ones), *w = test_tensor(CLEF_SHAPE(6), ones);
	clef_tensor *v = test_tensor(CLEF_SHAPE(4), ones), *scalar = test_tensor(CLEF_SCALAR, ones);
	clef_tensor *ints = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 6)));

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_layer_norm(x, v, v, 0), CLEF_ERROR_SHAPE,
		      "layer_norm: w has shape [4], expected [6] for x [2, 6]");
	ck_null_fails(clef_layer_norm(x, w, v, 0), CLEF_ERROR_SHAPE, "layer_norm: b has shape [4], expected [6]");
	ck_null_fails(clef_layer_norm(w, x, x, 0), CLEF_ERROR_SHAPE, "expected one to all last dimensions of x [6]");
	ck_null_fails(clef_rms_norm(x, scalar, 0), CLEF_ERROR_SHAPE, "rms_norm: w has shape []");
	ck_null_fails(clef_layer_norm_plain(x, 3, 0), CLEF_ERROR_INVALID,
		      "layer_norm: the last 3 dimensions of x [2, 6]: 1 to 2 are allowed");
	ck_null_fails(clef_rms_norm_plain(x, 0, 0), CLEF_ERROR_INVALID, "rms_norm: the last 0 dimensions");
	ck_null_fails(clef_layer_norm_plain(x, 1, NAN), CLEF_ERROR_INVALID, "eps is");
	ck_null_fails(clef_layer_norm_plain(ints, 1, 0), CLEF_ERROR_DTYPE, "layer_norm: x is int32");
	ck_null_fails(clef_layer_norm(x, NULL, w, 0), CLEF_ERROR_INVALID, "layer_norm: given NULL");
	ck_null_fails(clef_group_norm(x, 4, w, w, 0), CLEF_ERROR_INVALID,
		      "group_norm: 4 groups for x [2, 6]: expected a number that divides the 6 channels");
	ck_null_fails(clef_group_norm_plain(x, 0, 0), CLEF_ERROR_INVALID, "group_norm: 0 groups");
	ck_null_fails(clef_group_norm_plain(w, 1, 0), CLEF_ERROR_SHAPE, "group_norm: x has shape [6]");
	ck_null_fails(clef_instance_norm(x, w, w, 0), CLEF_ERROR_SHAPE,
		      "instance_norm: x [2, 6] has one value for each channel");
	ck_null_fails(clef_local_response_norm(x, 0, NULL), CLEF_ERROR_INVALID,
		      "local_response_norm: size is 0, expected 1 or more");
	ck_null_fails(clef_local_response_norm(w, 3, NULL), CLEF_ERROR_SHAPE, "x has shape [6], expected [n, channels");
	ck_null_fails(clef_local_response_norm(x, 3, &(clef_local_response_norm_opts){ .k = INFINITY }),
		      CLEF_ERROR_INVALID, "k inf, expected finite numbers");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(v);
	clef_tensor_free(scalar);
	clef_tensor_free(ints);
	clef_tape_free(tape);
}
END_TEST

Suite *norm_edges_suite(void)
{
	Suite *s = suite_create("norm_edges");
	TCase *c = tcase_create("norm_edges");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, running_statistics);
	tcase_add_test(c, statistics_moved_later);
	tcase_add_test(c, special_values);
	tcase_add_test(c, equal_values);
	tcase_add_test(c, no_elements);
	tcase_add_test(c, shared_operand);
	tcase_add_test(c, batch_norm_errors);
	tcase_add_test(c, other_errors);
	suite_add_tcase(s, c);
	return s;
}
