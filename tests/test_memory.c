/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory of a training step: what clef_backward() gives back and when, what stays, and how much that is. Nothing
 * may be read after it was given back, so networks run with CLEF_POISON too, which fills such memory with NaN.
 */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>

#include "opencl.h"
#include "tape_case.h"

static uint64_t in_use(void)
{
	return clef_device_get_stats(test_device).memory_in_use;
}

/* ---- what is given back ---- */

enum { ROWS = 3, COLUMNS = 5 };

/* A model that shows what it makes on the way. */
typedef struct shown {
	clef_tensor *hidden, *kept;
	bool drops, asks;
} shown;

static clef_tensor *two_layers(clef_module *m, clef_tensor *x)
{
	shown *s = clef_module_user(m);

	s->hidden = clef_tanh(clef_nn_linear(m, "first", x, 7, NULL));
	if (s->asks)
		ck_ok(clef_requires_grad(s->hidden, true));
	s->kept = clef_nn_linear(m, "second", s->hidden, 2, NULL);
	if (s->drops)
		clef_tensor_drop(s->hidden);
	return s->kept;
}

static clef_model *new_model(shown *s)
{
	return ck_new(clef_model_new(test_device, two_layers, CLEF_SHAPE(COLUMNS),
				     &(clef_model_opts){ .seed = 1, .user = s }));
}

static clef_tensor *batch(void)
{
	static float v[ROWS * COLUMNS];

	for (int i = 0; i < ROWS * COLUMNS; i++)
		v[i] = (float)(i % 7) - 3;
	return ck_new(clef_input(test_tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(ROWS, COLUMNS), v }));
}

START_TEST(models_give_back)
{
	shown s = { NULL };
	clef_model *model = new_model(&s);
	clef_tensor *x = batch(), *y = clef_model_forward(model, x), *own = clef_mul(y, y), *loss = clef_sum(own, NULL);
	float before[2][ROWS * 2], after[2][ROWS * 2], hidden[ROWS * 7];

	ck_ok(clef_read(y, before[0], sizeof(before[0])));
	ck_ok(clef_read(own, before[1], sizeof(before[1])));
	ck_ok(clef_read(s.hidden, hidden, sizeof(hidden)));
	ck_ok(clef_backward(loss));
	/* What the user has in his hands stays: the input, the model's result, and what he made of it. */
	ck_ok(clef_read(y, after[0], sizeof(after[0])));
	ck_ok(clef_read(own, after[1], sizeof(after[1])));
	ck_assert(memcmp(before, after, sizeof(before)) == 0);
	ck_ok(clef_read(x, hidden, sizeof(float) * ROWS * COLUMNS));
	ck_assert(hidden[0] == -3);
	ck_assert(clef_item(loss) > 0);
	/* What the model made on the way does not. */
	ck_fails(clef_read(s.hidden, hidden, sizeof(hidden)), CLEF_ERROR_STATE,
		 "clef_read: the tensor [3, 7] of a model's forward pass was given back by clef_backward(): "
		 "clef_tape_retain(tape, true) keeps it");
	ck_null_fails(clef_relu(s.hidden), CLEF_ERROR_STATE, "relu: the tensor [3, 7] of a model's forward pass");
	ck_fails(clef_requires_grad(s.hidden, true), CLEF_ERROR_STATE, "was given back");
	clef_tensor_drop(s.hidden);
	ck_fails(clef_backward(loss), CLEF_ERROR_STATE,
		 "clef_backward: a second time over the forward pass of a model, whose tensors the first time gave "
		 "back; to keep them call clef_tape_retain(tape, true)");
	ck_fails(clef_backward_add(clef_mean(y, NULL)), CLEF_ERROR_STATE, "clef_backward_add: a second time");
	/* Elsewhere in the recording a second time is as good as the first. */
	y = clef_mean(clef_mul(x, x), NULL);
	ck_fails(clef_backward(y), CLEF_ERROR_STATE, "nothing that the loss depends on requires a gradient");
	ck_ok(clef_tape_begin(test_tape));
	ck_ok(clef_backward(clef_mean(clef_model_forward(model, batch()), NULL)));
	clef_model_free(model);
}
END_TEST

