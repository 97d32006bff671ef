/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kind of layer that is not pointwise, as text: that it means its operation with these options, to the bit, on a
 * sequential model's parameters; and that each kind refuses the fields of the others.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"
#include "nn_internal.h"

typedef struct kind_case {
	clef_layer_kind kind;
	const char *text;
	clef_shape sample;
	int params; /* NAME.weight, and with 2 NAME.bias */
	clef_tensor *(*by_hand)(clef_tensor *x, clef_tensor *const *w);
} kind_case;

/* OPERATION(name of the case, the operation): the expression in x and w. */
#define OPERATION(id, operation)                                                                                       \
	static clef_tensor *id(clef_tensor *x, clef_tensor *const *w)                                                  \
	{                                                                                                              \
		(void)w;                                                                                               \
		return operation;                                                                                      \
	}

static const clef_conv1d_opts conv1d_opts = { .stride = 2, .pad = 1, .dilation = 2, .groups = 2 };
static const clef_conv2d_opts conv2d_opts = { .stride = 2, .pad = 1, .dilation = 2, .groups = 2 };
static const clef_conv_transpose1d_opts transpose1d_opts = {
	.stride = 3, .pad = 1, .output_pad = 2, .groups = 2, .dilation = 2
};
static const clef_conv_transpose2d_opts transpose2d_opts = { .stride = 2, .output_pad = 1 };
static const clef_batch_norm_opts batch_opts = { .eps = 0.25f, .momentum = 0.5f };
static const clef_local_response_norm_opts lrn_opts = { .alpha = 0.5f, .beta = 0.25f, .k = 2 };
static const clef_local_response_norm_opts lrn_beta = { .beta = 0.5f };
static const clef_max_pool_opts max_opts = { .kernel = 2, .stride = 3, .pad = 1, .dilation = 2, .ceil_mode = true };
static const clef_avg_pool_opts avg_opts = {
	.kernel = 3, .stride = 2, .pad = 1, .ceil_mode = true, .exclude_pad = true
};
static const clef_upsample_opts double_size = { .scale = 2 };
static const clef_upsample_opts thirteen_tenths = { .scale = 1.3, .mode = CLEF_UPSAMPLE_BILINEAR };
static const clef_upsample_opts seven = {
	.out_h = 7, .out_w = 7, .mode = CLEF_UPSAMPLE_BILINEAR, .align_corners = true
};

static clef_tensor *bordered(clef_tensor *x, int dims, int pad, clef_pad_mode mode, float value)
{
	clef_pad_opts opts = { .mode = mode, .value = value };

	for (int i = 0; i < 2 * dims; i++)
		opts.pad[i] = pad;
	return clef_pad(x, &opts);
}

