/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How layers start, in numbers: PyTorch's formulas for bounds and deviations, on parameters large enough to tell; who
 * may say otherwise; and what layers refuse.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

/* ---- statistics ---- */

static clef_tensor *large_linear(clef_module *m, clef_tensor *x)
{
	return clef_nn_linear(m, "l", x, 500, NULL);
}

static clef_tensor *large_conv1d(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv1d(m, "l", x, 400, 5, &(clef_conv1d_opts){ .groups = 2 });
}

static clef_tensor *large_conv2d(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv2d(m, "l", x, 400, 3, &(clef_conv2d_opts){ .groups = 4 });
}

static clef_tensor *large_rect(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv2d_rect(m, "l", x, 400, CLEF_SHAPE(2, 5), NULL);
}

static clef_tensor *large_transpose1d(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv_transpose1d(m, "l", x, 400, 3, &(clef_conv_transpose1d_opts){ .groups = 2 });
}

static clef_tensor *large_transpose2d(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv_transpose2d(m, "l", x, 400, 3, &(clef_conv_transpose2d_opts){ .groups = 2 });
}

/* fan_in is that of torch.nn.init._calculate_fan_in_and_fan_out: weight.size(1) times the size of the kernel. */
static const struct {
	clef_forward_fn layer;
	clef_shape sample;
	int fan;
} starts[] = {
	{ large_linear, { 1, { 40 } }, 40 },
	{ large_conv1d, { 2, { 40, 9 } }, 20 * 5 },
	{ large_conv2d, { 3, { 40, 9, 9 } }, 10 * 9 },
	{ large_rect, { 3, { 10, 9, 9 } }, 10 * 10 },
	{ large_transpose1d, { 2, { 40, 9 } }, 200 * 3 },
	{ large_transpose2d, { 3, { 10, 9, 9 } }, 200 * 9 },
};

static void check_uniform(const clef_tensor *w, double bound)
{
	double n = (double)clef_tensor_numel(w), sum = 0, squares = 0, largest = 0;
	float *v = nn_values(w);

	for (int i = 0; i < (int)n; i++) {
		sum += (double)v[i];
		squares += (double)v[i] * (double)v[i];
		largest = fmax(largest, fabs((double)v[i]));
	}
	free(v);
	/* four deviations of the mean, and of the variance of a uniform distribution, which is bound^2 / 3 */
	ck_assert_double_le(fabs(sum / n), 4 * bound / sqrt(3 * n));
	ck_assert_double_le(fabs(squares / n / (bound * bound / 3) - 1), 4 * sqrt(0.8 / n));
	ck_assert_double_le(largest, bound * (1 + 1e-6));
	ck_assert_double_ge(largest, bound * (1 - 8 / n));
}

START_TEST(test_uniform_starts)
{
	clef_model *model;

	if (test_small())
		test_skip("as many values as tell a distribution");
	model = ck_new(
		clef_model_new(test_device, starts[_i].layer, starts[_i].sample, &(clef_model_opts){ .seed = 4 }));
	for (int i = 0; i < 2; i++)
		check_uniform(clef_params_get(clef_model_params(model), i), 1 / sqrt(starts[_i].fan));
	clef_model_free(model);
}
END_TEST

static clef_tensor *large_embedding(clef_module *m, clef_tensor *index)
{
	return clef_nn_embedding(m, "l", index, 300, 40, NULL);
}

START_TEST(test_normal_start)
{
	double n = 12000, sum = 0, squares = 0, fourth = 0;
	clef_model *model;
	float *v;

	if (test_small())
		test_skip("as many values as tell a distribution");
	model = ck_new(
		clef_model_new(test_device, large_embedding, CLEF_SHAPE(4), &(clef_model_opts){ .dtype = CLEF_INT32 }));
	v = nn_values(clef_params_find(clef_model_params(model), "l.weight"));
	for (int i = 0; i < (int)n; i++) {
		double square = (double)v[i] * (double)v[i];

		sum += (double)v[i];
		squares += square;
		fourth += square * square;
	}
	ck_assert_double_le(fabs(sum / n), 4 / sqrt(n));
	ck_assert_double_le(fabs(squares / n - 1), 4 * sqrt(2 / n));
	ck_assert_double_le(fabs(fourth / n - 3), 4 * sqrt(96 / n));
	free(v);
	clef_model_free(model);
}
END_TEST

