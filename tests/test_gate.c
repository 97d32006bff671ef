/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gradients that pass a relu where the operation behind it writes them. Who asks for the gradient of the relu's result
 * gets it before it has passed, so that it passes in a kernel of its own: the other gradients must not differ by a bit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conv_task.h"
#include "gemm.h"
#include "gemm_case.h"

enum { N = 2, OUT = 7 };
enum { LEAVES = 5, MAX_IMPLS = 8 };
/* Channels, outputs, rows and columns. */
#define C    (test_small() ? 3 : 17)
#define K    (test_small() ? 4 : 18)
#define SIZE (test_small() ? 5 : 10)

static const clef_activation relu = { CLEF_ACT_RELU };
static const clef_conv2d_opts padded = { .pad = 1 };

typedef struct net {
	clef_tape *tape;
	clef_tensor *leaf[LEAVES];
} net;

static clef_tensor *leaf(clef_shape shape, float nan_at)
{
	size_t n = (size_t)clef_shape_numel(shape);
	float *v = malloc(n * sizeof(float));
	clef_tensor *x;

	ck_assert_ptr_nonnull(v);
	for (size_t i = 0; i < n; i++)
		v[i] = (float)i == nan_at ? NAN : gemm_next_value(false) / 8;
	x = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_FLOAT32, shape, v }));
	ck_ok(clef_requires_grad(x, true));
	free(v);
	return x;
}

/* Images, weights and bias of a convolution, weights of a second one, and of a linear layer. */
static net net_new(float nan_at)
{
	return (net){ ck_new(clef_tape_new(test_device)),
		      { leaf(CLEF_SHAPE(N, C, SIZE, SIZE), nan_at), leaf(CLEF_SHAPE(K, C, 3, 3), -1),
			leaf(CLEF_SHAPE(K), -1), leaf(CLEF_SHAPE(K, K, 3, 3), -1),
			leaf(CLEF_SHAPE(OUT, K * SIZE * SIZE), -1) } };
}

static void net_free(net *t)
{
	for (int i = 0; i < LEAVES; i++)
		clef_tensor_free(t->leaf[i]);
	clef_tape_free(t->tape);
}

/* What comes behind *y, which is the result of a relu. */
typedef clef_tensor *(*body)(const net *t, clef_tensor **y);

static clef_tensor *fused(const net *t)
{
	return clef_conv2d(t->leaf[0], t->leaf[1], t->leaf[2], &(clef_conv2d_opts){ .pad = 1, .activation = relu });
}

static clef_tensor *into_conv(const net *t, clef_tensor **y)
{
	*y = fused(t);
	return clef_conv2d_no_bias(*y, t->leaf[3], &padded);
}

static clef_tensor *into_reflecting_conv(const net *t, clef_tensor **y)
{
	*y = fused(t);
	return clef_conv2d_no_bias(*y, t->leaf[3], &(clef_conv2d_opts){ .pad = 1, .pad_mode = CLEF_PAD_REFLECT });
}

static clef_tensor *into_linear(const net *t, clef_tensor **y)
{
	*y = fused(t);
	return clef_linear_no_bias(clef_flatten(*y), t->leaf[4]);
}

static clef_tensor *relu_alone(const net *t, clef_tensor **y)
{
	*y = clef_relu(clef_conv2d_no_bias(t->leaf[0], t->leaf[1], &padded));
	return clef_linear_no_bias(clef_flatten(*y), t->leaf[4]);
}

static clef_tensor *relu_of_sum(const net *t, clef_tensor **y)
{
	clef_tensor *z = clef_conv2d(t->leaf[0], t->leaf[1], t->leaf[2], &padded);

	*y = clef_add_act(z, clef_mul(z, z), relu);
	return clef_conv2d_no_bias(*y, t->leaf[3], &padded);
}

/* The sum's gradient to y is not one that has passed: neither may the other one be. */
static clef_tensor *taken_twice(const net *t, clef_tensor **y)
{
	*y = fused(t);
	return clef_add(clef_conv2d_no_bias(*y, t->leaf[3], &padded), *y);
}

