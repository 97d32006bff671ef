/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of networks for images: convolution, batch normalization, pooling, dropout, names of nested modules. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

enum { IMAGES = 8, SIZE = 6 };

static clef_tensor *block(clef_module *m, const char *name, clef_tensor *x, int64_t out)
{
	clef_module_enter(m, name);
	x = clef_nn_conv2d_no_bias(m, "conv", x, out, 3, &(clef_conv2d_opts){ .pad = 1 });
	x = clef_relu(clef_nn_batch_norm(m, "bn", x, NULL));
	clef_module_leave(m);
	return x;
}

static clef_tensor *net(clef_module *m, clef_tensor *x)
{
	x = block(m, "first", x, 4);
	x = clef_max_pool2d(x, &(clef_max_pool_opts){ .kernel = 2 });
	x = clef_nn_dropout(m, clef_add(x, block(m, "second", x, 4)), 0.1f);
	return clef_nn_linear(m, "fc", clef_flatten(x), 2, NULL);
}

/* Bright and dark images with some noise, and which they are. */
static void make_images(clef_array *x, clef_array *labels)
{
	static float values[IMAGES * SIZE * SIZE];
	static int32_t classes[IMAGES];
	uint32_t seed = 1;

	for (int i = 0; i < CLEF_COUNT(values); i++) {
		seed = seed * 1664525u + 1013904223u;
		classes[i / (SIZE * SIZE)] = i / (SIZE * SIZE) % 2;
		values[i] = (float)(seed >> 8) * 0x1p-24f + (classes[i / (SIZE * SIZE)] ? 0.3f : -0.3f);
	}
	*x = (clef_array){ CLEF_FLOAT32, CLEF_SHAPE(IMAGES, 1, SIZE, SIZE), values };
	*labels = (clef_array){ CLEF_INT32, CLEF_SHAPE(IMAGES), classes };
}

START_TEST(names_and_buffers)
{
	static const char *const names[] = { "first.conv.weight",  "first.bn.weight",  "first.bn.bias",
					     "second.conv.weight", "second.bn.weight", "second.bn.bias",
					     "fc.weight",          "fc.bias" };
	clef_model *model = ck_new(clef_model_new(test_device, net, CLEF_SHAPE(1, SIZE, SIZE), NULL));
	clef_params *params = clef_model_params(model);
	float var[4], weight[4];

	ck_assert_int_eq(clef_params_count(params), CLEF_COUNT(names));
	for (int i = 0; i < CLEF_COUNT(names); i++)
		ck_assert_str_eq(clef_params_name(params, i), names[i]);
	ck_assert(clef_shape_equal(clef_tensor_shape(clef_params_get(params, 3)), CLEF_SHAPE(4, 4, 3, 3)));
	ck_assert(clef_shape_equal(clef_model_output(model), CLEF_SHAPE(2)));
	ck_ok(clef_read(clef_model_buffer(model, "second.bn.running_var"), var, sizeof(var)));
	ck_ok(clef_read(clef_params_find(params, "second.bn.weight"), weight, sizeof(weight)));
	ck_assert(var[0] == 1 && var[3] == 1 && weight[0] == 1 && weight[3] == 1);
	ck_null_fails(clef_model_buffer(model, "bn.running_var"), CLEF_ERROR_INVALID, "no buffer \"bn.running_var\"");
	clef_model_free(model);
}
END_TEST

/* Training moves the running statistics and draws masks; evaluation does neither and gives the same every time. */
START_TEST(training_and_evaluation)
{
	clef_model *model = ck_new(clef_model_new(test_device, net, CLEF_SHAPE(1, SIZE, SIZE), NULL));
	clef_tensor *mean = ck_new(clef_model_buffer(model, "first.bn.running_mean"));
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	float before[4], after[4], y[4][IMAGES * 2];
	clef_array images, labels;

	make_images(&images, &labels);
	ck_ok(clef_read(mean, before, sizeof(before)));
	ck_assert(before[0] == 0 && before[3] == 0);
	for (int i = 0; i < 4; i++) {
		ck_ok(clef_model_train(model, i < 2));
		ck_ok(clef_tape_begin_no_grad(tape));
		ck_ok(clef_read(clef_model_forward(model, clef_input(tape, &images)), y[i], sizeof(y[i])));
		ck_ok(clef_read(mean, after, sizeof(after)));
		ck_assert((memcmp(before, after, sizeof(before)) != 0) == (i < 2));
		memcpy(before, after, sizeof(before));
	}
	ck_assert_msg(memcmp(y[0], y[1], sizeof(y[0])) != 0, "dropout drew the same mask twice");
	ck_assert_msg(memcmp(y[2], y[3], sizeof(y[0])) == 0, "evaluation is not the same twice");
	clef_tape_free(tape);
	clef_model_free(model);
}
END_TEST