/* ---- other starts ---- */

/* Weights of all sorts, one of them asked for by hand before its layer does. */
static clef_tensor *several(clef_module *m, clef_tensor *x)
{
	static const clef_init seven = { .kind = CLEF_INIT_CONSTANT, .p = 7 };

	clef_module_enter(m, "block");
	clef_nn_parameter(m, "second.weight", CLEF_SHAPE(3, 3, 1), &seven);
	x = clef_nn_conv1d(m, "first", x, 3, 1, NULL);
	x = clef_nn_conv1d(m, "second", x, 3, 1, NULL);
	clef_module_leave(m);
	x = clef_nn_conv_transpose1d(m, "third", x, 3, 1, NULL);
	x = clef_nn_group_norm(m, "norm", x, 1, NULL);
	return clef_nn_linear(m, "last", x, 2, &(clef_linear_opts){ .bias = { .kind = CLEF_INIT_CONSTANT, .p = 9 } });
}

START_TEST(test_who_says)
{
	static const struct {
		const char *name;
		float value;
	} want[] = {
		{ "block.second.weight", 7 }, { "block.first.weight", 3 }, { "block.first.bias", -1 },
		{ "block.second.bias", -1 },  { "third.weight", 3 },       { "third.bias", -1 },
		{ "norm.weight", 1 },         { "norm.bias", 0 },          { "last.weight", 3 },
		{ "last.bias", 9 },
	};
	clef_model_opts opts = { .weight = { .kind = CLEF_INIT_CONSTANT, .p = 3 },
				 .bias = { .kind = CLEF_INIT_CONSTANT, .p = -1 } };
	clef_model *model = ck_new(clef_model_new(test_device, several, CLEF_SHAPE(5, 4), &opts));
	clef_params *p = clef_model_params(model);

	ck_assert_int_eq(clef_params_count(p), CLEF_COUNT(want));
	for (int i = 0; i < CLEF_COUNT(want); i++) {
		float *v = nn_values(clef_params_get(p, i));

		ck_assert_str_eq(clef_params_name(p, i), want[i].name);
		for (int k = 0; k < clef_tensor_numel(clef_params_get(p, i)); k++)
			ck_assert_msg(v[k] == want[i].value, "%s starts at %g", want[i].name, (double)v[k]);
		free(v);
	}
	clef_model_free(model);
}
END_TEST

/* ---- errors ---- */

static clef_tensor *no_out(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv1d(m, "l", x, 0, 3, NULL);
}

static clef_tensor *no_kernel(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv_transpose1d_no_bias(m, "l", x, 4, 0, NULL);
}

static clef_tensor *rect_of_three(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv2d_rect(m, "l", x, 4, CLEF_SHAPE(3, 3, 3), NULL);
}

static clef_tensor *groups_of_three(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv_transpose2d(m, "l", x, 6, 3, &(clef_conv_transpose2d_opts){ .groups = 3 });
}

static clef_tensor *negative_groups(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv1d(m, "l", x, 6, 3, &(clef_conv1d_opts){ .groups = -1 });
}

static clef_tensor *large_output_pad(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv_transpose1d(m, "l", x, 6, 3, &(clef_conv_transpose1d_opts){ .output_pad = 2 });
}

static clef_tensor *four_dims(clef_module *m, clef_tensor *x)
{
	return clef_nn_layer_norm(m, "l", x, &(clef_layer_norm_opts){ .dims = 4 });
}

static clef_tensor *negative_dims(clef_module *m, clef_tensor *x)
{
	return clef_nn_rms_norm(m, "l", x, &(clef_rms_norm_opts){ .dims = -1 });
}

static clef_tensor *negative_eps(clef_module *m, clef_tensor *x)
{
	return clef_nn_rms_norm(m, "l", x, &(clef_rms_norm_opts){ .eps = -1 });
}

static clef_tensor *groups_of_five(clef_module *m, clef_tensor *x)
{
	return clef_nn_group_norm(m, "l", x, 5, NULL);
}

static clef_tensor *instances(clef_module *m, clef_tensor *x)
{
	return clef_nn_instance_norm(m, "l", x, NULL);
}

static clef_tensor *batches(clef_module *m, clef_tensor *x)
{
	return clef_nn_batch_norm_plain(m, "l", clef_reshape(x, CLEF_SHAPE(8)), NULL);
}

