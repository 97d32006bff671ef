/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX: that the bytes are messages of Protocol Buffers, to the last one, and that operators and weights are those of
 * the model. What a reader computes from them, tools/exchange_torch --onnx looks at.
 */
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

typedef struct bytes {
	const uint8_t *at, *end;
} bytes;

/* A field of a message; a number in `value`, all else in `part`. */
typedef struct field {
	int number;
	uint64_t value;
	bytes part;
} field;

static uint64_t varint(bytes *b)
{
	uint64_t value = 0;

	for (int shift = 0; shift < 64; shift += 7) {
		ck_assert(b->at < b->end);
		value |= (uint64_t)(*b->at & 0x7f) << shift;
		if (!(*b->at++ & 0x80))
			return value;
	}
	ck_abort_msg("a number of more than ten bytes");
	return 0;
}

/* The next field; false at the end, which must be that of the message. */
static bool next(bytes *b, field *f)
{
	uint64_t key, length;

	if (b->at == b->end)
		return false;
	key = varint(b);
	*f = (field){ .number = (int)(key >> 3) };
	switch (key & 7) {
	case 0:
		f->value = varint(b);
		return true;
	case 2:
		length = varint(b);
		break;
	case 5:
		length = 4;
		break;
	default:
		ck_abort_msg("a field of kind %d", (int)(key & 7));
	}
	ck_assert_uint_le(length, (uint64_t)(b->end - b->at));
	f->part = (bytes){ b->at, b->at + length };
	b->at += length;
	return true;
}

/* The first field of that number. */
static field find(bytes b, int number)
{
	field f;

	while (next(&b, &f))
		if (f.number == number)
			return f;
	ck_abort_msg("there is no field %d", number);
	return f;
}

static void append(char *list, bytes text)
{
	size_t used = strlen(list);

	ck_assert_uint_lt(used + (size_t)(text.end - text.at) + 2, 2000);
	snprintf(list + used, 2000 - used, "%s%.*s", used ? " " : "", (int)(text.end - text.at), (const char *)text.at);
}

/* The operators and the weights with names of a file, in order; numbers of all weights are checked. */
static void look(const char *path, char ops[2000], char weights[2000])
{
	enum { SIZE = 1 << 20 };
	uint8_t *data = ck_new(malloc(SIZE));
	FILE *file = ck_new(fopen(path, "rb"));
	const size_t size = fread(data, 1, SIZE, file);
	const bytes model = { data, data + size };
	bytes graph;
	field f;

	fclose(file);
	ck_assert_uint_lt(size, SIZE);
	ck_assert_uint_eq(find(model, 1).value, 10);
	ck_assert_uint_eq(find(find(model, 8).part, 2).value, 21);
	graph = find(model, 7).part;
	*ops = *weights = '\0';
	while (next(&graph, &f)) {
		if (f.number == 1)
			append(ops, find(f.part, 4).part);
		if (f.number == 5) {
			bytes tensor = f.part, raw = find(f.part, 9).part, name = find(f.part, 8).part;
			uint64_t numel = 1;
			field dim;

			while (next(&tensor, &dim))
				if (dim.number == 1)
					numel *= dim.value;
			ck_assert_uint_eq((uint64_t)(raw.end - raw.at), numel * (find(f.part, 2).value == 7 ? 8 : 4));
			if (*name.at != 'c')
				append(weights, name);
		}
	}
	free(data);
}

static clef_model *sequential(const char *text, clef_shape input)
{
	clef_layer *layers;
	clef_model *model;
	int count;

	ck_ok(clef_layers_parse(text, &layers, &count));
	model = ck_new(clef_sequential_new(test_device, layers, count, input, NULL));
	free(layers);
	return model;
}

