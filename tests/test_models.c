/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The networks that have names, as wholes: whether the gradients of all their operations together are those of the
 * loss, whether a step of SGD is one, and whether they learn. Narrow ones, which have every sort of layer of theirs.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

enum { SAMPLES = 8, CLASSES = 4 };

typedef struct net {
	const char *narrow, *tiny; /* tiny: for test_small() */
	int64_t size;              /* of the images of the narrow one; the tiny one has half of it */
} net;

static const net nets[] = {
	{ "resnet18(8, 3, 1)", "resnet18(2, 2, 1)", 8 },
	{ "vgg11(8, stages=3)", "vgg11(2, stages=2)", 8 },
	{ "mobilenet_v2(8, 3, 2)", "mobilenet_v2(2, 2)", 8 },
};

/* A network in training, all its values and gradients one after the other, and one batch. */
typedef struct trial {
	clef_model *model;
	clef_params *params;
	clef_array images, labels;
	float *w, *g;
	size_t n;
} trial;

static size_t size_of(const clef_params *params, int i)
{
	return (size_t)clef_tensor_numel(clef_params_get(params, i));
}

static trial trial_new(const net *kind, int64_t samples)
{
	int64_t size = test_small() ? kind->size / 2 : kind->size;
	clef_shape sample = CLEF_SHAPE(3, size, size);
	clef_rng rng = { .seed = 6 };
	int32_t *labels = ck_new(calloc((size_t)samples, sizeof(*labels)));
	float *images = ck_new(calloc((size_t)(samples * clef_shape_numel(sample)), sizeof(*images)));
	trial t = { .images = { CLEF_FLOAT32, CLEF_SHAPE(samples, 3, size, size), images },
		    .labels = { CLEF_INT32, CLEF_SHAPE(samples), labels } };

	clef_rng_normal(&rng, images, (size_t)(samples * clef_shape_numel(sample)));
	for (int i = 0; i < samples; i++)
		labels[i] = i % CLASSES;
	t.model = ck_new(clef_model_parse(test_device, test_small() ? kind->tiny : kind->narrow, sample, CLASSES,
					  &(clef_model_opts){ .seed = 6 }));
	t.params = clef_model_params(t.model);
	t.n = (size_t)clef_params_numel(t.params);
	t.w = ck_new(calloc(t.n, sizeof(float)));
	t.g = ck_new(calloc(t.n, sizeof(float)));
	return t;
}

static void trial_free(trial *t)
{
	clef_model_free(t->model);
	free(t->images.data);
	free(t->labels.data);
	free(t->w);
	free(t->g);
}

/* The mean cross-entropy of the logits, in double precision: a difference of losses must not lose digits here. */
static double loss_of(const trial *t, clef_tensor *logits)
{
	float *y = nn_values(logits);
	const int32_t *labels = t->labels.data;
	int64_t samples = t->labels.shape.dim[0];
	double loss = 0;

	for (int64_t i = 0; i < samples; i++, y += CLASSES) {
		double sum = 0;

		for (int k = 0; k < CLASSES; k++)
			sum += exp((double)y[k] - (double)y[labels[i]]);
		loss += log(sum);
	}
	free(y - samples * CLASSES);
	return loss / (double)samples;
}

static clef_tensor *forward(const trial *t)
{
	ck_ok(clef_tape_begin_no_grad(nn_tape));
	return ck_new(clef_model_forward(t->model, clef_input(nn_tape, &t->images)));
}

/* The loss in training mode at other values of the parameters. */
static double loss_at(const trial *t, const float *w)
{
	for (int i = 0; i < clef_params_count(t->params); w += size_of(t->params, i++))
		ck_ok(clef_write(clef_params_get(t->params, i), w, size_of(t->params, i) * sizeof(*w)));
	return loss_of(t, forward(t));
}

/* Values and gradients at the start. */
static void find_gradients(trial *t)
{
	clef_tensor *logits;
	size_t at = 0;

	ck_ok(clef_tape_begin(nn_tape));
	logits = ck_new(clef_model_forward(t->model, clef_input(nn_tape, &t->images)));
	ck_ok(clef_backward(clef_cross_entropy(logits, clef_input(nn_tape, &t->labels))));
	for (int i = 0; i < clef_params_count(t->params); at += size_of(t->params, i++)) {
		clef_tensor *w = clef_params_get(t->params, i);

		ck_ok(clef_read(w, t->w + at, size_of(t->params, i) * sizeof(float)));
		ck_ok(clef_read(clef_grad(w), t->g + at, size_of(t->params, i) * sizeof(float)));
	}
}

static double norm(const float *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)v[i] * (double)v[i];
	return sqrt(sum);
}

