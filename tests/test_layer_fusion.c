/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers with their activations: sequential models that let a pointwise layer run in the one before it, and modules
 * that ask for it. Both are held to the same operations written apart, in values, gradients and training; and they
 * must take fewer launches, else nothing was gained.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

/* ---- one layer and one activation ---- */

static const struct {
	const char *text;
	clef_shape sample;
} layers[] = {
	{ "linear(6)", { 1, { 10 } } },
	{ "linear(6, no_bias)", { 2, { 3, 10 } } },
	{ "conv1d(6, 3, pad=1)", { 2, { 3, 10 } } },
	{ "conv2d(6, 3, pad=1)", { 3, { 3, 5, 6 } } },
	{ "conv2d(6, 3, no_bias)", { 3, { 3, 5, 6 } } },
	{ "conv_transpose1d(6, 3)", { 2, { 3, 10 } } },
	{ "conv_transpose2d(6, 3)", { 3, { 3, 5, 6 } } },
	{ "batch_norm", { 2, { 3, 10 } } },
	{ "batch_norm(no_affine)", { 3, { 3, 5, 6 } } },
};

static const struct {
	const char *text;
	clef_activation act;
	bool fuses;
} activations[] = {
	{ "relu", { CLEF_ACT_RELU, 0, 0 }, true },
	{ "hardtanh(0, 0.5)", { CLEF_ACT_HARDTANH, 0, 0.5f }, true },
	{ "gelu", { CLEF_ACT_GELU, 0, 0 }, false },
};

static clef_model *parsed(const char *text, clef_shape sample)
{
	clef_layer *list;
	clef_model *model;
	int count;

	ck_ok(clef_layers_parse(text, &list, &count));
	model = ck_new(clef_sequential_new(test_device, list, count, sample, &(clef_model_opts){ .seed = 9 }));
	free(list);
	return model;
}

static void check_near(const char *what, const float *got, const float *want, int64_t n)
{
	double mean = 0;

	for (int64_t i = 0; i < n; i++)
		mean += fabs((double)want[i]) / (double)n;
	for (int64_t i = 0; i < n; i++)
		ck_assert_msg(fabs((double)got[i] - (double)want[i]) <= 2e-6 * fmax(fabs((double)want[i]), mean),
			      "%s[%d] is %.9g, not %.9g", what, (int)i, (double)got[i], (double)want[i]);
}

