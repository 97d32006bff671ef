/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models as functions, and their layers. The three ways of writing a model are compared with each other to
 * the bit; what a layer computes is for the tests of the operations.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

/* ---- the three ways ---- */

static clef_tensor *mlp_module(clef_module *m, clef_tensor *x)
{
	x = clef_tanh(clef_nn_linear(m, "0", clef_flatten(x), 16, NULL));
	x = clef_nn_prelu(m, "2", clef_nn_linear(m, "1", x, 7, &(clef_linear_opts){ .no_bias = true }), NULL);
	return clef_nn_linear(m, "3", x, 3, NULL);
}

static const clef_layer mlp_layers[] = {
	{ .kind = CLEF_FLATTEN }, { CLEF_LINEAR, .out = 16 },
	{ .kind = CLEF_TANH },    { CLEF_LINEAR, .out = 7, .no_bias = true },
	{ .kind = CLEF_PRELU },   { CLEF_LINEAR, .out = 3 },
};

enum { W1, B1, W2, SLOPE, W3, B3, MLP_COUNT };

static clef_params *mlp_params(clef_tensor *w[MLP_COUNT], uint64_t seed)
{
	clef_init kaiming = { .kind = CLEF_INIT_KAIMING_UNIFORM, .kaiming = { .a = sqrtf(5) } };
	clef_init bias1 = { .kind = CLEF_INIT_UNIFORM, .p = -0.25f, .q = 0.25f };
	clef_init bias3 = { .kind = CLEF_INIT_UNIFORM, .q = (float)(1 / sqrt(7)) };
	clef_init slope = { .kind = CLEF_INIT_CONSTANT, .p = 0.25f };
	clef_params *p = ck_new(clef_params_new(test_device));

	bias3.p = -bias3.q;
	w[W1] = ck_new(clef_params_add(p, "0.weight", CLEF_SHAPE(16, 16), &kaiming));
	w[B1] = ck_new(clef_params_add(p, "0.bias", CLEF_SHAPE(16), &bias1));
	w[W2] = ck_new(clef_params_add(p, "1.weight", CLEF_SHAPE(7, 16), &kaiming));
	w[SLOPE] = ck_new(clef_params_add(p, "2.weight", CLEF_SHAPE(1), &slope));
	w[W3] = ck_new(clef_params_add(p, "3.weight", CLEF_SHAPE(3, 7), &kaiming));
	w[B3] = ck_new(clef_params_add(p, "3.bias", CLEF_SHAPE(3), &bias3));
	ck_ok(clef_params_commit(p, &(clef_rng){ .seed = seed }));
	return p;
}

static clef_tensor *mlp_barebones(clef_tensor *x, clef_tensor *const *w)
{
	x = clef_tanh(clef_linear(clef_flatten(x), w[W1], w[B1]));
	x = clef_prelu(clef_linear_no_bias(x, w[W2]), w[SLOPE]);
	return clef_linear(x, w[W3], w[B3]);
}

START_TEST(test_three_ways)
{
	static const char *const names[] = { "1.weight", "1.bias", "3.weight", "4.weight", "5.weight", "5.bias" };
	clef_shape sample = CLEF_SHAPE(1, 4, 4);
	clef_model_opts opts = { .seed = 11 };
	clef_tensor *w[MLP_COUNT], *x, *y;
	clef_params *p = mlp_params(w, 11);
	clef_model *module = ck_new(clef_model_new(test_device, mlp_module, sample, &opts));
	clef_model *net = ck_new(clef_sequential_new(test_device, mlp_layers, CLEF_COUNT(mlp_layers), sample, &opts));

	ck_assert_int_eq(clef_params_count(clef_model_params(module)), MLP_COUNT);
	ck_assert_int_eq(clef_params_count(clef_model_params(net)), MLP_COUNT);
	for (int i = 0; i < MLP_COUNT; i++) {
		ck_assert_str_eq(clef_params_name(clef_model_params(module), i), clef_params_name(p, i));
		ck_assert_str_eq(clef_params_name(clef_model_params(net), i), names[i]);
		nn_check_same(clef_params_get(clef_model_params(module), i), w[i]);
		nn_check_same(clef_params_get(clef_model_params(net), i), w[i]);
	}
	ck_assert(clef_shape_equal(clef_model_output(module), CLEF_SHAPE(3)));
	ck_assert(clef_shape_equal(clef_model_output(net), CLEF_SHAPE(3)));
	for (int batch = 0; batch < 8; batch += 5) {
		ck_ok(clef_tape_begin(nn_tape));
		x = nn_input(batch, sample);
		y = ck_new(mlp_barebones(x, w));
		ck_assert(nn_shape_is(y, CLEF_SHAPE(batch, 3)));
		nn_check_same(clef_model_forward(module, x), y);
		nn_check_same(clef_model_forward(net, x), y);
	}
	clef_model_free(module);
	clef_model_free(net);
	clef_params_free(p);
}
END_TEST

