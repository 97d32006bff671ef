/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SGD and Adam with many options against PyTorch's formulas in double precision, over 200 steps. The gradients are
 * given: the loss is the sum of w * c over all parameters, so the gradient of w is the c of the step, exactly.
 * Parameters are left out of the loss or frozen at some steps, which shows in the order and number of the launches and
 * in the counts of steps that the formulas use.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optim_case.h"

static const clef_shape matrix = { 2, { 3, 64 } };

static void sgd_reference(int i, const clef_sgd_opts *o, double lr)
{
	optim_f.state[i].t++;
	clef__optim_ref_sgd(&optim_f.state[i], o, lr);
}

static void adam_reference(int i, const clef_adam_opts *o, double lr)
{
	optim_f.state[i].t++;
	clef__optim_ref_adam(&optim_f.state[i], o, lr);
}

static const clef_sgd_opts sgd_cases[] = {
	{ .lr = 0 },
	{ .lr = 0.05f },
	{ .lr = 0.05f, .weight_decay = 0.01f },
	{ .lr = 0.05f, .momentum = 0.9f },
	{ .lr = 0.05f, .momentum = 0.9f, .dampening = 0.3f },
	{ .lr = 0.05f, .momentum = 0.9f, .dampening = 1, .weight_decay = 0.1f },
	{ .lr = 0.05f, .momentum = 0.9f, .nesterov = true },
	{ .lr = 0.05f, .momentum = 0.5f, .nesterov = true, .weight_decay = 0.01f },
	{ .lr = 0.05f, .dampening = 0.3f },
};

START_TEST(test_sgd)
{
	const clef_sgd_opts *o = &sgd_cases[_i];
	clef_optim *opt = ck_new(clef_sgd_new(optim_f.params, o));

	for (int step = 0; step < optim_steps(); step++) {
		optim_gradients(7);
		ck_ok(clef_optim_step(opt));
		for (int i = 0; i < OPTIM_PARAMS; i++)
			sgd_reference(i, o, o->lr > 0 ? (double)o->lr : (double)1e-3f);
		if (step < 3 || step == optim_steps() - 1)
			optim_compare(step);
	}
	clef_optim_free(opt);
}
END_TEST

static const clef_adam_opts adam_cases[] = {
	{ .lr = 0 },
	{ .lr = 0.01f },
	{ .lr = 0.01f, .weight_decay = 0.1f },
	{ .lr = 0.01f, .beta1 = 0.5f, .beta2 = 0.9f },
	{ .lr = 0.02f, .beta1 = 0.95f, .beta2 = 0.99f, .eps = 0.1f, .weight_decay = 0.01f },
};

START_TEST(test_adam)
{
	const clef_adam_opts *o = &adam_cases[_i];
	clef_optim *opt = ck_new(clef_adam_new(optim_f.params, o));

	for (int step = 0; step < optim_steps(); step++) {
		optim_gradients(7);
		ck_ok(clef_optim_step(opt));
		for (int i = 0; i < OPTIM_PARAMS; i++)
			adam_reference(i, o, o->lr > 0 ? (double)o->lr : (double)1e-3f);
		if (step < 3 || step == optim_steps() - 1)
			optim_compare(step);
	}
	clef_optim_free(opt);
}
END_TEST

START_TEST(test_defaults)
{
	clef_optim *sgd = ck_new(clef_sgd_new(optim_f.params, NULL));
	clef_optim *adam = ck_new(clef_adam_new(optim_f.params, NULL));

	ck_assert_float_eq(clef_optim_get_lr(sgd), 1e-3f);
	ck_assert_float_eq(clef_optim_get_lr(adam), 1e-3f);
	optim_gradients(7);
	ck_ok(clef_optim_step(adam));
	for (int i = 0; i < OPTIM_PARAMS; i++)
		adam_reference(i, &(clef_adam_opts){ .lr = 0 }, 1e-3);
	optim_compare(0);
	clef_optim_free(sgd);
	clef_optim_free(adam);
	clef_optim_free(NULL);
}
END_TEST

