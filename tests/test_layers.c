/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of modules, a row each: the names and shapes of its parameters, how they start, and that it computes what
 * its operation does with them, values and gradients to the bit. What an operation computes is for its own tests.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

/* How a parameter starts: bounds of PyTorch's uniform values follow from the fan. */
enum { ZEROS, ONES, NORMAL, FAN };

typedef struct part {
	const char *name;
	clef_shape shape;
	int start, fan;
} part;

typedef struct row {
	const char *kind;
	clef_shape sample, output;
	clef_tensor *(*layer)(clef_module *m, clef_tensor *x);
	clef_tensor *(*by_hand)(clef_tensor *x, clef_tensor *const *w); /* w: the parameters, then the statistics */
	part parts[2];
	clef_dtype dtype;
} row;

#define SHAPE1(a)                                                                                                      \
	{                                                                                                              \
		1,                                                                                                     \
		{                                                                                                      \
			a                                                                                              \
		}                                                                                                      \
	}
#define SHAPE2(a, b)                                                                                                   \
	{                                                                                                              \
		2,                                                                                                     \
		{                                                                                                      \
			a, b                                                                                           \
		}                                                                                                      \
	}
#define SHAPE3(a, b, c)                                                                                                \
	{                                                                                                              \
		3,                                                                                                     \
		{                                                                                                      \
			a, b, c                                                                                        \
		}                                                                                                      \
	}
#define SHAPE4(a, b, c, d)                                                                                             \
	{                                                                                                              \
		4,                                                                                                     \
		{                                                                                                      \
			a, b, c, d                                                                                     \
		}                                                                                                      \
	}

/* LAYER(name, the layer, the operation) */
#define LAYER(id, call, operation)                                                                                     \
	static clef_tensor *layer_##id(clef_module *m, clef_tensor *x)                                                 \
	{                                                                                                              \
		return call;                                                                                           \
	}                                                                                                              \
	static clef_tensor *hand_##id(clef_tensor *x, clef_tensor *const *w)                                           \
	{                                                                                                              \
		(void)w;                                                                                               \
		return operation;                                                                                      \
	}

static const clef_conv1d_opts conv1d = { .stride = 2, .pad = 1, .dilation = 2, .groups = 2 };
static const clef_conv2d_opts conv2d = { .stride = 2, .pad = 1, .groups = 2 };
static const clef_conv_transpose1d_opts transpose1d = { .stride = 2, .pad = 1, .output_pad = 1, .groups = 2 };
static const clef_conv_transpose2d_opts transpose2d = { .stride = 2, .dilation = 2, .groups = 3 };
static const clef_embedding_opts padded = { .has_padding = true, .padding_idx = -2 };

LAYER(linear, clef_nn_linear(m, "l", x, 48, NULL), clef_linear(x, w[0], w[1]))
LAYER(conv1d, clef_nn_conv1d(m, "l", x, 6, 3, &conv1d), clef_conv1d(x, w[0], w[1], &conv1d))
LAYER(conv1d_no_bias, clef_nn_conv1d_no_bias(m, "l", x, 5, 4, NULL), clef_conv1d_no_bias(x, w[0], NULL))
LAYER(conv2d, clef_nn_conv2d(m, "l", x, 6, 3, &conv2d), clef_conv2d(x, w[0], w[1], &conv2d))
LAYER(conv2d_no_bias, clef_nn_conv2d_no_bias(m, "l", x, 5, 2, NULL), clef_conv2d_no_bias(x, w[0], NULL))
LAYER(rect, clef_nn_conv2d_rect(m, "l", x, 6, CLEF_SHAPE(1, 5), &conv2d), clef_conv2d(x, w[0], w[1], &conv2d))
LAYER(rect_no_bias, clef_nn_conv2d_rect_no_bias(m, "l", x, 5, CLEF_SHAPE(3, 2), NULL),
      clef_conv2d_no_bias(x, w[0], NULL))