START_TEST(test_seeds)
{
	clef_model *models[3];

	for (int i = 0; i < 3; i++)
		models[i] = ck_new(clef_model_new(test_device, mlp_module, CLEF_SHAPE(16),
						  &(clef_model_opts){ .seed = i == 2 ? 6 : 5 }));
	for (int i = 0; i < MLP_COUNT; i++)
		nn_check_same(clef_params_get(clef_model_params(models[0]), i),
			      clef_params_get(clef_model_params(models[1]), i));
	float *a = nn_values(clef_params_get(clef_model_params(models[0]), 0));
	float *b = nn_values(clef_params_get(clef_model_params(models[2]), 0));
	int same = 0;

	for (int i = 0; i < 256; i++)
		same += a[i] <= b[i] && a[i] >= b[i];
	ck_assert_int_le(same, 2);
	free(a);
	free(b);
	for (int i = 0; i < 3; i++)
		clef_model_free(models[i]);
}
END_TEST

/* ---- initialization ---- */

static clef_tensor *one_linear(clef_module *m, clef_tensor *x)
{
	return clef_nn_linear(m, "fc", x, 300, clef_module_user(m));
}

/* Mean, standard deviation and largest magnitude. */
static void statistics(const clef_tensor *x, double *mean, double *std, double *largest)
{
	int64_t n = clef_tensor_numel(x);
	float *v = nn_values(x);
	double sum = 0, squares = 0;

	*largest = 0;
	for (int64_t i = 0; i < n; i++) {
		sum += (double)v[i];
		squares += (double)v[i] * (double)v[i];
		*largest = fmax(*largest, fabs((double)v[i]));
	}
	*mean = sum / (double)n;
	*std = sqrt(squares / (double)n - *mean * *mean);
	free(v);
}

/* PyTorch: both U(-1/sqrt(in), 1/sqrt(in)), 120,000 weights and 300 biases. */
START_TEST(test_default_init)
{
	clef_model *model = ck_new(clef_model_new(test_device, one_linear, CLEF_SHAPE(400), NULL));
	double bound = 1 / sqrt(400), mean, std, largest;

	statistics(clef_params_find(clef_model_params(model), "fc.weight"), &mean, &std, &largest);
	ck_assert_double_le(fabs(mean), 4 * bound / sqrt(3 * 120000.0));
	ck_assert_double_le(fabs(std / (bound / sqrt(3)) - 1), 0.01);
	ck_assert_double_le(largest, bound * (1 + 1e-6));
	ck_assert_double_ge(largest, bound * 0.999);
	statistics(clef_params_find(clef_model_params(model), "fc.bias"), &mean, &std, &largest);
	ck_assert_double_le(fabs(mean), 4 * bound / sqrt(3 * 300.0));
	ck_assert_double_le(fabs(std / (bound / sqrt(3)) - 1), 0.12);
	ck_assert_double_le(largest, bound * (1 + 1e-6));
	clef_model_free(model);
}
END_TEST

/* The layer's own goes before the model's, and the model's before the default. */
START_TEST(test_init_order)
{
	clef_linear_opts own = { .weight = { .kind = CLEF_INIT_NORMAL, .q = 0.02f } };
	clef_model_opts opts = { .weight = { .kind = CLEF_INIT_CONSTANT, .p = 3 },
				 .bias = { .kind = CLEF_INIT_CONSTANT, .p = -1 } };
	double mean, std, largest;

	for (int i = 0; i < 2; i++) {
		clef_model *model;

		opts.user = i ? &own : NULL;
		model = ck_new(clef_model_new(test_device, one_linear, CLEF_SHAPE(100), &opts));
		statistics(clef_params_find(clef_model_params(model), "fc.weight"), &mean, &std, &largest);
		ck_assert_double_le(fabs(mean - (i ? 0 : 3)), 0.001);
		ck_assert_double_le(fabs(std - (i ? 0.02 : 0)), 0.0004);
		statistics(clef_params_find(clef_model_params(model), "fc.bias"), &mean, &std, &largest);
		ck_assert_double_le(fabs(mean + 1) + std, 1e-6);
		clef_model_free(model);
	}
}
END_TEST

