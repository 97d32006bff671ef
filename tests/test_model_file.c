/* SPDX-License-Identifier: Apache-2.0 */
/* Models in files: what is saved comes back to the bit, under PyTorch's names, and what does not fit is refused whole.
 */
#include <stdlib.h>
#include <string.h>

#include "data_files.h"
#include "nn_case.h"

static const char net[] = "conv2d(4, 3, pad=1, no_bias) batch_norm relu prelu(per_channel) max_pool2d(2) flatten "
			  "linear(8) batch_norm(no_affine) tanh dropout(0.25) linear(3)";
static const clef_shape image = { 3, { 2, 6, 6 } };

static clef_model *sequential(const char *text, clef_shape input, uint64_t seed)
{
	clef_layer *layers;
	clef_model *model;
	int count;

	ck_ok(clef_layers_parse(text, &layers, &count));
	model = ck_new(clef_sequential_new(test_device, layers, count, input, &(clef_model_opts){ .seed = seed }));
	free(layers);
	return model;
}

/* A few steps, so that nothing is as it was when the model was made. */
static void train(clef_model *model, int steps)
{
	clef_optim *optim = ck_new(clef_adam_new(clef_model_params(model), &(clef_adam_opts){ .lr = 0.01f }));

	for (int i = 0; i < steps; i++) {
		ck_ok(clef_tape_begin(nn_tape));
		ck_ok(clef_backward(clef_sum(clef_square(clef_model_forward(model, nn_input(5, image))), NULL)));
		ck_ok(clef_optim_step(optim));
	}
	clef_optim_free(optim);
}

static const char *const buffers[] = { "1.running_mean", "1.running_var", "7.running_mean", "7.running_var" };

static void check_same(clef_model *a, clef_model *b)
{
	clef_params *p = clef_model_params(a), *q = clef_model_params(b);

	ck_assert_int_eq(clef_params_count(p), clef_params_count(q));
	for (int i = 0; i < clef_params_count(p); i++)
		nn_check_same(clef_params_get(p, i), clef_params_get(q, i));
	for (int i = 0; i < CLEF_COUNT(buffers); i++)
		nn_check_same(clef_model_buffer(a, buffers[i]), clef_model_buffer(b, buffers[i]));
}

static int64_t count_in(const char *path, const char *name)
{
	clef_safetensors *file = ck_new(clef_safetensors_open(path));
	clef_safetensors_entry e;
	int64_t count;

	ck_ok(clef_safetensors_get(file, clef_safetensors_find(file, name), &e));
	ck_assert_str_eq(e.dtype, "I64");
	ck_assert_int_eq(e.shape.ndim, 0);
	memcpy(&count, e.data, sizeof(count));
	clef_safetensors_free(file);
	return count;
}

START_TEST(model_file_comes_back)
{
	const char *path = test_path("net.safetensors");
	clef_model *a = sequential(net, image, 1), *b = sequential(net, image, 2), *c;

	train(a, 3);
	ck_ok(clef_model_save(a, path));
	ck_assert_int_eq(count_in(path, "1.num_batches_tracked"), 3);
	ck_assert_int_eq(count_in(path, "7.num_batches_tracked"), 3);
	ck_ok(clef_model_load(b, path));
	check_same(a, b);
	c = ck_new(clef_model_open(test_device, path));
	check_same(a, c);
	/* Evaluation is no training, and counts go on where they were. */
	ck_ok(clef_model_train(b, false));
	train(b, 1);
	ck_ok(clef_model_save(b, path));
	ck_assert_int_eq(count_in(path, "1.num_batches_tracked"), 3);
	ck_ok(clef_model_train(b, true));
	train(b, 1);
	ck_ok(clef_model_save(b, path));
	ck_assert_int_eq(count_in(path, "1.num_batches_tracked"), 4);
	clef_model_free(a);
	clef_model_free(b);
	clef_model_free(c);
}
END_TEST