LAYER(transpose1d, clef_nn_conv_transpose1d(m, "l", x, 6, 3, &transpose1d),
      clef_conv_transpose1d(x, w[0], w[1], &transpose1d))
LAYER(transpose1d_no_bias, clef_nn_conv_transpose1d_no_bias(m, "l", x, 5, 4, NULL),
      clef_conv_transpose1d_no_bias(x, w[0], NULL))
LAYER(transpose2d, clef_nn_conv_transpose2d(m, "l", x, 9, 3, &transpose2d),
      clef_conv_transpose2d(x, w[0], w[1], &transpose2d))
LAYER(transpose2d_no_bias, clef_nn_conv_transpose2d_no_bias(m, "l", x, 5, 2, NULL),
      clef_conv_transpose2d_no_bias(x, w[0], NULL))
LAYER(batch_norm, clef_nn_batch_norm(m, "l", x, &(clef_batch_norm_opts){ .eps = 0.01f }),
      clef_batch_norm(x, w[0], w[1], w[2], w[3],
		      &(clef_batch_norm_opts){ .eps = 0.01f, .training = true, .keep_running = true }))
LAYER(batch_norm_plain, clef_nn_batch_norm_plain(m, "l", x, NULL),
      clef_batch_norm_plain(x, w[0], w[1], &(clef_batch_norm_opts){ .training = true, .keep_running = true }))
LAYER(layer_norm, clef_nn_layer_norm(m, "l", x, NULL), clef_layer_norm(x, w[0], w[1], 0))
LAYER(layer_norm_two, clef_nn_layer_norm(m, "l", x, &(clef_layer_norm_opts){ .dims = 2, .eps = 0.1f }),
      clef_layer_norm(x, w[0], w[1], 0.1f))
LAYER(layer_norm_plain, clef_nn_layer_norm(m, "l", x, &(clef_layer_norm_opts){ .dims = 2, .no_affine = true }),
      clef_layer_norm_plain(x, 2, 0))
LAYER(layer_norm_no_bias, clef_nn_layer_norm(m, "l", x, &(clef_layer_norm_opts){ .no_bias = true }),
      clef_mul(clef_layer_norm_plain(x, 1, 0), w[0]))
LAYER(rms_norm, clef_nn_rms_norm(m, "l", x, NULL), clef_rms_norm(x, w[0], 0))
LAYER(rms_norm_plain, clef_nn_rms_norm(m, "l", x, &(clef_rms_norm_opts){ .dims = 2, .eps = 1, .no_affine = true }),
      clef_rms_norm_plain(x, 2, 1))
LAYER(group_norm, clef_nn_group_norm(m, "l", x, 2, &(clef_group_norm_opts){ .eps = 0.1f }),
      clef_group_norm(x, 2, w[0], w[1], 0.1f))
LAYER(group_norm_plain, clef_nn_group_norm(m, "l", x, 3, &(clef_group_norm_opts){ .no_affine = true }),
      clef_group_norm_plain(x, 3, 0))
LAYER(instance_norm, clef_nn_instance_norm(m, "l", x, &(clef_instance_norm_opts){ .eps = 0.1f, .affine = true }),
      clef_instance_norm(x, w[0], w[1], 0.1f))
LAYER(instance_norm_plain, clef_nn_instance_norm(m, "l", x, NULL), clef_instance_norm_plain(x, 0))
LAYER(embedding, clef_nn_embedding(m, "l", x, 7, 5, NULL), clef_embedding(x, w[0], NULL))
LAYER(embedding_padded, clef_nn_embedding(m, "l", x, 7, 5, &padded), clef_embedding(x, w[0], &padded))

/* clang-format off */
#define ROW(id, kind, sample, output, ...) { kind, sample, output, layer_##id, hand_##id, __VA_ARGS__ }
#define W(shape, ...) { "l.weight", shape, __VA_ARGS__ }
#define B(n, ...) { "l.bias", SHAPE1(n), __VA_ARGS__ }