static clef_tensor *taken_through_views(const net *t, clef_tensor **y)
{
	clef_tensor *flat;

	*y = fused(t);
	flat = clef_flatten(*y);
	return clef_add(clef_linear_no_bias(flat, t->leaf[4]), clef_sum(clef_mul(flat, flat), NULL));
}

static clef_tensor *not_a_relu(const net *t, clef_tensor **y)
{
	*y = clef_conv2d(t->leaf[0], t->leaf[1], t->leaf[2],
			 &(clef_conv2d_opts){ .pad = 1, .activation = { CLEF_ACT_LEAKY_RELU } });
	return clef_conv2d_no_bias(*y, t->leaf[3], &padded);
}

/* All gradients in a row, NaN where there is none; *launches: of the backward pass. */
static float *gradients(const net *t, body f, bool ask, size_t *bytes, uint64_t *launches)
{
	size_t sizes[LEAVES], all = 0, at = 0;
	clef_tensor *y, *z;
	float *v;

	for (int i = 0; i < LEAVES; i++)
		all += sizes[i] = (size_t)clef_tensor_numel(t->leaf[i]);
	v = malloc(all * sizeof(float));
	ck_assert_ptr_nonnull(v);
	memset(v, -1, all * sizeof(float));
	ck_ok(clef_tape_begin(t->tape));
	z = ck_new(f(t, &y));
	if (ask)
		ck_ok(clef_requires_grad(y, true));
	z = ck_new(clef_sum(clef_mul(z, z), NULL));
	*launches = clef_device_get_stats(test_device).launches;
	ck_ok(clef_backward(z));
	*launches = clef_device_get_stats(test_device).launches - *launches;
	for (int i = 0; i < LEAVES; at += sizes[i++])
		if (clef_grad(t->leaf[i]))
			ck_ok(clef_read(clef_grad(t->leaf[i]), v + at, sizes[i] * sizeof(float)));
	*bytes = all * sizeof(float);
	return v;
}

/* Returns how many launches the asking costs. */
static int compare(body f, float nan_at)
{
	net t = net_new(nan_at);
	uint64_t launches, asked_launches;
	size_t bytes;
	float *got, *want;

	want = gradients(&t, f, true, &bytes, &asked_launches);
	got = gradients(&t, f, false, &bytes, &launches);
	ck_assert(memcmp(got, want, bytes) == 0);
	free(got);
	free(want);
	net_free(&t);
	return (int)asked_launches - (int)launches;
}

/* ---- tests ---- */

START_TEST(each_convolution)
{
	const clef__conv_impl *impl = clef__conv_impl_get(_i);
	const clef__conv g = conv_whole(&(clef__conv){
		.n = N, .c = K, .h = SIZE, .w = SIZE, .k = K, .r = 3, .s = 3, .pad_top = 1, .pad_left = 1 });
	clef__conv first = g;

	first.c = C;
	if (!impl || !impl->backward_data || !impl->fits(test_device, &g, CLEF__CONV_BACKWARD_DATA) ||
	    !impl->fits(test_device, &first, CLEF__CONV_BACKWARD_DATA) ||
	    !impl->fits(test_device, &g, CLEF__CONV_FORWARD))
		test_skip("no such implementation here");
	if (test_small() && impl != clef__conv_shipped(test_device, &g, CLEF__CONV_BACKWARD_DATA))
		test_skip("slow");
	clef__device_set_conv(test_device, impl->name);
	ck_assert_int_eq(compare(into_conv, -1), impl->gates);
	ck_assert_int_eq(compare(into_conv, 32), impl->gates);
	clef__device_set_conv(test_device, NULL);
}
END_TEST

START_TEST(chains)
{
	static const body gated[] = { into_linear, relu_alone, relu_of_sum, into_reflecting_conv };
	static const body not_gated[] = { taken_twice, taken_through_views, not_a_relu };

	for (int i = 0; i < (test_small() ? 2 : CLEF_COUNT(gated)); i++)
		ck_assert_int_ge(compare(gated[i], -1), 0);
	for (int i = 0; i < (test_small() ? 1 : CLEF_COUNT(not_gated)); i++)
		ck_assert_int_eq(compare(not_gated[i], -1), 0);
}
END_TEST

