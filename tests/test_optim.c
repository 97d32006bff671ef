/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Optimizers against PyTorch's formulas, written out here in double precision, over 200 steps. The gradients are given:
 * the loss is the sum of w * c over all parameters, so the gradient of w is the c of the step, exactly. Parameters are
 * left out of the loss or frozen at some steps, which shows in the order and number of the launches and in the counts
 * of steps that the formulas use.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

#define PARAMS  3
#define LARGEST 192

/* Sizes that are no multiple of a work-group or of the padding. */
static const clef_shape shapes[PARAMS] = { { 1, { 5 } }, { 2, { 3, 64 } }, { 1, { 33 } } };

/* What is optimized, on the device and on the host. */
static struct {
	clef_tape *tape;
	clef_params *params;
	clef_tensor *w[PARAMS];
	int n[PARAMS];
	double ref[PARAMS][LARGEST], m[PARAMS][LARGEST], v[PARAMS][LARGEST];
	int t[PARAMS];
	float c[PARAMS][LARGEST];
	uint64_t seed;
} f;

/* Roughly N(0, 1): the sum of twelve uniform numbers, less 6. */
static float random_value(void)
{
	double sum = -6;

	for (int i = 0; i < 12; i++) {
		f.seed = f.seed * 6364136223846793005u + 1442695040888963407u;
		sum += (double)(f.seed >> 40) / 16777216.0;
	}
	return (float)sum;
}

static void setup(void)
{
	float start[LARGEST];
	char name[16];

	device_setup();
	memset(&f, 0, sizeof(f));
	f.seed = 7;
	f.tape = ck_new(clef_tape_new(test_device));
	f.params = ck_new(clef_params_new(test_device));
	for (int i = 0; i < PARAMS; i++) {
		snprintf(name, sizeof(name), "w%d", i);
		f.w[i] = ck_new(clef_params_add(f.params, name, shapes[i], NULL));
		f.n[i] = (int)clef_shape_numel(shapes[i]);
	}
	ck_ok(clef_params_commit(f.params, &(clef_rng){ .seed = 1 }));
	for (int i = 0; i < PARAMS; i++) {
		for (int k = 0; k < f.n[i]; k++) {
			start[k] = random_value();
			f.ref[i][k] = (double)start[k];
		}
		ck_ok(clef_write(f.w[i], start, (size_t)f.n[i] * sizeof(float)));
	}
}

static void teardown(void)
{
	clef_params_free(f.params);
	clef_tape_free(f.tape);
	device_teardown();
}

/* New gradients for the parameters in the set of bits, by a backward pass. */
static void give_gradients(unsigned which)
{
	clef_tensor *loss = NULL;

	ck_ok(clef_tape_begin(f.tape));
	for (int i = 0; i < PARAMS; i++) {
		clef_tensor *c, *term;

		if (!(which >> i & 1))
			continue;
		for (int k = 0; k < f.n[i]; k++)
			f.c[i][k] = random_value();
		c = clef_input(f.tape, &(clef_array){ CLEF_FLOAT32, shapes[i], f.c[i] });
		term = clef_sum(clef_mul(f.w[i], c), NULL);
		loss = loss ? clef_add(loss, term) : term;
	}
	ck_ok(clef_backward(loss));
}

/* torch.optim.SGD, as its documentation has it; m is the momentum buffer. */
static void sgd_reference(int i, const clef_sgd_opts *o, double lr)
{
	f.t[i]++;
	for (int k = 0; k < f.n[i]; k++) {
		double g = (double)f.c[i][k] + (double)o->weight_decay * f.ref[i][k];

		if (o->momentum > 0) {
			if (f.t[i] > 1)
				f.m[i][k] = (double)o->momentum * f.m[i][k] + (1 - (double)o->dampening) * g;
			else
				f.m[i][k] = g;
			g = o->nesterov ? g + (double)o->momentum * f.m[i][k] : f.m[i][k];
		}
		f.ref[i][k] -= lr * g;
	}
}

/* torch.optim.Adam. */
static void adam_reference(int i, const clef_adam_opts *o, double lr)
{
	double beta1 = o->beta1 > 0 ? (double)o->beta1 : (double)0.9f;
	double beta2 = o->beta2 > 0 ? (double)o->beta2 : (double)0.999f;
	double eps = o->eps > 0 ? (double)o->eps : 1e-8;

	f.t[i]++;
	for (int k = 0; k < f.n[i]; k++) {
		double g = (double)f.c[i][k] + (double)o->weight_decay * f.ref[i][k];
		double mhat, vhat;

		f.m[i][k] = beta1 * f.m[i][k] + (1 - beta1) * g;
		f.v[i][k] = beta2 * f.v[i][k] + (1 - beta2) * g * g;
		mhat = f.m[i][k] / (1 - pow(beta1, f.t[i]));
		vhat = f.v[i][k] / (1 - pow(beta2, f.t[i]));
		f.ref[i][k] -= lr * mhat / (sqrt(vhat) + eps);
	}
}