START_TEST(model_file_has_pytorchs_names)
{
	static const struct {
		const char *name;
		const char *dtype;
		clef_shape shape;
	} rows[] = {
		{ "0.weight", "F32", { 4, { 4, 2, 3, 3 } } },
		{ "1.weight", "F32", { 1, { 4 } } },
		{ "1.bias", "F32", { 1, { 4 } } },
		{ "1.running_mean", "F32", { 1, { 4 } } },
		{ "1.running_var", "F32", { 1, { 4 } } },
		{ "1.num_batches_tracked", "I64", { 0, { 0 } } },
		{ "3.weight", "F32", { 1, { 4 } } },
		{ "6.weight", "F32", { 2, { 8, 36 } } },
		{ "6.bias", "F32", { 1, { 8 } } },
		{ "7.running_mean", "F32", { 1, { 8 } } },
		{ "7.running_var", "F32", { 1, { 8 } } },
		{ "7.num_batches_tracked", "I64", { 0, { 0 } } },
		{ "10.weight", "F32", { 2, { 3, 8 } } },
		{ "10.bias", "F32", { 1, { 3 } } },
	};
	const char *path = test_path("net.safetensors");
	clef_model *model = sequential(net, image, 1);
	clef_safetensors *file;

	ck_ok(clef_model_save(model, path));
	file = ck_new(clef_safetensors_open(path));
	ck_assert_int_eq(clef_safetensors_count(file), CLEF_COUNT(rows));
	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		clef_safetensors_entry e;

		ck_ok(clef_safetensors_get(file, clef_safetensors_find(file, rows[i].name), &e));
		ck_assert_str_eq(e.dtype, rows[i].dtype);
		ck_assert(clef_shape_equal(e.shape, rows[i].shape));
	}
	ck_assert_str_eq(clef_safetensors_text(file, "format"), "pt");
	ck_assert_str_eq(clef_safetensors_text(file, "clef.input"), "2 6 6");
	clef_safetensors_free(file);
	clef_model_free(model);
}
END_TEST

static clef_tensor *blocks(clef_module *m, clef_tensor *x)
{
	clef_module_enter(m, "stem");
	x = clef_nn_batch_norm(m, "bn", clef_nn_conv2d(m, "conv", x, 4, 3, NULL), NULL);
	clef_module_leave(m);
	clef_nn_buffer(m, "seen", CLEF_SHAPE(2), 5);
	return clef_nn_linear(m, "head", clef_flatten(x), 3, NULL);
}

START_TEST(model_file_of_a_function)
{
	const char *path = test_path("blocks.safetensors");
	clef_model *a = ck_new(clef_model_new(test_device, blocks, image, &(clef_model_opts){ .seed = 1 }));
	clef_model *b = ck_new(clef_model_new(test_device, blocks, image, &(clef_model_opts){ .seed = 2 }));

	train(a, 2);
	ck_ok(clef_fill(clef_model_buffer(a, "seen"), 7));
	ck_ok(clef_model_save(a, path));
	ck_assert_int_eq(count_in(path, "stem.bn.num_batches_tracked"), 2);
	ck_ok(clef_model_load(b, path));
	nn_check_same(clef_model_buffer(a, "stem.bn.running_var"), clef_model_buffer(b, "stem.bn.running_var"));
	nn_check_same(clef_model_buffer(a, "seen"), clef_model_buffer(b, "seen"));
	nn_check_same(clef_params_find(clef_model_params(a), "head.weight"),
		      clef_params_find(clef_model_params(b), "head.weight"));
	ck_null_fails(clef_model_open(test_device, path), CLEF_ERROR_FORMAT, "has no text \"clef.layers\"");
	clef_model_free(a);
	clef_model_free(b);
}
END_TEST

/* ---- what does not fit ---- */

/* The file of the net with one array in place of another: name NULL leaves it out. */
static const char *changed(clef_model *model, const char *from, const char *name, const char *dtype, clef_shape shape)
{
	static const double zeros[512];
	const char *path = test_path("changed.safetensors");
	clef_safetensors *file, *out = ck_new(clef_safetensors_new());

	ck_ok(clef_model_save(model, path));
	file = ck_new(clef_safetensors_open(path));
	for (int i = 0; i < clef_safetensors_count(file); i++) {
		clef_safetensors_entry e;

		ck_ok(clef_safetensors_get(file, i, &e));
		if (strcmp(e.name, from) != 0)
			ck_ok(clef_safetensors_add(out, e.name, e.dtype, e.shape, e.data));
	}
	if (name)
		ck_ok(clef_safetensors_add(out, name, dtype, shape, zeros));
	for (int i = 0; clef_safetensors_key(file, i); i++)
		ck_ok(clef_safetensors_set(out, clef_safetensors_key(file, i),
					   clef_safetensors_text(file, clef_safetensors_key(file, i))));
	ck_ok(clef_safetensors_save(out, path, false));
	clef_safetensors_free(file);
	clef_safetensors_free(out);
	return path;
}

