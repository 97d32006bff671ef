/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of a convolution's weights by the kernels for CPUs, at sizes that their blocks cut into parts. Whole
 * numbers must give what the direct kernel gives, bit for bit; that one is compared with the definition elsewhere.
 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "conv_case.h"

typedef struct sizes {
	int n, c, h, w, k, r, s;
	clef_conv2d_opts o;
} sizes;

static clef_tensor *numbers(clef_shape shape, uint32_t seed, bool whole)
{
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, shape));
	size_t n = (size_t)clef_tensor_numel(x);
	float *v = malloc(n * sizeof(float) + 1);

	ck_assert_ptr_nonnull(v);
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		v[i] = whole ? (float)(int)(seed >> 29) - 3 : (float)(seed >> 8) / (1 << 24) - 0.5f;
	}
	ck_ok(clef_write(x, v, n * sizeof(float)));
	free(v);
	return x;
}

/* The gradient of the weights by one implementation; it is wanted `times` times, and then adds up. NULL where the
 * implementation does not do it. */
static float *gradient(const char *impl, const sizes *z, bool whole, int times, size_t *count)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	int groups = z->o.groups ? z->o.groups : 1;
	clef_tensor *x = numbers(CLEF_SHAPE(z->n, z->c, z->h, z->w), 1, whole), *dy = NULL, *loss = NULL, *y;
	clef_tensor *w = numbers(CLEF_SHAPE(z->k, z->c / groups, z->r, z->s), 2, whole);
	float *v = NULL;

	conv_force_name(impl);
	ck_ok(clef_requires_grad(w, true));
	ck_ok(clef_tape_begin(tape));
	for (int i = 0; i < times; i++) {
		y = clef_conv2d_no_bias(x, w, &z->o);
		if (!y)
			break;
		if (!dy)
			dy = numbers(clef_tensor_shape(y), 3, whole);
		y = clef_sum(clef_mul(y, dy), NULL);
		loss = loss ? clef_add(loss, y) : y;
	}
	if (loss) {
		*count = (size_t)clef_tensor_numel(w);
		v = malloc(*count * sizeof(float) + 1);
		ck_assert_ptr_nonnull(v);
		ck_ok(clef_backward(loss));
		ck_ok(clef_read(clef_grad(w), v, *count * sizeof(float)));
	} else {
		ck_assert_int_eq(clef_error_status(), CLEF_ERROR_UNSUPPORTED);
		clef_error_clear();
	}
	conv_force_name(NULL);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(dy);
	clef_tape_free(tape);
	return v;
}

static bool on_cpu(void)
{
	return clef_device_get_info(test_device)->kind == CLEF_DEVICE_CPU;
}

static bool possible(void)
{
	return on_cpu() && clef_device_get_info(test_device)->local_memory >= 1 << 19;
}

/* What it gives is written at first, and then added to. */
static void run(sizes z)
{
	size_t n = 0;
	float *got = gradient("cpu_weights", &z, true, 2, &n), *want;

	if (!got) {
		ck_assert(!possible());
		return;
	}
	want = gradient("direct", &z, true, 2, &n);
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(got[i] == want[i],
			      "x [%d, %d, %d, %d], w [%d, ., %d, %d], stride %d, pad %d, groups %d: element %zu of %zu "
			      "is %g, not %g",
			      z.n, z.c, z.h, z.w, z.k, z.r, z.s, z.o.stride, z.o.pad, z.o.groups, i, n, (double)got[i],
			      (double)want[i]);
	free(want);
	free(got);
}

/* ---- many channels ---- */

/* Blocks of several images, of rows, and both with a remainder. */
START_TEST(planes)
{
	static const int edges[] = { 1, 3, 4, 7, 8, 13, 16, 32, 33 };

	if (test_small()) {
		run((sizes){ 3, 5, 4, 4, 3, 3, 3, { .pad = 1 } });
		return;
	}
	for (int i = 0; i < CLEF_COUNT(edges); i++) {
		run((sizes){ 5, 6, edges[i], edges[i], 17, 3, 3, { .pad = 1 } });
		run((sizes){ 3, 5, edges[CLEF_COUNT(edges) - 1 - i], edges[i], 9, 3, 3, { .pad = 1, .stride = 2 } });
	}
	run((sizes){ 1, 5, 3, 300, 9, 3, 3, { .pad = 1 } });
	run((sizes){ 70, 5, 4, 4, 9, 3, 3, { .pad = 1 } });
	run((sizes){ 257, 41, 1, 1, 9, 1, 1, { 0 } });
}
END_TEST

/* Tiles with all numbers of outputs and weights, and several blocks of each. */
START_TEST(channels)
{
	if (test_small())
		return;
	for (int k = 1; k <= 67; k += k < 18 ? 1 : 7)
		run((sizes){ 2, 5, 6, 7, k, 3, 3, { .pad = 1 } });
	for (int c = 41; c <= 55; c++)
		run((sizes){ 2, c, 5, 4, 20, 1, 1, { 0 } });
	run((sizes){ 9, 300, 4, 4, 70, 3, 3, { .pad = 1 } });
	run((sizes){ 2, 12, 4, 5, 1100, 2, 2, { .pad = 1 } });
	run((sizes){ 2, 40, 9, 9, 24, 3, 3, { .pad = 1, .groups = 2 } });
}
END_TEST

