/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights in another order, which convolutions and linear layers keep between recordings without gradients: made once,
 * made again after everything that can change a leaf, and gone in training.
 */
#include <stdlib.h>
#include <string.h>

#include "conv_task.h"
#include "gemm_case.h"
#include "tuning_case.h"

enum { C = 17, K = 18, SIZE = 16, OUT = K * SIZE * SIZE };
/* As many weights. */
enum { ROWS = 90, OUTPUTS = 51, INPUTS = K * C * 9 / OUTPUTS };
enum { X, W, BIAS, LEAVES };

typedef struct layer {
	clef_tape *tape;
	clef_tensor *leaf[LEAVES];
	bool is_linear;
} layer;

/* Convolutions by their implementation. */
static const char *const kept_by[] = { "cpu", "winograd", "linear" };

static clef_tensor *leaf(clef_shape shape)
{
	size_t n = (size_t)clef_shape_numel(shape);
	float *v = malloc(n * sizeof(float));
	clef_tensor *x;

	ck_assert_ptr_nonnull(v);
	for (size_t i = 0; i < n; i++)
		v[i] = gemm_next_value(false) / 8;
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, shape, v }));
	free(v);
	return x;
}

/* Whether the implementation is one for this device. */
static bool is_there(const char *by)
{
	const clef__conv g = conv_whole(&(clef__conv){
		.n = 1, .c = C, .h = SIZE, .w = SIZE, .k = K, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 });

	if (strcmp(by, "linear") == 0)
		return clef__gemm_packed_size(test_device, &(clef__gemm_opts){ .trans_b = true,
									       .m = ROWS,
									       .n = OUTPUTS,
									       .k = INPUTS,
									       .lda = INPUTS,
									       .ldb = INPUTS,
									       .ldc = OUTPUTS }) > 0;
	for (int i = 0; clef__conv_impl_get(i); i++)
		if (strcmp(clef__conv_impl_get(i)->name, by) == 0)
			return clef__conv_impl_get(i)->fits(test_device, &g, CLEF__CONV_FORWARD);
	return false;
}

static layer layer_new(const char *by)
{
	layer l = { .tape = ck_new(clef_tape_new(test_device)), .is_linear = strcmp(by, "linear") == 0 };

	clef__device_set_conv(test_device, l.is_linear ? NULL : by);
	l.leaf[X] = leaf(l.is_linear ? CLEF_SHAPE(ROWS, INPUTS) : CLEF_SHAPE(1, C, SIZE, SIZE));
	l.leaf[W] = leaf(l.is_linear ? CLEF_SHAPE(OUTPUTS, INPUTS) : CLEF_SHAPE(K, C, 3, 3));
	l.leaf[BIAS] = leaf(CLEF_SHAPE(l.is_linear ? OUTPUTS : K));
	return l;
}

static void layer_free(layer *l)
{
	for (int i = 0; i < LEAVES; i++)
		clef_tensor_free(l->leaf[i]);
	clef_tape_free(l->tape);
	clef__device_set_conv(test_device, NULL);
}

/* Returns how many kernels it launched. */
static int run(const layer *l, bool gradients, float y[OUT])
{
	uint64_t before = clef_device_get_stats(test_device).launches;
	clef_tensor *out;

	ck_ok(gradients ? clef_tape_begin(l->tape) : clef_tape_begin_no_grad(l->tape));
	out = ck_new(l->is_linear
			     ? clef_linear(l->leaf[X], l->leaf[W], l->leaf[BIAS])
			     : clef_conv2d(l->leaf[X], l->leaf[W], l->leaf[BIAS], &(clef_conv2d_opts){ .pad = 1 }));
	ck_assert_int_le((int)clef_tensor_numel(out), OUT);
	memset(y, 0, OUT * sizeof(float));
	ck_ok(clef_read(out, y, (size_t)clef_tensor_numel(out) * sizeof(float)));
	return (int)(clef_device_get_stats(test_device).launches - before);
}

/* What is computed now is what a recording with gradients, which keeps nothing, computes. */
static void expect_right(const layer *l, const char *after)
{
	static float kept[OUT], fresh[OUT];

	run(l, false, kept);
	run(l, true, fresh);
	ck_assert_msg(memcmp(kept, fresh, sizeof(kept)) == 0, "after %s the old weights were used", after);
	/* So that there is something to keep for the next change. */
	run(l, false, kept);
}

/* ---- tests ---- */