static const row rows[] = {
	ROW(linear, "linear", SHAPE2(3, 24), SHAPE2(3, 48), { W(SHAPE2(48, 24), FAN, 24), B(48, FAN, 24) }),
	ROW(conv1d, "conv1d", SHAPE2(4, 9), SHAPE2(6, 4), { W(SHAPE3(6, 2, 3), FAN, 6), B(6, FAN, 6) }),
	ROW(conv1d_no_bias, "conv1d", SHAPE2(4, 9), SHAPE2(5, 6), { W(SHAPE3(5, 4, 4), FAN, 16) }),
	ROW(conv2d, "conv2d", SHAPE3(4, 5, 6), SHAPE3(6, 3, 3), { W(SHAPE4(6, 2, 3, 3), FAN, 18), B(6, FAN, 18) }),
	ROW(conv2d_no_bias, "conv2d", SHAPE3(3, 4, 5), SHAPE3(5, 3, 4), { W(SHAPE4(5, 3, 2, 2), FAN, 12) }),
	ROW(rect, "conv2d", SHAPE3(4, 5, 6), SHAPE3(6, 4, 2), { W(SHAPE4(6, 2, 1, 5), FAN, 10), B(6, FAN, 10) }),
	ROW(rect_no_bias, "conv2d", SHAPE3(3, 4, 5), SHAPE3(5, 2, 4), { W(SHAPE4(5, 3, 3, 2), FAN, 18) }),
	ROW(transpose1d, "conv_transpose1d", SHAPE2(4, 5), SHAPE2(6, 10),
		{ W(SHAPE3(4, 3, 3), FAN, 9), B(6, FAN, 9) }),
	ROW(transpose1d_no_bias, "conv_transpose1d", SHAPE2(4, 5), SHAPE2(5, 8), { W(SHAPE3(4, 5, 4), FAN, 20) }),
	ROW(transpose2d, "conv_transpose2d", SHAPE3(6, 2, 3), SHAPE3(9, 7, 9),
		{ W(SHAPE4(6, 3, 3, 3), FAN, 27), B(9, FAN, 27) }),
	ROW(transpose2d_no_bias, "conv_transpose2d", SHAPE3(3, 2, 3), SHAPE3(5, 3, 4),
		{ W(SHAPE4(3, 5, 2, 2), FAN, 20) }),
	ROW(batch_norm, "batch_norm", SHAPE2(4, 3), SHAPE2(4, 3), { W(SHAPE1(4), ONES), B(4, ZEROS) }),
	ROW(batch_norm_plain, "batch_norm", SHAPE1(4), SHAPE1(4), { { NULL } }),
	ROW(layer_norm, "layer_norm", SHAPE2(4, 6), SHAPE2(4, 6), { W(SHAPE1(6), ONES), B(6, ZEROS) }),
	ROW(layer_norm_two, "layer_norm", SHAPE2(4, 6), SHAPE2(4, 6),
		{ W(SHAPE2(4, 6), ONES), { "l.bias", SHAPE2(4, 6), ZEROS } }),
	ROW(layer_norm_plain, "layer_norm", SHAPE2(4, 6), SHAPE2(4, 6), { { NULL } }),
	ROW(layer_norm_no_bias, "layer_norm", SHAPE2(4, 6), SHAPE2(4, 6), { W(SHAPE1(6), ONES) }),
	ROW(rms_norm, "rms_norm", SHAPE2(4, 6), SHAPE2(4, 6), { W(SHAPE1(6), ONES) }),
	ROW(rms_norm_plain, "rms_norm", SHAPE2(4, 6), SHAPE2(4, 6), { { NULL } }),
	ROW(group_norm, "group_norm", SHAPE3(6, 2, 2), SHAPE3(6, 2, 2), { W(SHAPE1(6), ONES), B(6, ZEROS) }),
	ROW(group_norm_plain, "group_norm", SHAPE2(6, 2), SHAPE2(6, 2), { { NULL } }),
	ROW(instance_norm, "instance_norm", SHAPE2(3, 5), SHAPE2(3, 5), { W(SHAPE1(3), ONES), B(3, ZEROS) }),
	ROW(instance_norm_plain, "instance_norm", SHAPE3(3, 5, 2), SHAPE3(3, 5, 2), { { NULL } }),
	ROW(embedding, "embedding", SHAPE1(4), SHAPE2(4, 5), { W(SHAPE2(7, 5), NORMAL) }, CLEF_INT32),
	ROW(embedding_padded, "embedding", SHAPE1(4), SHAPE2(4, 5), { W(SHAPE2(7, 5), NORMAL) }, CLEF_INT32),
};
/* clang-format on */