/* A frozen parameter stays to the bit, though the loss depends on it, and takes part again when it is thawed. */
START_TEST(test_frozen)
{
	static const clef_adam_opts o = { .lr = 0.01f };
	clef_optim *opt = ck_new(clef_adam_new(optim_f.params, &o));
	float before[OPTIM_LARGEST], after[OPTIM_LARGEST];
	size_t bytes = (size_t)optim_f.n[1] * sizeof(float);

	ck_ok(clef_read(optim_f.w[1], before, bytes));
	for (int step = 0; step < 6; step++) {
		if (step == 0)
			ck_ok(clef_requires_grad(optim_f.w[1], false));
		if (step == 3) {
			ck_ok(clef_read(optim_f.w[1], after, bytes));
			ck_assert_mem_eq(before, after, bytes);
			ck_ok(clef_requires_grad(optim_f.w[1], true));
		}
		optim_gradients(7);
		ck_ok(clef_optim_step(opt));
		for (int i = 0; i < OPTIM_PARAMS; i++)
			if (i != 1 || step >= 3)
				adam_reference(i, &o, (double)o.lr);
		optim_compare(step);
	}
	/* frozen between the backward pass and the step */
	optim_gradients(7);
	ck_ok(clef_requires_grad(optim_f.w[0], false));
	ck_ok(clef_read(optim_f.w[0], before, (size_t)optim_f.n[0] * sizeof(float)));
	ck_ok(clef_optim_step(opt));
	ck_ok(clef_read(optim_f.w[0], after, (size_t)optim_f.n[0] * sizeof(float)));
	ck_assert_mem_eq(before, after, (size_t)optim_f.n[0] * sizeof(float));
	ck_ok(clef_requires_grad(optim_f.w[0], true));
	ck_fails(clef_optim_step(opt), CLEF_ERROR_STATE, "clef_backward");
	clef_optim_free(opt);
}
END_TEST

START_TEST(test_launches)
{
	clef_optim *opt = ck_new(_i ? clef_adam_new(optim_f.params, NULL) : clef_sgd_new(optim_f.params, NULL));
	static const struct {
		unsigned which;
		unsigned launches;
	} cases[] = {
		{ 7, 1 },           /* all */
		{ 7, 1 }, { 3, 1 }, /* one run */
		{ 4, 1 },           /* now all have made three steps again */
		{ 7, 1 }, { 5, 1 }, /* with one between that takes no part */
		{ 7, 1 },           /* of different counts of steps */
	};

	for (int i = 0; i < CLEF_COUNT(cases); i++) {
		uint64_t before;

		optim_gradients(cases[i].which);
		before = optim_launches();
		ck_ok(clef_optim_step(opt));
		ck_assert_msg(optim_launches() - before == cases[i].launches, "case %d: %llu launches, not %u", i,
			      (unsigned long long)(optim_launches() - before), cases[i].launches);
	}
	clef_optim_free(opt);
}
END_TEST

/* A warm loop asks the driver for no memory. */
START_TEST(test_no_allocation)
{
	clef_optim *opt = ck_new(clef_adam_new(optim_f.params, NULL));
	uint64_t buffers = 0;

	for (int step = 0; step < 10; step++) {
		optim_gradients(7);
		ck_ok(clef_optim_step(opt));
		if (step == 2)
			buffers = clef_device_get_stats(test_device).buffers_created;
	}
	ck_assert_uint_eq(clef_device_get_stats(test_device).buffers_created, buffers);
	clef_optim_free(opt);
}
END_TEST

START_TEST(test_no_gradient)
{
	clef_optim *opt = ck_new(clef_sgd_new(optim_f.params, &(clef_sgd_opts){ .lr = 0.1f, .momentum = 0.5f }));
	uint64_t before = optim_launches();

	ck_fails(clef_optim_step(opt), CLEF_ERROR_STATE, "clef_optim_step: none of the 3 parameters");
	ck_assert_uint_eq(optim_launches(), before);
	optim_compare(0);
	optim_gradients(7);
	ck_ok(clef_optim_step(opt));
	ck_fails(clef_optim_step(opt), CLEF_ERROR_STATE, "since the last step");
	ck_fails(clef_optim_step(NULL), CLEF_ERROR_INVALID, "clef_optim_step");
	clef_optim_free(opt);
}
END_TEST