static void expect_made_once(const char *by)
{
	layer l;
	static float first[OUT], second[OUT], with_gradients[OUT];
	int launches;

	if (!is_there(by))
		test_skip("no such implementation here");
	l = layer_new(by);
	launches = run(&l, false, first);
	ck_assert_int_eq(run(&l, false, second), launches - 1);
	ck_assert(memcmp(first, second, sizeof(first)) == 0);
	/* Used once, a linear layer's weights are as good as they are. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(run(&l, true, with_gradients), launches - l.is_linear);
		ck_assert(memcmp(first, with_gradients, sizeof(first)) == 0);
	}
	layer_free(&l);
}

START_TEST(made_once)
{
	expect_made_once(kept_by[_i]);
}
END_TEST

/* Of the product that reads them. */
START_TEST(made_with_parameters)
{
	char problem[CLEF__KEY_TEXT];

	if (tuning_is_forced())
		test_skip("CLEF_GEMM leaves no choice");
	snprintf(problem, sizeof(problem), "gemm m%d n%d k%d tb", ROWS, OUTPUTS, INPUTS);
	tuning_keep(test_device, problem, "cpu", "kc", 16);
	expect_made_once("linear");
}
END_TEST

START_TEST(made_again)
{
	layer l;
	clef_tensor *other;
	static float v[K * C * 9 + 1], y[OUT];
	const size_t bytes = sizeof(v) - sizeof(*v);

	if (!is_there(kept_by[_i]))
		test_skip("no such implementation here");
	l = layer_new(kept_by[_i]);
	other = leaf(l.leaf[W]->shape);
	run(&l, false, y);
	for (int i = 0; i < CLEF_COUNT(v); i++)
		v[i] = gemm_next_value(false);
	ck_ok(clef_write(l.leaf[W], v, bytes));
	expect_right(&l, "writing the weights");
	ck_ok(clef_tape_begin_no_grad(l.tape));
	ck_ok(clef_write(ck_new(clef_flatten(l.leaf[W])), v + 1, bytes));
	expect_right(&l, "writing a view of the weights");
	ck_ok(clef_write(l.leaf[BIAS], v, (size_t)l.leaf[BIAS]->numel * sizeof(float)));
	expect_right(&l, "writing the bias");
	ck_ok(clef_copy(other, l.leaf[W]));
	expect_right(&l, "copying");
	ck_ok(clef_axpy(0.5f, other, l.leaf[W]));
	expect_right(&l, "adding");
	ck_ok(clef_fill(l.leaf[W], 0.25));
	expect_right(&l, "filling");
	clef_tensor_free(l.leaf[W]);
	l.leaf[W] = other;
	expect_right(&l, "other weights");
	layer_free(&l);
}
END_TEST

START_TEST(made_again_after_a_step)
{
	layer l;
	static float before[OUT], after[OUT];
	size_t bytes;
	clef_optim_opts rule;
	clef_optim *optim;
	clef_model *model;

	if (!is_there(kept_by[_i]))
		test_skip("no such implementation here");
	l = layer_new(kept_by[_i]);
	bytes = sizeof(float) * (l.is_linear ? ROWS * OUTPUTS : OUT);
	model = ck_new(clef_model_parse(test_device, l.is_linear ? "linear(51)" : "conv2d(18, 3, pad=1)",
					l.is_linear ? CLEF_SHAPE(INPUTS) : CLEF_SHAPE(C, SIZE, SIZE), 10,
					&(clef_model_opts){ .seed = 1 }));
	ck_ok(clef_optim_parse("sgd(lr=0.1)", &rule));
	optim = ck_new(clef_optim_new(clef_model_params(model), &rule));
	for (int i = 0; i < 3; i++) {
		clef_tensor *y;

		ck_ok(clef_tape_begin_no_grad(l.tape));
		y = ck_new(clef_model_forward(model, l.leaf[X]));
		ck_ok(clef_read(y, before, bytes));
		ck_ok(clef_tape_begin(l.tape));
		y = ck_new(clef_model_forward(model, l.leaf[X]));
		ck_ok(clef_read(y, after, bytes));
		ck_assert(memcmp(before, after, bytes) == 0);
		ck_ok(clef_backward(clef_mean(clef_mul(y, y), NULL)));
		ck_ok(clef_optim_step(optim));
		ck_ok(clef_tape_begin_no_grad(l.tape));
		y = ck_new(clef_model_forward(model, l.leaf[X]));
		ck_ok(clef_read(y, after, bytes));
		ck_assert(memcmp(before, after, bytes) != 0);
	}
	clef_optim_free(optim);
	clef_model_free(model);
	layer_free(&l);
}
END_TEST

START_TEST(gone_in_training)
{
	layer l;
	static float y[OUT];
	uint64_t before, kept;

	if (!is_there(kept_by[_i]))
		test_skip("no such implementation here");
	l = layer_new(kept_by[_i]);
	run(&l, true, y);
	ck_ok(clef_tape_begin(l.tape));
	before = clef_device_get_stats(test_device).memory_in_use;
	run(&l, false, y);
	ck_ok(clef_tape_begin(l.tape));
	kept = clef_device_get_stats(test_device).memory_in_use;
	ck_assert_uint_gt(kept, before);
	run(&l, true, y);
	ck_ok(clef_tape_begin(l.tape));
	ck_assert_uint_eq(clef_device_get_stats(test_device).memory_in_use, before);
	layer_free(&l);
}
END_TEST

static void setup(void)
{
	tuning_setup();
	device_setup();
}

Suite *keep_suite(void)
{
	Suite *s = suite_create("keep");
	TCase *c = tcase_create("keep");

	tcase_add_checked_fixture(c, setup, device_teardown);
	tcase_add_loop_test(c, made_once, 0, CLEF_COUNT(kept_by));
	tcase_add_test(c, made_with_parameters);
	tcase_add_loop_test(c, made_again, 0, CLEF_COUNT(kept_by));
	tcase_add_loop_test(c, made_again_after_a_step, 0, CLEF_COUNT(kept_by));
	tcase_add_loop_test(c, gone_in_training, 0, CLEF_COUNT(kept_by));
	suite_add_tcase(s, c);
	return s;
}
