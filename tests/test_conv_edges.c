/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions at their edges: nothing to do, NaN, the choice of an implementation, and what they refuse. */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_clef.h"
#include "conv_case.h"
#include "families.h"

/* ---- edges ---- */

static clef_tensor *filled(clef_shape shape, double value)
{
	clef_tensor *x = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, shape));

	ck_ok(clef_fill(x, value));
	ck_ok(clef_requires_grad(x, true));
	return x;
}

static void check_all(const clef_tensor *x, float value)
{
	size_t n = (size_t)clef_tensor_numel(x);
	float *v = malloc(n * sizeof(float) + 1);

	ck_assert_ptr_nonnull(v);
	ck_ok(clef_read(x, v, n * sizeof(float)));
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(v[i] == value, "element %d is %g, expected %g", (int)i, (double)v[i], (double)value);
	free(v);
}

/* No images: gradients of zero. No channels: the bias alone. */
START_TEST(nothing_to_do)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = filled(CLEF_SHAPE(0, 2, 4, 4), 0), *w = filled(CLEF_SHAPE(3, 2, 3, 3), 1);
	clef_tensor *b = filled(CLEF_SHAPE(3), 5), *y;
	clef_tensor *x0 = filled(CLEF_SHAPE(2, 0, 4, 4), 0), *w0 = filled(CLEF_SHAPE(3, 0, 3, 3), 0);

	ck_ok(clef_tape_begin(tape));
	for (int mode = CLEF_PAD_ZEROS; mode <= CLEF_PAD_REFLECT; mode++) {
		y = clef_conv2d(x, w, b, &(clef_conv2d_opts){ .pad = 1, .pad_mode = (clef_pad_mode)mode });
		ck_assert(clef_shape_equal(clef_tensor_shape(y), CLEF_SHAPE(0, 3, 4, 4)));
		ck_ok(clef_backward(clef_sum(y, NULL)));
		check_all(clef_grad(w), 0);
		check_all(clef_grad(b), 0);
	}
	y = clef_conv_transpose2d_no_bias(x, ck_new(clef_reshape(w, CLEF_SHAPE(2, 3, 3, 3))), NULL);
	ck_assert(clef_shape_equal(clef_tensor_shape(y), CLEF_SHAPE(0, 3, 6, 6)));
	ck_ok(clef_fill(clef_grad(w), 7));
	ck_ok(clef_backward(clef_sum(y, NULL)));
	check_all(clef_grad(w), 0);
	y = ck_new(clef_conv2d(x0, w0, b, NULL));
	check_all(y, 5);
	ck_ok(clef_backward(clef_sum(y, NULL)));
	check_all(clef_grad(b), 8);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tensor_free(x0);
	clef_tensor_free(w0);
	clef_tape_free(tape);
}
END_TEST

/* A NaN reaches the outputs that see it and no others. */
START_TEST(nan_travels)
{
	float v[1 * 1 * 5 * 21], got[5 * 21];
	clef_array array = { CLEF_FLOAT32, CLEF_SHAPE(1, 1, 5, 21), v };
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *w = filled(CLEF_SHAPE(1, 1, 3, 3), 1), *x, *y;

	for (int i = 0; i < CLEF_COUNT(v); i++)
		v[i] = i == 2 * 21 + 7 ? NAN : i == 4 * 21 + 20 ? INFINITY : 1;
	for (int i = 0; i < CONV_IMPLS; i++) {
		clef__problem p;

		if (!conv_case_parse("conv2d c1 h5 w21 k1 r3 p1 no_bias whole", i, &p))
			continue;
		ck_ok(clef_tape_begin(tape));
		x = ck_new(clef_input(tape, &array));
		ck_ok(clef_requires_grad(x, true));
		y = ck_new(p.family->apply((clef_tensor *const[]){ x, w }, p.opts));
		ck_ok(clef_read(y, got, sizeof(got)));
		for (int at = 0; at < CLEF_COUNT(got); at++) {
			int row = at / 21, column = at % 21;

			bool nan = abs(row - 2) <= 1 && abs(column - 7) <= 1, inf = row >= 3 && column >= 19;

			ck_assert_msg(isnan(got[at]) == nan && isinf(got[at]) == inf, "%s: y[%d] is %g", conv_impls[i],
				      at, (double)got[at]);
		}
		/* The gradient of x does not depend on x. */
		ck_ok(clef_backward(clef_sum(y, NULL)));
		ck_ok(clef_read(clef_grad(x), got, sizeof(got)));
		for (int at = 0; at < CLEF_COUNT(got); at++)
			ck_assert((double)got[at] >= 4 - p.tolerance && (double)got[at] <= 9 + p.tolerance);
		ck_ok(clef_read(clef_grad(w), got, 9 * sizeof(float)));
		for (int at = 0; at < 9; at++)
			ck_assert(isnan(got[at]));
	}
	clef_tensor_free(w);
	clef_tape_free(tape);
}
END_TEST