OPERATION(linear, clef_linear(x, w[0], w[1]))
OPERATION(conv1d, clef_conv1d(x, w[0], w[1], &conv1d_opts))
OPERATION(conv2d, clef_conv2d(x, w[0], w[1], &conv2d_opts))
OPERATION(conv2d_no_bias, clef_conv2d_no_bias(x, w[0], NULL))
OPERATION(transpose1d, clef_conv_transpose1d(x, w[0], w[1], &transpose1d_opts))
OPERATION(transpose2d, clef_conv_transpose2d_no_bias(x, w[0], &transpose2d_opts))
OPERATION(embedding, clef_embedding(x, w[0], NULL))
OPERATION(batch_norm, clef_batch_norm(x, w[0], w[1], w[2], w[3], &batch_opts))
OPERATION(batch_norm_plain, clef_batch_norm_plain(x, w[0], w[1], NULL))
OPERATION(layer_norm, clef_layer_norm(x, w[0], w[1], 0))
OPERATION(layer_norm_two, clef_mul(clef_layer_norm_plain(x, 2, 0.5f), w[0]))
OPERATION(layer_norm_plain, clef_layer_norm_plain(x, 1, 0.5f))
OPERATION(rms_norm, clef_rms_norm(x, w[0], 0))
OPERATION(rms_norm_plain, clef_rms_norm_plain(x, 2, 0.5f))
OPERATION(group_norm, clef_group_norm(x, 2, w[0], w[1], 0.5f))
OPERATION(group_norm_plain, clef_group_norm_plain(x, 4, 0))
OPERATION(instance_norm, clef_instance_norm(x, w[0], w[1], 0))
OPERATION(instance_norm_plain, clef_instance_norm_plain(x, 0.5f))
OPERATION(lrn, clef_local_response_norm(x, 3, &lrn_opts))
OPERATION(lrn_one, clef_local_response_norm(x, 2, &lrn_beta))
OPERATION(max_pool1d, clef_max_pool1d(x, &max_opts))
OPERATION(max_pool2d, clef_max_pool2d(x, &max_opts))
OPERATION(avg_pool1d, clef_avg_pool1d(x, &avg_opts))
OPERATION(avg_pool2d, clef_avg_pool2d(x, &avg_opts))
OPERATION(avg_pool2d_three, clef_avg_pool2d(x, &(clef_avg_pool_opts){ .kernel = 3 }))
OPERATION(adaptive_avg_pool1d, clef_adaptive_avg_pool1d(x, 3))
OPERATION(adaptive_avg_pool2d, clef_adaptive_avg_pool2d(x, 3, 3))
OPERATION(adaptive_max_pool1d, clef_adaptive_max_pool1d(x, 3))
OPERATION(adaptive_max_pool2d, clef_adaptive_max_pool2d(x, 3, 3))
OPERATION(dropped, x)
OPERATION(flatten, clef_flatten(x))
OPERATION(unflatten3, clef_reshape(x, CLEF_SHAPE(-1, 2, 3, 4)))
OPERATION(unflatten2, clef_reshape(x, CLEF_SHAPE(-1, 6, 4)))
OPERATION(unflatten1, clef_reshape(x, CLEF_SHAPE(-1, 24)))
OPERATION(pixel_shuffle, clef_pixel_shuffle(x, 2))
OPERATION(pixel_unshuffle, clef_pixel_unshuffle(x, 2))
OPERATION(upsample, clef_upsample(x, &double_size))
OPERATION(upsample_bilinear, clef_upsample(x, &thirteen_tenths))
OPERATION(upsample_seven, clef_upsample(x, &seven))
OPERATION(zero1, bordered(x, 1, 2, CLEF_PAD_ZEROS, 0))
OPERATION(zero2, bordered(x, 2, 2, CLEF_PAD_ZEROS, 0))
OPERATION(constant1, bordered(x, 1, 2, CLEF_PAD_ZEROS, -3))
OPERATION(constant2, bordered(x, 2, 1, CLEF_PAD_ZEROS, 0.5f))
OPERATION(reflection1, bordered(x, 1, 2, CLEF_PAD_REFLECT, 0))
OPERATION(reflection2, bordered(x, 2, 2, CLEF_PAD_REFLECT, 0))
OPERATION(replication1, bordered(x, 1, 2, CLEF_PAD_REPLICATE, 0))
OPERATION(replication2, bordered(x, 2, 2, CLEF_PAD_REPLICATE, 0))
OPERATION(circular1, bordered(x, 1, 2, CLEF_PAD_CIRCULAR, 0))
OPERATION(circular2, bordered(x, 2, 2, CLEF_PAD_CIRCULAR, 0))
OPERATION(softmax, clef_softmax(x, 2))
OPERATION(softmax_channels, clef_softmax(x, 1))
OPERATION(log_softmax, clef_log_softmax(x, -2))
OPERATION(prelu, clef_prelu(x, w[0]))

/* clang-format off */
#define VECTOR   { 1, { 24 } }
#define SEQUENCE { 2, { 4, 9 } }
#define IMAGE    { 3, { 4, 6, 5 } }
#define EVEN     { 3, { 4, 6, 4 } }

