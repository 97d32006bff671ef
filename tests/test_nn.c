/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters, models and layers. The three ways of writing a model are compared with each other to the bit; what a
 * layer computes is for the tests of the operations. Model strings have a table of those to accept, with the layers
 * that they must give, and one of those to refuse, with a part of the message.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"

static clef_tape *tape;

static void setup(void)
{
	device_setup();
	tape = ck_new(clef_tape_new(test_device));
}

static void teardown(void)
{
	clef_tape_free(tape);
	device_teardown();
}

/* The values of a tensor; free them with free(). */
static float *values(const clef_tensor *x)
{
	size_t bytes = (size_t)clef_tensor_numel(x) * sizeof(float);
	float *v = ck_new(malloc(bytes ? bytes : 1));

	ck_ok(clef_read(x, v, bytes));
	return v;
}

static void check_same(const clef_tensor *a, const clef_tensor *b)
{
	float *u, *v;

	ck_assert(clef_shape_equal(clef_tensor_shape(a), clef_tensor_shape(b)));
	u = values(a);
	v = values(b);
	ck_assert_mem_eq(u, v, (size_t)clef_tensor_numel(a) * sizeof(float));
	free(u);
	free(v);
}

/* A fixed input [batch, sample...] with values in [-1, 1). */
static clef_tensor *input(int64_t batch, clef_shape sample)
{
	clef_array a = { .dtype = CLEF_FLOAT32, .shape = { .ndim = sample.ndim + 1, .dim = { batch } } };
	clef_tensor *x;
	float *v;
	int64_t n;

	for (int i = 0; i < sample.ndim; i++)
		a.shape.dim[i + 1] = sample.dim[i];
	n = clef_shape_numel(a.shape);
	a.data = v = ck_new(calloc((size_t)n + 1, sizeof(float)));
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)((i * 37 + 11) % 64) / 32.0f - 1.0f;
	x = ck_new(clef_input(tape, &a));
	free(v);
	return x;
}

static bool shape_is(const clef_tensor *x, clef_shape shape)
{
	return clef_shape_equal(clef_tensor_shape(x), shape);
}

/* ---- parameters ---- */

START_TEST(test_params)
{
	static const clef_init two = { .kind = CLEF_INIT_CONSTANT, .p = 2 };
	clef_params *p = ck_new(clef_params_new(test_device));
	clef_rng rng = { .seed = 3, .counter = 10 };
	clef_tensor *a, *b, *c;
	float *v;

	a = ck_new(clef_params_add(p, "a", CLEF_SHAPE(3, 5), NULL));
	b = ck_new(clef_params_add(p, "b", CLEF_SHAPE(33), &two));
	c = ck_new(clef_params_add(p, "c", CLEF_SCALAR, &(clef_init){ .kind = CLEF_INIT_NORMAL }));
	ck_assert(shape_is(a, CLEF_SHAPE(3, 5)));
	ck_ok(clef_params_commit(p, &rng));
	ck_assert_uint_eq(rng.counter, 13);
	ck_assert_int_eq(clef_params_count(p), 3);
	ck_assert_int_eq(clef_params_numel(p), 15 + 33 + 1);
	ck_assert_ptr_eq(clef_params_get(p, 1), b);
	ck_assert_str_eq(clef_params_name(p, 2), "c");
	ck_assert_ptr_eq(clef_params_find(p, "c"), c);
	v = values(a);
	for (int i = 0; i < 15; i++)
		ck_assert_float_eq(v[i], 0);
	free(v);
	v = values(b);
	for (int i = 0; i < 33; i++)
		ck_assert_float_eq(v[i], 2);
	free(v);
	clef_params_free(p);
	clef_params_free(NULL);
}
END_TEST

/* Parameter i is draw i, also behind constants: what stands in one place does not depend on the other places. */
START_TEST(test_params_draws)
{
	static const clef_init normal = { .kind = CLEF_INIT_NORMAL };
	clef_rng rng = { .seed = 3, .counter = 7 };
	clef_params *p = ck_new(clef_params_new(test_device));
	float want[40];
	clef_tensor *w;
	float *v;

	ck_new(clef_params_add(p, "zeros", CLEF_SHAPE(8), NULL));
	w = ck_new(clef_params_add(p, "w", CLEF_SHAPE(40), &normal));
	ck_ok(clef_params_commit(p, &rng));
	clef_rng_normal(&(clef_rng){ .seed = 3, .counter = 8 }, want, 40);
	v = values(w);
	ck_assert_mem_eq(v, want, sizeof(want));
	free(v);
	clef_params_free(p);
}
END_TEST