/* The same of many channels and tiles, both ways, with padding and without. */
START_TEST(nonfinite)
{
	static const char *const names[] = { "conv2d", "conv_transpose2d" };
	static const char *const sizes[] = { "n3 c5 h9 w21 k14", "n2 c17 h7 w6 k3", "n2 c4 h5 w4 k15" };
	static const char *const small[] = { "n2 c4 h5 w4 k2" };

	for (int i = 0; i < CLEF_COUNT(names); i++)
		for (int pad = 0; pad <= 1; pad++)
			for (int j = 0; j < (test_small() ? CLEF_COUNT(small) : CLEF_COUNT(sizes)); j++) {
				char problem[CLEF__PROBLEM_TEXT];

				snprintf(problem, sizeof(problem), "%s %s r3 p%d no_bias whole", names[i],
					 test_small() ? small[j] : sizes[j], pad);
				conv_check_nonfinite(problem);
			}
}
END_TEST

/* Transformed images that do not fit into local memory take another path through the kernels. */
START_TEST(nonfinite_deep)
{
	conv_check_nonfinite(test_small() ? "conv2d c3 h6 w9 k3 r3 p1 no_bias whole"
					  : "conv2d c520 h6 w9 k3 r3 p1 no_bias whole");
}
END_TEST

/* The gradient of w, of an image with `special` at pixel `at` of channel 2. */
static void weights_gradient(const char *impl, clef_tape *tape, clef_tensor *w, float special, int at, float *dw)
{
	float v[2 * 4 * 90];

	for (int i = 0; i < CLEF_COUNT(v); i++)
		v[i] = (float)(i * 7 % 9 - 4);
	v[90 * 2 + at] = special;
	conv_force_name(impl);
	ck_ok(clef_tape_begin(tape));
	ck_ok(clef_backward(clef_sum(
		clef_conv2d_no_bias(clef_input(tape, &(clef_array){ CLEF_FLOAT32, CLEF_SHAPE(2, 4, 9, 10), v }), w,
				    &(clef_conv2d_opts){ .pad = 1 }),
		NULL)));
	ck_ok(clef_read(clef_grad(w), dw, (size_t)clef_tensor_numel(w) * sizeof(*dw)));
}

/* A pixel at the border is not under all nine weights. */
START_TEST(nonfinite_weights)
{
	const int places[] = { 0, 9, 89, 45 };
	float want[3 * 4 * 9], got[3 * 4 * 9];
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *w = filled(CLEF_SHAPE(3, 4, 3, 3), 1);

	ck_ok(clef_requires_grad(w, true));
	for (int i = 0; i < CONV_IMPLS; i++)
		for (int j = 0; j < 2 * CLEF_COUNT(places); j++) {
			clef__problem p;

			if (!conv_does_weights(i) || !conv_case_parse("conv2d n2 c4 h9 w10 k3 r3 p1 no_bias", i, &p))
				continue;
			weights_gradient("direct", tape, w, j % 2 ? NAN : INFINITY, places[j / 2], want);
			weights_gradient(conv_impls[i], tape, w, j % 2 ? NAN : INFINITY, places[j / 2], got);
			for (int k = 0; k < CLEF_COUNT(got); k++)
				ck_assert_msg(isfinite(want[k]) ? fabsf(got[k] - want[k]) <= 1e-2f
								: isnan(got[k]) == isnan(want[k]) &&
									  isinf(got[k]) == isinf(want[k]),
					      "%s: dw[%d] is %g, expected %g", conv_impls[i], k, (double)got[k],
					      (double)want[k]);
		}
	clef_tensor_free(w);
	clef_tape_free(tape);
}
END_TEST