START_TEST(retained)
{
	shown s = { NULL };
	clef_model *model = new_model(&s);
	clef_tensor *w = clef_params_get(clef_model_params(model), 0), *loss;
	float first[7 * COLUMNS], again[7 * COLUMNS], hidden[2][ROWS * 7];

	loss = clef_mean(clef_model_forward(model, batch()), NULL);
	ck_ok(clef_read(s.hidden, hidden[0], sizeof(hidden[0])));
	ck_ok(clef_backward(loss));
	ck_ok(clef_read(clef_grad(w), first, sizeof(first)));
	ck_ok(clef_tape_retain(test_tape, true));
	for (int i = 0; i < 2; i++) {
		ck_ok(clef_tape_begin(test_tape));
		loss = clef_mean(clef_model_forward(model, batch()), NULL);
		for (int j = 0; j < 2; j++) {
			ck_ok(clef_backward(loss));
			ck_ok(clef_read(clef_grad(w), again, sizeof(again)));
			ck_assert(memcmp(first, again, sizeof(first)) == 0);
		}
		ck_ok(clef_read(s.hidden, hidden[1], sizeof(hidden[1])));
		ck_assert(memcmp(hidden[0], hidden[1], sizeof(hidden[0])) == 0);
	}
	/* Before the first time is early enough; and a tensor whose gradient was asked for stays without. */
	ck_ok(clef_tape_retain(test_tape, false));
	s.asks = true;
	ck_ok(clef_tape_begin(test_tape));
	loss = clef_mean(clef_model_forward(model, batch()), NULL);
	ck_ok(clef_backward(loss));
	ck_ok(clef_read(s.hidden, hidden[1], sizeof(hidden[1])));
	ck_new(clef_grad(s.hidden));
	ck_fails(clef_backward(loss), CLEF_ERROR_STATE, "a second time");
	ck_fails(clef_tape_retain(NULL, true), CLEF_ERROR_INVALID, "clef_tape_retain");
	clef_model_free(model);
}
END_TEST

/* Two forward passes in one recording, as of a GAN: the gradients of one leave the other. */
START_TEST(passes_apart)
{
	shown s = { NULL };
	clef_model *model = new_model(&s), *other;
	clef_tensor *w = clef_params_get(clef_model_params(model), 0), *y, *z, *trunk;
	float want[7 * COLUMNS], got[7 * COLUMNS];

	y = clef_mean(clef_model_forward(model, batch()), NULL);
	ck_ok(clef_backward(y));
	ck_ok(clef_read(clef_grad(w), want, sizeof(want)));
	ck_ok(clef_tape_begin(test_tape));
	other = ck_new(clef_model_parse(test_device, "linear(4) relu", CLEF_SHAPE(COLUMNS), 4, NULL));
	y = clef_mean(clef_model_forward(model, batch()), NULL);
	z = clef_mean(clef_model_forward(other, batch()), NULL);
	ck_ok(clef_backward(z));
	ck_ok(clef_backward(y));
	ck_ok(clef_read(clef_grad(w), got, sizeof(got)));
	ck_assert(memcmp(want, got, sizeof(want)) == 0);
	/* Two losses of one pass: not without being asked. */
	ck_ok(clef_tape_begin(test_tape));
	trunk = clef_model_forward(model, batch());
	y = clef_mean(trunk, NULL);
	z = clef_sum(clef_mul(trunk, trunk), NULL);
	ck_ok(clef_backward(y));
	ck_fails(clef_backward_add(z), CLEF_ERROR_STATE, "a second time");
	clef_model_free(other);
	clef_model_free(model);
}
END_TEST

/* ---- clef_tensor_drop() ---- */