static clef_model *make(const row *r)
{
	return ck_new(
		clef_model_new(test_device, r->layer, r->sample, &(clef_model_opts){ .seed = 3, .dtype = r->dtype }));
}

static int part_count(const row *r)
{
	return !r->parts[0].name ? 0 : r->parts[1].name ? 2 : 1;
}

/* Every value is where it may be, and the largest near the end of that; how they are spread, test_statistics sees. */
static void check_start(const clef_tensor *w, const part *p)
{
	int64_t n = clef_tensor_numel(w);
	double bound = p->start == FAN ? 1 / sqrt(p->fan) : p->start == NORMAL ? 5 : 1, largest = 0;
	float *v = nn_values(w);

	for (int64_t i = 0; i < n; i++) {
		largest = fmax(largest, fabs((double)v[i]));
		ck_assert_msg(p->start == ZEROS  ? v[i] == 0
			      : p->start == ONES ? v[i] == 1
						 : v[i] != 0,
			      "%s[%d] starts at %g", p->name, (int)i, (double)v[i]);
	}
	ck_assert_msg(largest <= bound * (1 + 1e-6), "%s reaches %g, not %g", p->name, largest, bound);
	if (p->start == FAN)
		ck_assert_msg(largest >= 0.6 * bound, "%s reaches %g only, not %g", p->name, largest, bound);
	free(v);
}

START_TEST(test_parameters)
{
	const row *r = &rows[_i];
	clef_model *model = make(r);
	const clef_params *params = clef_model_params(model);

	ck_assert_int_eq(clef_params_count(params), part_count(r));
	for (int i = 0; i < part_count(r); i++) {
		ck_assert_str_eq(clef_params_name(params, i), r->parts[i].name);
		ck_assert(nn_shape_is(clef_params_get(params, i), r->parts[i].shape));
		if (r->layer != layer_embedding_padded)
			check_start(clef_params_get(params, i), &r->parts[i]);
	}
	ck_assert(clef_shape_equal(clef_model_output(model), r->output));
	clef_model_free(model);
}
END_TEST

static clef_tensor *input(const row *r, int64_t batch)
{
	int32_t index[] = { 0, 3, 5, 3, 6, 1, 5, 4, 2, 2, 0, 5 };
	clef_array a = { CLEF_INT32, CLEF_SHAPE(batch, 4), index };

	return r->dtype == CLEF_INT32 ? ck_new(clef_input(nn_tape, &a)) : nn_input(batch, r->sample);
}

/* A number that depends on every element of y in a way of its own. */
static clef_tensor *loss_of(clef_tensor *y)
{
	clef_shape s = clef_tensor_shape(y);
	int64_t batch = s.dim[0];

	for (int i = 1; i < s.ndim; i++)
		s.dim[i - 1] = s.dim[i];
	s.ndim--;
	return clef_sum(clef_mul(y, nn_input(batch, s)), NULL);
}

/* Starts that are all zeros and ones would hide much. */
static void disturb(clef_tensor *w)
{
	int64_t n = clef_tensor_numel(w);
	float *v = nn_values(w);

	for (int64_t i = 0; i < n; i++)
		v[i] += 0.125f * (float)(i % 5 + 1);
	ck_ok(clef_write(w, v, (size_t)n * sizeof(*v)));
	free(v);
}