static uint64_t launches(clef_tensor *x, clef_tensor *w, const clef_conv2d_opts *o)
{
	uint64_t before = clef_device_get_stats(test_device).launches;

	ck_new(clef_conv2d_no_bias(x, w, o));
	return clef_device_get_stats(test_device).launches - before;
}

START_TEST(choice)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = filled(CLEF_SHAPE(2, 4, 5, 5), 1), *w = filled(CLEF_SHAPE(8, 4, 3, 3), 1);
	clef_tensor *deep = filled(CLEF_SHAPE(4, 1, 3, 3), 1);
	/* A GPU takes the product in tiles, one launch; im2col has more. */
	bool cpu = clef_device_get_info(test_device)->kind == CLEF_DEVICE_CPU;

	ck_ok(clef_tape_begin(tape));
	/* The first product includes a check. */
	ck_new(clef_conv2d_no_bias(x, w, NULL));
	ck_assert((launches(x, w, NULL) > 1) == cpu);
	ck_assert_int_eq((int)launches(x, deep, &(clef_conv2d_opts){ .groups = 4 }), 1);
	test_setenv("CLEF_CONV", "direct");
	ck_assert_int_eq((int)launches(x, w, NULL), 1);
	test_setenv("CLEF_CONV", "gemm");
	ck_assert_int_eq((int)launches(x, w, NULL), 1);
	test_setenv("CLEF_CONV", "im2col");
	ck_assert_int_gt((int)launches(x, w, NULL), 1);
	ck_null_fails(clef_conv2d_no_bias(x, deep, &(clef_conv2d_opts){ .groups = 4 }), CLEF_ERROR_UNSUPPORTED,
		      "conv2d: CLEF_CONV asks for im2col, which does not do x [2, 4, 5, 5] with w [4, 1, 3, 3] and 4 "
		      "groups");
	test_setenv("CLEF_CONV", "fft");
	ck_null_fails(clef_conv2d_no_bias(x, w, NULL), CLEF_ERROR_INVALID, "conv2d: CLEF_CONV is \"fft\": there are ");
	conv_force_name("direct");
	ck_assert_int_eq((int)launches(x, w, NULL), 1);
	conv_force_name("im2col");
	ck_null_fails(clef_conv2d_no_bias(x, deep, &(clef_conv2d_opts){ .groups = 4 }), CLEF_ERROR_UNSUPPORTED,
		      "conv2d: the problem asks for im2col, which does not do x [2, 4, 5, 5] with w");
	conv_force_name(NULL);
	test_setenv("CLEF_CONV", "");
	ck_assert((launches(x, w, NULL) > 1) == cpu);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(deep);
	clef_tape_free(tape);
}
END_TEST

/* ---- errors ---- */

#define refused(status, part, ...)                                                                                     \
	ck_null_fails(clef_conv2d_no_bias(x, w, &(clef_conv2d_opts){ __VA_ARGS__ }), (status), (part))