/* Floats of all widths: normal, denormal, the largest and the smallest, signed zeros, infinities, NaN. */
START_TEST(other_widths)
{
	static const uint16_t half[] = { 0x3c00, 0xc200, 0x7bff, 0x0400, 0x03ff, 0x8001, 0x8000, 0xfc00, 0x7e01 };
	static const uint16_t brain[] = { 0x3f80, 0xc040, 0x7f7f, 0x0080, 0x4049, 0xbf00, 0x8000, 0xff80, 0x7fc1 };
	static const double wide[] = { 1, -3, 65504, 0x1p-14, 0.1, -1e-300, -0.0, -INFINITY, NAN };
	static const float of_half[] = { 1, -3, 65504, 0x1p-14f, 0x1.ff8p-15f, -0x1p-24f, -0.0f, -INFINITY, NAN };
	static const float of_brain[] = { 1, -3, 0x1.fep127f, 0x1p-126f, 3.140625f, -0.5f, -0.0f, -INFINITY, NAN };
	static const float of_wide[] = { 1, -3, 65504, 0x1p-14f, 0.1f, -0.0f, -0.0f, -INFINITY, NAN };
	static const struct {
		const char *dtype;
		const void *data;
		const float *want;
	} widths[] = { { "F16", half, of_half }, { "BF16", brain, of_brain }, { "F64", wide, of_wide } };
	clef_model *model = sequential("linear(3, no_bias)", CLEF_SHAPE(3), 1);
	float got[9];

	for (int i = 0; i < CLEF_COUNT(widths); i++) {
		clef_safetensors *file = ck_new(clef_safetensors_new());

		ck_ok(clef_safetensors_add(file, "0.weight", widths[i].dtype, CLEF_SHAPE(3, 3), widths[i].data));
		ck_ok(clef_safetensors_save(file, test_path("wide"), false));
		clef_safetensors_free(file);
		ck_ok(clef_model_load(model, test_path("wide")));
		ck_ok(clef_read(clef_params_get(clef_model_params(model), 0), got, sizeof(got)));
		for (int k = 0; k < 9; k++)
			ck_assert_msg(isnan(widths[i].want[k])
					      ? isnan(got[k])
					      : memcmp(&got[k], &widths[i].want[k], sizeof(float)) == 0,
				      "%s: value %d is %g, expected %g", widths[i].dtype, k, (double)got[k],
				      (double)widths[i].want[k]);
	}
	clef_model_free(model);
}
END_TEST

START_TEST(model_file_that_does_not_fit)
{
	const clef_shape eight = CLEF_SHAPE(8);
	clef_model *a = sequential(net, image, 1), *b = sequential(net, image, 2), *before = sequential(net, image, 2);

	train(a, 1);
	ck_fails(clef_model_load(b, changed(a, "6.bias", NULL, NULL, eight)), CLEF_ERROR_FORMAT,
		 "does not fit the model in 1 place:\n  6.bias [8] is missing");
	check_same(b, before);
	ck_fails(clef_model_load(b, changed(a, "6.bias", "6.bias", "F32", CLEF_SHAPE(8, 1))), CLEF_ERROR_FORMAT,
		 "6.bias is [8, 1], must be [8]");
	ck_fails(clef_model_load(b, changed(a, "6.bias", "6.bias", "I32", eight)), CLEF_ERROR_FORMAT,
		 "6.bias is I32, must be F32, F16, BF16 or F64");
	ck_fails(clef_model_load(b, changed(a, "none", "11.weight", "F32", eight)), CLEF_ERROR_FORMAT,
		 "11.weight [8] is none of the model's");
	ck_fails(clef_model_load(b, changed(a, "7.running_mean", "7.runing_mean", "F32", eight)), CLEF_ERROR_FORMAT,
		 "2 places:\n  7.running_mean [8] is missing\n  7.runing_mean [8] is none of the model's");
	ck_fails(clef_model_load(b, changed(a, "1.num_batches_tracked", "1.num_batches_tracked", "I32", CLEF_SCALAR)),
		 CLEF_ERROR_FORMAT, "1.num_batches_tracked is I32, must be I64");
	ck_fails(clef_model_load(b, test_path("missing")), CLEF_ERROR_IO, "No such file");
	check_same(b, before);
	/* What PyTorch forgives too. */
	ck_ok(clef_model_load(b, changed(a, "1.num_batches_tracked", NULL, NULL, eight)));
	check_same(b, a);
	ck_ok(clef_model_save(b, test_path("b")));
	ck_assert_int_eq(count_in(test_path("b"), "1.num_batches_tracked"), 0);
	clef_model_free(a);
	clef_model_free(b);
	clef_model_free(before);
}
END_TEST