START_TEST(test_values_and_gradients)
{
	const row *r = &rows[_i];
	clef_model *model = make(r);
	clef_tensor *w[4], *x, *y, *want;
	float *got[3];
	int n = part_count(r), wanted = n;

	for (int i = 0; i < n; i++) {
		w[i] = clef_params_get(clef_model_params(model), i);
		disturb(w[i]);
	}
	if (!strcmp(r->kind, "batch_norm")) {
		w[n] = ck_new(clef_model_buffer(model, "l.running_mean"));
		w[n + 1] = ck_new(clef_model_buffer(model, "l.running_var"));
	}
	ck_ok(clef_tape_begin(nn_tape));
	x = input(r, 3);
	if (r->dtype == CLEF_FLOAT32)
		ck_ok(clef_requires_grad(x, true));
	y = ck_new(clef_model_forward(model, x));
	want = ck_new(r->by_hand(x, w));
	nn_check_same(y, want);
	ck_ok(clef_backward(loss_of(y)));
	if (r->dtype == CLEF_FLOAT32)
		w[wanted++] = x;
	for (int i = 0; i < wanted; i++)
		got[i] = nn_values(clef_grad(w[i]));
	ck_ok(clef_backward(loss_of(want)));
	for (int i = 0; i < wanted; i++) {
		float *v = nn_values(clef_grad(w[i]));
		int count = (int)clef_tensor_numel(w[i]), zeros = 0;

		ck_assert_mem_eq(got[i], v, (size_t)count * sizeof(float));
		for (int k = 0; k < count; k++)
			zeros += !(v[k] > 0 || v[k] < 0);
		ck_assert_msg(zeros <= count * 2 / 3, "%d of %d gradients are 0", zeros, count);
		free(v);
		free(got[i]);
	}
	clef_model_free(model);
}
END_TEST

/* Row 5 of 7 is the padding: it starts at 0 and stays there; the others move. */
START_TEST(test_padding)
{
	const row r = { .dtype = CLEF_INT32 };
	clef_model *model = ck_new(clef_model_new(test_device, layer_embedding_padded, CLEF_SHAPE(4),
						  &(clef_model_opts){ .dtype = CLEF_INT32 }));
	clef_model *other = ck_new(
		clef_model_new(test_device, layer_embedding, CLEF_SHAPE(4), &(clef_model_opts){ .dtype = CLEF_INT32 }));
	clef_tensor *w = clef_params_get(clef_model_params(model), 0);
	clef_optim *opt = ck_new(clef_sgd_new(clef_model_params(model), &(clef_sgd_opts){ .lr = 0.5f }));
	float *before = nn_values(w), *plain = nn_values(clef_params_get(clef_model_params(other), 0)), *after;

	ck_ok(clef_tape_begin(nn_tape));
	ck_ok(clef_backward(loss_of(clef_model_forward(model, input(&r, 3)))));
	ck_ok(clef_optim_step(opt));
	after = nn_values(w);
	for (int i = 0; i < 35; i++) {
		bool padding = i / 5 == 5;

		ck_assert(before[i] == (padding ? 0 : plain[i]));
		ck_assert_msg((after[i] == 0) == padding, "value %d became %g", i, (double)after[i]);
		ck_assert(padding || after[i] < before[i] || after[i] > before[i]);
	}
	free(before);
	free(plain);
	free(after);
	clef_optim_free(opt);
	clef_model_free(model);
	clef_model_free(other);
}
END_TEST