/* Micro-batches: the gradients of several passes, added up, and one step. */
START_TEST(test_accumulate)
{
	static const clef_sgd_opts o = { .lr = 0.1f };
	clef_optim *opt = ck_new(clef_sgd_new(optim_f.params, &o));
	float sum[OPTIM_LARGEST];

	for (int step = 0; step < 2; step++) {
		memset(sum, 0, sizeof(sum));
		for (int part = 0; part < 3; part++) {
			clef_tensor *c;

			for (int k = 0; k < optim_f.n[1]; k++)
				sum[k] += optim_f.c[1][k] = floorf(4 * optim_random());
			ck_ok(clef_tape_begin(optim_f.tape));
			c = clef_input(optim_f.tape, &(clef_array){ CLEF_FLOAT32, matrix, optim_f.c[1] });
			ck_ok(clef_backward_add(clef_sum(clef_mul(optim_f.w[1], c), NULL)));
		}
		ck_ok(clef_optim_step(opt));
		memcpy(optim_f.c[1], sum, sizeof(sum));
		sgd_reference(1, &o, (double)o.lr);
		optim_compare(step);
	}
	clef_optim_free(opt);
}
END_TEST

START_TEST(test_learning_rate)
{
	static const clef_sgd_opts o = { .lr = 0.5f };
	static const float bad[] = { -0.1f, NAN, INFINITY };
	clef_optim *opt = ck_new(clef_sgd_new(optim_f.params, &o));

	for (int i = 0; i < CLEF_COUNT(bad); i++)
		ck_fails(clef_optim_set_lr(opt, bad[i]), CLEF_ERROR_INVALID, "clef_optim_set_lr: lr is ");
	ck_assert_float_eq(clef_optim_get_lr(opt), 0.5f);
	ck_ok(clef_optim_set_lr(opt, 0.125f));
	ck_assert_float_eq(clef_optim_get_lr(opt), 0.125f);
	optim_gradients(7);
	ck_ok(clef_optim_step(opt));
	for (int i = 0; i < OPTIM_PARAMS; i++)
		sgd_reference(i, &o, 0.125);
	optim_compare(0);
	clef_optim_free(opt);
	clef_error_clear();
	ck_assert(isnan(clef_optim_get_lr(NULL)));
	ck_fails(clef_optim_set_lr(NULL, 1), CLEF_ERROR_INVALID, "NULL");
}
END_TEST

START_TEST(test_free_order)
{
	clef_optim *first = ck_new(clef_adam_new(optim_f.params, NULL));
	clef_optim *second = ck_new(clef_sgd_new(optim_f.params, &(clef_sgd_opts){ .momentum = 0.9f }));

	optim_gradients(7);
	ck_ok(clef_optim_step(first));
	clef_optim_free(first);
	clef_params_free(optim_f.params);
	optim_f.params = NULL;
	ck_fails(clef_optim_step(second), CLEF_ERROR_STATE, "clef_backward");
	clef_optim_free(second);
}
END_TEST

Suite *optim_suite(void)
{
	Suite *s = suite_create("optim");
	TCase *c = tcase_create("optim");

	tcase_add_checked_fixture(c, optim_setup, optim_teardown);
	tcase_add_loop_test(c, test_sgd, 0, CLEF_COUNT(sgd_cases));
	tcase_add_loop_test(c, test_adam, 0, CLEF_COUNT(adam_cases));
	tcase_add_test(c, test_defaults);
	tcase_add_test(c, test_frozen);
	tcase_add_loop_test(c, test_launches, 0, 2);
	tcase_add_test(c, test_no_allocation);
	tcase_add_test(c, test_no_gradient);
	tcase_add_test(c, test_accumulate);
	tcase_add_test(c, test_learning_rate);
	tcase_add_test(c, test_free_order);
	suite_add_tcase(s, c);
	return s;
}