START_TEST(model_file_long_list)
{
	clef_model *a = sequential("linear(2) linear(2) linear(2) linear(2)", CLEF_SHAPE(2), 1);
	clef_model *b = sequential("linear(3) linear(3) linear(3) linear(3) linear(3) linear(3) linear(3) linear(3)",
				   CLEF_SHAPE(3), 1);

	ck_ok(clef_model_save(a, test_path("a")));
	ck_fails(clef_model_load(b, test_path("a")), CLEF_ERROR_FORMAT, "in 16 places:");
	ck_assert_ptr_nonnull(strstr(clef_error(), "\n  ..."));
	ck_fails(clef_model_load(NULL, test_path("a")), CLEF_ERROR_INVALID, "NULL");
	ck_fails(clef_model_save(a, test_path("no/folder")), CLEF_ERROR_IO, "No such file");
	clef_model_free(a);
	clef_model_free(b);
}
END_TEST

/* ---- a file alone ---- */

START_TEST(model_file_texts_that_lie)
{
	static const struct {
		const char *key, *value;
		const char *message;
	} rows[] = {
		{ "clef.layers", NULL, "has no text \"clef.layers\" or \"clef.network\"" },
		{ "clef.layers", "linaer(2)", "did you mean \"linear\"" },
		{ "clef.layers", "linear(1)", "0.weight is [2, 4], must be [1, 4]" },
		{ "clef.layers", "linear(1) linear(1)", "1.weight [1, 1] is missing" },
		{ "clef.layers", "linear(3)", "values in parameters and buffers, 10 are allowed" },
		{ "clef.layers", "linear(200000000)", "values in parameters and buffers, 10 are allowed" },
		{ "clef.layers", "linear(2) batch_norm batch_norm",
		  "values in parameters and buffers, 10 are allowed" },
		{ "clef.layers", "conv2d(2, 3)", "is no model for \"clef.input\"" },
		{ "clef.input", NULL, "the text \"clef.input\" is missing" },
		{ "clef.input", "4 x", "the text \"clef.input\" is no shape" },
		{ "clef.input", "-4", "the text \"clef.input\" is no shape" },
		{ "clef.input", "4294967296", "the text \"clef.input\" is no shape" },
		{ "clef.input", "99999999999999999999", "the text \"clef.input\" is no shape" },
		{ "clef.input", "1 1 1 1 1 1 1 4", "the text \"clef.input\" is no shape" },
		{ "clef.input", "65536 65536 4", "is no shape of a sample" },
		{ "clef.input", "3", "0.weight is [2, 4], must be [2, 3]" },
		{ "clef.dtype", "int64", "\"clef.dtype\" is neither" },
	};
	clef_model *model = sequential("linear(2)", CLEF_SHAPE(4), 1);
	clef_device_stats before;

	ck_ok(clef_model_save(model, test_path("small")));
	clef_model_free(model);
	before = clef_device_get_stats(test_device);
	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		clef_safetensors *file = ck_new(clef_safetensors_open(test_path("small")));

		ck_ok(clef_safetensors_set(file, rows[i].key, rows[i].value));
		ck_ok(clef_safetensors_save(file, test_path("lies"), false));
		clef_safetensors_free(file);
		ck_null_fails(clef_model_open(test_device, test_path("lies")), CLEF_ERROR_FORMAT, rows[i].message);
	}
	ck_assert_uint_le(clef_device_get_stats(test_device).memory_peak, before.memory_peak + (1 << 20));
	model = ck_new(clef_model_open(test_device, test_path("small")));
	clef_model_free(model);
}
END_TEST

START_TEST(model_file_of_a_network)
{
	const clef_shape input = { 3, { 3, 8, 8 } };
	clef_model *a = ck_new(clef_model_parse(test_device, "resnet18(width=2, stages=2)", input, 7,
						&(clef_model_opts){ .seed = 3 }));
	clef_model *b;
	clef_safetensors *file;

	ck_ok(clef_model_save(a, test_path("net")));
	b = ck_new(clef_model_open(test_device, test_path("net")));
	ck_assert_int_eq(clef_params_count(clef_model_params(a)), clef_params_count(clef_model_params(b)));
	for (int i = 0; i < clef_params_count(clef_model_params(a)); i++)
		nn_check_same(clef_params_get(clef_model_params(a), i), clef_params_get(clef_model_params(b), i));
	/* Saved once more it is the same file. */
	ck_ok(clef_model_save(b, test_path("again")));
	file = ck_new(clef_safetensors_open(test_path("again")));
	ck_assert_str_eq(clef_safetensors_text(file, "clef.network"), "resnet18(width=2, stages=2)");
	ck_assert_str_eq(clef_safetensors_text(file, "clef.output"), "7");
	ck_ok(clef_safetensors_set(file, "clef.network", "resnet18(width=60000)"));
	ck_ok(clef_safetensors_save(file, test_path("lies"), false));
	ck_null_fails(clef_model_open(test_device, test_path("lies")), CLEF_ERROR_FORMAT, "clef.network");
	ck_ok(clef_safetensors_set(file, "clef.network", "resnet18(width=2, stages=2)"));
	ck_ok(clef_safetensors_set(file, "clef.output", "7x"));
	ck_ok(clef_safetensors_save(file, test_path("lies"), false));
	ck_null_fails(clef_model_open(test_device, test_path("lies")), CLEF_ERROR_FORMAT, "\"clef.output\" is no size");
	clef_safetensors_free(file);
	clef_model_free(a);
	clef_model_free(b);
}
END_TEST