/* Without parameters there is still a state, which training moves and evaluation normalizes by. */
START_TEST(test_batch_norm_modes)
{
	clef_model *model = ck_new(clef_model_new(test_device, layer_batch_norm_plain, CLEF_SHAPE(4), NULL));
	clef_tensor *mean = ck_new(clef_model_buffer(model, "l.running_mean"));
	clef_tensor *var = ck_new(clef_model_buffer(model, "l.running_var"));
	float *start, *moved, *stayed;
	clef_tensor *x;

	ck_ok(clef_tape_begin(nn_tape));
	x = nn_input(3, CLEF_SHAPE(4));
	start = nn_values(mean);
	ck_ok(clef_model_train(model, false));
	nn_check_same(ck_new(clef_model_forward(model, x)), ck_new(clef_batch_norm_plain(x, mean, var, NULL)));
	stayed = nn_values(mean);
	ck_assert_mem_eq(start, stayed, 4 * sizeof(float));
	ck_ok(clef_model_train(model, true));
	ck_new(clef_model_forward(model, x));
	moved = nn_values(mean);
	ck_assert(memcmp(start, moved, 4 * sizeof(float)) != 0);
	ck_ok(clef_model_train(model, false));
	nn_check_same(ck_new(clef_model_forward(model, x)), ck_new(clef_batch_norm_plain(x, mean, var, NULL)));
	free(start);
	free(stayed);
	free(moved);
	clef_model_free(model);
}
END_TEST

/* The mode that counts is the model's: that of the options has no say. */
static clef_tensor *insisting(clef_module *m, clef_tensor *x)
{
	return clef_nn_batch_norm(m, "l", x, &(clef_batch_norm_opts){ .training = true });
}

START_TEST(test_mode_is_the_models)
{
	clef_model *model = ck_new(clef_model_new(test_device, insisting, CLEF_SHAPE(4), NULL));
	float *mean;

	ck_ok(clef_model_train(model, false));
	ck_ok(clef_tape_begin(nn_tape));
	ck_new(clef_model_forward(model, nn_input(3, CLEF_SHAPE(4))));
	mean = nn_values(clef_model_buffer(model, "l.running_mean"));
	for (int i = 0; i < 4; i++)
		ck_assert(mean[i] == 0);
	free(mean);
	clef_model_free(model);
}
END_TEST

/* No kernel runs in the dry run: the launches are those that fill the parameters and the state. */
START_TEST(test_dry_run)
{
	const row *r = &rows[_i];
	uint64_t before = clef_device_get_stats(test_device).launches, launches;
	clef_params *params = ck_new(clef_params_new(test_device));
	clef_model *model;
	int fills = strcmp(r->kind, "batch_norm") ? 0 : 2;

	/* a set of its own, of the same size, tells what that takes */
	for (int i = 0; i < part_count(r); i++)
		ck_new(clef_params_add(params, r->parts[i].name, r->parts[i].shape,
				       &(clef_init){ .kind = r->parts[i].start == NORMAL ? CLEF_INIT_NORMAL
							     : r->parts[i].start == FAN  ? CLEF_INIT_UNIFORM
											 : CLEF_INIT_CONSTANT }));
	ck_ok(clef_params_commit(params, &(clef_rng){ 0 }));
	launches = clef_device_get_stats(test_device).launches - before;
	before += launches;
	model = make(r);
	launches += (uint64_t)(fills + (r->layer == layer_embedding_padded));
	ck_assert_uint_eq(clef_device_get_stats(test_device).launches - before, launches);
	clef_model_free(model);
	clef_params_free(params);
}
END_TEST

Suite *layers_suite(void)
{
	Suite *s = suite_create("layers");
	TCase *c = nn_add_case(s, "layers");

	tcase_add_loop_test(c, test_parameters, 0, CLEF_COUNT(rows));
	tcase_add_loop_test(c, test_values_and_gradients, 0, CLEF_COUNT(rows));
	tcase_add_loop_test(c, test_dry_run, 0, CLEF_COUNT(rows));
	tcase_add_test(c, test_padding);
	tcase_add_test(c, test_batch_norm_modes);
	tcase_add_test(c, test_mode_is_the_models);
	return s;
}