START_TEST(test_params_errors)
{
	static const clef_init xavier = { .kind = CLEF_INIT_XAVIER_UNIFORM };
	clef_params *p = ck_new(clef_params_new(test_device)), *q = ck_new(clef_params_new(test_device));
	clef_rng rng = { .seed = 1, .counter = 5 };

	ck_null_fails(clef_params_new(NULL), CLEF_ERROR_INVALID, "clef_params_new");
	ck_new(clef_params_add(p, "w", CLEF_SHAPE(2, 3), NULL));
	ck_null_fails(clef_params_add(p, "w", CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID,
		      "\"w\" already, of shape [2, 3]");
	ck_null_fails(clef_params_add(p, "", CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID, "empty");
	ck_null_fails(clef_params_add(p, NULL, CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID, "NULL");
	ck_null_fails(clef_params_add(p, "x", CLEF_SHAPE(4, -1), NULL), CLEF_ERROR_SHAPE, "\"x\": [4, -1]");
	ck_null_fails(clef_params_add(p, "x", CLEF_SHAPE(INT32_MAX), NULL), CLEF_ERROR_SHAPE, "2^31 - 1 values");
	ck_null_fails(clef_params_find(p, "nope"), CLEF_ERROR_INVALID, "no parameter \"nope\"; there are 1: w");
	ck_null_fails(clef_params_get(p, 1), CLEF_ERROR_INVALID, "no parameter 1");
	ck_null_fails(clef_params_get(p, -1), CLEF_ERROR_INVALID, "no parameter -1");
	ck_null_fails(clef_params_name(p, 1), CLEF_ERROR_INVALID, "the set has 1");
	ck_fails(clef_params_commit(p, NULL), CLEF_ERROR_INVALID, "NULL");
	ck_ok(clef_params_commit(p, &rng));
	ck_fails(clef_params_commit(p, &rng), CLEF_ERROR_STATE, "already");
	ck_null_fails(clef_params_add(p, "v", CLEF_SHAPE(4), NULL), CLEF_ERROR_STATE, "\"v\"");
	clef_params_free(p);

	/* xavier needs two dimensions */
	rng.counter = 5;
	ck_new(clef_params_add(q, "good", CLEF_SHAPE(4, 4), &xavier));
	ck_new(clef_params_add(q, "vector", CLEF_SHAPE(4), &xavier));
	ck_fails(clef_params_commit(q, &rng), CLEF_ERROR_SHAPE, "parameter \"vector\" [4]: ");
	ck_assert_uint_eq(rng.counter, 5);
	clef_params_free(q);
}
END_TEST

START_TEST(test_params_empty)
{
	clef_params *p = ck_new(clef_params_new(test_device));

	ck_new(clef_params_add(p, "none", CLEF_SHAPE(0, 4), NULL));
	ck_new(clef_params_add(p, "one", CLEF_SHAPE(1), NULL));
	ck_ok(clef_params_commit(p, &(clef_rng){ .seed = 1 }));
	ck_assert_int_eq(clef_params_numel(p), 1);
	clef_params_free(p);
	ck_assert_int_eq(clef_params_count(NULL), 0);
	ck_assert_int_eq(clef_params_numel(NULL), 0);
}
END_TEST

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
		check_same(clef_params_get(clef_model_params(module), i), w[i]);
		check_same(clef_params_get(clef_model_params(net), i), w[i]);
	}
	ck_assert(clef_shape_equal(clef_model_output(module), CLEF_SHAPE(3)));
	ck_assert(clef_shape_equal(clef_model_output(net), CLEF_SHAPE(3)));
	for (int batch = 0; batch < 8; batch += 5) {
		ck_ok(clef_tape_begin(tape));
		x = input(batch, sample);
		y = ck_new(mlp_barebones(x, w));
		ck_assert(shape_is(y, CLEF_SHAPE(batch, 3)));
		check_same(clef_model_forward(module, x), y);
		check_same(clef_model_forward(net, x), y);
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
		check_same(clef_params_get(clef_model_params(models[0]), i),
			   clef_params_get(clef_model_params(models[1]), i));
	float *a = values(clef_params_get(clef_model_params(models[0]), 0));
	float *b = values(clef_params_get(clef_model_params(models[2]), 0));
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
	float *v = values(x);
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

	ck_assert(shape_is(clef_params_find(p, "default.weight"), CLEF_SHAPE(1)));
	ck_assert(shape_is(clef_params_find(p, "each.weight"), CLEF_SHAPE(6)));
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
	ck_ok(clef_tape_begin(tape));
	x = input(4, CLEF_SHAPE(8));
	w = clef_params_find(p, "fc.weight");
	b = clef_params_find(p, "fc.bias");
	y = clef_linear(clef_relu(clef_linear(x, w, b)), w, b);
	y = clef_linear(y, clef_params_find(p, "out.weight"), clef_params_find(p, "out.bias"));
	check_same(clef_model_forward(model, x), y);
	clef_model_free(model);
}
END_TEST

static char *printed(const clef_model *model)
{
	FILE *file = ck_new(tmpfile());
	char *text = ck_new(calloc(1, 8192));

	ck_ok(clef_model_print(model, file));
	rewind(file);
	ck_assert_uint_gt(fread(text, 1, 8191, file), 0);
	fclose(file);
	return text;
}

START_TEST(test_print)
{
	clef_model *model = ck_new(clef_model_new(test_device, sharing, CLEF_SHAPE(8), NULL));
	char *text = printed(model);

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
	text = printed(model);
	ck_assert_ptr_nonnull(strstr(text, "Parameters: 10,890, trainable: 1,290\n"));
	free(text);
	ck_fails(clef_model_print(model, NULL), CLEF_ERROR_INVALID, "clef_model_print");
	ck_fails(clef_model_print(NULL, stdout), CLEF_ERROR_INVALID, "clef_model_print");
	clef_model_free(model);
}
END_TEST

START_TEST(test_print_sequential)
{
	clef_model *model =
		ck_new(clef_sequential_new(test_device, mlp_layers, CLEF_COUNT(mlp_layers), CLEF_SHAPE(1, 4, 4), NULL));
	char *text = printed(model);

	ck_assert_str_eq(text, "Layer        Output shape  Parameters\n"
			       "-------------------------------------\n"
			       "input        [N, 1, 4, 4]           -\n"
			       "0 (flatten)  [N, 16]                -\n"
			       "1 (linear)   [N, 16]              272\n"
			       "2 (tanh)     [N, 16]                -\n"
			       "3 (linear)   [N, 7]               112\n"
			       "4 (prelu)    [N, 7]                 1\n"
			       "5 (linear)   [N, 3]                24\n"
			       "-------------------------------------\n"
			       "Parameters: 409, trainable: 409\n"
			       "Memory: 2.0 KiB for the parameters, as much for their gradients\n");
	free(text);
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
	ck_ok(clef_tape_begin(tape));
	x = input(2, CLEF_SHAPE(5));
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
	ck_assert(shape_is(clef_model_forward(model, x), CLEF_SHAPE(2, 8)));
	mood = GOOD;
	ck_assert(shape_is(clef_model_forward(model, x), CLEF_SHAPE(2, 3)));
	ck_assert_int_eq(clef_params_count(clef_model_params(model)), 4);

	/* a model's parameters stay the model's */
	clef_params_free(clef_model_params(model));
	ck_assert(shape_is(clef_model_forward(model, x), CLEF_SHAPE(2, 3)));
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
	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_model_forward(model, input(2, CLEF_SHAPE(6))), CLEF_ERROR_SHAPE,
		      "clef_model_forward: x is [2, 6], but the model was made for [N, 5]");
	ck_null_fails(clef_model_forward(model, input(2, CLEF_SHAPE(1, 5))), CLEF_ERROR_SHAPE, "[2, 1, 5]");
	x = ck_new(clef_input(tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(1, 5), labels }));
	ck_null_fails(clef_model_forward(model, x), CLEF_ERROR_DTYPE, "x is int32");
	ck_null_fails(clef_model_forward(NULL, x), CLEF_ERROR_INVALID, "clef_model_forward");
	ck_null_fails(clef_relu(clef_model_forward(model, input(2, CLEF_SHAPE(7)))), CLEF_ERROR_SHAPE, "[2, 7]");
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
	ck_ok(clef_tape_begin(tape));
	model = ck_new(clef_model_new(test_device, moody, CLEF_SHAPE(5), NULL));
	y = ck_new(clef_add(leaf, leaf));
	ck_assert_double_eq(clef_item(y), 2);
	clef_model_free(model);
	clef_tensor_free(leaf);
}
END_TEST