START_TEST(dropped)
{
	clef_tensor *x = line_leaf(1), *y, *z, *sum;
	uint64_t before;
	float v[LINE];

	/* The gradient of a sum needs neither operand, that of a product does. */
	y = clef_mul_scalar(x, 2);
	z = clef_mul_scalar(x, 3);
	sum = clef_add(y, z);
	before = in_use();
	clef_tensor_drop(z);
	ck_assert_uint_eq(in_use(), before);
	ck_fails(clef_read(z, v, sizeof(v)), CLEF_ERROR_STATE,
		 "clef_read: the tensor [4] was dropped by clef_tensor_drop()");
	ck_null_fails(clef_add(sum, z), CLEF_ERROR_STATE, "add: the tensor [4] was dropped");
	clef_tensor_drop(z);
	y = clef_dropout(sum, 0.5f, true, &(clef_rng){ .seed = 1 });
	z = clef_mul(y, y);
	sum = line_total(z);
	before = in_use();
	clef_tensor_drop(y);
	ck_assert_uint_eq(in_use(), before);
	ck_ok(clef_backward(sum));
	ck_assert_uint_le(in_use(), before + 256);
	ck_fails(clef_backward(sum), CLEF_ERROR_STATE, "a second time");
	ck_ok(clef_read(z, v, sizeof(v)));
	/* Leaves, NULL and tensors of another recording are left alone. */
	clef_tensor_drop(NULL);
	clef_tensor_drop(x);
	ck_line(x, 1, 1);
	ck_ok(clef_tape_begin_no_grad(test_tape));
	clef_tensor_drop(y);
	clef_tensor_free(x);
}
END_TEST

/* Where there are no gradients, at once. */
START_TEST(dropped_without_gradients)
{
	clef_tensor *x = line_leaf(2), *y, *z;
	uint64_t before;

	ck_ok(clef_tape_begin_no_grad(test_tape));
	y = clef_mul(x, x);
	z = clef_mul(y, y);
	before = in_use();
	clef_tensor_drop(y);
	ck_assert_uint_lt(in_use(), before);
	ck_assert(clef_item(line_total(z)) == 16 + 81 + 256 + 625);
	/* A view keeps the memory. */
	y = clef_mul(x, x);
	z = clef_detach(y);
	before = in_use();
	clef_tensor_drop(y);
	ck_assert_uint_eq(in_use(), before);
	ck_assert(clef_item(line_total(z)) == 4 + 9 + 16 + 25);
	clef_tensor_free(x);
}
END_TEST

/* ---- whole networks ---- */

typedef struct net {
	const char *text;
	int64_t size;
} net;

static const net nets[] = {
	{ "resnet18(4, 3, 2)", 8 },
	{ "vgg11(4, stages=3)", 8 },
	{ "mobilenet_v2(8, 3, 2)", 8 },
	{ "conv2d(6, 5, pad=2) relu max_pool2d(2) conv2d(5, 3) tanh dropout(0.3) flatten linear(9) gelu linear(4)", 8 },
	{ "conv2d(6, 3) batch_norm relu avg_pool2d(2) group_norm(2) leaky_relu dropout2d(0.2) flatten layer_norm "
	  "linear(4)",
	  8 },
	{ "conv2d(4, 3) max_pool2d(2) relu conv_transpose2d(3, 3, stride=2) softplus batch_norm flatten linear(4)", 8 },
};

/* Loss, values and gradients of the third step, one after the other; to be freed. */
static float *third_step(const net *n, size_t *count)
{
	enum { SAMPLES = 6 };
	clef_device *dev = ck_new(clef_device_open(NULL));
	clef_tape *tape = ck_new(clef_tape_new(dev));
	clef_shape sample = CLEF_SHAPE(3, n->size, n->size);
	clef_model *model = ck_new(clef_model_parse(dev, n->text, sample, 4, &(clef_model_opts){ .seed = 3 }));
	clef_params *params = clef_model_params(model);
	clef_optim *opt = ck_new(clef_adam_new(params, &(clef_adam_opts){ .lr = 0.01f }));
	int32_t labels[SAMPLES] = { 0, 3, 2, 1, 1, 0 };
	size_t pixels = (size_t)(SAMPLES * 3 * n->size * n->size), at = 1;
	float *images = ck_new(calloc(pixels, sizeof(float)));
	float *out = ck_new(calloc(1 + 2 * (size_t)clef_params_numel(params), sizeof(float)));
	clef_tensor *loss;

	clef_rng_normal(&(clef_rng){ .seed = 5 }, images, pixels);
	ck_ok(clef_model_train(model, true));
	for (int i = 0; i < 3; i++) {
		clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(SAMPLES, 3, n->size, n->size), images };

		ck_ok(clef_tape_begin(tape));
		loss = clef_cross_entropy(clef_model_forward(model, clef_input(tape, &x)),
					  clef_input(tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(SAMPLES), labels }));
		ck_ok(clef_backward(loss));
		out[0] = (float)clef_item(loss);
		ck_ok(clef_optim_step(opt));
	}
	for (int i = 0; i < clef_params_count(params); i++) {
		clef_tensor *w = clef_params_get(params, i);
		size_t numel = (size_t)clef_tensor_numel(w);

		ck_ok(clef_read(w, out + at, numel * sizeof(float)));
		ck_ok(clef_read(clef_grad(w), out + at + numel, numel * sizeof(float)));
		at += 2 * numel;
	}
	*count = at;
	free(images);
	clef_optim_free(opt);
	clef_model_free(model);
	clef_tape_free(tape);
	clef_device_close(dev);
	return out;
}