/*
 * Puts the network at a place where its loss is smooth, so that finite differences are good to 1 %. A ReLU that turns
 * on or off between the two points bends the loss, and where one starts right at its kink the slope of a single layer
 * is a tenth off, whatever the distance. So what batch normalizations give lies five deviations above 0 (and seven
 * below the 6 of ReLU6), and as far below it in every fourth channel, which is off. Max pooling has kinks all the same,
 * which the seed keeps clear of. The classifier gets weights of 0.1, for a gradient well above the rounding errors.
 */
static void settle(const trial *t)
{
	for (int i = 0; i + 1 < clef_params_count(t->params); i++) {
		clef_tensor *w = clef_params_get(t->params, i);
		size_t n = size_of(t->params, i);
		float *v = nn_values(w);
		double scale = 0.1 * sqrt((double)n) / norm(v, n);

		if (clef_tensor_shape(w).ndim == 2) {
			for (size_t k = 0; k < n; k++)
				v[k] *= (float)scale;
			ck_ok(clef_write(w, v, n * sizeof(*v)));
		} else if (clef_tensor_shape(w).ndim == 1 && strstr(clef_params_name(t->params, i), ".weight")) {
			for (size_t k = 0; k < n; k++)
				v[k] = k % 4 == 3 ? -2.5f : 2.5f;
			ck_ok(clef_fill(w, 0.5));
			ck_ok(clef_write(clef_params_get(t->params, i + 1), v, n * sizeof(*v)));
		}
		free(v);
	}
}

/*
 * `count` values from `first` on go up and down their own gradient, as far as changes the loss by 1e-3: that is
 * hundreds of times the error of a float32 loss, and too short for curvature to matter. Along a vanishing gradient,
 * such as that of a bias before a batch normalization, it would be far, so there is a limit; and small as the change is
 * there, it must be as small as the gradient says.
 */
static void check_gradient(const trial *t, const char *name, size_t first, size_t count)
{
	const double change = 1e-3, limit = 0.05, noise = 2e-6;
	double length = norm(t->g + first, count), expected = 0, got;
	double h = length > 0 ? fmin(change / (2 * length * length), limit / length) : 0;
	float *up = ck_new(malloc(t->n * sizeof(*up))), *down = ck_new(malloc(t->n * sizeof(*down)));

	memcpy(up, t->w, t->n * sizeof(*up));
	memcpy(down, t->w, t->n * sizeof(*down));
	for (size_t i = first; i < first + count; i++) {
		double d = length > 0 ? h * (double)t->g[i] : limit / sqrt((double)count);

		up[i] = (float)((double)up[i] + d);
		down[i] = (float)((double)down[i] - d);
		expected += (double)t->g[i] * ((double)up[i] - (double)down[i]);
	}
	got = loss_at(t, up) - loss_at(t, down);
	free(up);
	free(down);
	ck_assert_msg(fabs(got - expected) <= 0.01 * fabs(expected) + noise,
		      "%s, gradient of length %g: the loss changes by %g, its gradient promises %g (%.4f of that)",
		      name, length, got, expected, got / expected);
}

/* The whole gradient, of the network as it starts. */
START_TEST(gradient)
{
	trial t = trial_new(&nets[_i], 4);

	find_gradients(&t);
	ck_assert(isfinite(norm(t.g, t.n)) && norm(t.g, t.n) > 0.1);
	check_gradient(&t, "all parameters", 0, t.n);
	trial_free(&t);
}
END_TEST

/* Each parameter by itself. Devices other than a CPU may be emulated ones, on which all of them take minutes: every
 * fifth, from the linear layer's weights backwards, still is a convolution, a weight and a bias in turn. */
START_TEST(gradient_parts)
{
	bool all = test_long() || clef_device_get_info(test_device)->kind == CLEF_DEVICE_CPU;
	trial t;
	size_t at = 0;
	int count;

	if (test_small())
		test_skip("dozens of forward passes");
	t = trial_new(&nets[_i], 4);
	count = clef_params_count(t.params);
	settle(&t);
	find_gradients(&t);
	for (int i = 0; i < count; at += size_of(t.params, i++))
		if (all || (count - 2 - i) % 5 == 0)
			check_gradient(&t, clef_params_name(t.params, i), at, size_of(t.params, i));
	trial_free(&t);
}
END_TEST