static const clef_conv2d_opts option_list[] = {
	{ 0 },
	{ .stride = 2 },
	{ .stride = 3, .pad = 2 },
	{ .stride = 4, .stride_w = 2, .pad = 1 },
	{ .stride_w = 2, .pad = 1, .pad_w = 3 },
	{ .dilation = 2, .pad = 2 },
	{ .stride = 2, .dilation = 3, .dilation_w = 2, .pad = 4 },
	{ .pad = 9 },
	{ .pad_top = 2, .pad_right = 3, .pad_bottom = 1 },
	{ .pad = 1, .pad_mode = CLEF_PAD_REFLECT },
};

START_TEST(options)
{
	static const int kernels[][2] = { { 1, 1 }, { 3, 3 }, { 5, 5 }, { 2, 3 }, { 4, 1 }, { 1, 7 } };

	for (int i = 0; i < CLEF_COUNT(option_list) && !test_small(); i++)
		for (int j = 0; j < CLEF_COUNT(kernels); j++) {
			const int *r = kernels[j];

			run((sizes){ 2, 41, 15, 17, 5, r[0], r[1], option_list[i] });
			run((sizes){ 2, 1, 15, 17, 5, r[0], r[1], option_list[i] });
		}
}
END_TEST

/* ---- few channels ---- */

START_TEST(few)
{
	static const int edges[] = { 1, 3, 4, 7, 8, 15, 16, 17, 33, 41 };

	if (test_small()) {
		run((sizes){ 2, 1, 5, 4, 3, 3, 3, { .pad = 1 } });
		run((sizes){ 1, 3, 4, 4, 3, 3, 3, { .pad = 1, .groups = 3 } });
		return;
	}
	for (int i = 0; i < CLEF_COUNT(edges); i++) {
		run((sizes){ 5, 3, edges[i], edges[i], 5, 3, 3, { .pad = 1 } });
		run((sizes){ 3, 6, edges[CLEF_COUNT(edges) - 1 - i], edges[i], 6, 3, 3, { .pad = 1, .groups = 6 } });
	}
	for (int k = 1; k <= 9; k++)
		run((sizes){ 2, 2, 9, 10, k, 3, 2, { .pad = 1 } });
	/* Blocks of k, and of groups with a remainder. */
	run((sizes){ 2, 4, 5, 5, 301, 3, 3, { .pad = 1 } });
	run((sizes){ 40, 67, 6, 6, 134, 3, 3, { .pad = 1, .stride = 2, .groups = 67 } });
	run((sizes){ 2, 64, 5, 5, 8, 3, 3, { .pad = 1, .groups = 4 } });
}
END_TEST

/* ---- real numbers: the same bits twice ---- */

START_TEST(repeats)
{
	static const sizes list[] = { { 9, 64, 9, 9, 40, 3, 3, { .pad = 1 } }, { 9, 3, 9, 9, 9, 3, 3, { .pad = 1 } } };

	for (int i = 0; i < CLEF_COUNT(list) && !test_small(); i++) {
		size_t n = 0;
		float *a = gradient("cpu_weights", &list[i], false, 1, &n);
		float *b = gradient("cpu_weights", &list[i], false, 1, &n);

		ck_assert(a && b ? memcmp(a, b, n * sizeof(float)) == 0 : !possible());
		free(a);
		free(b);
	}
}
END_TEST

/* ---- the choice ---- */

static int launches(const char *impl, const sizes *z)
{
	uint64_t before = clef_device_get_stats(test_device).launches;
	size_t n;

	free(gradient(impl, z, true, 1, &n));
	return (int)(clef_device_get_stats(test_device).launches - before);
}

/* Where they pay they run without being asked for: two launches, which im2col needs for every few images. */
START_TEST(choice)
{
	const sizes z = { 80, 16, 16, 16, 16, 5, 5, { .pad = 2 } };
	const sizes sparse = { 2, 16, 16, 16, 16, 3, 3, { .stride = 9 } };
	size_t n;

	if (test_small() || !possible())
		test_skip("no CPU with a cache");
	/* The first product includes a check. */
	launches("im2col", &z);
	ck_assert_int_eq(launches("", &z), launches("cpu_weights", &z));
	ck_assert_int_lt(launches("", &z), launches("im2col", &z));
	ck_assert_ptr_null(gradient("cpu_weights", &sparse, true, 1, &n));
}
END_TEST

Suite *conv_weights_suite(void)
{
	Suite *s = suite_create("conv_weights");
	TCase *c = tcase_create("conv_weights");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, planes);
	tcase_add_test(c, channels);
	tcase_add_test(c, options);
	tcase_add_test(c, few);
	tcase_add_test(c, repeats);
	tcase_add_test(c, choice);
	suite_add_tcase(s, c);
	return s;
}