static clef_tensor *no_rows(clef_module *m, clef_tensor *x)
{
	return clef_nn_embedding(m, "l", x, 0, 4, NULL);
}

static clef_tensor *far_padding(clef_module *m, clef_tensor *x)
{
	return clef_nn_embedding(m, "l", x, 10, 4, &(clef_embedding_opts){ .has_padding = true, .padding_idx = 10 });
}

static clef_tensor *rows(clef_module *m, clef_tensor *x)
{
	return clef_nn_embedding(m, "l", x, 10, 4, NULL);
}

static clef_tensor *bad_activation(clef_module *m, clef_tensor *x)
{
	return clef_nn_linear(m, "l", x, 4, &(clef_linear_opts){ .activation = { .kind = CLEF_ACT_KINDS } });
}

/* Two layers of one name that cannot share. */
static clef_tensor *two_of_a_name(clef_module *m, clef_tensor *x)
{
	return clef_nn_conv1d(m, "l", clef_nn_conv1d(m, "l", x, 4, 3, NULL), 6, 3, NULL);
}

static const struct {
	clef_forward_fn layer;
	clef_shape sample;
	clef_status status;
	const char *message;
	clef_dtype dtype;
} refused[] = {
	{ no_out, { 2, { 4, 9 } }, CLEF_ERROR_INVALID, "layer \"l\" (conv1d), x [1, 4, 9]: out is 0" },
	{ no_kernel, { 2, { 4, 9 } }, CLEF_ERROR_INVALID, "(conv_transpose1d), x [1, 4, 9]: kernel is 0" },
	{ rect_of_three, { 3, { 4, 9, 9 } }, CLEF_ERROR_SHAPE, "clef_nn_conv2d_rect: kernel has 3 dimensions" },
	{ groups_of_three,
	  { 3, { 4, 9, 9 } },
	  CLEF_ERROR_INVALID,
	  "(conv_transpose2d), x [1, 4, 9, 9]: groups is 3, must divide the 4 channels of x, 1 or more, and out 6" },
	{ negative_groups, { 2, { 4, 9 } }, CLEF_ERROR_INVALID, "groups is -1" },
	{ large_conv1d, { 3, { 4, 9, 9 } }, CLEF_ERROR_SHAPE, "x must be [n, channels, length]" },
	{ large_conv2d, { 2, { 4, 9 } }, CLEF_ERROR_SHAPE, "x must be [n, channels, height, width]" },
	{ large_conv2d, { 3, { 0, 9, 9 } }, CLEF_ERROR_INVALID, "must divide the 0 channels of x, 1 or more" },
	{ large_conv2d, { 3, { 4, 2, 9 } }, CLEF_ERROR_SHAPE, "layer \"l\" (conv2d), x [1, 4, 2, 9]: conv2d" },
	{ large_output_pad, { 2, { 4, 9 } }, CLEF_ERROR_INVALID, "layer \"l\" (conv_transpose1d), x [1, 4, 9]: conv" },
	{ four_dims, { 2, { 4, 9 } }, CLEF_ERROR_INVALID, "(layer_norm), x [1, 4, 9]: dims is 4, must be 1 to the 3" },
	{ negative_dims, { 2, { 4, 9 } }, CLEF_ERROR_INVALID, "(rms_norm), x [1, 4, 9]: dims is -1" },
	{ negative_eps, { 2, { 4, 9 } }, CLEF_ERROR_INVALID, "layer \"l\" (rms_norm), x [1, 4, 9]: rms_norm: eps" },
	{ groups_of_five, { 2, { 4, 9 } }, CLEF_ERROR_INVALID, "layer \"l\" (group_norm), x [1, 4, 9]: group_norm" },
	{ groups_of_five, { 0 }, CLEF_ERROR_SHAPE, "(group_norm), x [1]: x must be [n, channels, ...]" },
	{ instances, { 2, { 4, 1 } }, CLEF_ERROR_SHAPE, "layer \"l\" (instance_norm), x [1, 4, 1]: instance_norm" },
	{ batches, { 1, { 8 } }, CLEF_ERROR_SHAPE, "(batch_norm), x [8]: x must be [n, channels, ...]" },
	{ no_rows, { 1, { 3 } }, CLEF_ERROR_INVALID, "(embedding), x [1, 3]: count is 0 and width is 4", CLEF_INT32 },
	{ far_padding, { 1, { 3 } }, CLEF_ERROR_INVALID, "padding_idx 10", CLEF_INT32 },
	{ rows, { 1, { 3 } }, CLEF_ERROR_DTYPE, "layer \"l\" (embedding), x [1, 3]: embedding: index" },
	{ rows, { 1, { 3 } }, CLEF_ERROR_DTYPE, "clef_model_new: dtype 7", (clef_dtype)7 },
	{ large_linear, { 1, { 3 } }, CLEF_ERROR_DTYPE, "layer \"l\" (linear), x [1, 3]: linear: x", CLEF_INT32 },
	{ bad_activation, { 1, { 3 } }, CLEF_ERROR_INVALID, "layer \"l\" (linear), x [1, 3]: " },
	{ two_of_a_name, { 2, { 3, 9 } }, CLEF_ERROR_SHAPE, "parameter \"l.weight\" was made with shape [4, 3, 3]" },
};