/* Trains on one batch; the loss at the end. */
static double overfit(clef_model *model, uint64_t *buffers)
{
	clef_optim *opt = ck_new(clef_adam_new(clef_model_params(model), &(clef_adam_opts){ .lr = 0.02f }));
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_array images, labels;
	double loss = 0;

	make_images(&images, &labels);
	for (int step = 0; step < 80; step++) {
		clef_tensor *y;

		ck_ok(clef_tape_begin(tape));
		y = clef_cross_entropy(clef_model_forward(model, clef_input(tape, &images)), clef_input(tape, &labels));
		ck_ok(clef_backward(y));
		ck_ok(clef_optim_step(opt));
		loss = clef_item(y);
		if (step == 2)
			*buffers = clef_device_get_stats(test_device).buffers_created;
	}
	*buffers = clef_device_get_stats(test_device).buffers_created - *buffers;
	clef_tape_free(tape);
	clef_optim_free(opt);
	return loss;
}

START_TEST(module_overfits)
{
	clef_model *model;
	uint64_t buffers;
	double loss;

	if (test_small())
		test_skip("eighty steps of a network");
	model = ck_new(clef_model_new(test_device, net, CLEF_SHAPE(1, SIZE, SIZE), NULL));
	loss = overfit(model, &buffers);
	ck_assert_msg(loss < 0.05, "loss %g after 80 steps", loss);
	ck_assert_msg(buffers == 0, "%d buffers were made after the third step", (int)buffers);
	clef_model_free(model);
}
END_TEST

START_TEST(sequential_overfits)
{
	clef_layer *layers;
	clef_model *model;
	uint64_t buffers;
	int count;
	double loss;

	if (test_small())
		test_skip("eighty steps of a network");
	ck_ok(clef_layers_parse(
		"conv2d(6, 3, pad=1, no_bias) batch_norm relu max_pool2d(2) conv2d(6, 3, 1, 1, groups=2) "
		"relu avg_pool2d(3, stride=1, pad=1) adaptive_avg_pool2d(2) dropout(0.1) flatten linear(2)",
		&layers, &count));
	ck_assert_int_eq(count, 11);
	model = ck_new(clef_sequential_new(test_device, layers, count, CLEF_SHAPE(1, SIZE, SIZE), NULL));
	ck_assert(clef_shape_equal(clef_tensor_shape(clef_params_find(clef_model_params(model), "4.weight")),
				   CLEF_SHAPE(6, 3, 3, 3)));
	loss = overfit(model, &buffers);
	ck_assert_msg(loss < 0.05, "loss %g after 80 steps", loss);
	clef_model_free(model);
	free(layers);
}
END_TEST

/* Counts its training steps in a buffer, and drops whole channels in them. */
static clef_tensor *counting(clef_module *m, clef_tensor *x)
{
	clef_tensor *steps = clef_nn_buffer(m, "steps", CLEF_SHAPE(1), 2);

	if (clef_module_training(m))
		clef_fill(steps, clef_item(steps) + 1);
	return clef_nn_dropout2d(m, x, 0.5f);
}

START_TEST(buffer_and_mode)
{
	clef_model *model = ck_new(clef_model_new(test_device, counting, CLEF_SHAPE(64, 2, 2), NULL));
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	float x[64 * 4], y[64 * 4];
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(1, 64, 2, 2), x };
	int dropped = 0;

	for (int i = 0; i < CLEF_COUNT(x); i++)
		x[i] = 1;
	ck_assert(clef_item(clef_model_buffer(model, "steps")) == 2);
	ck_ok(clef_tape_begin_no_grad(tape));
	ck_ok(clef_read(clef_model_forward(model, clef_input(tape, &array)), y, sizeof(y)));
	for (int i = 0; i < CLEF_COUNT(y); i++) {
		ck_assert(y[i] == y[i / 4 * 4] && (y[i] == 0 || y[i] == 2));
		dropped += y[i] == 0;
	}
	ck_assert_msg(dropped > 40 && dropped < 216, "%d of 256 values dropped", dropped);
	ck_assert(clef_item(clef_model_buffer(model, "steps")) == 3);
	ck_ok(clef_model_train(model, false));
	ck_ok(clef_read(clef_model_forward(model, clef_input(tape, &array)), y, sizeof(y)));
	ck_assert(memcmp(x, y, sizeof(x)) == 0);
	ck_assert(clef_item(clef_model_buffer(model, "steps")) == 3);
	clef_tape_free(tape);
	clef_model_free(model);
}
END_TEST