START_TEST(sgd_step)
{
	const float lr = 0.1f;
	trial t = trial_new(&nets[_i], 4);
	clef_optim *opt = ck_new(clef_sgd_new(t.params, &(clef_sgd_opts){ .lr = lr }));
	size_t at = 0;

	find_gradients(&t);
	ck_ok(clef_optim_step(opt));
	for (int i = 0; i < clef_params_count(t.params); i++) {
		float *w = nn_values(clef_params_get(t.params, i));

		for (size_t k = 0; k < size_of(t.params, i); k++, at++) {
			double move = (double)lr * (double)t.g[at], want = (double)t.w[at] - move;
			/* One rounding of the product, which a device may leave out, and one of the difference. */
			double error = 0x1p-24 * (fabs(move) + fabs(want)) * 1.001 + (double)FLT_MIN;

			ck_assert_msg(fabs((double)w[k] - want) <= error, "%s [%d] is %.9g, %.9g was expected",
				      clef_params_name(t.params, i), (int)k, (double)w[k], want);
		}
		free(w);
	}
	ck_assert_uint_eq(at, t.n);
	clef_optim_free(opt);
	trial_free(&t);
}
END_TEST

/* Trains on the batch; the loss and the share of right answers before the last step. */
static void train(const trial *t, clef_optim *opt, int steps, double *loss, double *share)
{
	while (steps--) {
		clef_tensor *labels, *logits, *y;

		ck_ok(clef_tape_begin(nn_tape));
		labels = clef_input(nn_tape, &t->labels);
		logits = clef_model_forward(t->model, clef_input(nn_tape, &t->images));
		y = clef_cross_entropy(logits, labels);
		ck_ok(clef_backward(y));
		ck_ok(clef_optim_step(opt));
		if (steps)
			continue;
		*loss = clef_item(y);
		*share = clef_item(clef_accuracy(logits, labels));
	}
}

START_TEST(overfits)
{
	trial t;
	clef_optim *opt;
	clef_tensor *logits;
	double loss, share;

	if (test_small())
		test_skip("twenty steps of a network");
	t = trial_new(&nets[_i], SAMPLES);
	opt = ck_new(clef_adam_new(t.params, &(clef_adam_opts){ .lr = 0.01f }));
	train(&t, opt, 20, &loss, &share);
	ck_assert_msg(loss < 0.05 && share == 1, "after 20 steps the loss is %g and the accuracy %g", loss, share);
	/* The running statistics are still those of the first steps in part. */
	for (int i = 0; i < 30; i++)
		forward(&t);
	ck_ok(clef_model_train(t.model, false));
	logits = forward(&t);
	loss = loss_of(&t, logits);
	share = clef_item(clef_accuracy(logits, clef_input(nn_tape, &t.labels)));
	ck_assert_msg(loss < 0.05 && share == 1, "in evaluation the loss is %g and the accuracy %g", loss, share);
	clef_optim_free(opt);
	trial_free(&t);
}
END_TEST

/* ---- the published forms ---- */

typedef struct place {
	const char *name; /* of a parameter or a buffer; the last row has none */
	clef_shape shape;
} place;

/* What PyTorch counts and names in torchvision's models, with the stem for CIFAR and ten classes. */
static const struct {
	const char *name;
	int64_t values;
	int count;
	place places[10];
} published_nets[] = {
	{ "resnet18",
	  11173962,
	  62,
	  { { "conv1.weight", { 4, { 64, 3, 3, 3 } } },
	    { "bn1.running_mean", { 1, { 64 } } },
	    { "layer1.1.conv2.weight", { 4, { 64, 64, 3, 3 } } },
	    { "layer2.0.conv1.weight", { 4, { 128, 64, 3, 3 } } },
	    { "layer2.0.downsample.0.weight", { 4, { 128, 64, 1, 1 } } },
	    { "layer2.0.downsample.1.running_var", { 1, { 128 } } },
	    { "layer4.1.bn2.bias", { 1, { 512 } } },
	    { "layer4.1.conv2.weight", { 4, { 512, 512, 3, 3 } } },
	    { "fc.weight", { 2, { 10, 512 } } } } },
	{ "vgg11",
	  9231114,
	  34,
	  { { "features.0.weight", { 4, { 64, 3, 3, 3 } } },
	    { "features.0.bias", { 1, { 64 } } },
	    { "features.1.running_var", { 1, { 64 } } },
	    { "features.4.weight", { 4, { 128, 64, 3, 3 } } },
	    { "features.8.weight", { 4, { 256, 128, 3, 3 } } },
	    { "features.18.weight", { 4, { 512, 512, 3, 3 } } },
	    { "features.26.bias", { 1, { 512 } } },
	    { "features.25.weight", { 4, { 512, 512, 3, 3 } } },
	    { "classifier.weight", { 2, { 10, 512 } } } } },
	{ "mobilenet_v2",
	  2236682,
	  158,
	  { { "features.0.0.weight", { 4, { 32, 3, 3, 3 } } },
	    { "features.1.conv.0.0.weight", { 4, { 32, 1, 3, 3 } } },
	    { "features.1.conv.1.weight", { 4, { 16, 32, 1, 1 } } },
	    { "features.1.conv.2.running_mean", { 1, { 16 } } },
	    { "features.2.conv.0.0.weight", { 4, { 96, 16, 1, 1 } } },
	    { "features.2.conv.1.1.bias", { 1, { 96 } } },
	    { "features.17.conv.3.running_var", { 1, { 320 } } },
	    { "features.18.0.weight", { 4, { 1280, 320, 1, 1 } } },
	    { "classifier.1.weight", { 2, { 10, 1280 } } } } },
};