/* ---- sequential ---- */

START_TEST(test_sequential_errors)
{
	static const struct {
		clef_layer layer;
		const char *message;
	} cases[] = {
		{ { CLEF_LAYER_NONE, .out = 0 }, "layer 1 has no kind" },
		{ { CLEF_LAYER_KINDS, .out = 0 }, "layer 1 is of kind" },
		{ { CLEF_LINEAR, .out = 0 }, "layer \"1\" (linear), x [1, 4]: out is 0" },
		{ { CLEF_LINEAR, .out = -3 }, "out is -3" },
		{ { CLEF_LINEAR, .out = 3, .p = 1 }, "layer 1 (linear) takes no .p" },
		{ { CLEF_RELU, .out = 10 }, "layer 1 (relu) takes no .out" },
		{ { CLEF_LEAKY_RELU, .q = 1 }, "layer 1 (leaky_relu) takes no .q" },
		{ { CLEF_FLATTEN, .no_bias = true }, "layer 1 (flatten) takes no .no_bias" },
		{ { CLEF_TANH, .weight = { .kind = CLEF_INIT_NORMAL } }, "layer 1 (tanh) takes no .weight" },
		{ { CLEF_PRELU, .bias = { .kind = CLEF_INIT_NORMAL } }, "layer 1 (prelu) takes no .bias" },
	};
	clef_layer layers[2] = { { .kind = CLEF_RELU } };

	for (int i = 0; i < CLEF_COUNT(cases); i++) {
		layers[1] = cases[i].layer;
		ck_null_fails(clef_sequential_new(test_device, layers, 2, CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID,
			      cases[i].message);
	}
	ck_null_fails(clef_sequential_new(test_device, layers, 0, CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID, "count");
	ck_null_fails(clef_sequential_new(test_device, NULL, 1, CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID, "NULL");
	ck_null_fails(clef_sequential_new(NULL, layers, 1, CLEF_SHAPE(4), NULL), CLEF_ERROR_INVALID, "NULL");
	ck_null_fails(clef_sequential_new(test_device, layers, 1, CLEF_SHAPE(-4), NULL), CLEF_ERROR_SHAPE,
		      "clef_sequential_new: input [-4]");
}
END_TEST

/* Every kind with one row, and with the parameters that its row in pointwise.def gives as defaults. */
static clef_tensor *by_hand(clef_layer_kind kind, clef_tensor *x)
{
	switch (kind) {
#define CLEF_UNARY0(name, NAME, value, gradient)                                                                       \
	case CLEF_##NAME:                                                                                              \
		return clef_##name(x);
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)                                                         \
	case CLEF_##NAME:                                                                                              \
		return clef_##name(x, p_default);
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient)                                           \
	case CLEF_##NAME:                                                                                              \
		return clef_##name(x, p_default, q_default);
#include <clef/pointwise.def>
	case CLEF_FLATTEN:
		return clef_flatten(x);
	default:
		return NULL;
	}
}

START_TEST(test_pointwise_layers)
{
	clef_shape sample = CLEF_SHAPE(2, 3);
	int kinds = 0;

	for (int kind = CLEF_FLATTEN; kind < CLEF_LAYER_KINDS; kind += test_small() ? 9 : 1) {
		clef_layer layer = { .kind = (clef_layer_kind)kind };
		clef_model *model;
		clef_tensor *x;

		if (kind == CLEF_PRELU)
			continue;
		model = ck_new(clef_sequential_new(test_device, &layer, 1, sample, NULL));
		ck_ok(clef_tape_begin(tape));
		x = input(4, sample);
		check_same(clef_model_forward(model, x), by_hand(layer.kind, x));
		ck_assert_int_eq(clef_params_count(clef_model_params(model)), 0);
		clef_model_free(model);
		kinds++;
	}
	ck_assert_int_ge(kinds, 3);
}
END_TEST

START_TEST(test_pointwise_numbers)
{
	static const clef_layer layers[] = {
		{ CLEF_LEAKY_RELU, .p = 0.5f },
		{ CLEF_LEAKY_RELU, .p = -0.0f },
		{ CLEF_HARDTANH, .p = -0.5f, .q = 0.25f },
		{ CLEF_HARDTANH, .q = 0.25f },
		{ CLEF_CLAMP, .p = -0.0f },
	};
	clef_tensor *x, *want[CLEF_COUNT(layers)];
	clef_shape sample = CLEF_SHAPE(6);

	ck_ok(clef_tape_begin(tape));
	x = input(4, sample);
	want[0] = clef_leaky_relu(x, 0.5f);
	want[1] = clef_leaky_relu(x, 0);
	want[2] = clef_hardtanh(x, -0.5f, 0.25f);
	want[3] = clef_hardtanh(x, 0, 0.25f);
	want[4] = clef_clamp(x, 0, 0);
	for (int i = 0; i < CLEF_COUNT(layers); i++) {
		clef_model *model = ck_new(clef_sequential_new(test_device, &layers[i], 1, sample, NULL));

		check_same(clef_model_forward(model, x), want[i]);
		clef_model_free(model);
	}
}
END_TEST

START_TEST(test_layer_names)
{
	ck_assert_str_eq(clef_layer_name(CLEF_LINEAR), "linear");
	ck_assert_str_eq(clef_layer_name(CLEF_GELU_TANH), "gelu_tanh");
	ck_assert_str_eq(clef_layer_name(CLEF_LAYER_NONE), "layer?");
	ck_assert_str_eq(clef_layer_name(CLEF_LAYER_KINDS), "layer?");
	ck_assert_str_eq(clef_layer_name((clef_layer_kind)-1), "layer?");
}
END_TEST

/* ---- model strings ---- */

#define INFINITE ((float)INFINITY)

static const struct {
	const char *text;
	clef_layer layers[4];
} accepted[] = {
	{ "relu", { { .kind = CLEF_RELU } } },
	{ "flatten linear(256) relu linear(10)",
	  { { .kind = CLEF_FLATTEN },
	    { CLEF_LINEAR, .out = 256 },
	    { .kind = CLEF_RELU },
	    { CLEF_LINEAR, .out = 10 } } },
	{ " flatten->linear( 256 , no_bias )->gelu_tanh ,tanh,\n",
	  { { .kind = CLEF_FLATTEN },
	    { CLEF_LINEAR, .out = 256, .no_bias = true },
	    { .kind = CLEF_GELU_TANH },
	    { .kind = CLEF_TANH } } },
	{ "linear(no_bias, 3)", { { CLEF_LINEAR, .out = 3, .no_bias = true } } },
	{ "linear (out=2147483647)", { { CLEF_LINEAR, .out = 2147483647 } } },
	{ "leaky_relu leaky_relu() leaky_relu(0.2)relu",
	  { { .kind = CLEF_LEAKY_RELU },
	    { .kind = CLEF_LEAKY_RELU },
	    { CLEF_LEAKY_RELU, .p = 0.2f },
	    { .kind = CLEF_RELU } } },
	{ "leaky_relu(0)", { { CLEF_LEAKY_RELU, .p = -0.0f } } },
	{ "hardtanh(-2, 2)", { { CLEF_HARDTANH, .p = -2, .q = 2 } } },
	{ "hardtanh(-2) hardtanh(0,6)", { { CLEF_HARDTANH, .p = -2, .q = 1 }, { CLEF_HARDTANH, .p = 0, .q = 6 } } },
	{ "softplus(2)", { { CLEF_SOFTPLUS, .p = 2, .q = 20 } } },
	{ "softplus(threshold=10)", { { CLEF_SOFTPLUS, .p = 1, .q = 10 } } },
	{ "clamp(-inf, 1e-1) clamp(0, 0)",
	  { { CLEF_CLAMP, .p = -INFINITE, .q = 0.1f }, { CLEF_CLAMP, .p = -0.0f, .q = 0 } } },
	{ "clamp(max=+.5)", { { CLEF_CLAMP, .p = -INFINITE, .q = 0.5f } } },
	{ "prelu prelu(0.5)", { { .kind = CLEF_PRELU }, { CLEF_PRELU, .p = 0.5f } } },
};

static bool same_float(float a, float b)
{
	return !memcmp(&a, &b, sizeof(a));
}

START_TEST(test_parse)
{
	const clef_layer *want = accepted[_i].layers;
	clef_layer *got;
	int count;

	ck_ok(clef_layers_parse(accepted[_i].text, &got, &count));
	ck_assert_int_le(count, 4);
	for (int i = 0; i < count; i++) {
		ck_assert_msg(got[i].kind == want[i].kind, "layer %d is %s", i, clef_layer_name(got[i].kind));
		ck_assert_int_eq(got[i].out, want[i].out);
		ck_assert_msg(same_float(got[i].p, want[i].p), "layer %d: p is %g", i, (double)got[i].p);
		ck_assert_msg(same_float(got[i].q, want[i].q), "layer %d: q is %g", i, (double)got[i].q);
		ck_assert_int_eq(got[i].no_bias, want[i].no_bias);
	}
	ck_assert(count == 4 || !want[count].kind);
	free(got);
}
END_TEST

static const struct {
	const char *text, *message;
} refused[] = {
	{ "", "has no layers" },
	{ " ,-> ", "has no layers" },
	{ "flatten rleu",
	  "unknown layer \"rleu\" at character 9; did you mean \"relu\"?; known are linear, flatten, " },
	{ "ReLU", "did you mean \"relu\"?" },
	{ "Linear(3)", "did you mean \"linear\"?" },
	{ "linaer(3)", "did you mean \"linear\"?" },
	{ "zzzzzzzzzzzz", "unknown layer \"zzzzzzzzzzzz\" at character 1; known are" },
	{ "relu(1)", "\"1\" at character 6: one value too many, or an unknown word; allowed is relu" },
	{ "leaky_relu(0.1, 0.2)", "\"0.2\" at character 17: one value too many" },
	{ "leaky_relu(x)", "\"x\" at character 12: a number was expected; allowed is leaky_relu(negative_slope)" },
	{ "leaky_relu(nan)", "a number was expected" },
	{ "leaky_relu(1e39)", "does not fit a float" },
	{ "leaky_relu(1e999)", "does not fit a float" },
	{ "leaky_relu(0.1", "no closing bracket: expected ',' or ')' at character 15" },
	{ "leaky_relu(0.1 0.2)", "expected ',' or ')' at character 16" },
	{ "leaky_relu(0.1,)", "a value was expected" },
	{ "leaky_relu(slope=1)", "\"slope\" at character 12: this takes no value of that name" },
	{ "leaky_relu(negative_slope=)", "a number was expected" },
	{ "hardtanh(1, min_val=2)", "\"min_val\" at character 13: given twice" },
	{ "linear", "\"linear\" at character 1: a number is missing; allowed is linear(out, no_bias)" },
	{ "linear(no_bias)", "a number is missing" },
	{ "linear(10, no_bias, no_bias)", "given twice" },
	{ "linear(10, no_bias=1)", "takes no value of that name" },
	{ "linear(0)", "\"0\" at character 8: a whole number from 1 to 2147483647" },
	{ "linear(-4)", "a whole number" },
	{ "linear(2.5)", "a whole number" },
	{ "linear(2147483648)", "a whole number" },
	{ "linear(99999999999999999999)", "a whole number" },
	{ "linear(10))", "\")\" at character 11: the name of a layer was expected" },
	{ "relu - relu", "\"-\" at character 6" },
	{ "relu; relu", "\";\" at character 5" },
	{ "leaky_relu(0.00000000000000000000000000000000000000000000000000000000000000001)", "a number was expected" },
};

START_TEST(test_parse_errors)
{
	clef_layer *layers = (clef_layer *)&layers;
	int count = 7;

	ck_fails(clef_layers_parse(refused[_i].text, &layers, &count), CLEF_ERROR_INVALID, refused[_i].message);
	ck_assert_ptr_null(layers);
	ck_assert_int_eq(count, 0);
}
END_TEST

/* Random strings of pieces of the language: no crash, and layers if and only if it is right. */
START_TEST(test_parse_random)
{
	static const char *const pieces[] = { "linear",  "relu", "leaky_relu", "(",  ")",  ",",   "->", " ",
					      "no_bias", "=",    "0.5",        "10", "-2", "out", "x",  "-" };
	uint64_t seed = 1;
	int good = 0, rounds = 20000;

	for (int round = 0; round < rounds; round++) {
		char text[256] = "";
		clef_layer *layers;
		clef_status s;
		int count;

		for (int i = 0; i < 8; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			strcat(text, pieces[(seed >> 33) % CLEF_COUNT(pieces)]);
			if (seed >> 63)
				break;
		}
		s = clef_layers_parse(text, &layers, &count);
		ck_assert_msg(s ? s == CLEF_ERROR_INVALID && !layers && !count : layers && count > 0, "\"%s\"", text);
		good += !s;
		free(layers);
	}
	ck_assert_int_gt(good, rounds / 100);
	ck_assert_int_lt(good, rounds / 2);
}
END_TEST

START_TEST(test_parse_null)
{
	clef_layer *layers;
	int count;

	ck_fails(clef_layers_parse(NULL, &layers, &count), CLEF_ERROR_INVALID, "clef_layers_parse");
	ck_fails(clef_layers_parse("relu", NULL, &count), CLEF_ERROR_INVALID, "clef_layers_parse");
	ck_fails(clef_layers_parse("relu", &layers, NULL), CLEF_ERROR_INVALID, "clef_layers_parse");
}
END_TEST

/* ---- training ---- */

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
		ck_ok(clef_tape_begin(tape));
		loss = clef_cross_entropy(clef_model_forward(model, clef_input(tape, &x)), clef_input(tape, &t));
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
		check_same(clef_params_get(clef_model_params(models[0]), i),
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
	clef_model *model = ck_new(clef_model_new(dev, mlp_module, CLEF_SHAPE(16), NULL));
	clef_optim *opt = ck_new(clef_adam_new(clef_model_params(model), NULL));
	float x[2][16] = { { 1 } };
	int left[] = { 0, 1, 2, 3 };
	int number = _i;

	ck_ok(clef_tape_begin(own));
	ck_ok(clef_backward(clef_mean(
		clef_model_forward(model, clef_input(own, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 16), x })),
		NULL)));
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