/* A name may hold dots: "c.fc" and "fc". */
static clef_tensor *dotted(clef_module *m, clef_tensor *x)
{
	clef_module_enter(m, "c");
	clef_module_enter(m, "a.b");
	clef_module_leave(m);
	x = clef_nn_linear(m, "fc", x, 2, NULL);
	clef_module_leave(m);
	return clef_nn_linear(m, "fc", x, 2, NULL);
}

START_TEST(dots_in_names)
{
	clef_model *model = clef_model_new(test_device, dotted, CLEF_SHAPE(3), NULL);

	ck_new(model);
	ck_assert_str_eq(clef_params_name(clef_model_params(model), 0), "c.fc.weight");
	ck_assert_str_eq(clef_params_name(clef_model_params(model), 2), "fc.weight");
	clef_model_free(model);
}
END_TEST

static clef_tensor *unbalanced(clef_module *m, clef_tensor *x)
{
	clef_module_leave(m);
	return clef_nn_linear(m, "fc", x, 2, NULL);
}

static clef_tensor *too_long(clef_module *m, clef_tensor *x)
{
	for (int i = 0; i < 40; i++)
		clef_module_enter(m, "a_name_of_some_length");
	return clef_nn_linear(m, "fc", x, 2, NULL);
}

static clef_tensor *wrong_groups(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv2d(m, "conv", x, 4, 3, &(clef_conv2d_opts){ .groups = 3 });
}

static clef_tensor *large_kernel(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv2d(m, "conv", x, 4, 9, NULL);
}

START_TEST(errors)
{
	clef_layer *layers;
	clef_layer pool = { .kind = CLEF_RELU, .kernel = 2 };
	int count;

	ck_null_fails(clef_model_new(test_device, unbalanced, CLEF_SHAPE(3), NULL), CLEF_ERROR_STATE,
		      "clef_module_leave() do not match");
	ck_null_fails(clef_model_new(test_device, too_long, CLEF_SHAPE(3), NULL), CLEF_ERROR_STATE, "longer than 255");
	ck_null_fails(clef_model_new(test_device, wrong_groups, CLEF_SHAPE(4, 5, 5), NULL), CLEF_ERROR_INVALID,
		      "layer \"conv\" (conv2d), x [1, 4, 5, 5]: groups is 3");
	ck_null_fails(clef_model_new(test_device, large_kernel, CLEF_SHAPE(4, 5, 5), NULL), CLEF_ERROR_SHAPE,
		      "layer \"conv\" (conv2d), x [1, 4, 5, 5]: ");
	ck_null_fails(clef_sequential_new(test_device, &pool, 1, CLEF_SHAPE(4, 5, 5), NULL), CLEF_ERROR_INVALID,
		      "layer 0 (relu) takes no .kernel");
	ck_fails(clef_layers_parse("conv2d(8)", &layers, &count), CLEF_ERROR_INVALID, "a number is missing");
	ck_fails(clef_layers_parse("max_pool2d(2, pad=-1)", &layers, &count), CLEF_ERROR_INVALID,
		 "a whole number from 0 to 2147483647 was expected");
}
END_TEST

Suite *vision_suite(void)
{
	Suite *s = suite_create("vision");
	TCase *c = tcase_create("vision");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, names_and_buffers);
	tcase_add_test(c, training_and_evaluation);
	tcase_add_test(c, module_overfits);
	tcase_add_test(c, sequential_overfits);
	tcase_add_test(c, buffer_and_mode);
	tcase_add_test(c, dots_in_names);
	tcase_add_test(c, errors);
	suite_add_tcase(s, c);
	return s;
}