static void check_near_tensors(const char *what, const clef_tensor *got, const clef_tensor *want)
{
	float *a = nn_values(got), *b = nn_values(want);

	ck_assert(clef_shape_equal(clef_tensor_shape(got), clef_tensor_shape(want)));
	check_near(what, a, b, clef_tensor_numel(got));
	free(a);
	free(b);
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

static uint64_t launches(void)
{
	return clef_device_get_stats(test_device).launches;
}

/* Fusing saves a launch; but a linear layer takes one for its bias and its activation where the engine of its product
 * does not finish that itself, so there it saves one at most. */
static void check_launches(const char *text, uint64_t fused, uint64_t apart, int saved, bool linear)
{
	ck_assert_msg(fused + (uint64_t)saved == apart || (linear && saved && fused == apart),
		      "%s: %d launches, apart %d, saved should be %d", text, (int)fused, (int)apart, saved);
}

/* The layer with the activation behind it, against the layer alone and the operation. */
START_TEST(test_pair)
{
	const int which = _i / CLEF_COUNT(activations), act = _i % CLEF_COUNT(activations);
	clef_shape sample = layers[which].sample;
	char text[96];
	clef_model *fused, *apart;
	clef_params *p[2];
	clef_tensor *x, *y, *want;
	uint64_t count[2];
	float *dx;

	snprintf(text, sizeof(text), "%s %s", layers[which].text, activations[act].text);
	fused = parsed(text, sample);
	apart = parsed(layers[which].text, sample);
	p[0] = clef_model_params(fused);
	p[1] = clef_model_params(apart);
	ck_ok(clef_tape_begin(nn_tape));
	x = nn_input(3, sample);
	ck_ok(clef_requires_grad(x, true));
	count[0] = launches();
	y = ck_new(clef_model_forward(fused, x));
	count[1] = launches();
	want = ck_new(clef_activate(clef_model_forward(apart, x), activations[act].act));
	check_launches(text, count[1] - count[0], launches() - count[1], activations[act].fuses,
		       !strncmp(text, "linear", 6));
	check_near_tensors("y", y, want);
	ck_ok(clef_backward(loss_of(y)));
	dx = nn_values(clef_grad(x));
	ck_ok(clef_backward(loss_of(want)));
	float *want_dx = nn_values(clef_grad(x));

	check_near("dx", dx, want_dx, clef_tensor_numel(x));
	for (int i = 0; i < clef_params_count(p[0]); i++)
		check_near_tensors(clef_params_name(p[0], i), clef_grad(clef_params_get(p[0], i)),
				   clef_grad(clef_params_get(p[1], i)));
	free(dx);
	free(want_dx);
	clef_model_free(fused);
	clef_model_free(apart);
}
END_TEST

/* ---- whole models ---- */

static const char whole[] =
	"conv2d(6, 3, pad=1, no_bias) batch_norm relu max_pool2d(2) conv2d(8, 3, pad=1) hardtanh(0, 0.25) "
	"conv2d(4, 1) gelu flatten linear(12) relu sigmoid linear(3)";

static const char whole_print[] = "Layer           Output shape  Parameters\n"
				  "----------------------------------------\n"
				  "input           [N, 1, 6, 6]           -\n"
				  "0 (conv2d)      [N, 6, 6, 6]          54\n"
				  "1 (batch_norm)  [N, 6, 6, 6]          12\n"
				  "2 (relu)        [N, 6, 6, 6]           -\n"
				  "3 (max_pool2d)  [N, 6, 3, 3]           -\n"
				  "4 (conv2d)      [N, 8, 3, 3]         440\n"
				  "5 (hardtanh)    [N, 8, 3, 3]           -\n"
				  "6 (conv2d)      [N, 4, 3, 3]          36\n"
				  "7 (gelu)        [N, 4, 3, 3]           -\n"
				  "8 (flatten)     [N, 36]                -\n"
				  "9 (linear)      [N, 12]              444\n"
				  "10 (relu)       [N, 12]                -\n"
				  "11 (sigmoid)    [N, 12]                -\n"
				  "12 (linear)     [N, 3]                39\n"
				  "----------------------------------------\n";

/* The same, one operation a call. */
static clef_tensor *apart_module(clef_module *m, clef_tensor *x)
{
	x = clef_nn_conv2d_no_bias(m, "0", x, 6, 3, &(clef_conv2d_opts){ .pad = 1 });
	x = clef_relu(clef_nn_batch_norm(m, "1", x, NULL));
	x = clef_max_pool2d(x, &(clef_max_pool_opts){ .kernel = 2 });
	x = clef_hardtanh(clef_nn_conv2d(m, "4", x, 8, 3, &(clef_conv2d_opts){ .pad = 1 }), 0, 0.25f);
	x = clef_gelu(clef_nn_conv2d(m, "6", x, 4, 1, NULL));
	x = clef_relu(clef_nn_linear(m, "9", clef_flatten(x), 12, NULL));
	return clef_nn_linear(m, "12", clef_sigmoid(x), 3, NULL);
}

/* The same, with every activation among the options. */
static clef_tensor *options_module(clef_module *m, clef_tensor *x)
{
	x = clef_nn_conv2d_no_bias(m, "0", x, 6, 3, &(clef_conv2d_opts){ .pad = 1 });
	x = clef_nn_batch_norm(m, "1", x, &(clef_batch_norm_opts){ .activation = { .kind = CLEF_ACT_RELU } });
	x = clef_max_pool2d(x, &(clef_max_pool_opts){ .kernel = 2 });
	x = clef_nn_conv2d(m, "4", x, 8, 3,
			   &(clef_conv2d_opts){ .pad = 1, .activation = { CLEF_ACT_HARDTANH, 0, 0.25f } });
	x = clef_nn_conv2d(m, "6", x, 4, 1, &(clef_conv2d_opts){ .activation = { .kind = CLEF_ACT_GELU } });
	x = clef_nn_linear(m, "9", clef_flatten(x), 12, &(clef_linear_opts){ .activation = { .kind = CLEF_ACT_RELU } });
	return clef_nn_linear(m, "12", clef_sigmoid(x), 3, NULL);
}

enum { APART, OPTIONS, SEQUENTIAL, WAYS };

static clef_model *make_whole(int way)
{
	clef_shape sample = CLEF_SHAPE(1, 6, 6);

	if (way == SEQUENTIAL)
		return parsed(whole, sample);
	return ck_new(clef_model_new(test_device, way == APART ? apart_module : options_module, sample,
				     &(clef_model_opts){ .seed = 9 }));
}

/* In training or evaluation, what a forward call launches, and what comes out. */
static uint64_t forward_launches(clef_model *model, bool training, float **values)
{
	clef_tensor *x, *y;
	uint64_t before;

	ck_ok(clef_model_train(model, training));
	ck_ok(clef_tape_begin(nn_tape));
	x = nn_input(4, CLEF_SHAPE(1, 6, 6));
	before = launches();
	y = ck_new(clef_model_forward(model, x));
	before = launches() - before;
	*values = nn_values(y);
	return before;
}

START_TEST(test_whole_values)
{
	clef_model *models[WAYS];
	uint64_t count[WAYS];
	float *y[WAYS];

	for (int way = 0; way < WAYS; way++) {
		models[way] = make_whole(way);
		count[way] = forward_launches(models[way], _i, &y[way]);
		check_near("y", y[way], y[APART], 12);
	}
	/* batch_norm with relu, conv2d with hardtanh, linear with relu */
	check_launches("options", count[OPTIONS], count[APART] - 2, 1, true);
	check_launches("sequential", count[SEQUENTIAL], count[APART] - 2, 1, true);
	for (int way = 0; way < WAYS; way++) {
		free(y[way]);
		clef_model_free(models[way]);
	}
}
END_TEST

START_TEST(test_whole_print)
{
	clef_model *model = make_whole(SEQUENTIAL);
	char *text = nn_printed(model);

	ck_assert_msg(!strncmp(text, whole_print, strlen(whole_print)), "%s", text);
	free(text);
	clef_model_free(model);
}
END_TEST

static double train(clef_model *model, int steps, uint64_t *count)
{
	clef_optim *opt = ck_new(clef_adam_new(clef_model_params(model), &(clef_adam_opts){ .lr = 0.02f }));
	int32_t classes[6] = { 0, 1, 2, 0, 1, 2 };
	clef_tensor *loss = NULL;

	for (int i = 0; i < steps; i++) {
		ck_ok(clef_tape_begin(nn_tape));
		loss = clef_cross_entropy(clef_model_forward(model, nn_input(6, CLEF_SHAPE(1, 6, 6))),
					  clef_input(nn_tape, &(clef_array){ CLEF_INT32, CLEF_SHAPE(6), classes }));
		*count = launches();
		ck_ok(clef_backward(loss));
		ck_ok(clef_optim_step(opt));
		*count = launches() - *count;
	}
	clef_optim_free(opt);
	return clef_item(loss);
}

START_TEST(test_whole_training)
{
	int steps = test_small() ? 2 : 100;
	double loss[WAYS];
	uint64_t count[WAYS];

	for (int way = 0; way < WAYS; way++) {
		clef_model *model = make_whole(way);

		loss[way] = train(model, steps, &count[way]);
		clef_model_free(model);
	}
	ck_assert_msg(fabs(loss[OPTIONS] - loss[APART]) < 1e-3, "%.9g, apart %.9g", loss[OPTIONS], loss[APART]);
	ck_assert_msg(fabs(loss[SEQUENTIAL] - loss[APART]) < 1e-3, "%.9g, apart %.9g", loss[SEQUENTIAL], loss[APART]);
	ck_assert_uint_le(count[SEQUENTIAL], count[APART]);
	ck_assert_msg(test_small() || loss[APART] < 0.5, "loss %g after %d steps", loss[APART], steps);
}
END_TEST

/* ---- what does not fuse ---- */

/* The text, and how many launches it has fewer than its layers have alone. */
static const struct {
	const char *text, *first, *second;
	int saved;
} neighbours[] = {
	{ "linear(6) relu sigmoid", "linear(6) relu", "sigmoid", 0 },
	{ "linear(6) prelu", "linear(6)", "prelu", 0 },
	{ "linear(6) flatten relu", "linear(6) flatten", "relu", 0 },
	{ "relu linear(6)", "relu", "linear(6)", 0 },
	{ "linear(6) relu", "linear(6)", "relu", 1 },
	{ "linear(6) gelu", "linear(6)", "gelu", 0 },
	{ "linear(6) leaky_relu(-0.5)", "linear(6)", "leaky_relu(-0.5)", 0 },
};

START_TEST(test_neighbours)
{
	clef_shape sample = CLEF_SHAPE(6);
	clef_model *both = parsed(neighbours[_i].text, sample);
	clef_model *first = parsed(neighbours[_i].first, sample), *second = parsed(neighbours[_i].second, sample);
	clef_tensor *w[2] = { NULL, NULL }, *x, *y, *want;
	uint64_t count[2];

	/* Seeds go by place, so a linear layer that comes second has to be given the weights. */
	for (int i = 0; i < clef_params_count(clef_model_params(second)); i++) {
		w[0] = clef_params_get(clef_model_params(both), i + clef_params_count(clef_model_params(first)));
		w[1] = clef_params_get(clef_model_params(second), i);
		ck_ok(clef_copy(w[0], w[1]));
	}
	ck_ok(clef_tape_begin(nn_tape));
	x = nn_input(3, sample);
	count[0] = launches();
	y = ck_new(clef_model_forward(both, x));
	count[1] = launches();
	want = ck_new(clef_model_forward(second, clef_model_forward(first, x)));
	check_launches(neighbours[_i].text, count[1] - count[0], launches() - count[1], neighbours[_i].saved, true);
	check_near_tensors(neighbours[_i].text, y, want);
	clef_model_free(both);
	clef_model_free(first);
	clef_model_free(second);
}
END_TEST

Suite *layer_fusion_suite(void)
{
	Suite *s = suite_create("layer_fusion");
	TCase *c = nn_add_case(s, "layer_fusion");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, test_pair, 0, CLEF_COUNT(layers) * CLEF_COUNT(activations));
	tcase_add_loop_test(c, test_whole_values, 0, 2);
	tcase_add_test(c, test_whole_print);
	tcase_add_test(c, test_whole_training);
	tcase_add_loop_test(c, test_neighbours, 0, CLEF_COUNT(neighbours));
	return s;
}