static TCase *add_case(Suite *s, const char *name)
{
	TCase *c = tcase_create(name);

	tcase_add_checked_fixture(c, setup, teardown);
	suite_add_tcase(s, c);
	return c;
}

Suite *nn_suite(void)
{
	Suite *s = suite_create("nn");
	TCase *c = add_case(s, "params");

	tcase_add_test(c, test_params);
	tcase_add_test(c, test_params_draws);
	tcase_add_test(c, test_params_errors);
	tcase_add_test(c, test_params_empty);

	c = add_case(s, "models");
	tcase_add_test(c, test_three_ways);
	tcase_add_test(c, test_seeds);
	tcase_add_test(c, test_default_init);
	tcase_add_test(c, test_init_order);
	tcase_add_test(c, test_prelu_init);
	tcase_add_test(c, test_sharing);
	tcase_add_test(c, test_print);
	tcase_add_test(c, test_print_sequential);
	tcase_add_test(c, test_errors_after);
	tcase_add_test(c, test_errors_at_creation);
	tcase_add_test(c, test_input_errors);
	tcase_add_test(c, test_recording_stays);
	tcase_add_test(c, test_sequential_errors);
	tcase_add_test(c, test_pointwise_layers);
	tcase_add_test(c, test_pointwise_numbers);

	c = add_case(s, "training");
	tcase_add_loop_test(c, test_overfits, 0, 2);
	tcase_add_loop_test(c, test_same_bits, 0, 2);

	c = tcase_create("free order");
	tcase_add_loop_test(c, test_free_order, 0, 24);
	suite_add_tcase(s, c);

	c = tcase_create("strings");
	tcase_add_test(c, test_layer_names);
	tcase_add_loop_test(c, test_parse, 0, CLEF_COUNT(accepted));
	tcase_add_loop_test(c, test_parse_errors, 0, CLEF_COUNT(refused));
	tcase_add_test(c, test_parse_random);
	tcase_add_test(c, test_parse_null);
	suite_add_tcase(s, c);
	return s;
}