static const kind_case cases[] = {
	{ CLEF_LINEAR, "linear(5)", VECTOR, 2, linear },
	{ CLEF_CONV1D, "conv1d(6, 3, 2, 1, 2, 2)", SEQUENCE, 2, conv1d },
	{ CLEF_CONV2D, "conv2d(6, 3, stride=2, pad=1, dilation=2, groups=2)", IMAGE, 2, conv2d },
	{ CLEF_CONV2D, "conv2d(3, kernel=2, no_bias)", IMAGE, 1, conv2d_no_bias },
	{ CLEF_CONV_TRANSPOSE1D, "conv_transpose1d(6, 3, 3, 1, 2, 2, 2)", SEQUENCE, 2, transpose1d },
	{ CLEF_CONV_TRANSPOSE2D, "conv_transpose2d(3, 3, 2, output_pad=1, no_bias)", IMAGE, 1, transpose2d },
	{ CLEF_EMBEDDING, "embedding(10, 3)", { 1, { 6 } }, 1, embedding },
	{ CLEF_BATCH_NORM, "batch_norm(0.25, 0.5)", SEQUENCE, 2, batch_norm },
	{ CLEF_BATCH_NORM, "batch_norm(no_affine)", IMAGE, 0, batch_norm_plain },
	{ CLEF_LAYER_NORM, "layer_norm", SEQUENCE, 2, layer_norm },
	{ CLEF_LAYER_NORM, "layer_norm(2, 0.5, no_bias)", SEQUENCE, 1, layer_norm_two },
	{ CLEF_LAYER_NORM, "layer_norm(eps=0.5, no_affine)", SEQUENCE, 0, layer_norm_plain },
	{ CLEF_RMS_NORM, "rms_norm()", SEQUENCE, 1, rms_norm },
	{ CLEF_RMS_NORM, "rms_norm(2, 0.5, no_affine)", SEQUENCE, 0, rms_norm_plain },
	{ CLEF_GROUP_NORM, "group_norm(2, eps=0.5)", IMAGE, 2, group_norm },
	{ CLEF_GROUP_NORM, "group_norm(4, no_affine)", IMAGE, 0, group_norm_plain },
	{ CLEF_INSTANCE_NORM, "instance_norm(affine)", IMAGE, 2, instance_norm },
	{ CLEF_INSTANCE_NORM, "instance_norm(0.5)", SEQUENCE, 0, instance_norm_plain },
	{ CLEF_LOCAL_RESPONSE_NORM, "local_response_norm(3, 0.5, 0.25, 2)", IMAGE, 0, lrn },
	{ CLEF_LOCAL_RESPONSE_NORM, "local_response_norm(2, beta=0.5)", IMAGE, 0, lrn_one },
	{ CLEF_DROPOUT, "dropout(0.5)", SEQUENCE, 0, dropped },
	{ CLEF_DROPOUT2D, "dropout2d", IMAGE, 0, dropped },
	{ CLEF_MAX_POOL1D, "max_pool1d(2, 3, 1, 2, ceil_mode)", SEQUENCE, 0, max_pool1d },
	{ CLEF_MAX_POOL2D, "max_pool2d(2, 3, 1, 2, ceil_mode)", IMAGE, 0, max_pool2d },
	{ CLEF_AVG_POOL1D, "avg_pool1d(3, 2, 1, ceil_mode, exclude_pad)", SEQUENCE, 0, avg_pool1d },
	{ CLEF_AVG_POOL2D, "avg_pool2d(3, 2, 1, ceil_mode, exclude_pad)", IMAGE, 0, avg_pool2d },
	{ CLEF_AVG_POOL2D, "avg_pool2d(3)", IMAGE, 0, avg_pool2d_three },
	{ CLEF_ADAPTIVE_AVG_POOL1D, "adaptive_avg_pool1d(3)", SEQUENCE, 0, adaptive_avg_pool1d },
	{ CLEF_ADAPTIVE_AVG_POOL2D, "adaptive_avg_pool2d(3)", IMAGE, 0, adaptive_avg_pool2d },
	{ CLEF_ADAPTIVE_MAX_POOL1D, "adaptive_max_pool1d(3)", SEQUENCE, 0, adaptive_max_pool1d },
	{ CLEF_ADAPTIVE_MAX_POOL2D, "adaptive_max_pool2d(3)", IMAGE, 0, adaptive_max_pool2d },
	{ CLEF_FLATTEN, "flatten", IMAGE, 0, flatten },
	{ CLEF_UNFLATTEN, "unflatten(2, 3, 4)", VECTOR, 0, unflatten3 },
	{ CLEF_UNFLATTEN, "unflatten(6, 4)", VECTOR, 0, unflatten2 },
	{ CLEF_UNFLATTEN, "unflatten(24)", VECTOR, 0, unflatten1 },
	{ CLEF_PIXEL_SHUFFLE, "pixel_shuffle(2)", IMAGE, 0, pixel_shuffle },
	{ CLEF_PIXEL_UNSHUFFLE, "pixel_unshuffle(2)", EVEN, 0, pixel_unshuffle },
	{ CLEF_UPSAMPLE, "upsample(2)", IMAGE, 0, upsample },
	{ CLEF_UPSAMPLE, "upsample(1.3, bilinear)", { 3, { 1, 10, 10 } }, 0, upsample_bilinear },
	{ CLEF_UPSAMPLE, "upsample(out=7, bilinear, align_corners)", IMAGE, 0, upsample_seven },
	{ CLEF_ZERO_PAD1D, "zero_pad1d(2)", SEQUENCE, 0, zero1 },
	{ CLEF_ZERO_PAD2D, "zero_pad2d(2)", IMAGE, 0, zero2 },
	{ CLEF_CONSTANT_PAD1D, "constant_pad1d(2, -3)", SEQUENCE, 0, constant1 },
	{ CLEF_CONSTANT_PAD2D, "constant_pad2d(1, value=0.5)", IMAGE, 0, constant2 },
	{ CLEF_REFLECTION_PAD1D, "reflection_pad1d(2)", SEQUENCE, 0, reflection1 },
	{ CLEF_REFLECTION_PAD2D, "reflection_pad2d(2)", IMAGE, 0, reflection2 },
	{ CLEF_REPLICATION_PAD1D, "replication_pad1d(2)", SEQUENCE, 0, replication1 },
	{ CLEF_REPLICATION_PAD2D, "replication_pad2d(2)", IMAGE, 0, replication2 },
	{ CLEF_CIRCULAR_PAD1D, "circular_pad1d(2)", SEQUENCE, 0, circular1 },
	{ CLEF_CIRCULAR_PAD2D, "circular_pad2d(2)", IMAGE, 0, circular2 },
	{ CLEF_SOFTMAX, "softmax", SEQUENCE, 0, softmax },
	{ CLEF_SOFTMAX, "softmax(1)", IMAGE, 0, softmax_channels },
	{ CLEF_LOG_SOFTMAX, "log_softmax(dim=-2)", SEQUENCE, 0, log_softmax },
	{ CLEF_PRELU, "prelu(0.5, per_channel)", IMAGE, 1, prelu },
};
/* clang-format on */