/* ---- layers as text ---- */

START_TEST(layers_as_text)
{
	static const char *const rows[] = {
		"linear(10)",
		"conv2d(16, 5, pad=2) relu max_pool2d(2) flatten linear(10, no_bias)",
		"conv_transpose1d(8, 3, stride=2, pad=1, output_pad=1, groups=2, dilation=3)",
		"batch_norm batch_norm(eps=0.001, momentum=0.3, no_affine) layer_norm(dims=2, no_bias) dropout(p=0.1)",
		"leaky_relu leaky_relu(negative_slope=0) leaky_relu(negative_slope=0.2)",
		"hardtanh hardtanh(min_val=-2, max_val=2) hardtanh(min_val=0, max_val=6) softplus(beta=1, "
		"threshold=10)",
		"prelu(slope=0.123456791, per_channel) softmax(dim=-1) softmax upsample(scale=1.3, bilinear, "
		"align_corners)",
		"constant_pad2d(1, value=0.100000001) constant_pad2d(1) unflatten(3, height=2, width=2)",
		"embedding(10, 4) elu(alpha=1e-30)",
	};

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		clef_layer *a, *b;
		int count, again;
		char *text;

		ck_ok(clef_layers_parse(rows[i], &a, &count));
		text = ck_new(clef_layers_text(a, count));
		ck_ok(clef_layers_parse(text, &b, &again));
		ck_assert_int_eq(count, again);
		ck_assert_mem_eq(a, b, (size_t)count * sizeof(*a));
		/* Where it is as short as it gets, it is the same text. */
		if (!strstr(rows[i], "0.123456791") && !strstr(rows[i], "0.100000001"))
			ck_assert_str_eq(text, rows[i]);
		free(text);
		free(a);
		free(b);
	}
	ck_null_fails(clef_layers_text(&(clef_layer){ .kind = CLEF_LAYER_NONE }, 1), CLEF_ERROR_INVALID, "layer 0");
	ck_null_fails(clef_layers_text(NULL, 1), CLEF_ERROR_INVALID, "NULL");
}
END_TEST

/* Each kind with 3 in every field that takes a number, and every flag. */
START_TEST(layers_of_every_kind_as_text)
{
	for (int kind = CLEF_LAYER_NONE + 1; kind < CLEF_LAYER_KINDS; kind++) {
		const char *name = clef_layer_name((clef_layer_kind)kind);
		char text[64], *again;
		clef_layer *a, *b;
		int n, count;

		for (n = 6; n >= 0; n--) {
			int used = snprintf(text, sizeof(text), "%s", name);

			for (int i = 0; i < n; i++)
				used += snprintf(text + used, sizeof(text) - (size_t)used, "%s3", i ? ", " : "(");
			snprintf(text + used, sizeof(text) - (size_t)used, n ? ")" : "");
			if (!clef_layers_parse(text, &a, &count))
				break;
		}
		ck_assert_msg(n >= 0, "%s: %s", text, clef_error());
		again = ck_new(clef_layers_text(a, 1));
		ck_ok(clef_layers_parse(again, &b, &count));
		ck_assert_int_eq(count, 1);
		ck_assert_mem_eq(a, b, sizeof(*a));
		free(again);
		free(a);
		free(b);
	}
}
END_TEST

Suite *model_file_suite(void)
{
	Suite *s = suite_create("model_file");
	TCase *c = nn_add_case(s, "model_file");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, model_file_comes_back);
	tcase_add_test(c, model_file_has_pytorchs_names);
	tcase_add_test(c, model_file_of_a_function);
	tcase_add_test(c, other_widths);
	tcase_add_test(c, model_file_that_does_not_fit);
	tcase_add_test(c, model_file_long_list);
	tcase_add_test(c, model_file_texts_that_lie);
	tcase_add_test(c, model_file_of_a_network);
	tcase_add_test(c, layers_as_text);
	tcase_add_test(c, layers_of_every_kind_as_text);
	return s;
}