static clef_tensor *slopes(clef_module *m, clef_tensor *x)
{
	x = clef_nn_prelu(m, "default", x, NULL);
	x = clef_nn_prelu(m, "each", x, &(clef_prelu_opts){ .per_channel = true, .slope = 0.5f });
	return clef_nn_prelu(m, "zero", x, &(clef_prelu_opts){ .slope = -0.0f });
}

START_TEST(test_prelu_init)
{
	clef_model *model = ck_new(clef_model_new(test_device, slopes, CLEF_SHAPE(6, 2), NULL));
	clef_params *p = clef_model_params(model);
	double mean, std, largest;

	ck_assert(nn_shape_is(clef_params_find(p, "default.weight"), CLEF_SHAPE(1)));
	ck_assert(nn_shape_is(clef_params_find(p, "each.weight"), CLEF_SHAPE(6)));
	statistics(clef_params_get(p, 0), &mean, &std, &largest);
	ck_assert_double_eq(mean, 0.25);
	statistics(clef_params_get(p, 1), &mean, &std, &largest);
	ck_assert_double_eq(mean, 0.5);
	statistics(clef_params_get(p, 2), &mean, &std, &largest);
	ck_assert_double_eq(largest, 0);
	clef_model_free(model);
}
END_TEST

/* ---- modules ---- */

/* Shares "fc" between two calls, and has a parameter of its own and one that nothing uses. */
static clef_tensor *sharing(clef_module *m, clef_tensor *x)
{
	static const clef_init ones = { .kind = CLEF_INIT_CONSTANT, .p = 1 };
	clef_tensor *scale = clef_nn_parameter(m, "scale", CLEF_SHAPE(8), &ones);

	clef_nn_parameter(m, "spare", CLEF_SHAPE(2, 5), NULL);
	x = clef_relu(clef_nn_linear(m, "fc", x, 8, NULL));
	x = clef_nn_linear(m, "fc", clef_mul(x, scale), 8, NULL);
	return clef_nn_linear(m, "out", x, 1200, NULL);
}

START_TEST(test_sharing)
{
	clef_model *model = ck_new(clef_model_new(test_device, sharing, CLEF_SHAPE(8), NULL));
	static const char *const names[] = { "scale", "spare", "fc.weight", "fc.bias", "out.weight", "out.bias" };
	clef_params *p = clef_model_params(model);
	clef_tensor *x, *y, *w, *b;

	ck_assert_int_eq(clef_params_count(p), CLEF_COUNT(names));
	for (int i = 0; i < CLEF_COUNT(names); i++)
		ck_assert_str_eq(clef_params_name(p, i), names[i]);
	ck_ok(clef_tape_begin(nn_tape));
	x = nn_input(4, CLEF_SHAPE(8));
	w = clef_params_find(p, "fc.weight");
	b = clef_params_find(p, "fc.bias");
	y = clef_linear(clef_relu(clef_linear(x, w, b)), w, b);
	y = clef_linear(y, clef_params_find(p, "out.weight"), clef_params_find(p, "out.bias"));
	nn_check_same(clef_model_forward(model, x), y);
	clef_model_free(model);
}
END_TEST

