/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models, gradients and optimizers together: a small network learns what no straight line can tell apart, two runs
 * give the same bits, a warm loop asks for no memory, and everything can be freed in any order.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

#define POINTS 64

/* Two moons: half circles that interlock, so that no line parts them. */
static void two_moons(float x[POINTS][2], int32_t labels[POINTS])
{
	for (int i = 0; i < POINTS; i++) {
		double angle = 3.14159265358979 * (double)(i / 2) / (POINTS / 2 - 1);

		labels[i] = i % 2;
		x[i][0] = (float)(i % 2 ? 1 - cos(angle) : cos(angle));
		x[i][1] = (float)(i % 2 ? 0.5 - sin(angle) : sin(angle));
	}
}

static const clef_layer moons_net[] = { { CLEF_LINEAR, .out = 32 }, { .kind = CLEF_TANH }, { CLEF_LINEAR, .out = 2 } };

/* Trains on all points in each step; gives the last loss. The driver must not be asked for memory once it is warm. */
static double train_moons(clef_model *model, clef_optim *opt, int steps)
{
	static float points[POINTS][2];
	static int32_t labels[POINTS];
	clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(POINTS, 2), points };
	clef_array t = { CLEF_INT32, CLEF_SHAPE(POINTS), labels };
	clef_tensor *loss = NULL;
	uint64_t buffers = 0;

	two_moons(points, labels);
	for (int i = 0; i < steps; i++) {
		ck_ok(clef_tape_begin(nn_tape));
		loss = clef_cross_entropy(clef_model_forward(model, clef_input(nn_tape, &x)), clef_input(nn_tape, &t));
		ck_ok(clef_backward(loss));
		ck_ok(clef_optim_step(opt));
		if (i == 2)
			buffers = clef_device_get_stats(test_device).buffers_created;
	}
	ck_assert_uint_eq(clef_device_get_stats(test_device).buffers_created, buffers);
	return clef_item(loss);
}

static clef_optim *moons_optim(clef_model *model, int which)
{
	clef_params *p = clef_model_params(model);

	if (which)
		return clef_adam_new(p, &(clef_adam_opts){ .lr = 0.02f });
	return clef_sgd_new(p, &(clef_sgd_opts){ .lr = 0.3f, .momentum = 0.9f });
}

START_TEST(test_overfits)
{
	clef_model *model = ck_new(clef_sequential_new(test_device, moons_net, CLEF_COUNT(moons_net), CLEF_SHAPE(2),
						       &(clef_model_opts){ .seed = 2 }));
	clef_optim *opt = ck_new(moons_optim(model, _i));

	if (test_small())
		ck_assert(isfinite(train_moons(model, opt, 5)));
	else
		ck_assert_double_lt(train_moons(model, opt, 500), 1e-2);
	clef_optim_free(opt);
	clef_model_free(model);
}
END_TEST

START_TEST(test_same_bits)
{
	clef_model *models[2];

	for (int i = 0; i < 2; i++) {
		clef_optim *opt;

		models[i] = ck_new(clef_sequential_new(test_device, moons_net, CLEF_COUNT(moons_net), CLEF_SHAPE(2),
						       &(clef_model_opts){ .seed = 4 }));
		opt = ck_new(moons_optim(models[i], _i));
		train_moons(models[i], opt, test_small() ? 4 : 50);
		clef_optim_free(opt);
	}
	for (int i = 0; i < 4; i++)
		nn_check_same(clef_params_get(clef_model_params(models[0]), i),
			      clef_params_get(clef_model_params(models[1]), i));
	clef_model_free(models[0]);
	clef_model_free(models[1]);
}
END_TEST

/* The device, a tape with a recording, the model and its optimizer, freed in the order that the case's number gives. */
START_TEST(test_free_order)
{
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef_tape *own = ck_new(clef_tape_new(dev));
	clef_model *model = ck_new(clef_sequential_new(dev, moons_net, CLEF_COUNT(moons_net), CLEF_SHAPE(2), NULL));
	clef_optim *opt = ck_new(clef_adam_new(clef_model_params(model), NULL));
	float x[2][2] = { { 1 } };
	int left[] = { 0, 1, 2, 3 };
	int number = _i;

	ck_ok(clef_tape_begin(own));
	ck_ok(clef_backward(clef_mean(
		clef_model_forward(model, clef_input(own, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 2), x })), NULL)));
	ck_ok(clef_optim_step(opt));
	for (int count = 4; count; count--) {
		int k = number % count, what = left[k];

		number /= count;
		memmove(&left[k], &left[k + 1], (size_t)(count - k - 1) * sizeof(int));
		if (what == 0)
			clef_device_close(dev);
		else if (what == 1)
			clef_tape_free(own);
		else if (what == 2)
			clef_model_free(model);
		else
			clef_optim_free(opt);
	}
}
END_TEST

Suite *training_suite(void)
{
	Suite *s = suite_create("training");
	TCase *c = nn_add_case(s, "training");

	tcase_add_loop_test(c, test_overfits, 0, 2);
	tcase_add_loop_test(c, test_same_bits, 0, 2);
	tcase_add_loop_test(c, test_free_order, 0, 24);
	return s;
}