START_TEST(networks_poisoned)
{
	float *plain, *poisoned;
	size_t count, same;

	if (test_small() && _i != CLEF_COUNT(nets) - 1)
		return;
	test_setenv("CLEF_POISON", "1");
	poisoned = third_step(&nets[_i], &same);
	test_setenv("CLEF_POISON", NULL);
	plain = third_step(&nets[_i], &count);
	ck_assert_uint_eq(count, same);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(memcmp(&plain[i], &poisoned[i], sizeof(float)) == 0,
			      "%s: value %zu of %zu is %g, %g with CLEF_POISON", nets[_i].text, i, count,
			      (double)plain[i], (double)poisoned[i]);
	free(plain);
	free(poisoned);
}
END_TEST

/* CLEF_POISON does what it says. */
START_TEST(poison)
{
	clef_device *dev;
	clef__buffer *b;
	float v = 0;

	test_setenv("CLEF_POISON", "1");
	dev = ck_new(clef_device_open(NULL));
	b = ck_new(clef__buffer_new(dev, sizeof(v)));
	ck_ok(clef__buffer_write(b, 0, &v, sizeof(v)));
	clef__buffer_retain(b);
	clef__buffer_release(b);
	ck_ok(clef__buffer_read(b, 0, &v, sizeof(v)));
	ck_assert(v == 0);
	clef__buffer_release(b);
	b = ck_new(clef__buffer_new(dev, sizeof(v)));
	ck_ok(clef__buffer_read(b, 0, &v, sizeof(v)));
	ck_assert(v != v);
	clef__buffer_release(b);
	clef_device_close(dev);
	test_setenv("CLEF_POISON", NULL);
}
END_TEST

/* ---- how much ---- */

typedef struct bound {
	const char *text;
	int64_t batch, size;
	double images; /* that the forward pass must keep, in units of the first layer's */
} bound;

/* A residual network keeps, of each block, the results of both convolutions and of both activations; of one that
 * projects that of the projection as well. Those of the next stage are half as large together. The other keeps what
 * convolution, activation and pooling gave. */
static const bound bounds[] = {
	{ "resnet18(16, 3, 2)", 64, 32, (2 + 4 + 4) + (4 + 1 + 4) / 2.0 + (4 + 1 + 4) / 4.0 },
	{ "conv2d(16, 3, pad=1) batch_norm relu conv2d(16, 3, pad=1) batch_norm relu max_pool2d(2) "
	  "conv2d(32, 3, pad=1) batch_norm relu conv2d(32, 3, pad=1) batch_norm relu max_pool2d(2) flatten linear(10)",
	  64, 32, 4 + 0.5 + 4 / 2.0 + 0.25 },
};

static void train_step(clef_tape *tape, clef_model *model, clef_optim *opt, const clef_array *x, const clef_array *y)
{
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_backward(clef_cross_entropy(clef_model_forward(model, clef_input(tape, x)), clef_input(tape, y))));
	ck_ok(clef_optim_step(opt));
}

/* The peak of each step: what must be kept at the end of the forward pass, a little more, for gradients find room in
 * what goes on the way back, and for each work-item of conv_winograd_weights.c the products of 64 outputs and channels.
 * And from the third step on there are no new buffers. */