START_TEST(test_errors)
{
	ck_null_fails(clef_model_new(test_device, refused[_i].layer, refused[_i].sample,
				     &(clef_model_opts){ .dtype = refused[_i].dtype }),
		      refused[_i].status, refused[_i].message);
}
END_TEST

START_TEST(test_null)
{
	ck_null_fails(clef_nn_conv1d(NULL, "l", NULL, 1, 1, NULL), CLEF_ERROR_INVALID, "clef_nn_conv1d");
	ck_null_fails(clef_nn_conv2d_rect(NULL, "l", NULL, 1, CLEF_SHAPE(1, 1), NULL), CLEF_ERROR_INVALID, "conv2d");
	ck_null_fails(clef_nn_conv_transpose1d(NULL, "l", NULL, 1, 1, NULL), CLEF_ERROR_INVALID, "transpose1d");
	ck_null_fails(clef_nn_conv_transpose2d(NULL, "l", NULL, 1, 1, NULL), CLEF_ERROR_INVALID, "transpose2d");
	ck_null_fails(clef_nn_batch_norm_plain(NULL, "l", NULL, NULL), CLEF_ERROR_INVALID, "batch_norm_plain");
	ck_null_fails(clef_nn_layer_norm(NULL, "l", NULL, NULL), CLEF_ERROR_INVALID, "clef_nn_layer_norm");
	ck_null_fails(clef_nn_rms_norm(NULL, "l", NULL, NULL), CLEF_ERROR_INVALID, "clef_nn_rms_norm");
	ck_null_fails(clef_nn_group_norm(NULL, "l", NULL, 1, NULL), CLEF_ERROR_INVALID, "clef_nn_group_norm");
	ck_null_fails(clef_nn_instance_norm(NULL, "l", NULL, NULL), CLEF_ERROR_INVALID, "clef_nn_instance_norm");
	ck_null_fails(clef_nn_embedding(NULL, "l", NULL, 1, 1, NULL), CLEF_ERROR_INVALID, "clef_nn_embedding");
}
END_TEST

/* Indices go in where the model was made for them, and nothing else. */
START_TEST(test_type_of_x)
{
	clef_model *model =
		ck_new(clef_model_new(test_device, rows, CLEF_SHAPE(3), &(clef_model_opts){ .dtype = CLEF_INT32 }));
	int32_t index[3] = { 1, 2, 3 };

	ck_ok(clef_tape_begin(nn_tape));
	ck_assert(nn_shape_is(
		clef_model_forward(model, clef_input(nn_tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(1, 3), index })),
		CLEF_SHAPE(1, 3, 4)));
	ck_null_fails(clef_model_forward(model, nn_input(1, CLEF_SHAPE(3))), CLEF_ERROR_DTYPE,
		      "clef_model_forward: x is float32, must be int32");
	clef_model_free(model);
}
END_TEST

Suite *layer_init_suite(void)
{
	Suite *s = suite_create("layer_init");
	TCase *c = nn_add_case(s, "layer_init");

	tcase_add_loop_test(c, test_uniform_starts, 0, CLEF_COUNT(starts));
	tcase_add_test(c, test_normal_start);
	tcase_add_test(c, test_who_says);
	tcase_add_loop_test(c, test_errors, 0, CLEF_COUNT(refused));
	tcase_add_test(c, test_null);
	tcase_add_test(c, test_type_of_x);
	return s;
}