/* Kaiming's normal distribution over fan_out, for the large convolution that the table has last but one. */
static void check_start(const clef_tensor *conv)
{
	clef_shape shape = clef_tensor_shape(conv);
	size_t n = (size_t)clef_tensor_numel(conv);
	float *w = nn_values(conv);
	double std = norm(w, n) / sqrt((double)n), sum = 0;
	double want = sqrt(2 / (double)(shape.dim[0] * shape.dim[2] * shape.dim[3]));

	for (size_t i = 0; i < n; i++)
		sum += (double)w[i];
	free(w);
	ck_assert_msg(fabs(std / want - 1) < 0.01 && fabs(sum) < 4 * want * sqrt((double)n),
		      "deviation %g, sum %g; a deviation of %g was expected", std, sum, want);
}

START_TEST(published)
{
	const char *name = published_nets[_i].name;
	const place *p = published_nets[_i].places;
	int count = published_nets[_i].count;
	clef_model *model;
	clef_params *params;
	clef_tensor *x = NULL;

	if (test_small())
		test_skip("millions of parameters");
	model = ck_new(clef_model_parse(test_device, name, CLEF_SHAPE(3, 32, 32), 10, NULL));
	params = clef_model_params(model);
	ck_assert_int_eq(clef_params_numel(params), published_nets[_i].values);
	ck_assert_int_eq(clef_params_count(params), count);
	ck_assert(clef_shape_equal(clef_model_output(model), CLEF_SHAPE(10)));
	ck_assert_str_eq(clef_params_name(params, 0), p->name);
	for (; p->name; p++) {
		bool running = strstr(p->name, "running") != NULL;

		x = running ? clef_model_buffer(model, p->name) : clef_params_find(params, p->name);
		ck_assert_msg(x && nn_shape_is(x, p->shape), "%s of %s", p->name, name);
	}
	ck_assert_ptr_eq(x, clef_params_get(params, count - 2));
	check_start(clef_params_find(params, p[-2].name));
	clef_model_free(model);
}
END_TEST

START_TEST(configs)
{
	const clef_shape one = CLEF_SHAPE(1, 8, 8);
	clef_model *model;

	/* 16 pixels cannot be halved five times, nor one channel once. */
	ck_null_fails(clef_model_parse(test_device, "vgg11", CLEF_SHAPE(3, 16, 16), 10, NULL), CLEF_ERROR_SHAPE,
		      "max_pool2d");
	ck_null_fails(clef_model_parse(test_device, "mobilenet_v2(1, 2)", CLEF_SHAPE(3, 8, 8), 10, NULL),
		      CLEF_ERROR_INVALID, "layer \"features.1.conv.1\" (conv2d), x [1, 1, 8, 8]: out is 0");
	model = ck_new(clef_model_parse(test_device, "resnet18(4, 9, 9)", one, 3, NULL));
	ck_assert(nn_shape_is(clef_params_get(clef_model_params(model), 0), CLEF_SHAPE(4, 1, 3, 3)));
	ck_assert_int_eq(clef_params_count(clef_model_params(model)), published_nets[0].count);
	ck_assert(clef_shape_equal(clef_model_output(model), CLEF_SHAPE(3)));
	clef_model_free(model);
}
END_TEST

Suite *models_suite(void)
{
	Suite *s = suite_create("models");
	TCase *c = nn_add_case(s, "models");

	tcase_add_loop_test(c, gradient, 0, CLEF_COUNT(nets));
	tcase_add_loop_test(c, gradient_parts, 0, CLEF_COUNT(nets));
	tcase_add_loop_test(c, sgd_step, 0, CLEF_COUNT(nets));
	tcase_add_loop_test(c, overfits, 0, CLEF_COUNT(nets));
	tcase_add_loop_test(c, published, 0, CLEF_COUNT(published_nets));
	tcase_add_test(c, configs);
	return s;
}