static const struct {
	const char *layers;
	clef_shape input;
	const char *ops, *weights;
} rows[] = {
	{ "flatten linear(3, no_bias) relu", { 3, { 1, 2, 2 } }, "Flatten Gemm Relu Identity", "1.weight" },
	{ "dropout(0.5)", { 1, { 4 } }, "Identity", "" },
	{ "linear(3)", { 2, { 2, 4 } }, "Transpose MatMul Add Identity", "0.weight 0.bias" },
	{ "conv2d(4, 3, pad=1) batch_norm max_pool2d(2) adaptive_avg_pool2d(1)",
	  { 3, { 2, 8, 8 } },
	  "Conv BatchNormalization MaxPool AveragePool Identity",
	  "0.weight 0.bias 1.weight 1.bias 1.running_mean 1.running_var" },
	{ "batch_norm(no_affine) conv_transpose1d(2, 3)",
	  { 2, { 2, 8 } },
	  "BatchNormalization ConvTranspose Identity",
	  "0.running_mean 0.running_var 1.weight 1.bias" },
	{ "layer_norm rms_norm prelu silu softmax",
	  { 1, { 6 } },
	  "LayerNormalization Mul ReduceMean Add Sqrt Div Mul PRelu Sigmoid Mul Softmax Identity",
	  "0.weight 0.bias 1.weight 2.weight" },
	{ "pixel_shuffle(2) pixel_unshuffle(2) zero_pad2d(1) upsample(scale=2)",
	  { 3, { 4, 4, 4 } },
	  "DepthToSpace Reshape Transpose Reshape Pad Resize Identity",
	  "" },
};

START_TEST(onnx_graphs)
{
	char ops[2000], weights[2000];

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		clef_model *model = sequential(rows[i].layers, rows[i].input);

		ck_ok(clef_onnx_save(model, test_path("model.onnx")));
		look(test_path("model.onnx"), ops, weights);
		ck_assert_str_eq(ops, rows[i].ops);
		ck_assert_str_eq(weights, rows[i].weights);
		clef_model_free(model);
	}
}
END_TEST

/* The numbers of a weight are the model's. */
START_TEST(onnx_values)
{
	clef_model *model = sequential("linear(3)", CLEF_SHAPE(4));
	float want[12];
	uint8_t data[2000];
	FILE *file;
	size_t size, at = 0;

	ck_ok(clef_read(clef_params_get(clef_model_params(model), 0), want, sizeof(want)));
	ck_ok(clef_onnx_save(model, test_path("model.onnx")));
	file = ck_new(fopen(test_path("model.onnx"), "rb"));
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	while (at + sizeof(want) <= size && memcmp(data + at, want, sizeof(want)) != 0)
		at++;
	ck_assert_uint_le(at + sizeof(want), size);
	clef_model_free(model);
}
END_TEST

/* ---- forward functions ---- */

static clef_tensor *residual(clef_module *m, clef_tensor *x)
{
	clef_tensor *y, *gate;

	clef_module_enter(m, "block");
	y = clef_nn_conv2d_no_bias(m, "conv", x, 4, 3, &(clef_conv2d_opts){ .pad = 1 });
	y = clef_nn_batch_norm(m, "norm", y, &(clef_batch_norm_opts){ .activation = { CLEF_ACT_RELU6 } });
	y = clef_add_act(y, x, (clef_activation){ CLEF_ACT_RELU });
	clef_module_leave(m);
	gate = clef_sigmoid(y);
	y = clef_mul(clef_leaky_relu(y, 0), gate);
	y = clef_max_pool2d(y, &(clef_max_pool_opts){ .kernel = 2 });
	y = clef_reshape(clef_adaptive_avg_pool2d(y, 1, 1), CLEF_SHAPE(clef_tensor_shape(y).dim[0], 4));
	return clef_nn_linear(m, "fc", y, 2, NULL);
}

START_TEST(onnx_function)
{
	clef_model *model = ck_new(clef_model_new(test_device, residual, CLEF_SHAPE(4, 8, 8), NULL));
	char ops[2000], weights[2000];

	ck_ok(clef_onnx_save(model, test_path("model.onnx")));
	look(test_path("model.onnx"), ops, weights);
	ck_assert_str_eq(ops, "Conv BatchNormalization Clip Add Relu Sigmoid LeakyRelu Mul MaxPool AveragePool Reshape "
			      "Gemm Identity");
	ck_assert_str_eq(weights, "block.conv.weight block.norm.weight block.norm.bias block.norm.running_mean "
				  "block.norm.running_var fc.weight fc.bias");
	clef_model_free(model);
}
END_TEST