START_TEST(errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = filled(CLEF_SHAPE(2, 4, 5, 6), 0), *w = filled(CLEF_SHAPE(6, 4, 3, 3), 0);
	clef_tensor *b = filled(CLEF_SHAPE(4), 0), *thin = filled(CLEF_SHAPE(6, 3, 3, 3), 0);
	clef_tensor *flat = filled(CLEF_SHAPE(2, 4, 0, 6), 0), *point = filled(CLEF_SHAPE(6, 4, 1, 1), 0);

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_conv2d(x, w, NULL, NULL), CLEF_ERROR_INVALID, "conv2d: given NULL");
	ck_null_fails(clef_conv2d(NULL, w, b, NULL), CLEF_ERROR_INVALID, "conv2d: given NULL");
	ck_null_fails(clef_conv2d(b, w, b, NULL), CLEF_ERROR_SHAPE, "conv2d: x has shape [4], expected [n, c, h, w]");
	ck_null_fails(clef_conv2d(x, b, b, NULL), CLEF_ERROR_SHAPE,
		      "conv2d: w has shape [4], expected [k, c / groups, r, s]");
	ck_null_fails(clef_conv2d(x, w, b, NULL), CLEF_ERROR_SHAPE,
		      "b has shape [4], expected [6], a value for each channel of y");
	ck_null_fails(clef_conv2d_no_bias(x, thin, NULL), CLEF_ERROR_SHAPE,
		      "x [2, 4, 5, 6] has 4 channels, but w [6, 3, 3, 3] with 1 group takes 3");
	ck_null_fails(clef_conv2d_no_bias(flat, point, NULL), CLEF_ERROR_SHAPE, "must both have pixels");
	refused(CLEF_ERROR_SHAPE, "x [2, 4, 5, 6] has 4 channels, but w [6, 4, 3, 3] with 2 groups takes 8",
		.groups = 2);
	refused(CLEF_ERROR_SHAPE, "4 groups do not divide the 4 channels of x [2, 4, 5, 6] and the 6 of y",
		.groups = 4);
	refused(CLEF_ERROR_SHAPE,
		"the kernel of w [6, 4, 3, 3], 5 x 9 with its dilation, is larger than the image of x [2, 4, 5, 6], 5 "
		"x 7 with its padding",
		.dilation = 2, .dilation_w = 4, .pad_left = 1);
	refused(CLEF_ERROR_SHAPE, "padding by 5 that reflects x [2, 4, 5, 6]: it must be smaller than the image",
		.pad = 5, .pad_mode = CLEF_PAD_REFLECT);
	refused(CLEF_ERROR_SHAPE, "circular padding by 7 of x [2, 4, 5, 6]: it must not be larger than the image",
		.pad_right = 7, .pad_mode = CLEF_PAD_CIRCULAR);
	refused(CLEF_ERROR_INVALID, "pad_mode is 4, which is none", .pad_mode = (clef_pad_mode)4);
	refused(CLEF_ERROR_INVALID, "conv2d: stride is -1: it must not be negative", .stride = -1);
	refused(CLEF_ERROR_INVALID, "stride_w is -2", .stride_w = -2);
	refused(CLEF_ERROR_INVALID, "pad is -1", .pad = -1);
	refused(CLEF_ERROR_INVALID, "pad_w is -1", .pad_w = -1);
	refused(CLEF_ERROR_INVALID, "pad_top is -1", .pad = 3, .pad_top = -1);
	refused(CLEF_ERROR_INVALID, "pad_bottom is -1", .pad_bottom = -1);
	refused(CLEF_ERROR_INVALID, "pad_left is -1", .pad_left = -1);
	refused(CLEF_ERROR_INVALID, "pad_right is -1", .pad_right = -1);
	refused(CLEF_ERROR_INVALID, "dilation is -1", .dilation = -1);
	refused(CLEF_ERROR_INVALID, "dilation_w is -1", .dilation_w = -1);
	refused(CLEF_ERROR_INVALID, "groups is -1", .groups = -1);
	refused(CLEF_ERROR_SHAPE, "at most 67108864 in each direction", .pad = INT32_MAX, .stride = INT32_MAX);
	refused(CLEF_ERROR_SHAPE, "with its dilation, is larger", .dilation = INT32_MAX);
	refused(CLEF_ERROR_SHAPE, "would have more than 2^31 - 1 elements", .pad = 20000);
	refused(CLEF_ERROR_SHAPE, "once padded, would have more than 2^31 - 1 elements", .pad = 20000, .stride = 20000,
		.pad_mode = CLEF_PAD_REPLICATE);
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(b);
	clef_tensor_free(thin);
	clef_tensor_free(flat);
	clef_tensor_free(point);
	clef_tape_free(tape);
}
END_TEST