/* Every kind has a row, or is one of pointwise.def's. */
START_TEST(test_every_kind)
{
	static const bool pointwise[CLEF_LAYER_KINDS] = {
#define CLEF_UNARY0(name, NAME, value, gradient)                             [CLEF_##NAME] = true,
#define CLEF_UNARY1(name, NAME, p, p_default, value, gradient)               [CLEF_##NAME] = true,
#define CLEF_UNARY2(name, NAME, p, p_default, q, q_default, value, gradient) [CLEF_##NAME] = true,
#include <clef/pointwise.def>
	};
	bool seen[CLEF_LAYER_KINDS] = { true };

	for (int i = 0; i < CLEF_COUNT(cases); i++)
		seen[cases[i].kind] = true;
	for (int kind = 0; kind < CLEF_LAYER_KINDS; kind++)
		ck_assert_msg(seen[kind] != pointwise[kind], "%s", clef_layer_name((clef_layer_kind)kind));
}
END_TEST

static clef_model *parsed(const char *text, clef_shape sample, clef_layer_kind kind, clef_dtype dtype)
{
	clef_model *model;
	clef_layer *layers;
	int count;

	ck_ok(clef_layers_parse(text, &layers, &count));
	ck_assert_int_eq(count, 1);
	ck_assert_int_eq(layers->kind, kind);
	model = ck_new(clef_sequential_new(test_device, layers, count, sample, &(clef_model_opts){ .dtype = dtype }));
	free(layers);
	return model;
}