START_TEST(test_print)
{
	clef_model *model = ck_new(clef_model_new(test_device, sharing, CLEF_SHAPE(8), NULL));
	char *text = nn_printed(model);

	ck_assert_str_eq(text, "Layer             Output shape  Parameters\n"
			       "------------------------------------------\n"
			       "input             [N, 8]                 -\n"
			       "fc (linear)       [N, 8]                72\n"
			       "relu              [N, 8]                 -\n"
			       "mul               [N, 8]                 8\n"
			       "fc (linear)       [N, 8]            shared\n"
			       "out (linear)      [N, 1200]         10,800\n"
			       "spare (not used)  -                     10\n"
			       "------------------------------------------\n"
			       "Parameters: 10,890, trainable: 10,890\n"
			       "Memory: 42.9 KiB for the parameters, as much for their gradients\n");
	free(text);
	ck_ok(clef_requires_grad(clef_params_find(clef_model_params(model), "out.weight"), false));
	text = nn_printed(model);
	ck_assert_ptr_nonnull(strstr(text, "Parameters: 10,890, trainable: 1,290\n"));
	free(text);
	ck_fails(clef_model_print(model, NULL), CLEF_ERROR_INVALID, "clef_model_print");
	ck_fails(clef_model_print(NULL, stdout), CLEF_ERROR_INVALID, "clef_model_print");
	clef_model_free(model);
}
END_TEST

/* What the forward function of the test does at its next call. */
static enum { GOOD, OTHER_WIDTH, OTHER_BIAS, NEW_LAYER, SILENT, WRONG_OUT, NO_NAME, BAD_SLOPE, NOT_ALL } mood;

static clef_tensor *moody(clef_module *m, clef_tensor *x)
{
	if (mood == SILENT)
		return NULL;
	x = clef_relu(clef_nn_linear(m, "fc1", x, mood == OTHER_WIDTH ? 9 : mood == WRONG_OUT ? 0 : 8, NULL));
	if (mood == NOT_ALL)
		return x;
	if (mood == NEW_LAYER)
		x = clef_nn_linear(m, "extra", x, 8, NULL);
	if (mood == NO_NAME)
		x = clef_nn_linear(m, NULL, x, 8, NULL);
	if (mood == BAD_SLOPE)
		x = clef_nn_prelu(m, "slope", x, &(clef_prelu_opts){ .slope = NAN });
	if (mood == OTHER_BIAS)
		return clef_nn_parameter(m, "fc2.bias", CLEF_SHAPE(4), NULL);
	return clef_nn_linear(m, "fc2", x, 3, NULL);
}

START_TEST(test_errors_after)
{
	clef_model *model;
	clef_tensor *x;

	mood = GOOD;
	model = ck_new(clef_model_new(test_device, moody, CLEF_SHAPE(5), NULL));
	ck_ok(clef_tape_begin(nn_tape));
	x = nn_input(2, CLEF_SHAPE(5));
	mood = OTHER_WIDTH;
	ck_null_fails(clef_model_forward(model, x), CLEF_ERROR_SHAPE,
		      "layer \"fc1\" (linear), x [2, 5]: parameter \"fc1.weight\" was made with shape [8, 5], but this "
		      "call needs [9, 5]");
	mood = OTHER_BIAS;
	ck_null_fails(clef_model_forward(model, x), CLEF_ERROR_SHAPE,
		      "clef_nn_parameter: parameter \"fc2.bias\" was made with shape [3], but this call needs [4]");
	mood = NEW_LAYER;
	ck_null_fails(clef_model_forward(model, x), CLEF_ERROR_STATE,
		      "layer \"extra\" (linear), x [2, 8]: parameter \"extra.weight\" [8, 8] is new");
	mood = NO_NAME;
	ck_null_fails(clef_model_forward(model, x), CLEF_ERROR_INVALID, "clef_nn_linear");
	mood = NOT_ALL;
	ck_assert(nn_shape_is(clef_model_forward(model, x), CLEF_SHAPE(2, 8)));
	mood = GOOD;
	ck_assert(nn_shape_is(clef_model_forward(model, x), CLEF_SHAPE(2, 3)));
	ck_assert_int_eq(clef_params_count(clef_model_params(model)), 4);

	/* a model's parameters stay the model's */
	clef_params_free(clef_model_params(model));
	ck_assert(nn_shape_is(clef_model_forward(model, x), CLEF_SHAPE(2, 3)));
	clef_model_free(model);
}
END_TEST