/* Only where it is in the product's own kernel, less is launched. */
START_TEST(each_engine)
{
	clef_device *own = test_device;
	clef_device *dev = gemm_open_with(_i);

	if (!dev)
		test_skip("no such engine here");
	test_device = dev;
	ck_assert_int_eq(compare(into_linear, -1), clef__gemm_engine_get(_i)->gates);
	ck_assert_int_eq(compare(into_linear, 32), clef__gemm_engine_get(_i)->gates);
	test_device = own;
	clef_device_close(dev);
}
END_TEST

/* ---- in the gate's memory ---- */

enum { IMAGES = 4, WIDTH = 18, SIDE = 64, PARAMS = 4 };

/* Two convolutions, the first with a relu: by a model, whose tensors the tape alone has, or by hand. */
static clef_tensor *two_convolutions(clef_model *model, clef_tensor *x, bool by_hand)
{
	const clef_params *p = clef_model_params(model);

	if (!by_hand)
		return clef_model_forward(model, x);
	x = clef_conv2d(x, clef_params_get(p, 0), clef_params_get(p, 1),
			&(clef_conv2d_opts){ .pad = 1, .activation = relu });
	return clef_conv2d(x, clef_params_get(p, 2), clef_params_get(p, 3), &padded);
}

/* All gradients of parameters, and the most memory meanwhile. */
static float *model_gradients(clef_model *model, clef_tensor *x, bool by_hand, uint64_t *peak)
{
	const clef_params *p = clef_model_params(model);
	float *v = ck_new(calloc((size_t)clef_params_numel(p), sizeof(float)));
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *y;
	size_t at = 0;

	clef_device_trim(test_device);
	for (int i = 0; i < 3; i++) {
		clef_device_reset_peak(test_device);
		ck_ok(clef_tape_begin(tape));
		y = ck_new(two_convolutions(model, x, by_hand));
		ck_ok(clef_backward(clef_sum(clef_mul(y, y), NULL)));
	}
	*peak = clef_device_get_stats(test_device).memory_peak;
	for (int i = 0; i < PARAMS; i++) {
		const clef_tensor *g = ck_new(clef_grad(clef_params_get(p, i)));

		ck_ok(clef_read(clef_grad(clef_params_get(p, i)), v + at,
				(size_t)clef_tensor_numel(g) * sizeof(float)));
		at += (size_t)clef_tensor_numel(g);
	}
	clef_tape_free(tape);
	clef_device_trim(test_device);
	return v;
}

START_TEST(over_the_gate)
{
	const clef_shape images = CLEF_SHAPE(IMAGES, WIDTH, SIDE, SIDE);
	uint64_t peak, by_hand_peak;
	clef_model *model;
	clef_tensor *x;
	float *got, *want;

	if (test_small() || clef_device_get_info(test_device)->kind != CLEF_DEVICE_CPU)
		test_skip("for Winograd on CPUs");
	model = ck_new(clef_model_parse(test_device, "conv2d(18, 3, pad=1) relu conv2d(18, 3, pad=1)",
					CLEF_SHAPE(WIDTH, SIDE, SIDE), IMAGES, &(clef_model_opts){ .seed = 1 }));
	x = leaf(images, -1);
	ck_ok(clef_requires_grad(x, false));
	ck_assert_int_eq(clef_params_count(clef_model_params(model)), PARAMS);
	clef__device_set_conv(test_device, "winograd");
	want = model_gradients(model, x, true, &by_hand_peak);
	got = model_gradients(model, x, false, &peak);
	clef__device_set_conv(test_device, NULL);
	ck_assert(memcmp(got, want, (size_t)clef_params_numel(clef_model_params(model)) * sizeof(float)) == 0);
	ck_assert_uint_lt(peak, by_hand_peak);
	free(got);
	free(want);
	clef_tensor_free(x);
	clef_model_free(model);
}
END_TEST

Suite *gate_suite(void)
{
	Suite *s = suite_create("gate");
	TCase *c = tcase_create("gate");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, each_convolution, 0, MAX_IMPLS);
	tcase_add_loop_test(c, each_engine, 0, MAX_ENGINES);
	tcase_add_test(c, chains);
	tcase_add_test(c, over_the_gate);
	suite_add_tcase(s, c);
	return s;
}