START_TEST(peak)
{
	const bound *b = &bounds[_i];
	clef_shape sample = CLEF_SHAPE(3, b->size, b->size);
	clef_model *model;
	clef_optim *opt;
	clef_array x = { CLEF_FLOAT32, CLEF_SHAPE(b->batch, 3, b->size, b->size) },
		   y = { CLEF_INT32, CLEF_SHAPE(b->batch) };
	const double parts = 4.0 * 36 * 64 * 70 * 4 * clef_device_get_info(test_device)->compute_units;
	const double unit = 4.0 * 16 * (double)(b->batch * b->size * b->size);
	uint64_t start = in_use(), buffers = 0;
	double own, most;

	if (test_small() || clef_device_get_info(test_device)->kind != CLEF_DEVICE_CPU)
		test_skip("other devices have other workspaces");
	x.data = ck_new(calloc((size_t)clef_shape_numel(x.shape), sizeof(float)));
	y.data = ck_new(calloc((size_t)b->batch, sizeof(int32_t)));
	model = ck_new(clef_model_parse(test_device, b->text, sample, 10, NULL));
	opt = ck_new(clef_sgd_new(clef_model_params(model), &(clef_sgd_opts){ .lr = 0.01f, .momentum = 0.9f }));
	own = (double)(in_use() - start) + 4.0 * (double)clef_shape_numel(x.shape);
	most = own + unit * b->images;
	for (int i = 0; i < 5; i++) {
		clef_device_stats s;

		clef_device_reset_peak(test_device);
		train_step(test_tape, model, opt, &x, &y);
		ck_ok(clef_finish(test_device));
		s = clef_device_get_stats(test_device);
		ck_assert_msg((double)s.memory_peak <= 1.08 * most + parts,
			      "%s: step %d has a peak of %.2f MB, %.2f MB are due", b->text, i,
			      1e-6 * (double)s.memory_peak, 1e-6 * most);
		/* Nothing of the network but parameters and the result is held at its end. */
		ck_assert_msg((double)s.memory_in_use < own + unit / 4, "%.2f MB after step %d",
			      1e-6 * (double)s.memory_in_use, i);
		if (i == 2)
			buffers = s.buffers_created;
		if (i > 2)
			ck_assert_uint_eq(s.buffers_created, buffers);
	}
	clef_optim_free(opt);
	clef_model_free(model);
	free(x.data);
	free(y.data);
}
END_TEST

/* A device that is full half way back: nothing is lost, and a smaller step runs. */
START_TEST(full_half_way)
{
	clef_device_info *info = &test_device->info;
	const uint64_t memory = info->global_memory;
	shown s = { NULL };
	clef_model *model = new_model(&s);
	clef_tensor *loss;
	uint64_t start, used;

	ck_ok(clef_tape_begin(test_tape));
	start = in_use();
	for (uint64_t room = 0; room < 16 * 256; room += 256) {
		clef_status status;

		ck_ok(clef_tape_begin(test_tape));
		ck_assert_uint_eq(in_use(), start);
		loss = ck_new(clef_mean(clef_model_forward(model, batch()), NULL));
		clef_device_trim(test_device);
		info->global_memory = in_use() + room;
		clef_error_clear();
		status = clef_backward(loss);
		info->global_memory = memory;
		used = in_use();
		if (status) {
			ck_assert_int_eq(status, CLEF_ERROR_DEVICE_MEMORY);
			/* Gradients of the way are left, but once more cannot be wrong. */
			clef_error_clear();
			status = clef_backward(loss);
			ck_assert(status == CLEF_OK || status == CLEF_ERROR_STATE);
		}
		ck_assert_uint_ge(used, start);
	}
	ck_ok(clef_tape_begin(test_tape));
	ck_assert_uint_eq(in_use(), start);
	ck_ok(clef_backward(clef_mean(clef_model_forward(model, batch()), NULL)));
	clef_model_free(model);
}
END_TEST

Suite *memory_suite(void)
{
	Suite *s = suite_create("memory");
	TCase *c = tcase_create("memory");

	tcase_set_timeout(c, 300);
	tcase_add_checked_fixture(c, tape_setup, tape_teardown);
	tcase_add_test(c, models_give_back);
	tcase_add_test(c, retained);
	tcase_add_test(c, passes_apart);
	tcase_add_test(c, dropped);
	tcase_add_test(c, dropped_without_gradients);
	tcase_add_loop_test(c, networks_poisoned, 0, CLEF_COUNT(nets));
	tcase_add_test(c, poison);
	tcase_add_loop_test(c, peak, 0, CLEF_COUNT(bounds));
	tcase_add_test(c, full_half_way);
	suite_add_tcase(s, c);
	return s;
}