START_TEST(test_value)
{
	static const char *const names[] = { "0.weight", "0.bias" };
	int32_t index[12] = { 0, 9, 3, 4, 3, 2, 1, 8, 8, 7, 6, 5 };
	const kind_case *c = &cases[_i];
	bool indices = c->kind == CLEF_EMBEDDING;
	clef_model *model = parsed(c->text, c->sample, c->kind, indices ? CLEF_INT32 : CLEF_FLOAT32);
	clef_params *params = clef_model_params(model);
	clef_tensor *w[4], *x, *y;
	clef_shape out;

	ck_assert_int_eq(clef_params_count(params), c->params);
	for (int i = 0; i < c->params; i++) {
		w[i] = clef_params_get(params, i);
		ck_assert_str_eq(clef_params_name(params, i), names[i]);
	}
	if (c->kind == CLEF_BATCH_NORM) {
		w[c->params] = ck_new(clef_model_buffer(model, "0.running_mean"));
		w[c->params + 1] = ck_new(clef_model_buffer(model, "0.running_var"));
		ck_ok(clef_fill(w[c->params], 0.25));
	}
	ck_ok(clef_model_train(model, false));
	ck_ok(clef_tape_begin(nn_tape));
	x = indices ? ck_new(clef_input(nn_tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(2, 6), index }))
		    : nn_input(2, c->sample);
	y = ck_new(clef_model_forward(model, x));
	nn_check_same(y, ck_new(c->by_hand(x, w)));
	out = clef_tensor_shape(y);
	ck_assert_int_eq(clef_model_output(model).ndim + 1, out.ndim);
	for (int i = 1; i < out.ndim; i++)
		ck_assert_int_eq(clef_model_output(model).dim[i - 1], out.dim[i]);
	clef_model_free(model);
}
END_TEST

/* Dropout draws in training alone. */
START_TEST(test_dropout2d)
{
	clef_model *model = parsed("dropout2d(0.5)", CLEF_SHAPE(64, 2, 2), CLEF_DROPOUT2D, CLEF_FLOAT32);
	int dropped_channels = 0;
	float *x, *y;

	ck_ok(clef_tape_begin(nn_tape));
	x = nn_values(nn_input(1, CLEF_SHAPE(64, 2, 2)));
	y = nn_values(clef_model_forward(model, nn_input(1, CLEF_SHAPE(64, 2, 2))));
	for (int i = 0; i < 64; i++) {
		bool zero = true, twice = true;

		for (int k = 4 * i; k < 4 * i + 4; k++) {
			zero &= y[k] == 0;
			twice &= y[k] == 2 * x[k];
		}
		ck_assert(zero || twice);
		dropped_channels += zero;
	}
	ck_assert_msg(dropped_channels > 10 && dropped_channels < 54, "%d of 64", dropped_channels);
	free(x);
	free(y);
	clef_model_free(model);
}
END_TEST

/* Initializers of its own, where a kind has weights to start. */
START_TEST(test_initializers)
{
	static const clef_layer layers[] = {
		{ CLEF_CONV1D, .out = 2, .kernel = 1 },
		{ CLEF_CONV_TRANSPOSE1D, .out = 2, .kernel = 1 },
		{ CLEF_LINEAR, .out = 2 },
	};
	clef_layer own[CLEF_COUNT(layers)];
	clef_layer rows = { CLEF_EMBEDDING, .count = 3, .out = 2, .weight = { .kind = CLEF_INIT_CONSTANT, .p = 4 } };
	clef_model *model;

	for (int i = 0; i < CLEF_COUNT(layers); i++) {
		own[i] = layers[i];
		own[i].weight = (clef_init){ .kind = CLEF_INIT_CONSTANT, .p = (float)(i + 1) };
		own[i].bias = (clef_init){ .kind = CLEF_INIT_CONSTANT, .p = (float)(-i - 1) };
	}
	model = ck_new(clef_sequential_new(test_device, own, CLEF_COUNT(own), CLEF_SHAPE(2, 2), NULL));
	for (int i = 0; i < 2 * CLEF_COUNT(layers); i++) {
		float *v = nn_values(clef_params_get(clef_model_params(model), i));

		ck_assert(v[0] == (float)(i % 2 ? -i / 2 - 1 : i / 2 + 1) && v[1] == v[0]);
		free(v);
	}
	clef_model_free(model);
	model = ck_new(
		clef_sequential_new(test_device, &rows, 1, CLEF_SHAPE(2), &(clef_model_opts){ .dtype = CLEF_INT32 }));
	float *v = nn_values(clef_params_get(clef_model_params(model), 0));

	ck_assert(v[0] == 4 && v[5] == 4);
	free(v);
	clef_model_free(model);
}
END_TEST