static clef_tensor *with_permute(clef_module *m, clef_tensor *x)
{
	return clef_nn_linear(m, "fc", clef_transpose(x, 1, 2), 2, NULL);
}

static clef_tensor *without_batch(clef_module *m, clef_tensor *x)
{
	(void)m;
	return clef_reshape(x, CLEF_SHAPE(-1, 4));
}

static clef_tensor *with_rectangle(clef_module *m, clef_tensor *x)
{
	x = clef_reshape(x, CLEF_SHAPE(1, 1, 3, 4));
	return clef_nn_conv2d_rect(m, "conv", x, 2, CLEF_SHAPE(1, 3), NULL);
}

static clef_tensor *with_weights(clef_module *m, clef_tensor *x)
{
	return clef_linear_no_bias(x, clef_nn_parameter(m, "mine", CLEF_SHAPE(2, 4), NULL));
}

static const struct {
	clef_forward_fn function;
	const char *message;
} refused_functions[] = {
	{ with_permute, "transpose cannot be written as ONNX: it has no counterpart here yet" },
	{ with_rectangle, "conv2d \"conv\" cannot be written as ONNX: its sides differ" },
	{ with_weights, "linear cannot be written as ONNX: its weights are not those of a layer" },
	{ without_batch, "reshape cannot be written as ONNX: the first dimension is no longer the batch" },
};

START_TEST(onnx_function_refusals)
{
	for (int i = 0; i < CLEF_COUNT(refused_functions); i++) {
		clef_model *model =
			ck_new(clef_model_new(test_device, refused_functions[i].function, CLEF_SHAPE(3, 4), NULL));

		ck_fails(clef_onnx_save(model, test_path("x")), CLEF_ERROR_UNSUPPORTED, refused_functions[i].message);
		ck_assert_ptr_null(fopen(test_path("x"), "rb"));
		clef_model_free(model);
	}
}
END_TEST

START_TEST(onnx_refusals)
{
	static const struct {
		const char *layers;
		clef_shape input;
		const char *message;
	} refused[] = {
		{ "relu local_response_norm(4)",
		  { 3, { 4, 2, 2 } },
		  "layer 1 (local_response_norm) cannot be written" },
		{ "adaptive_avg_pool2d(3)", { 3, { 1, 8, 8 } }, "no multiple" },
		{ "avg_pool2d(2, ceil_mode)", { 3, { 1, 5, 5 } }, "ceil_mode" },
		{ "softplus(1, 3)", { 1, { 4 } }, "a threshold below 15" },
		{ "conv_transpose1d(1, 3, dilation=2, output_pad=1)", { 2, { 1, 8 } }, "output_pad" },
	};
	clef_model *model;

	ck_fails(clef_onnx_save(NULL, test_path("x")), CLEF_ERROR_INVALID, "NULL");
	for (int i = 0; i < CLEF_COUNT(refused); i++) {
		model = sequential(refused[i].layers, refused[i].input);
		ck_fails(clef_onnx_save(model, test_path("x")), CLEF_ERROR_UNSUPPORTED, refused[i].message);
		clef_model_free(model);
	}
	ck_assert_ptr_null(fopen(test_path("x"), "rb"));
	model = sequential("linear(2)", CLEF_SHAPE(2));
	ck_fails(clef_onnx_save(model, test_path("no/folder")), CLEF_ERROR_IO, "clef_onnx_save: cannot write");
	clef_model_free(model);
}
END_TEST

Suite *onnx_suite(void)
{
	Suite *s = suite_create("onnx");
	TCase *c = nn_add_case(s, "onnx");

	tcase_add_test(c, onnx_graphs);
	tcase_add_test(c, onnx_values);
	tcase_add_test(c, onnx_function);
	tcase_add_test(c, onnx_function_refusals);
	tcase_add_test(c, onnx_refusals);
	return s;
}