START_TEST(other_errors)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x = filled(CLEF_SHAPE(2, 4, 5, 6), 0), *w = filled(CLEF_SHAPE(4, 3, 3, 3), 0);
	clef_tensor *label = ck_new(clef_tensor_new(test_device, CLEF_INT32, CLEF_SHAPE(2, 4, 5, 6)));
	clef_tensor *line = filled(CLEF_SHAPE(2, 4, 5), 0), *kernel = filled(CLEF_SHAPE(2, 4, 6), 0);

	ck_ok(clef_tape_begin(tape));
	ck_null_fails(clef_conv_transpose2d(x, w, label, NULL), CLEF_ERROR_DTYPE,
		      "conv_transpose2d: b is int32, expected float32");
	ck_null_fails(clef_conv2d_no_bias(label, w, NULL), CLEF_ERROR_DTYPE, "conv2d: x is int32, expected float32");
	ck_null_fails(clef_conv_transpose2d_no_bias(w, x, NULL), CLEF_ERROR_SHAPE,
		      "conv_transpose2d: x [4, 3, 3, 3] has 3 channels, but w [2, 4, 5, 6] with 1 group takes 2");
	ck_null_fails(clef_conv_transpose2d_no_bias(x, line, NULL), CLEF_ERROR_SHAPE,
		      "w has shape [2, 4, 5], expected [c, k / groups, r, s]");
	ck_null_fails(
		clef_conv_transpose2d_no_bias(x, w, &(clef_conv_transpose2d_opts){ .stride = 2, .output_pad = 2 }),
		CLEF_ERROR_INVALID, "output_pad is 2: it must be smaller than the stride, 2, or the dilation, 1");
	ck_null_fails(clef_conv_transpose2d_no_bias(x, w, &(clef_conv_transpose2d_opts){ .output_pad_h = -1 }),
		      CLEF_ERROR_INVALID, "output_pad_h is -1");
	ck_null_fails(clef_conv_transpose2d_no_bias(x, w, &(clef_conv_transpose2d_opts){ .pad = 4 }), CLEF_ERROR_SHAPE,
		      "all is cut from the result of x [2, 4, 5, 6] and w [4, 3, 3, 3], 7 x 8, by padding");
	ck_null_fails(clef_conv1d_no_bias(x, line, NULL), CLEF_ERROR_SHAPE,
		      "conv1d: x has shape [2, 4, 5, 6], expected [n, c, l]");
	ck_null_fails(clef_conv1d_no_bias(line, kernel, NULL), CLEF_ERROR_SHAPE,
		      "conv1d: the kernel of w [2, 4, 6], 6 with its dilation, is larger than the image of x [2, 4, "
		      "5], 5 with its padding");
	ck_null_fails(clef_conv_transpose1d_no_bias(line, kernel, &(clef_conv_transpose1d_opts){ .groups = 3 }),
		      CLEF_ERROR_SHAPE, "conv_transpose1d: 3 groups do not divide the 4 channels");
	ck_null_fails(clef_conv1d_no_bias(line, kernel, &(clef_conv1d_opts){ .pad_left = -3 }), CLEF_ERROR_INVALID,
		      "conv1d: pad_left is -3");
	clef_tensor_free(x);
	clef_tensor_free(w);
	clef_tensor_free(label);
	clef_tensor_free(line);
	clef_tensor_free(kernel);
	clef_tape_free(tape);
}
END_TEST

Suite *conv_edges_suite(void)
{
	Suite *s = suite_create("conv_edges");
	TCase *c = tcase_create("conv_edges");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, nothing_to_do);
	tcase_add_test(c, nan_travels);
	tcase_add_test(c, nonfinite);
	tcase_add_test(c, nonfinite_deep);
	tcase_add_test(c, nonfinite_weights);
	tcase_add_test(c, choice);
	tcase_add_test(c, errors);
	tcase_add_test(c, other_errors);
	suite_add_tcase(s, c);
	return s;
}
