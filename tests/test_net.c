/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequential models, the kinds of layers, and models as text. Model strings have a table of those to accept, with the
 * layers that they must give, and one of those to refuse, with a part of the message.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

static const clef_layer mlp_layers[] = {
	{ .kind = CLEF_FLATTEN }, { CLEF_LINEAR, .out = 16 },
	{ .kind = CLEF_TANH },    { CLEF_LINEAR, .out = 7, .no_bias = true },
	{ .kind = CLEF_PRELU },   { CLEF_LINEAR, .out = 3 },
};

START_TEST(test_print_sequential)
{
	clef_model *model =
		ck_new(clef_sequential_new(test_device, mlp_layers, CLEF_COUNT(mlp_layers), CLEF_SHAPE(1, 4, 4), NULL));
	char *text = nn_printed(model);

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

/* Each kind does what its name says; a dry run shows it, so that nothing needs to be compiled. */
START_TEST(test_pointwise_layers)
{
	for (int kind = CLEF_PRELU; kind < CLEF_LAYER_KINDS; kind++) {
		clef_layer layer = { .kind = (clef_layer_kind)kind };
		char row[64], *text;
		clef_model *model;

		snprintf(row, sizeof(row), "\n0 (%s) ", clef_layer_name(layer.kind));
		model = ck_new(clef_sequential_new(test_device, &layer, 1, CLEF_SHAPE(2, 3), NULL));
		text = nn_printed(model);
		ck_assert_msg(strstr(text, row) != NULL, "no \"%s\" in %s", row + 1, text);
		ck_assert_int_eq(clef_params_count(clef_model_params(model)), kind == CLEF_PRELU);
		free(text);
		clef_model_free(model);
	}
}
END_TEST

/* Without numbers a layer has the defaults of pointwise.def. */
START_TEST(test_pointwise_defaults)
{
	static const clef_layer layers[] = { { .kind = CLEF_LEAKY_RELU },
					     { .kind = CLEF_SOFTPLUS },
					     { .kind = CLEF_CLAMP } };
	clef_tensor *x, *want[CLEF_COUNT(layers)];
	clef_shape sample = CLEF_SHAPE(6);

	ck_ok(clef_tape_begin(nn_tape));
	x = nn_input(4, sample);
	want[0] = clef_leaky_relu(x, 0.01f);
	want[1] = clef_softplus(x, 1, 20);
	want[2] = x;
	for (int i = 0; i < CLEF_COUNT(layers); i++) {
		clef_model *model = ck_new(clef_sequential_new(test_device, &layers[i], 1, sample, NULL));

		nn_check_same(clef_model_forward(model, x), want[i]);
		clef_model_free(model);
	}
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

	ck_ok(clef_tape_begin(nn_tape));
	x = nn_input(4, sample);
	want[0] = clef_leaky_relu(x, 0.5f);
	want[1] = clef_leaky_relu(x, 0);
	want[2] = clef_hardtanh(x, -0.5f, 0.25f);
	want[3] = clef_hardtanh(x, 0, 0.25f);
	want[4] = clef_clamp(x, 0, 0);
	for (int i = 0; i < CLEF_COUNT(layers); i++) {
		clef_model *model = ck_new(clef_sequential_new(test_device, &layers[i], 1, sample, NULL));

		nn_check_same(clef_model_forward(model, x), want[i]);
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
	{ "conv_transpose2d(8, 3, 2) layer_norm(eps=0.5) softmax(-1) upsample(1.3)",
	  { { CLEF_CONV_TRANSPOSE2D, .out = 8, .kernel = 3, .stride = 2 },
	    { CLEF_LAYER_NORM, .eps = 0.5f },
	    { CLEF_SOFTMAX, .dim = -1 },
	    { CLEF_UPSAMPLE, .scale = 1.3 } } },
	{ "batch_norm(1e-3, momentum=0.5) unflatten(2, width=7) local_response_norm(5, k=2)",
	  { { CLEF_BATCH_NORM, .eps = 1e-3f, .momentum = 0.5f },
	    { CLEF_UNFLATTEN, .out = 2, .width = 7 },
	    { CLEF_LOCAL_RESPONSE_NORM, .size = 5, .k = 2 } } },
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
		ck_assert_int_eq(got[i].stride, want[i].stride);
		ck_assert_int_eq(got[i].dim, want[i].dim);
		ck_assert_int_eq(got[i].width, want[i].width);
		ck_assert(same_float(got[i].eps, want[i].eps) && same_float(got[i].k, want[i].k));
		ck_assert_msg(got[i].scale == want[i].scale, "layer %d: scale is %.17g", i, got[i].scale);
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
	{ "flatten rleu", "unknown layer \"rleu\" at character 9; did you mean \"relu\"?; known are linear, conv1d, " },
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
	{ "softmax(0)", "\"0\" at character 9: a whole number other than 0 was expected; allowed is softmax(dim)" },
	{ "batch_norm(0)", "\"0\" at character 12: a number above 0 was expected" },
	{ "layer_norm(eps=-1)", "a number above 0 was expected" },
	{ "layer_norm(eps=1e-60)", "does not fit a float" },
	{ "upsample(0)", "a number above 0" },
	{ "upsample(2, nearest)", "\"nearest\" at character 13: a whole number from 0 to 2147483647 was expected" },
	{ "group_norm",
	  "\"group_norm\" at character 1: a number is missing; allowed is group_norm(groups, eps, no_af" },
	{ "conv_transpose2d(3, 0)", "\"0\" at character 21: a whole number from 1 to 2147483647" },
	{ "conv3d(8, 3)", "unknown layer \"conv3d\" at character 1; did you mean \"conv1d\"?" },
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

Suite *net_suite(void)
{
	Suite *s = suite_create("net");
	TCase *c = nn_add_case(s, "sequential");

	tcase_add_test(c, test_print_sequential);
	tcase_add_test(c, test_sequential_errors);
	tcase_add_test(c, test_pointwise_layers);
	tcase_add_test(c, test_pointwise_defaults);
	tcase_add_test(c, test_pointwise_numbers);

	c = tcase_create("strings");
	tcase_add_test(c, test_layer_names);
	tcase_add_loop_test(c, test_parse, 0, CLEF_COUNT(accepted));
	tcase_add_loop_test(c, test_parse_errors, 0, CLEF_COUNT(refused));
	tcase_add_test(c, test_parse_random);
	tcase_add_test(c, test_parse_null);
	suite_add_tcase(s, c);
	return s;
}