START_TEST(test_errors_at_creation)
{
	clef_shape eight = { 8, { 1, 1, 1, 1, 1, 1, 1, 1 } };

	mood = SILENT;
	clef_error_clear();
	ck_null_fails(clef_model_new(test_device, moody, CLEF_SHAPE(5), NULL), CLEF_ERROR_INVALID,
		      "the forward function returned NULL for x [1, 5]");
	mood = WRONG_OUT;
	ck_null_fails(clef_model_new(test_device, moody, CLEF_SHAPE(5), NULL), CLEF_ERROR_INVALID,
		      "layer \"fc1\" (linear), x [1, 5]: out is 0");
	mood = BAD_SLOPE;
	ck_null_fails(clef_model_new(test_device, moody, CLEF_SHAPE(5), NULL), CLEF_ERROR_INVALID,
		      "layer \"slope\" (prelu), x [1, 8]: slope is nan");
	mood = GOOD;
	ck_null_fails(clef_model_new(NULL, moody, CLEF_SHAPE(5), NULL), CLEF_ERROR_INVALID, "clef_model_new");
	ck_null_fails(clef_model_new(test_device, NULL, CLEF_SHAPE(5), NULL), CLEF_ERROR_INVALID, "clef_model_new");
	ck_null_fails(clef_model_new(test_device, moody, CLEF_SHAPE(5, -1), NULL), CLEF_ERROR_SHAPE, "[5, -1]");
	ck_null_fails(clef_model_new(test_device, moody, eight, NULL), CLEF_ERROR_SHAPE, "0 to 7 dimensions");
	ck_null_fails(clef_model_new(test_device, moody, CLEF_SHAPE(5, 0), NULL), CLEF_ERROR_SHAPE,
		      "layer \"fc1\" (linear), x [1, 5, 0]: the last dimension of x must be 1 or more");
	ck_null_fails(clef_model_new(test_device, moody, CLEF_SHAPE(5),
				     &(clef_model_opts){ .bias = { .kind = CLEF_INIT_XAVIER_NORMAL } }),
		      CLEF_ERROR_SHAPE, "parameter \"fc1.bias\" [8]");
	clef_model_free(NULL);
}
END_TEST

START_TEST(test_input_errors)
{
	clef_model *model;
	clef_tensor *x;
	int32_t labels[5] = { 0 };

	mood = GOOD;
	model = ck_new(clef_model_new(test_device, moody, CLEF_SHAPE(5), NULL));
	ck_ok(clef_tape_begin(nn_tape));
	ck_null_fails(clef_model_forward(model, nn_input(2, CLEF_SHAPE(6))), CLEF_ERROR_SHAPE,
		      "clef_model_forward: x is [2, 6], but the model was made for [N, 5]");
	ck_null_fails(clef_model_forward(model, nn_input(2, CLEF_SHAPE(1, 5))), CLEF_ERROR_SHAPE, "[2, 1, 5]");
	x = ck_new(clef_input(nn_tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(1, 5), labels }));
	ck_null_fails(clef_model_forward(model, x), CLEF_ERROR_DTYPE, "x is int32");
	ck_null_fails(clef_model_forward(NULL, x), CLEF_ERROR_INVALID, "clef_model_forward");
	ck_null_fails(clef_relu(clef_model_forward(model, nn_input(2, CLEF_SHAPE(7)))), CLEF_ERROR_SHAPE, "[2, 7]");
	ck_null_fails(clef_model_params(NULL), CLEF_ERROR_INVALID, "clef_model_params");
	clef_model_free(model);
}
END_TEST

/* A recording of the user's stays the one that operations on leaves go to. */
START_TEST(test_recording_stays)
{
	clef_tensor *leaf, *y;
	clef_model *model;
	float one = 1;

	mood = GOOD;
	leaf = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(1), &one }));
	ck_ok(clef_tape_begin(nn_tape));
	model = ck_new(clef_model_new(test_device, moody, CLEF_SHAPE(5), NULL));
	y = ck_new(clef_add(leaf, leaf));
	ck_assert_double_eq(clef_item(y), 2);
	clef_model_free(model);
	clef_tensor_free(leaf);
}
END_TEST

Suite *nn_suite(void)
{
	Suite *s = suite_create("nn");
	TCase *c = nn_add_case(s, "models");

	tcase_add_test(c, test_three_ways);
	tcase_add_test(c, test_seeds);
	tcase_add_test(c, test_default_init);
	tcase_add_test(c, test_init_order);
	tcase_add_test(c, test_prelu_init);
	tcase_add_test(c, test_sharing);
	tcase_add_test(c, test_print);
	tcase_add_test(c, test_errors_after);
	tcase_add_test(c, test_errors_at_creation);
	tcase_add_test(c, test_input_errors);
	tcase_add_test(c, test_recording_stays);
	return s;
}