static void compare(int step)
{
	for (int i = 0; i < PARAMS; i++) {
		double scale = 0, worst = 0;
		float got[LARGEST];

		ck_ok(clef_read(f.w[i], got, (size_t)f.n[i] * sizeof(float)));
		for (int k = 0; k < f.n[i]; k++) {
			ck_assert(isfinite(got[k]));
			scale = fmax(scale, fabs(f.ref[i][k]));
			worst = fmax(worst, fabs((double)got[k] - f.ref[i][k]));
		}
		ck_assert_msg(worst <= 1e-5 * scale, "w%d after step %d: off by %g, of %g", i, step, worst, scale);
	}
}

static int steps(void)
{
	return test_small() ? 5 : 200;
}

static uint64_t launches(void)
{
	return clef_device_get_stats(test_device).launches;
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
	clef_optim *opt = ck_new(clef_sgd_new(f.params, o));

	for (int step = 0; step < steps(); step++) {
		give_gradients(7);
		ck_ok(clef_optim_step(opt));
		for (int i = 0; i < PARAMS; i++)
			sgd_reference(i, o, o->lr > 0 ? (double)o->lr : (double)1e-3f);
		if (step < 3 || step == steps() - 1)
			compare(step);
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
	clef_optim *opt = ck_new(clef_adam_new(f.params, o));

	for (int step = 0; step < steps(); step++) {
		give_gradients(7);
		ck_ok(clef_optim_step(opt));
		for (int i = 0; i < PARAMS; i++)
			adam_reference(i, o, o->lr > 0 ? (double)o->lr : (double)1e-3f);
		if (step < 3 || step == steps() - 1)
			compare(step);
	}
	clef_optim_free(opt);
}
END_TEST

START_TEST(test_defaults)
{
	clef_optim *sgd = ck_new(clef_sgd_new(f.params, NULL));
	clef_optim *adam = ck_new(clef_adam_new(f.params, NULL));

	ck_assert_float_eq(clef_optim_get_lr(sgd), 1e-3f);
	ck_assert_float_eq(clef_optim_get_lr(adam), 1e-3f);
	give_gradients(7);
	ck_ok(clef_optim_step(adam));
	for (int i = 0; i < PARAMS; i++)
		adam_reference(i, &(clef_adam_opts){ .lr = 0 }, 1e-3);
	compare(0);
	clef_optim_free(sgd);
	clef_optim_free(adam);
	clef_optim_free(NULL);
}
END_TEST

/* Each parameter has a rhythm of its own, so that bias corrections and first steps come to differ. */
START_TEST(test_skipped)
{
	static const clef_sgd_opts sgd = { .lr = 0.05f, .momentum = 0.9f, .dampening = 0.5f, .weight_decay = 0.01f };
	static const clef_adam_opts adam = { .lr = 0.02f, .weight_decay = 0.1f };
	static const unsigned rhythm[] = { 2, 5, 7, 1, 6, 3 };
	clef_optim *opt = _i ? clef_adam_new(f.params, &adam) : clef_sgd_new(f.params, &sgd);

	ck_new(opt);
	for (int step = 0; step < steps(); step++) {
		unsigned which = rhythm[step % CLEF_COUNT(rhythm)];

		give_gradients(which);
		ck_ok(clef_optim_step(opt));
		for (int i = 0; i < PARAMS; i++) {
			if (which >> i & 1 && _i)
				adam_reference(i, &adam, (double)adam.lr);
			else if (which >> i & 1)
				sgd_reference(i, &sgd, (double)sgd.lr);
		}
		if (step < 6 || step == steps() - 1)
			compare(step);
	}
	clef_optim_free(opt);
}
END_TEST

/* A frozen parameter stays to the bit, though the loss depends on it, and takes part again when it is thawed. */
START_TEST(test_frozen)
{
	static const clef_adam_opts o = { .lr = 0.01f };
	clef_optim *opt = ck_new(clef_adam_new(f.params, &o));
	float before[LARGEST], after[LARGEST];
	size_t bytes = (size_t)f.n[1] * sizeof(float);

	ck_ok(clef_read(f.w[1], before, bytes));
	for (int step = 0; step < 6; step++) {
		if (step == 0)
			ck_ok(clef_requires_grad(f.w[1], false));
		if (step == 3) {
			ck_ok(clef_read(f.w[1], after, bytes));
			ck_assert_mem_eq(before, after, bytes);
			ck_ok(clef_requires_grad(f.w[1], true));
		}
		give_gradients(7);
		ck_ok(clef_optim_step(opt));
		for (int i = 0; i < PARAMS; i++)
			if (i != 1 || step >= 3)
				adam_reference(i, &o, (double)o.lr);
		compare(step);
	}
	/* frozen between the backward pass and the step */
	give_gradients(7);
	ck_ok(clef_requires_grad(f.w[0], false));
	ck_ok(clef_read(f.w[0], before, (size_t)f.n[0] * sizeof(float)));
	ck_ok(clef_optim_step(opt));
	ck_ok(clef_read(f.w[0], after, (size_t)f.n[0] * sizeof(float)));
	ck_assert_mem_eq(before, after, (size_t)f.n[0] * sizeof(float));
	ck_ok(clef_requires_grad(f.w[0], true));
	ck_fails(clef_optim_step(opt), CLEF_ERROR_STATE, "clef_backward");
	clef_optim_free(opt);
}
END_TEST

START_TEST(test_launches)
{
	clef_optim *opt = ck_new(_i ? clef_adam_new(f.params, NULL) : clef_sgd_new(f.params, NULL));
	static const struct {
		unsigned which;
		unsigned launches;
	} cases[] = {
		{ 7, 1 },           /* all */
		{ 7, 1 }, { 3, 1 }, /* one run */
		{ 4, 1 },           /* now all have made three steps again */
		{ 7, 1 }, { 5, 2 }, /* two runs */
		{ 7, 3 },           /* one run by the gradients, but three by the counts of steps */
	};

	for (int i = 0; i < CLEF_COUNT(cases); i++) {
		uint64_t before;

		give_gradients(cases[i].which);
		before = launches();
		ck_ok(clef_optim_step(opt));
		ck_assert_msg(launches() - before == cases[i].launches, "case %d: %llu launches, not %u", i,
			      (unsigned long long)(launches() - before), cases[i].launches);
	}
	clef_optim_free(opt);
}
END_TEST

/* A warm loop asks the driver for no memory. */
START_TEST(test_no_allocation)
{
	clef_optim *opt = ck_new(clef_adam_new(f.params, NULL));
	uint64_t buffers = 0;

	for (int step = 0; step < 10; step++) {
		give_gradients(7);
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
	clef_optim *opt = ck_new(clef_sgd_new(f.params, &(clef_sgd_opts){ .lr = 0.1f, .momentum = 0.5f }));
	uint64_t before = launches();

	ck_fails(clef_optim_step(opt), CLEF_ERROR_STATE, "clef_optim_step: none of the 3 parameters");
	ck_assert_uint_eq(launches(), before);
	compare(0);
	give_gradients(7);
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
	clef_optim *opt = ck_new(clef_sgd_new(f.params, &o));
	float sum[LARGEST];

	for (int step = 0; step < 2; step++) {
		memset(sum, 0, sizeof(sum));
		for (int part = 0; part < 3; part++) {
			clef_tensor *c;

			for (int k = 0; k < f.n[1]; k++)
				sum[k] += f.c[1][k] = floorf(4 * random_value());
			ck_ok(clef_tape_begin(f.tape));
			c = clef_input(f.tape, &(clef_array){ CLEF_FLOAT32, shapes[1], f.c[1] });
			ck_ok(clef_backward_add(clef_sum(clef_mul(f.w[1], c), NULL)));
		}
		ck_ok(clef_optim_step(opt));
		memcpy(f.c[1], sum, sizeof(sum));
		sgd_reference(1, &o, (double)o.lr);
		compare(step);
	}
	clef_optim_free(opt);
}
END_TEST

START_TEST(test_learning_rate)
{
	static const clef_sgd_opts o = { .lr = 0.5f };
	static const float bad[] = { 0, -0.1f, NAN, INFINITY };
	clef_optim *opt = ck_new(clef_sgd_new(f.params, &o));

	for (int i = 0; i < CLEF_COUNT(bad); i++)
		ck_fails(clef_optim_set_lr(opt, bad[i]), CLEF_ERROR_INVALID, "clef_optim_set_lr: lr is ");
	ck_assert_float_eq(clef_optim_get_lr(opt), 0.5f);
	ck_ok(clef_optim_set_lr(opt, 0.125f));
	ck_assert_float_eq(clef_optim_get_lr(opt), 0.125f);
	give_gradients(7);
	ck_ok(clef_optim_step(opt));
	for (int i = 0; i < PARAMS; i++)
		sgd_reference(i, &o, 0.125);
	compare(0);
	clef_optim_free(opt);
	clef_error_clear();
	ck_assert(isnan(clef_optim_get_lr(NULL)));
	ck_fails(clef_optim_set_lr(NULL, 1), CLEF_ERROR_INVALID, "NULL");
}
END_TEST

START_TEST(test_free_order)
{
	clef_optim *first = ck_new(clef_adam_new(f.params, NULL));
	clef_optim *second = ck_new(clef_sgd_new(f.params, &(clef_sgd_opts){ .momentum = 0.9f }));

	give_gradients(7);
	ck_ok(clef_optim_step(first));
	clef_optim_free(first);
	clef_params_free(f.params);
	f.params = NULL;
	ck_fails(clef_optim_step(second), CLEF_ERROR_STATE, "clef_backward");
	clef_optim_free(second);
}
END_TEST

Suite *optim_suite(void)
{
	Suite *s = suite_create("optim");
	TCase *c = tcase_create("optim");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_sgd, 0, CLEF_COUNT(sgd_cases));
	tcase_add_loop_test(c, test_adam, 0, CLEF_COUNT(adam_cases));
	tcase_add_test(c, test_defaults);
	tcase_add_loop_test(c, test_skipped, 0, 2);
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