/* ---- fields ---- */

/* clang-format off */
#define MEMBER(name) { #name, offsetof(clef_layer, name) }
static const struct {
	const char *name;
	size_t offset;
} members[] = {
	MEMBER(out), MEMBER(kernel), MEMBER(stride), MEMBER(pad), MEMBER(output_pad), MEMBER(dilation), MEMBER(groups),
	MEMBER(count), MEMBER(dims), MEMBER(dim), MEMBER(size), MEMBER(factor), MEMBER(height), MEMBER(width),
	MEMBER(scale), MEMBER(eps), MEMBER(momentum), MEMBER(alpha), MEMBER(beta), MEMBER(k), MEMBER(p), MEMBER(q),
	MEMBER(no_bias), MEMBER(no_affine), MEMBER(affine), MEMBER(per_channel), MEMBER(ceil_mode), MEMBER(exclude_pad),
	MEMBER(bilinear), MEMBER(align_corners), MEMBER(weight), MEMBER(bias),
};
/* clang-format on */

static bool takes(const clef__layer_type *type, size_t offset)
{
	for (int i = 0; i < CLEF__LAYER_FIELDS && type->field[i].name; i++)
		if (type->field[i].offset == offset)
			return true;
	return offset == offsetof(clef_layer, weight) ? type->takes_weight
						      : offset == offsetof(clef_layer, bias) && type->takes_bias;
}

/* Each kind refuses every field that its row does not have, by name, and no other. */
START_TEST(test_stray_fields)
{
	const clef__layer_type *type = clef__layer_type_of((clef_layer_kind)_i);

	for (int i = 0; i < CLEF_COUNT(members); i++) {
		clef_layer layer = { .kind = (clef_layer_kind)_i };
		char refusal[96];

		/* not 0, whatever the type */
		((char *)&layer)[members[i].offset] = 1;
		snprintf(refusal, sizeof(refusal), "layer 0 (%s) takes no .%s", clef_layer_name(layer.kind),
			 members[i].name);
		clef_error_clear();
		clef_model_free(clef_sequential_new(test_device, &layer, 1, CLEF_SHAPE(3), NULL));
		ck_assert_msg(!strstr(clef_error(), refusal) == takes(type, members[i].offset), "%s: %s", refusal,
			      clef_error());
	}
}
END_TEST

/* Sizes reach operations as int, and must not be cut to something else. */
START_TEST(test_large_sizes)
{
	clef_layer layer = { CLEF_CONV1D, .out = 2, .kernel = 1, .stride = ((int64_t)1 << 32) + 1 };

	ck_null_fails(clef_sequential_new(test_device, &layer, 1, CLEF_SHAPE(2, 8), NULL), CLEF_ERROR_INVALID,
		      "layer 0 (conv1d): .stride is 4294967297, which is beyond 2^31 - 1");
	layer.stride = 0;
	layer.pad = -((int64_t)1 << 32);
	ck_null_fails(clef_sequential_new(test_device, &layer, 1, CLEF_SHAPE(2, 8), NULL), CLEF_ERROR_INVALID,
		      "layer 0 (conv1d): .pad is -4294967296");
}
END_TEST

Suite *layer_kinds_suite(void)
{
	Suite *s = suite_create("layer_kinds");
	TCase *c = nn_add_case(s, "layer_kinds");

	tcase_add_test(c, test_every_kind);
	tcase_add_loop_test(c, test_value, 0, CLEF_COUNT(cases));
	tcase_add_test(c, test_dropout2d);
	tcase_add_test(c, test_initializers);
	tcase_add_loop_test(c, test_stray_fields, CLEF_LAYER_NONE + 1, CLEF_LAYER_KINDS);
	tcase_add_test(c, test_large_sizes);
	return s;
}
